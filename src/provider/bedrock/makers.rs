//! Who made a model, by its id, and in which words a request to it is written.
//! What its answers say is told by `chunks`.

use serde_json::{Value, json};

use super::{messages, system};
use crate::domain::{Ask, Message, Prompt, Role};
use crate::provider::aws::place::Places;
use crate::provider::body::{AsMessages, as_text};
use crate::provider::{Kind, Sampling, ShapeError, anthropic};

const KIND: Kind = Kind::BedrockInvoke;

/// Whose words a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// Anthropic's messages.
    Claude,
    /// Amazon's Nova: messages as Converse has them.
    Nova,
    /// Amazon's Titan: one text.
    Titan,
    /// Meta's Llama: one text, with the marks of its generation around the turns of a chat.
    Llama(Marks),
    /// Mistral's older models: one text.
    Mistral,
    /// Cohere's Command R: a message and what went before it.
    CommandR,
    /// Cohere's Command: one text.
    Command,
    /// `OpenAI`'s: its chat, whose length counts what is thought too.
    OpenAi,
    /// AI21's Jamba: `OpenAI`'s chat as it was.
    Jamba,
}

/// The marks around the turns of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    Llama2,
    Llama3,
    Llama4,
}

/// Beginnings of ids behind what names a region; the first that fits decides.
const MAKERS: [(&str, Maker); 14] = [
    ("anthropic.", Maker::Claude),
    ("amazon.nova", Maker::Nova),
    ("amazon.titan-text", Maker::Titan),
    ("amazon.titan-tg1", Maker::Titan),
    ("meta.llama2", Maker::Llama(Marks::Llama2)),
    ("meta.llama3", Maker::Llama(Marks::Llama3)),
    ("meta.llama4", Maker::Llama(Marks::Llama4)),
    ("mistral.mistral-7b", Maker::Mistral),
    ("mistral.mixtral-8x7b", Maker::Mistral),
    ("mistral.mistral-large-2402", Maker::Mistral),
    ("mistral.mistral-small-2402", Maker::Mistral),
    ("cohere.command-r", Maker::CommandR),
    ("cohere.command", Maker::Command),
    ("openai.", Maker::OpenAi),
];

const NOWHERE: Places = Places {
    top: &[],
    names: &[],
    named_in: None,
    rest_in: None,
};

impl Maker {
    /// By the id of a model, of a profile of several regions, or of an ARN that ends in one.
    pub(super) fn of(model: &str) -> Option<Self> {
        let id = model.rsplit('/').next().unwrap_or(model);
        let behind_region = id.split_once('.').map_or("", |(_, rest)| rest);
        if id.starts_with("ai21.jamba") || behind_region.starts_with("ai21.jamba") {
            return Some(Self::Jamba);
        }
        let made = |(beginning, _): &&(&str, Self)| {
            id.starts_with(beginning) || behind_region.starts_with(beginning)
        };
        MAKERS.iter().find(made).map(|&(_, maker)| maker)
    }

    /// Where the fields of a row stand.
    pub(super) const fn places(self) -> Places {
        match self {
            Self::Claude => Places {
                names: &[
                    ("max_completion_tokens", "max_tokens"),
                    ("stop", "stop_sequences"),
                ],
                ..NOWHERE
            },
            Self::Nova => Places {
                top: &["inferenceConfig"],
                names: &[
                    ("max_tokens", "maxTokens"),
                    ("max_completion_tokens", "maxTokens"),
                    ("temperature", "temperature"),
                    ("top_p", "topP"),
                    ("top_k", "topK"),
                    ("stop", "stopSequences"),
                ],
                named_in: Some("inferenceConfig"),
                ..NOWHERE
            },
            Self::Titan => Places {
                top: &["textGenerationConfig"],
                names: &[
                    ("max_tokens", "maxTokenCount"),
                    ("max_completion_tokens", "maxTokenCount"),
                    ("temperature", "temperature"),
                    ("top_p", "topP"),
                    ("stop", "stopSequences"),
                ],
                named_in: Some("textGenerationConfig"),
                ..NOWHERE
            },
            Self::Llama(_) => Places {
                names: &[
                    ("max_tokens", "max_gen_len"),
                    ("max_completion_tokens", "max_gen_len"),
                ],
                ..NOWHERE
            },
            Self::Mistral | Self::Jamba => Places {
                names: &[("max_completion_tokens", "max_tokens")],
                ..NOWHERE
            },
            Self::OpenAi => Places {
                names: &[("max_tokens", "max_completion_tokens")],
                ..NOWHERE
            },
            Self::CommandR | Self::Command => Places {
                names: &[
                    ("max_completion_tokens", "max_tokens"),
                    ("top_p", "p"),
                    ("top_k", "k"),
                    ("stop", "stop_sequences"),
                ],
                ..NOWHERE
            },
        }
    }

