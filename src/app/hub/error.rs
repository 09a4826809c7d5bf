//! Why a tokenizer cannot be had from the hub, and what to do about it. No message holds a token.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use reqwest::StatusCode;

use crate::workload::BUILT_IN;
use crate::workload::load::HubId;

/// Why there is no download.
#[derive(Debug, thiserror::Error)]
pub(super) enum HubError {
    /// The user said so.
    #[error("the hub was not asked: {variable} is set")]
    Offline { variable: &'static str },
    /// There is nowhere to put it.
    #[error("there is no folder for the hub's cache")]
    NoFolder,
    /// `HF_ENDPOINT` makes no sense.
    #[error("`{0}` is not the address of a hub")]
    Endpoint(String),
    /// `HF_ENDPOINT` holds what would stand in logs.
    #[error("a user name or password in the address of the hub at {0}")]
    UserInfo(String),
    /// The token has characters that no header can carry.
    #[error("the hub's token has characters that cannot be sent")]
    Token,
    /// This program cannot ask.
    #[error("cannot ask the hub")]
    Client(#[source] Box<dyn Error + Send + Sync>),
    /// Nobody answered, or not to the end.
    #[error("the hub at {endpoint} cannot be reached")]
    Unreachable {
        endpoint: String,
        #[source]
        source: reqwest::Error,
    },
    /// It sends on and on, or to where nothing is encrypted.
    #[error("the hub sends elsewhere: {0}")]
    Redirect(&'static str),
    /// The repository wants its terms accepted.
    #[error("`{repo}` is gated at the hub")]
    Gated { repo: String, with_token: bool },
    /// The token is none.
    #[error("the hub does not know the token")]
    WrongToken,
    /// There is no such repository, or none for this user.
    #[error("the hub has no `{repo}` to show (status {status})")]
    Unknown {
        repo: String,
        status: StatusCode,
        with_token: bool,
    },
    /// There is no such branch, tag or commit.
    #[error("`{repo}` has no revision `{revision}` at the hub")]
    Revision { repo: String, revision: String },
    /// There is no `tokenizer.json`.
    #[error("`{repo}` has no tokenizer.json at the hub, {}", instead(found))]
    NoJson {
        repo: String,
        found: Vec<&'static str>,
    },
    /// Anything else.
    #[error("the hub answers with status {status}: {words}")]
    Status { status: StatusCode, words: String },
    /// What answered does not speak as a hub does.
    #[error("what answered is no hub: its answer has no usable {0}")]
    NoHub(&'static str),
    /// A file is out of all proportion.
    #[error("`{name}` has more than {most} bytes")]
    TooLarge { name: String, most: u64 },
    /// A file is not what the hub said it is.
    #[error("`{name}` arrived broken: {why}")]
    Broken { name: String, why: &'static str },
    /// The cache cannot be written.
    #[error("cannot write `{}`", path.display())]
    Store {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn instead(found: &[&str]) -> String {
    match found {
        [] => "nor any other tokenizer".to_owned(),
        found => format!("only {}", found.join(" and ")),
    }
}

impl HubError {
    /// What to do about it.
    pub(super) fn hint(&self, id: HubId<'_>) -> String {
        let repo = id.repo;
        let fetched = format!(
            "run `hf download {repo} tokenizer.json tokenizer_config.json` where the network is"
        );
        let otherwise =
            format!("give the path of a tokenizer.json, or take --tokenizer {BUILT_IN}");
        let first = match self {
            Self::Offline { variable } => format!("unset {variable}, {fetched}"),
            Self::NoFolder => "set HF_HOME to a folder".to_owned(),
            Self::Endpoint(_) | Self::NoHub(_) => {
                "is HF_ENDPOINT the address of a hub (https://huggingface.co)?".to_owned()
            }
            Self::UserInfo(_) => "take it out of HF_ENDPOINT: HF_TOKEN says who asks".to_owned(),
            Self::Token | Self::WrongToken => {
                "is HF_TOKEN (or what `hf auth login` has left) a token of yours?".to_owned()
            }
            Self::Client(_) | Self::Redirect(_) | Self::Status { .. } | Self::Broken { .. } => {
                format!("try again, {fetched}")
            }
            Self::Unreachable { .. } => {
                format!("see to the network, name a proxy (HTTPS_PROXY), or {fetched}")
            }
            Self::Gated { with_token, .. } => gated(repo, *with_token),
            Self::Unknown {
                with_token: true, ..
            } => format!("is `{repo}` spelt right, and may the token see it?"),
            Self::Unknown { .. } => {
                format!("is `{repo}` spelt right, and is HF_TOKEN set if it is private?")
            }
            Self::Revision { .. } => "name a branch, a tag or a commit behind the @".to_owned(),
            Self::NoJson { found, .. } if found.is_empty() => {
                "is it the right repository?".to_owned()
            }
            Self::NoJson { .. } => format!(
                "`AutoTokenizer.from_pretrained(\"{repo}\").save_pretrained(\"folder\")` of transformers makes one: --tokenizer folder"
            ),
            Self::TooLarge { .. } => "is it the right repository?".to_owned(),
            Self::Store { .. } => "is the disk full? HF_HOME names another folder".to_owned(),
        };
        match first.strip_suffix('?') {
            Some(question) => format!("{question}? Otherwise {otherwise}"),
            None => format!("{first}; or {otherwise}"),
        }
    }
}

fn gated(repo: &str, with_token: bool) -> String {
    let accept = format!("accept its terms on its page at the hub ({repo})");
    if with_token {
        format!("{accept} with the token's user")
    } else {
        format!("{accept}, and set HF_TOKEN")
    }
}
