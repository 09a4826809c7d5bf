//! Which runs share a column, which are told apart, and what groups are made of.

use std::fs;

use serde_json::{Value, json};

use super::{GEMMA, LLAMA, altered, compare, done, place};
use crate::command::Place;

/// The folder `runs` with the fixture's result and a copy that `change` was made in.
fn pair(place: &Place, change: impl Fn(&mut Value)) {
    fs::create_dir_all(place.file("runs")).unwrap();
    let mut result = place.json("two.json");
    place.write("runs/one.json", &result.to_string());
    change(&mut result);
    place.write("runs/two.json", &result.to_string());
}

fn columns(text: &str) -> usize {
    let line = text.lines().find(|line| line.starts_with("| Model |"));
    line.unwrap().matches('|').count() - 2
}

#[test]
fn runs_of_other_servers_and_loads_are_no_repeats() {
    let place = place();
    pair(&place, |result| result["plan"]["seed"] = json!(1));
    assert_eq!(columns(&done(&place, "runs")), 1, "a seed is no setting");
    let changes: [(&str, Value); 5] = [
        ("/plan/target/base_url", json!("http://127.0.0.1:9")),
        ("/plan/schedule/burstiness", json!(2.0)),
        ("/plan/workload/prompts/generated/corpus", json!("sonnets")),
        ("/plan/provider/place/aws_region", json!("eu-west-1")),
        ("/tokens/requests_by_source", json!({"tokenizer": 30})),
    ];
    for (pointer, value) in changes {
        pair(&place, |result| {
            *result.pointer_mut(pointer).unwrap() = value.clone();
        });
        assert_eq!(columns(&done(&place, "runs")), 2, "{pointer}");
    }
    fs::remove_dir_all(place.file("runs")).unwrap();
    fs::create_dir(place.file("runs")).unwrap();
    let mut summary = place.json(&format!("{GEMMA}_summary.json"));
    for commit in ["a", "b"] {
        summary["commit"] = json!(commit);
        place.write(&format!("runs/{commit}.json"), &summary.to_string());
    }
    assert_eq!(columns(&done(&place, "runs")), 2, "metadata");
}

#[test]
fn what_differs_between_columns_is_named() {
    let place = place();
    pair(&place, |result| {
        result["plan"]["target"]["base_url"] = json!("http://127.0.0.1:9");
        result["plan"]["schedule"]["burstiness"] = json!(2.0);
    });
    let text = done(&place, "runs");
    assert!(
        text.contains("Server differs (http://127.0.0.1:18765 and http://127.0.0.1:9)"),
        "{text}"
    );
    assert!(
        text.contains("Other settings differ (schedule/burstiness)"),
        "{text}"
    );
}

#[test]
fn a_named_folder_is_one_configuration_or_says_what_differs() {
    let place = place();
    fs::create_dir(place.file("mixed")).unwrap();
    for name in [GEMMA, LLAMA] {
        let file = format!("{name}_summary.json");
        fs::rename(place.file(&file), place.file("mixed").join(&file)).unwrap();
    }
    let ran = compare(&place, "new=mixed");
    ran.expect(2);
    assert!(
        ran.stderr.contains("the runs of `new` are of several models: `gemma2:9b-instruct-q8_0`, `llama3.1:8b-instruct-q8_0`"),
        "{}",
        ran.stderr
    );
    pair(&place, |result| {
        result["plan"]["schedule"]["users"] = json!(9);
    });
    let text = done(&place, "new=runs");
    assert!(
        text.contains("new: its runs differ in Concurrency (3 and 9)"),
        "{text}"
    );
}

#[test]
fn one_file_is_one_column_however_its_path_is_spelt() {
    let place = place();
    let absolute = place.file("two.json").display().to_string();
    for line in [
        "two.json ./two.json".to_owned(),
        format!("two.json {absolute}"),
        "x=two.json,home/../two.json".to_owned(),
        "summary.csv ./summary.csv".to_owned(),
    ] {
        let text = done(&place, &line);
        let want = if line.contains("csv") { 2 } else { 1 };
        assert_eq!(columns(&text), want, "{line}");
        if want == 1 {
            assert!(text.contains("| Requests | 30 |"), "{line}: {text}");
        }
    }
}

