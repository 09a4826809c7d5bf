//! What goes in comes out, and nothing that comes in can do harm.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::cluster::SharedSecrets;
use crate::domain::{Answer, AwsSecrets, Index, Outcome, Rate, Secret, TokenSource, Warning};
use crate::metrics::generator_tests::any_generator;
use crate::metrics::{Counts, ErrorCount, ErrorKey, Metric, Phase, Series, Tally};
use crate::schedule::{Load, Placed, Shard, Share};

fn offset() -> impl Strategy<Value = Offset> {
    any::<u64>().prop_map(Offset::from_nanos)
}

fn series() -> impl Strategy<Value = Series> {
    vec(0..90_000_000_000_000_u64, 1..20).prop_map(|values| {
        let mut series = Series::default();
        for value in values {
            series.record(value);
        }
        series
    })
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

const SOURCES: [TokenSource; 3] = [
    TokenSource::Usage,
    TokenSource::Logprobs,
    TokenSource::Tokenizer,
];

fn count() -> impl Strategy<Value = u64> {
    0..=bounds::MAX_COUNT
}

fn phase() -> impl Strategy<Value = Phase> {
    let outcomes = btree_map(any_of(&Outcome::ALL), count(), 0..17);
    let series = btree_map(any_of(&Metric::ALL), series(), 0..4);
    let sources = btree_map(any_of(&SOURCES), count(), 0..3);
    let numbers = (0..=bounds::MAX_BYTES, count(), count(), vec(count(), 0..4));
    (outcomes, series, sources, numbers).prop_map(
        |(outcomes, series, token_sources, (bytes, output, prompt, met))| Phase {
            outcomes,
            series,
            body_bytes: bytes,
            output_tokens: output,
            prompt_tokens: prompt,
            token_sources,
            met_all: met.iter().min().copied().unwrap_or(0),
            met,
        },
    )
}

fn errors() -> impl Strategy<Value = (ErrorKey, ErrorCount)> {
    let key = (any_of(&Outcome::ALL), "[a-zéß ]{0,256}");
    (key, count(), offset(), offset()).prop_map(|((outcome, text), count, a, b)| {
        let seen = ErrorCount {
            count,
            first_seen: a.min(b),
            last_seen: a.max(b),
        };
        (ErrorKey { outcome, text }, seen)
    })
}

fn answers() -> impl Strategy<Value = (Index, Answer)> {
    let index = prop_oneof![
        any::<u64>().prop_map(Index::Arrival),
        any::<(u32, u32)>().prop_map(|(user, turn)| Index::Turn { user, turn }),
    ];
    let times = (proptest::array::uniform3(option::of(offset())), offset());
    let words = ("[a-z\u{e9}\u{df} ]{0,300}", option::of("\\PC{0,80}\0?\n?"));
    let tokens = proptest::array::uniform5(option::of(any::<u32>()));
    let arrivals = vec(any::<u64>(), 0..40);
    let said = (
        any_of(&Outcome::ALL),
        option::of(any::<i32>()),
        any::<u32>(),
    );
    (index, times, words, tokens, (said, arrivals)).prop_map(
        |(index, ([sent, first_content, last_content], end), (error, text), tokens, last)| {
            let (said, mut arrivals) = last;
            for at in &mut arrivals {
                *at %= end.as_nanos().saturating_add(1);
            }
            arrivals.sort_unstable();
            let answer = Answer {
                sent,
                first_content,
                last_content,
                end,
                outcome: said.0,
                code: said.1,
                error,
                requested_prompt_tokens: tokens[0],
                counted_prompt_tokens: tokens[1],
                server_prompt_tokens: tokens[2],
                max_tokens: said.2,
                counted_output_tokens: tokens[3],
                server_output_tokens: tokens[4],
                arrivals: arrivals.into_iter().map(Offset::from_nanos).collect(),
                text,
            };
            (index, answer)
        },
    )
}

pub(super) fn tallies() -> impl Strategy<Value = Tally> {
    let numbers = (proptest::array::uniform8(count()), 0.0..1e12_f64);
    let times = (
        option::of(offset()),
        option::of(offset()),
        option::of(offset()),
    );
    let maps = (
        vec(errors(), 0..5),
        btree_map(any_of(&Warning::ALL), count(), 0..8),
        vec(answers(), 0..6),
        option::of(0..4_u32),
    );
    (phase(), phase(), maps, numbers, times, any_generator()).prop_map(
        |(warmup, measured, maps, (n, window_tokens), times, generator)| {
            let (errors, warnings, answers, room) = maps;
            let answers: std::collections::BTreeMap<_, _> = answers.into_iter().collect();
            let kept = u32::try_from(answers.len()).unwrap();
            Tally {
                counts: Counts {
                    scheduled: n[0],
                    sent: n[1],
                    dropped: n[2],
                    late_cancelled: n[3],
                    lost: n[4],
                },
                warmup,
                measured,
                errors: errors.into_iter().collect(),
                warnings,
                connections_opened: n[5],
                connections_reused: n[6],
                connections_warmed: n[7],
                window_tokens,
                window_good: window_tokens,
                first_sent: times.0,
                last_sent: times.1,
                last_end: times.2,
                generator,
                answers,
                answers_at_most: room.map(|room| kept + room),
            }
        },
    )
}

fn gauges() -> impl Strategy<Value = Gauges> {
    any::<[u32; 3]>().prop_map(|[users, in_flight, waiting]| Gauges {
        users,
        in_flight,
        waiting,
    })
}

fn interval() -> impl Strategy<Value = ToMaster> {
    let span = (offset(), offset());
    (any::<u64>(), 1..u64::MAX, span, gauges(), tallies()).prop_map(
        |(run, seq, (a, b), gauges, tally)| {
            ToMaster::Interval(Box::new(Interval {
                run,
                seq,
                from: a.min(b),
                to: a.max(b),
                gauges,
                tally,
            }))
        },
    )
}

pub(super) fn to_master() -> impl Strategy<Value = ToMaster> {
    let hello = (any::<u32>(), "[ -~é]{0,60}", any::<u64>(), any::<u32>()).prop_map(
        |(protocol, name, incarnation, cores)| {
            ToMaster::Hello(Hello {
                version: "1.2.3".to_owned(),
                protocol,
                name,
                incarnation,
                cores,
                run: (cores % 2 == 0).then_some(incarnation),
            })
        },
    );
    let clock = option::of((any::<i64>(), any::<u64>())).prop_map(|clock| {
        clock.map(|(offset_ns, bound_ns)| ClockEstimate {
            offset_ns,
            bound_ns,
        })
    });
    let beat =
        (offset(), clock, gauges(), any::<u32>()).prop_map(|(sent_at, clock, gauges, epoch)| {
            ToMaster::Heartbeat {
                sent_at,
                clock,
                gauges,
                epoch,
            }
        });
    prop_oneof![
        hello,
        beat,
        interval(),
        any::<[u64; 2]>().prop_map(|[run, digest]| ToMaster::Ready { run, digest }),
        (any::<u64>(), "[ -~\n]{0,200}").prop_map(|(run, reason)| ToMaster::Unable { run, reason }),
        any::<[u64; 4]>().prop_map(|[run, last_seq, sent, finished]| ToMaster::Final {
            run,
            last_seq,
            totals: Totals {
                scheduled: sent,
                sent,
                finished,
            },
        }),
        Just(ToMaster::Leaving),
    ]
}

fn share() -> impl Strategy<Value = Share> {
    let placed = vec((any::<u32>(), any::<u32>()), 0..5);
    let placed = move || {
        let pairs = placed.clone();
        pairs.prop_map(|pairs| {
            let of = |(user, place)| Placed { user, place };
            pairs.into_iter().map(of).collect::<Vec<_>>()
        })
    };
    let load = (
        any::<u32>(),
        1..5_000_u32,
        option::of(1..5_000_u32),
        any::<bool>(),
    );
    let users = proptest::collection::btree_set(0..500_u32, 0..40);
    let arrivals = option::of((0..50_u32, 1..50_u32));
    (
        any::<u32>(),
        offset(),
        load,
        arrivals,
        users,
        placed(),
        placed(),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
    )
        .prop_map(
            |(epoch, from, load, arrivals, users, starts, ends, budget, target)| {
                let (count, spawn_rate, rate, paused) = load;
                Share {
                    epoch,
                    from,
                    load: Load {
                        users: count,
                        spawn_rate: Rate::per_second(spawn_rate),
                        rate: rate.map(Rate::per_second),
                        paused,
                    },
                    arrivals: arrivals.map(|(index, more)| Shard::new(index, index + more)),
                    users: users.into_iter().collect(),
                    starts,
                    ends,
                    budget,
                    target,
                }
            },
        )
}

pub(super) fn to_worker() -> impl Strategy<Value = ToWorker> {
    let prepare = (
        any::<u64>(),
        any::<u32>(),
        any::<bool>(),
        share(),
        option::of("[a-z]{1,9}"),
    )
        .prop_map(|(run, worker, alone, share, key)| {
            ToWorker::Prepare(Box::new(Prepare {
                run,
                worker,
                alone,
                share,
                plan: crate::cluster::tests::plan(Some(2.5), Some(3), None),
                secrets: key.map(|key| SharedSecrets {
                    api_key: Some(Secret::new(key.clone())),
                    headers: [("x-key".to_owned(), Secret::new(key.clone()))].into(),
                    aws: AwsSecrets {
                        secret_access_key: Some(Secret::new(key)),
                        ..AwsSecrets::default()
                    },
                }),
            }))
        });
    let pulse = (offset(), offset(), offset(), any::<u64>(), any::<u32>()).prop_map(
        |(echo, received_at, sent_at, run, epoch)| ToWorker::Pulse {
            echo,
            received_at,
            sent_at,
            run,
            epoch,
        },
    );
    let change = (any::<u64>(), share()).prop_map(|(run, share)| ToWorker::Share {
        run,
        share: Box::new(share),
    });
    let welcome = (any::<u32>(), any::<u64>(), 1..9_u64, 1..9_u64).prop_map(
        |(worker, run, heartbeat, lease)| ToWorker::Welcome {
            worker,
            run,
            terms: Terms {
                heartbeat: Duration::from_secs(heartbeat),
                lease: Duration::from_millis(lease),
            },
        },
    );
    prop_oneof![
        prepare,
        pulse,
        welcome,
        change,
        "[ -~]{0,200}".prop_map(|reason| ToWorker::Refused { reason }),
        (any::<u64>(), offset()).prop_map(|(run, at)| ToWorker::Start { run, at }),
        any::<[u64; 2]>().prop_map(|[run, seq]| ToWorker::Ack { run, seq }),
        (any::<u64>(), offset()).prop_map(|(run, at)| ToWorker::Stop { run, at }),
        any::<u64>().prop_map(|run| ToWorker::Abort { run }),
        Just(ToWorker::Quit),
    ]
}

pub(super) fn bytes_of(message: ToMaster) -> Vec<u8> {
    match encode_to_master(message).unwrap() {
        FromWorker::Control(message) => message.encode_to_vec(),
        FromWorker::Pulse(beat) => beat.encode_to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_a_worker_says_arrives_as_it_was(message in to_master()) {
        let bytes = bytes_of(message.clone());
        let back = if matches!(message, ToMaster::Heartbeat { .. }) {
            decode_heartbeat(pb::Heartbeat::decode(&*bytes).unwrap())
        } else {
            decode_to_master(pb::WorkerMessage::decode(&*bytes).unwrap())
        };
        prop_assert!(back.unwrap() == message);
    }

    #[test]
    fn what_a_master_says_arrives_as_it_was(message in to_worker()) {
        let back = match encode_to_worker(message.clone()).unwrap() {
            FromMaster::Control(message) => {
                decode_to_worker(pb::MasterMessage::decode(&*message.encode_to_vec()).unwrap()).unwrap()
            }
            FromMaster::Pulse(reply) => decode_pulse(reply),
        };
        prop_assert_eq!(back, message);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_message_and_never_a_panic(
        message in to_master(), damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = bytes_of(message);
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Ok(message) = pb::WorkerMessage::decode(&*bytes) {
            let _ = decode_to_master(message);
        }
        if let Ok(message) = pb::MasterMessage::decode(&*bytes) {
            let _ = decode_to_worker(message);
        }
    }
}

fn refused(change: impl FnOnce(&mut pb::Interval)) -> String {
    let mut interval = pb::Interval {
        seq: 1,
        gauges: Some(pb::Gauges::default()),
        tally: Some(tally::encode(Tally::default())),
        ..pb::Interval::default()
    };
    change(&mut interval);
    let body = Some(pb::worker_message::Body::Interval(interval));
    decode_to_master(pb::WorkerMessage { body })
        .unwrap_err()
        .to_string()
}

fn in_tally(change: impl FnOnce(&mut pb::Tally)) -> String {
    refused(|interval| change(interval.tally.as_mut().unwrap()))
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    let outcome = |outcome| pb::OutcomeCount { outcome, count: 1 };
    let in_phase =
        |outcomes| in_tally(|tally| tally.measured.as_mut().unwrap().outcomes = outcomes);
    assert_eq!(
        in_phase(vec![outcome(99)]),
        "`99` is no outcome that this version knows"
    );
    assert_eq!(
        in_phase(vec![outcome(0)]),
        "`0` is no outcome that this version knows"
    );
    assert_eq!(
        in_phase(vec![outcome(1), outcome(1)]),
        "a message's `outcomes` is impossible"
    );
    assert_eq!(
        in_tally(|tally| tally.window_tokens = f64::NAN),
        "a message's `window_tokens` is impossible"
    );
    assert_eq!(
        in_tally(|tally| tally.counts = None),
        "a message lacks its `counts`"
    );
    let more = bounds::MAX_COUNT + 1;
    let too_many = |outcome| pb::OutcomeCount {
        outcome,
        count: more,
    };
    assert_eq!(
        in_phase(vec![too_many(1)]),
        "a message's `outcomes` is impossible"
    );
    assert_eq!(
        in_tally(|tally| tally.counts.as_mut().unwrap().sent = more),
        "a message's `counts` is impossible"
    );
    assert_eq!(
        refused(|interval| interval.seq = 0),
        "a message's `seq` is impossible"
    );
    assert_eq!(
        refused(|interval| interval.from_offset = 1),
        "a message's `to_offset` is impossible"
    );
    let none = decode_to_master(pb::WorkerMessage { body: None });
    assert_eq!(
        none.unwrap_err().to_string(),
        "a message has no body that this version knows"
    );
}

fn in_generator(change: impl FnOnce(&mut pb::Generator)) -> String {
    in_tally(|tally| change(tally.generator.as_mut().unwrap()))
}

#[test]
fn measurements_of_the_generator_that_cannot_be_are_refused_by_name() {
    let of = |core| pb::CoreLoad {
        core,
        ..pb::CoreLoad::default()
    };
    let in_machine = |change: fn(&mut pb::Machine)| {
        in_generator(|generator| change(generator.machine.as_mut().unwrap()))
    };
    for (error, what) in [
        (in_generator(|it| it.kernel_stamped = 1), "kernel_stamped"),
        (in_generator(|it| it.shared = 1), "shared"),
        (in_generator(|it| it.cores = vec![of(3), of(3)]), "cores"),
        (
            in_generator(|it| it.cores = (0..=65_536).map(of).collect()),
            "cores",
        ),
        (in_machine(|it| it.stolen = 1), "stolen"),
        (in_machine(|it| it.lowest_mhz = Some(800)), "mhz"),
        (
            in_machine(|it| (it.lowest_mhz, it.highest_mhz) = (Some(9), Some(8))),
            "mhz",
        ),
    ] {
        assert_eq!(error, format!("a message's `{what}` is impossible"));
    }
}

#[test]
fn a_worker_that_does_not_measure_itself_is_understood() {
    let mut tally = tally::encode(Tally::default());
    tally.generator = None;
    assert_eq!(tally::decode(tally).unwrap(), Tally::default());
}

#[test]
fn a_metric_has_a_number_only_where_there_are_several_of_it() {
    let of = |metric: pb::Metric, number| {
        in_tally(|tally| {
            tally.measured.as_mut().unwrap().series.push(pb::Series {
                metric: metric.into(),
                number,
                ..pb::Series::default()
            });
        })
    };
    let impossible = "a message's `number` is impossible";
    assert_eq!(of(pb::Metric::Latency, 1), impossible);
    assert_eq!(of(pb::Metric::SpeculationHitRate, 17), impossible);
    assert_eq!(of(pb::Metric::TurnLatency, 11), impossible);
}

#[test]
fn more_requests_cannot_meet_all_objectives_than_one_of_them() {
    let of = |all, met: &[u64]| {
        in_tally(|tally| {
            let measured = tally.measured.as_mut().unwrap();
            (measured.met_all, measured.met) = (all, met.to_vec());
        })
    };
    let impossible = "a message's `met` is impossible";
    assert_eq!(of(3, &[4, 2]), impossible);
    assert_eq!(of(1, &[]), impossible);
    assert_eq!(of(0, &vec![0; 1_001]), impossible);
    assert_eq!(of(0, &[bounds::MAX_COUNT + 1]), impossible);
}

#[test]
fn a_damaged_distribution_is_an_error() {
    let error = in_tally(|tally| {
        tally.measured.as_mut().unwrap().series.push(pb::Series {
            metric: pb::Metric::Latency.into(),
            count: 3,
            histogram_v2: vec![1, 2, 3],
            ..pb::Series::default()
        });
    });
    assert_eq!(error, "a distribution of a message is damaged");
}

#[test]
fn names_that_move_the_cursor_are_refused_and_ones_own_are_made_harmless() {
    let hello = |name: &str| pb::Hello {
        name: name.to_owned(),
        ..pb::Hello::default()
    };
    assert!(hello_in(hello("a\u{1b}[2J")).is_err());
    assert!(hello_in(hello(&"x".repeat(257))).is_err());
    assert_eq!(cut("a\u{1b}[2J".to_owned(), 256), "a [2J");
    assert_eq!(cut("éé".to_owned(), 3), "é");
}

#[test]
fn a_plan_that_no_message_can_hold_is_an_error_before_it_is_sent() {
    let mut plan = crate::cluster::tests::plan(None, None, None);
    plan.provider.model = "m".repeat(MAX_MESSAGE_BYTES);
    let prepare = Prepare {
        run: 1,
        worker: 0,
        alone: true,
        share: Share::first(&plan.schedule, 0, 1),
        plan,
        secrets: None,
    };
    let error = encode_to_worker(ToWorker::Prepare(Box::new(prepare))).unwrap_err();
    assert!(matches!(error, WireError::TooLarge(_)), "{error}");
}
