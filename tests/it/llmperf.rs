//! `token-benchmark` from outside: prompts, both files, the console, interruptions, failures, a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use llmload::mock::MockHandle;
use llmload::provider::{self, Kind, Place, Sampling, Task};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{
    Ended, Program, eventually, faulty_mock, mock, quick_mock, settled, shared, wait_for_requests,
};
use crate::tiny;

/// What a slow machine is no reason to fail for.
pub(crate) const CALM: &str = "--model m/x:1 --allow-invalid --results-dir out";
const STEM: &str = "out/m-x-1_300_8";
const LENGTHS: &str = "--mean-input-tokens 300 --stddev-input-tokens 20 --mean-output-tokens 8 --stddev-output-tokens 3";

/// Starts a test of `mock`, with a tokenizer of letters in its folder.
pub(crate) fn start(mock: &MockHandle, line: &str) -> Program {
    start_at(&format!("http://{}/v1", mock.addr()), line)
}

fn start_at(base: &str, line: &str) -> Program {
    let folder = Arc::new(TempDir::new().unwrap());
    tiny::write(folder.path());
    let mut command = Command::new("/usr/bin/env");
    command.args([
        &format!("OPENAI_API_BASE={base}"),
        "OPENAI_API_KEY=a-key-of-tests",
        env!("CARGO_BIN_EXE_llmload"),
    ]);
    command.args(line.split_whitespace()).stdin(Stdio::null());
    Program::launch(folder, line, command)
}

pub(crate) fn benchmark(line: &str) -> String {
    format!("token-benchmark {CALM} {LENGTHS} --tokenizer_id tiny {line}")
}

pub(crate) fn individual(ended: &Ended) -> Vec<Value> {
    serde_json::from_str(&ended.read(&format!("{STEM}_individual_responses.json"))).unwrap()
}

pub(crate) fn summary(ended: &Ended) -> Value {
    serde_json::from_str(&ended.read(&format!("{STEM}_summary.json"))).unwrap()
}

fn good(responses: &[Value]) -> usize {
    responses
        .iter()
        .filter(|it| it["error_code"].is_null())
        .count()
}

