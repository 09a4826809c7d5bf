//! Whoever writes to the database: a thread with a runtime of its own, to which batches are handed. Nobody waits for it. What it
//! cannot take, and what the database does not take in time, goes to a spool, from which it is brought in when that is possible.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::connect::{Connection, Connector};
use super::load::{Unfit, check, load, migrate};
use super::spool::{Counts, Spool};
use crate::app::failure::{Failure, chain};
use crate::app::surroundings::draw;
use crate::config::Database;
use crate::database::{Batch, Part};
use crate::domain::shell_word;

/// Batches that may wait in memory.
const QUEUE: usize = 64;
/// How long the database may take for a batch, or to let us in.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to reach a database that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a spool may be brought in after the end.
const GRACE: Duration = Duration::from_secs(15);

/// The end of a writer at which batches are made.
pub(super) struct Writer {
    run: String,
    source: String,
    incarnation: String,
    seq: u64,
    queue: mpsc::Sender<Batch>,
    spool: Arc<Mutex<Spool>>,
    writing: thread::JoinHandle<()>,
    hint: String,
}

impl Writer {
    /// Connects, makes the tables where there are none, and begins to write. Blocks.
    pub(super) fn start(database: &Database, run: u64, source: String) -> Result<Self, Failure> {
        let incarnation = format!("{:016x}", draw().map_err(Failure::failed)?);
        let run = format!("{run:016x}");
        let connector = Connector::new(database, PATIENCE).map_err(Failure::usage)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(Failure::failed)?;
        let schema = database.schema.clone();
        let opened = runtime.block_on(timeout(PATIENCE * 2, open(&connector, &schema)));
        let opened = opened.unwrap_or_else(|_| Err(anyhow!("it does not answer")));
        let connection = opened.map_err(|error| unreachable(&connector, error))?;
        let name = format!("{run}-{}-{incarnation}.spool", source.replace(' ', "-"));
        let spool = Spool::create(database.spool.join(name), database.spool_max);
        let spool = spool.map_err(|error| {
            Failure::usage(error).hint("--pg-spool DIR: a folder that can be written")
        })?;
        let hint = loading(spool.path(), database);
        let spool = Arc::new(Mutex::new(spool));
        let (queue, batches) = mpsc::channel(QUEUE);
        let work = Work {
            connector,
            schema,
            connection: Some(connection),
            spool: Arc::clone(&spool),
            is_told: false,
        };
        let writing = thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || runtime.block_on(work.go(batches)))
            .map_err(Failure::failed)?;
        Ok(Self {
            run,
            source,
            incarnation,
            seq: 0,
            queue,
            spool,
            writing,
            hint,
        })
    }

    /// The run's number as text.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Drawn for this writer.
    pub(super) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Hands rows over that belong together. Never waits for the database.
    pub(super) fn put(&mut self, parts: Vec<Part>) {
        let batch = Batch {
            run: self.run.clone(),
            source: self.source.clone(),
            incarnation: self.incarnation.clone(),
            seq: self.seq,
            parts,
        };
        self.seq += 1;
        if let Err(
            mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch),
        ) = self.queue.try_send(batch)
        {
            locked(&self.spool).add(&batch);
        }
    }

    /// There are no more. Waits for what can be brought in soon, and tells what is left. Blocks.
    pub(super) fn end(self) -> Result<(), Failure> {
        drop(self.queue);
        // A thread that panicked has told so; what it held was not counted.
        let is_whole = self.writing.join().is_ok();
        let spool = locked(&self.spool);
        spool.close();
        let Counts {
            waiting, dropped, ..
        } = spool.counts();
        let path = spool.path().display();
        if waiting > 0 {
            tracing::warn!(
                "{waiting} rows did not reach the database; they wait in `{path}`, and {}",
                self.hint
            );
        }
        if dropped > 0 {
            let error = anyhow!(
                "{dropped} rows for the database are lost: there was no room for them in `{path}`"
            );
            return Err(Failure::failed(error)
                .hint("all figures are whole; a larger --pg-spool-max, or a faster database"));
        }
        if !is_whole {
            return Err(Failure::failed(anyhow!(
                "the writer to the database broke off; rows may be missing"
            )));
        }
        Ok(())
    }
}

