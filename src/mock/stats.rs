//! What the mock has counted, exactly: requests, streams, tokens, faults, connections, its own lateness.
//! Counting happens in `life` and `service`; this holds the counters and reads them out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::clock::{self, Epoch};
use super::fault::FaultKind;
use super::script::Script;

/// Lateness is kept up to this, in ns; longer ones count as this long in the percentiles, not in the maximum.
const LONGEST_LATENESS: u64 = 3_600_000_000_000;

/// The paths that are counted by name; all others are `other`.
pub(super) const PATHS: [&str; 22] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/messages",
    "/generate",
    "/generate_stream",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/responses",
    "/api/chat",
    "/api/generate",
    "/completion",
    "/",
    "/v1/models",
    "/health",
    "/metrics",
    "/metrics/",
    "/version",
    "/v1/info",
    "/v1/launch_arguments",
    "/stats",
    "/stats/reset",
    "other",
];

/// Upper bounds of the latency histograms of `/metrics`, in seconds.
pub(super) const BOUNDS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// A count that only grows, until it is reset.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    /// The count before this one more.
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn raise_to(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }

    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// A histogram as Prometheus wants it.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Of each bound, not cumulated; the last is above all bounds.
    pub(super) counts: [Counter; BOUNDS.len() + 1],
    pub(super) sum_ns: Counter,
}

impl Buckets {
    pub(super) fn record(&self, nanos: u64) {
        let seconds = std::time::Duration::from_nanos(nanos).as_secs_f64();
        let place = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[place].add(1);
        self.sum_ns.add(nanos);
    }

    fn reset(&self) {
        self.counts.iter().for_each(Counter::reset);
        self.sum_ns.reset();
    }
}

/// How answers of one kind (streams, or whole ones) went.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) started: Counter,
    pub(super) completed: Counter,
    pub(super) broken: Counter,
    pub(super) aborted: Counter,
    pub(super) open: Counter,
}

impl Answers {
    fn tally(&self) -> Tally {
        Tally {
            started: self.started.read(),
            completed: self.completed.read(),
            broken: self.broken.read(),
            aborted: self.aborted.read(),
            open: self.open.read(),
        }
    }

    /// Open ones stay open, and will end.
    fn reset(&self) {
        self.started.reset();
        self.completed.reset();
        self.broken.reset();
        self.aborted.reset();
    }
}

/// Why an answer is over, as `/metrics` names it.
pub(super) const REASONS: [&str; 4] = ["stop", "length", "abort", "error"];

/// Everything that is counted.
#[derive(Debug)]
pub struct Stats {
    epoch: Epoch,
    pub(super) paths: [Counter; PATHS.len()],
    pub(super) numbers: Counter,
    pub(super) refused: Counter,
    pub(super) streams: Answers,
    pub(super) wholes: Answers,
    pub(super) faults: [Counter; FaultKind::ALL.len()],
    pub(super) tokens: Counter,
    pub(super) prompt_tokens: Counter,
    pub(super) content_events: Counter,
    pub(super) events: Counter,
    pub(super) accepted: Counter,
    pub(super) accept_errors: Counter,
    pub(super) open: Counter,
    pub(super) running: Counter,
    pub(super) waiting: Counter,
    pub(super) held_tokens: Counter,
    pub(super) reasons: [Counter; REASONS.len()],
    pub(super) first_token: Buckets,
    pub(super) latency: Buckets,
    arrivals: Kept<Vec<u64>>,
    arrivals_beyond: Counter,
    notes: Kept<VecDeque<RequestNote>>,
    latest: Counter,
    /// One for each thread, so that none waits for another to record.
    lateness: Vec<Mutex<Histogram<u64>>>,
}

/// A list that never grows beyond its limit.
#[derive(Debug)]
struct Kept<T> {
    list: Mutex<T>,
    limit: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lateness_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_LATENESS, 3)
        .expect("1 ns to 1 h with 3 digits are bounds that a histogram can have")
}