    /// Whether it takes a text that is no conversation, and a conversation.
    pub(super) const fn takes(self) -> (bool, bool) {
        match self {
            Self::Claude | Self::Nova | Self::OpenAi | Self::Jamba | Self::CommandR => {
                (false, true)
            }
            Self::Titan | Self::Command | Self::Llama(_) | Self::Mistral => (true, true),
        }
    }

    /// Whether it has `top_k`.
    pub(super) const fn has_top_k(self) -> bool {
        !matches!(
            self,
            Self::Titan | Self::Llama(_) | Self::OpenAi | Self::Jamba
        )
    }

    /// Whether it has `reasoning_effort`.
    pub(super) const fn takes_effort(self) -> bool {
        matches!(self, Self::OpenAi)
    }

    /// The body for one ask.
    pub(super) fn body(
        self,
        ask: &Ask,
        chat: bool,
        stream: bool,
        sampling: &Sampling,
    ) -> Result<Value, ShapeError> {
        let mut body = match self {
            Self::Claude => {
                let mut body = json!({"anthropic_version": "bedrock-2023-05-31"});
                extend(&mut body, serde_json::to_value(anthropic::Body::of(ask))?);
                body
            }
            Self::Nova => nova(ask)?,
            Self::Titan => json!({
                "inputText": as_text(KIND, &ask.prompt)?,
                "textGenerationConfig": {"maxTokenCount": ask.max_tokens},
            }),
            Self::Llama(marks) => json!({
                "prompt": if chat { marks.around(&ask.prompt)? } else { as_text(KIND, &ask.prompt)?.into_owned() },
                "max_gen_len": ask.max_tokens,
            }),
            Self::Mistral => json!({
                "prompt": if chat { instructed(&ask.prompt)? } else { as_text(KIND, &ask.prompt)?.into_owned() },
                "max_tokens": ask.max_tokens,
            }),
            Self::CommandR => command_r(ask)?,
            Self::Command => json!({
                "prompt": as_text(KIND, &ask.prompt)?,
                "max_tokens": ask.max_tokens,
                "stream": stream,
            }),
            Self::OpenAi => json!({
                "messages": AsMessages::new(KIND, &ask.prompt)?,
                "max_completion_tokens": ask.max_tokens,
            }),
            Self::Jamba => json!({
                "messages": AsMessages::new(KIND, &ask.prompt)?,
                "max_tokens": ask.max_tokens,
            }),
        };
        self.set_sampling(&mut body, sampling);
        Ok(body)
    }

    fn set_sampling(self, body: &mut Value, sampling: &Sampling) {
        let place = match self.places().named_in {
            Some(place) => &mut body[place],
            None => body,
        };
        if let Some(temperature) = sampling.temperature {
            place["temperature"] = json!(temperature);
        }
        let top_k = match self {
            Self::Nova => "topK",
            Self::CommandR | Self::Command => "k",
            _ => "top_k",
        };
        if let Some(most) = sampling.top_k {
            place[top_k] = json!(most);
        }
        if let Some(effort) = &sampling.reasoning_effort {
            place["reasoning_effort"] = json!(effort);
        }
    }
}

fn extend(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}

fn nova(ask: &Ask) -> Result<Value, ShapeError> {
    let mut body = json!({
        "schemaVersion": "messages-v1",
        "messages": messages(KIND, &ask.prompt)?,
        "inferenceConfig": {"maxTokens": ask.max_tokens},
    });
    let system = system(&ask.prompt);
    if !system.is_empty() {
        body["system"] = Value::Array(system);
    }
    Ok(body)
}

/// The last message stands apart from those before it, and so do the system's.
fn command_r(ask: &Ask) -> Result<Value, ShapeError> {
    let (turns, instructions) = turns(&ask.prompt)?;
    let (last, before) = turns.split_last().unwrap_or((&("", Role::User), &[]));
    let history: Vec<Value> = before
        .iter()
        .map(|(text, role)| {
            let role = if *role == Role::Assistant {
                "CHATBOT"
            } else {
                "USER"
            };
            json!({"role": role, "message": text})
        })
        .collect();
    let mut body = json!({"message": last.0, "max_tokens": ask.max_tokens});
    if !history.is_empty() {
        body["chat_history"] = Value::Array(history);
    }
    if !instructions.is_empty() {
        body["preamble"] = json!(instructions);
    }
    Ok(body)
}

/// Who says what, one after the other.
type Turns<'a> = Vec<(&'a str, Role)>;

