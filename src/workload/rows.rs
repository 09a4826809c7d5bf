//! Reads the rows of a JSONL data set from its text. It opens no file.

use serde_json::{Map, Value};

use super::Row;
use crate::domain::{Message, Role};

/// Fields that say what is asked, in the words of one API or another.
const CONTENT: [&str; 8] = [
    "prompt",
    "messages",
    "input",
    "inputs",
    "text_input",
    "documents",
    "query",
    "image",
];

/// A line that is no row. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// Not JSON, or not an object.
    #[error("line {line}: not a JSON object")]
    Json {
        /// Where.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It asks nothing.
    #[error("line {line}: neither `prompt` nor `messages` (nor another API's content field)")]
    NothingAsked {
        /// Where.
        line: usize,
    },
    /// There are no lines at all.
    #[error("no rows")]
    Empty,
}

/// The rows of `text`, one JSON object a line; blank lines are skipped.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, RowError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows: Vec<Row> = text
        .lines()
        .zip(1..)
        .filter(|(text, _)| !text.trim().is_empty())
        .map(|(text, line)| row(text, line))
        .collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Err(RowError::Empty);
    }
    Ok(rows)
}

fn row(text: &str, line: usize) -> Result<Row, RowError> {
    let fields = serde_json::from_str(text).map_err(|source| RowError::Json { line, source })?;
    of_fields(fields).ok_or(RowError::NothingAsked { line })
}

/// Whether these fields ask for anything.
pub(super) fn asks(fields: &Map<String, Value>) -> bool {
    CONTENT.iter().any(|field| fields.contains_key(*field))
}

/// The row that these fields are; `None` where they ask for nothing.
pub(super) fn of_fields(fields: Map<String, Value>) -> Option<Row> {
    let mut extra = fields;
    if !asks(&extra) {
        return None;
    }
    let prompt = extra
        .get("prompt")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if prompt.is_some() {
        extra.shift_remove("prompt");
    }
    let messages = extra.get("messages").and_then(plain);
    if messages.is_some() {
        extra.shift_remove("messages");
    }
    Some(Row {
        prompt,
        messages,
        extra,
    })
}

/// Leaves the last message out where it is the model's, unless it is all there is.
pub(super) fn clear_assistant(row: &mut Row) {
    if let Some(messages) = &mut row.messages
        && messages.len() > 1
        && messages
            .last()
            .is_some_and(|last| last.role == Role::Assistant)
    {
        messages.pop();
    }
    if let Some(Value::Array(messages)) = row.extra.get_mut("messages")
        && messages.len() > 1
        && messages
            .last()
            .is_some_and(|last| last["role"] == "assistant")
    {
        messages.pop();
    }
}

/// Messages that are a role and a text and nothing more; others (images, tool calls, names) go out as they are.
fn plain(value: &Value) -> Option<Vec<Message>> {
    let list = value.as_array().filter(|list| !list.is_empty())?;
    list.iter()
        .map(|message| {
            let only = message.as_object().is_some_and(|m| m.len() == 2);
            only.then(|| serde_json::from_value(message.clone()).ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_are_read_and_the_rest_is_kept() {
        let rows = parse(
            "{\"prompt\":\"Hi\",\"temperature\":0.5}\n\n\
             {\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":\"Hi\"}]}\n",
        )
        .unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].prompt.as_deref(), Some("Hi"));
        assert_eq!(rows[0].extra["temperature"], 0.5);
        assert_eq!(rows[0].extra.len(), 1);
        let messages = rows[1].messages.as_deref().unwrap();
        assert_eq!((messages.len(), messages[0].role), (2, Role::System));
        assert!(rows[1].extra.is_empty());
    }

    #[test]
    fn messages_that_are_not_plain_text_stay_as_they_are() {
        for messages in [
            r#"[{"role":"user","content":[{"type":"text","text":"Hi"}]}]"#,
            r#"[{"role":"user","content":"Hi","name":"Ann"}]"#,
            r#"[{"role":"tool","content":"4"}]"#,
            "[]",
        ] {
            let rows = parse(&format!("{{\"messages\":{messages}}}")).unwrap();
            assert_eq!(rows[0].messages, None, "{messages}");
            assert!(rows[0].extra.contains_key("messages"));
        }
        assert!(parse("{\"prompt\":[1,2]}").unwrap()[0].prompt.is_none());
    }

    #[test]
    fn a_models_last_message_is_cleared_and_nothing_else() {
        let left = |messages: &str| {
            let mut rows = parse(&format!("{{\"messages\":{messages}}}")).unwrap();
            clear_assistant(&mut rows[0]);
            let plain = rows[0].messages.as_ref().map(Vec::len);
            plain.or_else(|| Some(rows[0].extra["messages"].as_array()?.len()))
        };
        let (user, model) = (
            r#"{"role":"user","content":"A"}"#,
            r#"{"role":"assistant","content":"B"}"#,
        );
        assert_eq!(left(&format!("[{user},{model}]")), Some(1));
        assert_eq!(left(&format!("[{user},{model},{user}]")), Some(3));
        assert_eq!(left(&format!("[{model}]")), Some(1));
        let image = r#"{"role":"user","content":[{"type":"text","text":"A"}]}"#;
        assert_eq!(left(&format!("[{image},{model}]")), Some(1));
        assert_eq!(left(&format!("[{model},{image}]")), Some(2));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = |text| parse(text).unwrap_err().to_string();
        assert_eq!(
            error("{\"prompt\":\"a\"}\n\n{\"prompt\":"),
            "line 3: not a JSON object"
        );
        assert_eq!(error("[1]"), "line 1: not a JSON object");
        assert_eq!(
            error("{\"promt\":\"a\"}"),
            "line 1: neither `prompt` nor `messages` (nor another API's content field)"
        );
        assert_eq!(error("\n \n"), "no rows");
    }
}
