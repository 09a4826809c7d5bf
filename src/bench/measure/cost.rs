//! What events and requests cost: CPU time against the floor's, with one thread and with two.
#![expect(
    clippy::cast_precision_loss,
    reason = "times and counts of a run are far below 2^53"
)]

use super::super::error::BenchError;
use super::super::figure::{Figure, Judged};
use super::super::lab::{Pairs, Run, Setup};
use super::super::message::{Pace, Traffic};
use super::{Bench, MILLI, against_bare, both, grouped};

const SATURATED_STREAMS: u32 = 64;
const PER_WRITE: u32 = 16;
/// Events of a saturated answer: so many that what a request costs does not show.
const LONG: u32 = 4_096;
/// From one write of a stream to the next, where many events come at a pace.
const BURST_MS: u64 = 4;
/// Connections of the closed loop of short requests.
const CONNECTIONS: u32 = 32;
/// How long a server that is no bottleneck takes to answer: each answer then wakes its client, as real ones do.
const ANSWER_MS: u64 = 4;

impl Bench<'_> {
    pub(super) fn paced(&self) -> Result<Vec<Figure>, BenchError> {
        let (streams, period) = self.or((1_000, 20), (8, 5));
        let pace = Pace::Every {
            period_ns: period * MILLI,
            together: false,
        };
        let events = self.events_in_a_run(period * MILLI);
        let pairs = self.lab.pairs(&self.streams_of(streams, events, pace))?;
        let case = format!("{} streams, an event each {period} ms", grouped(streams));
        let target = Some(self.targets.paced);
        Ok(vec![against_bare(
            "paced",
            case,
            "CPU per event, µs",
            both(&pairs, per_event),
            target,
        )])
    }

    /// Twice: where the server is ahead of its clients, a read takes what many writes brought, and the more so the faster the
    /// client is; at a pace that both keep, a read is a write.
    pub(super) fn saturated(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        let (flood, bursts) = (self.flood(1), self.bursts());
        let streams = flood.traffic.streams;
        for (setup, how) in [
            (flood, "as fast as they go".to_owned()),
            (bursts, format!("each {BURST_MS} ms")),
        ] {
            let pairs = self.lab.pairs(&setup)?;
            let case = format!("{streams} streams, {PER_WRITE} events a write, {how}");
            let rates = both(&pairs, |run| 1e6 / per_event(run));
            let costs = both(&pairs, per_event);
            let target = Some(self.targets.saturated);
            figures.extend([
                against_bare(
                    "saturated",
                    case.clone(),
                    "CPU per event, µs",
                    costs,
                    target,
                ),
                against_bare("saturated", case, "events a second and core", rates, None),
            ]);
        }
        Ok(figures)
    }

    /// Streams of many events a write, at a pace that leaves time between the writes.
    fn bursts(&self) -> Setup {
        let period_ns = BURST_MS * MILLI;
        let pace = Pace::Every {
            period_ns,
            together: false,
        };
        let events = PER_WRITE * self.events_in_a_run(period_ns);
        Setup {
            per_write: PER_WRITE,
            ..self.streams_of(self.flood(1).traffic.streams, events, pace)
        }
    }

    /// Streams that are answered as fast as their sockets take it.
    fn flood(&self, threads: u32) -> Setup {
        let (streams, events) = self.or((SATURATED_STREAMS, LONG), (4, 64));
        let rounds = self.or(3 * self.scale.seconds, 2);
        Setup {
            traffic: Traffic {
                requests: u64::from(streams * rounds),
                ..self.streams_of(streams, events, Pace::AtOnce).traffic
            },
            per_write: PER_WRITE,
            threads,
            ..self.streams_of(streams, events, Pace::AtOnce)
        }
    }

    /// One token twice: a server that answers at once keeps both clients running without a pause, and the bare loop then
    /// costs next to nothing; one that takes its time wakes them for each answer.
    pub(super) fn requests(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        let after = Pace::Every {
            period_ns: ANSWER_MS * MILLI,
            together: false,
        };
        for (events, pace, each_second) in [
            (1, Pace::AtOnce, 10_000),
            (1, after, 4_000),
            (16, Pace::AtOnce, 4_000),
        ] {
            let streams = self.or(CONNECTIONS, 4);
            let mut setup = self.streams_of(streams, events, pace);
            setup.traffic.requests = u64::from(self.or(each_second * self.scale.seconds, 40));
            setup.gates.clear();
            let pairs = self.lab.pairs(&setup)?;
            let tokens = if events == 1 {
                "1 token".to_owned()
            } else {
                format!("{events} tokens")
            };
            let when = match pace {
                Pace::AtOnce => "at once".to_owned(),
                Pace::Every { .. } => format!("after {ANSWER_MS} ms"),
            };
            let case = format!("{tokens} {when}, {streams} connections");
            let target = (events == 1).then_some(self.targets.one_token);
            let costs = both(&pairs, per_request);
            let rates = both(&pairs, |run| 1e6 / per_request(run));
            figures.push(against_bare(
                "requests",
                case.clone(),
                "CPU per request, µs",
                costs,
                target,
            ));
            figures.push(against_bare(
                "requests",
                case,
                "requests a second and core",
                rates,
                None,
            ));
        }
        Ok(figures)
    }

    /// With a core for each thread and one for the server, the rates themselves are judged. With fewer, server and client
    /// share, and rates say nothing: then what an event costs with two threads against one. Two threads that share nothing
    /// do twice as much for twice the CPU time.
    pub(super) fn cores(&self) -> Result<Vec<Figure>, BenchError> {
        let one = self.lab.pairs(&self.flood(1))?;
        let two = self.lab.pairs(&self.flood(2))?;
        let case = |threads: &str| format!("{} streams, {threads}", self.flood(1).traffic.streams);
        let rate = |run: &Run| run.done.events as f64 * 1e9 / wall(run);
        let (what, values) = if self.lab.cores.len() > 2 {
            (
                "× one thread",
                gains(&one, &two, |run| 1.0 / rate(run), 1.0),
            )
        } else {
            (
                "× one thread, by CPU time",
                gains(&one, &two, per_event, 2.0),
            )
        };
        let (bare, worker) = both(&two, rate);
        let first = against_bare(
            "cores",
            case("1 thread"),
            "events a second",
            both(&one, rate),
            None,
        );
        let judged = Judged {
            what,
            values,
            target: Some(self.targets.cores),
        };
        let second = Figure {
            measurement: "cores",
            case: case("2 threads"),
            quantity: "events a second",
            bare,
            worker,
            judged: Some(judged),
        };
        let cost = both(&two, per_event);
        let third = against_bare("cores", case("2 threads"), "CPU per event, µs", cost, None);
        Ok(vec![
            Figure {
                judged: None,
                ..first
            },
            second,
            third,
        ])
    }
}

/// How much more the worker does with two threads than with one, pair by pair: what an event costs with one against two,
/// `times` the means that two have.
fn gains(one: &Pairs, two: &Pairs, cost: impl Fn(&Run) -> f64, times: f64) -> Vec<f64> {
    let pairs = one.worker.iter().zip(&two.worker);
    pairs
        .map(|(one, two)| times * cost(one) / cost(two))
        .collect()
}

/// From the opening of the first gate, or else the start of traffic, to the end.
pub(super) fn wall(run: &Run) -> f64 {
    let from = run.marks.first().unwrap_or(&run.done.begin).at_ns;
    (run.done.end.at_ns - from) as f64
}

/// Microseconds of CPU time of an event, from when all streams are open to the end of the last.
pub(super) fn per_event(run: &Run) -> f64 {
    let from = run.marks.first().unwrap_or(&run.done.begin).cpu_ns;
    (run.done.end.cpu_ns - from) as f64 / run.done.events as f64 / 1e3
}

/// Microseconds of CPU time of a request, everything counted.
pub(super) fn per_request(run: &Run) -> f64 {
    let spent = run.done.end.cpu_ns - run.done.begin.cpu_ns;
    spent as f64 / run.done.answers as f64 / 1e3
}
