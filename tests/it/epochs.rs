//! An engine that is told to own something else while it runs: shares, leases, corrections, stops. Held to the schedule,
//! request by request.

use std::time::Duration;

use std::collections::BTreeSet;

use llmload::domain::Offset;
use llmload::runner::Engine;
use llmload::schedule::{Law, Load, Placed, Shard, Share, UserSet};
use tokio::time::Instant;

use crate::process::{alone, mock, quick_mock};
use crate::rig::{
    LATE, Worker, at, closed, expected, load, ms, open, rate, run, share_at, soon, span, whole,
};

#[test]
fn a_rate_that_changes_is_kept_to_the_request() {
    let _alone = alone();
    for law in [Law::Constant, Law::Exponential] {
        let mock = quick_mock();
        let spec = open(20, 40, law, 2_500);
        let of = |per_second| Load {
            rate: Some(rate(per_second)),
            ..load(&spec)
        };
        let told = vec![
            share_at(400, whole(1, 1_000, of(200))),
            share_at(1_100, whole(2, 1_700, of(2))),
            share_at(1_200, whole(3, 2_000, of(70))),
        ];
        let ran = run(async {
            let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
            worker.run(soon(), told).await
        });
        let changes = [
            (1_000, Some(rate(200))),
            (1_700, Some(rate(2))),
            (2_000, Some(rate(70))),
        ];
        assert_eq!(ran.arrivals(), expected(&spec, &changes), "{law:?}");
        ran.assert_no_burst();
    }
}

#[test]
fn workers_that_exchange_what_they_own_send_each_arrival_once() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(8, 150, Law::Exponential, 2_500);
    let owners = [
        [Some((0, 2)), Some((1, 2))],
        [Some((1, 2)), Some((0, 2))],
        [None, Some((0, 1))],
    ];
    let share = |epoch: u32, worker: u32| {
        let from = [0, 1_000, 1_800][epoch as usize];
        let mut share = Share::first(&spec, worker, 2);
        (share.epoch, share.from) = (epoch, ms(from));
        let owned = owners[epoch as usize][worker as usize];
        share.arrivals = owned.map(|(index, of)| Shard::new(index, of));
        share
    };
    let told = |worker| {
        vec![
            share_at(500, share(1, worker)),
            share_at(600, share(2, worker)),
        ]
    };
    let (one, other) = run(async {
        let one = Worker::new(&mock, &spec, share(0, 0)).await;
        let other = Worker::new(&mock, &spec, share(0, 1)).await;
        let origin = soon();
        tokio::join!(one.run(origin, told(0)), other.run(origin, told(1)))
    });
    let mut all = [one.arrivals(), other.arrivals()].concat();
    all.sort_unstable();
    assert_eq!(all, expected(&spec, &[]));
    let of_one = |&(index, due): &(u64, Offset)| match due {
        due if due < ms(1_000) => index % 2 == 0,
        due if due < ms(1_800) => index % 2 == 1,
        _ => false,
    };
    assert!(one.arrivals().iter().all(of_one) && !other.arrivals().iter().any(of_one));
    one.assert_no_burst();
    other.assert_no_burst();
}

#[test]
fn users_come_and_go_at_their_paces() {
    let _alone = alone();
    let mock = mock("20ms", "1ms");
    let spec = closed(3, 3_000);
    let paced = |users| Load {
        users,
        spawn_rate: rate(10),
        ..load(&spec)
    };
    let mut more = whole(1, 800, paced(6));
    more.starts = (0..3)
        .map(|k| Placed {
            user: 3 + k,
            place: k,
        })
        .collect();
    let mut fewer = whole(2, 1_800, paced(2));
    fewer.ends = (0..3)
        .map(|k| Placed {
            user: 2 + k,
            place: 2 * k,
        })
        .collect();
    let told = vec![share_at(300, more), share_at(900, fewer)];
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(soon(), told).await
    });
    // Of each user: when it begins, when it ends, and its first turn.
    let lives = [
        (0, 3_000, 0),
        (0, 3_000, 0),
        (0, 1_800, 0),
        (800, 2_000, 1 << 24),
        (900, 2_200, 1 << 24),
        (1_000, 1_800, 1 << 24),
    ];
    for (user, (start, end, first)) in (0..).zip(lives) {
        let turns = ran.turns(user);
        let (begun, turn) = turns[0];
        assert!(
            begun >= ms(start) && begun < ms(start) + LATE,
            "user {user}: {begun}"
        );
        assert_eq!(turn, first);
        assert!(turns.iter().zip(first..).all(|(&(_, turn), k)| turn == k));
        let (last, _) = turns[turns.len() - 1];
        // An answer takes some 22 ms: a request that is under way at the end is the last one. Leave was asked a moment before.
        assert!(
            last < ms(end) + Duration::from_millis(1) && last + LATE > ms(end),
            "user {user}: {last}"
        );
    }
    let users: Vec<u32> = ran.slices.iter().map(|slice| slice.users).collect();
    assert_eq!(&users[..2], [6, 3], "at 1 s and 2 s: {users:?}");
}

