//! One run in an ML Repo, from its creation beside the benchmark to its end. It decides no names.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use reqwest::Client;
use serde_json::Value;
use tokio::fs;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::body::{self, Made, NewRun, Status};
use super::limits;
use super::patience::{Limits, Patience};
use super::place::{Place, file_url, media_type};
use super::server::Server;
use super::trouble::Trouble;
use super::wire::{Call, Wire};

/// A file that goes with the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name there.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The content of a file of this machine, read when it is sent.
    At(PathBuf),
    /// These bytes.
    Bytes(Bytes),
}

impl Artifact {
    /// The file at `path`, under its own name.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            content: Content::At(path.to_owned()),
        }
    }

    async fn read(&self) -> std::io::Result<Bytes> {
        match &self.content {
            Content::At(path) => fs::read(path).await.map(Bytes::from),
            Content::Bytes(bytes) => Ok(bytes.clone()),
        }
    }
}

/// What there is to log when the benchmark is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Figures; what is not a number is left out.
    pub metrics: Vec<(String, f64)>,
    /// Files.
    pub files: Vec<Artifact>,
    /// How it went.
    pub status: Status,
    /// When it ended, in milliseconds since 1970.
    pub time_ms: i64,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// Where a person sees the run, if there is one.
    pub page: Option<String>,
    /// What is not there, and why; secrets masked.
    pub warnings: Vec<String>,
}

/// A run that is being logged. Dropping it ends the logging at once and leaves the run there as it is.
#[derive(Debug)]
pub struct Logging {
    /// One task, owned here.
    task: JoinSet<Logged>,
    ended: watch::Sender<Option<Instant>>,
    ending: oneshot::Sender<Ending>,
}

impl Logging {
    /// Begins to make the run in the background. Must be called on a tokio runtime; `client` must follow no redirects, which
    /// would carry credentials elsewhere.
    pub fn start(client: Client, server: Server, run: NewRun, limits: Limits) -> Self {
        let (ended, heard) = watch::channel(None);
        let (ending, end) = oneshot::channel();
        let patience = Patience::new(limits, heard);
        let session = Session {
            wire: Wire::new(client, server, patience),
            run,
            warnings: Vec::new(),
        };
        let mut task = JoinSet::new();
        task.spawn(session.log(end));
        Self {
            task,
            ended,
            ending,
        }
    }

    /// Logs the end, and returns when that is done or no time is left.
    pub async fn finish(mut self, ending: Ending) -> Logged {
        self.ended.send_replace(Some(Instant::now()));
        // The task may be over: the server wanted nothing of it.
        let _ = self.ending.send(ending);
        match self.task.join_next().await {
            Some(Ok(logged)) => logged,
            _ => Logged {
                page: None,
                warnings: vec!["the logging to the ML Repo broke off".to_owned()],
            },
        }
    }
}

/// The one task.
struct Session {
    wire: Wire,
    run: NewRun,
    warnings: Vec<String>,
}

impl Session {
    async fn log(mut self, ending: oneshot::Receiver<Ending>) -> Logged {
        let (experiment, made) = match self.open().await {
            Ok(opened) => opened,
            Err(trouble) => {
                let address = self.wire.server.address();
                let name = &self.run.experiment;
                let warning =
                    format!("nothing is logged to the ML Repo `{name}` at {address}: {trouble}");
                if self.wire.patience.run_goes_on() {
                    tracing::warn!("{warning}; the run goes on");
                }
                self.warnings.push(warning);
                return Logged {
                    page: None,
                    warnings: self.warnings,
                };
            }
        };
        let page = self.wire.server.page(&experiment, &made.id);
        tracing::info!("the run is logged as {page}");
        self.log_params(&made).await;
        if let Ok(ending) = ending.await {
            self.close(&made, ending).await;
        }
        Logged {
            page: Some(page),
            warnings: self.warnings,
        }
    }

    /// The experiment's id, and the run.
    async fn open(&mut self) -> Result<(String, Made), Trouble> {
        let experiment = self.experiment().await?;
        let made = self.create_run(&experiment).await?;
        Ok((experiment, made))
    }

    async fn experiment(&mut self) -> Result<String, Trouble> {
        let name = self.run.experiment.clone();
        match self.find_experiment(&name).await {
            Err(trouble) if trouble.is("RESOURCE_DOES_NOT_EXIST") => {}
            found => return found,
        }
        let create = Call::post(
            &self.wire.server,
            "experiments/create",
            &serde_json::json!({"name": name}),
        );
        match self.wire.ask(&create).await {
            // Somebody else was quicker, or an answer was lost.
            Err(trouble) if trouble.is("RESOURCE_ALREADY_EXISTS") => {
                self.find_experiment(&name).await
            }
            answer => expect(&answer?, body::created_experiment),
        }
    }

