//! `--web`: where the page is served, and how a form on it comes to the settings of a run. What the form says is one more
//! layer, above the command line, and goes through the same parsers. Who may fill it in is not decided here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};

use super::build::{self, Result, host_alone, typed};
use super::catalogue::{Setting, Shape};
use super::cli::LogArgs;
use super::error::{ConfigError, Fault};
use super::layers::{self, Merged};
use super::source::Source;
use super::{Command, Endpoint, Logging, Settings, Surroundings, value};
use crate::domain::Keep;
use crate::provider::Kind;

/// What `run` and `master` take for their page.
#[derive(Args)]
#[command(next_help_heading = "Web page")]
pub(super) struct WebArgs {
    /// Serve a page that starts runs, shows them live and changes their load; it waits for a start from there
    #[arg(long)]
    pub web: bool,
    /// Where the page is served; beyond this machine it asks for a token
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub web_host: String,
    /// On which port; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8089)]
    pub web_port: u16,
    /// Whoever opens the page must know the token in this file; without it one is drawn where one is needed
    #[arg(long, value_name = "FILE")]
    pub web_token_file: Option<PathBuf>,
    /// Start the first run at once
    #[arg(long)]
    pub autostart: bool,
    /// End the program so long after a run is over; absent: never
    #[arg(long, value_name = "SPAN", value_parser = value::span)]
    pub autoquit: Option<Duration>,
}

/// What a form may set, and what each is called on it, in its order. None of them names a file, or runs anything.
const FIELDS: [(&str, &str, &str); 19] = [
    ("host", "Server", "Server"),
    ("provider", "Provider", "Server"),
    ("model", "Model", "Server"),
    ("api_key", "API key", "Server"),
    ("stream", "Stream the answers", "Server"),
    ("users", "Users", "Load"),
    ("spawn_rate", "Spawn rate (users/s)", "Load"),
    ("qps", "Requests per second", "Load"),
    ("qps_distribution", "Arrivals", "Load"),
    ("run_time", "Run time", "Load"),
    ("max_requests", "Requests at most", "Load"),
    ("prompt_tokens", "Prompt tokens", "Requests"),
    ("max_tokens", "Output tokens", "Requests"),
    ("max_tokens_distribution", "Output lengths", "Requests"),
    ("temperature", "Temperature", "Requests"),
    ("warmup", "Warm-up", "More"),
    ("stop_timeout", "Stop time-out", "More"),
    ("seed", "Seed", "More"),
    ("server_metrics", "Server metrics", "More"),
];

/// `run --web` and `master --web`: a page instead of one run.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Where it is served.
    pub bind: Endpoint,
    /// The file of the token that it asks for.
    pub token_file: Option<PathBuf>,
    /// The first run begins at once.
    pub autostart: bool,
    /// How long after a run the program ends; `None` for never.
    pub autoquit: Option<Duration>,
    /// How to log.
    pub logging: Logging,
    /// What the runs are made of, unless the form says otherwise.
    pub base: Base,
}

/// A command line that forms are laid over.
#[derive(Clone, Debug)]
pub struct Base {
    name: String,
    words: Vec<OsString>,
}

/// What was filled in: each field by its long name without dashes, as it was typed. `None` takes back what weaker layers say.
pub type Form = BTreeMap<String, Option<String>>;

/// One field of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// The option's long name without dashes.
    pub name: String,
    /// What people call it.
    pub label: &'static str,
    /// Where it stands.
    pub group: &'static str,
    /// What the help says.
    pub help: String,
    /// What is in force; a secret is `None`, whether there is one or not.
    pub value: Option<String>,
    /// The words that it can be; empty where anything can be typed.
    pub choices: Vec<String>,
    /// It is on or off: its words are `true` and `false`.
    pub is_flag: bool,
    /// It must not be shown while it is typed.
    pub is_secret: bool,
}

/// The page's options, where it was asked for.
pub(super) fn wanted(
    name: &str,
    words: &[OsString],
    merged: &Merged,
) -> Result<Option<WebOptions>> {
    let is_wanted = ["run", "master"].contains(&name) && merged.matches.get_flag("web");
    if !is_wanted {
        return Ok(None);
    }
    let args: WebArgs = typed(&merged.matches)?;
    let log: LogArgs = typed(&merged.matches)?;
    let host = if args.web_host == "*" {
        "0.0.0.0"
    } else {
        &args.web_host
    };
    let bind =
        host_alone(host, args.web_port).map_err(|fault| fault.at(merged.source("web_host")))?;
    Ok(Some(WebOptions {
        bind,
        token_file: args.web_token_file,
        autostart: args.autostart,
        autoquit: args.autoquit,
        logging: build::logging(log),
        base: Base {
            name: name.to_owned(),
            words: words.to_vec(),
        },
    }))
}

impl Base {
    /// The run that `form` asks for over this command line: [`Command::Run`] or [`Command::Master`].
    ///
    /// # Errors
    /// A field that is none, or what is wrong with its value or beside others: [`ConfigError::field`] tells which.
    pub fn run(&self, form: &Form, around: &dyn Surroundings) -> Result<Command> {
        let merged = self.merged(form, around)?;
        let mut command = if self.name == "master" {
            Command::Master(Box::new(build::master(&merged, around)?))
        } else {
            Command::Run(Box::new(build::run(&merged, around)?))
        };
        let settings = match &mut command {
            Command::Run(run) => &mut run.settings,
            Command::Master(master) => &mut master.settings,
            _ => return Ok(command),
        };
        page_of(settings);
        if form.contains_key("host") {
            self.keep_keys_at_home(settings, form, around)?;
        }
        Ok(command)
    }

