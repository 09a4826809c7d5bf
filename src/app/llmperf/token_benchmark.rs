//! `token-benchmark`: its settings to a plan, its answers to a summary, both files, the console.

use clap::{ArgMatches, FromArgMatches};

use super::args::{TokenArgs, has_workers};
use super::ml_repo;
use super::play::{Made, play, timestamp_s};
use super::results::Results;
use super::settings::{self, Carrier, Wanted};
use crate::app::console::{Console, complain};
use crate::app::failure::{Failure, status};
use crate::app::{logging, runtime, two_threads};
use crate::domain::Keep;
use crate::llmperf::{Benchmark, Individual, console, summary};
use crate::workload::{LengthLaw, LengthSpec, Normal, PromptSource};

/// `llmload token-benchmark`.
pub(in crate::app) fn token_benchmark(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = TokenArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start(&settings::logging(matches)?)?;
    let client = settings::client(&args.test, matches.get_flag("mock"))?;
    let tokenizer = settings::tokenizer(&args.test)?;
    let bench = benchmark(&args, &tokenizer);
    let results = Results::prepare(&args.test.results_dir, bench.stem())?;
    let carrier = settings::options(&args.test, matches, client, &tokenizer, wanted(&args))?;
    let runtime = if has_workers(matches) { two_threads() } else { runtime() };
    runtime?.block_on(benchmarked(&args, &bench, results, carrier))
}

async fn benchmarked(
    args: &TokenArgs,
    bench: &Benchmark,
    results: Option<Results>,
    carrier: Carrier,
) -> Result<u8, Failure> {
    let made = play(carrier, args.max_num_completed_requests, args.test.timeout).await?;
    if made.answers.is_empty() {
        return Ok(made.status);
    }
    report(args, bench, results.as_ref(), &made).await
}

/// Prints, writes and logs what came of it.
async fn report(
    args: &TokenArgs,
    bench: &Benchmark,
    results: Option<&Results>,
    made: &Made,
) -> Result<u8, Failure> {
    let answers = made.answers.iter();
    let responses: Vec<Individual> = answers.filter_map(|(_, it)| Individual::of(it)).collect();
    let summary = summary(bench, &responses, made.wall_s, timestamp_s());
    Console::default().print(&console(bench, &responses, made.wall_s));
    let mut ended = made.status;
    if let Some(results) = results
        && let Err(failure) = results.write(&summary, &responses)
    {
        complain(&failure);
        ended = ended.max(status::FAILED);
    }
    if let Some(experiment) = args.ml_repo.experiment() {
        let entry = ml_repo::Entry {
            experiment,
            run_name: args.ml_repo.name(),
            bench,
            summary: &summary,
            responses: &responses,
            started_ms: made.started_ms(),
            files: results.map(|results| (results.folder(), results.stem())),
        };
        ml_repo::log(entry).await;
    }
    Ok(ended)
}

fn benchmark(args: &TokenArgs, tokenizer: &str) -> Benchmark {
    Benchmark {
        model: args.test.model.clone(),
        llm_api: args.test.llm_api.clone(),
        mean_input_tokens: args.mean_input_tokens,
        stddev_input_tokens: args.stddev_input_tokens,
        mean_output_tokens: args.mean_output_tokens,
        stddev_output_tokens: args.stddev_output_tokens,
        num_concurrent_requests: args.test.num_concurrent_requests,
        additional_sampling_params: args.test.additional_sampling_params.clone(),
        metadata: args.test.metadata.clone(),
        tokenizer_id: tokenizer.to_owned(),
    }
}

fn wanted(args: &TokenArgs) -> Wanted {
    Wanted {
        prompts: PromptSource::Recital {
            tokens: Normal {
                mean: args.mean_input_tokens.into(),
                stddev: args.stddev_input_tokens.into(),
            },
        },
        output: LengthSpec {
            mean: args.mean_output_tokens,
            law: LengthLaw::Normal,
            range: f64::from(args.stddev_output_tokens) / f64::from(args.mean_output_tokens),
            cap: None,
            jitter: 0,
        },
        requests: args.max_num_completed_requests,
        temperature: None,
        keep: Keep::Figures,
    }
}
