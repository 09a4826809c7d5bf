//! What is found before a long run: values that were read come in, findings with words and hints go out. It reads nothing, asks
//! nobody, and decides on no exit status.

mod clock;
mod finding;
mod listing;
mod machine;
mod server;
mod way;

pub(crate) use clock::{Steps, Synchronised, stamps, steps, synchronised, timers};
pub(crate) use finding::{Exam, Finding, Part};
pub(crate) use listing::{json, text};
pub(crate) use machine::{
    Cores, Files, Memory, Ports, contention, cores, disk, files, governor, memory, needed_memory,
    ports, quota_of, room_of, shares_of,
};
pub(crate) use server::{Asked, Listed, counts, ending, model, replied, streaming};
pub(crate) use way::{Leg, Walked, way};
