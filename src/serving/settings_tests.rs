//! What settings come to.

use super::*;

#[test]
fn the_whole_suite_is_the_upstream_tools() {
    let benches = SuiteSettings::default().benchmarks();
    assert_eq!(benches.len(), 4 + 9 + 9 * 14);
    let files: Vec<String> = benches.iter().map(|bench| bench.file()).collect();
    assert_eq!(files[3], "prompt_ingestion_3.json");
    assert_eq!(files[4], "kv_cache_profile_input_32_output_16.json");
    assert_eq!(files[5], "kv_cache_profile_input_32_output_128.json");
    assert_eq!(
        files[13],
        "generation_speed_input_32_output_16_nb_requests_1.json"
    );
    assert_eq!(
        files[26],
        "generation_speed_input_32_output_16_nb_requests_38.json"
    );
    assert_eq!(
        files[27],
        "generation_speed_input_32_output_128_nb_requests_1.json"
    );
    assert_eq!(
        files[138],
        "generation_speed_input_4096_output_1024_nb_requests_38.json"
    );
}

#[test]
fn a_server_without_metrics_has_no_profiles() {
    let settings = SuiteSettings {
        has_metrics: false,
        ..SuiteSettings::default()
    };
    let profiles = settings
        .benchmarks()
        .into_iter()
        .filter(|bench| matches!(bench, Bench::KvCacheProfile { .. }));
    assert_eq!((profiles.count(), settings.benchmarks().len()), (0, 130));
}

#[test]
fn the_defaults_and_the_quick_ones_are_no_contradiction() {
    assert_eq!(SuiteSettings::default().check(), Ok(()));
    assert_eq!(SuiteSettings::quick().check(), Ok(()));
}

#[test]
fn contradictions_are_told_in_words() {
    let told = |change: fn(&mut SuiteSettings)| {
        let mut settings = SuiteSettings::default();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    };
    let words = [
        told(|it| it.input_lengths.clear()),
        told(|it| it.output_lengths[1] = 0),
        told(|it| it.parallel_requests = vec![1, 8, 4]),
        told(|it| it.max_duration_prompt_ingestion = 0.0),
        told(|it| it.step_live_metrics = f64::NAN),
        told(|it| it.min_duration_speed_generation = 901.0),
        told(|it| it.repeats = 0),
        told(|it| it.max_queries = 99),
        told(|it| it.min_number_of_valid_queries = 1001),
        told(|it| it.parallel_requests = vec![1, 1001]),
    ];
    insta::assert_snapshot!(words.join("\n"), @r#"
    the list of input lengths is empty
    the list of output lengths has `0`
    the list of parallel requests has `4` after `8`: each must be larger than the one before
    `0` is no duration of the prompt ingestion: it must be above 0
    `NaN` is no step of the live metrics: it must be above 0
    the speed's least duration `901` s is above its most, `900` s
    the number of repeats has `0`
    the target of queries `100` is above the most queries of a benchmark, `99`
    the least number of valid queries `1001` is above the most queries of a benchmark, `1000`
    the largest number of parallel requests `1001` is above the most queries of a benchmark, `1000`
    "#);
}

#[test]
fn parameters_have_the_upstream_tools_keys() {
    let settings = SuiteSettings {
        suite_id: "2026-01-02, 03:04:05".to_owned(),
        ..SuiteSettings::default()
    };
    let bench = Bench::SpeedGeneration {
        input: 1024,
        output: 16,
        parallel: 6,
    };
    let text =
        serde_json::to_string(&super::super::rig::parameters(&settings, bench, None)).unwrap();
    insta::assert_snapshot!(text, @r#"{"model":"tiny","prompt_length":"1024","n_workers":6,"query_profile":"constant_number_of_queries","step_live_metrics":0.01,"max_queries":1000,"request_rate":0,"backend":"happy_vllm","output_length":16,"suite_id":"2026-01-02, 03:04:05","model_name":null}"#);
    let first =
        super::super::rig::parameters(&settings, Bench::PromptIngestion { repeat: 1 }, Some("a"));
    assert_eq!(
        (&first["prompt_length"], &first["output_length"]),
        (&"0".into(), &1.into())
    );
}
