//! The lean transport: HTTP/1.1 alone, in the task of the request itself, all connections of a core read into one buffer.
//! It speaks no HTTP/2, and it must not tell another story than hyper does of the same bytes.

mod chunks;
mod head;
mod parser;
#[cfg(test)]
mod tests;
mod transport;
mod words;

pub(super) use head::MAX_HEAD;
pub use transport::LeanTransport;
