//! The file where batches wait for the database. Frames are added at its end and read from its front; when all are read it is
//! empty again. What is in it is found by a later process too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::database::{Batch, Frames, SPOOL_HEAD, SpoolError, frame};

/// Bytes before a frame's payload: its length is the first four.
const FRAME_HEAD: u64 = 8;

/// A spool that one writer has for itself.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    most: u64,
    read: u64,
    end: u64,
    counts: Counts,
}

/// Rows by what became of them here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// They went here, at some time.
    pub(super) spooled: u64,
    /// They are here.
    pub(super) waiting: u64,
    /// There was no room, or the disk refused, or the database refused what they say.
    pub(super) dropped: u64,
}

impl Spool {
    /// A new one at `path`, of at most so many bytes.
    pub(super) fn create(path: PathBuf, most: u64) -> anyhow::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        // Answers of a server may be quoted in it.
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.with_context(|| format!("cannot create `{}`", path.display()))?;
        // As long as it is held, `pg-load` passes it over.
        fs4::FileExt::try_lock(&file)
            .map_err(io::Error::from)
            .with_context(|| format!("cannot lock `{}`", path.display()))?;
        let head = SPOOL_HEAD.len() as u64;
        file.write_all_at(SPOOL_HEAD, 0)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self {
            path,
            file,
            most,
            read: head,
            end: head,
            counts: Counts::default(),
        })
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a batch, or counts its rows as dropped.
    pub(super) fn add(&mut self, batch: &Batch) {
        let rows = batch.rows();
        let written = frame(batch).map_err(io::Error::from).and_then(|bytes| {
            let length = bytes.len() as u64;
            if self.end + length > self.most {
                return Err(io::Error::other("--pg-spool-max is reached"));
            }
            // What a failed write left behind is written over by the next.
            self.file.write_all_at(&bytes, self.end)?;
            Ok(length)
        });
        match written {
            Ok(length) => {
                self.end += length;
                self.counts.spooled += rows;
                self.counts.waiting += rows;
            }
            Err(error) => {
                if self.counts.dropped == 0 {
                    tracing::error!(
                        "rows for the database are dropped from now on: `{}`: {error}",
                        self.path.display()
                    );
                }
                self.counts.dropped += rows;
            }
        }
    }

    /// Counts a batch as dropped that the database will never take.
    pub(super) fn refuse(&mut self, batch: &Batch, why: &str) {
        let rows = batch.rows();
        tracing::error!("the database refuses {rows} rows: {why}");
        self.counts.dropped += rows;
    }

    /// The batch in front, if there is one, and how long its frame is.
    pub(super) fn front(&self) -> io::Result<Option<(Batch, u64)>> {
        if self.read == self.end {
            return Ok(None);
        }
        let read = frame_at(&self.file, self.read, self.end)?;
        read.map_err(io::Error::other).map(Some)
    }

    /// The batch in front is in the database.
    pub(super) fn pass(&mut self, batch: &Batch, length: u64) -> io::Result<()> {
        self.read += length;
        self.counts.waiting = self.counts.waiting.saturating_sub(batch.rows());
        if self.read == self.end {
            self.read = SPOOL_HEAD.len() as u64;
            self.end = self.read;
            self.file.set_len(self.read)?;
        }
        Ok(())
    }

    /// Leaves what waits, and nothing where nothing does. A folder that this made stays only if something is in it.
    pub(super) fn close(&self) {
        let cut = self
            .file
            .set_len(self.end)
            .and_then(|()| self.file.sync_all());
        if let Err(error) = cut {
            tracing::warn!("`{}`: {error}", self.path.display());
        }
        if self.counts.waiting == 0 {
            let _gone = fs::remove_file(&self.path);
            let _kept_if_needed = self.path.parent().map(fs::remove_dir);
        }
    }
}

/// The batch whose frame begins at `at` in a file that ends at `end`, and how long that frame is.
pub(super) fn frame_at(
    file: &File,
    at: u64,
    end: u64,
) -> io::Result<Result<(Batch, u64), SpoolError>> {
    let torn = || SpoolError::Torn {
        at: usize::try_from(at).unwrap_or(usize::MAX),
    };
    if end - at < FRAME_HEAD {
        return Ok(Err(torn()));
    }
    let mut length = [0; 4];
    file.read_exact_at(&mut length, at)?;
    let length = FRAME_HEAD + u64::from(u32::from_le_bytes(length));
    if length > end - at {
        return Ok(Err(torn()));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(match Frames::one(&bytes) {
        Some(Ok(batch)) => Ok((batch, length)),
        Some(Err(SpoolError::Foreign { source, .. })) => Err(SpoolError::Foreign {
            at: usize::try_from(at).unwrap_or(usize::MAX),
            source,
        }),
        _ => Err(torn()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Part, Rows, Table};

    fn batch(seq: u64) -> Batch {
        let mut rows = Rows::default();
        rows.count_of(seq);
        rows.end();
        Batch {
            run: "ab".to_owned(),
            source: "run".to_owned(),
            incarnation: "1".to_owned(),
            seq,
            parts: vec![Part::new(Table::Seconds, rows)],
        }
    }

    #[test]
    fn what_is_added_is_read_in_order_and_an_empty_spool_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/a.spool");
        let mut spool = Spool::create(path.clone(), 1_000_000).unwrap();
        for seq in 0..3 {
            spool.add(&batch(seq));
        }
        for seq in 0..3 {
            let (read, length) = spool.front().unwrap().unwrap();
            assert_eq!(read, batch(seq));
            spool.pass(&read, length).unwrap();
        }
        assert!(spool.front().unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), SPOOL_HEAD);
        spool.add(&batch(9));
        let bytes = fs::read(&path).unwrap();
        let left: Result<Vec<_>, _> = Frames::new(&bytes).unwrap().collect();
        assert_eq!(left.unwrap(), [batch(9)]);
        let (read, length) = spool.front().unwrap().unwrap();
        spool.pass(&read, length).unwrap();
        spool.close();
        assert!(!path.exists() && !path.parent().unwrap().exists());
        let counts = Counts {
            spooled: 4,
            waiting: 0,
            dropped: 0,
        };
        assert_eq!(spool.counts(), counts);
    }

    #[test]
    fn a_full_spool_drops_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path().join("a.spool"), 300).unwrap();
        for seq in 0..5 {
            spool.add(&batch(seq));
        }
        let counts = spool.counts();
        assert_eq!(counts.dropped + counts.waiting, 5);
        assert!(counts.dropped > 0 && counts.waiting > 0, "{counts:?}");
    }
}
