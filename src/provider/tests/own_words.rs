//! The requests of the APIs that are not like `OpenAI`'s chat: their own words for settings and prompts.

use std::sync::Arc;

use http::header::ACCEPT;
use serde_json::json;

use super::ask;
use super::requests::{body, request, talk, text};
use super::*;
use crate::domain::{Part, Prompt};

fn picture() -> Prompt {
    Prompt::Parts(
        [
            Part::Text("Look: ".into()),
            Part::Image("data:image/jpeg;base64,/9j/4A==".into()),
            Part::Text("What is it?".into()),
        ]
        .into(),
    )
}

fn tokens() -> Prompt {
    Prompt::Tokens([1, 2, 3].into())
}

fn batch() -> Prompt {
    Prompt::Batch(["a".into(), "b".into()].into())
}

fn documents() -> Prompt {
    Prompt::Documents(["a".into(), "b".into()].into())
}

fn refused(spec: &Spec, asked: &Ask) -> String {
    build(spec).unwrap().shape(asked).unwrap_err().to_string()
}

fn not_built(spec: &Spec) -> String {
    build(spec).unwrap_err().to_string()
}

fn sampling() -> Sampling {
    Sampling {
        temperature: Some(0.5),
        top_k: Some(5),
        ..Sampling::default()
    }
}

#[test]
fn an_ollama_chat_has_its_settings_in_options() {
    let mut spec = spec(Kind::Ollama, true, true);
    spec.sampling = Sampling {
        logprobs: Some(2),
        reasoning_effort: Some("low".to_owned()),
        ..sampling()
    };
    assert_eq!(
        body(&spec, &ask(text(), None)),
        r#"{"model":"m","stream":true,"think":"low","logprobs":true,"top_logprobs":2,"messages":[{"role":"user","content":"Say \"hi\""}],"options":{"num_predict":64,"temperature":0.5,"top_k":5}}"#
    );
    let request = request(&spec, &ask(text(), None));
    assert_eq!(request.uri(), "/api/chat");
    let accepts: Vec<_> = request.headers().get_all(ACCEPT).iter().collect();
    assert_eq!(accepts, ["application/x-ndjson"]);

    spec.stream = false;
    spec.sampling = Sampling {
        reasoning_effort: Some("none".to_owned()),
        ..Sampling::default()
    };
    let row = json!({"options": {"seed": 7}});
    assert_eq!(
        body(&spec, &ask(talk(), Some(row))),
        concat!(
            r#"{"model":"m","stream":false,"think":false,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},"#,
            r#"{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}],"options":{"num_predict":64,"seed":7}}"#
        )
    );
}

#[test]
fn ollama_has_images_beside_the_text_and_generates_from_one_text() {
    let chat = spec(Kind::Ollama, true, true);
    assert_eq!(
        body(&chat, &ask(picture(), None)),
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Look: What is it?","images":["/9j/4A=="]}],"options":{"num_predict":64}}"#
    );
    let generate = spec(Kind::Ollama, false, true);
    let asked = ask(talk(), None);
    assert_eq!(
        body(&generate, &asked),
        r#"{"model":"m","stream":true,"prompt":"Be brief.\n\nHi\n\nHello\n\nBye","options":{"num_predict":64}}"#
    );
    assert_eq!(request(&generate, &asked).uri(), "/api/generate");
    assert_eq!(
        refused(&generate, &ask(picture(), None)),
        "provider `ollama` has no images in prompts"
    );
    let far = Prompt::Parts([Part::Image("http://localhost/x.jpeg".into())].into());
    assert_eq!(
        refused(&chat, &ask(far, None)),
        "provider `ollama` has no images by address"
    );
}

#[test]
fn ollama_embeds_batches_and_ranks_nothing() {
    let mut spec = spec(Kind::Ollama, true, true);
    spec.task = Task::Embeddings(Embeddings {
        dimensions: Some(3),
        ..Embeddings::default()
    });
    let mut asked = ask(batch(), None);
    asked.max_tokens = 0;
    assert_eq!(
        body(&spec, &asked),
        r#"{"model":"m","dimensions":3,"input":["a","b"]}"#
    );
    let request = request(&spec, &ask(text(), None));
    assert_eq!(request.uri(), "/api/embed");
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(
        request.body(),
        r#"{"model":"m","dimensions":3,"input":["Say \"hi\""]}"#
    );
    let whole = said_of(
        build(&spec).unwrap().decoder(),
        br#"{"embeddings":[[1],[2],[3]]}"#,
    );
    assert_eq!(whole, ["Vectors(3)", "End"]);

    spec.task = Task::Rerank(Rerank {
        query: "q".to_owned(),
        top_n: None,
        return_documents: true,
    });
    assert_eq!(not_built(&spec), "provider `ollama` has no ranking");
}

#[test]
fn no_tokens_cannot_be_asked_of_ollama_where_that_is_no_limit() {
    let mut none = ask(text(), None);
    none.max_tokens = 0;
    assert_eq!(
        refused(&spec(Kind::Ollama, true, true), &none),
        "provider `ollama` has no max_tokens of 0: to it that is no limit"
    );
}

