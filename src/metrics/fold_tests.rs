//! Tests of `Tally::record` and of merging what it filled.

use proptest::prelude::*;

use super::super::Series;
use super::*;
use crate::domain::{Index, TokenSource, Usage};

fn ms(at: u64) -> Offset {
    Offset::from_nanos(at * 1_000_000)
}

const OPEN: Window = Window {
    start: Offset::ZERO,
    end: None,
};

/// Due at 0 ms, sent at 1, head at 5, content at 11, 21 and 41, end at 43; four tokens by usage.
pub(in crate::metrics) fn record() -> Record {
    let mark = |at| Mark {
        at: ms(at),
        tokens: 0,
    };
    Record {
        index: Index::Arrival(0),
        due: ms(0),
        behind_ns: 0,
        ready: ms(0),
        begun: Some(ms(1)),
        sent: Some(ms(1)),
        headers: Some(ms(5)),
        marks: vec![mark(11), mark(21), mark(41)],
        first_visible: Some(ms(21)),
        end: ms(43),
        streamed: true,
        outcome: Outcome::Ok,
        error: String::new(),
        status: Some(200),
        server_code: None,
        retry_after_s: None,
        choices: 1,
        vectors: 0,
        server: None,
        turn: None,
        finish: None,
        usage: Usage {
            prompt_tokens: Some(100),
            completion_tokens: Some(4),
            cached_tokens: None,
            reasoning_tokens: None,
        },
        logprob_tokens: None,
        tokenizer_tokens: None,
        max_tokens: 4,
        requested_prompt_tokens: Some(100),
        counted_prompt_tokens: None,
        output_chars: 20,
        body_bytes: 1_000,
        new_connection: true,
        connect_ns: 2_000_000,
    }
}

fn folded(record: &Record) -> Tally {
    let mut tally = Tally::default();
    tally.record(record, &OPEN, &Rules::default());
    tally
}

/// The exact sum of a metric in microseconds (or thousandths of a thing), `None` where nothing was recorded.
fn sum(tally: &Tally, metric: Metric) -> Option<u128> {
    tally
        .measured
        .get(metric)
        .map(|series| series.sum() / 1_000)
}

#[test]
fn the_send_delay_ends_with_the_first_write_and_has_no_share_of_connecting() {
    let long = Record {
        begun: Some(ms(7)),
        sent: Some(ms(400)),
        ready: ms(4),
        ..record()
    };
    let tally = folded(&long);
    assert_eq!(sum(&tally, Metric::SendDelay), Some(1_000));
    assert_eq!(sum(&tally, Metric::Lateness), Some(400_000));
    let waited = Record {
        new_connection: false,
        ..long
    };
    let tally = folded(&waited);
    assert_eq!(sum(&tally, Metric::SendDelay), Some(1_000));
    assert_eq!(sum(&tally, Metric::ConnectTime), None);
}

#[test]
fn every_figure_of_a_stream_follows_its_formula() {
    let tally = folded(&record());
    for (metric, want) in [
        (Metric::TotalLatency, 42_000),
        (Metric::TimeToHeaders, 4_000),
        (Metric::TimeToFirstToken, 10_000),
        (Metric::TimeToFirstTokenFromDue, 11_000),
        (Metric::TimeToFirstOutput, 20_000),
        (Metric::Latency, 40_000),
        (Metric::LatencyFromDue, 41_000),
        (Metric::Lateness, 1_000),
        (Metric::TimePerOutputToken, 10_000),
        (Metric::InterChunkLatency, 30_000),
        (Metric::LatencyPerToken, 8_000),
        (Metric::OverallLatencyPerToken, 10_500),
        (Metric::LatencyPerChar, 1_600),
        (Metric::ConnectTime, 2_000),
        (Metric::OutputTokens, 4_000),
        (Metric::PromptTokens, 100_000),
        (Metric::RequestedPromptTokens, 100_000),
    ] {
        assert_eq!(sum(&tally, metric), Some(want), "{}", metric.name());
    }
    for undefined in [
        Metric::InterTokenLatency,
        Metric::CachedTokens,
        Metric::FailedTime,
    ] {
        assert_eq!(sum(&tally, undefined), None);
    }
    assert!(tally.warnings.is_empty());
    assert_eq!(tally.measured.token_sources[&TokenSource::Usage], 1);
    assert_eq!(
        (tally.first_sent, tally.last_end),
        (Some(ms(1)), Some(ms(43)))
    );
}

