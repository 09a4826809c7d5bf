//! What can be set, by which names: a view of the clap commands for files, environment and display.
//! It holds no values, and every fact in it but the old tools' variable names comes from clap.

use clap::{Arg, ArgAction};

use super::{aws, database, google};

/// Options that Locust has too: their variables keep its prefix.
const LOCUST: &[&str] = &[
    "host",
    "users",
    "spawn_rate",
    "run_time",
    "stop_timeout",
    "reset_stats",
    "exit_code_on_error",
    "headless",
    "web_host",
    "web_port",
    "autostart",
    "autoquit",
    "only_summary",
    "csv",
    "csv_full_history",
    "json",
    "json_file",
    "loglevel",
    "logfile",
    "config",
    "expect_workers",
    "expect_workers_max_wait",
    "enable_rebalancing",
    "master_bind_host",
    "master_bind_port",
];

/// Options whose variables have the plain names of the Fireworks benchmark.
const PLAIN: &[&str] = &[
    "model",
    "api_key",
    "dataset",
    "tokenizer",
    "prompt_tokens",
    "prompt_cache_max_len",
    "max_tokens",
    "max_tokens_distribution",
    "max_tokens_range",
    "max_tokens_cap",
    "max_tokens_jitter",
    "temperature",
    "top_k",
];

/// Flags that begin with `no_` and take back no other flag.
const ALONE: &[&str] = &["no_proxy", "no_journal"];
/// What `ctl`, `health` and `doctor` are told once and no file or variable repeats.
const ORDERS: &[&str] = &[
    "order",
    "value",
    "ctl_spawn_rate",
    "ctl_json",
    "abort",
    "max_age",
    "health_timeout",
    "ready",
    "strict",
];

/// Whether an option is part of an order and no setting.
pub(super) fn is_order(id: &str) -> bool {
    ORDERS.contains(&id)
}

/// The environment variables of option `id`, the stronger first.
pub(super) fn variables_of(id: &str) -> Vec<String> {
    let upper = id.to_ascii_uppercase();
    match id {
        "help" | "version" | "show_config" => Vec::new(),
        _ if is_order(id) => Vec::new(),
        "threads" => vec!["LLMLOAD_THREADS".to_owned(), "LOCUST_PROCESSES".to_owned()],
        "aws_region" => owned(aws::REGION),
        "gcloud_project" => owned(google::PROJECT),
        "gcloud_region" => owned(google::REGION),
        "vertexai_endpoint_id" => vec![upper],
        "master_host" => vec!["LOCUST_MASTER_NODE_HOST".to_owned()],
        "master_port" => vec!["LOCUST_MASTER_NODE_PORT".to_owned()],
        _ if database::has_variable(id) => vec![upper],
        _ if PLAIN.contains(&id) => vec![upper],
        _ if LOCUST.contains(&id) => vec![format!("LOCUST_{upper}")],
        _ if is_negative(id) => Vec::new(),
        _ => vec![format!("LLMLOAD_{upper}")],
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn is_negative(id: &str) -> bool {
    id.starts_with("no_") && !ALONE.contains(&id)
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing: on or off.
    Flag {
        /// What it is when nobody says.
        default: bool,
    },
    /// One value.
    Value,
    /// Any number of values.
    List,
}

/// One setting: an option, or a flag and its `--no-` twin together.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// clap's id.
    pub id: String,
    /// The long option without dashes, and the key in files.
    pub long: String,
    /// Other long options for the same.
    pub aliases: Vec<String>,
    /// What it takes.
    pub shape: Shape,
    /// Whether there is a `--no-` twin.
    pub has_negative: bool,
    /// The group in the help.
    pub heading: String,
}

impl Setting {
    /// The environment variables for it, the stronger first.
    pub(super) fn variables(&self) -> Vec<String> {
        variables_of(&self.id)
    }

    /// The id of its `--no-` twin.
    pub(super) fn negative_id(&self) -> String {
        format!("no_{}", self.id)
    }

    /// Whether a file may set it.
    pub(super) fn in_files(&self) -> bool {
        !matches!(self.id.as_str(), "config" | "show_config") && !is_order(&self.id)
    }

    /// What a file's `key` means for this setting: `Some(true)` for the setting itself, `Some(false)` for its opposite.
    pub(super) fn is_named(&self, key: &str) -> Option<bool> {
        if key == self.long || self.aliases.iter().any(|alias| alias == key) {
            return Some(true);
        }
        let opposite = self.has_negative && key.strip_prefix("no-") == Some(&self.long);
        opposite.then_some(false)
    }
}

/// All settings of one subcommand, in help order.
pub(super) fn settings(command: &clap::Command) -> Vec<Setting> {
    let named = |id: &str| command.get_arguments().find(|arg| arg.get_id() == id);
    let is_twin = |arg: &Arg| {
        let positive = arg.get_id().as_str().strip_prefix("no_");
        is_negative(arg.get_id().as_str()) && positive.and_then(named).is_some()
    };
    let twin_of = |arg: &Arg| named(&format!("no_{}", arg.get_id())).filter(|twin| is_twin(twin));
    command
        .get_arguments()
        .filter(|arg| !is_twin(arg))
        .filter_map(|arg| setting(arg, twin_of(arg)))
        .collect()
}

fn setting(arg: &Arg, twin: Option<&Arg>) -> Option<Setting> {
    let shape = match arg.get_action() {
        ArgAction::SetTrue => Shape::Flag {
            default: twin.is_some_and(|twin| !twin.is_hide_set()),
        },
        ArgAction::Set => Shape::Value,
        ArgAction::Append => Shape::List,
        _ => return None,
    };
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Some(Setting {
        id: arg.get_id().to_string(),
        long: arg.get_long()?.to_owned(),
        aliases: arg.get_visible_aliases().map(owned).unwrap_or_default(),
        shape,
        has_negative: twin.is_some(),
        heading: arg.get_help_heading().unwrap_or("Options").to_owned(),
    })
}
