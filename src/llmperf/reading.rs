//! Files of individual responses read back, llmperf's own too, of all its versions.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Benchmark, Individual};

/// The responses in the text of a file: ours, or llmperf's, where what is not known may be `NaN`, a good response's error
/// code may be empty, and old clients wrote each gap instead of their mean.
///
/// # Errors
/// When it is not such a file.
pub fn individuals(text: &str) -> Result<Vec<Individual>, serde_json::Error> {
    let rows: Vec<Row> = serde_json::from_str(&without_words(text))?;
    Ok(rows.into_iter().map(Individual::from).collect())
}

/// The summary in the text of a file, ours or llmperf's, and what it says of the benchmark's settings that a report names.
/// What no file has (the API, the tokenizer) stays empty.
///
/// # Errors
/// When it is no object.
pub fn summary_file(text: &str) -> Result<(Benchmark, Map<String, Value>), serde_json::Error> {
    let flat: Map<String, Value> = serde_json::from_str(&without_words(text))?;
    let model = flat.get("model").and_then(Value::as_str);
    let bench = Benchmark {
        model: model.unwrap_or_default().to_owned(),
        ..Benchmark::default()
    };
    Ok((bench, flat))
}

/// A row as it may stand there. Every file of a token benchmark has the two fields that must be there, and no other file.
#[derive(Deserialize)]
struct Row {
    error_code: Value,
    #[serde(default)]
    error_msg: Value,
    #[serde(default)]
    inter_token_latency_s: Value,
    #[serde(default)]
    ttft_s: Value,
    end_to_end_latency_s: Value,
    #[serde(default)]
    request_output_throughput_token_per_s: Value,
    #[serde(default)]
    number_total_tokens: Value,
    #[serde(default)]
    number_output_tokens: Value,
    #[serde(default)]
    number_input_tokens: Value,
}

impl From<Row> for Individual {
    fn from(row: Row) -> Self {
        Self {
            error_code: code(&row.error_code),
            error_msg: match row.error_msg {
                Value::String(words) => words,
                Value::Null => String::new(),
                other => other.to_string(),
            },
            inter_token_latency_s: figure(&row.inter_token_latency_s),
            ttft_s: figure(&row.ttft_s).filter(|time| *time >= 0.0),
            end_to_end_latency_s: figure(&row.end_to_end_latency_s),
            request_output_throughput_token_per_s: figure(
                &row.request_output_throughput_token_per_s,
            ),
            number_total_tokens: tokens(&row.number_total_tokens),
            number_output_tokens: tokens(&row.number_output_tokens),
            number_input_tokens: tokens(&row.number_input_tokens),
        }
    }
}

/// A number, or the mean of a list of them.
fn figure(value: &Value) -> Option<f64> {
    match value {
        Value::Array(list) => {
            let known: Vec<f64> = list.iter().filter_map(figure).collect();
            let n = u32::try_from(known.len()).ok().filter(|n| *n > 0)?;
            Some(known.iter().sum::<f64>() / f64::from(n))
        }
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

fn tokens(value: &Value) -> Option<u64> {
    format!("{:.0}", figure(value)?).parse().ok()
}

/// Nothing, or an empty text, stands for a good response; words stand for a failure without a number.
fn code(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        other => {
            let number = figure(other).map(|code| format!("{code:.0}"));
            Some(number.and_then(|code| code.parse().ok()).unwrap_or(-1))
        }
    }
}

/// Python's words for what is no number, outside of texts, as `null`.
fn without_words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut is_text) = (text, false);
    while let Some(quote) = rest.find(['"', '\\']) {
        let (before, from) = rest.split_at(quote);
        push(&mut plain, before, is_text);
        let is_escape = from.starts_with('\\');
        is_text ^= !is_escape;
        // An escape takes the character behind it along.
        let taken = if is_escape {
            1 + from.chars().nth(1).map_or(0, char::len_utf8)
        } else {
            1
        };
        let (kept, behind) = from.split_at(taken);
        plain.push_str(kept);
        rest = behind;
    }
    push(&mut plain, rest, is_text);
    plain
}

fn push(plain: &mut String, part: &str, is_text: bool) {
    if is_text {
        plain.push_str(part);
        return;
    }
    let part = part
        .replace("-Infinity", "null")
        .replace("Infinity", "null");
    plain.push_str(&part.replace("NaN", "null"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llmperf::file;

    #[test]
    fn our_own_file_reads_back_as_it_was() {
        let one = Individual {
            error_msg: "a \"NaN\" \\ of Infinity".to_owned(),
            error_code: Some(503),
            ttft_s: Some(0.25),
            number_input_tokens: Some(91),
            ..Individual::default()
        };
        let text = file(&[one.clone(), Individual::default()]).unwrap();
        assert_eq!(individuals(&text).unwrap(), [one, Individual::default()]);
    }

    #[test]
    fn what_other_versions_write_is_understood() {
        let text = r#"[
            {"error_code": "", "error_msg": "", "inter_token_latency_s": [0.1, 0.3], "ttft_s": -1,
             "end_to_end_latency_s": NaN, "number_output_tokens": 12.0, "start": -Infinity},
            {"error_code": 500.0, "error_msg": null, "end_to_end_latency_s": 0, "ttft_s": 0},
            {"error_code": "timeout", "error_msg": "x", "end_to_end_latency_s": 0}
        ]"#;
        let read = individuals(text).unwrap();
        assert_eq!(read[0].inter_token_latency_s, Some(0.2));
        assert_eq!((read[0].ttft_s, read[0].end_to_end_latency_s), (None, None));
        assert_eq!(read[0].number_output_tokens, Some(12));
        let codes: Vec<_> = read.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [None, Some(500), Some(-1)]);
    }

    #[test]
    fn another_file_is_refused_by_its_missing_field() {
        let error = individuals(r#"[{"metrics": {}, "error_code": null}]"#).unwrap_err();
        assert!(
            error.to_string().contains("end_to_end_latency_s"),
            "{error}"
        );
        assert!(individuals(r#"{"version": "2023-08-31"}"#).is_err());
    }
}
