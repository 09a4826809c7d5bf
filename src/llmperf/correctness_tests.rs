//! Answers right, wrong and missing, and what is told of them.

use serde_json::json;

use super::*;
use crate::llmperf::{CORRECTNESS_INDIVIDUAL_SCHEMA, CORRECTNESS_SUMMARY_SCHEMA, file};

fn test() -> Correctness {
    let Value::Object(params) =
        json!({"top_p": 0.5, "stop": ["x"], "nested": {"a": {"b": 1}, "empty": {}}})
    else {
        panic!("an object");
    };
    Correctness {
        model: "maker/model-1.5".to_owned(),
        llm_api: "openai".to_owned(),
        num_concurrent_requests: 3,
        additional_sampling_params: params,
        metadata: [("site".to_owned(), "lab".to_owned())].into(),
    }
}

fn solved(number: u32, text: &str, error: Option<(i64, &str)>) -> Solved {
    Solved {
        metrics: Individual {
            error_code: error.map(|(code, _)| code),
            error_msg: error.map_or_else(String::new, |(_, words)| words.to_owned()),
            ..Individual::default()
        },
        generated_text: text.to_owned(),
        request_config: RequestConfig {
            model: "maker/model-1.5".to_owned(),
            prompt: ("in words".to_owned(), 0),
            sampling_params: test().sampling_params(),
            llm_api: "openai".to_owned(),
            metadata: Wanted { rnd_number: number },
        },
    }
}

fn four() -> Vec<Solved> {
    vec![
        solved(1234, "1,234 it is", None),
        solved(77, "It is 7,8\nor\u{1b}[2J nine", None),
        solved(5, "", Some((503, "overloaded,\ntry later"))),
        solved(10_000, "10000", None),
    ]
}

#[test]
fn a_number_is_found_among_runs_of_digits_without_their_commas() {
    for (text, number) in [
        ("123", 123),
        ("The number is 1,234.", 1234),
        ("10,000!", 10_000),
        ("1,2,3", 123),
        ("0", 0),
        ("12²", 12),
        ("5,,6", 6),
        ("no 4 but 44", 44),
        ("-17.0", 17),
    ] {
        assert!(check(text, number), "{text} {number}");
    }
    for (text, number) in [
        ("", 0),
        ("one hundred", 100),
        ("1234", 123),
        ("0123", 123),
        ("1, 234", 1234),
        ("5,,6", 56),
        ("12,345", 345),
        ("١٢", 12),
        ("٣12", 12),
    ] {
        assert!(!check(text, number), "{text} {number}");
    }
}

#[test]
fn the_summary_has_llmperfs_keys_in_its_order() {
    let summary = correctness_summary(&test(), &four(), 1_700_000_000);
    insta::assert_snapshot!(file(&summary).unwrap(), @r#"
    {
        "version": "2023-08-31",
        "name": "maker-model-1-5_correctness_summary",
        "number_errors": 1,
        "num_mismatched_requests": 1,
        "error_rate": 0.25,
        "mismatch_rate": 0.25,
        "num_completed_requests": 4,
        "num_non_errored_requests": 3,
        "model": "maker/model-1.5",
        "num_concurrent_requests": 3,
        "additional_sampling_params_top_p": 0.5,
        "additional_sampling_params_stop": [
            "x"
        ],
        "additional_sampling_params_nested_a_b": 1,
        "llm_api": "openai",
        "site": "lab",
        "timestamp": 1700000000
    }
    "#);
}

#[test]
fn mismatches_and_errors_are_told_one_a_line() {
    insta::assert_snapshot!(correctness_console(&test(), &four()), @r#"
    Mismatched and errored requests.
        mismatched request: It is 78 or [2J nine, expected: 77
        The request errored: 503, overloaded, try later

    Results for llm correctness test for maker/model-1.5 queried with the openai api.
    Errors: 1, Error rate: 0.25
    Mismatched: 1, Mismatch rate: 0.25
    Completed: 4
    Completed without errors: 3
    "#);
}

#[test]
fn no_task_at_all_divides_nothing() {
    let marks = Marks::of(&[]);
    assert_eq!((marks.error_rate(), marks.mismatch_rate()), (0.0, 0.0));
}

#[test]
fn both_files_follow_their_schemas_and_read_back() {
    let holds = |schema: &str, value: &Value| {
        let schema = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect::<Vec<_>>()
    };
    let summary = Value::Object(correctness_summary(&test(), &four(), 1));
    assert_eq!(
        holds(CORRECTNESS_SUMMARY_SCHEMA, &summary),
        Vec::<String>::new()
    );
    let text = file(&four()).unwrap();
    let individual: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        holds(CORRECTNESS_INDIVIDUAL_SCHEMA, &individual),
        Vec::<String>::new()
    );
    assert_eq!(serde_json::from_str::<Vec<Solved>>(&text).unwrap(), four());
    assert!(
        !holds(
            CORRECTNESS_SUMMARY_SCHEMA,
            &json!({"version": "2023-08-31"})
        )
        .is_empty()
    );
    assert!(!holds(CORRECTNESS_INDIVIDUAL_SCHEMA, &json!([{"metrics": {}}])).is_empty());
}
