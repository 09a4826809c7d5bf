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

fn resolve(api: &str, _model: &str, _around: &dyn Surroundings) -> Result<Client, Fault> {
    Err(Fault::new(format!("`{api}` is not a client")))
}
