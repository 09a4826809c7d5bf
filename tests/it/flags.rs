//! What single options do to the requests that a server gets, and to the result: from the command line to the wire.
//! Where they land in the plan is the business of the configuration's own tests.

use std::collections::BTreeSet;
use std::fs;

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Ended, Program, faulty_mock, quick_mock, settled, shared};
use crate::providers::in_turn;
use crate::server::{Answer, Server};
use crate::tiny;

/// What a body has at a JSON pointer; `Null` for nothing.
type Place = (&'static str, Value);

/// Runs with `line` to its end, in a folder with a tokenizer and the files that the rows name.
fn run(url: &str, line: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path());
    for (name, text) in [
        ("said.txt", "one\ntwo two\n"),
        (
            "said.jsonl",
            "{\"text\":\"one\"}\n{\"text\":\"two\\ntwo\"}\n",
        ),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let line = format!(
        "run -H {url} -m mock --seed 7 -r 1000 --start-spread 0s --threads 1 --no-reset-stats --only-summary \
         --show-request --json-file result.json {line}"
    );
    Program::start_in(folder.into(), &line).wait()
}

fn url(mock: &MockHandle) -> String {
    format!("http://{}", mock.addr())
}

/// The bodies that were sent, in the order of their sending.
fn bodies(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.lines();
    lines
        .filter_map(|line| serde_json::from_str(&line[line.find("{\"")?..]).ok())
        .collect()
}

/// The bodies of a run that all goes well, as many as the server got.
fn sent(line: &str) -> Vec<Value> {
    let mock = spawn_thread(
        Script {
            ttft: "1ms".parse().unwrap(),
            inter_token: "0ms".parse().unwrap(),
            ..Script::default()
        },
        1,
    )
    .unwrap();
    let ended = run(&url(&mock), line).expect(0);
    let bodies = bodies(&ended);
    let seen = settled(&mock).requests;
    assert_eq!(
        bodies.len() as u64,
        seen.numbered,
        "{line}\n{}",
        ended.stderr
    );
    assert_eq!(seen.refused, 0, "{line}");
    bodies
}

/// Options, and what the body of a request has then.
fn rows() -> Vec<(&'static str, Vec<Place>)> {
    let mut rows = openai();
    rows.extend(fireworks());
    rows.extend(dialects());
    rows.extend(vectors());
    rows
}

fn openai() -> Vec<(&'static str, Vec<Place>)> {
    let nothing = [
        "/top_k",
        "/n",
        "/logprobs",
        "/top_logprobs",
        "/reasoning_effort",
        "/ignore_eos",
        "/min_tokens",
        "/prompt",
        "/prompt_cache_max_len",
        "/perf_metrics_in_response",
        "/forced_generation",
    ];
    let mut bare = vec![
        ("/model", json!("mock")),
        ("/max_tokens", json!(64)),
        ("/temperature", json!(1.0)),
        ("/stream", json!(true)),
        ("/stream_options", json!({"include_usage": true})),
        ("/messages/0/role", json!("user")),
        ("/messages/1", Value::Null),
    ];
    bare.extend(nothing.map(|place| (place, Value::Null)));
    vec![
        ("--provider openai", bare),
        (
            "--provider openai -m other",
            vec![("/model", json!("other"))],
        ),
        ("--provider openai -o 9", vec![("/max_tokens", json!(9))]),
        (
            "--provider openai --temperature 0.5",
            vec![("/temperature", json!(0.5))],
        ),
        (
            "--provider openai --temperature 0",
            vec![("/temperature", json!(0.0))],
        ),
        ("--provider openai --top-k 5", vec![("/top_k", json!(5))]),
        ("--provider openai --n 2", vec![("/n", json!(2))]),
        ("--provider openai -n 3 --no-chat", vec![("/n", json!(3))]),
        (
            "--provider openai --logprobs 2",
            vec![("/logprobs", json!(true)), ("/top_logprobs", json!(2))],
        ),
        (
            "--provider openai --logprobs 2 --no-chat",
            vec![("/logprobs", json!(2)), ("/top_logprobs", Value::Null)],
        ),
        (
            "--provider openai --reasoning-effort low",
            vec![("/reasoning_effort", json!("low"))],
        ),
        (
            "--provider openai --reasoning-effort none",
            vec![("/reasoning_effort", json!("none"))],
        ),
        (
            "--provider openai --no-stream",
            vec![("/stream", json!(false)), ("/stream_options", Value::Null)],
        ),
        (
            "--provider openai --no-chat --prompt-text Hello",
            vec![("/prompt", json!("Hello")), ("/messages", Value::Null)],
        ),
        (
            "--provider openai --prompt-text Hello",
            vec![("/messages", json!([{"role": "user", "content": "Hello"}]))],
        ),
    ]
}

fn fireworks() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        ("--provider vllm", vec![("/ignore_eos", json!(true))]),
        ("--provider sglang", vec![("/ignore_eos", json!(true))]),
        (
            "--provider fireworks",
            vec![
                ("/perf_metrics_in_response", json!(true)),
                ("/prompt_cache_max_len", Value::Null),
                ("/min_tokens", Value::Null),
                ("/acceptance_probs_override", Value::Null),
                ("/forced_generation", Value::Null),
            ],
        ),
        (
            "--provider fireworks -pcml 7",
            vec![("/prompt_cache_max_len", json!(7))],
        ),
        (
            "--provider fireworks --no-chat -pcml 7",
            vec![
                ("/prompt_cache_max_len", json!(7)),
                ("/perf_metrics_in_response", json!(true)),
            ],
        ),
        (
            "--provider vllm -pcml 7",
            vec![("/prompt_cache_max_len", Value::Null)],
        ),
        (
            "--provider fireworks --force-min-tokens -o 9",
            vec![("/min_tokens", json!(9)), ("/max_tokens", json!(9))],
        ),
        (
            "--provider fireworks --acceptance-probs-override [0.5,1,0]",
            vec![("/acceptance_probs_override", json!([0.5, 1.0, 0.0]))],
        ),
        (
            "--provider fireworks --forced-generation-file said.txt --max-requests 1",
            vec![("/forced_generation", json!("one"))],
        ),
    ]
}