/// The console with every figure as `N`.
fn layout(stdout: &str) -> String {
    let figure = |line: &str| match line.split_once(" = ").or_else(|| line.split_once(": ")) {
        Some((name, value)) if value.parse::<f64>().is_ok() => {
            format!("{name}{}N", &line[name.len()..line.len() - value.len()])
        }
        _ => line.to_owned(),
    };
    stdout.lines().map(figure).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_token_benchmark_makes_exactly_its_requests_and_writes_both_files() {
    let _shared = shared();
    let mock = quick_mock();
    let line =
        "--max-num-completed-requests 23 --num-concurrent-requests 5 --metadata gpu=a,team=b=c";
    let more = "--additional-sampling-params {\"top_p\":0.9}";
    let ended = start(&mock, &benchmark(&format!("{line} {more}")))
        .wait()
        .expect(0);
    assert_eq!(settled(&mock).requests.numbered, 23);
    let responses = individual(&ended);
    assert_eq!((responses.len(), good(&responses)), (23, 23));
    for response in &responses {
        let count = |key: &str| response[key].as_u64().unwrap();
        // A token a letter: the words of the mock have more than the tokens that it says it wrote.
        assert!(
            (220..400).contains(&count("number_input_tokens")),
            "{response}"
        );
        assert!(count("number_output_tokens") > 3, "{response}");
        assert_eq!(
            count("number_total_tokens"),
            count("number_input_tokens") + count("number_output_tokens")
        );
        let time = |key: &str| response[key].as_f64().unwrap();
        assert!(
            0.002 <= time("ttft_s") && time("ttft_s") <= time("end_to_end_latency_s"),
            "{response}"
        );
    }
    let summary = summary(&ended);
    assert_eq!(summary["results_num_completed_requests"], 23);
    assert_eq!(summary["model"], "m/x:1");
    assert_eq!(
        (&summary["gpu"], &summary["team"]),
        (&"a".into(), &"b=c".into())
    );
    assert_eq!(summary["additional_sampling_params_top_p"], 0.9);
    assert_eq!(std::fs::read_dir(ended.path("out")).unwrap().count(), 2);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the whole console is one snapshot")]
fn the_console_has_llmperf_s_lines() {
    let _shared = shared();
    let line = benchmark("--max-num-completed-requests 6 --num-concurrent-requests 3");
    let ended = start(&quick_mock(), &line).wait().expect(0);
    insta::assert_snapshot!(layout(&ended.stdout), @r#"
    Results for token benchmark for m/x:1 queried with the openai api.

    inter_token_latency_s
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    ttft_s
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    end_to_end_latency_s
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    request_output_throughput_token_per_s
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    number_input_tokens
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    number_output_tokens
        p25 = N
        p50 = N
        p75 = N
        p90 = N
        p95 = N
        p99 = N
        mean = N
        min = N
        max = N
        stddev = N
    Number Of Errored Requests: N
    Overall Output Throughput: N
    Number Of Completed Requests: N
    Completed Requests Per Minute: N
    "#);
}

#[test]
fn prompts_are_llmperf_s_and_of_the_counted_length_behind_an_empty_message_of_the_system() {
    let _shared = shared();
    let mock = quick_mock();
    let line =
        benchmark("--max-num-completed-requests 3 --num-concurrent-requests 1 --loglevel info");
    let ended = start(&mock, &line).wait().expect(0);
    let lengths: BTreeSet<u64> = individual(&ended)
        .iter()
        .map(|it| it["number_input_tokens"].as_u64().unwrap())
        .collect();
    // The workload of the same settings says what was sent, and the mock has the digests of it.
    let sent: BTreeSet<String> = settled(&mock)
        .last_requests
        .iter()
        .map(|it| it.body_sha256.clone())
        .collect();
    let (bodies, counted) = expected_bodies(3);
    assert_eq!(sent, bodies);
    assert_eq!(lengths, counted);
}

/// Speaks as the tests' client does.
fn speaker() -> Arc<dyn provider::Provider> {
    provider::build(&provider::Spec {
        kind: Kind::OpenAi,
        model: "m/x:1".to_owned(),
        task: Task::Chat,
        stream: true,
        sampling: Sampling::default(),
        headers: indexmap::IndexMap::new(),
        fireworks: provider::Fireworks::default(),
        azure: None,
        custom: None,
        place: Place::default(),
    })
    .unwrap()
}

/// The bodies of the first turns of one user, in digests, and how many letters their prompts have.
fn expected_bodies(count: u32) -> (BTreeSet<String>, BTreeSet<u64>) {
    use llmload::domain::{Index, Prompt, Seed};
    use llmload::workload::{
        Api, Around, Batch, LengthLaw, LengthSpec, Normal, PromptSource, Shape, Spec, Workload,
        load,
    };
    use sha2::{Digest, Sha256};

    let folder = TempDir::new().unwrap();
    tiny::write(folder.path());
    let path = folder.path().join("tiny");
    let tokenizer = load::tokenizer(path.to_str().unwrap(), &load::HubPaths::default()).unwrap();
    let spec = Spec {
        prompts: PromptSource::Recital {
            tokens: Normal {
                mean: 300.0,
                stddev: 20.0,
            },
        },
        output: LengthSpec {
            mean: 8,
            law: LengthLaw::Normal,
            range: 3.0 / 8.0,
            cap: None,
            jitter: 0,
        },
        tokenizer: None,
        shape: Shape::default(),
        forced: None,
        batch: Batch::default(),
        around: Around {
            system: Some(String::new()),
            extra: serde_json::Map::new(),
        },
    };
    let workload = Workload::new(
        &spec,
        Api::Chat,
        Seed(11_111),
        Some(Arc::new(tokenizer)),
        None,
        1,
    )
    .unwrap();
    let provider = speaker();
    let (mut bodies, mut counted) = (BTreeSet::new(), BTreeSet::new());
    for turn in 0..count {
        let ask = workload.ask(Index::Turn { user: 0, turn });
        let Prompt::Messages(messages) = &ask.prompt else {
            panic!("{ask:?}");
        };
        let (system, user) = (&messages[0].content, &messages[1].content);
        assert_eq!(system, "");
        let begins = format!(
            "Randomly stream lines from the following text with {} output tokens. Don't generate eos tokens:\n\n",
            ask.max_tokens
        );
        assert!(user.starts_with(&begins), "{user}");
        counted.insert(user.len() as u64);
        let body = provider.shape(&ask).unwrap().body().clone();
        let said: Value = serde_json::from_slice(&body).unwrap();
        assert!(said.get("temperature").is_none(), "{said}");
        bodies.insert(
            Sha256::digest(&body)
                .iter()
                .fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                }),
        );
    }
    (bodies, counted)
}

#[test]
fn two_workers_send_the_same_requests_as_one_process_and_their_files_are_whole() {
    let _shared = shared();
    let digests = |mock: &MockHandle| -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for note in settled(mock).last_requests {
            *all.entry(note.body_sha256).or_default() += 1;
        }
        all
    };
    // One request a user: which of them makes another first is a matter of time.
    let line = "--max-num-completed-requests 24 --num-concurrent-requests 24";
    let (one, two) = (mock("700ms", "1ms"), mock("700ms", "1ms"));
    let alone = format!("{line} --tokenizer-id built-in");
    start(&one, &benchmark(&alone)).wait().expect(0);
    let master = start(
        &two,
        &benchmark(&format!("{alone} --expect-workers 2 --master-bind-port 0")),
    );
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    let worker = || {
        Program::start(&format!(
            "worker --master {address} --threads 1 --api-key a-key-of-tests"
        ))
    };
    let workers = [worker(), worker()];
    let ended = master.wait().expect(0);
    for worker in workers {
        worker.wait().expect(0);
    }
    assert_eq!(digests(&one), digests(&two));
    let responses = individual(&ended);
    assert_eq!((responses.len(), good(&responses)), (24, 24));
    assert_eq!(summary(&ended)["results_num_completed_requests"], 24);
    assert!(
        ended
            .stdout
            .starts_with("Results for token benchmark for m/x:1 queried with the openai api.\n")
    );
}

