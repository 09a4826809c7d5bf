//! `llmload compare`: opens result files, has them compared, writes the report and sets the exit status by the baseline.
//! It computes no figure.

mod args;
mod gather;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, FromArgMatches};

use super::console::Console;
use super::failure::{Failure, status};
use super::files::replace;
use super::logging;
use crate::compare::{
    Document, Entry, Judged, Report, Request, Resampling, plain, report, undecided,
};
use crate::domain::Seed;
use args::{CompareArgs, Format, Source};
use gather::{Gathered, gather};

pub(super) use args::{NAME, command};

/// `llmload compare`.
pub(super) fn compare(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = CompareArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start_plain()?;
    run(&args).map_err(|failure| Failure {
        // Names of files and of columns may be anything.
        error: anyhow!(plain(&format!("{:#}", failure.error))),
        ..failure
    })
}

fn run(args: &CompareArgs) -> Result<u8, Failure> {
    let forms = forms(args)?;
    let request = request(args)?;
    let report = report(request).map_err(Failure::failed)?;
    write(args, &forms, &report.document)?;
    judge(args, &report)
}

fn request(args: &CompareArgs) -> Result<Request, Failure> {
    let (gathered, groups) = columns(args)?;
    if gathered.entries.is_empty() && gathered.correctness.is_empty() {
        let error = anyhow!("nothing to compare");
        return Err(Failure::usage(error)
            .hint("give files or folders of results: `llmload compare --help`"));
    }
    if let Some(key) = &args.group_by {
        has_key(&gathered, key)?;
    }
    Ok(Request {
        title: args.title.clone(),
        entries: gathered.entries,
        correctness: gathered.correctness,
        thresholds: args.thresholds(),
        pairwise: args.pairwise,
        groups,
        group_by: args.group_by.clone(),
        resampling: Resampling {
            confidence: args.confidence,
            resamples: usize::try_from(args.resamples).unwrap_or(usize::MAX),
            seed: Seed(args.seed),
        },
        notes: gathered.notes,
    })
}

/// A group's name, and the numbers of its entries.
type Group = (String, Vec<usize>);

/// Without a value of the key no group can be made, which nobody asks for.
fn has_key(gathered: &Gathered, key: &str) -> Result<(), Failure> {
    let has = |entry: &Entry| entry.settings().metadata.contains_key(key);
    if gathered.entries.iter().any(has) {
        return Ok(());
    }
    let error = anyhow!("no result has `{key}` in its metadata");
    Err(Failure::usage(error).hint(
        "llmperf's summaries have metadata, by --metadata; --group NAME=FILE,FILE makes a group of any files",
    ))
}

/// The baseline first, then what was given, then what groups name beside that.
fn columns(args: &CompareArgs) -> Result<(Gathered, Vec<Group>), Failure> {
    let of_groups: Vec<Source> = args
        .group
        .iter()
        .flat_map(|group| &group.paths)
        .map(|path| Source {
            name: None,
            paths: vec![path.clone()],
        })
        .collect();
    let baseline = args.baseline.as_ref().map(baseline).transpose()?;
    let mut gathered = gather(
        &args.sources,
        &of_groups,
        args.merge_runs,
        baseline.as_ref(),
    )?;
    if let Some(baseline) = baseline {
        if gathered.entries.is_empty() {
            let error = anyhow!("nothing to compare with the baseline");
            return Err(Failure::usage(error).hint("give the new result behind --baseline OLD"));
        }
        gathered.follow(baseline);
    }
    let groups = args
        .group
        .iter()
        .map(|group| members(group, &gathered))
        .collect::<Result<_, _>>()?;
    Ok((gathered, groups))
}

fn members(group: &Source, gathered: &Gathered) -> Result<Group, Failure> {
    let Some(name) = group.name.clone() else {
        return Err(
            Failure::usage(anyhow!("a group without a name")).hint("--group NAME=FILE,FILE")
        );
    };
    let mut members: Vec<usize> = Vec::new();
    for place in group.paths.iter().flat_map(|path| gathered.at(path)) {
        if !members.contains(&place) {
            members.push(place);
        }
    }
    if members.len() < 2 {
        let error = anyhow!("the group `{name}` has fewer than two members");
        return Err(
            Failure::usage(error).hint("--group NAME=FILE,FILE takes files, each of them a column")
        );
    }
    Ok((name, members))
}

