//! The folder of a suite: what it is, the files of raw results, and that nobody else writes there meanwhile.
//! It computes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use fs4::{FileExt, TryLockError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::failure::Failure;
use crate::app::files::replace;
use crate::serving::{Bench, Raw, SuiteSettings};

/// What the suite is.
const SUITE: &str = "suite.json";
/// The folder of raw results.
pub(super) const RAW: &str = "raw_results";
/// All raw results in one file.
pub(super) const ARCHIVE: &str = "raw_results.zip";
/// Whoever writes in the folder holds it locked.
const LOCK: &str = ".lock";

const HINT: &str =
    "--restart forgets what is there, and another --output-folder leaves it as it is";

/// Settings that do not change what a file of raw results says: which benchmarks there are, and how they are reported.
const APART: [&str; 10] = [
    "input_lengths",
    "output_lengths",
    "parallel_requests",
    "repeats",
    "has_metrics",
    "speed_threshold",
    "min_number_of_valid_queries",
    "gpu_name",
    "suite_id",
    "asked_with",
];

/// What is kept beside raw results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The suite.
    #[serde(flatten)]
    pub(super) settings: SuiteSettings,
    /// The server, the model, the prompts: whatever else decides what is measured. Nothing in it is a secret.
    #[serde(default)]
    pub(super) setup: Map<String, Value>,
}

/// The folder, locked.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    kept: Option<Kept>,
    /// What is finished, by the names of files.
    finished: BTreeMap<String, Raw>,
    _lock: File,
}

impl Store {
    /// Makes the folder, or reads what is in it; with `forget` it is emptied of raw results.
    ///
    /// # Errors
    /// It cannot be written, or another suite writes there.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder.join(RAW))
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))
            .map_err(|error| {
                Failure::usage(error).hint("--output-folder takes a folder that can be written")
            })?;
        let lock = lock(folder)?;
        unpack(folder)?;
        let (finished, unreadable) = raws(folder)?;
        for name in unreadable {
            tracing::warn!("`{name}` cannot be read, and is made again");
        }
        Ok(Self {
            kept: kept(folder),
            folder: folder.to_owned(),
            finished,
            _lock: lock,
        })
    }

    /// Removes what is there, as if nothing had been measured.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        forget_all(&self.folder)?;
        self.finished.clear();
        self.kept = None;
        Ok(())
    }

    /// Goes on with what is there, or begins: from here on the folder is this suite's. The moment when it was begun is the
    /// first one's.
    ///
    /// # Errors
    /// What is there was measured with other settings.
    pub(super) fn begin(&mut self, mut wanted: Kept) -> Result<Kept, Failure> {
        if let Some(kept) = self.kept.as_ref().filter(|_| !self.finished.is_empty()) {
            let differences = differences(kept, &wanted);
            if !differences.is_empty() {
                let folder = self.folder.display();
                let error = anyhow!(
                    "`{folder}` has results of other settings: {}",
                    differences.join(", ")
                );
                return Err(Failure::usage(error).hint(HINT));
            }
            wanted.settings.suite_id.clone_from(&kept.settings.suite_id);
        } else if !self.finished.is_empty() {
            let error = anyhow!(
                "`{}` has raw results, and no {SUITE} that tells what they are of",
                self.folder.display()
            );
            return Err(Failure::usage(error).hint(HINT));
        }
        let text = serde_json::to_string_pretty(&wanted).map_err(Failure::failed)?;
        self.write(SUITE, &format!("{text}\n"))?;
        Ok(wanted)
    }

    /// The result of a benchmark that is finished.
    pub(super) fn finished(&self, bench: Bench) -> Option<&Raw> {
        self.finished.get(&bench.file())
    }

    /// All that is finished.
    pub(super) const fn all(&self) -> &BTreeMap<String, Raw> {
        &self.finished
    }

    /// Keeps the result of a benchmark.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&mut self, bench: Bench, raw: Raw) -> Result<(), Failure> {
        let name = bench.file();
        self.write(&format!("{RAW}/{name}"), &raw.text())?;
        self.finished.insert(name, raw);
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        write(&self.folder.join(name), text)
    }
}

/// Replaces a file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| Failure::failed(error).hint("is the disk full?"))
}

