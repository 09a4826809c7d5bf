//! The database as one who takes finished requests: a row each, in batches.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use tokio::time::Instant;

use super::writer::Writer;
use crate::app::failure::Failure;
use crate::app::records::Sink;
use crate::config::Database;
use crate::database::{self, Part, Rows, Sender, Table};
use crate::domain::Record;

/// Bytes of a batch.
const BATCH: usize = 256 * 1024;
/// How long a row waits for others while some come.
const DELAY: Duration = Duration::from_secs(1);

/// That rows of requests are wanted, and of whom.
#[derive(Clone, Debug)]
pub(in crate::app) struct Wanted {
    pub(in crate::app) database: Database,
    pub(in crate::app) run: u64,
    /// From 1.
    pub(in crate::app) worker: u32,
}

/// Takes requests.
pub(in crate::app) struct Requests {
    writer: Writer,
    sender: Sender,
    rows: Rows,
    n: u64,
    sealed: Instant,
}

impl Requests {
    /// Connects. Blocks.
    pub(in crate::app) fn open(wanted: &Wanted) -> Result<Self, Failure> {
        let source = format!("worker {}", wanted.worker);
        let writer = Writer::start(&wanted.database, wanted.run, source)?;
        let sender = Sender {
            run: writer.run().to_owned(),
            worker: wanted.worker,
            incarnation: writer.incarnation().to_owned(),
            zero: OffsetDateTime::UNIX_EPOCH,
        };
        Ok(Self {
            writer,
            sender,
            rows: Rows::default(),
            n: 0,
            sealed: Instant::now(),
        })
    }

    fn seal(&mut self) {
        self.sealed = Instant::now();
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            self.writer.put(vec![Part::new(Table::Requests, rows)]);
        }
    }
}

impl Sink for Requests {
    fn begin(&mut self, zero: SystemTime) {
        self.sender.zero = zero.into();
    }

    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        database::request(&mut self.rows, &self.sender, self.n, record);
        self.n += 1;
        if self.rows.len() >= BATCH {
            self.seal();
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failure> {
        if self.sealed.elapsed() >= DELAY {
            self.seal();
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), Failure> {
        self.seal();
        self.writer.end()
    }
}
