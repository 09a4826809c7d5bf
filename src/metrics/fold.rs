//! All formulas of one request: a record goes in, a tally grows.
//! It merges nothing and judges nothing; a figure that is not defined for a record is left out, never 0.

use std::time::Duration;

use super::{
    COUNT_SCALE, ErrorCount, ErrorKey, MAX_ERROR_CHARS, Metric, Phase, Position, Rules, Tally,
    TurnClass, Window,
};
use crate::domain::{Mark, Offset, Outcome, Record, Warning};

/// Window tokens are held in units of 1/1,024 token: sums of such numbers are exact in a double, so that
/// merging does not depend on its order.
const TOKEN_GRAIN: f64 = 1_024.0;
/// Output tokens that a request needs for its rates of right speculation to mean something.
const LEAST_SPECULATED: u32 = 30;

impl Tally {
    /// Counts one finished request.
    ///
    /// `Counts` is not touched: the engine counts a request when it comes due and when it is begun.
    pub fn record(&mut self, record: &Record, window: &Window, rules: &Rules) {
        self.note_times(record);
        self.note_connection(record);
        self.window_tokens += tokens_inside(record, window);
        self.window_good += share_inside(record, window);
        let began = record.sent.unwrap_or(record.due);
        let phase = if began < window.start {
            &mut self.warmup
        } else {
            &mut self.measured
        };
        phase.record(record, rules);
        if record.outcome.is_good() {
            self.note_warnings(record);
        } else if record.outcome.is_failure() {
            let key = ErrorKey::new(record.outcome, &record.error);
            self.note_error(key, ErrorCount::once(record.end));
        }
    }

    /// Counts a doubt that no record tells of.
    pub fn warn(&mut self, warning: Warning) {
        *self.warnings.entry(warning).or_default() += 1;
    }

    /// Counts a connection that was opened ahead of the request that will use it.
    ///
    /// It belongs to no request, so its time stands among the measured ones whenever it was opened.
    pub fn note_opened_ahead(&mut self, took: Duration) {
        self.connections_opened += 1;
        self.connections_warmed += 1;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.measured.add(Metric::ConnectTime, nanos);
    }

    fn note_times(&mut self, record: &Record) {
        if let Some(sent) = record.sent {
            self.first_sent = Some(self.first_sent.map_or(sent, |first| first.min(sent)));
            self.last_sent = self.last_sent.max(Some(sent));
        }
        self.last_end = self.last_end.max(Some(record.end));
    }

    fn note_connection(&mut self, record: &Record) {
        if record.new_connection {
            self.connections_opened += 1;
        } else if record.sent.is_some() {
            self.connections_reused += 1;
        }
    }

    fn note_warnings(&mut self, record: &Record) {
        let output = record.output_tokens().map(|(tokens, _)| tokens);
        // Vectors and orders of documents have no output tokens.
        let asked = record.max_tokens.saturating_mul(record.choices);
        let generates = asked > 0 && record.vectors == 0;
        let doubts = [
            (
                Warning::TokensDifferFromAsked,
                generates && output.is_some_and(|tokens| tokens != asked),
            ),
            (Warning::TokenCountsDisagree, counts_disagree(record)),
            (Warning::TokensUnknown, generates && output.is_none()),
            (Warning::PromptLengthOff, prompt_is_off(record)),
        ];
        for (warning, _) in doubts.into_iter().filter(|(_, doubted)| *doubted) {
            self.warn(warning);
        }
    }
}

impl ErrorKey {
    /// The kind of a failure; its words are cut at `MAX_ERROR_CHARS` characters.
    pub fn new(outcome: Outcome, words: &str) -> Self {
        let text = words.chars().take(MAX_ERROR_CHARS).collect();
        Self { outcome, text }
    }
}

impl Phase {
    fn record(&mut self, record: &Record, rules: &Rules) {
        *self.outcomes.entry(record.outcome).or_default() += 1;
        self.body_bytes += record.body_bytes;
        self.record_generator(record);
        if record.outcome.is_good() {
            self.record_latencies(record, rules);
            self.record_stream(record);
            self.record_tokens(record, rules);
            self.record_server(record);
            self.record_turn(record, rules);
        } else if record.outcome.is_failure() {
            let began = record.sent.unwrap_or(record.due);
            self.add(Metric::FailedTime, record.end.nanos_since(began));
        }
        self.record_objectives(record, rules);
    }

    /// What the generator itself did, whatever the server made of it.
    fn record_generator(&mut self, record: &Record) {
        if let Some(sent) = record.sent {
            self.add(Metric::Lateness, sent.nanos_since(record.due));
            // A long request takes as long to write as the network takes to carry it.
            let begun = record.begun.unwrap_or(sent);
            let delay = begun.nanos_since(record.ready);
            self.add(Metric::SendDelay, delay.saturating_sub(record.connect_ns));
            if record.new_connection {
                self.add(Metric::ConnectTime, record.connect_ns);
            }
        }
    }

