//! The only room that knows all others: wiring, signals, files, exit statuses. It computes no figure and words no table.

mod authority;
mod batch;
mod bench;
mod certs;
mod changes;
mod compare;
mod conduct;
mod console;
mod ctl;
mod data_set;
mod database;
mod dataset;
mod discover;
mod doctor;
mod door;
mod export;
mod failure;
mod files;
mod finish;
mod health;
mod html;
mod hub;
mod journal;
mod keys;
mod live;
mod llmperf;
mod logging;
mod manual;
mod observe;
mod open_files;
mod otlp;
mod played;
mod plot;
mod prepare;
mod prometheus;
mod records;
mod report;
mod sampler;
mod screen;
mod security;
mod serving;
mod session;
mod settle;
mod signals;
mod stage;
mod surroundings;
mod sweep;
mod target;
mod terminal;
mod views;
mod watch;
mod web;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, FromArgMatches};

use crate::bench::BenchArgs;
use crate::client::install_crypto;
use crate::config::{self, Command, ConfigError};
use crate::mock::MockArgs;
use batch::{GenArgs, PrefillArgs, decode, prefill};
use certs::CertsArgs;
use console::{Console, complain};
use failure::{Failure, status};
use report::ReportArgs;
use surroundings::Process;

/// Names of the subcommands that other rooms' options make.
const MOCK_SERVER: &str = "mock-server";
const BENCH_SELF: &str = "bench-self";
const CERTS: &str = "certs";
const REPORT: &str = "report";
const GEN: &str = "gen";
const PREFILL: &str = "prefill";

/// The program: does what `args` (its own name first) ask for and returns the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    install_crypto();
    open_files::raise_limit();
    let cli = cli();
    let ended = match config::resolve(&cli, args, &Process) {
        Ok(command) => dispatch(&cli, command),
        Err(error) => return ExitCode::from(refuse(&error)),
    };
    let code = ended.unwrap_or_else(|failure| {
        complain(&failure);
        failure.status
    });
    ExitCode::from(code)
}

/// The whole command line.
fn cli() -> clap::Command {
    config::command()
        .subcommand(mock_command())
        .subcommand(bench_command())
        .subcommand(certs_command())
        .subcommand(report_command())
        .subcommand(gen_command())
        .subcommand(prefill_command())
        .subcommand(dataset::command())
        .subcommand(sweep::command())
        .subcommands(llmperf::commands())
        .subcommands(serving::commands())
        .subcommand(plot::command())
        .subcommand(compare::command())
        .subcommands(manual::commands())
        .subcommand(export::command())
        .subcommand(database::pg_load_command())
}

fn mock_command() -> clap::Command {
    let about = "Serve a scripted LLM API: something to test against";
    MockArgs::augment_args(clap::Command::new(MOCK_SERVER)).about(about)
}

fn bench_command() -> clap::Command {
    let about = "Measure this program itself against a bare loop on this machine";
    BenchArgs::augment_args(clap::Command::new(BENCH_SELF).about(about)).about(about)
}

fn certs_command() -> clap::Command {
    let about = "Make an authority, certificates and a token for a cluster";
    CertsArgs::augment_args(clap::Command::new(CERTS).about(about)).about(about)
}

fn report_command() -> clap::Command {
    let about = "Tell from a journal how a run went, also one whose master was killed, or draw the report of a suite again";
    ReportArgs::augment_args(clap::Command::new(REPORT).about(about)).about(about)
}

fn gen_command() -> clap::Command {
    let about = "Measure the time of a forward pass by sequence length and batch size";
    GenArgs::augment_args(clap::Command::new(GEN).about(about)).about(about)
}

fn prefill_command() -> clap::Command {
    let about = "Measure how long prompts take to be read, by length and by what is cached";
    PrefillArgs::augment_args(clap::Command::new(PREFILL).about(about)).about(about)
}

