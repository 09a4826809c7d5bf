//! Amazon's APIs: what fixtures that botocore can read say, whatever cuts them, and requests signed as botocore signs them.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde_json::{Value, json};

use super::requests::{body, request, talk, text};
use super::*;
use crate::provider::aws::{Keys, Signer};

/// An answer of one of Amazon's APIs.
#[derive(Clone, Copy, Debug)]
struct Answer {
    name: &'static str,
    kind: Kind,
    model: &'static str,
    stream: bool,
    body: &'static [u8],
}

macro_rules! answers {
    ($($kind:ident $model:literal $name:literal $ending:literal;)*) => {
        const ANSWERS: &[Answer] = &[$(Answer {
            name: $name,
            kind: Kind::$kind,
            model: $model,
            stream: matches!($ending.as_bytes(), b"bin"),
            body: include_bytes!(concat!("../../../tests/fixtures/aws/", $name, ".", $ending)),
        }),*];
    };
}

answers! {
    Bedrock "m" "converse" "bin";
    Bedrock "m" "converse_cut" "bin";
    Bedrock "m" "converse_damaged" "bin";
    Bedrock "m" "converse_error" "bin";
    Bedrock "m" "converse_no_metadata" "bin";
    Bedrock "m" "converse_throttled" "bin";
    Bedrock "m" "converse_body" "json";
    BedrockInvoke "anthropic.claude-v2" "invoke_claude" "bin";
    BedrockInvoke "us.amazon.nova-lite-v1:0" "invoke_nova" "bin";
    BedrockInvoke "amazon.titan-text-lite-v1" "invoke_titan" "bin";
    BedrockInvoke "amazon.titan-text-lite-v1" "invoke_titan_body" "json";
    BedrockInvoke "meta.llama3-8b-instruct-v1:0" "invoke_llama" "bin";
    BedrockInvoke "meta.llama3-8b-instruct-v1:0" "invoke_llama_body" "json";
    BedrockInvoke "mistral.mistral-7b-instruct-v0:2" "invoke_mistral" "bin";
    BedrockInvoke "cohere.command-text-v14" "invoke_command" "bin";
    BedrockInvoke "cohere.command-text-v14" "invoke_command_body" "json";
    BedrockInvoke "cohere.command-r-v1:0" "invoke_command_r" "bin";
    BedrockInvoke "openai.gpt-oss-20b-1:0" "invoke_openai" "bin";
    SageMaker "m" "sagemaker_tgi" "bin";
    SageMaker "m" "sagemaker_tgi_body" "json";
    SageMaker "m" "sagemaker_lines" "bin";
    SageMaker "m" "sagemaker_openai" "bin";
    SageMaker "m" "sagemaker_outputs" "bin";
    SageMaker "m" "sagemaker_llama" "bin";
    SageMaker "m" "sagemaker_llama_body" "json";
    SageMaker "m" "sagemaker_error" "bin";
}

impl Answer {
    fn decoder(&self) -> Box<dyn Decoder> {
        build(&Spec {
            model: self.model.to_owned(),
            ..spec(self.kind, true, self.stream)
        })
        .unwrap()
        .decoder()
    }
}

fn pieces<'b>(body: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let (mut rest, mut pieces) = (body, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces
}

#[test]
fn amazons_answers_say_what_their_snapshots_hold() {
    for case in ANSWERS {
        let text = said_of(case.decoder(), case.body).join("\n");
        insta::with_settings!({
            snapshot_path => "../../../tests/fixtures/aws",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(case.name, text);
        });
    }
}

#[test]
fn amazons_answers_say_the_same_byte_by_byte() {
    for case in ANSWERS {
        let split = said(case.decoder(), pieces(case.body, &[1]).into_iter());
        assert_eq!(split, said_of(case.decoder(), case.body), "{}", case.name);
    }
}

