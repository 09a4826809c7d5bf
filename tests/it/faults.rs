//! Every fault of the mock ends in its own outcome with the mock's own count, and the rest of the run is good.
//! Time-outs, warnings and errors before a run have files of their own.

use llmload::mock::{MockHandle, ReasoningField, Script};
use serde_json::Value;

use crate::command::{Place, Ran, at_once, count, faulty, serve, url, words};

/// Requests of one run.
const REQUESTS: u64 = 24;

/// Runs against `mock` until all requests are over; the result is in `result.json`, the requests in `records.jsonl`.
fn load(place: &Place, mock: &MockHandle, more: &[&str]) -> Ran {
    let (url, requests) = (url(mock), REQUESTS.to_string());
    let mut args = words("run -u 4 -r 1000 -o 8 -p 32 --seed 1 --only-summary --no-reset-stats");
    args.extend(words(
        "--json-file result.json --records records.jsonl --csv locust",
    ));
    args.extend(["-H", &url, "--max-requests", &requests]);
    args.extend(more);
    place.run(&args)
}

/// A run in which a third of the requests meet one fault.
struct Case {
    /// `KIND`, and what goes behind its share.
    kind: &'static str,
    parameter: &'static str,
    /// The outcome it must end in.
    outcome: &'static str,
    /// The words of the error report; none where the fault is no failure.
    words: Option<&'static str>,
    more: &'static [&'static str],
}

const STREAM: &[&str] = &["--stream"];
const WHOLE: &[&str] = &["--no-stream"];

impl Case {
    fn fails(
        kind: &'static str,
        parameter: &'static str,
        outcome: &'static str,
        words: &'static str,
    ) -> Self {
        Self {
            kind,
            parameter,
            outcome,
            words: Some(words),
            more: STREAM,
        }
    }

    /// The fault is no failure.
    fn passes(kind: &'static str, parameter: &'static str, outcome: &'static str) -> Self {
        Self {
            kind,
            parameter,
            outcome,
            words: None,
            more: STREAM,
        }
    }

    fn with(self, more: &'static [&'static str]) -> Self {
        Self { more, ..self }
    }

    /// Runs it and holds the result against the mock's counts. Returns the result and the place.
    fn check(self) -> (Value, Place) {
        let mock = faulty(&[&format!("{}=0.35{}", self.kind, self.parameter)]);
        let place = Place::new();
        let mut more = self.more.to_vec();
        if self.kind == "drop-before" {
            // On a kept connection it would pass for one that the server had closed anyway, and be sent again.
            more.extend(["--connection-reuse", "never"]);
        }
        let ran = load(&place, &mock, &more);
        let result = place.json("result.json");
        let stats = mock.stats().snapshot();
        let struck = stats.faults[self.kind];
        assert_eq!(stats.requests.numbered, REQUESTS, "{ran:#?}");
        assert!(struck > 2 && struck < REQUESTS - 2, "{struck}");
        self.check_totals(&result, struck, &ran);
        self.check_records(&place, struck);
        if let Some(words) = self.words {
            ran.expect(1);
            self.check_errors(&result, words, struck, &ran);
            assert_eq!(
                ran.complaint(),
                format!(
                    "error: {struck} of {REQUESTS} requests failed: more than --max-fail-ratio 0.01"
                )
            );
            let csv = place.read("locust_failures.csv");
            let row = csv.lines().nth(1).unwrap_or_default();
            assert!(
                csv.lines().count() == 2 && row.contains(&format!(",{struck},")),
                "{csv}"
            );
        } else {
            ran.expect(0);
            assert_eq!(result["errors"], serde_json::json!([]));
            assert_eq!(ran.complaint(), "");
        }
        (result, place)
    }

    fn check_totals(&self, result: &Value, struck: u64, ran: &Ran) {
        let totals = &result["totals"];
        let failed = if self.words.is_some() { struck } else { 0 };
        assert_eq!(count(totals, "sent"), REQUESTS, "{totals} {ran:#?}");
        assert_eq!(count(totals, "failed"), failed, "{totals} {ran:#?}");
        assert_eq!(count(totals, "completed"), REQUESTS - failed, "{totals}");
        assert_eq!(totals["imbalance"], Value::Null);
        let mut expected = serde_json::Map::new();
        expected.insert("truncated".to_owned(), (REQUESTS - struck).into());
        let so_far = if self.outcome == "truncated" {
            REQUESTS - struck
        } else {
            0
        };
        expected.insert(self.outcome.to_owned(), (so_far + struck).into());
        assert_eq!(
            totals["outcomes"],
            Value::Object(expected),
            "{}",
            result["errors"]
        );
    }

    fn check_records(&self, place: &Place, struck: u64) {
        let records = place.records("records.jsonl");
        assert_eq!(records.len() as u64, REQUESTS);
        let of_the_kind = records
            .iter()
            .filter(|record| record["outcome"] == self.outcome);
        let others = if self.outcome == "truncated" {
            REQUESTS - struck
        } else {
            0
        };
        assert_eq!(of_the_kind.count() as u64, struck + others);
    }

    fn check_errors(&self, result: &Value, words: &str, struck: u64, ran: &Ran) {
        let errors = result["errors"].as_array().unwrap();
        let of_the_kind: u64 = errors
            .iter()
            .filter(|error| error["outcome"] == self.outcome && error["text"] == words)
            .map(|error| error["count"].as_u64().unwrap())
            .sum();
        assert_eq!((of_the_kind, errors.len()), (struck, 1), "{errors:#?}");
        let path = "POST /v1/chat/completions";
        let line = format!("{struck:<18} {path}: {}: {words}", self.outcome);
        assert!(ran.stdout.contains(&line), "no {line:?} in\n{}", ran.stdout);
        let line = format!("failed by kind: {} {struck}\n", self.outcome);
        assert!(ran.stdout.contains(&line), "no {line:?} in\n{}", ran.stdout);
    }
}

