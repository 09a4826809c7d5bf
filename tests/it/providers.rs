//! Every API from outside: what the binary sends is what the mock counts at that API's own path, and its answers are read whole.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use llmload::mock::{MockHandle, Script, spawn_thread};
use tempfile::TempDir;

use crate::counts::Party;
use crate::process::{Ended, Program, Report, settled, shared};
use crate::tiny;

/// How a server lets a client know the length of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Usage,
    Nowhere,
}
use Counts::{Nowhere, Usage};

/// An API and a way to use it: the options, the path as the mock counts it, and who counts tokens.
type Case = (&'static str, &'static str, Counts);

/// Ollama's words, as a file of one's own.
const LINES: &str = r#"
path = "/api/generate"
body = '{"model": {{ model }}, "prompt": {{ prompt }}, "stream": {{ stream }}, "options": {"num_predict": {{ max_tokens }}}}'
[stream]
framing = "lines"
end = { pointer = "/done", equals = true }
text = "/response"
finish = "/done_reason"
prompt_tokens = "/prompt_eval_count"
completion_tokens = "/eval_count"
"#;

/// OpenAI's, as a file of one's own.
const EVENTS: &str = r#"
path = "/v1/chat/completions"
body = '''{"model": {{ model }}, "messages": {{ messages }}, "max_tokens": {{ max_tokens }}, "stream": {{ stream }},
"stream_options": {"include_usage": true}}'''
[stream]
framing = "sse"
end = "[DONE]"
text = "/choices/0/delta/content"
finish = "/choices/0/finish_reason"
prompt_tokens = "/usage/prompt_tokens"
completion_tokens = "/usage/completion_tokens"
[whole]
text = "/choices/0/message/content"
"#;

const CHAT: &str = "/v1/chat/completions";
const COMPLETION: &str = "/v1/completions";
/// The mock does not count single models' and deployments' paths.
const OTHER: &str = "other";

const CASES: [Case; 21] = [
    ("--provider openai", CHAT, Usage),
    ("--provider openai --no-chat", COMPLETION, Usage),
    ("--provider anyscale", CHAT, Usage),
    ("--provider anyscale --no-chat", COMPLETION, Usage),
    ("--provider fireworks", CHAT, Usage),
    ("--provider fireworks --no-chat", COMPLETION, Usage),
    ("--provider vllm", CHAT, Usage),
    ("--provider vllm --no-chat", COMPLETION, Usage),
    ("--provider sglang", CHAT, Usage),
    ("--provider sglang --no-chat", COMPLETION, Usage),
    ("--provider together --no-chat", "/", Usage),
    ("--provider triton-generate --no-chat", OTHER, Nowhere),
    ("--provider anthropic", "/v1/messages", Usage),
    ("--provider ollama", "/api/chat", Usage),
    ("--provider ollama --no-chat", "/api/generate", Usage),
    ("--provider llama.cpp --no-chat", "/completion", Usage),
    ("--provider azure --azure-deployment d", OTHER, Usage),
    (
        "--provider azure --azure-deployment d --no-chat",
        OTHER,
        Usage,
    ),
    ("--provider responses", "/v1/responses", Usage),
    (
        "--provider custom --provider-file lines.toml --no-chat",
        "/api/generate",
        Usage,
    ),
    ("--provider custom --provider-file events.toml", CHAT, Usage),
];

/// Those that do not do the same with a stream and without.
const SINGLE: [Case; 6] = [
    ("--provider tgi", "/generate_stream", Usage),
    ("--provider tgi --no-chat", "/generate_stream", Usage),
    ("--provider tgi --no-stream", "/generate", Usage),
    ("--provider tgi --no-chat --no-stream", "/generate", Usage),
    (
        "--provider triton-infer --no-chat --no-stream",
        OTHER,
        Nowhere,
    ),
    (
        "--provider custom --provider-file words.toml --no-chat",
        "/completion",
        Usage,
    ),
];

