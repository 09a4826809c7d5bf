//! `report DIR`: everything that can be drawn from raw results, drawn again. It measures nothing.

use std::path::Path;

use anyhow::anyhow;

use super::args::ReportingArgs;
use super::draw;
use super::settings::{decides, of_another_tool, reported_again};
use super::store;
use super::table::table;
use crate::app::console::{Console, complain};
use crate::app::failure::{Failure, status};
use crate::app::sweep::redraw;
use crate::serving::SuiteSettings;

/// A line a run of a sweep.
const SWEEP: &str = "runs.jsonl";

/// Whether a path is something that is drawn again, and no journal.
pub(in crate::app) fn is_of_a_suite(path: &Path) -> bool {
    path.is_dir()
}

/// Draws the report of a folder again.
pub(in crate::app) fn again(
    folder: &Path,
    args: &ReportingArgs,
    html: Option<&Path>,
) -> Result<u8, Failure> {
    if folder.join(SWEEP).is_file() {
        if let Some((option, _)) = args.given().iter().find(|(_, is_given)| *is_given) {
            let error = anyhow!(
                "{option} is for the folder of a suite, and `{}` is that of a sweep",
                folder.display()
            );
            return Err(Failure::usage(error).hint(format!("leave {option} out")));
        }
        return redraw(folder, html);
    }
    let (raws, unreadable) = store::raws(folder)?;
    for name in unreadable {
        complain(&format!("`{name}` cannot be read, and is left out"));
    }
    let settings = settings(folder, args);
    let (files, left_out) = draw::report(folder, &raws, settings.as_ref(), html)?;
    for note in left_out {
        complain(&note);
    }
    let shown = settings.unwrap_or_else(|| of_another_tool(args));
    let mut console = Console::default();
    console.print(&table(&raws, &files, &shown));
    console.print(&format!("the report is in `{}`\n", folder.display()));
    Ok(if draw::has_graphs(&files) {
        status::OK
    } else {
        complain(&"nothing could be reported: no file has enough valid queries");
        status::FAILED
    })
}

/// What the suite was, with what is asked for now; `None` where nobody wrote it down and nothing is asked for.
fn settings(folder: &Path, args: &ReportingArgs) -> Option<SuiteSettings> {
    match store::kept(folder) {
        Some(kept) => {
            let mut settings = kept.settings;
            reported_again(&mut settings, args);
            Some(settings)
        }
        None => decides(args).then(|| of_another_tool(args)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::store::{RAW, Store, raws};
    use super::*;
    use crate::serving::{Played, Raw};

    #[test]
    fn an_archive_stands_for_the_folder_that_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let raw_folder = folder.path().join(RAW);
        fs::create_dir(&raw_folder).unwrap();
        let text = Raw::of(Played::default()).text();
        fs::write(raw_folder.join("prompt_ingestion_0.json"), text).unwrap();
        fs::write(raw_folder.join("prompt_ingestion_1.json"), "{").unwrap();
        draw::pack(folder.path()).unwrap();
        let there = raws(folder.path()).unwrap();
        assert_eq!((there.0.len(), there.1.len()), (1, 1));
        fs::remove_file(raw_folder.join("prompt_ingestion_0.json")).unwrap();
        fs::remove_file(raw_folder.join("prompt_ingestion_1.json")).unwrap();
        assert_eq!(raws(folder.path()).unwrap(), there);
        fs::remove_dir_all(&raw_folder).unwrap();
        assert_eq!(raws(folder.path()).unwrap(), there);
        // A suite that goes on has them as files again.
        assert_eq!(Store::open(folder.path()).unwrap().all(), &there.0);
        assert!(raw_folder.join("prompt_ingestion_0.json").is_file());
    }

    #[test]
    fn options_of_a_suite_mean_nothing_to_a_sweep() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SWEEP), "").unwrap();
        let args = ReportingArgs {
            gpu_name: Some("A".to_owned()),
            ..ReportingArgs::default()
        };
        let failure = again(folder.path(), &args, None).unwrap_err();
        assert!(
            failure.to_string().contains("--gpu-name is for"),
            "{failure}"
        );
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let failure = again(folder.path(), &ReportingArgs::default(), None).unwrap_err();
        assert!(
            failure
                .to_string()
                .contains("neither raw_results nor raw_results.zip")
        );
        assert_eq!(failure.status, 2);
    }
}
