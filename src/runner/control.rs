//! What the outside tells the cores: what is whose, how long sending goes on, when to drop what is in flight.
//! And what the cores show of themselves while they run.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::deal::Dealt;
use crate::domain::Offset;
use crate::metrics::Window;

use Ordering::{Acquire, Relaxed, Release};

/// The run's time against this process's clock: what is due at `run` is due here when the clock shows `run` + behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunTime {
    behind_ns: i64,
}

impl RunTime {
    /// With the run's time so much behind the clock.
    pub(super) const fn behind(behind_ns: i64) -> Self {
        Self { behind_ns }
    }

    /// By how many nanoseconds the run's time is behind the clock.
    pub(super) const fn behind_ns(self) -> i64 {
        self.behind_ns
    }

    /// What the clock shows at `run`. Never stays never.
    pub(super) const fn local(self, run: Offset) -> Offset {
        let run = run.as_nanos();
        if run == u64::MAX {
            return Offset::MAX;
        }
        Offset::from_nanos(run.saturating_add_signed(self.behind_ns))
    }

    /// The run's time when the clock shows `local`.
    pub(super) const fn run(self, local: Offset) -> Offset {
        let local = local.as_nanos();
        if local == u64::MAX {
            return Offset::MAX;
        }
        Offset::from_nanos(local.saturating_add_signed(self.behind_ns.saturating_neg()))
    }
}

/// What every core carries out, in this order.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A share, dealt to the cores.
    Share(Arc<Dealt>),
    /// Sending may go on after a lease had run out: what was due before this, in the run's time, and was not begun is dropped.
    Renewed(Offset),
    /// The run was under way before this engine: what was due before this, in the run's time, is none of its business.
    Joined(Offset),
}

/// What a core knows of the outside, as of one version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) version: u64,
    pub(super) time: RunTime,
    /// Nothing is begun from then on, by the clock; `Offset::MAX` for no limit.
    pub(super) lease: Offset,
    /// When sending ends, in the run's time; `Offset::MAX` while nobody knows.
    pub(super) end: Offset,
}

/// Shared by all cores of an engine. Nothing in it is written per token.
#[derive(Debug)]
pub(super) struct Control {
    told: Mutex<Told>,
    /// Grows with each change of `told`: the one thing that is read for each request.
    version: AtomicU64,
    news: watch::Sender<()>,
    /// Copies for those who need no order: see `Terms`.
    end: AtomicU64,
    behind_ns: AtomicI64,
    /// Requests that the users took from the budget.
    taken: AtomicU64,
    defect: AtomicBool,
    /// The failure of a request before the run was told of.
    pub(super) complained: AtomicBool,
    /// Cancelled when the budget of a counted closed loop is spent.
    pub(super) spent: CancellationToken,
    /// Cancelled when all arrivals of a counted open loop came due.
    pub(super) exhausted: CancellationToken,
    /// Cancelled when what is in flight is to be dropped.
    pub(super) aborted: CancellationToken,
}

#[derive(Debug)]
struct Told {
    items: Vec<Item>,
    terms: Terms,
}

impl Control {
    /// Sending ends at `end`, in the run's time, or when somebody says so.
    pub(super) fn new(end: Option<Offset>) -> Self {
        let end = end.unwrap_or(Offset::MAX);
        let terms = Terms {
            version: 0,
            time: RunTime::default(),
            lease: Offset::MAX,
            end,
        };
        let items = Vec::new();
        Self {
            told: Mutex::new(Told { items, terms }),
            version: AtomicU64::new(0),
            news: watch::Sender::new(()),
            end: AtomicU64::new(end.as_nanos()),
            behind_ns: AtomicI64::new(0),
            taken: AtomicU64::new(0),
            defect: AtomicBool::new(false),
            complained: AtomicBool::new(false),
            spent: CancellationToken::new(),
            exhausted: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Told) -> R) -> R {
        let mut told = self.lock();
        let result = change(&mut told);
        told.terms.version += 1;
        self.end.store(told.terms.end.as_nanos(), Relaxed);
        self.behind_ns.store(told.terms.time.behind_ns, Relaxed);
        self.version.store(told.terms.version, Release);
        drop(told);
        self.news.send_replace(());
        result
    }

    /// Wakes whoever waits for a change.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The version as of now. Whoever reads a clock first and finds the version unchanged knows all that was told before.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// The terms as of now, and what is to be carried out after the first `known` items.
    pub(super) fn told_since(&self, known: usize) -> (Terms, Vec<Item>) {
        let told = self.lock();
        (told.terms, told.items[known..].to_vec())
    }

    /// The terms as of now.
    pub(super) fn terms(&self) -> Terms {
        self.lock().terms
    }

    /// One more thing to carry out. A budget that was spent before is not raised any more: the engine is at its end.
    pub(super) fn tell(&self, item: Item) {
        self.change(|told| told.items.push(item));
    }

    /// Sending may go on until the clock shows `until`; it shows `now`.
    ///
    /// A lease is never taken back. Where the last one had run out, all cores are told from when on they may send again.
    pub(super) fn lease(&self, until: Offset, now: Offset) {
        self.change(|told| {
            let terms = &mut told.terms;
            if terms.lease == Offset::MAX {
                terms.lease = until.max(now);
            } else if now < terms.lease {
                terms.lease = terms.lease.max(until);
            } else if until > now {
                terms.lease = until;
                let from = terms.time.run(now);
                told.items.push(Item::Renewed(from));
            }
        });
    }

