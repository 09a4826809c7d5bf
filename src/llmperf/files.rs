//! How the result files are called and written, and what describes them. It opens none.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

/// JSON schema of `…_summary.json`.
pub const SUMMARY_SCHEMA: &str = include_str!("schema/summary.schema.json");
/// JSON schema of `…_individual_responses.json`.
pub const INDIVIDUAL_SCHEMA: &str = include_str!("schema/individual_responses.schema.json");
/// JSON schema of `…_correctness_summary.json`.
pub const CORRECTNESS_SUMMARY_SCHEMA: &str = include_str!("schema/correctness_summary.schema.json");
/// JSON schema of `…_correctness_individual_responses.json`.
pub const CORRECTNESS_INDIVIDUAL_SCHEMA: &str =
    include_str!("schema/correctness_individual_responses.schema.json");

/// What a file's name does not keep: what is no letter, number or `_`. Rust's own `\w` has marks too, which Python's has not.
static ODD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[^\p{L}\p{N}_]+").expect("a constant that a test compiles"));

/// `value` as the text of a result file: JSON, four spaces a level.
///
/// # Errors
/// When it cannot be JSON, which none of this room's types can be.
pub fn file(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, style,
    ))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name` with one `-` for each run of characters that are neither letters, numbers nor `_`.
pub fn stem(name: &str) -> String {
    ODD.replace_all(name, "-").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_letters_of_any_alphabet_and_no_two_dashes_in_a_row() {
        // As Python's re.sub(r"-{2,}", "-", re.sub(r"[^\w\d-]+", "-", name)) gives them.
        for (name, want) in [
            (
                "hf:neuralmagic/MiniChat-1.5-3B_100_200",
                "hf-neuralmagic-MiniChat-1-5-3B_100_200",
            ),
            (
                "truefoundry-public/CodeLlama-Instruct(13B)_550_150",
                "truefoundry-public-CodeLlama-Instruct-13B-_550_150",
            ),
            ("a--b / -c", "a-b-c"),
            ("größe/模型_ñ", "größe-模型_ñ"),
            ("m²½Ⅷ٣", "m²½Ⅷ٣"),
            ("हिन्दी", "ह-न-द-"),
            ("e\u{301}Ⓐ·x", "e-x"),
            ("", ""),
        ] {
            assert_eq!(stem(name), want, "{name}");
        }
    }

    #[test]
    fn files_are_indented_by_four_and_end_with_a_line() {
        let text = file(&serde_json::json!({"a": [1, 2.0], "b": null})).unwrap();
        assert_eq!(
            text,
            "{\n    \"a\": [\n        1,\n        2.0\n    ],\n    \"b\": null\n}\n"
        );
    }
}
