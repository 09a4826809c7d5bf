//! One pass over a data set: where its rows are, whether each can be read, what the whole file is. Rows are not kept.
//! It opens no file.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::ByteRecord;
use sha2::{Digest as _, Sha256};

use super::array::Splitter;
use super::fault::{DataError, LONGEST_ROW, Place, RowFault, Unsent};
use super::parse::{Item, Layout, Parser, record_item};
use super::table::Columns;
use crate::workload::Format;

/// Bytes in which the first mark of a file must be.
const HEAD: u64 = 4096;
/// Bytes to read at once.
const PIECE: usize = 256 << 10;
/// A mark of byte order that some editors begin with.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How a file is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) format: Format,
    pub(super) column: Option<&'a str>,
    /// Fields of tables are parted by tabs.
    pub(super) tabs: bool,
    /// Keep so many rows; the others are read and checked all the same.
    pub(super) keep: Option<u64>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) parser: Parser,
    pub(super) rows: Rows,
    /// SHA-256 of the file, in hex.
    pub(super) sha256: String,
    /// Its length.
    pub(super) bytes: u64,
}

/// The rows of a file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where each begins.
    pub(super) starts: Vec<u64>,
    /// How long each is.
    pub(super) lengths: Vec<u32>,
    /// Of conversations: their turns.
    pub(super) turns: Vec<u32>,
    /// Of a trace: microseconds after the first row.
    pub(super) times_us: Vec<u64>,
    /// Rows with nothing to send, by the reason.
    pub(super) left_out: BTreeMap<Unsent, u64>,
    /// The first row's time.
    zero_us: u64,
    last_us: Option<u64>,
}

/// Reads all of `input`.
pub(super) fn scan(wanted: Wanted<'_>, input: impl Read) -> Result<Scan, DataError> {
    let mut whole = Whole {
        input,
        digest: Sha256::new(),
        bytes: 0,
    };
    let mut head = Vec::new();
    (&mut whole).take(HEAD).read_to_end(&mut head)?;
    let kind = Kind::of(wanted.format, &head);
    let input = Cursor::new(head).chain(&mut whole);
    let mut rows = Rows::default();
    let mut parser = Parser {
        format: wanted.format,
        layout: Layout::Lines,
        column: wanted.column.map(str::to_owned),
    };
    match kind {
        Kind::Lines => lines(&parser, wanted.keep, input, &mut rows)?,
        Kind::Array => {
            parser.layout = Layout::Array;
            array(&parser, wanted.keep, input, &mut rows)?;
        }
        Kind::Table => parser.layout = table(wanted, input, &mut rows)?,
    }
    if rows.starts.is_empty() {
        let left_out = rows.left_out.values().sum();
        return Err(DataError::Empty { left_out });
    }
    Ok(Scan {
        parser,
        rows,
        sha256: format!("{:x}", whole.digest.finalize()),
        bytes: whole.bytes,
    })
}

/// How a file is cut into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lines,
    Array,
    Table,
}

impl Kind {
    /// By what the file begins with, where the format leaves a choice.
    pub(super) fn of(format: Format, head: &[u8]) -> Self {
        match (format, first_mark(head)) {
            (Format::Text, _) => Self::Lines,
            (Format::Csv, _) => Self::Table,
            (_, Some(b'[')) => Self::Array,
            (Format::Trace, Some(mark)) if mark != b'{' => Self::Table,
            _ => Self::Lines,
        }
    }
}

/// The first byte that is no blank.
pub(super) fn first_mark(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(BOM).unwrap_or(head);
    head.iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace())
}

impl Rows {
    /// Notes a row that was read.
    fn note(
        &mut self,
        keep: Option<u64>,
        (start, length): (u64, usize),
        item: Result<Item, Unsent>,
    ) -> Result<(), DataOrFault> {
        let item = match item {
            Ok(item) => item,
            Err(why) => {
                *self.left_out.entry(why).or_default() += 1;
                return Ok(());
            }
        };
        let length = u32::try_from(length).map_err(|_| RowFault::TooLong)?;
        let mut time_us = None;
        if let Item::Arrival(arrival) = &item {
            if self.last_us.is_some_and(|last| arrival.time_us < last) {
                return Err(RowFault::Unsorted.into());
            }
            if self.last_us.is_none() {
                self.zero_us = arrival.time_us;
            }
            self.last_us = Some(arrival.time_us);
            time_us = Some(arrival.time_us - self.zero_us);
        }
        if keep.is_some_and(|keep| self.starts.len() as u64 >= keep) {
            return Ok(());
        }
        if u32::try_from(self.starts.len() + 1).is_err() {
            return Err(DataError::TooMany.into());
        }
        self.starts.push(start);
        self.lengths.push(length);
        self.times_us.extend(time_us);
        if let Item::Talk(talk) = &item {
            let turns = u32::try_from(talk.turns.len()).map_err(|_| RowFault::TooLong)?;
            self.turns.push(turns);
        }
        Ok(())
    }
}

