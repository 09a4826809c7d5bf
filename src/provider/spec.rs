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
    /// Chat or plain completion.
    pub chat: bool,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Sampling fields; what is `None` is not sent.
    pub sampling: Sampling,
    /// Headers added to every request. Secret ones never stand here.
    pub headers: IndexMap<String, String>,
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
    /// OpenAI's chat and completions.
    OpenAi,
    /// The same with vLLM's fields.
    Vllm,
    /// The same as vLLM's.
    SgLang,
    /// Anthropic's messages.
    Anthropic,
    /// Hugging Face text-generation-inference.
    Tgi,
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
    pub const ALL: [Self; 5] = [
        Self::OpenAi,
        Self::Vllm,
        Self::SgLang,
        Self::Anthropic,
        Self::Tgi,
    ];

    /// The name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Vllm => "vllm",
            Self::SgLang => "sglang",
            Self::Anthropic => "anthropic",
            Self::Tgi => "tgi",
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

    /// Reads a name; `anyscale` is another one of `openai`.
    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let lower = name.to_ascii_lowercase();
        if lower == "anyscale" {
            return Ok(Self::OpenAi);
        }
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
        assert_eq!("Anyscale".parse(), Ok(Kind::OpenAi));
        assert_eq!(
            "triton".parse::<Kind>().unwrap_err().to_string(),
            "`triton` is not a provider; there are openai, vllm, sglang, anthropic, tgi"
        );
    }
}
