//! What a failed answer means: the outcome of a status, and the server's words cut to a line.
//! It sees only statuses and bodies; failures of the connection are named where they happen.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::Text;
use crate::domain::Outcome;

/// The most characters of a server's words that are kept.
pub const MAX_ERROR_CHARS: usize = 256;

/// Characters of an unreadable event that are shown.
const EXCERPT_CHARS: usize = 80;

/// The outcome that a status alone decides; `None` for the good ones, 200 to 299.
pub const fn outcome_of_status(status: u16) -> Option<Outcome> {
    match status {
        200..=299 => None,
        429 => Some(Outcome::Http429),
        500..=599 => Some(Outcome::Http5xx),
        _ => Some(Outcome::Http4xx),
    }
}

/// The server's words in the body of a failed answer: `error.message`, `error`, `message` or `detail` where
/// there is one, else the body itself. At most `MAX_ERROR_CHARS` characters, on one line.
pub fn error_text(body: &[u8]) -> String {
    serde_json::from_slice::<&RawValue>(body)
        .ok()
        .and_then(message_in)
        .unwrap_or_else(|| one_line(&String::from_utf8_lossy(body), MAX_ERROR_CHARS))
}

/// The words inside an error object (or string) of an answer.
pub(super) fn words_of(error: &RawValue) -> String {
    message_in(error).unwrap_or_else(|| one_line(error.get(), MAX_ERROR_CHARS))
}

/// The number inside an error object, where it has one.
pub(super) fn code_of(error: &RawValue) -> Option<i32> {
    #[derive(Deserialize)]
    struct Coded {
        code: i32,
    }
    let coded = serde_json::from_str::<Coded>(error.get());
    coded.ok().map(|coded| coded.code)
}

/// The start of `data`, to show what could not be read.
pub(super) fn excerpt(data: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(data), EXCERPT_CHARS)
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Amazon's services write it either way.
    #[serde(borrow, alias = "Message")]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

fn message_in(value: &RawValue) -> Option<String> {
    if let Ok(text) = serde_json::from_str::<Text<'_>>(value.get()) {
        return Some(one_line(text.as_str(), MAX_ERROR_CHARS)).filter(|text| !text.is_empty());
    }
    // Google's servers put the error of a stream into a list.
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        return message_in(list.first()?);
    }
    let body: Body<'_> = serde_json::from_str(value.get()).ok()?;
    let field = body.error.or(body.message).or(body.detail)?;
    Some(words_of(field))
}

/// `text` without control characters, ends trimmed, cut to `limit` characters with an ellipsis.
fn one_line(text: &str, limit: usize) -> String {
    let mut clean = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.by_ref().take(limit).collect();
    if clean.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_outcomes() {
        for (status, outcome) in [
            (200, None),
            (204, None),
            (301, Some(Outcome::Http4xx)),
            (401, Some(Outcome::Http4xx)),
            (429, Some(Outcome::Http429)),
            (500, Some(Outcome::Http5xx)),
            (529, Some(Outcome::Http5xx)),
            (103, Some(Outcome::Http4xx)),
        ] {
            assert_eq!(outcome_of_status(status), outcome, "{status}");
        }
    }

    #[test]
    fn the_servers_words_are_found_wherever_servers_put_them() {
        for (body, words) in [
            (
                r#"{"error":{"message":"no such model","code":404}}"#,
                "no such model",
            ),
            (
                r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
                "Model is overloaded",
            ),
            (
                r#"{"object":"error","message":"too long","code":400}"#,
                "too long",
            ),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (
                r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#,
                r#"[{"loc":["body"],"msg":"bad"}]"#,
            ),
            (
                r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#,
                "quota",
            ),
            (r#"{"error":{"code":500}}"#, r#"{"code":500}"#),
            ("upstream\r\ntimeout\u{1b}[0m\n", "upstream  timeout [0m"),
            ("", ""),
        ] {
            assert_eq!(error_text(body.as_bytes()), words, "{body}");
        }
    }

    #[test]
    fn long_words_are_cut_by_characters_not_bytes() {
        let text = error_text("é".repeat(300).as_bytes());
        assert_eq!(text.chars().count(), MAX_ERROR_CHARS);
        assert!(text.ends_with("é…"));
        assert_eq!(error_text("é".repeat(256).as_bytes()), "é".repeat(256));
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = format!("{}1{}", "{\"error\":".repeat(100), "}".repeat(100));
        assert_eq!(error_text(deep.as_bytes()), "1");
    }
}
