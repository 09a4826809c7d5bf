//! Which columns of a table hold what, by its header. It reads no rows.

use csv::ByteRecord;

use super::fault::{DataError, RowFault};
use crate::workload::Format;

/// Usual names of the column that holds the prompt, best first.
const PROMPTS: [&str; 5] = ["prompt", "text", "question", "input", "instruction"];
/// Names of a row's own output length.
pub(super) const LENGTHS: [&str; 2] = ["max_tokens", "output_tokens"];
/// Names of a trace's columns: when, how long the prompt, how long the answer.
const TIMES: [&str; 1] = ["timestamp"];
const INPUTS: [&str; 3] = ["request tokens", "input_length", "input_tokens"];
const OUTPUTS: [&str; 3] = ["response tokens", "output_length", "output_tokens"];

/// Where things are in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// Prompts.
    Prompts {
        prompt: usize,
        max_tokens: Option<usize>,
    },
    /// Times and lengths.
    Lengths {
        time: usize,
        input: usize,
        output: usize,
    },
}

impl Columns {
    /// By the names in `header`, and the prompt's where one is given.
    pub(super) fn find(
        header: &ByteRecord,
        format: Format,
        column: Option<&str>,
    ) -> Result<Self, DataError> {
        let names: Vec<String> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let one_of = |wanted: &[&str]| {
            let place = |wanted: &&str| names.iter().position(|it| it.eq_ignore_ascii_case(wanted));
            wanted.iter().find_map(place)
        };
        let needed = |wanted: &[&str]| {
            one_of(wanted).ok_or_else(|| DataError::Column {
                wanted: wanted
                    .iter()
                    .map(|it| format!("`{it}`"))
                    .collect::<Vec<_>>()
                    .join(" or "),
                found: names.clone(),
            })
        };
        if format == Format::Trace {
            return Ok(Self::Lengths {
                time: needed(&TIMES)?,
                input: needed(&INPUTS)?,
                output: needed(&OUTPUTS)?,
            });
        }
        Ok(Self::Prompts {
            prompt: match column {
                // A name that somebody wrote down is meant as it is, if it is there.
                Some(column) => match names.iter().position(|name| name == column) {
                    Some(place) => place,
                    None => needed(&[column])?,
                },
                None => needed(&PROMPTS)?,
            },
            max_tokens: one_of(&LENGTHS),
        })
    }
}

/// Whether a header is a trace's.
pub(super) fn is_trace(header: &str) -> bool {
    let record: ByteRecord = header
        .split([',', '\t'])
        .map(|it| it.trim_matches('"'))
        .collect();
    Columns::find(&record, Format::Trace, None).is_ok()
}

/// The text of a field.
pub(super) fn field(record: &ByteRecord, place: usize) -> Result<&str, RowFault> {
    std::str::from_utf8(record.get(place).unwrap_or_default()).map_err(|_| RowFault::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &[&str], format: Format, column: Option<&str>) -> Result<Columns, DataError> {
        Columns::find(&ByteRecord::from(header), format, column)
    }

    #[test]
    fn the_prompt_is_in_the_named_column_or_in_a_usual_one() {
        let columns = |prompt, max_tokens| Columns::Prompts { prompt, max_tokens };
        let header = ["id", "Question", "text", "output_tokens"];
        assert_eq!(
            find(&header, Format::Csv, None).unwrap(),
            columns(2, Some(3))
        );
        assert_eq!(
            find(&header, Format::Csv, Some("question")).unwrap(),
            columns(1, Some(3))
        );
        let header = ["A", "a"];
        assert_eq!(
            find(&header, Format::Csv, Some("a")).unwrap(),
            columns(1, None)
        );
        let error = find(&["id", "body"], Format::Csv, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no column `prompt` or `text` or `question` or `input` or `instruction`: there are `id`, `body`"
        );
        assert!(error.hint().unwrap().contains("--dataset-column"));
        assert!(find(&["id"], Format::Csv, Some("x")).is_err());
    }

    #[test]
    fn a_trace_is_known_by_its_header() {
        assert!(is_trace(
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
        ));
        assert!(!is_trace("prompt,output_tokens"));
    }
}
