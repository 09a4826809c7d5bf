//! What stands in the rows: of a run, of one of its seconds, of a request. The columns are `schema`'s, in its order.

use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{Part, Rows, Second, Table};
use crate::domain::{Offset, Outcome, Record};
use crate::metrics::{Metric, Phase, Tally, time_per_output_token};
use crate::plan::Plan;
use crate::report::{LifeStage, Standing};

/// Percentiles that have columns.
const PERCENTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// Metrics that have columns of percentiles, in their order.
const FIGURES: [Metric; 3] = [
    Metric::TimeToFirstToken,
    Metric::TimePerOutputToken,
    Metric::TotalLatency,
];
const NANOS_PER_S: f64 = 1e9;

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its number as text.
    pub run: &'a str,
    /// The command line that does the same again, without secrets.
    pub command: &'a str,
    /// This program's version.
    pub version: &'a str,
    /// What was asked for.
    pub plan: &'a Plan,
    /// The request's path.
    pub path: &'a str,
    /// It has workers in other processes.
    pub is_cluster: bool,
}

/// Who sends requests whose rows these are.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The run's number as text.
    pub run: String,
    /// The worker's number, from 1.
    pub worker: u32,
    /// Drawn for its part in the run, as text.
    pub incarnation: String,
    /// The wall clock at the run's offset zero.
    pub zero: OffsetDateTime,
}

/// The rows of a run as it stands: its own, and when it is over those of its failures and workers.
pub fn run(of: &Subject<'_>, standing: &Standing, now: OffsetDateTime) -> Vec<Part> {
    let is_over = standing.stage == LifeStage::Ended;
    let mut rows = Rows::default();
    about(&mut rows, of);
    rows.moment(standing.started_at);
    rows.moment(is_over.then_some(now));
    let verdict = standing.verdict.as_ref().filter(|_| is_over);
    rows.words(verdict.map(|verdict| verdict.level.name()));
    rows.words(standing.failure.as_deref());
    if is_over && standing.started_at.is_some() {
        figures(&mut rows, standing);
    } else {
        let known = 13;
        for _ in known..Table::Runs.columns().len() {
            rows.figure(None);
        }
    }
    rows.end();
    let mut parts = vec![Part::new(Table::Runs, rows)];
    if is_over {
        parts.extend([errors(of.run, standing), workers(of.run, standing)]);
    }
    parts.retain(|part| part.rows > 0);
    parts
}

fn about(rows: &mut Rows, of: &Subject<'_>) {
    let spec = &of.plan.provider;
    rows.words(Some(of.run));
    rows.words(Some(of.command));
    rows.words(digest(of.plan).as_deref());
    rows.words(Some(of.version));
    rows.words(Some(spec.kind.name()));
    rows.words(Some(&spec.model));
    rows.words(Some(of.path));
    rows.words(Some(&of.plan.target.base_url));
    rows.plain(Some(of.is_cluster));
}

/// The SHA-256 of the plan as JSON: two runs of one digest asked for the same.
fn digest(plan: &Plan) -> Option<String> {
    let json = serde_json::to_vec(plan).ok()?;
    let digest = Sha256::digest(json);
    let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Some(digest.iter().fold(String::new(), hex))
}

fn figures(rows: &mut Rows, standing: &Standing) {
    let summary = &standing.summary;
    let counts = &summary.counts;
    rows.figure(Some(summary.run_s));
    for count in [
        counts.scheduled,
        counts.sent,
        counts.dropped,
        counts.late_cancelled,
        counts.lost,
        summary.whole_run(Outcome::is_good),
        summary.whole_run(Outcome::is_failure),
        summary.whole_run(|outcome| outcome == Outcome::Cancelled),
        summary.requests(),
        summary.good(),
    ] {
        rows.count_of(count);
    }
    rows.figure(Some(summary.from.as_secs_f64()));
    rows.figure(Some(summary.to.as_secs_f64()));
    rows.figure(summary.requests_per_s());
    rows.figure(summary.output_tokens_per_s());
    rows.figure(Some(summary.fail_ratio()));
    rows.count_of(summary.phase.output_tokens);
    rows.count_of(summary.phase.prompt_tokens);
    percentiles(rows, &summary.phase);
}

fn percentiles(rows: &mut Rows, phase: &Phase) {
    for metric in FIGURES {
        for q in PERCENTILES {
            rows.figure(percentile(phase, metric, q));
        }
    }
}

fn percentile(phase: &Phase, metric: Metric, q: f64) -> Option<f64> {
    phase.get(metric)?.percentile(q).map(seconds)
}

#[expect(clippy::cast_precision_loss, reason = "times of a run")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_S
}

fn errors(run: &str, standing: &Standing) -> Part {
    let mut rows = Rows::default();
    for (key, seen) in &standing.summary.errors {
        rows.words(Some(run));
        rows.words(Some(key.outcome.name()));
        rows.words(Some(&key.text));
        rows.count_of(seen.count);
        rows.figure(Some(seen.first_seen.as_secs_f64()));
        rows.figure(Some(seen.last_seen.as_secs_f64()));
        rows.end();
    }
    Part::new(Table::Errors, rows)
}

