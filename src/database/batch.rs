//! Batches: rows that reach the database together or not at all, each with a name that no other has, and the frames in which
//! they wait in a spool. A frame is its payload's length, the payload's CRC-32 (both 32 bits, little-endian), and the payload.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Rows, Table};

/// What a spool begins with.
pub const SPOOL_HEAD: &[u8] = b"llmload spool 1\n";
/// Bytes before a payload.
const FRAME_HEAD: usize = 8;

/// Rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub table: Table,
    /// How many.
    pub rows: u32,
    /// As `COPY` reads them.
    pub text: String,
}

/// Rows that are written together. Run, source, incarnation and number tell it from every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The run, 16 hexadecimal digits.
    pub run: String,
    /// Who made it: `run`, or `worker 3`.
    pub source: String,
    /// Drawn by who made it, at its start.
    pub incarnation: String,
    /// Which of its batches, from 0.
    pub seq: u64,
    /// The rows.
    pub parts: Vec<Part>,
}

impl Part {
    /// `rows` of `table`.
    pub fn new(table: Table, rows: Rows) -> Self {
        let (text, rows) = rows.done();
        Self { table, rows, text }
    }
}

impl Batch {
    /// How many rows it holds.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.rows)).sum()
    }
}

/// A spool that is none, or not whole.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// It begins with something else.
    #[error("this is no spool of llmload")]
    NotASpool,
    /// It ends within a frame, or a frame is not what was written.
    #[error("it is torn or damaged at byte {at}")]
    Torn {
        /// Where the frame begins.
        at: usize,
    },
    /// A frame is whole and holds no batch: another version wrote it.
    #[error("the batch at byte {at} is none of this version")]
    Foreign {
        /// Where the frame begins.
        at: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// A batch as it stands in a spool.
///
/// # Errors
///
/// When the JSON writer refuses a value, which no batch holds.
pub fn frame(batch: &Batch) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![0; FRAME_HEAD];
    serde_json::to_writer(&mut bytes, batch)?;
    let payload = &bytes[FRAME_HEAD..];
    let crc = crc32fast::hash(payload).to_le_bytes();
    // Batches are sealed at some hundred kilobytes.
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    bytes[..4].copy_from_slice(&length);
    bytes[4..FRAME_HEAD].copy_from_slice(&crc);
    Ok(bytes)
}

/// The batches of a spool, in order; ends after an error.
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    is_over: bool,
}

impl<'a> Frames<'a> {
    /// Those of a whole spool.
    ///
    /// # Errors
    ///
    /// When it begins with something else than a spool.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SpoolError> {
        if !bytes.starts_with(SPOOL_HEAD) {
            return Err(SpoolError::NotASpool);
        }
        Ok(Self {
            bytes,
            at: SPOOL_HEAD.len(),
            is_over: false,
        })
    }

    /// The one frame that begins at the start of `bytes`.
    pub fn one(bytes: &'a [u8]) -> Option<Result<Batch, SpoolError>> {
        let mut frames = Self {
            bytes,
            at: 0,
            is_over: false,
        };
        frames.next()
    }

    fn read(&mut self) -> Result<Batch, SpoolError> {
        let at = self.at;
        let torn = SpoolError::Torn { at };
        let number = |from: usize| -> Option<u32> {
            let bytes = self.bytes.get(from..from + 4)?;
            bytes.try_into().ok().map(u32::from_le_bytes)
        };
        let (Some(length), Some(crc)) = (number(at), number(at + 4)) else {
            return Err(torn);
        };
        let begin = at + FRAME_HEAD;
        let end = begin.saturating_add(length as usize);
        let Some(payload) = self.bytes.get(begin..end) else {
            return Err(torn);
        };
        if crc32fast::hash(payload) != crc {
            return Err(torn);
        }
        self.at = end;
        serde_json::from_slice(payload).map_err(|source| SpoolError::Foreign { at, source })
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Batch, SpoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over || self.at >= self.bytes.len() {
            return None;
        }
        let read = self.read();
        self.is_over = read.is_err();
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(seq: u64, text: &str) -> Batch {
        let mut rows = Rows::default();
        rows.words(Some(text));
        rows.end();
        Batch {
            run: "00000000000000ab".to_owned(),
            source: "run".to_owned(),
            incarnation: "7".to_owned(),
            seq,
            parts: vec![Part::new(Table::Seconds, rows)],
        }
    }

    fn spool(batches: &[Batch]) -> Vec<u8> {
        let mut bytes = SPOOL_HEAD.to_vec();
        for batch in batches {
            bytes.extend(frame(batch).unwrap());
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_spool_gives_back_what_it_was_given_up_to_where_it_is_cut(texts in proptest::collection::vec(any::<String>(), 1..6), cut in 0.0..=1.0_f64) {
            let batches: Vec<_> = texts.iter().zip(0..).map(|(text, seq)| batch(seq, text)).collect();
            let bytes = spool(&batches);
            let read: Result<Vec<_>, _> = Frames::new(&bytes).unwrap().collect();
            prop_assert_eq!(read.unwrap(), batches.clone());
            let room = bytes.len() - SPOOL_HEAD.len();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a length")]
            let kept = SPOOL_HEAD.len() + (room as f64 * cut) as usize;
            let whole: Vec<_> = Frames::new(&bytes[..kept]).unwrap().filter_map(Result::ok).collect();
            prop_assert_eq!(&whole[..], &batches[..whole.len()]);
            let ends_torn = Frames::new(&bytes[..kept]).unwrap().any(|read| read.is_err());
            prop_assert_eq!(ends_torn, spool(&whole).len() != kept);
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0..200_usize) {
            let mut bytes = spool(&[batch(0, "a"), batch(1, "b")]);
            let at = SPOOL_HEAD.len() + at % (bytes.len() - SPOOL_HEAD.len());
            bytes[at] ^= 1;
            let is_noticed = Frames::new(&bytes).unwrap().any(|read| read.is_err());
            prop_assert!(is_noticed);
        }
    }

    #[test]
    fn another_file_is_no_spool() {
        assert!(matches!(Frames::new(b"{}"), Err(SpoolError::NotASpool)));
        assert_eq!(batch(0, "x").rows(), 1);
    }
}
