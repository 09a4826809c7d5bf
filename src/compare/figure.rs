//! What is compared: the figures that each response has, those that a run has once, and the statistics of the first.
//! It computes none of them.

use serde::Serialize;

/// A figure of one response. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Figure {
    /// Sent to the first content.
    Ttft,
    /// llmperf's: sent to the last content, by output tokens, the first one counted in.
    InterToken,
    /// Ours: first to last content, by the output tokens behind the first content.
    TimePerToken,
    /// Sent to the end of the answer.
    EndToEnd,
    /// Output tokens by end-to-end latency.
    Throughput,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
}

impl Figure {
    /// All of them, in the report's order.
    pub const ALL: [Self; 7] = [
        Self::Ttft,
        Self::InterToken,
        Self::TimePerToken,
        Self::EndToEnd,
        Self::Throughput,
        Self::OutputTokens,
        Self::InputTokens,
    ];
    /// Those that say how fast a server is.
    pub const OF_SPEED: [Self; 5] = [
        Self::Ttft,
        Self::InterToken,
        Self::TimePerToken,
        Self::EndToEnd,
        Self::Throughput,
    ];

    /// The name, as in a heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "Time to first token",
            Self::InterToken => "Inter-token latency",
            Self::TimePerToken => "Time per output token",
            Self::EndToEnd => "End-to-end latency",
            Self::Throughput => "Per-request throughput",
            Self::InputTokens => "Input tokens",
            Self::OutputTokens => "Output tokens",
        }
    }

    /// The word of a threshold.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::InterToken => "itl",
            Self::TimePerToken => "tpot",
            Self::EndToEnd => "latency",
            Self::Throughput => "request_throughput",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    /// The unit of tables.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Throughput => "tokens/s",
            Self::InputTokens | Self::OutputTokens => "tokens",
            _ => "s",
        }
    }

    /// Whether less of it is better; `None` where neither is.
    pub const fn less_is_better(self) -> Option<bool> {
        match self {
            Self::Throughput => Some(false),
            Self::InputTokens | Self::OutputTokens => None,
            _ => Some(true),
        }
    }

    /// Whether it is a time.
    pub fn is_time(self) -> bool {
        self.unit() == "s"
    }

    /// Its name in llmperf's files; none for what they do not have.
    pub const fn llmperf_key(self) -> Option<&'static str> {
        match self {
            Self::Ttft => Some("ttft_s"),
            Self::InterToken => Some("inter_token_latency_s"),
            Self::TimePerToken => None,
            Self::EndToEnd => Some("end_to_end_latency_s"),
            Self::Throughput => Some("request_output_throughput_token_per_s"),
            Self::InputTokens => Some("number_input_tokens"),
            Self::OutputTokens => Some("number_output_tokens"),
        }
    }
}

/// A figure that a run has once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Rate {
    /// Output tokens of good responses by the time of the whole run, in tokens per second.
    OverallThroughput,
    /// Good responses per minute of the whole run.
    RequestsPerMinute,
}

impl Rate {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OverallThroughput, Self::RequestsPerMinute];

    /// The name, as in a heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OverallThroughput => "Overall throughput",
            Self::RequestsPerMinute => "Requests per minute",
        }
    }

    /// The word of a threshold.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OverallThroughput => "throughput",
            Self::RequestsPerMinute => "rpm",
        }
    }

    /// The unit of tables.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::OverallThroughput => "tokens/s",
            Self::RequestsPerMinute => "requests/min",
        }
    }
}

/// A statistic of a figure over responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Stat {
    /// The arithmetic mean.
    Mean,
    /// The 50th percentile.
    Median,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The 95th percentile, interpolated linearly.
    P95,
    /// The sample's standard deviation (n − 1).
    StdDev,
}

impl Stat {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Mean,
        Self::Median,
        Self::Min,
        Self::Max,
        Self::P95,
        Self::StdDev,
    ];
    /// Those whose changes have intervals.
    pub const COMPARED: [Self; 3] = [Self::Mean, Self::Median, Self::P95];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Min => "min",
            Self::Max => "max",
            Self::P95 => "p95",
            Self::StdDev => "stddev",
        }
    }

    /// The ending of its key in llmperf's summaries.
    pub const fn llmperf_key(self) -> &'static str {
        match self {
            Self::Median => "quantiles_p50",
            Self::P95 => "quantiles_p95",
            other => other.name(),
        }
    }
}
