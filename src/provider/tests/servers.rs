//! What single servers take and tell beside `OpenAI`'s words: Fireworks, Together, Azure, Triton.

use serde_json::json;

use super::*;

fn text() -> Prompt {
    Prompt::Text("Say hi".into())
}

fn request(spec: &Spec, ask: &Ask) -> Request<Bytes> {
    build(spec).unwrap().shape(ask).unwrap()
}

fn body(spec: &Spec, ask: &Ask) -> String {
    String::from_utf8(request(spec, ask).into_body().to_vec()).unwrap()
}

fn refused(spec: &Spec) -> String {
    build(spec).unwrap_err().to_string()
}

#[test]
fn images_stand_between_texts_as_data() {
    let part = |text: &str| crate::domain::Part::Text(text.into());
    let image = crate::domain::Part::Image("data:image/jpeg;base64,AA==".into());
    let parts = Prompt::Parts([part("What is "), image, part("?")].into());
    assert_eq!(
        body(&spec(Kind::OpenAi, true, false), &ask(parts, None)),
        concat!(
            r#"{"model":"m","stream":false,"max_tokens":64,"messages":[{"role":"user","content":["#,
            r#"{"type":"text","text":"What is "},"#,
            r#"{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AA=="}},"#,
            r#"{"type":"text","text":"?"}]}]}"#
        )
    );
}

#[test]
fn a_fireworks_request_asks_for_figures_and_has_what_was_set() {
    let mut spec = spec(Kind::Fireworks, false, true);
    let plain = ask(text(), None);
    assert_eq!(
        body(&spec, &plain),
        concat!(
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"perf_metrics_in_response":true,"#,
            r#""max_tokens":64,"prompt":"Say hi"}"#
        )
    );
    spec.fireworks = Fireworks {
        force_min_tokens: true,
        prompt_cache_max_len: 100,
        acceptance_probs: Some(vec![0.9, 0.5]),
    };
    let forced = Ask {
        forced: Some("lamp".into()),
        max_tokens: 7,
        ..plain
    };
    assert_eq!(
        body(&spec, &forced),
        concat!(
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"perf_metrics_in_response":true,"#,
            r#""prompt_cache_max_len":100,"acceptance_probs_override":[0.9,0.5],"#,
            r#""max_tokens":7,"min_tokens":7,"forced_generation":"lamp","prompt":"Say hi"}"#
        )
    );
    spec.task = Task::Chat;
    assert!(body(&spec, &forced).contains(r#""forced_generation":"lamp","messages""#));
    spec.kind = Kind::Vllm;
    assert_eq!(refused(&spec), "provider `vllm` has no force_min_tokens");
}

#[test]
fn text_can_be_forced_at_fireworks_alone() {
    let forced = Ask {
        forced: Some("lamp".into()),
        ..ask(text(), None)
    };
    for kind in spoken() {
        if matches!(kind, Kind::Fireworks | Kind::Anthropic) {
            continue;
        }
        let error = build(&spec_of(kind, true)).unwrap().shape(&forced);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("provider `{kind}` has no forced generation")
        );
    }
}

/// What is said of `body` behind this head.
fn said_behind(headers: &[(&str, &str)], spec: &Spec, body: &str) -> Vec<String> {
    let mut decoder = build(spec).unwrap().decoder();
    let field = |wanted: &str| {
        let (_, value) = headers.iter().find(|(name, _)| *name == wanted)?;
        Some(value.as_bytes())
    };
    decoder.head(&field, &mut |signal| panic!("{signal:?} in the head"));
    said_of(decoder, body.as_bytes())
}

const HEADERS: [(&str, &str); 6] = [
    ("fireworks-server-processing-time", "0.25"),
    ("fireworks-server-time-to-first-token", "0.125"),
    ("fireworks-speculation-acceptance", "0:3/4,1:1/2"),
    ("fireworks-prompt-tokens", "12"),
    ("fireworks-cached-prompt-tokens", "4"),
    ("content-type", "application/json"),
];

fn answer(tokens: u32) -> String {
    json!({"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": tokens}})
        .to_string()
}

#[test]
fn headers_give_figures_and_fill_gaps_in_the_usage() {
    let spec = spec(Kind::Fireworks, true, false);
    insta::assert_snapshot!(said_behind(&HEADERS, &spec, &answer(30)).join("\n"), @r#"
    Content { kind: Text, text: "x", tokens: None, choice: 0 }
    EventEnd { tokens: Some(30) }
    Usage(Usage { prompt_tokens: None, completion_tokens: Some(30), cached_tokens: None, reasoning_tokens: None })
    Usage(Usage { prompt_tokens: Some(12), completion_tokens: None, cached_tokens: Some(4), reasoning_tokens: None })
    Server(ServerFigures { total_ns: Some(250000000), first_token_ns: Some(125000000), speculation: [HitRate { position: 0, hits: 3, total: 4 }, HitRate { position: 1, hits: 1, total: 2 }] })
    End
    "#);
    let counted = answer(30).replace("{\"completion", "{\"prompt_tokens\":11,\"completion");
    let lines = said_behind(&HEADERS, &spec, &counted);
    let counts: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("Usage"))
        .collect();
    assert!(
        counts[1].contains("prompt_tokens: None") && counts[1].contains("cached_tokens: Some(4)")
    );
    // What the body has comes later than the head, and replaces it.
    let metrics = answer(30).replace(
        "{\"choices",
        "{\"perf_metrics\":{\"server-processing-time\":0.5},\"choices",
    );
    let lines = said_behind(&HEADERS, &spec, &metrics).join("\n");
    assert!(
        lines.contains("total_ns: Some(500000000), first_token_ns: Some(125000000)"),
        "{lines}"
    );
}

