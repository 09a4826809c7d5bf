//! MANY MACHINES, ONE RUN: a master that deals a plan's schedule and merges what is measured, and workers that carry it out.
//!
//! `master`, `worker`, `deal`, `membership`, `ledger`, `outbox` and `clock` are pure machines and decide everything; `net` and `local`
//! move bytes and values between them and decide nothing; `journal` is what a master writes down; `wire` checks what comes from another process. How a request is
//! sent is not known here: an engine plugs into `port`.

mod clock;
mod deal;
mod engine;
mod journal;
mod ledger;
mod local;
mod master;
mod membership;
mod message;
mod net;
mod outbox;
mod port;
mod result;
mod shell;
mod status;
mod wire;
mod worker;

pub use clock::Clock;
pub use deal::Epoch;
pub use engine::{EngineCommand, EngineEvent};
pub use journal::{Broken, Frame, Past, Standing};
pub use local::run_local;
pub use master::{
    Change, Halt, Input as MasterInput, Master, MasterConfig, OnLoss, Output as MasterOutput,
    Refusal,
};
pub use membership::ConnId;
pub use message::*;
pub use net::{
    Accepted, BoxedIo, ClientSecurity, ClientTlsParts, ControlError, Controller, Dialer, Dialing,
    Heard, Incoming, Io, Limits, Rejection, SecurityError, ServeOptions, ServerSecurity,
    WorkerOptions, run_worker, serve_master,
};
pub use port::{EngineEnd, EnginePort, ProcessClock, engine_port};
pub use result::{EndedBy, MasterEvent, RunResult, Snapshot, WorkerState, WorkerSummary};
pub use shell::{ClusterError, JournalPort, MasterCommand, WorkerCommand};
pub use status::{Coming, Quantiles, RecentRate, RunPhase, RunStatus, WorkerStatus};
pub use wire::{
    JournalError, JournalHeader, JournalReader, Tear, Torn, WireError, journal_frame, journal_head,
    journal_notes,
};
pub use worker::{
    HEARTBEAT, Input as WorkerInput, Output as WorkerOutput, Worker, WorkerConfig, WorkerExit,
};

/// Most bytes of one message: forty histograms at their largest, and errors, fit in.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
