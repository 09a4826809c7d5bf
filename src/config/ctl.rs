//! `ctl`: what a running master is asked for. Where the master is comes from the settings that a worker has too; the order
//! itself stands on the command line alone.

use clap::Args;

use super::build::{Builder, Result, logging, typed};
use super::cli::{LogArgs, SettingArgs};
use super::cluster::{ConnectArgs, Connection};
use super::error::{ConfigError, Fault};
use super::layers::Merged;
use super::source::Source;
use super::{Logging, Surroundings, value};
use crate::domain::Rate;

/// The settings of `ctl`.
#[derive(Clone, Debug)]
pub struct CtlOptions {
    /// Where the master is, and how to convince it.
    pub connection: Connection,
    /// What it is asked for.
    pub order: Order,
    /// Print answers as JSON.
    pub json: bool,
    /// How to log.
    pub logging: Logging,
}

/// What a running master is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// How the run stands.
    Status,
    /// How each worker stands.
    Workers,
    /// Other users; in an open loop another limit of requests in flight.
    Users {
        /// How many.
        users: Users,
        /// At what rate they start or end; `None` leaves it as it is.
        spawn_rate: Option<Rate>,
    },
    /// Another rate of an open loop.
    Rate(Rate),
    /// Nothing is begun.
    Pause,
    /// Things are begun again.
    Resume,
    /// The end.
    Stop {
        /// What is in flight is dropped.
        abort: bool,
    },
}

/// How many users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// So many.
    Exactly(u32),
    /// So many more, or fewer.
    More(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Status,
    Workers,
    Users,
    Qps,
    Pause,
    Resume,
    Stop,
}

const WORDS: &[(&str, Word)] = &[
    ("status", Word::Status),
    ("workers", Word::Workers),
    ("users", Word::Users),
    ("qps", Word::Qps),
    ("pause", Word::Pause),
    ("resume", Word::Resume),
    ("stop", Word::Stop),
];

#[derive(Args)]
pub(super) struct CtlArgs {
    /// What to ask the master for
    #[arg(id = "order", value_name = "ORDER", default_value = "status", value_parser = value::choice(WORDS), help_heading = "Order")]
    pub order: Word,
    /// Of users: N, or +N or -N of what there are; of qps: requests per second
    #[arg(
        id = "value",
        value_name = "VALUE",
        allow_negative_numbers = true,
        help_heading = "Order"
    )]
    pub value: Option<String>,
    /// With users: how many of them start, or end, per second; absent: as before
    #[arg(
        id = "ctl_spawn_rate",
        long = "spawn-rate",
        value_name = "RATE",
        help_heading = "Order"
    )]
    pub spawn_rate: Option<Rate>,
    /// With stop: drop what is in flight
    #[arg(id = "abort", long = "abort", help_heading = "Order")]
    pub abort: bool,
    /// With status and workers: print JSON
    #[arg(id = "ctl_json", long = "json", help_heading = "Order")]
    pub json: bool,
    #[command(flatten)]
    pub cluster: ConnectArgs,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
}

pub(super) fn build(merged: &Merged, around: &dyn Surroundings) -> Result<CtlOptions> {
    let args: CtlArgs = typed(&merged.matches)?;
    let builder = Builder { merged, around };
    Ok(CtlOptions {
        connection: builder.connection(&args.cluster)?,
        order: order(&args).map_err(spoken)?,
        json: args.json,
        logging: logging(args.log),
    })
}

fn spoken(fault: Fault) -> ConfigError {
    fault.at(Source::CommandLine)
}

fn order(args: &CtlArgs) -> std::result::Result<Order, Fault> {
    let word = args.order;
    let takes_value = matches!(word, Word::Users | Word::Qps);
    let only = [
        ("a value", args.value.is_some(), takes_value),
        (
            "--spawn-rate",
            args.spawn_rate.is_some(),
            word == Word::Users,
        ),
        ("--abort", args.abort, word == Word::Stop),
        (
            "--json",
            args.json,
            matches!(word, Word::Status | Word::Workers),
        ),
    ];
    if let Some((what, ..)) = only.iter().find(|(_, given, taken)| *given && !taken) {
        let fault = Fault::new(format!("`{}` takes no {}", name(word), bare(what)));
        return Err(fault.hint("llmload ctl --help says which order takes what"));
    }
    Ok(match word {
        Word::Status => Order::Status,
        Word::Workers => Order::Workers,
        Word::Users => Order::Users {
            users: users(given(args)?)?,
            spawn_rate: args.spawn_rate,
        },
        Word::Qps => Order::Rate(rate(given(args)?)?),
        Word::Pause => Order::Pause,
        Word::Resume => Order::Resume,
        Word::Stop => Order::Stop { abort: args.abort },
    })
}

/// After `no`.
fn bare(what: &str) -> &str {
    what.strip_prefix("a ").unwrap_or(what)
}

fn name(word: Word) -> &'static str {
    let found = WORDS.iter().find(|(_, of)| *of == word);
    found.map_or("ctl", |(name, _)| name)
}

fn given(args: &CtlArgs) -> std::result::Result<&str, Fault> {
    args.value.as_deref().map(str::trim).ok_or_else(|| {
        let name = name(args.order);
        Fault::new(format!("`{name}` needs a value")).hint(match args.order {
            Word::Users => "ctl users 20, or +5, or -5",
            _ => "ctl qps 12.5",
        })
    })
}

fn users(text: &str) -> std::result::Result<Users, Fault> {
    let users = if text.starts_with(['+', '-']) {
        text.parse().ok().map(Users::More)
    } else {
        text.parse().ok().map(Users::Exactly)
    };
    users.ok_or_else(|| {
        Fault::new(format!("`{text}` is no number of users")).hint("write 20, or +5, or -5")
    })
}

fn rate(text: &str) -> std::result::Result<Rate, Fault> {
    text.parse()
        .map_err(|error: crate::domain::RateError| Fault::new(error.to_string()))
        .map_err(|fault| fault.hint("`llmload ctl pause` sends nothing for a while"))
}
