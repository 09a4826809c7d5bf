//! Which connection carries the next request. There is no limit on how many are open.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::connect::{Connection, Sender};

/// When connections are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Kept alive and shared by all users of a core.
    Pooled,
    /// A new one for each request.
    Never,
    /// Each user keeps its own.
    PerUser,
}

/// A connection that can be kept.
pub(super) trait Kept {
    /// Whether another request could be sent on it, as far as is known.
    fn is_usable(&mut self) -> bool;
}

/// Idle connections of one core, the most recently used first: so that few are kept warm when few are needed.
pub(super) struct Pool<C> {
    reuse: Reuse,
    shared: RefCell<Vec<C>>,
    owned: RefCell<BTreeMap<u32, C>>,
}

impl<C: Kept> Pool<C> {
    pub(super) fn new(reuse: Reuse) -> Self {
        Self {
            reuse,
            shared: RefCell::default(),
            owned: RefCell::default(),
        }
    }

    /// An idle connection that still lives, if there is one for `user`.
    pub(super) fn take(&self, user: u32) -> Option<C> {
        match self.reuse {
            Reuse::Never => None,
            Reuse::PerUser => {
                let mut connection = self.owned.borrow_mut().remove(&user)?;
                connection.is_usable().then_some(connection)
            }
            Reuse::Pooled => {
                let mut idle = self.shared.borrow_mut();
                while let Some(mut connection) = idle.pop() {
                    if connection.is_usable() {
                        return Some(connection);
                    }
                }
                None
            }
        }
    }

    /// Keeps a connection whose exchange is over, if it may be used again. Whether it lives is asked when it is taken.
    pub(super) fn give_back(&self, user: u32, connection: C) {
        match self.reuse {
            Reuse::Never => {}
            Reuse::PerUser => drop(self.owned.borrow_mut().insert(user, connection)),
            Reuse::Pooled => self.shared.borrow_mut().push(connection),
        }
    }
}

/// Streams that are open at once on one HTTP/2 connection before another is opened: servers commonly allow 100,
/// and waiting for one of them to end would be a hidden limit on the load.
pub const MAX_STREAMS: usize = 100;

/// HTTP/2 connections of one core, each with the number of its open streams.
#[derive(Default)]
pub(super) struct Multiplexed {
    connections: RefCell<Vec<Shared>>,
}

struct Shared {
    id: u64,
    streams: usize,
    connection: Connection,
}

/// A place on an HTTP/2 connection.
pub(super) struct Lease {
    pub(super) id: u64,
    pub(super) connection: Connection,
}

impl Multiplexed {
    /// A place on a connection that lives and has room.
    pub(super) fn take(&self) -> Option<Lease> {
        let mut all = self.connections.borrow_mut();
        all.retain(|shared| shared.streams > 0 || shared.connection.is_open());
        let shared = all
            .iter_mut()
            .find(|shared| shared.streams < MAX_STREAMS && shared.connection.is_open())?;
        shared.streams += 1;
        Some(Lease {
            id: shared.id,
            connection: shared.connection.clone_http2()?,
        })
    }

    /// Adds a new connection and takes the first place on it.
    pub(super) fn add(&self, connection: Connection) -> Option<Lease> {
        let copy = connection.clone_http2()?;
        let mut all = self.connections.borrow_mut();
        let id = all.last().map_or(0, |shared| shared.id + 1);
        all.push(Shared {
            id,
            streams: 1,
            connection,
        });
        Some(Lease {
            id,
            connection: copy,
        })
    }

    /// How many streams the living connections have room for, taken places included.
    pub(super) fn places(&self) -> usize {
        let all = self.connections.borrow();
        let living = all.iter().filter(|shared| shared.connection.is_open());
        living.count() * MAX_STREAMS
    }

    /// Gives a place back.
    pub(super) fn release(&self, id: u64) {
        if let Some(shared) = self
            .connections
            .borrow_mut()
            .iter_mut()
            .find(|shared| shared.id == id)
        {
            shared.streams -= 1;
        }
    }
}

impl Connection {
    fn clone_http2(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                stamps: std::rc::Rc::clone(&self.stamps),
            }),
        }
    }
}
