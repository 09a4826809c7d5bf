//! The whole of `config`, from words to settings. Single parsers are tested beside them.

mod aws;
mod cluster;
mod ctl;
mod database;
mod errors;
mod example;
mod flags;
mod google;
mod help;
mod help_of_others;
mod machines;
mod settings;
mod shown;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::*;

/// An invented environment and invented files.
#[derive(Default)]
pub(super) struct Around {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Around {
    pub(super) fn with(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let variables = variables.iter().map(owned).collect();
        Self {
            variables,
            ..Self::default()
        }
    }

    pub(super) fn and_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    pub(super) fn conf(text: &str) -> Self {
        Self::default().and_file("locust.conf", text)
    }
}

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let text = self.files.get(&path.display().to_string());
        text.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Words split at blanks, the program's name put before them.
pub(super) fn words(line: &str) -> Vec<&str> {
    std::iter::once("llmload")
        .chain(line.split_whitespace())
        .collect()
}

pub(super) fn resolved(line: &str, around: &Around) -> Result<Command, ConfigError> {
    resolve(&command(), words(line), around)
}