#[test]
fn a_pause_holds_everybody_and_ends() {
    let _alone = alone();
    let mock = quick_mock();
    for spec in [closed(4, 2_500), open(4, 100, Law::Constant, 2_500)] {
        let paused = Load {
            paused: true,
            ..load(&spec)
        };
        let told = vec![
            share_at(200, whole(1, 700, paused)),
            share_at(300, whole(2, 1_500, load(&spec))),
        ];
        let ran = run(async {
            let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
            worker.run(soon(), told).await
        });
        // A request of a closed loop is begun a moment after its user had leave.
        assert_eq!(ran.begun_between(ms(705), ms(1_500)), 0);
        assert!(ran.begun_between(ms(0), ms(700)) > 50);
        assert!(ran.begun_between(ms(1_500), ms(2_500)) > 80);
        ran.assert_no_burst();
        if spec.is_open() {
            let rate = Some(rate(100));
            assert_eq!(
                ran.arrivals(),
                expected(&spec, &[(700, None), (1_500, rate)])
            );
        }
    }
}

#[test]
fn without_a_lease_nothing_is_begun_and_what_came_due_is_never_caught_up() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(20, 100, Law::Exponential, 2_500);
    let origin = soon();
    let until = move |at_ms| move |engine: &mut Engine| engine.lease(origin + span(at_ms));
    let told = vec![
        at(100, until(700)),
        // It was over when it came.
        at(900, until(800)),
        at(1_300, until(60_000)),
    ];
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(origin, told).await
    });
    let all = expected(&spec, &[]);
    assert_eq!(ran.tally.counts.scheduled, all.len() as u64);
    assert_eq!(ran.begun_between(ms(700), ms(1_300)), 0);
    ran.assert_no_burst();
    let sent: BTreeSet<_> = ran.arrivals().into_iter().collect();
    let dropped: Vec<_> = all.into_iter().filter(|it| !sent.contains(it)).collect();
    assert_eq!(ran.tally.counts.dropped, dropped.len() as u64);
    let fenced = |&&(_, due): &&(u64, Offset)| due >= ms(698) && due < ms(1_320);
    assert_eq!(
        dropped.iter().filter(fenced).count(),
        dropped.len(),
        "{dropped:?}"
    );
    assert!(dropped.len() > 30);
}

#[test]
fn what_waited_for_a_user_when_the_lease_ran_out_is_dropped_too() {
    let _alone = alone();
    let mock = mock("300ms", "1ms");
    let spec = open(1, 50, Law::Constant, 2_000);
    let origin = soon();
    let told = vec![
        at(50, move |engine: &mut Engine| {
            engine.lease(origin + span(500));
        }),
        at(1_000, move |engine: &mut Engine| {
            engine.lease(origin + span(60_000));
        }),
    ];
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(origin, told).await
    });
    let begun: Vec<u64> = ran.arrivals().iter().map(|&(index, _)| index).collect();
    // One each 300 ms: at 0 and 300 ms, and from 1 s on; the second one was the second in the queue.
    assert_eq!(&begun[..2], [0, 1]);
    assert!(begun[2] >= 50, "{begun:?}");
    let counts = ran.tally.counts;
    assert_eq!(counts.scheduled, 100);
    assert_eq!(counts.dropped, begun[2] - 2, "{counts:?}");
}

