//! The folder of a suite: what was run before, each run's result, and the files that compare them.
//! It computes nothing.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::app::failure::Failure;
use crate::app::files::replace;
use crate::suite::Row;

/// A line a run, the last one of an id stands.
const LIST: &str = "runs.jsonl";
/// The ids of a grid's runs in its own order, as a list of JSON.
const ORDER: &str = "order.json";

/// The folder.
pub(super) struct Store {
    folder: PathBuf,
    known: BTreeMap<String, Row>,
    /// Their ids, by when they were written down last.
    order: Vec<String>,
}

impl Store {
    /// Makes the folder, or reads what is in it; with `forget` as if nothing were.
    pub(super) fn open(folder: &Path, forget: bool) -> Result<Self, Failure> {
        fs::create_dir_all(folder.join("runs"))
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))
            .map_err(|error| {
                Failure::usage(error).hint("--output-dir takes a folder that can be written")
            })?;
        let mut known = BTreeMap::new();
        let text = fs::read_to_string(folder.join(LIST)).unwrap_or_default();
        // A line that cannot be read is of another version, or the torn end of a killed sweep: that run is made again.
        let rows = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Row>(line).ok());
        let mut order: Vec<String> = Vec::new();
        for row in rows {
            order.retain(|id| *id != row.id);
            order.push(row.id.clone());
            known.insert(row.id.clone(), row);
        }
        if forget {
            known.clear();
            order.clear();
        }
        Ok(Self {
            folder: folder.to_owned(),
            known,
            order,
        })
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the result of a run is kept.
    pub(super) fn result(&self, id: &str) -> PathBuf {
        self.folder.join("runs").join(format!("{id}.json"))
    }

    /// Every run that was written down: those of the last grid in its order, then the others as they were made.
    pub(super) fn rows(&self) -> Vec<Row> {
        let text = fs::read_to_string(self.path(ORDER)).unwrap_or_default();
        // Without that file, as a search has none, all are in the order in which they were made.
        let grid: Vec<String> = serde_json::from_str(&text).unwrap_or_default();
        let others = self.order.iter().filter(|id| !grid.contains(id));
        let kept = grid.iter().chain(others);
        kept.filter_map(|id| self.known.get(id)).cloned().collect()
    }

    /// Writes down in which order a grid has its runs, whenever each is made.
    pub(super) fn keep_order(&self, ids: &[&str]) -> Result<(), Failure> {
        let text = serde_json::to_string(ids).map_err(Failure::failed)?;
        self.write(ORDER, &text)
    }

    /// A run that was made before, and whose result is there.
    pub(super) fn known(&self, id: &str) -> Option<&Row> {
        let row = self.known.get(id).filter(|row| row.is_whole());
        row.filter(|row| self.result(&row.id).is_file())
    }

    /// Writes down that a run was made.
    pub(super) fn keep(&self, row: &Row) -> Result<(), Failure> {
        let path = self.path(LIST);
        let write = || -> anyhow::Result<()> {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            // One that was torn off must not take this line with it.
            let torn = fs::read(&path)?.last().is_some_and(|last| *last != b'\n');
            let start = if torn { "\n" } else { "" };
            let line = format!("{start}{}\n", serde_json::to_string(row)?);
            file.write_all(line.as_bytes())?;
            Ok(())
        };
        write()
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Failure::failed)
    }

    /// Replaces a file of the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path(name);
        replace(&path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Failure::failed)
    }

    /// The same with bytes.
    pub(super) fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        fs::write(&path, bytes)
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Failure::failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Figures;

    fn row(id: &str) -> Row {
        Row {
            id: id.to_owned(),
            figures: Some(Figures::default()),
            ..Row::default()
        }
    }

    #[test]
    fn a_run_is_known_by_its_line_and_its_result() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), false).unwrap();
        for id in ["a", "b"] {
            store.keep(&row(id)).unwrap();
        }
        store
            .keep(&Row {
                is_interrupted: true,
                ..row("c")
            })
            .unwrap();
        for id in ["a", "c"] {
            fs::write(store.result(id), "{}").unwrap();
        }
        let again = Store::open(folder.path(), false).unwrap();
        assert!(again.known("a").is_some());
        assert!(again.known("b").is_none(), "its result is gone");
        assert!(again.known("c").is_none(), "it was interrupted");
        again.keep(&row("a")).unwrap();
        let later = Store::open(folder.path(), false).unwrap();
        let ids: Vec<String> = later.rows().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["b", "c", "a"], "each once, as it was made last");
        let restarted = Store::open(folder.path(), true).unwrap();
        assert!(restarted.known("a").is_none());
    }

    #[test]
    fn runs_of_a_grid_keep_its_order_whenever_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), false).unwrap();
        for id in ["other", "a", "d", "b"] {
            store.keep(&row(id)).unwrap();
        }
        let ids = |folder: &Path| -> Vec<String> {
            let store = Store::open(folder, false).unwrap();
            store.rows().into_iter().map(|row| row.id).collect()
        };
        assert_eq!(ids(folder.path()), ["other", "a", "d", "b"]);
        store.keep_order(&["a", "b", "c", "d"]).unwrap();
        assert_eq!(ids(folder.path()), ["a", "b", "d", "other"]);
    }

    #[test]
    fn a_torn_line_costs_nothing_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), false).unwrap();
        fs::write(store.path(LIST), "{\"id\":\"t").unwrap();
        store.keep(&row("a")).unwrap();
        fs::write(store.result("a"), "{}").unwrap();
        let again = Store::open(folder.path(), false).unwrap();
        assert!(again.known("a").is_some());
    }
}
