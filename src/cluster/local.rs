//! A run in one process: the same master and the same worker, joined without a wire.
//! It has no logic of its own; what `net` carries as bytes is handed over as values.

use tokio::sync::mpsc;

use super::master::{self, Master};
use super::shell::{self, ClusterError, EventSink, JournalPort, JournalSink, MasterCommand};
use super::worker::{self, Worker, WorkerConfig};
use super::{ConnId, EngineCommand, EnginePort, MasterEvent, ProcessClock, RunResult, WorkerExit};

/// The only connection.
const CONN: ConnId = ConnId(0);

/// Runs `master` with one worker in this process until the run is over.
///
/// Cancel-safe in the sense that dropping it drops the engine's port, and the engine aborts by that.
pub async fn run_local(
    master: Master,
    worker: WorkerConfig,
    mut engine: EnginePort,
    mut control: mpsc::Receiver<MasterCommand>,
    events: mpsc::Sender<MasterEvent>,
    journal: Option<JournalPort>,
) -> Result<RunResult, ClusterError> {
    let clock = engine.clock;
    let mut pair = Pair {
        master,
        worker: Worker::new(worker),
        commands: engine.commands,
        events: EventSink::new(events),
        journal: JournalSink::new(journal),
        result: None,
        exit: None,
    };
    pair.worker.handle(clock.now(), worker::Input::Connected);
    loop {
        pair.settle(clock)?;
        if pair.exit.is_some() {
            return shell::finished(pair.result);
        }
        let timeout = [pair.master.poll_timeout(), pair.worker.poll_timeout()];
        let timeout = timeout.into_iter().flatten().min();
        tokio::select! {
            biased;
            Some(command) = control.recv() => shell::command(&mut pair.master, clock.now(), command),
            () = shell::sleep_until(clock, timeout) => {
                pair.master.handle_timeout(clock.now());
                pair.worker.handle_timeout(clock.now());
            }
            input = pair.journal.next() => pair.master.handle(clock.now(), input),
            event = engine.events.recv() => {
                let event = event.ok_or(ClusterError::EngineGone)?;
                pair.worker.handle(clock.now(), worker::Input::Engine(event));
            }
        }
    }
}

/// Both machines and what they are joined to.
struct Pair {
    master: Master,
    worker: Worker,
    commands: mpsc::Sender<EngineCommand>,
    events: EventSink,
    journal: JournalSink,
    result: Option<Box<RunResult>>,
    exit: Option<WorkerExit>,
}

impl Pair {
    /// Hands outputs over until neither has any.
    fn settle(&mut self, clock: ProcessClock) -> Result<(), ClusterError> {
        loop {
            if let Some(output) = self.worker.poll_output() {
                self.carry_from_worker(clock, output)?;
            } else if let Some(output) = self.master.poll_output() {
                self.carry_from_master(clock, output);
            } else {
                return Ok(());
            }
        }
    }

    fn carry_from_worker(
        &mut self,
        clock: ProcessClock,
        output: worker::Output,
    ) -> Result<(), ClusterError> {
        match output {
            worker::Output::Send(message) => {
                let input = master::Input::Message(CONN, message);
                self.master.handle(clock.now(), input);
            }
            worker::Output::Engine(command) => {
                shell::tell_engine(&self.commands, command)?;
            }
            // There is one master in this process, and it lives as long as the worker does.
            worker::Output::HangUp | worker::Output::Orphaned { .. } => {}
            worker::Output::Done(exit) => {
                let input = master::Input::Closed(CONN);
                self.master.handle(clock.now(), input);
                self.exit = Some(exit);
            }
        }
        Ok(())
    }

    fn carry_from_master(&mut self, clock: ProcessClock, output: master::Output) {
        match output {
            master::Output::Send(CONN, message) => {
                let input = worker::Input::FromMaster(message);
                self.worker.handle(clock.now(), input);
            }
            master::Output::Send(..) => {}
            master::Output::Close(_) => {
                let input = worker::Input::Disconnected;
                self.worker.handle(clock.now(), input);
            }
            master::Output::Event(event) => self.events.push(event),
            master::Output::Persist(frame) => self.journal.push(frame),
            master::Output::Finished(result) => self.result = Some(result),
        }
    }
}
