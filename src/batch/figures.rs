//! What an answer tells of the server's work: durations and counts from its headers and its usage.

use serde_json::Value;

/// How long a server says that its stages took, in seconds; `None` where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Durations {
    /// Waiting for the tokenizer.
    pub tokenizer_queue: Option<f64>,
    /// Tokenizing.
    pub tokenizer: Option<f64>,
    /// Waiting for the prefill.
    pub prefill_queue: Option<f64>,
    /// The prefill.
    pub prefill: Option<f64>,
    /// Waiting for the generation.
    pub generation_queue: Option<f64>,
    /// The generation.
    pub generation: Option<f64>,
    /// All of it.
    pub processing: Option<f64>,
}

impl Durations {
    /// The time of everything before the generation: what the server says of all, else the sum of the stages.
    pub fn before_generation(&self) -> Option<f64> {
        let stages = [
            self.tokenizer_queue,
            self.tokenizer,
            self.prefill_queue,
            self.prefill,
            self.generation_queue,
        ];
        let told: Vec<f64> = stages.into_iter().flatten().collect();
        self.processing
            .or_else(|| (!told.is_empty()).then(|| told.iter().sum()))
    }

    /// The longer of each stage: of requests that ran beside each other.
    #[must_use]
    pub fn longest(self, other: Self) -> Self {
        let longer = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (one, none) => one.or(none),
        };
        Self {
            tokenizer_queue: longer(self.tokenizer_queue, other.tokenizer_queue),
            tokenizer: longer(self.tokenizer, other.tokenizer),
            prefill_queue: longer(self.prefill_queue, other.prefill_queue),
            prefill: longer(self.prefill, other.prefill),
            generation_queue: longer(self.generation_queue, other.generation_queue),
            generation: longer(self.generation, other.generation),
            processing: longer(self.processing, other.processing),
        }
    }
}

/// What one answer tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The server's durations.
    pub durations: Durations,
    /// Tokens of all its prompts.
    pub prompt_tokens: Option<u64>,
    /// Of them from a cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of all its answers.
    pub completion_tokens: Option<u64>,
    /// Guesses of the first position, where the server speculates: one for each of its forward passes and answers.
    pub speculated: Option<u64>,
}

/// Reads the figures of an answer with these headers (by name, in lower case) and this body.
pub fn read_figures(header: &dyn Fn(&str) -> Option<String>, body: &Value) -> Figures {
    let told = |name: &str| header(&format!("fireworks-{name}"));
    let seconds = |name: &str| told(name)?.trim().parse::<f64>().ok();
    let count = |name: &str| told(name)?.trim().parse::<u64>().ok();
    let usage = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64);
    Figures {
        durations: Durations {
            tokenizer_queue: seconds("tokenizer-queue-duration"),
            tokenizer: seconds("tokenizer-duration"),
            prefill_queue: seconds("prefill-queue-duration"),
            prefill: seconds("prefill-duration"),
            generation_queue: seconds("generation-queue-duration"),
            generation: seconds("generation-duration"),
            processing: seconds("server-processing-time"),
        },
        prompt_tokens: usage("/usage/prompt_tokens").or_else(|| count("prompt-tokens")),
        cached_tokens: usage("/usage/prompt_tokens_details/cached_tokens")
            .or_else(|| count("cached-prompt-tokens")),
        completion_tokens: usage("/usage/completion_tokens"),
        speculated: told("speculation-acceptance").and_then(|rates| first_total(&rates)),
    }
}

/// The total of the first of `position:hits/total,…`.
fn first_total(rates: &str) -> Option<u64> {
    let first = rates.split(',').next()?;
    first.rsplit_once('/')?.1.trim().parse().ok()
}

/// How often the model ran for `batch` answers beside each other; `None` where nobody tells, or never.
pub fn forward_passes(figures: &Figures, batch: u32) -> Option<u64> {
    let all = figures.speculated.or(figures.completion_tokens)?;
    let passes = all.checked_div(u64::from(batch))?;
    (passes > 0).then_some(passes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_and_usage_are_read() {
        let header = |name: &str| match name {
            "fireworks-prefill-duration" => Some("0.5".to_owned()),
            "fireworks-tokenizer-duration" => Some("0.25".to_owned()),
            "fireworks-speculation-acceptance" => Some("1:30/80,2:9/30".to_owned()),
            "fireworks-cached-prompt-tokens" => Some("7".to_owned()),
            _ => None,
        };
        let figures = read_figures(
            &header,
            &json!({"usage": {"prompt_tokens": 9, "completion_tokens": 400}}),
        );
        assert_eq!(figures.durations.before_generation(), Some(0.75));
        assert_eq!(
            (figures.prompt_tokens, figures.cached_tokens),
            (Some(9), Some(7))
        );
        assert_eq!(forward_passes(&figures, 4), Some(20));
        let plain = Figures {
            speculated: None,
            ..figures
        };
        assert_eq!(forward_passes(&plain, 4), Some(100));
        assert_eq!(forward_passes(&Figures::default(), 4), None);
        assert_eq!(forward_passes(&plain, 401), None);
    }

    #[test]
    fn of_requests_beside_each_other_the_longest_counts() {
        let of = |prefill, generation| Durations {
            prefill,
            generation,
            ..Durations::default()
        };
        let both = of(Some(1.0), None).longest(of(Some(0.5), Some(2.0)));
        assert_eq!((both.prefill, both.generation), (Some(1.0), Some(2.0)));
    }
}
