//! From a plan to a job: loads the tokenizer, builds the workload, sets up TLS. The slow part before a run.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use super::authority;
use super::data_set;
use super::failure::Failure;
use super::open_files;
use super::surroundings::Process;
use super::target;
use crate::cluster::{Prepare, SharedSecrets};
use crate::config::{self, Secrets};
use crate::domain::{HttpEngine, Index, Record, Secret, StampSource};
use crate::plan::Plan;
use crate::provider::{self, Provider};
use crate::runner::Job;
use crate::workload::load::HubPaths;
use crate::workload::{self, Api, Tokenizer, TokenizerRef, Workload};

/// What this machine adds to any plan: its cores, its secrets, its folders.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) threads: u32,
    /// Addresses to connect from, in turn.
    pub(super) source_ips: Vec<IpAddr>,
    /// The server is in this process too, so that it has both ends of each connection.
    pub(super) serves_itself: bool,
    pub(super) http_engine: HttpEngine,
    pub(super) stamps: StampSource,
    pub(super) secrets: Secrets,
    pub(super) records_dir: Option<PathBuf>,
    pub(super) hub: HubPaths,
}

/// A job, and what to say about it.
pub(super) struct Prepared {
    pub(super) job: Job,
    pub(super) notes: Vec<String>,
    /// Where the finished requests come out, and the file that wants them.
    pub(super) records: Option<(PathBuf, mpsc::Receiver<Record>)>,
}

/// Finished requests that may wait for the disk.
const RECORDS_QUEUE: usize = 8192;

impl Machine {
    /// Prepares a part of a run. Reads files and computes for seconds: not for an async thread.
    pub(super) fn prepare(&self, part: &Prepare) -> Result<Prepared, Failure> {
        let plan = part.plan.clone();
        let ends = if self.serves_itself { 2 } else { 1 };
        open_files::check(&plan, &part.share, self.threads, ends)?;
        let sources = target::sources(&self.source_ips)?;
        let tokenizer = plan
            .workload
            .tokenizer
            .as_ref()
            .map(|wanted| self.tokenizer(wanted))
            .transpose()?;
        let workload = Workload::new(
            &plan.workload,
            api(&plan.provider.task),
            plan.seed,
            tokenizer.clone(),
            data_set::open(&plan)?,
            plan.schedule.users,
        )
        .map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).with_hint(hint)
        })?;
        let provider = speak(&plan)?;
        try_words(&workload, &*provider, &plan)?;
        let records = self
            .records_path(part)
            .map(|path| (path, mpsc::channel(RECORDS_QUEUE)));
        let (sender, records) = match records {
            Some((path, (sender, receiver))) => (Some(sender), Some((path, receiver))),
            None => (None, None),
        };
        let notes = workload.notes().to_vec();
        let window_start = plan.schedule.window_start();
        let secrets = authority::own(&plan, &self.secrets).beside(part.secrets.as_ref());
        let job = Job {
            worker: part.worker,
            share: part.share.clone(),
            workload: Arc::new(workload),
            authority: authority::of(&plan, &secrets)?,
            secret_headers: secret_headers(&*provider, authority::key(&plan, &secrets), &secrets)?,
            secrets: secrets.values(),
            provider,
            connector: target::connector(&plan, self.proxy_credentials(&plan)?, sources)?,
            reuse: target::reuse(&plan),
            http_engine: self.http_engine,
            stamps: self.stamps,
            tokenizer,
            records: sender,
            threads: self.threads,
            window_start,
            plan,
        };
        Ok(Prepared {
            job,
            notes,
            records,
        })
    }

    /// The tokenizer that a plan names, as this machine has it; its content must be the plan's.
    fn tokenizer(&self, wanted: &TokenizerRef) -> Result<Arc<Tokenizer>, Failure> {
        let tokenizer = load_tokenizer(&wanted.name, &self.hub)?;
        if tokenizer.sha256() == wanted.sha256 {
            Ok(Arc::new(tokenizer))
        } else {
            let error = anyhow!(
                "the tokenizer `{}` is another one here than on the master",
                wanted.name
            );
            Err(Failure::usage(error).hint("give every worker the same tokenizer.json"))
        }
    }

    /// For the plan's proxy: this machine's own, which a worker finds in its environment.
    fn proxy_credentials(&self, plan: &Plan) -> Result<Option<Secret>, Failure> {
        if plan.target.proxy.is_none() || self.secrets.proxy_credentials.is_some() {
            return Ok(self.secrets.proxy_credentials.clone());
        }
        let found = config::proxy_for(&plan.target.base_url, &Process)
            .map_err(|error| Failure::usage(anyhow!("{error}")))?;
        Ok(found
            .filter(|proxy| Some(&proxy.url) == plan.target.proxy.as_ref())
            .and_then(|proxy| proxy.credentials))
    }

    /// `results.jsonl`; of the second worker of a cluster `results.2.jsonl`. The plan names a file, never a folder.
    fn records_path(&self, part: &Prepare) -> Option<PathBuf> {
        let name = Path::new(part.plan.observe.records.as_deref()?).file_name()?;
        let folder = self.records_dir.clone().unwrap_or_default();
        let path = folder.join(name);
        if part.alone {
            return Some(path);
        }
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().into_owned())
            .unwrap_or_default();
        Some(path.with_extension(format!("{}.{ending}", part.worker + 1).trim_end_matches('.')))
    }
}