#[test]
fn a_llamacpp_completion_takes_text_or_tokens_and_ignores_the_end_token() {
    let mut spec = spec(Kind::LlamaCpp, false, true);
    spec.sampling = Sampling {
        logprobs: Some(2),
        ..sampling()
    };
    let asked = ask(text(), None);
    assert_eq!(
        body(&spec, &asked),
        r#"{"model":"m","stream":true,"temperature":0.5,"top_k":5,"n_probs":2,"ignore_eos":true,"n_predict":64,"prompt":"Say \"hi\""}"#
    );
    assert_eq!(request(&spec, &asked).uri(), "/completion");
    spec.sampling = Sampling::default();
    assert_eq!(
        body(&spec, &ask(tokens(), None)),
        r#"{"model":"m","stream":true,"ignore_eos":true,"n_predict":64,"prompt":[1,2,3]}"#
    );
    assert_eq!(
        refused(&spec, &ask(batch(), None)),
        "provider `llama.cpp` has no batches of texts"
    );
}

#[test]
fn llamacpp_does_not_chat_and_says_who_does() {
    assert_eq!(
        not_built(&spec(Kind::LlamaCpp, true, true)),
        "provider `llama.cpp` has no chat; --no-chat asks it for a completion, --provider openai for a chat"
    );
    let mut two = spec(Kind::LlamaCpp, false, true);
    two.sampling.n = Some(2);
    assert_eq!(not_built(&two), "provider `llama.cpp` has no n");
}

#[test]
fn a_responses_request_has_an_input_and_is_not_stored() {
    let mut spec = spec(Kind::Responses, true, true);
    assert_eq!(
        body(&spec, &ask(text(), None)),
        r#"{"model":"m","stream":true,"store":false,"max_output_tokens":64,"input":"Say \"hi\""}"#
    );
    spec.sampling.temperature = Some(0.5);
    spec.sampling.reasoning_effort = Some("high".to_owned());
    let asked = ask(talk(), None);
    assert_eq!(
        body(&spec, &asked),
        concat!(
            r#"{"model":"m","stream":true,"store":false,"temperature":0.5,"reasoning":{"effort":"high"},"max_output_tokens":64,"#,
            r#""input":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}]}"#
        )
    );
    assert_eq!(request(&spec, &asked).uri(), "/v1/responses");
    spec.sampling = Sampling::default();
    assert_eq!(
        body(&spec, &ask(picture(), None)),
        concat!(
            r#"{"model":"m","stream":true,"store":false,"max_output_tokens":64,"input":[{"role":"user","content":[{"type":"input_text","text":"Look: "},"#,
            r#"{"type":"input_image","image_url":"data:image/jpeg;base64,/9j/4A=="},{"type":"input_text","text":"What is it?"}]}]}"#
        )
    );
}

#[test]
fn responses_have_one_choice_and_no_probabilities() {
    let with = |sampling: Sampling| {
        not_built(&Spec {
            sampling,
            ..spec(Kind::Responses, true, true)
        })
    };
    let set = Sampling::default;
    for (sampling, what) in [
        (
            Sampling {
                n: Some(2),
                ..set()
            },
            "n",
        ),
        (
            Sampling {
                top_k: Some(2),
                ..set()
            },
            "top_k",
        ),
        (
            Sampling {
                logprobs: Some(2),
                ..set()
            },
            "logprobs",
        ),
    ] {
        assert_eq!(
            with(sampling),
            format!("provider `responses` has no {what}")
        );
    }
    assert_eq!(
        not_built(&spec(Kind::Responses, false, true)),
        "provider `responses` has no plain completions"
    );
}

#[test]
fn anthropic_takes_images_as_blocks() {
    assert_eq!(
        body(&spec(Kind::Anthropic, true, true), &ask(picture(), None)),
        concat!(
            r#"{"model":"m","stream":true,"max_tokens":64,"messages":[{"role":"user","content":[{"type":"text","text":"Look: "},"#,
            r#"{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4A=="}},{"type":"text","text":"What is it?"}]}]}"#
        )
    );
}

#[test]
fn a_prompt_that_an_api_has_no_words_for_is_refused() {
    for kind in [Kind::Anthropic, Kind::Responses, Kind::Ollama] {
        let spec = spec(kind, true, true);
        for (prompt, what) in [
            (tokens(), "prompts of token ids"),
            (batch(), "batches of texts"),
            (documents(), "documents to rank"),
        ] {
            assert_eq!(
                refused(&spec, &ask(prompt, None)),
                format!("provider `{kind}` has no {what}")
            );
        }
        let mut forced = ask(text(), None);
        forced.forced = Some(Arc::from("x"));
        assert_eq!(
            refused(&spec, &forced),
            format!("provider `{kind}` has no forced generation")
        );
    }
}

#[test]
fn every_api_is_spoken() {
    for kind in Kind::ALL {
        assert!(
            spoken(kind, true).or(spoken(kind, false)).is_some(),
            "{kind}"
        );
    }
}

#[test]
fn ids_between_the_chunks_of_a_stream_are_no_part_of_it() {
    let decoder = || {
        let spec = spec(Kind::OpenAi, true, true);
        let provider = build(&spec).unwrap();
        provider.decoder()
    };
    let plain = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let stray = plain.replacen("data: {", "data: tok-1f2e\n\ndata: {", 1);
    assert_eq!(
        said_of(decoder(), stray.as_bytes()),
        said_of(decoder(), plain.as_bytes())
    );
}
