//! What a file of raw results says.

use proptest::prelude::*;
use serde_json::json;

use super::super::RAW_SCHEMA;
use super::super::rig::{Server, ZERO, answer};
use super::*;
use crate::domain::{Answer, Outcome};
use crate::gauges::Counters;

const SERVER: Server = Server {
    reads: 8000.0,
    step_s: 0.025,
    cache: 20_000,
    block: 16,
};

fn parameters() -> Map<String, Value> {
    let bench = super::super::Bench::PromptIngestion { repeat: 0 };
    super::super::rig::parameters(&super::super::SuiteSettings::default(), bench, None)
}

/// Two good queries, a time-out and an error.
fn four() -> Vec<Query> {
    let failed = |outcome, pieces: &[f64]| Answer {
        outcome,
        server_output_tokens: None,
        ..answer(5.0, pieces, 9.0)
    };
    vec![
        Query::of(&answer(1.0, &[1.5, 2.0], 2.5), ZERO),
        Query::of(&answer(1.0, &[2.0, 2.5, 3.0], 3.0), ZERO),
        Query::of(&failed(Outcome::TimeoutTotal, &[]), ZERO),
        Query::of(&failed(Outcome::Http5xx, &[]), ZERO),
    ]
}

fn faults(value: &Value) -> Vec<String> {
    let schema = serde_json::from_str(RAW_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn sums_and_statistics_are_of_the_queries_that_count() {
    let raw = Raw::of(Played {
        parameters: parameters(),
        queries: four(),
        actual_total_time: 12.0,
        query_metrics: true,
        ..Played::default()
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&raw.general_metrics).unwrap(), @r#"
    {
      "max_kv_cache": -1,
      "max_requests_running": -1,
      "max_requests_waiting": -1,
      "total_number_of_queries": 4,
      "nb_timeout_queries": 1,
      "nb_errored_queries": 2,
      "total_time": 3.5,
      "total_time_from_first_token": 2.0,
      "total_time_without_waiting_time": 2.0,
      "total_number_of_ingested_tokens": 96,
      "total_number_of_generated_tokens": 5,
      "speed": 1.4285714285714286,
      "speed_without_waiting_time": 2.5,
      "speed_from_first_token": 2.5,
      "actual_total_time": 12.0
    }
    "#);
    // 0.5 and 1.0 s; the time-out has none.
    assert_eq!(raw.aggregate("time_to_first_token", "median"), Some(0.75));
    assert_eq!(raw.aggregate("total_query_time", "mean"), Some(3.5 / 3.0));
    assert_eq!(raw.aggregate("response_length", "percentile_75"), Some(2.5));
    let keys: Vec<&str> = raw.aggregated_metrics.keys().map(String::as_str).collect();
    assert_eq!(
        (keys.len(), keys[0], keys[9]),
        (10, "time_to_first_token", "speed_without_waiting_time")
    );
    assert_eq!(
        (
            raw.errored_queries.len(),
            raw.errored_queries[0].error.as_str()
        ),
        (1, "http_5xx")
    );
    assert_eq!(raw.individual_query.as_ref().unwrap().len(), 3);
    assert_eq!(
        (raw.kv_cache_profile.clone(), raw.valid_queries()),
        (None, 3)
    );
}

#[test]
fn a_server_that_tells_of_itself_is_told_of() {
    let run = SERVER.waves(200, 20, 60);
    let looks = run.watched.looks.len();
    let tokens: u64 = run.queries.iter().map(|query| query.response_length).sum();
    let played = Played {
        parameters: parameters(),
        queries: run.queries,
        watched: Some(run.watched),
        actual_total_time: run.length_s,
        with_kv_cache_profile: true,
        verdict: Some(("OK".to_owned(), Vec::new())),
        ..Played::default()
    };
    let mut other = played.clone();
    let raw = Raw::of(played);
    assert!(raw.general("max_kv_cache").unwrap() > 0.0);
    assert_eq!(raw.general("max_requests_running"), Some(10.0));
    assert_eq!(raw.kv_cache_profile.as_ref().unwrap().len(), looks);
    let beside = Beside::read(&raw.llmload);
    let counted = beside.counters.clone().unwrap();
    assert_eq!(
        (counted.agree, counted.answers_output_tokens),
        (Some(true), tokens)
    );
    assert_eq!((beside.chunks, beside.queries_without_count), (tokens, 0));
    assert!(beside.kv_cache_tokens.is_some() && beside.sampler.is_some());
    assert_eq!(
        faults(&serde_json::to_value(&raw).unwrap()),
        Vec::<String>::new()
    );

    let watched = other.watched.as_mut().unwrap();
    watched.after.output_tokens = watched.after.output_tokens.map(|tokens| tokens + 1.0);
    let counted = Beside::read(&Raw::of(other.clone()).llmload)
        .counters
        .unwrap();
    assert_eq!(counted.agree, Some(false));
    // What was given up may be the difference, and nobody can tell.
    let given_up = Beside::read(
        &Raw::of(Played {
            dropped: 2,
            ..other.clone()
        })
        .llmload,
    );
    assert_eq!(
        (given_up.dropped, given_up.counters.unwrap().agree),
        (2, None)
    );
    other.watched.as_mut().unwrap().before = Counters::default();
    let counted = Beside::read(&Raw::of(other).llmload).counters.unwrap();
    assert_eq!((counted.agree, counted.server_prompt_tokens), (None, None));
}

/// What is said of the counters when the server counted so many tokens more than the answers have.
fn counted(prompt: f64, output: f64, failed: usize, dropped: u64) -> super::super::Counted {
    let run = SERVER.waves(200, 20, 60);
    let mut watched = run.watched;
    let add = |tokens: Option<f64>, more: f64| tokens.map(|tokens| tokens + more);
    watched.after.prompt_tokens = add(watched.after.prompt_tokens, prompt);
    watched.after.output_tokens = add(watched.after.output_tokens, output);
    let mut queries = run.queries;
    let unanswered = Answer {
        outcome: Outcome::Http5xx,
        server_prompt_tokens: None,
        server_output_tokens: None,
        ..answer(1.0, &[], 2.0)
    };
    queries.extend((0..failed).map(|_| Query::of(&unanswered, ZERO)));
    let mut parameters = parameters();
    parameters.insert("output_length".to_owned(), json!(20));
    let raw = Raw::of(Played {
        parameters,
        queries,
        dropped,
        watched: Some(watched),
        ..Played::default()
    });
    let beside = Beside::read(&raw.llmload);
    assert_eq!(beside.dropped, dropped);
    assert_eq!(faults(&serde_json::to_value(&raw).unwrap()), [""; 0]);
    beside.counters.unwrap()
}

#[test]
fn queries_without_an_end_explain_what_they_can_have_been_and_no_more() {
    let agree = |prompt, output, failed, dropped| counted(prompt, output, failed, dropped).agree;
    for failed in 0..3 {
        assert_eq!(agree(0.0, 0.0, failed, 0), Some(true));
    }
    assert_eq!(agree(200.0, 20.0, 0, 0), Some(false));
    assert_eq!(agree(200.0, 20.0, 1, 0), None);
    assert_eq!(agree(200.0, 21.0, 1, 0), Some(false));
    assert_eq!(agree(201.0, 20.0, 1, 0), Some(false));
    assert_eq!(agree(400.0, 40.0, 2, 0), None);
    assert_eq!(
        agree(0.0, -1.0, 1, 3),
        Some(false),
        "fewer than the answers"
    );
    assert_eq!(agree(4_000.0, 60.0, 0, 3), None);
    assert_eq!(agree(4_000.0, 81.0, 1, 3), Some(false));
    assert_eq!(
        counted(4_000.0, 60.0, 2, 3).undecided,
        "what the server counted of queries without an end is not known: 2 failed, 3 given up at the end"
    );
    assert_eq!(counted(0.0, 0.0, 2, 3).undecided, "");
    assert_eq!(counted(4_000.0, 900.0, 2, 3).undecided, "");
}

#[test]
fn a_file_of_an_older_version_dropped_nothing() {
    let raw = Raw::of(Played {
        dropped: 3,
        ..Played::default()
    });
    let mut value = serde_json::to_value(&raw).unwrap();
    value["llmload"].as_object_mut().unwrap().remove("dropped");
    assert_eq!(
        faults(&value).len(),
        faults(&serde_json::to_value(&raw).unwrap()).len()
    );
    let old = Raw::read(&value.to_string()).unwrap();
    assert_eq!(Beside::read(&old.llmload).dropped, 0);
}

#[test]
fn nothing_at_all_is_a_file_too() {
    let raw = Raw::of(Played {
        parameters: parameters(),
        watched: Some(Watched::default()),
        with_kv_cache_profile: true,
        ..Played::default()
    });
    assert_eq!(raw.general_metrics["max_kv_cache"], json!(-1));
    assert_eq!(raw.general_metrics["speed"], json!(0.0));
    assert!(raw.aggregated_metrics.is_empty());
    let text = raw.text();
    assert_eq!(Raw::read(&text).unwrap(), raw);
    assert_eq!(
        faults(&serde_json::from_str(&text).unwrap()),
        Vec::<String>::new()
    );
}

#[test]
fn a_file_of_the_upstream_tool_is_read() {
    let raw = Raw::of(Played {
        parameters: parameters(),
        queries: four(),
        query_metrics: true,
        ..Played::default()
    });
    let mut value = serde_json::to_value(&raw).unwrap();
    value.as_object_mut().unwrap().shift_remove("llmload");
    for list in ["individual_query", "errored_queries"] {
        for query in value[list].as_array_mut().unwrap() {
            query.as_object_mut().unwrap().shift_remove("chunks");
        }
    }
    value["general_metrics"]
        .as_object_mut()
        .unwrap()
        .shift_remove("speed_without_waiting_time");
    value["parameters"]["max_model_len"] = json!(4096);
    let read = Raw::read(&value.to_string()).unwrap();
    assert!(read.llmload.is_empty() && read.valid_queries() == 3);
    assert_eq!(Beside::read(&read.llmload), Beside::default());
    assert_eq!(read.general("speed_without_waiting_time"), None);
}

#[test]
fn the_schema_takes_nothing_less_and_nothing_else() {
    let raw = Raw::of(Played {
        parameters: parameters(),
        queries: four(),
        query_metrics: true,
        ..Played::default()
    });
    let whole = serde_json::to_value(&raw).unwrap();
    assert_eq!(faults(&whole), Vec::<String>::new());
    for place in [
        "",
        "/parameters",
        "/general_metrics",
        "/aggregated_metrics/prompt_length",
        "/errored_queries/0",
    ] {
        let keys: Vec<String> = whole
            .pointer(place)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for key in keys {
            let optional = ["individual_query", "llmload", "chunks"].contains(&key.as_str());
            let mut less = whole.clone();
            less.pointer_mut(place)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .shift_remove(&key);
            assert_eq!(faults(&less).is_empty(), optional, "{place} {key} left out");
            let mut odd = whole.clone();
            odd.pointer_mut(place).unwrap()[&key] = json!([[]]);
            assert!(!faults(&odd).is_empty(), "{place} {key} as a list of lists");
        }
    }
    let mut more = whole;
    more["general_metrics"]["more"] = json!(1);
    assert_eq!(faults(&more).len(), 1);
}

proptest! {
    #[test]
    fn sums_are_those_of_the_queries_and_medians_lie_between_them(
        queries in prop::collection::vec((0.0_f64..9.0, prop::collection::vec(0.001_f64..1.0, 1..30), 0_usize..17), 0..20),
    ) {
        let queries: Vec<Query> = queries
            .into_iter()
            .map(|(sent, gaps, outcome)| {
                let pieces: Vec<f64> = gaps
                    .iter()
                    .scan(sent, |at, gap| { *at += gap; Some(*at) })
                    .collect();
                let end = pieces.last().copied().unwrap_or(sent) + 0.01;
                Query::of(&Answer { outcome: Outcome::ALL[outcome], ..answer(sent, &pieces, end) }, ZERO)
            })
            .collect();
        let raw = Raw::of(Played { queries: queries.clone(), ..Played::default() });
        let counted: Vec<&Query> = queries.iter().filter(|query| query.success || query.timeout).collect();
        let tokens: u64 = counted.iter().map(|query| query.response_length).sum();
        let time: f64 = counted.iter().map(|query| query.total_query_time).sum();
        prop_assert_eq!(raw.general("total_number_of_generated_tokens"), Some(quantity(tokens)));
        prop_assert!((raw.general("total_time").unwrap() - time).abs() < 1e-9);
        let failed = queries.iter().filter(|query| !query.success).count();
        prop_assert_eq!(raw.general_metrics["nb_errored_queries"].as_u64(), u64::try_from(failed).ok());
        prop_assert_eq!(raw.errored_queries.len() + counted.len(), queries.len());
        prop_assert_eq!(raw.valid_queries(), u64::try_from(counted.len()).unwrap());
        for (figure, of) in FIGURES {
            let Some(told) = raw.aggregated_metrics.get(figure) else { continue };
            let values: Vec<f64> = counted.iter().map(|query| of(query)).collect();
            let least = values.iter().copied().fold(f64::MAX, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            prop_assert!(told["mean"] >= least - 1e-9 && told["mean"] <= most + 1e-9);
            let below = values.iter().filter(|value| **value < told["median"] - 1e-9).count();
            prop_assert!(below * 2 <= values.len());
        }
        prop_assert_eq!(faults(&serde_json::to_value(&raw).unwrap()).iter().filter(|words| !words.contains("required")).count(), 0);
    }
}
