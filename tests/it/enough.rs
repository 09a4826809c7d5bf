//! A closed loop that ends when enough was sent, and the times of an answer's events: to the last request and event.

use std::time::Duration;

use llmload::domain::{Keep, Offset, Outcome, Record};
use llmload::embed::{Benchmark, EndedBy, Error, Outcome as Measured};
use llmload::mock::MockHandle;
use llmload::plan::Plan;
use llmload::schedule::{Enough, Law, Share, Spec, Think};

use crate::process::{faulty_mock, mock, settled, shared};
use crate::rig::{Ran, Worker, closed, open, plan, run, soon, span};

fn until(users: u32, run_ms: u64, after_ms: u64, requests: u64) -> Spec {
    Spec {
        enough: Some(Enough {
            after: span(after_ms),
            requests,
        }),
        measure_ramp: false,
        ..closed(users, run_ms)
    }
}

/// By two workers of two cores each.
fn carried_by_two(mock: &MockHandle, spec: &Spec) -> [Ran; 2] {
    run(async {
        let one = Worker::new(mock, spec, Share::first(spec, 0, 2)).await;
        let other = Worker::new(mock, spec, Share::first(spec, 1, 2)).await;
        let origin = soon();
        tokio::join!(one.run(origin, vec![]), other.run(origin, vec![])).into()
    })
}

fn begun(record: &Record) -> Duration {
    record.begun.unwrap().since(Offset::ZERO)
}

/// From the word that a request may begin to its first byte.
const ASKED: Duration = Duration::from_millis(60);

#[test]
fn each_worker_begins_what_was_dealt_to_its_users_and_what_it_began_before() {
    let _shared = shared();
    let mock = mock("8ms", "1ms");
    // Four users against three, of 101 requests: 4 * 14 + 2 and 3 * 14 + 1.
    for (ran, exact) in carried_by_two(&mock, &until(7, 30_000, 50, 101))
        .iter()
        .zip([58, 43])
    {
        assert_eq!(ran.records.len(), exact);
        let last = ran.records.iter().map(begun).max().unwrap();
        assert!(last > span(50) && last < span(10_000), "{last:?}");
    }
    // Seven are begun at once, and the time decides.
    for ran in carried_by_two(&mock, &until(7, 30_000, 600, 7)) {
        let last = ran.records.iter().map(begun).max().unwrap();
        assert!(last < span(600) + ASKED, "{last:?}");
        assert!(last > span(400), "{last:?}");
        let users = if ran.records.iter().any(|of| of.index.key() >> 32 == 0) {
            4
        } else {
            3
        };
        assert!(ran.records.len() > 10 * users, "{}", ran.records.len());
    }
}

#[test]
fn a_user_that_thinks_when_enough_was_sent_is_not_waited_for() {
    let _shared = shared();
    let mock = mock("5ms", "1ms");
    let spec = Spec {
        think: Some(Think::Between(span(25_000), span(25_000))),
        run_time: None,
        ..until(3, 0, 300, 2)
    };
    let [one, other] = carried_by_two(&mock, &spec);
    assert_eq!((one.records.len(), other.records.len()), (2, 1));
    let slices = one.slices.iter().chain(&other.slices);
    assert!(slices.map(|slice| slice.to).max().unwrap() < Offset::from(span(5_000)));
}

fn whole(mock: &MockHandle, schedule: Spec) -> Result<Measured, Error> {
    let plan: Plan = plan(mock, schedule);
    run(Benchmark::new(plan).threads(2).run())
}

