//! Our records, JSON lines with all times of each request, and the figures of each, llmperf's definitions among them.

use serde::Deserialize;

use super::ReadError;
use crate::compare::{Figure, Kind, Rate, Run, Settings};
use crate::domain::Outcome;

/// A part of a run's time, in nanoseconds from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From here on.
    pub from_ns: u64,
    /// Before this.
    pub to_ns: u64,
}

/// The requests of one run, from one or several workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    files: Vec<String>,
    lines: Vec<Line>,
    is_torn: bool,
}

/// What is taken of a line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Line {
    outcome: Outcome,
    sent_ns: Option<u64>,
    content_ns: Vec<u64>,
    tokens: Vec<u64>,
    end_ns: u64,
    streamed: bool,
    usage: Usage,
    logprob_tokens: Option<u32>,
    tokenizer_tokens: Option<u32>,
    counted_prompt_tokens: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Usage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

/// Whether `first` is the first line of a file of records.
pub(super) fn is_line(first: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(first)
        .is_ok_and(|value| value.get("outcome").is_some() && value.get("content_ns").is_some())
}

impl Records {
    /// The records of a file. A last line that was torn off in the middle is left out.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, ReadError> {
        let (mut lines, mut is_torn) = (Vec::new(), false);
        for (at, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(line) => lines.push(line),
                Err(why) if why.is_eof() && !text.ends_with('\n') && text.ends_with(line) => {
                    is_torn = true;
                }
                Err(why) => return Err(ReadError::broken(name, format!("line {at}"), &why)),
            }
        }
        Ok(Self {
            files: vec![name.to_owned()],
            lines,
            is_torn,
        })
    }

    /// Adds what another worker of the same run wrote.
    pub fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.lines.extend(other.lines);
        self.is_torn |= other.is_torn;
    }

    /// The run: its responses by those sent in `window`, as its result counts them; without one by all.
    pub fn run(self, window: Option<Window>) -> Run {
        let mut run = Run {
            kinds: [Kind::Records].into(),
            rates: rates(&self.lines),
            ..Run::default()
        };
        if self.is_torn {
            run.notes
                .push("the last record is torn off and left out".to_owned());
        }
        let is_inside = |line: &&Line| match (window, line.sent_ns) {
            (Some(window), Some(sent)) => (window.from_ns..window.to_ns).contains(&sent),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let counted: Vec<&Line> = self.lines.iter().filter(is_inside).collect();
        let failed = counted
            .iter()
            .filter(|line| line.outcome.is_failure())
            .count();
        let good: Vec<&Line> = counted
            .into_iter()
            .filter(|line| line.outcome.is_good())
            .collect();
        for line in &good {
            for (figure, value) in line.figures() {
                run.answers.entry(figure).or_default().push(value);
            }
        }
        run.requests = u64::try_from(good.len() + failed).ok();
        run.errors = u64::try_from(failed).ok();
        run.settings = Settings {
            counted_by: sources(&good),
            streamed: good.first().map(|line| line.streamed),
            ..Settings::default()
        };
        if window.is_none() {
            run.notes.push(
                "records without their result file: all requests count, those of a warm-up too"
                    .to_owned(),
            );
        }
        run.files = self.files;
        run
    }
}

/// Over the whole run, as llmperf has them: good responses and their tokens by the time from the first send to the last end.
fn rates(lines: &[Line]) -> std::collections::BTreeMap<Rate, f64> {
    let first = lines.iter().filter_map(|line| line.sent_ns).min();
    let last = lines.iter().map(|line| line.end_ns).max();
    let good = || lines.iter().filter(|line| line.outcome.is_good());
    let Some(time) = first
        .zip(last)
        .map(|(first, last)| seconds(last.saturating_sub(first)))
    else {
        return [].into();
    };
    if time <= 0.0 {
        return [].into();
    }
    let tokens: Option<f64> = good()
        .map(|line| line.output_tokens().map(|(it, _)| f64::from(it)))
        .sum();
    let answers = crate::compare::stats::count(good().count());
    let throughput = tokens.map(|tokens| (Rate::OverallThroughput, tokens / time));
    let per_minute = (Rate::RequestsPerMinute, answers / time * 60.0);
    throughput.into_iter().chain([per_minute]).collect()
}

fn sources(good: &[&Line]) -> Option<String> {
    let mut names: Vec<&str> = good
        .iter()
        .filter_map(|line| line.output_tokens())
        .map(|(_, by)| by)
        .collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "times of a run")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl Line {
    /// As our own reports count them: usage, else log probabilities, else the tokenizer.
    fn output_tokens(&self) -> Option<(u32, &'static str)> {
        let by = |count: Option<u32>, name| count.map(|count| (count, name));
        by(self.usage.completion_tokens, "usage")
            .or_else(|| by(self.logprob_tokens, "logprobs"))
            .or_else(|| by(self.tokenizer_tokens, "tokenizer"))
    }

    fn figures(&self) -> Vec<(Figure, f64)> {
        let tokens = self.output_tokens().map(|(count, _)| f64::from(count));
        let prompt = self.usage.prompt_tokens.or(self.counted_prompt_tokens);
        let Some(sent) = self.sent_ns else {
            return Vec::new();
        };
        let since = |at: u64| seconds(at.saturating_sub(sent));
        let first = self.content_ns.first().filter(|_| self.streamed).copied();
        let last = if self.streamed {
            self.content_ns.last().copied()
        } else {
            Some(self.end_ns)
        };
        let some = tokens.filter(|tokens| *tokens > 0.0);
        let all = [
            (Figure::Ttft, first.map(since)),
            (
                Figure::InterToken,
                last.zip(some).map(|(last, n)| since(last) / n),
            ),
            (Figure::TimePerToken, self.time_per_token(tokens)),
            (Figure::EndToEnd, Some(since(self.end_ns))),
            (Figure::Throughput, some.map(|n| n / since(self.end_ns))),
            (Figure::InputTokens, prompt.map(f64::from)),
            (Figure::OutputTokens, tokens),
        ];
        let known = all
            .into_iter()
            .filter_map(|(figure, value)| Some((figure, value?)));
        known.filter(|(_, value)| value.is_finite()).collect()
    }

    /// (last content − first content) / (tokens − those of the first content, 1 where the server did not tell).
    #[expect(clippy::cast_precision_loss, reason = "tokens of one event")]
    fn time_per_token(&self, tokens: Option<f64>) -> Option<f64> {
        let (first, last) = (self.content_ns.first()?, self.content_ns.last()?);
        let of_first = self
            .tokens
            .first()
            .copied()
            .filter(|it| *it > 0)
            .unwrap_or(1) as f64;
        let rest = tokens? - of_first;
        (self.streamed && rest > 0.0).then(|| seconds(last.saturating_sub(*first)) / rest)
    }
}
