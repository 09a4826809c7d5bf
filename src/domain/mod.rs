//! The nouns that all rooms share: times, counts, seeds, requests, events, outcomes.
//! It holds data and the arithmetic on it, never a decision, a clock, or a socket.

mod answer;
mod ask;
mod index;
mod outcome;
mod percent;
mod quantity;
mod reading;
mod record;
mod secret;
mod seed;
mod shell;
mod slo;
mod span;
mod time;
mod traced;
mod trouble;
mod wire;

pub use answer::{Answer, Keep, MAX_ANSWER_TEXT, MAX_ARRIVALS};
pub use ask::{Ask, Message, Part, Prompt, Role, Turn};
pub use index::Index;
pub use outcome::{FinishReason, Outcome};
pub use percent::percent_decoded;
pub use quantity::{Rate, RateError};
pub use reading::{ContentKind, HitRate, ServerFigures, Signal, TokenSource, Usage};
pub use record::{Mark, Record};
pub use secret::{AwsSecrets, Secret, is_secret_header};
pub use seed::Seed;
pub use shell::shell_word;
pub use slo::{Slo, SloError, SloFigure};
pub use span::{SpanError, format_span, parse_span};
pub use time::Offset;
pub use traced::Traced;
pub use trouble::Warning;
pub use wire::{HttpEngine, StampSource};