#[test]
fn an_interrupted_test_writes_what_it_has() {
    let _shared = shared();
    let mock = quick_mock();
    let run = start(
        &mock,
        &benchmark("--max-num-completed-requests 100000 --num-concurrent-requests 3"),
    );
    wait_for_requests(&mock, 30);
    run.signal(Signal::INT);
    let ended = run.wait().expect(0);
    let seen = settled(&mock);
    let responses = individual(&ended);
    assert!(responses.len() >= 30);
    assert_eq!(responses.len() as u64, seen.streams.completed);
    assert_eq!(
        summary(&ended)["results_num_completed_requests"],
        responses.len()
    );
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
}

#[test]
fn the_second_interrupt_drops_what_is_under_way_and_says_how_much() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["hang=0.1"]);
    let run = start(
        &mock,
        &benchmark("--max-num-completed-requests 100000 --num-concurrent-requests 3 -L info"),
    );
    eventually("all users hang", || {
        (mock.stats().snapshot().faults["hang"] == 3).then_some(())
    });
    run.signal(Signal::INT);
    run.wait_for_words("no new requests");
    run.signal(Signal::INT);
    let ended = run.wait().expect(0);
    let words = "3 requests were under way at the end and dropped: they are in none of the figures and files";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert_eq!(
        individual(&ended).len() as u64,
        settled(&mock).streams.completed
    );
}

#[test]
fn an_interrupt_before_anything_was_answered_is_the_exit_status() {
    let _shared = shared();
    let mock = mock("60s", "1ms");
    let run = start(&mock, &benchmark("--num-concurrent-requests 2 -L info"));
    wait_for_requests(&mock, 2);
    run.signal(Signal::INT);
    run.wait_for_words("no new requests");
    run.signal(Signal::INT);
    let ended = run.wait().expect(130);
    assert_eq!(ended.stdout, "");
    assert!(!ended.path(&format!("{STEM}_summary.json")).exists());
}

#[test]
fn nothing_is_sent_after_the_timeout_and_what_is_under_way_is_finished() {
    let _shared = shared();
    let mock = mock("200ms", "1ms");
    let line = "--max-num-completed-requests 100000 --num-concurrent-requests 3 --timeout 1";
    let ended = start(&mock, &benchmark(line)).wait().expect(0);
    let seen = settled(&mock);
    let responses = individual(&ended);
    assert_eq!(responses.len() as u64, seen.requests.numbered);
    assert_eq!(
        (good(&responses), seen.streams.aborted),
        (responses.len(), 0)
    );
    assert!((3..=18).contains(&responses.len()), "{}", responses.len());
}

#[test]
fn what_takes_longer_than_the_stop_timeout_is_dropped() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["hang=0.05"]);
    let line = "--max-num-completed-requests 100000 --num-concurrent-requests 3 --timeout 1 --stop-timeout 300ms";
    let ended = start(&mock, &benchmark(line)).wait().expect(0);
    let hung = mock.stats().snapshot().faults["hang"];
    assert!(hung > 0);
    let words = format!("{hung} requests were under way at the end and dropped");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
    assert_eq!(
        individual(&ended).len() as u64,
        settled(&mock).requests.numbered - hung
    );
}

