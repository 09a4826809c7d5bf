//! Everything the mock does, as one plain value.
//! It is data; what a given request gets of it is worked out in `course`.

use std::cmp::Ordering;
use std::time::Duration;

use super::fault::FaultShare;
use super::law::{Delay, Length};

/// A script that contradicts itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScriptError {
    /// Zero where at least one is needed.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// The shares of the faults add up to more than all requests.
    #[error("the shares of the faults add up to `{0}`, more than 1")]
    Shares(f64),
    /// A rate that is not above 0.
    #[error("`{0}` is not a rate above 0")]
    Rate(f64),
    /// Timers finer than tokio's exist on Linux only.
    #[error("precise timers need Linux")]
    Precise,
}

/// The field of a delta that reasoning tokens come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ReasoningField {
    /// `reasoning_content`.
    #[default]
    #[value(name = "reasoning_content", alias = "reasoning-content")]
    ReasoningContent,
    /// `reasoning`.
    Reasoning,
    /// Both, with the same text.
    Both,
}

/// Whose names the page of metrics has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsNames {
    /// vLLM's.
    #[default]
    Vllm,
    /// vLLM's up to 0.9: the key-value cache had another.
    VllmOld,
    /// SGLang's.
    Sglang,
    /// TGI's.
    Tgi,
    /// llama.cpp's.
    #[value(name = "llamacpp")]
    LlamaCpp,
    /// There is no page.
    None,
}

/// What the mock does. The default is a demonstration: first token after 20 ms, then one each 5 ms, 64 in all.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and all combinations are wanted"
)]
pub struct Script {
    /// The model that is served; a request's own name is given back to it.
    pub model: String,
    /// `owned_by` of the model list.
    pub owned_by: String,
    /// Where all draws come from: request `k` gets the same in every run.
    pub seed: u64,
    /// From the request fully read (or admitted) to the first token.
    pub ttft: Delay,
    /// Between two tokens of a stream.
    pub inter_token: Delay,
    /// Prompt tokens a second: prompt / rate is added to the first token's time.
    pub prefill_rate: Option<f64>,
    /// Output tokens of a request, never more than it asks for; `None` for exactly what it asks for.
    pub output_tokens: Option<Length>,
    /// Where neither the script nor the request says how many.
    pub default_output_tokens: u32,
    /// Never more than this.
    pub max_output_tokens: u32,
    /// The tokens of one event.
    pub tokens_per_event: u32,
    /// All events go out at whole multiples of this since the server's start.
    pub tick: Option<Duration>,
    /// Requests that are answered at once; the others wait their turn.
    pub max_running: Option<u32>,
    /// Added to the tokens of each prompt's words.
    pub prompt_overhead: u32,
    /// Prompt tokens a word of the prompt counts for; the sum is rounded.
    pub tokens_per_word: f64,
    /// Tokens that fill the key-value cache.
    pub kv_cache_tokens: u64,
    /// A request waits until its prompt and its whole answer fit into the cache; one that never would, until the cache is empty.
    pub kv_cache_limits: bool,
    /// What the page of metrics is called.
    pub metrics_names: MetricsNames,
    /// A first event with the role alone, sent as soon as the stream begins.
    pub role_first: bool,
    /// No usage, even where it is asked for.
    pub usage_missing: bool,
    /// The event with the final usage carries a choice.
    pub final_usage_with_choice: bool,
    /// How many tokens of each answer are reasoning.
    pub reasoning_tokens: u32,
    /// Where they are written.
    pub reasoning_field: ReasoningField,
    /// A comment line (Anthropic: a ping event) this often.
    pub ping_every: Option<Duration>,
    /// Lines end in CR LF.
    pub crlf: bool,
    /// No `[DONE]` (Anthropic: no `message_stop`; TGI: no `generated_text`).
    pub no_done: bool,
    /// Events carry `mock_sent_ns`, responses `x-mock-received-ns`.
    pub stamp: bool,
    /// Timers of the kernel in place of tokio's, which are 1 ms coarse (Linux only).
    pub precise: bool,
    /// Arrival times kept, at most.
    pub keep_arrivals: usize,
    /// Requests noted, the last so many.
    pub keep_requests: usize,
    /// A number that a prompt has in words is written in digits, and nothing else.
    pub numerals: bool,
    /// Every so many-th of these numbers is wrong by one.
    pub wrong_every: Option<u64>,
    /// What goes wrong, and how often.
    pub faults: Vec<FaultShare>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            model: "mock".to_owned(),
            owned_by: "vllm".to_owned(),
            seed: 0,
            ttft: Delay::constant(Duration::from_millis(20)),
            inter_token: Delay::constant(Duration::from_millis(5)),
            prefill_rate: None,
            output_tokens: None,
            default_output_tokens: 64,
            max_output_tokens: 1_000_000,
            tokens_per_event: 1,
            tick: None,
            max_running: None,
            prompt_overhead: 0,
            tokens_per_word: 1.0,
            kv_cache_tokens: 1_000_000,
            kv_cache_limits: false,
            metrics_names: MetricsNames::default(),
            role_first: true,
            usage_missing: false,
            final_usage_with_choice: false,
            reasoning_tokens: 0,
            reasoning_field: ReasoningField::default(),
            ping_every: None,
            crlf: false,
            no_done: false,
            stamp: false,
            precise: false,
            keep_arrivals: 0,
            keep_requests: 0,
            numerals: false,
            wrong_every: None,
            faults: Vec::new(),
        }
    }
}

