//! `correctness`: tasks with numbers, their answers held against them, both files, the console, the limit of wrong answers.

use anyhow::anyhow;
use clap::{ArgMatches, FromArgMatches};

use super::args::{CorrectnessArgs, has_workers};
use super::ml_repo::{MlRepo, result_files, status_of};
use super::play::{Made, play, timestamp_s};
use super::results::Results;
use super::settings::{self, Carrier, Wanted};
use crate::app::console::{Console, complain};
use crate::app::failure::{Failure, status};
use crate::app::surroundings::Process;
use crate::app::{logging, runtime, two_threads};
use crate::domain::{Keep, Seed};
use crate::llmperf::{
    Correctness, Marks, Solved, correctness_console, correctness_summary, ml_correctness_metrics,
    ml_correctness_params, stem,
};
use crate::workload::{LengthLaw, LengthSpec, PromptSource, numeral, numeral_task};

/// Tokens to ask for: the number comes first, and some models explain it.
const OUTPUT_TOKENS: u32 = 256;

/// `llmload correctness`.
pub(in crate::app) fn correctness(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = CorrectnessArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start(&settings::logging(matches)?)?;
    let client = settings::client(&args.test, matches.get_flag("mock"))?;
    let tokenizer = settings::tokenizer(&args.test)?;
    let results = Results::prepare(&args.test.results_dir, file_stem(&args))?;
    let carrier = settings::options(&args.test, matches, client, &tokenizer, wanted(&args))?;
    let runtime = if has_workers(matches) { two_threads() } else { runtime() };
    runtime?.block_on(checked(&args, results, carrier))
}

/// What the result files' names begin with.
fn file_stem(args: &CorrectnessArgs) -> String {
    stem(&format!("{}_correctness", args.test.model))
}

async fn checked(
    args: &CorrectnessArgs,
    results: Option<Results>,
    carrier: Carrier,
) -> Result<u8, Failure> {
    let test = test(args);
    let repo = args.ml_repo.start(&test.model, ml_correctness_params(&test), &Process)?;
    let made = match play(carrier, args.max_num_completed_requests, args.test.timeout).await {
        Ok(made) if !made.answers.is_empty() => made,
        nothing => {
            repo.give_up(&nothing).await;
            return nothing.map(|made| made.status);
        }
    };
    Ok(report(args, &test, repo, results.as_ref(), &made).await)
}

fn test(args: &CorrectnessArgs) -> Correctness {
    Correctness {
        model: args.test.model.clone(),
        llm_api: args.test.llm_api.clone(),
        num_concurrent_requests: args.test.num_concurrent_requests,
        additional_sampling_params: args.test.additional_sampling_params.clone(),
        metadata: args.test.metadata.clone(),
    }
}

/// Prints, writes and logs what came of it.
async fn report(
    args: &CorrectnessArgs,
    test: &Correctness,
    repo: MlRepo,
    results: Option<&Results>,
    made: &Made,
) -> u8 {
    let seed = Seed(args.test.seed);
    let solved = made.answers.iter().filter_map(|(index, answer)| {
        let number = numeral(seed, *index);
        Solved::of(test, numeral_task(number), number.into(), answer)
    });
    let tasks: Vec<Solved> = solved.collect();
    let summary = correctness_summary(test, &tasks, timestamp_s());
    Console::default().print(&correctness_console(test, &tasks));
    let mut ended = made.status;
    if let Some(results) = results
        && let Err(failure) = results.write(&summary, &tasks)
    {
        complain(&failure);
        ended = ended.max(status::FAILED);
    }
    if let Some(failure) = excess(args.max_mismatch_rate, Marks::of(&tasks)) {
        complain(&failure);
        ended = ended.max(status::FAILED);
    }
    if repo.is_wanted() {
        let files = result_files(&file_stem(args), &summary, &tasks);
        repo.finish(ml_correctness_metrics(&summary), files, status_of(made)).await;
    }
    ended
}

/// Why the answers are not good enough.
fn excess(most: Option<f64>, marks: Marks) -> Option<Failure> {
    let most = most.filter(|most| marks.mismatch_rate() > *most)?;
    let (wrong, all) = (marks.mismatches, marks.completed);
    Some(Failure::failed(anyhow!(
        "{wrong} of {all} answers are wrong: more than --max-mismatch-rate {most}"
    )))
}

fn wanted(args: &CorrectnessArgs) -> Wanted {
    Wanted {
        prompts: PromptSource::Numerals,
        output: LengthSpec {
            mean: OUTPUT_TOKENS,
            law: LengthLaw::Constant,
            range: 0.0,
            cap: None,
            jitter: 0,
        },
        requests: args.max_num_completed_requests,
        temperature: Some(0.0),
        keep: Keep::Text,
    }
}
