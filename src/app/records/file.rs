//! The records file: one JSON line a finished request. Which thread writes it is not known here.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;

use super::Sink;
use crate::app::failure::Failure;
use crate::domain::Record;
use crate::report::record_line;

/// Bytes that are gathered before a write.
const BUFFER: usize = 256 * 1024;

/// A records file that waits for records.
pub(in crate::app) struct RecordsFile {
    path: PathBuf,
    file: BufWriter<File>,
    line: Vec<u8>,
}

impl RecordsFile {
    /// Creates the file, before the run: a folder that cannot be written is found in time.
    pub(in crate::app) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path)
            .with_context(|| format!("cannot create the records file `{}`", path.display()))
            .map_err(|error| {
                Failure::usage(error).hint("--records FILE in a folder that can be written")
            })?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            line: Vec::new(),
        })
    }

    fn broken(&self, error: io::Error) -> Failure {
        let context = format!("the records file `{}` ends early", self.path.display());
        let failure = Failure::failed(anyhow::Error::new(error).context(context));
        failure.hint("all figures are whole; free some space, or write the records elsewhere")
    }
}

impl Sink for RecordsFile {
    /// Its times are of the run.
    fn begin(&mut self, _zero: SystemTime) {}

    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        self.line.clear();
        record_line::write(record, &mut self.line)
            .map_err(io::Error::from)
            .and_then(|()| self.file.write_all(&self.line))
            .map_err(|error| self.broken(error))
    }

    /// A reader that follows the file sees whole lines soon when there is nothing else to do.
    fn idle(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|error| self.broken(error))
    }

    fn end(mut self: Box<Self>) -> Result<(), Failure> {
        self.idle()
    }
}
