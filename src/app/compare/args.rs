//! The options of `compare`. It opens no file.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::compare::{DEFAULT_THRESHOLDS, Threshold};

/// The subcommand's name.
pub(in crate::app) const NAME: &str = "compare";

pub(super) const ABOUT: &str = "Lay result files side by side: figures, differences with confidence intervals, a baseline for CI";

const EXAMPLES: &str = "\
Examples:
  A table of three models, from llmperf's summaries (their individual files are found beside them):
    llmload compare gemma_summary.json qwen_summary.json llama_summary.json -o report.html
  Three runs before a change and three after it:
    llmload compare before=b1.json,b2.json,b3.json after=a1.json,a2.json,a3.json
  In CI: status 5 when the median first token is more than 5% later than in the baseline, beyond chance:
    llmload compare --baseline main_summary.json new_summary.json --fail-if 'ttft:median>+5%'

A SOURCE is a file or a folder: llmperf's summaries and individual responses, correctness summaries, results of --json-file,
--records (several workers' files of one run belong together), rows of --summary-file and of a sweep's comparison.csv, a sweep's
folder. NAME=PATH,PATH names a column and gives it several runs. In a folder runs of equal settings are one column.

A threshold is FIGURE[:STATISTIC]>+CHANGE or <-CHANGE. Figures: ttft, itl, tpot, latency, request_throughput, input_tokens,
output_tokens (mean, the default, median, p95), throughput, rpm, error_rate. Changes: 10%, 50ms, 0.2s, 3, and 1pp of error_rate.

Verdicts: OK, within the limit. FAIL, beyond it and beyond chance (the confidence interval does not hold 0), or no good response
at all, or a rate of 0. CHANCE, beyond it, and the interval holds 0. UNPROVEN, beyond it, and there is no interval. UNKNOWN, a side
does not tell, or nothing came of the baseline.

Exit status: 5 when any verdict is FAIL (with --strict, any but OK). Otherwise 1 when of some column no threshold came to OK, FAIL
or CHANCE: error_rate counts for that only where nothing else is asked for. Otherwise 0. 2 when a file or a word cannot be read.";

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Markdown,
    Html,
}

/// What `compare` takes.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct CompareArgs {
    /// Files and folders of results, a column each; NAME=PATH,PATH names one and its runs
    #[arg(value_name = "SOURCE")]
    pub(super) sources: Vec<Source>,
    /// Make files and folders given one by one share a column where their settings are equal
    #[arg(long)]
    pub(super) merge_runs: bool,
    /// Compare every pair, not the first column with all others alone
    #[arg(long)]
    pub(super) pairwise: bool,
    /// A group whose scale effects are shown: NAME=FILE,FILE from the smallest to the largest; repeatable; absent: families of models' names
    #[arg(long, value_name = "NAME=FILES", conflicts_with = "group_by")]
    pub(super) group: Vec<Source>,
    /// Make groups of the values of this key of the results' metadata
    #[arg(long, value_name = "KEY")]
    pub(super) group_by: Option<String>,
    /// Compare against this result and judge thresholds
    #[arg(long, value_name = "SOURCE", help_heading = "Baseline")]
    pub(super) baseline: Option<Source>,
    /// A change that is too much, or none; repeatable; absent: ttft:median>+10%, itl:median>+10%, latency:median>+10%, throughput<-10%, error_rate>+1pp
    #[arg(
        long,
        value_name = "THRESHOLD",
        requires = "baseline",
        help_heading = "Baseline"
    )]
    pub(super) fail_if: Vec<Wish>,
    /// Fail by changes that may be chance too, and by figures of which nobody can tell
    #[arg(long, requires = "baseline", help_heading = "Baseline")]
    pub(super) strict: bool,
    /// The share of intervals that hold the truth
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = confidence, help_heading = "Intervals")]
    pub(super) confidence: f64,
    /// Resamples of each side
    #[arg(long, value_name = "N", default_value = "4000", value_parser = clap::value_parser!(u32).range(200..=1_000_000), help_heading = "Intervals")]
    pub(super) resamples: u32,
    /// Where the resamples are drawn from: equal seeds give equal reports
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        help_heading = "Intervals"
    )]
    pub(super) seed: u64,
    /// Write the report to this file, .md or .html; repeatable; absent: Markdown on standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Vec<PathBuf>,
    /// Write comparison.md, comparison.html and the charts into this folder
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(super) output_dir: Option<PathBuf>,
    /// The form on standard output, and of files whose names do not tell
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) format: Option<Format>,
    /// The report's title
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(super) title: String,
}

