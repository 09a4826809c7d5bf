//! The four plots of a token benchmark: which figures stand on which axis. How a plot is drawn is `chart`'s business.

use super::Individual;
use super::individual::quantity;
use super::spread::quantile;
use crate::chart::{Body, Figure, Mark, Panel};

/// The end of a plot's file name, before its ending.
pub type PlotName = &'static str;

const E2E: PlotName = "e2e_latencies";
const INTER_TOKEN: PlotName = "inter_token_latencies";
const FIRST_TOKEN: PlotName = "time_to_first_token";
const THROUGHPUT: PlotName = "inter_token_vs_throughput";

/// The percentiles that are told.
const TOLD: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
/// A longer title has no room.
const TITLE: usize = 72;

/// The four plots of `responses`, each with the name that follows `{stem}_` in its file's name; `title` names the benchmark.
/// Failed requests are left out.
pub fn plots(title: &str, responses: &[Individual]) -> Vec<(PlotName, Figure)> {
    let cloud = Cloud::of(title, responses);
    vec![
        (E2E, cloud.latencies()),
        (INTER_TOKEN, cloud.inter_token_latencies()),
        (FIRST_TOKEN, cloud.first_tokens()),
        (THROUGHPUT, cloud.throughput()),
    ]
}

/// The good responses, and what is said of the others.
struct Cloud<'a> {
    title: String,
    good: Vec<&'a Individual>,
    note: String,
}

impl<'a> Cloud<'a> {
    fn of(title: &str, responses: &'a [Individual]) -> Self {
        let good: Vec<&Individual> = responses.iter().filter(|one| one.is_good()).collect();
        let failed = responses.len() - good.len();
        Self {
            title: shortened(title),
            good,
            note: match failed {
                0 => String::new(),
                1 => "1 failed request left out".to_owned(),
                _ => format!("{failed} failed requests left out"),
            },
        }
    }

    fn values(&self, of: impl Fn(&Individual) -> Option<f64>) -> Vec<f64> {
        let known = self
            .good
            .iter()
            .filter_map(|one| of(one).filter(|time| is_time(*time)));
        known.collect()
    }

    fn latencies(&self) -> Figure {
        let values = self.values(|one| one.end_to_end_latency_s);
        let (title, axis) = ("End-to-end latencies", "end-to-end latency (s)");
        self.histogram(title, axis, values, "s")
    }

    fn inter_token_latencies(&self) -> Figure {
        let values = self.values(inter_token_ms);
        let (title, axis) = ("Inter-token latencies", "inter-token latency (ms)");
        self.histogram(title, axis, values, "ms")
    }

    fn first_tokens(&self) -> Figure {
        let points: Vec<(f64, f64)> = self.pairs(|one| {
            Some((
                one.number_input_tokens.map(quantity)?,
                one.ttft_s.filter(|time| is_time(*time))?,
            ))
        });
        let times = points.iter().map(|point| point.1).collect();
        let body = Body::Scatter {
            x_marks: Vec::new(),
            y_marks: told(times, "s"),
            points,
            note: self.note.clone(),
        };
        let axes = ("input tokens", "time to first token (s)");
        self.figure("Input tokens and time to first token", axes, body)
    }

    fn throughput(&self) -> Figure {
        let points: Vec<(f64, f64)> = self.pairs(|one| {
            Some((
                inter_token_ms(one).filter(|time| is_time(*time))?,
                one.request_output_throughput_token_per_s?,
            ))
        });
        let times = points.iter().map(|point| point.0).collect();
        let body = Body::Scatter {
            x_marks: told(times, "ms"),
            y_marks: Vec::new(),
            points,
            note: self.note.clone(),
        };
        let axes = (
            "inter-token latency (ms)",
            "request output throughput (tokens/s)",
        );
        self.figure("Inter-token latency and output throughput", axes, body)
    }

    fn pairs(&self, of: impl Fn(&Individual) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
        self.good.iter().filter_map(|one| of(one)).collect()
    }

    fn histogram(&self, title: &str, axis: &str, values: Vec<f64>, unit: &str) -> Figure {
        let body = Body::Histogram {
            marks: told(values.clone(), unit),
            values,
            unit: unit.to_owned(),
            note: self.note.clone(),
        };
        self.figure(title, (axis, "requests"), body)
    }

    fn figure(&self, title: &str, (x, y): (&str, &str), body: Body) -> Figure {
        Figure {
            title: title.to_owned(),
            panels: vec![Panel {
                title: self.title.clone(),
                x: x.to_owned(),
                y: y.to_owned(),
                body,
            }],
            columns: 1,
            key: Vec::new(),
        }
    }
}

fn inter_token_ms(one: &Individual) -> Option<f64> {
    one.inter_token_latency_s.map(|seconds| seconds * 1e3)
}

/// Some of llmperf's clients write -1 for a time that they did not take.
fn is_time(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn told(mut values: Vec<f64>, unit: &str) -> Vec<Mark> {
    values.sort_by(f64::total_cmp);
    let mark = |(name, q): (&str, f64)| {
        let value = quantile(&values, q)?;
        let label = format!("{name} {} {unit}", three_digits(value));
        Some(Mark { value, label })
    };
    TOLD.into_iter().filter_map(mark).collect()
}

/// `value` with three digits that say something, and no fewer than its whole part has.
pub(super) fn three_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    if rounded.abs() >= 100.0 {
        return format!("{value:.0}");
    }
    format!("{rounded}")
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= TITLE {
        return title.to_owned();
    }
    let kept: String = title.chars().take(TITLE - 1).collect();
    format!("{kept}…")
}
