//! What `OpenAI`'s events and bodies say, and those of the many servers that speak like it.
//! It knows nothing of requests or framing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors::{error_code, excerpt, words_of};
use super::super::figures::Figures;
use super::super::json::{Count, Few, Text, parse};
use super::super::mold::Mold;
use super::super::reader::{Dialect, Out};
use super::super::reasons::finish_reason;
use crate::domain::{ContentKind, Usage};
use crate::provider::{DecodeError, Fields};

/// Choices whose progress is followed; an index comes from the server and must not size a buffer.
const MAX_CHOICES: usize = 1024;

/// An event of a stream, or a whole body: its choices have a `delta` or a `message`.
///
/// These structures are moved at each step of parsing, so what is rare in them is boxed.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Few<Choice<'a>>>,
    usage: Option<Box<Counts>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    /// Fireworks' figures.
    #[serde(borrow)]
    perf_metrics: Option<&'a RawValue>,
    /// Where Together's whole bodies have the rest.
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Box<Delta<'a>>>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    logprobs: Option<Box<Logprobs>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Text<'a>,
    #[serde(default, borrow)]
    reasoning_content: Text<'a>,
    #[serde(default, borrow)]
    reasoning: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    tool_calls: Option<Box<Few<ToolCall<'a>>>>,
    #[serde(borrow)]
    function_call: Option<Box<Function<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default, borrow)]
    arguments: Text<'a>,
}

/// Chat: `content` and `refusal`; completions: `tokens`.
#[derive(Deserialize)]
struct Logprobs {
    content: Option<Count>,
    refusal: Option<Count>,
    tokens: Option<Count>,
}

impl Logprobs {
    fn count(&self) -> Option<u32> {
        [self.content, self.refusal, self.tokens]
            .into_iter()
            .flatten()
            .map(|count| count.0)
            .reduce(u32::saturating_add)
    }
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// `DeepSeek`'s name for cached tokens.
    prompt_cache_hit_tokens: Option<u32>,
    /// `SGLang`'s place for reasoning tokens.
    reasoning_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u32>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let cached = self.prompt_tokens_details.as_ref();
        let reasoning = self.completion_tokens_details.as_ref();
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cached_tokens: cached
                .and_then(|details| details.cached_tokens)
                .or(self.prompt_cache_hit_tokens),
            reasoning_tokens: reasoning
                .and_then(|details| details.reasoning_tokens)
                .or(self.reasoning_tokens),
        }
    }
}

/// How far one choice is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    finished: bool,
    /// Its tokens up to the last content event, as long as every content event told.
    counted: Option<u32>,
}

impl Progress {
    const START: Self = Self {
        finished: false,
        counted: Some(0),
    };
}

/// The state of one answer.
#[derive(Debug)]
pub(in crate::provider) struct Words {
    choices: Vec<Progress>,
    mold: Mold,
    /// What the text in the mold is, and of which choice.
    plain: (ContentKind, u32),
    /// What the server tells of its own work, until that is said.
    figures: Option<Box<Figures>>,
}

impl Words {
    /// For an answer of which `choices` were asked for; `figures` gathers what the server measured, where it tells.
    pub(in crate::provider) fn new(choices: u32, figures: Option<Box<Figures>>) -> Self {
        let choices = usize::try_from(choices).unwrap_or(MAX_CHOICES);
        Self {
            choices: vec![Progress::START; choices.clamp(1, MAX_CHOICES)],
            mold: Mold::default(),
            plain: (ContentKind::Text, 0),
            figures,
        }
    }

    fn progress(&mut self, choice: &Choice<'_>) -> Option<&mut Progress> {
        let index = usize::try_from(choice.index.unwrap_or(0)).ok()?;
        if index >= MAX_CHOICES {
            return None;
        }
        if index >= self.choices.len() {
            self.choices.resize(index + 1, Progress::START);
        }
        self.choices.get_mut(index)
    }

