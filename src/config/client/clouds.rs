//! The clients of clouds: Azure's deployments, Amazon's and Google's services, whose addresses depend on a region.
//! It signs nothing: who lets a request in there is the app's affair.

use super::variables::Variables;
use super::{Client, plain, put_at};
pub(super) use crate::config::aws::REGION as AWS_REGION;
use crate::config::error::{ConfigError, Fault};
pub(super) use crate::config::google::{
    KEY_VARIABLES as GEMINI_KEY, PROJECT as GOOGLE_PROJECT, REGION as GOOGLE_REGION,
    TOKEN_VARIABLES as GOOGLE_TOKEN,
};
use crate::config::{Source, aws, google};
use crate::domain::Secret;
use crate::provider::aws::is_region;
use crate::provider::{Azure, GEMINI_SERVER, Google, Kind, Task, renames_length};

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

/// The key of a deployment at Azure; `AZURE_AD_TOKEN` does as well.
pub(super) const AZURE_KEY: &[&str] = &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"];
/// Where the deployments are.
pub(super) const AZURE_BASE: &[&str] = &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"];

/// Where nothing is sent: what the place depends on is missing.
const NOWHERE: &str = "http://localhost";

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
    client.place.max_completion_tokens = renames_length(model);
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
        Some((region, id)) if is_region(region) => (Some(region.to_owned()), id),
        _ => (region_of_arn(rest), rest),
    };
    let mut client = plain(kind, Task::Chat, id.to_owned());
    at_amazon(&mut client, region, BEDROCK_BASE, variables)?;
    Ok(client)
}

/// What a container at SageMaker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// Lists of messages, as llmperf's own client sends them.
    Lists,
    /// A text, as LiteLLM's `sagemaker/` has it.
    Text,
    /// OpenAI's chat, as LiteLLM's `sagemaker_chat/` has it.
    Chat,
}

/// A model at an endpoint of SageMaker's.
pub(super) fn sagemaker(
    model: &str,
    container: Container,
    variables: &mut Variables<'_>,
) -> Result<Client, ConfigError> {
    let task = if container == Container::Text {
        Task::Completion
    } else {
        Task::Chat
    };
    let mut client = plain(Kind::SageMaker, task, model.to_owned());
    client.place.lists_of_messages = container == Container::Lists;
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
    client.aws = variables.aws();
    if client.kind == Kind::SageMaker || client.aws.bearer_token.is_none() {
        variables.needed(&["AWS_ACCESS_KEY_ID"]);
        variables.needed(&["AWS_SECRET_ACCESS_KEY"]);
    }
    let region = region.unwrap_or_else(|| variables.needed(AWS_REGION));
    let mut usual = None;
    if !region.is_empty() {
        aws::checked(&region).map_err(|fault| fault.at(Source::CommandLine))?;
        usual = client.kind.aws_address(&region);
    }
    let usual = usual.as_deref().unwrap_or(NOWHERE);
    let base = variables.base(bases, Some(usual));
    client.place.aws_region = Some(region);
    put_at(client, &base)
}

/// The region in `arn:aws:bedrock:REGION:…`.
fn region_of_arn(model: &str) -> Option<String> {
    let mut parts = model.strip_prefix("arn:")?.split(':');
    let region = parts.nth(2)?;
    is_region(region).then(|| region.to_owned())
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

/// A model at Vertex AI: a publisher's, one that is asked like `OpenAI`'s, or what stands at an endpoint.
pub(super) fn vertex(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let (maker, name) = model.rsplit_once('/').unwrap_or(("", model));
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let at = |name: &str| Some(name.to_owned());
    let (kind, model, endpoint) = match maker {
        "" if is_number => (Kind::VertexPredict, name, at(name)),
        "openai" if is_number => (Kind::OpenAi, name, at(name)),
        "gemini" if is_number => (Kind::Gemini, name, at(name)),
        // The one endpoint that all models of these publishers have.
        "meta" => (Kind::OpenAi, model, at("openapi")),
        _ if name.starts_with("claude") => (Kind::VertexAnthropic, name, None),
        _ if name.starts_with("gemini") => (Kind::Gemini, name, None),
        _ => {
            let fault = Fault::new(format!("the words of `{model}` at Vertex AI are not known"));
            let fault = fault.hint(
                "there are gemini-…, claude-… and meta/… models, the number of an endpoint, gemini/NUMBER for a tuned one, and openai/NUMBER for one that speaks like OpenAI's",
            );
            return Err(fault.at(Source::CommandLine));
        }
    };
    let predicts = kind == Kind::VertexPredict;
    let task = if predicts {
        Task::Completion
    } else {
        Task::Chat
    };
    let mut client = plain(kind, task, model.to_owned());
    client.stream = !predicts;
    at_google(&mut client, endpoint, variables)?;
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
    let region = google::sound(region).map_err(|fault| fault.at(Source::CommandLine))?;
    client.api_key = variables.secret_if_set(GOOGLE_TOKEN)?;
    let place = Google {
        project,
        region,
        endpoint,
    };
    let usual = match place.region.as_str() {
        "" => NOWHERE.to_owned(),
        _ => place.server(),
    };
    client.base_url = variables.base(VERTEX_BASE, Some(&usual)).url()?;
    if client.kind == Kind::OpenAi {
        client.place.root = place.chat_root();
    }
    client.place.google = Some(place);
    Ok(())
}

/// A model of the Gemini API, which a key lets in.
pub(super) fn gemini(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let mut client = plain(Kind::Gemini, Task::Chat, model.to_owned());
    client.api_key = variables.secret(GEMINI_KEY)?;
    let base = variables.base(GEMINI_BASE, Some(GEMINI_SERVER));
    put_at(&mut client, &base)?;
    Ok(client)
}
