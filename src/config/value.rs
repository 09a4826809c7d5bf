//! Words into values: the parsers that flags, environment and files share. Each looks at one value alone.

use core::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::domain::{HttpEngine, SpanError, StampSource, parse_span};
use crate::plan::{ConnectionReuse, HttpVersion};
use crate::provider::Kind;
use crate::schedule::{Curve, Law};
use crate::workload::{Corpus, Format, LengthLaw, Positioning, Resolution};

use super::LogLevel;
use super::cluster::OnWorkerLoss;

pub(super) const PROVIDERS: &[(&str, Kind)] = &[
    ("openai", Kind::OpenAi),
    ("anyscale", Kind::Anyscale),
    ("vllm", Kind::Vllm),
    ("sglang", Kind::SgLang),
    ("anthropic", Kind::Anthropic),
    ("tgi", Kind::Tgi),
    ("fireworks", Kind::Fireworks),
    ("together", Kind::Together),
    ("triton-infer", Kind::TritonInfer),
    ("triton-generate", Kind::TritonGenerate),
    ("ollama", Kind::Ollama),
    ("llama.cpp", Kind::LlamaCpp),
    ("azure", Kind::Azure),
    ("responses", Kind::Responses),
    ("gemini", Kind::Gemini),
    ("vertex-predict", Kind::VertexPredict),
    ("vertex-anthropic", Kind::VertexAnthropic),
    ("custom", Kind::Custom),
    ("sagemaker", Kind::SageMaker),
    ("bedrock", Kind::Bedrock),
    ("bedrock-invoke", Kind::BedrockInvoke),
];

pub(super) const HTTP_VERSIONS: &[(&str, HttpVersion)] =
    &[("1", HttpVersion::Http1), ("2", HttpVersion::Http2)];

pub(super) const ENGINES: &[(&str, HttpEngine)] =
    &[("lean", HttpEngine::Lean), ("hyper", HttpEngine::Hyper)];

pub(super) const STAMPS: &[(&str, StampSource)] = &[
    ("kernel", StampSource::Kernel),
    ("clock", StampSource::Clock),
];

pub(super) const REUSES: &[(&str, ConnectionReuse)] = &[
    ("pooled", ConnectionReuse::Pooled),
    ("never", ConnectionReuse::Never),
    ("per-user", ConnectionReuse::PerUser),
];

pub(super) const LAWS: &[(&str, Law)] = &[
    ("constant", Law::Constant),
    ("uniform", Law::Uniform),
    ("exponential", Law::Exponential),
    ("gamma", Law::Gamma),
];

pub(super) const CURVES: &[(&str, Curve)] =
    &[("geometric", Curve::Geometric), ("linear", Curve::Linear)];

pub(crate) const FORMATS: &[(&str, Format)] = &[
    ("jsonl", Format::Jsonl),
    ("sharegpt", Format::ShareGpt),
    ("conversations", Format::Conversations),
    ("text", Format::Text),
    ("csv", Format::Csv),
    ("trace", Format::Trace),
];

pub(super) const POSITIONINGS: &[(&str, Positioning)] = &[
    ("space-evenly", Positioning::SpaceEvenly),
    ("end", Positioning::End),
];

pub(crate) const LENGTH_LAWS: &[(&str, LengthLaw)] = &[
    ("constant", LengthLaw::Constant),
    ("uniform", LengthLaw::Uniform),
    ("exponential", LengthLaw::Exponential),
    ("normal", LengthLaw::Normal),
];

const CORPORA: &[(&str, Corpus)] = &[
    ("limericks", Corpus::Limericks),
    ("code", Corpus::Code),
    ("sonnets", Corpus::Sonnets),
];

/// What prompts are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dataset {
    /// A text that the product ships.
    Corpus(Corpus),
    /// Random tokens.
    Random,
    /// A file.
    File(PathBuf),
}

/// A corpus by its name, or a file behind an `@`.
pub(crate) fn dataset(text: &str) -> Result<Dataset, String> {
    let named = |(word, _): &&(&str, Corpus)| word.eq_ignore_ascii_case(text);
    if let Some((_, corpus)) = CORPORA.iter().find(named) {
        return Ok(Dataset::Corpus(*corpus));
    }
    match text.strip_prefix('@') {
        Some("") => Err("`@` names no file".to_owned()),
        Some(path) => Ok(Dataset::File(PathBuf::from(path))),
        None if text.eq_ignore_ascii_case("random") => Ok(Dataset::Random),
        None => Err("not limericks, code, sonnets, random, or @FILE".to_owned()),
    }
}

/// `WxH`, in pixels.
pub(super) fn resolution(text: &str) -> Result<Resolution, String> {
    const MOST: u32 = 16_384;
    let side = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|side| (1..=MOST).contains(side))
    };
    let read = || {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some(Resolution {
            width: side(width)?,
            height: side(height)?,
        })
    };
    read().ok_or_else(|| format!("not a size in pixels like 512x768 (at most {MOST} a side)"))
}

pub(super) const WORKER_LOSSES: &[(&str, OnWorkerLoss)] = &[
    ("rebalance", OnWorkerLoss::Rebalance),
    ("fail", OnWorkerLoss::Fail),
    ("ignore", OnWorkerLoss::Ignore),
];

