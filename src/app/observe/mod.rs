//! Who watches a run beside its tables. A task of its own follows the run's events, makes a `Standing` of them each second,
//! and hands on to views what they asked for. It never holds the run up: who cannot follow misses seconds, which are counted.

mod fold;
mod part;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::failure::Failure;
use super::journal::{self, Replayed};
use crate::cluster::{
    Epoch, Gauges, MasterCommand, MasterEvent, RunStatus, WorkerStatus, WorkerSummary,
};
use crate::domain::Offset;
use crate::gauges::Look;
use crate::metrics::{Summary, Tally, Verdict};
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::report::{Crowd, History, Standing};
use fold::Fold;

pub(super) use part::{Part, read_along};

/// How often a run is asked how it stands.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events that may wait to be followed: some for each second, and some more for each worker.
const EVENTS: usize = 4096;
/// Seconds that may wait for one who wants all of them.
const SECONDS: usize = 900;
/// Orders that are left to signals and keys.
const LEFT_TO_PEOPLE: usize = 16;

/// One merged second of a run, for who wants every one of them.
#[derive(Clone, Debug)]
pub(super) struct Second {
    /// Until when, in the run's time.
    pub(super) to: Offset,
    /// What all workers measured in it.
    pub(super) delta: Arc<Tally>,
    /// Of all workers at work, at its end.
    pub(super) crowd: Crowd,
    /// How the run stood with it.
    pub(super) standing: Arc<Standing>,
    /// Seconds before it that this listener missed, since the one that it heard before.
    pub(super) missed: u64,
}

/// What one who watches a run is given: everything that is known of it, and a way to tell it something.
#[derive(Clone)]
pub(super) struct View {
    pub(super) run: u64,
    pub(super) plan: Arc<Plan>,
    pub(super) endpoint: Arc<Endpoint>,
    /// It has workers in other processes.
    pub(super) cluster: bool,
    /// The command line that does the same again, without secrets.
    pub(super) command: Arc<str>,
    /// The last standing. Its sender goes when the run is over, after a last one of [`crate::report::LifeStage::Ended`].
    pub(super) standing: watch::Receiver<Arc<Standing>>,
    /// Second by second so far. Locked for moments.
    pub(super) history: Arc<Mutex<History>>,
    /// Tells the master; closed when the run is over.
    pub(super) orders: mpsc::Sender<MasterCommand>,
    /// The last look at the server; `None` before the first, and where nobody looks.
    pub(super) server: watch::Receiver<Option<Look>>,
}

/// A run that is about to be watched.
pub(super) struct Prospect<'a> {
    pub(super) run: u64,
    pub(super) plan: &'a Plan,
    pub(super) endpoint: &'a Endpoint,
    pub(super) cluster: bool,
    pub(super) command: String,
    pub(super) orders: mpsc::Sender<MasterCommand>,
    /// The wall clock when the master's showed zero.
    pub(super) clock_zero: OffsetDateTime,
    /// The epochs that it had, if another master began it, the first one included.
    pub(super) epochs: &'a [Epoch],
    /// The journal that tells of what it measured under that master.
    pub(super) past: Option<&'a Path>,
    /// The last look at the server.
    pub(super) server: watch::Receiver<Option<Look>>,
}

/// A run that is over, as its report has it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// `None` if it never began.
    pub(super) figures: Option<(Summary, Option<Verdict>)>,
    /// Why it did not do what was asked.
    pub(super) failure: Option<String>,
    /// Everyone who had a part in it, as they were at its end.
    pub(super) workers: Vec<WorkerSummary>,
}

/// The run's end of its watchers.
pub(super) struct Observation {
    events: mpsc::Sender<MasterEvent>,
    over: oneshot::Sender<Outcome>,
    following: JoinSet<()>,
    missed: u64,
    unheard: Arc<AtomicU64>,
}

/// A run before its start, while views are being attached.
pub(super) struct Observatory {
    view: View,
    fold: Fold,
    sender: watch::Sender<Arc<Standing>>,
    listeners: Vec<Listener>,
    /// Seconds that could not be followed.
    unheard: Arc<AtomicU64>,
    past: Option<Past>,
}

/// What tells of a run under another master.
struct Past {
    journal: PathBuf,
    clock_zero: OffsetDateTime,
    epochs: Vec<Epoch>,
}

/// Is told of each second of a run under another master, as the run stood with it.
type Retold<'a> = &'a mut dyn FnMut(Offset, &Tally, Crowd, Arc<Standing>);

struct Retelling<'a> {
    fold: Fold,
    each: Retold<'a>,
}

impl Replayed for Retelling<'_> {
    fn starting(&mut self, at: OffsetDateTime) {
        self.fold.starting(at);
    }

    fn second(&mut self, delta: &Tally, to: Offset, gauges: Gauges) {
        self.fold.second(delta, to, gauges);
        let standing = self.fold.standing();
        (self.each)(to, delta, standing.crowd, Arc::new(standing));
    }
}

struct Listener {
    queue: mpsc::Sender<Second>,
    missed: u64,
}

