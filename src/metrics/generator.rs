//! What the generator measured of itself: how busy its cores were, and what its stamps are worth.
//! It judges nothing; how late it sent and read is in the series `SendDelay` and `ReceiveLag` of each phase.

use std::collections::BTreeMap;

/// One share's measurements of the generator, inside the measured window.
///
/// `merge` is associative and commutative, with the empty one as identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// Reads that brought bytes of an answer.
    pub reads: u64,
    /// Those of `reads` whose bytes the kernel stamped; the others were stamped by reading a clock after the read.
    pub kernel_stamped: u64,
    /// Content events.
    pub events: u64,
    /// Those of `events` that bear the stamp of a later one, because one read returned both.
    pub shared: u64,
    /// Steps of the wall clock that were noticed; for a moment after each, stamps were clock reads.
    pub clock_steps: u64,
    /// Each core that sends, by its number in the whole cluster.
    pub cores: BTreeMap<u32, CoreLoad>,
    /// The machines under the workers.
    pub machine: Machine,
}

/// What a core's thread did with its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreLoad {
    /// Time that was observed, in nanoseconds.
    pub wall_ns: u64,
    /// Time on a processor, in nanoseconds.
    pub cpu_ns: u64,
    /// Time spent ready to run while something else had the processor, in nanoseconds; 0 where the system does not tell.
    pub kept_waiting_ns: u64,
}

/// What the system told of the processors below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Processor time of all kinds, idle included, in clock ticks of the system.
    pub ticks: u64,
    /// Those of `ticks` that a hypervisor gave to somebody else.
    pub stolen: u64,
    /// The lowest and highest clock rate seen of any processor, in MHz, where the system tells.
    pub mhz: Option<(u32, u32)>,
}

impl Generator {
    /// Adds everything of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.reads += other.reads;
        self.kernel_stamped += other.kernel_stamped;
        self.events += other.events;
        self.shared += other.shared;
        self.clock_steps += other.clock_steps;
        for (&core, load) in &other.cores {
            self.cores.entry(core).or_default().merge(*load);
        }
        self.machine.merge(other.machine);
    }
}

impl CoreLoad {
    fn merge(&mut self, other: Self) {
        self.wall_ns += other.wall_ns;
        self.cpu_ns += other.cpu_ns;
        self.kept_waiting_ns += other.kept_waiting_ns;
    }

    /// Share of the time in which the thread ran or wanted to; `None` when nothing was observed.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no more than 53 bits"
    )]
    pub fn busy_share(&self) -> Option<f64> {
        let wanted = self.cpu_ns + self.kept_waiting_ns;
        (self.wall_ns > 0).then(|| wanted as f64 / self.wall_ns as f64)
    }
}

impl Machine {
    fn merge(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.stolen += other.stolen;
        self.mhz = match (self.mhz, other.mhz) {
            (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
            (one, other) => one.or(other),
        };
    }
}