#[test]
fn an_answer_of_amazons_cut_anywhere_neither_ends_nor_garbles() {
    for case in ANSWERS
        .iter()
        .filter(|case| case.name != "converse_damaged")
    {
        let whole = said_of(case.decoder(), case.body);
        for length in 0..case.body.len() {
            let lines = said_of(case.decoder(), &case.body[..length]);
            let garbled = lines.iter().any(|line| line.starts_with("error: "));
            assert!(!garbled, "{} at {length}: {lines:?}", case.name);
            let ended = lines.iter().any(|line| line == "End");
            // White space behind a document is none of it. Where nothing marks the end, only the connection tells a cut.
            let may_end = case.name == "sagemaker_outputs"
                || case.name == "sagemaker_openai"
                || case.name == "sagemaker_lines" && lines == whole
                // What follows a message's end tells of it, and may be left out.
                || ["converse", "invoke_nova"].contains(&case.name) && lines.iter().any(|line| line.starts_with("Finish"))
                || case.body[length..].iter().all(u8::is_ascii_whitespace);
            assert!(may_end || !ended, "{} at {length}: {lines:?}", case.name);
        }
    }
}

#[test]
fn a_server_that_answers_a_stream_with_a_document_is_read() {
    let decoder = build(&spec(Kind::Bedrock, true, true)).unwrap().decoder();
    let document = include_bytes!("../../../tests/fixtures/aws/converse_body.json");
    assert!(said_of(decoder, document).contains(&"End".to_owned()));
}

proptest! {
    #[test]
    fn any_cut_of_amazons_answers_says_the_same(
        case in select(ANSWERS),
        sizes in vec(1_usize..200, 1..20),
    ) {
        let split = said(case.decoder(), pieces(case.body, &sizes).into_iter());
        prop_assert_eq!(split, said_of(case.decoder(), case.body));
    }

    #[test]
    fn damage_to_amazons_answers_says_the_same_however_it_is_cut(
        case in select(ANSWERS),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..4),
        sizes in vec(1_usize..200, 1..10),
    ) {
        let mut body = case.body.to_vec();
        for (at, byte, length) in damage {
            let start = at.index(body.len());
            let end = (start + length).min(body.len());
            body.splice(start..end, [byte]);
        }
        let split = said(case.decoder(), pieces(&body, &sizes).into_iter());
        prop_assert_eq!(split, said_of(case.decoder(), &body));
    }
}

#[derive(Deserialize)]
struct Signed {
    service: String,
    region: String,
    host: String,
    base_path: String,
    path: String,
    body: String,
    headers: indexmap::IndexMap<String, String>,
    session_token: Option<String>,
    seconds: u64,
    #[serde(rename = "signed")]
    wanted: indexmap::IndexMap<String, String>,
}

#[test]
fn a_signature_is_botocores_for_the_same_inputs() {
    let cases = include_str!("../../../tests/fixtures/aws/signatures.json");
    let cases: Vec<Signed> = serde_json::from_str(cases).unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let token = case.session_token.map(Secret::new);
        let keys = Keys {
            access_key_id: &Secret::new("AKIDEXAMPLE"),
            secret_access_key: &Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.as_ref(),
        };
        let kind = if case.service == "sagemaker" {
            Kind::SageMaker
        } else {
            Kind::Bedrock
        };
        let signer = Signer::new(kind, &case.region, &case.host, &case.base_path, &keys);
        let mut request = Request::post(case.path.as_str());
        for (name, value) in &case.headers {
            request = request.header(name, value);
        }
        // What is no part of a signature, and an earlier one.
        let request = request.header("accept", "*/*").header("user-agent", "x");
        let mut request = request.body(Bytes::from(case.body)).unwrap();
        signer.sign(&mut request, Duration::ZERO).unwrap();
        signer
            .sign(&mut request, Duration::from_secs(case.seconds))
            .unwrap();
        let headers = request.headers();
        for (name, value) in &case.wanted {
            assert_eq!(headers.get(name).unwrap(), value, "{}: {name}", case.path);
            assert_eq!(headers.get_all(name).iter().count(), 1);
        }
        let shown = format!("{headers:?} {signer:?}");
        assert!(
            !shown.contains("AKID") && !shown.contains("IQoJ"),
            "{shown}"
        );
    }
}

