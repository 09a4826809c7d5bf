//! Doubts about the figures are said once a kind, with their count and what to do.

use llmload::mock::{MockHandle, Script};
use serde_json::Value;

use crate::command::{Place, Ran, at_once, faulty, serve, url, words};

/// One token a word between white space, as the mock counts.
pub(crate) const WORDS: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
    "pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,
    "model":{"type":"WordLevel","vocab":{"[UNK]":0},"unk_token":"[UNK]"}}"#;

/// Twenty requests of eight tokens; a tokenizer is at hand as `tokenizer.json`.
fn twenty(mock: &MockHandle, more: &[&str]) -> (Ran, Value) {
    let (place, url) = (Place::new(), url(mock));
    place.write("tokenizer.json", WORDS);
    let mut args = words("run -u 4 -r 1000 -o 8 --max-requests 20 --seed 1 --no-reset-stats");
    args.extend(["-H", &url, "--json-file", "result.json"]);
    args.extend(more);
    let ran = place.run(&args);
    ran.expect(0);
    (ran, place.json("result.json"))
}

/// The warnings' names and counts. Each stands on one line of the closing block, and nowhere else.
fn warned(ran: &Ran, result: &Value) -> Vec<(String, u64)> {
    let warnings = result["warnings"].as_array().unwrap().iter();
    let warnings: Vec<_> = warnings
        .map(|warning| {
            let name = warning["name"].as_str().unwrap().to_owned();
            (name, warning["count"].as_u64().unwrap())
        })
        .filter(|(name, _)| name != "sent_late")
        .collect();
    for (name, count) in &warnings {
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(text.matches(name).count(), 1, "{text}");
        assert!(
            ran.stdout.contains(&format!("\n  {count} x {name}: ")),
            "{}",
            ran.stdout
        );
    }
    warnings
}

const EXACT: &[&str] = &["--tokenizer", "./tokenizer.json", "-p", "200"];

#[test]
fn a_run_without_doubts_warns_of_nothing() {
    let (ran, result) = twenty(&faulty(&[]), EXACT);
    assert_eq!(warned(&ran, &result), []);
    let sources = &result["tokens"]["requests_by_source"];
    assert_eq!(sources, &serde_json::json!({"usage": 20}));
}

#[test]
fn a_run_says_each_thing_once() {
    let (ran, _) = twenty(&faulty(&[]), EXACT);
    // What is said when is another matter: the time stands before the level.
    let said = ran.stderr.lines().map(|line| line.split_once(" INFO "));
    let mut said: Vec<_> = said.flatten().map(|(_, text)| text).collect();
    assert!(!said.is_empty(), "{}", ran.stderr);
    said.sort_unstable();
    let all = said.len();
    said.dedup();
    assert_eq!(said.len(), all, "{}", ran.stderr);
}

#[test]
fn a_wrong_number_of_tokens_is_warned_of_once_with_its_count() {
    let mock = faulty(&["short=0.3:5"]);
    let (ran, result) = twenty(&mock, EXACT);
    let struck = mock.stats().snapshot().faults["short"];
    assert!(struck > 1);
    assert_eq!(
        warned(&ran, &result),
        [("tokens_differ_from_asked".to_owned(), struck)]
    );
}

#[test]
fn counts_that_disagree_are_warned_of() {
    for more in [&["--stream"][..], &["--no-stream"]] {
        let mock = faulty(&["wrong-usage=0.3:-2"]);
        let (ran, result) = twenty(&mock, &[EXACT, more].concat());
        let struck = mock.stats().snapshot().faults["wrong-usage"];
        assert!(struck > 1);
        let expected = ["tokens_differ_from_asked", "token_counts_disagree"];
        assert_eq!(
            warned(&ran, &result),
            expected.map(|name| (name.to_owned(), struck))
        );
    }
}

#[test]
fn a_tokenizer_counts_where_the_server_does_not() {
    let mock = serve(Script {
        usage_missing: true,
        ..at_once()
    });
    let (ran, result) = twenty(&mock, EXACT);
    assert_eq!(warned(&ran, &result), []);
    assert_eq!(result["metrics"]["output_tokens"]["mean"], 8.0);
    assert_eq!(
        result["tokens"]["requests_by_source"]["tokenizer"],
        result["measured"]["good"]
    );
    let (ran, result) = twenty(&mock, &["-p", "200"]);
    assert_eq!(warned(&ran, &result), [("tokens_unknown".to_owned(), 20)]);
}

#[test]
fn a_prompt_of_another_length_than_asked_for_is_warned_of() {
    let mock = serve(Script {
        prompt_overhead: 60,
        ..at_once()
    });
    let (ran, result) = twenty(&mock, EXACT);
    assert_eq!(
        warned(&ran, &result),
        [("prompt_length_off".to_owned(), 20)]
    );
    assert_eq!(result["metrics"]["requested_prompt_tokens"]["mean"], 200.0);
    assert_eq!(result["metrics"]["prompt_tokens"]["mean"], 260.0);
    assert!(
        ran.stdout
            .contains("prompts were asked to be 200.0 tokens long and were 260.0 (+60.0)")
    );
}

#[test]
fn too_few_users_for_the_rate_are_told_how_many_it_takes() {
    let mock = serve(Script {
        ttft: "200ms".parse().unwrap(),
        ..at_once()
    });
    let (place, url) = (Place::new(), url(&mock));
    let ran = place.run(&[
        "run",
        "-H",
        &url,
        "-u",
        "2",
        "--qps",
        "40",
        "-t",
        "2s",
        "-o",
        "1",
        "-p",
        "32",
        "--stop-timeout",
        "1s",
        "--json-file",
        "result.json",
    ]);
    let result = place.json("result.json");
    let warnings = warned(&ran, &result);
    let (_, waited) = warnings
        .iter()
        .find(|(name, _)| name == "users_too_few")
        .unwrap();
    assert!(*waited > 10, "{warnings:?}");
    // 40 requests a second of 0.2 s each.
    let (_, hint) = ran
        .stdout
        .split_once("; hint: at 40/s and the mean latency seen, -u ")
        .unwrap();
    let (need, rest) = hint.split_once(' ').unwrap();
    assert!((8..=10).contains(&need.parse().unwrap()), "{need}");
    assert!(
        rest.starts_with("or more are needed (there were 2)"),
        "{rest}"
    );
    let totals = &result["totals"];
    assert_eq!(totals["imbalance"], Value::Null);
    let cancelled = totals["late_cancelled"].as_u64().unwrap();
    assert_eq!(
        totals["scheduled"].as_u64().unwrap(),
        totals["sent"].as_u64().unwrap() + cancelled
    );
    assert!(cancelled > 30, "{totals}");
}
