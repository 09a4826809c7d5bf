//! Tallies as protobuf and back: typed counts, and histograms in their own V2 encoding.
//! It merges nothing, and a tally that contradicts itself is an error.

use std::collections::BTreeMap;

use super::{WireError, answer, cut, pb};
use crate::domain::{Offset, Outcome, TokenSource, Warning};
use crate::metrics::{
    CoreLoad, Counts, ErrorCount, ErrorKey, Generator, MAX_ERROR_CHARS, MAX_ERROR_KINDS,
    MAX_OBJECTIVES, Machine, Metric, Phase, Position, Series, Tally, TurnClass,
};

/// More cores than any worker has.
const MAX_CORES: usize = 65_536;

/// Both directions between a domain enum and its numbers, checked by the compiler to be complete.
macro_rules! numbered {
    ($name:ident, $what:literal, $encode:ident, $decode:ident, [$($variant:ident),+ $(,)?]) => {
        pub(super) fn $encode(value: $name) -> i32 {
            match value {
                $($name::$variant => pb::$name::$variant as i32,)+
            }
        }

        pub(super) fn $decode(number: i32) -> Result<$name, WireError> {
            match pb::$name::try_from(number) {
                $(Ok(pb::$name::$variant) => Ok($name::$variant),)+
                Ok(pb::$name::Unspecified) | Err(_) => Err(WireError::Unknown { what: $what, number }),
            }
        }
    };
}

numbered!(
    Outcome,
    "outcome",
    outcome_out,
    outcome_in,
    [
        Ok,
        Truncated,
        Http4xx,
        Http429,
        Http5xx,
        Connect,
        Dns,
        Tls,
        TimeoutConnect,
        TimeoutFirstToken,
        TimeoutIdle,
        TimeoutTotal,
        Cut,
        InStreamError,
        ParseError,
        Empty,
        Cancelled,
    ]
);

numbered!(
    Warning,
    "warning",
    warning_out,
    warning_in,
    [
        TokensDifferFromAsked,
        TokenCountsDisagree,
        TokensUnknown,
        PromptLengthOff,
        UsersTooFew,
        EventAfterEnd,
        SentLate,
        GeneratorQueueFull,
        SentAgain,
        EchoMissing,
        SpeculationUnreadable,
    ]
);

/// The same for metrics, of which some have a number of their own beside their kind's.
macro_rules! metrics {
    ([$($plain:ident),+ $(,)?], [$($numbered:ident: $class:ident),+ $(,)?]) => {
        fn metric_out(metric: Metric) -> (i32, u32) {
            match metric {
                $(Metric::$plain => (pb::Metric::$plain as i32, 0),)+
                $(Metric::$numbered(which) => (pb::Metric::$numbered as i32, which.number()),)+
            }
        }

        fn metric_in(kind: i32, number: u32) -> Result<Metric, WireError> {
            let impossible = WireError::Impossible("number");
            match pb::Metric::try_from(kind) {
                $(Ok(pb::Metric::$plain) if number == 0 => Ok(Metric::$plain),)+
                $(Ok(pb::Metric::$plain) => Err(impossible),)+
                $(Ok(pb::Metric::$numbered) => {
                    $class::new(number).map(Metric::$numbered).ok_or(impossible)
                })+
                Ok(pb::Metric::Unspecified) | Err(_) => Err(WireError::Unknown {
                    what: "metric",
                    number: kind,
                }),
            }
        }
    };
}

metrics!(
    [
        TotalLatency,
        FailedTime,
        TimeToFirstToken,
        TimeToFirstTokenFromDue,
        TimeToFirstOutput,
        TimeToHeaders,
        Latency,
        LatencyFromDue,
        Lateness,
        TimePerOutputToken,
        InterChunkLatency,
        InterTokenLatency,
        LatencyPerToken,
        OverallLatencyPerToken,
        LatencyPerChar,
        ConnectTime,
        OutputTokens,
        PromptTokens,
        RequestedPromptTokens,
        CachedTokens,
        SendDelay,
        ReceiveLag,
        ServerTotalLatency,
        ServerTimeToFirstToken,
        LatencyPerEmbedding,
    ],
    [
        SpeculationHitRate: Position,
        TurnTimeToFirstToken: TurnClass,
        TurnLatency: TurnClass,
        TurnPromptTokens: TurnClass,
    ]
);

numbered!(
    TokenSource,
    "token source",
    source_out,
    source_in,
    [Usage, Logprobs, Tokenizer]
);

