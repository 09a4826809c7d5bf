//! `llmload dataset` from outside: what a file is said to hold, files that a run takes, counts that a tokenizer's own are.

use std::fs;

use serde_json::{Value, json};

use crate::command::{Place, Ran};
use crate::datasets::bodies;
use crate::process::{Program, quick_mock, settled, shared, towards};
use crate::warnings::WORDS;

/// A tokenizer whose template adds three words around a message, in a folder of its own.
fn place() -> Place {
    let place = Place::new();
    place.write("tokenizer.json", WORDS);
    let template = "<s> {% for m in messages %}{{ m.content }} {% endfor %}</s> go";
    place.write("chat_template.jinja", template);
    place
}

fn dataset(place: &Place, words: &[&str]) -> Ran {
    let args: Vec<&str> = ["dataset"].iter().chain(words).copied().collect();
    place.run(&args)
}

#[track_caller]
fn done(place: &Place, words: &[&str]) -> String {
    let ran = dataset(place, words);
    ran.expect(0);
    ran.stdout
}

fn inspected(place: &Place, words: &[&str]) -> Value {
    let words: Vec<&str> = ["inspect"]
        .iter()
        .chain(words)
        .chain(&["--json"])
        .copied()
        .collect();
    serde_json::from_str(&done(place, &words)).unwrap()
}

const GENERATE: [&str; 5] = ["generate", "-c", "7", "--tokenizer", "./tokenizer.json"];

/// Prompts of `line`, in the file `name`.
fn generated(place: &Place, line: &str, name: &str) -> String {
    let words = GENERATE.into_iter().chain(line.split_whitespace());
    let words: Vec<&str> = words.chain(["--output", name]).collect();
    assert_eq!(done(place, &words), "");
    place.read(name)
}

#[test]
fn generated_prompts_have_the_length_asked_for_in_every_format() {
    let place = place();
    for (format, name) in [
        ("jsonl", "p.jsonl"),
        ("json-list", "p.json"),
        ("csv", "p.csv"),
    ] {
        for corpus in ["limericks", "code", "sonnets", "random"] {
            let line = format!("-p 150 -d {corpus} --format {format} --seed 3 --force");
            generated(&place, &line, name);
            let found = inspected(&place, &[name, "--tokenizer", "./tokenizer.json"]);
            let tokens = &found["tokens"];
            assert_eq!(
                (&tokens["count"], &tokens["min"], &tokens["max"]),
                (&json!(7), &json!(150), &json!(150)),
                "{corpus} as {format}"
            );
            assert_eq!(found["tokens_by"], json!({"tokenizer": "./tokenizer.json"}));
        }
    }
    let text = generated(&place, "-p 30 -d random --format text", "p.txt");
    assert_eq!(text.lines().count(), 7);
    assert!(text.lines().all(|line| line.split(' ').count() == 30));
}

#[test]
fn equal_seeds_give_equal_files_and_others_give_others() {
    let place = place();
    let one = generated(&place, "-p 60 --seed 1", "one.jsonl");
    assert_eq!(one, generated(&place, "-p 60 --seed 1", "again.jsonl"));
    assert_ne!(one, generated(&place, "-p 60 --seed 2", "two.jsonl"));
    let words = [
        "generate",
        "-c",
        "7",
        "-p",
        "60",
        "--tokenizer",
        "./tokenizer.json",
        "--seed",
        "1",
    ];
    assert_eq!(done(&place, &words), one, "on standard output");
}

#[test]
fn lengths_of_answers_and_common_prefixes_are_as_asked() {
    let place = place();
    let line = "-p 120 -pcml 60 --prefix-groups 2 -o 20 --max-tokens-distribution uniform --max-tokens-range 0.5";
    let text = generated(&place, line, "p.jsonl");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lengths: Vec<u64> = rows
        .iter()
        .map(|row| row["max_tokens"].as_u64().unwrap())
        .collect();
    assert!(
        lengths.iter().all(|length| (10..=30).contains(length)),
        "{lengths:?}"
    );
    assert!(lengths.iter().any(|length| *length != lengths[0]));
    let beginnings: std::collections::BTreeSet<&str> = rows
        .iter()
        .map(|row| &row["prompt"].as_str().unwrap()[..100])
        .collect();
    assert!((1..=2).contains(&beginnings.len()), "{beginnings:?}");
    let without = generated(&place, "-p 60", "without.jsonl");
    assert!(!without.contains("max_tokens"));
}

