//! Where the result files of a test go: found writable before it begins, replaced whole when it is over.
//! What stands in them is the room `llmperf`'s.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::app::failure::Failure;
use crate::app::files::{replace, try_writing};
use crate::llmperf;

/// The folder of the results and what their names begin with.
#[derive(Debug)]
pub(super) struct Results {
    folder: PathBuf,
    stem: String,
}

impl Results {
    /// In `folder`, which is made if need be; `None` where it is empty: nothing is to be written.
    ///
    /// # Errors
    /// The folder or the files cannot be written.
    pub(super) fn prepare(folder: &Path, stem: String) -> Result<Option<Self>, Failure> {
        if folder.as_os_str().is_empty() {
            return Ok(None);
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))
            .map_err(|error| Failure::usage(error).hint("--results-dir takes a folder"))?;
        let results = Self {
            folder: folder.to_owned(),
            stem,
        };
        try_writing(&results.summary(), "--results-dir")?;
        try_writing(&results.individual(), "--results-dir")?;
        Ok(Some(results))
    }

    fn summary(&self) -> PathBuf {
        self.folder.join(format!("{}_summary.json", self.stem))
    }

    fn individual(&self) -> PathBuf {
        self.folder
            .join(format!("{}_individual_responses.json", self.stem))
    }

    /// Writes both files; one that cannot be written does not keep the other from it.
    ///
    /// # Errors
    /// The first that could not be written.
    pub(super) fn write(
        &self,
        summary: &impl Serialize,
        individual: &impl Serialize,
    ) -> Result<(), Failure> {
        let first = write(&self.summary(), summary);
        let second = write(&self.individual(), individual);
        first.and(second)
    }
}

/// Finds out before a test whether its page could be written.
pub(super) fn prepare_page(path: Option<&Path>) -> Result<(), Failure> {
    path.map_or(Ok(()), |path| try_writing(path, "--html"))
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = llmperf::file(value).map_err(std::io::Error::other);
    text.and_then(|text| replace(path, &text))
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| {
            Failure::failed(error).hint("the figures printed are whole; is the disk full?")
        })
}
