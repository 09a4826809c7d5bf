//! What this machine adds to a plan: its tokenizer, its secrets, its files. The rest of a job is made in `embed`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::mpsc;

use super::authority;
use super::data_set;
use super::database;
use super::failure::Failure;
use super::hub;
use super::otlp::{Collector, Spans};
use super::records::{RecordsFile, Sink, hand_out};
use super::surroundings::Process;
use crate::cluster::{Prepare, SharedSecrets};
use crate::config::{self, Database, Secrets};
use crate::domain::{HttpEngine, Record, Secret, StampSource};
use crate::embed::{Made, Maker, Seat, Taking, job, masks};
use crate::plan::Plan;
use crate::provider::{self, Provider};
use crate::workload::load::{HubId, HubPaths, LoadError};
use crate::workload::{self, Tokenizer, TokenizerRef};

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
    /// Where a row of each request goes.
    pub(super) database: Option<Database>,
    pub(super) hub: HubPaths,
    /// The collector of this machine's own settings.
    pub(super) otlp: Option<Collector>,
}

/// Finished requests that may wait to be taken.
const RECORDS_QUEUE: usize = 8192;

impl Maker for Machine {
    type Fault = Failure;

    fn make(&self, part: &Prepare) -> Result<Made<Failure>, Failure> {
        let plan = &part.plan;
        let secrets = authority::own(plan, &self.secrets).beside(part.secrets.as_ref());
        let wanted = plan.workload.tokenizer.as_ref();
        let tokenizer = wanted.map(|wanted| self.tokenizer(wanted)).transpose()?;
        let provider = speak(plan)?;
        let authority = authority::of(plan, &secrets)?;
        let wishes = self.wishes(part);
        let wanted = (!wishes.is_empty()).then(|| mpsc::channel(RECORDS_QUEUE));
        let (sender, queue) = wanted.unzip();
        let seat = Seat {
            threads: self.threads,
            source_ips: &self.source_ips,
            serves_itself: self.serves_itself,
            http_engine: self.http_engine,
            stamps: self.stamps,
            tokenizer,
            provider,
            api_key: authority::key(plan, &secrets, authority.is_some()),
            authority,
            headers: &secrets.headers,
            proxy_credentials: self.proxy_credentials(plan)?,
            masked: secrets.values(),
            records: sender,
        };
        let (job, notes) = job(part, seat)?;
        tell(&notes, plan);
        // A job that cannot be done leaves what an earlier one wrote.
        let sinks: Result<Vec<_>, _> = wishes.into_iter().map(|open| open()).collect();
        let sinks = sinks?;
        Ok(Made {
            job,
            notes,
            taking: queue.map(|queue| taking(queue, sinks)),
        })
    }

    fn words(failure: &Failure) -> String {
        match &failure.hint {
            Some(hint) => format!("{:#}; hint: {hint}", failure.error),
            None => format!("{:#}", failure.error),
        }
    }
}

/// Reports have the notes of a workload too; who keeps every answer prints no report.
fn tell(notes: &[String], plan: &Plan) {
    for note in notes {
        if plan.observe.answers.is_some() && plan.observe.answers_at_most.is_none() {
            tracing::warn!("{note}");
        } else {
            tracing::info!("{note}");
        }
    }
}

fn taking(queue: mpsc::Receiver<Record>, sinks: Vec<Box<dyn Sink>>) -> Taking<Failure> {
    Box::new(move |zero| hand_out(queue, sinks, zero))
}

/// Opens what takes finished requests.
type Wish = Box<dyn FnOnce() -> Result<Box<dyn Sink>, Failure>>;

impl Machine {
    /// Everyone who wants the finished requests of this part.
    fn wishes(&self, part: &Prepare) -> Vec<Wish> {
        let mut wishes: Vec<Wish> = Vec::new();
        if let Some(path) = self.records_path(part) {
            wishes.push(Box::new(move || {
                RecordsFile::create(&path).map(|file| Box::new(file) as Box<dyn Sink>)
            }));
        }
        if let Some(database) = self.database.clone() {
            let (run, worker) = (part.run, part.worker.saturating_add(1));
            let wanted = database::Wanted {
                database,
                run,
                worker,
            };
            wishes.push(Box::new(move || {
                database::Requests::open(&wanted)
                    .map(|requests| Box::new(requests) as Box<dyn Sink>)
            }));
        }
        if let Some(tracing) = &part.plan.observe.tracing {
            let of_plan = || Collector::of_plan(&tracing.collector);
            let collector = self.otlp.clone().unwrap_or_else(of_plan);
            let (who, sample) = ((part.run, part.worker), tracing.sample);
            let plan = part.plan.clone();
            wishes.push(Box::new(move || {
                let spans = Spans::open(&collector, who, &plan, sample)?;
                Ok(Box::new(spans) as Box<dyn Sink>)
            }));
        }
        wishes
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

/// The plan's API.
pub(super) fn speak(plan: &Plan) -> Result<Arc<dyn Provider>, Failure> {
    provider::build(&plan.provider).map_err(Failure::usage)
}

/// The tokenizer of this name: on this machine, in the hub's cache, or from the hub, which is asked only then. Blocks.
pub(super) fn load_tokenizer(name: &str, paths: &HubPaths) -> Result<Tokenizer, Failure> {
    match workload::load::tokenizer(name, paths) {
        Err(missing @ LoadError::NoTokenizer { .. }) => {
            // A folder of that name is what was meant, and holds none.
            let id = HubId::read(name).filter(|_| !Path::new(name).exists());
            let Some(id) = id else {
                return Err(data_set::failure(missing));
            };
            hub::download(id, paths, &missing)?;
            workload::load::tokenizer(name, paths).map_err(data_set::failure)
        }
        found => found.map_err(data_set::failure),
    }
}

/// The same for commands that have no notes of a workload to say it in: the built-in one is no model's.
pub(super) fn load_tokenizer_aloud(name: &str, paths: &HubPaths) -> Result<Tokenizer, Failure> {
    let tokenizer = load_tokenizer(name, paths)?;
    if tokenizer.is_built_in() {
        tracing::warn!("tokens are those of llmload's built-in tokenizer, which are no model's");
    }
    Ok(tokenizer)
}

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
        masks(whole, self.proxy_credentials.as_ref())
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
            is_any_key: false,
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
