//! What stands before a model's name for LiteLLM: where the model is. It knows no address.

use super::table;
use crate::config::Source;
use crate::config::error::{ConfigError, Fault};

/// Prefixes with words of their own, beside the table's.
pub(super) const OWN: [&str; 7] = [
    "azure",
    "bedrock",
    "gemini",
    "huggingface",
    "sagemaker",
    "sagemaker_chat",
    "vertex_ai",
];

/// LiteLLM's prefixes whose words are not spoken here.
const UNSPOKEN: [&str; 20] = [
    "a2a",
    "azure_text",
    "bytez",
    "clarifai",
    "cloudflare",
    "datarobot",
    "gigachat",
    "github_copilot",
    "gradient_ai",
    "langgraph",
    "maritalk",
    "nlp_cloud",
    "oci",
    "petals",
    "predibase",
    "replicate",
    "sap",
    "snowflake",
    "triton",
    "watsonx",
];

/// How names begin that say by themselves whose model it is, and the prefix that they stand for.
const KNOWN: [(&str, &str); 21] = [
    ("gpt-3.5-turbo-instruct", "text-completion-openai"),
    ("davinci-002", "text-completion-openai"),
    ("babbage-002", "text-completion-openai"),
    ("ft:davinci-002", "text-completion-openai"),
    ("ft:babbage-002", "text-completion-openai"),
    ("ft:", "openai"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude-", "anthropic"),
    ("command", "cohere"),
    ("c4ai-", "cohere"),
    ("gemini-", "vertex_ai"),
    ("amazon.", "bedrock"),
    ("anthropic.", "bedrock"),
    ("ai21.", "bedrock"),
    ("cohere.", "bedrock"),
    ("meta.", "bedrock"),
    ("mistral.", "bedrock"),
];

const HINT: &str = "set LITELLM_API_BASE to send it to a LiteLLM proxy, or use --llm-api openai with OPENAI_API_BASE";

/// Whether models with this prefix can be asked.
pub(super) fn is_spoken(prefix: &str) -> bool {
    OWN.contains(&prefix) || table::row(prefix).is_some()
}

/// The prefix and the rest of a model's name. One that every reader knows needs none.
pub(super) fn split(model: &str) -> Result<(String, &str), ConfigError> {
    if let Some((prefix, rest)) = model.split_once('/') {
        if rest.is_empty() {
            let fault = Fault::new(format!("`{model}` names no model behind its prefix"));
            return Err(fault.at(Source::CommandLine));
        }
        if is_spoken(prefix) {
            return Ok((prefix.to_owned(), rest));
        }
        return Err(unspoken(prefix));
    }
    let known = KNOWN.iter().find(|(start, _)| model.starts_with(start));
    match known {
        Some((_, prefix)) => Ok(((*prefix).to_owned(), model)),
        None => Err(Fault::new(format!(
            "`{model}` does not tell whose model it is: write PREFIX/{model}, where PREFIX is one of {}",
            all().join(", ")
        ))
        .hint(HINT)
        .at(Source::CommandLine)),
    }
}

/// Why nothing can be sent for this prefix.
pub(super) fn unspoken(prefix: &str) -> ConfigError {
    let fault = if UNSPOKEN.contains(&prefix) {
        Fault::new(format!(
            "LiteLLM's `{prefix}/` has words of its own that are not spoken here"
        ))
    } else {
        Fault::new(format!(
            "`{prefix}/` is not a prefix that is known; there are {}",
            all().join(", ")
        ))
    };
    fault.hint(HINT).at(Source::CommandLine)
}

/// All prefixes that are spoken, in order.
pub(super) fn all() -> Vec<&'static str> {
    let rows = table::ROWS.iter().map(|row| row.prefix);
    let mut all: Vec<_> = rows.chain(OWN).collect();
    all.sort_unstable();
    all
}
