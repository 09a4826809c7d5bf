//! Two logs in the form of `MLPerf` Inference's `LoadGen`: the summary that people read and the detail that programs read.
//! A form, and nothing more: no constraint of a submission is checked here, and every log says that its result is not valid.

use std::fmt::Write as _;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::figures::Stats;
use super::run::{Pace, Run};
use crate::metrics::Metric;

/// `LoadGen`'s ways to send. Its fourth, queries of several samples one after the other, is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Queries at times of their own; latencies count from when a query was due.
    Server,
    /// All work is there from the start, and throughput alone counts.
    Offline,
    /// One query after the other.
    SingleStream,
}

/// Why a run has no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// No scenario sends as it did.
    #[error("a closed loop of `{users}` users is no scenario of MLPerf's")]
    Unlike {
        /// How many.
        users: u64,
    },
    /// It was sent otherwise than the scenario that was asked for sends.
    #[error("the scenario `{wished}` does not fit a run that was {how}")]
    Contradicts {
        /// The scenario's name.
        wished: &'static str,
        /// How it was sent.
        how: &'static str,
    },
    /// Nobody knows how it was sent.
    #[error("nothing tells how the requests were paced")]
    Unknown,
}

/// The two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `mlperf_log_summary.txt`
    pub summary: String,
    /// `mlperf_log_detail.txt`
    pub detail: String,
}

/// The percentiles of both logs: their name, and ours.
const PERCENTILES: [(&str, &str); 6] = [
    ("50.00", "p50"),
    ("90.00", "p90"),
    ("95.00", "p95"),
    ("97.00", "p97"),
    ("99.00", "p99"),
    ("99.90", "p99.9"),
];

const RULE: &str = "================================================";

/// What the logs say where a result would be valid.
const NO_RESULT: &str = "Written by llmload in the form of a LoadGen log, not measured by LoadGen, \
                         and no result by the rules of MLPerf.";

/// The logs of `run`, as `wished` or as the scenario that sends like it.
///
/// # Errors
///
/// When no scenario fits, or the one that was wished for does not.
pub fn logs(run: &Run, wished: Option<Scenario>) -> Result<Log, Misfit> {
    let scenario = Scenario::of(run.pace, wished)?;
    Ok(Log {
        summary: summary(run, scenario),
        detail: detail(run, scenario),
    })
}

impl Scenario {
    /// Its name in the logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Offline => "Offline",
            Self::SingleStream => "SingleStream",
        }
    }

    fn of(pace: Option<Pace>, wished: Option<Self>) -> Result<Self, Misfit> {
        let contradicts = |wished: Self, how| Misfit::Contradicts {
            wished: wished.name(),
            how,
        };
        match (pace.ok_or(Misfit::Unknown)?, wished) {
            (Pace::Open { .. }, None | Some(Self::Server)) => Ok(Self::Server),
            (Pace::Open { .. }, Some(other)) => Err(contradicts(other, "an open loop")),
            (Pace::Closed { .. }, Some(Self::Server)) => {
                Err(contradicts(Self::Server, "a closed loop"))
            }
            (Pace::Closed { users: 1 }, None | Some(Self::SingleStream)) => Ok(Self::SingleStream),
            (Pace::Closed { .. }, Some(Self::Offline)) => Ok(Self::Offline),
            (Pace::Closed { .. }, Some(Self::SingleStream)) => Err(contradicts(
                Self::SingleStream,
                "a closed loop of several users",
            )),
            (Pace::Closed { users }, None) => Err(Misfit::Unlike { users }),
        }
    }

    /// The distributions that its logs have. Those of work that is there from the start would count from then on, which
    /// nothing here does.
    const fn metrics(self) -> Option<[Metric; 3]> {
        let tpot = Metric::TimePerOutputToken;
        match self {
            Self::Server => Some([
                Metric::LatencyFromDue,
                Metric::TimeToFirstTokenFromDue,
                tpot,
            ]),
            Self::SingleStream => Some([Metric::Latency, Metric::TimeToFirstToken, tpot]),
            Self::Offline => None,
        }
    }
}

