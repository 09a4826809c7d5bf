//! What `InvokeModel`'s chunks and bodies say: the maker's own words, and Bedrock's account beside them.
//! It knows nothing of requests or framing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::events::{self, nanoseconds, whole_prompt};
use super::makers::Maker;
use crate::domain::{ContentKind, ServerFigures, Usage};
use crate::provider::errors::excerpt;
use crate::provider::json::{Few, Text, parse};
use crate::provider::reader::{Dialect, Framing, Out};
use crate::provider::reasons::finish_reason;
use crate::provider::{DecodeError, Fields, anthropic, openai};

/// The field of Bedrock's account in the last chunk.
const ACCOUNT: &[u8] = b"\"amazon-bedrock-invocationMetrics\"";

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Words {
    inner: Inner,
    /// The account in the head of a whole answer.
    account: Account,
    /// The bytes of a chunk, kept so that the next one needs no new ones.
    bytes: Vec<u8>,
}

/// The maker's words.
#[derive(Debug)]
enum Inner {
    Claude(anthropic::Words),
    Nova(events::Words),
    OpenAi(Box<openai::decode::Words>),
    /// All others: pieces of text, of which some come with the model's count so far.
    Plain {
        counted: u32,
    },
}

impl Words {
    pub(super) fn new(maker: Maker) -> Self {
        let inner = match maker {
            Maker::Claude => Inner::Claude(anthropic::Words),
            Maker::Nova => Inner::Nova(events::Words::default()),
            Maker::OpenAi | Maker::Jamba => {
                Inner::OpenAi(Box::new(openai::decode::Words::new(1, None)))
            }
            Maker::Titan | Maker::Llama(_) | Maker::Mistral | Maker::CommandR | Maker::Command => {
                Inner::Plain { counted: 0 }
            }
        };
        Self {
            inner,
            account: Account::default(),
            bytes: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    bytes: Text<'a>,
}

/// The last chunk, as far as it is Bedrock's.
#[derive(Deserialize)]
struct Last {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    account: Option<Account>,
}

/// What Bedrock tells of one invocation.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    input_token_count: Option<u32>,
    output_token_count: Option<u32>,
    cache_read_input_token_count: Option<u32>,
    cache_write_input_token_count: Option<u32>,
    invocation_latency: Option<u64>,
    first_byte_latency: Option<u64>,
}

impl Account {
    fn read_head(field: &Fields<'_>) -> Self {
        let number = |name: &str| {
            str::from_utf8(field(name)?)
                .ok()?
                .trim()
                .parse::<u32>()
                .ok()
        };
        Self {
            input_token_count: number("x-amzn-bedrock-input-token-count"),
            output_token_count: number("x-amzn-bedrock-output-token-count"),
            cache_read_input_token_count: number("x-amzn-bedrock-cache-read-input-token-count"),
            cache_write_input_token_count: number("x-amzn-bedrock-cache-write-input-token-count"),
            invocation_latency: number("x-amzn-bedrock-invocation-latency").map(u64::from),
            first_byte_latency: None,
        }
    }

    fn tell(&self, out: &mut Out<'_>) {
        let cached = [
            self.cache_read_input_token_count,
            self.cache_write_input_token_count,
        ];
        out.usage(Usage {
            prompt_tokens: self
                .input_token_count
                .map(|fresh| whole_prompt(fresh, cached)),
            completion_tokens: self.output_token_count,
            cached_tokens: self.cache_read_input_token_count,
            ..Usage::default()
        });
        out.server(&ServerFigures {
            total_ns: self.invocation_latency.map(nanoseconds),
            first_token_ns: self.first_byte_latency.map(nanoseconds),
            ..ServerFigures::default()
        });
    }
}

impl Dialect for Words {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn head(&mut self, field: &Fields<'_>) {
        self.account = Account::read_head(field);
    }

    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let chunk: Chunk<'_> = parse(data)?;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        STANDARD
            .decode_vec(chunk.bytes.as_str(), &mut bytes)
            .map_err(|error| DecodeError::Frame {
                cause: format!("a chunk's bytes are not Base64: {error}"),
            })?;
        if memchr::memmem::find(&bytes, ACCOUNT).is_some() {
            let last: Last = parse(&bytes)?;
            last.account.unwrap_or_default().tell(out);
        }
        let told = self.inner.chunk(&bytes, out);
        self.bytes = bytes;
        told
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        self.account.tell(out);
        match &mut self.inner {
            Inner::Claude(words) => words.whole(body, out),
            Inner::Nova(_) => events::whole(body, out),
            Inner::OpenAi(words) => words.whole(body, out),
            Inner::Plain { .. } => {
                let plain: Plain<'_> = parse(body)?;
                if !plain.is_known() {
                    return Err(DecodeError::Missing {
                        field: "text",
                        excerpt: excerpt(body),
                    });
                }
                plain.tell_text(out);
                out.event_end(plain.usage().completion_tokens);
                out.finish(plain.reason());
                out.usage(plain.usage());
                out.end();
                Ok(())
            }
        }
    }

