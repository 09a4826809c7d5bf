//! Reading what other rooms and other tools write: the text of one file in, what it tells out. Which files belong together
//! is for others to say.

mod csv_rows;
mod json;
mod llmperf;
mod records;
mod result;

use super::{Correctness, Run};

pub use records::{Records, Window};

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// llmperf's summary, or its individual responses.
    Llmperf(Box<Run>),
    /// Our result file, and the span of the run that its figures are of.
    Result(Box<Run>, Option<Window>),
    /// Our records.
    Records(Records),
    /// The rows of a table, each with the name of its run where it has one.
    Rows(Vec<(Option<String>, Run)>),
    /// The summary of a correctness test.
    Correctness(Correctness),
    /// The answers of a correctness test, of which its summary tells all that is compared.
    CorrectnessAnswers,
}

/// Why a file cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no text that any of the readers knows.
    #[error("`{name}` is no result that can be compared: {lacks}")]
    Unknown {
        /// The file.
        name: String,
        /// What it lacks.
        lacks: String,
    },
    /// It begins like one, and one of its lines or items is broken.
    #[error("`{name}` is broken at {at}: {why}")]
    Broken {
        /// The file.
        name: String,
        /// The line or the item, counted from 1.
        at: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ReadError {
    fn unknown(name: &str, lacks: impl Into<String>) -> Self {
        Self::Unknown {
            name: name.to_owned(),
            lacks: lacks.into(),
        }
    }

    fn broken(name: &str, at: impl Into<String>, why: &dyn std::fmt::Display) -> Self {
        Self::Broken {
            name: name.to_owned(),
            at: at.into(),
            why: why.to_string(),
        }
    }
}

const OBJECTS: &str = "the object has neither llmperf's `results_…` keys, nor a correctness test's \
`num_mismatched_requests`, nor a result's `plan` and `metrics`";

/// What the file `name` with the content `text` tells.
///
/// # Errors
/// When it is none of the files that can be compared, or a broken one.
pub fn read(name: &str, text: &str) -> Result<Found, ReadError> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.trim_start().chars().next();
    match first {
        None => Err(ReadError::unknown(name, "it is empty")),
        Some('[') => list(name, text),
        Some('{') => object(name, text),
        Some(_) => csv_rows::read(name, text).map(Found::Rows),
    }
}

fn object(name: &str, text: &str) -> Result<Found, ReadError> {
    let first = text.lines().next().unwrap_or_default();
    if records::is_line(first) {
        return Records::read(name, text).map(Found::Records);
    }
    let value = json::parse(text)
        .map_err(|why| ReadError::broken(name, format!("line {}", why.line()), &why))?;
    let has = |key: &str| value.get(key).is_some();
    if has("num_mismatched_requests") {
        return Ok(Found::Correctness(llmperf::correctness(name, &value)));
    }
    if has("plan") && has("metrics") {
        let (run, window) = result::read(name, &value);
        return Ok(Found::Result(Box::new(run), window));
    }
    let keys = value.as_object().into_iter().flat_map(|map| map.keys());
    if keys.clone().any(|key| key.starts_with("results_")) {
        return Ok(Found::Llmperf(Box::new(llmperf::summary(name, &value))));
    }
    if has("results") {
        let lacks = "its results are nested: llmperf's flat keys `results_…` are needed";
        return Err(ReadError::unknown(name, lacks));
    }
    Err(ReadError::unknown(name, OBJECTS))
}

fn list(name: &str, text: &str) -> Result<Found, ReadError> {
    let value = json::parse(text)
        .map_err(|why| ReadError::broken(name, format!("line {}", why.line()), &why))?;
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |key: &str| items.iter().all(|item| item.get(key).is_some());
    if !items.is_empty() && has("metrics") && has("generated_text") {
        return Ok(Found::CorrectnessAnswers);
    }
    llmperf::individual(name, items).map(|run| Found::Llmperf(Box::new(run)))
}

#[cfg(test)]
mod tests;