pub(super) const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("off", LogLevel::Off),
    ("critical", LogLevel::Error),
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// One of `words`, in any case.
pub(crate) fn choice<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word)).try_map(move |typed| {
        words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(&typed))
            .map(|(_, value)| *value)
            .ok_or("not one of the possible values")
    })
}

/// `count`, from 1.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    let count = whole(text)?;
    u32::try_from(count)
        .map_err(|_| format!("must be at most {}", u32::MAX))
        .and_then(|count| at_least(count, 1))
}

/// A count of tokens, from 0.
pub(crate) fn tokens(text: &str) -> Result<u32, String> {
    u32::try_from(whole(text)?).map_err(|_| format!("must be at most {}", u32::MAX))
}

/// A count that may be large, from 1.
pub(crate) fn large_count(text: &str) -> Result<u64, String> {
    at_least(whole(text)?, 1)
}

/// A number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let number = non_negative(text)?;
    if number > 1.0 {
        return Err("must be from 0 to 1".to_owned());
    }
    Ok(number)
}

/// A finite number from 0.
pub(crate) fn non_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if !number.is_finite() || number < 0.0 {
        return Err("must be 0 or more".to_owned());
    }
    Ok(number)
}

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = non_negative(text)?;
    if number <= 0.0 {
        return Err("must be above 0".to_owned());
    }
    Ok(number)
}

/// A shape of gamma gaps. Below a hundredth nearly all gaps are nothing, and all arrivals are due at once.
pub(super) fn burstiness(text: &str) -> Result<f64, String> {
    let shape = positive(text)?;
    if !(0.01..=1_000.0).contains(&shape) {
        return Err("must be from 0.01 to 1000".to_owned());
    }
    Ok(shape)
}

/// A span of time, zero included.
pub(super) fn span(text: &str) -> Result<Duration, SpanError> {
    parse_span(text)
}

/// A span of time above zero.
pub(super) fn positive_span(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(span)
}

/// The span between two heartbeats: not so short that they are a load themselves, nor so long that they mean nothing.
pub(super) fn heartbeat(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(60);
    let span = positive_span(text)?;
    if (SHORTEST..=LONGEST).contains(&span) {
        Ok(span)
    } else {
        Err("must be from 50ms to 60s".to_owned())
    }
}

/// The span between two looks at something.
pub(super) fn look(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(1);
    let span = positive_span(text)?;
    if span >= SHORTEST {
        Ok(span)
    } else {
        Err("must be 1ms or longer".to_owned())
    }
}

/// How long to wait; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience(pub Option<Duration>);

/// A span above zero, or `none`.
pub(super) fn patience(text: &str) -> Result<Patience, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(Patience(None));
    }
    positive_span(text)
        .map(|span| Patience(Some(span)))
        .map_err(|message| format!("{message} (`none` waits for ever)"))
}

/// How many cores; `None` is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Threads(pub Option<NonZeroU32>);

/// A count from 1, or -1 for one a core.
pub(super) fn threads(text: &str) -> Result<Threads, String> {
    if text.trim() == "-1" {
        return Ok(Threads(None));
    }
    let count = count(text).map_err(|message| format!("{message} (-1 is one a core)"))?;
    Ok(Threads(NonZeroU32::new(count)))
}

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let text = text.trim().trim_matches(['[', ']']);
    text.parse()
        .map_err(|_| "not an IP address (like 192.0.2.7 or 2001:db8::7)".to_owned())
}

/// Yes or no, in the words that settings files use.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn whole(text: &str) -> Result<u64, String> {
    let text = text.trim();
    text.parse().map_err(|_| {
        if text.starts_with('-') {
            "must not be negative".to_owned()
        } else {
            "not a whole number".to_owned()
        }
    })
}

fn at_least<T: PartialOrd + From<u8>>(number: T, least: u8) -> Result<T, String> {
    if number < T::from(least) {
        return Err(format!("must be at least {least}"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_begin_at_one_and_tokens_at_zero() {
        assert_eq!(count("1"), Ok(1));
        assert_eq!(count("0"), Err("must be at least 1".to_owned()));
        assert_eq!(count("-4"), Err("must not be negative".to_owned()));
        assert_eq!(
            count("4294967296"),
            Err("must be at most 4294967295".to_owned())
        );
        assert_eq!(tokens("0"), Ok(0));
        assert_eq!(large_count("4294967296"), Ok(4_294_967_296));
        assert!(tokens("1.5").is_err() && large_count("0").is_err());
    }

    #[test]
    fn fractions_stay_between_nought_and_one() {
        assert_eq!(fraction("0.25"), Ok(0.25));
        assert!(fraction("1.01").is_err() && fraction("-0.1").is_err() && fraction("NaN").is_err());
        assert_eq!(non_negative("7"), Ok(7.0));
        assert!(non_negative("inf").is_err());
    }

    #[test]
    fn patience_may_be_without_end_but_never_nothing() {
        assert_eq!(patience("None"), Ok(Patience(None)));
        assert_eq!(patience("2s"), Ok(Patience(Some(Duration::from_secs(2)))));
        assert!(patience("0").is_err() && positive_span("0s").is_err());
    }

    #[test]
    fn minus_one_means_every_core() {
        assert_eq!(threads("-1"), Ok(Threads(None)));
        assert_eq!(threads("3"), Ok(Threads(NonZeroU32::new(3))));
        assert!(threads("0").is_err() && threads("-2").is_err());
    }
}
