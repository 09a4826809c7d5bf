//! `llmload dataset`: looks into data sets, makes them, and counts their tokens, with the code that reads them for a run.
//! It parses no row and composes no prompt itself.

mod figures;
mod generate;
mod inspect;
pub(super) mod suite;
mod tokenize;

use clap::{ArgMatches, FromArgMatches, Subcommand};

use super::failure::Failure;
use super::logging;
use super::prepare::load_tokenizer_aloud;
use super::surroundings::hub_paths;
use crate::domain::{Message, Prompt};
use crate::workload::{RowLost, Tokenizer};
use generate::GenerateArgs;
use inspect::InspectArgs;
use tokenize::TokenizeArgs;

/// The subcommand's name.
pub(super) const NAME: &str = "dataset";

const EXAMPLES: &str = "\
Examples:
  What a file holds, before a run sends it:
    llmload dataset inspect rows.jsonl --tokenizer ./tokenizer.json
  A thousand prompts of exactly 512 tokens, for this tool and others:
    llmload dataset generate --count 1000 -p 512 --tokenizer ./tokenizer.json --output prompts.jsonl
  The files of a bench suite, for the tokenizer of its model:
    llmload dataset generate --suite datasets --tokenizer ./tokenizer.json
  How many tokens a text has:
    llmload dataset tokenize 'Hello, world' --tokenizer ./tokenizer.json --ids";

#[derive(Subcommand)]
enum Order {
    /// Tell what a data set file holds: format, rows, lengths, turns, times, the first rows
    Inspect(InspectArgs),
    /// Write prompts of exact lengths into a file
    Generate(GenerateArgs),
    /// Count the tokens of a text, of standard input, or of each row of a data set file
    Tokenize(TokenizeArgs),
}

/// The subcommand.
pub(super) fn command() -> clap::Command {
    let about = "Look into data sets, make them, count their tokens";
    let command = clap::Command::new(NAME).about(about).after_help(EXAMPLES);
    Order::augment_subcommands(command)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// Does what is asked.
pub(super) fn dataset(matches: &ArgMatches) -> Result<u8, Failure> {
    let order = Order::from_arg_matches(matches).map_err(Failure::usage)?;
    logging::start_plain()?;
    match order {
        Order::Inspect(args) => inspect::inspect(&args),
        Order::Generate(args) => generate::generate(&args),
        Order::Tokenize(args) => tokenize::tokenize(&args),
    }
}

fn tokenizer(name: &str) -> Result<Tokenizer, Failure> {
    load_tokenizer_aloud(name, &hub_paths())
}

/// A row was there a moment ago.
fn lost(error: RowLost) -> Failure {
    Failure::failed(error).hint("was the file changed meanwhile?")
}

/// The texts of a prompt, one a message.
fn texts(prompt: &Prompt) -> Vec<&str> {
    match prompt {
        Prompt::Text(text) => vec![text],
        Prompt::Messages(messages) => contents(messages),
        _ => Vec::new(),
    }
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|it| it.content.as_str()).collect()
}
