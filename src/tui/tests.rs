//! What is drawn: whole screens of four sizes, and that nothing is ever drawn where there is no screen.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::domain::{Offset, Outcome, Warning};
use crate::metrics::{ErrorCount, ErrorKey, Metric, Observation, Summary, Tally, judge};
use crate::report::sample::{self, Sample};
use crate::report::{Crowd, History, LifeStage, WorkerStanding};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (40, 12), (20, 5)];
const WHOLE: Skin = Skin {
    unicode: true,
    colour: true,
};

/// A run to draw.
#[derive(Debug)]
struct Drawn {
    plan: Plan,
    cluster: bool,
    standing: Standing,
    course: Course,
    log: Vec<Arc<str>>,
}

impl Drawn {
    fn of(sample: Sample) -> Self {
        let lines = [
            "2026-01-02T03:04:05.000001Z  INFO seed 1: --seed 1 sends the same requests again",
            "2026-01-02T03:04:05.250000Z  INFO all workers are ready; starting",
            "2026-01-02T03:04:09.250000Z  WARN the disk is slow",
        ];
        Self {
            plan: sample.plan.clone(),
            cluster: false,
            standing: sample.standing(),
            course: course(),
            log: lines.map(Arc::from).to_vec(),
        }
    }

    fn cells(&self, look: &mut Look, skin: Skin, (width, height): (u16, u16)) -> Buffer {
        let scene = Scene {
            plan: &self.plan,
            cluster: self.cluster,
            standing: &self.standing,
            course: &self.course,
            log: &self.log,
        };
        draw(&scene, look, skin, Size::new(width, height))
    }

    /// All sizes, one below the other.
    fn screens(&self) -> String {
        let all = SIZES.map(|size| {
            let cells = self.cells(&mut Look::default(), WHOLE, size);
            format!("{} x {}\n{}", size.0, size.1, text(&cells))
        });
        all.join("\n")
    }
}

/// A quarter of a minute in which the load and the latencies grow.
fn course() -> Course {
    let (mut history, mut course) = (History::default(), Course::default());
    for second in 1..=15 {
        let mut delta = Tally::default();
        delta.counts.sent = 10 * second;
        let phase = &mut delta.measured;
        phase.outcomes.insert(Outcome::Ok, 9 * second);
        phase.outcomes.insert(Outcome::Http5xx, second % 3);
        phase.output_tokens = 100 * second;
        for metric in [
            Metric::TimeToFirstToken,
            Metric::TimePerOutputToken,
            Metric::TotalLatency,
        ] {
            let series = phase.series.entry(metric).or_default();
            series.record_n(1_000_000 * (20 - second), 9);
        }
        let crowd = Crowd {
            users: 4,
            in_flight: u32::try_from(second).unwrap() % 5,
            waiting: 0,
        };
        history.push(&delta, Offset::from_nanos(second * 1_000_000_000), crowd);
    }
    course.follow(&history);
    course
}

fn text(cells: &Buffer) -> String {
    let mut text = String::new();
    for row in 0..cells.area.height {
        let symbols: String = (0..cells.area.width)
            .map(|column| cells[(column, row)].symbol())
            .collect();
        text += symbols.trim_end();
        text.push('\n');
    }
    text
}

fn worker(number: u32, name: &str, state: &'static str, silent_ms: u64) -> WorkerStanding {
    WorkerStanding {
        worker: number,
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        cores: 2,
        state,
        connected: state != "lost",
        crowd: Crowd {
            users: 12,
            in_flight: 7,
            waiting: 0,
        },
        sent: 1_234,
        finished: 1_227,
        lost: u64::from(state == "lost") * 7,
        silent: Duration::from_millis(silent_ms),
        clock: Some((-1_250_000, 80_000)),
    }
}

fn cluster() -> Drawn {
    let mut drawn = Drawn::of(sample::open());
    drawn.cluster = true;
    drawn.standing.workers = Arc::new(vec![
        worker(1, "alpha:17", "running", 240),
        worker(2, "beta:4", "lost", 9_300),
        worker(3, "gamma:99", "running", 3_100),
        worker(4, "delta:1", "running", 100),
    ]);
    drawn
}