#[test]
fn short_answers_say_nothing_of_speculation() {
    let spec = spec(Kind::Fireworks, true, false);
    let said = |tokens| said_behind(&HEADERS, &spec, &answer(tokens)).join("\n");
    assert!(said(29).contains("speculation: []"));
    assert!(said(30).contains("HitRate"));
    let broken = [("fireworks-speculation-acceptance", "?")];
    let said = |tokens| said_behind(&broken, &spec, &answer(tokens)).join("\n");
    assert!(said(30).contains("Warning(SpeculationUnreadable)\nEnd"));
    assert!(!said(29).contains("Warning"));
}

#[test]
fn headers_tell_of_embeddings_too_and_of_no_other_server() {
    let mut spec = spec(Kind::Fireworks, true, false);
    let whole = said_behind(
        &HEADERS,
        &Spec {
            kind: Kind::Vllm,
            ..spec.clone()
        },
        &answer(30),
    );
    assert!(!whole.join("\n").contains("Server("));
    spec.task = Task::Embeddings(Embeddings::default());
    insta::assert_snapshot!(said_behind(&HEADERS, &spec, r#"{"data":[{},{}]}"#).join("\n"), @r"
    Vectors(2)
    Usage(Usage { prompt_tokens: Some(12), completion_tokens: None, cached_tokens: Some(4), reasoning_tokens: None })
    Server(ServerFigures { total_ns: Some(250000000), first_token_ns: Some(125000000), speculation: [] })
    End
    ");
}

#[test]
fn figures_are_not_taken_from_an_event_that_is_only_recognised() {
    let event = |more: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}]{more}}}\n\n")
    };
    let metrics = |time| {
        event(&format!(
            ",\"perf_metrics\":{{\"server-processing-time\":{time}}}"
        ))
    };
    let stream = event("") + &metrics(1) + &metrics(2) + &metrics(3) + "data: [DONE]\n\n";
    let lines = said_of(
        build(&spec(Kind::Fireworks, true, true)).unwrap().decoder(),
        stream.as_bytes(),
    );
    assert!(
        lines[lines.len() - 2].contains("total_ns: Some(3000000000)"),
        "{lines:?}"
    );
}

#[test]
fn together_has_completions_alone() {
    let mut spec = spec(Kind::Together, false, true);
    spec.sampling.temperature = Some(1.0);
    let asked = ask(text(), None);
    assert_eq!(request(&spec, &asked).uri(), "/");
    assert_eq!(
        body(&spec, &asked),
        concat!(
            r#"{"model":"m","stream_tokens":true,"stream_options":{"include_usage":true},"temperature":1.0,"#,
            r#""ignore_eos":true,"max_tokens":64,"prompt":"Say hi"}"#
        )
    );
    spec.task = Task::Chat;
    assert_eq!(
        refused(&spec),
        "provider `together` has no chat; --no-chat asks for plain completions"
    );
    spec.task = Task::Rerank(ranking());
    assert_eq!(refused(&spec), "provider `together` has no ranking");
}

#[test]
fn azures_paths_name_the_deployment() {
    let asked = ask(text(), None);
    let path = |spec: &Spec| {
        let request = request(spec, &asked);
        assert_eq!(
            build(spec).unwrap().endpoint().path,
            request.uri().to_string()
        );
        request.uri().to_string()
    };
    let mut spec = spec(Kind::Azure, true, true);
    assert_eq!(
        path(&spec),
        "/openai/deployments/m/chat/completions?api-version=2024-10-21"
    );
    spec.azure = Some(Azure {
        deployment: Some("my gpt".to_owned()),
        api_version: "2025-01-01-preview".to_owned(),
    });
    spec.task = Task::Completion;
    assert_eq!(
        path(&spec),
        "/openai/deployments/my%20gpt/completions?api-version=2025-01-01-preview"
    );
    spec.task = Task::Embeddings(Embeddings::default());
    assert_eq!(
        path(&spec),
        "/openai/deployments/my%20gpt/embeddings?api-version=2025-01-01-preview"
    );
    spec.task = Task::Rerank(ranking());
    assert_eq!(refused(&spec), "provider `azure` has no ranking");
}

