//! What a played test comes to, of answers whose times are known.

use super::*;

fn ms(ms: u64) -> Offset {
    Offset::from_nanos(ms * 1_000_000)
}

fn answer(sent: Option<u64>, end: u64, outcome: Outcome) -> Answer {
    Answer {
        sent: sent.map(ms),
        first_content: None,
        last_content: None,
        end: ms(end),
        outcome,
        code: None,
        error: String::new(),
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        server_prompt_tokens: None,
        max_tokens: 1,
        counted_output_tokens: None,
        server_output_tokens: None,
        arrivals: Vec::new(),
        text: None,
    }
}

fn of(answers: Vec<Answer>, status: u8, interrupted: Option<u8>) -> Made {
    let answers = (0..).map(Index::Arrival).zip(answers).collect();
    Made::of(Played {
        status,
        interrupted,
        answers,
        ..Played::left(0)
    })
}

#[test]
fn the_wall_time_is_from_the_first_request_to_the_end_of_the_last_answer() {
    let made = of(
        vec![
            answer(Some(900), 1_500, Outcome::Ok),
            answer(Some(250), 3_750, Outcome::Ok),
            // What was dropped counts for nothing, and what was never sent from its end on.
            answer(Some(100), 9_000, Outcome::Cancelled),
            answer(None, 400, Outcome::Connect),
        ],
        0,
        None,
    );
    assert!((made.wall_s - 3.5).abs() < 1e-9, "{}", made.wall_s);
    let ends: Vec<Offset> = made.answers.iter().map(|(_, it)| it.end).collect();
    assert_eq!(ends, [ms(400), ms(1_500), ms(3_750)]);
    for answers in [Vec::new(), vec![answer(None, 400, Outcome::Connect)]] {
        assert!(of(answers, 0, None).wall_s.abs() < 1e-9);
    }
}

#[test]
fn a_log_says_failed_with_any_exit_status_but_0_and_killed_after_a_signal() {
    let one = || vec![answer(Some(1), 2, Outcome::Ok)];
    let finished = of(one(), 0, None);
    assert_eq!(finished.ended(0), Status::Finished);
    assert_eq!(finished.ended(1), Status::Failed);
    assert_eq!(of(one(), 4, None).ended(4), Status::Failed);
    let nothing = of(Vec::new(), 0, None);
    assert_eq!((nothing.status, nothing.ended(1)), (1, Status::Failed));
    for status in [0, 1, 130] {
        assert_eq!(of(one(), 0, Some(130)).ended(status), Status::Killed);
    }
}

#[test]
fn prompts_that_have_not_their_drawn_length_are_told() {
    let prompt = |requested, counted_prompt_tokens| {
        let one = Answer {
            requested_prompt_tokens: requested,
            counted_prompt_tokens,
            ..answer(Some(1), 2, Outcome::Ok)
        };
        (Index::Arrival(0), one)
    };
    let good = [
        prompt(Some(7), Some(7)),
        prompt(Some(7), None),
        prompt(None, Some(3)),
    ];
    assert_eq!(missed(&good), None);
    let bad = [
        prompt(Some(7), Some(7)),
        prompt(Some(7), Some(5)),
        prompt(Some(7), Some(8)),
    ];
    assert_eq!(missed(&bad), Some((2, 3, 2)));
}
