//! `token-benchmark` and `correctness`: llmperf's two tests, played by the engine of `run` or the workers of `master`.
//! What their results mean and look like is the room `llmperf`'s; here are options, the playing, files, exit statuses.

mod args;
mod artifacts;
mod conduct;
mod correctness;
mod ml_repo;
mod play;
mod progress;
mod results;
mod settings;
#[cfg(test)]
mod tests;
mod token_benchmark;

pub(super) use args::{
    CORRECTNESS, TOKEN_BENCHMARK, commands, given_of, has_workers, with_options_of,
};
pub(super) use correctness::correctness;
pub(super) use settings::logging;
pub(super) use token_benchmark::token_benchmark;
