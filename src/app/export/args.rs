//! The options of `export`, and which of them go together. It opens no file.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use crate::app::failure::Failure;
use crate::export::Scenario;

/// The subcommand's name.
pub(in crate::app) const NAME: &str = "export";

const ABOUT: &str = "Write what was measured in the formats of other tools: llm-d, MLPerf logs, Parquet, HdrHistogram logs, CSV";

const EXAMPLES: &str = "\
Examples:
  A row a request, for pandas or a spreadsheet; several workers' files are one table:
    llmload export --format parquet --records results.jsonl results.2.jsonl -o requests.parquet
    llmload export --format csv --records results.jsonl > requests.csv
  llm-d's benchmark report, schema 0.2.1:
    llmload export --format llm-d --journal run.journal -o report.json
  A log of histograms, a line for each second and metric:
    llmload export --format hlog --journal run.journal -o run.hlog
  Logs in the form of MLPerf LoadGen's, mlperf_log_summary.txt and mlperf_log_detail.txt:
    llmload export --format mlperf --json-file result.json -o logs

What each format is made of:
  csv, parquet   --records
  hlog           --journal, or --records (one interval) with or without --json-file
  llm-d, mlperf  --journal, or --json-file, or --records with or without --json-file

With --records alone all requests count, those of a warm-up too. With --json-file beside them those of its measured window do, and the
plan and the time of day are known.

Exit status: 1 when a records file or a journal is damaged or cut off (what is whole is exported all the same), or the output cannot
be written. 2 when options contradict each other or an input is none. 4 when the journal is of a run that measured nothing.";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) enum Format {
    /// The benchmark report of llm-d, schema 0.2.1, as JSON
    LlmD,
    /// A folder with logs in the form of MLPerf LoadGen's; no result by MLPerf's rules
    Mlperf,
    /// One row a request, with all times as lists
    Parquet,
    /// The log of HdrHistogram, a line an interval and metric
    Hlog,
    /// One row a request
    Csv,
}

/// A way to send, in `LoadGen`'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ScenarioName {
    Server,
    Offline,
    #[value(name = "single-stream")]
    SingleStream,
}

/// What `export` takes.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct ExportArgs {
    /// The format
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Format,
    /// Records of one run, from `run --records`: a file of each worker
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Input")]
    pub(super) records: Vec<PathBuf>,
    /// The journal of a run, also of one whose master was killed
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(super) journal: Option<PathBuf>,
    /// The result of a run, from `run --json-file`
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(super) json_file: Option<PathBuf>,
    /// Write to this file (mlperf: into this folder); absent or -: standard output, where the format is text
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// The MLPerf scenario that the logs name; absent: the one that sends as the run did
    #[arg(long, value_name = "SCENARIO", help_heading = "Output")]
    pub(super) scenario: Option<ScenarioName>,
}

/// The subcommand.
pub(in crate::app) fn command() -> clap::Command {
    let own = clap::Command::new(NAME).about(ABOUT);
    ExportArgs::augment_args(own)
        .about(ABOUT)
        .max_term_width(110)
        .after_help(EXAMPLES)
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::LlmD => "llm-d",
            Self::Mlperf => "mlperf",
            Self::Parquet => "parquet",
            Self::Hlog => "hlog",
            Self::Csv => "csv",
        }
    }

    /// Whether it has a row a request.
    const fn is_a_table(self) -> bool {
        matches!(self, Self::Parquet | Self::Csv)
    }
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::Server => Self::Server,
            ScenarioName::Offline => Self::Offline,
            ScenarioName::SingleStream => Self::SingleStream,
        }
    }
}

impl ExportArgs {
    /// The file or folder to write to; `None` for standard output.
    pub(super) fn target(&self) -> Option<&PathBuf> {
        self.output.as_ref().filter(|path| path.as_os_str() != "-")
    }