#[test]
fn gaps_are_shared_out_over_tokens_only_where_every_event_tells() {
    let mut told = record();
    for (mark, tokens) in told.marks.iter_mut().zip([1, 1, 2]) {
        mark.tokens = tokens;
    }
    let itl = |record: &Record| {
        folded(record)
            .measured
            .get(Metric::InterTokenLatency)
            .cloned()
    };
    let mut want = Series::default();
    want.record_n(10_000_000, 3);
    assert_eq!(itl(&told), Some(want));
    told.marks[1].tokens = 0;
    assert_eq!(itl(&told), None);
}

#[test]
fn tpot_needs_more_tokens_than_the_first_event_held() {
    let tpot = |change: fn(&mut Record)| {
        let mut record = record();
        change(&mut record);
        sum(&folded(&record), Metric::TimePerOutputToken)
    };
    assert_eq!(tpot(|r| r.marks[0].tokens = 2), Some(15_000));
    assert_eq!(tpot(|r| r.marks[0].tokens = 4), None);
    assert_eq!(tpot(|r| r.usage.completion_tokens = Some(1)), None);
    assert_eq!(tpot(|r| r.usage.completion_tokens = None), None);
    assert_eq!(tpot(|r| r.marks.truncate(1)), None);
}

#[test]
fn an_answer_that_is_not_streamed_has_no_stream_figures() {
    let mut whole = record();
    whole.streamed = false;
    whole.marks.clear();
    let tally = folded(&whole);
    for absent in [
        Metric::TimeToFirstToken,
        Metric::TimeToFirstTokenFromDue,
        Metric::TimeToFirstOutput,
        Metric::TimePerOutputToken,
        Metric::InterChunkLatency,
        Metric::LatencyPerToken,
    ] {
        assert_eq!(sum(&tally, absent), None, "{}", absent.name());
    }
    assert_eq!(sum(&tally, Metric::Latency), Some(42_000));
    assert_eq!(sum(&tally, Metric::OverallLatencyPerToken), Some(10_500));
}

#[test]
fn failures_and_cancelled_requests_leave_no_latency() {
    let mut failed = record();
    failed.outcome = Outcome::Cut;
    failed.error = "x".repeat(300);
    let mut cancelled = record();
    cancelled.outcome = Outcome::Cancelled;
    let mut never_sent = record();
    never_sent.outcome = Outcome::Connect;
    never_sent.sent = None;
    never_sent.new_connection = false;
    let (mut tally, rules) = (Tally::default(), Rules::default());
    for record in [&failed, &cancelled, &never_sent] {
        tally.record(record, &OPEN, &rules);
    }
    assert_eq!(sum(&tally, Metric::TotalLatency), None);
    assert_eq!(sum(&tally, Metric::OutputTokens), None);
    assert_eq!(sum(&tally, Metric::FailedTime), Some(42_000 + 43_000));
    assert_eq!(tally.measured.finished(), 3);
    assert_eq!(tally.measured.output_tokens, 0);
    let kinds: Vec<_> = tally.errors.keys().map(|key| key.text.len()).collect();
    assert_eq!(kinds, [0, 256]);
    assert_eq!((tally.connections_opened, tally.connections_reused), (2, 0));
}

#[test]
fn the_phase_is_decided_by_when_a_request_was_sent() {
    let phase = |start| {
        let window = Window {
            start: ms(start),
            end: None,
        };
        let mut tally = Tally::default();
        tally.record(&record(), &window, &Rules::default());
        (tally.warmup.finished(), tally.measured.finished())
    };
    assert_eq!(phase(1), (0, 1));
    assert_eq!(phase(2), (1, 0));
}