/// The same fault with streamed answers and with whole ones.
fn both_ways(case: impl Fn() -> Case) {
    let (streamed, whole) = (case(), case().with(WHOLE));
    std::thread::scope(|scope| {
        scope.spawn(|| whole.check());
        streamed.check();
    });
}

#[test]
fn a_bad_request_is_a_4xx() {
    both_ways(|| {
        Case::fails(
            "status",
            ":400",
            "http_4xx",
            "400: the script refuses this request",
        )
    });
}

#[test]
fn a_missing_page_is_a_4xx() {
    both_ways(|| {
        Case::fails(
            "status",
            ":404",
            "http_4xx",
            "404: the script refuses this request",
        )
    });
}

#[test]
fn a_defect_of_the_server_is_a_5xx() {
    both_ways(|| {
        Case::fails(
            "status",
            ":500",
            "http_5xx",
            "500: the script refuses this request",
        )
    });
}

#[test]
fn a_server_that_is_not_there_yet_is_a_5xx() {
    both_ways(|| {
        Case::fails(
            "status",
            ":503",
            "http_5xx",
            "503: the script refuses this request",
        )
    });
}

#[test]
fn too_many_requests_are_told_apart_and_keep_their_retry_after() {
    for more in [STREAM, WHOLE] {
        let words = "429: the script has had too many requests";
        let case = Case::fails("rate-limit", ":7", "http_429", words).with(more);
        let (_, place) = case.check();
        for record in place.records("records.jsonl") {
            let limited = record["outcome"] == "http_429";
            let wanted = if limited {
                serde_json::json!(7.0)
            } else {
                Value::Null
            };
            assert_eq!(record["retry_after_s"], wanted);
        }
    }
}

#[test]
fn a_slow_start_is_measured_and_no_failure() {
    for more in [STREAM, WHOLE] {
        let (result, _) = Case::passes("slow-start", ":300ms", "truncated")
            .with(more)
            .check();
        let longest = result["metrics"]["total_latency_ms"]["max"]
            .as_f64()
            .unwrap();
        assert!((300.0..1000.0).contains(&longest), "{longest}");
    }
}

#[test]
fn a_stall_is_a_gap_and_no_failure() {
    let (result, _) = Case::passes("stall", ":3,300ms", "truncated").check();
    let gap = result["metrics"]["icl_ms"]["max"].as_f64().unwrap();
    assert!((290.0..1000.0).contains(&gap), "{gap}");
    Case::passes("stall", ":3,300ms", "truncated")
        .with(WHOLE)
        .check();
}

#[test]
fn a_stream_without_its_end_is_cut() {
    Case::fails(
        "cut",
        ":3",
        "cut",
        "the answer ended without its terminal event",
    )
    .check();
}

