//! Master and workers in processes of their own: gRPC streams between the pure machines.
//! It moves messages and decides nothing but what a broken connection is.

mod connect;
mod control;
mod door;
mod gate;
mod listen;
mod master;
mod security;
mod session;
mod socket;
mod tickets;
mod worker;

pub use control::{ControlError, Controller};
pub use master::{Limits, ServeOptions, serve_master};
pub use security::{ClientSecurity, ClientTlsParts, Rejection, SecurityError, ServerSecurity};
pub use socket::{Accepted, BoxedIo, Dialer, Dialing, Incoming, Io};
pub use worker::{Heard, WorkerOptions, run_worker};

use std::time::Duration;

/// The metadata that ties a pulse stream to a control stream.
const TICKET: &str = "llmload-ticket";

/// HTTP/2 pings, so that a connection whose other end vanished is noticed without traffic.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_WAIT: Duration = Duration::from_secs(5);

/// Most bytes of the headers of a call or an answer: a token and a ticket fit in.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Messages that may wait for a peer that does not read. More than a worker's window of intervals;
/// a peer with a full queue is cut off.
const OUTBOUND: usize = 2_048;

/// Heartbeats that may wait; a late one is worth nothing.
const PULSES: usize = 4;

#[cfg(test)]
mod tests;
