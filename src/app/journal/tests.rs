//! Which runs go on, and what becomes of the others.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::cluster::{EndedBy, Epoch, Frame, Halt, journal_frame};
use crate::domain::Seed;
use crate::metrics::Tally;
use crate::report::sample;
use crate::schedule::Load;

const SECOND: u64 = 1_000_000_000;

pub(super) fn header() -> JournalHeader {
    JournalHeader {
        version: "0.1.0".to_owned(),
        run: 77,
        clock_zero_unix_ns: 1_700_000_000 * 1_000_000_000,
        plan: plan(),
        lease: Some(Duration::from_secs(3)),
        max_fail_ratio: 0.01,
        exit_code_on_error: 1,
        allow_invalid: false,
        command: "llmload run --seed 1".to_owned(),
    }
}

fn plan() -> Plan {
    let mut plan = sample::open().plan;
    plan.schedule.run_time = Some(Duration::from_secs(20));
    plan.limits.stop = Duration::from_secs(5);
    plan
}

/// Of a run that began when the master's clock showed 10 s.
pub(super) fn frame(number: u64) -> Frame {
    let mut delta = Tally::default();
    delta.counts.sent = number;
    Frame {
        number,
        run: 77,
        at: Offset::from_nanos((10 + number) * SECOND),
        started_at: Some(Offset::from_nanos(10 * SECOND)),
        halt: None,
        epochs: Vec::new(),
        members: BTreeMap::new(),
        delta,
        to: Offset::from_nanos(number * SECOND),
        gauges: None,
        ended: None,
    }
}

struct Case {
    folder: tempfile::TempDir,
    header: JournalHeader,
    frames: Vec<Frame>,
}

impl Case {
    /// A run that broke off after its third second.
    fn new() -> Self {
        let mut frames: Vec<Frame> = (1..=3).map(frame).collect();
        frames[0].epochs.push(Epoch {
            from: Offset::ZERO,
            load: Load::of(&plan().schedule),
            members: vec![0],
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            header: header(),
            frames,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("j")
    }

    fn write(&self, tail: &[u8]) {
        let mut bytes = journal_head(&self.header).unwrap();
        for frame in &self.frames {
            bytes.extend(journal_frame(frame.clone()).unwrap());
        }
        bytes.extend(tail);
        fs::write(self.path(), bytes).unwrap();
    }

    /// What becomes of it when the wall clock shows `second` on the old master's clock.
    fn fate(&self, wish: &Wish<'_>, second: i64) -> Result<Offset, String> {
        self.write(b"");
        let mut reader = read(&self.path()).unwrap();
        while reader.next_frame().unwrap().is_some() {}
        let now = clock_zero(&self.header) + time::Duration::seconds(second);
        match fate(wish, &reader, now) {
            Fate::GoesOn { at } => Ok(at),
            Fate::Over(words) => Err(words),
        }
    }
}

fn wish(journal: &Journal) -> Wish<'_> {
    Wish {
        journal,
        plan: plan(),
        seeded: true,
        command: "llmload run --seed 1",
        rules: Rules {
            max_fail_ratio: 0.01,
            exit_code_on_error: 1,
            allow_invalid: false,
        },
        lease: Some(Duration::from_secs(3)),
    }
}

#[test]
fn a_seed_that_was_drawn_is_part_of_the_command() {
    assert_eq!(
        with_seed("llmload run -u 1", false, &plan()),
        "llmload run -u 1 --seed 1"
    );
    assert_eq!(
        with_seed("llmload run --seed 9", true, &plan()),
        "llmload run --seed 9"
    );
    assert_eq!(with_seed("", false, &plan()), "");
}

#[test]
fn a_run_that_broke_off_goes_on_on_a_clock_that_went_on() {
    let (case, off) = (Case::new(), Journal::Off);
    assert_eq!(
        case.fate(&wish(&off), 17),
        Ok(Offset::from_nanos(17 * SECOND))
    );
    // A wall clock that was set back does not take the run with it.
    assert_eq!(
        case.fate(&wish(&off), 2),
        Ok(Offset::from_nanos(13 * SECOND))
    );
}

#[test]
fn a_seed_that_was_drawn_gives_way_and_one_that_was_asked_for_does_not() {
    let (case, off) = (Case::new(), Journal::Off);
    let mut other = wish(&off);
    other.plan.seed = Seed(other.plan.seed.0 + 1);
    let words = "a run of another plan that broke off";
    assert_eq!(case.fate(&other, 17), Err(words.to_owned()));
    other.seeded = false;
    assert!(case.fate(&other, 17).is_ok());
    other.plan.schedule.users += 1;
    assert_eq!(case.fate(&other, 17), Err(words.to_owned()));
}

#[test]
fn a_run_goes_on_until_its_last_answers_must_have_come() {
    let (mut case, off) = (Case::new(), Journal::Off);
    let end = plan().schedule.end_of_sending().unwrap().as_secs_f64();
    // It began at 10 s, and may take 5 s to stop.
    #[expect(clippy::cast_possible_truncation, reason = "some twenty seconds")]
    let last = (10.0 + end + 5.0).floor() as i64;
    let expired = Err("a run that broke off, and would be over by now".to_owned());
    assert!(case.fate(&wish(&off), last).is_ok());
    assert_eq!(case.fate(&wish(&off), last + 1), expired);
    case.frames[2].halt = Some(Halt {
        at: Offset::from_nanos(12 * SECOND),
        abort: false,
    });
    assert!(case.fate(&wish(&off), 17).is_ok());
    assert_eq!(case.fate(&wish(&off), 18), expired);
}

#[test]
fn what_is_over_never_began_or_was_in_one_process_does_not_go_on() {
    let off = Journal::Off;
    let over = |change: fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case.fate(&wish(&off), 17).unwrap_err()
    };
    assert_eq!(
        over(|case| case.frames[2].ended = Some(EndedBy::Time)),
        "a run that is over"
    );
    assert_eq!(over(|case| case.frames.clear()), "a run that never began");
    assert_eq!(
        over(|case| case.header.lease = None),
        "a run that broke off"
    );
    let mut local = wish(&off);
    local.lease = None;
    let words = Case::new().fate(&local, 17).unwrap_err();
    assert_eq!(words, "a run that broke off");
}

