//! What was written is read, up to the first byte that is not as it was written.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::super::tests::tallies;
use super::*;
use crate::cluster::journal::Standing;
use crate::cluster::master::Halt;
use crate::cluster::{ClockEstimate, EndedBy, Epoch, Gauges, Hello, Totals, WorkerState};
use crate::domain::{Outcome, Rate};
use crate::metrics::{Counts, Metric, Series, Tally};
use crate::schedule::Load;

const STATES: [WorkerState; 6] = [
    WorkerState::Idle,
    WorkerState::Preparing,
    WorkerState::Ready,
    WorkerState::Running,
    WorkerState::Done,
    WorkerState::Lost,
];

fn header() -> JournalHeader {
    JournalHeader {
        version: "1.2.3".to_owned(),
        run: 77,
        clock_zero_unix_ns: 1_700_000_000_123_456_789,
        plan: crate::cluster::tests::plan(Some(2.5), Some(3), None),
        lease: Some(Duration::from_millis(2_750)),
        max_fail_ratio: 0.01,
        exit_code_on_error: 1,
        allow_invalid: false,
        command: "llmload master --host http://127.0.0.1:8000".to_owned(),
    }
}

fn offset() -> impl Strategy<Value = Offset> {
    any::<u64>().prop_map(Offset::from_nanos)
}

fn ends() -> impl Strategy<Value = EndedBy> {
    let names = || "[ -~é]{0,60}";
    prop_oneof![
        Just(EndedBy::Time),
        Just(EndedBy::MaxRequests),
        Just(EndedBy::Stopped),
        Just(EndedBy::Aborted),
        Just(EndedBy::WorkersLost),
        names().prop_map(|worker| EndedBy::WorkerLost { worker }),
        Just(EndedBy::MasterGone),
        (vec(names(), 0..3), any::<u32>())
            .prop_map(|(present, expected)| EndedBy::TooFewWorkers { present, expected }),
        (names(), "[ -~\n]{0,200}").prop_map(|(worker, reason)| EndedBy::Unable { worker, reason }),
    ]
}

fn loads() -> impl Strategy<Value = Load> {
    let numbers = (any::<u32>(), 1..9_999_u32, option::of(0.001..1e6_f64));
    (numbers, any::<bool>()).prop_map(|((users, spawn_rate, rate), paused)| Load {
        users,
        spawn_rate: Rate::per_second(spawn_rate),
        rate: rate.map(|rate| Rate::try_from(rate).unwrap()),
        paused,
    })
}

fn standings() -> impl Strategy<Value = Standing> {
    let hello = ("[ -~é]{0,60}", any::<u64>(), option::of(any::<u64>()));
    let hello = hello.prop_map(|(name, incarnation, run)| Hello {
        version: "1.2.3".to_owned(),
        protocol: 2,
        name,
        incarnation,
        cores: 4,
        run,
    });
    let last = option::of(any::<[u64; 4]>());
    let clock = option::of((any::<i64>(), any::<u64>()));
    let state = proptest::sample::select(&STATES[..]);
    let rest = (
        option::of(any::<u32>()),
        any::<bool>(),
        vec(any::<u64>(), 0..3),
    );
    (hello, state, rest, last, clock, any::<[u64; 9]>()).prop_map(
        |(hello, state, (part, left_early, ahead), last, clock, n)| Standing {
            handed_over: left_early,
            was_missing: !left_early,
            hello,
            state,
            part,
            left_early,
            last: last.map(|[seq, scheduled, sent, finished]| {
                let totals = Totals {
                    scheduled,
                    sent,
                    finished,
                };
                (seq, totals)
            }),
            clock: clock.map(|(offset_ns, bound_ns)| ClockEstimate {
                offset_ns,
                bound_ns,
            }),
            merged_to: n[0],
            ahead,
            intervals: n[1],
            counts: Counts {
                scheduled: n[2],
                sent: n[3],
                dropped: n[4],
                late_cancelled: n[5],
                lost: n[6],
            },
            finished: n[7],
            confirmed_to: Offset::from_nanos(n[8]),
        },
    )
}

