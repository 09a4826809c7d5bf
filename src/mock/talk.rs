//! The facts of one answer that its encoder needs, settled before the first byte.
//! They do not change while the answer is sent.

use super::ask::Ask;
use super::clock;
use super::course::{Course, Finish, Gaps};
use super::fault::Fault;
use super::script::{ReasoningField, Script};
use super::words::Speech;

/// One answer, as its encoder sees it.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the switches of the wire format"
)]
pub(super) struct Talk {
    pub(super) number: u64,
    /// Plain.
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// The bytes that every event of the stream begins with, if the dialect has such.
    pub(super) head: String,
    pub(super) choices: u32,
    pub(super) tokens: u32,
    pub(super) reasoning: u32,
    pub(super) reasoning_field: ReasoningField,
    pub(super) finish: Finish,
    /// The number that is said in place of words.
    pub(super) says: Option<u32>,
    pub(super) prompt_tokens: u64,
    /// Completion tokens as the usage states them: not always the truth.
    pub(super) stated_tokens: u64,
    pub(super) role_first: bool,
    pub(super) usage: bool,
    pub(super) usage_each_event: bool,
    pub(super) usage_with_choice: bool,
    pub(super) logprobs: bool,
    pub(super) details: bool,
    pub(super) done: bool,
    /// Texts to embed, or documents to rank.
    pub(super) items: u32,
    pub(super) dimensions: Option<u32>,
    pub(super) top_n: Option<u32>,
    /// The prompt, where the answer repeats it.
    pub(super) prompt: String,
    /// From the start to the first token, and to the last, as the script has it, in ns.
    pub(super) first_token_ns: u64,
    pub(super) total_ns: u64,
    /// Fireworks' figures are wanted.
    pub(super) perf_metrics: bool,
    /// Prompt tokens that came from the cache.
    pub(super) cached_tokens: Option<u64>,
}

impl Talk {
    pub(super) fn new(script: &Script, number: u64, ask: &Ask, course: &Course) -> Self {
        let wanted = ask.include_usage || !ask.stream;
        let gaps = Gaps::new(script, number).span(course.tokens.saturating_sub(1));
        Self {
            number,
            model: ask.model.clone().unwrap_or_else(|| script.model.clone()),
            created: clock::unix_seconds(),
            head: String::new(),
            choices: ask.choices,
            tokens: course.tokens,
            reasoning: course.reasoning,
            reasoning_field: script.reasoning_field,
            finish: course.finish,
            says: course.says,
            prompt_tokens: course.prompt_tokens,
            stated_tokens: stated(course, ask.choices),
            role_first: script.role_first,
            usage: wanted && !script.usage_missing,
            usage_each_event: ask.usage_each_event && !script.usage_missing,
            usage_with_choice: script.final_usage_with_choice,
            logprobs: ask.logprobs,
            details: ask.details,
            done: !script.no_done,
            items: ask.items,
            dimensions: ask.dimensions,
            top_n: ask.top_n,
            prompt: ask.prompt.clone(),
            first_token_ns: course.first_token,
            total_ns: course.first_token.saturating_add(gaps),
            perf_metrics: ask.perf_metrics && script.is_fireworks(),
            cached_tokens: script
                .is_fireworks()
                .then(|| ask.cache_len.min(course.prompt_tokens)),
        }
    }

    pub(super) fn speech(&self, choice: u32) -> Speech {
        Speech::new(self.number, choice, self.reasoning).saying(self.says)
    }

    /// The model's name as a JSON string, with its quotes.
    pub(super) fn model_json(&self) -> String {
        serde_json::Value::from(self.model.as_str()).to_string()
    }

    /// The reasoning and the visible text of a choice.
    pub(super) fn texts(&self, choice: u32) -> (String, String) {
        let speech = self.speech(choice);
        (
            speech.text(0..self.reasoning),
            speech.text(self.reasoning..self.tokens),
        )
    }
}

fn stated(course: &Course, choices: u32) -> u64 {
    let truth = u64::from(course.tokens) * u64::from(choices);
    match course.fault {
        Some(Fault::WrongUsage(offset)) => truth.saturating_add_signed(offset),
        _ => truth,
    }
}

/// The log probability that every token is given: the mock has no doubts worth showing.
pub(super) const LOGPROB: &str = "-0.25";