fn dialects() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        (
            "--provider together --no-chat",
            vec![
                ("/ignore_eos", json!(true)),
                ("/stream_tokens", json!(true)),
                ("/stream", Value::Null),
            ],
        ),
        (
            "--provider tgi --top-k 5 --logprobs 2 -o 9 --temperature 0.5",
            vec![(
                "/parameters",
                json!({"max_new_tokens": 9, "details": true, "do_sample": true, "temperature": 0.5, "top_k": 5, "top_n_tokens": 2}),
            )],
        ),
        (
            "--provider triton-infer --no-chat --no-stream -o 9 --prompt-text Hello",
            vec![
                (
                    "/inputs/0",
                    json!({"name": "text_input", "datatype": "BYTES", "shape": [1, 1], "data": [["Hello"]]}),
                ),
                (
                    "/inputs/1",
                    json!({"name": "max_tokens", "datatype": "UINT32", "shape": [1, 1], "data": [[9]]}),
                ),
            ],
        ),
        (
            "--provider triton-generate --no-chat -o 9 --prompt-text Hello --temperature 0.5",
            vec![
                ("/text_input", json!("Hello")),
                ("/max_tokens", json!(9)),
                ("/stream", json!(true)),
                ("/temperature", json!(0.5)),
                ("/bad_words", json!("")),
                ("/stop_words", json!("")),
            ],
        ),
        (
            "--provider ollama -o 9 --temperature 0.5 --top-k 5",
            vec![
                ("/options/num_predict", json!(9)),
                ("/options/temperature", json!(0.5)),
                ("/options/top_k", json!(5)),
                ("/stream", json!(true)),
            ],
        ),
        (
            "--provider llama.cpp --no-chat -o 9 --top-k 5",
            vec![
                ("/n_predict", json!(9)),
                ("/ignore_eos", json!(true)),
                ("/top_k", json!(5)),
            ],
        ),
        (
            "--provider responses -o 9 --reasoning-effort low",
            vec![
                ("/max_output_tokens", json!(9)),
                ("/reasoning/effort", json!("low")),
                ("/store", json!(false)),
            ],
        ),
        (
            "--provider anthropic -o 9 --top-k 5",
            vec![("/max_tokens", json!(9)), ("/top_k", json!(5))],
        ),
    ]
}

