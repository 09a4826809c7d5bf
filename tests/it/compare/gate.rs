//! What a baseline lets pass and what not: dead runs, runs of which nothing can be told, names that would forge a verdict.

use serde_json::json;

use super::{GEMMA, LLAMA, altered, compare, done, place, slower};
use crate::command::{Place, Ran};

fn judged(place: &Place, new: &str, rules: &str) -> Ran {
    let line = format!("--baseline {GEMMA}_individual_responses.json {new} {rules} -o r.md");
    compare(place, &line)
}

fn dead(place: &Place, name: &str) {
    altered(place, GEMMA, name, |_, it| it["error_code"] = json!(500));
}

#[test]
fn a_run_without_one_good_response_fails() {
    let place = place();
    dead(&place, "dead");
    let new = "dead_individual_responses.json";
    for rules in [
        "--fail-if ttft:median>+10% --fail-if rpm<-10%",
        "--fail-if rpm<-10%",
        "--fail-if tpot>+10%",
        "--fail-if output_tokens<-5%",
        "--fail-if error_rate>+100pp",
        "",
    ] {
        let ran = judged(&place, new, rules);
        ran.expect(5);
        assert!(
            ran.stdout.lines().all(|line| line.starts_with("FAIL ")),
            "{rules}: {}",
            ran.stdout
        );
    }
    let ran = judged(&place, new, "--fail-if ttft:median>+10%");
    assert_eq!(
        ran.stdout.trim_end(),
        "FAIL      ttft:median>+10%  dead_individual_responses.json: median time to first token, no good response"
    );
    judged(&place, new, "--fail-if none").expect(0);
}

#[test]
fn a_rate_of_nothing_fails_and_one_against_nothing_is_not_known() {
    let place = place();
    let summary = |name: &str, rate: f64| {
        let mut summary = place.json(&format!("{GEMMA}_summary.json"));
        summary["results_mean_output_throughput_token_per_s"] = json!(rate);
        place.write(&format!("{name}.json"), &summary.to_string());
    };
    summary("good", 40.0);
    summary("still", 0.0);
    let run = |old: &str, new: &str| {
        compare(
            &place,
            &format!("--baseline {old}.json {new}.json --fail-if throughput<-10% -o r.md"),
        )
    };
    let ran = run("good", "still");
    ran.expect(5);
    assert!(ran.stdout.starts_with("FAIL "), "{}", ran.stdout);
    let ran = run("still", "good");
    ran.expect(1);
    assert!(ran.stdout.starts_with("UNKNOWN "), "{}", ran.stdout);
}

#[test]
fn a_dead_baseline_judges_nothing() {
    let place = place();
    dead(&place, "dead");
    let ran = compare(
        &place,
        &format!(
            "--baseline dead_individual_responses.json {GEMMA}_individual_responses.json -o r.md"
        ),
    );
    ran.expect(1);
    assert!(
        ran.stdout.contains("the baseline has no good response")
            && ran.stdout.contains("OK        error_rate>+1pp")
            && ran.stderr.contains("no threshold could be judged"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn error_rates_alone_are_a_gate_where_nothing_else_is_asked_for() {
    let place = place();
    let new = format!("{LLAMA}_individual_responses.json");
    judged(&place, &new, "--fail-if error_rate>+1pp").expect(0);
    let rules = "--fail-if error_rate>+1pp --fail-if tpot>+10%";
    judged(&place, &new, rules).expect(1);
}

#[test]
fn each_column_needs_a_judgement_of_its_own() {
    let place = place();
    std::fs::rename(
        place.file(&format!("{LLAMA}_summary.json")),
        place.file("alone.json"),
    )
    .unwrap();
    altered(&place, GEMMA, "same", |_, _| {});
    let ran = judged(
        &place,
        "same_individual_responses.json summary=alone.json",
        "--fail-if tpot>+10% --fail-if ttft:median<-1%",
    );
    ran.expect(1);
    assert!(ran.stderr.contains("`summary`"), "{}", ran.stderr);
}

#[test]
fn a_dead_run_among_good_ones_counts_as_errors_and_not_as_silence() {
    let place = place();
    dead(&place, "dead");
    altered(&place, GEMMA, "slow", |_, it| slower(it, 1.5));
    let new = "new=slow_individual_responses.json,dead_individual_responses.json";
    let ran = judged(
        &place,
        new,
        "--fail-if ttft:median>+10% --fail-if error_rate>+1pp",
    );
    ran.expect(5);
    let words: Vec<&str> = ran.stdout.lines().map(|it| &it[..5]).collect();
    assert_eq!(words, ["FAIL ", "FAIL "], "{}", ran.stdout);
    assert!(ran.stdout.contains("0.00% → 50.00%"), "{}", ran.stdout);
    assert!(
        place.read("r.md").contains(
            "new: 1 of its 2 runs has no good response: it counts in the error rate and in no latency."
        ),
        "{}",
        place.read("r.md")
    );
}

#[test]
fn a_name_cannot_forge_a_verdict() {
    let place = place();
    let file = format!("{LLAMA}_individual_responses.json");
    let name = "new\nOK        everything\u{1b}[2J\u{2028}\u{202e}";
    let old = format!("{GEMMA}_individual_responses.json");
    let ran = place.run(&[
        "compare",
        "--baseline",
        &old,
        &format!("{name}={file}"),
        "--fail-if",
        "ttft:median>+10%",
        "-o",
        "r.md",
    ]);
    ran.expect(0);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(
        ran.stdout
            .trim_end()
            .chars()
            .all(|it| !it.is_control() && !"\u{2028}\u{202e}".contains(it)),
        "{:?}",
        ran.stdout
    );
    let hostile = place.run(&["compare", "no\u{1b}[2J\nwhere.json"]);
    hostile.expect(2);
    assert!(
        !hostile.stderr.contains('\u{1b}') && !hostile.stderr.contains("\nwhere"),
        "{:?}",
        hostile.stderr
    );
}

#[test]
fn a_baselines_correctness_tests_are_shown_too() {
    let place = place();
    std::fs::create_dir(place.file("old")).unwrap();
    let test = json!({"num_mismatched_requests": 3, "num_completed_requests": 50, "number_errors": 2,
        "model": "m", "num_concurrent_requests": 5, "llm_api": "openai"});
    for name in [
        "old/m_correctness_summary.json",
        "m_correctness_summary.json",
    ] {
        place.write(name, &test.to_string());
    }
    std::fs::rename(
        place.file(&format!("{GEMMA}_summary.json")),
        place.file("old/gemma.json"),
    )
    .unwrap();
    let text = done(
        &place,
        &format!("--baseline old {LLAMA}_summary.json m_correctness_summary.json --fail-if none"),
    );
    for name in [
        "old/m_correctness_summary.json",
        "m_correctness_summary.json",
    ] {
        assert!(text.contains(&format!("| m ({name}) |")), "{text}");
    }
}
