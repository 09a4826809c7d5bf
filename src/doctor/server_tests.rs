//! Answers as servers, proxies and faulty servers give them, and what is found of each.

use super::super::finding::Level;
use super::*;
use crate::domain::Outcome;

fn at(us: u64) -> Offset {
    Offset::from_nanos(us * 1_000)
}

/// An answer to a request sent at 1 s, whose events came so many microseconds later.
fn answer(arrivals_us: impl IntoIterator<Item = u64>) -> Answer {
    let arrivals: Vec<_> = arrivals_us
        .into_iter()
        .map(|us| at(1_000_000 + us))
        .collect();
    let tokens = u32::try_from(arrivals.len()).unwrap();
    Answer {
        sent: Some(at(1_000_000)),
        first_content: arrivals.first().copied(),
        last_content: arrivals.last().copied(),
        end: arrivals.last().copied().unwrap_or(at(1_000_000)),
        outcome: Outcome::Truncated,
        code: None,
        error: String::new(),
        requested_prompt_tokens: Some(512),
        counted_prompt_tokens: None,
        server_prompt_tokens: Some(520),
        max_tokens: 32,
        counted_output_tokens: None,
        server_output_tokens: Some(tokens),
        text: None,
        arrivals,
    }
}

fn asked() -> Asked {
    Asked {
        stream: true,
        choices: 1,
        ignores_end: true,
        tokenizer: None,
        via: None,
    }
}

fn steady(gap_us: u64) -> Answer {
    answer((0..32).map(|event| 20_000 + event * gap_us))
}

#[test]
fn a_stream_is_told_from_what_a_proxy_held_back() {
    let of = |answer: Answer| streaming(&[answer], &asked());
    assert_eq!(of(steady(5_000)).level, Level::Ok);
    // A fast server after a long prefill is no proxy.
    let long = answer((0..32).map(|event| 8_000_000 + event * 400));
    assert_eq!(of(long).level, Level::Ok);
    let held = of(steady(3));
    assert_eq!(held.level, Level::Problem);
    assert!(held.words.contains("all at once"), "{held:?}");
    // Two groups, far from each other by less than any model takes for as many tokens.
    let halves = answer((0..32).map(|event| 90_000 + event * 2 + (event / 16) * 200));
    assert_eq!(of(halves).level, Level::Problem);
    let mut one_event = answer([90_000]);
    one_event.server_output_tokens = Some(32);
    assert_eq!(of(one_event).level, Level::Problem);
    let few = answer([1, 2, 3]);
    assert_eq!(of(few).level, Level::Skipped);
}

#[test]
fn groups_are_told_and_who_may_make_them() {
    let grouped = answer((0..32).map(|event| 20_000 + (event / 8) * 40_000 + event % 8));
    let through = Asked {
        via: Some("1.1 nginx".to_owned()),
        ..asked()
    };
    let found = streaming(std::slice::from_ref(&grouped), &through);
    assert_eq!(found.level, Level::Warning);
    assert!(found.words.contains("4 of them apart"), "{found:?}");
    assert!(found.hint.unwrap().contains("`1.1 nginx`"));
    // Speculation of two tokens at a time is nothing to speak of.
    let pairs = answer((0..32).map(|event| 20_000 + (event / 2) * 10_000));
    assert_eq!(streaming(&[pairs], &asked()).level, Level::Ok);
    let whole = Asked {
        stream: false,
        ..asked()
    };
    assert_eq!(streaming(&[grouped], &whole).level, Level::Skipped);
}

#[test]
fn counts_are_held_against_who_else_counts() {
    let levels = |change: fn(&mut Answer)| {
        let mut answer = steady(5_000);
        change(&mut answer);
        let found = counts(&[answer], &asked());
        (found[0].level, found[1].level)
    };
    assert_eq!(levels(|_| {}), (Level::Ok, Level::Ok));
    let far = |it: &mut Answer| it.server_prompt_tokens = Some(700);
    assert_eq!(levels(far), (Level::Warning, Level::Ok));
    let below = |it: &mut Answer| {
        it.counted_prompt_tokens = Some(521);
        it.counted_output_tokens = Some(30);
    };
    assert_eq!(levels(below), (Level::Warning, Level::Ok));
    let other = |it: &mut Answer| {
        it.counted_prompt_tokens = Some(500);
        it.counted_output_tokens = Some(29);
    };
    assert_eq!(levels(other), (Level::Ok, Level::Warning));
    let silent = |it: &mut Answer| {
        it.server_prompt_tokens = None;
        it.server_output_tokens = None;
    };
    assert_eq!(levels(silent), (Level::Skipped, Level::Warning));
    let too_few = |it: &mut Answer| it.server_output_tokens = Some(20);
    assert_eq!(levels(too_few), (Level::Ok, Level::Warning));
}

#[test]
fn lengths_are_held_against_what_was_asked() {
    let of = |tokens: u32, ignores_end: bool, choices: u32| {
        let mut answer = steady(5_000);
        answer.server_output_tokens = Some(tokens);
        let asked = Asked {
            choices,
            ignores_end,
            ..asked()
        };
        ending(&[answer], &asked).level
    };
    assert_eq!(of(32, true, 1), Level::Ok);
    assert_eq!(of(33, true, 1), Level::Ok);
    assert_eq!(of(34, true, 1), Level::Problem);
    assert_eq!(of(64, true, 2), Level::Ok);
    assert_eq!(of(31, true, 1), Level::Warning);
    assert_eq!(of(31, false, 1), Level::Ok);
}

#[test]
fn failed_requests_are_a_problem_in_the_servers_words() {
    let mut bad = answer([]);
    bad.outcome = Outcome::Http4xx;
    bad.error = "status 404: no such model".to_owned();
    let found = replied(&[bad.clone(), steady(1_000)]);
    assert_eq!(found.level, Level::Problem);
    assert_eq!(
        found.words,
        "1 of 2 failed: http_4xx: status 404: no such model"
    );
    assert!(counts(std::slice::from_ref(&bad), &asked()).is_empty());
    assert_eq!(streaming(&[bad], &asked()).level, Level::Skipped);
    assert_eq!(replied(&[]).level, Level::Problem);
    let fine = replied(&[steady(1_000)]);
    assert_eq!(
        fine.words,
        "1 answered, the last one: the first token after 20.0 ms, everything after 51.0 ms"
    );
}

#[test]
fn a_model_is_found_in_the_list_or_beside_it() {
    let some = Listed::Models(vec!["a".to_owned(), "b".to_owned()]);
    let unknown = Listed::Unknown("status 500".to_owned());
    assert_eq!(model(Some("b"), &some).level, Level::Ok);
    assert_eq!(model(None, &some).level, Level::Ok);
    let other = model(Some("c"), &some);
    assert_eq!(
        (other.level, &*other.words),
        (Level::Warning, "`c` is not listed; there are: a, b")
    );
    assert_eq!(model(None, &Listed::Models(vec![])).level, Level::Problem);
    assert_eq!(model(Some("a"), &unknown).level, Level::Skipped);
    assert_eq!(model(None, &unknown).level, Level::Problem);
    assert_eq!(model(None, &Listed::None).level, Level::Skipped);
}
