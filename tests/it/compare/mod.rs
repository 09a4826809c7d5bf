//! `llmload compare` from outside: mixes of files, folders, a baseline's exit statuses, what is said of broken files.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::command::{Place, Ran};

mod columns;
mod gate;

const GEMMA: &str = "gemma2-9b-instruct-q8_0_230_280";
const LLAMA: &str = "llama3-1-8b-instruct-q8_0_230_280";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compare")
}

/// A folder with the fixtures in it.
fn place() -> Place {
    let place = Place::new();
    let native = fixtures().join("native");
    for folder in [fixtures(), native] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(
                    &path,
                    place.file(path.file_name().unwrap().to_str().unwrap()),
                )
                .unwrap();
            }
        }
    }
    place
}

fn compare(place: &Place, line: &str) -> Ran {
    let args: Vec<&str> = std::iter::once("compare")
        .chain(line.split_whitespace())
        .collect();
    place.run(&args)
}

#[track_caller]
fn done(place: &Place, line: &str) -> String {
    let ran = compare(place, line);
    ran.expect(0);
    ran.stdout
}

/// The individual responses of `from` with `change` made of each, as the files of a run called `to`.
fn altered(place: &Place, from: &str, to: &str, change: impl Fn(usize, &mut Value)) {
    let mut responses = place.json(&format!("{from}_individual_responses.json"));
    for (at, response) in responses.as_array_mut().unwrap().iter_mut().enumerate() {
        change(at, response);
    }
    place.write(
        &format!("{to}_individual_responses.json"),
        &responses.to_string(),
    );
}

fn slower(response: &mut Value, factor: f64) {
    for key in ["ttft_s", "end_to_end_latency_s", "inter_token_latency_s"] {
        response[key] = json!(response[key].as_f64().unwrap() * factor);
    }
}

#[test]
fn six_models_make_the_report_of_the_fixtures() {
    let place = place();
    let files = "gemma2-9b gemma2-27b qwen2-5-7b qwen2-5-14b qwen2-5-32b llama3-1-8b";
    let all: Vec<String> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let summary = |start: &str| {
        all.iter()
            .find(|it| it.starts_with(start) && it.ends_with("_summary.json"))
            .unwrap()
            .clone()
    };
    let files: Vec<String> = files.split(' ').map(summary).collect();
    let text = done(&place, &files.join(" "));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../fixtures/compare");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("report", text));
}

#[test]
fn any_mix_of_files_stands_side_by_side() {
    let place = place();
    let text = done(
        &place,
        &format!("{GEMMA}_summary.json one.json summary.csv --title Mixed"),
    );
    assert!(text.starts_with("# Mixed\n"), "{text}");
    let row = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")));
        line.unwrap_or_else(|| panic!("{name}\n{text}"))
            .split('|')
            .map(str::trim)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // llmperf, our result with its records beside it, and two rows of a table.
    assert_eq!(row("Concurrency")[2..6], ["4", "3", "3", "3"]);
    assert_eq!(
        row("Errors")[2..6],
        ["0", "0", "–", "–"],
        "a row counts good requests alone"
    );
    assert_eq!(row("Parameters")[2..6], ["9B", "7B", "7B", "7B"]);
    assert!(text.contains(
        "Concurrency differs (3 and 4): differences of figures are not the models' alone."
    ));
    let itl = text.split("### Inter-token latency (s)").nth(1).unwrap();
    let means = itl
        .lines()
        .find(|line| line.starts_with("| mean |"))
        .unwrap();
    assert!(
        means.ends_with("| – | – |") && !means.starts_with("| mean | – "),
        "{means}"
    );
    assert!(text.contains("takes a file of --records"));
    assert!(text.contains("the individual responses are needed"));
}