/// How one distribution is called in both logs.
struct Words {
    /// In the summary, behind `Min` and before ` (ns)`; behind `50.00 percentile`.
    title: (&'static str, &'static str),
    /// In the detail: of the least, the greatest and the mean; before and behind a percentile.
    keys: ([&'static str; 3], (&'static str, &'static str)),
}

const WORDS: [Words; 3] = [
    Words {
        title: ("latency", "latency"),
        keys: (
            [
                "result_min_latency_ns",
                "result_max_latency_ns",
                "result_mean_latency_ns",
            ],
            ("result_", "_percentile_latency_ns"),
        ),
    },
    Words {
        title: ("First Token latency", "first token latency"),
        keys: (
            [
                "result_first_token_min_latency_ns",
                "result_first_token_max_latency_ns",
                "result_first_token_mean_latency_ns",
            ],
            ("result_first_token_", "_percentile_latency_ns"),
        ),
    },
    Words {
        title: ("Time per Output Token", "time to output token"),
        keys: (
            [
                "result_time_to_output_token_min",
                "result_time_to_output_token_max",
                "result_time_to_output_token_mean",
            ],
            ("result_time_per_output_token_", "_percentile_ns"),
        ),
    },
];

/// The distributions of the scenario that were measured, with their words.
fn distributions(run: &Run, scenario: Scenario) -> impl Iterator<Item = (&'static Words, &Stats)> {
    let metrics = scenario.metrics().into_iter().flatten();
    let known = metrics.zip(&WORDS);
    known.filter_map(|(metric, words)| Some((words, run.figures.get(metric)?)))
}

/// What was tested: the model and where it was asked for.
fn system(run: &Run) -> Option<String> {
    let model = run.model()?;
    let at = run.asked("/target/base_url").and_then(Value::as_str);
    Some(at.map_or_else(|| model.to_owned(), |at| format!("{model} at {at}")))
}

fn target_rate(run: &Run, scenario: Scenario) -> Option<f64> {
    run.figures
        .asked_per_s
        .filter(|_| scenario == Scenario::Server)
}

fn tokens_per_s(run: &Run) -> Option<f64> {
    let counted = run.figures.get(Metric::OutputTokens).is_some();
    run.figures.output_per_s.filter(|_| counted)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "spans of a run"
)]
fn nanos(millis: f64) -> u64 {
    (millis * 1e6).round() as u64
}

fn summary(run: &Run, scenario: Scenario) -> String {
    let mut text = format!("{RULE}\nMLPerf Results Summary\n{RULE}\n");
    // Writing to a string cannot fail.
    let mut put = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if let Some(system) = system(run) {
        put(format!("SUT name : {system}"));
    }
    put(format!("Scenario : {}", scenario.name()));
    put("Mode     : PerformanceOnly".to_owned());
    for line in headline(run, scenario) {
        put(line);
    }
    put(format!(
        "Result is : INVALID\nRecommendations:\n * {NO_RESULT}\n"
    ));
    put(format!("{RULE}\nAdditional Stats\n{RULE}"));
    if let Some(rate) = target_rate(run, scenario) {
        put(format!("Scheduled samples per second : {rate:.2}"));
    }
    for (words, stats) in distributions(run, scenario) {
        put(shown(words, stats));
    }
    put(format!("{RULE}\nTest Parameters Used\n{RULE}"));
    for (name, value) in parameters(run, scenario) {
        put(format!("{name} : {value}"));
    }
    put(String::new());
    put(encountered("warning", "warnings", warnings(run).len()) + "\n");
    put(encountered("ERROR", "ERRORS", errors(run).len()));
    text
}

/// The figures that a scenario is about.
fn headline(run: &Run, scenario: Scenario) -> Vec<String> {
    let (samples, tokens) = match scenario {
        Scenario::Server => (
            "Completed samples per second    : ",
            "Completed tokens per second: ",
        ),
        Scenario::Offline => ("Samples per second: ", "Tokens per second: "),
        Scenario::SingleStream => {
            let latencies = distributions(run, scenario).filter_map(|(words, stats)| {
                let what = words.title.1.strip_suffix("latency")?;
                let value = nanos(stats.percentiles.get("p90")?.value);
                Some(format!("90.0th {what}percentile latency (ns) : {value}"))
            });
            return latencies.collect();
        }
    };
    let samples = run.figures.per_s(run.figures.good).map(|it| (samples, it));
    let tokens = tokens_per_s(run).map(|it| (tokens, it));
    let rates = samples.into_iter().chain(tokens);
    rates
        .map(|(name, rate)| format!("{name}{rate:.2}"))
        .collect()
}

/// The lines of one distribution, and an empty one.
fn shown(words: &Words, stats: &Stats) -> String {
    let (title, lower) = words.title;
    let mut text = String::new();
    let mut put = |title: String, millis: f64| {
        // Longer titles keep their distance, as the others do.
        let title = format!("{title:<32}");
        let gap = if title.ends_with(' ') { "" } else { "   " };
        let _ = writeln!(text, "{title}{gap}: {}", nanos(millis));
    };
    put(format!("Min {title} (ns)"), stats.min);
    put(format!("Max {title} (ns)"), stats.max);
    put(format!("Mean {title} (ns)"), stats.mean);
    for (name, own) in PERCENTILES {
        if let Some(found) = stats.percentiles.get(own) {
            put(format!("{name} percentile {lower} (ns)"), found.value);
        }
    }
    text
}

fn encountered(one: &str, several: &str, count: usize) -> String {
    match count {
        0 => format!("No {} encountered during test.", several.to_lowercase()),
        1 => format!("1 {one} encountered. See detailed log."),
        _ => format!("{count} {several} encountered. See detailed log."),
    }
}

/// Settings that both have.
fn parameters(run: &Run, scenario: Scenario) -> Vec<(&'static str, Value)> {
    let mut known = vec![("samples_per_query", json!(1))];
    known.extend(target_rate(run, scenario).map(|rate| ("target_qps", json!(rate))));
    let users = run.pace.and_then(|pace| match pace {
        Pace::Closed { users } => Some(users),
        Pace::Open { users } => users,
    });
    known.extend(users.map(|users| ("max_async_queries", json!(users))));
    // One seed is all that anything is drawn from.
    for name in ["qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed"] {
        known.extend(run.number("/seed").map(|seed| (name, json!(seed))));
    }
    known
}

fn warnings(run: &Run) -> Vec<(&'static str, Value)> {
    let doubt = run.verdict.iter().filter(|verdict| *verdict != "ok");
    doubt.map(|verdict| ("verdict", json!(verdict))).collect()
}

/// `LoadGen` knows no request that fails: each kind of failure is an error of the log.
fn errors(run: &Run) -> Vec<(&'static str, Value)> {
    let kinds = run.figures.failed.iter();
    kinds
        .map(|(outcome, count)| {
            (
                "failed_requests",
                json!({"outcome": outcome, "count": count}),
            )
        })
        .collect()
}

fn detail(run: &Run, scenario: Scenario) -> String {
    let mut text = String::new();
    let mut put = |key: &str, value: Value, metadata: Value| {
        let line = json!({
            "key": key,
            "value": value,
            "time_ms": (run.figures.run_s * 1e9).round() / 1e6,
            "namespace": "mlperf::logging",
            "event_type": "POINT_IN_TIME",
            "metadata": metadata,
        });
        let _ = writeln!(text, ":::MLLOG {line}");
    };
    let plain = || json!({"is_error": false, "is_warning": false});
    for (key, value) in settings(run, scenario) {
        put(&key, value, plain());
    }
    for (key, value) in warnings(run) {
        put(key, value, json!({"is_error": false, "is_warning": true}));
    }
    let errors = errors(run);
    let count = errors.len();
    for (key, value) in errors {
        put(key, value, json!({"is_error": true, "is_warning": false}));
    }
    for (key, value) in results(run, scenario) {
        put(&key, value, plain());
    }
    put("num_errors", json!(count), plain());
    text
}

fn settings(run: &Run, scenario: Scenario) -> Vec<(String, Value)> {
    let mut known = Vec::new();
    let mut put = |key: &str, value: Option<Value>| {
        known.extend(value.map(|value| (key.to_owned(), value)));
    };
    put("llmload_version", run.version.clone().map(Value::from));
    let second = run.started_at.and_then(|at| at.replace_nanosecond(0).ok());
    let at = second.and_then(|at| at.format(&Rfc3339).ok());
    put("test_datetime", at.map(Value::from));
    put("sut_name", system(run).map(Value::from));
    for key in ["requested_scenario", "effective_scenario"] {
        put(key, Some(json!(scenario.name())));
    }
    for key in ["requested_test_mode", "effective_test_mode"] {
        put(key, Some(json!("PerformanceOnly")));
    }
    for (name, value) in parameters(run, scenario) {
        put(&format!("effective_{name}"), Some(value));
    }
    known
}

fn results(run: &Run, scenario: Scenario) -> Vec<(String, Value)> {
    let figures = &run.figures;
    let (samples, tokens) = match scenario {
        Scenario::Offline => ("result_samples_per_second", "result_tokens_per_second"),
        Scenario::Server => (
            "result_completed_samples_per_sec",
            "result_completed_tokens_per_second",
        ),
        Scenario::SingleStream => (
            "result_qps_with_loadgen_overhead",
            "result_completed_tokens_per_second",
        ),
    };
    let mut known = vec![
        ("result_validity".to_owned(), json!("INVALID")),
        ("result_invalid_reason".to_owned(), json!(NO_RESULT)),
        ("result_query_count".to_owned(), json!(figures.good)),
    ];
    let mut put = |key: &str, value: Option<f64>| {
        known.extend(value.map(|value| (key.to_owned(), json!(value))));
    };
    put(
        "result_scheduled_samples_per_sec",
        target_rate(run, scenario),
    );
    put(samples, figures.per_s(figures.good));
    put(tokens, tokens_per_s(run));
    for (words, stats) in distributions(run, scenario) {
        let (exact, (before, behind)) = words.keys;
        let values = [stats.min, stats.max, stats.mean].map(nanos);
        let exact = exact.into_iter().zip(values);
        known.extend(exact.map(|(key, value)| (key.to_owned(), json!(value))));
        known.extend(PERCENTILES.iter().filter_map(|(name, own)| {
            let value = nanos(stats.percentiles.get(own)?.value);
            Some((format!("{before}{name}{behind}"), json!(value)))
        }));
    }
    known
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::run::tests::{bare, run};
    use super::*;
    use crate::report::sample;

    /// Values and marks of errors by key, as programs read them.
    fn read(detail: &str) -> BTreeMap<String, (Value, bool)> {
        let lines = detail.lines().map(|line| {
            let line = line.strip_prefix(":::MLLOG ").unwrap();
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["time_ms"].is_number() && line["namespace"] == "mlperf::logging");
            let is_error = line["metadata"]["is_error"].as_bool().unwrap();
            let key = line["key"].as_str().unwrap().to_owned();
            (key, (line["value"].clone(), is_error))
        });
        let lines: Vec<_> = lines.collect();
        let (all, known) = (lines.len(), lines.into_iter().collect::<BTreeMap<_, _>>());
        assert_eq!(known.len(), all, "each key once");
        known
    }