#[test]
fn a_whole_answer_that_breaks_off_is_cut() {
    for kind in ["cut", "malformed"] {
        let (result, _) = whole_answers_that_fail(kind, ":3");
        assert_eq!(kinds(&result), ["cut"], "{}", result["errors"]);
    }
}

#[test]
fn a_connection_that_closes_within_an_answer_cuts_it() {
    for more in [STREAM, WHOLE] {
        let words = "the connection was closed before the answer was complete";
        Case::fails("drop", ":3", "cut", words).with(more).check();
    }
}

#[test]
fn a_connection_that_closes_before_the_answer_is_a_failed_connection() {
    let words = "the connection was closed before the answer was complete";
    both_ways(|| Case::fails("drop-before", "", "connect", words));
}

#[test]
fn an_event_of_broken_json_is_a_parse_error() {
    let mock = faulty(&["malformed=0.35:3"]);
    let place = Place::new();
    load(&place, &mock, STREAM).expect(1);
    let result = place.json("result.json");
    let struck = mock.stats().snapshot().faults["malformed"];
    assert_eq!(kinds(&result), ["parse_error"], "{}", result["errors"]);
    assert_eq!(count(&result["totals"], "failed"), struck);
    assert_eq!(count(&result["totals"], "completed"), REQUESTS - struck);
    for error in result["errors"].as_array().unwrap() {
        let text = error["text"].as_str().unwrap();
        assert!(
            text.contains("chatcmpl") && text.chars().count() < 256,
            "{text}"
        );
    }
}

#[test]
fn an_error_within_a_good_status_is_found() {
    let words = "the engine failed in the middle of this answer";
    for more in [STREAM, WHOLE] {
        let (result, _) = if more == STREAM {
            Case::fails("error-in-stream", ":3", "in_stream_error", words).check()
        } else {
            whole_answers_that_fail("error-in-stream", ":3")
        };
        assert_eq!(kinds(&result), ["in_stream_error"], "{}", result["errors"]);
    }
}

#[test]
fn an_answer_of_nothing_is_empty() {
    both_ways(|| {
        Case::fails(
            "empty",
            "",
            "empty",
            "the answer has neither text nor output tokens",
        )
    });
}

#[test]
fn a_wrong_usage_is_no_failure() {
    both_ways(|| Case::passes("wrong-usage", ":2", "truncated"));
}

#[test]
fn an_answer_that_stops_early_is_whole() {
    both_ways(|| Case::passes("short", ":3", "ok"));
}

#[test]
fn a_server_that_hangs_costs_its_requests_and_no_more() {
    for more in [STREAM, WHOLE] {
        let words = "not complete within 300ms";
        let more = [more, &["--timeout", "300ms"]].concat();
        Case::fails("hang", "", "timeout_total", words)
            .with(Vec::leak(more))
            .check();
    }
}

#[test]
fn what_hangs_at_the_end_is_cancelled_and_no_failure() {
    let mock = faulty(&["hang=1"]);
    let place = Place::new();
    let url = url(&mock);
    let ran = place.run(&[
        "run",
        "-H",
        &url,
        "-u",
        "3",
        "-r",
        "1000",
        "-t",
        "300ms",
        "--stop-timeout",
        "200ms",
        "--json-file",
        "result.json",
    ]);
    ran.expect(0);
    let totals = &place.json("result.json")["totals"];
    assert_eq!(
        count(totals, "sent"),
        mock.stats().snapshot().faults["hang"]
    );
    assert_eq!(totals["outcomes"], serde_json::json!({"cancelled": 3}));
    assert_eq!(
        (count(totals, "failed"), count(totals, "cancelled")),
        (0, 3)
    );
}

#[test]
fn several_faults_at_once_are_counted_each_by_itself() {
    let mock = faulty(&[
        "status=0.2:500",
        "rate-limit=0.2",
        "cut=0.2",
        "drop-before=0.1",
        "empty=0.1",
    ]);
    let place = Place::new();
    let more = ["--max-requests", "60", "--connection-reuse", "never"];
    load(&place, &mock, &more).expect(1);
    let stats = mock.stats().snapshot();
    let outcomes = &place.json("result.json")["totals"]["outcomes"];
    let mut struck = 0;
    for (fault, outcome) in [
        ("status", "http_5xx"),
        ("rate-limit", "http_429"),
        ("cut", "cut"),
        ("drop-before", "connect"),
        ("empty", "empty"),
    ] {
        assert!(stats.faults[fault] > 0, "{fault}");
        assert_eq!(count(outcomes, outcome), stats.faults[fault], "{outcomes}");
        struck += stats.faults[fault];
    }
    assert_eq!(count(outcomes, "truncated"), 60 - struck);
}

