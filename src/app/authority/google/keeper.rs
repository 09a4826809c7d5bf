//! The token of a run: asked for before the run, renewed well before it ends, read by the cores without a lock.
//! A renewal that fails is tried again, and said; until the old token ends it serves on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::credentials::{CredentialError, Credentials};
use super::exchange::{Exchange, Token};
use crate::domain::Secret;
use crate::runner::{Authority, AuthorityError};

/// Who pays for a request.
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");
/// How long before its end a token is renewed; one that lives less than twice as long is renewed at half its life.
const AHEAD: Duration = Duration::from_secs(300);
/// After a renewal that failed: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Tokens that are remembered to be masked: an answer may quote one that was renewed since.
const REMEMBERED: usize = 16;

/// Gives each request the token of the moment.
pub(super) struct Keeper {
    held: Arc<ArcSwap<Held>>,
    quota_project: Option<HeaderValue>,
    /// Ends with this.
    _renewing: JoinSet<()>,
}

/// A token, ready to be sent.
struct Held {
    header: HeaderValue,
    ends: Instant,
    /// This token and those before it, the latest last.
    tokens: Vec<Secret>,
}

impl Held {
    fn new(token: Token, before: &[Secret], now: Instant) -> Result<Self, CredentialError> {
        let header = HeaderValue::try_from(format!("Bearer {}", token.secret.expose()));
        let mut header = header.map_err(|_| CredentialError::Refused {
            server: "the server of tokens".to_owned(),
            words: "its token has characters that a header cannot carry".to_owned(),
        })?;
        header.set_sensitive(true);
        let mut tokens = before.to_vec();
        if tokens.last() != Some(&token.secret) {
            tokens.push(token.secret);
        }
        tokens.drain(..tokens.len().saturating_sub(REMEMBERED));
        Ok(Self {
            header,
            ends: now + token.lives,
            tokens,
        })
    }

    /// When to renew it, if it was got at `now`.
    fn renewal(&self, now: Instant) -> Instant {
        let lives = self.ends.saturating_duration_since(now);
        now + lives.saturating_sub(AHEAD).max(lives / 2)
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// Gets the first token, which takes a moment: not for an async thread. Renewals run on the runtime around.
    pub(super) fn start(
        credentials: Credentials,
        tls: &Arc<ClientConfig>,
        no_proxy: bool,
    ) -> Result<Self, CredentialError> {
        let runtime = Handle::try_current().map_err(|_| CredentialError::NoRuntime)?;
        let quota_project = credentials.quota_project.as_deref();
        let quota_project = quota_project.and_then(|project| HeaderValue::try_from(project).ok());
        let exchange = Exchange::new(credentials, tls, no_proxy)?;
        let now = Instant::now();
        let first = runtime.block_on(exchange.token())?;
        let held = Arc::new(ArcSwap::from_pointee(Held::new(first, &[], now)?));
        let mut renewing = JoinSet::new();
        let _task = renewing.spawn_on(renew(exchange, Arc::clone(&held), now), &runtime);
        Ok(Self {
            held,
            quota_project,
            _renewing: renewing,
        })
    }
}

/// Renews what is held, for ever.
async fn renew(exchange: Exchange, held: Arc<ArcSwap<Held>>, got: Instant) {
    let mut due = held.load().renewal(got);
    let mut pause = FIRST_PAUSE;
    loop {
        sleep_until(due).await;
        // What it takes to ask is off the token's life.
        let now = Instant::now();
        let before = held.load_full();
        let renewed = exchange.token().await;
        match renewed.and_then(|token| Held::new(token, &before.tokens, now)) {
            Ok(new) => {
                due = new.renewal(now);
                pause = FIRST_PAUSE;
                tracing::debug!("renewed Google's token");
                held.store(Arc::new(new));
            }
            Err(error) => {
                let left = before.ends.saturating_duration_since(Instant::now());
                tracing::warn!(
                    "cannot renew Google's token, which ends in {} s: {error}",
                    left.as_secs()
                );
                let most = if left.is_zero() {
                    LONGEST_PAUSE
                } else {
                    FIRST_PAUSE.max(left / 2)
                };
                due = Instant::now() + pause.min(most);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl Authority for Keeper {
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), AuthorityError> {
        let held = self.held.load();
        if held.ends <= Instant::now() {
            let words = "Google's token has ended, and could not be renewed";
            return Err(AuthorityError(words.to_owned()));
        }
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, held.header.clone());
        if let Some(project) = &self.quota_project {
            headers.insert(QUOTA_PROJECT, project.clone());
        }
        Ok(())
    }

    /// It is one header: the one of the moment is always the best.
    fn lasts(&self) -> Duration {
        Duration::ZERO
    }

    fn secrets(&self) -> Vec<Secret> {
        self.held.load().tokens.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(lives: u64, before: &[Secret], now: Instant) -> Held {
        let token = Token {
            secret: Secret::new(format!("token-{lives}")),
            lives: Duration::from_secs(lives),
        };
        Held::new(token, before, now).unwrap()
    }

    #[test]
    fn a_token_is_renewed_well_before_its_end() {
        let now = Instant::now();
        let after = |lives| held(lives, &[], now).renewal(now) - now;
        assert_eq!(after(3_600), Duration::from_secs(3_300));
        assert_eq!(after(600), Duration::from_secs(300));
        assert_eq!(after(299), Duration::from_millis(149_500));
        assert_eq!(after(2), Duration::from_secs(1));
    }

    #[test]
    fn tokens_are_remembered_once_each_and_not_without_end() {
        let now = Instant::now();
        let mut tokens = Vec::new();
        for lives in 0..40 {
            tokens = held(lives / 2, &tokens, now).tokens;
        }
        assert_eq!(tokens.len(), REMEMBERED);
        assert_eq!(tokens.last().unwrap().expose(), "token-19");
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        let token = Token {
            secret: Secret::new("a\nb"),
            lives: AHEAD,
        };
        let refused = Held::new(token, &[], Instant::now()).err().unwrap();
        assert!(!refused.to_string().contains("a\nb"));
    }
}
