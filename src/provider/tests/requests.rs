//! The requests that each API gets: paths, headers, bodies.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::*;
use crate::domain::{Message, Role};

pub(super) fn text() -> Prompt {
    Prompt::Text("Say \"hi\"".into())
}

pub(super) fn talk() -> Prompt {
    let message = |role, content: &str| Message {
        role,
        content: content.to_owned(),
    };
    Prompt::Messages(
        [
            message(Role::System, "Be brief."),
            message(Role::User, "Hi"),
            message(Role::Assistant, "Hello"),
            message(Role::User, "Bye"),
        ]
        .into(),
    )
}

pub(super) fn request(spec: &Spec, ask: &Ask) -> Request<Bytes> {
    build(spec).unwrap().shape(ask).unwrap()
}

pub(super) fn body(spec: &Spec, ask: &Ask) -> String {
    String::from_utf8(request(spec, ask).into_body().to_vec()).unwrap()
}

fn full() -> Sampling {
    Sampling {
        temperature: Some(0.5),
        top_k: Some(5),
        n: Some(2),
        logprobs: Some(3),
        reasoning_effort: Some("low".to_owned()),
    }
}

#[test]
fn a_chat_request_has_what_was_set_and_nothing_else() {
    let mut spec = spec(Kind::OpenAi, true, true);
    assert_eq!(
        body(&spec, &ask(text(), None)),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":64,"messages":[{"role":"user","content":"Say \"hi\""}]}"#
    );
    spec.stream = false;
    spec.sampling = full();
    assert_eq!(
        body(&spec, &ask(talk(), None)),
        concat!(
            r#"{"model":"m","stream":false,"temperature":0.5,"top_k":5,"n":2,"logprobs":true,"top_logprobs":3,"#,
            r#""reasoning_effort":"low","max_tokens":64,"messages":[{"role":"system","content":"Be brief."},"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}]}"#
        )
    );
}

#[test]
fn a_completion_request_has_one_text() {
    let mut spec = spec(Kind::Vllm, false, true);
    spec.sampling.logprobs = Some(0);
    let asked = ask(talk(), None);
    assert_eq!(
        body(&spec, &asked),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"logprobs":0,"ignore_eos":true,"max_tokens":64,"prompt":"Be brief.\n\nHi\n\nHello\n\nBye"}"#
    );
    assert_eq!(request(&spec, &asked).uri(), "/v1/completions");
}

#[test]
fn no_tokens_can_be_asked_for() {
    let mut none = ask(text(), None);
    none.max_tokens = 0;
    assert!(body(&spec(Kind::OpenAi, true, false), &none).contains(r#""max_tokens":0"#));
}

#[test]
fn the_end_token_is_ignored_only_where_the_server_can() {
    for (kind, ignored) in [
        (Kind::OpenAi, false),
        (Kind::Vllm, true),
        (Kind::SgLang, true),
        (Kind::Together, true),
        (Kind::Fireworks, false),
        (Kind::Azure, false),
    ] {
        let body = body(
            &spoken(kind, true).or_else(|| spoken(kind, false)).unwrap(),
            &ask(text(), None),
        );
        assert_eq!(body.contains(r#""ignore_eos":true"#), ignored, "{kind}");
    }
}

#[test]
fn an_anthropic_request_has_its_system_text_apart() {
    let mut spec = spec(Kind::Anthropic, true, true);
    spec.sampling.temperature = Some(1.0);
    spec.sampling.top_k = Some(5);
    assert_eq!(
        body(&spec, &ask(talk(), None)),
        concat!(
            r#"{"model":"m","stream":true,"temperature":1.0,"top_k":5,"max_tokens":64,"system":"Be brief.","#,
            r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}]}"#
        )
    );
    let request = request(&spec, &ask(text(), None));
    assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
    assert_eq!(
        request.body(),
        r#"{"model":"m","stream":true,"temperature":1.0,"top_k":5,"max_tokens":64,"messages":[{"role":"user","content":"Say \"hi\""}]}"#
    );
}

#[test]
fn a_tgi_request_has_its_settings_in_parameters() {
    let mut spec = spec(Kind::Tgi, false, true);
    spec.sampling.temperature = Some(1.0);
    spec.sampling.logprobs = Some(2);
    let asked = ask(text(), None);
    assert_eq!(
        body(&spec, &asked),
        r#"{"inputs":"Say \"hi\"","parameters":{"max_new_tokens":64,"details":true,"do_sample":true,"temperature":1.0,"top_n_tokens":2}}"#
    );
    assert_eq!(request(&spec, &asked).uri(), "/generate_stream");
    spec.stream = false;
    spec.sampling = Sampling {
        temperature: Some(0.0),
        top_k: Some(5),
        ..Sampling::default()
    };
    let row = json!({"parameters": {"stop": ["x"]}});
    assert_eq!(
        body(&spec, &ask(text(), Some(row))),
        r#"{"inputs":"Say \"hi\"","parameters":{"max_new_tokens":64,"details":true,"do_sample":false,"top_k":5,"stop":["x"]}}"#
    );
    assert_eq!(build(&spec).unwrap().endpoint().path, "/generate");
}

#[test]
fn a_rows_fields_come_last_and_win() {
    let row = json!({
        "temperature": 0.0,
        "max_tokens": 7,
        "stream_options": {"continuous_usage_stats": true},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "stop": null,
    });
    let mut spec = spec(Kind::OpenAi, true, true);
    spec.sampling.temperature = Some(1.0);
    assert_eq!(
        body(&spec, &ask(text(), Some(row))),
        concat!(
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"temperature":0.0,"#,
            r#""max_tokens":7,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"stop":null}"#
        )
    );
}

#[test]
fn both_ways_to_write_a_body_agree() {
    for spec in Kind::ALL.into_iter().filter_map(|kind| spoken(kind, true)) {
        let kind = spec.kind;
        let quick: Value = serde_json::from_str(&body(&spec, &ask(talk(), None))).unwrap();
        let mut merged: Value =
            serde_json::from_str(&body(&spec, &ask(talk(), Some(json!({"x": 1}))))).unwrap();
        let place = match kind {
            Kind::Bedrock => &mut merged["additionalModelRequestFields"],
            _ => &mut merged,
        };
        assert_eq!(place.as_object_mut().unwrap().remove("x"), Some(json!(1)));
        if kind == Kind::Bedrock {
            merged
                .as_object_mut()
                .unwrap()
                .remove("additionalModelRequestFields");
        }
        assert_eq!(quick, merged, "{kind}");
    }
}

#[test]
fn headers_are_the_apis_and_the_settings_win() {
    let mut spec = spec(Kind::OpenAi, true, true);
    spec.headers.insert("X-Team".to_owned(), "a b".to_owned());
    spec.headers.insert("Accept".to_owned(), "*/*".to_owned());
    let request = request(&spec, &ask(text(), None));
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "/v1/chat/completions");
    assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(request.headers()[ACCEPT_ENCODING], "identity");
    assert_eq!(request.headers()["x-team"], "a b");
    assert_eq!(request.headers().get_all(ACCEPT).iter().count(), 1);
    assert_eq!(request.headers()[ACCEPT], "*/*");
    assert!(!request.headers().contains_key(AUTHORIZATION));
}