fn vectors() -> Vec<(&'static str, Vec<Place>)> {
    vec![
        (
            "--provider openai --embeddings --prompt-text Hello",
            vec![
                ("/normalize", json!(false)),
                ("/dimensions", Value::Null),
                ("/prompt_template", Value::Null),
                ("/return_logits", Value::Null),
                ("/max_tokens", Value::Null),
                ("/stream", Value::Null),
            ],
        ),
        (
            "--provider openai --embeddings --normalize --embeddings-dimensions 8 --embeddings-prompt-template q:{text} --return-logits 3 4",
            vec![
                ("/normalize", json!(true)),
                ("/dimensions", json!(8)),
                ("/prompt_template", json!("q:{text}")),
                ("/return_logits", json!([3, 4])),
            ],
        ),
        (
            "--provider fireworks --embeddings --return-logits",
            vec![("/return_logits", json!([]))],
        ),
        (
            "--provider vllm --embeddings --normalize",
            vec![
                ("/use_activation", json!(true)),
                ("/normalize", Value::Null),
            ],
        ),
        (
            "--provider openai --rerank",
            vec![
                ("/query", json!("Find the most relevant document.")),
                ("/top_n", Value::Null),
                ("/return_documents", Value::Null),
                ("/max_tokens", Value::Null),
            ],
        ),
        (
            "--provider openai --rerank --rerank-query which --rerank-top-n 3 --no-rerank-return-documents",
            vec![
                ("/query", json!("which")),
                ("/top_n", json!(3)),
                ("/return_documents", json!(false)),
            ],
        ),
    ]
}

#[test]
fn options_stand_in_the_body_under_the_apis_own_names() {
    let _shared = shared();
    in_turn(&rows(), |(line, places)| {
        // A row may say otherwise.
        let bodies = sent(&format!("-u 1 --max-requests 2 {line}"));
        for body in &bodies {
            for (place, value) in places {
                let found = body.pointer(place).unwrap_or(&Value::Null);
                assert_eq!(found, value, "{line}: {place} in {body:#}");
            }
        }
    });
}

/// The text of each request's last message.
fn texts(bodies: &[Value]) -> Vec<&str> {
    let last = |body: &'_ Value| {
        body.pointer("/messages/0/content")
            .and_then(Value::as_str)
            .is_some()
    };
    assert!(bodies.iter().all(last), "{bodies:#?}");
    bodies
        .iter()
        .filter_map(|body| body["messages"][0]["content"].as_str())
        .collect()
}

fn common(one: &str, other: &str) -> usize {
    one.bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count()
}

const FOUR: &str = "--provider openai -u 1 --max-requests 4";

#[test]
fn prompts_are_as_long_as_the_tokenizer_says_and_end_with_the_instruction() {
    let _shared = shared();
    for (line, end) in [
        ("", "Translate every limerick above to Spanish."),
        ("-d code", "Translate all the code above to C++."),
        ("--prompt Sing", "Sing"),
    ] {
        let bodies = sent(&format!("{FOUR} --tokenizer tiny -p 300 {line}"));
        let texts = texts(&bodies);
        for text in &texts {
            assert!(text.ends_with(end), "{line}: {text}");
            // A token is a letter, and the chat template has four of its own.
            assert_eq!(text.len() + 4, 300, "{line}: {text}");
        }
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 4, "{line}");
    }
}

#[test]
fn prompts_share_the_beginning_that_is_asked_for_and_no_more() {
    let _shared = shared();
    for (line, shared) in [("-pcml 200", 200), ("", 0)] {
        let bodies = sent(&format!("{FOUR} --tokenizer tiny -p 600 {line}"));
        let texts = texts(&bodies);
        for pair in texts.windows(2) {
            // Three of the tokens stand before the content.
            let common = common(pair[0], pair[1]) + 3;
            // Limericks begin alike, some with a dozen letters.
            assert!(
                (shared..shared + 60).contains(&common),
                "{line}: {common}\n{pair:#?}"
            );
        }
    }
    let line = "--provider openai -u 1 --max-requests 20 --tokenizer tiny -p 600 -pcml 200 --prefix-groups 3";
    let bodies = sent(line);
    let beginnings: BTreeSet<&str> = texts(&bodies).iter().map(|text| &text[..190]).collect();
    assert_eq!(beginnings.len(), 3);
}

#[test]
fn texts_have_the_characters_and_the_random_beginning_that_are_asked_for() {
    let _shared = shared();
    for chars in [30, 3000] {
        let bodies = sent(&format!("{FOUR} --prompt-chars {chars}"));
        assert!(
            texts(&bodies)
                .iter()
                .all(|text| text.chars().count() == chars)
        );
    }
    let bodies = sent(&format!("{FOUR} --prompt-text Hello"));
    assert_eq!(texts(&bodies), ["Hello"; 4]);
    let bodies = sent(&format!("{FOUR} --prompt-text Hello --prompt-randomize"));
    let texts = texts(&bodies);
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 4, "{texts:?}");
    assert!(
        texts
            .iter()
            .all(|text| text.ends_with("Hello") && *text != "Hello")
    );
}

