//! What a benchmark comes to: the figures, the verdict on them, the finished requests.

use std::collections::BTreeMap;

use super::error::Error;
use crate::cluster::{EndedBy, RunResult};
use crate::domain::{Answer, Index, Record};
use crate::metrics::{Level, Observation, Summary, Verdict};
use crate::plan::Plan;

/// What a benchmark came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was done.
    pub plan: Plan,
    /// The figures, the same that `llmload run` reports. Their doubts are counted in [`Summary::warnings`].
    pub summary: Summary,
    /// Whether the generator did what was asked of it; `None` where it measured too little of itself to tell.
    pub verdict: Option<Verdict>,
    /// Each answer by itself, where the plan keeps them (`plan.observe.answers`).
    pub answers: BTreeMap<Index, Answer>,
    /// The finished requests in the order in which they ended on their core, where they were collected.
    pub records: Vec<Record>,
    /// Finished requests beyond the most that were to be collected.
    pub records_left_out: u64,
    /// Why not all finished requests were taken: the callback panicked.
    pub records_error: Option<Error>,
    /// What to know about the workload: how lengths were counted, what could not be as asked.
    pub notes: Vec<String>,
    /// How the run ended.
    pub ended_by: EndedBy,
    /// Where the books do not add up, in words. Nothing of the kind ever happens.
    pub discrepancies: Vec<String>,
}

impl Outcome {
    /// Whether the figures are those of the plan: the run was not ended early, the books add up, and the generator kept up.
    pub fn is_valid(&self) -> bool {
        let whole = matches!(self.ended_by, EndedBy::Time | EndedBy::MaxRequests);
        let adds_up = self.discrepancies.is_empty() && self.summary.balance.is_ok();
        whole
            && adds_up
            && self
                .verdict
                .as_ref()
                .is_none_or(|verdict| verdict.level < Level::Invalid)
    }
}

/// The figures of a run that is over.
pub(crate) fn summarised(result: &RunResult) -> Summary {
    let seen = Observation {
        window: result.window,
        // The window may end after the last answer did: nothing came in its rest, and that counts too.
        until: result
            .tally
            .last_end
            .max(result.window.end)
            .unwrap_or_default(),
        // The drain is over, and what is unknown of lost workers is counted as lost: nothing is open any more.
        in_flight: 0,
        waiting: 0,
    };
    Summary::new(result.tally.clone(), seen)
}
