//! The clients of clouds from outside: what each of them sends, where, and how it is let in; and that its answers are read to the
//! end. The clients that say no more than an address have their table.

use serde_json::{Value, json};

use crate::command::{Place, Ran, at_once, serve, url, words};
use crate::process::{settled, shared};
use crate::server::{Answer, Server};

const ID: &str = "AKIDLLMLOADTEST";
const SECRET: &str = "wJalr-secret-of-aws";
const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 Credential=AKIDLLMLOADTEST/";

/// What lets each client in, without its address.
const AMAZON: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_REGION_NAME", "eu-west-3"),
    // Of whoever runs other tests here: not for Amazon.
    ("API_KEY", "a-key-for-any-server"),
];
const GOOGLE: &[(&str, &str)] = &[
    ("GCLOUD_PROJECT_ID", "p"),
    ("GCLOUD_REGION", "us-central1"),
    ("VERTEXAI_ENDPOINT_ID", "77"),
    ("GCLOUD_ACCESS_TOKEN", "a-token-of-google"),
];
const AZURE: &[(&str, &str)] = &[
    ("AZURE_API_KEY", "a-key-of-azure"),
    ("AZURE_API_VERSION", "2025-01-01"),
];

/// A client, the variables that let it in, and what it sends.
struct Case {
    api: &'static str,
    model: &'static str,
    variables: &'static [(&'static str, &'static str)],
    base: &'static str,
    path: &'static str,
    /// Stands in the head.
    lets_in: &'static str,
    /// With `P` for the prompt and 0 for the length.
    body: fn() -> Value,
}

fn chat() -> Value {
    json!([{"role": "system", "content": ""}, {"role": "user", "content": "P"}])
}

fn cases() -> Vec<Case> {
    let amazons = [
        (
            ("sagemaker", "an-endpoint", "SAGEMAKER_BASE_URL"),
            "/endpoints/an-endpoint/invocations-response-stream",
            (|| json!({"inputs": [chat()], "parameters": {"max_new_tokens": 0, "top_p": 0.5}}))
                as fn() -> Value,
        ),
        (
            (
                "litellm",
                "sagemaker/an-endpoint",
                "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
            ),
            "/endpoints/an-endpoint/invocations-response-stream",
            || {
                json!({"stream": true, "inputs": "P",
                    "parameters": {"max_new_tokens": 0, "details": true, "top_p": 0.5}})
            },
        ),
        (
            (
                "litellm",
                "sagemaker_chat/an-endpoint",
                "SAGEMAKER_BASE_URL",
            ),
            "/endpoints/an-endpoint/invocations-response-stream",
            || {
                json!({"messages": chat(), "max_tokens": 0, "top_p": 0.5, "stream": true,
                    "stream_options": {"include_usage": true}})
            },
        ),
        (
            (
                "bedrock",
                "us.meta.llama3-1-8b-instruct-v1:0",
                "AWS_BEDROCK_RUNTIME_ENDPOINT",
            ),
            "/model/us.meta.llama3-1-8b-instruct-v1%3A0/converse-stream",
            || {
                json!({"messages": [{"role": "user", "content": [{"text": "P"}]}],
                    "inferenceConfig": {"maxTokens": 0, "topP": 0.5}})
            },
        ),
        (
            (
                "litellm",
                "bedrock/invoke/anthropic.claude-3-haiku-20240307-v1:0",
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            ),
            "/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke-with-response-stream",
            || {
                json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 0, "top_p": 0.5,
                    "messages": [{"role": "user", "content": "P"}]})
            },
        ),
    ];
    let amazons = amazons.map(|((api, model, base), path, body)| Case {
        api,
        model,
        variables: AMAZON,
        base,
        path,
        lets_in: SIGNED,
        body,
    });
    amazons.into_iter().chain(others()).collect()
}

fn others() -> [Case; 5] {
    let vertex = |(api, model), path, body| Case {
        api,
        model,
        variables: GOOGLE,
        base: "VERTEXAI_API_BASE",
        path,
        lets_in: "authorization: Bearer a-token-of-google\r\n",
        body,
    };
    [
        vertex(
            ("vertexai", "for-the-log"),
            "/v1/projects/p/locations/us-central1/endpoints/77:predict",
            || json!({"instances": [{"prompt": "P"}], "parameters": {"maxOutputTokens": 0, "topP": 0.5}}),
        ),
        vertex(
            ("litellm", "vertex_ai/gemini-2.5-flash"),
            "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            || {
                json!({"contents": [{"role": "user", "parts": [{"text": "P"}]}],
                    "generationConfig": {"maxOutputTokens": 0, "topP": 0.5}})
            },
        ),
        vertex(
            ("litellm", "vertex_ai/meta/llama-4-scout"),
            "/v1beta1/projects/p/locations/us-central1/endpoints/openapi/chat/completions",
            || {
                json!({"model": "meta/llama-4-scout", "messages": chat(), "max_tokens": 0, "top_p": 0.5, "stream": true,
                    "stream_options": {"include_usage": true}})
            },
        ),
        Case {
            api: "litellm",
            model: "gemini/gemini-2.5-flash",
            variables: &[
                ("GEMINI_API_KEY", "a-key-of-gemini"),
                ("API_KEY", "a-key-for-any-server"),
            ],
            base: "GEMINI_API_BASE",
            path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            lets_in: "x-goog-api-key: a-key-of-gemini\r\n",
            body: || {
                json!({"contents": [{"role": "user", "parts": [{"text": "P"}]}],
                    "generationConfig": {"maxOutputTokens": 0, "topP": 0.5}})
            },
        },
        Case {
            api: "litellm",
            model: "azure/o3-mini",
            variables: AZURE,
            base: "AZURE_API_BASE",
            path: "/openai/deployments/o3-mini/chat/completions?api-version=2025-01-01",
            lets_in: "api-key: a-key-of-azure\r\n",
            body: || {
                json!({"model": "o3-mini", "messages": chat(), "max_completion_tokens": 0, "top_p": 0.5, "stream": true,
                    "stream_options": {"include_usage": true}})
            },
        },
    ]
}