#[test]
fn files_of_one_run_are_one_column_however_they_are_given() {
    let place = place();
    let columns = |line: &str| {
        let text = done(&place, line);
        text.lines()
            .find(|line| line.starts_with("| Requests |"))
            .unwrap()
            .to_owned()
    };
    let (summary, individual) = (
        format!("{GEMMA}_summary.json"),
        format!("{GEMMA}_individual_responses.json"),
    );
    for line in [
        summary.clone(),
        individual.clone(),
        format!("{summary} {individual}"),
        format!("x={individual},{summary}"),
    ] {
        assert_eq!(columns(&line), "| Requests | 40 |", "{line}");
    }
    assert_eq!(
        columns(&format!("x={summary} y={summary}")),
        "| Requests | 40 | 40 |"
    );
    assert_eq!(columns("one.jsonl one.json"), "| Requests | 30 |");
    assert_eq!(
        columns("one.json two.json --merge-runs"),
        "| Requests | 60 |"
    );
}

#[test]
fn a_result_alone_has_no_inter_token_latency_and_no_intervals() {
    let place = place();
    let text = done(&place, "one.json two.json");
    assert!(
        text.contains("llmperf's inter-token latency of mock-7b-q8_0 (two.json) cannot be had"),
        "{text}"
    );
    assert!(text.contains("Time per output token (s)"));
    assert!(
        text.contains("Of mock-7b-q8_0 (two.json) there is a summary alone."),
        "{text}"
    );
}

#[test]
fn a_folder_makes_runs_of_equal_settings_one_column() {
    let place = place();
    fs::create_dir(place.file("runs")).unwrap();
    for name in ["one.json", "one.jsonl", "two.json"] {
        fs::rename(place.file(name), place.file("runs").join(name)).unwrap();
    }
    place.write("runs/notes.json", "{\"mine\": 1}");
    let text = done(&place, "runs");
    assert!(
        text.starts_with("# Performance of mock 7B Q8_0\n"),
        "{text}"
    );
    assert!(
        text.contains("| Runs | 2 |") && text.contains("| Requests | 60 |"),
        "{text}"
    );
    assert!(
        text.contains("Left out: runs/notes.json is no result that can be compared"),
        "{text}"
    );
    fs::create_dir(place.file("empty")).unwrap();
    let ran = compare(&place, "empty");
    ran.expect(2);
    assert!(
        ran.stderr.contains("the folder `empty` holds no result"),
        "{}",
        ran.stderr
    );
}

#[test]
fn several_runs_a_side_are_resampled_by_runs() {
    let place = place();
    for (at, factor) in [(1, 1.0), (2, 1.1), (3, 0.9)] {
        altered(&place, GEMMA, &format!("old{at}"), |_, it| {
            slower(it, factor);
        });
        altered(&place, GEMMA, &format!("new{at}"), |_, it| {
            slower(it, factor * 1.02);
        });
    }
    let files = |name: &str| {
        let files: Vec<String> = (1..4)
            .map(|at| format!("{name}{at}_individual_responses.json"))
            .collect();
        format!("{name}={}", files.join(","))
    };
    let text = done(&place, &format!("{} {}", files("old"), files("new")));
    assert!(text.contains("Runs were resampled first"), "{text}");
    assert!(text.contains("### new against old"));
    let line = text
        .lines()
        .find(|line| line.starts_with("| mean time to first token |"))
        .unwrap();
    assert!(
        line.contains("+2.0%") && line.contains("no significant difference"),
        "{line}"
    );
}