#[test]
fn window_tokens_are_those_that_arrived_inside() {
    let inside = |change: fn(&mut Record), start, end| {
        let mut record = record();
        change(&mut record);
        let window = Window {
            start: ms(start),
            end: Some(ms(end)),
        };
        let mut tally = Tally::default();
        tally.record(&record, &window, &Rules::default());
        tally.window_tokens
    };
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-3, "{got} is not {want}");
    close(inside(|_| {}, 0, 100), 4.0);
    close(inside(|_| {}, 11, 41), 4.0 * 2.0 / 3.0);
    close(inside(|_| {}, 12, 41), 4.0 / 3.0);
    close(inside(|_| {}, 42, 100), 0.0);
    let told = |r: &mut Record| {
        for (mark, tokens) in r.marks.iter_mut().zip([1, 1, 2]) {
            mark.tokens = tokens;
        }
    };
    close(inside(told, 30, 100), 2.0);
    let whole = |r: &mut Record| {
        r.streamed = false;
        r.marks.clear();
    };
    close(inside(whole, 43, 44), 4.0);
    close(inside(whole, 0, 43), 0.0);
    close(inside(|r| r.usage.completion_tokens = None, 0, 100), 0.0);
}

#[test]
fn a_good_request_counts_by_the_share_of_its_time_inside_the_window() {
    let share = |change: fn(&mut Record), start, end: Option<u64>| {
        let mut record = record();
        change(&mut record);
        let window = Window {
            start: ms(start),
            end: end.map(ms),
        };
        let mut tally = Tally::default();
        tally.record(&record, &window, &Rules::default());
        tally.window_good
    };
    // From 1 ms to 43.
    for (start, end, want) in [
        (0, None, 1.0),
        (22, None, 0.5),
        (43, None, 0.0),
        (0, Some(22), 0.5),
        (15, Some(29), 1.0 / 3.0),
        (0, Some(1), 0.0),
    ] {
        let got = share(|_| {}, start, end);
        assert!((got - want).abs() < 1e-3, "{start} to {end:?}: {got}");
    }
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got} is not {want}");
    close(share(|r| r.outcome = Outcome::Cut, 0, None), 0.0);
    close(share(|r| r.outcome = Outcome::Cancelled, 0, None), 0.0);
    close(share(|r| r.end = ms(1), 0, None), 1.0);
}

/// A prompt that was to have 100 tokens, was counted or not, and has `real` ones on the server.
fn prompt(record: &mut Record, counted: Option<u32>, real: u32) {
    record.requested_prompt_tokens = Some(100);
    record.counted_prompt_tokens = counted;
    record.usage.prompt_tokens = Some(real);
}

