//! Which source of a setting goes before which, and how a bad value is told.

use clap::FromArgMatches;

use super::super::args::{BENCH_SUITE, BENCHMARK, List, SingleArgs, SuiteArgs};
use super::*;

fn typed(name: &'static str, line: &str) -> ArgMatches {
    let argv = std::iter::once(name).chain(line.split_whitespace());
    command(name).try_get_matches_from(argv).unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> Found {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Found::environment(pairs.iter().map(owned))
}

fn suite(line: &str, below: &[Found]) -> Result<SuiteArgs, String> {
    let layered = layered(BENCH_SUITE, &typed(BENCH_SUITE, line), below, false);
    let layered = layered.map_err(|failure| format!("{:#}", failure.error))?;
    Ok(SuiteArgs::from_arg_matches(&layered.matches).unwrap())
}

fn numbers(of: &[u32]) -> List {
    List(of.to_vec())
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let environment = variables(&[("max_queries", "20"), ("Host", "b"), ("PORT", "")]);
    let file = "MAX_QUERIES=30\nHOST=c\nPORT=7\n# a comment\nGPU_NAME=\"A 100\"\nOTHER=1\n";
    let below = [environment, Found::dot_env(file).unwrap()];
    let args = suite("--max-queries 10 --parallel-requests 1,4", &below).unwrap();
    assert_eq!(args.prompts.max_queries, Some(10));
    assert_eq!(args.server.host.as_deref(), Some("b"));
    assert_eq!(args.server.port, Some(7), "an empty variable is none");
    assert_eq!(args.report.gpu_name.as_deref(), Some("A 100"));
    assert_eq!(args.parallel_requests, Some(numbers(&[1, 4])));
    assert_eq!(suite("", &below).unwrap().prompts.max_queries, Some(20));
    assert_eq!(
        suite("", &below[1..]).unwrap().prompts.max_queries,
        Some(30)
    );
    assert_eq!(suite("", &[]).unwrap().prompts.max_queries, None);
}

#[test]
fn a_list_of_the_command_line_takes_the_place_of_another_one() {
    let below = [variables(&[("INPUT_LENGTHS", "32,64"), ("QUICK", "1")])];
    let args = suite("--input-lengths 7", &below).unwrap();
    assert_eq!(
        (args.input_lengths, args.quick),
        (Some(numbers(&[7])), false)
    );
    assert_eq!(
        suite("", &below).unwrap().input_lengths,
        Some(numbers(&[32, 64]))
    );
    let twice = "--input-lengths 1,2 --input-lengths 3";
    assert_eq!(
        suite(twice, &[]).unwrap().input_lengths,
        Some(numbers(&[3]))
    );
}

#[test]
fn a_bad_value_names_its_source() {
    let environment = variables(&[("Port", "many")]);
    let message = suite("", std::slice::from_ref(&environment)).unwrap_err();
    assert!(
        message.starts_with("`Port` of the environment: invalid value 'many' for '--port <PORT>'"),
        "{message}"
    );
    assert!(suite("--port 1", &[environment]).is_ok(), "it is not used");
    let file = Found::dot_env("BACKEND=abacus\n").unwrap();
    let message = suite("", &[file]).unwrap_err();
    assert!(message.starts_with("`BACKEND` of `.env`: "), "{message}");
    assert!(Found::dot_env("a line that is none\n").is_err());
}

#[test]
fn json_parameters_stand_below_the_command_line_and_hold_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.json");
    let text = r#"{"n_workers": 4, "output_length": 16, "query_metrics": true, "min_duration": null, "backend": "vllm"}"#;
    std::fs::write(&path, text).unwrap();
    let below = [Found::json(&path).unwrap()];
    let read = |line: &str| {
        let layered = layered(BENCHMARK, &typed(BENCHMARK, line), &below, true).unwrap();
        SingleArgs::from_arg_matches(&layered.matches).unwrap()
    };
    let args = read("--n-workers 2");
    assert_eq!((args.n_workers, args.output_length), (Some(2), Some(16)));
    assert!(args.query_metrics && args.min_duration.is_none());
    assert_eq!(args.server.backend.as_deref(), Some("vllm"));
    std::fs::write(&path, "[]").unwrap();
    assert!(Found::json(&path).is_err());
}
