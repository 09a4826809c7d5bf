//! The records file: one JSON line a finished request, streamed to disk by a thread of its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::sync::mpsc;

use super::failure::Failure;
use crate::domain::Record;
use crate::report::record_line;

/// Bytes that are gathered before a write.
const BUFFER: usize = 256 * 1024;

/// A records file that waits for records.
pub(super) struct RecordsFile {
    path: PathBuf,
    file: BufWriter<File>,
    queue: mpsc::Receiver<Record>,
}

/// Creates the file, before the run: a folder that cannot be written is found in time.
pub(super) fn create(path: &Path, queue: mpsc::Receiver<Record>) -> Result<RecordsFile, Failure> {
    let file = File::create(path)
        .with_context(|| format!("cannot create the records file `{}`", path.display()))
        .map_err(|error| {
            Failure::usage(error).hint("--records FILE in a folder that can be written")
        })?;
    Ok(RecordsFile {
        path: path.to_owned(),
        file: BufWriter::with_capacity(BUFFER, file),
        queue,
    })
}

impl RecordsFile {
    /// Writes what comes until nobody sends any more. Blocks: for a thread of its own.
    ///
    /// When the disk fails the queue is closed, so that the run goes on without records; the error says so.
    pub(super) fn write_all(mut self) -> Result<(), Failure> {
        let mut line = Vec::new();
        while let Some(record) = self.queue.blocking_recv() {
            line.clear();
            let written = record_line::write(&record, &mut line)
                .map_err(io::Error::from)
                .and_then(|()| self.file.write_all(&line));
            // A reader that follows the file sees whole lines soon when there is nothing else to do.
            let flushed = if self.queue.is_empty() {
                self.file.flush()
            } else {
                Ok(())
            };
            if let Err(error) = written.and(flushed) {
                self.queue.close();
                return Err(self.broken(error));
            }
        }
        self.file.flush().map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> Failure {
        let context = format!("the records file `{}` ends early", self.path.display());
        let failure = Failure::failed(anyhow::Error::new(error).context(context));
        failure.hint("all figures are whole; free some space, or write the records elsewhere")
    }
}
