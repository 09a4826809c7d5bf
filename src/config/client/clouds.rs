//! The clients of clouds: Azure's deployments, Amazon's and Google's services, whose addresses depend on a region.
//! It signs nothing: who lets a request in there is the app's affair.

use super::variables::Variables;
use super::{Client, plain, put_at};
use crate::config::Source;
use crate::config::error::{ConfigError, Fault};
use crate::domain::Secret;
use crate::provider::{Azure, Google, Kind, Task};

/// Amazon's region, where a model's name tells none.
pub(super) const AWS_REGION: &[&str] = &["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];
/// Google's project.
pub(super) const GOOGLE_PROJECT: &[&str] = &[
    "GCLOUD_PROJECT_ID",
    "VERTEXAI_PROJECT",
    "GOOGLE_CLOUD_PROJECT",
];
/// Google's region.
pub(super) const GOOGLE_REGION: &[&str] = &[
    "GCLOUD_REGION",
    "VERTEXAI_LOCATION",
    "GOOGLE_CLOUD_LOCATION",
];
/// A token that is given, instead of the application-default credentials.
pub(super) const GOOGLE_TOKEN: &[&str] = &["GCLOUD_ACCESS_TOKEN"];
/// Where Vertex AI is, if not at its usual address.
pub(super) const VERTEX_BASE: &[&str] = &["VERTEXAI_API_BASE", "VERTEX_API_BASE"];
/// Where Bedrock's runtime is, if not at its usual address.
pub(super) const BEDROCK_BASE: &[&str] = &[
    "AWS_BEDROCK_RUNTIME_ENDPOINT",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "AWS_ENDPOINT_URL",
];
/// Where SageMaker's runtime is, if not at its usual address.
pub(super) const SAGEMAKER_BASE: &[&str] = &[
    "SAGEMAKER_BASE_URL",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
    "AWS_ENDPOINT_URL",
];
/// Where the Gemini API is, if not at its usual address.
pub(super) const GEMINI_BASE: &[&str] = &["GEMINI_API_BASE"];
/// The Gemini API's key.
pub(super) const GEMINI_KEY: &[&str] = &["GEMINI_API_KEY", "GOOGLE_API_KEY"];

/// The key of a deployment at Azure; `AZURE_AD_TOKEN` does as well.
pub(super) const AZURE_KEY: &[&str] = &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"];
/// Where the deployments are.
pub(super) const AZURE_BASE: &[&str] = &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"];

/// A deployment at Azure.
pub(super) fn azure(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let mut client = plain(Kind::Azure, Task::Chat, model.to_owned());
    match variables.secret_if_set(&["AZURE_AD_TOKEN"])? {
        // A token stands for a person, and goes where keys do not.
        Some(token) if variables.if_set(AZURE_KEY).is_none() => {
            let value = Secret::new(format!("Bearer {}", token.expose()));
            client
                .secret_headers
                .insert("authorization".to_owned(), value);
        }
        _ => client.api_key = variables.secret(AZURE_KEY)?,
    }
    let base = variables.base(AZURE_BASE, None);
    client.azure = Some(Azure {
        deployment: Some(model.to_owned()),
        api_version: variables.needed(&["AZURE_API_VERSION"]),
    });
    put_at(&mut client, &base)?;
    Ok(client)
}

/// A model at Bedrock: `converse/ID`, `invoke/ID` or `ID`, with or without `REGION/` before the id.
pub(super) fn bedrock(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let (kind, rest) = match model.split_once('/') {
        Some(("invoke", rest)) => (Kind::BedrockInvoke, rest),
        Some(("converse", rest)) => (Kind::Bedrock, rest),
        _ => (Kind::Bedrock, model),
    };
    let (region, id) = match rest.split_once('/') {
        Some((region, id)) if is_aws_region(region) => (Some(region.to_owned()), id),
        _ => (region_of_arn(rest), rest),
    };
    let mut client = plain(kind, Task::Chat, id.to_owned());
    client.api_key = variables.secret_if_set(&["AWS_BEARER_TOKEN_BEDROCK"])?;
    at_amazon(&mut client, region, BEDROCK_BASE, variables)?;
    Ok(client)
}

/// A model at an endpoint of SageMaker's.
pub(super) fn sagemaker(
    model: &str,
    task: Task,
    variables: &mut Variables<'_>,
) -> Result<Client, ConfigError> {
    let mut client = plain(Kind::SageMaker, task, model.to_owned());
    at_amazon(&mut client, None, SAGEMAKER_BASE, variables)?;
    Ok(client)
}

/// Puts a client into a region of Amazon's, and asks for the keys that sign its requests where no token lets them in.
fn at_amazon(
    client: &mut Client,
    region: Option<String>,
    bases: &'static [&'static str],
    variables: &mut Variables<'_>,
) -> Result<(), ConfigError> {
    client.needs_aws = client.api_key.is_none();
    if client.needs_aws {
        variables.needed(&["AWS_ACCESS_KEY_ID"]);
        variables.needed(&["AWS_SECRET_ACCESS_KEY"]);
    }
    let region = region.unwrap_or_else(|| variables.needed(AWS_REGION));
    if !region.is_empty() && !is_aws_region(&region) {
        let fault = Fault::new(format!("`{region}` is not a region of AWS"));
        let fault = fault.hint("write one like us-east-1");
        return Err(fault.at(Source::CommandLine));
    }
    let service = match client.kind {
        Kind::SageMaker => "runtime.sagemaker",
        _ => "bedrock-runtime",
    };
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let usual = format!("https://{service}.{region}.amazonaws.com{china}");
    let usual = (!region.is_empty()).then_some(usual.as_str());
    let base = variables.base(bases, usual.or(Some("http://localhost")));
    client.place.aws_region = Some(region);
    put_at(client, &base)
}

