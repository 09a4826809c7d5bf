//! What a request asks for, read from its body: lengths, shape, and the count of its prompt's words.
//! The text itself is not kept.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A body that is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("the body is not the JSON of a request: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    #[error("`{name}` must be at most {most}")]
    TooMany { name: &'static str, most: u32 },
}

/// Choices that one answer may have: each has a state of its own.
const MOST_CHOICES: u32 = 1024;
/// Numbers that one vector may have.
const MOST_DIMENSIONS: u32 = 65_536;

/// What the mock wants to know of a request, in any dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the switches of the wire format"
)]
pub(super) struct Ask {
    pub(super) model: Option<String>,
    pub(super) prompt_words: u64,
    pub(super) max_tokens: Option<u32>,
    /// No answer is shorter.
    pub(super) min_tokens: u32,
    pub(super) choices: u32,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) usage_each_event: bool,
    pub(super) logprobs: bool,
    pub(super) ignore_eos: bool,
    pub(super) details: bool,
    /// Texts to embed, or documents to rank; 0 for an answer of text.
    pub(super) items: u32,
    /// Numbers of a vector.
    pub(super) dimensions: Option<u32>,
    /// Documents to give back.
    pub(super) top_n: Option<u32>,
    /// The prompt, for who repeats it; empty for others.
    pub(super) prompt: String,
    /// Fireworks' figures are wanted in the answer.
    pub(super) perf_metrics: bool,
    /// Prompt tokens that may come from a cache.
    pub(super) cache_len: u64,
    /// The number that the prompt has in words, where that is looked for.
    pub(super) numeral: Option<u32>,
}

/// Words between white space in all text of a value; a number is one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) u64);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordCounter).map(Self)
    }
}

struct WordCounter;

impl<'de> Visitor<'de> for WordCounter {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list of text, token ids, or content parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.split_whitespace().count() as u64)
    }

    fn visit_u64<E>(self, _token_id: u64) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut total = 0;
        while let Some(Words(words)) = items.next_element()? {
            total += words;
        }
        Ok(total)
    }

    /// A message or a content part: its text, not its role or its image.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<u64, A::Error> {
        let mut total = 0;
        while let Some(key) = fields.next_key::<Field>()? {
            match key {
                Field::Content | Field::Text => total += fields.next_value::<Words>()?.0,
                Field::Other => _ = fields.next_value::<IgnoredAny>()?,
            }
        }
        Ok(total)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Field {
    #[serde(alias = "parts")]
    Content,
    Text,
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
    continuous_usage_stats: bool,
}

/// The union of OpenAI's and Anthropic's fields.
#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    messages: Option<Words>,
    prompt: Option<Words>,
    #[serde(default)]
    system: Words,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    min_tokens: u32,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    /// A switch for chats, a number for completions.
    logprobs: Option<Value>,
    ignore_eos: Option<bool>,
    /// Together's word for `stream`.
    stream_tokens: Option<bool>,
    #[serde(default)]
    perf_metrics_in_response: bool,
    #[serde(default)]
    prompt_cache_max_len: u64,
}

/// What is put before a model that answers with numbers.
#[derive(Deserialize)]
struct WireVectors {
    model: Option<String>,
    #[serde(alias = "documents")]
    input: Option<Value>,
    #[serde(default)]
    query: Words,
    dimensions: Option<u32>,
    top_n: Option<u32>,
}

