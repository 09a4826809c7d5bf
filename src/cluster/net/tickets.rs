//! Which control streams are open: a ticket, given on one, ties a pulse stream to it. It moves no message.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::cluster::ConnId;

/// Control streams beside those of as many workers as there may be: of workers that come back before the master has seen
/// them go, and of those that are turned away.
const SPARE_STREAMS: usize = 64;

/// A ticket as it is kept, so that looking for one tells nothing of the others.
type TicketDigest = [u8; 32];

/// The open control streams.
#[derive(Debug)]
pub(super) struct Tickets {
    most: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    streams: BTreeMap<TicketDigest, ConnId>,
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
        let most = usize::try_from(most_workers).unwrap_or(usize::MAX);
        Self {
            most: most.saturating_add(SPARE_STREAMS),
            book: Mutex::default(),
        }
    }

    /// Numbers a control stream and draws its ticket.
    pub(super) fn issue(&self) -> Result<(ConnId, String), NoTicket> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoTicket::NoRandomness)?;
        let ticket = format!("{:032x}", u128::from_le_bytes(bytes));
        let mut book = self.book();
        if book.streams.len() >= self.most {
            return Err(NoTicket::Full);
        }
        let conn = ConnId(book.next);
        book.next += 1;
        book.streams.insert(digest(&ticket), conn);
        Ok((conn, ticket))
    }

    /// The stream that a ticket was given to.
    pub(super) fn conn_of(&self, ticket: &str) -> Option<ConnId> {
        self.book().streams.get(&digest(ticket)).copied()
    }

    /// A stream has ended.
    pub(super) fn forget(&self, ticket: &str) {
        self.book().streams.remove(&digest(ticket));
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn streams_are_limited_to_a_few_more_than_workers() {
        let tickets = Tickets::new(1);
        let mut streams: Vec<_> = (0..).map_while(|_| tickets.issue().ok()).collect();
        assert_eq!(streams.len(), 1 + SPARE_STREAMS);
        assert_eq!(tickets.issue().unwrap_err(), NoTicket::Full);
        tickets.forget(&streams.remove(0).1);
        assert!(tickets.issue().is_ok());
    }
}
