//! Which API a server speaks and which model it has, guessed from its host name or its `/v1/models`.
//! It asks nobody: the body of the answer comes in as a value.

use serde::Deserialize;

use super::DecodeError;
use super::json::parse;
use super::spec::Kind;

/// Hosts whose API is known; a host matches with its sub-domains.
const HOSTS: [(&str, Known); 7] = [
    ("openai.com", Known::Spoken(Kind::OpenAi)),
    ("openai.azure.com", Known::Spoken(Kind::OpenAi)),
    ("anyscale.com", Known::Spoken(Kind::OpenAi)),
    ("anthropic.com", Known::Spoken(Kind::Anthropic)),
    ("fireworks.ai", Known::Unspoken("fireworks")),
    ("together.ai", Known::Unspoken("together")),
    ("together.xyz", Known::Unspoken("together")),
];

/// What servers call themselves in `owned_by`.
const OWNERS: [(&str, Kind); 9] = [
    ("vllm", Kind::Vllm),
    ("sglang", Kind::SgLang),
    ("anthropic", Kind::Anthropic),
    ("openai", Kind::OpenAi),
    ("openai-internal", Kind::OpenAi),
    ("system", Kind::OpenAi),
    ("anyscale", Kind::OpenAi),
    ("llamacpp", Kind::OpenAi),
    ("library", Kind::OpenAi),
];

#[derive(Clone, Copy, Debug)]
enum Known {
    Spoken(Kind),
    Unspoken(&'static str),
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
    /// The host's API is known, and not spoken.
    #[error(
        "`{host}` speaks `{api}`, which is not one of the providers: {}",
        Kind::names()
    )]
    Unspoken {
        /// The host.
        host: String,
        /// Its API.
        api: &'static str,
    },
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
            Self::Unspoken { .. } => {
                "its OpenAI-compatible part is spoken with --provider openai".to_owned()
            }
            Self::UnknownOwner { .. } => format!("--provider, one of {}", Kind::names()),
            Self::NoModel | Self::Unreadable(_) => "name both: --model and --provider".to_owned(),
        }
    }
}

/// The API of a well-known host; `None` for any other.
///
/// # Errors
/// The host's API is known, and not spoken.
pub fn guess_from_host(host: &str) -> Result<Option<Kind>, GuessError> {
    let lower = host.trim_end_matches('.').to_ascii_lowercase();
    let known = HOSTS.iter().find(|(domain, _)| is_within(&lower, domain));
    match known {
        None => Ok(None),
        Some((_, Known::Spoken(kind))) => Ok(Some(*kind)),
        Some((_, Known::Unspoken(api))) => Err(GuessError::Unspoken {
            host: host.to_owned(),
            api,
        }),
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
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
    OWNERS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(owner))
        .map(|&(_, kind)| kind)
        .ok_or_else(|| GuessError::UnknownOwner {
            owner: owner.to_owned(),
            model: model.id.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_with_their_sub_domains_and_no_others() {
        for (host, kind) in [
            ("api.openai.com", Some(Kind::OpenAi)),
            ("me.openai.azure.com", Some(Kind::OpenAi)),
            ("API.Anthropic.com.", Some(Kind::Anthropic)),
            ("api.endpoints.anyscale.com", Some(Kind::OpenAi)),
            ("notopenai.com", None),
            ("openai.com.example.org", None),
            ("127.0.0.1", None),
            ("localhost", None),
        ] {
            assert_eq!(guess_from_host(host), Ok(kind), "{host}");
        }
    }

    #[test]
    fn a_host_whose_api_is_not_spoken_is_a_clear_error() {
        let error = guess_from_host("api.fireworks.ai").unwrap_err();
        insta::assert_snapshot!(
            format!("{error}\nhint: {}", error.hint()),
            @r"
        `api.fireworks.ai` speaks `fireworks`, which is not one of the providers: openai, vllm, sglang, anthropic, tgi
        hint: its OpenAI-compatible part is spoken with --provider openai
        "
        );
        assert!(guess_from_host("api.together.xyz").is_err());
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
            @r"
        cannot tell the provider from `owned_by`: `somebody` of model `m`
        hint: --provider, one of openai, vllm, sglang, anthropic, tgi
        "
        );
        assert!(guessed(r#"{"data":[{"id":"m","owned_by":null}]}"#).is_err());
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
}
