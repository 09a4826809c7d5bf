//! What a server tells of its own work beside an answer: Fireworks' headers, and the `perf_metrics` of its bodies.
//! It is gathered while the answer is read and said once, at its end.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Fields;
use super::reader::Out;
use crate::domain::{HitRate, ServerFigures, Usage, Warning};

/// How many tokens an answer has at least before its hit rates say anything.
const MIN_TOKENS: u32 = 30;

/// What stands before a figure's name in headers, and in some bodies.
const PREFIX: &str = "fireworks-";

/// The headers that are read.
const HEADERS: [&str; 5] = [
    "fireworks-server-processing-time",
    "fireworks-server-time-to-first-token",
    "fireworks-speculation-acceptance",
    "fireworks-prompt-tokens",
    "fireworks-cached-prompt-tokens",
];

/// The figures of one answer as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Figures {
    server: ServerFigures,
    /// The speculation's account could not be read.
    unreadable: bool,
    /// Token counts beside the answer.
    beside: Usage,
    /// Token counts in the answer.
    inside: Usage,
}

impl Figures {
    /// Takes what stands in the answer's head.
    pub(super) fn read_head(&mut self, field: &Fields<'_>) {
        for header in HEADERS {
            if let Some(value) = field(header).and_then(|value| str::from_utf8(value).ok()) {
                self.note(header, value);
            }
        }
    }

    /// Takes a `perf_metrics`; what is none is passed over.
    pub(super) fn read_metrics(&mut self, metrics: &RawValue) {
        let Ok(metrics) = serde_json::from_str::<Map<String, Value>>(metrics.get()) else {
            return;
        };
        for (name, value) in &metrics {
            match value {
                Value::String(text) => self.note(name, text),
                Value::Number(number) => self.note(name, &number.to_string()),
                _ => {}
            }
        }
    }

    /// The answer's own token counts: those beside it only fill their gaps.
    pub(super) fn note_usage(&mut self, usage: Usage) {
        self.inside = self.inside.updated(usage);
    }

    fn note(&mut self, name: &str, value: &str) {
        let value = value.trim();
        let replace = |figure: &mut Option<u64>| *figure = nanoseconds(value).or(*figure);
        let count = |count: &mut Option<u32>| *count = value.parse().ok().or(*count);
        match name.strip_prefix(PREFIX).unwrap_or(name) {
            "server-processing-time" => replace(&mut self.server.total_ns),
            "server-time-to-first-token" => replace(&mut self.server.first_token_ns),
            "speculation-acceptance" => match hit_rates(value) {
                Some(rates) => self.server.speculation = rates,
                None => self.unreadable = true,
            },
            "prompt-tokens" => count(&mut self.beside.prompt_tokens),
            "cached-prompt-tokens" => count(&mut self.beside.cached_tokens),
            _ => {}
        }
    }

    /// Says what is known; the answer is complete.
    pub(super) fn tell(&mut self, out: &mut Out<'_>) {
        let gap = |inside: Option<u32>, beside| if inside.is_none() { beside } else { None };
        out.usage(Usage {
            prompt_tokens: gap(self.inside.prompt_tokens, self.beside.prompt_tokens),
            cached_tokens: gap(self.inside.cached_tokens, self.beside.cached_tokens),
            ..Usage::default()
        });
        let tokens = self.inside.completion_tokens.unwrap_or(0);
        if tokens < MIN_TOKENS {
            self.server.speculation.clear();
        } else if self.unreadable && self.server.speculation.is_empty() {
            out.warn(Warning::SpeculationUnreadable);
        }
        out.server(&self.server);
    }
}

/// Seconds as nanoseconds; nothing for what is no span of time.
fn nanoseconds(seconds: &str) -> Option<u64> {
    let span = std::time::Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    u64::try_from(span.as_nanos()).ok()
}

/// Reads `position:hits/total`, with commas between; a position of which there is nothing is passed over.
fn hit_rates(text: &str) -> Option<Vec<HitRate>> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(hit_rate)
        .filter(|rate| rate.is_none_or(|rate| rate.total > 0))
        .collect()
}

fn hit_rate(entry: &str) -> Option<HitRate> {
    let (position, share) = entry.split_once(':')?;
    let (hits, total) = share.split_once('/')?;
    let number = |digits: &str| digits.trim().parse::<u32>().ok();
    let rate = HitRate {
        position: number(position)?,
        hits: number(hits)?,
        total: number(total)?,
    };
    (rate.hits <= rate.total).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_nanosecond_and_nothing_else_is() {
        assert_eq!(nanoseconds("0.25"), Some(250_000_000));
        assert_eq!(nanoseconds("1e-9"), Some(1));
        for text in ["", "-1", "NaN", "inf", "1e30", "0.1 s"] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn an_account_of_speculation_is_read_whole_or_not_at_all() {
        let rate = |position, hits, total| HitRate {
            position,
            hits,
            total,
        };
        assert_eq!(
            hit_rates("0:8/10, 1:3/8,2:0/0,"),
            Some(vec![rate(0, 8, 10), rate(1, 3, 8)])
        );
        assert_eq!(hit_rates(""), Some(vec![]));
        for text in ["0:8", "a:1/2", "0:1/2,1", "0:3/2", "0:-1/2", "0:0.5"] {
            assert_eq!(hit_rates(text), None, "{text}");
        }
    }
}