pub(super) fn encode(tally: Tally) -> pb::Tally {
    let warnings = tally.warnings.into_iter();
    pb::Tally {
        counts: Some(counts_out(tally.counts)),
        warmup: Some(phase_out(tally.warmup)),
        measured: Some(phase_out(tally.measured)),
        errors: tally.errors.into_iter().map(error_out).collect(),
        warnings: warnings
            .map(|(warning, count)| pb::WarningCount {
                warning: warning_out(warning),
                count,
            })
            .collect(),
        connections_opened: tally.connections_opened,
        connections_warmed: tally.connections_warmed,
        connections_reused: tally.connections_reused,
        window_tokens: tally.window_tokens,
        window_good: tally.window_good,
        first_sent_offset: tally.first_sent.map(Offset::as_nanos),
        last_sent_offset: tally.last_sent.map(Offset::as_nanos),
        last_end_offset: tally.last_end.map(Offset::as_nanos),
        generator: Some(generator_out(tally.generator)),
        answers: tally.answers.into_iter().map(answer::encode).collect(),
        answers_at_most: tally.answers_at_most,
    }
}

pub(super) fn decode(tally: pb::Tally) -> Result<Tally, WireError> {
    if !tally.window_tokens.is_finite() || tally.window_tokens < 0.0 {
        return Err(WireError::Impossible("window_tokens"));
    }
    if !tally.window_good.is_finite() || tally.window_good < 0.0 {
        return Err(WireError::Impossible("window_good"));
    }
    if tally.errors.len() > MAX_ERROR_KINDS {
        return Err(WireError::Impossible("errors"));
    }
    let warnings = tally.warnings.into_iter();
    Ok(Tally {
        counts: counts_in(tally.counts.ok_or(WireError::Missing("counts"))?),
        warmup: phase_in(tally.warmup.ok_or(WireError::Missing("warmup"))?)?,
        measured: phase_in(tally.measured.ok_or(WireError::Missing("measured"))?)?,
        errors: errors_in(tally.errors)?,
        warnings: unique(
            "warnings",
            warnings.map(|of| Ok((warning_in(of.warning)?, of.count))),
        )?,
        connections_opened: tally.connections_opened,
        connections_warmed: tally.connections_warmed,
        connections_reused: tally.connections_reused,
        window_tokens: tally.window_tokens,
        window_good: tally.window_good,
        first_sent: tally.first_sent_offset.map(Offset::from_nanos),
        last_sent: tally.last_sent_offset.map(Offset::from_nanos),
        last_end: tally.last_end_offset.map(Offset::from_nanos),
        generator: tally
            .generator
            .map(generator_in)
            .transpose()?
            .unwrap_or_default(),
        answers: answer::decode(tally.answers, tally.answers_at_most)?,
        answers_at_most: tally.answers_at_most,
    })
}

/// A map of pairs, of which no two may have the same key.
pub(super) fn unique<K: Ord, V>(
    what: &'static str,
    pairs: impl Iterator<Item = Result<(K, V), WireError>>,
) -> Result<BTreeMap<K, V>, WireError> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair?;
        if map.insert(key, value).is_some() {
            return Err(WireError::Impossible(what));
        }
    }
    Ok(map)
}

pub(super) fn counts_out(counts: Counts) -> pb::Counts {
    pb::Counts {
        scheduled: counts.scheduled,
        sent: counts.sent,
        dropped: counts.dropped,
        late_cancelled: counts.late_cancelled,
        lost: counts.lost,
    }
}

pub(super) fn counts_in(counts: pb::Counts) -> Counts {
    Counts {
        scheduled: counts.scheduled,
        sent: counts.sent,
        dropped: counts.dropped,
        late_cancelled: counts.late_cancelled,
        lost: counts.lost,
    }
}

fn generator_out(generator: Generator) -> pb::Generator {
    let cores = generator.cores.into_iter();
    let mhz = generator.machine.mhz;
    pb::Generator {
        reads: generator.reads,
        kernel_stamped: generator.kernel_stamped,
        events: generator.events,
        shared: generator.shared,
        clock_steps: generator.clock_steps,
        cores: cores
            .map(|(core, load)| pb::CoreLoad {
                core,
                wall_ns: load.wall_ns,
                cpu_ns: load.cpu_ns,
                kept_waiting_ns: load.kept_waiting_ns,
            })
            .collect(),
        machine: Some(pb::Machine {
            ticks: generator.machine.ticks,
            stolen: generator.machine.stolen,
            lowest_mhz: mhz.map(|(lowest, _)| lowest),
            highest_mhz: mhz.map(|(_, highest)| highest),
        }),
    }
}

fn generator_in(generator: pb::Generator) -> Result<Generator, WireError> {
    let possible = [
        (
            "kernel_stamped",
            generator.kernel_stamped <= generator.reads,
        ),
        ("shared", generator.shared <= generator.events),
        ("cores", generator.cores.len() <= MAX_CORES),
    ];
    if let Some((what, _)) = possible.into_iter().find(|(_, possible)| !possible) {
        return Err(WireError::Impossible(what));
    }
    let cores = generator.cores.into_iter().map(|of| {
        let load = CoreLoad {
            wall_ns: of.wall_ns,
            cpu_ns: of.cpu_ns,
            kept_waiting_ns: of.kept_waiting_ns,
        };
        Ok((of.core, load))
    });
    Ok(Generator {
        reads: generator.reads,
        kernel_stamped: generator.kernel_stamped,
        events: generator.events,
        shared: generator.shared,
        clock_steps: generator.clock_steps,
        cores: unique("cores", cores)?,
        machine: machine_in(generator.machine.unwrap_or_default())?,
    })
}

