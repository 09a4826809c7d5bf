//! What a suite is, by its options and the defaults of whom nobody told anything. It asks no server.

use time::OffsetDateTime;
use time::macros::format_description;

use super::args::{ReportingArgs, SuiteArgs};
use crate::serving::SuiteSettings;

/// What stands where nobody said anything.
struct Defaults {
    input_lengths: &'static [u32],
    output_lengths: &'static [u32],
    parallel_requests: &'static [u32],
    max_queries: u64,
    ingestion_s: f64,
    cache_s: f64,
    speed_s: f64,
    least_speed_s: f64,
    target: u64,
    repeats: u32,
    valid: u64,
}

/// Those of the upstream tool.
const WHOLE: Defaults = Defaults {
    input_lengths: &[32, 1024, 4096],
    output_lengths: &[16, 128, 1024],
    parallel_requests: &[1, 2, 3, 4, 6, 8, 10, 14, 18, 22, 26, 30, 34, 38],
    max_queries: 1000,
    ingestion_s: 900.0,
    cache_s: 900.0,
    speed_s: 900.0,
    least_speed_s: 60.0,
    target: 100,
    repeats: 4,
    valid: 50,
};

/// Those of a first look. With what stands around each benchmark they come to less than four minutes, which leaves one for what
/// is under way when a benchmark's time is over.
const QUICK: Defaults = Defaults {
    input_lengths: &[32, 1024],
    output_lengths: &[16, 128],
    parallel_requests: &[1, 4, 10],
    max_queries: 200,
    ingestion_s: 14.0,
    cache_s: 10.0,
    speed_s: 8.0,
    least_speed_s: 2.0,
    target: 20,
    repeats: 2,
    valid: 5,
};

const DEFAULT_SPEED: f64 = 20.0;

/// The suite that the options ask for, begun `now`.
pub(super) fn suite(args: &SuiteArgs, backend: &str, now: OffsetDateTime) -> SuiteSettings {
    let usual = if args.quick { &QUICK } else { &WHOLE };
    let list = |given: &[u32], usual: &[u32]| match given {
        [] => usual.to_vec(),
        given => without_repeats(given),
    };
    let (report, server) = (&args.report, &args.server);
    SuiteSettings {
        input_lengths: list(&args.input_lengths, usual.input_lengths),
        output_lengths: list(&args.output_lengths, usual.output_lengths),
        parallel_requests: list(&args.parallel_requests, usual.parallel_requests),
        max_queries: args.prompts.max_queries.unwrap_or(usual.max_queries),
        max_duration_prompt_ingestion: or(args.max_duration_prompt_ingestion, usual.ingestion_s),
        max_duration_kv_cache_profile: or(args.max_duration_kv_cache_profile, usual.cache_s),
        max_duration_speed_generation: or(args.max_duration_speed_generation, usual.speed_s),
        min_duration_speed_generation: or(args.min_duration_speed_generation, usual.least_speed_s),
        target_queries_nb_speed_generation: args
            .target_queries_nb_speed_generation
            .unwrap_or(usual.target),
        repeats: args.repeats.unwrap_or(usual.repeats),
        has_metrics: true,
        step_live_metrics: or(server.step_live_metrics, 0.01),
        backend: backend.to_owned(),
        speed_threshold: or(report.speed_threshold, DEFAULT_SPEED),
        min_number_of_valid_queries: report.min_number_of_valid_queries.unwrap_or(usual.valid),
        gpu_name: report.gpu_name.clone(),
        seed: args.prompts.seed.unwrap_or(0),
        suite_id: in_words(now),
    }
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
    let mut settings = SuiteSettings {
        input_lengths: WHOLE.input_lengths.to_vec(),
        output_lengths: WHOLE.output_lengths.to_vec(),
        parallel_requests: WHOLE.parallel_requests.to_vec(),
        max_queries: WHOLE.max_queries,
        max_duration_prompt_ingestion: WHOLE.ingestion_s,
        max_duration_kv_cache_profile: WHOLE.cache_s,
        max_duration_speed_generation: WHOLE.speed_s,
        min_duration_speed_generation: WHOLE.least_speed_s,
        target_queries_nb_speed_generation: WHOLE.target,
        repeats: WHOLE.repeats,
        has_metrics: true,
        step_live_metrics: 0.01,
        backend: "happy_vllm".to_owned(),
        speed_threshold: DEFAULT_SPEED,
        min_number_of_valid_queries: WHOLE.valid,
        gpu_name: None,
        seed: 0,
        suite_id: String::new(),
    };
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

/// In the order in which they were given.
fn without_repeats(given: &[u32]) -> Vec<u32> {
    let mut list = Vec::new();
    for value in given {
        if !list.contains(value) {
            list.push(*value);
        }
    }
    list
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

    fn settings(line: &str) -> SuiteSettings {
        let argv = std::iter::once(BENCH_SUITE).chain(line.split_whitespace());
        let matches = command(BENCH_SUITE).try_get_matches_from(argv).unwrap();
        let args = SuiteArgs::from_arg_matches(&matches).unwrap();
        suite(&args, "vllm", OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn what_nobody_said_is_as_upstream_has_it() {
        let whole = settings("");
        assert_eq!(whole.input_lengths, [32, 1024, 4096]);
        assert_eq!(whole.parallel_requests.len(), 14);
        assert_eq!((whole.max_queries, whole.repeats), (1000, 4));
        assert_eq!(whole.suite_id, "1970-01-01 00:00:00");
    }

    #[test]
    fn a_quick_suite_is_narrow_and_fits_in_five_minutes_and_what_was_said_stands() {
        let quick = settings("--quick --max-queries 7 --parallel-requests 2,1,2");
        assert_eq!((quick.max_queries, quick.repeats), (7, 2));
        assert_eq!(quick.parallel_requests, [2, 1]);
        let quick = settings("--quick");
        let pairs = f64::from(
            u8::try_from(quick.input_lengths.len() * quick.output_lengths.len()).unwrap(),
        );
        let loads = f64::from(u8::try_from(quick.parallel_requests.len()).unwrap());
        let around = 2.0;
        let most = f64::from(quick.repeats) * (quick.max_duration_prompt_ingestion + around)
            + pairs * (quick.max_duration_kv_cache_profile + around)
            + pairs * loads * (quick.max_duration_speed_generation + around);
        assert!(most <= 240.0, "{most}");
    }
}