    /// Who fills in a form may name any server, but this machine's keys are for the one that it was started for: another
    /// gets the key of the form alone.
    fn keep_keys_at_home(
        &self,
        settings: &mut Settings,
        form: &Form,
        around: &dyn Surroundings,
    ) -> Result<()> {
        let merged = self.merged(&Form::new(), around)?;
        let home = merged.matches.get_one::<String>("host").cloned();
        if home.as_deref().map(origin) == Some(origin(&settings.target.base_url)) {
            return Ok(());
        }
        if settings.place.google.is_some() || settings.provider == Some(Kind::Gemini) {
            let fault = Fault::new("this machine's way in at Google is not for another server")
                .hint("start `llmload run --web` with --host");
            return Err(fault.at(Source::Form("host".to_owned())));
        }
        let own = std::mem::take(&mut settings.secrets);
        settings.secrets.proxy_credentials = own.proxy_credentials;
        if form.get("api-key").is_some_and(Option::is_some) {
            settings.secrets.api_key = own.api_key;
        }
        Ok(())
    }

    /// The form, filled with what is in force.
    ///
    /// # Errors
    /// As [`Base::run`] has them.
    pub fn form(&self, around: &dyn Surroundings) -> Result<Vec<FormField>> {
        let merged = self.merged(&Form::new(), around)?;
        let cli = super::command();
        let Some(command) = cli.find_subcommand(&self.name) else {
            return Ok(Vec::new());
        };
        let fields = FIELDS.iter().filter_map(|&(id, label, group)| {
            let setting = merged.settings.iter().find(|setting| setting.id == id)?;
            let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
            Some(field(setting, arg, &merged, label, group))
        });
        Ok(fields.collect())
    }

    /// Whether runs are carried out by workers.
    pub fn is_master(&self) -> bool {
        self.name == "master"
    }

    fn merged(&self, form: &Form, around: &dyn Surroundings) -> Result<Merged> {
        let cli = super::command();
        let all = cli.clone().try_get_matches_from(
            ["llmload".into(), self.name.clone().into()]
                .into_iter()
                .chain(self.words.iter().cloned()),
        )?;
        let none = ArgMatches::default();
        let typed = all.subcommand().map_or(&none, |(_, typed)| typed);
        layers::merge_under(&cli, &self.name, typed, &self.words, around, form)
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}").to_ascii_lowercase()
}

/// Single requests are kept for the page of the run, as `--html` does.
fn page_of(settings: &mut Settings) {
    if settings.observe.answers.is_none() {
        settings.observe.answers = Some(Keep::Figures);
        settings.observe.answers_at_most = Some(build::ANSWERS_OF_A_PAGE);
    }
    settings.outputs.keeps_course = true;
}

fn field(
    setting: &Setting,
    arg: &clap::Arg,
    merged: &Merged,
    label: &'static str,
    group: &'static str,
) -> FormField {
    let is_secret = setting.id == "api_key";
    let is_flag = matches!(setting.shape, Shape::Flag { .. });
    let value = match setting.shape {
        Shape::Flag { default } => Some(super::show::is_on(setting, merged, default).to_string()),
        _ if is_secret => None,
        _ => {
            let raw = merged.matches.get_raw(&setting.id);
            raw.and_then(|mut values| values.next_back())
                .map(|value| value.to_string_lossy().into_owned())
        }
    };
    // A mock has an address of its own, which nobody types.
    let is_mocked = setting.id == "host" && merged.is_given("mock");
    let value = value.filter(|_| !is_mocked);
    let words = arg.get_possible_values().into_iter();
    FormField {
        name: setting.long.clone(),
        label,
        group,
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        value,
        choices: words
            .filter(|word| !is_flag && !word.is_hide_set())
            .map(|word| word.get_name().to_owned())
            .collect(),
        is_flag,
        is_secret,
    }
}

/// The setting that a form's field names, if a form may set it.
pub(super) fn named<'a>(
    settings: &'a [Setting],
    name: &str,
) -> std::result::Result<&'a Setting, ConfigError> {
    let found = settings
        .iter()
        .find(|setting| setting.long == name)
        .filter(|setting| FIELDS.iter().any(|&(id, ..)| id == setting.id));
    found.ok_or_else(|| {
        let names = FIELDS.map(|(id, ..)| id.replace('_', "-"));
        Fault::new(format!("`{name}` is no field of the form"))
            .hint(format!("a form has {}", names.join(", ")))
            .at(Source::Form(name.to_owned()))
    })
}

/// What was typed for `settings` on the command line, in words that mean the same.
pub(super) fn retyped<'a>(
    typed: &ArgMatches,
    settings: impl Iterator<Item = &'a Setting>,
) -> Vec<OsString> {
    settings.flat_map(|setting| words(typed, setting)).collect()
}

fn words(typed: &ArgMatches, setting: &Setting) -> Vec<OsString> {
    let long = &setting.long;
    if matches!(setting.shape, Shape::Flag { .. }) {
        let negative = setting.has_negative && typed.get_flag(&setting.negative_id());
        return match negative {
            true => vec![format!("--no-{long}").into()],
            false => vec![format!("--{long}").into()],
        };
    }
    let occurrences = typed.get_raw_occurrences(&setting.id).into_iter().flatten();
    let mut words = Vec::new();
    for values in occurrences {
        let values: Vec<&std::ffi::OsStr> = values.collect();
        match values.as_slice() {
            [value] => {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                words.push(word);
            }
            many => {
                words.push(format!("--{long}").into());
                words.extend(many.iter().map(OsString::from));
            }
        }
    }
    words
}

#[cfg(test)]
#[path = "tests/web.rs"]
mod tests;
