//! Opens the sources of a comparison: which files belong to one run, and which runs are one column. What a file holds is for
//! `compare` to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::args::Source;
use crate::app::failure::Failure;
use crate::compare::{Correctness, Entry, Found, ReadError, Records, Run, Window, read};

const SUMMARY: &str = "_summary.json";
const INDIVIDUAL: &str = "_individual_responses.json";
/// Of a folder only these are looked at.
const ENDINGS: [&str; 3] = ["json", "jsonl", "csv"];

/// What the sources hold.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// A column each.
    pub(super) entries: Vec<Entry>,
    /// Correctness tests.
    pub(super) correctness: Vec<Correctness>,
    /// What was left out.
    pub(super) notes: Vec<String>,
    /// Which entry a file belongs to; files by where they really are.
    places: BTreeMap<PathBuf, usize>,
    /// The files of the baseline: what groups and folders have of them is no column.
    of_baseline: BTreeSet<PathBuf>,
}

/// The files of one run.
#[derive(Debug, Default)]
struct Parts {
    run: Option<Run>,
    window: Option<Window>,
    records: Option<Records>,
    rows: Vec<(Option<String>, Run)>,
    correctness: Option<Correctness>,
    /// It holds the answers of a correctness test, which need their summary.
    answers_of: Option<PathBuf>,
}

/// Reads all of `sources`, a column each; a column more for each configuration in a folder. Of `of_groups` only what is not
/// there yet, in a column of its own or in the baseline.
pub(super) fn gather(
    sources: &[Source],
    of_groups: &[Source],
    merge: bool,
    baseline: Option<&Gathered>,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered {
        of_baseline: baseline
            .map(|baseline| baseline.places.keys().cloned().collect())
            .unwrap_or_default(),
        ..Gathered::default()
    };
    for source in sources {
        gathered.add(source, false)?;
    }
    for source in of_groups {
        gathered.add(source, true)?;
    }
    if merge {
        gathered.merge();
    }
    Ok(gathered)
}

/// Where a file really is, however its path is spelt. A table's row is named after its file and its line.
fn real(name: &Path) -> PathBuf {
    fs::canonicalize(name).unwrap_or_else(|_| {
        let text = name.to_string_lossy();
        let file = text.rsplit_once(':').map(|(file, _)| file);
        file.and_then(|file| fs::canonicalize(file).ok())
            .unwrap_or_else(|| name.to_owned())
    })
}

fn files(run: &Run) -> impl Iterator<Item = PathBuf> {
    run.files.iter().map(|file| real(Path::new(file)))
}

impl Gathered {
    /// Puts the baseline's column in front.
    pub(super) fn follow(&mut self, mut baseline: Self) {
        let before = baseline.entries.len();
        for at in self.places.values_mut() {
            *at += before;
        }
        for (file, at) in std::mem::take(&mut baseline.places) {
            // A column that was asked for by this name stands for it, the baseline where there is none.
            self.places.entry(file).or_insert(at);
        }
        let tests = std::mem::take(&mut self.correctness);
        for test in tests {
            baseline.keep(test);
        }
        self.correctness = baseline.correctness;
        baseline.entries.append(&mut self.entries);
        self.entries = baseline.entries;
        self.notes.append(&mut baseline.notes);
    }

    /// The columns of a file, or of all files of a folder.
    pub(super) fn at(&self, path: &Path) -> Vec<usize> {
        let path = real(path);
        let is_here = |file: &Path| {
            let folder = file.parent();
            file == path || folder == Some(&path) || folder == Some(&path.join("runs"))
        };
        let places = self.places.iter().filter(|(file, _)| is_here(file));
        let columns: BTreeSet<usize> = places.map(|(_, at)| *at).collect();
        columns.into_iter().collect()
    }

    fn keep(&mut self, test: Correctness) {
        let file = real(Path::new(&test.file));
        let is_new = |it: &Correctness| real(Path::new(&it.file)) != file;
        if self.correctness.iter().all(is_new) {
            self.correctness.push(test);
        }
    }

    /// Whether a column has the file already. A named one has what it was given, whoever else has it too.
    fn is_there(&self, file: &Path, source: &Source, skips_baseline: bool) -> bool {
        (source.name.is_none() && self.places.contains_key(file))
            || (skips_baseline && self.of_baseline.contains(file))
    }

