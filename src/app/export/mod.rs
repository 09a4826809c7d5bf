//! `llmload export`: opens what a run left behind, has it put into another tool's format, writes that, and sets the exit status.
//! It computes no figure and words no format.

mod args;
mod records;
mod source;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::anyhow;
use clap::{ArgMatches, FromArgMatches};
use parquet::errors::ParquetError;

use super::console::complain;
use super::failure::{Failure, status};
use super::files::{replace, replace_by, try_writing};
use super::logging;
use crate::domain::Offset;
use crate::export::{
    Misfit, ParquetRows, Run, csv_header, csv_row, hlog_header, hlog_interval, llmd_report,
    mlperf_logs,
};
use args::{ExportArgs, Format};
use records::{Account, RecordsFiles};
use source::{Folded, JournalFile, ResultFile};

pub(super) use args::{NAME, command};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why nothing more is written.
#[derive(Debug)]
pub(super) enum Stopped {
    /// What is written to takes no more.
    Unwritten(io::Error),
    /// Something else.
    Failed(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Unwritten(error)
    }
}

impl From<csv::Error> for Stopped {
    fn from(error: csv::Error) -> Self {
        Self::Unwritten(error.into())
    }
}

impl From<ParquetError> for Stopped {
    fn from(error: ParquetError) -> Self {
        Self::Unwritten(io::Error::other(error))
    }
}

impl Stopped {
    /// Of what writes nothing.
    fn into_failure(self) -> Failure {
        match self {
            Self::Unwritten(error) => Failure::failed(error),
            Self::Failed(failure) => failure,
        }
    }
}

/// `llmload export`.
pub(super) fn export(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = ExportArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start_plain()?;
    args.check()?;
    outputs(&args)?;
    let lacking = match args.format {
        Format::Csv | Format::Parquet => table(&args)?,
        Format::Hlog => hlog(&args)?,
        Format::LlmD => {
            let (run, lacking) = run(&args)?;
            let text = llmd_report(&run).map_err(Failure::failed)?;
            write(args.target(), |out| Ok(out.write_all(text.as_bytes())?))?;
            lacking
        }
        Format::Mlperf => mlperf(&args)?,
    };
    Ok(lacking.map_or(status::OK, |failure| {
        complain(&failure);
        failure.status
    }))
}

/// Finds out before anything is read whether the output can be written, and that it is none of the inputs.
fn outputs(args: &ExportArgs) -> Result<(), Failure> {
    let Some(target) = args.target() else {
        return Ok(());
    };
    let inputs = args
        .records
        .iter()
        .chain(&args.journal)
        .chain(&args.json_file);
    let place = |path: &Path| path.canonicalize().ok();
    let own = place(target);
    for input in inputs {
        if own.is_some() && place(input) == own {
            let error = anyhow!("`{}` is read, and would be overwritten", input.display());
            return Err(Failure::usage(error).hint("-o with another name"));
        }
    }
    let (is_there, is_folder) = (target.exists(), target.is_dir());
    let wants_folder = args.format == Format::Mlperf;
    let wrong = match (wants_folder, is_folder) {
        (false, true) => Some(("a folder, and the format is one file", "-o FILE")),
        (true, false) if is_there => Some(("no folder, and the format is two files", "-o DIR")),
        _ => None,
    };
    if let Some((what, hint)) = wrong {
        let error = anyhow!("`{}` is {what}", target.display());
        return Err(Failure::usage(error).hint(hint));
    }
    if wants_folder {
        return Ok(());
    }
    try_writing(target, "-o")
}

