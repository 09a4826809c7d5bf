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
    assert!(got.body.ends_with("data: [DONE]\n\n"));
    assert_eq!(
        got.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    snapshot!(got.body, @r#"
    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{"content":"amber"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{"content":" glacier"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{"content":" saffron"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"m","choices":[],"usage":{"prompt_tokens":3,"total_tokens":6,"completion_tokens":3}}

    data: [DONE]
    "#);
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
    snapshot!(got.body, @r#"
    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":0,"delta":{"reasoning_content":"amber","reasoning":"amber"},"logprobs":{"content":[{"token":"amber","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"finish_reason":null}],"usage":{"prompt_tokens":0,"total_tokens":1,"completion_tokens":1}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":1,"delta":{"reasoning_content":"birch","reasoning":"birch"},"logprobs":{"content":[{"token":"birch","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"finish_reason":null}],"usage":{"prompt_tokens":0,"total_tokens":2,"completion_tokens":2}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":0,"delta":{"content":"glacier saffron"},"logprobs":{"content":[{"token":"glacier","logprob":-0.25,"bytes":null,"top_logprobs":[]},{"token":" saffron","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"finish_reason":null}],"usage":{"prompt_tokens":0,"total_tokens":4,"completion_tokens":4}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":1,"delta":{"content":"island thunder"},"logprobs":{"content":[{"token":"island","logprob":-0.25,"bytes":null,"top_logprobs":[]},{"token":" thunder","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"finish_reason":null}],"usage":{"prompt_tokens":0,"total_tokens":6,"completion_tokens":6}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":0,"total_tokens":6,"completion_tokens":6}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":0,"total_tokens":6,"completion_tokens":6}}

    data: {"id":"chatcmpl-mock-0","object":"chat.completion.chunk","created":0,"model":"mock","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":0,"total_tokens":6,"completion_tokens":6,"completion_tokens_details":{"reasoning_tokens":2}}}
    "#);
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
    snapshot!(got.body, @r#"
    data: {"id":"cmpl-mock-0","object":"text_completion","created":0,"model":"mock","choices":[{"index":0,"text":"amber","logprobs":{"tokens":["amber"],"token_logprobs":[-0.25],"top_logprobs":null},"finish_reason":null}]}

    data: {"id":"cmpl-mock-0","object":"text_completion","created":0,"model":"mock","choices":[{"index":0,"text":" glacier","logprobs":{"tokens":[" glacier"],"token_logprobs":[-0.25],"top_logprobs":null},"finish_reason":null}]}

    data: {"id":"cmpl-mock-0","object":"text_completion","created":0,"model":"mock","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}

    data: [DONE]
    "#);
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
    snapshot!(got.body, @r#"
    event: message_start
    data: {"type":"message_start","message":{"id":"msg_mock_0","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":0}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"amber"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: content_block_start
    data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"glacier"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":1}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":2}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
}

#[tokio::test]
async fn tgi_streams_tokens_and_ends_with_the_text() {
    let mock = start(at_once());
    let body = r#"{"inputs":"hi there","parameters":{"max_new_tokens":2}}"#;
    let got = post(mock.addr(), "/generate_stream", body).await;
    snapshot!(got.body, @r#"
    data:{"index":1,"token":{"id":0,"text":"amber","logprob":-0.25,"special":false},"generated_text":null,"details":null}

    data:{"index":2,"token":{"id":27,"text":" glacier","logprob":-0.25,"special":false},"generated_text":"amber glacier","details":{"finish_reason":"length","generated_tokens":2,"seed":null,"input_length":2}}
    "#);
}

#[tokio::test]
async fn whole_answers_say_the_same_in_one_piece() {
    let mock = start(Script {
        output_tokens: Some("2".parse().unwrap()),
        ..at_once()
    });
    let chat = post(mock.addr(), CHAT, r#"{"messages":[{"content":"a b"}]}"#).await;
    assert_eq!(chat.header("content-type"), Some("application/json"));
    snapshot!(chat.body, @r#"{"id":"chatcmpl-mock-0","object":"chat.completion","created":0,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"amber glacier"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"total_tokens":4,"completion_tokens":2}}"#);
    let completion = post(
        mock.addr(),
        "/v1/completions",
        r#"{"prompt":"a","n":2,"logprobs":0}"#,
    )
    .await;
    snapshot!(completion.body, @r#"{"id":"cmpl-mock-1","object":"text_completion","created":0,"model":"mock","choices":[{"index":0,"text":"field quiet","logprobs":{"tokens":["field"," quiet"],"token_logprobs":[-0.25,-0.25],"top_logprobs":null},"finish_reason":"stop"},{"index":1,"text":"granite shadow","logprobs":{"tokens":["granite"," shadow"],"token_logprobs":[-0.25,-0.25],"top_logprobs":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"total_tokens":5,"completion_tokens":4}}"#);
    let messages = r#"{"messages":[{"content":"a b"}],"system":"be brief","max_tokens":9}"#;
    let messages = post(mock.addr(), "/v1/messages", messages).await;
    snapshot!(messages.body, @r#"{"id":"msg_mock_2","type":"message","role":"assistant","model":"mock","content":[{"type":"text","text":"pebble cedar"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":4,"output_tokens":2}}"#);
    let generate = r#"{"inputs":"a","parameters":{"details":true}}"#;
    let generate = post(mock.addr(), "/generate", generate).await;
    snapshot!(generate.body, @r#"{"generated_text":"birch island","details":{"finish_reason":"eos_token","generated_tokens":2,"seed":null,"input_length":1,"prefill":[],"tokens":[{"id":5,"text":"birch","logprob":-0.25,"special":false},{"id":32,"text":" island","logprob":-0.25,"special":false}]}}"#);
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
    assert_snapshot!(bad.body, @r#"{"type":"error","error":{"type":"invalid_request_error","message":"`max_tokens` is missing"}}"#);
    let missing = fetch(mock.addr(), "/v1/nothing").await;
    assert_eq!(missing.status, 404);
    assert_eq!(fetch(mock.addr(), CHAT).await.status, 405);
    let fault = exchange(mock.addr(), CHAT, "x-mock-fault: burn\r\n", &chat(1))
        .await
        .unwrap();
    assert_eq!(fault.status, 400);
    assert_snapshot!(fault.body, @r#"{"error":{"message":"`burn` is not a kind of fault","type":"BadRequestError","param":null,"code":400}}"#);
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
    snapshot!(models.body, @r#"{"object":"list","data":[{"id":"x\"y","object":"model","created":0,"owned_by":"vllm"}]}"#);
}
