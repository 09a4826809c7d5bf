//! What a workload is made of: the settings alone, as they travel to the workers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::Message;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Where prompts come from.
    pub prompts: PromptSource,
    /// How many output tokens each request asks for.
    pub output: LengthSpec,
    /// The tokenizer for exact lengths and output counts. Its file is read by each worker for itself.
    pub tokenizer: Option<TokenizerRef>,
    /// What is done to each prompt.
    #[serde(default)]
    pub shape: Shape,
    /// What the model is made to say.
    #[serde(default)]
    pub forced: Option<Forced>,
    /// What one request for embeddings or ranking holds.
    #[serde(default)]
    pub batch: Batch,
    /// What stands around each prompt.
    #[serde(default)]
    pub around: Around,
}

/// What stands around each prompt, the same in all requests. The default adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Around {
    /// The message of the system before a prompt that is one text; of chat APIs alone. It may be empty.
    pub system: Option<String>,
    /// Fields merged into each request's body, in its API's words; a row's own fields go before them.
    pub extra: Map<String, Value>,
}

/// What is done to each prompt, wherever it comes from. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Pad or cut each text to this many characters (Unicode scalar values).
    pub chars: Option<u32>,
    /// Begin each text with random words, drawn from (seed, index), so that no cache of prompts helps.
    pub randomize: bool,
    /// Images of each prompt, of these sizes. Chat alone.
    pub images: Vec<Resolution>,
    /// Where they stand.
    pub positioning: Positioning,
    /// Leave a conversation's last message out when it is the model's.
    pub clear_assistant: bool,
    /// Begin each text with so many random letters, drawn from (seed, row), and what is sent again with the number of times:
    /// no two prompts begin alike. Of data sets alone.
    #[serde(default)]
    pub letters: u32,
}

/// The size of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// Where the images of a prompt stand in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positioning {
    /// Between parts of the text that are of about one length.
    #[default]
    SpaceEvenly,
    /// After the text.
    End,
}

/// What the model is made to say (Fireworks' forced generation).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    /// These texts, one after another by the request's number.
    Texts(Vec<String>),
    /// Text of the corpus, of the asked-for number of tokens.
    Corpus,
}

/// What one request for embeddings or ranking holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Texts to embed; at least 1.
    pub texts: u32,
    /// Documents to rank, made of filler; `None` for the paragraphs of the prompt, unless `document_tokens` is set: 10 then.
    pub documents: Option<u32>,
    /// Length of such a document; `None` for the prompt's length dealt evenly.
    pub document_tokens: Option<u32>,
}

/// Documents of filler to rank, where only their length is given.
const USUAL_DOCUMENTS: u32 = 10;

impl Batch {
    /// How many documents of filler there are; `None` where the prompt's own paragraphs are ranked.
    pub fn made_documents(&self) -> Option<u32> {
        self.documents
            .or_else(|| self.document_tokens.map(|_| USUAL_DOCUMENTS))
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            texts: 1,
            documents: None,
            document_tokens: None,
        }
    }
}

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// Made of a corpus, of a wanted length.
    Generated {
        /// The text that prompts are made of.
        corpus: Corpus,
        /// Length of the prompt in tokens, the chat template's overhead and the instruction counted in.
        tokens: u32,
        /// Tokens of common prefix shared by all prompts.
        shared_prefix_tokens: u32,
        /// How many different common prefixes there are; each request has one of them, drawn from (seed, index). At least 1.
        #[serde(default = "one")]
        prefix_groups: u32,
        /// The instruction that ends the prompt; `None` for the corpus's own.
        instruction: Option<String>,
    },
    /// Random tokens, exactly so many.
    Random {
        /// Length of the prompt in tokens, the chat template's overhead counted in.
        tokens: u32,
        /// Tokens of common prefix shared by all prompts of a group.
        shared_prefix_tokens: u32,
        /// How many different common prefixes there are; at least 1.
        prefix_groups: u32,
    },
    /// The task to go on with lines of the sonnets, of a drawn length; the length of the answer stands in its words.
    Recital {
        /// Length of the task in tokens, as the tokenizer counts its text: nothing is counted in for a chat's template.
        tokens: Normal,
    },
    /// The task to write a number that is given in English words, drawn from 0 to 10,000.
    Numerals,
    /// A file of rows, which each worker reads for itself, or which travels inside when it is small.
    Data(DataRef),
    /// One text, as it is.
    Text(String),
    /// Rows of a file, dealt by index; each is one line of JSON.
    Rows(Vec<Row>),
}

