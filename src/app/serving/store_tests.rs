//! What a folder goes on with, and what it refuses.

use serde_json::json;

use super::super::args::ReportingArgs;
use super::super::settings::of_another_tool;
use super::*;
use crate::serving::Played;

const FIRST: Bench = Bench::PromptIngestion { repeat: 0 };
const OTHER: Bench = Bench::KvCacheProfile {
    input: 32,
    output: 16,
};

fn wanted() -> Kept {
    let mut setup = Map::new();
    setup.insert("model".to_owned(), json!("m"));
    Kept {
        settings: of_another_tool(&ReportingArgs::default()),
        setup,
    }
}

fn raw() -> Raw {
    Raw::of(Played::default())
}

#[test]
fn what_is_finished_is_there_again_and_the_suite_is_the_first_one_s() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let mut kept = wanted();
    kept.settings.suite_id = "first".to_owned();
    store.begin(kept).unwrap();
    store.keep(FIRST, raw()).unwrap();
    drop(store);
    let mut again = Store::open(folder.path()).unwrap();
    assert!(again.finished(FIRST).is_some() && again.finished(OTHER).is_none());
    let mut kept = wanted();
    kept.settings.repeats = 9;
    kept.settings.speed_threshold = 3.0;
    assert_eq!(again.begin(kept).unwrap().settings.suite_id, "first");
}

#[test]
fn results_of_other_settings_are_refused_unless_they_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.begin(wanted()).unwrap();
    let mut other = wanted();
    other.settings.max_queries = 5;
    other.setup.insert("model".to_owned(), json!("n"));
    other
        .setup
        .insert("prompts_length_7.json".to_owned(), json!("x"));
    // Without any results there is nothing to be mixed.
    store.begin(other.clone()).unwrap();
    store.begin(wanted()).unwrap();
    store.keep(FIRST, raw()).unwrap();
    drop(store);
    let mut again = Store::open(folder.path()).unwrap();
    let failure = again.begin(other.clone()).unwrap_err();
    let message = failure.error.to_string();
    assert!(
        message
            .ends_with("other settings: max_queries was 1000, now 5, model was \"m\", now \"n\""),
        "{message}"
    );
    assert!(failure.hint.unwrap().contains("--restart"));
    drop(again);
    let mut anew = Store::open(folder.path()).unwrap();
    anew.forget().unwrap();
    assert!(anew.finished(FIRST).is_none());
    anew.begin(other).unwrap();
}

#[test]
fn results_of_nobody_knows_what_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.keep(FIRST, raw()).unwrap();
    drop(store);
    let failure = Store::open(folder.path()).unwrap().begin(wanted());
    assert!(
        failure
            .unwrap_err()
            .error
            .to_string()
            .contains("no suite.json")
    );
}

#[test]
fn a_torn_file_is_made_again_and_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.begin(wanted()).unwrap();
    store.keep(FIRST, raw()).unwrap();
    drop(store);
    let raw_folder = folder.path().join(RAW);
    fs::write(raw_folder.join(FIRST.file()), "{\"param").unwrap();
    fs::write(raw_folder.join("mine.json"), "{}").unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.forget().unwrap();
    assert!(store.finished(FIRST).is_none());
    assert!(raw_folder.join("mine.json").is_file());
}

#[test]
fn two_suites_do_not_write_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    let failure = Store::open(folder.path()).unwrap_err();
    assert!(
        failure
            .error
            .to_string()
            .contains("another suite is writing")
    );
    drop(first);
    assert!(Store::open(folder.path()).is_ok());
}
