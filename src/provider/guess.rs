//! Which API a server speaks and which model it has, guessed from its host name or its `/v1/models`.
//! It asks nobody: the body of the answer comes in as a value.

use serde::Deserialize;

use super::DecodeError;
use super::json::parse;
use super::spec::Kind;

/// Words in the names of hosts whose API is known; the first that is found decides. Azure's hosts have `OpenAI`'s name in theirs.
const HOSTS: [(&str, Kind); 7] = [
    ("openai.azure.com", Kind::Azure),
    ("generativelanguage.googleapis", Kind::Gemini),
    ("fireworks.ai", Kind::Fireworks),
    ("together", Kind::Together),
    ("openai", Kind::OpenAi),
    ("anyscale", Kind::Anyscale),
    ("anthropic", Kind::Anthropic),
];

/// What servers call themselves in `owned_by` beside the names of APIs.
const OWNERS: [(&str, Kind); 4] = [
    ("openai-internal", Kind::OpenAi),
    ("system", Kind::OpenAi),
    ("llamacpp", Kind::OpenAi),
    ("library", Kind::OpenAi),
];

/// Whether `OpenAI` refuses `max_tokens` for a model of this name, at its own servers or at Azure's: those that think first.
pub fn renames_length(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["o1", "o3", "o4", "gpt-5"].iter().any(|family| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    })
}

impl Kind {
    /// What a model is called where nothing lists them: `/v1/models` is not asked. A description that names a model needs
    /// one from the user.
    pub const fn unlisted_model(self) -> Option<&'static str> {
        match self {
            Self::Tgi | Self::Custom => Some("<unused>"),
            Self::TritonInfer | Self::TritonGenerate => Some("ensemble"),
            _ => None,
        }
    }
}

/// One model of a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// Who serves it, in the server's own words.
    #[serde(default)]
    pub owned_by: Option<String>,
}

/// What `/v1/models` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ModelList {
    /// The models, in the server's order.
    #[serde(rename = "data")]
    pub models: Vec<Model>,
}

/// Why nothing could be guessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuessError {
    /// The server's name for itself says nothing.
    #[error("cannot tell the provider from `owned_by`: `{owner}` of model `{model}`")]
    UnknownOwner {
        /// The name; empty if there is none.
        owner: String,
        /// The model.
        model: String,
    },
    /// The server lists no model.
    #[error("the server lists no model")]
    NoModel,
    /// The list cannot be read.
    #[error("the server's list of models: {0}")]
    Unreadable(DecodeError),
}

impl GuessError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownOwner { .. } => format!("--provider, one of {}", Kind::names()),
            Self::NoModel | Self::Unreadable(_) => "name both: --model and --provider".to_owned(),
        }
    }
}

/// The API of a well-known host; `None` for any other.
pub fn guess_from_host(host: &str) -> Option<Kind> {
    let lower = host.to_ascii_lowercase();
    HOSTS
        .iter()
        .find(|(word, _)| lower.contains(word))
        .map(|&(_, kind)| kind)
}

/// Reads the body of `/v1/models`.
///
/// # Errors
/// It is not a list of models.
pub fn read_models(body: &[u8]) -> Result<ModelList, GuessError> {
    parse(body).map_err(GuessError::Unreadable)
}

/// The API and the model: what was said stands, the rest comes from the list.
///
/// The API is that of the wanted model's owner where the list has it, else that of the first model's.
///
/// # Errors
/// The list is empty, or the owner's name says nothing.
pub fn choose(
    list: &ModelList,
    kind: Option<Kind>,
    model: Option<&str>,
) -> Result<(Kind, String), GuessError> {
    if let (Some(kind), Some(model)) = (kind, model) {
        return Ok((kind, model.to_owned()));
    }
    let wanted = list
        .models
        .iter()
        .find(|entry| Some(entry.id.as_str()) == model);
    let entry = wanted.or(list.models.first()).ok_or(GuessError::NoModel)?;
    let kind = kind.map_or_else(|| kind_of(entry), Ok)?;
    Ok((kind, model.unwrap_or(&entry.id).to_owned()))
}

