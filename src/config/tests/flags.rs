//! Every option of the Fireworks benchmark, one by one: it is there under its names, and it changes what it is about.

use serde_json::{Value, json};

use super::super::*;
use super::{Around, resolved};
use crate::domain::Seed;
use crate::provider::Kind;
use crate::workload::PromptSource;

/// Where an option is to be seen.
enum Seen {
    /// In the plan, at this JSON pointer.
    Plan(&'static str, Value),
    /// In the settings that stay out of the plan, as their debug form has them.
    Beside(&'static str),
}
use Seen::{Beside, Plan};

/// An option: what is typed, its environment variable with a value (or nothing), and where it is seen.
type Row = (&'static str, &'static str, Seen);

/// The options that say what is asked.
#[expect(clippy::too_many_lines, reason = "a table")]
fn asking() -> Vec<Row> {
    vec![
        (
            "-d code",
            "DATASET=code",
            Plan("/workload/prompts/generated/corpus", json!("code")),
        ),
        ("--dataset @d.jsonl", "", Beside("path: \"d.jsonl\"")),
        (
            "--dataset @d.jsonl --dataset-shuffle-seed 7",
            "",
            Beside("shuffle_seed: Some(7)"),
        ),
        (
            "--dataset @d.jsonl --dataset-limit 7",
            "",
            Beside("limit: Some(7)"),
        ),
        (
            "--prompt Sing",
            "",
            Plan("/workload/prompts/generated/instruction", json!("Sing")),
        ),
        (
            "--prompt-text Hi",
            "",
            Plan("/workload/prompts/text", json!("Hi")),
        ),
        (
            "--prompt-chars 9",
            "",
            Plan("/workload/shape/chars", json!(9)),
        ),
        (
            "--dataset @d.jsonl --prompt-letters 4",
            "",
            Plan("/workload/shape/letters", json!(4)),
        ),
        (
            "--prompt-randomize",
            "",
            Plan("/workload/shape/randomize", json!(true)),
        ),
        (
            "-p 77",
            "PROMPT_TOKENS=77",
            Plan("/workload/prompts/generated/tokens", json!(77)),
        ),
        (
            "-pcml 7",
            "PROMPT_CACHE_MAX_LEN=7",
            Plan("/workload/prompts/generated/shared_prefix_tokens", json!(7)),
        ),
        (
            "--prompt-cache-max-len 7",
            "",
            Plan("/provider/fireworks/prompt_cache_max_len", json!(7)),
        ),
        (
            "--prompt-images-with-resolutions 5x6 7x8",
            "",
            Plan("/workload/shape/images/1/width", json!(7)),
        ),
        (
            "--prompt-images-with-resolutions 5x6 --prompt-images-positioning end",
            "",
            Plan("/workload/shape/positioning", json!("end")),
        ),
        (
            "--tokenizer t",
            "TOKENIZER=t",
            Beside("tokenizer: Some(\"t\")"),
        ),
        (
            "-o 9",
            "MAX_TOKENS=9",
            Plan("/workload/output/mean", json!(9)),
        ),
        (
            "--max-tokens 9",
            "",
            Plan("/workload/output/mean", json!(9)),
        ),
        (
            "--max-tokens-distribution normal",
            "MAX_TOKENS_DISTRIBUTION=normal",
            Plan("/workload/output/law", json!("normal")),
        ),
        (
            "--max-tokens-range 0.5",
            "MAX_TOKENS_RANGE=0.5",
            Plan("/workload/output/range", json!(0.5)),
        ),
        (
            "--max-tokens-cap 80",
            "MAX_TOKENS_CAP=80",
            Plan("/workload/output/cap", json!(80)),
        ),
        (
            "--max-tokens-jitter 5",
            "MAX_TOKENS_JITTER=5",
            Plan("/workload/output/jitter", json!(5)),
        ),
        (
            "--dataset @d.jsonl --clear-assistant",
            "",
            Plan("/workload/shape/clear_assistant", json!(true)),
        ),
        (
            "--embeddings-batch-size 4 --embeddings",
            "",
            Plan("/workload/batch/texts", json!(4)),
        ),
        (
            "--rerank --num-documents 4",
            "",
            Plan("/workload/batch/documents", json!(4)),
        ),
        (
            "--rerank --tokens-per-document 4",
            "",
            Plan("/workload/batch/document_tokens", json!(4)),
        ),
        (
            "--forced-generation-file f",
            "",
            Beside("forced: Some(File(\"f\"))"),
        ),
        (
            "--forced-generation-from-dataset --tokenizer t",
            "",
            Beside("forced: Some(Corpus)"),
        ),
    ]
}

/// The options that say in which words.
#[expect(clippy::too_many_lines, reason = "a table")]
fn saying() -> Vec<Row> {
    vec![
        (
            "-H http://h:1",
            "LOCUST_HOST=http://h:1",
            Plan("/target/base_url", json!("http://h:1")),
        ),
        (
            "--host http://h:1",
            "",
            Plan("/target/base_url", json!("http://h:1")),
        ),
        ("-m x", "MODEL=x", Plan("/provider/model", json!("x"))),
        ("--model x", "", Plan("/provider/model", json!("x"))),
        (
            "-k hunter2hunter2",
            "API_KEY=hunter2hunter2",
            Beside("api_key: Some("),
        ),
        ("--api-key hunter2hunter2", "", Beside("api_key: Some(")),
        (
            "--header A:b --header C:d",
            "",
            Plan("/provider/headers/c", json!("d")),
        ),
        ("--no-chat", "", Plan("/provider/task", json!("completion"))),
        ("--no-stream", "", Plan("/provider/stream", json!(false))),
        (
            "--embeddings",
            "",
            Plan("/provider/task/embeddings/normalize", json!(false)),
        ),
        (
            "--embeddings --normalize",
            "",
            Plan("/provider/task/embeddings/normalize", json!(true)),
        ),
        (
            "--embeddings --embeddings-dimensions 8",
            "",
            Plan("/provider/task/embeddings/dimensions", json!(8)),
        ),
        (
            "--embeddings --embeddings-prompt-template q",
            "",
            Plan("/provider/task/embeddings/prompt_template", json!("q")),
        ),
        (
            "--embeddings --return-logits",
            "",
            Plan("/provider/task/embeddings/return_logits", json!([])),
        ),
        (
            "--embeddings --return-logits 3 4",
            "",
            Plan("/provider/task/embeddings/return_logits", json!([3, 4])),
        ),
        (
            "--rerank",
            "",
            Plan(
                "/provider/task/rerank/query",
                json!("Find the most relevant document."),
            ),
        ),
        (
            "--rerank --rerank-query q",
            "",
            Plan("/provider/task/rerank/query", json!("q")),
        ),
        (
            "--rerank --rerank-top-n 3",
            "",
            Plan("/provider/task/rerank/top_n", json!(3)),
        ),
        (
            "--rerank --no-rerank-return-documents",
            "",
            Plan("/provider/task/rerank/return_documents", json!(false)),
        ),
        (
            "--top-k 5",
            "TOP_K=5",
            Plan("/provider/sampling/top_k", json!(5)),
        ),
        (
            "--temperature 0.5",
            "TEMPERATURE=0.5",
            Plan("/provider/sampling/temperature", json!(0.5)),
        ),
        ("-n 2", "", Plan("/provider/sampling/n", json!(2))),
        ("--n 2", "", Plan("/provider/sampling/n", json!(2))),
        (
            "--logprobs 2",
            "",
            Plan("/provider/sampling/logprobs", json!(2)),
        ),
        (
            "--reasoning-effort low",
            "",
            Plan("/provider/sampling/reasoning_effort", json!("low")),
        ),
        (
            "--force-min-tokens",
            "",
            Plan("/provider/fireworks/force_min_tokens", json!(true)),
        ),
        (
            "--acceptance-probs-override [0.5,1]",
            "",
            Plan("/provider/fireworks/acceptance_probs", json!([0.5, 1.0])),
        ),
    ]
}

/// The options that say when, and what is shown.
#[expect(clippy::too_many_lines, reason = "a table")]
fn pacing() -> Vec<Row> {
    vec![
        ("-u 7", "LOCUST_USERS=7", Plan("/schedule/users", json!(7))),
        ("--users 7", "", Plan("/schedule/users", json!(7))),
        (
            "-r 7",
            "LOCUST_SPAWN_RATE=7",
            Plan("/schedule/spawn_rate", json!(7.0)),
        ),
        (
            "--spawn-rate 7",
            "",
            Plan("/schedule/spawn_rate", json!(7.0)),
        ),
        (
            "-t 5min",
            "LOCUST_RUN_TIME=5min",
            Plan("/schedule/run_time/secs", json!(300)),
        ),
        (
            "--run-time 1h30m",
            "",
            Plan("/schedule/run_time/secs", json!(5400)),
        ),
        (
            "--qps 2.5",
            "",
            Plan("/schedule/pacing/open/rate", json!(2.5)),
        ),
        (
            "--qps 2 --qps-distribution uniform",
            "",
            Plan("/schedule/pacing/open/law", json!("uniform")),
        ),
        (
            "--burst 30",
            "",
            Plan("/schedule/pacing/burst/every/secs", json!(30)),
        ),
        (
            "-u 9 --ramping-time 60",
            "",
            Plan("/schedule/ramp/time/secs", json!(60)),
        ),
        (
            "-u 9 --ramping-time 60 --ramping-warmup-time 5",
            "",
            Plan("/schedule/ramp/warmup/secs", json!(5)),
        ),
        (
            "--max-requests 9",
            "",
            Plan("/schedule/max_requests", json!(9)),
        ),
        (
            "--cancel-rate 0.25",
            "",
            Plan("/observe/cancel_rate", json!(0.25)),
        ),
        (
            "--first-visible-token",
            "",
            Plan("/observe/first_visible_token", json!(true)),
        ),
        (
            "--show-request",
            "",
            Plan("/observe/show_request", json!(true)),
        ),
        (
            "--show-response",
            "",
            Plan("/observe/show_response", json!(true)),
        ),
        ("--max-fail-ratio 0.5", "", Beside("max_fail_ratio: 0.5")),
        (
            "--summary-file s.csv",
            "",
            Beside("summary_file: Some(\"s.csv\")"),
        ),
        (
            "--no-reset-stats",
            "",
            Plan("/schedule/measure_ramp", json!(true)),
        ),
        ("--only-summary", "", Beside("only_summary: true")),
        ("--headless", "", Beside("headless: true")),
        (
            "--server-metrics auto",
            "",
            Beside("server_metrics: Some(ServerMetrics { url: None, step: 1s, proxy: None })"),
        ),
        (
            "--server-metrics http://h:9/metrics/ --server-metrics-step 10ms",
            "",
            Beside("url: Some(\"http://h:9/metrics/\"), step: 10ms"),
        ),
        ("--csv pre", "", Beside("csv: Some(\"pre\")")),
    ]
}

/// What a command line comes to: the plan, and the settings in their debug form.
fn outcome(line: &str, around: &Around) -> (Value, String) {
    let settings = match resolved(&format!("run {line}"), around) {
        Ok(Command::Run(options)) => options.settings,
        other => panic!("{line}: {other:?}"),
    };
    let prompts = match &settings.prompts {
        Prompts::Ready(prompts) => prompts.clone(),
        _ => PromptSource::Text("of a file".to_owned()),
    };
    let plan = settings.plan(Found {
        seed: Seed(1),
        provider: settings.provider.unwrap_or(Kind::OpenAi),
        model: settings.model.clone().unwrap_or_else(|| "first".to_owned()),
        prompts,
        tokenizer: None,
        forced: None,
        due_us: None,
        custom: None,
        ca_pem: None,
    });
    (serde_json::to_value(plan).unwrap(), format!("{settings:?}"))
}

/// Whether a row's value is to be seen.
fn is_seen(seen: &Seen, (plan, beside): &(Value, String)) -> bool {
    match seen {
        Plan(pointer, value) => plan.pointer(pointer) == Some(value),
        Beside(text) => beside.contains(text),
    }
}

fn all() -> Vec<Row> {
    [asking(), saying(), pacing()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_option_of_the_old_tool_is_there_and_does_something() {
    let default = outcome("", &Around::default());
    for (line, variable, seen) in all() {
        assert!(is_seen(&seen, &outcome(line, &Around::default())), "{line}");
        // The value is not what it would be anyway.
        let off = ["--rerank", "--embeddings"].contains(&line);
        assert!(off || !is_seen(&seen, &default), "{line} changes nothing");
        if let Some((name, value)) = variable.split_once('=') {
            let around = Around::with(&[(name, value)]);
            assert!(is_seen(&seen, &outcome("", &around)), "{variable}");
        }
    }
}

#[test]
fn every_provider_of_the_old_tool_is_there_and_so_are_the_new_ones() {
    for name in [
        "fireworks",
        "vllm",
        "sglang",
        "openai",
        "anyscale",
        "together",
        "tgi",
        "triton-infer",
        "triton-generate",
        "anthropic",
        "ollama",
        "llama.cpp",
        "azure",
        "responses",
        "custom",
    ] {
        let (plan, _) = outcome(&format!("--provider {name}"), &Around::default());
        assert_eq!(plan["provider"]["kind"], name);
    }
}

/// `--some-thing value --flag` as the lines of a settings file; `None` for what has short options, or takes several values.
fn as_file(line: &str) -> Option<String> {
    let options = line.strip_prefix("--")?.split(" --");
    let lines = options.map(|option| {
        let (long, value) = option.split_once(' ').unwrap_or((option, "true"));
        let opposite = long
            .strip_prefix("no-")
            .map(|long| format!("{long} = false"));
        let plain = !value.contains(' ') && !["header", "return-logits"].contains(&long);
        plain.then(|| opposite.unwrap_or_else(|| format!("{long} = {value}")))
    });
    let lines: Option<Vec<String>> = lines.collect();
    lines.map(|lines| lines.join("\n"))
}

#[test]
fn each_option_can_stand_in_a_settings_file() {
    let mut tried = 0;
    for (line, _, seen) in all() {
        if let Some(file) = as_file(line).filter(|_| !line.contains(" -p")) {
            assert!(is_seen(&seen, &outcome("", &Around::conf(&file))), "{file}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}
