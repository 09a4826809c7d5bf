//! The client that is measured: the product's own engine, run as the app runs it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::args::Engine as Http;
use super::control::Control;
use super::error::BenchError;
use super::job::Words;
use super::message::{ClientSpec, Done, Spread};
use super::meter::{self, Usage};
use super::stamps::Stamps;
use crate::domain::{Index, Offset, Record};
use crate::metrics::{Metric, Series, Tally};
use crate::runner::{Engine, Job};

/// From the start of the engine to its first request.
const LEAD: Duration = Duration::from_millis(100);
/// Failures whose words are handed on.
const FAILURES: usize = 3;
/// The share of an open loop's requests, from its start, whose lateness is left out: connections are opened there.
const WARMUP: u64 = 5;

/// Runs the worker from the parent's `start` to its end.
pub(super) fn run(spec: &ClientSpec, http: Http, control: &Control) -> Result<Done, BenchError> {
    let words = Words::new(&spec.traffic, spec.port, spec.log.is_some())?;
    let mut job = words.job(http, spec.port, spec.threads)?;
    // Room for all of them: nothing is taken out while the clock runs.
    let records = (spec.log.is_some() || spec.traffic.rate.is_some()).then(|| {
        let room = usize::try_from(spec.traffic.requests).unwrap_or(usize::MAX);
        mpsc::channel(room.saturating_add(1))
    });
    let (sender, mut receiver) = records.unzip();
    job.records = sender;
    control.await_start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::system("start a runtime"))?;
    let (mut done, origin_ns) = runtime.block_on(drive(job))?;
    let records: Vec<Record> = std::iter::from_fn(|| receiver.as_mut()?.try_recv().ok()).collect();
    if let Some(path) = &spec.log {
        stamps(&records, origin_ns).write(path)?;
    }
    if spec.traffic.rate.is_some() {
        done.lateness = Spread::of(lateness(&records, spec.traffic.requests));
    }
    Ok(done)
}

/// Runs the engine; returns what it did and `CLOCK_MONOTONIC` at its origin.
async fn drive(job: Job) -> Result<(Done, u64), BenchError> {
    let standby = Engine::prepare(job).await?;
    let (now, now_ns) = same_moment();
    let origin = now + LEAD;
    let mut engine = standby.start(origin)?;
    sleep_until(origin).await;
    let usage = || Usage::now().map_err(BenchError::system("read its own CPU time"));
    let begin = usage()?;
    let mut tally = Tally::default();
    while let Some(slice) = engine.next().await {
        tally.merge(&slice.tally);
    }
    engine.finish()?;
    let done = Done {
        begin,
        end: usage()?,
        ..counted(&tally)
    };
    Ok((
        done,
        now_ns + u64::try_from(LEAD.as_nanos()).unwrap_or(u64::MAX),
    ))
}

/// One moment as the runtime's clock and the kernel's tell it, from the closest of a few readings.
fn same_moment() -> (Instant, u64) {
    let reading = || {
        let before = meter::monotonic();
        let now = Instant::now();
        let after = meter::monotonic();
        (after - before, now, before + (after - before) / 2)
    };
    let closest = std::iter::repeat_with(reading)
        .take(10)
        .min_by_key(|&(width, ..)| width);
    let (_, now, ns) = closest.unwrap_or_else(reading);
    (now, ns)
}

fn counted(tally: &Tally) -> Done {
    let phase = &tally.measured;
    let count = |metric| phase.series.get(&metric).map_or(0, Series::count);
    let answers = phase
        .outcomes
        .iter()
        .filter(|(outcome, _)| outcome.is_good());
    let failures = tally.errors.iter().take(FAILURES);
    Done {
        answers: answers.map(|(_, count)| count).sum(),
        events: count(Metric::TimeToFirstToken) + count(Metric::InterChunkLatency),
        failures: failures
            .map(|(key, seen)| format!("{} × {}: {}", seen.count, key.outcome.name(), key.text))
            .collect(),
        ..Done::default()
    }
}

fn stamps(records: &[Record], origin_ns: u64) -> Stamps {
    let mut all = Stamps::default();
    for record in records {
        let stream = match record.index {
            Index::Turn { user, .. } => u64::from(user),
            Index::Arrival(arrival) => arrival,
        };
        let marks = record.marks.iter();
        all.insert(
            stream,
            marks.map(|mark| origin_ns + mark.at.as_nanos()).collect(),
        );
    }
    all
}

fn lateness(records: &[Record], requests: u64) -> Vec<i64> {
    let late =
        |sent: Offset, due: Offset| sent.as_nanos().cast_signed() - due.as_nanos().cast_signed();
    let steady = records.iter().filter(|record| match record.index {
        Index::Arrival(arrival) => is_steady(arrival, requests),
        Index::Turn { .. } => false,
    });
    steady
        .filter_map(|record| Some(late(record.sent?, record.due)))
        .collect()
}

/// Whether arrival `index` of `requests` counts for the lateness.
pub(super) fn is_steady(index: u64, requests: u64) -> bool {
    index >= requests / WARMUP
}
