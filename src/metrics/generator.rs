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

/// Bits of a core's number that tell it from the other cores of its worker.
const CORE_BITS: u32 = 12;
/// Cores of one worker at most.
pub const MAX_CORES: u32 = 1 << CORE_BITS;

/// The number of a worker's core in the whole cluster. Those of the first worker are the core's own.
pub const fn core_number(worker: u32, core: u32) -> u32 {
    (worker << CORE_BITS) | (core & (MAX_CORES - 1))
}

/// A core's name for people: its number, and which worker's it is unless that is the first one's.
pub fn core_name(number: u32) -> String {
    let (worker, core) = (number >> CORE_BITS, number & (MAX_CORES - 1));
    if worker == 0 {
        core.to_string()
    } else {
        format!("{core} of worker {}", worker + 1)
    }
}

impl Generator {
    /// Adds everything of `other`.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.reads, other.reads);
        add(&mut self.kernel_stamped, other.kernel_stamped);
        add(&mut self.events, other.events);
        add(&mut self.shared, other.shared);
        add(&mut self.clock_steps, other.clock_steps);
        for (&core, load) in &other.cores {
            self.cores.entry(core).or_default().merge(*load);
        }
        self.machine.merge(other.machine);
    }

    /// Share of the reads that the kernel stamped; `None` while there was no read.
    pub fn kernel_stamped_share(&self) -> Option<f64> {
        share(self.kernel_stamped, self.reads)
    }

    /// Whether the delays in `ReceiveLag` are the event loop's: no read had a stamp to tell its own.
    pub const fn has_loop_lag(&self) -> bool {
        self.kernel_stamped == 0
    }

    /// Share of the content events that bear the stamp of a later one; `None` while there was no event.
    pub fn shared_share(&self) -> Option<f64> {
        share(self.shared, self.events)
    }

    /// The core with the highest share of busy time, the first of equals, among those with `least_wall_ns` of observed time.
    pub fn busiest(&self, least_wall_ns: u64) -> Option<(u32, CoreLoad)> {
        let observed = self
            .cores
            .iter()
            .filter(|(_, load)| load.wall_ns >= least_wall_ns);
        let mut busiest: Option<(f64, u32, CoreLoad)> = None;
        for (&core, &load) in observed {
            let Some(busy) = load.busy_share() else {
                continue;
            };
            if busiest.is_none_or(|(most, ..)| busy > most) {
                busiest = Some((busy, core, load));
            }
        }
        busiest.map(|(_, core, load)| (core, load))
    }
}

impl CoreLoad {
    /// Adds the time of `other`.
    pub fn merge(&mut self, other: Self) {
        add(&mut self.wall_ns, other.wall_ns);
        add(&mut self.cpu_ns, other.cpu_ns);
        add(&mut self.kept_waiting_ns, other.kept_waiting_ns);
    }

    /// Share of the time in which the thread ran or wanted to; `None` when nothing was observed.
    pub fn busy_share(&self) -> Option<f64> {
        share(
            self.cpu_ns.saturating_add(self.kept_waiting_ns),
            self.wall_ns,
        )
    }

    /// Share of the time in which the thread wanted to run and something else had the processor.
    pub fn kept_waiting_share(&self) -> Option<f64> {
        share(self.kept_waiting_ns, self.wall_ns)
    }
}

