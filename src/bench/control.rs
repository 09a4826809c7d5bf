//! The parent's words to a client: when to start, when to tell what it has used.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::process::{Signal, getpid, kill_process};

use super::error::BenchError;
use super::message::Said;
use super::meter::Usage;

/// Hears the parent on a thread of its own, which sleeps while nothing is said.
pub(super) struct Control {
    started: Receiver<()>,
}

impl Control {
    pub(super) fn listen() -> Result<Self, BenchError> {
        let (start, started) = sync_channel(1);
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || hear(&start))
            .map_err(BenchError::system("start a thread"))?;
        Ok(Self { started })
    }

    /// Says that everything is prepared, and waits for the parent's `start`.
    pub(super) fn await_start(&self) -> Result<(), BenchError> {
        Said::Ready.say()?;
        self.started.recv().map_err(|_| BenchError::Child {
            who: "parent",
            what: "went away".to_owned(),
        })
    }
}

fn hear(start: &SyncSender<()>) {
    for line in io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("start") => drop(start.try_send(())),
            Ok("mark") => mark(),
            _ => break,
        }
    }
    // The parent is gone, and keeps this end open as long as it lives: nobody wants the figures any more.
    let _ = kill_process(getpid(), Signal::TERM);
}

fn mark() {
    let said = match Usage::now() {
        Ok(usage) => Said::Mark(usage),
        Err(error) => Said::Unable(error.to_string()),
    };
    // A parent that cannot be told is gone, which the next read finds.
    let _ = said.say();
}
