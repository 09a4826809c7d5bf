//! What each recorded answer says, held against a snapshot beside it, and the rules that the snapshots show.

use super::*;

#[test]
fn recorded_answers_say_what_their_snapshots_hold() {
    for case in RECORDED {
        let text = said_of(case.decoder(), case.body.as_bytes()).join("\n");
        insta::with_settings!({
            snapshot_path => format!("../../../tests/fixtures/{}", case.folder),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(case.name, text);
        });
    }
}

fn lines_of(kind: Kind, stream: bool, body: &str) -> Vec<String> {
    said_of(
        build(&spoken(kind, stream).unwrap()).unwrap().decoder(),
        body.as_bytes(),
    )
}

fn ends(kind: Kind, stream: bool, body: &str) -> bool {
    lines_of(kind, stream, body)
        .iter()
        .any(|line| line == "End")
}

#[test]
fn an_answer_without_done_ends_only_when_every_choice_finished() {
    let event = |index, reason| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let (open, done) = ("null", "\"stop\"");
    assert!(ends(Kind::OpenAi, true, &event(0, done)));
    assert!(!ends(Kind::OpenAi, true, &event(0, open)));
    assert!(!ends(
        Kind::OpenAi,
        true,
        &(event(1, open) + &event(0, done))
    ));
    assert!(ends(
        Kind::OpenAi,
        true,
        &(event(1, done) + &event(0, done))
    ));
    assert!(!ends(Kind::OpenAi, true, ""));

    let mut two = spec(Kind::OpenAi, true, true);
    two.sampling.n = Some(2);
    let said = said_of(build(&two).unwrap().decoder(), event(0, done).as_bytes());
    assert!(
        !said.contains(&"End".to_owned()),
        "the second choice never came"
    );
}

#[test]
fn a_document_that_stops_short_is_cut_and_a_garbled_one_is_an_error() {
    let whole = r#"{"choices":[{"message":{"content":"x"}}]}"#;
    assert!(ends(Kind::OpenAi, false, whole));
    assert_eq!(
        lines_of(Kind::OpenAi, false, &whole[..20]),
        Vec::<String>::new()
    );
    for garbled in ["<html>", "{]", "{}", "[]", r#"{"choices":5}"#] {
        let lines = lines_of(Kind::OpenAi, false, garbled);
        assert!(
            lines[0].starts_with("error: unreadable answer"),
            "{garbled}: {lines:?}"
        );
    }
}

#[test]
fn a_garbled_event_is_an_error_and_shows_itself() {
    let lines = lines_of(Kind::OpenAi, true, "data: nonsense\n\ndata: [DONE]\n\n");
    assert_eq!(
        lines,
        ["error: unreadable answer: expected ident at line 1 column 2: `nonsense`"]
    );
}

#[test]
fn a_usage_that_comes_with_the_last_text_alone_tells_nothing_of_its_event() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let last = "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}],\"usage\":{\"completion_tokens\":40}}\n\n";
    let lines = lines_of(Kind::OpenAi, true, &format!("{text}{text}{last}"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| *line == "EventEnd { tokens: None }")
            .count(),
        3
    );
}

#[test]
fn a_wild_choice_index_does_not_size_a_buffer() {
    let event = "data: {\"choices\":[{\"index\":4294967295,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(lines_of(Kind::OpenAi, true, event).len(), 3);
}

#[test]
fn a_stream_of_lines_ends_with_the_line_that_says_so_and_needs_no_line_end() {
    let line = |text, done| format!("{{\"response\":\"{text}\",\"done\":{done}}}");
    let open = line("a", false);
    let last = line("", true);
    assert!(ends(Kind::Ollama, true, &format!("{open}\n{last}")));
    assert!(!ends(Kind::Ollama, true, &format!("{open}\n")));
    let cut = &last[..last.len() - 1];
    assert_eq!(
        lines_of(Kind::Ollama, true, &format!("{open}\n{cut}")),
        lines_of(Kind::Ollama, true, &open)
    );
    let garbled = lines_of(Kind::Ollama, true, &format!("{open}\n{cut}\n"));
    assert!(
        garbled[2].starts_with("error: unreadable answer"),
        "{garbled:?}"
    );
}

#[test]
fn a_count_with_each_event_tells_its_tokens_until_one_event_lacks_it() {
    let event = |text: &str, more: &str| format!("data: {{\"content\":\"{text}\"{more}}}\n\n");
    let count = |n: u32| format!(",\"tokens_predicted\":{n}");
    let body = [
        event("a", &count(1)),
        event("", &count(2)),
        event("b", &count(4)),
        event("c", ""),
        event("d", &count(6)),
        event("e", &count(7)),
    ]
    .concat();
    let told: Vec<String> = lines_of(Kind::LlamaCpp, true, &body)
        .into_iter()
        .filter(|line| line.starts_with("EventEnd"))
        .collect();
    assert_eq!(
        told,
        ["Some(1)", "Some(3)", "None", "None", "Some(1)"]
            .map(|tokens| format!("EventEnd {{ tokens: {tokens} }}"))
    );
}