impl Machine {
    /// Adds the time of `other`, and widens the range of clock rates.
    pub fn merge(&mut self, other: Self) {
        add(&mut self.ticks, other.ticks);
        add(&mut self.stolen, other.stolen);
        self.mhz = match (self.mhz, other.mhz) {
            (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
            (one, other) => one.or(other),
        };
    }

    /// Share of the processor time that a hypervisor gave to somebody else; `None` where the system does not tell.
    pub fn stolen_share(&self) -> Option<f64> {
        share(self.stolen, self.ticks)
    }
}

/// Sums stop at the highest number instead of starting anew: that keeps merging associative whatever a worker sends.
const fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no more than 53 bits"
)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::btree_map;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn core() -> impl Strategy<Value = CoreLoad> {
        any::<[u64; 3]>().prop_map(|[wall_ns, cpu_ns, kept_waiting_ns]| CoreLoad {
            wall_ns,
            cpu_ns,
            kept_waiting_ns,
        })
    }

    fn machine() -> impl Strategy<Value = Machine> {
        (any::<[u64; 2]>(), option::of(any::<[u32; 2]>())).prop_map(|([a, b], mhz)| Machine {
            ticks: a.max(b),
            stolen: a.min(b),
            mhz: mhz.map(|[a, b]| (a.min(b), a.max(b))),
        })
    }

    prop_compose! {
        /// Any measurements that can be, sums at their limit included.
        pub(crate) fn any_generator()(
            reads in any::<[u64; 2]>(), events in any::<[u64; 2]>(), clock_steps in any::<u64>(),
            cores in btree_map(any::<u32>(), core(), 0..5), machine in machine(),
        ) -> Generator {
            Generator {
                reads: reads[0].max(reads[1]),
                kernel_stamped: reads[0].min(reads[1]),
                events: events[0].max(events[1]),
                shared: events[0].min(events[1]),
                clock_steps,
                cores,
                machine,
            }
        }
    }

    prop_compose! {
        /// Few core numbers, so that two of these have some in common.
        fn overlapping()(
            one in any_generator(), cores in btree_map(0..4_u32, core(), 0..4),
        ) -> Generator {
            Generator { cores, ..one }
        }
    }

    fn merged(one: &Generator, other: &Generator) -> Generator {
        let mut sum = one.clone();
        sum.merge(other);
        sum
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_commutative_with_the_empty_one_as_identity(
            a in overlapping(), b in overlapping(), c in overlapping(),
        ) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &Generator::default()), a.clone());
            prop_assert_eq!(merged(&Generator::default(), &a), a);
        }
    }

    #[test]
    fn no_two_cores_of_a_cluster_have_one_number() {
        let numbers = [(0, 0), (0, MAX_CORES - 1), (1, 0), (7, 3)].map(|(w, c)| core_number(w, c));
        assert_eq!(numbers, [0, 4_095, 4_096, 28_675]);
        assert_eq!(
            numbers.map(core_name),
            ["0", "4095", "0 of worker 2", "3 of worker 8"]
        );
    }

    #[test]
    fn cores_are_added_by_their_number_and_the_rest_by_its_kind() {
        let load = |wall_ns, cpu_ns, kept_waiting_ns| CoreLoad {
            wall_ns,
            cpu_ns,
            kept_waiting_ns,
        };
        let of = |cores: &[(u32, CoreLoad)], mhz| Generator {
            reads: 10,
            kernel_stamped: 9,
            events: 8,
            shared: 2,
            clock_steps: 1,
            cores: cores.iter().copied().collect(),
            machine: Machine {
                ticks: 100,
                stolen: 3,
                mhz,
            },
        };
        let one = of(
            &[(0, load(100, 20, 5)), (2, load(100, 1, 0))],
            Some((800, 900)),
        );
        let other = of(
            &[(2, load(100, 3, 0)), (7, load(50, 40, 10))],
            Some((850, 1_000)),
        );
        let both = merged(&one, &other);
        assert_eq!((both.reads, both.kernel_stamped), (20, 18));
        assert_eq!((both.events, both.shared, both.clock_steps), (16, 4, 2));
        assert_eq!(both.cores[&2], load(200, 4, 0));
        assert_eq!(both.cores.len(), 3);
        assert_eq!(both.machine.mhz, Some((800, 1_000)));
        assert_eq!(both.machine.stolen_share(), Some(0.03));
        assert_eq!(both.kernel_stamped_share(), Some(0.9));
        assert_eq!(both.shared_share(), Some(0.25));
        assert_eq!(both.busiest(0), Some((7, load(50, 40, 10))));
        assert_eq!(both.busiest(100), Some((0, load(100, 20, 5))));
        assert_eq!(both.busiest(500), None);
        assert_eq!(load(50, 40, 10).busy_share(), Some(1.0));
        assert_eq!(load(50, 40, 10).kept_waiting_share(), Some(0.2));
        assert_eq!(CoreLoad::default().busy_share(), None);
    }
}
