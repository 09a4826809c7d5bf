//! What is measured: the name of each distribution, in tables and in files.
//! It records nothing and knows no formula (`fold`).

use super::names::{HIT_RATE_KEYS, HIT_RATES, TURN_LABELS, TURN_LATENCIES, TURN_LATENCY_KEYS};
use super::names::{TURN_PROMPTS, TURN_TTFT_KEYS, TURN_TTFTS};

/// One distribution. Times are in nanoseconds; counts of things are scaled by `COUNT_SCALE`, so that one
/// histogram layout serves all and a table that divides by 1e6 shows milliseconds or things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// End of the body − sent: the request's own row, and Fireworks' `total_latency`.
    TotalLatency,
    /// End − sent of failed requests.
    FailedTime,
    /// First content event − sent.
    TimeToFirstToken,
    /// First content event − due.
    TimeToFirstTokenFromDue,
    /// First content event that is not reasoning − sent.
    TimeToFirstOutput,
    /// Response head − sent.
    TimeToHeaders,
    /// Last content event − sent.
    Latency,
    /// Last content event − due.
    LatencyFromDue,
    /// Sent − due.
    Lateness,
    /// First write − the moment from which it could have been (due, and a user free), the wait for a connection left out:
    /// the generator's own delay.
    SendDelay,
    /// Read − arrival by the kernel's stamp, one entry a read; without such stamps, how late the event loop served a timer.
    ReceiveLag,
    /// (last content − first content) / (tokens − tokens of the first event).
    TimePerOutputToken,
    /// Gap between content events, one entry a gap.
    InterChunkLatency,
    /// Gap / tokens of its event, one entry a token, where the tokens of each event are known.
    InterTokenLatency,
    /// Fireworks: (end − first content) / tokens.
    LatencyPerToken,
    /// Fireworks: (end − sent) / tokens.
    OverallLatencyPerToken,
    /// (end − sent) / characters of output.
    LatencyPerChar,
    /// Time to have a new connection.
    ConnectTime,
    /// Output tokens.
    OutputTokens,
    /// Prompt tokens as the server counts them, else as counted before the run.
    PromptTokens,
    /// Prompt tokens asked for by the settings.
    RequestedPromptTokens,
    /// Prompt tokens from a cache.
    CachedTokens,
    /// The server's own time from its receipt of the request to the end.
    ServerTotalLatency,
    /// The server's own time to its first token.
    ServerTimeToFirstToken,
    /// (end − sent) / embeddings.
    LatencyPerEmbedding,
    /// Speculated tokens of one position that were right, in percent, one entry a request.
    SpeculationHitRate(Position),
    /// `TimeToFirstToken` of one turn of conversations.
    TurnTimeToFirstToken(TurnClass),
    /// `Latency` of one turn of conversations.
    TurnLatency(TurnClass),
    /// `PromptTokens` of one turn of conversations.
    TurnPromptTokens(TurnClass),
}

/// How far ahead a speculated token is, as servers number it: 0 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u8);

impl Position {
    /// How many there are.
    pub const COUNT: u8 = 17;

