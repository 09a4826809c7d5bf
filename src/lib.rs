//! placeholder
#![allow(missing_docs)]
pub mod cluster;
pub mod domain;
pub mod metrics;
pub mod mock;
pub mod plan;
pub mod provider;
pub mod schedule;
pub mod workload;
