//! The requests that Google's servers get, and what they have no words for.

use http::header::AUTHORIZATION;
use serde_json::json;

use super::requests::{body, request, talk, text};
use super::*;
use crate::domain::{Part, Secret};

fn gemini_at_vertex(stream: bool) -> Spec {
    let mut spec = spec(Kind::Gemini, true, stream);
    spec.model = "gemini-2.5-flash".to_owned();
    spec.place.google = place(Kind::VertexAnthropic).google;
    spec
}

fn path(spec: &Spec) -> String {
    request(spec, &ask(text(), None)).uri().to_string()
}

fn key_header(spec: &Spec) -> (HeaderName, HeaderValue) {
    build(spec).unwrap().auth(&Secret::new("k")).unwrap()
}

#[test]
fn gemini_stands_at_two_places_and_takes_a_key_at_one_and_a_token_at_the_other() {
    let mut keyed = spec(Kind::Gemini, true, true);
    keyed.model = "gemini-2.5-flash".to_owned();
    assert_eq!(
        path(&keyed),
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
    assert_eq!(key_header(&keyed).0, "x-goog-api-key");
    keyed.stream = false;
    keyed.model = "tunedModels/mine".to_owned();
    assert_eq!(path(&keyed), "/v1beta/tunedModels/mine:generateContent");

    let mut vertex = gemini_at_vertex(true);
    assert_eq!(
        path(&vertex),
        "/v1/projects/p/locations/r/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
    let (name, value) = key_header(&vertex);
    assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, "Bearer k"));
    assert!(value.is_sensitive());
    vertex.place.google.as_mut().unwrap().endpoint = Some("12".to_owned());
    vertex.stream = false;
    assert_eq!(
        path(&vertex),
        "/v1/projects/p/locations/r/endpoints/12:generateContent"
    );
}

#[test]
fn gemini_is_asked_in_its_own_words() {
    let mut spec = gemini_at_vertex(true);
    assert_eq!(
        body(&spec, &ask(text(), None)),
        r#"{"contents":[{"role":"user","parts":[{"text":"Say \"hi\""}]}],"generationConfig":{"maxOutputTokens":64}}"#
    );
    spec.sampling = Sampling {
        temperature: Some(0.5),
        top_k: Some(5),
        n: Some(2),
        logprobs: Some(3),
        reasoning_effort: Some("low".to_owned()),
    };
    assert_eq!(
        body(&spec, &ask(talk(), None)),
        concat!(
            r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"Hi"}]},"#,
            r#"{"role":"model","parts":[{"text":"Hello"}]},{"role":"user","parts":[{"text":"Bye"}]}],"#,
            r#""generationConfig":{"maxOutputTokens":64,"temperature":0.5,"topK":5,"candidateCount":2,"#,
            r#""responseLogprobs":true,"logprobs":3,"thinkingConfig":{"thinkingBudget":1024,"includeThoughts":true}}}"#
        )
    );
    let row = json!({"max_tokens": 64, "top_p": 0.5, "tools": []});
    spec.sampling = Sampling::default();
    assert_eq!(
        body(&spec, &ask(text(), Some(row))),
        concat!(
            r#"{"contents":[{"role":"user","parts":[{"text":"Say \"hi\""}]}],"#,
            r#""generationConfig":{"maxOutputTokens":64,"topP":0.5},"tools":[]}"#
        )
    );
}

#[test]
fn images_go_to_gemini_in_line_and_never_by_their_address() {
    let prompt = |uri: &str| {
        let parts = [Part::Text("What?".into()), Part::Image(uri.into())];
        ask(Prompt::Parts(parts.into()), None)
    };
    let spec = gemini_at_vertex(true);
    assert_eq!(
        body(&spec, &prompt("data:image/png;base64,AAAA")),
        concat!(
            r#"{"contents":[{"role":"user","parts":[{"text":"What?"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}],"#,
            r#""generationConfig":{"maxOutputTokens":64}}"#
        )
    );
    let refused = build(&spec).unwrap().shape(&prompt("https://h/x.png"));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "provider `gemini` has no images by address"
    );
}

