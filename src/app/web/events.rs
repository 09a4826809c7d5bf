//! What a page hears of a run while it goes on, as server-sent events: each is made when the one before was taken, from what is
//! so then. A client that is slow hears less often and holds nobody up; one that comes back is told what it missed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use super::api::{Desk, Refused, header};
use super::site::{Run, Site};
use crate::app::logging::lines_after;

/// Something is said at least so often, so that a connection that is gone is found.
const PULSE: Duration = Duration::from_secs(10);
/// Events are at least so far apart.
const BREATH: Duration = Duration::from_millis(200);
/// Log lines are looked for so often.
const LOOK: Duration = Duration::from_secs(1);
/// How a browser that lost the connection comes back.
const RETRY: &str = "retry: 1000\n\n";

/// One page that follows.
struct Follower {
    site: Arc<Site>,
    changes: watch::Receiver<u64>,
    seen: Seen,
    is_first: bool,
    _place: OwnedSemaphorePermit,
}

/// What it has been told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    run: String,
    steps: usize,
    log: u64,
}

impl Seen {
    /// As an event's id says it.
    fn id(&self) -> String {
        format!("{}:{}:{}", self.run, self.steps, self.log)
    }

    /// What the last event's id said; nothing where it says nothing.
    fn of(id: &str) -> Self {
        let mut parts = id.split(':');
        let parsed = (|| {
            Some(Self {
                run: parts.next()?.to_owned(),
                steps: parts.next()?.parse().ok()?,
                log: parts.next()?.parse().ok()?,
            })
        })();
        parsed.unwrap_or_default()
    }
}

/// `GET /api/events`.
pub(super) async fn events(
    State(desk): State<Desk>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let place = Arc::clone(&desk.followers)
        .try_acquire_owned()
        .map_err(|_| {
            Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many pages follow this run",
            )
            .hint("close some of them")
        })?;
    let seen = header(&headers, "last-event-id").map_or_else(Seen::default, Seen::of);
    let follower = Follower {
        changes: desk.site.changes(),
        site: desk.site,
        seen,
        is_first: true,
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await;
        Some((Ok::<Bytes, std::io::Error>(event), follower))
    });
    Ok((
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
        .into_response())
}

impl Follower {
    /// The next event, when there is something to tell.
    async fn next(&mut self) -> Bytes {
        if std::mem::take(&mut self.is_first) {
            return Bytes::from(format!("{RETRY}{}", self.tell()));
        }
        sleep(BREATH).await;
        match timeout(PULSE, self.news()).await {
            Ok(()) => Bytes::from(self.tell()),
            Err(_) => Bytes::from_static(b": still here\n\n"),
        }
    }

    /// Returns when the run or the process is otherwise than it was, or the log has more.
    async fn news(&mut self) {
        let run = self.site.last();
        let mut standing = run.map(|run| run.view.standing.clone());
        if let Some(standing) = &mut standing {
            standing.mark_unchanged();
        }
        loop {
            tokio::select! {
                _ = self.changes.changed() => return,
                () = moved(&mut standing) => return,
                () = sleep(LOOK) => if lines_after(self.seen.log).1 > self.seen.log { return },
            }
        }
    }

    fn tell(&mut self) -> String {
        self.changes.borrow_and_update();
        let run = self.site.last();
        let steps = run.as_ref().map(|run| self.steps(run));
        let (lines, log) = lines_after(self.seen.log);
        self.seen.log = log;
        let value = json!({
            "process": self.site.about(),
            "run": run.map(|run| run.standing()),
            "steps": steps,
            "log": {"lines": lines, "seen": log},
        });
        format!("id: {}\nevent: state\ndata: {value}\n\n", self.seen.id())
    }

    /// The steps that it has not seen; the last one that it saw may have grown.
    fn steps(&mut self, run: &Run) -> Value {
        if self.seen.run != run.id {
            self.seen.run.clone_from(&run.id);
            self.seen.steps = 0;
        }
        let (value, count) = run.steps(self.seen.steps.saturating_sub(1));
        self.seen.steps = count;
        value
    }
}

/// Returns when the run has moved on; never where there is none, or it is over.
async fn moved<T>(standing: &mut Option<watch::Receiver<T>>) {
    let is_over = match standing {
        Some(standing) => standing.changed().await.is_err(),
        None => true,
    };
    if is_over {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_says_what_it_saw() {
        let seen = Seen {
            run: "00ff".to_owned(),
            steps: 7,
            log: 12,
        };
        assert_eq!(Seen::of(&seen.id()), seen);
        for id in ["", "a", "a:b:c", "a:1", "::"] {
            assert_eq!(Seen::of(id), Seen::default(), "{id}");
        }
    }
}
