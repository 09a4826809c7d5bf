//! `correctness`: tasks with numbers, their answers held against them, both files, the console, the limit of wrong answers.

use anyhow::anyhow;
use clap::{ArgMatches, FromArgMatches};

use super::args::{CorrectnessArgs, has_workers};
use super::artifacts::of_results;
use super::ml_repo;
use super::play::{Made, play, timestamp_s};
use super::results::Results;
use super::settings::{self, Carrier, Wanted};
use crate::app::console::{Console, complain};
use crate::app::failure::Failure;
use crate::app::surroundings::Process;
use crate::app::{logging, runtime, two_threads};
use crate::domain::{Keep, Seed};
use crate::llmperf::{
    Correctness, Marks, Solved, correctness_console, correctness_summary, ml_correctness_metrics,
    ml_correctness_params, stem,
};
use crate::mlflow::Status;
use crate::workload::{LengthLaw, LengthSpec, PromptSource, numeral, numeral_task};

/// Tokens to ask for: the number comes first, and some models explain it.
const OUTPUT_TOKENS: u32 = 256;

/// `llmload correctness`.
pub(in crate::app) fn correctness(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = CorrectnessArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start(&settings::logging(matches))?;
    let client = settings::client(&args.test, matches.get_flag("mock"))?;
    let tokenizer = settings::tokenizer(&args.test)?;
    let results = Results::prepare(&args.test.results_dir, stem_of(&args.test.model))?;
    let carrier = settings::options(&args.test, matches, client, &tokenizer, &wanted(&args))?;
    let runtime = if has_workers(matches) {
        two_threads()
    } else {
        runtime()
    };
    runtime?.block_on(checked(&args, results, carrier))
}

async fn checked(
    args: &CorrectnessArgs,
    results: Option<Results>,
    carrier: Carrier,
) -> Result<u8, Failure> {
    let test = settings_of(args);
    let params = ml_correctness_params(&test);
    let repo = args.test.ml_repo.start(&test.model, params, &Process)?;
    let made = match play(carrier, args.max_num_completed_requests, args.test.timeout).await {
        Ok(made) => made,
        Err(failure) => {
            ml_repo::finish(repo, Vec::new(), Vec::new(), Status::Failed).await;
            return Err(failure);
        }
    };
    let tasks = tasks(&test, Seed(args.test.seed), &made);
    if tasks.is_empty() {
        ml_repo::finish(repo, Vec::new(), Vec::new(), made.ended).await;
        return Ok(made.status);
    }
    let summary = correctness_summary(&test, &tasks, timestamp_s());
    Console::default().print(&correctness_console(&test, &tasks));
    let written = results.map_or(Ok(()), |results| results.write(&summary, &tasks));
    let faults = [
        written.err(),
        excess(args.max_mismatch_rate, Marks::of(&tasks)),
    ];
    let mut ended = made.status;
    for failure in faults.into_iter().flatten() {
        complain(&failure);
        ended = ended.max(failure.status);
    }
    if repo.is_some() {
        let files = of_results(&stem_of(&test.model), &summary, &tasks);
        ml_repo::finish(repo, ml_correctness_metrics(&summary), files, made.ended).await;
    }
    Ok(ended)
}

fn settings_of(args: &CorrectnessArgs) -> Correctness {
    Correctness {
        model: args.test.model.clone(),
        llm_api: args.test.llm_api.clone(),
        num_concurrent_requests: args.test.num_concurrent_requests,
        additional_sampling_params: args.test.additional_sampling_params.clone(),
        metadata: args.test.metadata.clone(),
    }
}

fn stem_of(model: &str) -> String {
    stem(&format!("{model}_correctness"))
}

/// Which number each request was about follows from its index.
fn tasks(test: &Correctness, seed: Seed, made: &Made) -> Vec<Solved> {
    let solved = made.answers.iter().filter_map(|(index, answer)| {
        let number = numeral(seed, *index);
        Solved::of(test, numeral_task(number), number.into(), answer)
    });
    solved.collect()
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