    /// The position with this number, if it is one that is told apart.
    #[expect(clippy::cast_possible_truncation, reason = "it is looked at before")]
    pub const fn new(number: u32) -> Option<Self> {
        if number < Self::COUNT as u32 {
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Turns of conversations that share their figures: each of the first ten alone, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnClass(u8);

impl TurnClass {
    /// How many there are.
    pub const COUNT: u8 = 11;

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// That of turn `turn`, from 0.
    #[expect(clippy::cast_possible_truncation, reason = "it is looked at before")]
    pub const fn of(turn: u32) -> Self {
        let last = Self::COUNT - 1;
        Self(if turn < last as u32 { turn as u8 } else { last })
    }

    /// The one with this number, from 0.
    pub const fn new(number: u32) -> Option<Self> {
        if number < Self::COUNT as u32 {
            Some(Self::of(number))
        } else {
            None
        }
    }

    /// Its number, from 0.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// What it is called: `1`, .. `10`, `11+`.
    pub const fn label(self) -> &'static str {
        TURN_LABELS[self.index()]
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Metrics there are once.
const PLAIN: usize = 25;
const POSITIONS: usize = Position::COUNT as usize;
const TURNS: usize = TurnClass::COUNT as usize;

impl Metric {
    /// All of them, in report order.
    pub const ALL: [Self; PLAIN + POSITIONS + 3 * TURNS] = Self::all();

    /// Those that there are once, in report order.
    pub(super) const PLAIN: [Self; PLAIN] = [
        Self::TotalLatency,
        Self::FailedTime,
        Self::TimeToFirstToken,
        Self::TimeToFirstTokenFromDue,
        Self::TimeToFirstOutput,
        Self::TimeToHeaders,
        Self::Latency,
        Self::LatencyFromDue,
        Self::Lateness,
        Self::SendDelay,
        Self::ReceiveLag,
        Self::TimePerOutputToken,
        Self::InterChunkLatency,
        Self::InterTokenLatency,
        Self::LatencyPerToken,
        Self::OverallLatencyPerToken,
        Self::LatencyPerChar,
        Self::ConnectTime,
        Self::OutputTokens,
        Self::PromptTokens,
        Self::RequestedPromptTokens,
        Self::CachedTokens,
        Self::ServerTotalLatency,
        Self::ServerTimeToFirstToken,
        Self::LatencyPerEmbedding,
    ];

    #[expect(clippy::cast_possible_truncation, reason = "there are few of each")]
    const fn all() -> [Self; PLAIN + POSITIONS + 3 * TURNS] {
        let mut all = [Self::TotalLatency; PLAIN + POSITIONS + 3 * TURNS];
        let mut at = 0;
        while at < PLAIN {
            all[at] = Self::PLAIN[at];
            at += 1;
        }
        while at < PLAIN + POSITIONS {
            all[at] = Self::SpeculationHitRate(Position((at - PLAIN) as u8));
            at += 1;
        }
        let mut turn = 0;
        while turn < TurnClass::COUNT {
            all[at] = Self::TurnTimeToFirstToken(TurnClass(turn));
            all[at + 1] = Self::TurnLatency(TurnClass(turn));
            all[at + 2] = Self::TurnPromptTokens(TurnClass(turn));
            at += 3;
            turn += 1;
        }
        all
    }

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TotalLatency => "total_latency",
            Self::FailedTime => "failed_time",
            Self::TimeToFirstToken => "time_to_first_token",
            Self::TimeToFirstTokenFromDue => "time_to_first_token_from_due",
            Self::TimeToFirstOutput => "time_to_first_output",
            Self::TimeToHeaders => "time_to_headers",
            Self::Latency => "latency",
            Self::LatencyFromDue => "latency_from_due",
            Self::Lateness => "lateness",
            Self::SendDelay => "send_delay",
            Self::ReceiveLag => "receive_lag",
            Self::TimePerOutputToken => "time_per_output_token",
            Self::InterChunkLatency => "inter_chunk_latency",
            Self::InterTokenLatency => "inter_token_latency",
            Self::LatencyPerToken => "latency_per_token",
            Self::OverallLatencyPerToken => "overall_latency_per_token",
            Self::LatencyPerChar => "latency_per_char",
            Self::ConnectTime => "connect_time",
            Self::OutputTokens => "output_tokens",
            Self::PromptTokens => "prompt_tokens",
            Self::RequestedPromptTokens => "requested_prompt_tokens",
            Self::CachedTokens => "cached_tokens",
            Self::ServerTotalLatency => "server_side_total_latency",
            Self::ServerTimeToFirstToken => "server_side_time_to_first_token",
            Self::LatencyPerEmbedding => "latency_per_embedding",
            Self::SpeculationHitRate(position) => HIT_RATES[position.index()],
            Self::TurnTimeToFirstToken(turn) => TURN_TTFTS[turn.index()],
            Self::TurnLatency(turn) => TURN_LATENCIES[turn.index()],
            Self::TurnPromptTokens(turn) => TURN_PROMPTS[turn.index()],
        }
    }

    /// The name in result files, with its unit where it is a time.
    pub const fn key(self) -> &'static str {
        match self {
            Self::TotalLatency => "total_latency_ms",
            Self::FailedTime => "failed_time_ms",
            Self::TimeToFirstToken => "ttft_ms",
            Self::TimeToFirstTokenFromDue => "ttft_from_due_ms",
            Self::TimeToFirstOutput => "ttfo_ms",
            Self::TimeToHeaders => "ttfb_ms",
            Self::Latency => "latency_ms",
            Self::LatencyFromDue => "latency_from_due_ms",
            Self::Lateness => "lateness_ms",
            Self::SendDelay => "send_delay_ms",
            Self::ReceiveLag => "receive_lag_ms",
            Self::TimePerOutputToken => "tpot_ms",
            Self::InterChunkLatency => "icl_ms",
            Self::InterTokenLatency => "itl_ms",
            Self::LatencyPerToken => "latency_per_token_ms",
            Self::OverallLatencyPerToken => "overall_latency_per_token_ms",
            Self::LatencyPerChar => "latency_per_char_ms",
            Self::ConnectTime => "connect_time_ms",
            Self::OutputTokens
            | Self::PromptTokens
            | Self::RequestedPromptTokens
            | Self::CachedTokens
            | Self::TurnPromptTokens(_) => self.name(),
            Self::ServerTotalLatency => "server_side_total_latency_ms",
            Self::ServerTimeToFirstToken => "server_side_ttft_ms",
            Self::LatencyPerEmbedding => "latency_per_embedding_ms",
            Self::SpeculationHitRate(position) => HIT_RATE_KEYS[position.index()],
            Self::TurnTimeToFirstToken(turn) => TURN_TTFT_KEYS[turn.index()],
            Self::TurnLatency(turn) => TURN_LATENCY_KEYS[turn.index()],
        }
    }

    /// The metric that tables call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether it counts things, or percents, (scaled by `COUNT_SCALE`) and is not a time.
    pub const fn is_count(self) -> bool {
        matches!(
            self,
            Self::OutputTokens
                | Self::PromptTokens
                | Self::RequestedPromptTokens
                | Self::CachedTokens
                | Self::SpeculationHitRate(_)
                | Self::TurnPromptTokens(_)
        )
    }

    /// Whether it is of one turn of conversations.
    pub const fn is_of_a_turn(self) -> bool {
        matches!(
            self,
            Self::TurnTimeToFirstToken(_) | Self::TurnLatency(_) | Self::TurnPromptTokens(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_name_and_key() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert_eq!(metric.key().ends_with("_ms"), !metric.is_count());
        }
        let mut keys = Metric::ALL.map(Metric::key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn numbered_metrics_have_their_number_in_their_name() {
        let position = Position::new(3).unwrap();
        let rate = Metric::SpeculationHitRate(position);
        assert_eq!(rate.name(), "speculation_hit_rate_position_3");
        assert_eq!(rate.key(), "speculation_hit_rate_position_3_percent");
        assert_eq!(Position::new(16).map(Position::number), Some(16));
        assert_eq!(Position::new(17), None);
        for (turn, label) in [(0, "1"), (9, "10"), (10, "11+"), (4_000_000, "11+")] {
            let class = TurnClass::of(turn);
            assert_eq!(class.label(), label);
            let names = [
                Metric::TurnTimeToFirstToken(class).name(),
                Metric::TurnLatency(class).key(),
                Metric::TurnPromptTokens(class).key(),
            ];
            let want = ["time_to_first_token", "latency_ms", "prompt_tokens"];
            assert_eq!(
                names.map(str::to_owned),
                want.map(|what| format!("turn_{label}_{what}"))
            );
        }
        assert_eq!(
            (TurnClass::new(10), TurnClass::new(11)),
            (Some(TurnClass(10)), None)
        );
    }
}
