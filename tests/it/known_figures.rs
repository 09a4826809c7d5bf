//! A bench suite of a server whose prefill speed, decode speed and cache size are known: the report finds each within 2%.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Ended, Program, alone};

const PREFILL: f64 = 2_000.0;
const TTFT_S: f64 = 0.020;
const GAP_S: f64 = 0.020;
const CACHE: f64 = 4_000.0;
const INPUT: u32 = 400;
const OUTPUT: u32 = 32;
/// What a figure may be off.
const CLOSE: f64 = 0.02;

fn server() -> MockHandle {
    let script = Script {
        ttft: format!("{}ms", TTFT_S * 1e3).parse().unwrap(),
        inter_token: format!("{}ms", GAP_S * 1e3).parse().unwrap(),
        prefill_rate: Some(PREFILL),
        kv_cache_tokens: 4_000,
        role_first: false,
        precise: true,
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

/// Prompts of so many words, which the mock counts as tokens.
fn prompts(words: impl Iterator<Item = u32>) -> String {
    let prompt = |words: u32| vec!["ship"; usize::try_from(words).unwrap()].join(" ");
    serde_json::to_string(&words.map(prompt).collect::<Vec<_>>()).unwrap()
}

fn write_prompts(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    write(
        "growing_prompts.json",
        prompts((0..16).map(|at| 50 + at * 60)),
    );
    write(
        &format!("prompts_length_{INPUT}.json"),
        prompts(std::iter::repeat_n(INPUT, 20)),
    );
}

fn suite() -> Ended {
    let mock = server();
    let folder = Arc::new(TempDir::new().unwrap());
    write_prompts(&folder.path().join("datasets"));
    let server = format!(
        "--backend vllm --base-url http://{} --model mock",
        mock.addr()
    );
    let sizes =
        format!("--input-lengths {INPUT} --output-lengths {OUTPUT} --parallel-requests 1,4");
    let times = "--max-queries 16 --max-duration-prompt-ingestion 10 --max-duration-kv-cache-profile 6 \
                 --max-duration-speed-generation 10 --min-duration-speed-generation 1 \
                 --target-queries-nb-speed-generation 4 --min-number-of-valid-queries 3 --repeats 1";
    let line =
        format!("bench-suite {server} {sizes} {times} --step-live-metrics 0.02 --allow-invalid");
    Program::start_in(folder, &line).wait().expect(0)
}

#[track_caller]
fn is_near(what: &str, found: f64, known: f64) {
    let off = (found / known - 1.0).abs();
    assert!(off <= CLOSE, "{what}: {found} instead of {known}");
}

/// The first number of the last cell in the row of the model card that begins so.
fn measured(card: &str, begin: &str) -> f64 {
    let row = card
        .lines()
        .find(|line| line.starts_with(&format!("| {begin}")));
    let row = row.unwrap_or_else(|| panic!("no row `{begin}`\n{card}"));
    let cell = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
    let number = cell.split_whitespace().next().unwrap().replace(',', "");
    number.parse().unwrap_or_else(|_| panic!("{row}"))
}

fn json_of(ended: &Ended, name: &str) -> Value {
    serde_json::from_str(&ended.read(&format!("results/{name}"))).unwrap()
}

/// A raw file: from the folder, or from its ZIP.
fn raw_of(ended: &Ended, name: &str) -> Value {
    let loose = ended.path(&format!("results/raw_results/{name}"));
    if loose.exists() {
        return json_of(ended, &format!("raw_results/{name}"));
    }
    let packed = fs::File::open(ended.path("results/raw_results.zip")).unwrap();
    let mut archive = zip::ZipArchive::new(packed).unwrap();
    let place = archive
        .file_names()
        .position(|it| it.is_ok_and(|it| it.ends_with(name)));
    let file = archive.by_index(place.unwrap()).unwrap();
    serde_json::from_reader(file).unwrap()
}

#[test]
fn a_suite_finds_the_known_speeds_and_the_known_size_of_the_cache() {
    let _alone = alone();
    let ended = suite();
    hold_card(&ended);
    hold_data(&ended);
    hold_raws(&ended);
}

/// What a query takes until its first token, and from there on.
fn times() -> (f64, f64) {
    let first = TTFT_S + f64::from(INPUT) / PREFILL;
    (first, f64::from(OUTPUT - 1) * GAP_S)
}

/// Tokens per second of a query.
fn speed() -> f64 {
    f64::from(OUTPUT) / (times().0 + times().1)
}

fn hold_card(ended: &Ended) {
    let card = ended.read("results/report/README.md");
    is_near(
        "ingestion",
        measured(&card, "Prompt ingestion speed"),
        PREFILL,
    );
    is_near(
        "cache",
        measured(&card, "Estimate of the max number of tokens in KV cache"),
        CACHE,
    );
    is_near("speed", measured(&card, "Median generation speed"), speed());
}

fn hold_data(ended: &Ended) {
    let (first, rest) = times();
    let fit = json_of(ended, "report/data/prompt_ingestion_graph_data.json");
    let slope = fit["fit_coefficients"][0].as_f64().unwrap();
    is_near("slope", 1.0 / slope, PREFILL);
    let name = format!(
        "report/speed_generation/data/speed_generation_graph_data_input_{INPUT}_output_{OUTPUT}.json"
    );
    let data = json_of(ended, &name);
    for parallel in ["1", "4"] {
        let median = |key: &str| data[parallel][key][1].as_f64().unwrap();
        is_near("median speed", median("speed_generation"), speed());
        is_near("TTFT", median("time_to_first_token"), first);
        is_near(
            "speed without waiting",
            median("speed_without_waiting_time"),
            f64::from(OUTPUT) / rest,
        );
    }
    let totals = json_of(ended, "report/data/total_speed_generation_graph_data.json");
    let lone = &totals["0"]["data"][0];
    assert_eq!(lone["nb_parallel_requests"], json!(1));
    is_near(
        "total speed of one",
        lone["speed"].as_f64().unwrap(),
        speed(),
    );
}

fn hold_raws(ended: &Ended) {
    for parallel in [1, 4] {
        let name =
            format!("generation_speed_input_{INPUT}_output_{OUTPUT}_nb_requests_{parallel}.json");
        let raw = raw_of(ended, &name);
        let median = |key: &str| raw["aggregated_metrics"][key]["median"].as_f64().unwrap();
        is_near("gap", median("median_time_between_tokens"), GAP_S);
        is_near(
            "speed from the first token on",
            median("speed_from_first_token"),
            f64::from(OUTPUT) / times().1,
        );
        let running = raw["general_metrics"]["max_requests_running"].as_f64();
        assert_eq!(running, Some(f64::from(parallel)));
    }
}