impl Stats {
    pub(super) fn new(script: &Script, lanes: usize) -> Self {
        Self {
            epoch: Epoch::start(),
            paths: Default::default(),
            numbers: Counter::default(),
            refused: Counter::default(),
            streams: Answers::default(),
            wholes: Answers::default(),
            faults: Default::default(),
            tokens: Counter::default(),
            prompt_tokens: Counter::default(),
            content_events: Counter::default(),
            events: Counter::default(),
            accepted: Counter::default(),
            accept_errors: Counter::default(),
            open: Counter::default(),
            running: Counter::default(),
            waiting: Counter::default(),
            held_tokens: Counter::default(),
            reasons: Default::default(),
            first_token: Buckets::default(),
            latency: Buckets::default(),
            arrivals: Kept {
                list: Mutex::default(),
                limit: script.keep_arrivals,
            },
            arrivals_beyond: Counter::default(),
            notes: Kept {
                list: Mutex::default(),
                limit: script.keep_requests,
            },
            latest: Counter::default(),
            lateness: (0..lanes)
                .map(|_| Mutex::new(lateness_histogram()))
                .collect(),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn arrived(&self, path: usize, at: u64, answers: bool) {
        self.paths[path].add(1);
        if !answers || self.arrivals.limit == 0 {
            return;
        }
        let mut list = lock(&self.arrivals.list);
        if list.len() < self.arrivals.limit {
            list.push(at.saturating_sub(self.epoch.nanos()));
        } else {
            self.arrivals_beyond.add(1);
        }
    }

    pub(super) fn late(&self, lane: usize, nanos: u64) {
        self.latest.raise_to(nanos);
        // 0 is below the histogram's resolution of 1 ns.
        lock(&self.lateness[lane]).saturating_record(nanos.max(1));
    }

    /// Whether requests are noted at all.
    pub(super) fn keeps_notes(&self) -> bool {
        self.notes.limit > 0
    }

    pub(super) fn note(&self, note: &RequestNote) {
        if !self.keeps_notes() {
            return;
        }
        let mut list = lock(&self.notes.list);
        if list.len() == self.notes.limit {
            list.pop_front();
        }
        list.push_back(note.clone());
    }

    /// Counts from 0 again, request numbers and thus draws included. Exact only while nothing runs:
    /// what is open stays counted as open, and its end is counted when it comes.
    pub fn reset(&self) {
        let single = [
            &self.numbers,
            &self.refused,
            &self.tokens,
            &self.prompt_tokens,
            &self.content_events,
            &self.events,
            &self.accepted,
            &self.accept_errors,
            &self.arrivals_beyond,
            &self.latest,
        ];
        single.into_iter().for_each(Counter::reset);
        let lists = self.paths.iter().chain(&self.faults).chain(&self.reasons);
        lists.for_each(Counter::reset);
        self.streams.reset();
        self.wholes.reset();
        self.first_token.reset();
        self.latency.reset();
        lock(&self.arrivals.list).clear();
        lock(&self.notes.list).clear();
        self.lateness.iter().for_each(|lane| lock(lane).reset());
    }

    /// All counts as they stand.
    pub fn snapshot(&self) -> Snapshot {
        let by_path = PATHS.iter().zip(&self.paths);
        let faults = FaultKind::ALL.iter().zip(&self.faults);
        Snapshot {
            uptime_ns: clock::now().saturating_sub(self.epoch.nanos()),
            requests: Requests {
                by_path: by_path.map(|(path, count)| (*path, count.read())).collect(),
                numbered: self.numbers.read(),
                refused: self.refused.read(),
                running: self.running.read(),
                waiting: self.waiting.read(),
            },
            streams: self.streams.tally(),
            wholes: self.wholes.tally(),
            faults: faults
                .map(|(kind, count)| (kind.name(), count.read()))
                .collect(),
            sent: Sent {
                tokens: self.tokens.read(),
                content_events: self.content_events.read(),
                events: self.events.read(),
            },
            connections: Connections {
                accepted: self.accepted.read(),
                open: self.open.read(),
                accept_errors: self.accept_errors.read(),
            },
            lateness: self.lateness(),
            arrivals: Arrivals {
                at_ns: lock(&self.arrivals.list).clone(),
                limit: self.arrivals.limit,
                beyond_limit: self.arrivals_beyond.read(),
            },
            last_requests: lock(&self.notes.list).iter().cloned().collect(),
        }
    }

    fn lateness(&self) -> Lateness {
        let mut all = lateness_histogram();
        for lane in &self.lateness {
            // All have the same bounds, so nothing can fail to fit.
            let _ = all.add(&*lock(lane));
        }
        let micros = |nanos: u64| std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e6;
        Lateness {
            count: all.len(),
            p50_us: micros(all.value_at_quantile(0.5)),
            p99_us: micros(all.value_at_quantile(0.99)),
            max_us: micros(self.latest.read()),
        }
    }
}

/// All counts at one time, as `GET /stats` gives them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Since the server's start.
    pub uptime_ns: u64,
    /// Requests as they came in.
    pub requests: Requests,
    /// Answers that are streams.
    pub streams: Tally,
    /// Answers in one piece.
    pub wholes: Tally,
    /// Requests that were given each fault, by its name.
    pub faults: BTreeMap<&'static str, u64>,
    /// What went out.
    pub sent: Sent,
    /// Connections of all kinds.
    pub connections: Connections,
    /// How late content events were sent, against their schedule.
    pub lateness: Lateness,
    /// When requests for an answer came (`keep_arrivals`).
    pub arrivals: Arrivals,
    /// The last requests that ended (`keep_requests`), oldest first.
    pub last_requests: Vec<RequestNote>,
}

/// Requests as they came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Heads read, by path.
    pub by_path: BTreeMap<&'static str, u64>,
    /// Requests for an answer whose bodies were read: each has a number and a draw of its own.
    /// They are the refused and the answers started, streams and wholes.
    pub numbered: u64,
    /// Numbered ones that got an error status, or a closed connection before any answer.
    pub refused: u64,
    /// Being answered now.
    pub running: u64,
    /// Waiting for their turn now.
    pub waiting: u64,
}

