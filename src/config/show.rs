//! `--show-config`: every setting with its value and where that came from, as a settings file that
//! could be used again. Secrets are masked.

use std::fmt::Write;

use super::build::{self, Builder};
use super::catalogue::{Setting, Shape, is_order};
use super::database::masked_url;
use super::error::ConfigError;
use super::layers::Merged;
use super::source::Source;
use super::{Surroundings, conf, ctl, doctor, health};
use crate::domain::is_secret_header;

const MASK: &str = "***";
/// Where the sources stand, if the values are short.
const COLUMN: usize = 44;

/// The text for subcommand `name`. Settings that cannot be used are an error here too.
pub(super) fn show(
    name: &str,
    merged: &Merged,
    around: &dyn Surroundings,
) -> Result<String, ConfigError> {
    let derived = derived(name, merged, around)?;
    let mut text = format!("# settings of llmload {name}\n");
    let mut headings: Vec<&str> = Vec::new();
    for setting in &merged.settings {
        if !headings.contains(&setting.heading.as_str()) {
            headings.push(&setting.heading);
        }
    }
    for heading in headings {
        let _ = write!(text, "\n# {heading}\n");
        let group = merged
            .settings
            .iter()
            .filter(|setting| setting.heading == heading);
        for setting in group.filter(|setting| setting.id != "show_config" && !is_order(&setting.id))
        {
            for line in lines(setting, merged, &derived) {
                let _ = writeln!(text, "{}", with_source(&line, &merged.source(&setting.id)));
            }
        }
    }
    for (what, from) in &derived.notes {
        let _ = write!(text, "\n{}\n", with_source(what, from));
    }
    Ok(text)
}

/// What the typed settings know and the options do not.
#[derive(Default)]
struct Derived {
    spawn_rate: Option<String>,
    notes: Vec<(String, Source)>,
}

fn derived(name: &str, merged: &Merged, around: &dyn Surroundings) -> Result<Derived, ConfigError> {
    let settings = match name {
        "run" => build::run(merged, around)?.settings,
        "doctor" => doctor::build(merged, around)?.run.settings,
        "master" => build::master(merged, around)?.settings,
        "ctl" | "health" => {
            if name == "ctl" {
                ctl::build(merged, around)?;
            } else {
                health::build(merged, around)?;
            }
            return Ok(Derived {
                notes: token_note(merged, around),
                ..Derived::default()
            });
        }
        _ => {
            build::worker(merged, around)?;
            return Ok(Derived {
                notes: token_note(merged, around),
                ..Derived::default()
            });
        }
    };
    let proxy = super::proxy_for(&settings.target.base_url, around)?;
    let proxy = proxy.filter(|_| settings.target.proxy.is_some());
    let note = proxy.map(|proxy| {
        (
            format!("# through the proxy {}", proxy.url),
            Source::Environment(proxy.variable),
        )
    });
    let token = if matches!(name, "master" | "doctor") {
        token_note(merged, around)
    } else {
        Vec::new()
    };
    Ok(Derived {
        spawn_rate: Some(settings.schedule.spawn_rate.to_string()),
        notes: note.into_iter().chain(token).collect(),
    })
}

/// That there is a token in the environment, and nothing of it.
fn token_note(merged: &Merged, around: &dyn Surroundings) -> Vec<(String, Source)> {
    let variable = Builder { merged, around }.token_variable();
    let note = variable.map(|(_, place)| (format!("# the cluster's token is {MASK}"), place));
    note.into_iter().collect()
}

fn lines(setting: &Setting, merged: &Merged, derived: &Derived) -> Vec<String> {
    let long = &setting.long;
    if let Shape::Flag { default } = setting.shape {
        return vec![format!("{long} = {}", is_on(setting, merged, default))];
    }
    let raw = merged.matches.get_raw(&setting.id).into_iter().flatten();
    let values: Vec<String> = raw
        .map(|value| shown(&setting.id, &value.to_string_lossy()))
        .collect();
    if !values.is_empty() {
        return values
            .into_iter()
            .map(|value| format!("{long} = {value}"))
            .collect();
    }
    match (&derived.spawn_rate, setting.id.as_str()) {
        (Some(rate), "spawn_rate") => vec![format!("{long} = {rate}")],
        _ => vec![format!("# {long} is not set")],
    }
}

pub(super) fn is_on(setting: &Setting, merged: &Merged, default: bool) -> bool {
    let flag = |id: &str| merged.matches.get_flag(id);
    if setting.has_negative && default {
        flag(&setting.id) || !flag(&setting.negative_id())
    } else {
        default || flag(&setting.id)
    }
}

fn shown(id: &str, value: &str) -> String {
    masked(id, value).unwrap_or_else(|| quoted(value))
}

/// What stands for a value that is secret; `None` of one that is not.
pub(super) fn masked(id: &str, value: &str) -> Option<String> {
    match id {
        "api_key" | "pgpassword" => Some(MASK.to_owned()),
        "pg_url" => Some(masked_url(value)),
        "header" => match value.split_once(':') {
            Some((name, _)) => is_secret_header(name.trim()).then(|| format!("{name}: {MASK}")),
            None => Some(MASK.to_owned()),
        },
        "otlp_header" => {
            let name = value.split_once(':').map(|(name, _)| name);
            Some(name.map_or_else(|| MASK.to_owned(), |name| format!("{name}: {MASK}")))
        }
        _ => None,
    }
}

/// In quotes where a settings file would read the bare value otherwise; line ends as `\n`, for the eye.
fn quoted(value: &str) -> String {
    let value = value.replace('\n', "\\n");
    let bare = conf::parse(&format!("key = {value}"))
        .ok()
        .and_then(|entries| entries.into_iter().next()?.value);
    if bare.as_deref() == Some(&value) {
        value
    } else {
        format!("\"{value}\"")
    }
}

fn with_source(line: &str, source: &Source) -> String {
    format!("{line:COLUMN$} # {source}")
}
