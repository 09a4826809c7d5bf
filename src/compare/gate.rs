//! Thresholds on changes against a baseline, and the verdict on each: a change that may be chance breaks none.
//! It sets no exit status.

use std::fmt::Write as _;
use std::str::FromStr;

use super::change::{Change, Comparison, Known, Side, Subject};
use super::document::{number, percent};
use super::{Entry, Figure, Rate, Stat};

/// What is judged where nothing else is asked for: changes that matter to users, by statistics that few responses suffice for.
pub const DEFAULT_THRESHOLDS: [&str; 5] = [
    "ttft:median>+10%",
    "itl:median>+10%",
    "latency:median>+10%",
    "throughput<-10%",
    "error_rate>+1pp",
];

/// The largest change that is let pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A share of the baseline's value.
    Relative(f64),
    /// In the figure's own unit.
    Absolute(f64),
}

/// A limit of a change in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As it was given.
    pub text: String,
    /// What is watched.
    pub subject: Subject,
    /// A rise is limited; otherwise a fall.
    pub is_rise: bool,
    /// The limit; negative for a fall.
    pub limit: Limit,
}

/// What is wrong with a threshold.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdError {
    /// There is no comparison in it.
    #[error("`{0}` has neither `>` nor `<`")]
    NoSign(String),
    /// The figure is not known.
    #[error("`{0}` is no figure: {FIGURES}")]
    Figure(String),
    /// The statistic is not known, or the figure has none.
    #[error(
        "`{0}` has no statistic `{1}`: mean, median and p95 of each response's figures, none of throughput, rpm and error_rate"
    )]
    Stat(String, String),
    /// The change cannot be read.
    #[error("`{0}` is no change: `+10%`, `-5%`, `+50ms`, `+0.1s`, `+3`, `+1pp`")]
    Change(String),
    /// The direction of the change is not that of the sign.
    #[error("`{0}` goes the wrong way: `>` takes a rise, `<` a fall")]
    Direction(String),
    /// The unit does not fit the figure.
    #[error(
        "`{0}` does not take `{1}`: times take % ms s, error_rate takes pp, everything else % or a plain number"
    )]
    Unit(String, String),
}

const FIGURES: &str = "ttft, itl, tpot, latency, request_throughput, input_tokens, output_tokens, throughput, rpm, error_rate";

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain: String = text.chars().filter(|it| !it.is_whitespace()).collect();
        let sign = plain
            .find(['>', '<'])
            .ok_or_else(|| ThresholdError::NoSign(text.to_owned()))?;
        let (name, change) = plain.split_at(sign);
        let is_rise = change.starts_with('>');
        let change = change.get(1..).unwrap_or_default();
        let subject = subject(name)?;
        let limit = limit(subject, name, change)?;
        let (Limit::Relative(value) | Limit::Absolute(value)) = limit;
        if (is_rise && value < 0.0) || (!is_rise && value > 0.0) {
            return Err(ThresholdError::Direction(text.to_owned()));
        }
        Ok(Self {
            text: plain,
            subject,
            is_rise,
            limit,
        })
    }
}

fn subject(name: &str) -> Result<Subject, ThresholdError> {
    let (figure, stat) = name
        .split_once(':')
        .map_or((name, None), |(figure, stat)| (figure, Some(stat)));
    let wrong = |stat: &str| ThresholdError::Stat(figure.to_owned(), stat.to_owned());
    let single = match figure {
        "error_rate" => Some(Subject::ErrorRate),
        _ => Rate::ALL
            .into_iter()
            .find(|rate| rate.word() == figure)
            .map(Subject::Rate),
    };
    if let Some(subject) = single {
        return stat.map_or(Ok(subject), |stat| Err(wrong(stat)));
    }
    let figure = match figure {
        "inter_token_latency" => Some(Figure::InterToken),
        "e2e" | "end_to_end_latency" => Some(Figure::EndToEnd),
        _ => Figure::ALL.into_iter().find(|it| it.word() == figure),
    }
    .ok_or_else(|| ThresholdError::Figure(figure.to_owned()))?;
    let stat = match stat.unwrap_or("mean") {
        "mean" => Stat::Mean,
        "median" | "p50" => Stat::Median,
        "p95" => Stat::P95,
        other => return Err(wrong(other)),
    };
    Ok(Subject::Figure(figure, stat))
}