/// How answers went: started = completed + broken + aborted + open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Begun, at least with a place in the queue.
    pub started: u64,
    /// Sent to their end.
    pub completed: u64,
    /// Ended by a fault of the script.
    pub broken: u64,
    /// Left by the client (or by the server's own end).
    pub aborted: u64,
    /// Under way.
    pub open: u64,
}

/// What was handed to the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Output tokens, of streams and wholes.
    pub tokens: u64,
    /// Events with tokens in them.
    pub content_events: u64,
    /// Events of all sorts, the terminal one too; comments are none.
    pub events: u64,
}

/// Connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Accepted so far.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Failed accepts.
    pub accept_errors: u64,
}

/// Sent − scheduled, over content events and whole answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lateness {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// The longest, exactly.
    pub max_us: f64,
}

/// Times of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrivals {
    /// Since the server's start, in order of arrival.
    pub at_ns: Vec<u64>,
    /// How many are kept at most.
    pub limit: usize,
    /// How many more came.
    pub beyond_limit: u64,
}

/// One request, for comparison with what a client says of it. Times are `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestNote {
    /// Its number, from 0.
    pub number: u64,
    /// `x-request-id`, if it was sent.
    pub request_id: Option<String>,
    /// `traceparent`, if it was sent.
    pub traceparent: Option<String>,
    /// Its fault, by name.
    pub fault: Option<&'static str>,
    /// `completed`, `broken` or `aborted`.
    pub end: &'static str,
    /// SHA-256 of its body, in hex: the same for the same request, whoever sent it.
    pub body_sha256: String,
    /// When its body was fully read.
    pub received_ns: u64,
    /// When its first content event was sent.
    pub first_sent_ns: Option<u64>,
    /// When its last content event so far was sent.
    pub last_sent_ns: Option<u64>,
    /// Content events sent.
    pub events: u64,
    /// Tokens sent, of all choices.
    pub tokens: u64,
}
