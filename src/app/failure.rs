//! What ends the program: a message, a hint, an exit status.

use std::fmt;

use crate::domain::Secret;
use crate::embed::Error;

/// The exit statuses that scripts rely on.
pub(super) mod status {
    /// The run did what was asked.
    pub(in crate::app) const OK: u8 = 0;
    /// A result could not be written. Too many failed requests end with `--exit-code-on-error`, 1 by default.
    pub(in crate::app) const FAILED: u8 = 1;
    /// Bad command line or settings.
    pub(in crate::app) const USAGE: u8 = 2;
    /// Too few workers, or none left.
    pub(in crate::app) const WORKERS: u8 = 3;
    /// The load asked for was not delivered.
    pub(in crate::app) const NOT_DELIVERED: u8 = 4;
    /// A comparison broke a threshold against its baseline.
    pub(in crate::app) const REGRESSION: u8 = 5;
}

/// An end that is not the end of a run.
#[derive(Debug)]
pub(super) struct Failure {
    /// What went wrong.
    pub(super) error: anyhow::Error,
    /// What to do.
    pub(super) hint: Option<String>,
    /// The exit status.
    pub(super) status: u8,
}

impl Failure {
    /// Settings that cannot be carried out.
    pub(super) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            hint: None,
            status: status::USAGE,
        }
    }

    /// Something that could not be done.
    pub(super) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            hint: None,
            status: status::FAILED,
        }
    }

    /// With masks in place of `secrets`.
    pub(super) fn without(self, secrets: &[Secret]) -> Self {
        let words = format!("{:#}", self.error);
        let words = secrets
            .iter()
            .fold(words, |words, secret| secret.masked_in(&words));
        Self {
            error: anyhow::Error::msg(words),
            ..self
        }
    }

    /// With what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Failure {
    /// With what to do about it, where anybody knows.
    pub(super) fn with_hint(self, hint: Option<String>) -> Self {
        Self {
            hint: hint.or(self.hint),
            ..self
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = error.hint();
        let failure = if error.is_of_settings() {
            Self::usage(error)
        } else {
            Self::failed(error)
        };
        failure.with_hint(hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {:#}", self.error)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
