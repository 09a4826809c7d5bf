//! From a plan to a job: loads the tokenizer, builds the workload, sets up TLS. The slow part before a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use super::failure::Failure;
use super::target;
use crate::cluster::Prepare;
use crate::config::Secrets;
use crate::domain::{Index, Record, Secret};
use crate::plan::Plan;
use crate::provider::{self, Provider};
use crate::runner::Job;
use crate::schedule::Shard;
use crate::workload::load::HubPaths;
use crate::workload::{self, Tokenizer, TokenizerRef, Workload};

/// What this machine adds to any plan: its cores, its secrets, its folders.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) threads: u32,
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
        let tokenizer = plan
            .workload
            .tokenizer
            .as_ref()
            .map(|wanted| self.tokenizer(wanted))
            .transpose()?;
        let workload = Workload::new(
            &plan.workload,
            plan.provider.chat,
            plan.seed,
            tokenizer.clone(),
            plan.schedule.users,
        )
        .map_err(Failure::usage)?;
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
        let job = Job {
            shard: Shard::new(part.index, part.of),
            workload: Arc::new(workload),
            secret_headers: secret_headers(&*provider, &self.secrets)?,
            secrets: self.secrets.values(),
            provider,
            connector: target::connector(&plan, self.secrets.proxy_credentials.clone())?,
            reuse: target::reuse(&plan),
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

    /// `results.jsonl`; of part 2 in a cluster `results.2.jsonl`. The plan names a file, never a folder.
    fn records_path(&self, part: &Prepare) -> Option<PathBuf> {
        let name = Path::new(part.plan.observe.records.as_deref()?).file_name()?;
        let folder = self.records_dir.clone().unwrap_or_default();
        let path = folder.join(name);
        if part.of == 1 {
            return Some(path);
        }
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().into_owned())
            .unwrap_or_default();
        Some(path.with_extension(format!("{}.{ending}", part.index).trim_end_matches('.')))
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
        let failure = Failure::usage(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// What cannot be put into words is found before the run.
fn try_words(workload: &Workload, provider: &dyn Provider, plan: &Plan) -> Result<(), Failure> {
    let first = if plan.schedule.is_open() {
        Index::Arrival(0)
    } else {
        Index::Turn { user: 0, turn: 0 }
    };
    provider
        .shape(&workload.ask(first))
        .map(drop)
        .map_err(|error| Failure::usage(anyhow!("{error}")))
}

/// The headers that carry this machine's secrets.
fn secret_headers(
    provider: &dyn Provider,
    secrets: &Secrets,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut headers = Vec::new();
    if let Some(key) = &secrets.api_key {
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

impl Secrets {
    /// All of them, to be masked wherever a server quotes them; a proxy's as they are and as they are sent.
    pub(super) fn values(&self) -> Vec<Secret> {
        let proxy = self.proxy_credentials.iter().flat_map(|pair| {
            let password = pair.expose().split_once(':').map(|(_, password)| password);
            let sent = STANDARD.encode(pair.expose());
            [Some(sent), password.map(str::to_owned)]
                .into_iter()
                .flatten()
                .map(Secret::new)
        });
        self.api_key
            .iter()
            .chain(self.headers.values())
            .chain(&self.proxy_credentials)
            .cloned()
            .chain(proxy)
            .collect()
    }
}
