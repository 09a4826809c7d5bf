//! A client of llmperf's (`--llm-api`), a model's name and the environment: where to send, in which words, with which secrets.
//! It opens no connection and reads no environment itself.

#[cfg(test)]
mod cloud_tests;
mod clouds;
mod prefixes;
mod table;
#[cfg(test)]
mod tests;
mod variables;

use indexmap::IndexMap;

use super::error::{ConfigError, Fault};
use super::{Source, Surroundings};
use crate::domain::{AwsSecrets, Secret};
use crate::provider::{Azure, Kind, Place, Task, renames_length};
use clouds::Container;
use table::Row;
use variables::{Base, Variables};

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
    /// What the provider's own header carries.
    pub api_key: Option<Secret>,
    /// Other headers that carry secrets, names in lower case.
    pub secret_headers: IndexMap<String, Secret>,
    /// What signs requests at Amazon, or a key that does instead.
    pub aws: AwsSecrets,
}

/// The clients' names. Each of LiteLLM's prefixes that is spoken is one too.
pub const APIS: [&str; 6] = [
    "openai",
    "anthropic",
    "litellm",
    "vertexai",
    "sagemaker",
    "bedrock",
];

/// Where a LiteLLM proxy is; with it, `litellm` sends everything there.
const PROXY_BASE: &str = "LITELLM_API_BASE";
/// The prefix of `OpenAI`'s own models.
const OPENAI: &str = "openai";
/// Hugging Face's token.
const HUGGING_FACE_KEY: &[&str] = &["HUGGINGFACE_API_KEY", "HF_TOKEN"];
/// An endpoint of one's own there.
const HUGGING_FACE_BASE: &[&str] = &["HUGGINGFACE_API_BASE", "HF_API_BASE"];
/// The proxy's key.
const PROXY_KEY: &str = "LITELLM_API_KEY";

/// What `--llm-api api --model model` means in this environment.
///
/// # Errors
/// The client or the model's prefix is unknown, variables are missing (all of them are named), or one cannot be used.
pub fn client(api: &str, model: &str, around: &dyn Surroundings) -> Result<Client, ConfigError> {
    if model.trim().is_empty() {
        let fault = Fault::new("the model's name is empty").hint("give --model NAME");
        return Err(fault.at(Source::CommandLine));
    }
    let mut variables = Variables::new(around);
    let client = resolve(api, model, &mut variables);
    // A missing variable explains whatever else is wrong.
    variables.missing(api, model)?;
    client
}

fn resolve(api: &str, model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    match api {
        "openai" => of_row(&table::OPENAI, model, variables),
        "litellm" if variables.is_set(PROXY_BASE) => {
            let own = model.strip_prefix("litellm_proxy/").unwrap_or(model);
            of_row(&table::PROXY, own, variables)
        }
        "litellm" => {
            let (prefix, rest) = prefixes::split(model)?;
            by_prefix(&prefix, rest, variables)
        }
        // llmperf's own, whose body is another one than that of LiteLLM's prefix.
        "sagemaker" => clouds::sagemaker(model, Container::Lists, variables),
        "vertexai" => clouds::vertex_endpoint(model, variables),
        prefix if prefixes::is_spoken(prefix) => by_prefix(prefix, model, variables),
        _ => Err(Fault::new(format!("`{api}` is not a client"))
            .hint(format!(
                "there are {}, and the prefixes of LiteLLM's models",
                APIS.join(", ")
            ))
            .at(Source::CommandLine)),
    }
}

/// The client of a model with one of LiteLLM's prefixes.
fn by_prefix(
    prefix: &str,
    model: &str,
    variables: &mut Variables<'_>,
) -> Result<Client, ConfigError> {
    match prefix {
        "azure" => clouds::azure(model, variables),
        "bedrock" => clouds::bedrock(model, variables),
        "sagemaker" => clouds::sagemaker(model, Container::Text, variables),
        "sagemaker_chat" => clouds::sagemaker(model, Container::Chat, variables),
        "vertex_ai" => clouds::vertex(model, variables),
        "gemini" => clouds::gemini(model, variables),
        "huggingface" => hugging_face(model, variables),
        _ => match table::row(prefix) {
            Some(row) => of_row(row, model, variables),
            None => Err(prefixes::unspoken(prefix)),
        },
    }
}

