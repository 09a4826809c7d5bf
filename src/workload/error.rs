//! Why a workload cannot be made, and what to do about it.

use super::LengthError;

/// Settings from which no workload can be made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum WorkloadError {
    /// The wanted prompt is shorter than what it must hold.
    #[error("a prompt of `{tokens}` tokens is too short: the smallest has `{smallest}`")]
    TooShort {
        /// The wanted length.
        tokens: u32,
        /// Instruction, shared prefix, and what the server adds.
        smallest: u32,
    },
    /// No text of this length was found.
    #[error("no shared prefix of exactly `{tokens}` tokens can be made")]
    SharedPrefix {
        /// The wanted length.
        tokens: u32,
    },
    /// The output lengths make no sense.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// There is nothing to deal.
    #[error("the data set has no rows")]
    NoRows,
    /// The settings name a data set that was not handed over.
    #[error("the data set `{name}` is not opened")]
    DataMissing {
        /// Its name.
        name: String,
    },
    /// The settings name a tokenizer that was not handed over.
    #[error("the tokenizer `{name}` is not loaded")]
    TokenizerMissing {
        /// Its name.
        name: String,
    },
    /// The tokenizer here has another content than the one that the run was planned with.
    #[error("the tokenizer `{name}` differs: SHA-256 `{found}` here, `{wanted}` in the plan")]
    TokenizerDiffers {
        /// Its name.
        name: String,
        /// As planned.
        wanted: String,
        /// As found.
        found: String,
    },
}

impl WorkloadError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooShort { smallest, .. } => Some(format!(
                "-p {smallest} or more; the instruction (--prompt), the shared prefix (-pcml) and the chat template count too"
            )),
            Self::SharedPrefix { .. } => Some("a -pcml of 16 or more".to_owned()),
            Self::Length(error) => Some(error.hint().to_owned()),
            Self::NoRows | Self::DataMissing { .. } => None,
            Self::TokenizerMissing { .. } => Some("--tokenizer".to_owned()),
            Self::TokenizerDiffers { .. } => {
                Some("put the same tokenizer.json on every machine".to_owned())
            }
        }
    }
}
