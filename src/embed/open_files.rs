//! How many files a part of a run needs open: every connection is one. It opens none itself and changes no limit.

use rustix::process::{Resource, getrlimit};

use super::error::Error;
use crate::client::MAX_STREAMS;
use crate::plan::{ConnectionReuse, HttpVersion, Plan};
use crate::schedule::Share;

/// Open files that are no connections: the log, results, the cluster's link, looking names up.
const RESERVE: u64 = 64;
/// Open files of a core's event loop.
const EACH_CORE: u64 = 8;

/// Refuses a part that needs more open files than there may be. `ends` is 2 when the server is in this process too.
pub(super) fn check(plan: &Plan, share: &Share, threads: u32, ends: u64) -> Result<(), Error> {
    // `None` is no limit.
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(());
    };
    let target = &plan.target;
    let (http, reuse) = (target.http, target.connection_reuse);
    let (connections, own) = needed(http, reuse, share.users.len(), threads);
    let needed = connections * ends + own;
    if needed <= limit {
        return Ok(());
    }
    Err(Error::OpenFiles {
        connections,
        both_ends: ends > 1,
        own,
        needed,
        limit,
    })
}

/// The connections of so many users of a plan, and the open files that are none.
pub(crate) fn needed(
    http: HttpVersion,
    reuse: ConnectionReuse,
    users: u32,
    threads: u32,
) -> (u64, u64) {
    let cores = threads.max(1);
    let own = RESERVE + EACH_CORE * u64::from(cores);
    (connections(http, reuse, users, cores), own)
}

/// The most connections that so many users have open at once.
fn connections(http: HttpVersion, reuse: ConnectionReuse, users: u32, cores: u32) -> u64 {
    let shares = http == HttpVersion::Http2 && reuse != ConnectionReuse::Never;
    if !shares {
        return u64::from(users);
    }
    // Users are dealt to cores in turn.
    (0..cores)
        .map(|core| u64::from(users.saturating_sub(core).div_ceil(cores)))
        .map(|users| users.div_ceil(MAX_STREAMS as u64))
        .sum()
}