/// Two letters and a dash, at least two more parts, and a number at the end.
fn is_aws_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let is_word = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    parts.len() >= 3
        && parts.iter().all(is_word)
        && parts
            .last()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The region in `arn:aws:bedrock:REGION:…`.
fn region_of_arn(model: &str) -> Option<String> {
    let mut parts = model.strip_prefix("arn:")?.split(':');
    let region = parts.nth(2)?;
    is_aws_region(region).then(|| region.to_owned())
}

/// llmperf's own client of Vertex AI: one endpoint, named by the environment.
pub(super) fn vertex_endpoint(
    model: &str,
    variables: &mut Variables<'_>,
) -> Result<Client, ConfigError> {
    let mut client = plain(Kind::VertexPredict, Task::Completion, model.to_owned());
    let endpoint = variables.needed(&["VERTEXAI_ENDPOINT_ID"]);
    client.stream = false;
    at_google(&mut client, Some(endpoint), variables)?;
    Ok(client)
}

/// A model at Vertex AI: Gemini, Claude, or the number of an endpoint.
pub(super) fn vertex(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let by_maker = model.rsplit_once('/').map_or(model, |(_, name)| name);
    let chat = model.strip_prefix("openai/").filter(|id| is_number(id));
    let (kind, task, endpoint) = match () {
        () if is_number(model) => (Kind::VertexPredict, Task::Completion, Some(model)),
        () if chat.is_some() => (Kind::OpenAi, Task::Chat, chat),
        () if by_maker.starts_with("claude") => (Kind::VertexAnthropic, Task::Chat, None),
        () if by_maker.starts_with("gem") => (Kind::Gemini, Task::Chat, None),
        () => {
            let fault = Fault::new(format!("the words of `{model}` at Vertex AI are not known"));
            let fault = fault.hint(
                "there are gemini-… and claude-… models, the number of an endpoint, and openai/NUMBER for one that speaks like OpenAI's",
            );
            return Err(fault.at(Source::CommandLine));
        }
    };
    let mut client = plain(kind, task, by_maker.to_owned());
    client.stream = kind != Kind::VertexPredict;
    at_google(&mut client, endpoint.map(str::to_owned), variables)?;
    Ok(client)
}

/// Puts a client into a project and a region of Google's.
fn at_google(
    client: &mut Client,
    endpoint: Option<String>,
    variables: &mut Variables<'_>,
) -> Result<(), ConfigError> {
    let project = variables.needed(GOOGLE_PROJECT);
    let region = variables.needed(GOOGLE_REGION);
    client.api_key = variables.secret_if_set(GOOGLE_TOKEN)?;
    client.needs_google = client.api_key.is_none();
    let usual = match region.as_str() {
        // Missing: nothing is sent.
        "" => "http://localhost".to_owned(),
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        part @ ("us" | "eu") => format!("https://aiplatform.{part}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    };
    let base = variables.base(VERTEX_BASE, Some(&usual));
    client.base_url = base.url()?;
    if client.kind == Kind::OpenAi {
        let endpoint = endpoint.as_deref().unwrap_or("openapi");
        client.place.root = Some(format!(
            "/v1beta1/projects/{project}/locations/{region}/endpoints/{endpoint}"
        ));
    }
    client.place.google = Some(Google {
        project,
        region,
        endpoint,
    });
    Ok(())
}

/// A model of the Gemini API, which a key lets in.
pub(super) fn gemini(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let mut client = plain(Kind::Gemini, Task::Chat, model.to_owned());
    client.api_key = variables.secret(GEMINI_KEY)?;
    let base = variables.base(
        GEMINI_BASE,
        Some("https://generativelanguage.googleapis.com"),
    );
    put_at(&mut client, &base)?;
    Ok(client)
}
