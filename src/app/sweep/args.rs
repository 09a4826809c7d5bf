//! The options of `sweep`: its own, and all of `run`, of which some take lists. It resolves no setting.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, ValueEnum};

use crate::app::failure::Failure;
use crate::config;
use crate::domain::parse_span;
use crate::suite::{Axis, Goal, Grid, SearchSpec};

/// The subcommand's name.
pub(in crate::app) const NAME: &str = "sweep";

/// The options of `run` that take a list here.
const SWEPT: [&str; 6] = [
    "model",
    "provider",
    "prompt_tokens",
    "max_tokens",
    "users",
    "qps",
];

/// What a run of a suite always is.
const ALWAYS: [&str; 2] = ["only_summary", "headless"];

const ABOUT: &str = "Run every combination of settings and compare them, or search the highest load that meets objectives";

const EXAMPLES: &str = "\
Examples:
  Four loads of two models, a minute each, with charts in ./sweep:
    llmload sweep -H http://server:8000 -m small,large -u 1,2,4,8 -t 1m
  Output lengths, one after the other, into another folder:
    llmload sweep -H http://server:8000 --qps 5 -u 100 -t 30s -o 30,64,128,256 --output-dir lengths
  Settings that change together, and a flag:
    llmload sweep -H http://server:8000 -t 30s --vary model+prompt-tokens=small+512,large+4096 --vary stream=true,false
  The highest rate at which 95% of the first tokens come within 500 ms:
    llmload sweep -H http://server:8000 -t 1m --find max-qps --slo ttft:p95<500ms --slo tpot:p95<50ms

Every option of `llmload run` can be given; -m, --provider, -p, -o, -u and --qps take lists with commas.
A run whose result is in --output-dir already is not made again. Ctrl-C ends the sweep: what is there is reported, and the
same command line goes on with the rest.

Exit status: the largest of the runs' own (4: a run was invalid). With --find: 0 found, 1 not even the smallest load meets
the objectives, 4 the generator ended the search. After Ctrl-C 130.";

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Find {
    MaxQps,
    MaxUsers,
}

/// What `sweep` takes beside the options of `run`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sweep")]
pub(super) struct SweepArgs {
    /// Give an option of `run` each of these values: NAME=V1,V2; A+B=V1+W1,V2+W2 changes two together; ; parts values with commas; repeatable
    #[arg(long, value_name = "NAME=LIST", action = ArgAction::Append)]
    pub(super) vary: Vec<String>,
    /// Folder of the results: comparison.md, comparison.csv, charts, sweep.csv, a JSON file a run
    #[arg(long, value_name = "DIR", default_value = "sweep")]
    pub(super) output_dir: PathBuf,
    /// Write the comparison as a page of HTML also to this file; DIR/report.html is always written
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Wait this long between two runs
    #[arg(long, value_name = "SPAN", default_value = "0s", value_parser = span)]
    pub(super) cooldown: Duration,
    /// Make every run again, also those whose results are there
    #[arg(long)]
    pub(super) restart: bool,
    /// End with the first run that fails
    #[arg(long, conflicts_with = "find")]
    pub(super) fail_fast: bool,
    /// List the runs and make none
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Search the highest load that meets every --slo; without any the highest rate of which 97% is achieved
    #[arg(long, value_name = "GOAL", help_heading = "Search")]
    pub(super) find: Option<Find>,
    /// The smallest load of a search, in requests per second or users
    #[arg(long, value_name = "LOAD", default_value = "1", value_parser = load, requires = "find", help_heading = "Search")]
    pub(super) from: f64,
    /// The largest load of a search
    #[arg(long, value_name = "LOAD", value_parser = load, requires = "find", help_heading = "Search")]
    pub(super) to: Option<f64>,
    /// Runs of one load in a search; their majority decides
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=99), requires = "find", help_heading = "Search")]
    pub(super) repeats: u32,
    /// How closely to search, relative to the load found
    #[arg(long, value_name = "PERCENT", default_value = "3%", value_parser = precision, requires = "find", help_heading = "Search")]
    pub(super) precision: f64,
}

/// What a command line asks for: words of `run` that all runs share, and what differs.
pub(super) struct Wanted {
    pub(super) base: Vec<OsString>,
    pub(super) grid: Grid,
}

/// The subcommand, with all options of `run`.
pub(in crate::app) fn command() -> clap::Command {
    let own = clap::Command::new(NAME).about(ABOUT);
    let own = SweepArgs::augment_args(own).about(ABOUT);
    let adapted = |arg: Arg| match arg.get_id().as_str() {
        id if SWEPT.contains(&id) => arg
            .value_parser(NonEmptyStringValueParser::new())
            .value_name("LIST"),
        id if ALWAYS.contains(&id) => arg.hide(true),
        _ => arg,
    };
    of_run()
        .map(adapted)
        .fold(own, clap::Command::arg)
        .args_override_self(true)
        .max_term_width(110)
        .after_help(EXAMPLES)
}

/// Options of one run that a sweep has not: pages of it.
const OF_ONE: [&str; 9] = [
    "html",
    "web",
    "no_web",
    "web_host",
    "web_port",
    "web_token_file",
    "autostart",
    "no_autostart",
    "autoquit",
];

/// The options of `run` that a sweep's runs have: a page is of all of them.
fn of_run() -> impl Iterator<Item = Arg> {
    let is_its_own = |arg: &Arg| !OF_ONE.contains(&arg.get_id().as_str());
    options_of("run").into_iter().filter(is_its_own)
}

