//! Files that are there already, taken, or in folders that are not.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_journal_is_private_and_one_masters_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let mut first = JournalFile::named(&path).unwrap();
    first.begin(b"one").unwrap();
    let failure = JournalFile::named(&path).unwrap_err();
    assert_eq!(failure.status, 2);
    assert!(failure.to_string().contains("another master is writing"));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let reading = File::open(&path).unwrap();
    assert!(is_being_written(&reading));
    drop(first);
    assert!(!is_being_written(&reading));
    assert!(JournalFile::named(&path).is_ok());
    assert_eq!(fs::read(&path).unwrap(), b"one");
}

#[test]
fn what_is_in_the_way_gets_a_name_that_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    fs::write(folder.path().join("j.1"), "older").unwrap();
    fs::write(&path, "old").unwrap();
    let (mut fresh, moved) = JournalFile::named(&path).unwrap().set_aside().unwrap();
    fresh.begin(b"new").unwrap();
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(moved, folder.path().join("j.2"));
    assert_eq!(
        [text("j"), text("j.1"), text("j.2")],
        ["new", "older", "old"]
    );
}

#[test]
fn a_tail_is_cut_off_and_what_comes_next_follows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    fs::write(&path, "whole torn").unwrap();
    let mut file = JournalFile::named(&path).unwrap();
    file.cut(6).unwrap();
    file.file.write_all(b"more").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole more");
}

#[test]
fn what_cannot_be_a_journal_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    for path in [
        PathBuf::from("/dev/full"),
        folder.path().to_owned(),
        folder.path().join("no/such/folder"),
    ] {
        let failure = JournalFile::named(&path).unwrap_err();
        assert_eq!(failure.status, 2);
        let hint = failure.hint.unwrap();
        assert!(hint.contains("--no-journal"), "{hint}");
    }
}

#[test]
fn a_journal_without_a_name_lies_in_the_first_folder_that_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let folders = [blocked.join("llmload"), folder.path().join("a/llmload")];
    let at = OffsetDateTime::UNIX_EPOCH;
    let file = JournalFile::unnamed(&folders, 0xab, at).unwrap();
    let name = "1970-01-01T00-00-00Z-00000000000000ab.journal";
    assert_eq!(file.path(), folders[1].join(name));
    let mode = fs::metadata(&folders[1]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(JournalFile::unnamed(&folders[..1], 0xab, at).is_err());
}

#[test]
fn the_users_state_comes_before_what_is_temporary() {
    let of = |variables: &'static [(&str, &str)]| {
        let found = move |name: &str| {
            let pair = variables.iter().find(|(there, _)| *there == name)?;
            Some(pair.1.to_owned())
        };
        let all = folders(&found).into_iter();
        all.map(|path| path.display().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), ["/tmp/llmload"]);
    assert_eq!(
        of(&[("HOME", "/h"), ("TMPDIR", "/t")]),
        ["/h/.local/state/llmload", "/t/llmload"]
    );
    // What is not absolute is to be ignored, says the specification of XDG_STATE_HOME.
    assert_eq!(
        of(&[("HOME", "/h"), ("XDG_STATE_HOME", "state")])[0],
        "/h/.local/state/llmload"
    );
    assert_eq!(
        of(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")])[0],
        "/s/llmload"
    );
}
