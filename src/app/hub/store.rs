//! The hub's cache on disk, in its own layout: `blobs/{etag}`, `snapshots/{commit}/{file}` that leads there, `refs/{revision}`.
//! Everything appears whole or not at all; nothing is asked of anybody.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::ask::Answer;
use super::error::HubError;
use crate::app::surroundings::draw;

/// The part of the cache that holds one repository.
pub(super) struct Store {
    folder: PathBuf,
}

/// A file on its way: gone when it does not get there.
struct Incoming {
    path: PathBuf,
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl Store {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Takes the file `name` of `commit` in, of at most `most` bytes. Returns how many it has.
    pub(super) async fn take(
        &self,
        mut answer: Answer,
        commit: &str,
        name: &str,
        most: u64,
    ) -> Result<u64, HubError> {
        let too_large = || HubError::TooLarge {
            name: name.to_owned(),
            most,
        };
        if answer.about().size.is_some_and(|size| size > most) {
            return Err(too_large());
        }
        let mut incoming = Incoming::new(&self.folder.join("blobs"))?;
        while let Some(piece) = answer.chunk().await? {
            if incoming.bytes + piece.len() as u64 > most {
                return Err(too_large());
            }
            incoming.write(&piece)?;
        }
        let bytes = incoming.bytes;
        let blob = incoming.check(&answer, name)?;
        self.keep(&incoming, &blob)?;
        self.link(&blob, commit, name)?;
        Ok(bytes)
    }

    fn keep(&self, incoming: &Incoming, blob: &str) -> Result<(), HubError> {
        let path = self.folder.join("blobs").join(blob);
        incoming.file.sync_all().map_err(at(&incoming.path))?;
        fs::rename(&incoming.path, &path).map_err(at(&path))
    }

    /// Has the file `name` of `commit` lead to `blob`.
    fn link(&self, blob: &str, commit: &str, name: &str) -> Result<(), HubError> {
        let folder = self.folder.join("snapshots").join(commit);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(name);
        let beside = beside(&path)?;
        let target = Path::new("../../blobs").join(blob);
        let made = symlink(&target, &beside)
            .or_else(|_| fs::copy(self.folder.join("blobs").join(blob), &beside).map(drop));
        made.and_then(|()| fs::rename(&beside, &path))
            .map_err(at(&path))
    }

    /// Has `revision` name `commit`.
    pub(super) fn point(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        let path = self.folder.join("refs").join(revision);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(at(folder))?;
        let beside = beside(&path)?;
        fs::write(&beside, commit)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(at(&path))
    }
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A name in the same folder that no other process takes.
fn beside(path: &Path) -> Result<PathBuf, HubError> {
    let number = draw().map_err(at(path))?;
    Ok(path.with_file_name(format!(".{number:016x}.incomplete")))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HubError {
    let path = path.to_owned();
    move |source| HubError::Store { path, source }
}

impl Incoming {
    fn new(folder: &Path) -> Result<Self, HubError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let path = beside(&folder.join("new"))?;
        Ok(Self {
            file: File::create_new(&path).map_err(at(&path))?,
            path,
            digest: Sha256::new(),
            bytes: 0,
        })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.digest.update(piece);
        self.bytes += piece.len() as u64;
        self.file.write_all(piece).map_err(at(&self.path))
    }

    /// Holds what came against what the hub said of it. Returns the blob's name.
    fn check(&self, answer: &Answer, name: &str) -> Result<String, HubError> {
        let about = answer.about();
        let broken = |why| HubError::Broken {
            name: name.to_owned(),
            why,
        };
        let sha256 = format!("{:x}", self.digest.clone().finalize());
        if about.size.is_some_and(|size| size != self.bytes) {
            return Err(broken("it has another length than the hub says"));
        }
        let said = about.sha256.as_deref();
        if said.is_some_and(|said| !said.eq_ignore_ascii_case(&sha256)) {
            return Err(broken("its SHA-256 is not the hub's"));
        }
        about.etag.clone().ok_or(HubError::NoHub("ETag"))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After it got there, there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}