/// Writes to a file, whole or not at all, or to standard output. A reader who went away has had enough: nothing failed.
fn write(
    target: Option<&impl AsRef<Path>>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Stopped>,
) -> Result<(), Failure> {
    let Some(path) = target.map(AsRef::as_ref) else {
        let mut out = BufWriter::new(io::stdout());
        let written = write(&mut out).and_then(|()| Ok(out.flush()?));
        return match written {
            Err(Stopped::Unwritten(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(Stopped::Unwritten(error)) => Err(unwritten("standard output", error)),
            Err(Stopped::Failed(failure)) => Err(failure),
            Ok(()) => Ok(()),
        };
    };
    let buffered = |file: &mut (dyn Write + Send)| {
        let mut out = BufWriter::with_capacity(256 * 1024, file);
        write(&mut out).and_then(|()| Ok(out.flush()?))
    };
    replace_by(path, buffered).map_err(|stopped| match stopped {
        Stopped::Unwritten(error) => unwritten(&format!("`{}`", path.display()), error),
        Stopped::Failed(failure) => failure,
    })
}

fn unwritten(what: &str, error: io::Error) -> Failure {
    let error = anyhow::Error::new(error).context(format!("cannot write {what}"));
    Failure::failed(error)
        .hint("what is exported is still there: free some space, or write elsewhere")
}

/// A row a request.
fn table(args: &ExportArgs) -> Result<Option<Failure>, Failure> {
    let files = RecordsFiles::open(&args.records)?;
    let mut account = Account::default();
    write(args.target(), |out| {
        account = if args.format == Format::Csv {
            csv_rows(files, out)?
        } else {
            parquet_rows(files, out)?
        };
        Ok(())
    })?;
    Ok(account.failure())
}

fn csv_rows(files: RecordsFiles, out: &mut (dyn Write + Send)) -> Result<Account, Stopped> {
    let mut rows = csv::Writer::from_writer(out);
    csv_header(&mut rows)?;
    let account = files.each(&mut |record| Ok(csv_row(record, &mut rows)?))?;
    rows.flush()?;
    Ok(account)
}

fn parquet_rows(files: RecordsFiles, out: &mut (dyn Write + Send)) -> Result<Account, Stopped> {
    let mut rows = ParquetRows::new(out, VERSION)?;
    let account = files.each(&mut |record| Ok(rows.push(record)?))?;
    rows.finish()?;
    Ok(account)
}

/// A log of histograms: of a journal a line for each interval, of records one for all of them.
fn hlog(args: &ExportArgs) -> Result<Option<Failure>, Failure> {
    if let Some(path) = &args.journal {
        return hlog_of(JournalFile::open(path)?, args);
    }
    let result = result(args)?;
    let folded = folded(args, result.as_ref())?;
    let started_at = result.as_ref().and_then(ResultFile::started_at);
    let (from, to) = folded.span();
    write(args.target(), |out| {
        hlog_header(out, VERSION, started_at)?;
        hlog_interval(out, &folded.tally, from, to)?;
        Ok(())
    })?;
    Ok(folded.account.failure())
}

fn hlog_of(mut journal: JournalFile<'_>, args: &ExportArgs) -> Result<Option<Failure>, Failure> {
    write(args.target(), |out| {
        let (mut from, mut lines, mut has_header) = (Offset::ZERO, 0, false);
        journal.each(&mut |started_at, tally, to| {
            if !has_header && started_at.is_some() {
                hlog_header(out, VERSION, started_at)?;
                has_header = true;
            }
            // What a worker tells late is of an interval that was written already: it has no length of its own.
            let to = to.max(from);
            lines += hlog_interval(out, tally, from, to)?;
            from = to;
            Ok(())
        })?;
        if lines == 0 {
            return Err(Stopped::Failed(journal.nothing()));
        }
        Ok(())
    })?;
    Ok(journal.shortcoming())
}

fn mlperf(args: &ExportArgs) -> Result<Option<Failure>, Failure> {
    let (run, lacking) = run(args)?;
    let wished = args.scenario.map(Into::into);
    let logs = mlperf_logs(&run, wished).map_err(misfit)?;
    let Some(folder) = args.target() else {
        return Ok(lacking);
    };
    let shown = format!("the folder `{}`", folder.display());
    fs::create_dir_all(folder).map_err(|error| unwritten(&shown, error))?;
    for (name, text) in [
        ("mlperf_log_summary.txt", &logs.summary),
        ("mlperf_log_detail.txt", &logs.detail),
    ] {
        let path = folder.join(name);
        let shown = format!("`{}`", path.display());
        replace(&path, text).map_err(|error| unwritten(&shown, error))?;
    }
    Ok(lacking)
}

fn misfit(misfit: Misfit) -> Failure {
    let hint = match misfit {
        Misfit::Unlike { .. } => {
            "--scenario offline tells its throughput alone; --format llm-d tells all of such a run"
        }
        Misfit::Contradicts { .. } => "leave --scenario out, and the one that fits is taken",
        Misfit::Unknown => "--json-file RESULT, or --journal FILE",
    };
    Failure::usage(misfit).hint(hint)
}

/// The run that a summary is made of, and what is missing of it.
fn run(args: &ExportArgs) -> Result<(Run, Option<Failure>), Failure> {
    if let Some(path) = &args.journal {
        let mut journal = JournalFile::open(path)?;
        let read = journal.each(&mut |_, _, _| Ok(()));
        read.map_err(Stopped::into_failure)?;
        let lacking = journal.shortcoming();
        return Ok((journal.run()?, lacking));
    }
    let result = result(args)?;
    match result {
        Some(result) if args.records.is_empty() => Ok((result.run(), None)),
        result => {
            let folded = folded(args, result.as_ref())?;
            let lacking = folded.account.failure();
            Ok((folded.run(&args.records, result), lacking))
        }
    }
}

fn result(args: &ExportArgs) -> Result<Option<ResultFile>, Failure> {
    args.json_file.as_deref().map(ResultFile::read).transpose()
}

fn folded(args: &ExportArgs, result: Option<&ResultFile>) -> Result<Folded, Failure> {
    let files = RecordsFiles::open(&args.records)?;
    if result.is_none() {
        tracing::warn!(
            "records without their result: all requests count, those of a warm-up too; \
             --json-file RESULT counts those of its measured window"
        );
    }
    Folded::of(files, result)
}