/// What the folder says that it is.
pub(super) fn kept(folder: &Path) -> Option<Kept> {
    let text = fs::read_to_string(folder.join(SUITE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// The files of raw results, by their names, and the names of those that cannot be read: of the folder, or else of its archive.
///
/// # Errors
/// There is neither.
pub(super) fn raws(folder: &Path) -> Result<(BTreeMap<String, Raw>, Vec<String>), Failure> {
    let (mut all, mut unreadable) = (BTreeMap::new(), Vec::new());
    for (name, text) in texts(folder)? {
        match Raw::read(&text) {
            Ok(raw) => {
                all.insert(name, raw);
            }
            Err(_) => unreadable.push(name),
        }
    }
    unreadable.sort();
    Ok((all, unreadable))
}

fn texts(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let (place, archive) = (folder.join(RAW), folder.join(ARCHIVE));
    if !place.is_dir() && !archive.is_file() {
        let error = anyhow!("`{}` has neither {RAW} nor {ARCHIVE}", folder.display());
        let failure = Failure::usage(error);
        return Err(failure.hint("report takes a journal, or the folder of a suite or a sweep"));
    }
    let read = |path: &Path, found: anyhow::Result<Vec<(String, String)>>| {
        found
            .with_context(|| format!("cannot read `{}`", path.display()))
            .map_err(Failure::usage)
    };
    let there = if place.is_dir() {
        read(&place, of_the_folder(&place))?
    } else {
        Vec::new()
    };
    if there.is_empty() && archive.is_file() {
        return read(&archive, of_the_archive(&archive));
    }
    Ok(there)
}

fn of_the_folder(place: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|name| is_raw(name)) {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            all.push((name.to_owned(), text));
        }
    }
    Ok(all)
}

/// Only the last part of a name counts: wherever an archive says that its files belong, they are raw results of this folder.
fn of_the_archive(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut archive = zip::ZipArchive::new(File::open(path)?)?;
    let mut all = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index)?;
        let name = file
            .name()?
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned();
        if is_raw(&name) {
            all.push((name, io::read_to_string(file)?));
        }
    }
    Ok(all)
}

/// Has the raw results of an archive as files again, where there are no others.
fn unpack(folder: &Path) -> Result<(), Failure> {
    let place = folder.join(RAW);
    let is_there = |(name, _): &(String, String)| place.join(name).is_file();
    let texts = texts(folder)?;
    if texts.iter().any(is_there) {
        return Ok(());
    }
    for (name, text) in texts {
        write(&place.join(name), &text)?;
    }
    Ok(())
}

/// Whether a file of raw results is called so.
pub(super) fn is_raw(name: &str) -> bool {
    let begins = [
        "prompt_ingestion_",
        "kv_cache_profile_",
        "generation_speed_",
    ];
    Path::new(name).extension().is_some_and(|it| it == "json")
        && begins.iter().any(|start| name.starts_with(start))
}

fn forget_all(folder: &Path) -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        let error = anyhow::Error::new(error);
        Failure::failed(error.context(format!("cannot empty `{}`", folder.display())))
    };
    for entry in fs::read_dir(folder.join(RAW)).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_name().to_str().is_some_and(is_raw) {
            fs::remove_file(entry.path()).map_err(cannot)?;
        }
    }
    // What the archive has would be there again.
    for name in [ARCHIVE, SUITE] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(LOCK);
    let cannot = |error: io::Error| {
        let error = anyhow::Error::new(error).context(format!("cannot lock `{}`", path.display()));
        Failure::usage(error).hint("--output-folder takes a folder that can be written")
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(cannot)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let error = anyhow!("another suite is writing in `{}`", folder.display());
            Err(Failure::usage(error).hint("wait for it, or give another --output-folder"))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// In what two suites differ whose results cannot stand side by side: `max_queries was 1000, now 5`.
fn differences(kept: &Kept, wanted: &Kept) -> Vec<String> {
    let object = |value: Result<Value, serde_json::Error>| match value {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let was = object(serde_json::to_value(&kept.settings));
    let now = object(serde_json::to_value(&wanted.settings));
    let own = now
        .iter()
        .filter(|(name, _)| !APART.contains(&name.as_str()));
    let setup = wanted.setup.iter();
    // Prompts of a length that was not there before are no difference.
    let setup = setup.filter(|(name, _)| kept.setup.contains_key(*name));
    let own = own.map(|(name, value)| (name, was.get(name), value));
    let setup = setup.map(|(name, value)| (name, kept.setup.get(name), value));
    own.chain(setup)
        .filter(|(_, was, now)| *was != Some(*now))
        .map(|(name, was, now)| {
            let was = was.map_or_else(|| "not there".to_owned(), Value::to_string);
            format!("{name} was {was}, now {now}")
        })
        .collect()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