    fn record_latencies(&mut self, record: &Record, rules: &Rules) {
        let Some(sent) = record.sent else { return };
        let due = record.due;
        let total = record.end.nanos_since(sent);
        self.add(Metric::TotalLatency, total);
        if rules.embeddings && record.vectors > 0 {
            let each = rounded(total, u64::from(record.vectors));
            self.add(Metric::LatencyPerEmbedding, each);
        }
        let after =
            |metric, at: Option<Offset>, from: Offset| Some((metric, at?.nanos_since(from)));
        let first = first_token(record, rules);
        let last = record.last_content();
        let spans = [
            after(Metric::TimeToHeaders, record.headers, sent),
            after(Metric::TimeToFirstToken, first, sent),
            after(Metric::TimeToFirstTokenFromDue, first, due),
            after(
                Metric::TimeToFirstOutput,
                record.first_visible.filter(|_| record.streamed),
                sent,
            ),
            after(Metric::Latency, last, sent),
            after(Metric::LatencyFromDue, last, due),
        ];
        for (metric, nanos) in spans.into_iter().flatten() {
            self.add(metric, nanos);
        }
    }

    fn record_stream(&mut self, record: &Record) {
        if !record.streamed || record.marks.len() < 2 {
            return;
        }
        let gaps = record
            .marks
            .windows(2)
            .map(|pair| (pair[1].at.nanos_since(pair[0].at), pair[1].tokens));
        let chunks = self.series.entry(Metric::InterChunkLatency).or_default();
        for (gap, _) in gaps.clone() {
            chunks.record(gap);
        }
        if tokens_by_event(&record.marks).is_some() {
            let tokens = self.series.entry(Metric::InterTokenLatency).or_default();
            for (gap, n) in gaps {
                tokens.record_n(gap / u64::from(n), u64::from(n));
            }
        }
        if let Some(nanos) = time_per_output_token(record) {
            self.add(Metric::TimePerOutputToken, nanos);
        }
    }

    fn record_tokens(&mut self, record: &Record, rules: &Rules) {
        let counts = [
            (Metric::PromptTokens, record.prompt_tokens()),
            (
                Metric::RequestedPromptTokens,
                record.requested_prompt_tokens,
            ),
            (Metric::CachedTokens, record.usage.cached_tokens),
        ];
        for (metric, count) in counts {
            if let Some(count) = count {
                self.add(metric, u64::from(count) * COUNT_SCALE);
            }
        }
        self.prompt_tokens += record.prompt_tokens().map_or(0, u64::from);
        // A server may send that there are none of what there cannot be.
        let output = record.output_tokens().filter(|_| record.vectors == 0);
        if let Some((output, source)) = output {
            self.output_tokens += u64::from(output);
            *self.token_sources.entry(source).or_default() += 1;
            self.add(Metric::OutputTokens, u64::from(output) * COUNT_SCALE);
            self.record_per_token(record, u64::from(output), rules);
        }
        if let (Some(first), 1..) = (first_token(record, rules), record.output_chars) {
            let rest = record.end.nanos_since(first);
            self.add(Metric::LatencyPerChar, rounded(rest, record.output_chars));
        }
    }

    /// Fireworks' two figures a token, under their old names.
    fn record_per_token(&mut self, record: &Record, output: u64, rules: &Rules) {
        let (Some(sent), 1..) = (record.sent, output) else {
            return;
        };
        let total = record.end.nanos_since(sent);
        self.add(Metric::OverallLatencyPerToken, rounded(total, output));
        if let Some(first) = first_token(record, rules) {
            let rest = record.end.nanos_since(first);
            self.add(Metric::LatencyPerToken, rounded(rest, output));
        }
    }

    /// What the server says of its own work.
    fn record_server(&mut self, record: &Record) {
        let Some(server) = &record.server else { return };
        let times = [
            (Metric::ServerTotalLatency, server.total_ns),
            (Metric::ServerTimeToFirstToken, server.first_token_ns),
        ];
        for (metric, nanos) in times {
            if let Some(nanos) = nanos {
                self.add(metric, nanos);
            }
        }
        let output = record.output_tokens().map_or(0, |(tokens, _)| tokens);
        if output < LEAST_SPECULATED {
            return;
        }
        for rate in server.speculation.iter().filter(|rate| rate.total > 0) {
            if let Some(position) = Position::new(rate.position) {
                let percent = u64::from(rate.hits.min(rate.total)) * 100 * COUNT_SCALE;
                let percent = rounded(percent, u64::from(rate.total));
                self.add(Metric::SpeculationHitRate(position), percent);
            }
        }
    }

