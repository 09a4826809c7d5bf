//! What one row says: the text of a row in, what it asks for out. It opens no file and deals nothing.

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::fault::{RowFault, Unsent};
use super::table::{Columns, LENGTHS, field};
use super::talk::{Talk, talk};
use super::trace::Arrival;
use crate::domain::{Message, Role};
use crate::workload::{Format, Row, rows};

/// How a file is cut into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One a line.
    Lines,
    /// Elements of a JSON array.
    Array,
    /// Records of a table with a header.
    Table {
        /// Between fields.
        delimiter: u8,
        /// Where things are.
        columns: Columns,
    },
}

/// What a row asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    /// One request.
    Row {
        row: Row,
        /// Its own output length, where it is no field of the body.
        max_tokens: Option<u32>,
    },
    /// The turns of a conversation.
    Talk(Talk),
    /// A request of which lengths are known alone.
    Arrival(Arrival),
}

/// What was found in a good row, or why there is nothing to send in it.
pub(super) type Found<T> = Result<Result<T, Unsent>, RowFault>;

/// Reads rows of one data set.
#[derive(Clone, Debug)]
pub(super) struct Parser {
    pub(super) format: Format,
    pub(super) layout: Layout,
    pub(super) column: Option<String>,
}

impl Parser {
    /// What a row says, by its bytes in the file, or why it has nothing to send.
    pub(super) fn row(&self, bytes: &[u8]) -> Found<Item> {
        let Layout::Table { delimiter, columns } = self.layout else {
            let text = std::str::from_utf8(bytes).map_err(|_| RowFault::Encoding)?;
            return self.text(text);
        };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(bytes);
        let mut record = ByteRecord::new();
        // Of bytes that are a record there is one.
        let _ = reader.read_byte_record(&mut record);
        record_item(columns, &record)
    }

    fn text(&self, text: &str) -> Found<Item> {
        if self.format == Format::Text {
            return Ok(said(text.trim_end_matches(['\n', '\r'])).map(without_length));
        }
        if self.format == Format::Jsonl && text.trim_start().starts_with('"') {
            let text: String = serde_json::from_str(text).map_err(RowFault::Json)?;
            return Ok(said(&text).map(without_length));
        }
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(RowFault::Json)?;
        let column = self.column.as_deref();
        match self.format {
            Format::ShareGpt => Ok(talk(&fields, column)?.and_then(first_turn)),
            Format::Conversations => Ok(talk(&fields, column)?.map(Item::Talk)),
            Format::Trace => Ok(Ok(Item::Arrival(Arrival::of_json(&fields)?))),
            _ => body(fields, column),
        }
    }
}

/// What a table's record says.
pub(super) fn record_item(columns: Columns, record: &ByteRecord) -> Found<Item> {
    let (prompt, length) = match columns {
        Columns::Lengths {
            time,
            input,
            output,
        } => {
            let fields = [
                field(record, time)?,
                field(record, input)?,
                field(record, output)?,
            ];
            return Ok(Ok(Item::Arrival(Arrival::of_table(fields)?)));
        }
        Columns::Prompts { prompt, max_tokens } => (prompt, max_tokens),
    };
    let max_tokens = match length.map(|place| field(record, place)).transpose()? {
        None => None,
        Some(text) if text.trim().is_empty() => None,
        Some(text) => {
            let number = text.trim().parse();
            Some(number.map_err(|_| RowFault::NoLength(text.to_owned()))?)
        }
    };
    Ok(said(field(record, prompt)?).map(|row| Item::Row { row, max_tokens }))
}

/// One object: fields of the body, or the one that was named.
fn body(fields: Map<String, Value>, column: Option<&str>) -> Found<Item> {
    let Some(column) = column else {
        let row = rows::of_fields(fields).ok_or(RowFault::NothingAsked)?;
        return Ok(Ok(without_length(row)));
    };
    let text = fields.get(column).and_then(Value::as_str);
    let text = text.ok_or_else(|| RowFault::NoText(column.to_owned()))?;
    let max_tokens = match LENGTHS.iter().find_map(|name| fields.get(*name)) {
        None | Some(Value::Null) => None,
        Some(value) => Some(whole(value).ok_or_else(|| RowFault::NoLength(value.to_string()))?),
    };
    Ok(said(text).map(|row| Item::Row { row, max_tokens }))
}

