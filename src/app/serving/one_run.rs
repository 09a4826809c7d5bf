//! Plays one load to its end, here or by workers, and says what its queries come to. When to play it is a benchmark's affair.

use std::collections::BTreeMap;

use anyhow::anyhow;

use super::carrier::Carrier;
use super::progress::Progress;
use crate::app::door::Door;
use crate::app::failure::{Failure, status};
use crate::app::played::{Played, Showing};
use crate::app::session::{play_master_at, play_run};
use crate::cluster::MasterEvent;
use crate::domain::{Answer, Index, Outcome};
use crate::metrics::{Counts, Level, Verdict};
use crate::serving::{Query, is_timeout};

/// After so many failures and nothing else a server is taken for dead.
pub(super) const HOPELESS: u64 = 20;

/// A load that was played.
#[derive(Default)]
pub(super) struct Ran {
    /// In the order in which they ended.
    pub(super) queries: Vec<Query>,
    /// How many good answers are shorter than was asked for.
    pub(super) short: usize,
    /// How many were under way at the end and dropped, or were lost with a worker.
    pub(super) dropped: usize,
    pub(super) verdict: Judged,
    /// The exit status of the signal that ended it.
    pub(super) interrupted: Option<u8>,
    /// It was given up: nothing but failures came.
    pub(super) is_hopeless: bool,
}

/// What the generator says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judged {
    /// The gravest word; `None` where nothing could be judged.
    pub(super) level: Option<Level>,
    /// Why, the gravest first; each once.
    pub(super) reasons: Vec<String>,
}

impl Judged {
    fn of(verdict: Option<&Verdict>) -> Self {
        let Some(verdict) = verdict else {
            return Self::default();
        };
        let reasons = verdict.reasons.iter();
        let in_words = |reason: &crate::metrics::Reason| {
            format!("{}: {}; {}", reason.name, reason.words, reason.remedy)
        };
        Self {
            level: Some(verdict.level),
            reasons: reasons.map(in_words).collect(),
        }
    }

    /// And another one's.
    pub(super) fn and(&mut self, other: Self) {
        self.level = self.level.max(other.level);
        for reason in other.reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }

    pub(super) fn is_invalid(&self) -> bool {
        self.level == Some(Level::Invalid)
    }
}

impl Ran {
    /// And what another load came to, after this one.
    pub(super) fn and(&mut self, other: Self) {
        self.queries.extend(other.queries);
        self.short += other.short;
        self.dropped += other.dropped;
        self.verdict.and(other.verdict);
        self.interrupted = self.interrupted.or(other.interrupted);
        self.is_hopeless |= other.is_hopeless;
    }
}

/// Ends a run that somebody wants to end, or from which nothing is to be expected.
#[derive(Default)]
struct Guard {
    answers: u64,
    failures: u64,
    is_stopping: bool,
}

impl Guard {
    /// Returns whether the run is to end.
    fn note(&mut self, event: &MasterEvent) -> bool {
        match event {
            MasterEvent::Merged { delta, .. } => {
                for answer in delta.answers.values() {
                    self.answers += u64::from(answer.outcome != Outcome::Cancelled);
                    let is_failure = answer.outcome.is_failure() && !is_timeout(answer.outcome);
                    self.failures += u64::from(is_failure);
                }
            }
            // A benchmark that does not come to its end is made again: nothing in flight is worth waiting for.
            MasterEvent::Stopping { .. } => self.is_stopping = true,
            _ => {}
        }
        self.is_stopping || self.is_hopeless()
    }

    const fn is_hopeless(&self) -> bool {
        self.failures >= HOPELESS && self.failures == self.answers
    }
}

