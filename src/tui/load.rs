//! The load: what is asked for, what comes of it, and how that went on second by second.

use ratatui::text::{Line, Span};

use super::course::Point;
use super::figure::{NOTHING, count, exact, percent, rate};
use super::sheet::{ACCENT, BAD, DIM, DOUBTFUL, Section, padded};
use super::{Scene, spark};
use crate::domain::Outcome;

const LABEL: usize = 10;
const VALUE: usize = 13;

/// One figure and how it went.
struct Meter {
    label: &'static str,
    value: String,
    course: fn(&Point) -> Option<f64>,
}

/// The section, for so many columns.
pub(super) fn section(scene: &Scene<'_>, width: usize) -> Section {
    let [first, second, third] = left(scene);
    let [one, two, three] = right(scene);
    let pairs = [(first, one), (second, two), (third, three)];
    let half = width.saturating_sub(2) / 2;
    let mut lines: Vec<_> = pairs
        .into_iter()
        .map(|(left, right)| {
            let mut spans = left.spans(scene, half);
            spans.push(Span::raw("  "));
            spans.extend(right.spans(scene, half));
            Line::from(spans)
        })
        .collect();
    lines.push(totals(scene));
    Section::new("Load", lines)
}

fn left(scene: &Scene<'_>) -> [Meter; 3] {
    let standing = scene.standing;
    let tokens = (standing.lately.span_s > 0.0)
        .then(|| exact(standing.lately.phase.output_tokens) / standing.lately.span_s);
    [
        Meter {
            label: "sent/s",
            value: sent(scene),
            course: |point| point.sent_per_s,
        },
        Meter {
            label: "failed/s",
            value: rate(standing.lately.failures_per_s),
            course: |point| point.failed_per_s,
        },
        Meter {
            label: "tokens/s",
            value: tokens.map_or_else(|| NOTHING.to_owned(), rate),
            course: |point| point.tokens_per_s,
        },
    ]
}

/// What is sent a second, and what of it was asked for.
pub(super) fn sent(scene: &Scene<'_>) -> String {
    let sent = scene.course.sent_per_s();
    let sent = sent.map_or_else(|| NOTHING.to_owned(), rate);
    match scene.standing.asked_per_s {
        Some(_) if scene.standing.load.paused => format!("{sent} of 0"),
        Some(asked) => format!("{sent} of {}", rate(asked)),
        None => sent,
    }
}

fn right(scene: &Scene<'_>) -> [Meter; 3] {
    let (crowd, load) = (scene.standing.crowd, scene.standing.load);
    let of = |number: u32| format!("{} of {}", count(number.into()), count(load.users.into()));
    let is_open = scene.plan.is_open();
    let plain = |number: u32| count(number.into());
    [
        Meter {
            label: "users",
            value: if is_open {
                plain(crowd.users)
            } else {
                of(crowd.users)
            },
            course: |point| Some(point.users),
        },
        Meter {
            label: "in flight",
            value: if is_open {
                of(crowd.in_flight)
            } else {
                plain(crowd.in_flight)
            },
            course: |point| Some(point.in_flight),
        },
        Meter {
            label: "waiting",
            value: plain(crowd.waiting),
            course: |point| Some(point.waiting),
        },
    ]
}

impl Meter {
    fn spans(&self, scene: &Scene<'_>, width: usize) -> Vec<Span<'static>> {
        let room = width.saturating_sub(LABEL + VALUE + 1);
        let course = spark::line(scene.course.points().map(self.course), room);
        vec![
            Span::styled(padded(self.label, LABEL), DIM),
            Span::raw(padded(&self.value, VALUE)),
            Span::raw(" "),
            Span::styled(padded(&course, room), ACCENT),
        ]
    }
}

/// What became of everything so far.
pub(super) fn totals(scene: &Scene<'_>) -> Line<'static> {
    let summary = &scene.standing.summary;
    let good = summary.whole_run(Outcome::is_good);
    let failed = summary.whole_run(Outcome::is_failure);
    let cancelled = summary.whole_run(|outcome| outcome == Outcome::Cancelled);
    let counts = summary.counts;
    let mut spans = vec![Span::raw(format!("{} good", count(good)))];
    let mut and = |words: String, style| {
        spans.push(Span::styled(", ", DIM));
        spans.push(Span::styled(words, style));
    };
    if failed == 0 {
        and("none failed".to_owned(), DIM);
    } else {
        let share = percent(exact(failed) / exact(failed + good));
        and(format!("{} failed ({share})", count(failed)), BAD);
    }
    for (number, words, style) in [
        (cancelled, "cancelled", DIM),
        (
            counts.dropped + counts.late_cancelled,
            "never sent",
            DOUBTFUL,
        ),
        (counts.lost, "lost", BAD),
    ] {
        if number > 0 {
            and(format!("{} {words}", count(number)), style);
        }
    }
    if summary.balance.is_err() && scene.standing.stage == crate::report::LifeStage::Ended {
        and("this does not add up".to_owned(), BAD);
    }
    Line::from(spans)
}
