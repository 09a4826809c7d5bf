//! `llmload gen` and `llmload prefill` as processes: their tables against servers whose times are known, and how they fail.

use std::collections::BTreeMap;

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::Place;
use crate::process::{Ended, Program, alone, faulty_mock, settled, shared};
use crate::server::{Answer, Server};
use crate::tiny;

/// Runs `llmload` with `line` in a folder with a tokenizer.
fn run(line: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path());
    Program::start_in(folder.into(), line).wait()
}

/// A server of `owner`, with 10 ms to the first token and 10,000 prompt tokens a second before it.
fn server(owner: &str, inter_token: &str) -> MockHandle {
    let script = Script {
        owned_by: owner.to_owned(),
        ttft: "10ms".parse().unwrap(),
        inter_token: inter_token.parse().unwrap(),
        prefill_rate: Some(10_000.0),
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

/// The rows of a table in CSV, below the header that must be there.
#[track_caller]
fn rows<'a>(ended: &'a Ended, header: &str) -> Vec<Vec<&'a str>> {
    let mut lines = ended.stdout.lines();
    assert_eq!(lines.next(), Some(header), "{}", ended.stdout);
    lines.map(|line| line.split(',').collect()).collect()
}

#[track_caller]
fn seconds(cell: &str) -> f64 {
    let (_, digits) = cell.split_once('.').unwrap();
    assert_eq!(digits.len(), 6, "{cell}");
    cell.parse().unwrap()
}

const GEN: &str = "seq_len,batch_size,latency_per_forward";
const PREFILL: &str = "prompt_tokens,cached_tokens,num_prompts,server_duration,client_duration,server_prompt_tokens,server_cached_tokens";

#[test]
fn a_forward_pass_takes_what_the_server_says_of_its_generation() {
    let _shared = shared();
    let mock = server("fireworks", "1ms");
    let line = "--tokenizer tiny -p 250:2,300:1,300:4 --max-tokens 201";
    let ended = run(&format!("gen -H http://{} {line} -f csv", mock.addr())).expect(0);
    let rows = rows(&ended, GEN);
    let pairs: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(
        pairs,
        [("300", "4"), ("300", "1"), ("250", "2")],
        "the largest first"
    );
    for row in &rows {
        // 200 gaps for 201 passes.
        let latency = seconds(row[2]);
        assert!((latency - 0.001).abs() < 1e-5, "{latency}");
    }
    let seen = settled(&mock);
    // One more for each length, that makes no token.
    assert_eq!(seen.requests.by_path["/v1/completions"], 3 + 2);
    assert_eq!(
        (seen.wholes.completed, seen.sent.tokens),
        (5, 201 * (4 + 1 + 2))
    );
    assert!(!ended.stderr.contains("the client's"), "{}", ended.stderr);

    let table = run(&format!("gen -H http://{} {line}", mock.addr()))
        .expect(0)
        .stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "| seq_len | batch_size | latency_per_forward |");
    let last: Vec<&str> = lines[lines.len() - 1].split('|').map(str::trim).collect();
    assert_eq!(last, ["", "250", "2", rows[2][2], ""], "{table}");
}

#[test]
fn all_lengths_are_tried_with_all_batches_within_the_cache() {
    let _shared = shared();
    let mock = server("fireworks", "0ms");
    let line = "--tokenizer tiny --min-seq-len 60 --max-seq-len 250 --max-batch-size 3 --max-tokens 10 --max-kv-cache-entries 400";
    let ended = run(&format!("gen -H http://{} {line} -f csv", mock.addr())).expect(0);
    let rows = rows(&ended, GEN);
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| format!("{}:{}", row[0], row[1]))
        .collect();
    // 250 × 2 and 130 × 4 would be too much; a length is twice the one before.
    assert_eq!(
        pairs,
        ["240:1", "120:3", "120:2", "120:1", "60:3", "60:2", "60:1"]
    );
}

