//! A crowd of synthetic workers in one process: each speaks to a master as a real one does, and invents what it measured.
//! None sends a request.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::BenchError;
use super::message::{CrowdDone, CrowdSpec, Said, Spread};
use super::meter;
use crate::cluster::{
    ClientSecurity, Dialer, EngineCommand, EngineEnd, EngineEvent, Gauges, Heard, ProcessClock,
    WorkerConfig, WorkerExit, WorkerOptions, engine_port, run_worker,
};
use crate::domain::{Offset, Outcome};
use crate::metrics::{Metric, Series, Tally};

/// What a second of a worker is measured in.
pub(super) const METRICS: [Metric; 12] = [
    Metric::TotalLatency,
    Metric::TimeToFirstToken,
    Metric::TimeToFirstTokenFromDue,
    Metric::TimeToFirstOutput,
    Metric::TimeToHeaders,
    Metric::Latency,
    Metric::LatencyFromDue,
    Metric::SendDelay,
    Metric::ReceiveLag,
    Metric::TimePerOutputToken,
    Metric::InterChunkLatency,
    Metric::LatencyPerToken,
];

/// Seconds that differ from each other; then they come again.
const DIFFERENT: u64 = 64;
/// The spread of a latency around its median, as the standard deviation of its logarithm.
const SIGMA: f64 = 0.5;
/// The median of the first metric in nanoseconds; each of the others has another one.
const MEDIAN_NS: f64 = 4e6;

/// Between two workers that connect.
const CONNECT_GAP: Duration = Duration::from_micros(500);
/// Words of a master that may wait for their worker's books.
const HEARD: usize = 256;
const SECOND_NS: u64 = 1_000_000_000;

/// Runs all workers to the end of the master's run.
pub(super) fn run(spec: &CrowdSpec) -> Result<(), BenchError> {
    meter::pin(&spec.cores).map_err(BenchError::system("keep the workers on their cores"))?;
    let seconds = seconds(spec.values)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::system("start a runtime"))?;
    let done = runtime.block_on(all(spec, &Arc::new(seconds)))?;
    Said::Crowd(done).say()
}

/// Tallies of a second each, as they are when they leave a worker: serialised, so that all the workers of this process cost
/// little beside one master.
fn seconds(values: u32) -> Result<Vec<Tally>, BenchError> {
    (0..DIFFERENT)
        .map(|second| {
            let mut tally = Tally::default();
            let mut random = ChaCha8Rng::seed_from_u64(second);
            for (place, metric) in (1_u32..).zip(METRICS) {
                let series = latencies(MEDIAN_NS * f64::from(place), values, &mut random)?;
                tally.measured.series.insert(metric, series);
            }
            let requests = u64::from(values);
            tally.counts.scheduled = requests;
            tally.counts.sent = requests;
            tally.measured.outcomes.insert(Outcome::Ok, requests);
            Ok(tally)
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "latencies in nanoseconds"
)]
fn latencies(median: f64, values: u32, random: &mut ChaCha8Rng) -> Result<Series, BenchError> {
    let law = LogNormal::new(median.ln(), SIGMA)
        .map_err(|error| BenchError::Counts(format!("no latencies of {median} ns: {error}")))?;
    let mut series = Series::default();
    for _ in 0..values {
        series.record(law.sample(random) as u64);
    }
    let (count, sum) = (series.count(), series.sum());
    let (min, max) = (series.min().unwrap_or(0), series.max().unwrap_or(0));
    Series::from_parts(&series.to_v2(), count, sum, min, max)
        .map_err(|error| BenchError::Counts(format!("a histogram is not read again: {error}")))
}

async fn all(spec: &CrowdSpec, seconds: &Arc<Vec<Tally>>) -> Result<CrowdDone, BenchError> {
    let clock = ProcessClock::start();
    let (begun, mut beginning) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    for number in 0..spec.workers {
        let synthetic = Synthetic {
            number,
            behind: Duration::from_nanos(SECOND_NS * u64::from(number) / u64::from(spec.workers)),
            seconds: Arc::clone(seconds),
            clock,
            begun: begun.clone(),
            started: None,
            next: Offset::ZERO,
            end: Offset::MAX,
            leased_until: None,
            handed: Vec::new(),
            seen: Seen::default(),
        };
        tasks.spawn(synthetic.live(spec.master.clone()));
    }
    let start = beginning.recv().await.ok_or_else(|| nobody("began"))?;
    let ahead = start.since(clock.now());
    let at_ns = meter::monotonic() + u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
    Said::Begun(at_ns).say()?;
    let mut all = Seen::default();
    while let Some(ended) = tasks.join_next().await {
        all.add(ended.map_err(|_| nobody("lived to its end"))??);
    }
    Ok(CrowdDone {
        intervals: all.intervals,
        round_trip: Spread::of(all.round_trips).ok_or_else(|| nobody("heard a pulse"))?,
        delay: Spread::of(all.delays).ok_or_else(|| nobody("heard that it was merged"))?,
        lapses: all.lapses,
    })
}

fn nobody(what: &str) -> BenchError {
    BenchError::Counts(format!("no worker {what}"))
}

/// What workers saw of their master during the run. Times are in nanoseconds.
#[derive(Debug, Default)]
struct Seen {
    intervals: u64,
    /// From a heartbeat to its answer.
    round_trips: Vec<i64>,
    /// From an interval's being handed over to its acknowledgement.
    delays: Vec<i64>,
    /// Leases that ended before the next one came.
    lapses: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.intervals += other.intervals;
        self.round_trips.extend(other.round_trips);
        self.delays.extend(other.delays);
        self.lapses += other.lapses;
    }
}

