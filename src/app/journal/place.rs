//! Where a journal lies: a file that is locked while a master writes it, private, and never overwritten in silence.
//! What is in it is not known here.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use fs4::{FileExt, TryLockError};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::app::failure::Failure;

/// Prompts may be private.
const MODE: u32 = 0o600;

const HINT: &str =
    "--journal takes a file in a folder that can be written; --no-journal goes without";

/// A journal's file, locked, to be appended to.
#[derive(Debug)]
pub(in crate::app) struct JournalFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Bytes of whole records.
    pub(super) bytes: u64,
    /// Whether the user asked for this file: then it stays.
    pub(super) is_named: bool,
}

impl JournalFile {
    /// Opens the file at `path`, or makes it, for this process alone.
    ///
    /// # Errors
    ///
    /// When it cannot be written, is no plain file, or another master writes it.
    pub(super) fn named(path: &Path) -> Result<Self, Failure> {
        let file = lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            is_named: true,
        })
    }

    /// Makes a file for the run `run`, named after it and the time, in the folder for such things.
    pub(super) fn unnamed(folders: &[PathBuf], run: u64, now: OffsetDateTime) -> io::Result<Self> {
        let name = name(run, now);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for folder in folders {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(folder);
            let path = folder.join(&name);
            let file = made.and_then(|()| options().create_new(true).open(&path));
            let locked = file.and_then(|file| {
                FileExt::try_lock(&file).map_err(io::Error::from)?;
                Ok(file)
            });
            match locked {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        bytes: 0,
                        is_named: false,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it is.
    pub(in crate::app) fn path(&self) -> &Path {
        &self.path
    }

    /// Empties it and writes `head`.
    pub(super) fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        self.cut(0)?;
        let written = self.file.write_all(head);
        if written.is_err() {
            let _ = self.file.set_len(0);
        }
        self.bytes = head.len() as u64;
        written
    }

    /// Takes everything behind the first `bytes` away, so that what comes next follows them.
    pub(super) fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Gives the file another name, the first of `FILE.1`, `FILE.2`, … that is free, and makes a new one in its place.
    pub(super) fn set_aside(self) -> Result<(Self, PathBuf), Failure> {
        let moved = free_name(&self.path);
        fs::rename(&self.path, &moved)
            .with_context(|| format!("cannot rename `{}`", self.path.display()))
            .map_err(Failure::usage)?;
        Ok((Self::named(&self.path)?, moved))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(MODE);
    options
}

fn lock(path: &Path) -> Result<File, Failure> {
    let words = || format!("cannot write the journal `{}`", path.display());
    loop {
        let file = options()
            .create(true)
            .open(path)
            .with_context(words)
            .map_err(|error| Failure::usage(error).hint(HINT))?;
        let there = file
            .metadata()
            .with_context(words)
            .map_err(Failure::usage)?;
        if !there.is_file() {
            let error = anyhow!(
                "`{}` is no plain file: a journal is read again",
                path.display()
            );
            return Err(Failure::usage(error).hint(HINT));
        }
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path)),
            Err(TryLockError::Error(error)) => {
                let error = anyhow::Error::new(error)
                    .context(format!("cannot lock the journal `{}`", path.display()));
                return Err(Failure::usage(error).hint(HINT));
            }
        }
        // Whoever held the lock may have renamed the file meanwhile.
        let is_same = |now: &fs::Metadata| (now.dev(), now.ino()) == (there.dev(), there.ino());
        if fs::metadata(path).is_ok_and(|now| is_same(&now)) {
            return Ok(file);
        }
    }
}

fn taken(path: &Path) -> Failure {
    let error = anyhow!("another master is writing the journal `{}`", path.display());
    Failure::usage(error).hint("wait for its end, or give each master a journal of its own")
}

/// Whether somebody is writing the file.
pub(in crate::app) fn is_being_written(file: &File) -> bool {
    let locked = FileExt::try_lock_shared(file);
    let busy = matches!(locked, Err(TryLockError::WouldBlock));
    if locked.is_ok() {
        // Reading does not keep a master out.
        let _ = FileExt::unlock(file);
    }
    busy
}

fn free_name(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let free = (1..u32::MAX).find(|&number| fs::symlink_metadata(named(number)).is_err());
    named(free.unwrap_or(u32::MAX))
}

fn name(run: u64, now: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]Z");
    let at = now.format(&format).unwrap_or_default();
    format!("{at}-{run:016x}.journal")
}

/// The folders that a journal without a name may lie in, the best first: the user's state, else what is temporary.
pub(super) fn folders(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")));
    let temporary = absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    let both = [state, Some(temporary)].into_iter().flatten();
    both.map(|folder| folder.join("llmload")).collect()
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
