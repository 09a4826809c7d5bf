//! The bytes of the dialects that are neither OpenAI's chat and completions nor Anthropic's nor TGI's.

use insta::assert_snapshot;

use super::wire::{fetch, post};
use super::{at_once, start};
use crate::mock::Script;

#[tokio::test]
async fn embeddings_and_ranking_answer_with_numbers_for_each_thing() {
    let mock = start(at_once());
    let body = r#"{"model":"m","input":["one two","three"],"dimensions":2}"#;
    let got = post(mock.addr(), "/v1/embeddings", body).await;
    assert_snapshot!(got.body, @r#"{"id":"embd-mock-0","object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[1.0,0.5]},{"object":"embedding","index":1,"embedding":[1.0,0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#);
    let body = r#"{"model":"m","query":"which","documents":["one two","three","four"],"top_n":2}"#;
    let got = post(mock.addr(), "/v1/rerank", body).await;
    assert_snapshot!(got.body, @r#"{"id":"rerank-mock-1","object":"list","model":"m","results":[{"index":0,"relevance_score":1.0},{"index":1,"relevance_score":0.5}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#);
    let ids = post(mock.addr(), "/v1/embeddings", r#"{"input":[1,2,3]}"#).await;
    assert!(ids.body.contains("\"prompt_tokens\":3") && !ids.body.contains("\"index\":1"));
}

#[tokio::test]
async fn ollama_streams_lines() {
    let mock = start(Script {
        reasoning_tokens: 1,
        ..at_once()
    });
    let body =
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"options":{"num_predict":2}}"#;
    let got = post(mock.addr(), "/api/chat", body).await;
    assert_eq!(got.header("content-type"), Some("application/x-ndjson"));
    assert_snapshot!(got.body, @r#"
    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"amber"},"done":false}
    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"glacier"},"done":false}
    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"length","total_duration":0,"load_duration":0,"prompt_eval_count":1,"prompt_eval_duration":0,"eval_count":2,"eval_duration":0}
    "#);
    let body = r#"{"model":"m","prompt":"hi","stream":false,"options":{"num_predict":2}}"#;
    let got = post(mock.addr(), "/api/generate", body).await;
    assert_snapshot!(got.body, @r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","thinking":"field","response":"quiet","done":true,"done_reason":"length","total_duration":0,"load_duration":0,"prompt_eval_count":1,"prompt_eval_duration":0,"eval_count":2,"eval_duration":0}"#);
}

#[tokio::test]
async fn llama_cpp_tells_its_times_in_the_last_event() {
    let mock = start(at_once());
    let body = r#"{"prompt":"hi there","n_predict":1,"stream":true}"#;
    let got = post(mock.addr(), "/completion", body).await;
    assert_snapshot!(got.body, @r#"
    data: {"index":0,"content":"amber","tokens":[],"stop":false}

    data: {"index":0,"content":"","stop":true,"stop_type":"limit","model":"mock","truncated":false,"tokens_predicted":1,"tokens_evaluated":2,"timings":{"prompt_n":2,"prompt_ms":0.0,"predicted_n":1,"predicted_ms":0.0}}
    "#);
}

#[tokio::test]
async fn triton_repeats_the_prompt_of_a_whole_answer() {
    let mock = start(at_once());
    let body = r#"{"text_input":"hi there","max_tokens":2,"bad_words":"","stop_words":""}"#;
    let got = post(mock.addr(), "/v2/models/ensemble/generate", body).await;
    assert_snapshot!(got.body, @r#"{"model_name":"mock","model_version":"1","text_output":"<s> hi there amber glacier"}"#);
    let got = post(mock.addr(), "/v2/models/ensemble/generate_stream", body).await;
    assert_snapshot!(got.body, @r#"
    data: {"model_name":"mock","model_version":"1","text_output":"field"}

    data: {"model_name":"mock","model_version":"1","text_output":" quiet"}
    "#);
    let body = r#"{"inputs":[{"name":"text_input","data":[["hi there"]]},{"name":"max_tokens","data":[[2]]}]}"#;
    let got = post(mock.addr(), "/v2/models/ensemble/infer", body).await;
    assert_snapshot!(got.body, @r#"{"model_name":"mock","model_version":"1","outputs":[{"name":"text_output","datatype":"BYTES","shape":[1],"data":["<s> hi there pebble cedar"]}]}"#);
}

#[tokio::test]
async fn together_puts_a_whole_answer_under_output() {
    let mock = start(at_once());
    let got = post(mock.addr(), "/", r#"{"prompt":"hi","max_tokens":1}"#).await;
    assert!(
        got.body
            .starts_with(r#"{"status":"finished","output":{"id":"cmpl-mock-0""#),
        "{}",
        got.body
    );
    let got = post(
        mock.addr(),
        "/",
        r#"{"prompt":"hi","max_tokens":1,"stream_tokens":true}"#,
    )
    .await;
    assert!(got.body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn responses_name_their_events() {
    let mock = start(at_once());
    let body = r#"{"model":"m","input":"hi","max_output_tokens":1,"stream":true}"#;
    let got = post(mock.addr(), "/v1/responses", body).await;
    assert_snapshot!(got.body, @r#"
    event: response.created
    data: {"type":"response.created","response":{"id":"resp_mock_0","status":"in_progress"}}

    event: response.output_item.added
    data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","role":"assistant","content":[]}}

    event: response.output_text.delta
    data: {"type":"response.output_text.delta","item_id":"msg_0","output_index":0,"content_index":0,"delta":"amber"}

    event: response.incomplete
    data: {"type":"response.incomplete","response":{"id":"resp_mock_0","object":"response","status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[],"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":2}}}
    "#);
}

#[tokio::test]
async fn fireworks_tells_its_own_figures_and_takes_a_request_for_nothing() {
    let script = Script {
        owned_by: "fireworks".to_owned(),
        ttft: "50ms".parse().unwrap(),
        ..at_once()
    };
    let mock = start(script);
    let body = r#"{"prompt":"a b c","max_tokens":0,"prompt_cache_max_len":2}"#;
    let got = post(mock.addr(), "/v1/completions", body).await;
    assert_eq!(
        got.header("fireworks-server-time-to-first-token"),
        Some("0.05")
    );
    assert_eq!(got.header("fireworks-cached-prompt-tokens"), Some("2"));
    let body = r#"{"prompt":"a b c","max_tokens":4,"perf_metrics_in_response":true,"stream":true,
        "stream_options":{"include_usage":true}}"#;
    let got = post(mock.addr(), "/v1/completions", body).await;
    assert!(
        got.body
            .contains(r#""speculation-acceptance":"1:2/4,2:1/4""#),
        "{}",
        got.body
    );
    let plain = start(at_once());
    let refused = post(
        plain.addr(),
        "/v1/completions",
        r#"{"prompt":"a","max_tokens":0}"#,
    )
    .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn azures_paths_are_those_of_its_deployments() {
    let mock = start(at_once());
    let body = r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}"#;
    let path = "/openai/deployments/d/chat/completions?api-version=1";
    assert_eq!(post(mock.addr(), path, body).await.status, 200);
    assert_eq!(
        fetch(mock.addr(), "/openai/deployments/d/other")
            .await
            .status,
        404
    );
}
