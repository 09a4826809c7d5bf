//! What becomes of each finished request: a thread of its own hands it to everyone who wants it. What a request came to is
//! `report`'s matter (a line of a file), and that of whoever else wants it.

mod file;

use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::failure::Failure;
use crate::domain::Record;

pub(super) use file::RecordsFile;

/// How long requests gather when all were handed out. Who waits in the queue is woken by the next one, which costs whoever sends it a
/// call to the system; who sleeps is not.
const GATHER: Duration = Duration::from_millis(10);

/// Somebody who wants every finished request. Called on a thread that may wait: while it waits for long, so do users.
pub(super) trait Sink: Send {
    /// The run begins: its offset zero is at this time of this machine's wall clock.
    fn begin(&mut self, zero: SystemTime);

    /// Takes a request. After an error it is given no more.
    fn take(&mut self, record: &Record) -> Result<(), Failure>;

    /// Nothing waits to be taken: what was held back may go on its way.
    fn idle(&mut self) -> Result<(), Failure>;

    /// There are no more.
    fn end(self: Box<Self>) -> Result<(), Failure>;
}

/// Hands requests to each of `sinks` until nobody sends any more. Blocks: for a thread of its own.
///
/// Who fails gets no more; when nobody is left the queue is closed, so that the run goes on without records. The first
/// error is returned, and the others are logged.
pub(super) fn hand_out(
    mut queue: mpsc::Receiver<Record>,
    mut sinks: Vec<Box<dyn Sink>>,
    zero: SystemTime,
) -> Result<(), Failure> {
    let mut first = Ok(());
    for sink in &mut sinks {
        sink.begin(zero);
    }
    while let Some(record) = queue.blocking_recv() {
        let is_last = queue.is_empty();
        sinks.retain_mut(|sink| {
            let taken = sink.take(&record);
            let done = taken.and_then(|()| if is_last { sink.idle() } else { Ok(()) });
            done.map_err(|failure| note(&mut first, failure)).is_ok()
        });
        if sinks.is_empty() {
            queue.close();
            return first;
        }
        if is_last && !queue.is_closed() {
            thread::sleep(GATHER);
        }
    }
    for sink in sinks {
        let _noted = sink.end().map_err(|failure| note(&mut first, failure));
    }
    first
}

fn note(first: &mut Result<(), Failure>, failure: Failure) {
    if first.is_ok() {
        *first = Err(failure);
    } else {
        tracing::error!("{:#}", failure.error);
    }
}

#[cfg(test)]
mod tests;
