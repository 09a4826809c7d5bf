//! What workers cost their master: CPU, memory, and how long it takes to answer them, the more of them there are.
#![expect(
    clippy::cast_precision_loss,
    reason = "times and memory of a run are far below 2^53"
)]

use super::super::error::BenchError;
use super::super::figure::{Figure, Judged, Target};
use super::super::hall::{Held, Size};
use super::{Bench, grouped};

/// How much longer than other runs these are: a second is one report of each worker.
const LONGER: u32 = 5;
/// Values of each of a worker's histograms each second.
const VALUES: u32 = 1_000;
/// What is held to the limits on CPU and memory.
const JUDGED: u32 = 1_000;

/// A figure's name, its value of each run, what its values are held against, and how it follows.
type Row = (&'static str, fn(&Held) -> f64, Option<Target>);

impl Bench<'_> {
    pub(super) fn cluster(&self) -> Result<Vec<Figure>, BenchError> {
        let counts = self.or(&[100, 500, 1_000, 2_000][..], &[50, 200]);
        let mut figures = Vec::new();
        let mut fewest = None;
        for &workers in counts {
            let held = self.lab.hold(Size {
                workers,
                seconds: self.or(self.scale.seconds * LONGER, 6).max(6),
                values: self.or(VALUES, 100),
            })?;
            figures.extend(self.figures(&held));
            let cost = per_worker(&held);
            let is_last = counts.last() == Some(&workers);
            figures.push(Figure {
                judged: fewest.map(|fewest| Judged {
                    what: "× the fewest",
                    values: vec![cost / fewest],
                    target: is_last.then_some(self.targets.flat),
                }),
                ..figure(&held, "CPU per worker and second, µs", cost)
            });
            fewest = fewest.or(Some(cost));
            self.lab.held.borrow_mut().push(held);
        }
        Ok(figures)
    }

    fn figures(&self, held: &Held) -> Vec<Figure> {
        let large = |target| (held.workers == JUDGED).then_some(target);
        let rows: [Row; 10] = [
            (
                "CPU, % of a core",
                |held| share(held.cpu_ns, held),
                large(self.targets.master_cpu),
            ),
            (
                "CPU of the process of all workers, %",
                |held| share(held.crowd_cpu_ns, held),
                None,
            ),
            (
                "resident memory at its peak, MiB",
                |held| held.peak_kib as f64 / 1024.0,
                large(self.targets.master_memory),
            ),
            (
                "heartbeat round trip p50, ms",
                |held| held.round_trip.p50 / 1e3,
                None,
            ),
            (
                "heartbeat round trip p99, ms",
                |held| held.round_trip.p99 / 1e3,
                None,
            ),
            (
                "heartbeat round trip max, ms",
                |held| held.round_trip.max / 1e3,
                None,
            ),
            ("report delay p50, ms", |held| held.delay.p50 / 1e3, None),
            ("report delay p99, ms", |held| held.delay.p99 / 1e3, None),
            ("report delay max, ms", |held| held.delay.max / 1e3, None),
            (
                "leases missed",
                |held| held.missed as f64,
                Some(self.targets.missed),
            ),
        ];
        let rows = rows.into_iter().map(|(quantity, value, target)| {
            let value = value(held);
            Figure {
                judged: target.map(|target| Judged {
                    what: "",
                    values: vec![value],
                    target: Some(target),
                }),
                ..figure(held, quantity, value)
            }
        });
        rows.collect()
    }
}

fn figure(held: &Held, quantity: &'static str, value: f64) -> Figure {
    Figure {
        measurement: "cluster",
        case: format!("{} workers", grouped(held.workers)),
        quantity,
        bare: Vec::new(),
        worker: vec![value],
        judged: None,
    }
}

/// Percent of a core.
fn share(cpu_ns: u64, held: &Held) -> f64 {
    cpu_ns as f64 * 100.0 / held.wall_ns as f64
}

/// Microseconds.
fn per_worker(held: &Held) -> f64 {
    let seconds = held.wall_ns as f64 / 1e9;
    held.cpu_ns as f64 / 1e3 / seconds / f64::from(held.workers)
}
