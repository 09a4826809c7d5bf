//! Which API is spoken and which fields are sent: the settings alone, without secrets.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How requests are put into words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The API.
    pub kind: Kind,
    /// The model to name.
    pub model: String,
    /// What is asked for.
    pub task: Task,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Sampling fields; what is `None` is not sent.
    pub sampling: Sampling,
    /// Headers added to every request. Secret ones never stand here.
    pub headers: IndexMap<String, String>,
    /// Fields of Fireworks' servers.
    #[serde(default)]
    pub fireworks: Fireworks,
    /// Where a model is deployed at Azure; with `Kind::Azure` alone.
    #[serde(default)]
    pub azure: Option<Azure>,
    /// The words of a server that the user described; with `Kind::Custom` alone.
    #[serde(default)]
    pub custom: Option<Custom>,
    /// Where an API stands that not every server has in the same place.
    #[serde(default)]
    pub place: Place,
}

/// Where an API stands that not every server has in the same place. Nothing in it is a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What stands before `/chat/completions` and the like instead of `/v1`: empty, or a path from its slash. Of OpenAI's
    /// family alone.
    pub root: Option<String>,
    /// The whole path, from its slash, instead of the usual one. Of OpenAI's family and of TGI alone.
    #[serde(default)]
    pub path: Option<String>,
    /// `stream_options` is refused there; how many tokens an answer has is told unasked, or not at all.
    #[serde(default)]
    pub no_stream_options: bool,
    /// The model counts what it thinks too, so that the length is called `max_completion_tokens`. Of OpenAI's family alone.
    #[serde(default)]
    pub max_completion_tokens: bool,
    /// The container takes chats as lists of messages, as those of Llama 2 did, and not as OpenAI's chat; of `SageMaker` alone.
    #[serde(default)]
    pub lists_of_messages: bool,
    /// The region of AWS, which signatures name; of `SageMaker` and Bedrock alone.
    pub aws_region: Option<String>,
    /// The place at Google Cloud; of Vertex AI alone.
    pub google: Option<Google>,
}

/// A place at Google Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Google {
    /// The project's id or number.
    pub project: String,
    /// The region, or `global`.
    pub region: String,
    /// The id of an endpoint that a model is deployed at; `None` for a publisher's model.
    pub endpoint: Option<String>,
}

impl Spec {
    /// Whether answers come as streams: those without text never do.
    pub const fn streams(&self) -> bool {
        self.stream && self.task.generates()
    }

    /// Whether requests tell the server not to end before the length asked for (`ignore_eos`, `min_tokens`).
    pub const fn ignores_end(&self) -> bool {
        let always = matches!(
            self.kind,
            Kind::Vllm | Kind::SgLang | Kind::LlamaCpp | Kind::Together
        );
        self.task.generates() && (always || self.fireworks.force_min_tokens)
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The next message of a conversation.
    #[default]
    Chat,
    /// The continuation of a text.
    Completion,
    /// Vectors of texts.
    Embeddings(Embeddings),
    /// An order of documents.
    Rerank(Rerank),
}

impl Task {
    /// Whether the answer is text.
    pub const fn generates(&self) -> bool {
        matches!(self, Self::Chat | Self::Completion)
    }

    /// Whether the answer is vectors.
    pub const fn embeds(&self) -> bool {
        matches!(self, Self::Embeddings(_))
    }

    /// Its name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "plain completions",
            Self::Embeddings(_) => "embeddings",
            Self::Rerank(_) => "ranking",
        }
    }
}

/// Fields of a request for embeddings; what is `None` is not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// `dimensions`.
    pub dimensions: Option<u32>,
    /// `prompt_template`.
    pub prompt_template: Option<String>,
    /// `return_logits`: ids of tokens or classes; empty for all.
    pub return_logits: Option<Vec<u32>>,
    /// `normalize`, always sent.
    pub normalize: bool,
}

/// Fields of a request for ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rerank {
    /// `query`.
    pub query: String,
    /// `top_n`; not sent when `None`.
    pub top_n: Option<u32>,
    /// Sent as `return_documents: false` when it is not wanted.
    pub return_documents: bool,
}

/// Fields that Fireworks' servers take; the defaults send none of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fireworks {
    /// `min_tokens` = `max_tokens`.
    pub force_min_tokens: bool,
    /// `prompt_cache_max_len`, when above 0.
    pub prompt_cache_max_len: u32,
    /// `acceptance_probs_override`.
    pub acceptance_probs: Option<Vec<f64>>,
}

/// A deployment at Azure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Azure {
    /// The deployment's name; `None` for the model's.
    pub deployment: Option<String>,
    /// `api-version`.
    pub api_version: String,
}