#[test]
fn a_lease_that_is_never_renewed_leaves_uncounted_what_came_due_after_it() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(20, 100, Law::Constant, 1_500);
    let origin = soon();
    let told = vec![at(100, move |engine: &mut Engine| {
        engine.lease(origin + span(600));
    })];
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(origin, told).await
    });
    let counts = ran.tally.counts;
    assert_eq!((counts.scheduled, counts.sent, counts.dropped), (60, 60, 0));
    let closed = closed(3, 2_000);
    let origin = soon();
    let told = vec![
        at(100, move |engine: &mut Engine| {
            engine.lease(origin + span(600));
        }),
        at(1_200, move |engine: &mut Engine| {
            engine.lease(origin + span(60_000));
        }),
    ];
    let ran = run(async {
        let worker = Worker::new(&mock, &closed, Share::first(&closed, 0, 1)).await;
        worker.run(origin, told).await
    });
    assert_eq!(ran.begun_between(ms(605), ms(1_200)), 0);
    assert!(ran.begun_between(ms(1_200), ms(2_000)) > 100);
    ran.assert_no_burst();
}

#[test]
fn who_joins_a_run_under_way_owns_what_its_shares_say_and_nothing_of_the_past() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(6, 50, Law::Exponential, 3_602_500);
    let slow = Load {
        rate: Some(rate(20)),
        ..load(&spec)
    };
    // It begins an hour after the start, and hears of everything that was when it has started.
    let (began, origin) = (Instant::now(), Instant::now() - span(3_600_000));
    let first = Share::nothing(0, Offset::ZERO, load(&spec));
    let mut second = Share::nothing(1, ms(1_000_000), slow);
    second.arrivals = None;
    let third = whole(2, 3_601_000, slow);
    let told = vec![
        at(3_600_050, move |engine: &mut Engine| engine.share(&second)),
        at(3_600_060, move |engine: &mut Engine| engine.share(&third)),
    ];
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, first).await;
        worker.run(origin, told).await
    });
    assert!(began.elapsed() < span(20_000));
    assert_eq!(ran.slices[0].from, ms(3_600_000));
    assert!(ran.slices.len() <= 5, "{}", ran.slices.len());
    let mut all = expected(&spec, &[(1_000_000, Some(rate(20)))]);
    all.retain(|&(_, due)| due >= ms(3_601_000));
    assert_eq!(ran.arrivals(), all);
    ran.assert_no_burst();
}

#[test]
fn a_start_in_the_past_sends_nothing_of_the_past() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(6, 100, Law::Constant, 31_500);
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(Instant::now() - span(30_000), Vec::new()).await
    });
    assert_eq!(ran.slices[0].from, ms(30_000));
    let arrivals = ran.arrivals();
    assert!(arrivals[0].1 >= ms(30_000) && arrivals[0].1 < ms(30_200));
    assert_eq!(arrivals.last(), expected(&spec, &[]).last());
    assert_eq!(ran.tally.counts.scheduled, ran.tally.counts.sent);
    ran.assert_no_burst();
}

#[test]
fn sending_stops_at_an_instant_that_was_said_before() {
    let _alone = alone();
    let mock = quick_mock();
    let mut spec = open(10, 100, Law::Exponential, 60_000);
    for run_time in [Some(span(60_000)), None] {
        spec.run_time = run_time;
        let ran = run(async {
            let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
            let told = vec![
                at(300, |engine: &mut Engine| engine.stop(ms(1_200))),
                at(400, |engine: &mut Engine| engine.stop(ms(1_400))),
            ];
            worker.run(soon(), told).await
        });
        let mut all = expected(&open(10, 100, Law::Exponential, 2_000), &[]);
        all.retain(|&(_, due)| due < ms(1_200));
        assert_eq!(ran.arrivals(), all);
    }
}

#[test]
fn corrections_move_what_is_due_and_the_end_but_not_the_schedule() {
    let _alone = alone();
    let mock = quick_mock();
    for behind in [40_000_000_i64, -40_000_000] {
        let spec = open(10, 100, Law::Constant, 1_500);
        let ran = run(async {
            let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
            let told = vec![at(505, move |engine: &mut Engine| engine.correct(behind))];
            worker.run(soon(), told).await
        });
        let all = expected(&spec, &[]);
        assert_eq!(ran.tally.counts.scheduled, all.len() as u64);
        assert_eq!(ran.records.len(), all.len());
        for ((index, due), (_, run)) in ran.arrivals().into_iter().zip(all) {
            let moved = Offset::from_nanos(run.as_nanos().saturating_add_signed(behind));
            match run {
                run if run < ms(450) => assert_eq!(due, run, "{index}"),
                run if run > ms(600) => assert_eq!(due, moved, "{index}"),
                _ => assert!(due == run || due == moved, "{index}"),
            }
        }
        ran.assert_no_burst();
        for record in ran.records.iter().filter(|record| record.due > ms(650)) {
            assert!(record.begun.unwrap() >= record.due);
        }
    }
}