#[test]
fn a_server_that_is_away_fails_every_request_and_ends_no_user() {
    let _shared = shared();
    let line = "--max-num-completed-requests 7 --num-concurrent-requests 2";
    let ended = start_at("http://127.0.0.1:9/v1", &benchmark(line))
        .wait()
        .expect(0);
    let responses = individual(&ended);
    assert_eq!((responses.len(), good(&responses)), (7, 0));
    assert!(
        responses
            .iter()
            .all(|it| it["error_code"] == -1 && it["error_msg"] != ""),
        "{responses:?}"
    );
    let summary = summary(&ended);
    assert_eq!(summary["results_num_requests_started"], 7);
    assert_eq!(summary["results_num_completed_requests"], 0);
    assert_eq!(summary["results_error_rate"], 1.0);
    assert_eq!(summary["results_error_code_frequency"], "{-1: 7}");
    assert!(
        ended.stdout.contains("Number Of Errored Requests: 7\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn failures_have_the_server_s_numbers_and_ends_inside_streams_too() {
    let _shared = shared();
    let mock = faulty_mock(
        "2ms",
        "1ms",
        &["status=0.3:503", "rate-limit=0.2", "error-in-stream=0.2:2"],
    );
    let line = "--max-num-completed-requests 60 --num-concurrent-requests 6";
    let ended = start(&mock, &benchmark(line)).wait().expect(0);
    let seen = settled(&mock);
    assert_eq!(seen.requests.numbered, 60);
    let responses = individual(&ended);
    let with = |code: i64| {
        responses
            .iter()
            .filter(|it| it["error_code"] == code)
            .count() as u64
    };
    assert_eq!(with(503), seen.faults["status"]);
    assert_eq!(with(429), seen.faults["rate-limit"]);
    let in_stream = seen.faults["error-in-stream"];
    assert!(with(503) > 0 && with(429) > 0 && in_stream > 0);
    let failed = with(503) + with(429) + in_stream;
    assert_eq!(
        (responses.len(), good(&responses) as u64),
        (60, 60 - failed)
    );
    let summary = summary(&ended);
    assert_eq!(summary["results_number_errors"], failed);
    let frequency = summary["results_error_code_frequency"].as_str().unwrap();
    assert!(
        frequency.contains(&format!("503: {}", with(503))),
        "{frequency}"
    );
}

#[test]
fn settings_that_cannot_be_are_refused_before_anything_is_sent() {
    let _shared = shared();
    let mock = quick_mock();
    let refused = |line: &str| start(&mock, line).wait().expect(2).stderr;
    let words = refused("token-benchmark --model m --tokenizer-id no/such");
    assert!(
        words.contains("no tokenizer `no/such`") && words.contains("--tokenizer-id built-in"),
        "{words}"
    );
    let words = refused(&benchmark(
        "--tokenizer-id built-in --mean-input-tokens 4 --stddev-input-tokens 1",
    ));
    assert!(
        words.contains("no prompt of at least") && words.contains("--mean-input-tokens"),
        "{words}"
    );
    let words = refused(&benchmark("--max-workers 3"));
    assert!(
        words.contains("--max-workers is of a test that workers carry out"),
        "{words}"
    );
    let words = refused(&benchmark("--expect-workers 2 --threads 3"));
    assert!(
        words.contains("--threads is of the machine that sends"),
        "{words}"
    );
    let words = refused(&benchmark("--llm-api telepathy"));
    assert!(words.contains("telepathy"), "{words}");
    let words = refused(&benchmark("--metadata pairs"));
    assert!(words.contains("`pairs` is not name=value"), "{words}");
    let words = refused(&benchmark("--additional-sampling-params 7"));
    assert!(words.contains("not a JSON object"), "{words}");
    let words = Program::start("token-benchmark --model m --tokenizer-id built-in")
        .wait()
        .expect(2)
        .stderr;
    assert!(words.contains("OPENAI_API_BASE"), "{words}");
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn without_any_tokenizer_the_built_in_one_counts_and_says_so() {
    let _shared = shared();
    let line = "token-benchmark --model demo --mock --allow-invalid --max-num-completed-requests 2 --num-concurrent-requests 2 \
                --mean-output-tokens 4 --stddev-output-tokens 0";
    let ended = Program::start(line).wait().expect(0);
    assert!(
        ended
            .stderr
            .contains("counted with the built-in one instead"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stdout.contains("Number Of Completed Requests: 2\n"),
        "{}",
        ended.stdout
    );
    assert_eq!(
        std::fs::read_dir(ended.folder()).unwrap().count(),
        0,
        "nothing is written"
    );
}