#[test]
fn an_open_loop() {
    insta::assert_snapshot!(Drawn::of(sample::open()).screens());
}

#[test]
fn a_closed_loop_without_failures_that_ends_by_its_requests() {
    let mut sample = sample::closed();
    sample.plan.schedule.max_requests = Some(8);
    sample.summary.errors.clear();
    sample.summary.outcomes.remove(&Outcome::Http5xx);
    let mut drawn = Drawn::of(sample);
    drawn.standing.left = None;
    insta::assert_snapshot!(drawn.screens());
}

#[test]
fn a_cluster_that_lost_a_worker() {
    insta::assert_snapshot!(cluster().screens());
}

#[test]
fn a_master_that_waits_for_its_workers() {
    let mut sample = sample::open();
    sample.verdict = None;
    sample.summary = Summary::new(Tally::default(), Observation::default());
    let mut drawn = Drawn::of(sample);
    drawn.cluster = true;
    drawn.course = Course::default();
    drawn.standing.stage = LifeStage::Waiting;
    drawn.standing.crowd = Crowd::default();
    drawn.standing.lately = Arc::default();
    (
        drawn.standing.started_at,
        drawn.standing.now,
        drawn.standing.left,
    ) = (None, Offset::ZERO, None);
    drawn.standing.workers = Arc::new(vec![worker(1, "alpha:17", "idle", 240)]);
    insta::assert_snapshot!(drawn.screens());
}

#[test]
fn an_invalid_run_that_is_being_stopped() {
    let mut sample = sample::open();
    sample.summary.counts.late_cancelled = 9;
    sample.summary.warnings.insert(Warning::UsersTooFew, 3);
    sample.verdict = judge(&sample.summary);
    let mut drawn = Drawn::of(sample);
    drawn.standing.stage = LifeStage::Stopping;
    drawn.standing.left = None;
    insta::assert_snapshot!(drawn.screens());
}

#[test]
fn lists_have_pages_of_their_own_and_keys_are_said() {
    let drawn = cluster();
    let mut look = Look::default();
    let mut screens = Vec::new();
    for glance in [Glance::Next, Glance::Next, Glance::Next, Glance::Help] {
        look.turn(glance);
        screens.push(text(&drawn.cells(&mut look, WHOLE, (110, 20))));
    }
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_terminal_without_letters_and_colours_is_told_the_same() {
    let drawn = cluster();
    let skin = Skin {
        unicode: false,
        colour: false,
    };
    let cells = drawn.cells(&mut Look::default(), skin, (80, 24));
    let colours = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg);
    let plain = (Color::Reset, Color::Reset);
    assert!(cells.content.iter().all(|cell| colours(cell) == plain));
    assert!(cells.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(
        cells
            .content
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::BOLD))
    );
    insta::assert_snapshot!(text(&cells));
}

#[test]
fn no_word_from_elsewhere_breaks_the_picture() {
    let mut sample = sample::open();
    sample.plan.provider.model = "m\x1b[2J\n模型".to_owned();
    let kind = ErrorKey::new(Outcome::Cut, "\x1b]0;title\x07\u{202e}gnp\t模型");
    let seen = ErrorCount {
        count: 1_234_567,
        first_seen: Offset::ZERO,
        last_seen: Offset::ZERO,
    };
    sample.summary.errors.insert(kind, seen);
    let mut drawn = Drawn::of(sample);
    drawn.log.push(Arc::from("\x1b[31mred\r\x08"));
    let cells = drawn.cells(&mut Look::default(), WHOLE, (80, 24));
    let symbols = cells.content.iter().map(ratatui::buffer::Cell::symbol);
    let text: String = symbols.collect();
    assert!(!text.chars().any(char::is_control));
    assert!(text.contains("1,234,567") && !text.contains('\u{202e}'));
}

