//! What each figure should be. The numbers alone.

use super::args::Engine;
use super::figure::Target;

/// The targets of an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    /// CPU per event against the floor, streams at a token's pace.
    pub(super) paced: Target,
    /// The same, as fast as the sockets take it.
    pub(super) saturated: Target,
    /// CPU per request of one token against the floor.
    pub(super) one_token: Target,
    /// KiB per open stream.
    pub(super) memory: Target,
    /// CPU per request at 10,000 streams against 1,000.
    pub(super) scale: Target,
    /// Events a second with two threads against one.
    pub(super) cores: Target,
    /// Error of a stamp in microseconds: the median, and the 99th percentile.
    pub(super) error_p50: Target,
    pub(super) error_p99: Target,
    /// 99th percentile of the lateness against a bare timer's.
    pub(super) lateness: Target,
    /// Percent of a core that a master uses for 1,000 workers.
    pub(super) master_cpu: Target,
    /// MiB that it has resident for them.
    pub(super) master_memory: Target,
    /// CPU per worker with the most of them against that with the fewest.
    pub(super) flat: Target,
    /// Leases that ended before they were renewed, and workers that were missed.
    pub(super) missed: Target,
}

impl Targets {
    pub(super) const fn of(engine: Engine) -> Self {
        let (paced, saturated, memory) = match engine {
            Engine::Lean => (1.3, 1.5, 8.0),
            Engine::Hyper => (1.45, 2.5, 24.0),
        };
        Self {
            paced: Target::AtMost(paced),
            saturated: Target::AtMost(saturated),
            one_token: Target::AtMost(1.25),
            memory: Target::AtMost(memory),
            scale: Target::AtMost(1.2),
            cores: Target::AtLeast(1.8),
            error_p50: Target::AtMost(10.0),
            error_p99: Target::AtMost(50.0),
            lateness: Target::AtMost(1.5),
            master_cpu: Target::AtMost(25.0),
            master_memory: Target::AtMost(512.0),
            flat: Target::AtMost(1.2),
            missed: Target::AtMost(0.0),
        }
    }
}
