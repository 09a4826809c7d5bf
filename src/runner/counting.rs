//! The thread that counts tokens of answers, and of prompts that nobody counted before, with a tokenizer, away from the measuring threads.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use super::control::Control;
use super::engine::{INTERVAL, Job};
use super::reading::Finished;
use crate::metrics::Tally;
use crate::workload::Tokenizer;

/// Finished requests that may wait to be counted: some seconds of the fastest load, some MB of text.
const QUEUE: usize = 4096;

/// A core's end of the counting thread.
#[derive(Clone)]
pub(super) struct Counter {
    tokenizer: Arc<Tokenizer>,
    queue: SyncSender<Finished>,
}

impl Counter {
    /// Hands a finished request over, or back when the queue is full.
    #[expect(clippy::result_large_err, reason = "the value comes back to be used")]
    pub(super) fn hand_over(&self, finished: Finished) -> Result<(), Finished> {
        self.queue
            .try_send(finished)
            .map_err(|refused| match refused {
                TrySendError::Full(finished) | TrySendError::Disconnected(finished) => finished,
            })
    }

    /// Counts here and now.
    pub(super) fn count(&self, job: &Job, finished: &mut Finished) {
        count(job, &self.tokenizer, finished);
    }
}

fn count(job: &Job, tokenizer: &Tokenizer, finished: &mut Finished) {
    finished.record.tokenizer_tokens = count_answer(tokenizer, finished);
    let prompt = job.workload.recount(finished.record.index);
    if prompt.is_some() {
        finished.record.counted_prompt_tokens = prompt;
    }
}

fn count_answer(tokenizer: &Tokenizer, finished: &Finished) -> Option<u32> {
    let text = finished
        .text
        .as_deref()
        .filter(|_| !finished.record.marks.is_empty() || finished.record.outcome.is_good())?;
    u32::try_from(tokenizer.count(text)).ok()
}

/// Starts the thread, if the job has a tokenizer. It ends when all counters are gone and the queue is empty.
pub(super) fn start(
    job: &Arc<Job>,
    control: &Arc<Control>,
    parts: mpsc::Sender<Tally>,
) -> std::io::Result<Option<(Counter, JoinHandle<()>)>> {
    let Some(tokenizer) = job.tokenizer.clone() else {
        return Ok(None);
    };
    let (queue, finished) = sync_channel(QUEUE);
    let (job, control) = (Arc::clone(job), Arc::clone(control));
    let counter = Counter {
        tokenizer: Arc::clone(&tokenizer),
        queue,
    };
    let thread = thread::Builder::new()
        .name("count-tokens".to_owned())
        .spawn(move || fold_all(&job, &control, &tokenizer, &finished, &parts))?;
    Ok(Some((counter, thread)))
}

fn fold_all(
    job: &Job,
    control: &Control,
    tokenizer: &Tokenizer,
    queue: &Receiver<Finished>,
    parts: &mpsc::Sender<Tally>,
) {
    let rules = job.rules();
    let mut tally = Tally::default();
    let mut handed = tokio::time::Instant::now();
    loop {
        match queue.recv_timeout(INTERVAL / 4) {
            Ok(mut finished) => {
                count(job, tokenizer, &mut finished);
                let record = job.without_secrets(finished.record);
                tally.record(&record, &control.window(job.window_start), &rules);
                if let Some(keeping) = rules.answers {
                    tally.keep(&record, finished.answer, keeping);
                }
                if let Some(records) = &job.records {
                    // A closed channel means that the disk failed; whoever reads it says so.
                    let _ = records.blocking_send(record);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if handed.elapsed() >= INTERVAL {
            handed = tokio::time::Instant::now();
            let _ = parts.blocking_send(std::mem::take(&mut tally));
        }
    }
    let _ = parts.blocking_send(tally);
}