fn limit(subject: Subject, name: &str, change: &str) -> Result<Limit, ThresholdError> {
    let unit_at = change
        .find(|it: char| it.is_alphabetic() || it == '%')
        .unwrap_or(change.len());
    let (value, unit) = change.split_at(unit_at);
    let value: f64 = value
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .ok_or_else(|| ThresholdError::Change(change.to_owned()))?;
    let is_time = matches!(subject, Subject::Figure(figure, _) if figure.is_time());
    let is_share = subject == Subject::ErrorRate;
    match (unit, is_time, is_share) {
        ("%", _, false) => Ok(Limit::Relative(value / 100.0)),
        ("ms", true, _) => Ok(Limit::Absolute(value / 1e3)),
        ("pp", _, true) => Ok(Limit::Absolute(value / 100.0)),
        ("s", true, _) | ("", false, false) => Ok(Limit::Absolute(value)),
        _ => Err(ThresholdError::Unit(name.to_owned(), change.to_owned())),
    }
}

/// What became of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The change is within the limit.
    Within,
    /// It is beyond the limit, and beyond chance.
    Broken,
    /// It is beyond the limit, and may be chance.
    Chance,
    /// It is beyond the limit, and nobody can tell whether that is chance.
    Unproven,
    /// A side does not know the figure, or the baseline's is 0.
    Unknown,
    /// Nothing came of the side that is judged: no good response, or a rate of 0.
    Dead,
}

impl Verdict {
    /// The word in front of a line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Within => "OK",
            Self::Broken | Self::Dead => "FAIL",
            Self::Chance => "CHANCE",
            Self::Unproven => "UNPROVEN",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Whether it fails: when broken, or when nothing came of what is judged; `strict`ly also when the limit may have been
    /// broken by chance alone, or nobody knows.
    pub const fn fails(self, strict: bool) -> bool {
        matches!(self, Self::Broken | Self::Dead) || (strict && !matches!(self, Self::Within))
    }
}

impl Verdict {
    /// Whether it is a judgement at all.
    pub const fn is_judgement(self) -> bool {
        !matches!(self, Self::Unproven | Self::Unknown)
    }
}

/// A threshold, and how an entry did.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The threshold.
    pub threshold: Threshold,
    /// The entry's name.
    pub entry: String,
    /// The change against the baseline; none where a side does not know the figure.
    pub change: Option<Change>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, where the change does not tell.
    pub why: Option<&'static str>,
}

impl Judged {
    /// In one line: names are shown without what would move a terminal's cursor or begin another line.
    pub fn line(&self) -> String {
        plain(&self.words())
    }

    fn words(&self) -> String {
        let mut line = format!(
            "{:<8}  {}  {}: {}",
            self.verdict.word(),
            self.threshold.text,
            self.entry,
            self.threshold.subject.name()
        );
        let Some(change) = &self.change else {
            match self.why {
                Some(why) => {
                    let _ = write!(line, ", {why}");
                }
                None => line.push_str(" is not known of both sides"),
            }
            return line;
        };
        let share = self.threshold.subject == Subject::ErrorRate;
        let value = |value: f64| {
            if share {
                format!("{:.2}%", value * 100.0)
            } else {
                number(value)
            }
        };
        let _ = write!(line, " {} → {}", value(change.from), value(change.to));
        let (amount, interval) = words(self.threshold.subject, change);
        let _ = write!(line, ", {amount}");
        match interval {
            Ok(interval) => {
                let _ = write!(line, " ({interval})");
            }
            Err(why) => {
                let _ = write!(line, " (no interval: {why})");
            }
        }
        if self.verdict == Verdict::Chance {
            line.push_str(", not significant");
        }
        if let Some(why) = self.why {
            let _ = write!(line, ", {why}");
        }
        line
    }
}

