//! What lets requests in where no header that stays the same can: a signature of each, or a key that is renewed meanwhile.
//! The engine asks for it when a request is put into words, and again if that was long ago when it is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::domain::Secret;

/// Lets requests in. Called on the measuring threads: it neither waits nor locks.
pub trait Authority: Send + Sync + fmt::Debug {
    /// Gives `request`, whose URI is a path, the headers that let it in now. Those of a call before are replaced.
    ///
    /// # Errors
    /// In a person's words, without a secret.
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), AuthorityError>;

    /// How long after that a request may be sent.
    fn lasts(&self) -> Duration;

    /// What it has sent lately that nobody is to see: an answer may quote it. Called for errors, and for answers that are shown.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }
}

/// Why a request cannot be let in. Without a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthorityError(pub String);