/// Plays a load; workers that carry it out come to `door`.
///
/// # Errors
/// It could not be played: its settings, too few workers.
pub(super) async fn play(
    carrier: Carrier,
    door: &Door,
    progress: &mut Progress,
) -> Result<Ran, Failure> {
    let mut guard = Guard::default();
    let mut watcher = |event: &MasterEvent| {
        progress.note(event);
        guard.note(event)
    };
    let showing = Showing::Until(&mut watcher);
    let played = match carrier {
        Carrier::Here(options) => Box::pin(play_run(*options, showing)).await?,
        Carrier::Workers(options) => Box::pin(play_master_at(door, *options, showing)).await?,
    };
    let has_nothing = played.measured.is_none() && played.answers.is_empty();
    let is_workers = played.status == status::WORKERS;
    if let Some(why) = &played.failure
        && (is_workers || has_nothing)
        && played.interrupted.is_none()
    {
        let hint = "workers that are to carry out a whole suite are started with --stay";
        return Err(Failure {
            error: anyhow!("{why}"),
            hint: is_workers.then(|| hint.to_owned()),
            status: played.status,
        });
    }
    let mut ran = of(played);
    ran.is_hopeless = guard.is_hopeless() && ran.interrupted.is_none();
    Ok(ran)
}

fn of(played: Played) -> Ran {
    let measured = played.measured.as_ref();
    let verdict = Judged::of(measured.and_then(|it| it.verdict.as_ref()));
    let zero_s = played.begun.map_or(0.0, since_1970);
    let answers = in_order(played.answers);
    let dropped = measured.map_or(0, |it| without_answer(&it.summary.counts, answers.len()));
    let is_short = |answer: &&Answer| {
        let written = answer.server_output_tokens;
        !answer.outcome.is_failure() && written.is_some_and(|written| written < answer.max_tokens)
    };
    Ran {
        short: answers.iter().filter(is_short).count(),
        queries: answers.iter().map(|it| Query::of(it, zero_s)).collect(),
        dropped,
        verdict,
        interrupted: played.interrupted,
        is_hopeless: false,
    }
}

/// Those that ended by themselves.
fn in_order(answers: BTreeMap<Index, Answer>) -> Vec<Answer> {
    let mut ended: Vec<(Index, Answer)> = answers.into_iter().collect();
    ended.retain(|(_, answer)| answer.outcome != Outcome::Cancelled);
    ended.sort_by_key(|(index, answer)| (answer.end, *index));
    ended.into_iter().map(|(_, answer)| answer).collect()
}

/// How many requests there were beside those that ended by themselves, those of workers that went away included.
fn without_answer(counts: &Counts, ended: usize) -> usize {
    let begun = usize::try_from(counts.sent + counts.lost).unwrap_or(usize::MAX);
    begun.saturating_sub(ended)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a quarter of a microsecond is left of it"
)]
fn since_1970(at: time::OffsetDateTime) -> f64 {
    at.unix_timestamp_nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_of_several_verdicts_stands_with_all_reasons() {
        let judged = |level, reason: &str| Judged {
            level: Some(level),
            reasons: vec![reason.to_owned()],
        };
        let mut all = Judged::default();
        all.and(judged(Level::Invalid, "a"));
        all.and(Judged::default());
        all.and(judged(Level::Ok, "b"));
        all.and(judged(Level::Strained, "a"));
        assert!(all.is_invalid());
        assert_eq!(all.reasons, ["a", "b"]);
    }

    #[test]
    fn what_began_and_did_not_end_by_itself_was_dropped() {
        let counts = Counts {
            scheduled: 12,
            sent: 9,
            lost: 2,
            late_cancelled: 1,
            ..Counts::default()
        };
        assert_eq!(without_answer(&counts, 7), 4);
        assert_eq!(without_answer(&counts, 11), 0);
    }

    #[test]
    fn only_failures_and_enough_of_them_are_hopeless() {
        let guard = |answers, failures| Guard {
            answers,
            failures,
            is_stopping: false,
        };
        assert!(guard(20, 20).is_hopeless());
        assert!(!guard(21, 20).is_hopeless() && !guard(19, 19).is_hopeless());
    }

    #[test]
    fn a_run_that_was_told_to_stop_is_told_again() {
        let mut guard = Guard::default();
        assert!(guard.note(&MasterEvent::Stopping { abort: false }));
    }
}
