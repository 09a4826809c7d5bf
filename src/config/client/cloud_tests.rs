//! What the clients of clouds come to.

use insta::assert_snapshot;

use super::tests::{Around, found, refused, sent};
use super::*;

#[test]
fn azure_names_the_deployment_and_takes_either_secret() {
    let place = [
        ("AZURE_API_BASE", "https://me.openai.azure.com/"),
        ("AZURE_API_VERSION", "2025-01-01"),
    ];
    let by_key = found(
        "litellm",
        "azure/gpt",
        &[place[0], place[1], ("AZURE_API_KEY", "k")],
    );
    let (address, _, headers) = sent(&by_key);
    assert_eq!(
        address,
        "https://me.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2025-01-01"
    );
    assert_eq!(headers, [("api-key".to_owned(), "k".to_owned())]);
    let by_token = found(
        "azure",
        "gpt",
        &[place[0], place[1], ("AZURE_AD_TOKEN", "t")],
    );
    assert_eq!(
        sent(&by_token).2,
        [("authorization".to_owned(), "Bearer t".to_owned())]
    );
    assert_snapshot!(refused("litellm", "azure/gpt", &[]), @r#"client `litellm` cannot ask for `azure/gpt`: AZURE_API_KEY (or AZURE_OPENAI_API_KEY), AZURE_API_BASE (or AZURE_OPENAI_ENDPOINT), AZURE_API_VERSION are not set"#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one case a way to say it")]
fn amazons_clients_know_their_region_and_what_signs() {
    let keys = [("AWS_ACCESS_KEY_ID", "i"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let us = ("AWS_REGION_NAME", "us-east-1");
    for (model, kind, id, region) in [
        (
            "anthropic.claude:0",
            Kind::Bedrock,
            "anthropic.claude:0",
            "us-east-1",
        ),
        (
            "converse/us.meta.llama",
            Kind::Bedrock,
            "us.meta.llama",
            "us-east-1",
        ),
        (
            "invoke/meta.llama",
            Kind::BedrockInvoke,
            "meta.llama",
            "us-east-1",
        ),
        (
            "invoke/eu-west-3/meta.llama",
            Kind::BedrockInvoke,
            "meta.llama",
            "eu-west-3",
        ),
        (
            "us-gov-west-1/meta.llama",
            Kind::Bedrock,
            "meta.llama",
            "us-gov-west-1",
        ),
        (
            "arn:aws:bedrock:ap-south-1:1:inference-profile/x",
            Kind::Bedrock,
            "arn:aws:bedrock:ap-south-1:1:inference-profile/x",
            "ap-south-1",
        ),
    ] {
        let client = found("bedrock", model, &[keys[0], keys[1], us]);
        assert_eq!((client.kind, client.model.as_str()), (kind, id), "{model}");
        assert_eq!(client.place.aws_region.as_deref(), Some(region), "{model}");
        let host = format!("https://bedrock-runtime.{region}.amazonaws.com");
        assert_eq!(client.base_url, host);
        assert_eq!(client.aws.access_key_id, Some(Secret::new("i")));
        assert_eq!((&client.aws.bearer_token, &client.api_key), (&None, &None));
    }
    let bearer = found("bedrock", "m", &[us, ("AWS_BEARER_TOKEN_BEDROCK", "t")]);
    assert_eq!(
        sent(&bearer).2,
        [("authorization".to_owned(), "Bearer t".to_owned())]
    );
    let local = ("SAGEMAKER_BASE_URL", "http://127.0.0.1:5000");
    let endpoint = found(
        "litellm",
        "sagemaker_chat/mine",
        &[keys[0], keys[1], us, local],
    );
    assert_eq!(
        (endpoint.kind, endpoint.task, endpoint.base_url.as_str()),
        (Kind::SageMaker, Task::Chat, local.1)
    );
    assert!(!endpoint.place.lists_of_messages);
    let own = found("sagemaker", "mine", &[keys[0], keys[1], us, local]);
    assert_eq!((own.task, own.place.lists_of_messages), (Task::Chat, true));
    let text = found("litellm", "sagemaker/mine", &[keys[0], keys[1], us, local]);
    assert_eq!(text.task, Task::Completion);
    // A key of Bedrock's is none for it.
    let bearer = [us, ("AWS_BEARER_TOKEN_BEDROCK", "t")];
    assert!(refused("sagemaker", "mine", &bearer).contains("AWS_ACCESS_KEY_ID"));
    assert_snapshot!(refused("sagemaker", "mine", &[]), @r#"client `sagemaker` cannot ask for `mine`: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION_NAME (or AWS_REGION, AWS_DEFAULT_REGION) are not set"#);
    assert_snapshot!(refused("bedrock", "m", &[keys[0], keys[1], ("AWS_REGION", "a.evil/x")]), @r#"`a.evil/x` is not a region of AWS"#);
}

#[test]
fn googles_clients_know_their_project_and_who_lets_them_in() {
    let place = [("GCLOUD_PROJECT_ID", "p"), ("GCLOUD_REGION", "us-central1")];
    let endpoint = ("VERTEXAI_ENDPOINT_ID", "77");
    let token = ("GCLOUD_ACCESS_TOKEN", "t");
    let own = found(
        "vertexai",
        "for-the-log",
        &[place[0], place[1], endpoint, token],
    );
    assert_eq!((own.kind, own.stream), (Kind::VertexPredict, false));
    assert_eq!(
        (own.model.as_str(), &own.api_key),
        ("for-the-log", &Some(Secret::new("t")))
    );
    let google = own.place.google.unwrap();
    assert_eq!(
        (google.project.as_str(), google.endpoint.as_deref()),
        ("p", Some("77"))
    );
    // The application-default credentials are found by whoever sends.
    assert_eq!(
        found("vertexai", "m", &[place[0], place[1], endpoint]).api_key,
        None
    );
    for (model, kind, id) in [
        ("vertex_ai/gemini-2.5-pro", Kind::Gemini, "gemini-2.5-pro"),
        (
            "vertex_ai/claude-opus-4@20250514",
            Kind::VertexAnthropic,
            "claude-opus-4@20250514",
        ),
        ("vertex_ai/123", Kind::VertexPredict, "123"),
        ("vertex_ai/openai/123", Kind::OpenAi, "123"),
        ("vertex_ai/gemini/123", Kind::Gemini, "123"),
        ("vertex_ai/meta/llama-4", Kind::OpenAi, "meta/llama-4"),
    ] {
        let client = found("litellm", model, &place);
        assert_eq!((client.kind, client.model.as_str()), (kind, id));
        assert_eq!(client.api_key, None, "{model}");
    }
    let (address, ..) = sent(&found(
        "litellm",
        "vertex_ai/openai/123",
        &[place[0], place[1], token],
    ));
    assert_eq!(
        address,
        "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-central1/endpoints/123/chat/completions"
    );
    let by_key = found(
        "litellm",
        "gemini/gemini-2.5-pro",
        &[("GEMINI_API_KEY", "k")],
    );
    assert_eq!(by_key.place.google, None);
    for unknown in ["vertex_ai/gemma-2", "vertex_ai/gemma/123"] {
        let words = refused("litellm", unknown, &place);
        assert!(words.contains("are not known"), "{words}");
    }
    let evil = ("GCLOUD_REGION", "evil.example/x?");
    let words = refused("litellm", "vertex_ai/gemini-2.5-pro", &[place[0], evil]);
    assert_snapshot!(words, @r#"`evil.example/x?` is not a region of Google Cloud"#);
    let odd = [("GCLOUD_PROJECT_ID", "p/../q"), place[1]];
    let (address, ..) = sent(&found("litellm", "vertex_ai/openai/123", &odd));
    assert!(address.contains("/projects/p%2F..%2Fq/"), "{address}");
    assert_snapshot!(refused("vertexai", "m", &[]), @r#"client `vertexai` cannot ask for `m`: VERTEXAI_ENDPOINT_ID, GCLOUD_PROJECT_ID (or VERTEXAI_PROJECT, VERTEX_PROJECT, GOOGLE_CLOUD_PROJECT), GCLOUD_REGION (or VERTEXAI_LOCATION, VERTEX_LOCATION, GOOGLE_CLOUD_LOCATION) are not set"#);
    assert_snapshot!(refused("litellm", "vertex_ai/mistral-large", &place), @r#"the words of `mistral-large` at Vertex AI are not known"#);
}

#[test]
fn models_that_think_first_are_told_their_length_by_the_name_that_they_take() {
    let azure = [
        ("AZURE_API_KEY", "k"),
        ("AZURE_API_BASE", "http://h"),
        ("AZURE_API_VERSION", "1"),
    ];
    let openai = [("OPENAI_API_KEY", "k")];
    let length = |model: &str, pairs: &[(&str, &str)]| {
        let (_, body, _) = sent(&found("litellm", model, pairs));
        (
            body["max_tokens"].as_u64(),
            body["max_completion_tokens"].as_u64(),
        )
    };
    for model in ["openai/o3-mini", "o1", "gpt-5", "openai/gpt-5.1"] {
        assert_eq!(length(model, &openai), (None, Some(7)), "{model}");
    }
    assert_eq!(length("azure/gpt-5", &azure), (None, Some(7)));
    assert_eq!(length("azure/gpt-4o", &azure), (Some(7), None));
    assert_eq!(length("gpt-4o", &openai), (Some(7), None));
    assert_eq!(length("groq/o3", &[("GROQ_API_KEY", "k")]), (Some(7), None));
}

#[test]
fn foundrys_own_address_is_refused_with_the_one_that_speaks_like_openais() {
    let key = ("AZURE_AI_API_KEY", "k");
    let at = |base| [key, ("AZURE_AI_API_BASE", base)];
    let model = "azure_ai/llama";
    for base in [
        "https://me.services.ai.azure.com",
        "https://me.services.ai.azure.com/models",
        "https://me.services.ai.azure.com/openai",
    ] {
        let error = client("litellm", model, &Around::of(&at(base))).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no chat that speaks like OpenAI's")
        );
        assert_eq!(
            error.hint().unwrap(),
            "write https://me.services.ai.azure.com/openai/v1"
        );
    }
    for base in [
        "https://me.services.ai.azure.com/openai/v1/",
        "https://x.models.ai.azure.com/v1",
    ] {
        let (address, ..) = sent(&found("litellm", model, &at(base)));
        let base = base.trim_end_matches('/');
        assert_eq!(address, format!("{base}/chat/completions"));
    }
}

#[test]
fn ids_of_bedrocks_need_no_prefix() {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", "i"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_REGION", "us-east-1"),
    ];
    for model in [
        "amazon.nova-lite-v1:0",
        "anthropic.claude-v2",
        "meta.llama3-8b",
    ] {
        let client = found("litellm", model, &pairs);
        assert_eq!((client.kind, client.model.as_str()), (Kind::Bedrock, model));
    }
}