    #[test]
    fn an_open_loop_is_the_server_scenario_and_counts_from_when_a_query_was_due() {
        let run = run(&sample::open());
        let logs = logs(&run, None).unwrap();
        let found = read(&logs.detail);
        let value = |key: &str| found[key].0.clone();
        assert_eq!(value("effective_scenario"), "Server");
        assert_eq!(value("effective_target_qps"), 2.0);
        assert_eq!(value("result_query_count"), 3);
        let due = run.figures.get(Metric::LatencyFromDue).unwrap();
        assert_eq!(value("result_mean_latency_ns"), nanos(due.mean));
        assert_ne!(
            Some(due),
            run.figures.get(Metric::Latency),
            "the sample tells them apart"
        );
        assert_eq!(value("result_validity"), "INVALID");
        assert_eq!(
            found["failed_requests"],
            (json!({"outcome": "http_5xx", "count": 1}), true)
        );
        assert_eq!(value("num_errors"), 1);
        insta::assert_snapshot!(logs.summary);
    }

    #[test]
    fn a_closed_loop_fits_by_its_users_or_on_request() {
        let closed = run(&sample::closed());
        assert_eq!(logs(&closed, None), Err(Misfit::Unlike { users: 4 }));
        let offline = logs(&closed, Some(Scenario::Offline)).unwrap();
        let found = read(&offline.detail);
        assert!(found.contains_key("result_samples_per_second"));
        assert!(!found.keys().any(|key| key.contains("latency")));
        for wrong in [Scenario::Server, Scenario::SingleStream] {
            let error = logs(&closed, Some(wrong)).unwrap_err().to_string();
            assert!(error.contains("closed loop"), "{error}");
        }
        let one = Run {
            pace: Some(Pace::Closed { users: 1 }),
            ..closed
        };
        let single = logs(&one, None).unwrap();
        for line in [
            "Scenario : SingleStream\n",
            "\n90.0th first token percentile latency (ns) : ",
        ] {
            assert!(single.summary.contains(line), "{}", single.summary);
        }
        let open = run(&sample::open());
        assert!(logs(&open, Some(Scenario::Offline)).is_err());
    }

    #[test]
    fn records_alone_say_less_and_invent_nothing() {
        let bare = bare();
        let paced = Run {
            pace: Some(Pace::Open { users: None }),
            ..bare.clone()
        };
        assert_eq!(
            logs(&Run { pace: None, ..bare }, None),
            Err(Misfit::Unknown)
        );
        let found = read(&logs(&paced, None).unwrap().detail);
        for key in ["sut_name", "test_datetime", "effective_schedule_rng_seed"] {
            assert!(!found.contains_key(key), "{key}");
        }
    }
}
