//! The command line that comes to the same settings, wherever they came from: what somebody types to have a run again.
//! Secrets come from the environment there, and what a run writes is no part of it.

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::catalogue::{Setting, Shape};
use super::layers::Merged;
use super::show::{is_on, masked};
use crate::domain::shell_word;

/// Where results go, and how much is told meanwhile: another run has its own.
const OUTPUTS: [&str; 45] = [
    "summary_file",
    "csv",
    "csv_full_history",
    "json",
    "json_file",
    "html",
    "records",
    "only_summary",
    "headless",
    "web",
    "web_host",
    "web_port",
    "web_token_file",
    "autostart",
    "autoquit",
    "show_request",
    "show_response",
    "loglevel",
    "logfile",
    "journal",
    "no_journal",
    "results_dir",
    "results_file",
    "output_dir",
    "ml_repo",
    "run_name",
    "ml_repo_timeout",
    "yes",
    "prometheus",
    "prometheus_linger",
    "pg_url",
    "timescale",
    "pghost",
    "pgport",
    "pguser",
    "pgpassword",
    "pgdatabase",
    "pg_schema",
    "pg_spool",
    "pg_spool_max",
    "pg_requests",
    "otlp",
    "otlp_header",
    "otlp_step",
    "trace_sample",
];

/// The words for subcommand `name`, as a shell takes them: all that was set by anybody.
pub(super) fn command_line(name: &str, merged: &Merged) -> String {
    let given = merged.settings.iter().filter(|setting| {
        let is_about_settings = matches!(setting.id.as_str(), "config" | "show_config");
        merged.is_given(&setting.id) && !is_about_settings && !is_output(&setting.id)
    });
    let mut words = vec!["llmload".to_owned(), name.to_owned()];
    words.extend(given.flat_map(|setting| words_of(setting, merged)));
    words.join(" ")
}

fn words_of(setting: &Setting, merged: &Merged) -> Vec<String> {
    let long = &setting.long;
    if let Shape::Flag { default } = setting.shape {
        return match is_on(setting, merged, default) {
            true => vec![format!("--{long}")],
            false if setting.has_negative => vec![format!("--no-{long}")],
            false => Vec::new(),
        };
    }
    let raw = merged.matches.get_raw(&setting.id).into_iter().flatten();
    raw.map(|value| option(&setting.id, long, &value.to_string_lossy()))
        .collect()
}

/// The same for a subcommand whose settings are all on its command line: what was typed of `command`'s options.
pub(crate) fn typed(name: &str, command: &clap::Command, matches: &ArgMatches) -> String {
    let given = command.get_arguments().filter(|arg| {
        let id = arg.get_id().as_str();
        matches.value_source(id) == Some(ValueSource::CommandLine) && !is_output(id)
    });
    let mut words = vec!["llmload".to_owned(), name.to_owned()];
    for arg in given {
        let id = arg.get_id().as_str();
        let long = arg.get_long().unwrap_or(id);
        if !arg.get_action().takes_values() {
            words.push(format!("--{long}"));
            continue;
        }
        let raw = matches.get_raw(id).into_iter().flatten();
        words.extend(raw.map(|value| option(id, long, &value.to_string_lossy())));
    }
    words.join(" ")
}

/// Whether an option says what is written or told of a run, and not what the run is.
pub(crate) fn is_output(id: &str) -> bool {
    OUTPUTS.contains(&id)
}

/// An option with its value, as a shell takes it.
pub(crate) fn option(id: &str, long: &str, value: &str) -> String {
    if let Some(secret) = from_environment(id, value) {
        return format!("--{long}={secret}");
    }
    // With = also what begins with a dash is a value.
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("--{long}{between}{}", shell_word(value))
}

/// What stands for a secret: the variable of the environment that is to have it, in words that a shell fills in.
fn from_environment(id: &str, value: &str) -> Option<String> {
    masked(id, value)?;
    let Some((header, _)) = value.split_once(':').filter(|_| id == "header") else {
        return Some(format!("\"${}\"", variable(id)));
    };
    let header = header.trim();
    Some(format!("\"{}: ${}\"", tame(header), variable(header)))
}

/// The name of a variable that a name has: `X-Api-Key` has `X_API_KEY`.
fn variable(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

/// Without what a shell reads otherwise between double quotes, which no name of a header has.
fn tame(header: &str) -> String {
    header.replace(['"', '$', '`', '\\', '!'], "_")
}
