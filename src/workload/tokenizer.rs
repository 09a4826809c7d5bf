//! Counting tokens the way the server does: a model's tokenizer with its chat template.
//! It is made of bytes that somebody else read, and it makes no prompts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::template::ChatTemplate;
use crate::domain::{Message, Prompt, Role};

/// A text that every usable tokenizer must take, so that counting cannot fail later.
const PROBE: &str = "Hello, world! 123\n\n\t{\"\u{e9}\": \u{4f60}\u{597d} \u{1f680}}";

#[cfg(test)]
std::thread_local! {
    /// Texts that this thread had counted, to see that none are while requests are sent.
    pub(super) static COUNTED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Content that is no tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// `tokenizer.json` cannot be understood.
    #[error("not a tokenizer: {0}")]
    Malformed(String),
    /// It was read but refuses text.
    #[error("the tokenizer cannot encode plain text: {0}")]
    Refuses(String),
    /// `tokenizer_config.json` is no JSON object.
    #[error("not a tokenizer configuration: {0}")]
    Config(#[source] serde_json::Error),
}

/// The files that make a tokenizer, read already.
#[derive(Clone, Copy, Debug)]
pub struct TokenizerFiles<'a> {
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// `tokenizer_config.json`, which may hold a chat template and names the special tokens.
    pub config: Option<&'a str>,
    /// `chat_template.jinja`; it goes before the one in the configuration.
    pub template: Option<&'a str>,
}

/// A model's tokenizer, and its chat template if it has one.
#[derive(Debug)]
pub struct Tokenizer {
    name: String,
    sha256: String,
    inner: tokenizers::Tokenizer,
    template: Option<ChatTemplate>,
    chat_overhead: Option<u32>,
    template_trouble: Option<String>,
}

impl Tokenizer {
    /// A tokenizer of the content of its files. A chat template that cannot be rendered is left out
    /// (see [`Self::template_trouble`]).
    pub fn new(name: &str, files: TokenizerFiles<'_>) -> Result<Self, TokenizerError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(files.tokenizer)
            .map_err(|error| TokenizerError::Malformed(error.to_string()))?;
        // A file may ask for its training set-up's truncation and padding; servers count whole texts.
        inner
            .with_truncation(None)
            .map_err(|error| TokenizerError::Malformed(error.to_string()))?;
        inner.with_padding(None);
        inner
            .encode_fast(PROBE, true)
            .map_err(|error| TokenizerError::Refuses(error.to_string()))?;
        let mut tokenizer = Self {
            name: name.to_owned(),
            sha256: hex(&Sha256::digest(files.tokenizer)),
            inner,
            template: None,
            chat_overhead: None,
            template_trouble: None,
        };
        tokenizer.adopt_template(files)?;
        Ok(tokenizer)
    }

    fn adopt_template(&mut self, files: TokenizerFiles<'_>) -> Result<(), TokenizerError> {
        let config: Map<String, Value> = match files.config {
            Some(text) => serde_json::from_str(text).map_err(TokenizerError::Config)?,
            None => Map::new(),
        };
        let own = files.template.map(str::to_owned);
        let Some(source) = own.or_else(|| template_of(&config)) else {
            return Ok(());
        };
        let probe = [user_message("Hello")];
        let ready = ChatTemplate::new(source, special_tokens(&config))
            .and_then(|template| Ok((template.render(&probe)?, template)));
        match ready {
            Ok((text, template)) => {
                let around = self.count(&text).saturating_sub(self.count("Hello"));
                self.chat_overhead = u32::try_from(around).ok();
                self.template = Some(template);
            }
            Err(error) => self.template_trouble = Some(error.to_string()),
        }
        Ok(())
    }

    /// What it was asked for by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of `tokenizer.json`, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Tokens of `text` without special tokens.
    pub fn count(&self, text: &str) -> usize {
        self.tokens(text, false)
    }

    /// Tokens that the chat template adds around one user message, beginning-of-text included; `None`
    /// without a (working) chat template, when nobody but the server knows.
    pub const fn chat_overhead(&self) -> Option<u32> {
        self.chat_overhead
    }

