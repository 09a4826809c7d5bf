//! What holds for every answer: how a body is cut and how its lines end changes nothing, and no bytes break
//! a decoder.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

/// `body` in pieces of these sizes, over and over.
fn pieces<'b>(mut body: &'b [u8], sizes: &'b [usize]) -> impl Iterator<Item = &'b [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = *sizes.next()?;
        if body.is_empty() {
            return None;
        }
        let (piece, rest) = body.split_at(size.min(body.len()));
        body = rest;
        Some(piece)
    })
}

fn recorded() -> impl Strategy<Value = Recorded> {
    select(RECORDED)
}

#[test]
fn byte_by_byte_says_the_same() {
    for case in RECORDED {
        for line_end in ["\n", "\r", "\r\n"] {
            let body = case.body.replace('\n', line_end);
            let split = said(case.decoder(), pieces(body.as_bytes(), &[1]));
            assert_eq!(
                split,
                said_of(case.decoder(), case.body.as_bytes()),
                "{}",
                case.name
            );
        }
    }
}

fn line_end() -> impl Strategy<Value = &'static str> {
    select(&["\n", "\r", "\r\n"][..])
}

fn kind() -> impl Strategy<Value = Kind> {
    select(Kind::ALL.to_vec())
}

proptest! {
    #[test]
    fn any_cut_and_any_line_end_say_the_same(
        case in recorded(),
        line_end in line_end(),
        bom in any::<bool>(),
        sizes in vec(1_usize..200, 1..20),
    ) {
        let mark = if bom && case.stream && !case.body.starts_with(['{', '[']) { "\u{feff}" } else { "" };
        let body = format!("{mark}{}", case.body.replace('\n', line_end));
        let split = said(case.decoder(), pieces(body.as_bytes(), &sizes));
        prop_assert_eq!(split, said_of(case.decoder(), case.body.as_bytes()));
    }

    #[test]
    fn no_bytes_break_a_decoder(
        kind in kind(),
        stream in any::<bool>(),
        body in vec(any::<u8>(), 0..300),
        sizes in vec(1_usize..50, 1..5),
    ) {
        let Some(spec) = spoken(kind, stream) else {
            return Ok(());
        };
        let decoder = || build(&spec).unwrap().decoder();
        prop_assert_eq!(
            said(decoder(), pieces(&body, &sizes)),
            said_of(decoder(), &body)
        );
    }

    #[test]
    fn damage_to_an_answer_says_the_same_however_it_is_cut(
        case in recorded(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..6),
        sizes in vec(1_usize..200, 1..10),
    ) {
        let mut body = case.body.as_bytes().to_vec();
        for (at, byte, length) in damage {
            let start = at.index(body.len());
            let end = (start + length).min(body.len());
            body.splice(start..end, [byte]);
        }
        prop_assert_eq!(
            said(case.decoder(), pieces(&body, &sizes)),
            said_of(case.decoder(), &body)
        );
    }
}

#[test]
fn an_answer_cut_anywhere_neither_ends_nor_garbles() {
    const MARKS: [&str; 10] = [
        "[DONE]",
        "\"finish_reason\":\"",
        "message_stop\"}",
        "\"generated_text\":\"",
        "\"stop\":true",
        "\"done\":true",
        "response.completed\"",
        "response.incomplete\"",
        "\"finishReason\":",
        "\"blockReason\":",
    ];
    for case in RECORDED {
        let body = case.body.trim_end();
        for length in 0..body.len() {
            let cut = String::from_utf8_lossy(&body.as_bytes()[..length]);
            let lines = said_of(case.decoder(), &body.as_bytes()[..length]);
            let garbled = lines.iter().any(|line| line.starts_with("error: "));
            assert!(!garbled, "{} at {length}: {lines:?}", case.name);
            // Where nothing marks the end, only the connection tells a cut.
            let unmarked = case.kind == Kind::TritonGenerate;
            let may_end = unmarked && case.stream
                || !case.document && MARKS.iter().any(|mark| cut.contains(mark));
            let ended = lines.iter().any(|line| line == "End");
            assert!(may_end || !ended, "{} at {length}: {lines:?}", case.name);
        }
    }
}

/// One event of an OpenAI stream, of one choice mostly, with few fields so that many are alike.
fn delta_event() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        3 => "[a-c ]{0,3}",
        1 => Just("\"".to_owned()),
        1 => Just("\\".to_owned()),
        1 => "\\PC{1,4}",
        1 => Just("\n\u{1}".to_owned()),
    ];
    let field = select(
        &[
            "content",
            "content",
            "content",
            "reasoning_content",
            "reasoning",
            "refusal",
            "text",
        ][..],
    );
    let finish = prop::option::weighted(0.1, select(&["stop", "length"][..]));
    let usage = prop::option::weighted(0.35, 1_u32..40);
    let logprobs = prop::option::weighted(0.1, 0_usize..3);
    (
        text,
        field,
        finish,
        usage,
        logprobs,
        prop_oneof![4 => Just(0_u32), 1 => Just(1)],
    )
        .prop_map(|(text, field, finish, usage, logprobs, index)| {
            let mut choice = json!({"index": index, "delta": {}, "finish_reason": finish});
            if field == "text" {
                choice["text"] = json!(text);
            } else {
                choice["delta"] = json!({ field: text });
            }
            if let Some(count) = logprobs {
                choice["logprobs"] = json!({"content": vec![json!({}); count]});
            }
            let mut event = json!({"id": "x", "choices": [choice]});
            if let Some(completion) = usage {
                event["usage"] = json!({"completion_tokens": completion});
            }
            event
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// White space that means nothing makes every event one of its own, which has to be parsed.
    #[test]
    fn an_event_that_is_recognised_says_what_parsing_it_would(
        // In two data lines, or in one and a line that is none, which leaves broken JSON.
        events in vec((delta_event(), prop_oneof![30 => Just(""), 5 => Just("\ndata: "), 1 => Just("\n")]), 1..40),
        runs in vec(1_usize..6, 1..10),
    ) {
        let (mut alike, mut apart) = (Vec::new(), Vec::new());
        let mut runs = runs.into_iter().cycle();
        for (event, line_break) in events {
            for _ in 0..runs.next().unwrap_or(1) {
                let text = event.to_string();
                let spaces = " ".repeat(apart.len() + 1);
                alike.push(format!("data: {{{line_break}{}\n\n", &text[1..]).into_bytes());
                apart.push(format!("data: {{{spaces}{line_break}{}\n\n", &text[1..]).into_bytes());
            }
        }
        let decoder = || build(&spec(Kind::OpenAi, true, true)).unwrap().decoder();
        let parsed = said_of(decoder(), &apart.concat());
        prop_assert_eq!(&said_of(decoder(), &alike.concat()), &parsed);
        prop_assert_eq!(&said(decoder(), alike.iter().map(Vec::as_slice)), &parsed);
    }
}
