//! One run that is ready to be played, from its first event to its exit status. What it is made of is `session`'s matter.

use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;

use anyhow::{Context as _, anyhow};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::changes::Changes;
use super::conduct::{Conductor, ORDERS, Said};
use super::console::Console;
use super::failure::Failure;
use super::finish::{Ending, Judged, Rules, finish};
use super::journal::{self, Writing};
use super::live::Live;
use super::observe::Prospect;
use super::played::{Played, Showing};
use super::prepare::speak;
use super::screen::{Screen, Shown};
use super::signals::Signal;
use super::views::Views;
use super::watch::Watch;
use crate::cluster::{ClusterError, EndedBy, Epoch, MasterCommand, MasterEvent, RunResult};
use crate::config::Settings;
use crate::embed::Aftermath;
use crate::gauges::Look;
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::schedule::Load;
use crate::suite::Trend;

/// Events that may wait to be shown.
const EVENTS: usize = 256;

/// A run that is ready to be played, alone or with a cluster.
pub(super) struct Stage<'a> {
    pub(super) run: u64,
    pub(super) settings: Settings,
    pub(super) plan: Plan,
    pub(super) cluster: bool,
    pub(super) serving: Option<JoinHandle<Aftermath<Failure>>>,
    pub(super) signals: mpsc::Receiver<Signal>,
    /// The wall clock when the master's showed zero.
    pub(super) clock_zero: OffsetDateTime,
    pub(super) writing: Option<Writing>,
    /// Another master began it, and the journal tells what it showed.
    pub(super) goes_on: bool,
    /// The address to look at the server from.
    pub(super) source: Option<IpAddr>,
    /// The epochs that it made.
    pub(super) epochs: Vec<Epoch>,
    pub(super) showing: Showing<'a>,
}

impl Stage<'_> {
    pub(super) async fn play<F>(
        mut self,
        perform: impl FnOnce(mpsc::Receiver<MasterCommand>, mpsc::Sender<MasterEvent>) -> F,
    ) -> Result<Played, Failure>
    where
        F: Future<Output = Result<RunResult, ClusterError>>,
    {
        let (endpoint, mut screen) = self.open()?;
        let (control, told) = mpsc::channel(ORDERS);
        let (events, mut happening) = mpsc::channel(EVENTS);
        let (glance, server) = watch::channel(None);
        let mut views = self.views(&endpoint, control.clone(), server).await?;
        let mut conductor = screen.conductor(control, self.signals, &self.plan);
        // Who plays many runs compares them: none may be other than its settings say.
        conductor.hush_if(self.showing.is_quiet());
        screen.share(&mut conductor, &views);
        let mut watch = Watch::over(
            &self.settings,
            &self.plan,
            self.source,
            glance,
            self.goes_on,
        );
        let mut performing = std::pin::pin!(perform(told, events));
        let followed = follow(
            performing.as_mut(),
            &mut happening,
            &mut conductor,
            &mut watch,
            &mut views,
            &mut screen,
            &mut self.showing,
        );
        let mut result = match followed.await? {
            Ok(result) => result,
            Err(status) => return Ok(Played::left(status)),
        };
        conductor.hush();
        let watched = watch.end(&mut conductor).await;
        let aftermath = aftermath(self.serving.take(), &mut conductor).await?;
        let journal_error = close_journal(&mut self.writing, &aftermath, &mut conductor).await;
        let changes = screen.changes.into_all();
        let is_altered = !changes.is_empty() || was_ended(&result);
        // Figures are copied on the way, and these are none.
        let answers = std::mem::take(&mut result.tally.answers);
        let mut ending = Ending {
            outputs: &self.settings.outputs,
            rules: Rules::from(&self.settings),
            plan: &self.plan,
            endpoint: &endpoint,
            result,
            aftermath,
            watched,
            journal_error,
            changes,
            interrupted: conductor.last_signal().map(Signal::exit_status),
            missing: None,
            cluster: self.cluster,
            answers: &answers,
            command: &command(&self.settings, &self.plan),
            is_quiet: self.showing.is_quiet(),
            keeps_documents: self.showing.site().is_some(),
            unseen: Vec::new(),
        };
        let interrupted = ending.interrupted;
        let judged = Judged::of(&ending);
        ending.unseen = views.close(|| judged.outcome(), &mut conductor).await;
        let finished = finish(ending, judged, screen.live, &mut screen.console);
        views.linger(&mut conductor).await;
        forget(self.writing, finished.is_whole);
        let mut played = Played::of(finished, interrupted, self.plan, screen.trend);
        played.is_altered = is_altered;
        played.answers = answers;
        played.begun = screen.begun;
        Ok(played)
    }

    /// Opens what the run is shown in.
    fn open(&mut self) -> Result<(Endpoint, Screen), Failure> {
        let endpoint = speak(&self.plan)?.endpoint().clone();
        let live = Live::new(self.plan.clone(), endpoint.clone(), &self.settings.outputs);
        let live = live
            .and_then(|live| self.with_past(live))
            .inspect_err(|_| {
                if let Some(writing) = self.writing.take() {
                    writing.remove();
                }
            })?;
        let screen = Screen {
            shown: Shown {
                cluster: self.cluster,
                clock_zero: self.clock_zero,
            },
            live,
            changes: Changes::resumed(Load::of(&self.plan.schedule), &self.epochs),
            console: Console::default(),
            trend: Trend::default(),
            begun: None,
        };
        tell_of_seed(&self.plan);
        Ok((endpoint, screen))
    }

    /// What another master showed of the run is in this one's tables and files, too.
    fn with_past(&self, mut live: Live) -> Result<Live, Failure> {
        if let Some(journal) = self.past() {
            journal::replay(journal, &mut live)?;
        }
        Ok(live)
    }

    /// The journal of a run that goes on.
    fn past(&self) -> Option<&Path> {
        let writing = self.writing.as_ref().filter(|_| self.goes_on);
        writing.map(Writing::path)
    }

    /// Opens the views of the run.
    async fn views(
        &self,
        endpoint: &Endpoint,
        orders: mpsc::Sender<MasterCommand>,
        server: watch::Receiver<Option<Look>>,
    ) -> Result<Views, Failure> {
        let prospect = Prospect {
            run: self.run,
            plan: &self.plan,
            endpoint,
            cluster: self.cluster,
            command: command(&self.settings, &self.plan),
            orders,
            clock_zero: self.clock_zero,
            epochs: &self.epochs,
            past: self.past(),
            server,
        };
        Views::open(&self.settings, prospect, self.showing.site()).await
    }
}

