//! What is measured, and how figures follow from runs. One function a measurement.

mod cluster;
mod cost;
mod size;
mod timing;

use super::args::Measurement;
use super::error::BenchError;
use super::figure::{Figure, Judged};
use super::lab::{Lab, Pairs, Run, Setup};
use super::message::{Pace, Traffic};
use super::targets::Targets;

/// How large the measurements are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) quick: bool,
    /// About how long a run is to be.
    pub(super) seconds: u32,
    pub(super) prompt_tokens: u32,
}

/// One measurement's surroundings.
pub(super) struct Bench<'a> {
    pub(super) lab: &'a Lab,
    pub(super) scale: Scale,
    pub(super) targets: Targets,
}

const MILLI: u64 = 1_000_000;

impl Bench<'_> {
    /// Makes a measurement.
    pub(super) fn measure(&self, which: Measurement) -> Result<Vec<Figure>, BenchError> {
        match which {
            Measurement::Paced => self.paced(),
            Measurement::Saturated => self.saturated(),
            Measurement::Requests => self.requests(),
            Measurement::Memory => self.memory(),
            Measurement::Scale => self.streams(),
            Measurement::Cores => self.cores(),
            Measurement::Accuracy => self.accuracy(),
            Measurement::Lateness => self.lateness(),
            Measurement::Cluster => self.cluster(),
        }
    }

    /// `full`, or with `--quick` something tiny.
    fn or<T>(&self, full: T, quick: T) -> T {
        if self.scale.quick { quick } else { full }
    }

    /// Streams of a closed loop that send one request each, and wait for each other before the first event.
    fn streams_of(&self, streams: u32, events: u32, pace: Pace) -> Setup {
        Setup {
            traffic: Traffic {
                streams,
                requests: streams.into(),
                rate: None,
                events,
                fresh: false,
                prompt_tokens: self.scale.prompt_tokens,
            },
            per_write: 1,
            pace,
            gates: vec![0],
            threads: 1,
            stamped: false,
        }
    }

    /// Events that one stream sends in a run, one a period.
    fn events_in_a_run(&self, period_ns: u64) -> u32 {
        let span = u64::from(self.scale.seconds) * 1_000 * MILLI;
        let events = self.or(span / period_ns, 10);
        u32::try_from(events.max(2)).unwrap_or(u32::MAX)
    }
}

/// A figure of each run of both clients.
fn both(pairs: &Pairs, figure: impl Fn(&Run) -> f64) -> (Vec<f64>, Vec<f64>) {
    let of = |runs: &[Run]| runs.iter().map(&figure).collect();
    (of(&pairs.bare), of(&pairs.worker))
}

/// A figure of both clients, whose ratio is judged.
fn against_bare(
    measurement: &'static str,
    case: String,
    quantity: &'static str,
    (bare, worker): (Vec<f64>, Vec<f64>),
    target: Option<super::figure::Target>,
) -> Figure {
    let judged = Some(Judged::ratio(&bare, &worker, target));
    Figure {
        measurement,
        case,
        quantity,
        bare,
        worker,
        judged,
    }
}

/// A number with commas.
fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_in_threes() {
        assert_eq!(
            [7_u32, 1_000, 28_232, 1_234_567].map(grouped),
            ["7", "1,000", "28,232", "1,234,567"]
        );
    }
}
