//! Whoever writes to the database: a thread with a runtime of its own, to which batches are handed. Nobody waits for it. What it
//! cannot take, and what the database does not take in time, goes to a spool, from which it is brought in when that is possible.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

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
/// How long everything may take that is to be done after the end.
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
    limit: Limit,
    hint: String,
}

/// Until when a writer may try, once that is known. What is not in the database by then goes to the spool.
#[derive(Clone)]
pub(super) struct Limit(watch::Sender<Option<Instant>>);

/// Ends what a writer does when it is dropped.
pub(super) struct GivingUp(Limit);

impl Limit {
    fn within(&self, span: Duration) {
        let until = Instant::now() + span;
        self.0.send_if_modified(|limit| {
            let is_sooner = limit.is_none_or(|limit| until < limit);
            if is_sooner {
                *limit = Some(until);
            }
            is_sooner
        });
    }
}

impl Drop for GivingUp {
    fn drop(&mut self) {
        self.0.within(Duration::ZERO);
    }
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
        let opened = runtime.block_on(timeout(PATIENCE * 2, open(&connector, &schema, PATIENCE)));
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
        let (limit, until) = watch::channel(None);
        let work = Work {
            connector,
            schema,
            connection: Some(connection),
            next_try: Instant::now(),
            until,
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
            limit: Limit(limit),
            hint,
        })
    }

    /// Has the writer give up when it is dropped, for who may have no time to wait for its end.
    pub(super) fn giving_up(&self) -> GivingUp {
        GivingUp(self.limit.clone())
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
        self.limit.within(GRACE);
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
                "{dropped} rows for the database are lost: it refused them, or there was no room for them in `{path}`"
            );
            return Err(Failure::failed(error)
                .hint("all figures are whole; the log says why: a larger --pg-spool-max, or a faster database"));
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

/// A connection to a schema that is what this program needs. The server itself ends what takes longer than `patience`: a session whose
/// client is gone would wait for a lock as long as that is held.
pub(super) async fn open(
    connector: &Connector,
    schema: &str,
    patience: Duration,
) -> anyhow::Result<Connection> {
    let mut connection = connector.connect().await?;
    let most = patience.as_millis();
    connection
        .client
        .batch_execute(&format!(
            "SET statement_timeout = {most}; SET idle_in_transaction_session_timeout = {most}; SET client_min_messages = warning"
        ))
        .await?;
    migrate(&mut connection.client, schema).await?;
    check(&connection.client).await?;
    Ok(connection)
}

/// The thread's own.
struct Work {
    connector: Connector,
    schema: String,
    connection: Option<Connection>,
    /// When a database that is away may be looked for again.
    next_try: Instant,
    until: watch::Receiver<Option<Instant>>,
    spool: Arc<Mutex<Spool>>,
    /// It was told that the database is away.
    is_told: bool,
}

/// What became of a batch.
enum Brought {
    In,
    /// The database has to be looked for again.
    Away(String),
    /// No database would take it: there is something wrong with its rows.
    Refused(String),
}

impl Work {
    async fn go(mut self, mut batches: mpsc::Receiver<Batch>) {
        loop {
            let waits = locked(&self.spool).counts().waiting > 0;
            tokio::select! {
                () = sleep_until(self.next_try), if waits => self.bring_in().await,
                batch = batches.recv() => match batch {
                    Some(batch) => self.take(batch).await,
                    None => break,
                },
            }
        }
        while locked(&self.spool).counts().waiting > 0 && !self.is_over() {
            let next_try = self.next_try;
            if self.bounded(sleep_until(next_try)).await.is_none() {
                break;
            }
            self.bring_in().await;
        }
    }

    fn is_over(&self) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| until <= Instant::now())
    }

    /// Does something that may hang. `None` if there was no time left for it.
    async fn bounded<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let until = *self.until.borrow_and_update();
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = over => return None,
                done = &mut work => return Some(done),
                Ok(()) = self.until.changed() => {}
            }
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
            let (connector, schema) = (self.connector.clone(), self.schema.clone());
            let opening = async move { open(&connector, &schema, PATIENCE).await };
            let opened = self.bounded(timeout(PATIENCE, opening)).await;
            self.next_try = Instant::now() + PAUSE;
            let Some(Ok(Ok(connection))) = opened else {
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
        if self.connection.is_some() {
            self.next_try = Instant::now();
        }
        if let Err(error) = passed {
            // The frames stay where they are, for `pg-load`.
            tracing::error!("the spool of the database cannot be read: {error}");
            self.lose(Instant::now() + PAUSE);
        } else if self.is_told
            && self.connection.is_some()
            && locked(&self.spool).counts().waiting == 0
        {
            tracing::info!("the database has all rows again");
            self.is_told = false;
        }
    }

    /// Whether the batch needs no more to be done for: it is in the database, or never will be. After a failure the connection is
    /// given up: it may be in any state.
    async fn load(&mut self, batch: &Batch) -> bool {
        let Some(mut connection) = self.connection.take() else {
            return false;
        };
        let loading = timeout(PATIENCE, load(&mut connection.client, batch));
        let brought = match self.bounded(loading).await {
            Some(Ok(Ok(()))) => Brought::In,
            Some(Ok(Err(error))) if is_refusal(&error) => Brought::Refused(chain(&error)),
            Some(Ok(Err(error))) => Brought::Away(chain(&error)),
            Some(Err(_)) => Brought::Away(format!("no answer for {} s", PATIENCE.as_secs())),
            None => Brought::Away("there is no time left".to_owned()),
        };
        match brought {
            Brought::In => {
                self.connection = Some(connection);
                true
            }
            Brought::Refused(why) => {
                self.lose(Instant::now());
                locked(&self.spool).refuse(batch, &why);
                true
            }
            Brought::Away(why) => {
                self.lose(Instant::now() + PAUSE);
                if !self.is_told {
                    self.is_told = true;
                    let path = locked(&self.spool).path().display().to_string();
                    tracing::warn!("the database takes no rows ({why}): they wait in `{path}`");
                }
                false
            }
        }
    }

    fn lose(&mut self, next_try: Instant) {
        self.connection = None;
        self.next_try = next_try;
    }
}

/// Whether the rows themselves are at fault: data exceptions, broken constraints, rows that collide with each other. By the classes of
/// `SQLSTATE` (`PostgreSQL`, appendix A).
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    code.is_some_and(|code| {
        ["21", "22", "23"]
            .iter()
            .any(|class| code.starts_with(class))
    })
}
