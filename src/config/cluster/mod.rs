//! What a master and those who connect to it must know of each other: where, who may, and what a silence means.
//! Files are named here and read by the app.

mod args;
mod build;

use std::path::PathBuf;
use std::time::Duration;

use super::Endpoint;
use crate::domain::Secret;

pub(super) use args::{BindArgs, ConnectArgs};
pub(super) use build::journal;

/// The environment variable that holds the cluster's token itself.
pub(super) const TOKEN_VARIABLE: &str = "LLMLOAD_TOKEN";

/// Fewest bytes of a token: it is all that a stranger has to guess.
pub const SHORTEST_TOKEN: usize = 16;

/// Most bytes of a token: it travels in a header.
const LONGEST_TOKEN: usize = 1024;

/// Who may be a worker, and how the talk with them is kept private.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MasterSecurity {
    /// What a worker must know; `None` asks for nothing.
    pub token: Option<TokenSource>,
    /// TLS; `None` is plain text.
    pub tls: Option<ServerTlsFiles>,
    /// Give the workers this machine's keys and secret headers; only ever with TLS and one of `token` and `client_ca`.
    pub share_secrets: bool,
}

/// The files of a master's TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsFiles {
    /// Its certificate and that of each authority between, its own first.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authority that signed the workers' certificates: without one of its own nobody is let in.
    pub client_ca: Option<PathBuf>,
}

/// Where a master is, and how to convince it: what `worker` and whoever else connects share.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Where it listens.
    pub master: Endpoint,
    /// What to tell it.
    pub token: Option<TokenSource>,
    /// TLS; `None` is plain text.
    pub tls: Option<ClientTlsFiles>,
}

/// The files of TLS to a master, all PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// The authority that signed the master's certificate; `None` for the system's.
    pub ca: Option<PathBuf>,
    /// One's own certificate and its key, for a master that asks.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the master's certificate, where it is not the host connected to.
    pub server_name: Option<String>,
}

/// Where the cluster's token is.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenSource {
    /// In this file: see [`token`].
    File(PathBuf),
    /// Here: the environment had it.
    Given(Secret),
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is nothing but white space.
    #[error("the token is empty")]
    Empty,
    /// It could be guessed.
    #[error("a token of {0} bytes is too short: {SHORTEST_TOKEN} are the least")]
    TooShort(usize),
    /// No header holds it.
    #[error("a token of {0} bytes is too long: {LONGEST_TOKEN} are the most")]
    TooLong(usize),
    /// A header cannot carry it.
    #[error("the token has characters other than printable ASCII without blanks")]
    Unprintable,
}

impl TokenError {
    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Empty => "is the file or the variable that it comes from filled?",
            Self::TooShort(_) | Self::TooLong(_) | Self::Unprintable => {
                "`llmload certs` makes a good one, and so does `openssl rand -hex 32`"
            }
        }
    }
}

/// The token in `text`: one word of printable ASCII, white space around it left out.
///
/// # Errors
/// When it is empty, too short to be safe, or cannot be sent. The error does not hold it.
pub fn token(text: &str) -> Result<Secret, TokenError> {
    let token = text.trim();
    match token.len() {
        0 => Err(TokenError::Empty),
        bytes if bytes > LONGEST_TOKEN => Err(TokenError::TooLong(bytes)),
        _ if !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(TokenError::Unprintable),
        bytes if bytes < SHORTEST_TOKEN => Err(TokenError::TooShort(bytes)),
        _ => Ok(Secret::new(token)),
    }
}

/// What a silence of a worker means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeats {
    /// Between two of a worker's heartbeats.
    pub interval: Duration,
    /// A worker that was not heard of for so long is missing; at least twice the interval.
    pub missing_after: Duration,
}

/// What becomes of a missing worker's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWorkerLoss {
    /// The others take it over.
    Rebalance,
    /// The run ends, and has failed.
    Fail,
    /// It is not sent, and counts as lost.
    Ignore,
}

/// Where a master writes down what it has merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journal {
    /// In a file that the app names.
    Unnamed,
    /// In this file.
    Named(PathBuf),
    /// Nowhere.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_printable_word_of_sixteen_bytes_or_more() {
        let good = "0123456789abcdef";
        assert_eq!(
            token(&format!("  {good}\n")).map(|found| found.expose().to_owned()),
            Ok(good.to_owned())
        );
        assert_eq!(token(" \n"), Err(TokenError::Empty));
        assert_eq!(token("0123456789abcde"), Err(TokenError::TooShort(15)));
        assert_eq!(token(&"x".repeat(1025)), Err(TokenError::TooLong(1025)));
        for bad in [
            "0123456789 abcdef",
            "0123456789\u{e9}abcdef",
            "0123456789\nabcdef",
        ] {
            assert_eq!(token(bad), Err(TokenError::Unprintable));
        }
    }
}