#[test]
fn a_baseline_sets_the_exit_status() {
    let place = place();
    altered(&place, GEMMA, "slow", |_, it| slower(it, 1.5));
    // Slower for a few alone: more than 2% by the mean, and chance.
    altered(&place, GEMMA, "noisy", |at, it| {
        slower(it, if at % 8 == 0 { 1.3 } else { 1.0 });
    });
    altered(&place, GEMMA, "failing", |at, it| {
        if at % 2 == 0 {
            it["error_code"] = json!(500);
        }
    });
    let judged = |name: &str, rules: &str| {
        let line = format!(
            "--baseline {GEMMA}_individual_responses.json {name}_individual_responses.json {rules} -o r.md"
        );
        compare(&place, &line)
    };
    let same = judged(LLAMA, "--fail-if ttft>+10%");
    same.expect(0);
    assert!(
        same.stdout.starts_with("OK        ttft>+10%  "),
        "{}",
        same.stdout
    );
    let slow = judged(
        "slow",
        "--fail-if ttft:median>+10% --fail-if ttft<-10% --fail-if latency:p95>+100s",
    );
    slow.expect(5);
    let words: Vec<&str> = slow
        .stdout
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(words, ["FAIL", "OK", "OK"], "{}", slow.stdout);
    assert!(slow.stdout.contains(", +50.0% (+"), "{}", slow.stdout);
    let noisy = judged("noisy", "--fail-if ttft>+2%");
    noisy.expect(0);
    assert!(
        noisy.stdout.starts_with("CHANCE") && noisy.stdout.contains("not significant"),
        "{}",
        noisy.stdout
    );
    judged("noisy", "--fail-if ttft>+2% --strict").expect(5);
    judged("slow", "").expect(5);
    judged("slow", "--fail-if none").expect(0);
    let failing = judged("failing", "--fail-if error_rate>+1pp");
    failing.expect(5);
    assert!(
        failing.stdout.contains("0.00% → 50.00%, +50.00 pp"),
        "{}",
        failing.stdout
    );
    assert!(place.read("r.md").contains("## Thresholds"));
}

