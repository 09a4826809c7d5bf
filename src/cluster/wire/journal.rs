//! A journal as bytes: records with a length and a checksum before each, read until the first that is not whole.
//! It opens no file; what the frames mean is added up in `Past`.

use std::io::{self, Read};
use std::time::Duration;

use prost::Message as _;

use super::{MAX_NAME_BYTES, WireError, frame, pb, plan, text};
use crate::cluster::journal::{Broken, Frame, Past};
use crate::domain::Offset;
use crate::plan::Plan;

/// What a journal begins with.
const MAGIC: &[u8; 16] = b"llmload journal\n";

/// The version of the layout.
const FORMAT: u32 = 1;

/// Bytes before a record's message: its length and the checksum.
const PREFIX: usize = 8;

/// More bytes than any record has: a plan with a data set may be large, a frame has a tally and a line a worker.
const MAX_RECORD_BYTES: usize = 1 << 30;

/// What stands at a journal's beginning: all that must be known of a run to make its tables, but for what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalHeader {
    /// Of the program that writes.
    pub version: String,
    /// Which run.
    pub run: u64,
    /// The wall clock when the master's clock showed zero, in nanoseconds since 1970.
    pub clock_zero_unix_ns: i64,
    /// The run.
    pub plan: Plan,
    /// How long a worker may go on sending when it hears nothing of its master; `None`: it is in the same process.
    pub lease: Option<Duration>,
    /// Share of failed requests above which the run has failed.
    pub max_fail_ratio: f64,
    /// The exit status of a run that has failed.
    pub exit_code_on_error: u8,
    /// A run whose figures cannot be trusted ends like any other.
    pub allow_invalid: bool,
    /// The command line that does the same again, without secrets; empty where nobody knows it.
    pub command: String,
}

/// Why there is nothing to read in a file.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It begins like no journal.
    #[error("it is no journal")]
    Foreign,
    /// It is empty, or its writer ended before it had written whose journal it is.
    #[error("it is empty, or ends before it says which run it is of")]
    Blank,
    /// Its beginning is damaged.
    #[error("its beginning is damaged")]
    Damaged(#[source] Tear),
    /// Another version's.
    #[error("it has format `{0}`, and this version reads format `{FORMAT}` only")]
    Format(u32),
    /// Its plan or something else at its beginning cannot be understood.
    #[error("its beginning is not understood")]
    Header(#[from] WireError),
}

/// Why a journal ends where it does, when its master did not end it there.
#[derive(Debug, thiserror::Error)]
pub enum Tear {
    /// The file ends within a record: its writer was killed, or the disk was full.
    #[error("a record is cut short")]
    Short,
    /// Nobody writes records so long.
    #[error("a record claims to have `{0}` bytes")]
    Length(usize),
    /// Some byte is not what was written.
    #[error("a record's checksum is wrong")]
    Checksum,
    /// The bytes are what was written, and mean nothing here.
    #[error("a record is not understood: {0}")]
    Content(#[from] WireError),
    /// A frame that cannot follow the ones before.
    #[error("{0}")]
    Order(#[from] Broken),
    /// A record where there can be none of its kind.
    #[error("a record is in the wrong place")]
    Misplaced,
}

/// What of a file was not read.
#[derive(Debug)]
pub struct Torn {
    /// How many bytes, to the end of the file.
    pub bytes: u64,
    /// Why.
    pub reason: Tear,
}

/// The bytes that a journal begins with.
pub fn journal_head(header: &JournalHeader) -> Result<Vec<u8>, WireError> {
    let header = pb::JournalHeader {
        format: FORMAT,
        version: header.version.clone(),
        run: header.run,
        clock_zero_unix_ns: header.clock_zero_unix_ns,
        plan_version: plan::VERSION,
        plan_json: plan::encode(&header.plan)?,
        lease_ns: header.lease.map(|lease| Offset::from(lease).as_nanos()),
        max_fail_ratio: header.max_fail_ratio,
        exit_code_on_error: header.exit_code_on_error.into(),
        allow_invalid: header.allow_invalid,
        command: header.command.clone(),
    };
    let mut bytes = MAGIC.to_vec();
    append(&mut bytes, pb::journal_record::Body::Header(header))?;
    Ok(bytes)
}

/// The bytes of a frame.
pub fn journal_frame(frame: Frame) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    let body = pb::journal_record::Body::Frame(frame::encode(frame));
    append(&mut bytes, body)?;
    Ok(bytes)
}

/// The bytes of what else a reader should know, a line each; they follow the last frame.
pub fn journal_notes(lines: Vec<String>) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    let body = pb::journal_record::Body::Notes(pb::JournalNotes { lines });
    append(&mut bytes, body)?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, body: pb::journal_record::Body) -> Result<(), WireError> {
    let message = pb::JournalRecord { body: Some(body) }.encode_to_vec();
    let length = u32::try_from(message.len()).ok();
    let length = length.filter(|_| message.len() <= MAX_RECORD_BYTES);
    let length = length.ok_or(WireError::RecordTooLarge(message.len()))?;
    bytes.reserve_exact(PREFIX + message.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum(length, &message).to_le_bytes());
    bytes.extend(message);
    Ok(())
}

/// The length takes part, so that zeros, which a disk likes to leave, are no record.
fn checksum(length: u32, message: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length.to_le_bytes());
    sum.update(message);
    sum.finalize()
}

/// Reads a journal frame by frame and adds them up.
#[derive(Debug)]
pub struct JournalReader<R> {
    input: R,
    header: JournalHeader,
    past: Past,
    notes: Vec<String>,
    /// Bytes of all whole records so far.
    whole: u64,
    torn: Option<Torn>,
    over: bool,
}