/// `text` with spaces in place of control characters, line ends and marks that turn the direction of writing.
pub fn plain(text: &str) -> String {
    let is_odd = |it: char| {
        it.is_control()
            || matches!(it, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_odd, " ")
}

/// The entries of which no threshold came to a judgement. Failed requests are no measure of speed: where anything else was
/// asked for, a judgement of the error rate alone is none.
pub fn undecided(judged: &[Judged]) -> Vec<&str> {
    let is_other = |it: &&Judged| it.threshold.subject != Subject::ErrorRate;
    let asks_for_other = judged.iter().any(|it| is_other(&it));
    let mut entries: Vec<(&str, bool)> = Vec::new();
    for one in judged {
        let counts = one.verdict.is_judgement() && (is_other(&one) || !asks_for_other);
        match entries.iter_mut().find(|(name, _)| *name == one.entry) {
            Some((_, is_judged)) => *is_judged |= counts,
            None => entries.push((&one.entry, counts)),
        }
    }
    let those = entries.into_iter().filter(|(_, is_judged)| !is_judged);
    those.map(|(name, _)| name).collect()
}

/// The change in words, and its interval or why there is none.
pub(super) fn words(subject: Subject, change: &Change) -> (String, Result<String, &'static str>) {
    let points = |share: f64| format!("{:+.2} pp", share * 100.0).replace('-', "−");
    let absolute = |value: f64| {
        if value < 0.0 {
            format!("−{}", number(-value))
        } else {
            format!("+{}", number(value))
        }
    };
    let is_share = subject == Subject::ErrorRate;
    let amount = match change.relative() {
        _ if is_share => points(change.absolute()),
        Some(relative) => percent(relative),
        None => absolute(change.absolute()),
    };
    let interval = match change.known {
        Known::Intervals { absolute: ends, .. } if is_share => {
            Ok(format!("{} to {}", points(ends.low), points(ends.high)))
        }
        Known::Intervals {
            relative: Some(ends),
            ..
        } => Ok(format!("{} to {}", percent(ends.low), percent(ends.high))),
        Known::Intervals { absolute: ends, .. } => {
            Ok(format!("{} to {}", absolute(ends.low), absolute(ends.high)))
        }
        Known::NoAnswers => Err("the individual responses are needed"),
        Known::TooFew(_) => Err("too few responses"),
        Known::OneRun => Err("two runs a side are needed"),
    };
    (amount, interval)
}

/// Judges each threshold for each of `entries` against the baseline.
pub(super) fn judge(
    comparison: &Comparison<'_>,
    baseline: Side,
    thresholds: &[Threshold],
) -> Vec<Judged> {
    let others = (0..comparison.entries.len()).filter(|side| *side != baseline);
    let each = others.flat_map(|side| thresholds.iter().map(move |threshold| (side, threshold)));
    each.filter_map(|(side, threshold)| {
        let (old, new) = (
            comparison.entries.get(baseline)?,
            comparison.entries.get(side)?,
        );
        let change = comparison.change(baseline, side, threshold.subject);
        let (verdict, why) = match dead(threshold.subject, (old, new), change.as_ref()) {
            Some((verdict, why)) => (verdict, Some(why)),
            None => (verdict(threshold, change.as_ref()), None),
        };
        Some(Judged {
            threshold: threshold.clone(),
            entry: new.name.clone(),
            change,
            verdict,
            why,
        })
    })
    .collect()
}

const NO_RESPONSE: &str = "no good response";
const NO_RATE: &str = "nothing came of it";
const NO_BASELINE: &str = "the baseline has no good response";
const NO_BASELINES_RATE: &str = "nothing came of the baseline";

/// The verdict where a side has nothing that could be compared: a limit of a change means nothing there.
fn dead(
    subject: Subject,
    (old, new): (&Entry, &Entry),
    change: Option<&Change>,
) -> Option<(Verdict, &'static str)> {
    let is_rate = matches!(subject, Subject::Rate(_));
    let is_zero = |value: fn(&Change) -> f64| is_rate && change.is_some_and(|it| value(it) <= 0.0);
    if new.is_dead() {
        return Some((Verdict::Dead, NO_RESPONSE));
    }
    if old.is_dead() && subject != Subject::ErrorRate {
        return Some((Verdict::Unknown, NO_BASELINE));
    }
    if is_zero(|it| it.from) {
        return Some((Verdict::Unknown, NO_BASELINES_RATE));
    }
    is_zero(|it| it.to).then_some((Verdict::Dead, NO_RATE))
}

fn verdict(threshold: &Threshold, change: Option<&Change>) -> Verdict {
    let Some(change) = change else {
        return Verdict::Unknown;
    };
    let (seen, limit) = match threshold.limit {
        Limit::Relative(limit) => (change.relative(), limit),
        Limit::Absolute(limit) => (Some(change.absolute()), limit),
    };
    let Some(seen) = seen else {
        // A share of nothing: any rise from 0 is beyond every percentage.
        let rises = change.absolute() > 0.0 && threshold.is_rise;
        return if rises {
            proven(change)
        } else {
            Verdict::Within
        };
    };
    let is_beyond = if threshold.is_rise {
        seen > limit
    } else {
        seen < limit
    };
    if is_beyond {
        proven(change)
    } else {
        Verdict::Within
    }
}

fn proven(change: &Change) -> Verdict {
    match change.is_significant() {
        Some(true) => Verdict::Broken,
        Some(false) => Verdict::Chance,
        None => Verdict::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Interval;

    fn threshold(text: &str) -> Result<Threshold, String> {
        text.parse()
            .map_err(|error: ThresholdError| error.to_string())
    }

    #[test]
    fn thresholds_are_read() {
        let read = threshold("ttft:p95 > +10%").unwrap();
        assert_eq!(read.subject, Subject::Figure(Figure::Ttft, Stat::P95));
        assert_eq!((read.is_rise, read.limit), (true, Limit::Relative(0.1)));
        assert_eq!(read.text, "ttft:p95>+10%");
        let limits = [
            ("latency>50ms", Limit::Absolute(0.05)),
            ("e2e:p50>+0.5s", Limit::Absolute(0.5)),
            ("throughput<-10%", Limit::Relative(-0.1)),
            ("error_rate>+1pp", Limit::Absolute(0.01)),
            ("output_tokens<-5", Limit::Absolute(-5.0)),
        ];
        for (text, limit) in limits {
            assert_eq!(threshold(text).unwrap().limit, limit, "{text}");
        }
        for text in DEFAULT_THRESHOLDS {
            assert_eq!(threshold(text).unwrap().text, text);
        }
    }

    #[test]
    fn what_is_wrong_with_a_threshold_is_said() {
        for (text, want) in [
            ("ttft", "neither `>` nor `<`"),
            ("speed>+1%", "`speed` is no figure: ttft"),
            ("ttft:p99>+1%", "`ttft` has no statistic `p99`"),
            ("throughput:p95<-1%", "`throughput` has no statistic `p95`"),
            ("ttft>much", "`much` is no change"),
            ("ttft>-1%", "goes the wrong way"),
            ("throughput<+1%", "goes the wrong way"),
            ("error_rate>+1%", "does not take `+1%`"),
            ("ttft>+1", "does not take `+1`"),
            ("ttft>nan%", "is no change"),
        ] {
            let error = threshold(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_change_beyond_limit_and_chance_fails() {
        let rule = threshold("ttft:p95>+10%").unwrap();
        let change = |to: f64, ends: Option<(f64, f64)>| Change {
            from: 1.0,
            to,
            known: ends.map_or(Known::NoAnswers, |(low, high)| {
                let interval = Interval { low, high };
                Known::Intervals {
                    absolute: interval,
                    relative: Some(interval),
                    of_runs: false,
                }
            }),
        };
        let cases = [
            (change(1.2, Some((0.05, 0.4))), Verdict::Broken),
            (change(1.2, Some((-0.05, 0.4))), Verdict::Chance),
            (change(1.05, Some((0.01, 0.4))), Verdict::Within),
            (change(0.5, Some((-0.6, -0.4))), Verdict::Within),
            (change(1.2, None), Verdict::Unproven),
        ];
        for (change, want) in cases {
            assert_eq!(verdict(&rule, Some(&change)), want, "{change:?}");
        }
        assert_eq!(verdict(&rule, None), Verdict::Unknown);
        assert!(Verdict::Broken.fails(false) && !Verdict::Chance.fails(false));
        assert!(
            Verdict::Chance.fails(true)
                && Verdict::Unknown.fails(true)
                && !Verdict::Within.fails(true)
        );
    }

    #[test]
    fn a_fall_is_judged_downwards() {
        let rule = threshold("throughput<-10%").unwrap();
        let change = |to: f64| Change {
            from: 10.0,
            to,
            known: Known::OneRun,
        };
        assert_eq!(verdict(&rule, Some(&change(8.0))), Verdict::Unproven);
        assert_eq!(verdict(&rule, Some(&change(9.5))), Verdict::Within);
        assert_eq!(verdict(&rule, Some(&change(12.0))), Verdict::Within);
    }
}
