//! A client of llmperf's (`--llm-api`), a model's name and the environment: where to send, in which words, with which secrets.
//! It opens no connection and reads no environment itself.

use indexmap::IndexMap;

use super::error::{ConfigError, Fault};
use super::{Source, Surroundings};
use crate::domain::Secret;
use crate::provider::{Azure, Kind, Place, Task};

/// Where to send, in which words, with which secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// The API.
    pub kind: Kind,
    /// What is asked for.
    pub task: Task,
    /// The model as the server wants it named, without a prefix that only says where it is.
    pub model: String,
    /// `http://host:port/base`, as [`Target`](crate::plan::Target) wants it.
    pub base_url: String,
    /// Where the API stands below that.
    pub place: Place,
    /// The deployment; of Azure alone.
    pub azure: Option<Azure>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Whether an empty message of the system goes before each prompt.
    pub has_system_message: bool,
    /// Headers that carry no secret, names in lower case.
    pub headers: IndexMap<String, String>,
    /// What the provider's own header carries.
    pub api_key: Option<Secret>,
    /// Other headers that carry secrets, names in lower case.
    pub secret_headers: IndexMap<String, Secret>,
    /// Each request is signed with AWS's credentials.
    pub needs_aws: bool,
    /// Each request carries a token of Google's.
    pub needs_google: bool,
}

/// The clients' names.
pub const APIS: [&str; 6] = ["openai", "anthropic", "litellm", "vertexai", "sagemaker", "bedrock"];

/// What `--llm-api api --model model` means in this environment.
///
/// # Errors
/// The client or the model's prefix is unknown, variables are missing (all of them are named), or one cannot be used.
pub fn client(api: &str, model: &str, around: &dyn Surroundings) -> Result<Client, ConfigError> {
    resolve(api, model, around).map_err(|fault| fault.at(Source::CommandLine))
}

fn resolve(api: &str, model: &str, around: &dyn Surroundings) -> Result<Client, Fault> {
    if api != "openai" {
        return Err(Fault::new(format!("`{api}` is not a client")));
    }
    let variable = |name: &str| around.variable(name).filter(|value| !value.is_empty());
    let missing = |name: &str| Fault::new(format!("{name} is not set"));
    let base = variable("OPENAI_API_BASE").ok_or_else(|| missing("OPENAI_API_BASE"))?;
    let key = variable("OPENAI_API_KEY").ok_or_else(|| missing("OPENAI_API_KEY"))?;
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    Ok(Client {
        kind: Kind::OpenAi,
        task: Task::Chat,
        model: model.to_owned(),
        base_url: super::base_url(base).map_err(|error| Fault::new(error.to_string()))?,
        place: Place::default(),
        azure: None,
        stream: true,
        has_system_message: true,
        headers: IndexMap::new(),
        api_key: Some(Secret::new(key)),
        secret_headers: IndexMap::new(),
        needs_aws: false,
        needs_google: false,
    })
}