#[test]
fn a_prefill_takes_what_the_server_says() {
    let _shared = shared();
    let mock = server("fireworks", "1ms");
    let line = "--tokenizer tiny -s 400:0,400:200 --min-tokens-to-batch 800";
    let ended = run(&format!("prefill -H http://{} {line} -f csv", mock.addr())).expect(0);
    let rows = rows(&ended, PREFILL);
    // 10 ms, and 0.1 ms for each token of all prompts.
    let expected = [
        ["400", "0", "2", "0.090000", "800", "0"],
        ["400", "200", "4", "0.170000", "1600", "200"],
    ];
    assert_eq!(rows.len(), expected.len(), "{}", ended.stdout);
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!([row[0], row[1], row[2], row[3], row[5], row[6]], expected);
        let (server, client) = (seconds(row[3]), seconds(row[4]));
        assert!(
            client >= server - 0.002 && client < server + 5.0,
            "{client}"
        );
    }
    assert_eq!(settled(&mock).sent.tokens, 0);

    let table = run(&format!("prefill -H http://{} {line}", mock.addr()))
        .expect(0)
        .stdout;
    let (first, stages) = table.split_once("\n\n").unwrap();
    assert!(
        first.starts_with("| prompt_tokens | cached_tokens | num_prompts | server_duration |"),
        "{table}"
    );
    let header: Vec<_> = stages
        .lines()
        .next()
        .unwrap()
        .split('|')
        .map(str::trim)
        .collect();
    assert_eq!(
        header[1..8],
        [
            "prompt_tokens",
            "cached_tokens",
            "tokenizer_queue",
            "tokenizer",
            "prefill_queue",
            "prefill",
            "generation_queue"
        ]
    );
    let last: Vec<_> = stages
        .lines()
        .last()
        .unwrap()
        .split('|')
        .map(str::trim)
        .collect();
    assert_eq!(
        last[1..8],
        [
            "400", "200", "0.000000", "0.000000", "0.000000", "0.170000", "0.000000"
        ]
    );
}

#[test]
fn a_server_that_tells_nothing_is_timed_by_the_client_which_says_so() {
    let _alone = alone();
    let mock = server("vllm", "4ms");
    let line = "--tokenizer tiny -p 200:2 --max-tokens 51 -f csv";
    let ended = run(&format!("gen -H http://{} {line}", mock.addr())).expect(0);
    let rows_of_gen = rows(&ended, GEN);
    let latency = seconds(rows_of_gen[0][2]);
    assert!((latency - 0.004).abs() < 0.0004, "{latency}");
    assert!(
        ended.stderr.contains("these are the client's"),
        "{}",
        ended.stderr
    );
    let seen = settled(&mock);
    // It refuses a request for 0 tokens; one for 1 token warms it up, and another is taken off.
    assert_eq!((seen.requests.numbered, seen.requests.refused), (4, 1));
    assert_eq!(seen.sent.tokens, 1 + 2 * 51 + 2);

    let line = "--tokenizer tiny -s 400:0,400:200 --min-tokens-to-batch 400 -f csv";
    let ended = run(&format!("prefill -H http://{} {line}", mock.addr())).expect(0);
    let rows = rows(&ended, PREFILL);
    let told: Vec<_> = rows
        .iter()
        .map(|row| [row[2], row[3], row[5], row[6]])
        .collect();
    assert_eq!(told, [["1", "", "400", ""], ["2", "", "800", ""]]);
    for (row, least) in rows.iter().zip([0.05, 0.09]) {
        let client = seconds(row[4]);
        assert!((least - 0.002..least + 0.5).contains(&client), "{client}");
    }
    for words in ["asking for 1", "client_duration is all that is known"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert_eq!(settled(&mock).requests.refused, 2);
}

/// The value of a header; nothing where it is not sent.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value)
}

/// The worker that a request names: its server, and the generator there.
fn worker(head: &str) -> (String, String) {
    let index = |which| {
        header(head, &format!("x-fireworks-generator-worker-{which}-index"))
            .unwrap()
            .to_owned()
    };
    (index("service"), index("local"))
}

