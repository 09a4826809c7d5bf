//! What the options of the two tests come to, before anything is played.

use std::time::Duration;

use clap::{ArgMatches, FromArgMatches};

use super::args::{CorrectnessArgs, TOKEN_BENCHMARK, TokenArgs, commands, passed_on};
use super::settings::{self, Carrier, Wanted};
use crate::app::failure::Failure;
use crate::config::{self, Command};
use crate::domain::Keep;
use crate::schedule::{AT_ONCE, Pacing};
use crate::workload::{LengthLaw, LengthSpec, PromptSource};

/// The matches of a command line, spelt as people spell it.
fn matches(line: &str) -> ArgMatches {
    let cli = config::command().subcommands(commands());
    let words = std::iter::once("llmload").chain(line.split_whitespace());
    match config::resolve(&cli, words, &crate::app::surroundings::Process) {
        Ok(Command::Other { matches, .. }) => matches,
        other => panic!("{line}: {other:?}"),
    }
}

fn tokens(line: &str) -> (TokenArgs, ArgMatches) {
    let matches = matches(&format!("token-benchmark --model m {line}"));
    (TokenArgs::from_arg_matches(&matches).unwrap(), matches)
}

fn refused(line: &str) -> String {
    let cli = config::command().subcommands(commands());
    let words = ["llmload", "token-benchmark", "--model", "m"].into_iter();
    let words = words.chain(line.split_whitespace());
    let error = config::resolve(&cli, words, &crate::app::surroundings::Process).err();
    error.unwrap().to_string()
}

fn carrier(line: &str) -> Result<Carrier, Failure> {
    let (args, matches) = tokens(line);
    let client = settings::client(&args.test, true)?;
    let wanted = Wanted {
        prompts: PromptSource::Numerals,
        output: LengthSpec {
            mean: 5,
            law: LengthLaw::Constant,
            range: 0.0,
            cap: None,
            jitter: 0,
        },
        has_length: true,
        requests: args.max_num_completed_requests,
        temperature: None,
        keep: Keep::Figures,
    };
    settings::options(
        TOKEN_BENCHMARK,
        &args.test,
        &matches,
        client,
        "tok",
        &wanted,
    )
}

#[test]
fn the_defaults_are_llmperf_s() {
    let (args, _) = tokens("");
    let lengths = (
        args.mean_input_tokens,
        args.stddev_input_tokens,
        args.mean_output_tokens,
        args.stddev_output_tokens,
    );
    assert_eq!(lengths, (550, 150, 150, 80));
    assert_eq!(
        (
            args.max_num_completed_requests,
            args.test.num_concurrent_requests
        ),
        (10, 10)
    );
    assert_eq!(
        (args.test.timeout, args.test.seed),
        (Duration::from_secs(90), 11_111)
    );
    assert_eq!(
        args.test.tokenizer_id,
        "hf-internal-testing/llama-tokenizer"
    );
    assert_eq!(args.test.llm_api, "openai");
    assert!(args.test.additional_sampling_params.is_empty() && args.test.metadata.is_empty());
    assert!(args.test.results_dir.as_os_str().is_empty());
    let args = CorrectnessArgs::from_arg_matches(&matches("correctness --model m")).unwrap();
    assert_eq!(
        (args.max_num_completed_requests, args.max_mismatch_rate),
        (50, None)
    );
}

#[test]
fn both_spellings_are_taken_and_na_is_none() {
    for line in [
        "--tokenizer-id a_b --ml-repo repo_x --run-name NA --mean-input-tokens 7",
        "--tokenizer_id a_b --ml_repo repo_x --run_name NA --mean_input_tokens=7",
    ] {
        let (args, _) = tokens(line);
        assert_eq!(
            (args.test.tokenizer_id.as_str(), args.mean_input_tokens),
            ("a_b", 7)
        );
        let repo = &args.test.ml_repo;
        assert_eq!((repo.experiment(), repo.name()), (Some("repo_x"), None));
    }
    assert_eq!(tokens("--ml_repo NA").0.test.ml_repo.experiment(), None);
}

