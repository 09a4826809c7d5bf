//! What each client comes to.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use super::prefixes::{OWN, all};
use super::table::{ROWS, Row};
use super::*;
use crate::domain::{Ask, Prompt};
use crate::provider::{Fireworks, Sampling, Spec, build};

/// An environment of these variables alone.
pub(super) struct Around(BTreeMap<String, String>);

impl Around {
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }
}

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn file(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

pub(super) fn found(api: &str, model: &str, pairs: &[(&str, &str)]) -> Client {
    client(api, model, &Around::of(pairs)).unwrap()
}

pub(super) fn refused(api: &str, model: &str, pairs: &[(&str, &str)]) -> String {
    client(api, model, &Around::of(pairs))
        .unwrap_err()
        .to_string()
}

/// The words of a client: what a provider that is built from it sends, and where.
pub(super) fn sent(client: &Client) -> (String, Value, Vec<(String, String)>) {
    let spec = Spec {
        kind: client.kind,
        model: client.model.clone(),
        task: client.task.clone(),
        stream: client.stream,
        sampling: Sampling::default(),
        headers: IndexMap::new(),
        fireworks: Fireworks::default(),
        azure: client.azure.clone(),
        custom: None,
        place: client.place.clone(),
    };
    let provider = build(&spec).unwrap();
    let ask = Ask {
        prompt: Prompt::Text("hello".into()),
        max_tokens: 7,
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        forced: None,
        extra: None,
        turn: None,
    };
    let request = provider.shape(&ask).unwrap();
    let key = client.api_key.iter().chain(&client.aws.bearer_token);
    let key = key.map(|key| {
        let (name, value) = provider.auth(key).unwrap();
        (name.to_string(), value.to_str().unwrap().to_owned())
    });
    let others = client.secret_headers.iter();
    let others = others.map(|(name, value)| (name.clone(), value.expose().to_owned()));
    (
        format!("{}{}", client.base_url, request.uri()),
        serde_json::from_slice(request.body()).unwrap(),
        key.chain(others).collect(),
    )
}

/// The variables of a row with values.
fn full(row: &Row, base: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![(row.keys[0], "the-key"), (row.bases[0], base)]
}

#[test]
fn every_row_resolves_with_its_variables_and_names_what_is_missing_without() {
    for row in ROWS {
        let model = format!("{}/some-model", row.prefix);
        let client = found("litellm", &model, &full(row, "http://127.0.0.1:9/x/v1"));
        assert_eq!(client.base_url, "http://127.0.0.1:9/x", "{model}");
        assert_eq!(client.api_key, Some(Secret::new("the-key")), "{model}");
        assert!(client.model.ends_with("some-model"), "{model}");
        assert_eq!(
            client,
            found(
                row.prefix,
                "some-model",
                &full(row, "http://127.0.0.1:9/x/v1")
            )
        );
        let (address, body, headers) = sent(&client);
        assert!(address.starts_with("http://127.0.0.1:9/x/"), "{address}");
        assert_eq!(body["model"], client.model.as_str());
        let (_, value) = &headers[0];
        assert!(value.ends_with("the-key"), "{model}");
        let usage = body.get("stream_options").is_some();
        let speaks_of_usage = !matches!(row.kind, Kind::Anthropic | Kind::Ollama);
        assert_eq!(usage, speaks_of_usage && !row.no_stream_options, "{model}");

        let bare = Around::of(&[]);
        let bare = super::client("litellm", &model, &bare);
        if !row.needs_key && row.base.is_some() {
            assert!(bare.is_ok(), "{model}");
            continue;
        }
        let words = bare.unwrap_err().to_string();
        assert_eq!(words.contains(row.keys[0]), row.needs_key, "{words}");
        assert_eq!(words.contains(row.bases[0]), row.base.is_none(), "{words}");
        assert!(words.ends_with("not set"), "{words}");
    }
}

#[test]
fn each_name_of_a_variable_serves() {
    for row in ROWS {
        let model = format!("{}/some-model", row.prefix);
        for key in row.keys {
            for base in row.bases {
                let pairs = [(*key, "the-key"), (*base, "http://127.0.0.1:9")];
                let client = found("litellm", &model, &pairs);
                assert_eq!(client.base_url, "http://127.0.0.1:9", "{model} {base}");
                assert!(client.api_key.is_some(), "{model} {key}");
            }
        }
    }
}

#[test]
fn usual_addresses_are_those_of_the_table() {
    for row in ROWS {
        let Some(base) = row.base else { continue };
        let model = format!("{}/some-model", row.prefix);
        let (address, ..) = sent(&found("litellm", &model, &[(row.keys[0], "k")]));
        assert!(address.starts_with(base), "{address} is not below {base}");
        if row.kind == Kind::OpenAi {
            let end = if row.completes {
                "/completions"
            } else {
                "/chat/completions"
            };
            assert_eq!(address, format!("{base}{end}"));
        }
    }
}

#[test]
fn prefixes_are_in_order_and_no_two_are_alike() {
    let prefixes: Vec<_> = ROWS.iter().map(|row| row.prefix).collect();
    assert!(prefixes.is_sorted_by(|a, b| a < b), "{prefixes:?}");
    assert_eq!(all().len(), ROWS.len() + OWN.len());
    assert!(OWN.iter().all(|prefix| !prefixes.contains(prefix)));
}

#[test]
fn openai_wants_both_variables_and_adds_nothing_to_the_address() {
    assert_snapshot!(
        refused("openai", "m", &[("OPENAI_API_KEY", " ")]),
        @r#"client `openai` cannot ask for `m`: OPENAI_API_KEY, OPENAI_API_BASE are not set"#
    );
    let key = ("OPENAI_API_KEY", "k");
    let base = |base| ("OPENAI_API_BASE", base);
    for (address, expected) in [
        ("http://h/v1", "http://h/v1/chat/completions"),
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("http://h/openai", "http://h/openai/chat/completions"),
        ("http://v1", "http://v1/chat/completions"),
        ("http://h:8/a/v1", "http://h:8/a/v1/chat/completions"),
        (
            "http://h/v1beta/openai/",
            "http://h/v1beta/openai/chat/completions",
        ),
    ] {
        let client = found("openai", "org/model", &[key, base(address)]);
        let (sent_to, body, headers) = sent(&client);
        assert_eq!(sent_to, expected);
        assert_eq!(body["model"], "org/model");
        assert_eq!(
            headers,
            [("authorization".to_owned(), "Bearer k".to_owned())]
        );
        assert!(client.stream && client.has_system_message);
    }
}

#[test]
fn a_wrong_address_names_its_variable_and_no_password() {
    let words = |base| {
        refused(
            "openai",
            "m",
            &[("OPENAI_API_KEY", "k"), ("OPENAI_API_BASE", base)],
        )
    };
    assert_snapshot!(words("localhost:8000"), @r#"environment OPENAI_API_BASE: `localhost:8000` has no scheme"#);
    assert!(!words("http://u:hunter2@h/v1").contains("hunter2"));
    let key = refused(
        "openai",
        "m",
        &[
            ("OPENAI_API_KEY", "hunter2\u{7f}"),
            ("OPENAI_API_BASE", "http://h"),
        ],
    );
    assert_snapshot!(key, @r#"environment OPENAI_API_KEY: the API key has characters that a header cannot carry"#);
}

#[test]
fn anthropic_is_asked_for_messages() {
    let client = found("anthropic", "claude-x", &[("ANTHROPIC_API_KEY", "k")]);
    let (address, body, headers) = sent(&client);
    assert_eq!(address, "https://api.anthropic.com/v1/messages");
    assert_eq!(
        (&body["model"], &body["max_tokens"]),
        (&"claude-x".into(), &7.into())
    );
    assert_eq!(headers, [("x-api-key".to_owned(), "k".to_owned())]);
    assert!(!client.has_system_message);
    assert_snapshot!(refused("anthropic", "claude-x", &[]), @r#"client `anthropic` cannot ask for `claude-x`: ANTHROPIC_API_KEY is not set"#);
    // LiteLLM would add a second one to an address that ends in /v1.
    let local = [
        ("ANTHROPIC_API_KEY", "k"),
        ("ANTHROPIC_API_BASE", "http://h:1/v1"),
    ];
    assert_eq!(
        sent(&found("anthropic", "m", &local)).0,
        "http://h:1/v1/messages"
    );
}

#[test]
fn a_proxy_takes_everything_with_its_whole_name() {
    let proxy = [
        ("LITELLM_API_BASE", "http://127.0.0.1:4000"),
        ("LITELLM_API_KEY", "sk"),
    ];
    for (model, expected) in [
        ("watsonx/some/model", "watsonx/some/model"),
        ("groq/llama", "groq/llama"),
        ("mock-gpt", "mock-gpt"),
        ("litellm_proxy/x/y", "x/y"),
    ] {
        let (address, body, headers) = sent(&found("litellm", model, &proxy));
        assert_eq!(address, "http://127.0.0.1:4000/chat/completions");
        assert_eq!(body["model"], expected);
        assert_eq!(headers[0].1, "Bearer sk");
    }
    // The other clients go where they always go.
    let groq = found("groq", "llama", &[proxy[0], ("GROQ_API_KEY", "k")]);
    assert_eq!(groq.base_url, "https://api.groq.com/openai");
}

#[test]
fn well_known_names_need_no_prefix() {
    let pairs = [
        ("OPENAI_API_KEY", "k"),
        ("ANTHROPIC_API_KEY", "k"),
        ("COHERE_API_KEY", "k"),
        ("GCLOUD_PROJECT_ID", "p"),
        ("GCLOUD_REGION", "us-central1"),
    ];
    for (model, base, kind) in [
        ("gpt-4o", "https://api.openai.com", Kind::OpenAi),
        ("o3-mini", "https://api.openai.com", Kind::OpenAi),
        (
            "claude-sonnet-4-5",
            "https://api.anthropic.com",
            Kind::Anthropic,
        ),
        (
            "command-r-plus",
            "https://api.cohere.ai/compatibility",
            Kind::OpenAi,
        ),
        (
            "gemini-2.5-flash",
            "https://us-central1-aiplatform.googleapis.com",
            Kind::Gemini,
        ),
    ] {
        let client = found("litellm", model, &pairs);
        assert_eq!((client.base_url.as_str(), client.kind), (base, kind));
        assert_eq!(client.model, model);
    }
    let instruct = found("litellm", "gpt-3.5-turbo-instruct", &pairs);
    assert_eq!(instruct.task, Task::Completion);
}

#[test]
fn what_is_not_spoken_is_refused_with_a_way_out() {
    let whose = client("litellm", "llama", &Around::of(&[])).unwrap_err();
    assert!(whose.hint().unwrap().contains("LITELLM_API_BASE"));
    assert!(whose.to_string().contains("together_ai"), "{whose}");
    let unspoken = client("litellm", "replicate/meta/llama", &Around::of(&[])).unwrap_err();
    assert_snapshot!(unspoken.to_string(), @r#"LiteLLM's `replicate/` has words of its own that are not spoken here"#);
    assert_snapshot!(unspoken.hint().unwrap(), @r#"set LITELLM_API_BASE to send it to a LiteLLM proxy, or use --llm-api openai with OPENAI_API_BASE"#);
    assert!(
        refused("litellm", "nobody/m", &[]).starts_with("`nobody/` is not a prefix that is known")
    );
    assert_snapshot!(refused("litellm", "groq/", &[]), @r#"`groq/` names no model behind its prefix"#);
    assert_snapshot!(refused("gopher", "m", &[]), @r#"`gopher` is not a client"#);
    assert_snapshot!(refused("openai", "", &[]), @r#"the model's name is empty"#);
}

#[test]
fn hugging_face_is_its_router_or_an_endpoint() {
    let key = ("HUGGINGFACE_API_KEY", "hf");
    let (address, body, _) = sent(&found("litellm", "huggingface/org/model", &[key]));
    assert_eq!(address, "https://router.huggingface.co/v1/chat/completions");
    assert_eq!(body["model"], "org/model");
    let (_, body, _) = sent(&found("litellm", "huggingface/together/org/model", &[key]));
    assert_eq!(body["model"], "org/model:together");
    for (base, expected, kind) in [
        ("http://h:1", "http://h:1/v1/chat/completions", Kind::OpenAi),
        (
            "http://h:1/v1/",
            "http://h:1/v1/chat/completions",
            Kind::OpenAi,
        ),
        (
            "http://h:1/generate",
            "http://h:1/generate_stream",
            Kind::Tgi,
        ),
        (
            "http://h:1/x/generate_stream",
            "http://h:1/x/generate_stream",
            Kind::Tgi,
        ),
    ] {
        let client = found(
            "litellm",
            "huggingface/org/model",
            &[("HUGGINGFACE_API_BASE", base)],
        );
        assert_eq!(sent(&client).0, expected);
        assert_eq!((client.kind, client.api_key.is_none()), (kind, true));
    }
    assert_snapshot!(refused("huggingface", "org/model", &[]), @r#"client `huggingface` cannot ask for `org/model`: HUGGINGFACE_API_KEY (or HF_TOKEN) is not set"#);
}

#[test]
fn fireworks_models_have_their_account_before_them() {
    let key = [("FIREWORKS_API_KEY", "k")];
    let model = |name| found("fireworks_ai", name, &key).model;
    assert_eq!(model("llama"), "accounts/fireworks/models/llama");
    assert_eq!(model("accounts/me/models/x"), "accounts/me/models/x");
}

/// The table of the documentation, as it follows from the code.
fn documented() -> String {
    let names = |names: &[&str]| {
        let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let mut table = String::from("| prefix | key | address | usual address | API |\n");
    table.push_str("|---|---|---|---|---|\n");
    for row in ROWS {
        let need = if row.needs_key { "" } else { " (optional)" };
        let task = if row.completes {
            "plain completions"
        } else {
            "chat"
        };
        let usage = if row.no_stream_options {
            ", no `stream_options`"
        } else {
            ""
        };
        let line = format!(
            "| `{}/` | {}{need} | {} | {} | `{}`, {task}{usage} |\n",
            row.prefix,
            names(row.keys),
            names(row.bases),
            row.base.map_or("–".to_owned(), |base| format!("<{base}>")),
            row.kind,
        );
        table.push_str(&line);
    }
    table
}

#[test]
fn the_documentation_says_what_the_code_does() {
    let text = include_str!("../../../docs/clients.md");
    let table = documented();
    assert!(
        text.contains(&table),
        "docs/clients.md lacks this table:\n{table}"
    );
    for prefix in OWN {
        assert!(text.contains(&format!("`{prefix}/")), "{prefix}");
    }
    for api in APIS {
        assert!(text.contains(&format!("`{api}`")), "{api}");
    }
    let groups = [
        clouds::AWS_REGION,
        clouds::GOOGLE_PROJECT,
        clouds::GOOGLE_REGION,
        clouds::GOOGLE_TOKEN,
        clouds::VERTEX_BASE,
        clouds::BEDROCK_BASE,
        clouds::SAGEMAKER_BASE,
        clouds::GEMINI_BASE,
        clouds::GEMINI_KEY,
        clouds::AZURE_KEY,
        clouds::AZURE_BASE,
        HUGGING_FACE_KEY,
        HUGGING_FACE_BASE,
    ];
    for name in groups.into_iter().flatten() {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}