impl Observatory {
    pub(super) fn new(of: Prospect<'_>) -> Result<Self, Failure> {
        let plan = Arc::new(of.plan.clone());
        let mut fold = Fold::new(Arc::clone(&plan), of.clock_zero, of.epochs);
        if let Some(journal) = of.past {
            journal::replay(journal, &mut fold)?;
        }
        let (sender, standing) = watch::channel(Arc::new(fold.standing()));
        let view = View {
            run: of.run,
            plan,
            endpoint: Arc::new(of.endpoint.clone()),
            cluster: of.cluster,
            command: of.command.into(),
            standing,
            history: fold.history(),
            orders: of.orders,
            server: of.server,
        };
        Ok(Self {
            view,
            fold,
            sender,
            listeners: Vec::new(),
            unheard: Arc::default(),
            past: of.past.map(|journal| Past {
                journal: journal.to_owned(),
                clock_zero: of.clock_zero,
                epochs: of.epochs.to_vec(),
            }),
        })
    }

    /// For one who wants to know how the run stands.
    pub(super) fn view(&self) -> View {
        self.view.clone()
    }

    /// Tells of each second that another master measured, in the order in which it did. Nothing of a run that begins here.
    pub(super) fn retell(&self, each: Retold<'_>) -> Result<(), Failure> {
        let Some(past) = &self.past else {
            return Ok(());
        };
        let fold = Fold::new(Arc::clone(&self.view.plan), past.clock_zero, &past.epochs);
        journal::replay(&past.journal, &mut Retelling { fold, each })
    }

    /// For one who wants every second. It ends when the run is over.
    pub(super) fn listen(&mut self) -> mpsc::Receiver<Second> {
        let (queue, seconds) = mpsc::channel(SECONDS);
        self.listeners.push(Listener { queue, missed: 0 });
        seconds
    }

    /// Begins to follow the run.
    pub(super) fn open(self) -> Observation {
        let (events, queue) = mpsc::channel(EVENTS);
        let (over, outcome) = oneshot::channel();
        let mut following = JoinSet::new();
        let unheard = Arc::clone(&self.unheard);
        following.spawn(self.follow(queue, outcome));
        Observation {
            events,
            over,
            following,
            missed: 0,
            unheard,
        }
    }

    async fn follow(
        mut self,
        mut events: mpsc::Receiver<MasterEvent>,
        outcome: oneshot::Receiver<Outcome>,
    ) {
        // The orders that a view sends must not keep a run's channel open that is over.
        let orders = self.view.orders.clone();
        let mut looks = interval_at(Instant::now(), LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.take(&event),
                    None => break,
                },
                _ = looks.tick() => {
                    if let Some((status, workers)) = look(&orders).await {
                        self.fold.looked(&status, &workers);
                        self.publish();
                    }
                }
            }
        }
        if let Ok(outcome) = outcome.await {
            self.fold.over(outcome);
            self.publish();
        }
    }

    fn take(&mut self, event: &MasterEvent) {
        self.fold.note(event);
        let standing = self.publish();
        let MasterEvent::Merged { delta, to, .. } = event else {
            return;
        };
        let unheard = self.unheard.swap(0, Ordering::Relaxed);
        for listener in &mut self.listeners {
            listener.missed += unheard;
            listener.hear(Second {
                to: *to,
                delta: Arc::clone(delta),
                crowd: standing.crowd,
                standing: Arc::clone(&standing),
                missed: listener.missed,
            });
        }
    }

    fn publish(&self) -> Arc<Standing> {
        let standing = Arc::new(self.fold.standing());
        self.sender.send_replace(Arc::clone(&standing));
        standing
    }
}

impl Listener {
    fn hear(&mut self, second: Second) {
        match self.queue.try_send(second) {
            Ok(()) => self.missed = 0,
            Err(_) => self.missed += 1,
        }
    }
}

impl Observation {
    /// Takes note of an event. Does not wait.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        if self.events.try_send(event.clone()).is_err() {
            self.missed += 1;
            let is_second = matches!(event, MasterEvent::Merged { .. });
            self.unheard
                .fetch_add(u64::from(is_second), Ordering::Relaxed);
        }
    }

    /// The run is over. Returns when all views were told so.
    pub(super) async fn end(mut self, outcome: Outcome) {
        if self.missed > 0 {
            let missed = self.missed;
            tracing::warn!(
                "{missed} events were not shown to who watches; no figure is lost by that"
            );
        }
        drop(self.events);
        // Nobody follows any more only when that task has a defect, which it has told.
        let _told = self.over.send(outcome);
        let _ended = self.following.join_next().await;
    }
}

/// Asks the run how it stands, unless it has much to answer already.
async fn look(orders: &mpsc::Sender<MasterCommand>) -> Option<(RunStatus, Vec<WorkerStatus>)> {
    if orders.capacity() <= LEFT_TO_PEOPLE {
        return None;
    }
    let (status, told) = oneshot::channel();
    let (workers, listed) = oneshot::channel();
    orders.try_send(MasterCommand::Status(status)).ok()?;
    orders.try_send(MasterCommand::Workers(workers)).ok()?;
    Some((*told.await.ok()?, listed.await.ok()?))
}

/// The history of a run, as it is now.
pub(super) fn with_history<T>(view: &View, read: impl FnOnce(&History) -> T) -> T {
    read(&view.history.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
pub(in crate::app) mod sample;
#[cfg(test)]
mod tests;