    /// What an event of a stream and a whole body have in common.
    fn tell(&mut self, chunk: &Chunk<'_>, data: &[u8], out: &mut Out<'_>) {
        tell_error(chunk, data, out);
        let choices = chunk.choices.iter().flat_map(Few::iter);
        for choice in choices.clone() {
            tell_content(choice, out);
        }
        let grown = self.growth(chunk, out.spoke());
        out.event_end(grown);
        for choice in choices {
            let reason = finish_reason(choice.finish_reason.as_str());
            out.finish(reason);
            if let (Some(_), Some(progress)) = (reason, self.progress(choice)) {
                progress.finished = true;
            }
        }
        let usage = chunk.usage.as_ref().map(|counts| counts.usage());
        out.usage(usage.unwrap_or_default());
        if let Some(figures) = &mut self.figures {
            figures.note_usage(usage.unwrap_or_default());
            if let Some(metrics) = chunk.perf_metrics {
                figures.read_metrics(metrics);
            }
        }
    }

    /// The answer is complete: what was gathered is said before.
    fn end(&mut self, out: &mut Out<'_>) {
        if let Some(mut figures) = self.figures.take() {
            figures.tell(out);
        }
        out.end();
    }

    /// What `tell` does with an event that is like the one in the mold.
    fn tell_plain(&mut self, text: &str, out: &mut Out<'_>) {
        let (kind, choice) = self.plain;
        out.content(kind, text, None, choice);
        out.event_end(None);
        // Content without a usage beside it: from here on its tokens are not counted event by event.
        if let Some(progress) = self.choices.get_mut(choice as usize) {
            progress.counted = None;
        }
    }

    /// Tokens of this content event by the growth of a usage sent with every event (`continuous_usage_stats`).
    ///
    /// Servers that send it count each choice for itself, so the event must have one choice. A count that
    /// comes for the first time after content without one is a total, and tells nothing of its event.
    fn growth(&mut self, chunk: &Chunk<'_>, spoke: bool) -> Option<u32> {
        let choices = chunk.choices.as_ref()?;
        let Some(choice) = choices.only() else {
            for choice in choices.iter() {
                self.progress(choice)?.counted = None;
            }
            return None;
        };
        let now = chunk
            .usage
            .as_ref()
            .and_then(|counts| counts.completion_tokens);
        let progress = self.progress(choice)?;
        let grown = progress
            .counted
            .zip(now)
            .and_then(|(before, now)| now.checked_sub(before));
        if spoke || progress.counted.is_none() {
            progress.counted = now;
        }
        grown
    }
}

/// What some deployments of Mistral's models put between the chunks: an id, and no JSON.
const STRAY: &[u8] = b"tok-";

impl Dialect for Words {
    fn head(&mut self, field: &Fields<'_>) {
        if let Some(figures) = &mut self.figures {
            figures.read_head(field);
        }
    }

    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        if data == b"[DONE]" {
            self.end(out);
            return Ok(());
        }
        if self.recognise(data, out) || data.starts_with(STRAY) {
            return Ok(());
        }
        let chunk: Chunk<'_> = parse(data)?;
        self.tell(&chunk, data, out);
        if let Some((kind, choice, text)) = plain(&chunk)
            && self.mold.learn(data, text)
        {
            self.plain = (kind, choice);
        }
        Ok(())
    }

    fn recognise(&mut self, data: &[u8], out: &mut Out<'_>) -> bool {
        let text = self.mold.text(data);
        if let Some(text) = text {
            self.tell_plain(text, out);
        }
        text.is_some()
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let mut chunk: Chunk<'_> = parse(body)?;
        if let (None, Some(output)) = (&chunk.choices, chunk.output) {
            chunk = parse(output.get().as_bytes())?;
        }
        if chunk.choices.is_none() && !is_error(&chunk) {
            return Err(DecodeError::Missing {
                field: "choices",
                excerpt: excerpt(body),
            });
        }
        self.tell(&chunk, body, out);
        self.end(out);
        Ok(())
    }

    /// Some servers send no `[DONE]` (`transformers serve`): there the end of the body is the terminal event,
    /// and a body that was cut is told apart by a choice that did not finish.
    fn close(&mut self, out: &mut Out<'_>) {
        if self.choices.iter().all(|choice| choice.finished) {
            self.end(out);
        }
    }
}

