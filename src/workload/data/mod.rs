//! Data sets from files: an index of where their rows are, and rows read one by one when they are asked for.
//! Only `file` opens anything; what is asked of a row is for [`Workload`](super::Workload) to deal.

mod array;
mod deal;
mod fault;
pub(super) mod file;
mod letters;
mod parse;
mod replay;
mod scan;
mod sight;
mod sniff;
mod table;
mod talk;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use rand::RngExt;

pub(super) use deal::{Dealer, Dealing};
pub use fault::{DataError, Place, RowFault, RowLost, Unsent};
pub use sight::{Said, Sight};

use super::Format;
use crate::domain::Seed;
use parse::Item;
use scan::Scan;

/// Bytes that are read from anywhere, by any thread, at the same time.
trait ReadAt: Debug + Send + Sync {
    /// Fills some of `buffer` with what is there from `start` on, and says how much; 0 is the end.
    fn read_some(&self, start: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Fills all of `buffer`.
    fn read_at(&self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(start + filled as u64, &mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// An opened data set: every row has been read once, and is where the index says.
///
/// The index takes 12 bytes a row, 4 more when shuffled, and 8 more for a trace. Rows stay in the file.
#[derive(Debug)]
pub struct Data {
    name: String,
    scan: Scan,
    /// The rows in the order in which they are dealt, where that is not the file's.
    order: Option<Vec<u32>>,
    source: Box<dyn ReadAt>,
}

impl Data {
    fn new(
        name: String,
        scan: Scan,
        shuffle_seed: Option<u64>,
        limit: Option<u64>,
        source: Box<dyn ReadAt>,
    ) -> Self {
        let rows = scan.rows.starts.len();
        let order = shuffle_seed.map(|seed| {
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            let mut order = shuffled(rows, seed);
            order.truncate(limit.unwrap_or(rows));
            order
        });
        Self {
            name,
            scan,
            order,
            source,
        }
    }

    /// How it is written.
    pub const fn format(&self) -> Format {
        self.scan.parser.format
    }

    /// Rows that are dealt. At least 1.
    pub fn rows(&self) -> usize {
        let all = self.scan.rows.starts.len();
        self.order.as_ref().map_or(all, Vec::len)
    }

    /// Rows with nothing to send, of the whole file.
    pub fn left_out(&self) -> u64 {
        self.reasons().values().sum()
    }

    /// The same by the reason.
    pub const fn reasons(&self) -> &BTreeMap<Unsent, u64> {
        &self.scan.rows.left_out
    }

    /// When the requests of a trace are due, in microseconds from the first, `speed` times as fast as they came; at most `most`.
    /// Times are the file's first ones, in its order, whatever the order of the rows is. Empty for what is no trace.
    pub fn due_us(&self, speed: f64, most: Option<u64>) -> Arc<[u64]> {
        let most = most.and_then(|most| usize::try_from(most).ok());
        let times = self.scan.rows.times_us.iter();
        times
            .take(most.unwrap_or(usize::MAX).min(self.rows()))
            .map(|&time| faster(time, speed))
            .collect()
    }

    /// Bytes of all rows that are dealt.
    fn size(&self) -> u64 {
        let lengths = &self.scan.rows.lengths;
        let length = |row| u64::from(lengths[self.row(row)]);
        (0..self.rows()).map(length).sum()
    }

    /// The place in the file's order of the row that is dealt `nth`.
    fn row(&self, nth: usize) -> usize {
        self.order.as_ref().map_or(nth, |order| order[nth] as usize)
    }

    /// What the row that is dealt `nth` asks for, read now.
    fn item(&self, nth: usize) -> Result<Item, RowLost> {
        self.understood(nth, &self.bytes(nth)?)
    }

    fn bytes(&self, nth: usize) -> Result<Vec<u8>, RowLost> {
        let row = self.row(nth);
        let mut bytes = vec![0; self.scan.rows.lengths[row] as usize];
        let start = self.scan.rows.starts[row];
        let read = self.source.read_at(start, &mut bytes);
        read.map_err(|cause| self.lost(nth, cause))?;
        Ok(bytes)
    }

    fn understood(&self, nth: usize, bytes: &[u8]) -> Result<Item, RowLost> {
        match self.scan.parser.row(bytes) {
            Ok(Ok(item)) => Ok(item),
            // It was good when it was scanned.
            Ok(Err(_)) => Err(self.lost(nth, io::Error::other("the file has changed"))),
            Err(fault) => Err(self.lost(nth, io::Error::other(fault))),
        }
    }

    fn lost(&self, nth: usize, cause: io::Error) -> RowLost {
        RowLost {
            name: self.name.clone(),
            row: self.row(nth) as u64 + 1,
            cause,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a time of a thousand years has 55 bits, and one that is slowed down for longer never comes"
)]
fn faster(time_us: u64, speed: f64) -> u64 {
    if speed.to_bits() == 1_f64.to_bits() {
        return time_us;
    }
    (time_us as f64 / speed).round() as u64
}

/// 0 to `rows` - 1 in the order that `seed` draws (Fisher and Yates).
fn shuffled(rows: usize, seed: u64) -> Vec<u32> {
    let mut rng = Seed(seed).stream("dataset-shuffle", 0);
    // The scan refuses more rows than this can number.
    let mut order: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
    order
}
