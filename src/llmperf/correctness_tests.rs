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
        max_tokens: None,
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
        is_cut: false,
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

#[test]
fn the_limit_of_wrong_answers_is_held_against_answers_alone() {
    let marks = |completed, errors, mismatches| Marks {
        completed,
        errors,
        mismatches,
    };
    assert_eq!(marks(10, 5, 2).wrong_share(), Some(0.4));
    assert!((marks(10, 5, 2).mismatch_rate() - 0.2).abs() < 1e-9);
    assert_eq!(marks(4, 0, 0).wrong_share(), Some(0.0));
    assert_eq!(marks(3, 3, 0).wrong_share(), None);
}

#[test]
fn a_length_is_told_where_one_is_asked_for_and_an_answer_of_that_length_may_be_cut_off() {
    let with = |max_tokens, additional: Value| Correctness {
        max_tokens,
        additional_sampling_params: additional.as_object().unwrap().clone(),
        ..test()
    };
    let params = |test: &Correctness| Value::Object(test.sampling_params());
    let own = with(Some(256), json!({}));
    assert_eq!(params(&own), json!({"temperature": 0.0, "max_tokens": 256}));
    let given = with(Some(256), json!({"max_completion_tokens": 9}));
    assert_eq!(
        params(&given),
        json!({"temperature": 0.0, "max_completion_tokens": 9})
    );
    let none = with(None, json!({}));
    assert_eq!(params(&none), json!({"temperature": 0.0}));
    let answer = |tokens| Answer {
        sent: None,
        first_content: None,
        last_content: None,
        end: crate::domain::Offset::ZERO,
        outcome: crate::domain::Outcome::Ok,
        code: None,
        error: String::new(),
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        server_prompt_tokens: None,
        max_tokens: 256,
        counted_output_tokens: Some(tokens),
        server_output_tokens: None,
        arrivals: Vec::new(),
        text: Some("Let me think".to_owned()),
    };
    let solved = |test: &Correctness, tokens| {
        Solved::of(test, "task".to_owned(), 7, &answer(tokens)).unwrap()
    };
    for (test, tokens, is_cut) in [
        (&own, 256, true),
        (&own, 255, false),
        (&given, 9, true),
        (&none, 256, false),
    ] {
        let solved = solved(test, tokens);
        assert_eq!(solved.is_cut, is_cut);
        let words = "expected: 7 (cut off: as many tokens as were asked for)\n";
        let console = correctness_console(test, &[solved]);
        assert_eq!(console.contains(words), is_cut, "{console}");
    }
}
