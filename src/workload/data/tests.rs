//! Data sets as a whole, held in memory: what is found, in which order it is dealt, and what is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::scan::{Wanted, scan};
use super::*;
use crate::domain::{Ask, Index, Message, Prompt};
use crate::workload::tests::data_workload;
use crate::workload::{Shape, Workload};

fn data_of(
    text: &str,
    format: Format,
    column: Option<&str>,
    shuffle_seed: Option<u64>,
    limit: Option<u64>,
) -> Result<Data, DataError> {
    let wanted = Wanted {
        format,
        column,
        tabs: false,
        keep: limit.filter(|_| shuffle_seed.is_none()),
    };
    let scan = scan(wanted, text.as_bytes())?;
    assert_eq!(scan.bytes, text.len() as u64);
    let source = Box::new(text.as_bytes().to_vec());
    Ok(Data::new("rows".into(), scan, shuffle_seed, limit, source))
}

fn data(text: &str, format: Format) -> Data {
    data_of(text, format, None, None, None).unwrap()
}

fn fault(text: &str, format: Format) -> String {
    let error = data_of(text, format, None, None, None).unwrap_err();
    error.to_string()
}

/// A workload of these rows, for so many users.
fn workload(data: Data, users: u32) -> Workload {
    data_workload(Arc::new(data), &Shape::default(), users)
}

fn said(ask: &Ask) -> String {
    match &ask.prompt {
        Prompt::Text(text) => text.to_string(),
        Prompt::Messages(messages) => {
            let words = |message: &Message| format!("{:?}:{}", message.role, message.content);
            messages.iter().map(words).collect::<Vec<_>>().join("|")
        }
        other => panic!("{other:?}"),
    }
}

fn all(data: Data) -> Vec<(String, u32)> {
    let rows = data.rows() as u64;
    let workload = workload(data, 1);
    let ask = |i| workload.try_ask(Index::Arrival(i)).unwrap();
    (0..rows)
        .map(ask)
        .map(|ask| (said(&ask), ask.max_tokens))
        .collect()
}

fn prompts(data: Data) -> Vec<String> {
    all(data).into_iter().map(|(prompt, _)| prompt).collect()
}

#[test]
fn lines_of_text_are_prompts_and_blank_ones_are_not() {
    let text = "\u{feff}one\r\n\n  \ntwo \nthree";
    assert_eq!(prompts(data(text, Format::Text)), ["one", "two ", "three"]);
    let few = data_of(text, Format::Text, None, None, Some(2)).unwrap();
    assert_eq!(prompts(few), ["one", "two "]);
    assert_eq!(fault("\n \n", Format::Text), "no rows");
}

#[test]
fn json_lines_and_arrays_of_rows_are_bodies() {
    let rows = [
        "{\"prompt\":\"a\",\"max_tokens\":7,\"top_p\":0.5}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}",
    ];
    for text in [
        format!("{}\n\n{}\n", rows[0], rows[1]),
        format!("[\n  {},\n  {}\n]\n", rows[0], rows[1]),
    ] {
        let data = data(&text, Format::Jsonl);
        let workload = workload(data, 1);
        let first = workload.ask(Index::Arrival(0));
        assert_eq!((said(&first), first.max_tokens), ("a".into(), 7));
        assert_eq!(first.extra.as_ref().unwrap()["top_p"], 0.5);
        assert_eq!(said(&workload.ask(Index::Arrival(1))), "User:b");
        assert_eq!(
            said(&workload.ask(Index::Arrival(2))),
            "a",
            "they start over"
        );
    }
}