fn workers(run: &str, standing: &Standing) -> Part {
    let mut rows = Rows::default();
    for worker in &*standing.workers {
        rows.words(Some(run));
        rows.plain(Some(u64::from(worker.worker) + 1));
        rows.words(Some(&worker.name));
        rows.words(Some(&worker.version));
        rows.plain(Some(worker.cores));
        rows.words(Some(worker.state));
        rows.count_of(worker.sent);
        rows.count_of(worker.finished);
        rows.count_of(worker.lost);
        rows.end();
    }
    Part::new(Table::Workers, rows)
}

/// The row of a second, as the run stood at its end.
pub fn second(run: &str, at: OffsetDateTime, of: &Second) -> Part {
    let Second {
        tally,
        crowd,
        standing,
        ..
    } = of;
    let mut all = tally.warmup.clone();
    all.merge(&tally.measured);
    let length_s = of.to.since(of.from).as_secs_f64();
    let rate = |count: u64| (length_s > 0.0).then(|| exact(count) / length_s);
    let mut rows = Rows::default();
    rows.words(Some(run));
    rows.moment(Some(at));
    rows.count_of(of.number);
    rows.figure(Some(of.from.as_secs_f64()));
    rows.figure(Some(of.to.as_secs_f64()));
    for count in [crowd.users, crowd.in_flight, crowd.waiting].map(u64::from) {
        rows.count_of(count);
    }
    rows.figure(standing.asked_per_s);
    let counts = &tally.counts;
    for count in [
        counts.scheduled,
        counts.sent,
        counts.dropped,
        counts.late_cancelled,
        counts.lost,
    ] {
        rows.count_of(count);
    }
    for outcome in Outcome::ALL {
        rows.count_of(all.count(|of| of == outcome));
    }
    let (good, failed) = (all.count(Outcome::is_good), all.count(Outcome::is_failure));
    for count in [
        good,
        failed,
        tally.measured.count(Outcome::is_good),
        tally.measured.count(Outcome::is_failure),
    ] {
        rows.count_of(count);
    }
    rows.figure(rate(good));
    rows.figure(rate(failed));
    rows.count_of(all.output_tokens);
    rows.count_of(all.prompt_tokens);
    rows.figure(rate(all.output_tokens));
    percentiles(&mut rows, &all);
    trust(&mut rows, tally, &all, standing);
    rows.end();
    Part::new(Table::Seconds, rows)
}

