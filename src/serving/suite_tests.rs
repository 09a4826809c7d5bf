//! A whole suite against a server whose speeds and cache are known: the report finds each.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rig::{Run, Server};
use super::*;

const SERVER: Server = Server {
    reads: 6000.0,
    step_s: 0.02,
    cache: 60_000,
    block: 16,
};

fn settings() -> SuiteSettings {
    SuiteSettings {
        input_lengths: vec![32, 1024],
        output_lengths: vec![16, 128],
        parallel_requests: vec![1, 2, 10, 30],
        repeats: 2,
        suite_id: "2026-01-02, 03:04:05".to_owned(),
        gpu_name: Some("a GPU".to_owned()),
        ..SuiteSettings::default()
    }
}

fn played(settings: &SuiteSettings, bench: Bench) -> Raw {
    let run: Run = match bench {
        Bench::PromptIngestion { repeat } => {
            SERVER.one_by_one((0..120).map(|n| 20 + n * 25 + u64::from(repeat)), 1)
        }
        Bench::KvCacheProfile { input, output } => SERVER.waves(u64::from(input) + 8, output, 500),
        Bench::SpeedGeneration {
            input,
            output,
            parallel,
        } => SERVER.kept_busy(parallel, u64::from(input) + 8, output, 60.max(parallel * 4)),
    };
    Raw::of(Played {
        dropped: 0,
        parameters: rig::parameters(settings, bench, None),
        queries: run.queries,
        watched: Some(run.watched),
        actual_total_time: run.length_s + 0.5,
        query_metrics: matches!(bench, Bench::PromptIngestion { .. }),
        with_kv_cache_profile: matches!(bench, Bench::KvCacheProfile { .. }),
        verdict: Some(("OK".to_owned(), Vec::new())),
    })
}

fn suite() -> (SuiteSettings, BTreeMap<String, Raw>) {
    let settings = settings();
    let raws = settings
        .benchmarks()
        .into_iter()
        .map(|bench| (bench.file(), played(&settings, bench)))
        .collect();
    (settings, raws)
}

fn text<'a>(files: &'a Files, path: &str) -> &'a str {
    match files.get(path) {
        Some(Content::Text(text)) => text,
        other => panic!("{path}: {other:?}"),
    }
}

fn value(files: &Files, path: &str) -> Value {
    serde_json::from_str(text(files, path)).unwrap()
}

fn within(found: f64, wanted: f64) {
    assert!(
        (found / wanted - 1.0).abs() < 0.02,
        "{found} is not {wanted}"
    );
}

#[test]
fn a_report_finds_a_servers_known_speeds_and_cache_within_two_per_cent() {
    let (settings, raws) = suite();
    let (files, left_out) = report(&raws, Some(&settings));
    assert_eq!(left_out, Vec::<String>::new());
    // How fast it reads.
    let ingestion = value(&files, "report/data/prompt_ingestion_graph_data.json");
    within(
        1.0 / ingestion["fit_coefficients"][0].as_f64().unwrap(),
        SERVER.reads,
    );
    let lengths = ingestion["prompt_lengths"].as_array().unwrap().len();
    assert_eq!(
        lengths,
        ingestion["times_to_first_token"].as_array().unwrap().len()
    );
    // How fast it writes: alone, 128 tokens take 127 steps after the first.
    let path = "report/speed_generation/data/speed_generation_graph_data_input_32_output_128.json";
    let alone = &value(&files, path)["1"]["speed_generation"];
    let first = 0.004 + 40.0 / SERVER.reads;
    within(
        alone[1].as_f64().unwrap(),
        128.0 / (first + 127.0 * SERVER.step_s),
    );
    // What ten write together: of each query's time, nine prompts more are read, and it thinks 10 ms.
    let totals = value(&files, "report/data/total_speed_generation_graph_data.json");
    let ten = &totals["1"]["data"][2];
    assert_eq!(
        (&totals["1"]["output_length"], &ten["nb_parallel_requests"]),
        (&128.into(), &10.into())
    );
    let raw = &raws["generation_speed_input_32_output_128_nb_requests_10.json"];
    let span = Beside::read(&raw.llmload).span_s;
    within(ten["speed"].as_f64().unwrap(), 60.0 * 128.0 / span);
    // How much it holds.
    let Some(Content::Page(page)) = files.get("report/report.html") else {
        panic!("no page");
    };
    let cache = page
        .facts
        .iter()
        .find(|fact| fact.name == "KV cache")
        .unwrap();
    within(cache.value.replace(',', "").parse().unwrap(), 60_000.0);
}