#[test]
fn a_table_is_read_by_its_header_whatever_line_breaks_its_fields_hold() {
    for end in ["\n", "\r\n"] {
        let text = [
            "id,prompt,output_tokens",
            "1,\"a, \"\"quoted\"\"\nline\",5",
            "",
            "2,b,",
            "3,,4",
            "4,\"c\r\n\",6",
        ]
        .join(end);
        let expected = [
            ("a, \"quoted\"\nline".to_owned(), 5),
            ("b".to_owned(), 64),
            ("c\r\n".to_owned(), 6),
        ];
        for text in [text.clone(), format!("{text}{end}")] {
            let data = data(&text, Format::Csv);
            assert_eq!(data.left_out(), 1);
            assert_eq!(all(data), expected, "{text:?}");
        }
    }
    let named = data_of("a,b\n1,2\n", Format::Csv, Some("b"), None, None).unwrap();
    assert_eq!(prompts(named), ["2"]);
}

#[test]
fn what_cannot_be_read_is_named_before_the_run() {
    let row = fault;
    assert_eq!(
        row("{\"prompt\":\"a\"}\n\n{\"prompt\":", Format::Jsonl),
        "line 3: not a JSON object: EOF while parsing a value at line 1 column 10"
    );
    assert_eq!(
        row("[{\"prompt\":\"a\"}, 4]", Format::Jsonl),
        "element 2: not a JSON object: invalid type: integer `4`, expected a map at line 1 column 1"
    );
    assert!(
        row("[{\"prompt\":\"a\"}", Format::Jsonl).starts_with("byte 15: the array does not end")
    );
    assert!(row("prompt,b\n1,2\n3\n", Format::Csv).contains("line: 3"));
    assert!(
        row("prompt,max_tokens\n\"a\nb\",2\nc,x\n", Format::Csv)
            .starts_with("line 4: `x` is no number")
    );
    assert!(row("a,b\n1,2\n", Format::Csv).starts_with("no column `prompt` or"));
    assert!(row("{\"prompt\":\"a\"}", Format::ShareGpt).starts_with("line 1: no list of turns"));
    let alone = "[{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"}]}]";
    assert_eq!(
        row(alone, Format::ShareGpt),
        "no rows: 1 have nothing to send"
    );
    let trace = "{\"timestamp\":5,\"input_length\":1,\"output_length\":1}\n";
    let back = format!("{trace}{}", trace.replace('5', "4"));
    assert!(row(&back, Format::Trace).starts_with("line 2: its time is before"));
    let bytes = scan(
        Wanted {
            format: Format::Text,
            column: None,
            tabs: false,
            keep: None,
        },
        &b"a\n\xff\n"[..],
    );
    assert_eq!(bytes.unwrap_err().to_string(), "line 2: not UTF-8");
}

#[test]
fn a_row_that_changes_after_the_scan_is_lost_and_named() {
    let text = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n";
    let mut data = data(text, Format::Jsonl);
    data.source = Box::new(text.as_bytes()[..20].to_vec());
    let workload = workload(data, 1);
    assert!(workload.try_ask(Index::Arrival(0)).is_ok());
    let lost = workload.try_ask(Index::Arrival(1)).unwrap_err();
    assert_eq!(lost.to_string(), "row 2 of `rows` cannot be read any more");
    assert_eq!(said(&workload.ask(Index::Arrival(1))), "");
}

#[test]
fn a_models_last_word_is_left_out_where_that_is_asked_for() {
    let text = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}";
    let shape = Shape {
        clear_assistant: true,
        ..Shape::default()
    };
    let cleared = data_workload(Arc::new(data(text, Format::Jsonl)), &shape, 1);
    assert_eq!(said(&cleared.ask(Index::Arrival(0))), "User:a");
    let kept = workload(data(text, Format::Jsonl), 1);
    assert_eq!(said(&kept.ask(Index::Arrival(0))), "User:a|Assistant:b");
}