#[test]
fn a_budget_is_one_for_all_cores_and_may_be_raised_while_there_is_some_left() {
    let _alone = alone();
    let mock = mock("100ms", "1ms");
    let mut spec = closed(5, 0);
    (spec.run_time, spec.max_requests) = (None, Some(23));
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(soon(), Vec::new()).await
    });
    assert_eq!(ran.tally.counts.sent, 23);
    let mut more = whole(1, 300, load(&spec));
    more.budget = Some(31);
    // One that says nothing of it leaves it as it is.
    let same = whole(2, 350, load(&spec));
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        let told = vec![share_at(50, more), share_at(100, same)];
        worker.run(soon(), told).await
    });
    assert_eq!(ran.tally.counts.sent, 31);
}

#[test]
fn a_budget_that_is_to_be_raised_later_is_waited_for() {
    let _alone = alone();
    let mock = quick_mock();
    let mut spec = closed(2, 0);
    (spec.run_time, spec.max_requests) = (None, Some(40));
    let mut first = Share::first(&spec, 0, 1);
    first.budget = Some(10);
    let mut more = whole(1, 900, load(&spec));
    more.budget = Some(40);
    let ran = run(async {
        let mut worker = Worker::new(&mock, &spec, first).await;
        // Known before the start: ten requests take no longer than a few ms.
        worker.standby.share(&more);
        worker.run(soon(), Vec::new()).await
    });
    assert_eq!(ran.tally.counts.sent, 40);
    assert_eq!(ran.begun_between(ms(0), ms(900)), 10);
    ran.assert_no_burst();
}

#[test]
fn who_has_no_users_waits_for_some_and_shows_no_core_that_had_none() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = open(4, 100, Law::Constant, 2_200);
    let one = |epoch, from| {
        let mut share = whole(epoch, from, load(&spec));
        share.users = UserSet::strided(0, 1, 1);
        share
    };
    let nobody = Share::nothing(0, Offset::ZERO, load(&spec));
    let told = vec![
        share_at(200, one(1, 1_000)),
        share_at(1_100, whole(2, 1_600, load(&spec))),
    ];
    let (ran, alone) = run(async {
        let idle = Worker::new(&mock, &spec, nobody).await;
        let alone = Worker::new(&mock, &spec, one(0, 0)).await;
        let origin = soon();
        tokio::join!(idle.run(origin, told), alone.run(origin, Vec::new()))
    });
    let mut all = expected(&spec, &[]);
    all.retain(|&(_, due)| due >= ms(1_000));
    assert_eq!(ran.arrivals(), all);
    ran.assert_no_burst();
    assert_eq!(ran.tally.generator.cores.len(), 2);
    assert_eq!(alone.tally.generator.cores.len(), 1);
    let mut counted = spec;
    (counted.run_time, counted.max_requests) = (None, Some(30));
    let ran = run(async {
        let nobody = Share::nothing(0, Offset::ZERO, load(&counted));
        let worker = Worker::new(&mock, &counted, nobody).await;
        worker.run(soon(), Vec::new()).await
    });
    assert_eq!(
        ran.tally.counts.scheduled, 0,
        "it ends when all arrivals were due"
    );
}

#[test]
fn what_waits_where_no_user_is_left_is_cancelled_and_holds_nobody_up() {
    let _alone = alone();
    let mock = mock("700ms", "1ms");
    let mut spec = open(2, 20, Law::Constant, 0);
    (spec.run_time, spec.max_requests) = (None, Some(40));
    // Two users, a core each, are busy; then one is left, and then none.
    let one = Share {
        users: UserSet::strided(0, 1, 1),
        ..whole(1, 500, load(&spec))
    };
    let none = Share::nothing(2, ms(1_000), load(&spec));
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker
            .run(soon(), vec![share_at(100, one), share_at(200, none)])
            .await
    });
    let counts = ran.tally.counts;
    assert_eq!(counts.scheduled, 20, "until 1 s: {counts:?}");
    assert_eq!((counts.sent, counts.late_cancelled), (3, 17));
}
