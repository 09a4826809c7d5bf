//! When each event of each stream was sent, or arrived: written by one process, read by another, held against each other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::error::BenchError;

/// `CLOCK_MONOTONIC` nanoseconds of the content events of each stream, by the number that its request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<u64, Vec<u64>>);

impl Stamps {
    /// Adds the stamps of a stream.
    pub(super) fn insert(&mut self, stream: u64, stamps: Vec<u64>) {
        self.0.insert(stream, stamps);
    }

    /// Writes little-endian words: of each stream its number, how many stamps it has, and these.
    pub(super) fn write(&self, path: &Path) -> Result<(), BenchError> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            for (stream, stamps) in &self.0 {
                let head = [*stream, stamps.len() as u64];
                for word in head.iter().chain(stamps) {
                    file.write_all(&word.to_le_bytes())?;
                }
            }
            file.flush()
        };
        write().map_err(BenchError::system("write the stamps"))
    }

    /// Reads what `write` wrote, and removes it.
    pub(super) fn take(path: &Path) -> Result<Self, BenchError> {
        let bytes = fs::read(path).map_err(BenchError::system("read the stamps"))?;
        fs::remove_file(path).map_err(BenchError::system("remove the stamps"))?;
        let mut words = bytes
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        let mut all = Self::default();
        while let (Some(stream), Some(count)) = (words.next(), words.next()) {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            all.insert(stream, words.by_ref().take(count).collect());
        }
        Ok(all)
    }

    /// Arrived − sent of every event, in nanoseconds; `self` are the times of sending.
    pub(super) fn errors(&self, arrived: &Self) -> Result<Vec<i64>, BenchError> {
        let mut errors = Vec::new();
        for (stream, sent) in &self.0 {
            let seen = arrived.0.get(stream).map_or(&[][..], Vec::as_slice);
            if seen.len() != sent.len() {
                return Err(BenchError::Counts(format!(
                    "stream {stream} sent {} events and {} arrived",
                    sent.len(),
                    seen.len()
                )));
            }
            let pairs = seen.iter().zip(sent);
            errors.extend(pairs.map(|(&at, &sent)| at.cast_signed() - sent.cast_signed()));
        }
        Ok(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(all: &[(u64, &[u64])]) -> Stamps {
        Stamps(all.iter().map(|&(n, at)| (n, at.to_vec())).collect())
    }

    #[test]
    fn what_is_written_is_read_and_held_against_each_other_event_by_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stamps");
        let sent = stamps(&[(7, &[100, 200]), (9, &[150])]);
        sent.write(&path).unwrap();
        assert_eq!(Stamps::take(&path).unwrap(), sent);
        let arrived = stamps(&[(7, &[130, 195]), (9, &[151])]);
        assert_eq!(sent.errors(&arrived).unwrap(), [30, -5, 1]);
        let lost = stamps(&[(7, &[130]), (9, &[151])]);
        assert!(matches!(sent.errors(&lost), Err(BenchError::Counts(_))));
    }
}
