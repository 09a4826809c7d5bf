//! The two choices of how a request goes over the wire that any room may name. Nothing here speaks or stamps.

/// Who speaks HTTP/1.1. HTTP/2 is always hyper's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpEngine {
    /// The lean engine: one read buffer a core, no task a connection.
    #[default]
    Lean,
    /// hyper, the reference.
    Hyper,
}

/// Where the stamps of received bytes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StampSource {
    /// The kernel, where it can; else a clock.
    #[default]
    Kernel,
    /// A clock that is read after each read.
    Clock,
}