#[test]
fn a_run_takes_what_was_generated_and_the_server_counts_what_was_asked_for() {
    let _shared = shared();
    let place = place();
    // The mock counts words alone; three of each prompt are its own here.
    generated(&place, "-p 150 --chat -o 3", "p.jsonl");
    let mock = quick_mock();
    let name = place.file("p.jsonl");
    let line = format!(
        "--dataset @{} --max-requests 7 --show-request --records sent.jsonl",
        name.display()
    );
    let line = towards(&mock, &line).replace("-p 40 ", "");
    let ended = Program::start(&format!("run {line}")).wait().expect(0);
    assert_eq!(settled(&mock).requests.numbered, 7);
    for record in ended.records("sent.jsonl") {
        assert_eq!(record["usage"]["prompt_tokens"], 147);
        assert_eq!(record["usage"]["completion_tokens"], 3);
    }
    let sent = bodies(&ended);
    let rows = place.read("p.jsonl");
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let asked = |body: &&Value| body["messages"][0]["content"] == row["prompt"];
        assert_eq!(sent.iter().filter(asked).count(), 1);
    }
}

#[test]
fn a_file_that_is_there_is_replaced_with_force_alone_and_nothing_is_left_half() {
    let place = place();
    place.write("p.jsonl", "mine");
    let words: Vec<&str> = GENERATE
        .into_iter()
        .chain(["-p", "60", "--output", "p.jsonl"])
        .collect();
    let ran = dataset(&place, &words);
    ran.expect(2);
    assert!(
        ran.stderr.contains("`p.jsonl` is there already"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: --force"), "{}", ran.stderr);
    assert_eq!(place.read("p.jsonl"), "mine");
    // Limericks have lines.
    let text: Vec<&str> = words
        .iter()
        .copied()
        .chain(["--force", "--format", "text"])
        .collect();
    let ran = dataset(&place, &text);
    ran.expect(2);
    assert!(
        ran.stderr.contains("prompt 1 has line breaks"),
        "{}",
        ran.stderr
    );
    assert_eq!(place.read("p.jsonl"), "mine");
    let forced: Vec<&str> = words.iter().copied().chain(["--force"]).collect();
    done(&place, &forced);
    assert_eq!(place.read("p.jsonl").lines().count(), 7);
    let names: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let place = place();
    place.write(
        "t.jsonl",
        "{\"timestamp\":0,\"input_length\":5,\"output_length\":6}\n",
    );
    for (words, what, hint) in [
        (
            "generate -c 1 -p 60 -o 5 --format json-list",
            "no output lengths",
            "--format jsonl",
        ),
        (
            "generate -c 1 -p 60 -d @p.jsonl",
            "is a data set already",
            "-d limericks",
        ),
        (
            "generate -c 1 -p 60 -d random --prompt x",
            "no instruction",
            "--prompt",
        ),
        ("generate -c 1 -p 3", "too short", "-p "),
        ("generate -c 1 -p 60 --chat", "--tokenizer", ""),
        ("inspect no.jsonl", "cannot read `no.jsonl`", ""),
        (
            "tokenize no.jsonl --tokenizer ./tokenizer.json",
            "no file `no.jsonl`",
            "standard input",
        ),
        (
            "tokenize word --limit 3 --tokenizer ./tokenizer.json",
            "data set files",
            "@FILE",
        ),
        (
            "tokenize t.jsonl --tokenizer ./tokenizer.json",
            "holds no text",
            "inspect",
        ),
        (
            "tokenize word --tokenizer ./none.json",
            "no tokenizer",
            "--tokenizer",
        ),
    ] {
        let ran = dataset(&place, &words.split(' ').collect::<Vec<_>>());
        ran.expect(2);
        assert!(ran.stderr.contains(what), "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{words}: {}", ran.stderr);
    }
}

#[test]
fn a_table_is_told_of_in_words() {
    let place = Place::new();
    place.write(
        "rows.csv",
        "id,question,max_tokens\n1,\"Why,\nand when?\",5\n2,,7\n3,Who is it?,\n4,Where?,9\n",
    );
    let told = done(&place, &["inspect", "rows.csv"]);
    insta::assert_snapshot!(told, @r#"
    rows.csv
      format          csv, by its name
      rows            3
      left out        1: the prompt is blank
      bytes           74
      SHA-256         853b18bfe185b024aab8272b4df780d935e947fdcb2f51dedc75885e8ffa3f46
      fields          id, question (the prompt), max_tokens
                            min       mean      p50      p95      max
      characters              6       10.0       10       14       14
      tokens                  2        4.0        4        6        6  by rule of thumb; --tokenizer counts
      max_tokens              5        7.0        5        9        9  in 2 rows
      row 1           "Why, and when?"
      row 2           "Who is it?"
      row 3           "Where?"
    "#);
    let limited = inspected(&place, &["rows.csv", "--limit", "1", "--column", "id"]);
    assert_eq!(
        (&limited["rows"], &limited["prompt_column"]),
        (&json!(1), &json!("id"))
    );
}

#[test]
fn a_trace_is_told_of_by_its_times_lengths_and_blocks() {
    let place = Place::new();
    let trace = |time: u32, input: u32, ids: &[u32]| {
        let row =
            json!({"timestamp": time, "input_length": input, "output_length": 20, "hash_ids": ids});
        format!("{row}\n")
    };
    let rows = [
        trace(0, 1_000, &[1, 2]),
        trace(500, 1_400, &[1, 2, 3]),
        trace(2_000, 90, &[4]),
    ];
    place.write("trace.jsonl", &rows.concat());
    let told = done(&place, &["inspect", "@trace.jsonl"]);
    insta::assert_snapshot!(told, @r#"
    trace.jsonl
      format          trace, by its first row
      rows            3
      bytes           219
      SHA-256         e1f200220489a01077e5bb484e220788167e1c59ef6bfab9b081c7a80325c980
      fields          timestamp, input_length, output_length, hash_ids
      span            2.000 s, 1.000 arrivals/s
      blocks          6, 2 of them seen before (33.3%)
                            min       mean      p50      p95      max
      input tokens           90      830.0     1000     1400     1400
      output tokens          20       20.0       20       20       20
      row 1           at 0.000000 s: 1000 tokens in, 20 out, 2 blocks
      row 2           at 0.500000 s: 1400 tokens in, 20 out, 3 blocks
      row 3           at 2.000000 s: 90 tokens in, 20 out, 1 block
    "#);
}

#[test]
fn conversations_are_told_of_turn_by_turn() {
    let place = Place::new();
    let talks = json!([
        {"conversations": [{"from": "human", "value": "One?"}, {"from": "gpt", "value": "1"}, {"from": "human", "value": "And two, please?"}]},
        {"conversations": [{"from": "human", "value": "Alone?"}]},
        {"conversations": [{"from": "tool", "value": "4"}]},
    ]);
    place.write("talks.json", &talks.to_string());
    let told = done(
        &place,
        &["inspect", "talks.json", "--format", "conversations"],
    );
    insta::assert_snapshot!(told, @r#"
    talks.json
      format          conversations
      rows            2
      left out        1: others speak than a person and a model, or not in text
      bytes           226
      SHA-256         8cdb9e7bff80121d23f958614278e9b8c0c417a61c773b6fede73bf62cd00371
      fields          conversations
                            min       mean      p50      p95      max
      turns                   1        1.5        1        2        2
      characters/turn         4        8.7        6       16       16
      tokens/turn             2        3.0        2        5        5  by rule of thumb; --tokenizer counts
      row 1           2 turns: "One?"
      row 2           1 turn: "Alone?"
    "#);
    let first = inspected(&place, &["talks.json"]);
    let why = json!({"one message alone": 1, "others speak than a person and a model, or not in text": 1});
    assert_eq!((&first["rows"], &first["left_out"]), (&json!(1), &why));
}

#[test]
fn tokens_are_counted_as_a_server_would() {
    let place = place();
    let with = ["--tokenizer", "./tokenizer.json"];
    let count = |words: &[&str]| {
        let words: Vec<&str> = ["tokenize"]
            .iter()
            .chain(words)
            .chain(&with)
            .copied()
            .collect();
        done(&place, &words)
    };
    assert_eq!(count(&["one two three"]), "3 tokens\n");
    assert_eq!(count(&["one two", "--ids"]), "2 tokens\n0 0\n");
    assert_eq!(
        count(&["one two", "--chat", "--ids"]),
        "5 tokens\n0 0 0 0 0\n"
    );
    let rows = "{\"prompt\":\"a b\"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d e\"}]}\n{\"input\":\"x\"}\n";
    place.write("rows.jsonl", rows);
    insta::assert_snapshot!(count(&["rows.jsonl", "--chat"]), @r#"
    row 1: 5 tokens
    row 2: 6 tokens
    row 3: not counted
    total: 3 rows, 11 tokens
    not counted: 1 (no plain text, or refused by the chat template)
    "#);
    insta::assert_snapshot!(count(&["@rows.jsonl", "--limit", "2", "--ids"]), @r#"
    row 1: 2 tokens
    0 0
    row 2: 3 tokens
    0 0 0
    total: 2 rows, 5 tokens
    "#);
    let mut command = place.command(crate::command::binary());
    let command = command.args(["dataset", "tokenize", "-"]).args(with);
    let input = fs::File::open(place.write("input", "of\nthree words")).unwrap();
    let output = command
        .current_dir(place.path())
        .stdin(input)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "3 tokens\n");
}