/// What the generator says of itself.
fn trust(rows: &mut Rows, delta: &Tally, all: &Phase, standing: &Standing) {
    rows.figure(percentile(all, Metric::SendDelay, 0.99));
    rows.figure(percentile(all, Metric::ReceiveLag, 0.99));
    let busiest = delta.generator.busiest(0);
    rows.figure(busiest.and_then(|(_, load)| load.busy_share()));
    rows.figure(delta.generator.kernel_stamped_share());
    let verdict = standing.verdict.as_ref();
    rows.words(verdict.map(|verdict| verdict.level.name()));
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run")]
const fn exact(count: u64) -> f64 {
    count as f64
}

/// Adds the row of a request, number `n` of its sender. Times are of the run, as in a records file.
pub fn request(rows: &mut Rows, sender: &Sender, n: u64, record: &Record) {
    let time = |at: Offset| {
        at.as_nanos()
            .saturating_add_signed(record.behind_ns.saturating_neg())
    };
    let moment = |at: Option<Offset>| at.map(|at| seconds(time(at)));
    let is_good = record.outcome.is_good();
    let begin = time(record.sent.unwrap_or(record.due));
    rows.words(Some(&sender.run));
    rows.plain(Some(sender.worker));
    rows.words(Some(&sender.incarnation));
    rows.count_of(n);
    rows.moment(Some(sender.zero.saturating_add(span(begin))));
    rows.words(Some(&index(record)));
    rows.words(Some(record.outcome.name()));
    rows.plain(record.status);
    rows.words(Some(record.error.as_str()).filter(|words| !words.is_empty()));
    let (first, last) = (
        record.first_content(),
        record.last_content().filter(|_| is_good),
    );
    for at in [
        Some(record.due),
        record.sent,
        record.headers,
        first,
        last,
        Some(record.end),
    ] {
        rows.figure(moment(at));
    }
    let since_sent = |at: Option<Offset>| {
        let (at, sent) = (at?, record.sent?);
        is_good.then(|| seconds(at.nanos_since(sent)))
    };
    rows.figure(since_sent(first));
    rows.figure(
        time_per_output_token(record)
            .filter(|_| is_good)
            .map(seconds),
    );
    rows.figure(since_sent(Some(record.end)));
    rows.plain(record.prompt_tokens());
    rows.plain(record.output_tokens().map(|(count, _)| count));
    rows.plain(Some(record.max_tokens));
    rows.plain(record.usage.cached_tokens);
    rows.count_of(record.output_chars);
    rows.count_of(record.body_bytes);
    rows.plain(Some(record.new_connection));
    rows.plain(record.turn.map(|turn| turn.session));
    rows.plain(record.turn.map(|turn| u64::from(turn.number) + 1));
    rows.end();
}

/// The wall clock moves on by a span of the run.
fn span(nanos: u64) -> time::Duration {
    time::Duration::try_from(Duration::from_nanos(nanos)).unwrap_or_default()
}

/// Which request of the run, as a records file names it.
fn index(record: &Record) -> String {
    serde_json::to_string(&record.index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::macros::datetime;

    use super::*;
    use crate::report::{Crowd, sample};

    /// The named fields of the one row of a part.
    fn fields(part: &Part) -> Vec<(&'static str, String)> {
        assert_eq!((part.rows, part.text.matches('\n').count()), (1, 1));
        let values: Vec<_> = part
            .text
            .trim_end_matches('\n')
            .split('\t')
            .map(str::to_owned)
            .collect();
        let columns = part.table.columns();
        assert_eq!(values.len(), columns.len(), "{:?}", part.table);
        columns.iter().copied().zip(values).collect()
    }

    fn field(part: &Part, name: &str) -> String {
        fields(part)
            .into_iter()
            .find(|(column, _)| *column == name)
            .unwrap()
            .1
    }

    #[test]
    fn a_requests_row_has_its_times_and_counts() {
        let sender = Sender {
            run: "ab".to_owned(),
            worker: 2,
            incarnation: "c".to_owned(),
            zero: datetime!(2026-01-02 03:04:05 UTC),
        };
        let mut rows = Rows::default();
        request(&mut rows, &sender, 3, &sample::record(1_000));
        let part = Part::new(Table::Requests, rows);
        for (column, value) in [
            ("worker", "2"),
            ("n", "3"),
            ("at", "2026-01-02T03:04:06.001Z"),
            ("request", "{\"arrival\":1000}"),
            ("outcome", "ok"),
            ("sent_s", "1.001"),
            ("first_s", "1.011"),
            ("ttft_s", "0.01"),
            ("tpot_s", "0.01"),
            ("output_tokens", "4"),
            ("error", "\\N"),
        ] {
            assert_eq!(field(&part, column), value, "{column}");
        }
    }

    #[test]
    fn a_seconds_row_counts_both_phases() {
        let standing = sample::open().standing();
        let mut delta = Tally::default();
        delta.counts.sent = 5;
        delta.warmup.outcomes.insert(Outcome::Ok, 1);
        delta.measured.outcomes.insert(Outcome::Ok, 2);
        delta.measured.outcomes.insert(Outcome::Http429, 1);
        delta.measured.output_tokens = 30;
        let crowd = Crowd {
            users: 4,
            in_flight: 3,
            waiting: 0,
        };
        let of = Second {
            number: 3,
            from: Offset::from_nanos(1_000_000_000),
            to: Offset::from_nanos(3_000_000_000),
            tally: delta,
            crowd,
            standing: Arc::new(standing),
        };
        let part = second("ab", datetime!(2026-01-02 03:04:05 UTC), &of);
        for (column, value) in [
            ("second", "3"),
            ("users", "4"),
            ("sent", "5"),
            ("ok", "3"),
            ("http_429", "1"),
            ("good", "3"),
            ("failed", "1"),
            ("measured_good", "2"),
            ("good_per_s", "1.5"),
            ("output_tokens_per_s", "15"),
            ("ttft_p50_s", "\\N"),
        ] {
            assert_eq!(field(&part, column), value, "{column}");
        }
    }

    #[test]
    fn a_runs_row_is_whole_before_and_after() {
        let mut standing = sample::open().standing();
        let plan = sample::open().plan;
        let subject = Subject {
            run: "ab",
            command: "llmload run",
            version: "1",
            plan: &plan,
            path: "/v1/x",
            is_cluster: false,
        };
        let now = datetime!(2026-01-02 03:04:05 UTC);
        standing.stage = LifeStage::Waiting;
        let before = run(&subject, &standing, now);
        assert_eq!(field(&before[0], "ended_at"), "\\N");
        assert_eq!(field(&before[0], "sent"), "\\N");
        standing.stage = LifeStage::Ended;
        let after = run(&subject, &standing, now);
        assert_eq!(field(&after[0], "ended_at"), "2026-01-02T03:04:05Z");
        assert_eq!(
            field(&after[0], "sent"),
            standing.summary.counts.sent.to_string()
        );
        let tables: Vec<_> = after.iter().map(|part| part.table).collect();
        assert_eq!(tables, [Table::Runs, Table::Errors, Table::Workers]);
    }
}
