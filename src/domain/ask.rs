//! What one request asks for, before anybody knows in which words an API wants it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The content of one request: a function of (seed, index).
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What the model is told.
    pub prompt: Prompt,
    /// How many output tokens to ask for. 0 asks for none (a cache warm-up).
    pub max_tokens: u32,
    /// Prompt length that the settings asked for, in tokens, where they did.
    pub requested_prompt_tokens: Option<u32>,
    /// Prompt length counted by the tokenizer before the run, with the chat template's overhead.
    pub counted_prompt_tokens: Option<u32>,
    /// Fields merged into the request body last: a data set row's own settings.
    pub extra: Option<Arc<Map<String, Value>>>,
    /// The text that the model is made to say, where the API can do that.
    pub forced: Option<Arc<str>>,
    /// Which turn of which conversation it is. A later turn's prompt holds its new messages alone: who sends it puts the
    /// history before them, with the server's own answers.
    pub turn: Option<Turn>,
}

/// What is put before a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// One text; a chat API gets it as a single user message.
    Text(Arc<str>),
    /// A conversation; a completion API gets its contents joined by blank lines.
    Messages(Arc<[Message]>),
    /// One user message of texts and images, in their order. Of chat APIs alone.
    Parts(Arc<[Part]>),
    /// The ids of tokens, for a completion API that takes them.
    Tokens(Arc<[u32]>),
    /// Texts to embed in one request.
    Batch(Arc<[Arc<str>]>),
    /// Documents to rank in one request.
    Documents(Arc<[Arc<str>]>),
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(Arc<str>),
    /// An image, as a `data:` URI.
    Image(Arc<str>),
}

/// A place in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Which conversation of the run.
    pub session: u64,
    /// Which turn of it, from 0.
    pub number: u32,
    /// How many turns it has.
    pub of: u32,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}
