//! Writes frames to a disk that may be slow, full or dead, on a thread of its own. It decides nothing about the run:
//! it says which frames are written, and closes its channel when it cannot go on.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, oneshot};

use super::place::JournalFile;
use crate::app::failure::Failure;
use crate::cluster::{Frame, JournalPort, journal_frame, journal_notes};

/// Frames that may wait for the disk here, one a second; more wait in the cluster's shell.
const QUEUE: usize = 64;

/// How often what is written is made to survive a loss of power. A killed process needs none of it.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long a disk may take to write the end of a run down.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);

const HINT: &str =
    "all figures are whole; free some space, or write the journal elsewhere (--journal FILE)";

/// What a journal's bytes go to.
trait Disk {
    /// Adds bytes at the end: all of them, or an error and any part.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes back what is behind the first `bytes`.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes it all survive a loss of power.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A journal that is being written.
pub(in crate::app) struct Writing {
    path: PathBuf,
    is_named: bool,
    notes: std_mpsc::SyncSender<Vec<String>>,
    outcome: oneshot::Receiver<Outcome>,
}

/// How the writing went.
#[derive(Debug, Default)]
struct Outcome {
    /// The run's end is in it.
    has_end: bool,
    error: Option<io::Error>,
}

/// Begins to write what comes through the port to `journal`.
///
/// # Errors
///
/// When there can be no more threads.
pub(in crate::app) fn start(journal: JournalFile) -> io::Result<(JournalPort, Writing)> {
    let JournalFile {
        path,
        file,
        bytes,
        is_named,
    } = journal;
    let (frames, queue) = mpsc::channel(QUEUE);
    let (said, written) = mpsc::channel(QUEUE);
    let (notes, last_words) = std_mpsc::sync_channel(1);
    let (done, outcome) = oneshot::channel();
    let pen = Pen {
        path: path.clone(),
        syncing: Syncing::start(file.try_clone()?)?,
        disk: file,
        bytes,
        outcome: Outcome::default(),
    };
    thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || {
            // Nobody waits any more where the program has had to end without it.
            let _ = done.send(pen.write_all(queue, said, &last_words));
        })?;
    let writing = Writing {
        path,
        is_named,
        notes,
        outcome,
    };
    Ok((JournalPort { frames, written }, writing))
}

impl Writing {
    /// Where it is.
    pub(in crate::app) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the last words once the run is over and its port is gone. Tells why the journal is not whole, if that was asked
    /// for by name; one that was not is no result, and its loss was told when it happened.
    pub(in crate::app) async fn close(&mut self, notes: &[String]) -> Option<Failure> {
        let _ = self.notes.try_send(notes.to_vec());
        let outcome = tokio::time::timeout(LAST_WORDS_WITHIN, &mut self.outcome).await;
        match outcome {
            Ok(Ok(Outcome {
                error: None,
                has_end: true,
            })) => None,
            Ok(Ok(Outcome {
                error: Some(error), ..
            })) => {
                let path = self.path.display();
                let context = format!("the journal `{path}` ends early");
                self.failure(anyhow::Error::new(error).context(context))
            }
            _ => self.given_up(),
        }
    }

    /// The failure of a journal that was not waited for.
    pub(in crate::app) fn given_up(&self) -> Option<Failure> {
        let path = self.path.display();
        self.failure(anyhow!(
            "the journal `{path}` lacks the end of the run: the disk was too slow for it"
        ))
    }

    fn failure(&self, error: anyhow::Error) -> Option<Failure> {
        self.is_named.then(|| Failure::failed(error).hint(HINT))
    }

    /// Removes a journal that has served its purpose, unless it was asked for.
    pub(in crate::app) fn remove(self) {
        if !self.is_named
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!("the journal `{}` stays: {error}", self.path.display());
        }
    }
}

/// What the thread holds.
struct Pen<D> {
    path: PathBuf,
    disk: D,
    syncing: Syncing,
    /// Bytes of whole records.
    bytes: u64,
    outcome: Outcome,
}

impl<D: Disk> Pen<D> {
    /// Writes what comes until nobody sends any more, or nothing can be written any more. Blocks.
    fn write_all(
        mut self,
        mut queue: mpsc::Receiver<Box<Frame>>,
        written: mpsc::Sender<u64>,
        last_words: &std_mpsc::Receiver<Vec<String>>,
    ) -> Outcome {
        while let Some(frame) = queue.blocking_recv() {
            let (number, is_end) = (frame.number, frame.ended.is_some());
            let record = journal_frame(*frame).map_err(io::Error::other);
            if let Err(error) = record.and_then(|record| self.append(&record)) {
                return self.give_up(error);
            }
            self.outcome.has_end |= is_end;
            self.syncing.wake();
            // Who listened may be gone at the end, and the rest is to be written all the same.
            let _ = written.blocking_send(number);
        }
        drop(written);
        let notes = last_words.recv().unwrap_or_default();
        let ended = self.end(notes);
        self.outcome.error = ended.err();
        self.outcome
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if let Some(kind) = self.syncing.failed.get() {
            return Err(io::Error::from(*kind));
        }
        self.disk.append(record)?;
        self.bytes += record.len() as u64;
        Ok(())
    }

    fn end(&mut self, notes: Vec<String>) -> io::Result<()> {
        if self.outcome.has_end && !notes.is_empty() {
            let record = journal_notes(notes).map_err(io::Error::other)?;
            self.append(&record)?;
        }
        self.disk.sync()
    }

    /// Leaves whole records behind, where the disk lets it.
    fn give_up(mut self, error: io::Error) -> Outcome {
        // A torn tail is tolerated by whoever reads.
        let _ = self.disk.truncate(self.bytes);
        tracing::warn!(
            "the journal `{}` ends here: {error}; hint: {HINT}",
            self.path.display()
        );
        self.outcome.error = Some(error);
        self.outcome
    }
}

/// A second thread, so that a slow disk delays no frame by its syncing.
struct Syncing {
    wakes: std_mpsc::SyncSender<()>,
    failed: Arc<OnceLock<io::ErrorKind>>,
}

impl Syncing {
    fn start(mut disk: impl Disk + Send + 'static) -> io::Result<Self> {
        let (wakes, woken) = std_mpsc::sync_channel(1);
        let failed = Arc::new(OnceLock::new());
        let told = Arc::clone(&failed);
        thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    if let Err(error) = disk.sync() {
                        let _ = told.set(error.kind());
                        return;
                    }
                    thread::sleep(SYNC_EVERY);
                }
            })?;
        Ok(Self { wakes, failed })
    }

    /// There is something new.
    fn wake(&self) {
        // It knows already, or has ended with an error that the next frame meets.
        let _ = self.wakes.try_send(());
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