#[test]
fn values_are_read_as_llmperf_reads_them() {
    let (args, _) =
        tokens("--timeout 600 --metadata a=b,c=d=e, --additional-sampling-params {\"x\":1}");
    assert_eq!(args.test.timeout, Duration::from_secs(600));
    let pairs: Vec<_> = args
        .test
        .metadata
        .iter()
        .map(|(a, b)| format!("{a}:{b}"))
        .collect();
    assert_eq!(pairs, ["a:b", "c:d=e"]);
    assert_eq!(args.test.additional_sampling_params["x"], 1);
    assert_eq!(
        tokens("--timeout 1m30s").0.test.timeout,
        Duration::from_secs(90)
    );
    assert_eq!(
        tokens("--timeout 0.5").0.test.timeout,
        Duration::from_millis(500)
    );
    for line in [
        "--timeout 0",
        "--timeout soon",
        "--metadata a",
        "--additional-sampling-params []",
        "--num-concurrent-requests 0",
    ] {
        assert!(refused(line).contains("invalid value"), "{line}");
    }
    assert!(refused("--run-name x").contains("--ml-repo"));
}

#[test]
fn a_test_here_starts_all_users_at_once_and_measures_every_request() {
    let line = "--num-concurrent-requests 7 --max-num-completed-requests 40 --timeout 5 --request-timeout 9 --threads 2 --header a:b";
    let Carrier::Here(options) = carrier(&format!("--mock {line}")).unwrap() else {
        panic!("not here");
    };
    let settings = &options.settings;
    let schedule = &settings.schedule;
    assert_eq!((schedule.users, schedule.max_requests), (7, Some(40)));
    assert_eq!(
        (schedule.spawn_rate, &schedule.pacing),
        (AT_ONCE, &Pacing::Closed)
    );
    assert_eq!(schedule.run_time, Some(Duration::from_secs(5)));
    assert_eq!(
        (schedule.spread, schedule.warmup),
        (Duration::ZERO, Duration::ZERO)
    );
    assert!(schedule.measure_ramp);
    assert_eq!(settings.limits.total, Some(Duration::from_secs(9)));
    assert_eq!(settings.limits.stop, Duration::from_secs(180));
    assert_eq!(settings.sampling, crate::provider::Sampling::default());
    assert_eq!(settings.observe.answers, Some(Keep::Figures));
    assert_eq!(settings.around.system.as_deref(), Some(""));
    assert_eq!(settings.tokenizer.as_deref(), Some("tok"));
    assert_eq!(settings.headers["a"], "b");
    assert_eq!(settings.seed, Some(crate::domain::Seed(11_111)));
    assert!(options.mock);
    assert_eq!(options.sending.threads.map(std::num::NonZero::get), Some(2));
}

#[test]
fn the_command_of_a_page_is_the_test_s_own_without_secrets_and_outputs() {
    let line = "--header X-Key:sesame --html p.html --results-dir r --num-concurrent-requests 3 --connection-reuse never";
    let Ok(Carrier::Here(options)) = carrier(line) else {
        panic!("it is carried out here");
    };
    assert_eq!(
        options.settings.command,
        "llmload token-benchmark --model m --num-concurrent-requests 3 --connection-reuse never --header=\"X-Key: $X_KEY\""
    );
    assert!(options.settings.outputs.keeps_course);
}

#[test]
fn expected_workers_make_it_a_master_s_and_what_is_the_other_s_is_refused() {
    let Carrier::Workers(options) = carrier("--expect-workers 3 --missing-after 5s").unwrap()
    else {
        panic!("not by workers");
    };
    assert_eq!(options.expect_workers, 3);
    assert_eq!(options.heartbeats.missing_after, Duration::from_secs(5));
    for (line, words) in [
        (
            "--expect-workers 3 --mock",
            "--mock is of the machine that sends",
        ),
        (
            "--expect-workers 3 --source-ip 127.0.0.1",
            "--source-ip is of the machine that sends",
        ),
        (
            "--missing-after 5s",
            "--missing-after is of a test that workers carry out",
        ),
        (
            "--share-secrets",
            "--share-secrets is of a test that workers carry out",
        ),
    ] {
        let failure = passed_on(&tokens(line).1).unwrap_err();
        assert!(failure.to_string().contains(words), "{failure}");
    }
}
