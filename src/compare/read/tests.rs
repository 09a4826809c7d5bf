//! What each kind of file tells, and what is said of files that tell nothing.

use serde_json::json;

use super::*;
use crate::compare::{Figure, Kind, Rate, Stat};

fn llmperf(text: &str) -> Run {
    match read("x.json", text) {
        Ok(Found::Llmperf(run)) => *run,
        other => panic!("{other:?}"),
    }
}

fn near(got: Option<f64>, want: f64) -> bool {
    got.is_some_and(|got| (got - want).abs() < 1e-9)
}

#[test]
fn a_summary_of_llmperf_tells_its_figures_and_settings() {
    let run = llmperf(
        r#"{"version": "2023-08-31", "name": "n", "model": "m", "mean_input_tokens": 550, "stddev_input_tokens": 150,
        "mean_output_tokens": 150, "stddev_output_tokens": 0, "num_concurrent_requests": 2,
        "additional_sampling_params_temperature": 0.5,
        "results_ttft_s_quantiles_p50": 1.5, "results_ttft_s_mean": NaN, "results_ttft_s_stddev": 0.25,
        "results_num_requests_started": 10, "results_error_rate": 0.1, "results_number_errors": 1,
        "results_mean_output_throughput_token_per_s": 12.5, "results_num_completed_requests": 9,
        "results_num_completed_requests_per_min": 30.0, "stage": "main", "timestamp": 1}"#,
    );
    let settings = &run.settings;
    assert_eq!(settings.model.as_deref(), Some("m"));
    assert_eq!(settings.input.as_deref(), Some("550 ± 150"));
    assert_eq!(
        (settings.output.as_deref(), settings.concurrency.as_deref()),
        (Some("150"), Some("2"))
    );
    assert_eq!(
        settings.sampling,
        [("temperature".to_owned(), "0.5".to_owned())].into()
    );
    assert_eq!(
        settings.metadata,
        [("stage".to_owned(), "main".to_owned())].into()
    );
    assert!(near(run.stat(Figure::Ttft, Stat::Median), 1.5));
    assert_eq!(run.stat(Figure::Ttft, Stat::Mean), None, "NaN is not known");
    assert_eq!(
        run.stat(Figure::EndToEnd, Stat::Mean),
        None,
        "absent is not 0"
    );
    assert_eq!((run.requests, run.errors), (Some(10), Some(1)));
    assert_eq!(
        run.rates,
        [
            (Rate::OverallThroughput, 12.5),
            (Rate::RequestsPerMinute, 30.0)
        ]
        .into()
    );
}

#[test]
fn a_failed_response_counts_as_that_alone() {
    let good = json!({"error_code": null, "error_msg": "", "inter_token_latency_s": 0.1, "ttft_s": 0.5,
        "end_to_end_latency_s": 2.0, "request_output_throughput_token_per_s": 10.0, "number_total_tokens": 30,
        "number_output_tokens": 20, "number_input_tokens": 10});
    let mut failed = good.clone();
    for key in [
        "inter_token_latency_s",
        "ttft_s",
        "end_to_end_latency_s",
        "number_output_tokens",
    ] {
        failed[key] = json!(0);
    }
    failed["error_code"] = json!(-1);
    let mut unstreamed = good.clone();
    unstreamed["ttft_s"] = json!(-1);
    unstreamed["error_msg"] = json!(null);
    let run = llmperf(&json!([good, failed, unstreamed]).to_string());
    assert_eq!((run.requests, run.errors), (Some(3), Some(1)));
    assert_eq!(run.answers[&Figure::Ttft], [0.5], "-1 is no time");
    assert_eq!(run.answers[&Figure::EndToEnd], [2.0, 2.0]);
    assert_eq!(run.answers[&Figure::OutputTokens], [20.0, 20.0]);
    let literals = json!([good]).to_string().replace("0.1", "NaN");
    assert_eq!(llmperf(&literals).answers.get(&Figure::InterToken), None);
}

fn line(index: u64, outcome: &str, sent: u64, tokens: u64) -> String {
    let ms = 1_000_000;
    let sent = sent * ms;
    json!({"index": {"arrival": index}, "outcome": outcome, "due_ns": sent, "sent_ns": sent, "headers_ns": sent + ms,
        "content_ns": [sent + 100 * ms, sent + 200 * ms, sent + 400 * ms], "tokens": [2, 1, 1], "first_visible_ns": null,
        "end_ns": sent + 500 * ms, "streamed": true, "status": 200, "error": "", "retry_after_s": null, "finish": "stop",
        "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "cached_tokens": null, "reasoning_tokens": null},
        "logprob_tokens": null, "tokenizer_tokens": 7, "max_tokens": 8, "requested_prompt_tokens": null,
        "counted_prompt_tokens": null, "output_chars": 9, "body_bytes": 9, "new_connection": false, "connect_ns": 0})
    .to_string()
}