    /// Refuses what makes no sense together.
    ///
    /// # Errors
    ///
    /// The first of it, with what to give instead.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.contradiction() {
            None => Ok(()),
            Some((error, hint)) => Err(Failure::usage(anyhow!(error)).hint(hint)),
        }
    }

    fn contradiction(&self) -> Option<(String, &'static str)> {
        self.wrong_input().or_else(|| self.wrong_output())
    }

    fn wrong_input(&self) -> Option<(String, &'static str)> {
        let name = self.format.name();
        let (records, journal, result) = (
            !self.records.is_empty(),
            self.journal.is_some(),
            self.json_file.is_some(),
        );
        let of_requests = "--records FILE: what `run --records FILE` wrote of each request";
        if self.format.is_a_table() {
            return match (records, journal, result) {
                (true, false, false) => None,
                (_, true, _) => Some((
                    format!("{name} has a row a request, and a journal knows no single one"),
                    of_requests,
                )),
                (_, _, true) => Some((
                    format!("{name} has a row a request, and a result knows no single one"),
                    of_requests,
                )),
                (false, false, false) => Some(("nothing to export".to_owned(), of_requests)),
            };
        }
        match (records, journal, result) {
            (_, true, true) | (true, true, _) => Some((
                "a journal tells all of its run by itself".to_owned(),
                "give --journal alone, or --records and --json-file",
            )),
            (false, false, true) if self.format == Format::Hlog => Some((
                "hlog is made of histograms, and a result has percentiles alone".to_owned(),
                "--journal FILE, or --records FILE beside --json-file",
            )),
            (false, false, false) => Some((
                "nothing to export".to_owned(),
                "--journal FILE, or --records FILE; for llm-d and mlperf --json-file FILE will do",
            )),
            _ => None,
        }
    }

    fn wrong_output(&self) -> Option<(String, &'static str)> {
        if self.scenario.is_some() && self.format != Format::Mlperf {
            let error = format!(
                "--scenario is for mlperf, and the format is {}",
                self.format.name()
            );
            return Some((error, "leave --scenario out"));
        }
        if self.target().is_some() {
            return None;
        }
        match self.format {
            Format::Parquet => Some((
                "parquet is no text for standard output".to_owned(),
                "-o FILE.parquet",
            )),
            Format::Mlperf => Some((
                "mlperf is two files".to_owned(),
                "-o DIR: a folder for mlperf_log_summary.txt and mlperf_log_detail.txt",
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parse(line: &str) -> ExportArgs {
        let argv = std::iter::once(NAME).chain(line.split_whitespace());
        let matches = command().try_get_matches_from(argv).unwrap();
        ExportArgs::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn every_format_takes_what_the_help_says_and_nothing_else() {
        let inputs = [
            "",
            "--records a b",
            "--journal j",
            "--json-file r",
            "--records a --json-file r",
            "--records a --journal j",
            "--journal j --json-file r",
        ];
        for (format, good) in [
            ("csv", [false, true, false, false, false, false, false]),
            ("parquet", [false, true, false, false, false, false, false]),
            ("hlog", [false, true, true, false, true, false, false]),
            ("llm-d", [false, true, true, true, true, false, false]),
            ("mlperf", [false, true, true, true, true, false, false]),
        ] {
            for (input, is_good) in inputs.iter().zip(good) {
                let args = parse(&format!("--format {format} -o out {input}"));
                assert_eq!(args.check().is_ok(), is_good, "{format} of `{input}`");
            }
        }
    }

    #[test]
    fn refusals_name_what_to_give_instead() {
        let words = |line: &str| parse(line).check().unwrap_err().to_string();
        let parquet = words("--format parquet --journal j -o x");
        assert!(
            parquet.contains("a journal knows no single one")
                && parquet.contains("hint: --records")
        );
        assert!(words("--format parquet --records a").contains("hint: -o FILE"));
        assert!(words("--format mlperf --journal j -o -").contains("hint: -o DIR"));
        assert!(words("--format csv --records a --scenario server").contains("for mlperf"));
        assert!(parse("--format csv --records a -o -").check().is_ok());
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
