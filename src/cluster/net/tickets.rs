//! Which control streams are open and who speaks on them: a ticket ties a pulse stream to one, and an incarnation makes a
//! worker. It moves no message.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::cluster::ConnId;

/// Control streams beside those of the workers that may be there: of workers that come back before the master has seen
/// them go.
const SPARE_STREAMS: usize = 64;

/// A ticket as it is kept, so that looking for one tells nothing of it.
pub(super) type TicketDigest = [u8; 32];

/// The open control streams.
#[derive(Debug)]
pub(super) struct Tickets {
    most_workers: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    streams: BTreeMap<TicketDigest, Stream>,
    /// Streams of each worker that said hello.
    workers: BTreeMap<u64, usize>,
}

#[derive(Debug)]
struct Stream {
    conn: ConnId,
    incarnation: Option<u64>,
}

/// Why a stream is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTicket {
    /// There are as many as there may be.
    Full,
    /// The system gives no random numbers.
    NoRandomness,
}

impl Tickets {
    pub(super) fn new(most_workers: u32) -> Self {
        Self {
            most_workers: usize::try_from(most_workers).unwrap_or(usize::MAX),
            book: Mutex::default(),
        }
    }

    /// Numbers a control stream and draws its ticket.
    pub(super) fn issue(&self) -> Result<(ConnId, String), NoTicket> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoTicket::NoRandomness)?;
        let ticket = format!("{:032x}", u128::from_le_bytes(bytes));
        let mut book = self.book();
        if book.streams.len() >= self.most_workers.saturating_add(SPARE_STREAMS) {
            return Err(NoTicket::Full);
        }
        let conn = ConnId(book.next);
        book.next += 1;
        let stream = Stream {
            conn,
            incarnation: None,
        };
        book.streams.insert(digest(&ticket), stream);
        Ok((conn, ticket))
    }

    /// The stream that a ticket was given to.
    pub(super) fn conn_of(&self, ticket: &str) -> Option<ConnId> {
        let book = self.book();
        book.streams.get(&digest(ticket)).map(|stream| stream.conn)
    }

    /// Who speaks on a stream. False when that is one worker too many, and then nothing has changed.
    pub(super) fn name(&self, ticket: &str, incarnation: u64) -> bool {
        let mut book = self.book();
        if !book.workers.contains_key(&incarnation) && book.workers.len() >= self.most_workers {
            return false;
        }
        let digest = digest(ticket);
        let Some(stream) = book.streams.get_mut(&digest) else {
            return false;
        };
        let before = stream.incarnation.replace(incarnation);
        *book.workers.entry(incarnation).or_default() += 1;
        book.leave(before);
        true
    }

    /// A stream has ended.
    pub(super) fn forget(&self, ticket: &str) {
        let mut book = self.book();
        let stream = book.streams.remove(&digest(ticket));
        book.leave(stream.and_then(|stream| stream.incarnation));
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn leave(&mut self, incarnation: Option<u64>) {
        let Some(incarnation) = incarnation else {
            return;
        };
        if let Some(streams) = self.workers.get_mut(&incarnation) {
            *streams -= 1;
            if *streams == 0 {
                self.workers.remove(&incarnation);
            }
        }
    }
}

fn digest(ticket: &str) -> TicketDigest {
    Sha256::digest(ticket.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_finds_its_stream_until_that_ends() {
        let tickets = Tickets::new(2);
        let (first, one) = tickets.issue().unwrap();
        let (second, two) = tickets.issue().unwrap();
        assert_ne!(one, two);
        assert_eq!(tickets.conn_of(&one), Some(first));
        assert_eq!(tickets.conn_of(&two), Some(second));
        assert_eq!(tickets.conn_of("0"), None);
        tickets.forget(&one);
        assert_eq!(tickets.conn_of(&one), None);
    }

    #[test]
    fn so_many_workers_are_let_in_and_one_may_come_back_before_it_is_gone() {
        let tickets = Tickets::new(2);
        let mut streams: Vec<_> = (0..4).map(|_| tickets.issue().unwrap().1).collect();
        let last = streams.pop().unwrap();
        assert!(tickets.name(&streams[0], 10) && tickets.name(&streams[1], 11));
        assert!(!tickets.name(&streams[2], 12));
        // The same worker on a second connection.
        assert!(tickets.name(&streams[2], 11));
        assert!(!tickets.name(&last, 12));
        tickets.forget(&streams[1]);
        assert!(!tickets.name(&last, 12), "it is still there");
        tickets.forget(&streams[2]);
        assert!(tickets.name(&last, 12));
    }

    #[test]
    fn streams_without_a_worker_are_limited_too() {
        let tickets = Tickets::new(1);
        let streams = (0..).map_while(|_| tickets.issue().ok()).count();
        assert_eq!(streams, 1 + SPARE_STREAMS);
        assert_eq!(tickets.issue().unwrap_err(), NoTicket::Full);
    }
}