/// The command that loads the spool into the same database: what is told where a log may be read, so without the password.
fn loading(spool: &Path, database: &Database) -> String {
    let mut words = vec![
        "llmload pg-load".to_owned(),
        shell_word(&spool.display().to_string()),
    ];
    let port = database.port.map(|port| port.to_string());
    for (option, value) in [
        ("--pg-url", database.bare_url()),
        ("--pghost", database.host.clone()),
        ("--pgport", port),
        ("--pguser", database.user.clone()),
        ("--pgdatabase", database.name.clone()),
        (
            "--pg-schema",
            Some(database.schema.clone()).filter(|name| name != "llmload"),
        ),
    ] {
        if let Some(value) = value {
            words.push(format!("{option} {}", shell_word(&value)));
        }
    }
    let words = words.join(" ");
    if database.has_password() {
        format!("with its password in PGPASSWORD this loads them: {words}")
    } else {
        format!("this loads them: {words}")
    }
}

fn locked(spool: &Mutex<Spool>) -> MutexGuard<'_, Spool> {
    spool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The failure to reach a database that was asked for.
pub(super) fn unreachable(connector: &Connector, error: anyhow::Error) -> Failure {
    let place = connector.place();
    let own = error.downcast_ref::<Unfit>().map(Unfit::hint);
    let error = error.context(format!(
        "cannot write to the database {place} as `{}`",
        connector.user()
    ));
    let hint = own.unwrap_or("look at --pg-url, PGPASSWORD and sslmode; the user needs the right to CREATE in the database");
    Failure::usage(error).hint(hint)
}

/// A connection to a schema that is what this program needs.
pub(super) async fn open(connector: &Connector, schema: &str) -> anyhow::Result<Connection> {
    let mut connection = connector.connect().await?;
    migrate(&mut connection.client, schema).await?;
    check(&connection.client).await?;
    Ok(connection)
}

/// The thread's own.
struct Work {
    connector: Connector,
    schema: String,
    connection: Option<Connection>,
    spool: Arc<Mutex<Spool>>,
    /// It was told that the database is away.
    is_told: bool,
}

impl Work {
    async fn go(mut self, mut batches: mpsc::Receiver<Batch>) {
        loop {
            let waits = locked(&self.spool).counts().waiting > 0;
            let pause = if self.connection.is_some() {
                Duration::ZERO
            } else {
                PAUSE
            };
            tokio::select! {
                biased;
                batch = batches.recv() => match batch {
                    Some(batch) => self.take(batch).await,
                    None => break,
                },
                () = sleep(pause), if waits => self.bring_in().await,
            }
        }
        let until = Instant::now() + GRACE;
        while locked(&self.spool).counts().waiting > 0 && Instant::now() < until {
            if self.connection.is_none() {
                sleep(PAUSE).await;
            }
            self.bring_in().await;
        }
    }

    /// Brings a batch in, or puts it behind those that wait.
    async fn take(&mut self, batch: Batch) {
        let is_next = self.connection.is_some() && locked(&self.spool).counts().waiting == 0;
        if !is_next || !self.load(&batch).await {
            locked(&self.spool).add(&batch);
        }
    }

    /// Brings in the batch that waits in front, if the database can be reached.
    async fn bring_in(&mut self) {
        if self.connection.is_none() {
            let opened = timeout(PATIENCE, open(&self.connector, &self.schema)).await;
            let Ok(Ok(connection)) = opened else {
                return;
            };
            self.connection = Some(connection);
        }
        let front = locked(&self.spool).front();
        let passed = match front {
            Ok(Some((batch, length))) if self.load(&batch).await => {
                locked(&self.spool).pass(&batch, length)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = passed {
            // The frames stay where they are, for `pg-load`.
            tracing::error!("the spool of the database cannot be read: {error}");
            self.connection = None;
        } else if self.is_told
            && self.connection.is_some()
            && locked(&self.spool).counts().waiting == 0
        {
            tracing::info!("the database has all rows again");
            self.is_told = false;
        }
    }

    /// Whether the batch is in the database. After a failure the connection is given up: it may be in any state.
    async fn load(&mut self, batch: &Batch) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let why = match timeout(PATIENCE, load(&mut connection.client, batch)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer for {} s", PATIENCE.as_secs()),
        };
        self.connection = None;
        if !self.is_told {
            self.is_told = true;
            let path = locked(&self.spool).path().display().to_string();
            tracing::warn!("the database takes no rows ({why}): they wait in `{path}`");
        }
        false
    }
}
