//! How true the times are: stamps of events against the server's own, and the lateness of an open loop.

use super::super::error::BenchError;
use super::super::figure::{Figure, Judged, Target};
use super::super::lab::Run;
use super::super::message::{Pace, Role, Spread};
use super::cost::per_request;
use super::{Bench, MILLI, against_bare, both, grouped};

/// Streams and their pace.
#[derive(Clone, Copy, Debug)]
struct Case {
    streams: u32,
    period_ms: u64,
    together: bool,
}

const CASES: [Case; 5] = [
    Case::spread(1, 20),
    Case::spread(100, 20),
    Case::spread(1_000, 20),
    Case {
        streams: 1_000,
        period_ms: 20,
        together: true,
    },
    Case::spread(5_000, 50),
];

/// For `--quick`.
const TINY: [Case; 2] = [
    Case::spread(1, 5),
    Case {
        streams: 8,
        period_ms: 5,
        together: true,
    },
];

/// A number out of a distribution.
type Part = fn(&Spread) -> f64;

impl Case {
    const fn spread(streams: u32, period_ms: u64) -> Self {
        Self {
            streams,
            period_ms,
            together: false,
        }
    }

    fn text(self) -> String {
        let Self {
            streams,
            period_ms,
            together,
        } = self;
        let streams = if streams == 1 {
            "1 stream".to_owned()
        } else {
            format!("{} streams", grouped(streams))
        };
        let how = if together {
            "all on one tick"
        } else {
            "an event"
        };
        format!("{streams}, {how} each {period_ms} ms")
    }
}

impl Bench<'_> {
    pub(super) fn accuracy(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        for &case in self.or(&CASES[..], &TINY) {
            figures.extend(self.stamps(case)?);
        }
        Ok(figures)
    }

    /// The stamps of the bare loop by the clock and by the kernel, and those of the worker, in turns.
    fn stamps(&self, case: Case) -> Result<Vec<Figure>, BenchError> {
        let period_ns = case.period_ms * MILLI;
        let pace = Pace::Every {
            period_ns,
            together: case.together,
        };
        let mut setup = self.streams_of(case.streams, self.events_in_a_run(period_ns), pace);
        setup.stamped = true;
        let (mut kernel, mut clock, mut worker) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.lab.pairs {
            clock.push(self.lab.run(&setup, Role::Bare)?);
            kernel.push(self.lab.run(&setup, Role::BareKernel)?);
            worker.push(self.lab.run(&setup, Role::Worker(self.lab.engine))?);
        }
        let parts: [(&str, &str, Part, Option<Target>); 3] = [
            (
                "stamp error p50, µs",
                "p50 with the kernel's stamps, µs",
                |s| s.p50,
                Some(self.targets.error_p50),
            ),
            (
                "stamp error p99, µs",
                "p99 with the kernel's stamps, µs",
                |s| s.p99,
                Some(self.targets.error_p99),
            ),
            (
                "stamp error max, µs",
                "max with the kernel's stamps, µs",
                |s| s.max,
                None,
            ),
        ];
        let errors = |runs: &[Run], part: Part| -> Vec<f64> {
            runs.iter()
                .filter_map(|run| run.errors.as_ref().map(part))
                .collect()
        };
        let figure = |quantity, bare, worker, judged| Figure {
            measurement: "accuracy",
            case: case.text(),
            quantity,
            bare,
            worker,
            judged,
        };
        Ok(parts
            .into_iter()
            .flat_map(|(own, kernels, part, target)| {
                let judged = Judged {
                    what: "µs",
                    values: errors(&worker, part),
                    target,
                };
                [
                    figure(
                        own,
                        errors(&clock, part),
                        errors(&worker, part),
                        Some(judged),
                    ),
                    figure(kernels, errors(&kernel, part), Vec::new(), None),
                ]
            })
            .collect())
    }

    pub(super) fn lateness(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        for &rate in self.or(&[1, 100, 1_000, 5_000][..], &[200]) {
            let mut setup = self.streams_of(self.or(256, 16), 1, Pace::AtOnce);
            setup.gates.clear();
            setup.traffic.rate = Some(rate);
            setup.traffic.requests = u64::from(self.or(rate * self.scale.seconds, 40));
            let pairs = self.lab.pairs(&setup)?;
            let parts: [(&'static str, Part, Option<Target>); 3] = [
                ("lateness p50, µs", |s| s.p50, None),
                // A hundredth of few requests is one or two of them.
                (
                    "lateness p99, µs",
                    |s| s.p99,
                    (rate >= 1_000).then_some(self.targets.lateness),
                ),
                ("lateness max, µs", |s| s.max, None),
            ];
            let case = format!("{} requests a second", grouped(rate));
            for (quantity, part, target) in parts {
                let values = both(&pairs, |run| {
                    run.done.lateness.as_ref().map_or(f64::NAN, part)
                });
                figures.push(against_bare(
                    "lateness",
                    case.clone(),
                    quantity,
                    values,
                    target,
                ));
            }
            // Here nearly every request is read and written by itself, other than in a closed loop.
            let costs = both(&pairs, per_request);
            figures.push(against_bare(
                "lateness",
                case,
                "CPU per request, µs",
                costs,
                None,
            ));
        }
        Ok(figures)
    }
}
