//! An API that a file of the user's describes: how requests are written and where in the answers things stand.
//! The file is given as text; what its pointers mean is in `words`.

mod fields;
mod file;
mod request;
mod words;

pub use file::{FileError, read};
pub(super) use request::Described;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use fields::Fields;
use request::Templates;

use crate::domain::FinishReason;

/// A server's words, read and checked.
#[derive(Debug)]
pub struct Description {
    templates: Templates,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The header that a key travels in, and what stands before it there.
    auth: (HeaderName, String),
    answers: Arc<Answers>,
}

impl Description {
    /// Whether requests name a model: without one there is none to choose.
    pub fn names_model(&self) -> bool {
        self.templates.name("model")
    }
}

/// How answers are read.
#[derive(Debug)]
struct Answers {
    /// `None` for a server that does not stream.
    stream: Option<Stream>,
    whole: Fields,
    reasons: Reasons,
}

/// How a stream is read.
#[derive(Debug)]
struct Stream {
    lines: bool,
    end: End,
    fields: Fields,
}

/// What ends a stream.
#[derive(Debug)]
enum End {
    /// An event that is no JSON and just this.
    Data(String),
    /// An event with this value at the pointer of `Use::End`; with any but `null` and `false` where none is given.
    Field(Option<Scalar>),
    /// The end of the body.
    Close,
}

/// A value that can be compared without being copied.
#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// The server's own words for why a model stopped; what is not among them is read as the other APIs' words are.
#[derive(Debug, Default)]
struct Reasons(Vec<(String, FinishReason)>);

#[cfg(test)]
mod tests;