impl Script {
    /// Whether it plays a server of Fireworks': with its figures, and its leave to ask for no tokens at all.
    pub(super) fn is_fireworks(&self) -> bool {
        self.owned_by == "fireworks"
    }

    /// Tokens of a prompt of `words` words.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a prompt has far fewer words than 2^53"
    )]
    pub(super) fn prompt_tokens(&self, words: u64) -> u64 {
        (words as f64 * self.tokens_per_word).round() as u64 + u64::from(self.prompt_overhead)
    }

    /// Refuses what cannot be acted out.
    pub fn check(&self) -> Result<(), ScriptError> {
        let at_least_one = [
            ("tokens-per-event", self.tokens_per_event == 0),
            ("default-output-tokens", self.default_output_tokens == 0),
            ("max-output-tokens", self.max_output_tokens == 0),
            ("max-running", self.max_running == Some(0)),
            ("kv-cache-tokens", self.kv_cache_tokens == 0),
            ("wrong-every", self.wrong_every == Some(0)),
            ("tick", self.tick.is_some_and(|tick| tick.is_zero())),
            (
                "ping-every",
                self.ping_every.is_some_and(|ping| ping.is_zero()),
            ),
        ];
        if let Some((name, _)) = at_least_one.into_iter().find(|(_, zero)| *zero) {
            return Err(ScriptError::Zero(name));
        }
        if let Some(rate) = self
            .prefill_rate
            .filter(|rate| rate.partial_cmp(&0.0) != Some(Ordering::Greater))
        {
            return Err(ScriptError::Rate(rate));
        }
        let shares: f64 = self.faults.iter().map(|fault| fault.share).sum();
        // Ten shares of 0.1 add up to a little more than 1.
        if shares > 1.0 + 1e-9 {
            return Err(ScriptError::Shares(shares));
        }
        if self.precise && !cfg!(target_os = "linux") {
            return Err(ScriptError::Precise);
        }
        Ok(())
    }

    /// The number that request `number` is answered with, where it asks for one.
    pub(super) fn numeral(&self, number: u64, asked: Option<u32>) -> Option<u32> {
        let is_wrong = self
            .wrong_every
            .is_some_and(|every| number % every == every - 1);
        asked.map(|asked| asked + u32::from(is_wrong))
    }

    /// The line end of its streams.
    pub(super) fn line_end(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contradiction_is_refused() {
        let broken = |change: fn(&mut Script)| {
            let mut script = Script::default();
            change(&mut script);
            script.check().err()
        };
        assert_eq!(broken(|_| ()), None);
        assert_eq!(
            broken(|s| s.tokens_per_event = 0),
            Some(ScriptError::Zero("tokens-per-event"))
        );
        assert_eq!(
            broken(|s| s.prefill_rate = Some(0.0)),
            Some(ScriptError::Rate(0.0))
        );
        let shares = broken(|s| {
            s.faults = vec!["cut=0.6".parse().unwrap(), "drop=0.6".parse().unwrap()];
        });
        assert_eq!(shares, Some(ScriptError::Shares(1.2)));
    }
}
