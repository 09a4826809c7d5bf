//! Requests without text for an answer, and what is said of those answers.

use serde_json::json;

use super::*;

fn spec_for(kind: Kind, task: Task) -> Spec {
    Spec {
        task,
        ..spec(kind, true, true)
    }
}

fn embeddings(kind: Kind) -> Spec {
    spec_for(kind, Task::Embeddings(Embeddings::default()))
}

fn texts() -> Arc<[Arc<str>]> {
    ["one".into(), "two".into()].into()
}

fn request(spec: &Spec, ask: &Ask) -> (String, String) {
    let request = build(spec).unwrap().shape(ask).unwrap();
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    assert_eq!(request.headers()["accept"], "application/json");
    (request.uri().to_string(), body)
}

#[test]
fn an_embeddings_request_has_texts_and_no_fields_of_generation() {
    let mut spec = embeddings(Kind::SgLang);
    spec.sampling.temperature = Some(1.0);
    let one = ask(Prompt::Text("one".into()), None);
    assert_eq!(
        request(&spec, &one),
        (
            "/v1/embeddings".to_owned(),
            r#"{"model":"m","normalize":false,"input":"one"}"#.to_owned()
        )
    );
    spec.task = Task::Embeddings(Embeddings {
        dimensions: Some(256),
        prompt_template: Some("query: {text}".to_owned()),
        return_logits: Some(vec![1, 2]),
        normalize: true,
    });
    let batch = ask(Prompt::Batch(texts()), Some(json!({"user": "u"})));
    assert_eq!(
        request(&spec, &batch).1,
        concat!(
            r#"{"model":"m","dimensions":256,"prompt_template":"query: {text}","return_logits":[1,2],"normalize":true,"#,
            r#""input":["one","two"],"user":"u"}"#
        )
    );
    let ids = ask(Prompt::Tokens([7, 8].into()), None);
    assert!(request(&spec, &ids).1.ends_with(r#""input":[7,8]}"#));
    spec.task = Task::Embeddings(Embeddings {
        return_logits: Some(vec![]),
        ..Embeddings::default()
    });
    assert!(request(&spec, &one).1.contains(r#""return_logits":[]"#));
}

#[test]
fn vectors_of_length_one_are_asked_for_in_each_servers_words() {
    for (kind, normalize, words) in [
        (Kind::OpenAi, false, r#""normalize":false,"#),
        (Kind::Fireworks, true, r#""normalize":true,"#),
        (Kind::Vllm, false, r#""use_activation":false,"#),
        (Kind::Vllm, true, r#""use_activation":true,"#),
        (Kind::Azure, false, ""),
        (Kind::Azure, true, r#""normalize":true,"#),
    ] {
        let task = Task::Embeddings(Embeddings {
            normalize,
            ..Embeddings::default()
        });
        let one = ask(Prompt::Text("one".into()), None);
        let body = request(&spec_for(kind, task), &one).1;
        assert_eq!(body, format!(r#"{{"model":"m",{words}"input":"one"}}"#));
    }
}

#[test]
fn a_ranking_request_has_documents() {
    let documents = ask(Prompt::Documents(texts()), None);
    assert_eq!(
        request(&spec_for(Kind::OpenAi, Task::Rerank(ranking())), &documents),
        (
            "/v1/rerank".to_owned(),
            r#"{"model":"m","query":"Which is best?","documents":["one","two"]}"#.to_owned()
        )
    );
    let rerank = Rerank {
        top_n: Some(1),
        return_documents: false,
        ..ranking()
    };
    let paragraphs = ask(Prompt::Text("one\nline\n\n\n\ntwo\n".into()), None);
    assert_eq!(
        request(&spec_for(Kind::SgLang, Task::Rerank(rerank)), &paragraphs).1,
        concat!(
            r#"{"model":"m","query":"Which is best?","top_n":1,"return_documents":false,"#,
            r#""documents":["one\nline","two"]}"#
        )
    );
}

#[test]
fn fields_of_generation_are_refused_where_no_text_is_made() {
    let refused = |sampling| {
        let spec = Spec {
            sampling,
            ..embeddings(Kind::OpenAi)
        };
        build(&spec).unwrap_err().to_string()
    };
    let none = Sampling::default;
    assert_eq!(
        refused(Sampling {
            logprobs: Some(1),
            ..none()
        }),
        "provider `openai` has no logprobs without text"
    );
    assert_eq!(
        refused(Sampling {
            n: Some(2),
            ..none()
        }),
        "provider `openai` has no n without text"
    );
    let mut spec = embeddings(Kind::Fireworks);
    spec.fireworks.force_min_tokens = true;
    assert!(build(&spec).is_err());
    let forced = Ask {
        forced: Some("x".into()),
        ..ask(Prompt::Text("one".into()), None)
    };
    let fireworks = build(&embeddings(Kind::Fireworks)).unwrap();
    assert!(fireworks.shape(&forced).is_err());
}

#[test]
fn a_prompt_that_an_api_has_no_words_for_is_refused() {
    let parts = Prompt::Parts([crate::domain::Part::Text("x".into())].into());
    let refused = |spec: &Spec, prompt: &Prompt| {
        let shaped = build(spec).unwrap().shape(&ask(prompt.clone(), None));
        shaped.unwrap_err().to_string()
    };
    let chat = spec(Kind::Vllm, true, true);
    let completion = spec(Kind::Vllm, false, true);
    let rerank = spec_for(Kind::Vllm, Task::Rerank(ranking()));
    let (batch, documents) = (Prompt::Batch(texts()), Prompt::Documents(texts()));
    let ids = Prompt::Tokens([7].into());
    for (spec, prompt, words) in [
        (
            &chat,
            &ids,
            "chat of token ids; plain completions (--no-chat) take them",
        ),
        (&chat, &batch, "batches of texts here; embeddings have them"),
        (&chat, &documents, "documents here; ranking has them"),
        (
            &completion,
            &parts,
            "images here; chat has them, where a server does",
        ),
        (
            &completion,
            &batch,
            "batches of texts here; embeddings have them",
        ),
        (
            &embeddings(Kind::Vllm),
            &documents,
            "documents here; ranking has them",
        ),
        (&rerank, &ids, "prompts of token ids here"),
    ] {
        assert_eq!(
            refused(spec, prompt),
            format!("provider `vllm` has no {words}")
        );
    }
    for kind in [Kind::Tgi, Kind::TritonInfer, Kind::TritonGenerate] {
        for prompt in [&parts, &ids, &batch, &documents] {
            refused(
                &spoken(kind, true).or_else(|| spoken(kind, false)).unwrap(),
                prompt,
            );
        }
    }
}

#[test]
fn a_prompt_of_token_ids_is_sent_as_ids() {
    let ids = ask(Prompt::Tokens([1, 22, 333].into()), None);
    let shaped = build(&spec(Kind::OpenAi, false, false))
        .unwrap()
        .shape(&ids);
    assert_eq!(
        shaped.unwrap().body(),
        r#"{"model":"m","stream":false,"max_tokens":64,"prompt":[1,22,333]}"#
    );
}

/// What is said of a body without text; the task is told by the spec.
fn said_without_text(kind: Kind, task: Task, body: &str) -> Vec<String> {
    said_of(
        build(&spec_for(kind, task)).unwrap().decoder(),
        body.as_bytes(),
    )
}

#[test]
fn large_answers_are_counted_and_their_numbers_not_read() {
    // No number that there is could be read from these digits.
    let vector = "1e999999,".repeat(100_000);
    let row = format!(r#"{{"index":0,"embedding":[{vector}0]}}"#);
    let body = format!(r#"{{"data":[{row},{row},{row}],"usage":{{"prompt_tokens":5}}}}"#);
    let task = Task::Embeddings(Embeddings::default());
    let lines = said_without_text(Kind::OpenAi, task, &body);
    assert_eq!(lines[0], "Vectors(3)");
    assert_eq!(lines.last().unwrap(), "End");
}

#[test]
fn an_answer_without_a_list_is_an_error_and_an_empty_one_has_no_vectors() {
    let said = |body: &str| said_without_text(Kind::OpenAi, Task::Rerank(ranking()), body);
    assert_eq!(
        said(r#"{"object":"list"}"#),
        [r#"error: unreadable answer: no `data` in `{"object":"list"}`"#]
    );
    assert_eq!(said(r#"{"results":[]}"#), ["End"]);
    assert!(said(r#"{"results":[{"index":0},{"ind"#).is_empty());
    assert_eq!(
        said(r#"{"object":"error","message":"too long"}"#),
        [r#"ServerError { text: "too long", code: None }"#, "End"]
    );
}
