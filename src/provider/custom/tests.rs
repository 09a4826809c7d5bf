//! Descriptions as users write them: what they ask for and read, and what is said of their mistakes.

use serde_json::json;

use super::*;
use crate::domain::{Ask, Message, Part, Prompt, Role, Signal};
use crate::provider::{
    Custom, Embeddings, Fireworks, Kind, Place, Rerank, Sampling, ShapeError, Spec, Task, build,
};

const EXAMPLE: &str = include_str!("../../../tests/fixtures/custom/words.toml");

fn spec(text: &str, stream: bool) -> Spec {
    Spec {
        kind: Kind::Custom,
        model: "m".to_owned(),
        task: Task::Chat,
        stream,
        sampling: Sampling::default(),
        headers: indexmap::IndexMap::new(),
        fireworks: Fireworks::default(),
        azure: None,
        place: Place::default(),
        custom: Some(Custom {
            text: text.to_owned(),
        }),
    }
}

fn ask(prompt: Prompt) -> Ask {
    Ask {
        prompt,
        max_tokens: 64,
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        extra: None,
        forced: None,
        turn: None,
    }
}

fn body(spec: &Spec, ask: &Ask) -> Result<serde_json::Value, ShapeError> {
    let request = build(spec)?.shape(ask)?;
    Ok(serde_json::from_slice(request.body()).unwrap())
}

/// A description with this body, path and stream.
fn described(body: &str, stream: &str) -> String {
    format!("path = \"/x\"\nbody = '''{body}'''\n[stream]\n{stream}\n")
}

const STREAM: &str = "framing = \"lines\"\nend = { close = true }\ntext = \"/t\"";

fn said(text: &str, stream: bool, answer: &str) -> Vec<String> {
    let mut decoder = build(&spec(text, stream)).unwrap().decoder();
    let mut lines = Vec::new();
    let mut keep = |signal: Signal<'_>| lines.push(format!("{signal:?}"));
    let read = decoder
        .feed(answer.as_bytes(), &mut keep)
        .and_then(|()| decoder.finish(&mut keep));
    if let Err(error) = read {
        lines.push(error.to_string());
    }
    lines
}

#[test]
fn the_example_asks_as_it_says() {
    let text = Prompt::Text("Say \"hi\"\n'now' <b>".into());
    let mut spec = spec(EXAMPLE, true);
    spec.model = "a/b".to_owned();
    spec.sampling.temperature = Some(0.5);
    let api = build(&spec).unwrap();
    assert_eq!(api.endpoint().path, "/v1/generate/a/b");
    let request = api.shape(&ask(text.clone())).unwrap();
    assert_eq!(request.uri(), "/v1/generate/a/b");
    assert_eq!(request.headers()["x-api-version"], "2");
    assert_eq!(request.headers()["accept"], "text/event-stream");
    assert_eq!(
        body(&spec, &ask(text.clone())).unwrap(),
        json!({"prompt": "Say \"hi\"\n'now' <b>", "max_new_tokens": 64, "stream": true, "sampling": {"temperature": 0.5}})
    );
    spec.sampling.top_k = Some(3);
    let mut row = ask(text);
    row.extra = Some(Arc::new(
        json!({"sampling": {"seed": 1}, "stream": null})
            .as_object()
            .unwrap()
            .clone(),
    ));
    let asked = body(&spec, &row).unwrap();
    assert_eq!(
        asked["sampling"],
        json!({"top_k": 3, "temperature": 0.5, "seed": 1})
    );
    assert_eq!(asked["stream"], json!(null));
}

#[test]
fn the_guide_shows_the_example() {
    let guide = include_str!("../../../docs/providers.md");
    assert!(guide.contains(EXAMPLE));
}

#[test]
fn values_are_json_with_tojson_and_without() {
    let text = described(
        r#"{"a": {{ prompt }}, "b": {{ prompt | tojson }}, "c": {{ messages }}, "d": "-{{ model | safe }}-", "e": {{ n }}}"#,
        STREAM,
    );
    let message = Message {
        role: Role::User,
        content: "é \"x\" </b>".to_owned(),
    };
    assert_eq!(
        body(&spec(&text, true), &ask(Prompt::Messages([message].into()))).unwrap(),
        json!({
            "a": "é \"x\" </b>", "b": "é \"x\" </b>", "c": [{"role": "user", "content": "é \"x\" </b>"}],
            "d": "-m-", "e": null,
        })
    );
}

