//! The command line that comes to the same settings, wherever they came from: what somebody types to have a run again.
//! Secrets are masked.

use super::catalogue::{ALWAYS_ON, Setting, Shape};
use super::layers::Merged;
use super::show::{is_on, masked};
use crate::domain::shell_word;

/// The words for subcommand `name`, as a shell takes them: all that was set by anybody.
pub(super) fn command_line(name: &str, merged: &Merged) -> String {
    let given = merged.settings.iter().filter(|setting| {
        let is_about_settings = matches!(setting.id.as_str(), "config" | "show_config" | ALWAYS_ON);
        merged.is_given(&setting.id) && !is_about_settings
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
    raw.map(|value| {
        let value = value.to_string_lossy();
        let value = masked(&setting.id, &value).unwrap_or_else(|| value.into_owned());
        // With = also what begins with a dash is a value.
        let between = if value.starts_with('-') { '=' } else { ' ' };
        format!("--{long}{between}{}", shell_word(&value))
    })
    .collect()
}