    fn add(&mut self, source: &Source, of_group: bool) -> Result<(), Failure> {
        let mut runs: Vec<(Option<String>, Run)> = Vec::new();
        let mut here: BTreeSet<PathBuf> = BTreeSet::new();
        for path in &source.paths {
            let is_folder = path.is_dir();
            let skips_baseline = of_group || is_folder;
            let own = real(path);
            if here.contains(&own) || self.is_there(&own, source, skips_baseline) {
                continue;
            }
            let found = if is_folder {
                self.folder(path)?
            } else {
                self.file(path)?
            };
            let is_new = |run: &Run| {
                let mut known = files(run).filter(|file| {
                    here.contains(file) || self.is_there(file, source, skips_baseline)
                });
                known.next().is_none()
            };
            let new: Vec<_> = found.into_iter().filter(|(_, run)| is_new(run)).collect();
            here.extend(new.iter().flat_map(|(_, run)| files(run)));
            runs.extend(new);
        }
        for entry in entries(source, runs)? {
            let at = self.entries.len();
            let files = entry.runs.iter().flat_map(files);
            self.places.extend(files.map(|file| (file, at)));
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Entries without names of their own become runs of one where their settings are equal.
    fn merge(&mut self) {
        let (named, plain): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| !entry.name.is_empty());
        let runs = plain.into_iter().flat_map(|entry| entry.runs).collect();
        self.entries = named.into_iter().chain(Entry::gathered(runs)).collect();
        for (at, entry) in self.entries.iter().enumerate() {
            let files = entry.runs.iter().flat_map(files);
            self.places.extend(files.map(|file| (file, at)));
        }
    }

    /// The run of a file, and of the files beside it that belong to the same run.
    fn file(&mut self, path: &Path) -> Result<Vec<(Option<String>, Run)>, Failure> {
        let mut parts = Parts::default();
        parts.take(path)?;
        for beside in beside(path) {
            // What stands beside it was not asked for: only what surely belongs to the run counts.
            parts.take_if_fitting(&beside)?;
        }
        self.finish(parts)
    }

    fn finish(&mut self, parts: Parts) -> Result<Vec<(Option<String>, Run)>, Failure> {
        if let (None, Some(path)) = (&parts.correctness, &parts.answers_of) {
            let error = anyhow!(
                "`{}` holds the answers of a correctness test without its summary",
                path.display()
            );
            return Err(
                Failure::usage(error).hint("give the file that ends in _correctness_summary.json")
            );
        }
        if let Some(test) = parts.correctness {
            self.keep(test);
        }
        let mut runs = parts.rows;
        let of_records = parts.records.map(|records| records.run(parts.window));
        let run = match (parts.run, of_records) {
            (Some(mut run), Some(other)) => {
                run.join(other);
                Some(run)
            }
            (run, other) => run.or(other),
        };
        runs.extend(run.map(|mut run| {
            run.check();
            (None, run)
        }));
        Ok(runs)
    }

    /// Every run of a folder; of a sweep's folder those of its results.
    fn folder(&mut self, folder: &Path) -> Result<Vec<(Option<String>, Run)>, Failure> {
        let sweep = folder.join("runs");
        let is_sweep = folder.join("runs.jsonl").is_file() && sweep.is_dir();
        let files = list(if is_sweep { &sweep } else { folder })?;
        let ends = |path: &&PathBuf, ending: &str| path.extension().is_some_and(|it| it == ending);
        let mut families: BTreeMap<PathBuf, Parts> = BTreeMap::new();
        for path in files.iter().filter(|path| !ends(path, "csv")) {
            let parts = families.entry(stem(path)).or_default();
            match parts.take_if_known(path)? {
                None => {}
                Some(why) => self
                    .notes
                    .push(format!("Left out: {}.", why.replace('`', ""))),
            }
        }
        let mut runs = Vec::new();
        for parts in families.into_values() {
            runs.extend(self.finish(parts)?);
        }
        if runs.is_empty() && self.correctness.is_empty() {
            for path in files.iter().filter(|path| ends(path, "csv")) {
                let mut parts = Parts::default();
                parts.take_if_known(path)?;
                runs.extend(self.finish(parts)?);
            }
        }
        if runs.is_empty() && self.correctness.is_empty() {
            let error = anyhow!(
                "the folder `{}` holds no result that can be compared",
                folder.display()
            );
            return Err(Failure::usage(error)
                .hint("folders are not searched deeper: name the one that holds the files"));
        }
        Ok(runs)
    }
}

/// The columns that the runs of a source are.
fn entries(source: &Source, runs: Vec<(Option<String>, Run)>) -> Result<Vec<Entry>, Failure> {
    let is_one = source.name.is_some() || source.paths.len() > 1;
    let is_folder = source.paths.iter().any(|path| path.is_dir());
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let plain = |runs: Vec<(Option<String>, Run)>| runs.into_iter().map(|(_, run)| run).collect();
    if is_one {
        let name = source.name.clone().unwrap_or_default();
        let entry = Entry {
            name,
            runs: plain(runs),
        };
        return is_of_one_model(&entry, is_folder).map(|()| vec![entry]);
    }
    if is_folder {
        return Ok(Entry::gathered(plain(runs)));
    }
    let of = |(name, run): (Option<String>, Run)| Entry {
        name: name.unwrap_or_default(),
        runs: vec![run],
    };
    Ok(runs.into_iter().map(of).collect())
}

/// Whoever names a folder has not looked at each file in it; files that are named one by one are taken together as told.
fn is_of_one_model(entry: &Entry, is_folder: bool) -> Result<(), Failure> {
    let models = entry.models();
    if !is_folder || models.len() < 2 {
        return Ok(());
    }
    let models: Vec<String> = models.iter().map(|model| format!("`{model}`")).collect();
    let error = anyhow!(
        "the runs of `{}` are of several models: {}",
        entry.name,
        models.join(", ")
    );
    Err(Failure::usage(error)
        .hint("leave out the name, for a column each configuration, or name files: NAME=FILE,FILE"))
}

impl Parts {
    fn take(&mut self, path: &Path) -> Result<(), Failure> {
        let found = open(path)?.map_err(unreadable)?;
        self.put(path, found);
        Ok(())
    }