/// Shows a run until it is over, and all that it said by then; `Err` is the status with which somebody left it.
async fn follow(
    mut performing: Pin<&mut impl Future<Output = Result<RunResult, ClusterError>>>,
    happening: &mut mpsc::Receiver<MasterEvent>,
    conductor: &mut Conductor,
    watch: &mut Watch<'_>,
    views: &mut Views,
    screen: &mut Screen,
    showing: &mut Showing<'_>,
) -> Result<Result<RunResult, u8>, Failure> {
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = happening.recv() => {
                conductor.note(&event);
                watch.note(&event);
                views.note(&event);
                if screen.take(showing, &event) {
                    conductor.end_for();
                }
            }
            result = &mut performing => break result.context("the run broke off").map_err(Failure::failed)?,
            said = conductor.next() => match said {
                Said::Words(lines) => lines.iter().for_each(|line| tracing::info!("{line}")),
                Said::Leave(status) => return Ok(Err(status)),
            },
        }
    };
    while let Ok(event) = happening.try_recv() {
        views.note(&event);
        screen.take(showing, &event);
    }
    Ok(Ok(result))
}

/// A run whose figures are all where they belong needs its journal no more.
fn forget(writing: Option<Writing>, is_whole: bool) {
    if let Some(writing) = writing.filter(|_| is_whole) {
        writing.remove();
    }
}

/// Whether somebody ended a run before its time.
const fn was_ended(result: &RunResult) -> bool {
    matches!(result.ended_by, EndedBy::Stopped | EndedBy::Aborted)
}

/// What the engine of a local run leaves behind.
async fn aftermath(
    serving: Option<JoinHandle<Aftermath<Failure>>>,
    conductor: &mut Conductor,
) -> Result<Aftermath<Failure>, Failure> {
    let Some(serving) = serving else {
        return Ok(Aftermath::default());
    };
    tokio::select! {
        served = serving => {
            served.map_err(|_| Failure::failed(anyhow!("the engine ended by a defect")))
        }
        // It is still preparing, or writing to a disk that hangs: what was measured is reported all the same.
        Some(_) = conductor.signal() => Ok(Aftermath::unfinished()),
    }
}

/// Has the journal's last words written. Tells why it is not whole.
async fn close_journal(
    writing: &mut Option<Writing>,
    aftermath: &Aftermath<Failure>,
    conductor: &mut Conductor,
) -> Option<Failure> {
    let writing = writing.as_mut()?;
    tokio::select! {
        failure = writing.close(&aftermath.notes) => failure,
        Some(_) = conductor.signal() => writing.given_up(),
    }
}

/// The command line that sends the same requests again.
fn command(settings: &Settings, plan: &Plan) -> String {
    journal::with_seed(&settings.command, settings.seed.is_some(), plan)
}

fn tell_of_seed(plan: &Plan) {
    let seed = plan.seed.0;
    tracing::info!("seed {seed}: --seed {seed} sends the same requests again");
}
