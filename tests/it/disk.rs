//! A disk that fills up while a run goes on: every figure is still printed, nothing is lost in silence.

#![cfg(target_os = "linux")]

use std::os::unix::fs::symlink;

use crate::command::{Place, Ran, Running, binary, faulty, url};

/// The figures that every run ends with.
fn assert_figures(ran: &Ran, requests: u64) {
    for words in [
        format!("sent {requests} = completed {requests} + failed 0 + cancelled 0 + in flight 0"),
        "Response time percentiles".to_owned(),
        "Time To First Token      : ".to_owned(),
    ] {
        assert!(
            ran.stdout.contains(&words),
            "no {words:?} in\n{}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
}

/// A run that writes to `/dev/full` what `option` names. The device must outlive it.
fn full(option: &str, name: &str) -> (Ran, Place) {
    let (place, mock) = (Place::new(), faulty(&[]));
    symlink("/dev/full", place.file(name)).unwrap();
    let given = if option == "--csv" { "locust" } else { name };
    let url = url(&mock);
    let ran = place.run(&[
        "run",
        "-H",
        &url,
        "-u",
        "2",
        "-r",
        "1000",
        "-o",
        "8",
        "-p",
        "32",
        "--max-requests",
        "20",
        "--only-summary",
        option,
        given,
    ]);
    assert!(place.file(name).is_symlink(), "the device was renamed away");
    (ran, place)
}

fn told(ran: &Ran, words: &str, hint: &str) {
    let complaint = ran.complaint();
    let (error, rest) = complaint.split_once('\n').unwrap_or((&complaint, ""));
    assert!(
        error.contains(words) && error.contains("No space left on device"),
        "{complaint}"
    );
    assert!(
        rest.starts_with("hint: ") && rest.contains(hint),
        "{complaint}"
    );
}

#[test]
fn a_records_file_on_a_full_disk_costs_the_records_alone() {
    let (ran, _) = full("--records", "records.jsonl");
    ran.expect(1);
    assert_figures(&ran, 20);
    told(
        &ran,
        "the records file `records.jsonl` ends early",
        "all figures are whole",
    );
}

#[test]
fn a_result_on_a_full_disk_is_printed_all_the_same() {
    let (ran, _) = full("--json-file", "result.json");
    ran.expect(1);
    assert_figures(&ran, 20);
    told(&ran, "cannot write `result.json`", "is the disk full?");
}

#[test]
fn a_row_for_a_full_disk_is_kept_elsewhere() {
    let (ran, place) = full("--summary-file", "runs.csv");
    ran.expect(1);
    assert_figures(&ran, 20);
    told(
        &ran,
        "cannot append a row to `runs.csv`",
        "the row is kept in `runs.csv.",
    );
    let files = place.files();
    let kept = files
        .iter()
        .find(|(path, _)| path.to_string_lossy().contains("runs.csv."));
    let (_, row) = kept.unwrap();
    assert!(
        row.starts_with("Provider,Model,") && row.lines().count() == 2,
        "{row}"
    );
}

#[test]
fn tables_for_a_full_disk_are_printed_all_the_same() {
    let (ran, _) = full("--csv", "locust_stats.csv");
    ran.expect(1);
    assert_figures(&ran, 20);
    told(&ran, "cannot write `locust_stats.csv`", "is the disk full?");
}

/// A real file system without room, which needs the right to mount one: in a namespace of its own.
#[test]
fn a_file_system_that_fills_up_costs_files_and_no_figure() {
    let (place, mock) = (Place::new(), faulty(&[]));
    std::fs::create_dir(place.file("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=20k tmpfs small || exit 99
        '{}' run -H {} -u 4 -r 1000 -o 8 -p 32 --max-requests 200 --only-summary --csv small/locust \
            --records small/records.jsonl --json-file small/result.json --summary-file small/runs.csv
        status=$?; ls small >listing; exit $status",
        binary().display(),
        url(&mock)
    );
    let mut command = place.command("unshare");
    let ran = Running::start(command.args(["--mount", "sh", "-c", &script])).wait();
    if ran.stderr.contains("unshare failed") || ran.status == Some(99) {
        println!("no right to mount a file system: {}", ran.stderr);
        return;
    }
    ran.expect(1);
    assert_figures(&ran, 200);
    for words in [
        "the records file `small/records.jsonl` ends early: No space left on device",
        "cannot write `small/result.json`: No space left on device",
        "cannot append a row to `small/runs.csv`: No space left on device",
        "hint: the row could not be kept beside it either; here it is:\nProvider,Model,",
    ] {
        assert!(
            ran.stderr.contains(words),
            "no {words:?} in\n{}",
            ran.stderr
        );
    }
    let listing = place.read("listing");
    assert!(
        !listing.contains(".tmp") && !listing.contains("result.json"),
        "{listing}"
    );
}
