//! Bars of several lines' height, one column a value, where there is room for more than a row of small ones.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::course::Point;
use super::figure::{NOTHING, rate, time};
use super::sheet::{ACCENT, DIM, Section};
use super::{Scene, spark};

/// One chart.
struct Chart {
    heading: &'static str,
    value: fn(&Point) -> Option<f64>,
    words: fn(f64) -> String,
}

const LOAD: Chart = Chart {
    heading: "Sent a second",
    value: |point| point.sent_per_s,
    words: rate,
};
const FIRST_TOKEN: Chart = Chart {
    heading: "First token, p50",
    value: |point| point.first_token,
    words: span,
};
const TOTAL: Chart = Chart {
    heading: "Total latency, p50",
    value: |point| point.total,
    words: span,
};

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time in nanoseconds"
)]
fn span(nanos: f64) -> String {
    time(nanos as u64)
}

/// Draws the load and what it does to the latency, side by side.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let streams = scene.plan.provider.stream;
    let half = area.width / 2;
    let left = Rect {
        width: half,
        ..area
    };
    let right = Rect {
        x: area.x + half,
        width: area.width - half,
        ..area
    };
    LOAD.draw(scene, left, buffer);
    if streams { FIRST_TOKEN } else { TOTAL }.draw(scene, right, buffer);
}

impl Chart {
    fn draw(&self, scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let (width, height) = (area.width.saturating_sub(4), area.height.saturating_sub(2));
        let values = || scene.course.points().map(self.value);
        let bars = spark::lines(values(), width.into(), height.into());
        let shown = values().rev().take(width.into()).flatten();
        let greatest = shown.reduce(f64::max);
        let scale = greatest.map_or_else(
            || NOTHING.to_owned(),
            |most| format!("0 to {}", (self.words)(most)),
        );
        let lines = bars
            .into_iter()
            .map(|bars| Line::styled(bars, ACCENT))
            .collect();
        Section::new(self.heading, lines)
            .and(Span::styled(scale, DIM))
            .draw(area, true, buffer);
    }
}