#[test]
fn each_of_several_workers_is_named_in_turn() {
    let _shared = shared();
    let server = Server::start(Answer::Complete(20));
    let line = "--model m --tokenizer tiny --num-servers 2 --num-gens 2 -f csv";
    let ended = run(&format!(
        "gen -H {} {line} -p 100:6 --max-tokens 20",
        server.url()
    ))
    .expect(0);
    assert_eq!(rows(&ended, GEN).len(), 1);
    let requests: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|(head, _)| head.starts_with("POST"))
        .collect();
    let (warm_up, rest) = requests.split_at(64);
    let mut counts = BTreeMap::new();
    for (head, _) in warm_up {
        *counts.entry(worker(head)).or_insert(0) += 1;
    }
    assert!(
        counts.len() == 4 && counts.values().all(|&count| count == 16),
        "{counts:?}"
    );
    let first: Vec<_> = warm_up[..4].iter().map(|(head, _)| worker(head)).collect();
    let named = [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")];
    assert_eq!(
        first,
        named.map(|(a, b)| (a.to_owned(), b.to_owned())),
        "servers vary first"
    );
    let bodies: Vec<(Value, &str)> = rest
        .iter()
        .map(|(head, body)| (serde_json::from_str(body).unwrap(), head.as_str()))
        .collect();
    let long: Vec<_> = bodies
        .iter()
        .filter(|(body, _)| body["max_tokens"] == 20)
        .collect();
    let mut users: Vec<_> = long
        .iter()
        .map(|(body, head)| (body["user"].as_str().unwrap(), worker(head)))
        .collect();
    users.sort();
    let users: Vec<_> = users
        .iter()
        .map(|(user, (a, b))| format!("{user} {a}{b}"))
        .collect();
    assert_eq!(users, ["0 00", "1 10", "2 01", "3 11", "4 00", "5 10"]);
    for (body, _) in long {
        assert_eq!(
            (&body["n"], &body["stream"]),
            (&Value::from(1), &Value::from(false))
        );
        let prompt: Vec<u64> = body["prompt"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap())
            .collect();
        assert_eq!(prompt.len(), 80);
        let [before, after] = tiny::AROUND;
        assert!(
            prompt.starts_with(before) && prompt.ends_with(after),
            "{prompt:?}"
        );
    }
}

#[test]
fn prompts_of_a_prefill_are_dealt_over_the_workers_and_share_what_is_cached() {
    let _shared = shared();
    let server = Server::start(Answer::Complete(1));
    let line =
        "--model m --tokenizer tiny --num-servers 3 -s 100:60 --min-tokens-to-batch 200 -f csv";
    let ended = run(&format!("prefill -H {} {line}", server.url())).expect(0);
    assert_eq!(rows(&ended, PREFILL)[0][..3], ["100", "60", "5"]);
    let requests: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|(head, _)| head.starts_with("POST"))
        .collect();
    let parsed = |(head, body): &(String, String)| {
        (worker(head).0, serde_json::from_str::<Value>(body).unwrap())
    };
    let mut last: Vec<_> = requests[64..].iter().map(parsed).collect();
    assert_eq!(last.len(), 6, "one to warm each, and one each");
    let warm: Vec<_> = last.drain(..3).collect();
    last.sort_by(|one, other| one.0.cmp(&other.0));
    let counts: Vec<_> = last
        .iter()
        .map(|(_, body)| body["prompt"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [2, 2, 1]);
    let cached = warm[0].1["prompt"].as_array().unwrap();
    assert_eq!(
        (cached.len(), &warm[0].1, &warm[1].0),
        (61, &warm[1].1, &"1".to_owned())
    );
    let mut rests = Vec::new();
    for (_, body) in &last {
        assert_eq!(
            (&body["max_tokens"], &body["prompt_cache_max_len"]),
            (&Value::from(0), &Value::from(60))
        );
        assert_eq!(
            (&body["user"], &body["temperature"]),
            (&Value::from("0"), &Value::from(0))
        );
        for prompt in body["prompt"].as_array().unwrap() {
            let ids = prompt.as_array().unwrap();
            assert_eq!((ids.len(), &ids[..60]), (100, &cached[..60]));
            rests.push(ids[60..].to_vec());
        }
    }
    let all = rests.len();
    rests.sort_by_key(|rest| format!("{rest:?}"));
    rests.dedup();
    assert_eq!(rests.len(), all, "what is not cached is new each time");
}

