//! What a journal says of itself.

use super::*;
use crate::cluster::{Broken, Hello};
use crate::domain::Offset;
use crate::metrics::Counts;
use crate::report::sample;

fn header(lease: Option<Duration>) -> JournalHeader {
    let mut plan = sample::open().plan;
    plan.seed = crate::domain::Seed(7);
    JournalHeader {
        version: "0.1.0".to_owned(),
        run: 0xab,
        clock_zero_unix_ns: 1_700_000_000_000_000_000,
        plan,
        lease,
        max_fail_ratio: 0.01,
        exit_code_on_error: 1,
        allow_invalid: false,
        command: String::new(),
    }
}

fn past() -> Past {
    let standing = Standing {
        handed_over: false,
        was_missing: false,
        hello: Hello {
            version: "0.1.0".to_owned(),
            protocol: 2,
            name: "alpha:17".to_owned(),
            incarnation: 1,
            cores: 4,
            run: None,
        },
        state: WorkerState::Running,
        part: Some(0),
        left_early: false,
        last: None,
        clock: None,
        merged_to: 22,
        ahead: Vec::new(),
        intervals: 22,
        counts: Counts::default(),
        finished: 0,
        confirmed_to: Offset::from_nanos(22_000_000_000),
    };
    Past {
        frames: 24,
        run: 0xab,
        started_at: Some(Offset::from_nanos(2_500_000_000)),
        members: [(0, standing)].into(),
        to: Offset::from_nanos(23_000_000_000),
        ..Past::default()
    }
}

const LEASE: Option<Duration> = Some(Duration::from_secs(3));

#[test]
fn whose_run_it_is_until_when_it_is_known_and_what_is_missing_is_said() {
    let (header, past) = (header(LEASE), past());
    let torn = Torn {
        bytes: 113,
        reason: Tear::Short,
    };
    let known = Known {
        header: &header,
        past: &past,
        torn: Some(&torn),
        is_written: false,
    };
    insta::assert_snapshot!(known.statement("run.journal", "/v1/chat/completions"), @"
    journal `run.journal`
      run 00000000000000ab of llmload 0.1.0, begun at 2023-11-14T22:13:22.5Z: openai /v1/chat/completions on http://127.0.0.1:8000, model m, seed 7
      24 frames, to 23.000 s of the run
      the last 113 bytes of the file are left out: a record is cut short
      the master ended without a word after 23.000 s of the run; its workers may have sent for up to 5 s more: nothing of that is in these figures
      worker alpha:17: at work, known to 22.000 s of the run
    ");
}

#[test]
fn why_a_journal_ends_early_is_told_apart() {
    let past = past();
    let missing = |lease, reason: Option<Tear>, is_written| {
        let torn = reason.map(|reason| Torn { bytes: 9, reason });
        let header = header(lease);
        Known {
            header: &header,
            past: &past,
            torn: torn.as_ref(),
            is_written,
        }
        .missing()
    };
    assert!(
        missing(LEASE, None, false).starts_with("the master ended without a word after 23.000 s")
    );
    assert!(missing(None, None, false).starts_with("the run ended without a word after 23.000 s"));
    assert!(missing(LEASE, None, true).starts_with("its master is still writing"));
    let damaged = missing(LEASE, Some(Tear::Order(Broken::Run)), false);
    assert!(
        damaged.contains("damaged behind 23.000 s of the run (a frame is of another run)"),
        "{damaged}"
    );
}

#[test]
fn options_of_what_it_is_not_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("run.journal");
    std::fs::write(&journal, "").unwrap();
    let refused = |of: &Path, option: &[&str]| {
        let words = ["report", of.to_str().unwrap()];
        let words = words.iter().chain(option);
        let matches = ReportArgs::augment_args(clap::Command::new("report"))
            .try_get_matches_from(words)
            .unwrap();
        let args = <ReportArgs as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        args.refuse_others().is_err()
    };
    let of_a_run: [&[&str]; 7] = [
        &["--summary-file", "a"],
        &["--csv", "a"],
        &["--json"],
        &["--json-file", "a"],
        &["--max-fail-ratio", "0.1"],
        &["--exit-code-on-error", "0"],
        &["--allow-invalid"],
    ];
    let of_a_suite: [&[&str]; 3] = [
        &["--gpu-name", "a"],
        &["--speed-threshold", "20"],
        &["--min-number-of-valid-queries", "5"],
    ];
    for option in of_a_run {
        assert!(refused(folder.path(), option), "{option:?}");
        assert!(!refused(&journal, option), "{option:?}");
    }
    for option in of_a_suite {
        assert!(!refused(folder.path(), option), "{option:?}");
        assert!(refused(&journal, option), "{option:?}");
    }
    for path in [folder.path(), &journal] {
        assert!(!refused(path, &["--html", "a"]));
    }
}
