//! The mock's command line options, and the script they make.
//! They start nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::fault::FaultShare;
use super::law::{Delay, Length, parse_duration};
use super::script::{MetricsNames, ReasoningField, Script, ScriptError};

/// The kinds of `--fault`, for its help: brackets in a doc comment would be links.
const FAULT_KINDS: &str = "A fault and its share of requests; may be repeated. Kinds: status[:CODE], rate-limit[:SECONDS], slow-start[:SPAN], stall[:TOKENS,SPAN], cut[:TOKENS], drop[:TOKENS], drop-before, malformed[:TOKENS], error-in-stream[:TOKENS], empty, wrong-usage[:OFFSET], short[:TOKENS], hang";

/// Options of the mock server.
#[derive(Clone, Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub struct MockArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::from(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Port to listen on; 0 for any free one
    #[arg(short, long, value_name = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Threads that answer, each with its own event loop
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Name of the served model
    #[arg(long, value_name = "NAME", default_value = "mock")]
    pub model: String,
    /// `owned_by` in the list of models, by which clients recognise an engine
    #[arg(long, value_name = "NAME", default_value = "vllm")]
    pub owned_by: String,
    /// Seed of all draws: request k gets the same in every run
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Time to the first token: 20ms, uniform(10ms,30ms), exp(5ms), normal(20ms,3ms), lognormal(MEDIAN,SIGMA)
    #[arg(long, value_name = "LAW", default_value = "20ms")]
    pub ttft: Delay,
    /// Time between tokens, written like --ttft
    #[arg(long, value_name = "LAW", default_value = "5ms")]
    pub inter_token: Delay,
    /// Prompt tokens a second: adds prompt tokens / rate to the first token's time
    #[arg(long, value_name = "TOKENS/S")]
    pub prefill_rate: Option<f64>,
    /// Output tokens: a number or a law without units; absent: what each request asks for
    #[arg(long, value_name = "LAW")]
    pub output_tokens: Option<Length>,
    /// Output tokens where a request asks for no number
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub default_output_tokens: u32,
    /// Never more output tokens than this
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub max_output_tokens: u32,
    /// Tokens in each event
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub tokens_per_event: u32,
    /// Send the events of all streams on a common tick, as the steps of an engine do
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    pub tick: Option<Duration>,
    /// Requests answered at once; the others wait in a queue
    #[arg(long, value_name = "N")]
    pub max_running: Option<u32>,
    /// Tokens added to the words of each prompt
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub prompt_overhead: u32,
    /// Prompt tokens that each word of a prompt counts for; about 1.27 for English as real tokenizers have it
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub tokens_per_word: f64,
    /// Tokens that fill the key-value cache
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub kv_cache_tokens: u64,
    /// Let requests wait until prompt and answer fit into what is free of the cache
    #[arg(long)]
    pub kv_cache_limits: bool,
    /// Whose names /metrics has; none: there is no such page
    #[arg(long, value_name = "SERVER", value_enum, default_value_t)]
    pub metrics_names: MetricsNames,
    /// Begin streams with an event of the role alone (the default)
    #[arg(long, overrides_with = "no_role_first")]
    pub role_first: bool,
    /// Begin streams with their first token
    #[arg(long)]
    pub no_role_first: bool,
    /// Leave the usage out, even where it is asked for
    #[arg(long)]
    pub usage_missing: bool,
    /// Put a choice into the event of the final usage
    #[arg(long)]
    pub final_usage_with_choice: bool,
    /// Tokens of each answer that are reasoning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reasoning_tokens: u32,
    /// The field of reasoning tokens
    #[arg(long, value_name = "FIELD", value_enum, default_value_t)]
    pub reasoning_field: ReasoningField,
    /// Send a comment line (Anthropic: a ping event) this often
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    pub ping_every: Option<Duration>,
    /// End lines with CR LF
    #[arg(long)]
    pub crlf: bool,
    /// Leave the terminal event out
    #[arg(long)]
    pub no_done: bool,
    /// Put the time of sending into each event and the time of receipt into each response
    #[arg(long)]
    pub stamp: bool,
    /// Wait on the kernel's timers rather than on coarse ones of 1 ms (Linux)
    #[arg(long)]
    pub precise: bool,
    /// Arrival times kept for /stats, at most
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_arrivals: usize,
    /// Requests noted for /stats, the last so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_requests: usize,
    /// Answer a task with a number in English words by its digits, as `llmload correctness` asks for them
    #[arg(long)]
    pub numerals: bool,
    /// Write every N-th of these numbers wrong, from the N-th request on
    #[arg(long, value_name = "N", requires = "numerals", value_parser = clap::value_parser!(u64).range(1..))]
    pub wrong_every: Option<u64>,
    /// A fault and its share of requests; may be repeated.
    #[arg(long_help = FAULT_KINDS, long = "fault", value_name = "KIND=SHARE[:PARAM]")]
    pub faults: Vec<FaultShare>,
}

