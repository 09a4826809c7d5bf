//! Requests that hold several texts: batches to embed, documents to rank.
//! It makes no prompts: those come in.

use std::sync::Arc;

use super::draw::{Compose, Draw};
use super::error::WorkloadError;
use super::generated::adds_up;
use super::measure::Measure;
use super::random::Scatter;
use super::words::Words;
use super::{Api, PromptSource, Spec};
use crate::domain::{Ask, Message, Prompt, Seed};

/// Made-up documents of a request where only their length is given.
const DOCUMENTS: u32 = 10;
const BLANK: &str = "\n\n";

/// What becomes of prompts.
#[derive(Debug)]
pub(super) enum Bundle {
    /// Each is a request.
    One,
    /// So many are a request.
    Texts(u64),
    /// The paragraphs of each are a request.
    Paragraphs,
    /// There are none: documents are made up.
    Documents(Filler),
}

/// Makes up documents.
#[derive(Debug)]
pub(super) struct Filler {
    scatter: Scatter,
    documents: u64,
    tokens: u32,
    seed: Seed,
}

impl Bundle {
    /// As the settings say; tells the user in `notes` what is not as asked.
    pub(super) fn new(
        spec: &Spec,
        api: Api,
        seed: Seed,
        measure: &Measure,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkloadError> {
        let batch = spec.batch;
        match api {
            Api::Chat | Api::Completion => Ok(Self::One),
            Api::Embeddings => Ok(Self::Texts(batch.texts.max(1).into())),
            Api::Rerank if batch.documents.or(batch.document_tokens).is_none() => {
                Ok(Self::Paragraphs)
            }
            Api::Rerank => {
                let documents = batch.documents.unwrap_or(DOCUMENTS).max(1);
                let tokens = match (batch.document_tokens, &spec.prompts) {
                    (Some(tokens), _) => tokens,
                    (
                        None,
                        PromptSource::Generated { tokens, .. }
                        | PromptSource::Random { tokens, .. },
                    ) => tokens / documents,
                    _ => return Err(WorkloadError::DocumentTokens),
                };
                let filler = Filler::new(documents, tokens.max(1), seed, measure, notes)?;
                Ok(Self::Documents(filler))
            }
        }
    }
}

impl Filler {
    fn new(
        documents: u32,
        tokens: u32,
        seed: Seed,
        measure: &Measure,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkloadError> {
        let words = Words::ours(measure).ok_or(WorkloadError::NoWords)?;
        let count = |text: &str| measure.text(text);
        let scatter = Scatter::new(words, tokens, &count);
        if !measure.is_exact() || !adds_up(&scatter, tokens, seed, &count) {
            notes.push(format!("documents have about {tokens} tokens each"));
        }
        Ok(Self {
            scatter,
            documents: documents.into(),
            tokens,
            seed,
        })
    }

    /// `ask` with the documents of the request that `key` names: no two of a run are equal.
    pub(super) fn fill(&self, mut ask: Ask, key: u64) -> Ask {
        let document = |nth| {
            let draw = Draw::document(self.seed, nth_key(key, nth, self.documents));
            self.scatter.compose(draw).into()
        };
        ask.prompt = Prompt::Documents((0..self.documents).map(document).collect());
        let all = self.documents * u64::from(self.tokens);
        ask.requested_prompt_tokens = u32::try_from(all).ok();
        ask.counted_prompt_tokens = None;
        ask
    }
}

/// The key of the `nth` of `of` texts of one request: the request's own where there is one text alone.
pub(super) const fn nth_key(key: u64, nth: u64, of: u64) -> u64 {
    key.wrapping_mul(of).wrapping_add(nth)
}

/// One request of the texts of `asks`, with the fields and the output length of the first.
pub(super) fn texts(asks: impl Iterator<Item = Ask>) -> Option<Ask> {
    let asks: Vec<Ask> = asks.collect();
    let sum = |of: fn(&Ask) -> Option<u32>| asks.iter().map(of).sum::<Option<u32>>();
    let (requested, counted) = (
        sum(|ask| ask.requested_prompt_tokens),
        sum(|ask| ask.counted_prompt_tokens),
    );
    let texts = asks.iter().map(|ask| text(&ask.prompt)).collect();
    let mut first = asks.into_iter().next()?;
    first.prompt = Prompt::Batch(texts);
    first.requested_prompt_tokens = requested;
    first.counted_prompt_tokens = counted;
    Some(first)
}

/// One request of the paragraphs of the text of `ask`. What a server counts holds the query too, once or with each.
pub(super) fn paragraphs(mut ask: Ask) -> Ask {
    let text = text(&ask.prompt);
    let documents = text
        .split(BLANK)
        .map(str::trim)
        .filter(|part| !part.is_empty());
    ask.prompt = Prompt::Documents(documents.map(Arc::from).collect());
    ask.counted_prompt_tokens = None;
    ask
}

/// What is said in `prompt`, as one text.
fn text(prompt: &Prompt) -> Arc<str> {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => {
            let said: Vec<&str> = messages.iter().map(said).collect();
            said.join(BLANK).into()
        }
        _ => "".into(),
    }
}

fn said(message: &Message) -> &str {
    &message.content
}
