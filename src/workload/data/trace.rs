//! Rows of a trace: when a request came, how long it and its answer were, and which blocks its prompt was made of.
//! It makes no prompts.

use serde_json::{Map, Value};

use super::fault::{MOST_TOKENS, RowFault};
use super::parse::whole;

/// One request of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// By the trace's own clock, in microseconds.
    pub(super) time_us: u64,
    /// Prompt length in tokens; at least 1.
    pub(super) input: u32,
    /// Answer length in tokens; at least 1, since an answer of none is one that failed.
    pub(super) output: u32,
    /// The blocks that the prompt begins with; equal numbers are equal text.
    pub(super) blocks: Vec<u64>,
}

impl Arrival {
    /// Of Mooncake's fields: `timestamp` in milliseconds, `input_length`, `output_length`, `hash_ids`.
    pub(super) fn of_json(fields: &Map<String, Value>) -> Result<Self, RowFault> {
        let missing = |name: &str| RowFault::NoNumber(name.to_owned());
        let length = |name: &str| {
            fields
                .get(name)
                .and_then(whole)
                .ok_or_else(|| missing(name))
                .and_then(bounded)
        };
        let time = fields.get("timestamp").and_then(Value::as_f64);
        let blocks = match fields.get("hash_ids") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(list) => list
                .as_array()
                .and_then(|list| list.iter().map(Value::as_u64).collect()),
        };
        Ok(Self {
            time_us: time
                .and_then(|time| micros(time, 1e3))
                .ok_or_else(|| missing("timestamp"))?,
            input: length("input_length")?,
            output: length("output_length")?,
            blocks: blocks.ok_or_else(|| missing("hash_ids"))?,
        })
    }

    /// Of a table's fields: a time in seconds, and two lengths.
    pub(super) fn of_table([time, input, output]: [&str; 3]) -> Result<Self, RowFault> {
        let missing = |text: &str| RowFault::NoNumber(text.to_owned());
        let length = |text: &str| {
            let tokens = text.trim().parse().map_err(|_| missing(text));
            tokens.and_then(bounded)
        };
        let seconds = time.trim().parse().ok();
        Ok(Self {
            time_us: seconds
                .and_then(|time| micros(time, 1e6))
                .ok_or_else(|| missing(time))?,
            input: length(input)?,
            output: length(output)?,
            blocks: Vec::new(),
        })
    }
}

/// A length that a request can have; at least 1.
fn bounded(tokens: u32) -> Result<u32, RowFault> {
    if tokens > MOST_TOKENS {
        return Err(RowFault::TooManyTokens(tokens));
    }
    Ok(tokens.max(1))
}

/// Microseconds of a time in units of `unit` microseconds; up to a thousand years.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within bounds that were looked at"
)]
fn micros(time: f64, unit: f64) -> Option<u64> {
    let micros = time * unit;
    (0.0..3e16).contains(&micros).then(|| micros.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Arrival, RowFault> {
        Arrival::of_json(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn mooncakes_words_are_milliseconds_and_lengths_and_blocks() {
        let arrival = json(
            r#"{"timestamp": 27482, "input_length": 6955, "output_length": 0, "hash_ids": [46, 47]}"#,
        );
        let expected = Arrival {
            time_us: 27_482_000,
            input: 6955,
            output: 1,
            blocks: vec![46, 47],
        };
        assert_eq!(arrival.unwrap(), expected);
        let bare = json(r#"{"timestamp": 0.5, "input_length": 1, "output_length": 2}"#).unwrap();
        assert_eq!((bare.time_us, bare.blocks.len()), (500, 0));
    }

    #[test]
    fn what_is_no_number_is_named() {
        let fault = |text| json(text).unwrap_err().to_string();
        assert_eq!(
            fault(r#"{"timestamp": -1, "input_length": 1, "output_length": 2}"#),
            "no number in `timestamp`"
        );
        assert_eq!(
            fault(r#"{"timestamp": 1, "input_length": "1", "output_length": 2}"#),
            "no number in `input_length`"
        );
        assert_eq!(
            fault(r#"{"timestamp": 1, "input_length": 1, "output_length": 2, "hash_ids": ["a"]}"#),
            "no number in `hash_ids`"
        );
    }

    #[test]
    fn a_tables_times_are_seconds() {
        let arrival = Arrival::of_table(["5.25", " 472", "18"]).unwrap();
        assert_eq!(
            (arrival.time_us, arrival.input, arrival.output),
            (5_250_000, 472, 18)
        );
        let fault = Arrival::of_table(["1", "1", "10000001"]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "`10000001` tokens are more than 10000000"
        );
        let fault = Arrival::of_table(["2023-11-16 18:17:03", "1", "1"]).unwrap_err();
        assert_eq!(fault.to_string(), "no number in `2023-11-16 18:17:03`");
    }
}
