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

/// The number of the error in a body, or in an event that is one: where [`error_text`] finds the words, or beside them.
pub(super) fn error_code(body: &[u8]) -> Option<i32> {
    serde_json::from_slice::<&RawValue>(body)
        .ok()
        .and_then(code_of)
}

/// The number of an error object: a code or a status where it has one, else the status that its kind of error has
/// where it comes as an answer of its own. Of a list of errors it is the first one's.
pub(super) fn code_of(error: &RawValue) -> Option<i32> {
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(error.get()) {
        return list.first().copied().and_then(code_of);
    }
    let told: Told<'_> = serde_json::from_str(error.get()).ok()?;
    let numbers = [
        told.code,
        told.status_code,
        told.http_status_code,
        told.status,
    ];
    let number = numbers.into_iter().flatten().find_map(number_of);
    let kinds = [told.code, told.kind, told.error_type];
    let kind = || kinds.into_iter().flatten().find_map(status_of_kind);
    number
        .or_else(|| told.error.and_then(code_of))
        .or_else(kind)
        .filter(|&code| code != 0)
}

/// A number, also one that is written as a text.
fn number_of(value: &RawValue) -> Option<i32> {
    let bare = value.get().trim_matches('"').trim();
    let whole = bare.strip_suffix(".0").unwrap_or(bare);
    whole.parse().ok()
}

/// The status that answers with errors of this kind usually have: Anthropic's and `OpenAI`'s names, and TGI's.
fn status_of_kind(name: &RawValue) -> Option<i32> {
    let name: Text<'_> = serde_json::from_str(name.get()).ok()?;
    Some(match name.as_str() {
        "invalid_request_error" | "context_length_exceeded" | "BadRequestError" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" | "NotFoundError" => 404,
        "request_too_large" => 413,
        "validation" => 422,
        "generation" => 424,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "overloaded" => 429,
        "api_error"
        | "server_error"
        | "internal_error"
        | "InternalServerError"
        | "incomplete_generation" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

/// Where servers put an error's number.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    http_status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    error_type: Option<&'a RawValue>,
}

/// The words inside an error object (or string) of an answer.
pub(super) fn words_of(error: &RawValue) -> String {
    message_in(error).unwrap_or_else(|| one_line(error.get(), MAX_ERROR_CHARS))
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
    fn the_number_of_an_error_is_found_wherever_servers_put_it() {
        for (body, code) in [
            (r#"{"error":{"message":"m","code":429}}"#, Some(429)),
            (r#"{"error":{"message":"m","code":"503"}}"#, Some(503)),
            (
                r#"{"error":{"message":"m","code":null,"status_code":502}}"#,
                Some(502),
            ),
            (
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#,
                Some(400),
            ),
            (
                r#"{"error":{"message":"m","http_status_code":424}}"#,
                Some(424),
            ),
            (
                r#"{"object":"error","message":"too long","code":400}"#,
                Some(400),
            ),
            (r#"{"error":"busy","error_type":"overloaded"}"#, Some(429)),
            (r#"{"error":"busy","code":"500"}"#, Some(500)),
            (
                r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
                Some(529),
            ),
            (
                r#"{"error":{"type":"server_error","code":"rate_limit_exceeded"}}"#,
                Some(429),
            ),
            (r#"{"error":{"type":"x","code":"y"}}"#, None),
            (r#"{"error":{"message":"m","code":0}}"#, None),
            (r#"{"error":{"code":99999999999}}"#, None),
            (r#"{"error":"words"}"#, None),
            ("no json", None),
        ] {
            assert_eq!(error_code(body.as_bytes()), code, "{body}");
        }
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = format!("{}1{}", "{\"error\":".repeat(100), "}".repeat(100));
        assert_eq!(error_text(deep.as_bytes()), "1");
    }
}