#[test]
fn what_cannot_be_done_is_said_with_a_way_out() {
    let _shared = shared();
    let mock = server("fireworks", "0ms");
    let url = format!("http://{}", mock.addr());
    for (line, words) in [
        (
            "gen --tokenizer org/none -p 100:1",
            vec!["no tokenizer `org/none`", "hf download org/none"],
        ),
        (
            "prefill --tokenizer ./none -s 100:0",
            vec!["no tokenizer `./none`"],
        ),
        (
            "gen --tokenizer tiny",
            vec!["nobody tells how long", "--max-seq-len N"],
        ),
        (
            "gen --tokenizer tiny -p 100:1 --max-tokens 99",
            vec![
                "a sequence of 100 tokens (batch 1) has no room",
                "--max-tokens",
            ],
        ),
        (
            "gen --tokenizer tiny -p 100-1",
            vec!["`100-1` is not a pair", "-p 2000:1,2000:8"],
        ),
        ("gen --tokenizer tiny -p 0:1", vec!["error:"]),
        (
            "gen --tokenizer tiny -p 200:0",
            vec!["a batch of 0 cannot be sent", "1 to 65536"],
        ),
        (
            "prefill --tokenizer tiny -s 100:100",
            vec!["of 100 tokens 100 cannot be cached"],
        ),
        (
            "prefill --tokenizer tiny -s 2:0",
            vec!["shorter than the chat template", "at least 5 tokens"],
        ),
    ] {
        let (command, rest) = line.split_once(' ').unwrap();
        let ended = run(&format!("{command} -H {url} {rest}")).expect(2);
        for word in words {
            assert!(
                ended.stderr.contains(word),
                "{line}: {word}\n{}",
                ended.stderr
            );
        }
        assert_eq!(ended.stdout, "", "{line}");
    }
    assert_eq!(settled(&mock).requests.numbered, 0);
    let nobody = run("gen -H http://127.0.0.1:1 --tokenizer tiny -p 200:1").expect(2);
    assert!(
        nobody
            .stderr
            .contains("cannot ask `http://127.0.0.1:1/v1/models`"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn a_key_travels_with_each_request_and_is_never_shown() {
    let _shared = shared();
    let place = Place::new();
    tiny::write(place.path());
    for status in [401, 503] {
        let server = Server::start(Answer::Refuse(status));
        let url = server.url();
        for (variable, option) in [("API_KEY", ""), ("FIREWORKS_API_KEY", ""), ("", "-k")] {
            let line = "gen --model m --tokenizer tiny -p 200:1 --retries 0";
            let mut args: Vec<&str> = line.split(' ').collect();
            let mut variables = vec![("FIREWORKS_BASE_URL", url.as_str())];
            if option.is_empty() {
                variables.push((variable, "hunter2hunter2"));
            } else {
                args.extend([option, "hunter2hunter2"]);
            }
            let ran = place.run_with(&args, &variables);
            let head = server.heads().pop().unwrap();
            assert!(head.starts_with("POST /v1/completions"), "{head}");
            assert_eq!(
                header(&head, "authorization"),
                Some("Bearer hunter2hunter2")
            );
            ran.expect(1);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains("wrong key"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn what_fails_is_sent_again_as_often_as_is_asked_for() {
    let _shared = shared();
    let mock = faulty_mock("1ms", "0ms", &["status=1:503"]);
    let line = "--tokenizer tiny -p 200:1 --retries 2 --retry-delay 0";
    let ended = run(&format!("gen -H http://{} {line}", mock.addr())).expect(1);
    // One for no tokens, which this server never takes; then one and two more.
    assert_eq!(settled(&mock).requests.numbered, 1 + 3, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("once more in 0 s (1 left)"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("error: status 503"),
        "{}",
        ended.stderr
    );
}
