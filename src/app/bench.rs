//! `llmload bench-self`: what the program measures of itself, printed and written.

use anyhow::{Context, anyhow};

use super::console::{Console, complain};
use super::failure::{Failure, status};
use crate::bench::{self, BenchArgs, BenchError};

/// Measures; with `--check` a missed target is a failure.
pub(super) fn bench_self(args: &BenchArgs) -> Result<u8, Failure> {
    let report = bench::run(args, &mut |what| complain(&what)).map_err(in_words)?;
    // A part of a measurement has told its parent everything.
    let Some(report) = report else {
        return Ok(status::OK);
    };
    Console::default().print(&report.table);
    if let Some(path) = &args.json {
        std::fs::write(path, &report.json)
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Failure::failed)?;
    }
    if args.check && report.missed > 0 {
        let missed = anyhow!("{} of the targets missed", report.missed);
        return Err(Failure::failed(missed).hint(
            "on a busy machine ratios are noisy: run it again when it is quiet, with more --pairs",
        ));
    }
    Ok(status::OK)
}

fn in_words(error: BenchError) -> Failure {
    let hint = error.hint();
    let usage = matches!(error, BenchError::DebugBuild | BenchError::NotLinux);
    let failure = if usage {
        Failure::usage(error)
    } else {
        Failure::failed(error)
    };
    failure.with_hint(hint)
}
