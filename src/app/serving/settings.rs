//! What a suite is, by its options and the defaults of whom nobody told anything. It asks no server.

use std::path::PathBuf;

use time::OffsetDateTime;
use time::macros::format_description;

use super::args::{List, ReportingArgs, SuiteArgs};
use crate::app::failure::Failure;
use crate::domain::{format_span, shell_word};
use crate::serving::SuiteSettings;

/// The suite that the options ask for, begun `now`. What nobody gave gives way to a smaller number of queries.
///
/// # Errors
/// Options that contradict each other.
pub(super) fn suite(
    args: &SuiteArgs,
    backend: &str,
    now: OffsetDateTime,
) -> Result<SuiteSettings, Failure> {
    let usual = match args.quick {
        true => SuiteSettings::quick(),
        false => SuiteSettings::default(),
    };
    let most = args.prompts.max_queries.unwrap_or(usual.max_queries);
    let mut parallel = usual.parallel_requests;
    parallel.retain(|users| u64::from(*users) <= most);
    let least = args.min_duration_speed_generation;
    let speed_s = or(
        args.max_duration_speed_generation,
        usual.max_duration_speed_generation,
    );
    let settings = SuiteSettings {
        input_lengths: list(args.input_lengths.as_ref(), usual.input_lengths),
        output_lengths: list(args.output_lengths.as_ref(), usual.output_lengths),
        parallel_requests: list(args.parallel_requests.as_ref(), parallel),
        max_queries: most,
        max_duration_prompt_ingestion: or(
            args.max_duration_prompt_ingestion,
            usual.max_duration_prompt_ingestion,
        ),
        max_duration_kv_cache_profile: or(
            args.max_duration_kv_cache_profile,
            usual.max_duration_kv_cache_profile,
        ),
        max_duration_speed_generation: speed_s,
        min_duration_speed_generation: least
            .unwrap_or_else(|| usual.min_duration_speed_generation.min(speed_s)),
        target_queries_nb_speed_generation: args
            .target_queries_nb_speed_generation
            .unwrap_or_else(|| usual.target_queries_nb_speed_generation.min(most)),
        repeats: args.repeats.unwrap_or(usual.repeats),
        has_metrics: true,
        step_live_metrics: or(args.server.step_live_metrics, usual.step_live_metrics),
        backend: backend.to_owned(),
        speed_threshold: or(args.report.speed_threshold, usual.speed_threshold),
        min_number_of_valid_queries: args
            .report
            .min_number_of_valid_queries
            .unwrap_or_else(|| usual.min_number_of_valid_queries.min(in_waves(most))),
        gpu_name: args.report.gpu_name.clone(),
        seed: args.prompts.seed.unwrap_or(usual.seed),
        suite_id: in_words(now),
        quick: args.quick,
        asked_with: asked_with(args),
    };
    settings.check().map_err(Failure::usage)?;
    Ok(settings)
}

/// What else decides what is asked and how, as a shell takes it. Where the server is, and what opens it, is nobody's but the user's.
fn asked_with(args: &SuiteArgs) -> Vec<String> {
    let (server, prompts) = (&args.server, &args.prompts);
    let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
    let given = [
        ("model-name", server.model_name.clone()),
        ("completions-endpoint", server.completions_endpoint.clone()),
        ("metrics-endpoint", server.metrics_endpoint.clone()),
        ("info-endpoint", server.info_endpoint.clone()),
        (
            "launch-arguments-endpoint",
            server.launch_arguments_endpoint.clone(),
        ),
        ("timeout", server.timeout.map(format_span)),
        ("dataset-folder", path(&prompts.dataset_folder)),
        ("tokenizer", prompts.tokenizer.clone()),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    given
        .map(|(name, value)| format!("--{name} {}", shell_word(&value)))
        .collect()
}

/// How many of `most` queries go into whole waves of 1, 2, 3 …: what a profile of the cache has at most.
fn in_waves(most: u64) -> u64 {
    (1..=most)
        .scan(0_u64, |launched, size| {
            *launched += size;
            Some(*launched)
        })
        .take_while(|launched| *launched <= most)
        .last()
        .unwrap_or(0)
}

/// The settings of a suite that is reported again: what decides the report may be another now.
pub(super) fn reported_again(settings: &mut SuiteSettings, args: &ReportingArgs) {
    settings.speed_threshold = or(args.speed_threshold, settings.speed_threshold);
    if let Some(least) = args.min_number_of_valid_queries {
        settings.min_number_of_valid_queries = least;
    }
    if let Some(name) = &args.gpu_name {
        settings.gpu_name = Some(name.clone());
    }
}

/// Settings for files of another tool, of which nothing but the report matters.
pub(super) fn of_another_tool(args: &ReportingArgs) -> SuiteSettings {
    let mut settings = SuiteSettings::default();
    reported_again(&mut settings, args);
    settings
}

/// Whether anything was said that decides a report.
pub(super) fn decides(args: &ReportingArgs) -> bool {
    args.speed_threshold.is_some()
        || args.min_number_of_valid_queries.is_some()
        || args.gpu_name.is_some()
}

fn or(given: Option<f64>, usual: f64) -> f64 {
    given.unwrap_or(usual)
}

fn list(given: Option<&List>, usual: Vec<u32>) -> Vec<u32> {
    given.map_or(usual, |list| list.0.clone())
}

/// A moment, as the ids of suites have it.
pub(super) fn in_words(now: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    // A year beyond 9999 is the only thing that the format cannot hold.
    now.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::super::args::{BENCH_SUITE, command};
    use super::*;

    fn settings(line: &str) -> Result<SuiteSettings, String> {
        let argv = std::iter::once(BENCH_SUITE).chain(line.split_whitespace());
        let matches = command(BENCH_SUITE).try_get_matches_from(argv).unwrap();
        let args = SuiteArgs::from_arg_matches(&matches).unwrap();
        let suite = suite(&args, "happy_vllm", OffsetDateTime::UNIX_EPOCH);
        suite.map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_nobody_said_is_as_upstream_has_it() {
        let whole = settings("").unwrap();
        assert_eq!(whole.suite_id, "1970-01-01 00:00:00");
        let suite_id = String::new();
        assert_eq!(
            SuiteSettings { suite_id, ..whole },
            SuiteSettings::default()
        );
    }

    #[test]
    fn a_quick_suite_is_narrow_and_what_was_said_stands() {
        let quick = settings("--quick --repeats 7 --input-lengths 5,6").unwrap();
        assert_eq!((quick.repeats, quick.input_lengths), (7, vec![5, 6]));
        assert_eq!(quick.output_lengths, SuiteSettings::quick().output_lengths);
    }

    #[test]
    fn fewer_queries_take_what_nobody_gave_with_them_and_refuse_what_somebody_did() {
        let few = settings("--max-queries 9").unwrap();
        assert_eq!(few.parallel_requests, [1, 2, 3, 4, 6, 8]);
        assert_eq!(few.target_queries_nb_speed_generation, 9);
        let message = settings("--max-queries 9 --parallel-requests 1,10").unwrap_err();
        assert!(message.contains("`10`"), "{message}");
        let message = settings("--parallel-requests 2,1").unwrap_err();
        assert!(message.contains("larger than the one before"), "{message}");
    }
}
