//! How many files the system lets this process have open: every connection is one. It opens none itself.

use anyhow::anyhow;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::failure::Failure;
use crate::client::MAX_STREAMS;
use crate::plan::{ConnectionReuse, HttpVersion, Plan};
use crate::schedule::Share;

/// Open files that are no connections: the log, results, the cluster's link, looking names up.
const RESERVE: u64 = 64;
/// Open files of a core's event loop.
const EACH_CORE: u64 = 8;

/// Raises the limit as far as the system allows without asking anybody. Where it refuses, the old one stands and
/// `check` speaks of it.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Refuses a part that needs more open files than there may be. `ends` is 2 when the server is in this process too.
pub(super) fn check(plan: &Plan, share: &Share, threads: u32, ends: u64) -> Result<(), Failure> {
    // `None` is no limit.
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(());
    };
    let cores = threads.max(1);
    let connections = connections(plan, share.users.len(), cores);
    let own = RESERVE + EACH_CORE * u64::from(cores);
    let needed = connections * ends + own;
    if needed <= limit {
        return Ok(());
    }
    let ends = if ends > 1 { ", both ends of each," } else { "" };
    let error = anyhow!(
        "{connections} connections{ends} and {own} files of its own need {needed} open files, and this process may have {limit}"
    );
    Err(Failure::usage(error).hint(format!(
        "raise the limit (`ulimit -n {needed}`), or share the users out among more workers"
    )))
}

/// The most connections that so many users have open at once.
fn connections(plan: &Plan, users: u32, cores: u32) -> u64 {
    let shares = plan.target.http == HttpVersion::Http2
        && plan.target.connection_reuse != ConnectionReuse::Never;
    if !shares {
        return u64::from(users);
    }
    // Users are dealt to cores in turn.
    (0..cores)
        .map(|core| u64::from(users.saturating_sub(core).div_ceil(cores)))
        .map(|users| users.div_ceil(MAX_STREAMS as u64))
        .sum()
}
