//! The latencies of requests that ended well: in the last seconds, in the whole run, and as a course.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::course::Point;
use super::figure::{greatest, percentile};
use super::sheet::{ACCENT, BOLD, DIM, Section, flush_right, padded};
use super::{Scene, spark};
use crate::metrics::Metric;

const LABEL: usize = 12;
const FIGURE: usize = 9;
const GAP: &str = "   ";
/// Columns from which on more of the whole run's figures stand beside those of the last seconds.
const WIDE: usize = 90;

/// One latency.
pub(super) struct Kind {
    pub(super) label: &'static str,
    pub(super) metric: Metric,
    course: Option<fn(&Point) -> Option<f64>>,
}

/// Those that are shown, as far as there are any.
pub(super) const KINDS: [Kind; 4] = [
    Kind {
        label: "first token",
        metric: Metric::TimeToFirstToken,
        course: Some(|point| point.first_token),
    },
    Kind {
        label: "per token",
        metric: Metric::TimePerOutputToken,
        course: Some(|point| point.per_token),
    },
    Kind {
        label: "total",
        metric: Metric::TotalLatency,
        course: Some(|point| point.total),
    },
    Kind {
        label: "lateness",
        metric: Metric::Lateness,
        course: None,
    },
];

/// Those that this run has: where nothing is known yet, a stream's.
pub(super) fn kinds(scene: &Scene<'_>) -> impl Iterator<Item = &'static Kind> {
    let phase = &scene.standing.summary.phase;
    let is_open = scene.plan.is_open();
    let streams = scene.plan.provider.stream;
    KINDS.iter().filter(move |kind| match kind.metric {
        Metric::TotalLatency => true,
        Metric::Lateness => is_open,
        metric => streams || phase.get(metric).is_some(),
    })
}

/// The section, for so many columns.
pub(super) fn section(scene: &Scene<'_>, width: usize) -> Section {
    let is_wide = width >= WIDE;
    let mut lines = vec![heading(scene, width, is_wide)];
    lines.extend(kinds(scene).map(|kind| row(kind, scene, width, is_wide)));
    let seconds = scene.standing.lately.span_s;
    let section = Section::new("Latency", lines);
    if seconds > 0.0 {
        section.and(Span::styled(format!("of the last {seconds:.0} s"), DIM))
    } else {
        section
    }
}

fn heading(scene: &Scene<'_>, width: usize, is_wide: bool) -> Line<'static> {
    let mut text = padded("", LABEL);
    for name in ["p50", "p90", "p99", "max"] {
        text += &flush_right(name, FIGURE);
    }
    text += GAP;
    if is_wide {
        text += &flush_right("run p50", FIGURE);
    }
    text += &flush_right("run p99", FIGURE);
    let room = room(width, is_wide);
    let step = scene.course.step_s().unwrap_or(1.0);
    let course = if step < 1.5 {
        "p50 each second".to_owned()
    } else {
        format!("p50 each {step:.0} s")
    };
    text += GAP;
    text += &padded(&course, room);
    Line::from(Span::styled(text, DIM))
}

const fn room(width: usize, is_wide: bool) -> usize {
    let figures = if is_wide { 6 } else { 5 };
    width.saturating_sub(LABEL + figures * FIGURE + 2 * GAP.len())
}

fn row(kind: &Kind, scene: &Scene<'_>, width: usize, is_wide: bool) -> Line<'static> {
    let lately = scene.standing.lately.phase.get(kind.metric);
    let whole = scene.standing.summary.get(kind.metric);
    let mut spans = vec![Span::styled(padded(kind.label, LABEL), DIM)];
    let mut figure = |text: String, columns, style: Style| {
        spans.push(Span::styled(flush_right(&text, columns), style));
    };
    figure(percentile(lately, 0.5), FIGURE, BOLD);
    figure(percentile(lately, 0.9), FIGURE, Style::new());
    figure(percentile(lately, 0.99), FIGURE, BOLD);
    figure(greatest(lately), FIGURE, Style::new());
    figure(GAP.to_owned(), GAP.len(), DIM);
    if is_wide {
        figure(percentile(whole, 0.5), FIGURE, DIM);
    }
    figure(percentile(whole, 0.99), FIGURE, DIM);
    if let Some(course) = kind.course {
        let room = room(width, is_wide);
        let course = spark::line(scene.course.points().map(course), room);
        spans.push(Span::raw(GAP));
        spans.push(Span::styled(course, ACCENT));
    }
    Line::from(spans)
}
