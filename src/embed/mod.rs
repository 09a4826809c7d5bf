//! A benchmark from Rust: a plan goes in, a summary and the records come out. The same engine and the same in-process cluster as
//! `llmload run`; it prints nothing and reads no environment.