    async fn find_experiment(&mut self, name: &str) -> Result<String, Trouble> {
        let get = Call::get(
            &self.wire.server,
            "experiments/get-by-name",
            ("experiment_name", name),
        );
        let found = expect(&self.wire.ask(&get).await?, body::experiment)?;
        if found.deleted {
            return Err(Trouble::Deleted);
        }
        Ok(found.id)
    }

    /// Makes the run; where an answer was lost it looks first whether the run is there, so that there is only one.
    async fn create_run(&mut self, experiment: &str) -> Result<Made, Trouble> {
        let server = &self.wire.server;
        let create = Call::post(
            server,
            "runs/create",
            &body::create_run(&self.run, experiment),
        );
        let search = body::search_run(&self.run.key, experiment);
        let search = Call::post(server, "runs/search", &search);
        let mut tries = 0;
        loop {
            match self.wire.ask_once(&create).await {
                Ok(answer) => return expect(&answer, body::created_run),
                Err(trouble) => {
                    tries += 1;
                    let unclear = trouble.may_have_worked();
                    self.wire.wait(tries, trouble).await?;
                    if unclear && let Some(made) = body::found_run(&self.wire.ask(&search).await?) {
                        return Ok(made);
                    }
                }
            }
        }
    }

    async fn log_params(&mut self, made: &Made) {
        let fitted = limits::fit(&self.run.params);
        self.warnings.extend(fitted.notes);
        let batches = limits::param_batches(&made.id, &fitted.params);
        self.log_batches(batches, "parameters").await;
    }

    async fn log_batches(&mut self, batches: Vec<Value>, what: &str) {
        for batch in batches {
            let call = Call::post(&self.wire.server, "runs/log-batch", &batch);
            if let Err(trouble) = self.wire.send(&call).await {
                let warning = format!("the ML Repo has not taken {what}: {trouble}");
                self.warnings.push(warning);
                return;
            }
        }
    }

    async fn close(&mut self, made: &Made, ending: Ending) {
        let batches = limits::metric_batches(&made.id, &ending.metrics, ending.time_ms);
        self.log_batches(batches, "figures").await;
        self.log_files(made, &ending.files).await;
        let update = body::update_run(&made.id, ending.status, ending.time_ms);
        let update = Call::post(&self.wire.server, "runs/update", &update);
        if let Err(trouble) = self.wire.send(&update).await {
            let warning = format!("the ML Repo still has the run as running: {trouble}");
            self.warnings.push(warning);
        }
    }

    async fn log_files(&mut self, made: &Made, files: &[Artifact]) {
        if files.is_empty() {
            return;
        }
        let place = Place::of(made, &self.wire.server);
        if let Place::Other(scheme) = &place {
            let warning = format!(
                "the ML Repo keeps its files at `{scheme}`, where only the server or a client of that store gets: \
                 no file is there (`mlflow server --serve-artifacts` takes them)"
            );
            self.warnings.push(warning);
            return;
        }
        for file in files {
            if let Err(words) = self.log_file(&place, file).await {
                let warning = format!("the ML Repo has not got the file `{}`: {words}", file.name);
                self.warnings.push(warning);
            }
        }
    }

    async fn log_file(&mut self, place: &Place, file: &Artifact) -> Result<(), String> {
        let bytes = file.read().await.map_err(|error| error.to_string())?;
        match place {
            Place::Put {
                folder,
                credentials,
            } => {
                let url = file_url(folder, &file.name);
                let call = Call::put(url, bytes, media_type(&file.name), *credentials);
                let sent = self.wire.send(&call).await;
                sent.map(drop).map_err(|trouble| trouble.to_string())
            }
            Place::Folder { path, make } => copy(path, *make, &file.name, &bytes).await,
            Place::Other(scheme) => Err(scheme.clone()),
        }
    }
}

/// Writes a file into the server's own folder.
async fn copy(folder: &Path, make: bool, name: &str, bytes: &[u8]) -> Result<(), String> {
    let words =
        |error: std::io::Error| format!("the server's folder `{}`: {error}", folder.display());
    if make {
        fs::create_dir_all(folder).await.map_err(words)?;
    }
    fs::write(folder.join(name), bytes).await.map_err(words)
}

fn expect<T>(answer: &Value, read: fn(&Value) -> Option<T>) -> Result<T, Trouble> {
    read(answer).ok_or_else(|| Trouble::strange(answer))
}
