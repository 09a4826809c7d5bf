//! The seam between the engine and the wire: one exchange, reported as it happens.
//! Implementations differ in how they speak HTTP; the engine does not notice.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::{Clock, Failure};
use crate::domain::Offset;

/// The head of a response.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The status.
    pub status: StatusCode,
    /// Gives a header by its name, in lower case; of several with one name the first. Nothing is copied.
    pub field: &'a Fields<'a>,
}

/// Gives an answer's header by its name, in lower case.
pub type Fields<'a> = dyn Fn(&str) -> Option<&'a [u8]> + 'a;

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Is told what happens to an exchange, in order. Called on the measuring thread: it must be quick.
///
/// The bytes are borrowed, so that a transport may read all its connections into one buffer.
pub trait Observer {
    /// A connection is there, after `waited`: for its opening where it is `new`, else for somebody else's who opened one that
    /// carries this request too.
    fn connected(&self, new: bool, waited: Duration);
    /// The server had closed the kept connection as the request was sent on it, and answered nothing: it goes out again,
    /// once, on a new connection. `connected` and `sent` are told anew.
    fn sent_again(&self);
    /// The request was handed to the socket: the first of it at `first`, the last at `last`. Of a request that was answered
    /// before it was written whole, the last until then.
    fn sent(&self, first: Offset, last: Offset);
    /// The response head arrived.
    fn head(&self, head: Head<'_>, at: Offset);
    /// A piece of the body arrived. `false` ends the exchange: enough was seen.
    fn body(&self, bytes: &[u8], at: Offset) -> bool;
    /// The answer is complete; its last bytes arrived at this time.
    fn end(&self, at: Offset);
}

/// Sends requests and reads answers. One for each core: it is neither `Send` nor shared.
pub trait Transport {
    /// The run's clock, once its start is known: called before the first exchange.
    fn begin(&self, clock: Clock);

    /// Opens the connection that `user`'s first request will need and keeps it for then; tells how long that took.
    /// `None` when there is nothing to open: none is kept, or the open ones carry this user too.
    fn warm(&self, user: u32) -> impl Future<Output = Result<Option<Duration>, Failure>>;

    /// One request and its whole answer. Dropping the future closes the connection.
    ///
    /// `user` owns the connection where each user keeps its own. The request's URI is a path;
    /// the transport knows the host. There are no hidden retries: `Observer::sent_again` tells of the only one.
    fn exchange(
        &self,
        user: u32,
        request: Request<Bytes>,
        observer: &impl Observer,
    ) -> impl Future<Output = Result<(), Failure>>;
}
