//! Which distribution has which name, unit and buckets on the page. It holds no values.

use super::catalogue::{Def, Kind};
use crate::metrics::Metric;

/// What a distribution is of: the unit that its values are shown in, and its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Nanoseconds, shown as seconds.
    Time,
    /// Things.
    Count,
    /// Percents, shown as shares of 1.
    Share,
}

impl Scale {
    /// How much of the series' own unit is one of those shown.
    pub(super) const fn divisor(self) -> f64 {
        match self {
            Self::Time => 1e9,
            Self::Count => 1e6,
            Self::Share => 1e8,
        }
    }

    /// The upper bounds of the classic buckets, rising, without the last one, which has none.
    pub(super) const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Time => &TIMES,
            Self::Count => &COUNTS,
            Self::Share => &SHARES,
        }
    }

    /// Values up to this are not told from nothing by a native histogram: the lowest that a series tells apart, or less than one thing.
    pub(super) const fn zero_threshold(self) -> f64 {
        match self {
            // The bound of a native bucket: 2^(-1273/64), the first above the 1.023 µs below which a series tells nothing apart.
            Self::Time => 1.028_786_466_366_882_2e-6,
            Self::Count => 0.5,
            Self::Share => 0.000_976_562_5,
        }
    }
}

/// Five a decade, from 10 µs to 1000 s.
const TIMES: [f64; 41] = [
    1e-5, 1.6e-5, 2.5e-5, 4e-5, 6.3e-5, 1e-4, 1.6e-4, 2.5e-4, 4e-4, 6.3e-4, 1e-3, 1.6e-3, 2.5e-3,
    4e-3, 6.3e-3, 0.01, 0.016, 0.025, 0.04, 0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0,
    6.3, 10.0, 16.0, 25.0, 40.0, 63.0, 100.0, 160.0, 250.0, 400.0, 630.0, 1000.0,
];

/// Powers of two, from 1 to 2^20.
const COUNTS: [f64; 21] = [
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16384.0,
    32768.0,
    65536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
];

/// Twenty equal ones.
const SHARES: [f64; 20] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85,
    0.9, 0.95, 1.0,
];

/// Distributions that share a name, and differ by a label if there are several.
pub(super) struct Histogram {
    pub(super) def: Def,
    pub(super) scale: Scale,
    /// It is on the page before its first value.
    pub(super) is_always: bool,
    holds: fn(Metric) -> Option<String>,
}

impl Histogram {
    /// Its distributions, each with the values of its labels.
    pub(super) fn members(&self) -> impl Iterator<Item = (Metric, String)> {
        let holds = self.holds;
        let of = move |metric| holds(metric).map(|label| (metric, label));
        Metric::ALL.into_iter().filter_map(of)
    }
}

macro_rules! histograms {
    ($($name:literal $scale:ident $always:literal [$($label:literal)?] $metric:pat => $value:expr, $help:literal;)+) => {
        /// All of them, in the order of the page.
        pub(super) const ALL: &[Histogram] = &[$(Histogram {
            def: Def::new(
                Kind::Histogram,
                concat!("llmload_", $name),
                &[$($label)?],
                concat!($help, "; of requests sent in the measured window"),
            ),
            scale: Scale::$scale,
            is_always: $always,
            holds: |metric| match metric {
                $metric => Some($value),
                _ => None,
            },
        }),+];
    };
}