impl MockArgs {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// The script these options make.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn script(&self) -> Result<Script, ScriptError> {
        if self.threads == 0 {
            return Err(ScriptError::Zero("threads"));
        }
        let script = Script {
            model: self.model.clone(),
            owned_by: self.owned_by.clone(),
            seed: self.seed,
            ttft: self.ttft,
            inter_token: self.inter_token,
            prefill_rate: self.prefill_rate,
            output_tokens: self.output_tokens,
            default_output_tokens: self.default_output_tokens,
            max_output_tokens: self.max_output_tokens,
            tokens_per_event: self.tokens_per_event,
            tick: self.tick,
            max_running: self.max_running,
            prompt_overhead: self.prompt_overhead,
            tokens_per_word: self.tokens_per_word,
            kv_cache_tokens: self.kv_cache_tokens,
            kv_cache_limits: self.kv_cache_limits,
            metrics_names: self.metrics_names,
            role_first: !self.no_role_first,
            usage_missing: self.usage_missing,
            final_usage_with_choice: self.final_usage_with_choice,
            reasoning_tokens: self.reasoning_tokens,
            reasoning_field: self.reasoning_field,
            ping_every: self.ping_every,
            crlf: self.crlf,
            no_done: self.no_done,
            stamp: self.stamp,
            precise: self.precise,
            keep_arrivals: self.keep_arrivals,
            keep_requests: self.keep_requests,
            numerals: self.numerals,
            wrong_every: self.wrong_every,
            faults: self.faults.clone(),
        };
        script.check().map(|()| script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        mock: MockArgs,
    }

    fn script(options: &str) -> Script {
        let argv = std::iter::once("mock").chain(options.split_whitespace());
        Cli::try_parse_from(argv).unwrap().mock.script().unwrap()
    }

    #[test]
    fn no_options_make_the_default_script() {
        assert_eq!(script(""), Script::default());
    }

    #[test]
    fn options_reach_the_script() {
        let got = script(
            "--ttft exp(5ms) --output-tokens uniform(3,9) --no-role-first --tick 10ms --reasoning-field reasoning \
             --fault cut=0.1:4 --fault hang=0.2 --max-running 8 --kv-cache-limits --metrics-names llamacpp",
        );
        assert_eq!(got.ttft, "exp(5ms)".parse().unwrap());
        assert_eq!(got.output_tokens, Some("uniform(3,9)".parse().unwrap()));
        assert!(!got.role_first);
        assert_eq!(got.tick, Some(Duration::from_millis(10)));
        assert_eq!(got.reasoning_field, ReasoningField::Reasoning);
        assert_eq!(got.faults.len(), 2);
        assert_eq!(got.max_running, Some(8));
        assert!(got.kv_cache_limits);
        assert_eq!(got.metrics_names, MetricsNames::LlamaCpp);
        assert!(script("--no-role-first --role-first").role_first);
    }
}