#[test]
fn a_host_that_the_user_names_is_the_one_that_is_signed() {
    let (id, secret) = (Secret::new("id"), Secret::new("secret"));
    let keys = Keys {
        access_key_id: &id,
        secret_access_key: &secret,
        session_token: None,
    };
    let signature = |host: &str, named: Option<&str>| {
        let mut request = Request::post("/x").body(Bytes::new()).unwrap();
        if let Some(named) = named {
            request.headers_mut().insert("host", named.parse().unwrap());
        }
        let signer = Signer::new(Kind::Bedrock, "us-east-1", host, "", &keys);
        signer.sign(&mut request, Duration::ZERO).unwrap();
        request.headers()["authorization"].clone()
    };
    assert_eq!(
        signature("127.0.0.1:80", Some("real")),
        signature("real", None)
    );
    assert_ne!(signature("127.0.0.1:80", None), signature("real", None));
}

fn bedrock(model: &str, chat: bool) -> Spec {
    let mut spec = spec(Kind::BedrockInvoke, chat, true);
    spec.model = model.to_owned();
    spec.sampling.temperature = Some(0.5);
    spec
}

#[test]
fn paths_name_the_model_escaped_once() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-v2:1";
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-v2%3A1";
    for (kind, stream, path) in [
        (
            Kind::Bedrock,
            true,
            format!("/model/{escaped}/converse-stream"),
        ),
        (Kind::Bedrock, false, format!("/model/{escaped}/converse")),
        (
            Kind::BedrockInvoke,
            true,
            format!("/model/{escaped}/invoke-with-response-stream"),
        ),
        (
            Kind::BedrockInvoke,
            false,
            format!("/model/{escaped}/invoke"),
        ),
        (
            Kind::SageMaker,
            true,
            format!("/endpoints/{escaped}/invocations-response-stream"),
        ),
        (
            Kind::SageMaker,
            false,
            format!("/endpoints/{escaped}/invocations"),
        ),
    ] {
        let spec = Spec {
            model: arn.to_owned(),
            ..spec(kind, true, stream)
        };
        let request = request(&spec, &ask(text(), None));
        assert_eq!(request.uri(), path.as_str());
        let media = if stream {
            "application/vnd.amazon.eventstream"
        } else {
            "application/json"
        };
        assert_eq!(request.headers()["accept"], media);
    }
}

#[test]
fn a_sagemaker_request_is_the_containers() {
    let mut chat = spec(Kind::SageMaker, true, true);
    chat.sampling.temperature = Some(0.5);
    chat.place.lists_of_messages = true;
    let asked = ask(
        text(),
        Some(json!({"max_tokens": 9, "top_p": 0.9, "stream": true})),
    );
    assert_eq!(
        body(&chat, &asked),
        concat!(
            r#"{"inputs":[[{"role":"user","content":"Say \"hi\""}]],"#,
            r#""parameters":{"max_new_tokens":9,"temperature":0.5,"top_p":0.9}}"#
        )
    );
    assert_eq!(
        request(&chat, &asked).headers()["x-amzn-sagemaker-custom-attributes"],
        "accept_eula=true"
    );
    chat.place.lists_of_messages = false;
    assert_eq!(
        body(&chat, &asked),
        concat!(
            r#"{"stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"#,
            r#""messages":[{"role":"user","content":"Say \"hi\""}],"max_tokens":9,"top_p":0.9}"#
        )
    );
    assert_eq!(
        body(&spec(Kind::SageMaker, false, true), &ask(text(), None)),
        r#"{"stream":true,"inputs":"Say \"hi\"","parameters":{"max_new_tokens":64,"details":true}}"#
    );
    let row = Some(json!({"parameters": {"stop": ["x"]}}));
    assert_eq!(
        body(&spec(Kind::SageMaker, false, false), &ask(text(), row)),
        r#"{"inputs":"Say \"hi\"","parameters":{"max_new_tokens":64,"details":true,"stop":["x"]}}"#
    );
    let refused = build(&chat).unwrap().auth(&Secret::new("k")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "provider `sagemaker` has no API key; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY sign its requests"
    );
}

