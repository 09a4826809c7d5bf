//! `token-benchmark` and `correctness`: llmperf's two tests, played by the engine of `run` or the workers of `master`.
//! What their results mean and look like is the room `llmperf`'s; here are options, the playing, files, exit statuses.

mod args;
mod ml_repo;

pub(super) use args::{CORRECTNESS, TOKEN_BENCHMARK, commands};