histograms! {
    "total_latency_seconds" Time true [] Metric::TotalLatency => String::new(),
        "From sent to the end of the body, of good requests";
    "failed_time_seconds" Time true [] Metric::FailedTime => String::new(),
        "From sent to the end, of failed requests";
    "time_to_first_token_seconds" Time true [] Metric::TimeToFirstToken => String::new(),
        "From sent to the first content event, of good requests";
    "time_to_first_token_from_due_seconds" Time false [] Metric::TimeToFirstTokenFromDue => String::new(),
        "From due to the first content event, of good requests";
    "time_to_first_output_seconds" Time false [] Metric::TimeToFirstOutput => String::new(),
        "From sent to the first content event that is not reasoning, of good requests";
    "time_to_headers_seconds" Time true [] Metric::TimeToHeaders => String::new(),
        "From sent to the response's head, of good requests";
    "latency_seconds" Time true [] Metric::Latency => String::new(),
        "From sent to the last content event, of good requests";
    "latency_from_due_seconds" Time false [] Metric::LatencyFromDue => String::new(),
        "From due to the last content event, of good requests";
    "lateness_seconds" Time false [] Metric::Lateness => String::new(),
        "From due to sent";
    "send_delay_seconds" Time true [] Metric::SendDelay => String::new(),
        "The generator's own delay before the first write";
    "receive_lag_seconds" Time true [] Metric::ReceiveLag => String::new(),
        "From arrival by the kernel's stamp to the read, or how late the event loop served a timer where there are no such stamps";
    "time_per_output_token_seconds" Time true [] Metric::TimePerOutputToken => String::new(),
        "Time from the first to the last content event by the tokens after the first event, of good requests";
    "inter_chunk_latency_seconds" Time true [] Metric::InterChunkLatency => String::new(),
        "Gaps between content events, of good requests";
    "inter_token_latency_seconds" Time true [] Metric::InterTokenLatency => String::new(),
        "Gaps by the tokens of their event, one entry a token, of good requests that tell them";
    "latency_per_token_seconds" Time false [] Metric::LatencyPerToken => String::new(),
        "Time from the first content event to the end by the tokens, of good requests";
    "overall_latency_per_token_seconds" Time false [] Metric::OverallLatencyPerToken => String::new(),
        "Time from sent to the end by the tokens, of good requests";
    "latency_per_char_seconds" Time false [] Metric::LatencyPerChar => String::new(),
        "Time from the first content event to the end by the characters, of good requests";
    "connect_time_seconds" Time false [] Metric::ConnectTime => String::new(),
        "Time to have a new connection";
    "server_side_total_latency_seconds" Time false [] Metric::ServerTotalLatency => String::new(),
        "The server's own time from its receipt of the request to the end";
    "server_side_time_to_first_token_seconds" Time false [] Metric::ServerTimeToFirstToken => String::new(),
        "The server's own time to its first token";
    "latency_per_embedding_seconds" Time false [] Metric::LatencyPerEmbedding => String::new(),
        "Time from sent to the end by the embeddings, of good requests";
    "turn_time_to_first_token_seconds" Time false ["turn"] Metric::TurnTimeToFirstToken(turn) => turn.label().to_owned(),
        "From sent to the first content event, by turn of the conversation, of good requests";
    "turn_latency_seconds" Time false ["turn"] Metric::TurnLatency(turn) => turn.label().to_owned(),
        "From sent to the last content event, by turn of the conversation, of good requests";
    "request_output_tokens" Count true [] Metric::OutputTokens => String::new(),
        "Output tokens of a good request";
    "request_prompt_tokens" Count true [] Metric::PromptTokens => String::new(),
        "Prompt tokens of a good request";
    "request_requested_prompt_tokens" Count false [] Metric::RequestedPromptTokens => String::new(),
        "Prompt tokens that the settings asked for, of a good request";
    "request_cached_tokens" Count false [] Metric::CachedTokens => String::new(),
        "Prompt tokens of a good request that came from a cache";
    "turn_prompt_tokens" Count false ["turn"] Metric::TurnPromptTokens(turn) => turn.label().to_owned(),
        "Prompt tokens of a good request, by turn of the conversation";
    "speculation_hit_ratio" Share false ["position"] Metric::SpeculationHitRate(position) => position.number().to_string(),
        "Share of the speculated tokens of one position that were right, one entry a good request";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distribution_is_on_the_page_once() {
        let mut all: Vec<Metric> = ALL
            .iter()
            .flat_map(Histogram::members)
            .map(|m| m.0)
            .collect();
        all.sort();
        let mut wanted = Metric::ALL.to_vec();
        wanted.sort();
        assert_eq!(all, wanted);
        for histogram in ALL {
            let is_time = histogram.scale == Scale::Time;
            let mut metrics = histogram.members().map(|member| member.0);
            assert!(metrics.all(|metric| metric.is_count() != is_time));
            assert_eq!(histogram.def.name.ends_with("_seconds"), is_time);
        }
    }

    #[test]
    fn bounds_rise_and_are_read_as_they_are_written() {
        for scale in [Scale::Time, Scale::Count, Scale::Share] {
            assert!(scale.bounds().is_sorted_by(|a, b| a < b));
            assert!(scale.zero_threshold() < scale.bounds()[0]);
        }
        for pair in TIMES.windows(2) {
            assert!((1.5..1.61).contains(&(pair[1] / pair[0])), "{pair:?}");
        }
    }
}