fn refuse(error: &ConfigError) -> u8 {
    match error {
        ConfigError::Usage(usage) => {
            // It goes where it belongs, standard output or error; there is nothing left to do if that is closed.
            let _ = usage.print();
        }
        _ => {
            let hint = error.hint();
            complain(&Failure::usage(anyhow::anyhow!("{}", failure::chain(error))).with_hint(hint));
        }
    }
    error.exit_status()
}

fn dispatch(cli: &clap::Command, command: Command) -> Result<u8, Failure> {
    if let Some(logging) = command.logging() {
        logging::start(logging)?;
    }
    match command {
        Command::ShowConfig(text) => {
            Console::default().print(&text);
            Ok(status::OK)
        }
        Command::Other { name, matches } if name == BENCH_SELF => bench_self(&matches),
        Command::Other { name, matches } if name == CERTS => {
            let args = CertsArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
            certs::certs(&args)
        }
        Command::Other { name, matches } if name == REPORT => {
            let args = ReportArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
            report::report(&args)
        }
        Command::Other { name, matches } if name == GEN => {
            let args = GenArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
            logging::start_plain()?;
            let command = config::typed(GEN, &gen_command(), &matches);
            runtime()?.block_on(decode(args, &command))
        }
        Command::Other { name, matches } if name == PREFILL => {
            let args = PrefillArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
            logging::start_plain()?;
            let command = config::typed(PREFILL, &prefill_command(), &matches);
            runtime()?.block_on(prefill(args, &command))
        }
        Command::Other { name, matches } if name == dataset::NAME => dataset::dataset(&matches),
        Command::Other { name, matches } if name == sweep::NAME => sweep::sweep(&matches),
        Command::Other { name, matches } if name == llmperf::TOKEN_BENCHMARK => {
            llmperf::token_benchmark(&matches)
        }
        Command::Other { name, matches } if name == llmperf::CORRECTNESS => {
            llmperf::correctness(&matches)
        }
        Command::Other { name, matches } if name == serving::BENCH_SUITE => {
            serving::bench_suite(&matches)
        }
        Command::Other { name, matches } if name == serving::BENCHMARK => {
            serving::benchmark(&matches)
        }
        Command::Other { name, matches } if name == plot::NAME => plot::plot(&matches),
        Command::Other { name, matches } if name == database::PG_LOAD => {
            database::pg_load(&matches)
        }
        Command::Other { name, matches } if name == compare::NAME => compare::compare(&matches),
        Command::Other { name, matches } if name == manual::COMPLETIONS => {
            manual::completions(cli, &matches)
        }
        Command::Other { name, matches } if name == manual::MAN => manual::man(cli, &matches),
        Command::Other { name, matches } if name == export::NAME => export::export(&matches),
        Command::Other { matches, .. } => {
            let args = MockArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
            runtime()?.block_on(worker::mock_server(&args))
        }
        Command::Run(options) => runtime()?.block_on(session::run(*options)),
        Command::Web(options) if options.base.is_master() => {
            two_threads()?.block_on(web::web(*options))
        }
        Command::Web(options) => runtime()?.block_on(web::web(*options)),
        Command::Master(options) => two_threads()?.block_on(session::master(*options)),
        Command::Ctl(options) => runtime()?.block_on(ctl::ctl(*options)),
        Command::Doctor(options) => runtime()?.block_on(doctor::doctor(*options)),
        Command::Health(options) => runtime()?.block_on(health::health(*options)),
        Command::Worker(options) => runtime()?.block_on(worker::worker(*options)),
    }
}

fn bench_self(matches: &clap::ArgMatches) -> Result<u8, Failure> {
    let args = BenchArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    bench::bench_self(&args)
}

/// The runtime of a master: what is shown, and what its workers hear, each on a thread of its own.
fn two_threads() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::failed)
}

/// The runtime of everything that is not measured: one thread beside the sending ones.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)
}
