//! WHEN to ask: arrival times of an open loop, the users of a closed one, and who owns which of them.
//! Pure functions of (settings, seed, index): no clock, no socket, no knowledge of prompts or servers.

mod arrivals;
mod planned;
mod profile;
mod shard;
mod share;
mod spec;
mod users;

pub use arrivals::{Arrivals, Pace};
pub use shard::Shard;
pub use share::{Load, Placed, Share, UserRun, UserSet};
pub use spec::{AT_ONCE, Curve, Enough, Law, Pacing, Ramp, Spec, Stage, Think};