/// What prompts are for.
const fn api(task: &provider::Task) -> Api {
    match task {
        provider::Task::Chat => Api::Chat,
        provider::Task::Completion => Api::Completion,
        provider::Task::Embeddings(_) => Api::Embeddings,
        provider::Task::Rerank(_) => Api::Rerank,
    }
}

/// The plan's API.
pub(super) fn speak(plan: &Plan) -> Result<Arc<dyn Provider>, Failure> {
    provider::build(&plan.provider).map_err(Failure::usage)
}

/// Loads a tokenizer by name.
pub(super) fn load_tokenizer(name: &str, hub: &HubPaths) -> Result<Tokenizer, Failure> {
    workload::load::tokenizer(name, hub).map_err(|error| {
        let hint = error.hint();
        Failure::usage(error).with_hint(hint)
    })
}

/// What cannot be put into words is found before the run.
fn try_words(workload: &Workload, provider: &dyn Provider, plan: &Plan) -> Result<(), Failure> {
    let first = if plan.schedule.is_open() {
        Index::Arrival(0)
    } else {
        Index::Turn { user: 0, turn: 0 }
    };
    let ask = workload.try_ask(first).map_err(Failure::usage)?;
    provider
        .shape(&ask)
        .map(drop)
        .map_err(|error| Failure::usage(anyhow!("{error}")))
}

/// The headers that carry secrets.
fn secret_headers(
    provider: &dyn Provider,
    key: Option<&Secret>,
    secrets: &Secrets,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut headers = Vec::new();
    if let Some(key) = key {
        headers.push(
            provider
                .auth(key)
                .map_err(|error| Failure::usage(anyhow!("{error}")))?,
        );
    }
    for (name, secret) in &secrets.headers {
        let header = HeaderName::try_from(name)
            .context("a header's name")
            .map_err(Failure::usage)?;
        let mut value = HeaderValue::try_from(secret.expose())
            .map_err(|_| Failure::usage(anyhow!("the value of header `{name}` cannot be sent")))?;
        value.set_sensitive(true);
        headers.push((header, value));
    }
    Ok(headers)
}

/// Shorter parts are words like `Basic`, which would mask more than they protect.
const SHORTEST_SECRET: usize = 7;

impl Secrets {
    /// These, and what the master shares where this machine has nothing of its own.
    pub(super) fn beside(&self, shared: Option<&SharedSecrets>) -> Self {
        let mut all = self.clone();
        let Some(shared) = shared else {
            return all;
        };
        all.api_key = all.api_key.or_else(|| shared.api_key.clone());
        all.aws = all.aws.or(&shared.aws);
        for (name, value) in &shared.headers {
            let own = all.headers.entry(name.to_ascii_lowercase());
            let _own_or_shared = own.or_insert_with(|| value.clone());
        }
        all
    }

    /// All of them, to be masked wherever a server quotes them: whole, and in the parts that a server may quote alone (the
    /// key without its scheme, a proxy's password without its user, the pair as it is sent).
    pub(super) fn values(&self) -> Vec<Secret> {
        let whole = self
            .api_key
            .iter()
            .chain(self.headers.values())
            .chain(self.aws.values())
            .chain(&self.proxy_credentials);
        let parts = whole
            .clone()
            .flat_map(|secret| secret.expose().split([' ', ':']).map(Secret::new));
        let long_enough = |secret: &Secret| secret.expose().len() >= SHORTEST_SECRET;
        let sent = self.proxy_credentials.iter();
        let sent = sent.map(|pair| Secret::new(STANDARD.encode(pair.expose())));
        whole
            .cloned()
            .chain(parts.filter(long_enough))
            .chain(sent)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AwsSecrets;

    #[test]
    fn a_masters_secrets_stand_in_for_what_a_machine_has_none_of_and_are_masked_like_its_own() {
        let own = Secrets {
            api_key: Some(Secret::new("own-key-1")),
            headers: [("x-own".to_owned(), Secret::new("own-header"))].into(),
            aws: AwsSecrets {
                access_key_id: Some(Secret::new("own-id")),
                secret_access_key: Some(Secret::new("own-aws-key")),
                ..AwsSecrets::default()
            },
            proxy_credentials: None,
        };
        let shared = SharedSecrets {
            api_key: Some(Secret::new("shared-key")),
            headers: [
                ("X-Own".to_owned(), Secret::new("not-this-one")),
                ("x-team".to_owned(), Secret::new("shared-header")),
            ]
            .into(),
            aws: AwsSecrets {
                access_key_id: Some(Secret::new("shared-id")),
                session_token: Some(Secret::new("shared-session")),
                bearer_token: Some(Secret::new("shared-bearer")),
                ..AwsSecrets::default()
            },
        };
        let of = |secrets: &Secrets| {
            let values = secrets.values();
            let mut words: Vec<String> = values.iter().map(|it| it.expose().to_owned()).collect();
            words.sort();
            words.dedup();
            words
        };
        assert_eq!(
            of(&own.beside(Some(&shared))),
            [
                "own-aws-key",
                "own-header",
                "own-id",
                "own-key-1",
                "shared-bearer",
                "shared-header"
            ]
        );
        let none = Secrets::default().beside(Some(&shared));
        assert_eq!(
            of(&none),
            [
                "not-this-one",
                "shared-bearer",
                "shared-header",
                "shared-id",
                "shared-key",
                "shared-session"
            ]
        );
        assert_eq!(own.beside(None), own);
    }
}
