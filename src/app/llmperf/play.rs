//! Plays a test to its end, here or by workers, and says what became of its requests. It makes no figures of them.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use super::progress::Progress;
use super::settings::Carrier;
use crate::app::failure::{Failure, status};
use crate::app::played::{Played, Showing};
use crate::app::session::{play_master, play_run};
use crate::app::surroundings::wall_clock;
use crate::domain::{Answer, Index, Offset, Outcome};
use crate::metrics::{Level, Verdict};
use crate::mlflow::Status;
use crate::page::Notice;
use crate::report::page::{Course, run_notices};

/// A test that was played.
pub(super) struct Made {
    /// Each request that was answered or failed, in the order in which they ended.
    pub(super) answers: Vec<(Index, Answer)>,
    /// From the first request to the end of the last of them, in seconds.
    pub(super) wall_s: f64,
    /// A signal ended it.
    is_interrupted: bool,
    /// The exit status so far.
    pub(super) status: u8,
    /// What must be said before any figure of it.
    pub(super) notices: Vec<Notice>,
    /// How it went.
    pub(super) course: Course,
}

/// Plays a test of so many requests.
pub(super) async fn play(
    carrier: Carrier,
    requests: u64,
    timeout: Duration,
) -> Result<Made, Failure> {
    let mut progress = Progress::new(requests, timeout);
    let mut watch = |event: &_| progress.note(event);
    let showing = Showing::To(&mut watch);
    let played = match carrier {
        Carrier::Here(options) => Box::pin(play_run(*options, showing)).await,
        Carrier::Workers(options) => Box::pin(play_master(*options, showing)).await,
    };
    progress.clear();
    let played = played?;
    if let Some(verdict) = played.measured.as_ref().and_then(|it| it.verdict.as_ref()) {
        warn_of(verdict);
    }
    Ok(Made::of(played))
}

/// An invalid run has said so itself.
fn warn_of(verdict: &Verdict) {
    let reasons = verdict.reasons.iter();
    for reason in reasons.filter(|reason| reason.level == Level::Strained) {
        tracing::warn!("the run is strained: {}; {}", reason.words, reason.remedy);
    }
}

impl Made {
    fn of(played: Played) -> Self {
        let (answers, dropped) = in_order(played.answers);
        if dropped > 0 {
            tracing::warn!(
                "{dropped} requests were under way at the end and dropped: they are in none of the figures and files"
            );
        }
        if let Some((missed, all, most)) = missed(&answers) {
            tracing::warn!(
                "{missed} of {all} prompts have not the length that was drawn for them, by up to {most} tokens: the tokenizer \
                 counts a text otherwise than its lines; the files have the counted lengths"
            );
        }
        let (verdict, course) = played
            .measured
            .map(|measured| (measured.verdict, measured.course))
            .unwrap_or_default();
        Self {
            notices: run_notices(played.failure.as_deref(), verdict.as_ref()),
            course: course.unwrap_or_default(),
            wall_s: wall_s(&answers),
            is_interrupted: played.interrupted.is_some(),
            // Something must have been measured.
            status: match played.status {
                status::OK if answers.is_empty() => status::FAILED,
                status => status,
            },
            answers,
        }
    }

    /// How a log of it says that it ended, with what exit status it did.
    pub(super) const fn ended(&self, status: u8) -> Status {
        match status {
            _ if self.is_interrupted => Status::Killed,
            status::OK => Status::Finished,
            _ => Status::Failed,
        }
    }
}

/// Of prompts whose length was drawn and counted: how many there are, how many have another one, by how much at most.
fn missed(answers: &[(Index, Answer)]) -> Option<(usize, usize, u32)> {
    let off = |(_, answer): &(Index, Answer)| {
        let counted = answer.counted_prompt_tokens?;
        Some(answer.requested_prompt_tokens?.abs_diff(counted))
    };
    let all: Vec<u32> = answers.iter().filter_map(off).collect();
    let missed = all.iter().filter(|off| **off > 0).count();
    let most = all.iter().copied().max().filter(|most| *most > 0)?;
    Some((missed, all.len(), most))
}

/// Those that ended by themselves, and how many did not.
fn in_order(answers: BTreeMap<Index, Answer>) -> (Vec<(Index, Answer)>, usize) {
    let all = answers.len();
    let is_own = |(_, answer): &(Index, Answer)| answer.outcome != Outcome::Cancelled;
    let mut ended: Vec<(Index, Answer)> = answers.into_iter().filter(is_own).collect();
    ended.sort_by_key(|(index, answer)| (answer.end, *index));
    let dropped = all - ended.len();
    (ended, dropped)
}

fn wall_s(answers: &[(Index, Answer)]) -> f64 {
    let first = answers
        .iter()
        .map(|(_, answer)| answer.sent.unwrap_or(answer.end))
        .min();
    let last = answers.iter().map(|(_, answer)| answer.end).max();
    let span = first
        .zip(last)
        .map(|(first, last): (Offset, Offset)| last.since(first));
    span.unwrap_or_default().as_secs_f64()
}

/// Seconds since 1970, now.
pub(super) fn timestamp_s() -> i64 {
    OffsetDateTime::from(wall_clock()).unix_timestamp()
}

#[cfg(test)]
#[path = "play_tests.rs"]
mod tests;