fn machine_in(machine: pb::Machine) -> Result<Machine, WireError> {
    if machine.stolen > machine.ticks {
        return Err(WireError::Impossible("stolen"));
    }
    let mhz = match (machine.lowest_mhz, machine.highest_mhz) {
        (Some(lowest), Some(highest)) if lowest <= highest => Some((lowest, highest)),
        (None, None) => None,
        _ => return Err(WireError::Impossible("mhz")),
    };
    Ok(Machine {
        ticks: machine.ticks,
        stolen: machine.stolen,
        mhz,
    })
}

fn phase_out(phase: Phase) -> pb::Phase {
    let outcomes = phase.outcomes.into_iter();
    let sources = phase.token_sources.into_iter();
    pb::Phase {
        outcomes: outcomes
            .map(|(outcome, count)| pb::OutcomeCount {
                outcome: outcome_out(outcome),
                count,
            })
            .collect(),
        series: phase.series.into_iter().map(series_out).collect(),
        body_bytes: phase.body_bytes,
        output_tokens: phase.output_tokens,
        prompt_tokens: phase.prompt_tokens,
        token_sources: sources
            .map(|(source, count)| pb::TokenSourceCount {
                source: source_out(source),
                count,
            })
            .collect(),
        met_all: phase.met_all,
        met: phase.met,
    }
}

fn phase_in(phase: pb::Phase) -> Result<Phase, WireError> {
    let fewest = phase.met.iter().min().copied().unwrap_or(0);
    if phase.met.len() > MAX_OBJECTIVES || phase.met_all > fewest {
        return Err(WireError::Impossible("met"));
    }
    let outcomes = phase.outcomes.into_iter();
    let sources = phase.token_sources.into_iter();
    Ok(Phase {
        outcomes: unique(
            "outcomes",
            outcomes.map(|of| Ok((outcome_in(of.outcome)?, of.count))),
        )?,
        series: unique("series", phase.series.into_iter().map(series_in))?,
        body_bytes: phase.body_bytes,
        output_tokens: phase.output_tokens,
        prompt_tokens: phase.prompt_tokens,
        token_sources: unique(
            "token_sources",
            sources.map(|of| Ok((source_in(of.source)?, of.count))),
        )?,
        met_all: phase.met_all,
        met: phase.met,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the sum is taken apart into its halves"
)]
fn series_out((metric, series): (Metric, Series)) -> pb::Series {
    let sum = series.sum();
    let (metric, number) = metric_out(metric);
    pb::Series {
        metric,
        number,
        count: series.count(),
        sum_high: (sum >> 64) as u64,
        sum_low: sum as u64,
        min: series.min().unwrap_or(0),
        max: series.max().unwrap_or(0),
        histogram_v2: series.into_v2(),
    }
}

fn series_in(series: pb::Series) -> Result<(Metric, Series), WireError> {
    let metric = metric_in(series.metric, series.number)?;
    let sum = u128::from(series.sum_high) << 64 | u128::from(series.sum_low);
    let (count, min, max) = (series.count, series.min, series.max);
    let decoded = Series::from_v2(series.histogram_v2, count, sum, min, max);
    Ok((metric, decoded.map_err(WireError::Series)?))
}

fn error_out((key, seen): (ErrorKey, ErrorCount)) -> pb::ErrorKind {
    pb::ErrorKind {
        outcome: outcome_out(key.outcome),
        text: key.text,
        count: seen.count,
        first_seen_offset: seen.first_seen.as_nanos(),
        last_seen_offset: seen.last_seen.as_nanos(),
    }
}

/// The words of a failure come from a server; here they lose what moves a terminal's cursor, and kinds that are
/// the same after that are one.
fn errors_in(errors: Vec<pb::ErrorKind>) -> Result<BTreeMap<ErrorKey, ErrorCount>, WireError> {
    let mut kinds: BTreeMap<ErrorKey, ErrorCount> = BTreeMap::new();
    for error in errors {
        if error.text.chars().count() > MAX_ERROR_CHARS {
            return Err(WireError::Impossible("text"));
        }
        let key = ErrorKey {
            outcome: outcome_in(error.outcome)?,
            text: cut(error.text, MAX_ERROR_CHARS * 4),
        };
        let first_seen = Offset::from_nanos(error.first_seen_offset);
        let last_seen = Offset::from_nanos(error.last_seen_offset);
        let kind = kinds.entry(key).or_insert(ErrorCount {
            count: 0,
            first_seen,
            last_seen,
        });
        kind.count = kind.count.saturating_add(error.count);
        kind.first_seen = kind.first_seen.min(first_seen);
        kind.last_seen = kind.last_seen.max(last_seen);
    }
    Ok(kinds)
}