#[test]
fn a_torn_tail_is_cut_off_before_the_run_goes_on() {
    let mut case = Case::new();
    let now = wall_clock();
    let zero = OffsetDateTime::from(now) - time::Duration::seconds(20);
    case.header.clock_zero_unix_ns = i64::try_from(zero.unix_timestamp_nanos()).unwrap();
    case.write(b"");
    let whole = fs::metadata(case.path()).unwrap().len();
    case.write(b"torn");
    let journal = Journal::Named(case.path());
    let ready = open(wish(&journal)).unwrap();
    let past = ready.past.unwrap();
    assert_eq!((ready.run, past.frames, past.tally.counts.sent), (77, 3, 6));
    assert_eq!(fs::metadata(case.path()).unwrap().len(), whole);
    assert!(ready.clock.now() >= Offset::from_nanos(20 * SECOND));
    assert_eq!(ready.clock_zero, zero);
}

#[test]
fn an_expired_run_is_set_aside_and_a_new_one_begins() {
    let case = Case::new();
    case.write(b"");
    let before = fs::read(case.path()).unwrap();
    let journal = Journal::Named(case.path());
    let ready = open(wish(&journal)).unwrap();
    assert!(ready.past.is_none() && ready.run != 77);
    assert_eq!(fs::read(case.folder.path().join("j.1")).unwrap(), before);
    let fresh = read(&case.path()).unwrap();
    assert_eq!(fresh.header().run, ready.run);
}

#[test]
fn a_file_that_holds_something_else_is_not_touched() {
    let case = Case::new();
    let journal = Journal::Named(case.path());
    fs::write(case.path(), "Provider,Model\n").unwrap();
    let failure = open(wish(&journal)).map(|_| ()).unwrap_err();
    assert_eq!(failure.status, 2);
    assert!(
        failure.to_string().contains("it is no journal"),
        "{failure}"
    );
    assert_eq!(fs::read(case.path()).unwrap(), b"Provider,Model\n");
    // An empty one is as good as none.
    fs::write(case.path(), "").unwrap();
    assert!(open(wish(&journal)).is_ok());
}

#[test]
fn a_journal_without_a_name_is_called_after_the_time_at_which_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let wish = wish(&Journal::Unnamed);
    let ready = Ready::new(wish.plan.clone()).unwrap();
    let before = OffsetDateTime::from(wall_clock()).date();
    let file = unnamed(&ready, &wish, &[folder.path().to_owned()]).unwrap();
    let after = OffsetDateTime::from(wall_clock()).date();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    let is_of_now = [before, after]
        .iter()
        .any(|date| name.starts_with(&format!("{date}T")));
    assert!(is_of_now, "{name}");
}