fn baseline(source: &Source) -> Result<Gathered, Failure> {
    let mut gathered = gather(std::slice::from_ref(source), &[], false, None)?;
    match gathered.entries.as_mut_slice() {
        [] => Err(Failure::usage(anyhow!(
            "the baseline holds no performance result"
        ))),
        [entry] => {
            if entry.name.is_empty() {
                "baseline".clone_into(&mut entry.name);
            }
            Ok(gathered)
        }
        several => {
            let error = anyhow!("the baseline holds {} configurations", several.len());
            Err(Failure::usage(error).hint("give the file of one of them"))
        }
    }
}

/// The form of each file that is to be written.
fn forms(args: &CompareArgs) -> Result<Vec<Format>, Failure> {
    let form = |path: &PathBuf| {
        let ending = path
            .extension()
            .and_then(|it| it.to_str())
            .map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("md" | "markdown") => Ok(Format::Markdown),
            Some("html" | "htm") => Ok(Format::Html),
            _ => args.format.ok_or_else(|| {
                let error = anyhow!(
                    "the name `{}` does not tell the form of the report",
                    path.display()
                );
                Failure::usage(error).hint("end it in .md or .html, or give --format")
            }),
        }
    };
    args.output.iter().map(form).collect()
}

fn text(document: &Document, form: Format, with_pictures: bool) -> Result<String, Failure> {
    match form {
        Format::Markdown => Ok(document.markdown(with_pictures)),
        Format::Html => document.html().map_err(Failure::failed),
    }
}

fn write(args: &CompareArgs, forms: &[Format], document: &Document) -> Result<(), Failure> {
    for (path, form) in args.output.iter().zip(forms) {
        put(path, &text(document, *form, false)?)?;
    }
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))
            .map_err(Failure::failed)?;
        put(
            &folder.join("comparison.md"),
            &text(document, Format::Markdown, true)?,
        )?;
        put(
            &folder.join("comparison.html"),
            &text(document, Format::Html, true)?,
        )?;
        for (name, svg) in document.pictures() {
            put(&folder.join(name), svg)?;
        }
    }
    if args.output.is_empty() && args.output_dir.is_none() {
        let form = args.format.unwrap_or(Format::Markdown);
        Console::default().print(&text(document, form, false)?);
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(Failure::failed)
}

/// A line for each verdict, and the exit status.
fn judge(args: &CompareArgs, report: &Report) -> Result<u8, Failure> {
    let judged: &[Judged] = &report.judged;
    if judged.is_empty() {
        return Ok(status::OK);
    }
    let is_page =
        args.output.is_empty() && args.output_dir.is_none() && args.format == Some(Format::Html);
    let lines: String = judged.iter().map(|it| it.line() + "\n").collect();
    // A page on standard output stays one.
    if is_page {
        super::console::complain(&lines.trim_end());
    } else {
        let gap = if args.output.is_empty() && args.output_dir.is_none() {
            "\n"
        } else {
            ""
        };
        Console::default().print(&format!("{gap}{lines}"));
    }
    if judged.iter().any(|it| it.verdict.fails(args.strict)) {
        return Ok(status::REGRESSION);
    }
    let undecided = undecided(judged);
    if !undecided.is_empty() {
        let names: Vec<String> = undecided.iter().map(|name| format!("`{name}`")).collect();
        let beside = if judged.iter().any(|it| it.verdict.is_judgement()) {
            " beside error_rate's"
        } else {
            ""
        };
        let error = anyhow!(
            "no threshold could be judged of {}{beside}",
            names.join(", ")
        );
        return Err(Failure::failed(error).hint(
            "give the individual responses of both sides, two runs a side, or other thresholds by --fail-if",
        ));
    }
    Ok(status::OK)
}
