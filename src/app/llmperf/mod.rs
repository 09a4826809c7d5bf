//! llmperf's tests as commands.

#[expect(dead_code, reason = "the commands that log come with the next step")]
mod ml_repo;