#[test]
fn tritons_inference_protocol_gets_typed_tensors() {
    let mut spec = spec(Kind::TritonInfer, true, false);
    spec.model = "my/ensemble".to_owned();
    spec.sampling.temperature = Some(0.5);
    let asked = ask(text(), None);
    assert_eq!(
        request(&spec, &asked).uri(),
        "/v2/models/my%2Fensemble/infer"
    );
    assert_eq!(
        body(&spec, &asked),
        concat!(
            r#"{"inputs":[{"name":"text_input","datatype":"BYTES","shape":[1,1],"data":[["Say hi"]]},"#,
            r#"{"name":"max_tokens","datatype":"UINT32","shape":[1,1],"data":[[64]]},"#,
            r#"{"name":"bad_words","datatype":"BYTES","shape":[1,1],"data":[[""]]},"#,
            r#"{"name":"stop_words","datatype":"BYTES","shape":[1,1],"data":[[""]]},"#,
            r#"{"name":"temperature","datatype":"FP32","shape":[1,1],"data":[[0.5]]}]}"#
        )
    );
    spec.stream = true;
    assert_eq!(
        refused(&spec),
        "provider `triton-infer` has no streams; --no-stream, or --provider triton-generate"
    );
    spec.stream = false;
    spec.sampling.n = Some(2);
    assert_eq!(refused(&spec), "provider `triton-infer` has no n");
}

#[test]
fn tritons_generate_extension_gets_plain_fields() {
    let mut spec = spec(Kind::TritonGenerate, true, true);
    spec.model = "ensemble".to_owned();
    spec.sampling.temperature = Some(0.5);
    let asked = ask(text(), None);
    assert_eq!(
        request(&spec, &asked).uri(),
        "/v2/models/ensemble/generate_stream"
    );
    assert_eq!(
        body(&spec, &asked),
        r#"{"stream":true,"temperature":0.5,"bad_words":"","stop_words":"","text_input":"Say hi","max_tokens":64}"#
    );
    spec.stream = false;
    assert_eq!(request(&spec, &asked).uri(), "/v2/models/ensemble/generate");
    spec.task = Task::Embeddings(Embeddings::default());
    assert_eq!(
        refused(&spec),
        "provider `triton-generate` has no embeddings and no ranking"
    );
}

/// The text that is left of an answer to "Say hi", and whether it was warned about.
fn left_of(kind: Kind, text: &str) -> (String, bool) {
    let body = match kind {
        Kind::TritonInfer => json!({"outputs": [{"name": "text_output", "data": [text]}]}),
        _ => json!({"text_output": text}),
    };
    let mut decoder = build(&spec(kind, true, false))
        .unwrap()
        .decoder_for(&ask(self::text(), None));
    let (mut left, mut warned) = (String::new(), false);
    let mut hear = |signal: Signal<'_>| match signal {
        Signal::Content { text, .. } => left.push_str(text),
        Signal::Warning(_) => warned = true,
        _ => {}
    };
    decoder
        .feed(body.to_string().as_bytes(), &mut hear)
        .unwrap();
    decoder.finish(&mut hear).unwrap();
    (left, warned)
}

#[test]
fn a_repeated_prompt_is_cut_off_and_a_missing_one_warned_about() {
    for kind in [Kind::TritonInfer, Kind::TritonGenerate] {
        for (text, left, warned) in [
            ("<s> Say hi there", " there", false),
            ("Say hi there", " there", false),
            ("Say hi", "", false),
            ("<s> there", "there", true),
            ("there: Say hi", "there: Say hi", true),
            ("<s> Say hi Say hi", " Say hi", false),
        ] {
            assert_eq!(left_of(kind, text), (left.to_owned(), warned), "{text}");
        }
    }
}

#[test]
fn a_conversation_is_repeated_as_the_text_that_it_was_sent_as() {
    let message = |content: &str| crate::domain::Message {
        role: crate::domain::Role::User,
        content: content.to_owned(),
    };
    let talk = Prompt::Messages([message("a"), message("b")].into());
    let spec = spec(Kind::TritonGenerate, true, false);
    let decoder = build(&spec).unwrap().decoder_for(&ask(talk, None));
    let lines = said_of(decoder, br#"{"text_output":"a\n\nb c"}"#);
    assert!(lines[0].contains(r#"text: " c""#), "{lines:?}");
}

#[test]
fn deep_lists_of_triton_are_an_error_and_nothing_worse() {
    let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
    for (kind, body) in [
        (Kind::TritonGenerate, format!("{{\"text_output\":{deep}}}")),
        (
            Kind::TritonInfer,
            format!("{{\"outputs\":[{{\"name\":\"text_output\",\"data\":{deep}}}]}}"),
        ),
    ] {
        let lines = said_of(
            build(&spec(kind, true, false)).unwrap().decoder(),
            body.as_bytes(),
        );
        assert!(
            lines[0].starts_with("error: unreadable answer"),
            "{}",
            lines[0]
        );
    }
}