/// The subcommand.
pub(in crate::app) fn command() -> clap::Command {
    let own = clap::Command::new(NAME).about(ABOUT);
    CompareArgs::augment_args(own)
        .about(ABOUT)
        .max_term_width(110)
        .after_help(EXAMPLES)
}

/// A column: its paths, and its name where one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: Option<String>,
    pub(super) paths: Vec<PathBuf>,
}

impl FromStr for Source {
    type Err = String;

    /// What is a file's own name is taken as that, whatever signs are in it.
    fn from_str(text: &str) -> Result<Self, String> {
        let whole = PathBuf::from(text);
        if whole.exists() {
            return Ok(Self {
                name: None,
                paths: vec![whole],
            });
        }
        let (name, paths) = match text.split_once('=') {
            Some((name, paths)) => (Some(name.trim().to_owned()), paths),
            None => (None, text),
        };
        let paths: Vec<PathBuf> = paths.split(',').map(PathBuf::from).collect();
        let is_empty = |path: &PathBuf| path.as_os_str().is_empty();
        if name.as_deref() == Some("") || paths.iter().any(is_empty) {
            return Err("not PATH, PATH,PATH or NAME=PATH,PATH".to_owned());
        }
        Ok(Self { name, paths })
    }
}

/// A threshold, or none at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Nothing,
    Threshold(Threshold),
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "none" {
            return Ok(Self::Nothing);
        }
        let threshold = text.parse().map(Self::Threshold);
        threshold.map_err(|error: crate::compare::ThresholdError| error.to_string())
    }
}

impl CompareArgs {
    /// What is judged: nothing without a baseline.
    pub(super) fn thresholds(&self) -> Option<Vec<Threshold>> {
        self.baseline.as_ref()?;
        let given = self.fail_if.iter().filter_map(|wish| match wish {
            Wish::Threshold(threshold) => Some(threshold.clone()),
            Wish::Nothing => None,
        });
        let defaults = || {
            DEFAULT_THRESHOLDS
                .iter()
                .filter_map(|text| text.parse().ok())
        };
        Some(if self.fail_if.is_empty() {
            defaults().collect()
        } else {
            given.collect()
        })
    }
}

/// `95%`, `95`, or `0.95`.
fn confidence(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().trim_end_matches('%').parse().ok();
    let share = number.map(|number| if number > 1.0 { number / 100.0 } else { number });
    share
        .filter(|share| (0.5..=0.999).contains(share))
        .ok_or_else(|| "not a percentage from 50% to 99.9%".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parse(words: &[&str]) -> Result<CompareArgs, clap::Error> {
        let argv = std::iter::once(&NAME).chain(words);
        let matches = command().try_get_matches_from(argv)?;
        CompareArgs::from_arg_matches(&matches)
    }

    #[test]
    fn a_source_has_a_name_and_paths() {
        let source: Source = "new=a.json,b.json".parse().unwrap();
        assert_eq!(source.name.as_deref(), Some("new"));
        assert_eq!(
            source.paths,
            [PathBuf::from("a.json"), PathBuf::from("b.json")]
        );
        let source: Source = "a.json".parse().unwrap();
        assert_eq!((source.name, source.paths.len()), (None, 1));
        for wrong in ["=a", "n=", "a,,b", ""] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_need_a_baseline_and_have_defaults() {
        assert!(parse(&["a", "--fail-if", "ttft>+1%"]).is_err());
        assert!(parse(&["a", "--baseline", "b", "--fail-if", "speed>+1%"]).is_err());
        assert_eq!(parse(&["a"]).unwrap().thresholds(), None);
        let count = |words: &[&str]| parse(words).unwrap().thresholds().map(|it| it.len());
        assert_eq!(
            count(&["a", "--baseline", "b"]),
            Some(DEFAULT_THRESHOLDS.len())
        );
        assert_eq!(
            count(&["a", "--baseline", "b", "--fail-if", "none"]),
            Some(0)
        );
        assert_eq!(
            count(&[
                "a",
                "--baseline",
                "b",
                "--fail-if",
                "ttft>+1%",
                "--fail-if",
                "rpm<-5%"
            ]),
            Some(2)
        );
    }

    #[test]
    fn confidence_is_a_percentage_or_a_share() {
        for text in ["90%", "90", "0.9"] {
            assert!((confidence(text).unwrap() - 0.9).abs() < 1e-12, "{text}");
        }
        assert!(
            confidence("100%").is_err()
                && confidence("0.1").is_err()
                && confidence("much").is_err()
        );
    }

    #[test]
    fn the_help_names_the_defaults_that_there_are() {
        let help = command().render_long_help().to_string();
        let help: String = help.split_whitespace().collect();
        assert!(help.contains(&DEFAULT_THRESHOLDS.join(",")));
        command().debug_assert();
    }
}