/// A server's words, as the user's file describes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Custom {
    /// The file's text, so that it travels to the workers.
    pub text: String,
}

/// Sampling fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_k`.
    pub top_k: Option<u32>,
    /// `n`, choices per request.
    pub n: Option<u32>,
    /// `logprobs`.
    pub logprobs: Option<u32>,
    /// `reasoning_effort`.
    pub reasoning_effort: Option<String>,
}

/// The APIs that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI's chat and completions, embeddings and ranking.
    OpenAi,
    /// The same at Anyscale.
    Anyscale,
    /// The same with Fireworks' fields and figures.
    Fireworks,
    /// The same with vLLM's fields.
    Vllm,
    /// The same as vLLM's.
    SgLang,
    /// Together's completions.
    Together,
    /// Anthropic's messages.
    Anthropic,
    /// Hugging Face text-generation-inference.
    Tgi,
    /// Triton's inference protocol.
    #[serde(rename = "triton-infer")]
    TritonInfer,
    /// Triton's generate extension.
    #[serde(rename = "triton-generate")]
    TritonGenerate,
    /// Ollama's own chat and generate.
    Ollama,
    /// llama.cpp's own completion.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// OpenAI's chat and completions as Azure deploys them.
    Azure,
    /// OpenAI's Responses.
    Responses,
    /// What a file of the user's describes.
    Custom,
    /// Models at Amazon `SageMaker`'s endpoints, in text-generation-inference's words.
    SageMaker,
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Amazon Bedrock's models in their makers' words.
    #[serde(rename = "bedrock-invoke")]
    BedrockInvoke,
    /// Google's Gemini, at Vertex AI or by an API key.
    Gemini,
    /// Models deployed at Vertex AI's endpoints (`:predict`).
    #[serde(rename = "vertex-predict")]
    VertexPredict,
    /// Anthropic's models at Vertex AI (`:rawPredict`).
    #[serde(rename = "vertex-anthropic")]
    VertexAnthropic,
}

/// A name that is not one of the APIs'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a provider; there are {}", Kind::names())]
pub struct UnknownKind {
    /// The name.
    pub name: String,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::OpenAi,
        Self::Anyscale,
        Self::Fireworks,
        Self::Vllm,
        Self::SgLang,
        Self::Together,
        Self::Anthropic,
        Self::Tgi,
        Self::TritonInfer,
        Self::TritonGenerate,
        Self::Ollama,
        Self::LlamaCpp,
        Self::Azure,
        Self::Responses,
        Self::Custom,
        Self::SageMaker,
        Self::Bedrock,
        Self::BedrockInvoke,
        Self::Gemini,
        Self::VertexPredict,
        Self::VertexAnthropic,
    ];

    /// Whether it is one of Amazon's, which take signatures.
    pub const fn is_aws(self) -> bool {
        matches!(self, Self::SageMaker | Self::Bedrock | Self::BedrockInvoke)
    }

    /// Whether it takes the fields of `OpenAI`'s own chat, by their names.
    pub const fn is_like_openai(self) -> bool {
        matches!(
            self,
            Self::OpenAi
                | Self::Anyscale
                | Self::Fireworks
                | Self::Vllm
                | Self::SgLang
                | Self::Together
                | Self::Azure
        )
    }

    /// The name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anyscale => "anyscale",
            Self::Fireworks => "fireworks",
            Self::Vllm => "vllm",
            Self::SgLang => "sglang",
            Self::Together => "together",
            Self::Anthropic => "anthropic",
            Self::Tgi => "tgi",
            Self::TritonInfer => "triton-infer",
            Self::TritonGenerate => "triton-generate",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::Azure => "azure",
            Self::Responses => "responses",
            Self::Custom => "custom",
            Self::SageMaker => "sagemaker",
            Self::Bedrock => "bedrock",
            Self::BedrockInvoke => "bedrock-invoke",
            Self::Gemini => "gemini",
            Self::VertexPredict => "vertex-predict",
            Self::VertexAnthropic => "vertex-anthropic",
        }
    }

    /// All names, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let lower = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == lower)
            .ok_or_else(|| UnknownKind {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_are_those_of_files() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!("Anyscale".parse(), Ok(Kind::Anyscale));
        assert_eq!(
            "triton".parse::<Kind>().unwrap_err().to_string(),
            "`triton` is not a provider; there are openai, anyscale, fireworks, vllm, sglang, together, anthropic, tgi, \
             triton-infer, triton-generate, ollama, llama.cpp, azure, responses, custom, sagemaker, bedrock, \
             bedrock-invoke, gemini, vertex-predict, vertex-anthropic"
        );
    }
}
