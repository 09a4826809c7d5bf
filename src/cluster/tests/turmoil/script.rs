//! What a seed does to a simulated network and to whom: latencies, losses, and mishaps by the millisecond.
//! It does nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;

use super::NAMES;
use crate::domain::Seed;

#[derive(Clone, Copy, Debug)]
pub(super) enum Mishap {
    /// Everything on the way to and from a worker waits.
    Hold(usize),
    /// Everything on the way to and from a worker is lost, and what is lost is not sent again: connections are broken
    /// without a word.
    Partition(usize),
    /// The end of both.
    Heal(usize),
    /// A process ends; the other side hears of it, unless the network is down.
    Crash(usize),
    /// A process begins anew, as another incarnation.
    Bounce(usize),
    CrashMaster,
}

/// What a seed does to a run.
pub(super) struct Script {
    latency: (u64, u64),
    pub(super) fail_rate: f64,
    pub(super) repair_rate: f64,
    /// By milliseconds.
    pub(super) mishaps: BTreeMap<u64, Vec<Mishap>>,
    /// Nobody dies, nothing is lost on the way, and nothing waits for as long as a lease.
    pub(super) mild: bool,
}

impl Script {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Seed(seed).stream("turmoil", 0);
        let mut below = move |n: u64| rng.next_u64() % n;
        let mild = seed.is_multiple_of(3);
        let latency = [(1, 5), (5, 40), (20, 120)][below(3) as usize];
        let fail_rate = [0.0, 0.001, 0.003][if mild { 0 } else { below(3) as usize }];
        let mut script = Self {
            latency,
            fail_rate,
            repair_rate: [1.0, 0.3][below(2) as usize],
            mishaps: BTreeMap::new(),
            mild,
        };
        if mild {
            (0..NAMES.len()).for_each(|node| {
                script.during(
                    1_000 + below(19_000),
                    100 + below(1_100),
                    Mishap::Hold,
                    node,
                );
            });
            return script;
        }
        for _ in 0..=below(3) {
            script.add(&mut below);
        }
        if below(5) == 0 {
            script.at(2_000 + below(18_000), Mishap::CrashMaster);
        }
        script
    }

    fn add(&mut self, below: &mut impl FnMut(u64) -> u64) {
        let (at, span) = (below(20_000), 200 + below(9_000));
        let node = below(NAMES.len() as u64) as usize;
        match below(7) {
            0 | 1 => self.during(at, span, Mishap::Hold, node),
            2 | 3 => self.during(at, span, Mishap::Partition, node),
            4 => self.at(at, Mishap::Bounce(node)),
            kind => {
                if kind == 5 {
                    self.during(at, span, Mishap::Partition, node);
                }
                self.at(at, Mishap::Crash(node));
                if below(2) == 0 {
                    self.at(at + span, Mishap::Bounce(node));
                }
            }
        }
    }

    fn during(&mut self, at: u64, span: u64, begin: fn(usize) -> Mishap, node: usize) {
        self.at(at, begin(node));
        self.at(at + span, Mishap::Heal(node));
    }

    fn at(&mut self, millis: u64, mishap: Mishap) {
        self.mishaps.entry(millis).or_default().push(mishap);
    }

    /// The least and the most.
    pub(super) fn latency(&self) -> (Duration, Duration) {
        let (least, most) = self.latency;
        (Duration::from_millis(least), Duration::from_millis(most))
    }

    /// Whether the master's process ends before its run.
    pub(super) fn kills_master(&self) -> bool {
        let mut all = self.mishaps.values().flatten();
        all.any(|mishap| matches!(mishap, Mishap::CrashMaster))
    }
}
