//! Where a value came from, weakest first. It holds no value.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A settings file.
    File {
        /// Which of the three: a later one is stronger.
        layer: Layer,
        /// Its name as the user knows it.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable of this name.
    Environment(String),
    /// The command line.
    CommandLine,
    /// A field of the page's form, by the option's long name.
    Form(String),
}

/// The settings files, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `~/.locust.conf`.
    Home,
    /// `./locust.conf`.
    Here,
    /// `--config FILE`.
    Named,
}

impl Source {
    /// Grows with the strength of the layer; equal within one layer.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { layer, .. } => 1 + *layer as u8,
            Self::Environment(_) => 4,
            Self::CommandLine => 5,
            Self::Form(_) => 6,
        }
    }

    /// How an error message about a value from here begins.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::Default | Self::CommandLine | Self::Form(_) => String::new(),
            Self::File { .. } | Self::Environment(_) => format!("{self}: "),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, .. } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Form(field) => write!(f, "form: {field}"),
        }
    }
}