/// llama.cpp's, in words like those of `tests/fixtures/custom/words.toml`.
const WORDS: &str = r#"
path = "/completion"
body = '''
{
  "prompt": {{ prompt }},
  "n_predict": {{ max_tokens }},
  "stream": {{ stream }},
  "sampling": {
    {%- if top_k is not none %}"top_k": {{ top_k }}, {% endif -%}
    "temperature": {{ temperature }}
  }
}
'''
[headers]
x-api-version = "2"
[stream]
framing = "sse"
end = { pointer = "/stop", equals = true }
text = "/content"
finish = "/stop_type"
prompt_tokens = "/tokens_evaluated"
completion_tokens = "/tokens_predicted"
"#;

fn cases() -> Vec<(String, &'static str, Counts)> {
    let both = CASES.into_iter().flat_map(|(line, path, counts)| {
        ["", " --no-stream"].map(|how| (format!("{line}{how}"), path, counts))
    });
    let single = SINGLE.map(|(line, path, counts)| (line.to_owned(), path, counts));
    both.chain(single).collect()
}

/// Six requests for five tokens each, by two users.
fn asked(mock: &MockHandle, line: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path());
    for (name, text) in [
        ("lines.toml", LINES),
        ("events.toml", EVENTS),
        ("words.toml", WORDS),
        ("vectors.toml", VECTORS),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let line = format!(
        "run -H http://{} -m mock -p 40 --max-tokens 5 -u 2 -r 1000 --max-requests 6 --seed 7 --only-summary \
         --start-spread 0s --threads 1 --no-reset-stats --json-file result.json {line}",
        mock.addr()
    );
    Program::start_in(folder.into(), &line).wait().expect(0)
}