#[test]
fn images_stand_where_they_are_asked_to() {
    let _shared = shared();
    for (line, types) in [
        ("", vec!["text", "image_url", "text", "image_url", "text"]),
        (
            "--prompt-images-positioning end",
            vec!["text", "image_url", "image_url"],
        ),
    ] {
        let line = format!("{FOUR} --prompt-images-with-resolutions 50x60 7x8 {line}");
        for body in sent(&line) {
            let parts = body["messages"][0]["content"].as_array().unwrap();
            let found: Vec<_> = parts
                .iter()
                .map(|part| part["type"].as_str().unwrap())
                .collect();
            assert_eq!(found, types, "{line}");
            let urls = parts
                .iter()
                .filter_map(|part| part.pointer("/image_url/url")?.as_str());
            let sizes: Vec<_> = urls.map(size).collect();
            assert_eq!(sizes, [(50, 60), (7, 8)]);
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            assert!(texts.map(str::len).sum::<usize>() > 500);
        }
    }
}

/// The width and the height of a JPEG in a data URI.
fn size(uri: &str) -> (u16, u16) {
    use base64::Engine as _;
    let data = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data)
        .unwrap();
    // The start of a frame: marker, length, bits of a sample, height, width.
    let frame = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    let number = |at: usize| u16::from_be_bytes([bytes[frame + at], bytes[frame + at + 1]]);
    (number(7), number(5))
}

#[test]
fn the_model_is_made_to_say_the_texts_of_a_file_in_turn_or_text_of_the_corpus() {
    let _shared = shared();
    let fireworks = "--provider fireworks -u 1 --max-requests 4";
    let forced = |line: &str| -> Vec<String> {
        let bodies = sent(&format!("{fireworks} {line}"));
        let text = |body: &Value| body["forced_generation"].as_str().unwrap().to_owned();
        bodies.iter().map(text).collect()
    };
    assert_eq!(
        forced("--forced-generation-file said.txt"),
        ["one", "two two", "one", "two two"]
    );
    assert_eq!(
        forced("--forced-generation-file said.jsonl"),
        ["one", "two\ntwo", "one", "two\ntwo"]
    );
    let corpus = forced("--forced-generation-from-dataset --tokenizer tiny -o 70");
    assert!(corpus.iter().all(|text| text.len() == 70), "{corpus:#?}");
    assert!(
        corpus.iter().collect::<BTreeSet<_>>().len() > 1,
        "{corpus:#?}"
    );
}

#[test]
fn requests_for_numbers_hold_as_many_texts_as_is_asked_for() {
    let _shared = shared();
    for (line, place, count) in [
        ("--embeddings", "input", 1),
        ("--embeddings --embeddings-batch-size 3", "input", 3),
        ("--rerank --num-documents 4", "documents", 4),
        ("--rerank --tokens-per-document 60", "documents", 10),
        (
            "--rerank --num-documents 2 --tokens-per-document 30",
            "documents",
            2,
        ),
    ] {
        let bodies = sent(&format!("{FOUR} --tokenizer tiny -p 120 {line}"));
        let mut all = BTreeSet::new();
        for body in &bodies {
            let texts = match &body[place] {
                Value::Array(texts) => texts.clone(),
                text => vec![text.clone()],
            };
            assert_eq!(texts.len(), count, "{line}: {body}");
            for text in texts {
                let text = text.as_str().unwrap().to_owned();
                let length = match line.rsplit_once("document ") {
                    Some((_, tokens)) => tokens.parse().unwrap(),
                    // The prompt's length, dealt evenly.
                    None if place == "documents" => 120 / 4,
                    None => 120,
                };
                assert_eq!(text.len(), length, "{line}: {text}");
                all.insert(text);
            }
        }
        assert_eq!(all.len(), 4 * count, "{line}: no text comes twice");
    }
    let bodies = sent(&format!("{FOUR} --rerank -p 400"));
    let paragraphs = |body: &Value| body["documents"].as_array().unwrap().len();
    assert!(
        bodies.iter().map(paragraphs).all(|count| count > 2),
        "{bodies:#?}"
    );
}