#[test]
fn a_report_from_files_without_our_own_keys_finds_the_same() {
    let (settings, mut raws) = suite();
    let (ours, _) = report(&raws, Some(&settings));
    for raw in raws.values_mut() {
        raw.llmload.clear();
    }
    let (files, left_out) = report(&raws, None);
    assert_eq!(left_out, Vec::<String>::new());
    let path = "report/data/prompt_ingestion_graph_data.json";
    assert_eq!(text(&files, path), text(&ours, path));
    let path = "report/data/total_speed_generation_graph_data.json";
    let (theirs, ours) = (value(&files, path), value(&ours, path));
    for pair in ["0", "1", "2", "3"] {
        for level in 0..4 {
            let of = |all: &Value| all[pair]["data"][level]["speed"].as_f64().unwrap();
            within(of(&theirs), of(&ours));
        }
    }
    let Some(Content::Page(page)) = files.get("report/report.html") else {
        panic!("no page");
    };
    let cache = page
        .facts
        .iter()
        .find(|fact| fact.name == "KV cache")
        .unwrap();
    let found: f64 = cache.value.replace(',', "").parse().unwrap();
    assert!((found / 60_000.0 - 1.0).abs() < 0.1, "{found}");
}

#[test]
fn every_file_is_there_and_follows_its_schema() {
    let (settings, raws) = suite();
    let (files, _) = report(&raws, Some(&settings));
    insta::assert_snapshot!(files.keys().cloned().collect::<Vec<_>>().join("\n"), @r#"
    README.md
    report/README.md
    report/data/prompt_ingestion_graph_data.json
    report/data/total_speed_generation_graph_data.json
    report/kv_cache_profile/graph_kv_cache_profile_input_1024_output_128.png
    report/kv_cache_profile/graph_kv_cache_profile_input_1024_output_16.png
    report/kv_cache_profile/graph_kv_cache_profile_input_32_output_128.png
    report/kv_cache_profile/graph_kv_cache_profile_input_32_output_16.png
    report/parameters.json
    report/prompt_ingestion_graph.png
    report/report.html
    report/speed_generation/data/speed_generation_graph_data_input_1024_output_128.json
    report/speed_generation/data/speed_generation_graph_data_input_1024_output_16.json
    report/speed_generation/data/speed_generation_graph_data_input_32_output_128.json
    report/speed_generation/data/speed_generation_graph_data_input_32_output_16.json
    report/speed_generation/speed_generation_graph_input_1024_output_128.png
    report/speed_generation/speed_generation_graph_input_1024_output_16.png
    report/speed_generation/speed_generation_graph_input_32_output_128.png
    report/speed_generation/speed_generation_graph_input_32_output_16.png
    report/thresholds.csv
    report/total_speed_generation_graph.png
    "#);
    for (begin, schema) in DATA_SCHEMAS {
        let schema = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let of = |path: &&String| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(begin))
        };
        let paths: Vec<&String> = files.keys().filter(of).collect();
        assert!(!paths.is_empty(), "{begin}");
        for path in paths {
            let value = value(&files, path);
            let errors: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert_eq!(errors, Vec::<String>::new(), "{path}");
            let mut odd = value.clone();
            odd["more"] = Value::Null;
            assert!(!validator.is_valid(&odd), "{path}");
        }
    }
    insta::assert_snapshot!(text(&files, "report/thresholds.csv"), @r#"
    speed_threshold,kv_cache_threshold,input_length,output_length
    30,30,32,16
    30,30,32,128
    2,30,1024,16
    10,30,1024,128
    "#);
    insta::assert_snapshot!(text(&files, "report/parameters.json"), @r#"
    {
        "model": "tiny",
        "step_live_metrics": 0.01,
        "max_queries": 1000,
        "request_rate": 0,
        "backend": "happy_vllm",
        "suite_id": "2026-01-02, 03:04:05",
        "model_name": null,
        "gpu_name": "a GPU"
    }
    "#);
    insta::assert_snapshot!(text(&files, "report/README.md"));
    insta::assert_snapshot!(text(&files, "README.md"));
}

#[test]
fn the_page_has_every_chart_and_what_made_it() {
    let (settings, mut raws) = suite();
    for (name, raw) in &mut raws {
        let mut beside = Beside::read(&raw.llmload);
        if name.ends_with("nb_requests_30.json") {
            beside.verdict = Some(Generator {
                word: "INVALID".to_owned(),
                reasons: vec!["a core was busy".to_owned()],
            });
        }
        if name.starts_with("kv_cache_profile_input_32") {
            beside.counters.get_or_insert_default().agree = Some(false);
        }
        raw.llmload = beside.map();
    }
    let (files, _) = report(&raws, Some(&settings));
    let Some(Content::Page(page)) = files.get("report/report.html") else {
        panic!("no page");
    };
    let words: Vec<String> = page
        .notices
        .iter()
        .map(|it| format!("{}: {}", it.word, it.text))
        .collect();
    insta::assert_snapshot!(words.join("\n"), @r#"
    INVALID: The generator says so of generation_speed_input_32_output_16_nb_requests_30.json, generation_speed_input_32_output_128_nb_requests_30.json, generation_speed_input_1024_output_16_nb_requests_30.json and 1 more.
    COUNTERS DIFFER: The server's counters are not the sums of its answers in kv_cache_profile_input_32_output_16.json, kv_cache_profile_input_32_output_128.json: others used it too, or answers were lost.
    "#);
    let facts = page
        .facts
        .iter()
        .map(|it| format!("{} | {} | {} | {}", it.name, it.value, it.unit, it.note));
    insta::assert_snapshot!(facts.collect::<Vec<_>>().join("\n"), @r#"
    Prompt ingestion | 6,000 | tokens/s | and 4.50 ms beside the reading
    Speed at 10 parallel requests | 29.8 | tokens/s | median of a request, prompts of 1024, answers of 128 tokens
    Most for all together | 1,343 | tokens/s | prompts of 32, answers of 128 tokens, 30 parallel
    KV cache | 60,000 | tokens | from what the queries held at each look
    "#);
    let text = serde_json::to_string(page).unwrap();
    let charts = text.matches("\"block\":\"chart\"").count();
    let pictures = files
        .values()
        .filter(|it| matches!(it, Content::Picture(_)))
        .count();
    assert_eq!((charts, pictures), (1 + 1 + 4 + 4, 1 + 1 + 4 + 4));
    assert!(text.contains("llmload bench-suite") && text.contains("a core was busy"));
    assert!(text.len() < 1_500_000, "{}", text.len());
}

#[test]
fn what_was_dropped_is_told_by_the_readme_and_the_page() {
    let (settings, mut raws) = suite();
    let name = "generation_speed_input_32_output_16_nb_requests_30.json";
    let raw = raws.get_mut(name).unwrap();
    let mut beside = Beside::read(&raw.llmload);
    beside.dropped = 17;
    beside.counters.get_or_insert_default().agree = None;
    beside.counters.get_or_insert_default().undecided = "17 unknown".to_owned();
    raw.llmload = beside.map();
    let single = serde_json::to_string(&single_page(raw)).unwrap();
    assert!(single.contains("17 more given up at the end"), "{single}");
    let (files, _) = report(&raws, Some(&settings));
    let readme = text(&files, "README.md");
    assert!(readme.contains(&format!("- `{name}`: 17\n")), "{readme}");
    let Some(Content::Page(page)) = files.get("report/report.html") else {
        panic!("no page");
    };
    let page = serde_json::to_string(page).unwrap();
    assert!(page.contains(r#""17 unknown","17"]"#), "{page}");
}

#[expect(clippy::too_many_lines, reason = "most of it is what is said")]
#[test]
fn what_is_missing_is_named_and_breaks_nothing() {
    let (files, left_out) = report(&BTreeMap::new(), None);
    assert!(files.contains_key("README.md") && files.contains_key("report/report.html"));
    assert_eq!(left_out.len(), 3);
    let settings = settings();
    let few = SERVER.kept_busy(2, 32, 16, 12);
    let bench = Bench::SpeedGeneration {
        input: 32,
        output: 16,
        parallel: 2,
    };
    let parameters = rig::parameters(&settings, bench, None);
    let whole = Raw::of(Played {
        parameters,
        queries: few.queries,
        actual_total_time: few.length_s,
        ..Played::default()
    });
    let empty = Raw::of(Played::default());
    let raws = BTreeMap::from([
        (bench.file(), whole.clone()),
        ("notes.json".to_owned(), whole.clone()),
        ("prompt_ingestion_0.json".to_owned(), whole.clone()),
        ("kv_cache_profile_input_32_output_16.json".to_owned(), whole),
        ("prompt_ingestion_1.json".to_owned(), empty),
    ]);
    let (_, left_out) = report(&raws, Some(&settings));
    insta::assert_snapshot!(left_out.join("\n"), @r#"
    `generation_speed_input_32_output_16_nb_requests_2.json`: 12 queries counted, at least 50 are wanted
    `kv_cache_profile_input_32_output_16.json`: 12 queries counted, at least 50 are wanted
    `notes.json`: its name is no benchmark's of a suite
    `prompt_ingestion_0.json`: 12 queries counted, at least 50 are wanted
    `prompt_ingestion_1.json`: 0 queries counted, at least 50 are wanted
    no graph of the prompt ingestion: it needs answers to prompts of at least two lengths
    `kv_cache_profile_input_32_output_128.json` was not run
    `kv_cache_profile_input_1024_output_16.json` was not run
    `kv_cache_profile_input_1024_output_128.json` was not run
    the speed from 32 to 16 tokens with 1,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
    the speed from 32 to 128 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
    the speed from 1024 to 16 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
    the speed from 1024 to 128 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
    no graphs of the speed: there is no file of it
    no profiles of the KV cache: there is no file of one
    "#);
    for min_number_of_valid_queries in [0, 12] {
        let settings = SuiteSettings {
            min_number_of_valid_queries,
            ..settings.clone()
        };
        let (files, left_out) = report(&raws, Some(&settings));
        insta::allow_duplicates! {
            insta::assert_snapshot!(left_out.join("\n").replace("at least 1 ", "at least 12 "), @r#"
            `kv_cache_profile_input_32_output_16.json`: it has no look at the cache
            `notes.json`: its name is no benchmark's of a suite
            `prompt_ingestion_0.json`: it does not have its queries one by one
            `prompt_ingestion_1.json`: 0 queries counted, at least 12 are wanted
            no graph of the prompt ingestion: it needs answers to prompts of at least two lengths
            `kv_cache_profile_input_32_output_128.json` was not run
            `kv_cache_profile_input_1024_output_16.json` was not run
            `kv_cache_profile_input_1024_output_128.json` was not run
            the speed from 32 to 16 tokens with 1,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
            the speed from 32 to 128 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
            the speed from 1024 to 16 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
            the speed from 1024 to 128 tokens with 1,2,10,30 at once was not run: the time of the pair (15 min) was over, or the suite was interrupted
            no profiles of the KV cache: there is no file of one
            "#);
            insta::assert_snapshot!(text(&files, "report/thresholds.csv"), @r#"
            speed_threshold,input_length,output_length
            2,32,16
            "#);
        }
        assert!(text(&files, "report/README.md").contains("the nearest that was run"));
    }
}