#[test]
fn doubts_are_counted_by_kind() {
    let doubts = |change: fn(&mut Record)| {
        let mut record = record();
        change(&mut record);
        folded(&record).warnings.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(
        doubts(|r| r.max_tokens = 5),
        [Warning::TokensDifferFromAsked]
    );
    assert_eq!(
        doubts(|r| r.tokenizer_tokens = Some(5)),
        [Warning::TokenCountsDisagree]
    );
    assert_eq!(
        doubts(|r| r.usage.completion_tokens = None),
        [Warning::TokensUnknown]
    );
    assert_eq!(
        doubts(|r| prompt(r, Some(100), 103)),
        [Warning::PromptLengthOff]
    );
    assert_eq!(doubts(|r| prompt(r, Some(100), 98)), []);
    assert_eq!(doubts(|r| prompt(r, None, 117)), []);
    assert_eq!(doubts(|r| prompt(r, None, 118)), [Warning::PromptLengthOff]);
    assert_eq!(
        doubts(|r| (r.max_tokens, r.usage.completion_tokens) = (0, None)),
        []
    );
    assert_eq!(
        doubts(|r| (r.max_tokens, r.outcome) = (5, Outcome::Cut)),
        []
    );
}

#[test]
fn kinds_of_errors_are_bounded_and_none_is_forgotten() {
    let mut tally = Tally::default();
    for n in 0..2_000 {
        let mut failed = record();
        failed.outcome = if n % 2 == 0 {
            Outcome::Cut
        } else {
            Outcome::Http4xx
        };
        failed.error = format!("error {n:04}");
        tally.record(&failed, &OPEN, &Rules::default());
    }
    assert!(tally.errors.len() <= super::super::MAX_ERROR_KINDS);
    assert_eq!(
        tally.errors.values().map(|seen| seen.count).sum::<u64>(),
        2_000
    );
    let cut: u64 = tally
        .errors
        .iter()
        .filter(|(key, _)| key.outcome == Outcome::Cut)
        .map(|(_, seen)| seen.count)
        .sum();
    assert_eq!(cut, 1_000);
}

prop_compose! {
    fn any_record()(
        outcome in prop::sample::select(Outcome::ALL.to_vec()),
        times in prop::collection::vec(0_u64..5_000_000_000, 4),
        gaps in prop::collection::vec((0_u64..50_000_000, 0_u32..3), 0..6),
        output in prop::option::of(0_u32..20),
        streamed: bool,
        never_sent in prop::bool::weighted(0.1),
        error in "[a-c]{0,2}",
    ) -> Record {
        let mut at = times[0];
        let mut step = |by: u64| { at += by; Offset::from_nanos(at) };
        let (due, sent, headers) = (step(0), step(times[1] / 1_000), step(times[2] / 100));
        let marks: Vec<_> = gaps.into_iter().map(|(gap, tokens)| Mark { at: step(gap), tokens }).collect();
        let end = step(times[3] / 100);
        Record {
            outcome, due, headers: Some(headers), end, streamed, error,
            begun: (!never_sent).then_some(sent),
            sent: (!never_sent).then_some(sent),
            first_visible: marks.last().map(|mark| mark.at),
            marks: if streamed { marks } else { Vec::new() },
            usage: Usage { completion_tokens: output, ..record().usage },
            ..record()
        }
    }
}

fn tally_of(records: &[Record]) -> Tally {
    let window = Window {
        start: ms(1_000),
        end: Some(ms(4_000)),
    };
    let rules = Rules {
        slos: ["ttft<1s", "latency:p50<2s", "itl<20ms"]
            .map(|slo| slo.parse().unwrap())
            .to_vec(),
        first_visible: true,
        embeddings: true,
        answers: None,
    };
    let mut tally = Tally::default();
    for record in records {
        tally.record(record, &window, &rules);
    }
    tally
}

fn merged(one: &Tally, other: &Tally) -> Tally {
    let mut sum = one.clone();
    sum.merge(other);
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn merging_is_recording_everything_at_once(records in prop::collection::vec(any_record(), 0..12), at in any::<prop::sample::Index>()) {
        let (first, second) = records.split_at(at.index(records.len() + 1));
        let (one, other) = (tally_of(first), tally_of(second));
        let whole = tally_of(&records);
        prop_assert_eq!(merged(&one, &other), whole.clone());
        prop_assert_eq!(merged(&other, &one), whole.clone());
        prop_assert_eq!(merged(&whole, &Tally::default()), whole.clone());
        prop_assert_eq!(merged(&Tally::default(), &whole), whole);
    }

    #[test]
    fn merging_is_associative_even_with_too_many_kinds_of_errors(seed in 0_u32..1_000) {
        let part = |salt: u32| {
            let mut tally = Tally::default();
            for n in 0..300_u32 {
                let text = format!("{:x}", n.wrapping_add(seed).wrapping_mul(0x9e37_79b1 ^ salt) % 700);
                let outcome = Outcome::ALL[2 + n as usize % 3];
                tally.note_error(ErrorKey { outcome, text }, ErrorCount::once(ms(u64::from(n))));
            }
            tally
        };
        let [a, b, c] = [part(1), part(99), part(12_345)];
        let left = merged(&merged(&a, &b), &c);
        prop_assert_eq!(&left, &merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&left, &merged(&c, &merged(&b, &a)));
        prop_assert_eq!(left.errors.values().map(|seen| seen.count).sum::<u64>(), 900);
    }

    #[test]
    fn ttft_and_the_gaps_add_up_to_the_latency(mut record in any_record()) {
        record.outcome = Outcome::Ok;
        let tally = folded(&record);
        let total = |metric| tally.measured.get(metric).map_or(0, Series::sum);
        if record.streamed && record.sent.is_some() && !record.marks.is_empty() {
            prop_assert_eq!(total(Metric::TimeToFirstToken) + total(Metric::InterChunkLatency), total(Metric::Latency));
            let gaps = tally.measured.get(Metric::InterChunkLatency).map_or(0, Series::count);
            prop_assert_eq!(gaps, record.marks.len() as u64 - 1);
        }
    }
}

#[test]
fn vectors_have_a_latency_each_and_no_tokens() {
    let mut answer = record();
    (answer.streamed, answer.vectors, answer.max_tokens) = (false, 4, 64);
    answer.marks.clear();
    answer.usage.completion_tokens = Some(0);
    let fold = |embeddings| {
        let mut tally = Tally::default();
        let rules = Rules {
            embeddings,
            ..Rules::default()
        };
        tally.record(&answer, &OPEN, &rules);
        tally
    };
    let tally = fold(true);
    assert_eq!(sum(&tally, Metric::LatencyPerEmbedding), Some(10_500));
    assert_eq!(sum(&tally, Metric::PromptTokens), Some(100_000));
    assert_eq!(sum(&tally, Metric::OutputTokens), None);
    assert!(tally.warnings.is_empty(), "{:?}", tally.warnings);
    assert_eq!(sum(&fold(false), Metric::LatencyPerEmbedding), None);
}

#[test]
fn several_choices_are_asked_for_several_times_the_tokens() {
    let warned = |choices, output| {
        let mut record = record();
        record.choices = choices;
        record.usage.completion_tokens = Some(output);
        !folded(&record).warnings.is_empty()
    };
    assert!(!warned(1, 4) && warned(1, 8));
    assert!(!warned(2, 8) && warned(2, 4));
}

#[test]
fn the_servers_own_figures_are_kept_and_speculation_needs_thirty_tokens() {
    let rate = |position, hits, total| crate::domain::HitRate {
        position,
        hits,
        total,
    };
    let mut told = record();
    told.server = Some(Box::new(crate::domain::ServerFigures {
        total_ns: Some(39_000_000),
        first_token_ns: Some(7_000_000),
        speculation: vec![rate(1, 3, 4), rate(2, 9, 6), rate(16, 1, 3), rate(17, 1, 1)],
    }));
    let hits = |tally: &Tally| {
        let rates = tally.measured.series.iter();
        rates
            .filter(|(metric, _)| matches!(metric, Metric::SpeculationHitRate(_)))
            .map(|(metric, series)| (metric.name(), series.sum()))
            .collect::<Vec<_>>()
    };
    told.usage.completion_tokens = Some(29);
    let few = folded(&told);
    assert_eq!(sum(&few, Metric::ServerTotalLatency), Some(39_000));
    assert_eq!(sum(&few, Metric::ServerTimeToFirstToken), Some(7_000));
    assert_eq!(hits(&few), []);
    told.usage.completion_tokens = Some(30);
    assert_eq!(
        hits(&folded(&told)),
        [
            ("speculation_hit_rate_position_1", 75_000_000),
            ("speculation_hit_rate_position_2", 100_000_000),
            ("speculation_hit_rate_position_16", 33_333_333),
        ]
    );
}

#[test]
fn a_turn_has_its_figures_beside_those_of_all_requests() {
    let turn = |number| {
        let mut record = record();
        record.turn = Some(crate::domain::Turn {
            session: 3,
            number,
            of: 30,
        });
        folded(&record)
    };
    let tally = turn(1);
    let second = TurnClass::of(1);
    assert_eq!(
        sum(&tally, Metric::TurnTimeToFirstToken(second)),
        Some(10_000)
    );
    assert_eq!(sum(&tally, Metric::TurnLatency(second)), Some(40_000));
    assert_eq!(sum(&tally, Metric::TurnPromptTokens(second)), Some(100_000));
    assert_eq!(sum(&tally, Metric::TimeToFirstToken), Some(10_000));
    for late in [10, 11, 400] {
        let tally = turn(late);
        assert_eq!(
            sum(&tally, Metric::TurnLatency(TurnClass::of(10))),
            Some(40_000)
        );
    }
    let alone = folded(&record());
    assert!(
        alone
            .measured
            .series
            .keys()
            .all(|metric| !metric.is_of_a_turn())
    );
}
