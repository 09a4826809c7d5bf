//! What can be wrong with the settings, and where it stands. It prints nothing and ends no process.

use std::io;

use super::Source;

/// Settings that cannot be used. The exit status is [`ConfigError::exit_status`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Help, version, or a command line that clap refuses; it words and places these itself (`print`).
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A value that is wrong in itself or beside another.
    #[error("{}{message}", place.prefix())]
    Setting {
        /// Where the value came from.
        place: Source,
        /// What is wrong with it; never holds a secret.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A key that no subcommand knows.
    #[error("{}unknown key `{key}`", place.prefix())]
    UnknownKey {
        /// File and line.
        place: Source,
        /// The key as it was written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A settings file that is there, or was asked for by name, and cannot be read.
    #[error("cannot read the settings file `{name}`")]
    Unreadable {
        /// Its name as the user knows it.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ConfigError {
    /// What to do about it, for a `hint:` line of its own.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { hint, .. } => hint.clone(),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { .. } => Some("locust.conf.example documents every key".to_owned()),
            Self::Unreadable { .. } => {
                Some("--config takes a file of `key = value` lines that can be read".to_owned())
            }
            Self::Usage(_) => None,
        }
    }

    /// The field of a form that is wrong, where it is one's.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Setting {
                place: Source::Form(field),
                ..
            } => Some(field),
            _ => None,
        }
    }

    /// The process's exit status: 0 for help and version, 2 for all else.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(error) if !error.use_stderr() => 0,
            _ => 2,
        }
    }
}

/// What is wrong with a value, before it is known where the value came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// What is wrong.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(self, place: Source) -> ConfigError {
        ConfigError::Setting {
            place,
            message: self.message,
            hint: self.hint,
        }
    }
}