    /// Why the chat template that came with the tokenizer is not used.
    pub fn template_trouble(&self) -> Option<&str> {
        self.template_trouble.as_deref()
    }

    /// Tokens of `prompt` as the server counts them.
    ///
    /// Chat: the rendered template (which holds its special tokens itself); `None` without a template, or where
    /// it refuses the conversation. Completions: the text with the special tokens that the tokenizer's
    /// post-processor adds.
    pub fn count_prompt(&self, prompt: &Prompt, chat: bool) -> Option<u32> {
        let tokens = match prompt {
            Prompt::Text(text) if chat => self.count_chat(&[user_message(text)])?,
            Prompt::Text(text) => self.tokens(text, true),
            Prompt::Messages(messages) if chat => self.count_chat(messages)?,
            Prompt::Messages(messages) => self.tokens(&joined(messages), true),
            _ => return None,
        };
        u32::try_from(tokens).ok()
    }

    /// Words of ASCII letters that the vocabulary holds, in the order of their ids; added tokens are left out.
    pub(super) fn words(&self) -> Vec<String> {
        let mut ids: Vec<u32> = self.inner.get_vocab(false).into_values().collect();
        ids.sort_unstable();
        let mut seen = BTreeSet::new();
        ids.iter()
            .filter_map(|id| self.inner.decode(&[*id], true).ok())
            .map(|text| text.trim().to_owned())
            .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()))
            .filter(|word| seen.insert(word.clone()))
            .collect()
    }

    fn count_chat(&self, messages: &[Message]) -> Option<usize> {
        Some(self.count(&self.rendered(messages)?))
    }

    /// A conversation as the model reads it, up to the place where its answer begins; `None` without a template, or where that
    /// refuses it.
    pub(super) fn rendered(&self, messages: &[Message]) -> Option<String> {
        self.template.as_ref()?.render(messages).ok()
    }

    /// The ids of `text`.
    pub(super) fn encoded(&self, text: &str, special: bool) -> Vec<u32> {
        let encoding = self.inner.encode_fast(text, special);
        encoding.map_or_else(|_| Vec::new(), |encoding| encoding.get_ids().to_vec())
    }

    /// The parts of `text` that its tokens stand for.
    pub(super) fn pieces<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let encoding = self.inner.encode(text, false);
        encoding.map_or_else(
            |_| Vec::new(),
            |encoding| {
                let offsets = encoding.get_offsets().iter();
                offsets
                    .filter_map(|&(from, to)| text.get(from..to))
                    .collect()
            },
        )
    }

    /// The text of `ids`.
    #[cfg(test)]
    pub(super) fn decoded(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, false).unwrap()
    }

    /// The probe of `new` excludes a tokenizer that fails on ordinary text.
    fn tokens(&self, text: &str, special: bool) -> usize {
        #[cfg(test)]
        COUNTED.set(COUNTED.get() + 1);
        self.inner
            .encode_fast(text, special)
            .map_or(0, |encoding| encoding.len())
    }
}

pub(super) fn user_message(text: &str) -> Message {
    Message {
        role: Role::User,
        content: text.to_owned(),
    }
}

/// As completion APIs get a conversation.
pub(super) fn joined(messages: &[Message]) -> String {
    let contents: Vec<_> = messages.iter().map(|m| m.content.as_str()).collect();
    contents.join("\n\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A configuration holds one template, or a list of named ones of which `default` is for conversations.
fn template_of(config: &Map<String, Value>) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(named) => named
            .iter()
            .find(|entry| entry["name"] == "default")
            .and_then(|entry| entry["template"].as_str())
            .map(str::to_owned),
        _ => None,
    }
}

/// `bos_token` and the like: a string, or an object whose `content` it is.
fn special_tokens(config: &Map<String, Value>) -> BTreeMap<String, String> {
    config
        .iter()
        .filter(|(name, _)| name.ends_with("_token"))
        .filter_map(|(name, value)| {
            let text = value.as_str().or_else(|| value["content"].as_str())?;
            Some((name.clone(), text.to_owned()))
        })
        .collect()
}
