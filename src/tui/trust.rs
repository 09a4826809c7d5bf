//! How far the figures can be trusted: how late the generator itself was, how busy, and what is judged of that so far.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Scene;
use super::figure::{percent, percentile};
use super::sheet::{BAD, DIM, DOUBTFUL, GOOD, Section, broken, wide};
use crate::metrics::{Level, Metric, Reason};

/// Lines for the gravest reason.
const REASON: usize = 2;

/// The judgement so far, in a word.
pub(super) fn verdict(scene: &Scene<'_>) -> Span<'static> {
    match &scene.standing.verdict {
        Some(verdict) => Span::styled(verdict.level.to_string(), style(verdict.level)),
        None => Span::styled("no verdict yet", DIM),
    }
}

const fn style(level: Level) -> Style {
    match level {
        Level::Ok => GOOD,
        Level::Strained => DOUBTFUL,
        Level::Invalid => BAD,
    }
}

/// The section, for so many columns.
pub(super) fn section(scene: &Scene<'_>, width: usize) -> Section {
    let mut lines = vec![figures(scene, width)];
    if let Some(reason) = gravest(scene) {
        let words = format!("{}; {}", reason.words, reason.remedy);
        let broken = broken(&words, width, REASON);
        lines.extend(
            broken
                .into_iter()
                .map(|line| Line::styled(line, style(reason.level))),
        );
    }
    Section::new("Generator", lines).and(verdict(scene))
}

fn gravest<'a>(scene: &Scene<'a>) -> Option<&'a Reason> {
    let verdict = scene.standing.verdict.as_ref()?;
    verdict.reasons.first()
}

/// What it measured of itself, as far as there is room.
fn figures(scene: &Scene<'_>, width: usize) -> Line<'static> {
    let summary = &scene.standing.summary;
    let generator = &summary.generator;
    let lag = if generator.has_loop_lag() {
        "event-loop lag p99 "
    } else {
        "receive lag p99 "
    };
    let mut known = vec![
        (
            "send delay p99 ",
            percentile(summary.get(Metric::SendDelay), 0.99),
        ),
        (lag, percentile(summary.get(Metric::ReceiveLag), 0.99)),
    ];
    let busiest = generator.busiest(0).and_then(|(_, load)| load.busy_share());
    known.extend(busiest.map(|share| ("busiest core ", percent(share))));
    let kernel = generator.kernel_stamped_share();
    known.extend(kernel.map(|share| ("kernel stamps ", percent(share))));
    let mut spans = Vec::new();
    for (at, (label, value)) in known.into_iter().enumerate() {
        let gap = if at > 0 { "   " } else { "" };
        let more = [Span::styled(format!("{gap}{label}"), DIM), Span::raw(value)];
        if wide(&spans) + wide(&more) <= width {
            spans.extend(more);
        }
    }
    Line::from(spans)
}
