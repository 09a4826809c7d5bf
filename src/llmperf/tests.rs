//! Answers through individual responses to both files and the console.

use serde_json::{Value, json};

use super::*;
use crate::domain::{Answer, Offset, Outcome};
use crate::page::Block;
use crate::report::page::Course;

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
        arrivals: Vec::new(),
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
        arrivals: Vec::new(),
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
        last_content: Some(ms(600)),
        end: ms(600),
        ..answer()
    })
    .unwrap();
    assert_eq!(
        (whole.ttft_s, whole.inter_token_latency_s),
        (None, Some(0.05))
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
        arrivals: Vec::new(),
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
#[expect(clippy::too_many_lines, reason = "the snapshot has every key")]
fn the_summary_has_llmperfs_keys_in_its_order() {
    let summary = summary(&bench(), &three(), 2.0, 1_700_000_000);
    insta::assert_snapshot!(file(&summary).unwrap(), @r#"
    {
        "version": "2023-08-31",
        "name": "maker-model-1-5_550_150_summary",
        "model": "maker/model-1.5",
        "mean_input_tokens": 550,
        "stddev_input_tokens": 150,
        "mean_output_tokens": 150,
        "stddev_output_tokens": 80,
        "num_concurrent_requests": 10,
        "additional_sampling_params_temperature": 0.7,
        "additional_sampling_params_extra_deep": [
            1
        ],
        "results_inter_token_latency_s_quantiles_p25": 0.035,
        "results_inter_token_latency_s_quantiles_p50": 0.04,
        "results_inter_token_latency_s_quantiles_p75": 0.045000000000000005,
        "results_inter_token_latency_s_quantiles_p90": 0.048,
        "results_inter_token_latency_s_quantiles_p95": 0.049,
        "results_inter_token_latency_s_quantiles_p99": 0.049800000000000004,
        "results_inter_token_latency_s_mean": 0.04,
        "results_inter_token_latency_s_min": 0.030000000000000002,
        "results_inter_token_latency_s_max": 0.05,
        "results_inter_token_latency_s_stddev": 0.01414213562373095,
        "results_ttft_s_quantiles_p25": 0.05,
        "results_ttft_s_quantiles_p50": 0.05,
        "results_ttft_s_quantiles_p75": 0.05,
        "results_ttft_s_quantiles_p90": 0.05,
        "results_ttft_s_quantiles_p95": 0.05,
        "results_ttft_s_quantiles_p99": 0.05,
        "results_ttft_s_mean": 0.05,
        "results_ttft_s_min": 0.05,
        "results_ttft_s_max": 0.05,
        "results_ttft_s_stddev": 0.0,
        "results_end_to_end_latency_s_quantiles_p25": 0.6325000000000001,
        "results_end_to_end_latency_s_quantiles_p50": 0.755,
        "results_end_to_end_latency_s_quantiles_p75": 0.8775,
        "results_end_to_end_latency_s_quantiles_p90": 0.9510000000000001,
        "results_end_to_end_latency_s_quantiles_p95": 0.9755,
        "results_end_to_end_latency_s_quantiles_p99": 0.9951,
        "results_end_to_end_latency_s_mean": 0.755,
        "results_end_to_end_latency_s_min": 0.51,
        "results_end_to_end_latency_s_max": 1.0,
        "results_end_to_end_latency_s_stddev": 0.3464823227814083,
        "results_request_output_throughput_token_per_s_quantiles_p25": 22.205882352941178,
        "results_request_output_throughput_token_per_s_quantiles_p50": 24.80392156862745,
        "results_request_output_throughput_token_per_s_quantiles_p75": 27.401960784313726,
        "results_request_output_throughput_token_per_s_quantiles_p90": 28.96078431372549,
        "results_request_output_throughput_token_per_s_quantiles_p95": 29.480392156862745,
        "results_request_output_throughput_token_per_s_quantiles_p99": 29.896078431372548,
        "results_request_output_throughput_token_per_s_mean": 24.80392156862745,
        "results_request_output_throughput_token_per_s_min": 19.607843137254903,
        "results_request_output_throughput_token_per_s_max": 30.0,
        "results_request_output_throughput_token_per_s_stddev": 7.348364588801376,
        "results_number_input_tokens_quantiles_p25": 91.0,
        "results_number_input_tokens_quantiles_p50": 91.0,
        "results_number_input_tokens_quantiles_p75": 91.0,
        "results_number_input_tokens_quantiles_p90": 91.0,
        "results_number_input_tokens_quantiles_p95": 91.0,
        "results_number_input_tokens_quantiles_p99": 91.0,
        "results_number_input_tokens_mean": 91.0,
        "results_number_input_tokens_min": 91,
        "results_number_input_tokens_max": 91,
        "results_number_input_tokens_stddev": 0.0,
        "results_number_output_tokens_quantiles_p25": 15.0,
        "results_number_output_tokens_quantiles_p50": 20.0,
        "results_number_output_tokens_quantiles_p75": 25.0,
        "results_number_output_tokens_quantiles_p90": 28.0,
        "results_number_output_tokens_quantiles_p95": 29.0,
        "results_number_output_tokens_quantiles_p99": 29.8,
        "results_number_output_tokens_mean": 20.0,
        "results_number_output_tokens_min": 10,
        "results_number_output_tokens_max": 30,
        "results_number_output_tokens_stddev": 14.142135623730951,
        "results_num_requests_started": 3,
        "results_error_rate": 0.3333333333333333,
        "results_number_errors": 1,
        "results_error_code_frequency": "{429: 1}",
        "results_mean_output_throughput_token_per_s": 20.0,
        "results_num_completed_requests": 2,
        "results_num_completed_requests_per_min": 60.0,
        "site": "lab",
        "timestamp": 1700000000
    }
    "#);
}

#[test]
fn the_individual_file_has_llmperfs_keys_in_its_order() {
    insta::assert_snapshot!(file(&three().split_off(1)).unwrap(), @r#"
    [
        {
            "error_code": null,
            "error_msg": "",
            "inter_token_latency_s": 0.030000000000000002,
            "ttft_s": 0.05,
            "end_to_end_latency_s": 1.0,
            "request_output_throughput_token_per_s": 30.0,
            "number_total_tokens": 121,
            "number_output_tokens": 30,
            "number_input_tokens": 91
        },
        {
            "error_code": 429,
            "error_msg": "slow down",
            "inter_token_latency_s": null,
            "ttft_s": null,
            "end_to_end_latency_s": null,
            "request_output_throughput_token_per_s": null,
            "number_total_tokens": null,
            "number_output_tokens": null,
            "number_input_tokens": 91
        }
    ]
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the snapshot has every line")]
fn the_console_has_llmperfs_lines() {
    insta::assert_snapshot!(console(&bench(), &three(), 2.0), @r#"
    Results for token benchmark for maker/model-1.5 queried with the openai api.

    inter_token_latency_s
        p25 = 0.035
        p50 = 0.04
        p75 = 0.045000000000000005
        p90 = 0.048
        p95 = 0.049
        p99 = 0.049800000000000004
        mean = 0.04
        min = 0.030000000000000002
        max = 0.05
        stddev = 0.01414213562373095
    ttft_s
        p25 = 0.05
        p50 = 0.05
        p75 = 0.05
        p90 = 0.05
        p95 = 0.05
        p99 = 0.05
        mean = 0.05
        min = 0.05
        max = 0.05
        stddev = 0.0
    end_to_end_latency_s
        p25 = 0.6325000000000001
        p50 = 0.755
        p75 = 0.8775
        p90 = 0.9510000000000001
        p95 = 0.9755
        p99 = 0.9951
        mean = 0.755
        min = 0.51
        max = 1.0
        stddev = 0.3464823227814083
    request_output_throughput_token_per_s
        p25 = 22.205882352941178
        p50 = 24.80392156862745
        p75 = 27.401960784313726
        p90 = 28.96078431372549
        p95 = 29.480392156862745
        p99 = 29.896078431372548
        mean = 24.80392156862745
        min = 19.607843137254903
        max = 30.0
        stddev = 7.348364588801376
    number_input_tokens
        p25 = 91.0
        p50 = 91.0
        p75 = 91.0
        p90 = 91.0
        p95 = 91.0
        p99 = 91.0
        mean = 91.0
        min = 91
        max = 91
        stddev = 0.0
    number_output_tokens
        p25 = 15.0
        p50 = 20.0
        p75 = 25.0
        p90 = 28.0
        p95 = 29.0
        p99 = 29.8
        mean = 20.0
        min = 10
        max = 30
        stddev = 14.142135623730951
    Number Of Errored Requests: 1
    Error Code Frequency
    {429: 1}
    Overall Output Throughput: 20.0
    Number Of Completed Requests: 2
    Completed Requests Per Minute: 60.0
    "#);
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

#[test]
fn the_page_tells_everything() {
    let mut bench = bench();
    bench.model = "<b>model</b>".to_owned();
    let mut responses = three();
    responses[2].error_msg = "<script>alert(1)</script>".to_owned();
    let flat = summary(&bench, &responses, 2.0, 1_700_000_000);
    let page = benchmark_page(&bench, &flat, &responses, &Course::default());
    assert_eq!(page.title, "<b>model</b>");
    let told = serde_json::to_value(&page).unwrap();
    let facts: Vec<_> = page
        .facts
        .iter()
        .map(|fact| (fact.name.as_str(), fact.value.as_str()))
        .collect();
    assert_eq!(facts[0], ("requests completed", "2"));
    assert_eq!(facts[3], ("requests failed", "33.3"));
    assert!(
        page.subtitle.contains("over at 2023-11-14 22:13:20 UTC"),
        "{}",
        page.subtitle
    );
    let headings: Vec<_> = page
        .sections
        .iter()
        .map(|section| section.heading.as_str())
        .collect();
    assert_eq!(headings, ["Figures", "Errors", "Plots", "Settings"]);
    let rows = &told["sections"][0]["blocks"][0]["rows"];
    assert_eq!(
        rows[2].as_array().unwrap()[..3],
        ["inter-token latency (ms)", "40", "35"]
    );
    assert_eq!(
        told["sections"][1]["blocks"][0]["rows"],
        json!([["429", "1", "<script>alert(1)</script>"]])
    );
    let charts = told["sections"][2]["blocks"].as_array().unwrap();
    assert_eq!(charts.len(), 4);
    assert_eq!(
        charts[1]["summary"],
        "Inter-token latencies of 2 requests: p50 40 ms, p95 49 ms, p99 49.8 ms; 1 failed request left out."
    );
    let rows = told["sections"][3]["blocks"][0]["rows"].as_array().unwrap();
    assert!(rows.contains(&json!(["additional_sampling_params_temperature", "0.7"])));
}

#[test]
fn the_page_of_a_test_that_was_played_tells_how_it_went() {
    let words = |text: &str| {
        vec![Block::Text {
            text: text.to_owned(),
        }]
    };
    let course = Course {
        over_time: words("step by step"),
        trust: words("the generator"),
        settings: words("the plan"),
    };
    let responses = three();
    let flat = summary(&bench(), &responses, 2.0, 1);
    let page = benchmark_page(&bench(), &flat, &responses, &course);
    let sections = page.sections.iter();
    let told: Vec<_> = sections
        .map(|section| (section.heading.as_str(), section.blocks.last().cloned()))
        .collect();
    assert_eq!(
        told[3..],
        [
            ("Over time", words("step by step").pop()),
            (
                "Can these figures be trusted?",
                words("the generator").pop()
            ),
            ("Settings", words("the plan").pop()),
        ]
    );
}

#[test]
fn a_page_of_nothing_has_dashes() {
    let page = benchmark_page(
        &bench(),
        &summary(&bench(), &[], 0.0, 1),
        &[],
        &Course::default(),
    );
    let headings: Vec<_> = page
        .sections
        .iter()
        .map(|section| section.heading.as_str())
        .collect();
    assert_eq!(headings, ["Figures", "Settings"]);
    let told = serde_json::to_string(&page).unwrap();
    assert!(told.contains("\"–\""), "{told}");
}

#[test]
fn plots_leave_failures_out_and_say_so() {
    use crate::chart::Body;
    let drawn = plots("a", &three());
    let names: Vec<_> = drawn.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "e2e_latencies",
            "inter_token_latencies",
            "time_to_first_token",
            "inter_token_vs_throughput"
        ]
    );
    let Body::Histogram {
        values,
        marks,
        note,
        ..
    } = &drawn[1].1.panels[0].body
    else {
        panic!("no histogram");
    };
    assert_eq!(values, &[50.0, 30.000_000_000_000_004]);
    assert_eq!(
        (marks[0].label.as_str(), note.as_str()),
        ("p50 40 ms", "1 failed request left out")
    );
    let Body::Scatter {
        points, y_marks, ..
    } = &drawn[2].1.panels[0].body
    else {
        panic!("no points");
    };
    assert_eq!(
        (points.as_slice(), y_marks.len()),
        ([(91.0, 0.05); 2].as_slice(), 3)
    );
}