#[test]
fn summaries_alone_prove_nothing_and_a_gate_that_judges_nothing_fails() {
    let place = place();
    for name in [GEMMA, LLAMA] {
        fs::rename(
            place.file(&format!("{name}_summary.json")),
            place.file(&format!("alone-{name}.json")),
        )
        .unwrap();
    }
    let line =
        format!("--baseline alone-{LLAMA}.json alone-{GEMMA}.json --fail-if ttft>+10% -o r.md");
    let ran = compare(&place, &line);
    ran.expect(1);
    assert!(
        ran.stdout.starts_with("UNPROVEN")
            && ran.stdout.contains("the individual responses are needed")
            && ran.stderr.contains("no threshold could be judged"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    compare(&place, &format!("{line} --strict")).expect(5);
    let ran = compare(
        &place,
        &format!("--baseline alone-{LLAMA}.json alone-{GEMMA}.json --fail-if tpot>+10% -o r.md"),
    );
    ran.expect(1);
    assert!(
        ran.stdout.starts_with("UNKNOWN") && ran.stderr.contains("no threshold could be judged"),
        "{}",
        ran.stderr
    );
    // One that came to a judgement is enough.
    compare(&place, &format!("{line} --fail-if ttft>+1000%")).expect(0);
}

#[test]
fn broken_files_and_wrong_words_are_told_by_name() {
    let place = place();
    place.write("cut_individual_responses.json", "[{\"ttft_s\": 1.0, ");
    place.write("other.json", "{\"a\": 1}");
    place.write("binary.json", "");
    fs::write(place.file("binary.json"), [0xff, 0xfe, 0x00]).unwrap();
    for (line, want) in [
        (
            "cut_individual_responses.json",
            "`cut_individual_responses.json` is broken at line 1",
        ),
        (
            "other.json",
            "`other.json` is no result that can be compared: the object has neither",
        ),
        (
            "binary.json",
            "`binary.json` is no result that can be compared: it is no text",
        ),
        ("nowhere.json", "cannot read `nowhere.json`"),
        ("", "nothing to compare"),
        (
            "one.json -o report.txt",
            "the name `report.txt` does not tell the form",
        ),
        (
            "--baseline one.json",
            "nothing to compare with the baseline",
        ),
        (
            "--baseline summary.csv one.json",
            "the baseline holds 2 configurations",
        ),
        (
            "one.json --baseline two.json --fail-if speed>+1%",
            "`speed` is no figure",
        ),
        (
            "one.json --confidence 100%",
            "not a percentage from 50% to 99.9%",
        ),
        (
            "one.json --group g=two.json",
            "the group `g` has fewer than two members",
        ),
    ] {
        let ran = compare(&place, line);
        ran.expect(2);
        assert!(ran.stderr.contains(want), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_page_stands_alone_and_a_folder_holds_everything() {
    let place = place();
    let hostile = place
        .read(&format!("{GEMMA}_summary.json"))
        .replace("gemma2:9b", "<script>alert(1)</script>:9b");
    place.write("hostile_summary.json", &hostile);
    let line = format!("hostile_summary.json {LLAMA}_summary.json --output-dir out -o page.html");
    assert_eq!(done(&place, &line), "");
    let page = place.read("page.html");
    assert!(page.contains("<svg") && !page.contains("<script") && !page.contains(" src="));
    assert_eq!(page, place.read("out/comparison.html"));
    let text = place.read("out/comparison.md");
    assert!(
        text.contains("](figures.svg)") && !text.contains("| <script>"),
        "{text}"
    );
    assert!(place.read("out/figures.svg").starts_with("<svg"));
    assert_eq!(done(&place, &format!("{line} --format html")), "");
    assert!(done(&place, "one.json --format html").starts_with("<!doctype html>"));
}

#[test]
fn groups_are_made_by_hand_and_by_metadata() {
    let place = place();
    let text = done(
        &place,
        &format!("--group small={LLAMA}_summary.json,{GEMMA}_summary.json"),
    );
    assert!(text.contains("### small (8B → 9B)"), "{text}");
    let qwen = "qwen2-5-7b-instruct-q8_0_230_280";
    for (name, stage) in [(GEMMA, "a"), (LLAMA, "a"), (qwen, "b")] {
        let mut summary = place.json(&format!("{name}_summary.json"));
        summary["stage"] = json!(stage);
        place.write(&format!("{name}_summary.json"), &summary.to_string());
    }
    let text = done(
        &place,
        &format!("{GEMMA}_summary.json {qwen}_summary.json {LLAMA}_summary.json --group-by stage"),
    );
    assert!(
        text.contains("| Metadata | stage=a | stage=b | stage=a |"),
        "{text}"
    );
    let groups: Vec<&str> = text
        .split("## Scale effects")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("### "))
        .collect();
    assert_eq!(groups, ["### a (8B → 9B)"], "the one of stage b is alone");
}

#[test]
fn correctness_tests_have_a_table_of_their_own() {
    let place = place();
    let test = json!({"version": "2023-08-31", "number_errors": 2, "num_mismatched_requests": 3, "num_completed_requests": 50,
        "model": "m", "num_concurrent_requests": 5, "llm_api": "openai"});
    place.write("m_correctness_summary.json", &test.to_string());
    place.write(
        "m_correctness_individual_responses.json",
        "[{\"metrics\": {}, \"generated_text\": \"\"}]",
    );
    for line in [
        "m_correctness_summary.json",
        "m_correctness_individual_responses.json",
    ] {
        let text = done(&place, line);
        assert!(
            text.contains("| m | openai | 5 | 50 | 2 | 48 | 3 | 6.2% | 2.1% to 16.8% |"),
            "{text}"
        );
    }
    let both = done(
        &place,
        &format!("m_correctness_summary.json {GEMMA}_summary.json"),
    );
    assert!(both.contains("## Correctness") && both.contains("## Performance"));
}

#[test]
fn equal_seeds_give_equal_reports() {
    let place = place();
    let report = |seed: &str| {
        done(
            &place,
            &format!("{GEMMA}_summary.json {LLAMA}_summary.json --seed {seed}"),
        )
    };
    assert_eq!(report("1"), report("1"));
    assert_ne!(report("1"), report("2").replace("seed 2", "seed 1"));
}
