//! placeholder
#![allow(missing_docs)]
pub mod client;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod metrics;
pub mod plan;
pub mod provider;
pub mod runner;
pub mod schedule;
pub mod workload;
