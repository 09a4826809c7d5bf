//! One query of a benchmark, and the figures that its moments come to. What many of them come to is `raw`'s.

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::{Answer, Offset, Outcome};

use super::stats::{count, deviation, median, quantity, ratio};

/// With this many pieces or fewer, a deviation says nothing about what a pause is.
const FEW: usize = 10;

/// One query, under the names that the files have for its figures. Seconds, unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The prompt; not kept.
    pub prompt: String,
    /// Since 1970.
    pub starting_timestamp: f64,
    /// Since 1970: at the end marker; of a time-out, the last token's, or the start where there is none.
    pub ending_timestamp: f64,
    /// Prompt tokens, as the server counted them; where it did not, as the tokenizer did.
    pub prompt_length: u64,
    /// Output tokens, as the server counted them; where it did not, pieces of the stream.
    pub response_length: u64,
    /// The text; not kept.
    pub generated_text: String,
    /// From start to end.
    pub total_query_time: f64,
    /// Since 1970; 0 without a token.
    pub timestamp_of_first_token: f64,
    /// From the start; 0 without a token.
    pub time_to_first_token: f64,
    /// Since 1970, a piece of the stream each.
    pub timestamp_of_tokens_arrival: Vec<f64>,
    /// From one to the next.
    pub delta_time_of_tokens_arrival: Vec<f64>,
    /// From the first token to the end.
    pub completion_time_from_first_token: f64,
    /// The median of the deltas; 0 without any.
    pub median_time_between_tokens: f64,
    /// TTFT, and what deltas are longer than median + 3 standard deviations by, with more than ten tokens; 0 without any delta.
    pub total_waiting_time: f64,
    /// Tokens per second of the whole time; 0 without any delta, like the next two.
    pub speed_from_beginning: f64,
    /// Tokens per second from the first token on.
    pub speed_from_first_token: f64,
    /// Tokens per second without the waiting.
    pub speed_without_waiting_time: f64,
    /// The stream came to its end.
    pub success: bool,
    /// The words of a failure.
    #[serde(deserialize_with = "or_nothing")]
    pub error: String,
    /// It was given up for its time.
    pub timeout: bool,
    /// Pieces of the stream: what the upstream tool counts as tokens.
    #[serde(default)]
    pub chunks: u64,
    /// The server did not count its output tokens. Not kept.
    #[serde(skip)]
    pub is_uncounted: bool,
}

/// A server without words for its refusal leaves `null` in the upstream tool's files.
fn or_nothing<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

impl Query {
    /// What an answer comes to, of a run that began `zero_s` seconds after 1970. It must have been kept with its times.
    ///
    /// Good answers are successes; of the failures, those that a limit of time after the connection ended are time-outs, and
    /// all others errors: one that was cancelled too, for nothing it has is whole.
    pub fn of(answer: &Answer, zero_s: f64) -> Self {
        let arrivals = arrivals(answer);
        let start = answer.sent.unwrap_or(answer.end);
        let timeout = is_timeout(answer.outcome);
        let end = match timeout {
            true => arrivals.last().copied().unwrap_or(start),
            false => answer.end,
        };
        let chunks = u64::try_from(arrivals.len()).unwrap_or(u64::MAX);
        let prompt_tokens = answer.server_prompt_tokens.or(answer.counted_prompt_tokens);
        let mut query = Self {
            starting_timestamp: zero_s + start.as_secs_f64(),
            ending_timestamp: zero_s + end.as_secs_f64(),
            prompt_length: prompt_tokens.map_or(0, u64::from),
            response_length: answer.server_output_tokens.map_or(chunks, u64::from),
            total_query_time: seconds(start, end),
            success: answer.outcome.is_good(),
            timeout,
            error: error(answer),
            chunks,
            is_uncounted: answer.server_output_tokens.is_none(),
            ..Self::default()
        };
        query.tell_pieces(&arrivals, start, end, zero_s);
        query.tell_speeds();
        query
    }

    /// What it produced counts: it came to its end, or was given up on the way there.
    pub const fn counts(&self) -> bool {
        self.success || self.timeout
    }

    /// Spans are taken between moments of the run: as seconds since 1970 they have lost their nanoseconds.
    fn tell_pieces(&mut self, arrivals: &[Offset], start: Offset, end: Offset, zero_s: f64) {
        let Some(first) = arrivals.first().copied() else {
            return;
        };
        self.timestamp_of_first_token = zero_s + first.as_secs_f64();
        self.time_to_first_token = seconds(start, first);
        self.completion_time_from_first_token = seconds(first, end);
        let stamps = arrivals.iter().map(|stamp| zero_s + stamp.as_secs_f64());
        self.timestamp_of_tokens_arrival = stamps.collect();
        let gaps = arrivals.windows(2).map(|pair| seconds(pair[0], pair[1]));
        self.delta_time_of_tokens_arrival = gaps.collect();
    }

    fn tell_speeds(&mut self) {
        let Some(usual) = median(self.delta_time_of_tokens_arrival.clone()) else {
            return;
        };
        self.median_time_between_tokens = usual;
        self.total_waiting_time = self.time_to_first_token + self.pauses(usual);
        let (tokens, total) = (quantity(self.response_length), self.total_query_time);
        self.speed_from_beginning = ratio(tokens, total);
        self.speed_from_first_token = ratio(tokens, total - self.time_to_first_token);
        self.speed_without_waiting_time = ratio(tokens, total - self.total_waiting_time);
    }

    /// What deltas are longer than usual by, where there are enough to tell what is usual.
    fn pauses(&self, usual: f64) -> f64 {
        let deltas = &self.delta_time_of_tokens_arrival;
        if self.timestamp_of_tokens_arrival.len() <= FEW {
            return 0.0;
        }
        let bound = usual + 3.0 * deviation(deltas);
        let over = deltas.iter().filter(|delta| **delta > bound);
        over.map(|delta| delta - bound).sum()
    }

    /// Tokens that had come at `at`, a moment since 1970: all pieces are taken to be equally long.
    pub(super) fn tokens_at(&self, at: f64) -> f64 {
        let stamps = &self.timestamp_of_tokens_arrival;
        let come = stamps.partition_point(|stamp| *stamp <= at);
        ratio(
            count(come) * quantity(self.response_length),
            count(stamps.len()),
        )
    }
}

/// The stamps of all pieces; of an answer that was kept without them, those of the first and the last.
fn arrivals(answer: &Answer) -> Vec<Offset> {
    if answer.arrivals.is_empty() {
        let last = answer
            .last_content
            .filter(|last| Some(*last) != answer.first_content);
        return answer.first_content.into_iter().chain(last).collect();
    }
    answer.arrivals.clone()
}

fn seconds(from: Offset, to: Offset) -> f64 {
    Offset::from_nanos(to.nanos_since(from)).as_secs_f64()
}

/// A connection that was not opened in time has nothing of an answer: that is an error like any other of a connection.
/// Whether a query with this outcome was given up for its time, and counts with what it produced.
pub const fn is_timeout(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::TimeoutFirstToken | Outcome::TimeoutIdle | Outcome::TimeoutTotal
    )
}

fn error(answer: &Answer) -> String {
    match (answer.outcome.is_good(), answer.error.as_str()) {
        (true, _) => String::new(),
        (false, "") => answer.outcome.name().to_owned(),
        (false, words) => words.to_owned(),
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
