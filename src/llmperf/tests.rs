//! Answers through individual responses to both files and the console.

use serde_json::{Value, json};

use super::*;
use crate::domain::{Answer, Offset, Outcome};

fn ms(ms: u64) -> Offset {
    Offset::from_nanos(ms * 1_000_000)
}

fn answer() -> Answer {
    Answer {
        sent: Some(ms(100)),
        first_content: Some(ms(150)),
        last_content: Some(ms(600)),
        end: ms(610),
        outcome: Outcome::Truncated,
        code: None,
        error: String::new(),
        requested_prompt_tokens: Some(90),
        counted_prompt_tokens: Some(91),
        server_prompt_tokens: Some(99),
        max_tokens: 12,
        counted_output_tokens: Some(10),
        server_output_tokens: Some(12),
        text: None,
    }
}

fn bench() -> Benchmark {
    let Value::Object(params) = json!({"temperature": 0.7, "extra": {"deep": [1], "empty": {}}})
    else {
        panic!("an object");
    };
    Benchmark {
        model: "maker/model-1.5".to_owned(),
        llm_api: "openai".to_owned(),
        mean_input_tokens: 550,
        stddev_input_tokens: 150,
        mean_output_tokens: 150,
        stddev_output_tokens: 80,
        num_concurrent_requests: 10,
        additional_sampling_params: params,
        metadata: [("site".to_owned(), "lab".to_owned())].into(),
        tokenizer_id: "built-in".to_owned(),
    }
}

fn failed(code: Option<i32>) -> Answer {
    Answer {
        first_content: None,
        last_content: None,
        outcome: Outcome::Http429,
        code,
        error: "slow down".to_owned(),
        counted_output_tokens: None,
        server_output_tokens: None,
        ..answer()
    }
}

fn three() -> Vec<Individual> {
    let longer = Answer {
        end: ms(1_100),
        last_content: Some(ms(1_000)),
        counted_output_tokens: Some(30),
        ..answer()
    };
    [answer(), longer, failed(Some(429))]
        .iter()
        .filter_map(Individual::of)
        .collect()
}

#[test]
fn latencies_count_from_the_send_and_the_first_token_has_its_share() {
    let one = Individual::of(&answer()).unwrap();
    assert_eq!(
        one,
        Individual {
            error_code: None,
            error_msg: String::new(),
            inter_token_latency_s: Some(0.05),
            ttft_s: Some(0.05),
            end_to_end_latency_s: Some(0.51),
            request_output_throughput_token_per_s: Some(10.0 / 0.51),
            number_total_tokens: Some(101),
            number_output_tokens: Some(10),
            number_input_tokens: Some(91),
        }
    );
}

#[test]
fn without_a_tokenizer_the_servers_count_and_the_wanted_length_stand_in() {
    let one = Individual::of(&Answer {
        counted_output_tokens: None,
        counted_prompt_tokens: None,
        ..answer()
    })
    .unwrap();
    assert_eq!(
        (one.number_input_tokens, one.number_output_tokens),
        (Some(90), Some(12))
    );
    assert_eq!(one.number_total_tokens, Some(102));
}

#[test]
fn what_was_not_measured_is_null() {
    let whole = Individual::of(&Answer {
        first_content: None,
        last_content: Some(ms(610)),
        ..answer()
    })
    .unwrap();
    assert_eq!(
        (whole.ttft_s, whole.inter_token_latency_s),
        (None, Some(0.051))
    );
    let silent = Individual::of(&Answer {
        counted_output_tokens: Some(0),
        ..answer()
    })
    .unwrap();
    assert_eq!(silent.inter_token_latency_s, None);
    assert_eq!(silent.request_output_throughput_token_per_s, Some(0.0));
    let uncounted = Individual::of(&Answer {
        counted_output_tokens: None,
        server_output_tokens: None,
        ..answer()
    })
    .unwrap();
    assert_eq!(
        (
            uncounted.inter_token_latency_s,
            uncounted.number_total_tokens
        ),
        (None, None)
    );
}

#[test]
fn a_failure_has_its_number_and_its_words_and_no_times() {
    let refused = Individual::of(&failed(Some(429))).unwrap();
    assert_eq!(
        (refused.error_code, refused.error_msg.as_str()),
        (Some(429), "slow down")
    );
    assert_eq!((refused.end_to_end_latency_s, refused.ttft_s), (None, None));
    assert_eq!(refused.number_input_tokens, Some(91));
    assert_eq!(Individual::of(&failed(None)).unwrap().error_code, Some(-1));
    let cancelled = Answer {
        outcome: Outcome::Cancelled,
        ..answer()
    };
    assert_eq!(Individual::of(&cancelled), None);
}

#[test]
fn the_summary_has_llmperfs_keys_in_its_order() {
    let summary = summary(&bench(), &three(), 2.0, 1_700_000_000);
    insta::assert_snapshot!(file(&summary).unwrap(), @"");
}

#[test]
fn the_individual_file_has_llmperfs_keys_in_its_order() {
    insta::assert_snapshot!(file(&three().split_off(1)).unwrap(), @"");
}

#[test]
fn the_console_has_llmperfs_lines() {
    insta::assert_snapshot!(console(&bench(), &three(), 2.0), @"");
}

#[test]
fn without_responses_everything_is_null_or_nothing() {
    let summary = summary(&bench(), &[], 0.0, 1);
    assert_eq!(summary["results_ttft_s_quantiles_p99"], Value::Null);
    assert_eq!(summary["results_error_rate"], json!(0.0));
    assert_eq!(
        summary["results_mean_output_throughput_token_per_s"],
        Value::Null
    );
    assert_eq!(summary["results_error_code_frequency"], json!("{}"));
    assert!(console(&bench(), &[], 0.0).contains("    stddev = nan\n"));
}

#[test]
fn error_codes_stand_by_their_frequency() {
    let of = |code| Individual {
        error_code: Some(code),
        ..Individual::default()
    };
    let codes = [of(500), of(-1), of(429), of(-1), of(429)];
    let summary = summary(&bench(), &codes, 1.0, 1);
    assert_eq!(
        summary["results_error_code_frequency"],
        json!("{-1: 2, 429: 2, 500: 1}")
    );
    assert_eq!(summary["results_number_errors"], json!(5));
}

#[test]
fn both_files_follow_their_schemas_and_neither_takes_anything_else() {
    let errors = |schema: &str, value: &Value| {
        let schema = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect::<Vec<_>>()
    };
    for responses in [three(), Vec::new()] {
        let whole = Value::Object(summary(&bench(), &responses, 2.0, 1));
        assert_eq!(errors(SUMMARY_SCHEMA, &whole), Vec::<String>::new());
        for key in whole
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| !key.starts_with("additional") && *key != "site")
        {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().shift_remove(key);
            assert!(
                !errors(SUMMARY_SCHEMA, &less).is_empty(),
                "{key} is not required"
            );
            let mut odd = whole.clone();
            odd[key] = json!([]);
            assert!(
                !errors(SUMMARY_SCHEMA, &odd).is_empty(),
                "{key} may be a list"
            );
        }
        let individual = serde_json::to_value(&responses).unwrap();
        assert_eq!(errors(INDIVIDUAL_SCHEMA, &individual), Vec::<String>::new());
    }
    let mut one = serde_json::to_value(three()).unwrap();
    one[0]["more"] = json!(1);
    assert_eq!(errors(INDIVIDUAL_SCHEMA, &one).len(), 1);
}
