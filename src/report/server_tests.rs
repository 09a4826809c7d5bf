//! What is told of a server, in words and in the result.

use super::*;
use crate::gauges::{Counters, Lateness, Look};
use crate::report::sample::{self, Sample};

fn counters(prompt: f64, output: f64) -> Counters {
    Counters {
        prompt_tokens: Some(prompt),
        output_tokens: Some(output),
    }
}

/// Three good requests of 100 prompt and 4 output tokens each, and a server that tells the same.
fn watched(prompt: f64, output: f64) -> Sample {
    let look = |at_s, running, cache| Look {
        at_s,
        running: Some(running),
        waiting: Some(0.0),
        cache: Some(cache),
    };
    let mut sample = sample::closed();
    sample
        .summary
        .outcomes
        .retain(|outcome, _| outcome.is_good());
    sample.watched = Some(Box::new(Watched {
        server: "vllm".to_owned(),
        step_s: 0.5,
        looks: vec![look(1.0, 0.0, 0.0), look(1.5, 3.0, 0.125)],
        lateness: Lateness {
            mean_s: 0.0012,
            p99_s: 0.002,
            max_s: 0.003,
        },
        before: counters(1_000.0, 50.0),
        after: counters(1_000.0 + prompt, 50.0 + output),
        ..Watched::default()
    }));
    sample
}

#[test]
fn peaks_and_counts_are_told_in_words() {
    let sample = watched(300.0, 12.0);
    insta::assert_snapshot!(lines(&sample.context()).join("\n"), @r#"
    metrics under the names of vllm: 2 looks, one each 0.5 s, late by 1.2 ms on average, p99 2.0 ms, max 3.0 ms
    at most 3 requests running, 0 waiting, 12.5% of the key-value cache in use
    server counted 12 output tokens, answers 12
    server counted 300 prompt tokens, answers 300
    "#);
    assert_eq!(warnings(&sample.context()), [""; 0]);
}

#[test]
fn counts_that_differ_without_a_reason_are_a_warning() {
    let sample = watched(297.0, 24.0);
    let text = [lines(&sample.context()), warnings(&sample.context())].concat();
    insta::assert_snapshot!(text[2..].join("\n"), @r#"
    server counted 24 output tokens, answers 12 (+100.00%)
    server counted 297 prompt tokens, answers 300 (-1.00%)
    the server counted 24 output tokens and the answers 12: somebody else may have used it, or its answers tell of fewer tokens than it makes
    "#);
    let few = watched(300.0, 6.0);
    insta::assert_snapshot!(warnings(&few.context()).join("\n"), @r#"the server counted 6 output tokens and the answers 12: it may count by other rules, or may not have been looked at for the whole run"#);
}

#[test]
fn requests_that_nobody_knows_the_tokens_of_explain_a_difference() {
    let mut sample = watched(400.0, 14.0);
    sample.summary.outcomes.insert(Outcome::Cancelled, 2);
    sample.summary.in_flight = 1;
    assert_eq!(warnings(&sample.context()), [""; 0]);
    insta::assert_snapshot!(lines(&sample.context())[2..].join("\n"), @r#"
    server counted 14 output tokens, answers 12 (+16.67%); requests cancelled: 2, requests in flight: 1
    server counted 400 prompt tokens, answers 300 (+33.33%); requests cancelled: 2, requests in flight: 1
    "#);
    assert_eq!(
        object(&sample.context())["output_tokens"],
        json!({"server": 14.0, "answers": 12, "agree": false, "explained_by": ["requests cancelled: 2", "requests in flight: 1"]})
    );
}

#[test]
fn failed_requests_explain_no_more_than_they_can_have_been() {
    let failed = |prompt, output| {
        let mut sample = watched(prompt, output);
        sample.summary.outcomes.insert(Outcome::Http5xx, 2);
        warnings(&sample.context()).join("\n")
    };
    let sample = watched(300.0, 12.0);
    let most = f64::from(sample.plan.workload.output.most().unwrap());
    assert_eq!(failed(500.0, 12.0 + 2.0 * most), "");
    assert_ne!(failed(500.0, 13.0 + 2.0 * most), "");
    insta::assert_snapshot!(failed(501.0, 12.0), @"the server counted 501 prompt tokens and the answers 300: requests failed: 2, which are 200 at most; beyond that somebody else may have used it, or its answers tell of fewer tokens than it makes");
    insta::assert_snapshot!(failed(290.0, 12.0), @"the server counted 290 prompt tokens and the answers 300: it may count by other rules, or may not have been looked at for the whole run");
}

#[test]
fn a_page_that_is_not_there_is_a_warning() {
    let mut sample = sample::closed();
    sample.watched = Some(Box::new(Watched {
        step_s: 1.0,
        failed: 7,
        failure: "status 404 Not Found".to_owned(),
        ..Watched::default()
    }));
    insta::assert_snapshot!([lines(&sample.context()), warnings(&sample.context())].concat().join("\n"), @r#"
    0 looks, one each 1 s, late by 0.0 ms on average, p99 0.0 ms, max 0.0 ms; 7 failed: status 404 Not Found
    there are no server metrics: status 404 Not Found
    "#);
}

#[test]
fn where_nobody_looked_nothing_is_told() {
    let sample = sample::closed();
    assert_eq!(lines(&sample.context()), [""; 0]);
    assert_eq!(warnings(&sample.context()), [""; 0]);
    assert_eq!(object(&sample.context()), Value::Null);
}
