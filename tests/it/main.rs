//! The product from outside: the wire against servers, the binary against the mock, a cluster of processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests read clocks and the environment as they like"
)]

mod accuracy;
mod aws;
mod batch;
#[cfg(target_os = "linux")]
mod bench;
mod clients;
mod columns;
mod command;
mod compare;
mod connections;
mod control;
mod conversations;
mod correctness;
mod counts;
mod dataset;
mod datasets;
mod disk;
mod doctor;
mod documents;
mod embed;
mod enough;
mod epochs;
mod errors;
mod export;
mod faults;
mod fields;
mod files;
mod flags;
mod gauges;
mod google;
mod health;
mod http2;
mod hub;
mod journal;
mod kept;
#[cfg(target_os = "linux")]
mod keys;
mod known_figures;
mod llmperf;
mod manual;
mod pacing;
mod page;
mod peers;
mod ports;
mod process;
mod providers;
mod rates;
mod rig;
mod same;
mod schedule;
mod secrets;
mod server;
mod serving;
mod signals;
mod stay;
mod strangers;
mod sweep;
mod telemetry;
#[cfg(target_os = "linux")]
mod terminal;
mod timeouts;
mod tiny;
mod told;
mod tracing;
mod unreachable;
mod verdict;
mod warnings;
mod web;
mod wire;
