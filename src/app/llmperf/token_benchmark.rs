//! `token-benchmark`: its settings to a plan, its answers to a summary, both files, the console.

use std::path::Path;

use clap::{ArgMatches, FromArgMatches};
use serde_json::{Map, Value};

use super::args::{TOKEN_BENCHMARK, TokenArgs};
use super::artifacts::of_benchmark;
use super::conduct::{Told, conduct};
use super::play::{Made, timestamp_s};
use super::results::{Results, prepare_page};
use super::settings::{self, Wanted};
use crate::app::console::{Console, complain};
use crate::app::failure::Failure;
use crate::app::html::write_page;
use crate::app::logging;
use crate::domain::Keep;
use crate::llmperf::{
    Benchmark, Individual, benchmark_page, console, ml_metrics, ml_params, summary,
};
use crate::page::Page;
use crate::workload::{LengthLaw, LengthSpec, Normal, PromptSource};

/// `llmload token-benchmark`.
pub(in crate::app) fn token_benchmark(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = TokenArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start(&settings::logging(matches))?;
    let client = settings::client(&args.test, matches.get_flag("mock"))?;
    let tokenizer = settings::tokenizer(&args.test)?;
    let bench = benchmark(&args, &tokenizer);
    let results = Results::prepare(&args.test.results_dir, bench.stem())?;
    prepare_page(args.test.html.as_deref())?;
    let carrier = settings::options(
        TOKEN_BENCHMARK,
        &args.test,
        matches,
        client,
        &tokenizer,
        &wanted(&args),
    )?;
    let requests = args.max_num_completed_requests;
    let html = args.test.html.as_deref();
    let report = |made: &Made, is_logged| {
        let outputs = (results.as_ref(), html);
        benchmarked(&bench, outputs, made, is_logged)
    };
    conduct(&args.test, requests, ml_params(&bench), carrier, report)
}

fn benchmarked(
    bench: &Benchmark,
    (results, html): (Option<&Results>, Option<&Path>),
    made: &Made,
    is_logged: bool,
) -> Told {
    let Some(report) = Report::of(bench, made) else {
        return Told::nothing(made.status);
    };
    let status = report.show(results, html, made.status);
    let files =
        is_logged.then(|| of_benchmark(bench, &report.summary, &report.responses, &report.page));
    Told {
        status,
        metrics: ml_metrics(&report.summary),
        files: files.unwrap_or_default(),
    }
}

/// What came of a benchmark.
struct Report {
    responses: Vec<Individual>,
    summary: Map<String, Value>,
    console: String,
    page: Page,
}

impl Report {
    /// `None` where nothing was measured.
    fn of(bench: &Benchmark, made: &Made) -> Option<Self> {
        let answers = made.answers.iter();
        let responses: Vec<Individual> = answers.filter_map(|(_, it)| Individual::of(it)).collect();
        let summary = summary(bench, &responses, made.wall_s, timestamp_s());
        (!responses.is_empty()).then(|| Self {
            page: Page {
                notices: made.notices.clone(),
                ..benchmark_page(bench, &summary, &responses, &made.course)
            },
            summary,
            console: console(bench, &responses, made.wall_s),
            responses,
        })
    }

    /// Prints and writes it. Returns the exit status, which was `status` before.
    fn show(&self, results: Option<&Results>, html: Option<&Path>, status: u8) -> u8 {
        Console::default().print(&self.console);
        let written = results.map(|results| results.write(&self.summary, &self.responses));
        let page = html.map(|path| write_page(path, &self.page));
        let failures = [written, page]
            .into_iter()
            .flatten()
            .filter_map(Result::err);
        failures.fold(status, |status, failure| {
            complain(&failure);
            status.max(failure.status)
        })
    }
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
        has_length: true,
        requests: args.max_num_completed_requests,
        temperature: None,
        keep: Keep::Figures,
    }
}