/// The union of the fields of Ollama, llama.cpp, Responses and Triton's generate.
#[derive(Deserialize)]
struct WireOther {
    model: Option<String>,
    #[serde(alias = "messages", alias = "input", alias = "text_input")]
    prompt: Option<Value>,
    #[serde(default)]
    options: WireOptions,
    #[serde(alias = "n_predict", alias = "max_output_tokens")]
    max_tokens: Option<u32>,
    stream: Option<bool>,
    ignore_eos: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireOptions {
    num_predict: Option<u32>,
}

/// Triton's inference protocol.
#[derive(Deserialize)]
struct WireInfer {
    inputs: Vec<WireTensor>,
}

#[derive(Deserialize)]
struct WireTensor {
    name: String,
    data: Value,
}

#[derive(Deserialize)]
struct WireTgi {
    inputs: Option<Words>,
    #[serde(default)]
    parameters: WireParameters,
}

/// What tells a container of `SageMaker`'s what it is asked for.
#[derive(Deserialize)]
struct WireContainer {
    inputs: Option<Value>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct WireConverse {
    messages: Option<Words>,
    #[serde(default)]
    system: Words,
    #[serde(default, rename = "inferenceConfig")]
    config: WireConfig,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireConfig {
    #[serde(rename = "maxTokens")]
    most: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireParameters {
    max_new_tokens: Option<u32>,
    details: bool,
}

/// Words of a value that was read as it is.
fn words_of(value: Value) -> Result<u64, AskError> {
    let Words(words) = serde_json::from_value(value)?;
    Ok(words)
}

fn at_most(name: &'static str, value: Option<u32>, most: u32) -> Result<Option<u32>, AskError> {
    match value {
        Some(value) if value > most => Err(AskError::TooMany { name, most }),
        other => Ok(other),
    }
}

fn at_least_one(name: &'static str, value: Option<u32>) -> Result<Option<u32>, AskError> {
    match value {
        Some(0) => Err(AskError::Zero(name)),
        other => Ok(other),
    }
}

impl Ask {
    /// A chat: `messages` is needed.
    pub(super) fn chat(body: &[u8]) -> Result<Self, AskError> {
        let wire: Wire = serde_json::from_slice(body)?;
        let words = wire.messages.ok_or(AskError::Missing("messages"))?;
        Self::openai(wire, words)
    }

    /// A completion: `prompt` is needed.
    pub(super) fn completion(body: &[u8]) -> Result<Self, AskError> {
        let wire: Wire = serde_json::from_slice(body)?;
        let words = wire.prompt.ok_or(AskError::Missing("prompt"))?;
        Self::openai(wire, words)
    }

    /// Anthropic's: `messages` and `max_tokens` are needed.
    pub(super) fn messages(body: &[u8]) -> Result<Self, AskError> {
        let wire: Wire = serde_json::from_slice(body)?;
        let words = wire.messages.ok_or(AskError::Missing("messages"))?;
        if wire.max_tokens.is_none() {
            return Err(AskError::Missing("max_tokens"));
        }
        let ask = Self::openai(wire, words)?;
        Ok(Self {
            choices: 1,
            include_usage: true,
            ..ask
        })
    }

    /// TGI's: `inputs` is needed; whether it streams is told by the path.
    pub(super) fn generate(body: &[u8], stream: bool) -> Result<Self, AskError> {
        let wire: WireTgi = serde_json::from_slice(body)?;
        let Words(prompt_words) = wire.inputs.ok_or(AskError::Missing("inputs"))?;
        Ok(Self {
            prompt_words,
            max_tokens: at_least_one("max_new_tokens", wire.parameters.max_new_tokens)?,
            stream,
            details: wire.parameters.details,
            ..Self::nothing()
        })
    }

    /// What a container of `SageMaker`'s takes: TGI's text, which streams only where the body says so as well as the path;
    /// lists of messages, which stream as the path says; OpenAI's chat. It always tells its counts.
    pub(super) fn sagemaker(body: &[u8], stream: bool) -> Result<Self, AskError> {
        let wire: WireContainer = serde_json::from_slice(body)?;
        let told = wire.stream == Some(true);
        let ask = match wire.inputs {
            None => Self::chat(body)?,
            Some(Value::Array(_)) => Self::generate(body, true)?,
            Some(_) => Self::generate(body, told)?,
        };
        Ok(Self {
            details: true,
            stream: ask.stream && stream,
            ..ask
        })
    }

    /// Whether a body is a chat of OpenAI's: of what takes other bodies too.
    pub(super) fn is_chat(body: &[u8]) -> bool {
        serde_json::from_slice::<Wire>(body).is_ok_and(|wire| wire.messages.is_some())
    }

    /// Bedrock's: `messages` is needed; whether it streams is told by the path.
    pub(super) fn converse(body: &[u8], stream: bool) -> Result<Self, AskError> {
        let wire: WireConverse = serde_json::from_slice(body)?;
        let Words(words) = wire.messages.ok_or(AskError::Missing("messages"))?;
        Ok(Self {
            prompt_words: words + wire.system.0,
            max_tokens: wire.config.most,
            stream,
            ..Self::nothing()
        })
    }

    /// The same as a stream.
    pub(super) fn streamed(self) -> Self {
        Self {
            stream: true,
            ..self
        }
    }

    /// Refuses a request for no tokens at all, as most servers do.
    pub(super) fn wants_something(self) -> Result<Self, AskError> {
        at_least_one("max_tokens", self.max_tokens).map(|_| self)
    }

    pub(super) const fn nothing() -> Self {
        Self {
            model: None,
            prompt_words: 0,
            max_tokens: None,
            min_tokens: 0,
            choices: 1,
            stream: false,
            include_usage: true,
            usage_each_event: false,
            logprobs: false,
            ignore_eos: false,
            details: false,
            items: 0,
            dimensions: None,
            top_n: None,
            prompt: String::new(),
            perf_metrics: false,
            cache_len: 0,
            numeral: None,
        }
    }

    /// Texts to embed, or documents to rank.
    pub(super) fn vectors(body: &[u8]) -> Result<Self, AskError> {
        let wire: WireVectors = serde_json::from_slice(body)?;
        let input = wire.input.ok_or(AskError::Missing("input"))?;
        let items = match &input {
            // The ids of one text's tokens.
            Value::Array(items) if items.iter().any(Value::is_number) => 1,
            Value::Array(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
            _ => 1,
        };
        Ok(Self {
            model: wire.model,
            prompt_words: words_of(input)? + wire.query.0,
            items,
            dimensions: at_most("dimensions", wire.dimensions, MOST_DIMENSIONS)?,
            top_n: wire.top_n,
            ..Self::nothing()
        })
    }

    /// Ollama's, llama.cpp's, Responses' and Triton's generate; `stream` is what a request means that says nothing of it.
    pub(super) fn other(body: &[u8], stream: bool) -> Result<Self, AskError> {
        let wire: WireOther = serde_json::from_slice(body)?;
        let prompt = wire.prompt.ok_or(AskError::Missing("prompt"))?;
        Ok(Self {
            model: wire.model,
            prompt: prompt.as_str().unwrap_or_default().to_owned(),
            prompt_words: words_of(prompt)?,
            max_tokens: wire.max_tokens.or(wire.options.num_predict),
            stream: wire.stream.unwrap_or(stream),
            ignore_eos: wire.ignore_eos.unwrap_or(false),
            ..Self::nothing()
        })
    }

    /// Triton's inference protocol: tensors by their names.
    pub(super) fn infer(body: &[u8]) -> Result<Self, AskError> {
        let wire: WireInfer = serde_json::from_slice(body)?;
        let tensor = |name: &str| {
            let found = wire.inputs.iter().find(|tensor| tensor.name == name)?;
            found.data.pointer("/0/0").or_else(|| found.data.get(0))
        };
        let prompt = tensor("text_input").and_then(Value::as_str);
        let prompt = prompt.ok_or(AskError::Missing("text_input"))?.to_owned();
        let max_tokens = tensor("max_tokens").and_then(Value::as_u64);
        Ok(Self {
            prompt_words: prompt.split_whitespace().count() as u64,
            prompt,
            max_tokens: max_tokens.and_then(|most| u32::try_from(most).ok()),
            ..Self::nothing()
        })
    }

    fn openai(wire: Wire, words: Words) -> Result<Self, AskError> {
        let max_tokens = wire.max_completion_tokens.or(wire.max_tokens);
        let options = wire.stream_options.unwrap_or_default();
        Ok(Self {
            model: wire.model,
            prompt_words: words.0 + wire.system.0,
            max_tokens,
            min_tokens: wire.min_tokens,
            choices: at_least_one("n", at_most("n", wire.n, MOST_CHOICES)?)?.unwrap_or(1),
            stream: wire.stream.or(wire.stream_tokens).unwrap_or(false),
            include_usage: options.include_usage,
            usage_each_event: options.include_usage && options.continuous_usage_stats,
            // A completion's `logprobs: 0` asks for the chosen token's alone.
            logprobs: !matches!(wire.logprobs, None | Some(Value::Bool(false))),
            ignore_eos: wire.ignore_eos.unwrap_or(false),
            perf_metrics: wire.perf_metrics_in_response,
            cache_len: wire.prompt_cache_max_len,
            ..Self::nothing()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_wherever_text_may_stand() {
        let count = |json: &str| serde_json::from_str::<Words>(json).unwrap().0;
        assert_eq!(count(r#""one two\nthree""#), 3);
        assert_eq!(count("[11, 12, 13]"), 3);
        assert_eq!(count(r#"["a b", "c"]"#), 3);
        let messages = r#"[{"role":"user two","content":"a b"},
            {"content":[{"type":"text","text":"c d e"},{"type":"image_url","image_url":{"url":"x y"}}]},
            {"role":"assistant","content":null}]"#;
        assert_eq!(count(messages), 5);
    }

    #[test]
    fn what_a_chat_asks_is_read() {
        let body =
            br#"{"model":"m","messages":[{"role":"user","content":"hi there"}],"max_tokens":5,
            "max_completion_tokens":7,"n":2,"stream":true,"stream_options":{"include_usage":true},
            "logprobs":true,"ignore_eos":true,"temperature":0.5,"min_tokens":6,"repetition_penalty":1.2}"#;
        let ask = Ask::chat(body).unwrap();
        assert_eq!((ask.max_tokens, ask.min_tokens), (Some(7), 6));
        assert_eq!((ask.choices, ask.prompt_words), (2, 2));
        assert!(ask.stream && ask.include_usage && ask.logprobs && ask.ignore_eos);
        assert!(!ask.usage_each_event);
    }

    #[test]
    fn what_no_memory_would_hold_is_refused() {
        let choices = |n: u32| {
            let body = format!(r#"{{"prompt":"x","n":{n}}}"#);
            Ask::completion(body.as_bytes()).map(|ask| ask.choices)
        };
        assert_eq!(choices(1024).unwrap(), 1024);
        assert_eq!(
            choices(u32::MAX).unwrap_err().to_string(),
            "`n` must be at most 1024"
        );
        let vectors = Ask::vectors(br#"{"input":"x","dimensions":4294967295}"#);
        assert_eq!(
            vectors.unwrap_err().to_string(),
            "`dimensions` must be at most 65536"
        );
    }

    #[test]
    fn what_is_missing_is_refused() {
        assert!(matches!(
            Ask::chat(b"{}"),
            Err(AskError::Missing("messages"))
        ));
        assert!(matches!(Ask::chat(b"{"), Err(AskError::Json(_))));
        let zero = Ask::completion(br#"{"prompt":"x","max_tokens":0}"#);
        let zero = zero.and_then(Ask::wants_something);
        assert!(matches!(zero, Err(AskError::Zero("max_tokens"))));
        let bare = Ask::messages(br#"{"messages":[]}"#);
        assert!(matches!(bare, Err(AskError::Missing("max_tokens"))));
    }
}
