//! Tokenizers from the hub, into the hub's own cache: what is missing on this machine is asked for once, and other programs find it.
//! It decides where to look and what to fetch; what a tokenizer is is the workload's business.

mod ask;
mod error;
mod settings;
mod store;

use anyhow::anyhow;
use reqwest::StatusCode;

use super::failure::Failure;
use super::surroundings::variable;
use crate::domain::Secret;
use crate::workload::load::{HubId, HubPaths, LoadError};
use ask::{Answer, Asker};
use error::HubError;
use settings::Settings;
use store::Store;

/// What makes a tokenizer. Without it there is none.
const TOKENIZER: &str = "tokenizer.json";
/// What a tokenizer is better with: its chat template, the longest prompt of its model.
const BESIDE: [&str; 3] = [
    "tokenizer_config.json",
    "chat_template.jinja",
    "config.json",
];
/// Forms of tokenizers that are no `tokenizer.json`, looked for to say so.
const OTHERS: [&str; 6] = [
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tekken.json",
];
/// Most bytes of a `tokenizer.json`: ten times the largest that is known.
const MOST: u64 = 256 << 20;
/// Most bytes of a file beside it.
const MOST_BESIDE: u64 = 16 << 20;

/// Downloads the tokenizer `id` into the cache, which has none. `missing` tells where it was looked for. Blocks.
pub(super) fn download(
    id: HubId<'_>,
    paths: &HubPaths,
    missing: &LoadError,
) -> Result<(), Failure> {
    let settings = Settings::new(&variable, paths);
    let token = settings.as_ref().ok().and_then(|it| it.token.clone());
    let done = settings.and_then(|settings| aside(id, &settings));
    done.map_err(|error| {
        let secrets: Vec<Secret> = token.into_iter().collect();
        let hint = error.hint(id);
        let error = anyhow!("{missing}; {:#}", anyhow::Error::new(error));
        Failure::usage(error).without(&secrets).hint(hint)
    })
}

/// On a thread of its own: who waits for it may be inside an event loop, where nobody may wait.
fn aside(id: HubId<'_>, settings: &Settings) -> Result<(), HubError> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| HubError::Client(error.into()))?;
        runtime.block_on(fetch(id, settings))
    };
    std::thread::scope(|scope| {
        let done = scope.spawn(work).join();
        done.unwrap_or_else(|_| Err(HubError::Client("ended by a defect".into())))
    })
}

async fn fetch(id: HubId<'_>, settings: &Settings) -> Result<(), HubError> {
    let asker = Asker::new(settings)?;
    let store = Store::new(id.folder(&settings.folder));
    tracing::info!(
        "no tokenizer `{}` on this machine: downloading it from {}",
        id.repo,
        asker.shown()
    );
    let answer = asker.get(id.repo, id.revision, TOKENIZER).await?;
    if answer.status() == StatusCode::NOT_FOUND && answer.error_code() == Some("EntryNotFound") {
        return Err(no_json(&asker, id).await);
    }
    let commit = answer.good(id)?.commit()?;
    let bytes = store.take(answer, &commit, TOKENIZER, MOST).await?;
    for name in BESIDE {
        // Of the same commit: the branch may move meanwhile.
        let answer = asker.get(id.repo, &commit, name).await?;
        if answer.status() != StatusCode::NOT_FOUND {
            answer.good(id)?;
            store.take(answer, &commit, name, MOST_BESIDE).await?;
        }
    }
    // Only now: who finds the reference finds all of it.
    if !id.is_commit() {
        store.point(id.revision, &commit)?;
    }
    tracing::info!("tokenizer `{}`: {bytes} bytes of commit {commit}", id.repo);
    Ok(())
}

/// What a repository has instead.
async fn no_json(asker: &Asker, id: HubId<'_>) -> HubError {
    let mut found = Vec::new();
    for name in OTHERS {
        let asked = asker.head(id.repo, id.revision, name).await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            found.push(name);
        }
    }
    HubError::NoJson {
        repo: id.repo.to_owned(),
        found,
    }
}

impl Answer {
    /// This, if it holds a file.
    fn good(&self, id: HubId<'_>) -> Result<&Self, HubError> {
        let status = self.status();
        if status.is_success() {
            return Ok(self);
        }
        let repo = id.repo.to_owned();
        let revision = id.revision.to_owned();
        let with_token = self.had_token();
        Err(match (status.as_u16(), self.error_code()) {
            (_, Some("GatedRepo")) => HubError::Gated { repo, with_token },
            (_, Some("RevisionNotFound")) => HubError::Revision { repo, revision },
            (401, _) if with_token && self.dislikes_token() => HubError::WrongToken,
            (401 | 403 | 404, _) => HubError::Unknown {
                repo,
                status,
                with_token,
            },
            _ => HubError::Status {
                status,
                words: self.error_words(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_only_be_a_path_is_no_id() {
        for (name, repo, revision) in [
            ("gpt2", "gpt2", "main"),
            ("org/name", "org/name", "main"),
            ("org/name@v1.0", "org/name", "v1.0"),
            ("org/name@refs/pr/1", "org/name", "refs/pr/1"),
        ] {
            assert_eq!(HubId::read(name), Some(HubId { repo, revision }), "{name}");
        }
        for name in [
            "",
            "./name",
            "/name",
            "a/b/c",
            "org/",
            "name.json",
            "a..b",
            "a b",
            "org/name@",
            "org/name@../x",
            "@main",
        ] {
            assert_eq!(HubId::read(name), None, "{name}");
        }
    }
}
