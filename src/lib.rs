//! llmload as a library: benchmarks from Rust, and the rooms that the program is built of.
//!
//! Meant for use from outside, with care taken that programs go on to compile: [`embed`] (start there; what it names of the
//! rooms `cluster` and `runner` is re-exported from it, and meant for use by that name alone), [`plan`] and the settings
//! in it ([`workload`], [`schedule`] and [`provider`]'s `Spec`s), [`provider`]'s traits, [`domain`], and [`metrics`]' `Summary`,
//! `Series` and `Verdict`. Everything else is public for the binary and the tests alone, and changes without notice.
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
pub mod database;
mod doctor;
pub mod domain;
pub mod embed;
pub mod export;
pub mod gauges;
pub mod llmperf;
pub mod metrics;
pub mod mlflow;
pub mod mock;
pub mod page;
pub mod plan;
pub mod provider;
pub mod report;
pub mod runner;
pub mod schedule;
pub mod serving;
pub mod suite;
pub mod telemetry;
pub mod tui;
pub mod web;
pub mod workload;
