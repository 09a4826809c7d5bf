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
    /// Draws of a prompt's length are (nearly) never long enough for the task that it must hold.
    #[error(
        "no prompt of at least `{smallest}` tokens comes of the mean `{mean}` and the deviation `{stddev}`"
    )]
    NoRecital {
        /// The mean of the draws.
        mean: f64,
        /// Their standard deviation.
        stddev: f64,
        /// What the task itself takes, and one token.
        smallest: u32,
    },
    /// No text of this length was found.
    #[error("no shared prefix of exactly `{tokens}` tokens can be made")]
    SharedPrefix {
        /// The wanted length.
        tokens: u32,
    },
    /// Too few different texts of this length were found.
    #[error("only `{found}` of `{groups}` common prefixes of `{tokens}` tokens can be made")]
    PrefixGroups {
        /// The wanted length.
        tokens: u32,
        /// How many were asked for.
        groups: u32,
        /// How many there are.
        found: u32,
    },
    /// The tokenizer gives no word a length.
    #[error("the tokenizer makes no tokens of words")]
    NoWords,
    /// Only chats hold images.
    #[error("images can be asked about in a chat alone")]
    Images,
    /// A conversation of a data set says itself what it holds.
    #[error("images cannot be put into the messages of a data set")]
    ImagesInMessages,
    /// Prompts that are made differ anyway.
    #[error("letters are put before the rows of a data set file alone")]
    Letters,
    /// Vectors and rankings are not made in turns.
    #[error("conversations are for answers of text, not for embeddings or ranking")]
    Conversations,
    /// A size that no JPEG has.
    #[error("no image of `{width}x{height}` can be made")]
    ImageSize {
        /// From left to right, in pixels.
        width: u32,
        /// From top to bottom, in pixels.
        height: u32,
    },
    /// Nobody can tell where so many tokens of a text end.
    #[error("to force text of the data set, its tokens must be counted")]
    ForcedTokenizer,
    /// There is nothing to force.
    #[error("there is no text to force the model to say")]
    NoForcedTexts,
    /// Neither the documents nor the prompt have a length.
    #[error("how long made-up documents are is not said")]
    DocumentTokens,
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
    /// Of `groups` common prefixes of `tokens` tokens only `found` can be made.
    pub(super) const fn no_prefixes(tokens: u32, groups: u32, found: u32) -> Self {
        if groups < 2 || found == 0 {
            return Self::SharedPrefix { tokens };
        }
        Self::PrefixGroups {
            tokens,
            groups,
            found,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooShort { smallest, .. } => Some(format!(
                "-p {smallest} or more; the instruction (--prompt), the shared prefix (-pcml) and the chat template count too"
            )),
            Self::NoRecital { smallest, .. } => {
                Some(format!("--mean-input-tokens {smallest} or more"))
            }
            Self::SharedPrefix { .. } => Some("a -pcml of 16 or more".to_owned()),
            Self::PrefixGroups { found, .. } => {
                Some(format!("--prefix-groups {found}, or a greater -pcml"))
            }
            Self::Images => {
                Some("leave out --prompt-images-with-resolutions, or ask a chat API".to_owned())
            }
            Self::ImagesInMessages => Some(
                "images go with generated prompts and with rows that hold a `prompt`".to_owned(),
            ),
            Self::Letters => Some("leave --prompt-letters out, or --dataset @FILE".to_owned()),
            Self::Conversations => Some(
                "ask for text, or name another --dataset-format: sharegpt takes the first question of each"
                    .to_owned(),
            ),
            Self::ImageSize { .. } => Some("1 to 65535 pixels a side".to_owned()),
            Self::ForcedTokenizer => Some("--tokenizer with the model's own".to_owned()),
            Self::DocumentTokens => Some("--tokens-per-document".to_owned()),
            Self::Length(error) => Some(error.hint().to_owned()),
            Self::NoRows | Self::NoWords | Self::NoForcedTexts | Self::DataMissing { .. } => None,
            Self::TokenizerMissing { .. } => Some("--tokenizer".to_owned()),
            Self::TokenizerDiffers { .. } => {
                Some("put the same tokenizer.json on every machine".to_owned())
            }
        }
    }
}