    fn close(&mut self, out: &mut Out<'_>) {
        match &mut self.inner {
            Inner::Claude(words) => words.close(out),
            Inner::Nova(words) => words.over(out),
            Inner::OpenAi(words) => words.close(out),
            // Its last chunk says why it stopped, or it was cut.
            Inner::Plain { .. } => {}
        }
    }
}

/// An event of Nova's: one of the fields is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NovaEvent<'a> {
    #[serde(borrow)]
    content_block_delta: Option<&'a RawValue>,
    #[serde(borrow)]
    message_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl Inner {
    fn chunk(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        match self {
            Self::Claude(words) => words.event(data, out),
            Self::OpenAi(words) => words.event(data, out),
            Self::Nova(words) => {
                let event: NovaEvent<'_> = parse(data)?;
                for (name, payload) in [
                    ("contentBlockDelta", event.content_block_delta),
                    ("messageStop", event.message_stop),
                    ("metadata", event.metadata),
                ] {
                    if let Some(payload) = payload {
                        words.tell(name, payload.get().as_bytes(), out)?;
                    }
                }
                Ok(())
            }
            Self::Plain { counted } => {
                let plain: Plain<'_> = parse(data)?;
                plain.tell_text(out);
                let usage = plain.usage();
                let told = usage
                    .completion_tokens
                    .map(|all| all.saturating_sub(*counted));
                *counted = usage.completion_tokens.unwrap_or(*counted);
                out.event_end(told);
                out.usage(usage);
                let reason = plain.reason();
                out.finish(reason);
                if reason.is_some() || plain.is_finished {
                    out.end();
                }
                Ok(())
            }
        }
    }
}

/// A chunk or a whole body of Titan, Llama, Mistral or Command: none has a field that means something else to another.
#[derive(Deserialize)]
struct Plain<'a> {
    /// Titan's stream.
    #[serde(rename = "outputText", borrow)]
    output_text: Option<Text<'a>>,
    #[serde(rename = "completionReason", default, borrow)]
    completion_reason: Text<'a>,
    #[serde(rename = "inputTextTokenCount")]
    input_text_token_count: Option<u32>,
    #[serde(rename = "totalOutputTextTokenCount")]
    total_output_text_token_count: Option<u32>,
    /// Titan's body.
    #[serde(borrow)]
    results: Option<Few<TitanResult<'a>>>,
    /// Llama.
    #[serde(borrow)]
    generation: Option<Text<'a>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    prompt_token_count: Option<u32>,
    generation_token_count: Option<u32>,
    /// Mistral; Command's body has the same in `generations`.
    #[serde(borrow, alias = "generations")]
    outputs: Option<Few<Output<'a>>>,
    /// Command's stream, and Command R.
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    #[serde(default)]
    is_finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TitanResult<'a> {
    token_count: Option<u32>,
    #[serde(default, borrow)]
    output_text: Text<'a>,
    #[serde(default, borrow)]
    completion_reason: Text<'a>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
}

impl Plain<'_> {
    const fn is_known(&self) -> bool {
        self.results.is_some()
            || self.generation.is_some()
            || self.outputs.is_some()
            || self.text.is_some()
            || self.output_text.is_some()
    }

    fn tell_text(&self, out: &mut Out<'_>) {
        let alone = [&self.output_text, &self.generation, &self.text];
        let results = self
            .results
            .iter()
            .flat_map(Few::iter)
            .map(|it| it.output_text.as_str());
        let outputs = self
            .outputs
            .iter()
            .flat_map(Few::iter)
            .map(|it| it.text.as_str());
        let alone = alone.into_iter().flatten().map(Text::as_str);
        for text in alone.chain(results).chain(outputs) {
            out.content(ContentKind::Text, text, None, 0);
        }
    }

    fn usage(&self) -> Usage {
        let titan = || self.results.as_ref()?.only()?.token_count;
        let counted = self
            .generation_token_count
            .or(self.total_output_text_token_count);
        Usage {
            prompt_tokens: self.prompt_token_count.or(self.input_text_token_count),
            completion_tokens: counted.or_else(titan),
            ..Usage::default()
        }
    }

    /// Why the model stopped, once it has.
    fn reason(&self) -> Option<crate::domain::FinishReason> {
        let inside = [
            self.results
                .iter()
                .flat_map(Few::iter)
                .map(|it| &it.completion_reason)
                .next(),
            self.outputs
                .iter()
                .flat_map(Few::iter)
                .map(|it| &it.stop_reason)
                .next(),
            self.outputs
                .iter()
                .flat_map(Few::iter)
                .map(|it| &it.finish_reason)
                .next(),
        ];
        let alone = [
            &self.completion_reason,
            &self.stop_reason,
            &self.finish_reason,
        ];
        let words = alone.into_iter().chain(inside.into_iter().flatten());
        let word = words.map(Text::as_str).find(|word| !word.is_empty())?;
        finish_reason(match word {
            "FINISH" | "COMPLETE" => "stop",
            "STOP_CRITERIA_MET" => "stop_sequence",
            "LENGTH" | "MAX_TOKENS" => "length",
            "CONTENT_FILTERED" | "ERROR_TOXIC" => "content_filter",
            other => other,
        })
    }
}