fn any_stage() -> impl Strategy<Value = LifeStage> {
    prop_oneof![
        Just(LifeStage::Waiting),
        Just(LifeStage::Preparing),
        Just(LifeStage::Running),
        Just(LifeStage::Stopping),
        Just(LifeStage::Ended),
    ]
}

fn any_standing() -> impl Strategy<Value = Drawn> {
    let names = prop::collection::vec("\\PC{0,30}", 0..40);
    let kinds = prop::collection::vec(("\\PC{0,300}", any::<u64>()), 0..30);
    let numbers = (
        any::<u32>(),
        any::<u64>(),
        any::<u64>(),
        any::<Option<u64>>(),
    );
    let floats = (
        any::<f64>(),
        any::<Option<f64>>(),
        any::<bool>(),
        any::<bool>(),
    );
    let log = prop::collection::vec("\\PC{0,300}", 0..60);
    (any_stage(), names, kinds, numbers, floats, log).prop_map(
        |(stage, names, kinds, (crowd, count, nanos, left), (float, asked, open, cluster), log)| {
            let mut sample = if open {
                sample::open()
            } else {
                sample::closed()
            };
            for (text, count) in kinds {
                let seen = ErrorCount {
                    count,
                    first_seen: Offset::ZERO,
                    last_seen: Offset::ZERO,
                };
                sample
                    .summary
                    .errors
                    .insert(ErrorKey::new(Outcome::Cut, &text), seen);
            }
            sample.plan.schedule.max_requests = (count % 3 == 0).then_some(count);
            sample.plan.provider.model = names.concat();
            sample.summary.counts.sent = count;
            let latency = sample
                .summary
                .phase
                .series
                .entry(Metric::TotalLatency)
                .or_default();
            latency.record_n(nanos, 1 + count % 1_000);
            sample.verdict = judge(&sample.summary);
            let mut drawn = Drawn::of(sample);
            let states = ["running", "lost", "done", "idle"];
            let workers = names.iter().zip((0..).zip(states.iter().cycle()));
            let workers =
                workers.map(|(name, (number, state))| worker(number, name, state, nanos >> 20));
            drawn.standing.workers = Arc::new(workers.collect());
            drawn.standing.stage = stage;
            drawn.standing.now = Offset::from_nanos(nanos);
            drawn.standing.left = left.map(Duration::from_nanos);
            drawn.standing.asked_per_s = asked;
            drawn.standing.crowd.in_flight = crowd;
            let lately = Arc::make_mut(&mut drawn.standing.lately);
            (lately.span_s, lately.failures_per_s) = (float.abs(), float);
            drawn.cluster = cluster;
            drawn
                .log
                .extend(log.iter().map(|line| Arc::from(line.as_str())));
            drawn
        },
    )
}

fn any_glance() -> impl Strategy<Value = Glance> {
    prop_oneof![
        Just(Glance::Next),
        Just(Glance::Previous),
        Just(Glance::Up),
        Just(Glance::Down),
        Just(Glance::PageUp),
        Just(Glance::PageDown),
        Just(Glance::Help),
        Just(Glance::Back),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands how and is looked at in whatever way: it is drawn into the screen, all of it, without a panic.
    #[test]
    fn any_standing_is_drawn_at_any_size(
        drawn in any_standing(),
        sizes in prop::collection::vec((0_u16..140, 0_u16..60), 1..6),
        glances in prop::collection::vec(any_glance(), 6),
        unicode: bool,
        colour: bool,
    ) {
        let mut look = Look::default();
        let skin = Skin { unicode, colour };
        for (size, glance) in sizes.into_iter().zip(glances) {
            look.turn(glance);
            let cells = drawn.cells(&mut look, skin, size);
            prop_assert_eq!(cells.area, Rect::new(0, 0, size.0, size.1));
            prop_assert_eq!(cells.content.len(), usize::from(size.0) * usize::from(size.1));
            let is_plain = |cell: &ratatui::buffer::Cell| !cell.symbol().chars().any(char::is_control);
            prop_assert!(cells.content.iter().all(is_plain));
        }
    }
}