/// What a row is refused for: something of its own, or the whole file's.
enum DataOrFault {
    Data(DataError),
    Fault(RowFault),
}

impl From<DataError> for DataOrFault {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<RowFault> for DataOrFault {
    fn from(fault: RowFault) -> Self {
        Self::Fault(fault)
    }
}

impl DataOrFault {
    fn at(self, place: Place) -> DataError {
        match self {
            Self::Data(error) => error,
            Self::Fault(fault) => DataError::row(place, fault),
        }
    }
}

/// One row a line; blank lines are skipped.
fn lines(
    parser: &Parser,
    keep: Option<u64>,
    input: impl Read,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let mut input = BufReader::with_capacity(PIECE, input);
    let mut line = Vec::new();
    let mut start = 0;
    for number in 1.. {
        line.clear();
        let longest = LONGEST_ROW as u64 + 1;
        let read = (&mut input).take(longest).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let place = Place::Line(number);
        if read > LONGEST_ROW {
            return Err(DataError::row(place, RowFault::TooLong));
        }
        let mark = if number == 1 && line.starts_with(BOM) {
            BOM.len()
        } else {
            0
        };
        let text = &line[mark..];
        if !text.trim_ascii().is_empty() {
            let span = (start + mark as u64, text.len());
            let item = parser.row(text);
            let item = item.map_err(|fault| DataError::row(place, fault))?;
            rows.note(keep, span, item).map_err(|why| why.at(place))?;
        }
        start += read as u64;
    }
    Ok(())
}

/// The elements of a JSON array.
fn array(
    parser: &Parser,
    keep: Option<u64>,
    input: impl Read,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let mut input = BufReader::with_capacity(PIECE, input);
    let mut splitter = Splitter::new();
    loop {
        let chunk = input.fill_buf()?;
        let read = chunk.len();
        if read == 0 {
            return splitter.finish();
        }
        splitter.feed(chunk, &mut |start, number, element| {
            let place = Place::Element(number);
            let item = parser.row(element);
            let item = item.map_err(|fault| DataError::row(place, fault))?;
            let noted = rows.note(keep, (start, element.len()), item);
            noted.map_err(|why| why.at(place))
        })?;
        input.consume(read);
    }
}

/// The records of a table, whose fields may hold line breaks.
fn table(wanted: Wanted<'_>, input: impl Read, rows: &mut Rows) -> Result<Layout, DataError> {
    let delimiter = if wanted.tabs { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .buffer_capacity(PIECE)
        .from_reader(input);
    let header = reader.byte_headers().map_err(table_error)?;
    let columns = Columns::find(header, wanted.format, wanted.column)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(table_error)? {
        let (start, line) = record
            .position()
            .map_or((0, 0), |position| (position.byte(), position.line()));
        let place = Place::Line(line);
        let length = reader.position().byte() - start;
        if length > LONGEST_ROW as u64 {
            return Err(DataError::row(place, RowFault::TooLong));
        }
        let item = record_item(columns, &record);
        let item = item.map_err(|fault| DataError::row(place, fault))?;
        // Below the longest row.
        let span = (start, usize::try_from(length).unwrap_or(0));
        let noted = rows.note(wanted.keep, span, item);
        noted.map_err(|why| why.at(place))?;
    }
    Ok(Layout::Table { delimiter, columns })
}

fn table_error(error: csv::Error) -> DataError {
    if !error.is_io_error() {
        return DataError::Table(Box::new(error));
    }
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DataError::Read(error),
        _ => DataError::Read(io::ErrorKind::Other.into()),
    }
}

/// Counts and digests what is read through it.
struct Whole<R> {
    input: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