/// One small test of this client's server at `address`.
fn benchmark(place: &Place, case: &Case, address: &str) -> Ran {
    let line = format!(
        "token-benchmark --llm-api {} --model {} --max-num-completed-requests 4 --num-concurrent-requests 2 --timeout 30 \
         --mean-input-tokens 300 --stddev-input-tokens 1 --mean-output-tokens 8 --stddev-output-tokens 1 --tokenizer-id \
         built-in --additional-sampling-params {{\"top_p\":0.5}} --results-dir out --allow-invalid",
        case.api, case.model
    );
    let env = [case.variables, &[(case.base, address)]].concat();
    place.run_with(&words(&line), &env)
}

/// Puts `P` and 0 for what is drawn: the prompt, and the length.
fn normal(value: &mut Value) {
    let lengths = [
        "max_tokens",
        "max_completion_tokens",
        "max_new_tokens",
        "maxTokens",
        "maxOutputTokens",
    ];
    match value {
        Value::String(text) if text.len() > 100 => "P".clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(normal),
        Value::Object(fields) => {
            for (name, value) in fields {
                if lengths.contains(&name.as_str()) {
                    *value = json!(0);
                }
                normal(value);
            }
        }
        _ => {}
    }
}

#[test]
fn each_client_of_a_cloud_sends_its_body_where_it_belongs_and_is_let_in_its_own_way() {
    let _shared = shared();
    for case in cases() {
        let name = format!("{} {}", case.api, case.model);
        let (place, server) = (Place::new(), Server::start(Answer::Refuse(403)));
        let ran = benchmark(&place, &case, &server.url());
        assert_eq!(ran.status, Some(0), "{name}: {}", ran.stderr);
        let requests = server.requests();
        assert!(requests.len() >= 4, "{name}: {requests:?}");
        for (head, body) in requests {
            assert!(
                head.starts_with(&format!("POST {} ", case.path)),
                "{name}: {head}"
            );
            assert!(head.contains(case.lets_in), "{name}: {head}");
            assert!(!head.contains("a-key-for-any-server"), "{name}: {head}");
            assert!(!head.contains(SECRET), "{name}: {head}");
            let mut body: Value = serde_json::from_str(&body).unwrap();
            normal(&mut body);
            assert_eq!(body, (case.body)(), "{name}");
        }
    }
}

#[test]
fn the_answers_of_each_cloud_are_read_to_the_end() {
    let _shared = shared();
    for case in cases() {
        let name = format!("{} {}", case.api, case.model);
        let (place, mock) = (Place::new(), serve(at_once()));
        let ran = benchmark(&place, &case, &url(&mock));
        assert_eq!(ran.status, Some(0), "{name}: {}", ran.stderr);
        let seen = settled(&mock);
        let whole = case.api == "vertexai";
        let completed = (seen.streams.completed, seen.wholes.completed);
        assert_eq!(completed, if whole { (0, 4) } else { (4, 0) }, "{name}");
        let files = place.files();
        let named = |(path, text): &(std::path::PathBuf, String)| {
            path.to_string_lossy()
                .ends_with("_summary.json")
                .then(|| text.clone())
        };
        let summary = files.iter().find_map(named).unwrap();
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(
            summary["results_num_completed_requests"], 4,
            "{name}: {summary}"
        );
        assert_eq!(summary["results_number_errors"], 0, "{name}: {summary}");
        assert!(
            !files
                .iter()
                .any(|(_, text)| text.contains(SECRET) || text.contains(ID))
        );
    }
}

#[test]
fn a_key_for_any_server_is_not_sent_to_amazon() {
    let _shared = shared();
    for (provider, model) in [
        ("bedrock", "us.meta.llama3-1-8b-instruct-v1:0"),
        ("sagemaker", "an-endpoint"),
    ] {
        let line = |server: &Server, more: &str| {
            format!(
                "run -H {} --provider {provider} -m {model} -u 1 --max-requests 2 -p 32 -o 6 --only-summary --threads 1 \
                 --start-spread 0s {more}",
                server.url()
            )
        };
        let (place, server) = (Place::new(), Server::start(Answer::Refuse(403)));
        place.run_with(&words(&line(&server, "")), AMAZON).expect(1);
        assert!(
            server.heads().iter().all(|head| head.contains(SIGNED)),
            "{:?}",
            server.heads()
        );
        assert!(server.heads().len() >= 2);
        // A key that was said is meant.
        let said = place.run_with(&words(&line(&server, "-k said-for-this")), AMAZON);
        let heads = server.heads().concat();
        assert_eq!(
            heads.contains("Bearer said-for-this"),
            provider == "bedrock",
            "{heads}"
        );
        assert_eq!(
            said.complaint().contains("has no API key"),
            provider == "sagemaker"
        );
    }
    let (place, server) = (Place::new(), Server::start(Answer::Refuse(403)));
    let bearer = [AMAZON, &[("AWS_BEARER_TOKEN_BEDROCK", "of-bedrock")]].concat();
    let line = format!(
        "run -H {} --provider bedrock -m m -u 1 --max-requests 2 --only-summary",
        server.url()
    );
    place.run_with(&words(&line), &bearer).expect(1);
    let heads = server.heads();
    assert!(
        heads.iter().all(|head| head.contains("Bearer of-bedrock")),
        "{heads:?}"
    );
}
