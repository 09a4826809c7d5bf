//! Conversations and traces from outside: who says what after which answer, what becomes of a conversation that fails, and
//! when and how long the requests of a trace are, on one machine and on several.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use llmload::mock::MockHandle;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::counts::assert_conserved;
use crate::datasets::{Set, bodies, towards};
use crate::process::{
    Cluster, Ended, Program, alone, faulty_mock, mock, quick_mock, settled, shared,
};
use crate::schedule::records_file;
use crate::warnings::WORDS;

/// Turns of each conversation of the file.
const TURNS: [usize; 7] = [3, 1, 2, 2, 1, 3, 1];
/// Of the longest one: so many numbers of a user belong to each conversation.
const MOST: u64 = 3;

/// Conversations of these turns, in which a person says `s2 t1` and a model once said something else.
fn talks() -> Set {
    let talk = |(row, turns): (usize, &usize)| {
        let turn = |turn| {
            [
                json!({"from": "human", "value": format!("s{row} t{turn}")}),
                json!({"from": "gpt", "value": "never sent"}),
            ]
        };
        let said: Vec<Value> = (0..*turns).flat_map(turn).collect();
        format!("{}\n", json!({"id": row, "conversations": said}))
    };
    let rows: Vec<String> = TURNS.iter().enumerate().map(talk).collect();
    Set::new("talks.jsonl", &rows.concat())
}

fn line(set: &Set, users: u32, requests: u32) -> String {
    format!(
        "{} --dataset-format conversations -u {users} -r 1000 --no-reset-stats --max-requests {requests} --show-request --show-response --records sent.jsonl",
        set.option()
    )
}

/// What one party left behind.
struct Sent {
    /// The process with the report.
    main: Ended,
    /// All that sent.
    senders: Vec<Ended>,
    records: Vec<Value>,
}

impl Sent {
    /// By `run`, or by a master with so many workers; the main process ends with `status`.
    fn new(mock: &MockHandle, line: &str, workers: usize, status: i32) -> Self {
        let line = towards(mock, line);
        if workers == 0 {
            let program = Program::start(&format!("run {line}"));
            let main = program.wait().expect(status);
            let records = main.records("sent.jsonl");
            return Self {
                main,
                senders: Vec::new(),
                records,
            };
        }
        let (main, senders) = Cluster::start(&line, workers).wait();
        let main = main.expect(status);
        let records = |ended: &Ended| ended.records(&records_file(ended.folder()));
        Self {
            main,
            records: senders.iter().flat_map(records).collect(),
            senders,
        }
    }

    fn bodies(&self) -> Vec<Value> {
        let senders = self.senders.iter().chain([&self.main]);
        senders.flat_map(bodies).collect()
    }

    /// The texts of all answers.
    fn answers(&self) -> BTreeSet<String> {
        let senders = self.senders.iter().chain([&self.main]);
        let texts = senders.flat_map(|ended| said_after(ended, " INFO "));
        texts.collect()
    }
}

/// What stands behind `words` in the lines that a process said.
fn said_after(ended: &Ended, words: &str) -> Vec<String> {
    let lines = ended.stderr.lines();
    let rest = lines.filter_map(|line| Some(line.split_once(words)?.1.to_owned()));
    rest.collect()
}

/// (who, what) of each message.
fn messages(body: &Value) -> Vec<(&str, &str)> {
    let list = body["messages"].as_array().unwrap().iter();
    list.map(|it| {
        (
            it["role"].as_str().unwrap(),
            it["content"].as_str().unwrap(),
        )
    })
    .collect()
}

/// (row, turn) of a person's words.
fn place(text: &str) -> (usize, usize) {
    let (row, turn) = text.split_once(' ').unwrap();
    (row[1..].parse().unwrap(), turn[1..].parse().unwrap())
}

#[test]
fn each_turn_is_asked_after_the_servers_own_answer_to_the_one_before() {
    let _shared = shared();
    let mock = quick_mock();
    let set = talks();
    let all: usize = TURNS.iter().sum();
    let sent = Sent::new(&mock, &line(&set, 1, u32::try_from(all).unwrap()), 0, 0);
    // One user: what is asked and what is answered come by turns.
    let lines = said_after(&sent.main, " INFO ");
    let mut lines = lines.iter().skip_while(|line| !line.starts_with('{'));
    for (row, turns) in TURNS.into_iter().enumerate() {
        let mut history: Vec<(String, String)> = Vec::new();
        for turn in 0..turns {
            let body: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
            history.push(("user".to_owned(), format!("s{row} t{turn}")));
            let expected: Vec<_> = history.iter().map(|it| (&*it.0, &*it.1)).collect();
            assert_eq!(messages(&body), expected);
            let answer = lines.next().unwrap();
            assert_eq!(answer.split(' ').count(), 5, "{answer}");
            history.push(("assistant".to_owned(), answer.clone()));
        }
    }
    // And the server read as many words as that is: two a turn of the person's, five an answer.
    let report = sent.main.result();
    for (turn, count) in [(1, 7), (2, 4), (3, 2)] {
        let metric = |what: &str| format!("/metrics/turn_{turn}_{what}");
        assert_eq!(report.count(&metric("ttft_ms/count")), count);
        assert_eq!(report.count(&metric("latency_ms/count")), count);
        let words = f64::from(2 * turn + 5 * (turn - 1));
        for bound in ["min", "max"] {
            let told = report.number(&metric(&format!("prompt_tokens/{bound}")));
            assert!((told - words).abs() < 1e-6, "{turn}: {told}");
        }
    }
    assert!(report.0.pointer("/metrics/turn_4_ttft_ms").is_none());
}