    /// The figures of a conversation that depend on how long its history is.
    fn record_turn(&mut self, record: &Record, rules: &Rules) {
        let (Some(turn), Some(sent)) = (record.turn, record.sent) else {
            return;
        };
        let turn = TurnClass::of(turn.number);
        let since_sent = |at: Offset| at.nanos_since(sent);
        let prompt = record.prompt_tokens();
        let figures = [
            (
                Metric::TurnTimeToFirstToken(turn),
                first_token(record, rules).map(since_sent),
            ),
            (
                Metric::TurnLatency(turn),
                record.last_content().map(since_sent),
            ),
            (
                Metric::TurnPromptTokens(turn),
                prompt.map(|tokens| u64::from(tokens) * COUNT_SCALE),
            ),
        ];
        for (metric, value) in figures {
            if let Some(value) = value {
                self.add(metric, value);
            }
        }
    }

    fn add(&mut self, metric: Metric, value: u64) {
        self.series.entry(metric).or_default().record(value);
    }
}

/// When the token came that a time to first token counts to: the first content event of a stream, or the first that is no
/// reasoning where that is asked for and there is one.
pub(super) fn first_token(record: &Record, rules: &Rules) -> Option<Offset> {
    let visible = record.first_visible.filter(|_| rules.first_visible);
    visible
        .or_else(|| record.first_content())
        .filter(|_| record.streamed)
}

/// `nanos` / `parts`, to the nearest nanosecond.
const fn rounded(nanos: u64, parts: u64) -> u64 {
    nanos.saturating_add(parts / 2) / parts
}

/// (last content − first content) / (N − n₁). Undefined when N ≤ n₁, and for a stream of one content event,
/// whose tokens have no time between them.
pub(crate) fn time_per_output_token(record: &Record) -> Option<u64> {
    let (first, last) = (record.marks.first()?, record.marks.last()?);
    let (output, _) = record.output_tokens()?;
    let rest = output
        .checked_sub(first.tokens.max(1))
        .filter(|&rest| rest > 0 && record.marks.len() > 1)?;
    Some(rounded(last.at.nanos_since(first.at), u64::from(rest)))
}

/// Tokens of all events together, where the tokens of every event are known.
pub(super) fn tokens_by_event(marks: &[Mark]) -> Option<u64> {
    let known = !marks.is_empty() && marks.iter().all(|mark| mark.tokens > 0);
    known.then(|| marks.iter().map(|mark| u64::from(mark.tokens)).sum())
}

/// The share of a good request's time, from sent to end, that lies inside the window: users that are always busy make of these
/// shares exactly their rate, whenever the window begins and ends.
#[expect(clippy::cast_precision_loss, reason = "spans of a run")]
fn share_inside(record: &Record, window: &Window) -> f64 {
    let Some(sent) = record.sent.filter(|_| record.outcome.is_good()) else {
        return 0.0;
    };
    let whole = record.end.nanos_since(sent);
    if whole == 0 {
        return f64::from(u8::from(window.holds(sent)));
    }
    let end = window.end.map_or(record.end, |end| end.min(record.end));
    let inside = end.nanos_since(sent.max(window.start));
    (inside as f64 / whole as f64 * TOKEN_GRAIN).round() / TOKEN_GRAIN
}

/// Output tokens of `record` that arrived inside the window.
///
/// A stream's tokens are shared out over its content events: by the tokens of each where they are known, evenly
/// otherwise. An answer without content events arrived when its body was complete.
#[expect(
    clippy::cast_precision_loss,
    reason = "token counts are far below 2^52"
)]
fn tokens_inside(record: &Record, window: &Window) -> f64 {
    let inside = |at: Offset| window.holds(at);
    let by_event = tokens_by_event(&record.marks);
    let output = record.output_tokens().map(|(tokens, _)| u64::from(tokens));
    let Some(output) = output.or(by_event) else {
        return 0.0;
    };
    let share = if record.marks.is_empty() {
        f64::from(u8::from(inside(record.end)))
    } else {
        let marks = record.marks.iter().filter(|mark| inside(mark.at));
        match by_event {
            Some(all) => marks.map(|mark| u64::from(mark.tokens)).sum::<u64>() as f64 / all as f64,
            None => marks.count() as f64 / record.marks.len() as f64,
        }
    };
    (output as f64 * share * TOKEN_GRAIN).round() / TOKEN_GRAIN
}

fn counts_disagree(record: &Record) -> bool {
    let told = [
        record.usage.completion_tokens,
        record.logprob_tokens,
        record.tokenizer_tokens,
    ];
    let mut told = told.into_iter().flatten();
    told.next()
        .is_some_and(|first| told.any(|other| other != first))
}

/// Whether the server's count of the prompt differs from the length asked for by more than is to be expected: of a prompt
/// that was counted, a token and 1% (a template's or a tokenizer's rounding); of one that was only estimated, a token and a
/// sixth (what tokenizers differ by).
fn prompt_is_off(record: &Record) -> bool {
    let (Some(asked), Some(real)) = (record.requested_prompt_tokens, record.usage.prompt_tokens)
    else {
        return false;
    };
    let tolerance = if record.counted_prompt_tokens.is_some() {
        asked / 100
    } else {
        asked / 6
    };
    real.abs_diff(asked) > 1 + tolerance
}

#[cfg(test)]
#[path = "fold_tests.rs"]
pub(super) mod tests;