fn records(text: &str) -> Records {
    match read("r.jsonl", text) {
        Ok(Found::Records(records)) => records,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_have_llmperfs_figures_and_our_own() {
    let run = records(&(line(0, "ok", 1_000, 4) + "\n")).run(None);
    let mean = |figure| run.stat(figure, Stat::Mean);
    assert!(near(mean(Figure::Ttft), 0.1));
    assert!(
        near(mean(Figure::InterToken), 0.4 / 4.0),
        "sent to last content, by tokens"
    );
    assert!(
        near(mean(Figure::TimePerToken), 0.3 / 2.0),
        "first to last, two tokens came first"
    );
    assert!(near(mean(Figure::EndToEnd), 0.5));
    assert!(near(mean(Figure::Throughput), 8.0));
    assert!(near(mean(Figure::OutputTokens), 4.0) && near(mean(Figure::InputTokens), 9.0));
    assert_eq!(run.settings.counted_by.as_deref(), Some("usage"));
}

#[test]
fn records_of_several_workers_are_one_run() {
    let first = [
        line(0, "ok", 0, 4),
        line(2, "http_5xx", 100, 0),
        line(4, "cancelled", 150, 0),
    ]
    .join("\n");
    let second = line(1, "truncated", 1_500, 4) + "\n";
    let mut all = records(&first);
    all.extend(records(&second));
    let run = all.clone().run(None);
    assert_eq!((run.requests, run.errors), (Some(3), Some(1)));
    assert_eq!(run.kinds, [Kind::Records].into());
    // 8 tokens of good responses in two seconds.
    assert!((run.rates[&Rate::OverallThroughput] - 4.0).abs() < 1e-9);
    assert!((run.rates[&Rate::RequestsPerMinute] - 60.0).abs() < 1e-9);
    let window = Window {
        from_ns: 50_000_000,
        to_ns: 1_000_000_000,
    };
    let inside = all.run(Some(window));
    assert_eq!((inside.requests, inside.errors), (Some(1), Some(1)));
    assert!(inside.answers.is_empty());
}

#[test]
fn a_torn_last_record_is_left_out_and_told() {
    let text = line(0, "ok", 0, 4) + "\n" + &line(1, "ok", 9, 4)[..80];
    let run = records(&text).run(None);
    assert_eq!(run.requests, Some(1));
    assert!(run.notes.iter().any(|note| note.contains("torn")));
    let error = read("r.jsonl", &(line(0, "ok", 0, 4) + "\n{\"outcome\": 1}\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`r.jsonl` is broken at line 2: "),
        "{error}"
    );
}

#[test]
fn a_result_has_no_inter_token_latency_of_llmperf() {
    let metric = |mean: f64| json!({"count": 3, "mean": mean, "min": 10.0, "max": 40.0, "p50": 20.0, "p95": 40.0});
    let result = json!({
        "format": 2, "plan": {
            "provider": {"kind": "vllm", "model": "m", "stream": true, "sampling": {"temperature": 0.5, "top_k": null}},
            "schedule": {"users": 3, "pacing": {"open": {"rate": 2.5, "law": "poisson"}}},
            "workload": {"prompts": {"generated": {"tokens": 40}}, "output": {"mean": 8, "law": "constant"}},
        },
        "window": {"start_s": 0.5, "end_s": 2.0, "run_s": 4.0}, "totals": {"completed": 30},
        "measured": {"requests": 20, "failures": 2},
        "tokens": {"whole_run_output_per_s": 55.5, "requests_by_source": {"usage": 18}},
        "metrics": {"ttft_ms": metric(21.0), "tpot_ms": metric(22.0), "itl_ms": metric(23.0), "total_latency_ms": metric(24.0),
            "latency_ms": metric(25.0), "overall_latency_per_token_ms": metric(26.0), "output_tokens": metric(27.0)},
        "failure": null, "verdict": "strained",
    });
    let Ok(Found::Result(run, window)) = read("r.json", &result.to_string()) else {
        panic!("no result");
    };
    let want = Window {
        from_ns: 500_000_000,
        to_ns: 2_000_000_000,
    };
    assert_eq!(window, Some(want));
    assert!(near(run.stat(Figure::Ttft, Stat::Mean), 0.021));
    assert!(near(run.stat(Figure::EndToEnd, Stat::P95), 0.04));
    assert_eq!(run.stat(Figure::InterToken, Stat::Mean), None);
    assert!(near(run.stat(Figure::TimePerToken, Stat::Mean), 0.022));
    assert!(
        near(run.stat(Figure::Throughput, Stat::Median), 50.0),
        "one by the median"
    );
    assert!(near(run.stat(Figure::Throughput, Stat::Max), 100.0));
    assert_eq!(
        run.stat(Figure::Throughput, Stat::Mean),
        None,
        "no mean of ratios"
    );
    assert!(near(
        run.rates.get(&Rate::RequestsPerMinute).copied(),
        450.0
    ));
    assert_eq!((run.requests, run.errors), (Some(20), Some(2)));
    assert_eq!(
        run.settings.concurrency.as_deref(),
        Some("2.5 requests/s poisson")
    );
    assert_eq!(
        (
            run.settings.input.as_deref(),
            run.settings.output.as_deref()
        ),
        (Some("40"), Some("8"))
    );
    assert_eq!(run.notes, ["its own verdict is STRAINED"]);
}

#[test]
fn rows_of_tables_are_runs() {
    let text = "Provider,Model,Prompt Tokens,Concurrency,Time To First Token,Total Latency,Num Tokens,Num Requests,Qps,P50 Total Latency\n\
        vllm,m-7b,40.0,4,10.0,42.0,8.0,30,2.0,41.0\nvllm,m-7b,,QPS 2.0 constant,,,,3,,\n";
    let Ok(Found::Rows(rows)) = read("s.csv", text) else {
        panic!("no rows");
    };
    let (_, first) = &rows[0];
    assert!(
        near(first.stat(Figure::Ttft, Stat::Mean), 0.01)
            && near(first.stat(Figure::EndToEnd, Stat::Median), 0.041)
    );
    assert_eq!(first.rates, [(Rate::RequestsPerMinute, 120.0)].into());
    assert_eq!((rows.len(), first.requests), (2, None));
    assert!(rows[1].1.stated.is_empty() && rows[1].1.rates.is_empty());
    let text = "run,id,settings,QPS asked,TTFT mean,latency p50,tokens/s,requests,failures,verdict\n\
        1,abc,model=m users=4,,52.5,204.1,78.67,15,1,OK\n";
    let Ok(Found::Rows(rows)) = read("comparison.csv", text) else {
        panic!("no rows");
    };
    let (label, run) = &rows[0];
    assert_eq!(label.as_deref(), Some("model=m users=4"));
    assert_eq!((run.requests, run.errors), (Some(15), Some(1)));
    assert_eq!(
        (
            run.settings.model.as_deref(),
            run.settings.concurrency.as_deref()
        ),
        (Some("m"), Some("4"))
    );
    assert!(near(run.stat(Figure::EndToEnd, Stat::Median), 0.2041));
}

#[test]
fn a_correctness_test_is_told_from_a_benchmark() {
    let text = r#"{"version": "x", "number_errors": 2, "num_mismatched_requests": 3, "error_rate": 0.04, "mismatch_rate": 0.0625,
        "num_completed_requests": 50, "num_non_errored_requests": 48, "model": "m", "num_concurrent_requests": 5, "llm_api": "openai"}"#;
    let Ok(Found::Correctness(test)) = read("c.json", text) else {
        panic!("no correctness test");
    };
    assert_eq!((test.checked(), test.mismatched), (Some(48), Some(3)));
    let answers = r#"[{"metrics": {}, "generated_text": "1", "request_config": {}}]"#;
    assert_eq!(read("c.json", answers).unwrap(), Found::CorrectnessAnswers);
}

#[test]
fn what_is_no_result_says_what_it_lacks() {
    for (text, want) in [
        ("", "it is empty"),
        ("{}", "neither llmperf's `results_…` keys"),
        ("{\"results\": {}}", "its results are nested"),
        ("[{\"a\": 1}]", "response 1 of the list has no `ttft_s`"),
        ("a,b\n1,2\n", "neither JSON nor a table with `Provider`"),
        ("Provider,Num Requests\n", "the table has no row"),
        ("{\"a\": ", "is broken at line 1"),
        ("<html>", "neither JSON nor a table"),
    ] {
        let error = read("dir/x", text).unwrap_err().to_string();
        assert!(
            error.contains(want) && error.starts_with("`dir/x`"),
            "{text}: {error}"
        );
    }
}