/// The numbers of requests that a user has, from its first on: shorter conversations leave places empty.
fn places(user: u64, users: u64) -> impl Iterator<Item = (u64, u64, usize)> {
    (0..).filter_map(move |number: u64| {
        let session = user + number / MOST * users;
        let row = usize::try_from(session).unwrap() % TURNS.len();
        (number % MOST < TURNS[row] as u64).then_some((number, session, row))
    })
}

#[test]
fn who_says_what_is_the_same_on_one_worker_and_on_three() {
    let _shared = shared();
    let set = talks();
    for workers in [0, 1, 3] {
        let mock = mock("10ms", "1ms");
        let sent = Sent::new(&mock, &line(&set, 3, 36), workers, 0);
        let report = sent.main.result();
        assert_conserved(&report);
        assert_eq!(report.total("completed"), 36);
        assert_eq!(settled(&mock).requests.numbered, 36);

        // Each user has its own conversations, from the first on, and each has all its turns, in order.
        let mut numbers: BTreeMap<u64, Vec<(u64, &Value)>> = BTreeMap::new();
        for record in &sent.records {
            let index = &record["index"]["turn"];
            let user = numbers.entry(index["user"].as_u64().unwrap()).or_default();
            user.push((index["turn"].as_u64().unwrap(), &record["conversation"]));
        }
        assert_eq!(numbers.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        let (mut due, mut by_turn) = (Vec::new(), BTreeMap::<u64, u64>::new());
        for (user, mut had) in numbers {
            had.sort_by_key(|it| it.0);
            for ((number, conversation), expected) in had.into_iter().zip(places(user, 3)) {
                let (should, session, row) = expected;
                assert_eq!(number, should, "user {user}");
                let turn = number % MOST;
                let told = json!({"session": session, "turn": turn + 1, "of": TURNS[row]});
                assert_eq!(*conversation, told);
                due.push((row, usize::try_from(turn).unwrap()));
                *by_turn.entry(turn + 1).or_default() += 1;
            }
        }
        for (turn, count) in by_turn {
            let told = report.count(&format!("/metrics/turn_{turn}_ttft_ms/count"));
            assert_eq!(told, count);
        }

        // What was sent is what these places say, each with the answers to its own earlier turns.
        let answers = sent.answers();
        let (mut asked, mut heard) = (Vec::new(), BTreeMap::<String, BTreeSet<usize>>::new());
        for body in sent.bodies() {
            let said = messages(&body);
            let last = place(said.last().unwrap().1);
            asked.push(last);
            assert_eq!(said.len(), 2 * last.1 + 1);
            for (turn, pair) in said.chunks(2).enumerate() {
                assert_eq!(pair[0], ("user", &*format!("s{} t{turn}", last.0)));
                if let Some((who, text)) = pair.get(1) {
                    assert_eq!(*who, "assistant");
                    assert!(answers.contains(*text), "{text}");
                    heard.entry((*text).to_owned()).or_default().insert(last.0);
                }
            }
        }
        // The mock's first 64 answers differ, so that one that stood in two rows' conversations was mixed up.
        assert!(heard.values().all(|rows| rows.len() == 1), "{heard:?}");
        due.sort_unstable();
        asked.sort_unstable();
        assert_eq!(asked, due);
    }
}

#[test]
fn a_turn_that_fails_ends_its_conversation_and_the_next_one_begins() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["status=0.2:503", "cut=0.2:2"]);
    let sent = Sent::new(&mock, &line(&talks(), 1, 60), 0, 1);
    let report = sent.main.result();
    assert_conserved(&report);
    assert_eq!(report.total("sent"), 60);
    assert_eq!(settled(&mock).requests.numbered, 60);
    let mut records = sent.records.clone();
    records.sort_by_key(|record| record["index"]["turn"]["turn"].as_u64());
    let bodies = sent.bodies();
    assert_eq!((records.len(), bodies.len()), (60, 60));
    let at = |record: &Value, name: &str| record["conversation"][name].as_u64().unwrap();
    let (mut ended_early, mut failures) = (0, 0);
    for pair in records.windows(2) {
        let [before, after] = pair else { continue };
        let failed = !before["error"].as_str().unwrap().is_empty();
        let last = at(before, "turn") == at(before, "of");
        let expected = if failed || last {
            (at(before, "session") + 1, 1)
        } else {
            (at(before, "session"), at(before, "turn") + 1)
        };
        assert_eq!((at(after, "session"), at(after, "turn")), expected);
        failures += u64::from(failed);
        ended_early += u64::from(failed && !last);
    }
    assert!(ended_early >= 5, "{ended_early} of {failures}");
    // What a conversation that failed said is not told in the next one.
    for (record, body) in records.iter().zip(&bodies) {
        let said = messages(body);
        assert_eq!(said.len() as u64, 2 * at(record, "turn") - 1);
        let rows: BTreeSet<usize> = said.iter().step_by(2).map(|it| place(it.1).0).collect();
        assert_eq!(rows.len(), 1);
    }
}