#[test]
fn keys_travel_in_the_apis_own_header_and_are_not_shown() {
    let key = Secret::new("sk-1");
    for (kind, name, value) in [
        (Kind::OpenAi, "authorization", "Bearer sk-1"),
        (Kind::Vllm, "authorization", "Bearer sk-1"),
        (Kind::Tgi, "authorization", "Bearer sk-1"),
        (Kind::Anthropic, "x-api-key", "sk-1"),
        (Kind::Fireworks, "authorization", "Bearer sk-1"),
        (Kind::Together, "authorization", "Bearer sk-1"),
        (Kind::Azure, "api-key", "sk-1"),
        (Kind::TritonInfer, "authorization", "Bearer sk-1"),
        (Kind::TritonGenerate, "authorization", "Bearer sk-1"),
        (Kind::Ollama, "authorization", "Bearer sk-1"),
        (Kind::LlamaCpp, "authorization", "Bearer sk-1"),
        (Kind::Responses, "authorization", "Bearer sk-1"),
        (Kind::Custom, "x-access-key", "Token sk-1"),
        (Kind::Bedrock, "authorization", "Bearer sk-1"),
        (Kind::BedrockInvoke, "authorization", "Bearer sk-1"),
    ] {
        let spec = spoken(kind, true).or_else(|| spoken(kind, false));
        let speaks = build(&spec.unwrap()).unwrap();
        let header = speaks.auth(&key).unwrap();
        assert_eq!(
            header,
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value)
            )
        );
        assert!(!format!("{header:?}").contains("sk-1"));
    }
    let broken = build(&spec(Kind::OpenAi, true, true))
        .unwrap()
        .auth(&Secret::new("sk\n1"));
    assert_eq!(
        broken.unwrap_err().to_string(),
        "the API key has characters that a header cannot have"
    );
}

#[test]
fn what_an_api_cannot_take_is_refused() {
    let refused = |kind, chat, sampling: Sampling| {
        let error = build(&Spec {
            sampling,
            ..spec(kind, chat, true)
        })
        .unwrap_err();
        error.to_string()
    };
    let set = Sampling::default;
    assert_eq!(
        refused(Kind::Anthropic, false, set()),
        "provider `anthropic` has no plain completions"
    );
    assert_eq!(
        refused(
            Kind::Anthropic,
            true,
            Sampling {
                logprobs: Some(1),
                ..set()
            }
        ),
        "provider `anthropic` has no logprobs"
    );
    assert_eq!(
        refused(
            Kind::Tgi,
            true,
            Sampling {
                n: Some(2),
                ..set()
            }
        ),
        "provider `tgi` has no n"
    );
    assert!(
        build(&Spec {
            sampling: Sampling {
                n: Some(1),
                ..set()
            },
            ..spec(Kind::Tgi, true, true)
        })
        .is_ok()
    );

    let mut bad = spec(Kind::OpenAi, true, true);
    bad.headers.insert("x y".to_owned(), "secret".to_owned());
    assert_eq!(
        build(&bad).unwrap_err().to_string(),
        "header `x y` has characters that a header cannot have"
    );
}

#[test]
fn a_model_that_thinks_first_is_told_its_length_by_its_own_name_alone() {
    let mut spec = spec(Kind::OpenAi, true, false);
    spec.place.max_completion_tokens = true;
    for (row, wanted) in [
        (None, 64),
        (Some(json!({"max_tokens": 9})), 9),
        (Some(json!({"max_completion_tokens": 8})), 8),
    ] {
        let body: Value = serde_json::from_str(&body(&spec, &ask(text(), row))).unwrap();
        assert_eq!(body["max_completion_tokens"], wanted);
        assert_eq!(body.get("max_tokens"), None);
    }
}
