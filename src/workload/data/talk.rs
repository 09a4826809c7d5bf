//! Conversations in `ShareGPT`'s or `OpenAI`'s words: what the person says, turn by turn, without what a model once answered.
//! It sends nothing, and knows no answer of the server's.

use serde_json::{Map, Value};

use super::fault::{RowFault, Unsent};
use super::parse::Found;
use crate::domain::{Message, Role};

/// Fields that hold the turns.
const LISTS: [&str; 4] = ["conversations", "conversation", "messages", "turns"];

/// What a person says in one conversation.
#[derive(Debug, PartialEq)]
pub(super) struct Talk {
    /// The messages that each turn adds: the person's, and instructions before it.
    pub(super) turns: Vec<Vec<Message>>,
    /// Messages in all, a model's counted in.
    pub(super) messages: usize,
}

/// The conversation in `row`, in the field `column` where one is named.
pub(super) fn talk(row: &Map<String, Value>, column: Option<&str>) -> Found<Talk> {
    let list = match column {
        Some(column) => row.get(column),
        None => LISTS.iter().find_map(|name| row.get(*name)),
    };
    let list = list.and_then(Value::as_array).ok_or(RowFault::NoTalk)?;
    let mut turns = Vec::new();
    let mut said = Vec::new();
    for entry in list {
        let Some(message) = message(entry)? else {
            return Ok(Err(Unsent::Foreign));
        };
        let Message { role, content } = &message;
        if *role == Role::Assistant || content.trim().is_empty() {
            continue;
        }
        let asks = *role == Role::User;
        said.push(message);
        if asks {
            turns.push(std::mem::take(&mut said));
        }
    }
    let messages = list.len();
    if turns.is_empty() {
        return Ok(Err(Unsent::Silent));
    }
    Ok(Ok(Talk { turns, messages }))
}

/// One entry; `None` for what is no text of one of the three.
fn message(entry: &Value) -> Result<Option<Message>, RowFault> {
    // A list of texts is what a person says.
    if let Some(text) = entry.as_str() {
        let content = text.to_owned();
        let role = Role::User;
        return Ok(Some(Message { role, content }));
    }
    let field = |names: [&str; 2]| names.iter().find_map(|name| entry.get(*name));
    let who = field(["from", "role"]).and_then(Value::as_str);
    let who = who.ok_or(RowFault::NoTalk)?;
    let what = field(["value", "content"]).ok_or(RowFault::NoTalk)?;
    Ok(role(who)
        .zip(text(what))
        .map(|(role, content)| Message { role, content }))
}

fn role(word: &str) -> Option<Role> {
    match word.to_ascii_lowercase().as_str() {
        "human" | "user" => Some(Role::User),
        "system" | "developer" => Some(Role::System),
        "gpt" | "assistant" | "chatgpt" | "model" | "bot" | "bing" | "bard" => {
            Some(Role::Assistant)
        }
        _ => None,
    }
}

/// A text, or a list of parts that are all texts.
fn text(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let parts = value.as_array()?.iter();
    let parts: Option<Vec<&str>> = parts
        .map(|part| part.get("text").and_then(Value::as_str))
        .collect();
    Some(parts?.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Found<Talk> {
        talk(&serde_json::from_str(text).unwrap(), None)
    }

    fn said(text: &str) -> Vec<Vec<(Role, String)>> {
        let pairs = |turn: Vec<Message>| turn.into_iter().map(|m| (m.role, m.content)).collect();
        let talk = read(text).unwrap().unwrap();
        talk.turns.into_iter().map(pairs).collect()
    }

    #[test]
    fn a_turn_is_what_a_person_says_with_the_instructions_before_it() {
        let turns = said(
            r#"{"id":"a","conversations":[{"from":"system","value":"Be brief"},{"from":"human","value":"One"},
                {"from":"gpt","value":"1"},{"from":"human","value":" "},{"from":"human","value":"Two"},
                {"from":"gpt","value":"2"},{"from":"system","value":"Be rude"}]}"#,
        );
        let (system, one) = (
            (Role::System, "Be brief".into()),
            (Role::User, "One".into()),
        );
        assert_eq!(turns, [vec![system, one], vec![(Role::User, "Two".into())]]);
    }

    #[test]
    fn openais_words_and_lists_of_texts_are_understood_too() {
        let turns = said(
            r#"{"messages":[{"role":"assistant","content":"Hi"},{"role":"user","content":[{"type":"text","text":"A"},
                {"type":"text","text":"B"}]}]}"#,
        );
        assert_eq!(turns, [[(Role::User, "A\nB".into())]]);
        let turns = said(r#"{"turns":["One","Two"]}"#);
        assert_eq!(turns.len(), 2);
    }

    #[test]
    fn what_cannot_be_said_again_is_left_out_and_what_is_no_talk_refused() {
        for (row, why) in [
            (
                r#"{"messages":[{"role":"user","content":"A"},{"role":"tool","content":"4"}]}"#,
                Unsent::Foreign,
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
                Unsent::Foreign,
            ),
            (
                r#"{"conversations":[{"from":"gpt","value":"A"}]}"#,
                Unsent::Silent,
            ),
            (r#"{"conversations":[]}"#, Unsent::Silent),
        ] {
            assert_eq!(read(row).unwrap(), Err(why), "{row}");
        }
        for row in [
            r#"{"prompt":"A"}"#,
            r#"{"turns":"A"}"#,
            r#"{"turns":[1]}"#,
            r#"{"turns":[{"from":"human"}]}"#,
        ] {
            assert!(matches!(read(row), Err(RowFault::NoTalk)), "{row}");
        }
    }
}