/// (when in ms, prompt, answer) of each request of a trace.
const TRACE: [(u64, u64, u64); 6] = [
    (1_000, 120, 3),
    (1_000, 700, 2),
    (1_250, 60, 4),
    (1_333, 1_100, 1),
    (1_900, 300, 5),
    (2_400, 95, 2),
];

#[test]
fn a_trace_is_replayed_at_its_own_times_with_the_lengths_that_it_says() {
    let _alone = alone();
    let row = |(time, input, output): &(u64, u64, u64)| {
        let row = json!({"timestamp": time, "input_length": input, "output_length": output, "hash_ids": [0, time]});
        format!("{row}\n")
    };
    let set = Set::new("trace.jsonl", &TRACE.iter().map(row).collect::<String>());
    fs::write(set.folder.path().join("tokenizer.json"), WORDS).unwrap();
    // The mock counts words, and has no template.
    let template = "{% for m in messages %}{{ m.content }}{% endfor %}";
    fs::write(set.folder.path().join("chat_template.jinja"), template).unwrap();
    let tokenizer = set.folder.path().join("tokenizer.json");
    for (workers, speed, spoken) in [
        (0, 1, ""),
        (0, 4, "--trace-speed 4"),
        (3, 2, "--trace-speed 2"),
    ] {
        let mock = quick_mock();
        let tokenizer = tokenizer.display();
        let line = format!(
            "{} --tokenizer {tokenizer} --records sent.jsonl {spoken}",
            set.option()
        );
        let sent = Sent::new(&mock, &line, workers, 0);
        let report = sent.main.result();
        assert_conserved(&report);
        assert_eq!(
            (report.total("completed"), settled(&mock).requests.numbered),
            (6, 6)
        );
        let figure = |record: &Value, pointer: &str| {
            let found = record.pointer(pointer).and_then(Value::as_u64);
            found.unwrap_or_else(|| panic!("no {pointer} in {record:#}"))
        };
        let mut records = sent.records;
        records.sort_by_key(|record| figure(record, "/index/arrival"));
        for (record, (time, input, output)) in records.iter().zip(TRACE) {
            assert_eq!(
                figure(record, "/due_ns"),
                (time - 1_000) * 1_000_000 / speed
            );
            assert_eq!(figure(record, "/requested_prompt_tokens"), input);
            assert_eq!(figure(record, "/counted_prompt_tokens"), input);
            assert_eq!(
                figure(record, "/usage/prompt_tokens"),
                input,
                "as the server counts"
            );
            assert_eq!(figure(record, "/max_tokens"), output);
            assert_eq!(figure(record, "/usage/completion_tokens"), output);
        }
    }
}

#[test]
fn a_large_file_of_conversations_is_read_by_each_worker() {
    let _shared = shared();
    let folder = Arc::new(TempDir::new().unwrap());
    let turns = |row: usize| {
        let turn = |turn| format!("row{row} turn{turn} {}", "word ".repeat(3_000));
        format!(
            "{}\n",
            json!({"turns": (0..2).map(turn).collect::<Vec<_>>()})
        )
    };
    let name = folder.path().join("large.jsonl");
    fs::write(&name, (0..50).map(turns).collect::<String>()).unwrap();
    assert!(
        fs::metadata(&name).unwrap().len() > 1 << 20,
        "more than travels"
    );
    let mock = quick_mock();
    let line = format!(
        "--dataset @{} --dataset-format conversations -u 5 -r 1000 --max-requests 50 --records sent.jsonl",
        name.display()
    );
    let sent = Sent::new(&mock, &line, 3, 0);
    assert_eq!(settled(&mock).requests.numbered, 50);
    let second = sent
        .records
        .iter()
        .filter(|it| it["conversation"]["turn"] == 2);
    for record in second {
        // Twice as many words as a first turn, and the answer between them.
        assert_eq!(record["usage"]["prompt_tokens"], 2 * 3_002 + 5);
    }
}