#[test]
fn images_tokens_texts_and_documents_can_be_named() {
    let mut spec = spec(
        &described(r#"{"p": {{ prompt }}, "i": {{ images }}}"#, STREAM),
        true,
    );
    let parts = [Part::Text("x".into()), Part::Image("data:,".into())];
    assert_eq!(
        body(&spec, &ask(Prompt::Parts(parts.into()))).unwrap(),
        json!({"p": "x", "i": ["data:,"]})
    );
    let custom = |text: &str| {
        Some(Custom {
            text: described(text, STREAM),
        })
    };
    spec.custom = custom(r#"{"ids": {{ tokens }}}"#);
    assert_eq!(
        body(&spec, &ask(Prompt::Tokens([1, 2].into()))).unwrap(),
        json!({"ids": [1, 2]})
    );
    spec.task = Task::Embeddings(Embeddings {
        dimensions: Some(8),
        ..Embeddings::default()
    });
    spec.custom = custom(r#"{"input": {{ texts }}, "d": {{ dimensions }}, "s": {{ stream }}}"#);
    assert_eq!(
        body(&spec, &ask(Prompt::Batch(["a".into()].into()))).unwrap(),
        json!({"input": ["a"], "d": 8, "s": false})
    );
    spec.task = Task::Rerank(Rerank {
        query: "q".to_owned(),
        top_n: None,
        return_documents: true,
    });
    spec.custom = custom(r#"{"q": {{ query }}, "d": {{ documents }}, "n": {{ top_n }}}"#);
    assert_eq!(
        body(&spec, &ask(Prompt::Documents(["a".into()].into()))).unwrap(),
        json!({"q": "q", "d": ["a"], "n": null})
    );
}

#[test]
fn what_the_body_does_not_name_is_refused() {
    let text = described(r#"{"p": {{ prompt }}}"#, STREAM);
    let refused = |asked: Ask| body(&spec(&text, true), &asked).unwrap_err().to_string();
    let image = Prompt::Parts([Part::Image("data:,".into())].into());
    assert_eq!(
        refused(ask(image)),
        "provider `custom` has no images in prompts"
    );
    assert_eq!(
        refused(ask(Prompt::Tokens([1].into()))),
        "provider `custom` has no prompts of token ids"
    );
    let mut top_k = spec(&text, true);
    top_k.sampling.top_k = Some(1);
    assert_eq!(
        build(&top_k).unwrap_err().to_string(),
        "provider `custom` has no top_k"
    );
    let ids = described(r#"{"ids": {{ tokens }}}"#, STREAM);
    let worded = body(&spec(&ids, true), &ask(Prompt::Text("x".into())));
    assert_eq!(
        worded.unwrap_err().to_string(),
        "provider `custom` has no words for a text: its body names no prompt"
    );
    assert!(!read(&text).unwrap().names_model());
    assert!(read(EXAMPLE).unwrap().names_model());
}

#[test]
fn options_of_vectors_and_rankings_that_nothing_names_are_refused() {
    let text = described(r#"{"t": {{ texts }}, "d": {{ documents }}}"#, STREAM);
    let refused = |task: Task| {
        let spec = Spec {
            task,
            ..spec(&text, false)
        };
        build(&spec).map(drop).map_err(|error| error.to_string())
    };
    let plain = Embeddings::default;
    assert_eq!(refused(Task::Embeddings(plain())), Ok(()));
    for (setting, embeddings) in [
        (
            "dimensions",
            Embeddings {
                dimensions: Some(8),
                ..plain()
            },
        ),
        (
            "normalize",
            Embeddings {
                normalize: true,
                ..plain()
            },
        ),
        (
            "prompt_template",
            Embeddings {
                prompt_template: Some("x".to_owned()),
                ..plain()
            },
        ),
        (
            "return_logits",
            Embeddings {
                return_logits: Some(vec![]),
                ..plain()
            },
        ),
    ] {
        let said = format!("provider `custom` has no {setting}");
        assert_eq!(refused(Task::Embeddings(embeddings)), Err(said));
    }
    let ranking = Task::Rerank(Rerank {
        query: "q".to_owned(),
        top_n: None,
        return_documents: true,
    });
    assert_eq!(
        refused(ranking).unwrap_err(),
        "provider `custom` has no query: its templates name none"
    );
    let text = described(r#"{"q": {{ query }}, "d": {{ documents }}}"#, STREAM);
    for (setting, top_n, return_documents) in
        [("top_n", Some(1), true), ("return_documents", None, false)]
    {
        let spec = Spec {
            task: Task::Rerank(Rerank {
                query: "q".to_owned(),
                top_n,
                return_documents,
            }),
            ..spec(&text, false)
        };
        assert_eq!(
            build(&spec).unwrap_err().to_string(),
            format!("provider `custom` has no {setting}")
        );
    }
}

#[test]
fn a_rows_length_stands_where_the_body_puts_it() {
    let mut row = ask(Prompt::Text("x".into()));
    row.extra = json!({"max_tokens": 64, "seed": 1})
        .as_object()
        .cloned()
        .map(Arc::new);
    let named = described(r#"{"p": {{ prompt }}, "n": {{ max_tokens }}}"#, STREAM);
    assert_eq!(
        body(&spec(&named, true), &row).unwrap(),
        json!({"p": "x", "n": 64, "seed": 1})
    );
    let unnamed = described(r#"{"p": {{ prompt }}}"#, STREAM);
    assert_eq!(
        body(&spec(&unnamed, true), &row).unwrap(),
        json!({"p": "x", "max_tokens": 64, "seed": 1})
    );
}

#[test]
fn a_stream_ends_as_its_description_says() {
    let ending = |end: &str, framing: &str| {
        described(
            "{}",
            &format!("framing = \"{framing}\"\nend = {end}\ntext = \"/t\""),
        )
        .replace("'''{}'''", "'''{\"p\": {{ prompt }}}'''")
    };
    let ends = |end: &str, framing: &str, answer: &str| {
        said(&ending(end, framing), true, answer).contains(&"End".to_owned())
    };
    let sse = "data: {\"t\":\"a\",\"d\":false,\"s\":\"on\"}\n\n";
    assert!(ends("\"[DONE]\"", "sse", &format!("{sse}data: [DONE]\n\n")));
    assert!(!ends("\"[DONE]\"", "sse", sse));
    let lines = "{\"t\":\"a\",\"d\":false}\n";
    for (end, last, ended) in [
        ("{ close = true }", "{\"t\":\"b\"}", true),
        ("{ close = true }", "{\"t\":\"b\"", false),
        ("{ pointer = \"/d\" }", "{\"d\":0}", true),
        ("{ pointer = \"/d\" }", "{\"d\":null}", false),
        ("{ pointer = \"/d\" }", "{\"x\":true}", false),
        ("{ pointer = \"/d\", equals = true }", "{\"d\":true}", true),
        (
            "{ pointer = \"/d\", equals = true }",
            "{\"d\":\"true\"}",
            false,
        ),
        (
            "{ pointer = \"/d\", equals = \"é\" }",
            "{\"d\":\"\\u00e9\"}",
            true,
        ),
        (
            "{ pointer = \"/d\", equals = \"é\" }",
            "{\"d\":\"e\"}",
            false,
        ),
        ("{ pointer = \"/d\", equals = 3 }", "{\"d\":3.0}", true),
        ("{ pointer = \"/d\", equals = 3 }", "{\"d\":\"3\"}", false),
    ] {
        let answer = format!("{lines}{last}");
        assert_eq!(ends(end, "lines", &answer), ended, "{end} {last}");
    }
}

#[test]
fn a_whole_body_has_its_own_places_and_the_streams() {
    let text = described(
        "{\"p\": {{ prompt }}}",
        &format!("{STREAM}\nfinish = \"/f\""),
    ) + "[whole]\nvectors = \"/v\"\nfinish = [\"/g\", \"/h\"]\n[reasons]\nstop = [\"ok\"]\n";
    assert_eq!(
        said(&text, false, r#"{"t":"a","f":"length","h":"ok"}"#),
        [
            "Content { kind: Text, text: \"a\", tokens: None, choice: 0 }",
            "EventEnd { tokens: None }",
            "Finish(Stop)",
            "End"
        ]
    );
    assert_eq!(
        said(&text, false, r#"{"v":[[1],[2]]}"#),
        ["Vectors(2)", "End"]
    );
    assert_eq!(said(&text, false, r#"{"t":null}"#), ["End"]);
    assert_eq!(said(&text, false, r#"{"t":"#), [""; 0]);
    assert_eq!(
        said(&text, false, r#"{"x":1}"#),
        ["unreadable answer: no `text` in `{\"x\":1}`"]
    );
    assert_eq!(
        said(&text, false, r#"{"t":5}"#),
        [
            "unreadable answer: invalid type: integer `5`, expected a string or null at line 1 column 1: `5`"
        ]
    );
}

#[test]
fn a_header_that_carries_a_secret_is_refused_and_not_quoted() {
    for name in [
        "X-Api-Key",
        "authorization",
        "my_session_token",
        "access-key",
    ] {
        let said = fault(&described(
            r#"{"p": {{ prompt }}}"#,
            &format!("{STREAM}\n[headers]\n{name} = \"hunter2\""),
        ));
        let expected = format!(
            "the provider file: line 8: header `{name}` has a secret by its name, and this text goes to workers and \
             into results; --header or --api-key sends it"
        );
        assert_eq!(said, expected);
    }
}

fn fault(text: &str) -> String {
    let built = build(&spec(text, true));
    built.map(drop).unwrap_err().to_string()
}

#[test]
fn mistakes_are_said_with_their_key_and_line() {
    let body = r#"{"p": {{ prompt }}}"#;
    let stream = |stream: &str| fault(&described(body, stream));
    let faults = [
        fault("path = 1"),
        fault("path = \"/x\""),
        fault(&format!("pfad = \"/x\"\n{}", described(body, STREAM))),
        fault(&described(body, STREAM).replace("\"/x\"", "\"x\"")),
        fault(&described(body, STREAM).replace("\"/x\"", "\"/{{ prompt }}\"")),
        fault(&described(body, STREAM).replace("\"/x\"", "\"/a b\"")),
        fault(&format!("path = \"/x\"\nbody = '''{body}'''\n")),
        fault(&format!(
            "path = \"/x\"\nbody = '''{body}'''\n[whole]\ntext = \"/t\"\n"
        )),
        stream("text = \"/t\""),
        stream("framing = \"xml\"\nend = \"x\"\ntext = \"/t\""),
        stream("framing = \"sse\"\ntext = \"/t\""),
        stream("framing = \"sse\"\nend = { close = false }\ntext = \"/t\""),
        stream("framing = \"sse\"\nend = { pointer = \"/d\", is = 1 }\ntext = \"/t\""),
        stream("framing = \"sse\"\nend = { pointer = \"d\" }\ntext = \"/t\""),
        stream("framing = \"sse\"\nend = \"[DONE]\""),
        stream(&format!("{STREAM}\nfinish = [\"/f\", \"why\"]")),
        stream(&format!("{STREAM}\nerror = 5")),
        stream(&format!("{STREAM}\nfinnish = \"/f\"")),
        stream(&format!("{STREAM}\n[whole]\nend = \"x\"")),
        stream(&format!("{STREAM}\n[auth]\nheader = \"x y\"")),
        stream(&format!("{STREAM}\n[headers]\nx = \"a\\nb\"")),
    ];
    insta::assert_snapshot!(faults.join("\n"));
}

#[test]
fn a_body_that_is_no_json_is_said_before_the_run() {
    let faults = [
        "\n{\"p\": {{ promt }}}",
        "\n{\"p\": {{ prompt }},\n \"q\": {{ prompt | jsonify }}}",
        "\n{\"p\": {{ prompt }}\n{% if %}",
        "{\"p\": \"{{ prompt }}\"}",
        "\n[{{ prompt }}]",
        "{\"p\": {{ messages[1].content }}}",
        "{\"p\": {{ prompt }}, }",
    ]
    .map(|body| fault(&described(body, STREAM)));
    insta::assert_snapshot!(faults.join("\n"));
    let none = Spec {
        custom: None,
        ..spec("", true)
    };
    assert_eq!(
        build(&none).unwrap_err().to_string(),
        "the provider file: there is none; --provider-file names one"
    );
}
