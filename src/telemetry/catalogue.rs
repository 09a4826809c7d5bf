//! The series that a run has beside its histograms: names, kinds, labels, and what each says. It holds no values.

use super::histograms;

/// What a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A value that comes and goes.
    Gauge,
    /// Always 1: what matters are its labels.
    Info,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// The word for it in the text format of Prometheus, which has no word for an info.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One family of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Def {
    /// As it is scraped, with `_total` at a counter's end.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in one line.
    pub help: &'static str,
    /// Its labels beside those that all have.
    pub labels: &'static [&'static str],
}

impl Def {
    pub(super) const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            help,
            labels,
        }
    }

    /// The name without what a kind adds at its end.
    pub(super) fn stem(&self) -> &'static str {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }

    /// The base unit at the end of its name.
    pub(super) fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes", "ratio"].into_iter().find(|unit| {
            self.stem()
                .strip_suffix(unit)
                .is_some_and(|rest| rest.ends_with('_'))
        })
    }
}

/// The labels that all series have.
pub(super) const COMMON: [&str; 3] = ["provider", "model", "path"];

/// The label that those of a part have beside them: the worker's number in the run, from 1.
pub(super) const PART: &str = "worker";

macro_rules! plain {
    ($($id:ident = $kind:ident $name:literal [$($label:literal)*] $help:literal;)+) => {
        $(pub(super) const $id: Def = Def::new(Kind::$kind, concat!("llmload_", $name), &[$($label),*], $help);)+
        /// All of them, in the order of the page.
        pub(super) const PLAIN: &[&Def] = &[$(&$id),+];
    };
}

plain! {
    RUN = Info "run_info" ["run" "version" "target"]
        "Always 1: which run this is, by what version, and the server under test";
    STAGE = Gauge "run_stage" ["stage"]
        "1 for the stage that the run is in, 0 for the others";
    VERDICT = Gauge "run_verdict" ["level"]
        "1 for how far the figures so far can be trusted, all 0 while nothing can be judged";
    FAILED = Gauge "run_failed" []
        "1 once the run is over and did not do what was asked";
    STARTED = Gauge "run_start_timestamp_seconds" []
        "Unix time of the run's zero; absent before the start";
    TIME = Gauge "run_time_seconds" []
        "Until when the figures go, in the run's time";
    LEFT = Gauge "run_left_seconds" []
        "Until the planned end of sending; absent where none is planned, and once it is over";
    USERS = Gauge "users" []
        "Users now";
    USERS_WANTED = Gauge "users_wanted" []
        "Users that the load asks for; in an open loop the most requests in flight";
    IN_FLIGHT = Gauge "requests_in_flight" []
        "Requests begun that have not ended";
    WAITING = Gauge "requests_waiting" []
        "Requests that are due and wait for a free user";
    ASKED = Gauge "asked_requests_per_second" []
        "Requests a second that are asked for now; absent in a closed loop";
    PAUSED = Gauge "paused" []
        "1 while somebody has it begin nothing";
    CHANGES = Counter "load_changes_total" []
        "Changes of the load or of the workers while the run went on";
    SCHEDULED = Counter "requests_scheduled_total" []
        "Requests that came due, in the whole run";
    SENT = Counter "requests_sent_total" []
        "Requests begun, in the whole run";
    DROPPED = Counter "requests_dropped_total" []
        "Requests that were due while their worker had no leave to send, in the whole run";
    LATE = Counter "requests_late_cancelled_total" []
        "Requests that were due and still waited for a user when sending ended, in the whole run";
    LOST = Counter "requests_lost_total" []
        "Requests of workers that went away, as far as nobody knows what became of them, in the whole run";
    FINISHED = Counter "requests_finished_total" ["outcome"]
        "Requests that ended, by outcome, in the whole run";
    MEASURED = Counter "measured_requests_finished_total" ["outcome"]
        "Requests that ended, by outcome, of those sent in the measured window";
    ERROR_KINDS = Gauge "error_kinds" []
        "Failures told apart by their words so far; the words are in the report";
    WARNINGS = Counter "warnings_total" ["kind"]
        "Doubts about the figures by kind, in the whole run; sent_again counts requests that went out once more";
    MET_ALL = Counter "objectives_met_total" []
        "Good requests that met every objective, of those sent in the measured window; absent without objectives";
    MET = Counter "objective_met_total" ["objective"]
        "Good requests that met this objective, of those sent in the measured window";
    OUTPUT_TOKENS = Counter "output_tokens_total" []
        "Output tokens of good requests, in the whole run";
    PROMPT_TOKENS = Counter "prompt_tokens_total" []
        "Prompt tokens of good requests, in the whole run";
    MEASURED_OUTPUT = Counter "measured_output_tokens_total" []
        "Output tokens of good requests, of those sent in the measured window";
    MEASURED_PROMPT = Counter "measured_prompt_tokens_total" []
        "Prompt tokens of good requests, of those sent in the measured window";
    MEASURED_BYTES = Counter "measured_response_body_bytes_total" []
        "Bytes of response bodies, of requests sent in the measured window";
    OPENED = Counter "connections_opened_total" []
        "Connections opened, in the whole run";
    WARMED = Counter "connections_warmed_total" []
        "Connections opened ahead of the request that used them first, in the whole run";
    REUSED = Counter "connections_reused_total" []
        "Requests that found a connection open, in the whole run";
    WORKERS = Gauge "workers" ["state"]
        "Workers by what they are doing";
    WORKER_UP = Gauge "worker_up" ["worker" "name"]
        "1 while there is a connection to this worker";
    WORKER_SENT = Counter "worker_requests_sent_total" ["worker"]
        "Requests that this worker began";
    WORKER_FINISHED = Counter "worker_requests_finished_total" ["worker"]
        "Requests of this worker that ended, however they did";
    WORKER_LOST = Counter "worker_requests_lost_total" ["worker"]
        "Requests of this worker of which nobody knows what became of them";
    WORKER_SILENCE = Gauge "worker_silence_seconds" ["worker"]
        "Time since this worker was heard of";
    READS = Counter "generator_reads_total" []
        "Reads that brought bytes of an answer, inside the measured window";
    STAMPED = Counter "generator_kernel_stamped_reads_total" []
        "Those of the reads whose bytes the kernel stamped, inside the measured window";
    EVENTS = Counter "generator_events_total" []
        "Content events of answers, inside the measured window";
    SHARED = Counter "generator_shared_stamp_events_total" []
        "Those of the events that bear the stamp of a later one, inside the measured window";
    CORE_TIME = Counter "generator_core_seconds_total" ["core"]
        "Time that a sending core was observed, inside the measured window";
    CORE_BUSY = Counter "generator_core_busy_seconds_total" ["core"]
        "Time that a sending core ran or waited for a processor, inside the measured window";
}

/// Everything that can be on the page, in its order.
pub fn catalogue() -> Vec<&'static Def> {
    let histograms = histograms::ALL.iter().map(|histogram| &histogram.def);
    PLAIN.iter().copied().chain(histograms).collect()
}