/// One worker with an engine that invents.
struct Synthetic {
    number: u32,
    /// How far into each second it reports: workers on machines of their own do not report in one instant.
    behind: Duration,
    seconds: Arc<Vec<Tally>>,
    clock: ProcessClock,
    begun: mpsc::Sender<Offset>,
    /// When the run's offset zero is, by the clock.
    started: Option<Offset>,
    /// The start of the interval under way, and the end of sending, in the run's time.
    next: Offset,
    end: Offset,
    leased_until: Option<Offset>,
    /// When each interval that is not acknowledged was handed over.
    handed: Vec<Offset>,
    seen: Seen,
}

impl Synthetic {
    async fn live(self, master: String) -> Result<Seen, BenchError> {
        tokio::time::sleep(CONNECT_GAP * self.number).await;
        let (port, end) = engine_port(self.clock);
        let (heard, hearing) = mpsc::channel(HEARD);
        let (_told, commands) = mpsc::channel(1);
        let config = WorkerConfig {
            name: format!("synthetic-{}", self.number),
            incarnation: u64::from(self.number) + 1,
            cores: 1,
        };
        let options = WorkerOptions {
            security: ClientSecurity::default(),
            dialer: Dialer::default(),
            master,
            config,
            heard: Some(heard),
        };
        let (exit, seen) = tokio::join!(
            run_worker(options, port, commands),
            self.serve(end, hearing)
        );
        match exit {
            Ok(WorkerExit::Finished) => Ok(seen),
            Ok(other) => Err(BenchError::Counts(format!(
                "a worker ended early: {other:?}"
            ))),
            Err(error) => Err(BenchError::Counts(format!("a worker failed: {error}"))),
        }
    }

    /// Obeys and reports until the worker is through.
    async fn serve(mut self, mut end: EngineEnd, mut hearing: mpsc::Receiver<Heard>) -> Seen {
        loop {
            let due = self.due().map(|at| self.clock.instant(at));
            tokio::select! {
                command = end.commands.recv() => match command {
                    Some(command) => {
                        if let Some(event) = self.obey(command) {
                            say(&end, event).await;
                        }
                    }
                    None => return self.seen,
                },
                Some(heard) = hearing.recv() => self.hear(heard),
                () = sleep_until(due) => {
                    say(&end, self.interval()).await;
                    if self.next >= self.end {
                        self.started = None;
                        say(&end, EngineEvent::Drained).await;
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: EngineCommand) -> Option<EngineEvent> {
        match command {
            EngineCommand::Prepare(prepare) => {
                self.end = prepare
                    .plan
                    .schedule
                    .end_of_sending()
                    .unwrap_or(Offset::MAX);
                return Some(EngineEvent::Ready);
            }
            EngineCommand::Start { at } => {
                self.started = Some(at);
                // Only the first is listened to.
                let _ = self.begun.try_send(at);
            }
            EngineCommand::Lease { until } => {
                let now = self.clock.now();
                let lapsed = self.leased_until.is_some_and(|until| now > until);
                self.seen.lapses += u64::from(lapsed && self.started.is_some());
                self.leased_until = Some(until);
            }
            EngineCommand::Stop { at } => self.end = self.end.min(at),
            EngineCommand::Abort => self.end = self.next,
            EngineCommand::Share(_) | EngineCommand::Correct { .. } => {}
        }
        None
    }

    fn hear(&mut self, heard: Heard) {
        let since = |now: Offset, then: Offset| {
            now.as_nanos().cast_signed() - then.as_nanos().cast_signed()
        };
        match heard {
            Heard::Ack { at, seq } => {
                let known = usize::try_from(seq)
                    .unwrap_or(usize::MAX)
                    .min(self.handed.len());
                let done = self.seen.delays.len();
                let fresh = self.handed.get(done..known).unwrap_or_default();
                self.seen
                    .delays
                    .extend(fresh.iter().map(|&then| since(at, then)));
            }
            Heard::Pulse { at, echo } if self.started.is_some() => {
                self.seen.round_trips.push(since(at, echo));
            }
            Heard::Pulse { .. } => {}
        }
    }

    /// When the interval under way ends, in the run's time.
    fn interval_end(&self) -> Offset {
        let whole = self.next.as_nanos() / SECOND_NS + 1;
        (Offset::from_nanos(whole * SECOND_NS) + self.behind).min(self.end)
    }

    fn due(&self) -> Option<Offset> {
        let start = self.started?;
        Some(start + self.interval_end().since(Offset::ZERO))
    }

    fn interval(&mut self) -> EngineEvent {
        let (from, to) = (self.next, self.interval_end());
        self.next = to;
        self.seen.intervals += 1;
        self.handed.push(self.clock.now());
        let which = (self.seen.intervals * 7 + u64::from(self.number)) % DIFFERENT;
        let mut tally = usize::try_from(which)
            .ok()
            .and_then(|which| self.seconds.get(which).cloned())
            .unwrap_or_default();
        tally.first_sent = Some(from);
        tally.last_sent = Some(to);
        tally.last_end = Some(to);
        EngineEvent::Interval {
            from,
            to,
            gauges: Gauges {
                users: 1,
                ..Gauges::default()
            },
            tally: Box::new(tally),
        }
    }
}

async fn say(end: &EngineEnd, event: EngineEvent) {
    // A worker that is gone has ended with an error of its own.
    let _ = end.events.send(event).await;
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
