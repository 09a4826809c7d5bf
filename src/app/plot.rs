//! `llmload plot`: the plots of files of individual responses, ours and llmperf's. What is drawn is `llmperf`'s business.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use super::console::Console;
use super::failure::{Failure, status};
use super::files;
use crate::chart::{self, Figure};
use crate::llmperf::{individuals, plots};

/// The name of the subcommand.
pub(super) const NAME: &str = "plot";
/// What the names of the files end with.
const ENDING: &str = "_individual_responses";

pub(super) fn command() -> clap::Command {
    let about = "Draw the latencies in files of individual responses, llmperf's too";
    PlotArgs::augment_args(clap::Command::new(NAME)).about(about)
}

/// Options of `plot`.
#[derive(Clone, Debug, Args)]
struct PlotArgs {
    /// Files of individual responses
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the plots go; absent: beside each file
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// What the plots are written as
    #[arg(
        long,
        value_name = "FORMAT",
        value_delimiter = ',',
        default_value = "png,svg"
    )]
    format: Vec<Format>,
}

/// What a plot is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Png,
    Svg,
}

/// `llmload plot`.
pub(super) fn plot(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = PlotArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let mut console = Console::default();
    for (stem, file) in stems(&args)? {
        let responses = fs::read_to_string(file)
            .map_err(anyhow::Error::from)
            .and_then(|text| Ok(individuals(&text)?))
            .with_context(|| format!("`{}` is no file of individual responses", file.display()))
            .map_err(Failure::usage)?;
        let title = stem.file_name().map(|name| name.to_string_lossy());
        for (name, figure) in plots(&title.unwrap_or_default(), &responses) {
            for format in &args.format {
                let path = write(&stem, name, *format, &figure)?;
                console.print(&format!("written: {}\n", path.display()));
            }
        }
    }
    Ok(status::OK)
}

/// What the plots' names of each file begin with: two files must not write the same ones.
fn stems(args: &PlotArgs) -> Result<BTreeMap<PathBuf, &PathBuf>, Failure> {
    if let Some(dir) = &args.output_dir {
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot make `{}`", dir.display()))
            .map_err(Failure::usage)?;
    }
    let mut known = BTreeMap::new();
    for file in &args.files {
        let stem = stem(file, args.output_dir.as_deref());
        if let Some(other) = known.insert(stem, file) {
            let words = format!(
                "the plots of `{}` and of `{}` would have the same names",
                other.display(),
                file.display()
            );
            return Err(Failure::usage(anyhow!("{words}"))
                .hint("without --output-dir they go beside their files"));
        }
    }
    Ok(known)
}

fn stem(file: &Path, dir: Option<&Path>) -> PathBuf {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(ENDING).unwrap_or(&name);
    match dir {
        Some(dir) => dir.join(name),
        None => file.with_file_name(name),
    }
}

fn write(stem: &Path, name: &str, format: Format, figure: &Figure) -> Result<PathBuf, Failure> {
    let bytes = match format {
        Format::Png => chart::png(figure),
        Format::Svg => chart::svg(figure).map(String::into_bytes),
    };
    let ending = match format {
        Format::Png => "png",
        Format::Svg => "svg",
    };
    let mut path = stem.as_os_str().to_owned();
    path.push(format!("_{name}.{ending}"));
    let path = PathBuf::from(path);
    let bytes = bytes.map_err(Failure::failed)?;
    files::replace_by(&path, |file| file.write_all(&bytes))
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(Failure::failed)?;
    Ok(path)
}

#[cfg(test)]
#[path = "plot_tests.rs"]
mod tests;