#[test]
fn an_empty_system_message_is_none() {
    let message = |role, content: &str| crate::domain::Message {
        role,
        content: content.to_owned(),
    };
    let talk = [
        message(crate::domain::Role::System, ""),
        message(crate::domain::Role::User, "Hi"),
    ];
    let said = body(
        &gemini_at_vertex(true),
        &ask(Prompt::Messages(talk.into()), None),
    );
    assert!(!said.contains("systemInstruction"), "{said}");
}

#[test]
fn an_endpoint_is_asked_for_one_prediction() {
    let mut spec = spec(Kind::VertexPredict, true, false);
    spec.sampling.temperature = Some(0.5);
    spec.sampling.top_k = Some(5);
    let asked = ask(talk(), Some(json!({"max_tokens": 64, "stop": ["x"]})));
    assert_eq!(
        path(&spec),
        "/v1/projects/p/locations/r/endpoints/12:predict"
    );
    assert_eq!(
        body(&spec, &asked),
        concat!(
            r#"{"instances":[{"prompt":"Be brief.\n\nHi\n\nHello\n\nBye"}],"#,
            r#""parameters":{"maxOutputTokens":64,"temperature":0.5,"topK":5,"stopSequences":["x"]}}"#
        )
    );
    spec.stream = true;
    assert_eq!(
        build(&spec).unwrap_err().to_string(),
        "provider `vertex-predict` has no streams: --no-stream asks for whole answers"
    );
}

#[test]
fn an_anthropic_model_at_vertex_stands_in_the_path_and_its_version_in_the_body() {
    let mut spec = spec(Kind::VertexAnthropic, true, true);
    spec.model = "claude-sonnet-4@20250514".to_owned();
    let asked = ask(talk(), None);
    let sent = request(&spec, &asked);
    assert_eq!(
        sent.uri(),
        "/v1/projects/p/locations/r/publishers/anthropic/models/claude-sonnet-4@20250514:streamRawPredict"
    );
    assert!(!sent.headers().contains_key("anthropic-version"));
    assert_eq!(
        body(&spec, &asked),
        concat!(
            r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"max_tokens":64,"system":"Be brief.","#,
            r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}]}"#
        )
    );
    spec.stream = false;
    spec.place.google.as_mut().unwrap().endpoint = Some("12".to_owned());
    assert_eq!(
        path(&spec),
        "/v1/projects/p/locations/r/endpoints/12:rawPredict"
    );
}

#[test]
fn without_a_place_there_is_no_path() {
    for kind in [Kind::VertexPredict, Kind::VertexAnthropic] {
        let mut spec = spoken(kind, false).unwrap();
        spec.place.google = None;
        let error = build(&spec).unwrap_err().to_string();
        assert!(error.contains("has no place without a project"), "{error}");
    }
}

#[test]
fn a_stream_ends_when_every_candidate_that_was_asked_for_has_finished() {
    let event = |index: u64, reason: &str| {
        let candidate = json!({"content": {"parts": [{"text": "x"}]}, "index": index});
        let mut event = json!({"candidates": [candidate]});
        if !reason.is_empty() {
            event["candidates"][0]["finishReason"] = json!(reason);
        }
        format!("data: {event}\n\n")
    };
    let ends = |n: u32, body: String| {
        let mut spec = gemini_at_vertex(true);
        spec.sampling.n = Some(n);
        let said = said_of(build(&spec).unwrap().decoder(), body.as_bytes());
        said.contains(&"End".to_owned())
    };
    assert!(ends(1, event(0, "STOP")));
    assert!(!ends(1, event(0, "")));
    assert!(!ends(1, event(0, "FINISH_REASON_UNSPECIFIED")));
    assert!(!ends(2, event(0, "STOP")));
    assert!(!ends(2, event(0, "STOP") + &event(1, "")));
    assert!(ends(
        2,
        event(0, "STOP") + &event(1, "") + &event(1, "MAX_TOKENS")
    ));
    assert!(!ends(1, event(4_294_967_295, "")), "no index is too wild");
}