/// One attempt to read a record.
enum Attempt {
    Whole(Box<pb::journal_record::Body>, u64),
    /// How many bytes were taken in vain.
    Torn(Tear, u64),
    End,
}

impl<R: Read> JournalReader<R> {
    /// Reads a journal's beginning.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(mut input: R) -> Result<Self, JournalError> {
        let magic = up_to(&mut input, MAGIC.len())?;
        if magic != MAGIC[..magic.len()] {
            return Err(JournalError::Foreign);
        }
        if magic.len() < MAGIC.len() {
            return Err(JournalError::Blank);
        }
        let (header, bytes) = match attempt(&mut input)? {
            Attempt::Whole(body, bytes) => match *body {
                pb::journal_record::Body::Header(header) => (header, bytes),
                _ => return Err(JournalError::Damaged(Tear::Misplaced)),
            },
            Attempt::Torn(Tear::Short, _) | Attempt::End => return Err(JournalError::Blank),
            Attempt::Torn(tear, _) => return Err(JournalError::Damaged(tear)),
        };
        Ok(Self {
            input,
            header: header_in(header)?,
            past: Past::default(),
            notes: Vec::new(),
            whole: MAGIC.len() as u64 + bytes,
            torn: None,
            over: false,
        })
    }

    /// The next frame, which is added to the past already; `None` where the journal ends.
    ///
    /// # Errors
    ///
    /// When the input cannot be read. What it says is no error, but its end.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        while !self.over {
            match attempt(&mut self.input)? {
                Attempt::End => self.over = true,
                Attempt::Torn(reason, taken) => self.tear(reason, taken)?,
                Attempt::Whole(body, bytes) => match self.take(*body) {
                    Ok(frame) => {
                        self.whole += bytes;
                        if frame.is_some() {
                            return Ok(frame);
                        }
                    }
                    Err(reason) => self.tear(reason, bytes)?,
                },
            }
        }
        Ok(None)
    }

    fn take(&mut self, body: pb::journal_record::Body) -> Result<Option<Frame>, Tear> {
        let ended = self.past.ended.is_some();
        match body {
            pb::journal_record::Body::Frame(frame) if !ended => {
                let frame = frame::decode(frame)?;
                if self.past.frames == 0 && frame.run != self.header.run {
                    return Err(Tear::Order(Broken::Run));
                }
                self.past.add(&frame)?;
                Ok(Some(frame))
            }
            pb::journal_record::Body::Notes(notes) if ended => {
                self.notes = notes.lines;
                Ok(None)
            }
            _ => Err(Tear::Misplaced),
        }
    }

    /// Ends here; the rest is counted.
    fn tear(&mut self, reason: Tear, taken: u64) -> io::Result<()> {
        self.over = true;
        let rest = io::copy(&mut self.input, &mut io::sink())?;
        self.torn = Some(Torn {
            bytes: taken + rest,
            reason,
        });
        Ok(())
    }

    /// What is read from.
    pub const fn input(&self) -> &R {
        &self.input
    }

    /// What the journal is of.
    pub const fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// What the frames read so far add up to.
    pub const fn past(&self) -> &Past {
        &self.past
    }

    /// What was said beside the figures, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many bytes of the input, from its beginning, are whole records.
    pub const fn whole_bytes(&self) -> u64 {
        self.whole
    }

    /// What was left out at the end, once that is reached.
    pub const fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (JournalHeader, Past) {
        (self.header, self.past)
    }
}

fn attempt(input: &mut impl Read) -> io::Result<Attempt> {
    let prefix = up_to(input, PREFIX)?;
    if prefix.is_empty() {
        return Ok(Attempt::End);
    }
    let taken = prefix.len() as u64;
    let ([length, sum], []) = prefix.as_chunks::<4>() else {
        return Ok(Attempt::Torn(Tear::Short, taken));
    };
    let (length, sum) = (u32::from_le_bytes(*length), u32::from_le_bytes(*sum));
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes > MAX_RECORD_BYTES {
        return Ok(Attempt::Torn(Tear::Length(bytes), taken));
    }
    let message = up_to(input, bytes)?;
    let taken = taken + message.len() as u64;
    if message.len() < bytes {
        return Ok(Attempt::Torn(Tear::Short, taken));
    }
    if checksum(length, &message) != sum {
        return Ok(Attempt::Torn(Tear::Checksum, taken));
    }
    let record = pb::JournalRecord::decode(&*message).ok();
    Ok(match record.and_then(|record| record.body) {
        Some(body) => Attempt::Whole(Box::new(body), taken),
        None => Attempt::Torn(Tear::Content(WireError::NoBody), taken),
    })
}

/// As many bytes as there are, at most `most`. No more is allocated than is read.
fn up_to(input: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn header_in(header: pb::JournalHeader) -> Result<JournalHeader, JournalError> {
    if header.format != FORMAT {
        return Err(JournalError::Format(header.format));
    }
    let exit_code = u8::try_from(header.exit_code_on_error);
    Ok(JournalHeader {
        version: text("version", header.version, MAX_NAME_BYTES)?,
        run: header.run,
        clock_zero_unix_ns: header.clock_zero_unix_ns,
        plan: plan::decode(header.plan_version, &header.plan_json)?,
        lease: header.lease_ns.map(Duration::from_nanos),
        max_fail_ratio: header.max_fail_ratio,
        exit_code_on_error: exit_code.map_err(|_| WireError::Impossible("exit_code_on_error"))?,
        allow_invalid: header.allow_invalid,
        command: header.command,
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