#[test]
fn a_converse_request_has_its_fields_where_the_api_has_them() {
    let mut spec = spec(Kind::Bedrock, true, true);
    spec.sampling.temperature = Some(0.5);
    spec.sampling.top_k = Some(5);
    let row = json!({"top_p": 0.9, "stop": "x", "seed": 3, "max_tokens": 9, "performanceConfig": {"latency": "optimized"}});
    assert_eq!(
        body(&spec, &ask(talk(), Some(row))),
        concat!(
            r#"{"additionalModelRequestFields":{"top_k":5,"seed":3},"messages":[{"role":"user","content":[{"text":"Hi"}]},"#,
            r#"{"role":"assistant","content":[{"text":"Hello"}]},{"role":"user","content":[{"text":"Bye"}]}],"#,
            r#""system":[{"text":"Be brief."}],"inferenceConfig":{"maxTokens":9,"temperature":0.5,"topP":0.9,"#,
            r#""stopSequences":["x"]},"performanceConfig":{"latency":"optimized"}}"#
        )
    );
    let parts = [
        crate::domain::Part::Text("See".into()),
        crate::domain::Part::Image("data:image/png;base64,AAAA".into()),
    ];
    let body: Value =
        serde_json::from_str(&body(&spec, &ask(Prompt::Parts(parts.into()), None))).unwrap();
    assert_eq!(
        body["messages"][0]["content"][1],
        json!({"image": {"format": "png", "source": {"bytes": "AAAA"}}})
    );
}

#[test]
fn each_maker_is_asked_in_its_own_words() {
    let row = || Some(json!({"max_tokens": 9, "top_p": 0.9, "stop": "x"}));
    for (model, chat, expected) in [
        (
            "anthropic.claude-v2",
            true,
            json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9,
                "stop_sequences": ["x"], "messages": [{"role": "user", "content": "Say \"hi\""}]}),
        ),
        (
            "amazon.nova-lite-v1:0",
            true,
            json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "Say \"hi\""}]}],
                "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]}}),
        ),
        (
            "amazon.titan-text-lite-v1",
            false,
            json!({"inputText": "Say \"hi\"",
                "textGenerationConfig": {"maxTokenCount": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]}}),
        ),
        (
            "meta.llama3-8b-instruct-v1:0",
            false,
            json!({"prompt": "Say \"hi\"", "max_gen_len": 9, "temperature": 0.5, "top_p": 0.9, "stop": "x"}),
        ),
        (
            "mistral.mistral-7b-instruct-v0:2",
            true,
            json!({"prompt": "<s>[INST] Say \"hi\" [/INST]", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": "x"}),
        ),
        (
            "cohere.command-r-v1:0",
            true,
            json!({"message": "Say \"hi\"", "max_tokens": 9, "temperature": 0.5, "p": 0.9, "stop_sequences": ["x"]}),
        ),
        (
            "cohere.command-text-v14",
            false,
            json!({"prompt": "Say \"hi\"", "max_tokens": 9, "stream": true, "temperature": 0.5, "p": 0.9,
                "stop_sequences": ["x"]}),
        ),
        (
            "openai.gpt-oss-20b-1:0",
            true,
            json!({"messages": [{"role": "user", "content": "Say \"hi\""}], "max_completion_tokens": 9, "temperature": 0.5,
                "top_p": 0.9, "stop": "x"}),
        ),
    ] {
        let said: Value =
            serde_json::from_str(&body(&bedrock(model, chat), &ask(text(), row()))).unwrap();
        assert_eq!(said, expected, "{model}");
    }
    let refused = |model: &str, chat| build(&bedrock(model, chat)).unwrap_err().to_string();
    assert_eq!(
        refused("mistral.pixtral-large-2502-v1:0", true),
        "the name of model `mistral.pixtral-large-2502-v1:0` does not tell which words it takes (`bedrock` speaks with any)"
    );
    assert_eq!(
        refused("anthropic.claude-v2", false),
        "provider `bedrock-invoke` has no plain completions for this model"
    );
}
