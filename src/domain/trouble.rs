//! The warnings of a run: each kind is said once, with a count at the end.

use serde::{Deserialize, Serialize};

/// A kind of doubt about the figures, with the wording that a report prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The answer had another number of tokens than asked for.
    TokensDifferFromAsked,
    /// Two sources of the output token count disagree.
    TokenCountsDisagree,
    /// No source told how many output tokens there were.
    TokensUnknown,
    /// The prompt's length as the server counts it is off from the one asked for.
    PromptLengthOff,
    /// A request was due while all users were busy.
    UsersTooFew,
    /// A content event came after the terminal event.
    EventAfterEnd,
    /// A request was sent more than 1 ms after it was due although a user was free.
    SentLate,
    /// A queue of the generator was full and work was done on the measuring thread.
    GeneratorQueueFull,
    /// The server closed a kept connection just as a request was sent on it; the request went out again.
    SentAgain,
    /// The prompt was not found in an answer that repeats it, and could not be cut off.
    EchoMissing,
    /// The server's account of speculated tokens cannot be read.
    SpeculationUnreadable,
}

impl Warning {
    /// All of them, in report order.
    pub const ALL: [Self; 11] = [
        Self::TokensDifferFromAsked,
        Self::TokenCountsDisagree,
        Self::TokensUnknown,
        Self::PromptLengthOff,
        Self::UsersTooFew,
        Self::EventAfterEnd,
        Self::SentLate,
        Self::GeneratorQueueFull,
        Self::SentAgain,
        Self::EchoMissing,
        Self::SpeculationUnreadable,
    ];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokensDifferFromAsked => "tokens_differ_from_asked",
            Self::TokenCountsDisagree => "token_counts_disagree",
            Self::TokensUnknown => "tokens_unknown",
            Self::PromptLengthOff => "prompt_length_off",
            Self::UsersTooFew => "users_too_few",
            Self::EventAfterEnd => "event_after_end",
            Self::SentLate => "sent_late",
            Self::GeneratorQueueFull => "generator_queue_full",
            Self::SentAgain => "sent_again",
            Self::EchoMissing => "echo_missing",
            Self::SpeculationUnreadable => "speculation_unreadable",
        }
    }

    /// The warning with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|warning| warning.name() == name)
    }

    /// What it means and what to do, for a person.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TokensDifferFromAsked => {
                "wrong number of output tokens: the answer was shorter or longer than --max-tokens (an early end token?); \
                 hint: a provider that can ignore the end token (--provider vllm), or a prompt that does not end early"
            }
            Self::TokenCountsDisagree => {
                "output token counts disagree (usage, logprobs, tokenizer); hint: is --tokenizer the model's own?"
            }
            Self::TokensUnknown => {
                "output tokens unknown: the server sent no usage; hint: --tokenizer counts them on this side"
            }
            Self::PromptLengthOff => {
                "prompt length as the server counts it differs from -p; hint: --tokenizer with the model's own tokenizer"
            }
            Self::UsersTooFew => {
                "not enough users to keep up with the desired QPS: requests waited for a free one"
            }
            Self::EventAfterEnd => {
                "content arrived after the terminal event of a stream and was ignored"
            }
            Self::SentLate => {
                "requests were sent more than 1 ms after they were due although a user was free: \
                 the generator itself is late; hint: fewer streams on this machine, or more workers"
            }
            Self::GeneratorQueueFull => {
                "a queue inside the generator was full, and its work was done on the measuring thread; \
                 hint: fewer streams on this machine, or no --tokenizer"
            }
            Self::SentAgain => {
                "the server closed a kept connection just as a request was sent on it and answered nothing; the request \
                 was sent once more on a new connection; hint: --connection-reuse never"
            }
            Self::EchoMissing => {
                "prompt not found in the output: nothing was cut off, and what is counted may have the prompt in it; \
                 hint: does the server leave the prompt out (exclude_input_in_output)?"
            }
            Self::SpeculationUnreadable => {
                "the server's speculation-acceptance cannot be read and was left out"
            }
        }
    }
}
