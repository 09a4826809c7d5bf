//! llmload as a library: its rooms, for the binary and the tests. No promise of a stable interface.
//!
#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod batch;
pub mod bench;
pub mod chart;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod config;
pub mod domain;
pub mod embed;
pub mod llmperf;
pub mod metrics;
pub mod mlflow;
pub mod mock;
pub mod plan;
pub mod provider;
pub mod report;
pub mod runner;
pub mod schedule;
pub mod suite;
pub mod workload;