/// The options of a subcommand that shares its settings with others.
pub(in crate::app) fn options_of(command: &str) -> Vec<Arg> {
    let all = config::command();
    let found = all.find_subcommand(command);
    found.map_or_else(Vec::new, |found| found.get_arguments().cloned().collect())
}

/// Whether `run` has a flag of this long name.
pub(super) fn is_flag(name: &str) -> bool {
    let is_it =
        |arg: &Arg| arg.get_long() == Some(name) && matches!(arg.get_action(), ArgAction::SetTrue);
    of_run().any(|arg| is_it(&arg))
}

impl SweepArgs {
    /// What is searched, if anything is.
    pub(super) fn search(&self) -> Option<SearchSpec> {
        let goal = match self.find? {
            Find::MaxQps => Goal::MaxQps,
            Find::MaxUsers => Goal::MaxUsers,
        };
        let whole = |load: f64| match goal {
            Goal::MaxQps => load,
            Goal::MaxUsers => load.ceil(),
        };
        Some(SearchSpec {
            goal,
            from: whole(self.from),
            to: self.to.map(whole),
            repeats: self.repeats,
            precision: self.precision,
        })
    }
}

/// Tells what all runs share from what differs.
pub(super) fn wanted(matches: &ArgMatches, args: &SweepArgs) -> Result<Wanted, Failure> {
    let (mut base, mut axes) = (Vec::new(), Vec::new());
    for arg in of_run() {
        let id = arg.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let Some(long) = arg.get_long() else { continue };
        let values = matches.get_raw(id).into_iter().flatten();
        let only = values.last().and_then(|value| value.to_str());
        match only.filter(|value| SWEPT.contains(&id) && value.contains(',')) {
            Some(values) => axes.push(Axis::list(long, values).map_err(Failure::usage)?),
            None => base.extend(words(matches, &arg, long)),
        }
    }
    for text in &args.vary {
        axes.push(Axis::parse(text).map_err(Failure::usage)?);
    }
    let grid = Grid::new(axes);
    if let Some(name) = grid.set_twice() {
        let error = anyhow::anyhow!("`{name}` is varied twice");
        return Err(Failure::usage(error).hint("put all its values into one list"));
    }
    Ok(Wanted { base, grid })
}

/// An option as it was given, in words that mean the same to `run`.
pub(in crate::app) fn words(matches: &ArgMatches, arg: &Arg, long: &str) -> Vec<OsString> {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let is_set = matches.get_flag(id);
        return is_set
            .then(|| format!("--{long}").into())
            .into_iter()
            .collect();
    }
    let takes_many = arg
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1 || range.min_values() == 0);
    let occurrences = matches.get_raw_occurrences(id).into_iter().flatten();
    let mut words = Vec::new();
    for values in occurrences {
        if takes_many {
            words.push(format!("--{long}").into());
            words.extend(values.map(OsString::from));
        } else {
            words.extend(values.map(|value| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            }));
        }
    }
    words
}

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).map_err(|error| error.to_string())
}

fn load(text: &str) -> Result<f64, String> {
    let load = text.trim().parse().ok();
    load.filter(|load: &f64| load.is_finite() && *load > 0.0)
        .ok_or_else(|| "not a number above 0".to_owned())
}

/// `3%`, or `3`.
fn precision(text: &str) -> Result<f64, String> {
    let percent = text.trim().trim_end_matches('%').parse().ok();
    percent
        .filter(|percent: &f64| (0.1..=50.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "not a percentage from 0.1% to 50%".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn read(line: &str) -> (SweepArgs, Result<Wanted, Failure>) {
        let argv = std::iter::once(NAME).chain(line.split_whitespace());
        let matches = command().try_get_matches_from(argv).unwrap();
        let args = SweepArgs::from_arg_matches(&matches).unwrap();
        let wanted = wanted(&matches, &args);
        (args, wanted)
    }

    #[test]
    fn lists_are_axes_and_the_rest_is_shared_in_any_order() {
        let (args, wanted) = read(
            "-u 1,2 -H http://x --output-dir there -m a,b --no-stream --header a:b --header c:d,e --vary n=1,2 -o 5",
        );
        let wanted = wanted.unwrap();
        assert_eq!(args.output_dir, PathBuf::from("there"));
        let mut base: Vec<_> = wanted
            .base
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        base.sort_unstable();
        assert_eq!(
            base,
            [
                "--header=a:b",
                "--header=c:d,e",
                "--host=http://x",
                "--max-tokens=5",
                "--no-stream"
            ]
        );
        assert_eq!(wanted.grid.combinations().len(), 8);
        assert_eq!(wanted.grid.combinations()[1].label(), "model=a users=1 n=2");
    }

    #[test]
    fn the_last_of_two_words_stands() {
        let (_, wanted) = read("--stream --no-stream -u 3 -u 4");
        let wanted = wanted.unwrap();
        assert_eq!(wanted.base, ["--no-stream", "--users=4"]);
    }

    #[test]
    fn what_is_varied_twice_is_refused() {
        let (_, wanted) = read("-u 1,2 --vary users=3,4");
        assert!(format!("{:#}", wanted.err().unwrap().error).contains("`users` is varied twice"));
    }

    #[test]
    fn a_search_knows_its_ends() {
        let (args, _) = read("--find max-users --from 1.5 --to 64 --precision 5%");
        let spec = args.search().unwrap();
        assert_eq!((spec.from, spec.to), (2.0, Some(64.0)));
        assert_eq!((spec.repeats, spec.precision), (3, 0.05));
        assert!(
            command()
                .try_get_matches_from([NAME, "--from", "2"])
                .is_err()
        );
        assert!(is_flag("stream") && !is_flag("users"));
    }
}