fn kind_of(model: &Model) -> Result<Kind, GuessError> {
    let owner = model.owned_by.as_deref().unwrap_or_default();
    let known = OWNERS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(owner))
        .map(|&(_, kind)| kind);
    // What a server calls "custom" is not what the user's own file describes.
    let named = || owner.parse().ok().filter(|&kind| kind != Kind::Custom);
    known
        .or_else(named)
        .ok_or_else(|| GuessError::UnknownOwner {
            owner: owner.to_owned(),
            model: model.id.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_a_word_in_their_names() {
        for (host, kind) in [
            ("api.openai.com", Some(Kind::OpenAi)),
            ("me.openai.azure.com", Some(Kind::Azure)),
            ("API.Anthropic.com.", Some(Kind::Anthropic)),
            ("api.endpoints.anyscale.com", Some(Kind::Anyscale)),
            ("api.fireworks.ai", Some(Kind::Fireworks)),
            ("api.together.xyz", Some(Kind::Together)),
            ("openai.together.ai", Some(Kind::Together)),
            ("openai-proxy.example.org", Some(Kind::OpenAi)),
            ("fireworks.example.org", None),
            ("127.0.0.1", None),
            ("localhost", None),
        ] {
            assert_eq!(guess_from_host(host), kind, "{host}");
        }
    }

    fn guessed(body: &str) -> Result<(Kind, String), GuessError> {
        choose(&read_models(body.as_bytes())?, None, None)
    }

    #[test]
    fn the_first_models_owner_is_the_provider() {
        for (owner, kind) in [
            ("vllm", Kind::Vllm),
            ("sglang", Kind::SgLang),
            ("llamacpp", Kind::OpenAi),
            ("library", Kind::OpenAi),
            ("openai", Kind::OpenAi),
            ("system", Kind::OpenAi),
            ("Anyscale", Kind::Anyscale),
            ("fireworks", Kind::Fireworks),
            ("together", Kind::Together),
            ("triton-generate", Kind::TritonGenerate),
            ("anthropic", Kind::Anthropic),
        ] {
            let body = format!(
                r#"{{"object":"list","data":[{{"id":"m","owned_by":"{owner}","meta":{{"n":1}}}},{{"id":"x","owned_by":"?"}}]}}"#
            );
            assert_eq!(guessed(&body), Ok((kind, "m".to_owned())), "{owner}");
        }
    }

    #[test]
    fn an_unknown_owner_asks_for_the_provider() {
        let error = guessed(r#"{"data":[{"id":"m","owned_by":"somebody"}]}"#).unwrap_err();
        insta::assert_snapshot!(
            format!("{error}\nhint: {}", error.hint()),
            @r#"
        cannot tell the provider from `owned_by`: `somebody` of model `m`
        hint: --provider, one of openai, anyscale, fireworks, vllm, sglang, together, anthropic, tgi, triton-infer, triton-generate, ollama, llama.cpp, azure, responses, custom, sagemaker, bedrock, bedrock-invoke, gemini, vertex-predict, vertex-anthropic
        "#
        );
        assert!(guessed(r#"{"data":[{"id":"m","owned_by":null}]}"#).is_err());
        assert!(guessed(r#"{"data":[{"id":"m","owned_by":"custom"}]}"#).is_err());
        assert_eq!(guessed(r#"{"data":[]}"#), Err(GuessError::NoModel));
        assert!(matches!(guessed("<html>"), Err(GuessError::Unreadable(_))));
        assert!(matches!(
            guessed(r#"{"models":[]}"#),
            Err(GuessError::Unreadable(_))
        ));
    }

    #[test]
    fn what_was_said_stands() {
        let list = read_models(
            br#"{"data":[{"id":"a","owned_by":"somebody"},{"id":"b","owned_by":"vllm"}]}"#,
        )
        .unwrap();
        let said = |kind, model| choose(&list, kind, model);
        assert_eq!(said(None, Some("b")), Ok((Kind::Vllm, "b".to_owned())));
        assert_eq!(said(Some(Kind::Tgi), None), Ok((Kind::Tgi, "a".to_owned())));
        assert_eq!(
            said(Some(Kind::Tgi), Some("z")),
            Ok((Kind::Tgi, "z".to_owned()))
        );
        assert!(said(None, Some("z")).is_err());
        let none = ModelList::default();
        assert_eq!(
            choose(&none, Some(Kind::Tgi), Some("z")),
            Ok((Kind::Tgi, "z".to_owned()))
        );
        assert_eq!(
            choose(&none, Some(Kind::Tgi), None),
            Err(GuessError::NoModel)
        );
    }

    #[test]
    fn models_that_think_first_are_known_by_their_names() {
        for model in [
            "o1",
            "o3-mini",
            "o4-mini-2025",
            "gpt-5",
            "gpt-5.1",
            "gpt-5-nano",
            "openai/o3",
        ] {
            assert!(renames_length(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-50", "o10", "o3x", "my-o3", "gpt-oss-20b"] {
            assert!(!renames_length(model), "{model}");
        }
    }
}
