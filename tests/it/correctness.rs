//! `correctness` from outside: planted mistakes and failures are found exactly, and a limit for them sets the exit status.

use std::collections::BTreeSet;

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::Value;

use crate::llmperf::{CALM, start};
use crate::process::{settled, shared};

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
        assert_eq!(
            responses[0]["request_config"]["sampling_params"]["temperature"],
            0.0
        );
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