/// A first frame in which everything can be.
fn frames() -> impl Strategy<Value = Frame> {
    let epochs = vec((offset(), loads(), vec(any::<u32>(), 0..4)), 0..3);
    let epochs = epochs.prop_map(|epochs| {
        let epochs = epochs.into_iter();
        let epoch = |(from, load, members)| Epoch {
            from,
            load,
            members,
        };
        epochs.map(epoch).collect()
    });
    let members = btree_map(any::<u32>(), standings(), 0..4);
    let halt = option::of((offset(), any::<bool>()));
    let halt = halt.prop_map(|halt| halt.map(|(at, abort)| Halt { at, abort }));
    let gauges = option::of(any::<[u32; 3]>());
    let times = (offset(), option::of(offset()), offset());
    let rest = (gauges, option::of(ends()));
    (times, halt, epochs, members, tallies(), rest).prop_map(
        |((at, started_at, to), halt, epochs, members, delta, (gauges, ended))| Frame {
            number: 1,
            run: 77,
            at,
            started_at,
            halt,
            epochs,
            members,
            delta,
            to,
            gauges: gauges.map(|[users, in_flight, waiting]| Gauges {
                users,
                in_flight,
                waiting,
            }),
            ended,
        },
    )
}

/// The frame of second `number`, in which `sent` requests were sent.
fn second(number: u64, sent: u64) -> Frame {
    let mut delta = Tally::default();
    delta.counts.sent = sent;
    delta.measured.outcomes.insert(Outcome::Ok, sent);
    let mut series = Series::default();
    series.record_n(5_000_000 + sent, sent.max(1));
    delta.measured.series.insert(Metric::TotalLatency, series);
    Frame {
        number,
        run: 77,
        at: Offset::from_nanos(number * 1_000_000_000),
        started_at: Some(Offset::ZERO),
        halt: None,
        epochs: Vec::new(),
        members: std::collections::BTreeMap::new(),
        delta,
        to: Offset::from_nanos(number * 1_000_000_000),
        gauges: Some(Gauges::default()),
        ended: None,
    }
}

fn journal(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = journal_head(&header()).unwrap();
    for frame in frames {
        bytes.extend(journal_frame(frame.clone()).unwrap());
    }
    bytes
}

type Reader<'a> = JournalReader<&'a [u8]>;

fn read(bytes: &[u8]) -> (Vec<Frame>, Reader<'_>) {
    let mut reader = JournalReader::open(bytes).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame);
    }
    (frames, reader)
}

fn seconds(counts: &[u64]) -> Vec<Frame> {
    (1..)
        .zip(counts)
        .map(|(number, &sent)| second(number, sent))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_frame_is_read_as_it_was_written(frame in frames()) {
        let bytes = journal(std::slice::from_ref(&frame));
        let (found, reader) = read(&bytes);
        prop_assert!(found == [frame]);
        prop_assert!(reader.torn().is_none());
        prop_assert!(*reader.header() == header());
        prop_assert_eq!(reader.whole_bytes(), bytes.len() as u64);
    }

    #[test]
    fn any_beginning_of_a_journal_has_the_frames_that_are_whole_in_it(
        counts in vec(0..1_000_u64, 0..6), cut in any::<proptest::sample::Index>(),
    ) {
        let frames = seconds(&counts);
        let bytes = journal(&frames);
        let head = journal_head(&header()).unwrap().len();
        let cut = cut.index(bytes.len() + 1);
        if cut < head {
            let error = JournalReader::open(&bytes[..cut]).unwrap_err();
            prop_assert!(matches!(error, JournalError::Blank), "{error}");
            return Ok(());
        }
        let (found, reader) = read(&bytes[..cut]);
        prop_assert!(found == frames[..found.len()]);
        let whole = journal(&found).len();
        prop_assert!(whole <= cut);
        prop_assert_eq!(reader.whole_bytes(), whole as u64);
        prop_assert_eq!(reader.past().tally.counts.sent, counts[..found.len()].iter().sum::<u64>());
        let left_out = reader.torn().map_or(0, |torn| torn.bytes);
        prop_assert_eq!(left_out, (cut - whole) as u64);
        if found.len() < frames.len() {
            prop_assert!(cut < journal(&frames[..=found.len()]).len());
        }
    }

    #[test]
    fn a_changed_byte_ends_a_journal_before_the_record_that_it_is_in(
        counts in vec(0..1_000_u64, 1..5), at in any::<proptest::sample::Index>(), change in 1..=255_u8,
    ) {
        let frames = seconds(&counts);
        let mut bytes = journal(&frames);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let Ok(mut reader) = JournalReader::open(&*bytes) else {
            prop_assert!(at < journal_head(&header()).unwrap().len());
            return Ok(());
        };
        let mut found = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            found.push(frame);
        }
        let whole = journal(&found).len();
        prop_assert!(found.len() < frames.len() && found == frames[..found.len()]);
        prop_assert!(whole <= at && at < journal(&frames[..=found.len()]).len());
        let torn = reader.torn().unwrap();
        prop_assert_eq!(torn.bytes, (bytes.len() - whole) as u64);
    }

    #[test]
    fn bytes_that_nobody_wrote_are_no_frame(rest in vec(any::<u8>(), 1..200)) {
        let mut bytes = journal(&seconds(&[3]));
        let whole = bytes.len() as u64;
        bytes.extend(&rest);
        let (found, reader) = read(&bytes);
        prop_assert_eq!((found.len(), reader.whole_bytes()), (1, whole));
        prop_assert_eq!(reader.torn().unwrap().bytes, rest.len() as u64);
    }
}

