//! Shares as protobuf and back. A share that no master would deal is an error.

use super::{WireError, pb};
use crate::domain::{Offset, Rate};
use crate::schedule::{Load, Placed, Shard, Share, UserRun, UserSet};

pub(super) fn encode(share: &Share) -> pb::Share {
    let runs = share.users.runs().iter();
    pb::Share {
        epoch: share.epoch,
        from_offset: share.from.as_nanos(),
        load: Some(load_out(share.load)),
        arrivals: share.arrivals.map(|shard| pb::Arrivals {
            index: shard.index(),
            of: shard.of(),
        }),
        users: runs
            .map(|run| pb::UserRun {
                first: run.first,
                step: run.step,
                count: run.count,
            })
            .collect(),
        starts: places_out(&share.starts),
        ends: places_out(&share.ends),
        budget: share.budget,
        target: share.target,
    }
}

pub(super) fn decode(share: pb::Share) -> Result<Share, WireError> {
    let runs = share.users.into_iter().map(|run| UserRun {
        first: run.first,
        step: run.step,
        count: run.count,
    });
    let users = UserSet::from_runs(runs.collect()).ok_or(WireError::Impossible("users"))?;
    Ok(Share {
        epoch: share.epoch,
        from: Offset::from_nanos(share.from_offset),
        load: load_in(share.load.ok_or(WireError::Missing("load"))?)?,
        arrivals: share.arrivals.map(shard_in).transpose()?,
        users,
        starts: places_in(&share.starts)?,
        ends: places_in(&share.ends)?,
        budget: share.budget,
        target: share.target,
    })
}

fn shard_in(of: pb::Arrivals) -> Result<Shard, WireError> {
    if of.index < of.of {
        Ok(Shard::new(of.index, of.of))
    } else {
        Err(WireError::Impossible("arrivals"))
    }
}

pub(super) fn load_out(load: Load) -> pb::Load {
    pb::Load {
        users: load.users,
        spawn_rate: load.spawn_rate.as_f64(),
        rate: load.rate.map(Rate::as_f64),
        paused: load.paused,
    }
}

pub(super) fn load_in(load: pb::Load) -> Result<Load, WireError> {
    let rate = |rate: f64| Rate::try_from(rate).map_err(|_| WireError::Impossible("rate"));
    Ok(Load {
        users: load.users,
        spawn_rate: rate(load.spawn_rate)?,
        rate: load.rate.map(rate).transpose()?,
        paused: load.paused,
    })
}

fn places_out(placed: &[Placed]) -> Vec<u32> {
    placed.iter().flat_map(|of| [of.user, of.place]).collect()
}

fn places_in(numbers: &[u32]) -> Result<Vec<Placed>, WireError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(WireError::Impossible("places"));
    }
    Ok(pairs
        .iter()
        .map(|&[user, place]| Placed { user, place })
        .collect())
}