const TRACE: &str =
    "{\"timestamp\": 1000, \"input_length\": 60, \"output_length\": 5, \"hash_ids\": [0]}
{\"timestamp\": 1000, \"input_length\": 1300, \"output_length\": 7, \"hash_ids\": [0, 1, 2]}
{\"timestamp\": 3500, \"input_length\": 1300, \"output_length\": 9, \"hash_ids\": [0, 1, 3]}
";

#[test]
fn a_traces_times_begin_at_zero_and_can_be_faster() {
    let trace = data(TRACE, Format::Trace);
    assert_eq!(*trace.due_us(1.0, None), [0, 0, 2_500_000]);
    assert_eq!(*trace.due_us(2.0, Some(9)), [0, 0, 1_250_000]);
    assert_eq!(*trace.due_us(0.5, Some(2)), [0, 0]);
    let limited = data_of(TRACE, Format::Trace, None, Some(1), Some(2)).unwrap();
    assert_eq!(*limited.due_us(1.0, None), [0, 0]);
    let table = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,G,40,9,49,x\n45.5,G,50,0,50,x\n";
    let table = data(table, Format::Trace);
    assert_eq!(*table.due_us(1.0, None), [0, 40_500_000]);
    assert_eq!(data("a\n", Format::Text).due_us(1.0, None).len(), 0);
}

#[test]
fn a_traces_requests_have_its_lengths_and_its_common_beginnings() {
    let workload = workload(data(TRACE, Format::Trace), 1);
    let asks: Vec<Ask> = (0..3).map(|i| workload.ask(Index::Arrival(i))).collect();
    let lengths = asks
        .iter()
        .map(|ask| (ask.requested_prompt_tokens, ask.max_tokens));
    assert!(lengths.eq([(Some(60), 5), (Some(1300), 7), (Some(1300), 9)]));
    let (one, two) = (said(&asks[1]), said(&asks[2]));
    let common = one
        .bytes()
        .zip(two.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        (one.len() * 7 / 10..one.len() * 9 / 10).contains(&common),
        "{common} of {}",
        one.len()
    );
    assert!(
        workload.notes()[0].starts_with("no tokenizer"),
        "{:?}",
        workload.notes()
    );
}

const TALKS: &str = r#"[
 {"conversations":[{"from":"human","value":"a0"},{"from":"gpt","value":"x"},{"from":"human","value":"a1"},{"from":"gpt","value":"x"},
                   {"from":"human","value":"a2"}]},
 {"conversations":[{"from":"system","value":"s"},{"from":"human","value":"b0"},{"from":"gpt","value":"x"}]},
 {"conversations":[{"from":"gpt","value":"x"}]},
 {"messages":[{"role":"user","content":"c0"},{"role":"assistant","content":"x"},{"role":"user","content":"c1"}]}
]"#;

/// What user `user` says in its first `most` turns.
fn spoken(workload: &Workload, user: u32, most: usize) -> Vec<(u64, u32, u32, String)> {
    let mut turn = 0;
    let mut spoken = Vec::new();
    while spoken.len() < most {
        turn = workload.next_turn(user, turn);
        let ask = workload.try_ask(Index::Turn { user, turn }).unwrap();
        let place = ask.turn.unwrap();
        spoken.push((place.session, place.number, place.of, said(&ask)));
        turn += 1;
    }
    spoken
}

#[test]
fn conversations_are_asked_turn_by_turn_and_dealt_to_users_in_turn() {
    let talks = data(TALKS, Format::Conversations);
    assert_eq!((talks.rows(), talks.left_out()), (3, 1));
    let workload = workload(talks, 2);
    let line = |session, number, of, text: &str| (session, number, of, text.to_owned());
    assert_eq!(
        spoken(&workload, 0, 7),
        [
            line(0, 0, 3, "User:a0"),
            line(0, 1, 3, "User:a1"),
            line(0, 2, 3, "User:a2"),
            line(2, 0, 2, "User:c0"),
            line(2, 1, 2, "User:c1"),
            line(4, 0, 1, "System:s|User:b0"),
            line(6, 0, 3, "User:a0"),
        ]
    );
    assert_eq!(
        spoken(&workload, 1, 3),
        [
            line(1, 0, 1, "System:s|User:b0"),
            line(3, 0, 3, "User:a0"),
            line(3, 1, 3, "User:a1"),
        ]
    );
    assert_eq!(
        [0, 1, 3, 4].map(|turn| workload.session_start(turn)),
        [0, 3, 3, 6]
    );
}

fn numbered(rows: usize) -> String {
    let lines: Vec<_> = (0..rows).map(|row| format!("row {row}\n")).collect();
    lines.concat()
}

/// What users 0 to `users` - 1 send in `turns` turns each.
fn sent(rows: usize, seed: Option<u64>, users: u32, turns: u32) -> BTreeMap<Index, String> {
    let data = data_of(&numbered(rows), Format::Text, None, seed, None).unwrap();
    let workload = workload(data, users);
    (0..users)
        .flat_map(|user| (0..turns).map(move |turn| Index::Turn { user, turn }))
        .map(|index| (index, said(&workload.try_ask(index).unwrap())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_a_round_of_dealing_all_rows_are_distinct_and_rounds_are_equal(
        rows in 1_usize..40, seed: Option<u64>, users in 1_u32..40, turns in 1_u32..6,
    ) {
        let sent = sent(rows, seed, users, turns);
        let number = |index: &Index| match index {
            Index::Turn { user, turn } => user + turn * users,
            Index::Arrival(_) => 0,
        };
        let mut rounds: BTreeMap<usize, BTreeSet<&String>> = BTreeMap::new();
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, text) in &sent {
            let round = number(index) as usize / rows;
            rounds.entry(round).or_default().insert(text);
            *sizes.entry(round).or_default() += 1;
        }
        for (round, texts) in &rounds {
            prop_assert_eq!(texts.len(), sizes[round], "round {}", round);
        }
        // Users in step never send the same row, as long as there are rows for all.
        for turn in 0..turns {
            let together: BTreeSet<_> = (0..users).map(|user| &sent[&Index::Turn { user, turn }]).collect();
            prop_assert_eq!(together.len(), rows.min(users as usize));
        }
    }

    #[test]
    fn a_shuffle_is_of_all_rows_and_its_limit_its_beginning(rows in 1_usize..60, seed: u64, limit in 1_u64..70) {
        let whole = prompts(data_of(&numbered(rows), Format::Text, None, Some(seed), None).unwrap());
        let mut sorted = whole.clone();
        sorted.sort_by_key(|text| text[4..].parse::<usize>().unwrap());
        let plain = prompts(data(&numbered(rows), Format::Text));
        prop_assert_eq!(&sorted, &plain);
        let first = prompts(data_of(&numbered(rows), Format::Text, None, Some(seed), Some(limit)).unwrap());
        prop_assert_eq!(&first[..], &whole[..first.len()]);
        prop_assert_eq!(first.len() as u64, limit.min(rows as u64));
        if rows > 40 {
            prop_assert_ne!(whole, plain);
        }
    }

    #[test]
    fn each_users_turns_are_a_conversation_from_its_beginning_to_its_end(
        lengths in prop::collection::vec(1_u32..5, 1..12), users in 1_u32..6, user in 0_u32..6,
    ) {
        let user = user % users;
        let talk = |(number, turns): (usize, &u32)| {
            let turn = |turn| serde_json::json!({"role": "user", "content": format!("{number}.{turn}")});
            serde_json::json!({"messages": (0..*turns).map(turn).collect::<Vec<_>>()}).to_string()
        };
        let text = lengths.iter().enumerate().map(talk).collect::<Vec<_>>().join("\n");
        let workload = workload(data(&text, Format::Conversations), users);
        let spoken = spoken(&workload, user, 30);
        let mut expected = (0_u64..)
            .map(|round| u64::from(user) + round * u64::from(users))
            .flat_map(|session| {
                let row = usize::try_from(session).unwrap() % lengths.len();
                let of = lengths[row];
                (0..of).map(move |turn| (session, turn, of, format!("User:{row}.{turn}")))
            });
        for line in spoken {
            prop_assert_eq!(Some(line), expected.next());
        }
    }
}

#[test]
fn a_row_is_seen_with_its_fields_and_a_table_with_its_columns() {
    let rows = data(
        "{\"prompt\":\"a\",\"max_tokens\":7}\n{\"image\":\"u\"}\n",
        Format::Jsonl,
    );
    let first = rows.sight(0, true).unwrap();
    let prompt = Some(Prompt::Text("a".into()));
    let max_tokens = Some(7);
    assert_eq!(first.said, Said::Request { prompt, max_tokens });
    assert_eq!(first.fields, ["prompt", "max_tokens"]);
    let elsewhere = Said::Request {
        prompt: None,
        max_tokens: None,
    };
    assert_eq!(rows.sight(1, true).unwrap().said, elsewhere);
    assert!(rows.columns().unwrap().is_empty());
    let table = data(
        "\u{feff}id,\"text\nof it\",question\n\n1,,x\n2,b,\n",
        Format::Csv,
    );
    assert_eq!(table.columns().unwrap(), ["id", "text\nof it", "question"]);
    assert_eq!(table.prompt_column(), Some(2));
    assert_eq!(*table.reasons(), BTreeMap::from([(Unsent::Blank, 1)]));
}

#[test]
fn a_list_of_texts_is_a_list_of_prompts() {
    let list = data("[\"a\", \"\", \"b\\nc\"]", Format::Jsonl);
    assert_eq!(list.left_out(), 1);
    assert_eq!(prompts(list), ["a", "b\nc"]);
    let row = fault("[\"a\", 4]", Format::Jsonl);
    assert!(row.starts_with("element 2: not a JSON object"), "{row}");
}

#[test]
fn a_trace_of_lengths_that_nobody_served_is_refused_when_it_is_scanned() {
    let row =
        |input: u64| format!("{{\"timestamp\":0,\"input_length\":{input},\"output_length\":1}}\n");
    assert_eq!(
        fault(&(row(10_000_000) + &row(4_000_000_000)), Format::Trace),
        "line 2: `4000000000` tokens are more than 10000000"
    );
}

#[test]
fn conversations_are_no_batches_and_no_documents() {
    use crate::workload::{Api, WorkloadError};
    let text = r#"{"messages":[{"role":"user","content":"a"}]}"#;
    let settings = crate::workload::tests::spec(crate::workload::PromptSource::Text("a".into()));
    let made = |api| {
        let data = Some(Arc::new(data(text, Format::Conversations)));
        Workload::new(&settings, api, Seed(1), None, data, 1).map(drop)
    };
    assert_eq!(made(Api::Chat), Ok(()));
    for api in [Api::Embeddings, Api::Rerank] {
        assert_eq!(made(api), Err(WorkloadError::Conversations));
    }
}

/// What the first `count` requests of one user say, with letters before each, from row `skip` on.
fn apart(rows: usize, skip: u64, count: u32) -> Vec<String> {
    let data = Arc::new(data(&numbered(rows), Format::Text));
    let workload = skipping(data, skip, 7, 1);
    let turns = (0..count).map(|turn| Index::Turn { user: 0, turn });
    turns.map(|index| said(&workload.ask(index))).collect()
}

#[test]
fn letters_tell_rows_apart_and_a_number_tells_copies() {
    let all = apart(3, 0, 8);
    let plain: Vec<&str> = all[..3].iter().map(|text| &text[4..]).collect();
    assert_eq!(plain, ["row 0", "row 1", "row 2"]);
    assert!(
        all[..3]
            .iter()
            .all(|text| text[..4].bytes().all(|byte| byte.is_ascii_alphabetic()))
    );
    assert_ne!(all[0][..4], all[1][..4]);
    assert_eq!(all[3], format!("0 {}", all[0]));
    assert_eq!(all[7], format!("1 {}", all[1]));
    // Who comes later goes on where the others were, with the same texts.
    assert_eq!(apart(3, 2, 6), all[2..]);
}

fn lettered(letters: u32) -> Shape {
    Shape {
        letters,
        ..Shape::default()
    }
}

proptest! {
    #[test]
    fn no_two_prompts_begin_alike_however_often_rows_come_again(
        rows in 1_usize..40,
        users in 1_u32..9,
        skip in 0_u64..100,
        seed: u64,
        shuffle in proptest::option::of(any::<u64>()),
    ) {
        // All rows are the same text.
        let text = "same\n".repeat(rows);
        let open = || data_of(&text, Format::Text, None, shuffle, None).unwrap();
        let made = |users| skipping(Arc::new(open()), skip, seed, users);
        let turns = 4 * u32::try_from(rows).unwrap() / users + 1;
        let (workload, alone) = (made(users), made(1));
        let (mut seen, mut times) = (BTreeSet::new(), BTreeSet::new());
        for (user, turn) in (0..users).flat_map(|user| (0..turns).map(move |turn| (user, turn))) {
            let index = Index::Turn { user, turn };
            let ask = workload.ask(index);
            let prompt = said(&ask);
            // What is dealt by the same number elsewhere.
            let arrival = alone.ask(Index::Arrival(index.ordinal(users)));
            prop_assert_eq!(&prompt, &said(&arrival));
            prop_assert_eq!(ask.counted_prompt_tokens, None);
            let begun = prompt.strip_suffix("same").unwrap();
            let (time, word) = begun.split_once(' ').unwrap_or(("", begun));
            prop_assert_eq!(word.len(), 4);
            times.insert(time.to_owned());
            prop_assert!(seen.insert(begun.to_owned()), "{}", prompt);
        }
        let (rows, dealt) = (rows as u64, u64::from(users) * u64::from(turns));
        let expected = (skip / rows)..=((skip + dealt - 1) / rows);
        let copy = |time: u64| time.checked_sub(1).map_or_else(String::new, |copy| copy.to_string());
        prop_assert_eq!(times, expected.map(copy).collect::<BTreeSet<_>>());
    }
}

/// Rows of which the first `skip` are dealt already, with letters before each.
fn skipping(data: Arc<Data>, skip: u64, seed: u64, users: u32) -> Workload {
    use crate::workload::{Api, DataRef, PromptSource};
    let mut settings = crate::workload::tests::spec(PromptSource::Data(DataRef {
        name: "rows".to_owned(),
        format: data.format(),
        column: None,
        shuffle_seed: None,
        limit: None,
        skip,
        sha256: String::new(),
        bytes: 0,
        inline: None,
    }));
    settings.shape = lettered(4);
    Workload::new(&settings, Api::Chat, Seed(seed), None, Some(data), users).unwrap()
}

#[test]
fn letters_leave_conversations_alone_and_are_for_data_sets() {
    let talk = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#;
    let open = || Arc::new(data(talk, Format::Conversations));
    let (plain, with) = (
        data_workload(open(), &Shape::default(), 1),
        data_workload(open(), &lettered(4), 1),
    );
    for turn in 0..4 {
        let index = Index::Turn { user: 0, turn };
        assert_eq!(said(&with.ask(index)), said(&plain.ask(index)));
    }
    // One request with messages is no conversation: its user begins with them.
    let workload = data_workload(Arc::new(data(talk, Format::Jsonl)), &lettered(4), 1);
    let Prompt::Messages(messages) = workload.ask(Index::Arrival(0)).prompt else {
        panic!("no messages");
    };
    assert_eq!(messages[0].content.len(), 5);
    let mut settings =
        crate::workload::tests::spec(crate::workload::PromptSource::Text("a".to_owned()));
    settings.shape = lettered(4);
    let refused = Workload::new(
        &settings,
        crate::workload::Api::Chat,
        Seed(1),
        None,
        None,
        1,
    );
    assert_eq!(
        refused.unwrap_err(),
        crate::workload::WorkloadError::Letters
    );
}