#[test]
fn output_lengths_are_drawn_as_their_law_and_their_bounds_say() {
    let _shared = shared();
    let drawn = |line: &str| -> Vec<u64> {
        let bodies = sent(&format!(
            "--provider openai -u 1 --max-requests 60 -p 40 {line}"
        ));
        bodies
            .iter()
            .map(|body| body["max_tokens"].as_u64().unwrap())
            .collect()
    };
    let rows = [
        (
            "-o 100 --max-tokens-distribution uniform --max-tokens-range 0.5",
            50,
            150,
            60,
        ),
        ("-o 100 --max-tokens-distribution uniform", 70, 130, 40),
        (
            "-o 100 --max-tokens-distribution normal --max-tokens-range 0.2",
            20,
            180,
            50,
        ),
        (
            "-o 100 --max-tokens-distribution exponential --max-tokens-cap 80",
            1,
            80,
            40,
        ),
        (
            "-o 100 --max-tokens-distribution normal --max-tokens-cap 105",
            1,
            105,
            30,
        ),
        ("-o 100 --max-tokens-jitter 5", 95, 105, 6),
        ("-o 100", 100, 100, 0),
    ];
    in_turn(&rows, |&(line, least, most, width)| {
        let lengths = drawn(line);
        let (shortest, longest) = (
            *lengths.iter().min().unwrap(),
            *lengths.iter().max().unwrap(),
        );
        assert!(shortest >= least && longest <= most, "{line}: {lengths:?}");
        assert!(longest - shortest >= width, "{line}: {lengths:?}");
        assert_eq!(lengths, drawn(line), "{line}: the same seed draws the same");
    });
}

#[test]
fn headers_travel_with_every_request_as_they_were_typed() {
    let _shared = shared();
    let server = Server::start(Answer::Echo);
    let line = "--provider openai -u 1 --max-requests 3 --header X-One:a:b --header X-Two:c -k hunter2hunter2";
    run(&server.url(), line).expect(0);
    let heads = server.heads();
    let posts: Vec<_> = heads
        .iter()
        .filter(|head| head.starts_with("POST /v1/chat/completions"))
        .collect();
    assert_eq!(posts.len(), 3, "{heads:#?}");
    for head in posts {
        let lower = head.to_ascii_lowercase();
        for line in [
            "\r\nx-one: a:b\r\n",
            "\r\nx-two: c\r\n",
            "\r\nauthorization: bearer hunter2hunter2\r\n",
        ] {
            assert!(lower.contains(line), "{line:?} in {head}");
        }
    }
}

#[test]
fn the_first_token_is_the_first_visible_one_where_that_is_asked_for() {
    let _shared = shared();
    let script = Script {
        ttft: "30ms".parse().unwrap(),
        inter_token: "30ms".parse().unwrap(),
        reasoning_tokens: 3,
        ..Script::default()
    };
    for (option, least, most) in [("", 29.9, 80.0), ("--first-visible-token", 119.9, 170.0)] {
        let mock = spawn_thread(script.clone(), 1).unwrap();
        let ended = run(&url(&mock), &format!("{FOUR} -o 6 {option}")).expect(0);
        let ttft = ended.result().number("/metrics/ttft_ms/p50");
        assert!((least..most).contains(&ttft), "{option}: {ttft}");
        let block = ended
            .stdout
            .lines()
            .find(|line| line.starts_with("Time To First Token"));
        let told: f64 = block.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!((least..most + 40.0).contains(&told), "{option}: {told}");
        let output = ended.result().number("/metrics/ttfo_ms/p50");
        assert!((119.9..170.0).contains(&output), "{output}");
    }
}

#[test]
fn goodput_counts_the_requests_that_keep_all_objectives() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["slow-start=0.4:700ms"]);
    let line =
        "--provider openai -u 10 -o 5 --max-requests 40 --slo ttft<600ms --slo latency:p50<90s";
    let report = run(&url(&mock), line).expect(0).result();
    let slow = settled(&mock).faults["slow-start"];
    assert!((5..=30).contains(&slow), "{slow}");
    #[expect(clippy::cast_precision_loss, reason = "forty")]
    let good = (40 - slow) as f64;
    assert!((report.number("/measured/goodput_ratio") - good / 40.0).abs() < 1e-9);
    let per_s = good / report.number("/window/length_s");
    assert!((report.number("/measured/goodput_per_s") - per_s).abs() < 1e-6 * per_s);
    let first = report.at("/objectives/0");
    assert_eq!(
        (
            &first["objective"],
            &first["requests_met"],
            &first["requests"]
        ),
        (&json!("ttft<600ms"), &json!(40 - slow), &json!(40))
    );
    assert_eq!(report.at("/objectives/1/met"), true);
    assert_eq!(report.at("/objectives/1/metric"), "latency_ms");
    let report = run(&url(&quick_mock()), FOUR).expect(0).result();
    assert!(report.at("/measured/goodput_ratio").is_null());
}
