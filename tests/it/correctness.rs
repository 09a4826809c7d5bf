//! `correctness` from outside: planted mistakes and failures are found exactly, and a limit for them sets the exit status.

use std::collections::BTreeSet;

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::Value;

use crate::llmperf::{CALM, start};
use crate::process::{Program, settled, shared};

fn numerals(wrong_every: Option<u64>) -> MockHandle {
    let script = Script {
        ttft: "2ms".parse().unwrap(),
        inter_token: "1ms".parse().unwrap(),
        numerals: true,
        wrong_every,
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

fn correctness(line: &str) -> String {
    format!("correctness {CALM} --tokenizer-id tiny {line}")
}

/// The tokenizer has a token a letter.
fn has_its_length(response: &Value) -> bool {
    let prompt = &response["request_config"]["prompt"];
    let letters = prompt[0].as_str().map(|text| text.len() as u64);
    prompt[1].as_u64() == letters && response["metrics"]["number_input_tokens"].as_u64() == letters
}

#[test]
fn planted_mistakes_are_found_exactly_and_end_a_test_that_has_a_limit_for_them() {
    let _shared = shared();
    let line = correctness("--max-num-completed-requests 150 --num-concurrent-requests 7");
    for (every, wrong, rate) in [(None, 0, 0.0), (Some(10), 15, 0.1)] {
        let mock = numerals(every);
        let ended = start(&mock, &line).wait().expect(0);
        let read = |end: &str| -> Value {
            serde_json::from_str(&ended.read(&format!("out/m-x-1_correctness_{end}.json"))).unwrap()
        };
        let (summary, responses) = (read("summary"), read("individual_responses"));
        assert_eq!(summary["num_mismatched_requests"], wrong);
        assert_eq!(summary["mismatch_rate"], rate);
        assert_eq!(
            (
                &summary["num_completed_requests"],
                &summary["number_errors"]
            ),
            (&150.into(), &0.into())
        );
        let responses = responses.as_array().unwrap();
        assert_eq!(responses.len(), 150);
        let off = responses.iter().filter(|it| {
            let number = it["request_config"]["metadata"]["rnd_number"]
                .as_u64()
                .unwrap();
            it["generated_text"].as_str().unwrap().parse() != Ok(number)
        });
        assert_eq!(off.count(), wrong);
        let params = &responses[0]["request_config"]["sampling_params"];
        assert_eq!(*params, serde_json::json!({"temperature": 0.0}));
        assert!(responses.iter().all(has_its_length));
        let numbers: BTreeSet<u64> = responses
            .iter()
            .map(|it| {
                it["request_config"]["metadata"]["rnd_number"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert!(numbers.len() > 140, "{} different numbers", numbers.len());
        assert_eq!(ended.stdout.matches("expected: ").count(), wrong);
    }
    let limited = |most: &str| {
        start(
            &numerals(Some(10)),
            &format!("{line} --max-mismatch-rate {most}"),
        )
        .wait()
    };
    let ended = limited("0.09").expect(1);
    assert!(
        ended.stderr.contains("15 of 150 answers are wrong"),
        "{}",
        ended.stderr
    );
    limited("0.1").expect(0);
}

#[test]
fn failed_tasks_are_errors_and_no_mismatches() {
    let _shared = shared();
    let script = Script {
        ttft: "2ms".parse().unwrap(),
        inter_token: "1ms".parse().unwrap(),
        numerals: true,
        faults: vec!["status=0.3:500".parse().unwrap()],
        ..Script::default()
    };
    let mock = spawn_thread(script, 1).unwrap();
    let ended = start(&mock, &correctness("--num-concurrent-requests 5"))
        .wait()
        .expect(0);
    let summary: Value =
        serde_json::from_str(&ended.read("out/m-x-1_correctness_summary.json")).unwrap();
    let failed = settled(&mock).faults["status"];
    assert!(failed > 0);
    assert_eq!(
        (
            &summary["number_errors"],
            &summary["num_mismatched_requests"]
        ),
        (&failed.into(), &0.into())
    );
    assert_eq!(summary["num_completed_requests"], 50);
    assert_eq!(summary["num_non_errored_requests"], 50 - failed);
}

fn failing(fault: &str) -> MockHandle {
    let script = Script {
        ttft: "2ms".parse().unwrap(),
        inter_token: "1ms".parse().unwrap(),
        numerals: true,
        wrong_every: Some(4),
        faults: vec![fault.parse().unwrap()],
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

#[test]
fn a_limit_of_mistakes_is_held_against_answers_and_fails_where_there_are_none() {
    let _shared = shared();
    let line = correctness("--num-concurrent-requests 5 --max-mismatch-rate");
    let ended = start(&failing("status=1:500"), &format!("{line} 1"))
        .wait()
        .expect(1);
    let words = "no request was answered: nothing can be held against --max-mismatch-rate 1";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    let mock = failing("status=0.6:500");
    let ended = start(&mock, &format!("{line} 0.2")).wait().expect(1);
    let summary: Value =
        serde_json::from_str(&ended.read("out/m-x-1_correctness_summary.json")).unwrap();
    let count = |key: &str| summary[key].as_u64().unwrap();
    let (wrong, answered) = (
        count("num_mismatched_requests"),
        count("num_non_errored_requests"),
    );
    assert!(answered < 35, "{summary}");
    let words = format!("{wrong} of {answered} answers are wrong");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}

#[test]
fn the_built_in_mock_knows_the_numbers_and_is_openai_s() {
    let _shared = shared();
    let line = "correctness --model demo --mock --tokenizer-id built-in --allow-invalid --num-concurrent-requests 3 \
                --max-num-completed-requests 12 --max-mismatch-rate 0";
    let ended = Program::start(line).wait().expect(0);
    assert!(
        ended.stdout.contains("Completed without errors: 12\n"),
        "{}",
        ended.stdout
    );
    for api in ["telepathy", "anthropic"] {
        let ended = Program::start(&format!("{line} --llm-api {api}"))
            .wait()
            .expect(2);
        let words = format!("--mock answers as openai does, and not as `{api}`");
        assert!(ended.stderr.contains(&words), "{}", ended.stderr);
    }
}