/// The only thing that an event says, where it is a piece of text of one choice and nothing is known beside it.
fn plain<'a>(chunk: &Chunk<'a>) -> Option<(ContentKind, u32, &'a str)> {
    let choice = chunk.choices.as_ref()?.only()?;
    let nothing_else = !is_error(chunk)
        && chunk.usage.is_none()
        && chunk.perf_metrics.is_none()
        && choice.logprobs.is_none()
        && choice.finish_reason.as_str().is_empty();
    let index = choice.index.unwrap_or(0);
    if !nothing_else || index as usize >= MAX_CHOICES {
        return None;
    }
    let delta = choice.delta.as_ref().or(choice.message.as_deref());
    let mut texts = texts_of(delta, choice).into_iter().flatten();
    let (kind, text) = texts.next()?;
    let has_calls = delta.is_some_and(|delta| {
        let calls = delta.tool_calls.iter().flat_map(|calls| calls.iter());
        calls.count() > 0 || delta.function_call.is_some()
    });
    (texts.next().is_none() && !has_calls).then(|| Some((kind, index, text.borrowed()?)))?
}

/// The texts of a choice that are not empty, tool calls apart.
fn texts_of<'c, 'a>(
    delta: Option<&'c Delta<'a>>,
    choice: &'c Choice<'a>,
) -> [Option<(ContentKind, &'c Text<'a>)>; 5] {
    let own = |kind, text: &'c Text<'a>| (!text.as_str().is_empty()).then_some((kind, text));
    let of = |kind, text: fn(&'c Delta<'a>) -> &'c Text<'a>| {
        delta.and_then(|delta| own(kind, text(delta)))
    };
    [
        of(ContentKind::Reasoning, |delta| &delta.reasoning_content),
        of(ContentKind::Reasoning, |delta| &delta.reasoning),
        of(ContentKind::Text, |delta| &delta.content),
        of(ContentKind::Refusal, |delta| &delta.refusal),
        own(ContentKind::Text, &choice.text),
    ]
}

fn is_error(chunk: &Chunk<'_>) -> bool {
    chunk.error.is_some() || chunk.object.as_str() == "error"
}

/// `{"error": …}`, and older vLLM's flat `{"object": "error", "message": …}`.
fn tell_error(chunk: &Chunk<'_>, data: &[u8], out: &mut Out<'_>) {
    if !is_error(chunk) {
        return;
    }
    let words = chunk.error.or(chunk.message).map(words_of);
    let words = words.as_deref().unwrap_or("error without a message");
    out.coded_error(words, error_code(data));
}

fn tell_content(choice: &Choice<'_>, out: &mut Out<'_>) {
    let index = choice.index.unwrap_or(0);
    let mut tokens = choice.logprobs.as_deref().and_then(Logprobs::count);
    let mut say = |kind, text: &Text<'_>| {
        if !text.as_str().is_empty() {
            out.content(kind, text.as_str(), tokens, index);
            tokens = tokens.map(|_| 0);
        }
    };
    let delta = choice.delta.as_ref().or(choice.message.as_deref());
    if let Some(delta) = delta {
        say(ContentKind::Reasoning, &delta.reasoning_content);
        if delta.reasoning.as_str() != delta.reasoning_content.as_str() {
            say(ContentKind::Reasoning, &delta.reasoning);
        }
        say(ContentKind::Text, &delta.content);
        say(ContentKind::Refusal, &delta.refusal);
        let calls = delta.tool_calls.iter().flat_map(|calls| calls.iter());
        let functions = calls.filter_map(|call| call.function.as_ref());
        for function in functions.chain(delta.function_call.as_deref()) {
            say(ContentKind::ToolCall, &function.arguments);
        }
    }
    // Together says the same in both places.
    let said = delta.is_some_and(|delta| delta.content.as_str() == choice.text.as_str());
    if !said {
        say(ContentKind::Text, &choice.text);
    }
    out.silent_tokens(tokens.unwrap_or(0));
}
