//! Errors inside good answers have the number that the server gave them, whichever API it is.

use super::*;

/// The numbers of the errors that a decoder tells of.
fn codes(kind: Kind, stream: bool, body: &str) -> Vec<Option<i32>> {
    let spec = spoken(kind, stream).unwrap();
    let mut decoder = build(&spec).unwrap().decoder();
    let mut codes = Vec::new();
    let mut hear = |signal: Signal<'_>| {
        if let Signal::ServerError { code, .. } = signal {
            codes.push(code);
        }
    };
    decoder.feed(body.as_bytes(), &mut hear).unwrap();
    decoder.finish(&mut hear).unwrap();
    codes
}

#[test]
#[expect(clippy::too_many_lines, reason = "one case a dialect")]
fn streams_tell_the_code_of_their_error() {
    for (kind, body, code) in [
        (
            Kind::OpenAi,
            "data: {\"error\":{\"message\":\"m\",\"code\":503}}\n\n",
            Some(503),
        ),
        (
            Kind::OpenAi,
            "data: {\"error\":{\"message\":\"m\",\"code\":\"429\"}}\n\n",
            Some(429),
        ),
        (
            Kind::OpenAi,
            "data: {\"error\":{\"message\":\"m\",\"code\":null,\"type\":null}}\n\n",
            None,
        ),
        (
            Kind::Vllm,
            "data: {\"object\":\"error\",\"message\":\"m\",\"code\":400}\n\n",
            Some(400),
        ),
        (
            Kind::Vllm,
            "data: {\"error\":{\"message\":\"m\",\"type\":\"BadRequestError\",\"code\":400}}\n\n",
            Some(400),
        ),
        (
            Kind::Azure,
            "data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n",
            Some(429),
        ),
        (
            Kind::Together,
            "data: {\"error\":{\"status_code\":502}}\n\n",
            Some(502),
        ),
        (
            Kind::Fireworks,
            "event: error\ndata: {\"error\":{\"code\":500}}\n\n",
            Some(500),
        ),
        (
            Kind::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
            Some(529),
        ),
        (
            Kind::Anthropic,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\"}}\n\n",
            Some(429),
        ),
        (
            Kind::Tgi,
            "event: error\ndata: {\"error\":\"busy\",\"error_type\":\"overloaded\"}\n\n",
            Some(429),
        ),
        (
            Kind::Tgi,
            "data: {\"error\":\"m\",\"error_type\":\"generation\"}\n\n",
            Some(424),
        ),
        (
            Kind::Ollama,
            "{\"error\":\"m\",\"status_code\":500}\n",
            Some(500),
        ),
        (
            Kind::Ollama,
            "{\"error\":\"an error was encountered while running the model\"}\n",
            None,
        ),
        (
            Kind::LlamaCpp,
            "data: {\"error\":{\"code\":400,\"message\":\"m\",\"type\":\"x\"}}\n\n",
            Some(400),
        ),
        (
            Kind::LlamaCpp,
            "error: {\"code\":400}\n\ndata: {\"error\":{\"code\":501}}\n\n",
            Some(501),
        ),
        (
            Kind::TritonGenerate,
            "data: {\"error\":{\"code\":13}}\n\n",
            Some(13),
        ),
        (
            Kind::Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
            Some(500),
        ),
        (
            Kind::Responses,
            "data: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}\n\n",
            Some(429),
        ),
        (
            Kind::Custom,
            "data: {\"error\":{\"code\":404,\"message\":\"m\"}}\n\n",
            Some(404),
        ),
    ] {
        assert_eq!(codes(kind, true, body), [code], "{kind}: {body}");
    }
}

#[test]
fn whole_answers_tell_the_code_of_their_error() {
    for (kind, body, code) in [
        (
            Kind::OpenAi,
            r#"{"error":{"message":"m","code":402}}"#,
            Some(402),
        ),
        (Kind::Together, r#"{"output":{"error":{"code":500}}}"#, None),
        (
            Kind::Anthropic,
            r#"{"type":"error","error":{"type":"api_error"}}"#,
            Some(500),
        ),
        (
            Kind::Tgi,
            r#"[{"error":"m","error_type":"validation"}]"#,
            Some(422),
        ),
        (Kind::Ollama, r#"{"error":"m","code":"503"}"#, Some(503)),
        (Kind::LlamaCpp, r#"{"error":{"code":503}}"#, Some(503)),
        (
            Kind::Responses,
            r#"{"error":{"code":"server_error"}}"#,
            Some(500),
        ),
    ] {
        assert_eq!(codes(kind, false, body), [code], "{kind}: {body}");
    }
}

#[test]
fn an_api_of_openais_family_stands_where_its_root_is() {
    let paths = |kind, root: Option<&str>| {
        let mut spec = spec_for(kind, Task::Chat);
        spec.place.root = root.map(str::to_owned);
        let chat = build(&spec).unwrap().endpoint().path.to_string();
        spec.task = Task::Completion;
        [chat, build(&spec).unwrap().endpoint().path.to_string()]
    };
    for kind in [Kind::OpenAi, Kind::Vllm, Kind::Fireworks, Kind::SgLang] {
        assert_eq!(
            paths(kind, None),
            ["/v1/chat/completions", "/v1/completions"]
        );
        assert_eq!(paths(kind, Some("")), ["/chat/completions", "/completions"]);
        assert_eq!(
            paths(kind, Some("/openai/v2")),
            ["/openai/v2/chat/completions", "/openai/v2/completions"]
        );
    }
    for kind in [Kind::OpenAi, Kind::Vllm, Kind::SgLang, Kind::Tgi] {
        let mut spec = spec_for(kind, Task::Completion);
        spec.place.path = Some("/elsewhere".to_owned());
        assert_eq!(build(&spec).unwrap().endpoint().path, "/elsewhere");
    }
    let mut spec = spec_for(Kind::OpenAi, Task::Rerank(ranking()));
    spec.place.root = Some("/x".to_owned());
    assert_eq!(build(&spec).unwrap().endpoint().path, "/x/rerank");
}

fn spec_for(kind: Kind, task: Task) -> Spec {
    Spec {
        task,
        ..spec(kind, true, true)
    }
}
