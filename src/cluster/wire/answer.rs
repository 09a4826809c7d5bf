//! Answers that are kept one by one as protobuf and back. It judges none of them.

use std::collections::BTreeMap;

use prost::encoding::encoded_len_varint;

use super::tally::{outcome_in, outcome_out};
use super::{WireError, cut, pb};
use crate::domain::{Answer, Index, MAX_ANSWER_TEXT, MAX_ARRIVALS, Offset};

/// Most bytes of a failure's words: those of a server are cut to far fewer.
const MAX_WORDS: usize = 4_096;

pub(super) fn encode((index, answer): (Index, Answer)) -> pb::Answer {
    let arrival_gaps = gaps(&answer).collect();
    pb::Answer {
        index: Some(match index {
            Index::Arrival(arrival) => pb::answer::Index::Arrival(arrival),
            Index::Turn { user, turn } => pb::answer::Index::Turn(pb::Turn { user, turn }),
        }),
        sent_offset: answer.sent.map(Offset::as_nanos),
        first_content_offset: answer.first_content.map(Offset::as_nanos),
        last_content_offset: answer.last_content.map(Offset::as_nanos),
        end_offset: answer.end.as_nanos(),
        outcome: outcome_out(answer.outcome),
        code: answer.code,
        error: cut(answer.error, MAX_WORDS),
        requested_prompt_tokens: answer.requested_prompt_tokens,
        counted_prompt_tokens: answer.counted_prompt_tokens,
        server_prompt_tokens: answer.server_prompt_tokens,
        max_tokens: answer.max_tokens,
        counted_output_tokens: answer.counted_output_tokens,
        server_output_tokens: answer.server_output_tokens,
        text: answer.text,
        arrival_gaps,
    }
}

/// The first time, and what each is later than the one before.
fn gaps(answer: &Answer) -> impl Iterator<Item = u64> + '_ {
    let (mut last, end) = (0, answer.end.as_nanos());
    let times = answer.arrivals.iter().take(MAX_ARRIVALS);
    times.map(move |at| {
        // Whatever its clock did, a worker says nothing that its master takes for impossible.
        let gap = at.as_nanos().min(end).saturating_sub(last);
        last += gap;
        gap
    })
}

/// Bytes of the times of an answer's content events in a message.
pub(in crate::cluster) fn bytes_of_times(answer: &Answer) -> usize {
    gaps(answer).map(encoded_len_varint).sum()
}

fn times(gaps: &[u64], end: u64) -> Result<Vec<Offset>, WireError> {
    let impossible = || WireError::Impossible("arrivals");
    if gaps.len() > MAX_ARRIVALS {
        return Err(impossible());
    }
    let mut at = 0_u64;
    let after = |&gap: &u64| {
        at = at.checked_add(gap).filter(|at| *at <= end)?;
        Some(Offset::from_nanos(at))
    };
    let times: Option<Vec<Offset>> = gaps.iter().map(after).collect();
    times.ok_or_else(impossible)
}

/// All answers of a tally that holds no more than `at_most`.
pub(super) fn decode(
    answers: Vec<pb::Answer>,
    at_most: Option<u32>,
) -> Result<BTreeMap<Index, Answer>, WireError> {
    let fits = |most: u32| usize::try_from(most).is_ok_and(|most| answers.len() <= most);
    if !at_most.is_none_or(fits) {
        return Err(WireError::Impossible("answers"));
    }
    super::tally::unique("answers", answers.into_iter().map(one))
}

fn one(answer: pb::Answer) -> Result<(Index, Answer), WireError> {
    if answer.error.len() > MAX_WORDS {
        return Err(WireError::Impossible("error"));
    }
    if answer
        .text
        .as_ref()
        .is_some_and(|text| text.len() > MAX_ANSWER_TEXT)
    {
        return Err(WireError::Impossible("text"));
    }
    let index = match answer.index.ok_or(WireError::Missing("index"))? {
        pb::answer::Index::Arrival(arrival) => Index::Arrival(arrival),
        pb::answer::Index::Turn(pb::Turn { user, turn }) => Index::Turn { user, turn },
    };
    let offset = |nanos: Option<u64>| nanos.map(Offset::from_nanos);
    let answer = Answer {
        sent: offset(answer.sent_offset),
        first_content: offset(answer.first_content_offset),
        last_content: offset(answer.last_content_offset),
        end: Offset::from_nanos(answer.end_offset),
        outcome: outcome_in(answer.outcome)?,
        code: answer.code,
        error: cut(answer.error, MAX_WORDS),
        requested_prompt_tokens: answer.requested_prompt_tokens,
        counted_prompt_tokens: answer.counted_prompt_tokens,
        server_prompt_tokens: answer.server_prompt_tokens,
        max_tokens: answer.max_tokens,
        counted_output_tokens: answer.counted_output_tokens,
        server_output_tokens: answer.server_output_tokens,
        text: answer.text,
        arrivals: times(&answer.arrival_gaps, answer.end_offset)?,
    };
    Ok((index, answer))
}
