//! `bench-suite`, `benchmark` and `report DIR`: the bench suite of a serving API, played by the engine of `run` or the workers
//! of `master`. What its figures are and what its report says is the room `serving`'s.

mod again;
mod args;
mod backend;
mod carrier;
mod course;
mod draw;
mod layers;
mod one_run;
mod progress;
mod prompts;
mod server;
mod settings;
mod single;
mod store;
mod suite;
mod table;
mod target;
mod watch;

pub(super) use again::{again, is_of_a_suite};
pub(super) use args::{BENCH_SUITE, BENCHMARK, ReportingArgs, commands};
pub(super) use single::benchmark;
pub(super) use suite::bench_suite;
