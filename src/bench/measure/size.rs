//! What many streams take: memory for each that is open, and whether each costs more the more there are.
#![expect(
    clippy::cast_precision_loss,
    reason = "memory and counts of a run are far below 2^53"
)]

use super::super::error::BenchError;
use super::super::figure::{Figure, Judged};
use super::super::lab::{Pairs, Run, Setup};
use super::super::message::{Pace, Traffic};
use super::cost::{per_event, per_request};
use super::{Bench, MILLI, both, grouped};

/// Events that every stream has received when memory is read; one is still to come then.
const SEEN: u32 = 4;
/// Events a second of all streams together, however many there are.
const RATE: u64 = 20_000;
/// Events of a short answer.
const SHORT: u32 = 8;

impl Bench<'_> {
    pub(super) fn memory(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        for &streams in self.or(&[1_000, 10_000][..], &[16]) {
            let pace = even(streams);
            let mut setup = self.streams_of(streams, SEEN + 1, pace);
            setup.gates.push(SEEN);
            let pairs = self.lab.pairs(&setup)?;
            let (bare, worker) = both(&pairs, |run| held(run) / f64::from(streams));
            figures.push(Figure {
                measurement: "memory",
                case: format!("{} open streams", grouped(streams)),
                quantity: "KiB per stream",
                judged: Some(Judged {
                    what: "KiB",
                    values: worker.clone(),
                    target: Some(self.targets.memory),
                }),
                bare,
                worker,
            });
        }
        Ok(figures)
    }

    pub(super) fn streams(&self) -> Result<Vec<Figure>, BenchError> {
        let counts = self.or(&[10, 100, 1_000, 10_000][..], &[2, 8]);
        let mut figures = Vec::new();
        let mut before: Option<Pairs> = None;
        for &streams in counts {
            let pairs = self.lab.pairs(&self.short_answers(streams))?;
            let values = before.as_ref().map(|before| growth(before, &pairs));
            // Only what is large enough is judged: with few streams the rest of the program shows.
            let target = (streams == 10_000).then_some(self.targets.scale);
            let quantity = "CPU per request, a connection each, µs";
            figures.push(row(
                streams,
                quantity,
                both(&pairs, per_request),
                values,
                target,
            ));
            before = Some(pairs);
        }
        let mut before: Option<Pairs> = None;
        for &streams in counts {
            let period_ns = u64::from(streams) * 1_000 * MILLI / RATE;
            let events = self.events_in_a_run(period_ns);
            let pairs = self
                .lab
                .pairs(&self.streams_of(streams, events, even(streams)))?;
            let values = before.as_ref().map(|before| {
                let (now, then) = (both(&pairs, per_event).1, both(before, per_event).1);
                now.iter().zip(then).map(|(now, then)| now / then).collect()
            });
            figures.push(row(
                streams,
                "CPU per event, µs",
                both(&pairs, per_event),
                values,
                None,
            ));
            before = Some(pairs);
        }
        Ok(figures)
    }

    /// As many requests and events a second with any number of streams, each request on a connection of its own: so the
    /// number of streams that are open at a time is all that differs.
    fn short_answers(&self, streams: u32) -> Setup {
        let each_second = RATE / u64::from(SHORT);
        let full = (each_second * u64::from(self.scale.seconds)).max(streams.into());
        let setup = self.streams_of(streams, SHORT, even(streams));
        Setup {
            traffic: Traffic {
                requests: self.or(full, 16),
                fresh: true,
                ..setup.traffic
            },
            gates: Vec::new(),
            ..setup
        }
    }
}

/// A pace that gives `RATE` events a second over all streams.
fn even(streams: u32) -> Pace {
    Pace::Every {
        period_ns: u64::from(streams) * 1_000 * MILLI / RATE,
        together: false,
    }
}

/// KiB that a client has more with all its streams open than before its first request.
fn held(run: &Run) -> f64 {
    let open = run.marks.last().map_or(0, |mark| mark.rss_kib);
    open.saturating_sub(run.done.begin.rss_kib) as f64
}

fn growth(before: &Pairs, now: &Pairs) -> Vec<f64> {
    let (now, before) = (both(now, per_request).1, both(before, per_request).1);
    now.iter()
        .zip(before)
        .map(|(now, before)| now / before)
        .collect()
}

fn row(
    streams: u32,
    quantity: &'static str,
    (bare, worker): (Vec<f64>, Vec<f64>),
    values: Option<Vec<f64>>,
    target: Option<super::super::figure::Target>,
) -> Figure {
    Figure {
        measurement: "scale",
        case: format!("{} streams", grouped(streams)),
        quantity,
        bare,
        worker,
        judged: values.map(|values| Judged {
            what: "× the row before",
            values,
            target,
        }),
    }
}