/// The turns of a conversation, and its instructions.
fn turns(prompt: &Prompt) -> Result<(Turns<'_>, String), ShapeError> {
    let Prompt::Messages(messages) = prompt else {
        return match prompt {
            Prompt::Text(text) => Ok((vec![(text, Role::User)], String::new())),
            _ => as_text(KIND, prompt).map(|_| (Vec::new(), String::new())),
        };
    };
    let system = |message: &&Message| message.role == Role::System;
    let instructions: Vec<&str> = messages
        .iter()
        .filter(system)
        .map(|it| it.content.as_str())
        .collect();
    let said = messages.iter().filter(|message| !system(message));
    let turns = said
        .map(|message| (message.content.as_str(), message.role))
        .collect();
    Ok((turns, instructions.join("\n\n")))
}

/// Instructions and answers, as Llama 2 and Mistral's models were taught them.
fn bracketed(prompt: &Prompt, instructions: impl Fn(&str) -> String) -> Result<String, ShapeError> {
    let (turns, system) = turns(prompt)?;
    let mut text = "<s>".to_owned();
    for (number, (said, role)) in turns.into_iter().enumerate() {
        if role == Role::Assistant {
            text.extend([" ", said, " </s><s>"]);
        } else {
            let before = if number == 0 && !system.is_empty() {
                instructions(&system)
            } else {
                String::new()
            };
            text.extend(["[INST] ", &before, said, " [/INST]"]);
        }
    }
    Ok(text)
}

fn instructed(prompt: &Prompt) -> Result<String, ShapeError> {
    bracketed(prompt, |system| format!("{system}\n\n"))
}

impl Marks {
    /// The conversation with the marks around its turns, and the mark that the model speaks next.
    fn around(self, prompt: &Prompt) -> Result<String, ShapeError> {
        let (start, end, stop) = match self {
            Self::Llama2 => {
                return bracketed(prompt, |system| format!("<<SYS>>\n{system}\n<</SYS>>\n\n"));
            }
            Self::Llama3 => ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            Self::Llama4 => ("<|header_start|>", "<|header_end|>", "<|eot|>"),
        };
        let (turns, system) = turns(prompt)?;
        let mut text = "<|begin_of_text|>".to_owned();
        let mut say = |who: &str, said: &str| {
            text.extend([start, who, end, "\n\n", said, stop]);
        };
        if !system.is_empty() {
            say("system", &system);
        }
        for (said, role) in turns {
            say(
                if role == Role::Assistant {
                    "assistant"
                } else {
                    "user"
                },
                said,
            );
        }
        Ok(format!("{text}{start}assistant{end}\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_id_tells_its_maker() {
        for (id, maker) in [
            (
                "anthropic.claude-3-haiku-20240307-v1:0",
                Some(Maker::Claude),
            ),
            (
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                Some(Maker::Claude),
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
                Some(Maker::Nova),
            ),
            ("amazon.titan-text-express-v1", Some(Maker::Titan)),
            (
                "meta.llama3-1-8b-instruct-v1:0",
                Some(Maker::Llama(Marks::Llama3)),
            ),
            ("mistral.mixtral-8x7b-instruct-v0:1", Some(Maker::Mistral)),
            ("cohere.command-r-plus-v1:0", Some(Maker::CommandR)),
            ("cohere.command-text-v14", Some(Maker::Command)),
            ("openai.gpt-oss-20b-1:0", Some(Maker::OpenAi)),
            ("ai21.jamba-1-5-mini-v1:0", Some(Maker::Jamba)),
            ("mistral.pixtral-large-2502-v1:0", None),
            (
                "arn:aws:bedrock:us-east-1:123456789012:imported-model/a1b2",
                None,
            ),
        ] {
            assert_eq!(Maker::of(id), maker, "{id}");
        }
    }

    #[test]
    fn a_chat_has_the_marks_that_each_generation_was_taught() {
        let message = |role, content: &str| Message {
            role,
            content: content.to_owned(),
        };
        let prompt = Prompt::Messages(
            [
                message(Role::System, "S"),
                message(Role::User, "A"),
                message(Role::Assistant, "B"),
                message(Role::User, "C"),
            ]
            .into(),
        );
        assert_eq!(
            Marks::Llama2.around(&prompt).unwrap(),
            "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]"
        );
        assert_eq!(
            Marks::Llama3.around(&prompt).unwrap(),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        );
        assert_eq!(
            Marks::Llama4.around(&Prompt::Text("A".into())).unwrap(),
            "<|begin_of_text|><|header_start|>user<|header_end|>\n\nA<|eot|><|header_start|>assistant<|header_end|>\n\n"
        );
        assert_eq!(
            instructed(&prompt).unwrap(),
            "<s>[INST] S\n\nA [/INST] B </s><s>[INST] C [/INST]"
        );
    }
}
