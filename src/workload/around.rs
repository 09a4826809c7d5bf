//! What stands around each prompt: a message of the system before it, fields of the body beside it.
//! It looks into no prompt but to see that it is one text.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Api, Around};
use crate::domain::{Ask, Message, Prompt, Role};

/// What is put around each prompt, ready to be put there.
#[derive(Debug)]
pub(super) struct Frame {
    system: Option<String>,
    extra: Option<Arc<Map<String, Value>>>,
    max_tokens: Option<u32>,
    /// Counts of prompts are of their own text alone, whatever stands before it.
    counts_text_alone: bool,
}

impl Frame {
    /// As `around` says, for prompts of `api`.
    pub(super) fn new(around: &Around, api: Api, counts_text_alone: bool) -> Self {
        let extra = &around.extra;
        Self {
            system: around.system.clone().filter(|_| api == Api::Chat),
            max_tokens: own_length(extra),
            extra: (!extra.is_empty()).then(|| Arc::new(extra.clone())),
            counts_text_alone,
        }
    }

    /// Puts it around the prompt of `ask`.
    pub(super) fn put(&self, mut ask: Ask) -> Ask {
        if let (Some(system), Prompt::Text(text)) = (&self.system, &ask.prompt) {
            let message = |role, content: &str| Message {
                role,
                content: content.to_owned(),
            };
            let messages = [message(Role::System, system), message(Role::User, text)];
            ask.prompt = Prompt::Messages(messages.into());
            if !self.counts_text_alone {
                ask.counted_prompt_tokens = None;
            }
        }
        let Some(extra) = &self.extra else {
            return ask;
        };
        ask.max_tokens = ask
            .extra
            .as_deref()
            .and_then(own_length)
            .or(self.max_tokens)
            .unwrap_or(ask.max_tokens);
        ask.extra = Some(match ask.extra.take() {
            None => Arc::clone(extra),
            Some(own) => {
                let mut all = Map::clone(extra);
                all.extend(
                    own.iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                Arc::new(all)
            }
        });
        ask
    }
}

/// The output length that fields of a body ask for, whatever else does.
pub(super) fn own_length(extra: &Map<String, Value>) -> Option<u32> {
    ["max_tokens", "max_completion_tokens"]
        .iter()
        .find_map(|name| u32::try_from(extra.get(*name)?.as_u64()?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(extra: Option<Value>) -> Ask {
        Ask {
            prompt: Prompt::Text("hi".into()),
            max_tokens: 7,
            requested_prompt_tokens: Some(1),
            counted_prompt_tokens: Some(1),
            extra: extra.map(|extra| Arc::new(extra.as_object().unwrap().clone())),
            forced: None,
            turn: None,
        }
    }

    fn around(system: Option<&str>, extra: &Value) -> Around {
        Around {
            system: system.map(str::to_owned),
            extra: extra.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_message_of_the_system_stands_before_a_text_even_when_it_is_empty() {
        let around = around(Some(""), &json!({}));
        let framed = Frame::new(&around, Api::Chat, false).put(ask(None));
        let Prompt::Messages(messages) = &framed.prompt else {
            panic!("{framed:?}");
        };
        let said: Vec<(Role, &str)> = messages
            .iter()
            .map(|it| (it.role, it.content.as_str()))
            .collect();
        assert_eq!(said, [(Role::System, ""), (Role::User, "hi")]);
        assert_eq!((framed.counted_prompt_tokens, framed.extra), (None, None));
        let framed = Frame::new(&around, Api::Chat, true).put(ask(None));
        assert_eq!(framed.counted_prompt_tokens, Some(1));
        let framed = Frame::new(&around, Api::Completion, false).put(ask(None));
        assert_eq!(framed, ask(None));
    }

    #[test]
    fn a_row_s_own_fields_go_before_those_of_all_requests() {
        let frame = Frame::new(
            &around(None, &json!({"a": 1, "b": 2, "max_tokens": 9})),
            Api::Chat,
            false,
        );
        let framed = frame.put(ask(Some(json!({"b": 3, "c": 4}))));
        let extra = Value::Object(framed.extra.as_deref().unwrap().clone());
        assert_eq!(extra, json!({"a": 1, "b": 3, "max_tokens": 9, "c": 4}));
        assert_eq!(framed.max_tokens, 9);
        let framed = frame.put(ask(Some(json!({"max_tokens": 5}))));
        assert_eq!(framed.max_tokens, 5);
        assert_eq!(frame.put(ask(None)).max_tokens, 9);
    }
}