#[test]
fn files_of_one_run_do_not_add_up_their_responses() {
    let place = place();
    let row = |number: f64| {
        json!({"error_code": null, "error_msg": "", "inter_token_latency_s": number, "ttft_s": number,
            "end_to_end_latency_s": number, "request_output_throughput_token_per_s": number,
            "number_total_tokens": 20, "number_output_tokens": 10, "number_input_tokens": 10})
    };
    place.write(
        "one_individual_responses.json",
        &json!([row(100.0), row(200.0)]).to_string(),
    );
    fs::create_dir(place.file("runs")).unwrap();
    for name in ["one.json", "one.jsonl", "one_individual_responses.json"] {
        fs::rename(place.file(name), place.file("runs").join(name)).unwrap();
    }
    let text = done(&place, "runs");
    let table = text.split("### Time to first token (s)").nth(1).unwrap();
    let mean = table.lines().find(|it| it.starts_with("| mean |")).unwrap();
    assert_eq!(mean, "| mean | 150.00 |");
}

#[test]
fn a_key_that_no_file_has_makes_no_groups_and_that_is_said() {
    let place = place();
    let line = format!("{GEMMA}_summary.json {LLAMA}_summary.json --group-by stage");
    let ran = compare(&place, &line);
    ran.expect(2);
    assert!(
        ran.stderr.contains("no result has `stage` in its metadata"),
        "{}",
        ran.stderr
    );
    let tag = |name: &str, stage: &str, model: &str| {
        let mut summary = place.json(&format!("{name}_summary.json"));
        summary["stage"] = json!(stage);
        summary["model"] = json!(model);
        place.write(&format!("{name}_summary.json"), &summary.to_string());
    };
    tag(GEMMA, "a", "gemma");
    tag(LLAMA, "b", "llama");
    let text = done(&place, &line);
    assert!(
        text.contains(
            "No two columns have the same `stage`"
                .replace('`', "\\`")
                .as_str()
        ),
        "{text}"
    );
    // Neither model tells its size.
    tag(LLAMA, "a", "llama");
    let text = done(&place, &line);
    assert!(text.contains("### a (gemma → llama)"), "{text}");
}

#[test]
fn a_folder_can_be_a_member_of_a_group_and_the_baseline_is_not_added_again() {
    let place = place();
    fs::create_dir(place.file("g")).unwrap();
    for name in [GEMMA, "gemma2-27b-instruct-q5_K_M_230_280"] {
        let file = format!("{name}_summary.json");
        fs::rename(place.file(&file), place.file("g").join(&file)).unwrap();
    }
    let text = done(&place, &format!("g --group all={LLAMA}_summary.json,g"));
    assert_eq!(columns(&text), 3, "{text}");
    assert!(text.contains("### all (8B → 9B → 27B)"), "{text}");
    altered(&place, LLAMA, "new", |_, _| {});
    let baseline = format!("{LLAMA}_summary.json");
    let ran = compare(
        &place,
        &format!("--baseline {baseline} --group all={baseline},g --fail-if ttft>+1000%"),
    );
    ran.expect(0);
    assert_eq!(columns(&ran.stdout), 3, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("### all (8B → 9B → 27B)"),
        "{}",
        ran.stdout
    );
    let verdicts = ran.stdout.lines().filter(|it| it.starts_with("OK  "));
    assert_eq!(verdicts.count(), 2, "{}", ran.stdout);
}

#[test]
fn what_it_takes_to_know_more_is_said_as_it_is() {
    let place = place();
    for (name, short) in [(GEMMA, "gemma"), (LLAMA, "llama")] {
        let all = place.json(&format!("{name}_individual_responses.json"));
        let few: Vec<&Value> = all.as_array().unwrap().iter().take(4).collect();
        let file = format!("{short}_individual_responses.json");
        place.write(&file, &json!(few).to_string());
    }
    let text = done(
        &place,
        "gemma=gemma_individual_responses.json llama=llama_individual_responses.json",
    );
    assert!(
        text.contains("is not known: that takes 5 responses of each."),
        "{text}"
    );
}
