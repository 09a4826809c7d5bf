//! How a data set is written, where nobody said so: by its name's ending and its first row.
//! It opens no file and checks nothing.

use std::io::{self, BufRead, BufReader, Read};

use serde_json::{Map, Value};

use super::array::Splitter;
use super::fault::{DataError, LONGEST_ROW};
use super::scan::first_mark;
use super::table::is_trace;
use crate::workload::{Format, rows};

/// The format of a file whose name ends in `ending`, and what it was known by.
pub(super) fn sniff(ending: &str, input: impl Read) -> io::Result<(Format, &'static str)> {
    let mut input = BufReader::new(input);
    let mark = first_mark(input.fill_buf()?);
    Ok(match (ending, mark) {
        ("txt", _) => (Format::Text, "its name"),
        ("csv" | "tsv", _) if is_trace(&line(&mut input)?) => (Format::Trace, "its columns"),
        ("csv" | "tsv", _) => (Format::Csv, "its name"),
        ("json" | "jsonl" | "ndjson", _) | (_, Some(b'{' | b'[')) => {
            let first = match mark {
                Some(b'[') => element(&mut input)?,
                _ => line(&mut input)?.into_bytes(),
            };
            of_first(ending, &first)
        }
        _ => (Format::Text, "its first line"),
    })
}

/// By the fields of the first object.
fn of_first(ending: &str, first: &[u8]) -> (Format, &'static str) {
    if first.trim_ascii_start().starts_with(b"\"") {
        return (Format::Jsonl, "its first row");
    }
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(first) else {
        let format = match ending {
            "json" => Format::ShareGpt,
            _ => Format::Jsonl,
        };
        return (format, "its name");
    };
    let has = |name: &str| fields.contains_key(name);
    let format = if has("timestamp") && (has("input_length") || has("output_length")) {
        Format::Trace
    } else if rows::asks(&fields) {
        Format::Jsonl
    } else if has("conversations") || has("conversation") || has("turns") {
        Format::ShareGpt
    } else {
        Format::Jsonl
    };
    (format, "its first row")
}

/// The first line that is not blank.
fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let piece = &mut *input;
        let read = piece
            .take(LONGEST_ROW as u64)
            .read_until(b'\n', &mut line)?;
        if read == 0 || !line.trim_ascii().is_empty() {
            let text = String::from_utf8_lossy(&line);
            return Ok(text.trim_start_matches('\u{feff}').trim().to_owned());
        }
    }
}

/// The first element of an array.
fn element(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut splitter = Splitter::new();
    let mut first = None;
    loop {
        let chunk = input.fill_buf()?;
        let read = chunk.len();
        let fed = splitter.feed(chunk, &mut |_, _, element| {
            first.get_or_insert_with(|| element.to_vec());
            Err(DataError::TooMany)
        });
        if read == 0 || fed.is_err() {
            return Ok(first.unwrap_or_default());
        }
        input.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_the_name_and_the_first_row() {
        for (ending, text, expected) in [
            ("txt", "{\"prompt\":1}", Format::Text),
            ("jsonl", "\n{\"prompt\":\"a\"}\n{", Format::Jsonl),
            ("ndjson", "{\"messages\":[]}", Format::Jsonl),
            (
                "jsonl",
                "{\"timestamp\":1,\"input_length\":2,\"output_length\":3}",
                Format::Trace,
            ),
            ("jsonl", "{\"conversations\":[]}", Format::ShareGpt),
            (
                "json",
                "[{\"id\":1,\"conversations\":[]},{",
                Format::ShareGpt,
            ),
            ("json", "\u{feff}[ {\"prompt\":\"a\"} ]", Format::Jsonl),
            ("json", "[\"a\", \"b\"]", Format::Jsonl),
            ("json", "[]", Format::ShareGpt),
            ("json", "{\n", Format::ShareGpt),
            ("csv", "prompt,max_tokens\n", Format::Csv),
            (
                "csv",
                "Timestamp,Model,Request tokens,Response tokens\n",
                Format::Trace,
            ),
            ("tsv", "prompt\tx\n", Format::Csv),
            ("", "Hello\n", Format::Text),
            ("dat", "{\"prompt\":\"a\"}", Format::Jsonl),
        ] {
            let (format, _) = sniff(ending, text.as_bytes()).unwrap();
            assert_eq!(format, expected, "{ending}: {text}");
        }
    }
}