/// What `ShareGPT`'s conversations are used for mostly: the first question of those that were answered.
fn first_turn(talk: Talk) -> Result<Item, Unsent> {
    if talk.messages < 2 {
        return Err(Unsent::Unanswered);
    }
    let first = talk.turns.into_iter().next().ok_or(Unsent::Silent)?;
    let row = match <[Message; 1]>::try_from(first) {
        Ok([message]) if message.role == Role::User => said(&message.content)?,
        Ok(message) => conversation(message.into()),
        Err(messages) => conversation(messages),
    };
    Ok(without_length(row))
}

fn without_length(row: Row) -> Item {
    let max_tokens = None;
    Item::Row { row, max_tokens }
}

fn conversation(messages: Vec<Message>) -> Row {
    Row {
        prompt: None,
        messages: Some(messages),
        extra: Map::new(),
    }
}

/// A prompt, unless it is blank.
fn said(text: &str) -> Result<Row, Unsent> {
    if text.trim().is_empty() {
        return Err(Unsent::Blank);
    }
    Ok(Row {
        prompt: Some(text.to_owned()),
        messages: None,
        extra: Map::new(),
    })
}

pub(super) fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser(format: Format, column: Option<&str>) -> Parser {
        Parser {
            format,
            layout: Layout::Lines,
            column: column.map(str::to_owned),
        }
    }

    #[track_caller]
    fn row(parser: &Parser, text: &str) -> (Row, Option<u32>) {
        match parser.row(text.as_bytes()).unwrap() {
            Ok(Item::Row { row, max_tokens }) => (row, max_tokens),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_named_field_is_the_prompt_and_the_others_stay_behind() {
        let parser = parser(Format::Jsonl, Some("q"));
        let (found, length) = row(
            &parser,
            r#"{"id":4,"q":"Why?","output_tokens":9,"prompt":"No"}"#,
        );
        assert_eq!((found.prompt.as_deref(), length), (Some("Why?"), Some(9)));
        assert!(found.extra.is_empty());
        let fault = parser.row(br#"{"prompt":"Why?"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "no text in the field `q`");
        let fault = parser.row(br#"{"q":"Why?","max_tokens":"x"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "`\"x\"` is no number of tokens");
    }

    #[test]
    fn a_share_gpt_row_is_its_first_question_with_the_instructions() {
        let parser = parser(Format::ShareGpt, None);
        let (plain, _) = row(
            &parser,
            r#"{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Ho"}]}"#,
        );
        assert_eq!(plain.prompt.as_deref(), Some("Hi"));
        let (told, _) = row(
            &parser,
            r#"{"conversations":[{"from":"system","value":"S"},{"from":"human","value":"Hi"},{"from":"human","value":"B"}]}"#,
        );
        let messages = told.messages.unwrap();
        assert_eq!((messages.len(), messages[0].role), (2, Role::System));
        let alone = br#"{"conversations":[{"from":"human","value":"Hi"}]}"#;
        assert_eq!(parser.row(alone).unwrap(), Err(Unsent::Unanswered));
    }

    #[test]
    fn a_line_of_text_is_a_prompt_and_a_blank_one_is_not() {
        let parser = parser(Format::Text, None);
        assert_eq!(row(&parser, " Hi\r\n").0.prompt.as_deref(), Some(" Hi"));
        assert_eq!(parser.row(b" \r\n").unwrap(), Err(Unsent::Blank));
        assert!(matches!(parser.row(b"\xff"), Err(RowFault::Encoding)));
    }

    #[test]
    fn a_record_has_a_prompt_and_perhaps_a_length() {
        let columns = Columns::Prompts {
            prompt: 1,
            max_tokens: Some(0),
        };
        let layout = Layout::Table {
            delimiter: b',',
            columns,
        };
        let parser = Parser {
            layout,
            ..parser(Format::Csv, None)
        };
        let (found, length) = row(&parser, "\r\n12,\"a \"\"b\"\"\nc\"\r\n13,d");
        assert_eq!(
            (found.prompt.as_deref(), length),
            (Some("a \"b\"\nc"), Some(12))
        );
        assert_eq!(row(&parser, ",a").1, None);
        assert_eq!(parser.row(b"5,").unwrap(), Err(Unsent::Blank));
        assert!(matches!(parser.row(b"five,a"), Err(RowFault::NoLength(_))));
    }
}