fn judge((line, path, counts): &(String, &'static str, Counts)) {
    let script = Script {
        ttft: "20ms".parse().unwrap(),
        inter_token: "4ms".parse().unwrap(),
        ..Script::default()
    };
    let mock = spawn_thread(script, 1).unwrap();
    let report = asked(&mock, line).result();
    let seen = settled(&mock);
    assert_eq!(seen.requests.by_path[path], 6, "{line}: {seen:#?}");
    assert_eq!(seen.requests.numbered, 6, "{line}");
    assert_eq!(
        (report.total("sent"), report.total("completed")),
        (6, 6),
        "{line}"
    );
    assert_eq!(report.total("failed"), 0, "{line}");
    let warnings = report.at("/warnings").as_array().unwrap();
    let warnings: Vec<_> = warnings.iter().map(|warning| &warning["name"]).collect();
    // The mock counts words, and -p means tokens.
    let expected = match counts {
        Usage => "prompt_length_off",
        Nowhere => "tokens_unknown",
    };
    assert_eq!(warnings, [expected], "{line}");
    let streamed = !line.ends_with("--no-stream");
    assert_eq!(
        (seen.streams.completed, seen.wholes.completed),
        if streamed { (6, 0) } else { (0, 6) },
        "{line}"
    );
    assert_tokens(line, &report, *counts);
    assert_times(line, &report, streamed);
}

fn assert_tokens(line: &str, report: &Report, counts: Counts) {
    let sources = report.at("/tokens/requests_by_source").clone();
    let (source, output) = match counts {
        Usage => (serde_json::json!({"usage": 6}), 30),
        Nowhere => (serde_json::json!({}), 0),
    };
    assert_eq!(sources, source, "{line}");
    assert_eq!(report.count("/tokens/whole_run_output"), output, "{line}");
    if output > 0 {
        for figure in ["mean", "min", "max"] {
            let pointer = format!("/metrics/output_tokens/{figure}");
            assert!((report.number(&pointer) - 5.0).abs() < 1e-9, "{line}");
        }
    }
}

fn assert_times(line: &str, report: &Report, streamed: bool) {
    let metrics = report.at("/metrics").as_object().unwrap();
    assert_eq!(metrics.contains_key("ttft_ms"), streamed, "{line}");
    assert_eq!(metrics.contains_key("icl_ms"), streamed, "{line}");
    let at_least = |name: &str, ms: f64| {
        let count = report.count(&format!("/metrics/{name}/count"));
        let min = report.number(&format!("/metrics/{name}/min"));
        assert!(count == 6 && min >= ms, "{line}: {name}: {count}, {min}");
    };
    if streamed {
        at_least("ttft_ms", 19.9);
    }
    // Four gaps of 4 ms behind the first token.
    at_least("total_latency_ms", 35.8);
}

#[test]
fn each_api_is_spoken_to_its_own_path_and_read_to_the_last_token() {
    let _shared = shared();
    in_turn(&cases(), judge);
}

/// Does `work` to each of `list`, some at the same time.
pub(crate) fn in_turn<T: Sync>(list: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(item) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// The words of a server for embeddings, as a file of one's own.
const VECTORS: &str = r#"
path = "/v1/embeddings"
body = '{"model": {{ model }}, "input": {{ texts }}}'
[whole]
vectors = "/data"
prompt_tokens = "/usage/prompt_tokens"
"#;

#[test]
fn each_api_for_vectors_and_ranks_is_spoken_to_its_own_path_and_counted() {
    let _shared = shared();
    let embeddings = "--embeddings --embeddings-batch-size 3";
    let rerank = "--rerank --num-documents 4";
    let mut cases: Vec<(String, &str)> = Vec::new();
    for provider in ["openai", "anyscale", "fireworks", "vllm", "sglang"] {
        cases.push((
            format!("--provider {provider} {embeddings}"),
            "/v1/embeddings",
        ));
        cases.push((format!("--provider {provider} {rerank}"), "/v1/rerank"));
    }
    cases.push((format!("--provider azure {embeddings}"), OTHER));
    let own = format!("--provider custom --provider-file vectors.toml {embeddings}");
    cases.push((own, "/v1/embeddings"));
    in_turn(&cases, |(line, path)| {
        let mock = crate::process::quick_mock();
        let report = asked(&mock, line).result();
        let seen = settled(&mock);
        assert_eq!(seen.requests.by_path[path], 6, "{line}: {seen:#?}");
        assert_eq!((seen.wholes.completed, seen.sent.tokens), (6, 0), "{line}");
        assert_eq!(report.total("completed"), 6, "{line}");
        assert_eq!(report.count("/metrics/prompt_tokens/count"), 6, "{line}");
        assert!(report.count("/tokens/prompt") > 6 * 3, "{line}");
        let metrics = report.at("/metrics").as_object().unwrap();
        for absent in ["ttft_ms", "output_tokens", "latency_per_token_ms"] {
            assert!(!metrics.contains_key(absent), "{line}: {absent}");
        }
        let each = metrics.get("latency_per_embedding_ms");
        assert_eq!(each.is_some(), line.contains("--embeddings"), "{line}");
        if let Some(each) = each {
            let whole = report.number("/metrics/total_latency_ms/mean");
            let share = each["mean"].as_f64().unwrap() * 3.0;
            assert!(
                (share / whole - 1.0).abs() < 1e-3,
                "{line}: {share} of {whole}"
            );
        }
    });
}

#[test]
fn a_tokenizer_counts_what_the_server_does_not() {
    let _shared = shared();
    let lines = [
        "--provider triton-generate --no-chat",
        "--provider triton-generate --no-chat --no-stream",
        "--provider triton-infer --no-chat --no-stream",
    ];
    in_turn(&lines, |line| {
        let mock = crate::process::quick_mock();
        let line = format!("{line} --tokenizer tiny -p 120 --records records.jsonl");
        let ended = asked(&mock, &line);
        let report = ended.result();
        let sources = report.at("/tokens/requests_by_source");
        assert_eq!(*sources, serde_json::json!({"tokenizer": 6}), "{line}");
        // A token is a letter here, and each of the mock's five words has some.
        let records = ended.records("records.jsonl");
        let letters = records
            .iter()
            .map(|record| record["output_chars"].as_u64().unwrap());
        let letters: u64 = letters.sum();
        assert!(letters > 6 * 5 * 3, "{line}");
        assert_eq!(report.count("/tokens/whole_run_output"), letters, "{line}");
        assert!(
            (report.number("/metrics/prompt_tokens/mean") - 120.0).abs() < 1e-9,
            "{line}"
        );
    });
}

/// A mock that tells Fireworks' figures.
fn fireworks_mock() -> MockHandle {
    let script = Script {
        owned_by: "fireworks".to_owned(),
        ttft: "30ms".parse().unwrap(),
        inter_token: "1ms".parse().unwrap(),
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

#[track_caller]
fn assert_always(report: &Report, name: &str, value: f64) {
    for figure in ["mean", "min", "max"] {
        let found = report.number(&format!("/metrics/{name}/{figure}"));
        // Series have four digits.
        assert!(
            (found - value).abs() <= value * 1e-3,
            "{name}: {figure} {found}"
        );
    }
    assert_eq!(report.count(&format!("/metrics/{name}/count")), 6, "{name}");
}

#[test]
fn the_figures_of_fireworks_servers_are_in_the_report() {
    let _shared = shared();
    for line in ["", "--no-stream", "--no-chat", "--no-chat --no-stream"] {
        let mock = fireworks_mock();
        // The provider is known by the list of models.
        let ended = asked(&mock, &format!("{line} -o 40 -pcml 7 --csv out"));
        let report = ended.result();
        assert_eq!(report.at("/plan/provider/kind"), "fireworks");
        assert_always(&report, "server_side_ttft_ms", 30.0);
        // And 39 gaps.
        assert_always(&report, "server_side_total_latency_ms", 69.0);
        assert_always(&report, "speculation_hit_rate_position_1_percent", 50.0);
        assert_always(&report, "speculation_hit_rate_position_2_percent", 25.0);
        assert_always(&report, "cached_tokens", 7.0);
        let rows = ended.read("out_stats.csv");
        for name in [
            "server_side_total_latency",
            "server_side_time_to_first_token",
            "speculation_hit_rate_position_1",
            "speculation_hit_rate_position_2",
            "cached_tokens",
        ] {
            assert!(
                rows.contains(&format!("METRIC,{name},6,")),
                "{line}: {name}\n{rows}"
            );
        }
    }
}

#[test]
fn a_cluster_merges_the_figures_of_fireworks_servers() {
    let _shared = shared();
    let mock = fireworks_mock();
    let line = "--provider fireworks -o 40 -pcml 7 -u 4 -r 1000 --max-requests 6 --no-reset-stats";
    let report = Party::Workers(2).carry_out(&mock, line).result();
    assert_always(&report, "server_side_ttft_ms", 30.0);
    assert_always(&report, "server_side_total_latency_ms", 69.0);
    assert_always(&report, "speculation_hit_rate_position_1_percent", 50.0);
    assert_always(&report, "speculation_hit_rate_position_2_percent", 25.0);
    assert_always(&report, "cached_tokens", 7.0);
}

#[test]
fn workers_speak_by_a_file_that_the_master_alone_has() {
    let _shared = shared();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lines.toml");
    fs::write(&file, LINES).unwrap();
    let mock = crate::process::quick_mock();
    let line = format!(
        "--provider custom --provider-file {} --no-chat -u 6 -r 1000 --max-requests 30",
        file.display()
    );
    let line = crate::process::towards(&mock, &line);
    let master = Program::start(&format!(
        "master --master-bind-port 0 --expect-workers 2 {line}"
    ));
    let address = master.wait_for_words("listening on ");
    fs::remove_file(&file).unwrap();
    let address = address.split(';').next().unwrap();
    let worker = |_| Program::start(&format!("worker --master {address} --threads 1"));
    let workers: Vec<_> = (0..2).map(worker).collect();
    let report = master.wait().expect(0).result();
    for worker in workers {
        worker.wait().expect(0);
    }
    assert_eq!(settled(&mock).requests.by_path["/api/generate"], 30);
    assert_eq!(report.total("completed"), 30);
    assert_eq!(report.count("/tokens/whole_run_output"), 5 * 30);
}

#[test]
fn a_plain_server_tells_no_figures_of_fireworks() {
    let _shared = shared();
    let mock = crate::process::quick_mock();
    let report = asked(&mock, "--provider fireworks -o 40").result();
    let metrics = report.at("/metrics").as_object().unwrap();
    let strange = metrics.keys().find(|name| {
        name.starts_with("server_side")
            || name.starts_with("speculation")
            || *name == "cached_tokens"
    });
    assert_eq!(strange, None, "{metrics:#?}");
}