    /// The same, but what is no result at all is told and not taken.
    fn take_if_known(&mut self, path: &Path) -> Result<Option<String>, Failure> {
        match open(path)? {
            Ok(found) => {
                self.put(path, found);
                Ok(None)
            }
            Err(error @ ReadError::Unknown { .. }) => Ok(Some(error.to_string())),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn take_if_fitting(&mut self, path: &Path) -> Result<(), Failure> {
        let found = match open(path)? {
            Ok(found) => found,
            Err(ReadError::Unknown { .. }) => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        let fits = match &found {
            Found::Llmperf(_) => self.run.is_some(),
            Found::Result(..) => self.records.is_some() && self.run.is_none(),
            Found::Records(_) => self.records.is_some() || self.window.is_some(),
            Found::Correctness(_) => self.answers_of.is_some(),
            _ => false,
        };
        if fits {
            self.put(path, found);
        }
        Ok(())
    }

    fn put(&mut self, path: &Path, found: Found) {
        match found {
            Found::Llmperf(run) => match &mut self.run {
                Some(mine) => mine.join(*run),
                None => self.run = Some(*run),
            },
            Found::Result(run, window) => {
                self.window = window;
                match &mut self.run {
                    Some(mine) => mine.join(*run),
                    None => self.run = Some(*run),
                }
            }
            Found::Records(records) => match &mut self.records {
                Some(mine) => mine.extend(records),
                None => self.records = Some(records),
            },
            Found::Rows(rows) => self.rows.extend(rows),
            Found::Correctness(test) => self.correctness = Some(test),
            Found::CorrectnessAnswers => self.answers_of = Some(path.to_owned()),
        }
    }
}

fn open(path: &Path) -> Result<Result<Found, ReadError>, Failure> {
    let text = fs::read(path).map_err(|error| {
        let error = anyhow!(error).context(format!("cannot read `{}`", path.display()));
        Failure::usage(error).hint("a SOURCE is a file or a folder of results, or NAME=PATH,PATH")
    })?;
    let name = path.display().to_string();
    Ok(match String::from_utf8(text) {
        Ok(text) => read(&name, &text),
        Err(_) => Err(ReadError::Unknown {
            name,
            lacks: "it is no text".to_owned(),
        }),
    })
}

fn unreadable(error: ReadError) -> Failure {
    let hint = match &error {
        ReadError::Unknown { .. } => {
            "`llmload compare --help` lists the files that can be compared"
        }
        ReadError::Broken { .. } => "was it cut off, or edited?",
    };
    Failure::usage(error).hint(hint)
}

/// Files of one run share this: llmperf's without their endings, ours without the worker's number.
fn stem(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let llmperf = [SUMMARY, INDIVIDUAL]
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending));
    if let Some(stem) = llmperf {
        return path.with_file_name(stem);
    }
    let Some(records) = name.strip_suffix(".jsonl") else {
        return path.with_file_name(name.strip_suffix(".json").unwrap_or(&name));
    };
    let without_worker = records
        .rsplit_once('.')
        .filter(|(_, worker)| worker.parse::<u32>().is_ok());
    path.with_file_name(without_worker.map_or(records, |(stem, _)| stem))
}

/// The files beside `path` that share its stem.
fn beside(path: &Path) -> Vec<PathBuf> {
    let folder = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let (mine, named) = (stem(path), path.parent().unwrap_or(Path::new("")));
    let all = list(folder).unwrap_or_default();
    let here = all
        .iter()
        .filter_map(|file| Some(named.join(file.file_name()?)));
    let others = here.filter(|file| file != path && stem(file) == mine);
    others
        .filter(|file| file.extension().is_some_and(|it| it != "csv"))
        .collect()
}

/// The files of a folder that may be results, in the order of their names.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(
            anyhow!(error).context(format!("cannot read the folder `{}`", folder.display())),
        )
    };
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let fits = path
            .extension()
            .and_then(|it| it.to_str())
            .is_some_and(|it| ENDINGS.contains(&it));
        if fits && path.is_file() {
            files.insert(path);
        }
    }
    Ok(files.into_iter().collect())
}
