//! Where the results of a run would go: whether anything can be written there, files and rows, and how much. It leaves nothing behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::problem;
use crate::app::database;
use crate::app::files::try_writing;
use crate::app::session::check_outputs;
use crate::config::{Journal, Outputs, RunOptions};
use crate::doctor::{Exam, Finding, Part, disk};

pub(super) async fn look(run: &RunOptions, exam: &mut Exam) {
    let outputs = &run.settings.outputs;
    if let Err(failure) = check_outputs(outputs) {
        exam.note(Part::Results, problem("result files", &failure));
    }
    for folder in folders(outputs, &run.journal) {
        exam.note(Part::Results, of(&folder));
    }
    if let Some(wanted) = &run.settings.database {
        const CHECK: &str = "database";
        let found = match database::look(wanted).await {
            Ok(words) => Finding::ok(CHECK, words),
            Err(failure) => problem(CHECK, &failure),
        };
        exam.note(Part::Results, found);
    }
}

/// The folders of all results; where there are none, the one that most options would write to.
fn folders(outputs: &Outputs, journal: &Journal) -> BTreeSet<PathBuf> {
    let files = [&outputs.summary_file, &outputs.json_file, &outputs.html];
    let files = files.into_iter().flatten().map(PathBuf::as_path);
    let csv = outputs.csv.as_deref().map(Path::new);
    let journal = match journal {
        Journal::Named(path) => Some(path.as_path()),
        Journal::Unnamed | Journal::Off => None,
    };
    let mut folders: BTreeSet<PathBuf> = files.chain(csv).chain(journal).map(folder_of).collect();
    folders.extend(outputs.records_dir.clone());
    if folders.is_empty() {
        folders.insert(PathBuf::from("."));
    }
    folders
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn of(folder: &Path) -> Finding {
    let name = format!(".llmload-doctor-{}", std::process::id());
    let found = match try_writing(&folder.join(name), "") {
        Ok(()) => Ok(fs4::available_space(folder).ok()),
        Err(failure) => Err(failure.error.root_cause().to_string()),
    };
    disk(&format!("`{}`", folder.display()), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_a_result_is_looked_at_once() {
        let outputs = Outputs {
            json_file: Some("out/a.json".into()),
            html: Some("out/a.html".into()),
            csv: Some("here".to_owned()),
            records_dir: Some("rows".into()),
            ..Outputs::default()
        };
        let journal = Journal::Named("kept/journal".into());
        let of = |outputs, journal| -> Vec<_> {
            folders(outputs, journal)
                .into_iter()
                .map(|it| it.display().to_string())
                .collect()
        };
        assert_eq!(of(&outputs, &journal), [".", "kept", "out", "rows"]);
        assert_eq!(of(&Outputs::default(), &Journal::Off), ["."]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_a_problem_and_nothing_is_left_in_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path()).level.name(), "ok");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let none = of(&folder.path().join("none"));
        assert_eq!(none.level.name(), "problem");
        assert!(none.words.contains("No such file"), "{none:?}");
    }
}