#[test]
fn a_run_ends_by_the_first_of_enough_its_number_and_its_time() {
    let _shared = shared();
    let mock = mock("8ms", "1ms");
    let mut before = 0;
    let mut seen = || {
        let all = settled(&mock).requests.numbered;
        all - std::mem::replace(&mut before, all)
    };
    let after_first = whole(&mock, until(4, 30_000, 100, 203)).unwrap();
    assert_eq!(after_first.ended_by, EndedBy::MaxRequests);
    assert_eq!((after_first.summary.counts.sent, seen()), (203, 203));

    let target_first = whole(&mock, until(4, 30_000, 700, 3)).unwrap();
    let sent = seen();
    assert_eq!(target_first.ended_by, EndedBy::MaxRequests);
    assert_eq!(target_first.summary.counts.sent, sent);
    assert!((60..=4 * 75).contains(&sent), "{sent}");

    let most = Spec {
        max_requests: Some(17),
        ..until(4, 30_000, 5_000, 400)
    };
    let counted = whole(&mock, most).unwrap();
    assert_eq!((counted.ended_by, seen()), (EndedBy::MaxRequests, 17));

    let time_first = whole(&mock, until(4, 300, 100, 1_000_000)).unwrap();
    assert_eq!(time_first.ended_by, EndedBy::Time);
    assert_eq!(time_first.summary.counts.sent, seen());
    let time_first = whole(&mock, until(4, 300, 400, 2)).unwrap();
    assert_eq!(
        (time_first.ended_by, time_first.summary.counts.sent),
        (EndedBy::Time, seen())
    );
}

#[test]
fn requests_that_are_due_at_times_of_their_own_are_never_enough() {
    let _shared = shared();
    let mock = mock("1ms", "1ms");
    let spec = Spec {
        enough: until(1, 1, 1, 1).enough,
        ..open(1, 10, Law::Constant, 500)
    };
    let error = whole(&mock, spec).unwrap_err();
    assert!(error.to_string().contains("closed loop"), "{error}");
}

fn timed(mock: &MockHandle, at_most: Option<u32>, cancel_rate: f64) -> Ran {
    let spec = Spec {
        max_requests: Some(40),
        run_time: None,
        ..closed(4, 0)
    };
    let mut plan = plan(mock, spec.clone());
    plan.workload.output.mean = 6;
    plan.limits.total = Some(span(90));
    plan.observe.answers = Some(Keep::Times);
    plan.observe.answers_at_most = at_most;
    plan.observe.cancel_rate = cancel_rate;
    run(async {
        let worker = Worker::of(mock, plan, Share::first(&spec, 0, 1), None).await;
        worker.run(soon(), vec![]).await
    })
}

#[test]
fn the_times_of_an_answers_events_are_those_of_its_record_however_it_ended() {
    let _shared = shared();
    let mock = faulty_mock("5ms", "4ms", &["cut=0.2:3", "stall=0.2:2,1s"]);
    let ran = timed(&mock, None, 0.2);
    assert_eq!(ran.tally.answers.len(), 40);
    let mut ends = std::collections::BTreeSet::new();
    for record in &ran.records {
        let answer = &ran.tally.answers[&record.index];
        let marks: Vec<Offset> = record.marks.iter().map(|mark| mark.at).collect();
        assert_eq!(answer.arrivals, marks);
        assert!(marks.is_sorted() && marks.iter().all(|&at| at <= answer.end));
        if !marks.is_empty() {
            ends.insert(answer.outcome);
        }
        if answer.outcome.is_good() {
            assert_eq!(answer.arrivals.len(), 6);
            assert_eq!(answer.arrivals.first().copied(), answer.first_content);
            assert_eq!(answer.arrivals.last().copied(), answer.last_content);
        }
    }
    assert!(
        ends.contains(&Outcome::Cancelled) && ends.len() >= 3,
        "{ends:?}"
    );
}

#[test]
fn a_sample_of_the_answers_is_that_of_their_indices() {
    let _shared = shared();
    let mock = mock("3ms", "1ms");
    let ran = timed(&mock, Some(11), 0.0);
    let mut all: Vec<_> = ran.records.iter().map(|record| record.index).collect();
    all.sort_by_key(|index| index.rank());
    all.truncate(11);
    all.sort_unstable();
    assert_eq!(ran.tally.answers.keys().copied().collect::<Vec<_>>(), all);
    assert!(
        ran.tally
            .answers
            .values()
            .all(|answer| answer.arrivals.len() == 6)
    );
}
