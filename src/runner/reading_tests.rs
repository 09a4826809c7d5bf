//! Tests of `Reading`: the times that stand in a record, whatever way an exchange went.

use std::time::Duration;

use super::*;
use crate::plan::Limits;
use crate::provider::DecodeError;
use tokio::time::{Instant, advance};

/// Each piece is one content event; `.` is the terminal one.
struct Words;

impl Decoder for Words {
    fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        if bytes == b"." {
            on(Signal::End);
            return Ok(());
        }
        on(Signal::Content {
            kind: ContentKind::Text,
            text: "word",
            tokens: None,
            choice: 0,
        });
        on(Signal::EventEnd { tokens: None });
        Ok(())
    }

    fn finish(&mut self, _: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        Ok(())
    }
}

const LIMIT: Duration = Duration::from_millis(500);

fn reading() -> Reading {
    let clock = Clock::starting_at(Instant::now());
    let limits = Limits {
        total: None,
        first_token: None,
        idle: Some(LIMIT),
        connect: None,
        stop: Duration::ZERO,
    };
    Reading::new(clock, Watched::new(limits), Box::new(Words), false)
}

fn ms(at: u64) -> Offset {
    Offset::from_nanos(at * 1_000_000)
}

fn record(reading: Reading, ended: Ended) -> Record {
    finished(reading, ended).record
}

fn finished(reading: Reading, ended: Ended) -> Finished {
    let slot = Slot {
        behind_ns: 0,
        index: Index::Arrival(0),
        due: ms(1),
        ready: ms(2),
    };
    let asked = Asked {
        turn: None,
        max_tokens: 1,
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
    };
    reading.close(ended, slot, asked, true)
}

fn answered(reading: &Reading, at: u64) {
    let head = Head {
        status: StatusCode::OK,
        field: &|_| None,
    };
    reading.head(head, ms(at));
    reading.body(b"word", ms(at + 1));
    reading.body(b".", ms(at + 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_had_to_go_out_again_is_ready_from_then_on() {
    let reading = reading();
    reading.connected(false, Duration::ZERO);
    reading.sent(ms(3), ms(4));
    advance(Duration::from_millis(50)).await;
    reading.sent_again();
    advance(Duration::from_millis(5)).await;
    reading.connected(true, Duration::from_millis(5));
    reading.sent(ms(56), ms(57));
    answered(&reading, 60);
    reading.end(ms(62));
    let record = record(reading, Ended::Done(Ok(())));
    assert_eq!((record.due, record.ready), (ms(1), ms(50)));
    assert_eq!((record.begun, record.sent), (Some(ms(56)), Some(ms(57))));
    assert_eq!(
        (record.new_connection, record.connect_ns),
        (true, 5_000_000)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_found_nobody_the_second_time_was_sent_the_first() {
    let reading = reading();
    reading.connected(false, Duration::ZERO);
    reading.sent(ms(3), ms(4));
    reading.sent_again();
    let refused = Failure::new(Outcome::Connect, "refused");
    let record = record(reading, Ended::Done(Err(refused)));
    assert_eq!((record.ready, record.sent), (ms(2), Some(ms(4))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_its_terminal_event_ends_there_however_long_the_body_stays_open() {
    for ended in [
        Ended::TimedOut(TimedOut::Idle(LIMIT)),
        Ended::Cancelled,
        Ended::Done(Err(Failure::new(Outcome::Cut, "cut"))),
    ] {
        let reading = reading();
        reading.connected(true, Duration::ZERO);
        reading.sent(ms(3), ms(3));
        answered(&reading, 60);
        advance(LIMIT).await;
        let record = record(reading, ended);
        assert_eq!((record.outcome, record.end), (Outcome::Ok, ms(62)));
    }
}

/// Has an end that only a complete body has; tells of its head.
struct Unmarked;

impl Decoder for Unmarked {
    fn head(&mut self, field: &provider::Fields<'_>, on: &mut dyn FnMut(Signal<'_>)) {
        let told = field("x-took").and_then(|value| str::from_utf8(value).ok());
        let figures = ServerFigures {
            total_ns: told.and_then(|text| text.parse().ok()),
            ..ServerFigures::default()
        };
        on(Signal::Server(&figures));
    }

    fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        on(Signal::Warning(Warning::EchoMissing));
        Words.feed(bytes, on)
    }

    fn finish(&mut self, on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        on(Signal::End);
        Ok(())
    }
}

fn unmarked(status: StatusCode, result: Result<(), Failure>) -> Finished {
    let mut reading = reading();
    reading.answer.get_mut().decoder = Box::new(Unmarked);
    let field = |name: &str| (name == "x-took").then_some(b"7".as_slice());
    let head = Head {
        status,
        field: &field,
    };
    reading.head(head, ms(1));
    reading.body(b"word", ms(2));
    finished(reading, Ended::Done(result))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_broke_off_is_cut_even_where_nothing_marks_the_end() {
    let whole = unmarked(StatusCode::OK, Ok(()));
    assert_eq!(whole.record.outcome, Outcome::Ok);
    assert_eq!(whole.warnings, [Warning::EchoMissing]);
    let broken = Failure::new(Outcome::Cut, "cut");
    let cut = unmarked(StatusCode::OK, Err(broken));
    assert_eq!(cut.record.outcome, Outcome::Cut);
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_good_answer_is_read_and_of_a_bad_one_is_not() {
    let told = |status| {
        unmarked(status, Ok(()))
            .record
            .server
            .map(|told| told.total_ns)
    };
    assert_eq!(told(StatusCode::OK), Some(Some(7)));
    assert_eq!(told(StatusCode::BAD_GATEWAY), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_ends_with_its_first_event_whatever_came_in_the_same_read() {
    for whole in [false, true] {
        let wanted = Wanted {
            answer: true,
            first_event_alone: true,
        };
        let reading = reading().wanting(wanted);
        reading.connected(true, Duration::ZERO);
        reading.sent(ms(3), ms(3));
        let head = Head {
            status: StatusCode::OK,
            field: &|_| None,
        };
        reading.head(head, ms(60));
        assert!(!reading.body(b"word", ms(61)), "no more is wanted");
        if whole {
            // The rest of the read.
            reading.body(b"word", ms(61));
            reading.body(b".", ms(61));
        }
        advance(LIMIT).await;
        let failure = Failure::new(Outcome::Cut, "closed");
        let record = record(reading, Ended::Done(Err(failure)));
        assert_eq!((record.outcome, record.end), (Outcome::Cancelled, ms(61)));
        assert_eq!((record.marks.len(), record.output_chars), (1, 4));
        assert_eq!(record.error, "");
    }
}

#[tokio::test(start_paused = true)]
async fn the_visible_text_is_kept_where_it_is_wanted_and_nowhere_else() {
    for answer in [true, false] {
        let wanted = Wanted {
            answer,
            first_event_alone: false,
        };
        let reading = reading().wanting(wanted);
        reading.connected(true, Duration::ZERO);
        reading.sent(ms(3), ms(3));
        answered(&reading, 60);
        reading.hear_reasoning();
        let finished = finished(reading, Ended::Done(Ok(())));
        assert_eq!(finished.answer, answer.then(|| "word".to_owned()));
    }
}

impl Reading {
    /// A word that is no part of the visible answer.
    fn hear_reasoning(&self) {
        let thought = Signal::Content {
            kind: ContentKind::Reasoning,
            text: "hm",
            tokens: None,
            choice: 0,
        };
        self.answer.borrow_mut().heard.hear(&thought, ms(70));
    }
}