/// The client of a row of the table.
fn of_row(row: &Row, model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    let key = if row.needs_key {
        variables.secret(row.keys)
    } else {
        variables.secret_if_set(row.keys)
    };
    let base = variables.base(row.bases, row.base);
    let model = match row.path {
        Some(path) if !model.starts_with("accounts/") => format!("{path}{model}"),
        _ => model.to_owned(),
    };
    let task = if row.completes {
        Task::Completion
    } else {
        Task::Chat
    };
    let mut client = plain(row.kind, task, model);
    client.api_key = key?;
    client.place.no_stream_options = row.no_stream_options;
    client.place.max_completion_tokens =
        row.prefix == OPENAI && row.base.is_some() && renames_length(&client.model);
    if row.prefix == "azure_ai" {
        foundry(&base)?;
    }
    put_at(&mut client, &base)?;
    Ok(client)
}

/// Azure's Foundry has models at a path of its own, and beside it at one that speaks like `OpenAI`'s.
fn foundry(base: &Base) -> Result<(), ConfigError> {
    let (url, root) = base.of_openai()?;
    let host = url.split("://").nth(1).unwrap_or_default();
    let (host, path) = host.split_once('/').unwrap_or((host, ""));
    if !host.ends_with(".services.ai.azure.com") || (path == "openai" && root.is_none()) {
        return Ok(());
    }
    let fault = Fault::new(format!("`{url}` has no chat that speaks like OpenAI's"));
    let fault = fault.hint(format!("write https://{host}/openai/v1"));
    Err(fault.at(Source::Environment("AZURE_AI_API_BASE".to_owned())))
}

/// Hugging Face's router, an endpoint that speaks like `OpenAI`'s, or one whose address ends in `/generate`.
fn hugging_face(model: &str, variables: &mut Variables<'_>) -> Result<Client, ConfigError> {
    if HUGGING_FACE_BASE.iter().any(|name| variables.is_set(name)) {
        let mut base = variables.base(HUGGING_FACE_BASE, None);
        let own = base.text.trim_end_matches('/');
        let generate = ["/generate_stream", "/generate"];
        let mut client = plain(Kind::OpenAi, Task::Chat, model.to_owned());
        if let Some(root) = generate.iter().find_map(|end| own.strip_suffix(end)) {
            base.text = root.to_owned();
            client = plain(Kind::Tgi, Task::Completion, model.to_owned());
        } else if !own.ends_with("/v1") {
            base.text = format!("{own}/v1");
        }
        client.api_key = variables.secret_if_set(HUGGING_FACE_KEY)?;
        put_at(&mut client, &base)?;
        return Ok(client);
    }
    // `provider/organisation/model` names who is to serve it; the router takes that at the name's end.
    let routed = match model.split_once('/') {
        Some((server, rest)) if rest.contains('/') => format!("{rest}:{server}"),
        _ => model.to_owned(),
    };
    let mut client = plain(Kind::OpenAi, Task::Chat, routed);
    client.api_key = variables.secret(HUGGING_FACE_KEY)?;
    let base = variables.base(HUGGING_FACE_BASE, Some("https://router.huggingface.co/v1"));
    put_at(&mut client, &base)?;
    Ok(client)
}

impl Client {
    /// A server at `base_url` that speaks like `OpenAI`'s and asks for no key.
    pub fn of_anybody(model: String, base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            ..plain(Kind::OpenAi, Task::Chat, model)
        }
    }
}

/// A client that still has to be told where and with which key.
fn plain(kind: Kind, task: Task, model: String) -> Client {
    // The others refuse a message without text, or have no place for one.
    let has_system_message = task == Task::Chat
        && matches!(
            kind,
            Kind::OpenAi
                | Kind::Vllm
                | Kind::Fireworks
                | Kind::Azure
                | Kind::Ollama
                | Kind::SageMaker
        );
    Client {
        kind,
        task,
        model,
        base_url: String::new(),
        place: Place::default(),
        azure: None,
        stream: true,
        has_system_message,
        api_key: None,
        secret_headers: IndexMap::new(),
        aws: AwsSecrets::default(),
    }
}

/// Puts a client where `base` says, as its API reads addresses.
fn put_at(client: &mut Client, base: &Base) -> Result<(), ConfigError> {
    let path_is_free = matches!(client.kind, Kind::OpenAi | Kind::Vllm | Kind::Fireworks);
    if path_is_free {
        let (url, root) = base.of_openai()?;
        client.base_url = url;
        client.place.root = root;
    } else {
        client.base_url = base.url()?;
    }
    Ok(())
}
