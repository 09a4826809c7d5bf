//! The parts of a run's page in short: those of any page, charts over its time, and figures with as many digits as say
//! something. It knows no figure of a run.

use crate::page::{Axis, Chart, Series};
pub(crate) use crate::page::{axis, counted, log_axis, on_axis, series, table, text};
use crate::report::number;

/// Charts over the time of the run.
pub(crate) const TIME: &str = "time";

/// A figure with four digits that say something, and no fewer than its whole part has.
pub(crate) fn shown(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        format!("{value:.0}")
    } else {
        number::plain(number::four_digits(value))
    }
}

/// A share of 1 as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A count as a number to draw or divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
pub(crate) const fn quantity(count: u64) -> f64 {
    count as f64
}

/// A chart over the time of the run.
pub(crate) fn over_time(title: &str, summary: String, y: Vec<Axis>, series: Vec<Series>) -> Chart {
    Chart {
        title: title.to_owned(),
        summary,
        x: axis("time of the run", "s"),
        y,
        series,
        marks: Vec::new(),
        group: TIME.to_owned(),
    }
}
