//! `correctness`: tasks with numbers, their answers held against them, both files, the console, the limit of wrong answers.

use anyhow::anyhow;
use clap::{ArgMatches, FromArgMatches};

use super::args::{CORRECTNESS, CorrectnessArgs};
use super::artifacts::of_results;
use super::conduct::{Told, conduct};
use super::play::{Made, timestamp_s};
use super::results::{Results, prepare_page};
use super::settings::{self, Wanted};
use crate::app::console::{Console, complain};
use crate::app::failure::Failure;
use crate::app::html::write_page;
use crate::app::logging;
use crate::config::Client;
use crate::domain::{Keep, Seed};
use crate::llmperf::{
    Correctness, Marks, Solved, correctness_console, correctness_page, correctness_summary,
    ml_correctness_metrics, ml_correctness_params,
};
use crate::page::Page;
use crate::provider::Task;
use crate::workload::{LengthLaw, LengthSpec, PromptSource, numeral, numeral_task};

/// Tokens to ask for where an API wants a number: the answer comes first, and some models explain it.
const OUTPUT_TOKENS: u32 = 256;

/// `llmload correctness`.
pub(in crate::app) fn correctness(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = CorrectnessArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start(&settings::logging(matches))?;
    let client = settings::client(&args.test, matches.get_flag("mock"))?;
    let test = settings_of(&args, &client);
    let tokenizer = settings::tokenizer(&args.test)?;
    let results = Results::prepare(&args.test.results_dir, test.stem())?;
    prepare_page(args.test.html.as_deref())?;
    let wanted = wanted(&args, &test);
    let carrier = settings::options(
        CORRECTNESS,
        &args.test,
        matches,
        client,
        &tokenizer,
        &wanted,
    )?;
    let requests = args.max_num_completed_requests;
    let params = ml_correctness_params(&test);
    let report = |made: &Made, is_logged| checked(&args, &test, results, made, is_logged);
    conduct(&args.test, requests, params, carrier, report)
}

/// Holds the answers against their tasks, prints and writes what comes of it.
fn checked(
    args: &CorrectnessArgs,
    test: &Correctness,
    results: Option<Results>,
    made: &Made,
    is_logged: bool,
) -> Told {
    let tasks = tasks(test, Seed(args.test.seed), made);
    if tasks.is_empty() {
        return Told::nothing(made.status);
    }
    let summary = correctness_summary(test, &tasks, timestamp_s());
    Console::default().print(&correctness_console(test, &tasks));
    let written = results.map_or(Ok(()), |results| results.write(&summary, &tasks));
    let page = Page {
        notices: made.notices.clone(),
        ..correctness_page(test, &summary, &tasks, &made.course)
    };
    let html = args.test.html.as_deref();
    let page_written = html.map_or(Ok(()), |path| write_page(path, &page));
    let faults = [
        written.err(),
        page_written.err(),
        excess(args.max_mismatch_rate, Marks::of(&tasks)),
    ];
    let mut status = made.status;
    for failure in faults.into_iter().flatten() {
        complain(&failure);
        status = status.max(failure.status);
    }
    let files = is_logged.then(|| of_results(&test.stem(), &summary, &tasks));
    Told {
        status,
        metrics: ml_correctness_metrics(&summary),
        files: files.unwrap_or_default(),
    }
}

/// What is sent to `OpenAI`'s chat has no length, as llmperf's own requests have none; other APIs want one.
fn settings_of(args: &CorrectnessArgs, client: &Client) -> Correctness {
    let goes_without = client.kind.is_like_openai() && client.task == Task::Chat;
    Correctness {
        model: args.test.model.clone(),
        llm_api: args.test.llm_api.clone(),
        num_concurrent_requests: args.test.num_concurrent_requests,
        additional_sampling_params: args.test.additional_sampling_params.clone(),
        max_tokens: (!goes_without).then_some(OUTPUT_TOKENS),
        metadata: args.test.metadata.clone(),
    }
}

/// Which number each request was about follows from its index.
fn tasks(test: &Correctness, seed: Seed, made: &Made) -> Vec<Solved> {
    let solved = made.answers.iter().filter_map(|(index, answer)| {
        let number = numeral(seed, *index);
        Solved::of(test, numeral_task(number), number.into(), answer)
    });
    solved.collect()
}

/// Why the answers are not good enough: the limit holds for those that came, and something must have come.
fn excess(most: Option<f64>, marks: Marks) -> Option<Failure> {
    let most = most?;
    let Some(share) = marks.wrong_share() else {
        return Some(Failure::failed(anyhow!(
            "no request was answered: nothing can be held against --max-mismatch-rate {most}"
        )));
    };
    let (wrong, answered) = (marks.mismatches, marks.answered());
    (share > most).then(|| {
        Failure::failed(anyhow!(
            "{wrong} of {answered} answers are wrong: more than --max-mismatch-rate {most}"
        ))
    })
}

fn wanted(args: &CorrectnessArgs, test: &Correctness) -> Wanted {
    Wanted {
        prompts: PromptSource::Numerals,
        output: LengthSpec {
            mean: OUTPUT_TOKENS,
            law: LengthLaw::Constant,
            range: 0.0,
            cap: None,
            jitter: 0,
        },
        has_length: test.max_tokens.is_some(),
        requests: args.max_num_completed_requests,
        temperature: Some(0.0),
        keep: Keep::Text,
    }
}