    /// The run's time is so much behind the clock.
    pub(super) fn correct(&self, behind_ns: i64) {
        self.change(|told| told.terms.time = RunTime::behind(behind_ns));
    }

    /// How the run's time and the clock stand to each other.
    pub(super) fn time(&self) -> RunTime {
        RunTime::behind(self.behind_ns.load(Relaxed))
    }

    /// The measured window by the clock, as far as it is known. It begins at `start` in the run's time.
    pub(super) fn window(&self, start: Offset) -> Window {
        let time = self.time();
        let end = Offset::from_nanos(self.end.load(Relaxed));
        Window {
            start: time.local(start),
            end: (end != Offset::MAX).then(|| time.local(end)),
        }
    }

    /// Ends sending at `at` in the run's time, at once when that is past, unless it ends before. The clock shows `now`.
    pub(super) fn stop(&self, at: Offset, now: Offset) {
        self.change(|told| {
            let terms = &mut told.terms;
            terms.end = terms.end.min(at.max(terms.time.run(now)));
        });
    }

    /// A request's task ended by a defect of this program: its figures are missing, so the run must not pass for whole.
    pub(super) fn note_defect(&self, now: Offset) {
        self.defect.store(true, Relaxed);
        self.abort(now);
    }

    /// Whether a task ended by a defect.
    pub(super) fn has_defect(&self) -> bool {
        self.defect.load(Relaxed)
    }

    /// Ends sending, and everything in flight with it.
    pub(super) fn abort(&self, now: Offset) {
        self.stop(Offset::ZERO, now);
        self.aborted.cancel();
    }

    /// Takes one request of a budget of `budget`; `false` when there is none left.
    pub(super) fn take(&self, budget: u64) -> bool {
        self.taken
            .fetch_update(Relaxed, Relaxed, |taken| {
                (taken < budget).then_some(taken + 1)
            })
            .is_ok()
    }

    /// Whether `budget` is spent.
    pub(super) fn has_spent(&self, budget: u64) -> bool {
        self.taken.load(Relaxed) >= budget
    }

    /// The budget is spent, by what was told until `version`; `false` when more was told meanwhile.
    pub(super) fn spend_out(&self, version: u64) -> bool {
        let told = self.lock();
        let known = told.terms.version == version;
        if known {
            self.spent.cancel();
        }
        known
    }
}

/// What one core is doing, for live views.
#[derive(Debug, Default)]
pub(super) struct CoreGauges {
    pub(super) users: AtomicU32,
    pub(super) in_flight: AtomicU32,
    pub(super) waiting: AtomicU32,
}

/// Counts one while it lives.
pub(super) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    pub(super) fn new(gauge: &'a AtomicU32) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000)
    }

    fn renewals(control: &Control) -> Vec<Offset> {
        let (_, items) = control.told_since(0);
        let renewed = |item: &Item| match item {
            Item::Renewed(at) => Some(*at),
            _ => None,
        };
        items.iter().filter_map(renewed).collect()
    }

    #[test]
    fn the_runs_time_and_the_clock_are_told_apart_and_never_stays_never() {
        for behind in [0, 7_000_000, -7_000_000] {
            let time = RunTime::behind(behind);
            assert_eq!(time.run(time.local(ms(100))), ms(100));
            assert_eq!(time.local(Offset::MAX), Offset::MAX);
        }
        assert_eq!(RunTime::behind(7_000_000).local(ms(100)), ms(107));
        assert_eq!(RunTime::behind(-7_000_000).local(ms(3)), Offset::ZERO);
    }

    #[test]
    fn a_lease_is_renewed_in_time_or_leaves_a_gap_that_all_are_told_of() {
        let control = Control::new(None);
        control.correct(1_000_000);
        control.lease(ms(2_000), ms(0));
        control.lease(ms(3_000), ms(1_999));
        control.lease(ms(2_500), ms(2_000));
        assert_eq!(control.terms().lease, ms(3_000), "never taken back");
        assert_eq!(renewals(&control), []);
        control.lease(ms(2_900), ms(3_000));
        assert_eq!(
            control.terms().lease,
            ms(3_000),
            "it was over before it came"
        );
        control.lease(ms(9_000), ms(4_001));
        assert_eq!(renewals(&control), [ms(4_000)]);
        assert_eq!(control.terms().lease, ms(9_000));
    }

    #[test]
    fn sending_ends_at_the_first_end_and_never_in_the_past() {
        let control = Control::new(Some(ms(9_000)));
        control.stop(ms(10_000), ms(1_000));
        assert_eq!(control.terms().end, ms(9_000));
        control.stop(ms(5_000), ms(1_000));
        assert_eq!(control.terms().end, ms(5_000));
        control.stop(ms(1_000), ms(3_000));
        assert_eq!(control.terms().end, ms(3_000));
    }

    #[test]
    fn a_budget_is_spent_once_and_only_by_who_knows_all() {
        let control = Control::new(None);
        assert!(control.take(2) && control.take(2) && !control.take(2));
        let version = control.version();
        control.correct(1);
        assert!(!control.spend_out(version) && !control.spent.is_cancelled());
        assert!(control.take(3) && control.has_spent(3));
        assert!(control.spend_out(control.version()) && control.spent.is_cancelled());
    }
}
