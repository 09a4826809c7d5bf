//! Where the options of a suite come from: the command line, the environment, a file `.env`, a file of JSON. All become words of
//! one command line, so that one parser reads them; a bad one is told by its source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value};

use super::args::{command, own_options};
use crate::app::failure::Failure;
use crate::app::sweep::words;

/// The file of the working directory.
pub(super) const DOT_ENV: &str = ".env";

/// Settings by their names, as a source has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What the source is called.
    pub(super) source: String,
    /// (name as it is written there, value).
    pub(super) values: Vec<(String, String)>,
}

impl Found {
    /// The variables of the environment.
    pub(super) fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            source: "the environment".to_owned(),
            values: variables.into_iter().collect(),
        }
    }

    /// The lines of a file of variables. They are set nowhere.
    ///
    /// # Errors
    /// A line that is none.
    pub(super) fn dot_env(text: &str) -> Result<Self, Failure> {
        let lines = dotenvy::from_read_iter(text.as_bytes());
        let values = lines.collect::<Result<Vec<_>, _>>();
        let values = values.map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("cannot read `{DOT_ENV}`"));
            Failure::usage(error).hint("its lines are NAME=value")
        })?;
        Ok(Self {
            source: format!("`{DOT_ENV}`"),
            values,
        })
    }

    /// The fields of a JSON object; what is `null` is not there.
    ///
    /// # Errors
    /// Something else.
    pub(super) fn json(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let read = || -> anyhow::Result<Map<String, Value>> {
            Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
        };
        let fields = read().with_context(|| format!("cannot read `{name}`"));
        let fields = fields.map_err(|error| {
            Failure::usage(error).hint("--json-parameters takes a file with one JSON object")
        })?;
        let value = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let values = fields.iter();
        let values = values.filter_map(|(name, field)| Some((name.clone(), value(field)?)));
        Ok(Self {
            source: format!("`{name}`"),
            values: values.collect(),
        })
    }

    /// Refuses names that are no option of `name`: in a file that was made for it each is a mistake.
    ///
    /// # Errors
    /// The first of them.
    pub(super) fn refuse_unknown(&self, name: &'static str) -> Result<(), Failure> {
        let known: Vec<String> = own_options(name)
            .iter()
            .map(|arg| arg.get_id().to_string())
            .collect();
        let is_known = |written: &str| {
            let id = written.replace('-', "_").to_ascii_lowercase();
            known.contains(&id) && id != "json_parameters"
        };
        let Some((unknown, _)) = self.values.iter().find(|(name, _)| !is_known(name)) else {
            return Ok(());
        };
        let error = anyhow!("`{unknown}` of {} is no option of {name}", self.source);
        let near = known
            .iter()
            .filter(|id| *id != "json_parameters")
            .max_by(|a, b| strsim::jaro(a, unknown).total_cmp(&strsim::jaro(b, unknown)));
        let hint = near.map(|id| format!("is `{id}` meant? --help lists all"));
        Err(Failure::usage(error).with_hint(hint))
    }

    /// The value of a setting, whatever its letters' case; an empty one is none.
    fn value(&self, id: &str) -> Option<(&str, &str)> {
        let is_it = |name: &str| name.replace('-', "_").eq_ignore_ascii_case(id);
        let found = self.values.iter().rev().find(|(name, _)| is_it(name));
        let (name, value) = found?;
        (!value.trim().is_empty()).then_some((name.as_str(), value.as_str()))
    }
}

/// What came of all sources.
pub(super) struct Layered {
    pub(super) matches: ArgMatches,
    /// By its source: the names that were taken from there.
    pub(super) taken: BTreeMap<String, Vec<String>>,
}

/// What the command line says, and for the rest what `below` say, the first before the others. `flags` may stand there too.
///
/// # Errors
/// A value that cannot be used, with its source.
pub(super) fn layered(
    name: &'static str,
    typed: &ArgMatches,
    below: &[Found],
    flags: bool,
) -> Result<Layered, Failure> {
    let command = command(name);
    let mut argv = vec![OsString::from(name)];
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for arg in own_options(name) {
        let (id, is_flag) = (arg.get_id().as_str(), !arg.get_action().takes_values());
        let Some(long) = arg.get_long().filter(|_| flags || !is_flag) else {
            continue;
        };
        if typed.value_source(id) == Some(ValueSource::CommandLine) {
            continue;
        }
        let found = below
            .iter()
            .find_map(|found| Some((found, found.value(id)?)));
        let Some((found, (written, value))) = found else {
            continue;
        };
        let source = format!("`{written}` of {}", found.source);
        if let Some(word) = word(long, is_flag, value, &source)? {
            try_word(&command, name, &word, &source)?;
            argv.push(word);
        }
        let names = taken.entry(found.source.clone()).or_default();
        names.push(written.to_owned());
    }
    argv.extend(of_the_command_line(&command, typed));
    let matches = command.try_get_matches_from(argv).map_err(Failure::usage)?;
    Ok(Layered { matches, taken })
}

/// The word that means the same; a flag that is off is none.
fn word(long: &str, is_flag: bool, value: &str, source: &str) -> Result<Option<OsString>, Failure> {
    if !is_flag {
        return Ok(Some(format!("--{long}={value}").into()));
    }
    match value {
        "true" => Ok(Some(format!("--{long}").into())),
        "false" => Ok(None),
        _ => Err(Failure::usage(anyhow!(
            "{source}: `{value}` is neither true nor false"
        ))),
    }
}

/// A bad value of another source would be told as one of the command line.
fn try_word(
    command: &clap::Command,
    name: &str,
    word: &OsString,
    source: &str,
) -> Result<(), Failure> {
    let tried = command
        .clone()
        .try_get_matches_from([OsString::from(name), word.clone()]);
    let Err(error) = tried else { return Ok(()) };
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("error: ");
    Err(Failure::usage(anyhow!("{source}: {line}")))
}

fn of_the_command_line(command: &clap::Command, typed: &ArgMatches) -> Vec<OsString> {
    let given = |id: &str| typed.value_source(id) == Some(ValueSource::CommandLine);
    let args = command
        .get_arguments()
        .filter(|arg| given(arg.get_id().as_str()));
    let all = args.filter_map(|arg| Some(words(typed, arg, arg.get_long()?)));
    all.flatten().collect()
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
