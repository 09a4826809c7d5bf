//! What a row of a data set says, for people to look at. It deals nothing, and counts no tokens.

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::parse::{Item, Layout};
use super::table::Columns;
use super::{Data, RowLost};
use crate::domain::{Message, Prompt};
use crate::workload::card;
use crate::workload::measure::Measure;

/// A row as it is in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// What it says.
    pub said: Said,
    /// Names of its fields, where it is a JSON object; see [`Data::columns`] for tables.
    pub fields: Vec<String>,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// One request.
    Request {
        /// Its text or messages; `None` where its content is in fields of the body that are neither.
        prompt: Option<Prompt>,
        /// Its own output length, in tokens.
        max_tokens: Option<u32>,
    },
    /// What a person says in a conversation: the messages that each turn adds.
    Conversation(Vec<Vec<Message>>),
    /// One request of a trace.
    Arrival {
        /// When it came, by the trace's own clock, in microseconds.
        time_us: u64,
        /// Prompt length in tokens.
        input: u32,
        /// Answer length in tokens.
        output: u32,
        /// The blocks that its prompt begins with; equal numbers are equal text.
        blocks: Vec<u64>,
    },
}

impl Data {
    /// The row that is dealt `nth`, read now; `chat` says whether its messages go before its text.
    ///
    /// # Errors
    /// A row that cannot be read any more.
    ///
    /// # Panics
    /// Where there are not so many rows.
    pub fn sight(&self, nth: usize, chat: bool) -> Result<Sight, RowLost> {
        let bytes = self.bytes(nth)?;
        let said = match self.understood(nth, &bytes)? {
            Item::Row { row, max_tokens } => {
                let card = card(&row, &Measure::new(None, chat));
                Said::Request {
                    max_tokens: max_tokens.or(card.max_tokens),
                    prompt: (!card.is_elsewhere()).then_some(card.prompt),
                }
            }
            Item::Talk(talk) => Said::Conversation(talk.turns),
            Item::Arrival(arrival) => Said::Arrival {
                time_us: arrival.time_us,
                input: arrival.input,
                output: arrival.output,
                blocks: arrival.blocks,
            },
        };
        let fields = self.fields(&bytes);
        Ok(Sight { said, fields })
    }

    fn fields(&self, bytes: &[u8]) -> Vec<String> {
        if matches!(self.scan.parser.layout, Layout::Table { .. }) {
            return Vec::new();
        }
        let object = serde_json::from_slice::<Map<String, Value>>(bytes);
        object.map_or_else(
            |_| Vec::new(),
            |object| object.into_iter().map(|it| it.0).collect(),
        )
    }

    /// The names in a table's header; none for other files.
    ///
    /// # Errors
    /// A header that cannot be read any more.
    pub fn columns(&self) -> Result<Vec<String>, RowLost> {
        let Layout::Table { delimiter, .. } = self.scan.parser.layout else {
            return Ok(Vec::new());
        };
        // Rows are in the file's order here, so that the header is all that stands before the first.
        let end = self.scan.rows.starts.first().copied().unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(end).unwrap_or(0)];
        let lost = |cause| self.lost(0, cause);
        self.source.read_at(0, &mut bytes).map_err(lost)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        let mut record = ByteRecord::new();
        // It was a header when it was scanned.
        let _ = reader.read_byte_record(&mut record);
        let name = |name| String::from_utf8_lossy(name).trim().to_owned();
        Ok(record.iter().map(name).collect())
    }

    /// Which column of a table holds the prompts, from 0.
    pub const fn prompt_column(&self) -> Option<usize> {
        match self.scan.parser.layout {
            Layout::Table {
                columns: Columns::Prompts { prompt, .. },
                ..
            } => Some(prompt),
            _ => None,
        }
    }
}
