//! Why an exchange did not complete, sorted into the outcomes of a request.

use std::error::Error;
use std::io;

use crate::domain::Outcome;

/// An exchange that failed on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// Which kind.
    pub outcome: Outcome,
    /// The words for the error report.
    pub text: String,
}

impl Failure {
    /// A failure of this kind with these words.
    pub fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self {
            outcome,
            text: text.into(),
        }
    }

    /// A connection attempt that the system refused.
    pub(super) fn connecting(error: &io::Error) -> Self {
        let text = if error.raw_os_error().is_some_and(is_out_of_files) {
            format!("out of file descriptors for connections: {error}; raise `ulimit -n`")
        } else {
            error.to_string()
        };
        Self::new(Outcome::Connect, text)
    }

    /// An exchange that broke: before the response head it is the connection's fault, after it the stream was cut.
    pub(super) fn broken(error: &hyper::Error, head_seen: bool) -> Self {
        let outcome = if error.is_parse() || is_malformed(error) {
            Outcome::ParseError
        } else if head_seen {
            Outcome::Cut
        } else {
            Outcome::Connect
        };
        Self::new(outcome, chain(error))
    }
}

/// Whether the bytes of a body are not as HTTP writes them: hyper tells that as bad input. rustls tells what is wrong with
/// its own bytes in the same way, and that is no answer's fault.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    cause.is_some_and(|cause: &io::Error| {
        let is_tls = cause
            .get_ref()
            .is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>);
        let kind = cause.kind();
        !is_tls
            && matches!(
                kind,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
    })
}

/// EMFILE and ENFILE.
fn is_out_of_files(code: i32) -> bool {
    code == rustix::io::Errno::MFILE.raw_os_error()
        || code == rustix::io::Errno::NFILE.raw_os_error()
}

/// An error and its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
