//! The engine: schedule × workload × provider × client → records, folded into tallies where they are born.
//! One thread and one current-thread runtime a core; cores share nothing that is written per token.
//! It knows no master: whoever starts it takes a tally a second from it.

mod authority;
mod carry;
mod closed;
mod conduct;
mod control;
mod core;
mod counting;
mod crew;
mod deal;
mod dialogue;
mod engine;
mod lag;
mod load;
mod meter;
mod open;
mod pacer;
mod reading;
mod rehearsal;
mod spares;
mod steer;
mod walk;
mod warm;
mod watchdog;

pub use authority::{Authority, AuthorityError};
pub use engine::{Engine, EngineError, Job, Slice, Standby};