impl PromptSource {
    /// Rows of a data set that others have had.
    pub(super) const fn skipped(&self) -> u64 {
        match self {
            Self::Data(data) => data.skip,
            _ => 0,
        }
    }
}

/// A normal distribution that is drawn from until what comes can be used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub stddev: f64,
}

const fn one() -> u32 {
    1
}

/// A data set: what it is called, how it is read, and what it must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRef {
    /// Its path, as it was given.
    pub name: String,
    /// How it is read.
    pub format: Format,
    /// The column (CSV) or field (JSON lines) that holds the prompt; `None` for the usual names.
    pub column: Option<String>,
    /// Rows are shuffled by this.
    pub shuffle_seed: Option<u64>,
    /// The first so many rows after the shuffle; `None` for all.
    pub limit: Option<u64>,
    /// Begin with this row, after the shuffle and the limit.
    #[serde(default)]
    pub skip: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The file itself where it is small enough to travel.
    pub inline: Option<String>,
}

/// How a data set is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line, merged into the request's body.
    Jsonl,
    /// `ShareGPT`: a JSON array of conversations, `from` and `value`. A request is the first human turn.
    ShareGpt,
    /// Conversations, of `ShareGPT`'s or `OpenAI`'s words, whose turns are asked one after another, each with its history.
    Conversations,
    /// One prompt a line.
    Text,
    /// A table with a header.
    Csv,
    /// A trace of lengths, times and block hashes: one JSON object a line (Mooncake's).
    Trace,
}

impl Format {
    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::ShareGpt => "sharegpt",
            Self::Conversations => "conversations",
            Self::Text => "text",
            Self::Csv => "csv",
            Self::Trace => "trace",
        }
    }
}

/// One row of a JSONL file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its `prompt`, if it has one.
    pub prompt: Option<String>,
    /// Its `messages`, if it has plain text ones.
    pub messages: Option<Vec<Message>>,
    /// All other fields (and messages that are not plain text): merged into the request body.
    pub extra: Map<String, Value>,
}

/// A text that the product ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Corpus {
    /// Limericks; the instruction asks for a translation to Spanish.
    Limericks,
    /// Source code; the instruction asks for a translation to C++.
    Code,
    /// Shakespeare's sonnets; the instruction asks for what they say, in Spanish.
    Sonnets,
}

/// How many output tokens to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthSpec {
    /// The mean; for `Constant` the value.
    pub mean: u32,
    /// The shape.
    pub law: LengthLaw,
    /// Width relative to the mean (`--max-tokens-range`).
    pub range: f64,
    /// Most tokens to ask for.
    pub cap: Option<u32>,
    /// Uniform in mean ± this, drawn on top of the law (`--max-tokens-jitter`).
    pub jitter: u32,
}

/// The distribution of output lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthLaw {
    /// The mean, always.
    Constant,
    /// Integers in mean ± trunc(range · mean).
    Uniform,
    /// Exponential with that mean.
    Exponential,
    /// Normal with standard deviation range · mean.
    Normal,
}

/// Names a tokenizer and pins its content, so that workers with another file refuse the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerRef {
    /// A `tokenizer.json`, a directory that holds one, a hub id (`org/name`, `org/name@revision`), or `built-in`.
    pub name: String,
    /// SHA-256 of `tokenizer.json`, in hex; empty until it was loaded once.
    pub sha256: String,
}
