//! The CSV row of a run, and how it may be put under a file's own header without ever shifting a column.
//! It opens, locks and names no file: it says what to append.

use super::Context;
use super::summary_block::{Value, entries};

/// A row with the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The names, in order.
    pub columns: Vec<String>,
    /// The values, in the same order.
    pub fields: Vec<String>,
}

/// Why a row cannot go into a file.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The file lacks columns that the row has.
    #[error("the file has no column {}", quoted(.missing))]
    MissingColumns {
        /// The names of those columns.
        missing: Vec<String>,
    },
    /// The file's first line is no CSV.
    #[error("the file's header cannot be read")]
    Header(#[source] csv::Error),
    /// The row cannot be written as CSV.
    #[error("the row cannot be written")]
    Write(#[source] csv::Error),
}

/// The row of a run: the closing block's entries.
pub fn row(ctx: &Context<'_>) -> Row {
    let entries = entries(ctx);
    let field = |value: &Value| match value {
        Value::Unset => String::new(),
        value => value.to_string(),
    };
    Row {
        fields: entries.iter().map(|entry| field(&entry.value)).collect(),
        columns: entries.into_iter().map(|entry| entry.name).collect(),
    }
}

/// What to append to a file whose first line is `header` (`None` for a new or empty file): whole lines.
///
/// A new file gets the header first. In an existing one the row goes under the file's own columns, whatever their
/// order; columns that it does not know stay empty. The caller holds the file's lock from reading the header to
/// the end of a single write, and ends an unfinished last line first.
///
/// # Errors
///
/// When the file lacks a column of the row: then nothing may be appended, and the row belongs into another file.
pub fn append(header: Option<&str>, row: &Row) -> Result<String, RowError> {
    let header = header.map(|line| {
        line.trim_start_matches('\u{feff}')
            .trim_end_matches(['\r', '\n'])
    });
    let Some(header) = header.filter(|line| !line.trim().is_empty()) else {
        let columns = lines(&row.columns)?;
        return Ok(columns + &lines(&row.fields)?);
    };
    let known = names(header)?;
    let missing: Vec<_> = row
        .columns
        .iter()
        .filter(|name| !known.contains(name))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(RowError::MissingColumns { missing });
    }
    let field = |name: &String| {
        let at = row.columns.iter().position(|column| column == name);
        at.and_then(|at| row.fields.get(at))
            .cloned()
            .unwrap_or_default()
    };
    lines(&known.iter().map(field).collect::<Vec<_>>())
}

fn names(header: &str) -> Result<Vec<String>, RowError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(header.as_bytes());
    let first = reader.records().next().transpose();
    let first = first.map_err(RowError::Header)?.unwrap_or_default();
    Ok(first.iter().map(str::to_owned).collect())
}

fn lines(fields: &[String]) -> Result<String, RowError> {
    super::stats_csv::line(fields).map_err(RowError::Write)
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn row_of(pairs: &[(&str, &str)]) -> Row {
        let (columns, fields) = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .unzip();
        Row { columns, fields }
    }

    #[test]
    fn a_new_file_gets_the_header_first() {
        let row = row_of(&[("A", "1"), ("B", "x,\"y\"")]);
        for nothing in [None, Some(""), Some("\n")] {
            assert_eq!(append(nothing, &row).unwrap(), "A,B\n1,\"x,\"\"y\"\"\"\n");
        }
    }

    #[test]
    fn a_row_follows_the_files_own_columns() {
        let row = row_of(&[("A", "1"), ("B", "2")]);
        assert_eq!(append(Some("B,C,A\r\n"), &row).unwrap(), "2,,1\n");
        assert_eq!(append(Some("\u{feff}\"A\",B"), &row).unwrap(), "1,2\n");
    }

    #[test]
    fn a_file_without_a_column_is_refused_by_name() {
        let row = row_of(&[("A", "1"), ("Top K", "2"), ("B", "3")]);
        let error = append(Some("A,C"), &row).unwrap_err();
        assert_eq!(error.to_string(), "the file has no column `Top K`, `B`");
    }

    #[test]
    fn a_setting_that_was_not_set_is_an_empty_field() {
        let sample = sample::open();
        let row = row(&sample.context());
        let at = row
            .columns
            .iter()
            .position(|name| name == "Logprobs")
            .unwrap();
        assert_eq!(row.fields[at], "");
        assert_eq!(
            append(Some(&row.columns.join(",")), &row).unwrap(),
            row.fields.join(",") + "\n"
        );
    }
}
