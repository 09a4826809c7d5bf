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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::tally;
    use super::*;
    use crate::metrics::Tally;

    fn answered(arrivals: Vec<u64>, at_most: Option<u32>) -> pb::Tally {
        let answer = Answer {
            arrivals: arrivals.into_iter().map(Offset::from_nanos).collect(),
            ..crate::cluster::tests::answer(1_000_000, "text".to_owned())
        };
        tally::encode(Tally {
            answers: [(Index::Arrival(3), answer)].into(),
            answers_at_most: at_most,
            ..Tally::default()
        })
    }

    #[test]
    fn times_of_events_travel_as_gaps_and_impossible_ones_are_refused() {
        let sent = answered(vec![700_000, 700_000, 720_000, 999_999], Some(1));
        assert_eq!(sent.answers[0].arrival_gaps, [700_000, 0, 20_000, 279_999]);
        let bytes = sent.answers[0].encoded_len();
        let bare = answered(Vec::new(), None).answers[0].encoded_len();
        assert_eq!(bytes - bare, 2 + 1 + 3 + 1 + 3 + 3, "packed");
        assert!(tally::decode(sent).is_ok());
        let off = answered(vec![700_000, 600_000, 2_000_000], None);
        assert_eq!(
            off.answers[0].arrival_gaps,
            [700_000, 0, 300_000],
            "after each other, before the end"
        );
        let refused = |gaps: Vec<u64>| {
            let mut sent = answered(Vec::new(), None);
            sent.answers[0].arrival_gaps = gaps;
            tally::decode(sent).unwrap_err().to_string()
        };
        for gaps in [vec![1_000_001], vec![1, u64::MAX], vec![0; 256 * 1024 + 1]] {
            assert!(refused(gaps).contains("arrivals"));
        }
        let error = tally::decode(answered(Vec::new(), Some(0))).unwrap_err();
        assert!(
            error.to_string().contains("answers"),
            "more than it says that there are"
        );
    }
}
