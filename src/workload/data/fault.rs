//! What can be wrong with a data set, and where. It reads nothing.

use std::fmt;
use std::io;

/// Bytes of the longest row; more is a file that is something else.
pub(super) const LONGEST_ROW: usize = 64 << 20;
/// Tokens of the longest prompt or answer of a trace; more is no request that anybody served.
pub(super) const MOST_TOKENS: u32 = 10_000_000;

/// Where in a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line.
    Line(u64),
    /// An element of a JSON array.
    Element(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Element(element) => write!(f, "element {element}"),
        }
    }
}

/// Why a good row has nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsent {
    /// Its prompt is blank.
    Blank,
    /// A conversation in which no person says anything.
    Silent,
    /// A conversation of one message; of `ShareGPT`'s those count alone that were answered.
    Unanswered,
    /// A conversation with others than instructions, a person and a model, or with more than text.
    Foreign,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "the prompt is blank",
            Self::Silent => "nobody asks anything",
            Self::Unanswered => "one message alone",
            Self::Foreign => "others speak than a person and a model, or not in text",
        })
    }
}

/// Why a row cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    /// Bytes that are no text.
    #[error("not UTF-8")]
    Encoding,
    /// Not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    Json(serde_json::Error),
    /// It asks nothing.
    #[error("neither `prompt` nor `messages` (nor another API's content field)")]
    NothingAsked,
    /// The named field is missing, or no text.
    #[error("no text in the field `{0}`")]
    NoText(String),
    /// An output length that is none.
    #[error("`{0}` is no number of tokens")]
    NoLength(String),
    /// Nobody talks.
    #[error(
        "no list of turns (`conversations` of `from` and `value`, or `messages` of `role` and `content`)"
    )]
    NoTalk,
    /// Not a row of a trace.
    #[error("no number in `{0}`")]
    NoNumber(String),
    /// No request is so long.
    #[error("`{0}` tokens are more than {MOST_TOKENS}")]
    TooManyTokens(u32),
    /// Times go back.
    #[error("its time is before that of the row before")]
    Unsorted,
    /// No row is so long.
    #[error("longer than {} MiB", LONGEST_ROW >> 20)]
    TooLong,
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// A row cannot be used.
    #[error("{place}: {fault}")]
    Row {
        /// Where.
        place: Place,
        /// Why.
        fault: Box<RowFault>,
    },
    /// A JSON array that is none.
    #[error("byte {offset}: {what} (after element {elements})")]
    Array {
        /// What is wrong.
        what: &'static str,
        /// Where, from 0.
        offset: u64,
        /// Whole elements before that.
        elements: u64,
    },
    /// A table that is none.
    #[error("{0}")]
    Table(Box<csv::Error>),
    /// A table without a column that is needed.
    #[error("no column {wanted}: there are {}", quoted(found))]
    Column {
        /// What was looked for.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// There is nothing to send.
    #[error("no rows{}", left(*left_out))]
    Empty {
        /// Rows that cannot be sent.
        left_out: u64,
    },
    /// More rows than can be numbered.
    #[error("more than {} rows", u32::MAX)]
    TooMany,
}

impl DataError {
    pub(super) fn row(place: Place, fault: RowFault) -> Self {
        Self::Row {
            place,
            fault: Box::new(fault),
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Column { .. } => Some("--dataset-column names the column that holds the prompt"),
            Self::Row { fault, .. } => fault.hint(),
            Self::Array { .. } => Some("is the file whole?"),
            Self::Read(_) | Self::Table(_) | Self::Empty { .. } | Self::TooMany => None,
        }
    }
}

impl RowFault {
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encoding => Some("data sets are text: unpack or convert the file first"),
            Self::Json(_) => {
                Some("--dataset-format says how the file is written; by its name it should be JSON")
            }
            Self::NothingAsked => Some("--dataset-column names the field that holds the prompt"),
            Self::Unsorted => Some("sort the trace by its times"),
            _ => None,
        }
    }
}

/// A row that was there before the run and cannot be read any more.
#[derive(Debug, thiserror::Error)]
#[error("row {row} of `{name}` cannot be read any more")]
pub struct RowLost {
    /// The data set.
    pub name: String,
    /// Its number in the file, from 1.
    pub row: u64,
    /// Why.
    #[source]
    pub cause: io::Error,
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn left(out: u64) -> String {
    match out {
        0 => String::new(),
        out => format!(": {out} have nothing to send"),
    }
}