fn torn(bytes: &[u8]) -> (usize, String) {
    let (frames, reader) = read(bytes);
    (frames.len(), reader.torn().unwrap().reason.to_string())
}

#[test]
fn why_a_journal_ends_is_said() {
    let frames = seconds(&[1, 2, 3]);
    let mut bytes = journal(&frames);
    let whole = bytes.len();
    bytes.extend([0; 4_096]);
    let checksum = "a record's checksum is wrong";
    assert_eq!(torn(&bytes), (3, checksum.to_owned()));
    assert_eq!(
        torn(&bytes[..whole - 1]),
        (2, "a record is cut short".to_owned())
    );
    // In the middle, with whole records behind it.
    let middle = journal(&frames[..2]).len() - 1;
    bytes.truncate(whole);
    bytes[middle] ^= 1;
    assert_eq!(torn(&bytes), (1, checksum.to_owned()));
    let mut endless = journal(&frames);
    endless.extend([0xff; 8]);
    assert_eq!(
        torn(&endless),
        (3, "a record claims to have `4294967295` bytes".to_owned())
    );
    let gap = journal(&[second(1, 1), second(3, 1)]);
    assert_eq!(torn(&gap), (1, "frame `3` follows frame `1`".to_owned()));
    let foreign = Frame {
        run: 78,
        ..second(1, 1)
    };
    assert_eq!(
        torn(&journal(&[foreign])),
        (0, "a frame is of another run".to_owned())
    );
}

#[test]
fn notes_follow_the_end_and_nothing_else_does() {
    let last = Frame {
        ended: Some(EndedBy::Time),
        ..second(1, 4)
    };
    let mut bytes = journal(std::slice::from_ref(&last));
    bytes.extend(journal_notes(vec!["mind the gap".to_owned()]).unwrap());
    let (found, reader) = read(&bytes);
    assert_eq!(
        (found.len(), reader.notes()),
        (1, &["mind the gap".to_owned()][..])
    );
    assert!(reader.torn().is_none());
    let after = journal(&[last, second(2, 1)]);
    assert_eq!(
        torn(&after),
        (1, "a record is in the wrong place".to_owned())
    );
}

#[test]
fn what_is_no_journal_is_told_apart_from_one_that_holds_nothing() {
    let error = |bytes: &[u8]| JournalReader::open(bytes).unwrap_err().to_string();
    assert_eq!(error(b"Provider,Model,Stream\n"), "it is no journal");
    let blank = "it is empty, or ends before it says which run it is of";
    assert_eq!(error(b""), blank);
    assert_eq!(error(b"llmload jour"), blank);
    let head = journal_head(&header()).unwrap();
    assert_eq!(error(&head[..head.len() - 1]), blank);
    let mut other = MAGIC.to_vec();
    let body = pb::journal_record::Body::Header(pb::JournalHeader {
        format: 9,
        ..pb::JournalHeader::default()
    });
    append(&mut other, body).unwrap();
    assert_eq!(
        error(&other),
        "it has format `9`, and this version reads format `1` only"
    );
}