#[test]
fn an_answer_without_usage_is_good_and_its_tokens_unknown() {
    for more in [STREAM, WHOLE] {
        let mock = serve(Script {
            usage_missing: true,
            ..at_once()
        });
        let place = Place::new();
        load(&place, &mock, more).expect(0);
        let result = place.json("result.json");
        assert_eq!(count(&result["totals"], "completed"), REQUESTS);
        assert_eq!(
            result["tokens"]["requests_by_source"],
            serde_json::json!({})
        );
        assert_eq!(result["metrics"].get("output_tokens"), None);
        let warned = &result["warnings"][0];
        assert_eq!(
            (&warned["name"], &warned["count"]),
            (&"tokens_unknown".into(), &REQUESTS.into())
        );
    }
}

#[test]
fn a_first_event_of_the_role_alone_is_not_the_first_token() {
    let mock = serve(Script {
        ttft: "150ms".parse().unwrap(),
        role_first: true,
        ..at_once()
    });
    let place = Place::new();
    load(&place, &mock, &["-u", "24"]).expect(0);
    let metrics = &place.json("result.json")["metrics"];
    assert!(
        metrics["ttft_ms"]["min"].as_f64().unwrap() >= 150.0,
        "{metrics}"
    );
    assert!(
        metrics["ttfb_ms"]["min"].as_f64().unwrap() < 100.0,
        "{metrics}"
    );
}

#[test]
fn reasoning_is_output_but_not_visible_output() {
    for field in [
        ReasoningField::ReasoningContent,
        ReasoningField::Reasoning,
        ReasoningField::Both,
    ] {
        let mock = serve(Script {
            inter_token: "20ms".parse().unwrap(),
            reasoning_tokens: 5,
            reasoning_field: field,
            ..at_once()
        });
        let place = Place::new();
        load(&place, &mock, &["-u", "24"]).expect(0);
        for record in place.records("records.jsonl") {
            let content = record["content_ns"].as_array().unwrap();
            assert_eq!(
                (content.len(), &record["first_visible_ns"]),
                (8, &content[5]),
                "{field:?}"
            );
            assert_eq!(record["usage"]["reasoning_tokens"], 5);
        }
    }
}

/// A run of whole answers of which a third meet a fault.
fn whole_answers_that_fail(kind: &str, parameter: &str) -> (Value, Place) {
    let mock = faulty(&[&format!("{kind}=0.35{parameter}")]);
    let place = Place::new();
    load(&place, &mock, WHOLE).expect(1);
    let result = place.json("result.json");
    let struck = mock.stats().snapshot().faults[kind];
    assert_eq!(count(&result["totals"], "failed"), struck);
    assert_eq!(count(&result["totals"], "completed"), REQUESTS - struck);
    (result, place)
}

/// The outcomes in the error report, one each.
fn kinds(result: &Value) -> Vec<&str> {
    let errors = result["errors"].as_array().unwrap();
    let mut kinds: Vec<_> = errors
        .iter()
        .map(|error| error["outcome"].as_str().unwrap())
        .collect();
    kinds.dedup();
    kinds
}

#[test]
fn over_http2_faults_end_in_the_same_outcomes() {
    let mock = faulty(&[
        "status=0.2:500",
        "rate-limit=0.2",
        "cut=0.2",
        "drop=0.1",
        "empty=0.1",
    ]);
    let place = Place::new();
    load(&place, &mock, &["--http", "2", "--max-requests", "60"]).expect(1);
    let stats = mock.stats().snapshot();
    let result = place.json("result.json");
    let outcomes = &result["totals"]["outcomes"];
    assert_eq!(stats.requests.numbered, 60);
    for (faults, outcome) in [
        (&["status"][..], "http_5xx"),
        (&["rate-limit"], "http_429"),
        (&["cut", "drop"], "cut"),
        (&["empty"], "empty"),
    ] {
        let struck: u64 = faults.iter().map(|fault| stats.faults[fault]).sum();
        let told = count(outcomes, outcome);
        assert_eq!(
            told, struck,
            "{outcome} of {outcomes}: {}",
            result["errors"]
        );
    }
}
