//! The bytes of each dialect, and what its options change about them.

use insta::{assert_snapshot, with_settings};

use super::wire::{BodyEnd, exchange, fetch, post};
use super::{CHAT, at_once, chat, start};
use crate::mock::{ReasoningField, Script};

macro_rules! snapshot {
    ($body:expr, @$snapshot:literal) => {
        with_settings!({filters => vec![(r#""created":\d+"#, r#""created":0"#)]}, {
            assert_snapshot!($body, @$snapshot);
        });
    };
}

#[tokio::test]
async fn a_chat_streams_role_words_finish_usage_and_done() {
    let mock = start(at_once());
    let got = post(mock.addr(), CHAT, &chat(3)).await;
    assert_eq!((got.status, got.end), (200, BodyEnd::Proper));
    assert_eq!(
        got.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    snapshot!(got.body, @"");
}

#[tokio::test]
async fn a_chat_shows_reasoning_logprobs_running_usage_and_interleaved_choices() {
    let mock = start(Script {
        reasoning_tokens: 1,
        reasoning_field: ReasoningField::Both,
        tokens_per_event: 2,
        role_first: false,
        final_usage_with_choice: true,
        no_done: true,
        ..at_once()
    });
    let body = r#"{"messages":[],"max_tokens":3,"n":2,"logprobs":true,"stream":true,
        "stream_options":{"include_usage":true,"continuous_usage_stats":true}}"#;
    let got = post(mock.addr(), CHAT, body).await;
    snapshot!(got.body, @"");
}

#[tokio::test]
async fn a_completion_streams_text() {
    let mock = start(Script {
        crlf: true,
        usage_missing: true,
        ..at_once()
    });
    let body = r#"{"prompt":"a b","max_tokens":2,"stream":true,"logprobs":1,"stream_options":{"include_usage":true}}"#;
    let got = post(mock.addr(), "/v1/completions", body).await;
    assert_eq!(
        got.body.matches("\r\n").count(),
        got.body.matches('\n').count()
    );
    snapshot!(got.body, @"");
}

#[tokio::test]
async fn messages_stream_their_blocks() {
    let mock = start(Script {
        reasoning_tokens: 1,
        ..at_once()
    });
    let body =
        r#"{"model":"c","messages":[{"role":"user","content":"hi"}],"max_tokens":2,"stream":true}"#;
    let got = post(mock.addr(), "/v1/messages", body).await;
    snapshot!(got.body, @"");
}

#[tokio::test]
async fn tgi_streams_tokens_and_ends_with_the_text() {
    let mock = start(at_once());
    let body = r#"{"inputs":"hi there","parameters":{"max_new_tokens":2}}"#;
    let got = post(mock.addr(), "/generate_stream", body).await;
    snapshot!(got.body, @"");
}

#[tokio::test]
async fn whole_answers_say_the_same_in_one_piece() {
    let mock = start(Script {
        output_tokens: Some("2".parse().unwrap()),
        ..at_once()
    });
    let chat = post(mock.addr(), CHAT, r#"{"messages":[{"content":"a b"}]}"#).await;
    assert_eq!(chat.header("content-type"), Some("application/json"));
    snapshot!(chat.body, @"");
    let completion = post(
        mock.addr(),
        "/v1/completions",
        r#"{"prompt":"a","n":2,"logprobs":0}"#,
    )
    .await;
    snapshot!(completion.body, @"");
    let messages = r#"{"messages":[{"content":"a b"}],"system":"be brief","max_tokens":9}"#;
    let messages = post(mock.addr(), "/v1/messages", messages).await;
    snapshot!(messages.body, @"");
    let generate = r#"{"inputs":"a","parameters":{"details":true}}"#;
    let generate = post(mock.addr(), "/generate", generate).await;
    snapshot!(generate.body, @"");
}

#[tokio::test]
async fn an_unasked_usage_is_not_sent() {
    let mock = start(at_once());
    let got = post(
        mock.addr(),
        CHAT,
        r#"{"messages":[],"max_tokens":1,"stream":true}"#,
    )
    .await;
    assert!(!got.body.contains("usage"), "{}", got.body);
    assert_eq!(got.data().len(), 4);
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_dialect() {
    let mock = start(at_once());
    let bad = post(mock.addr(), "/v1/messages", r#"{"messages":[]}"#).await;
    assert_eq!(bad.status, 400);
    assert_snapshot!(bad.body, @"");
    let missing = fetch(mock.addr(), "/v1/nothing").await;
    assert_eq!(missing.status, 404);
    assert_eq!(fetch(mock.addr(), CHAT).await.status, 405);
    let fault = exchange(mock.addr(), CHAT, "x-mock-fault: burn\r\n", &chat(1))
        .await
        .unwrap();
    assert_eq!(fault.status, 400);
    assert_snapshot!(fault.body, @"");
    assert_eq!(mock.stats().snapshot().requests.refused, 2);
}

#[tokio::test]
async fn the_model_is_listed_and_the_server_is_well() {
    let script = Script {
        model: "x\"y".to_owned(),
        owned_by: "vllm".to_owned(),
        ..at_once()
    };
    let mock = start(script);
    assert_eq!(fetch(mock.addr(), "/health").await.status, 200);
    let models = fetch(mock.addr(), "/v1/models").await;
    snapshot!(models.body, @"");
}
