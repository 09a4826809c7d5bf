//! Waiting for one's turn: for a place among the running, and for room in the key-value cache. First come, first served:
//! whoever waits for room keeps those behind it waiting, as an engine's queue does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::course::Course;
use super::script::Script;

/// What there is to be shared by those who are answered.
#[derive(Debug, Default)]
pub(super) struct Places {
    slots: Option<Arc<Semaphore>>,
    cache: Option<Arc<Semaphore>>,
    capacity: u32,
}

impl Places {
    pub(super) fn of(script: &Script) -> Self {
        let semaphore = |places: u32| Arc::new(Semaphore::new(places as usize));
        // No more can be asked for at once.
        let capacity = u32::try_from(script.kv_cache_tokens).unwrap_or(u32::MAX);
        Self {
            slots: script.max_running.map(semaphore),
            cache: script.kv_cache_limits.then(|| semaphore(capacity)),
            capacity,
        }
    }

    /// The room that an answer takes up by its end; all of it, where there is less.
    fn room(&self, course: &Course, choices: u32) -> u32 {
        let output = u64::from(course.tokens).saturating_mul(u64::from(choices));
        let tokens = course.prompt_tokens.saturating_add(output);
        u32::try_from(tokens).map_or(self.capacity, |tokens| tokens.min(self.capacity))
    }
}

/// A place; whoever lets go of it gives it to the next.
#[derive(Debug, Default)]
pub(super) struct Place {
    _slot: Option<OwnedSemaphorePermit>,
    _room: Option<OwnedSemaphorePermit>,
}

type Turn = Pin<Box<dyn Future<Output = Place> + Send>>;

/// Asks for a place: at once if there is one, else in the order of asking.
pub(super) enum Queue {
    Free(Option<Place>),
    Waiting(Turn),
}

impl Queue {
    /// The place in the queue is taken at once, not only when the turn is first asked for.
    pub(super) async fn join(places: &Places, course: &Course, choices: u32) -> Self {
        if places.slots.is_none() && places.cache.is_none() {
            return Self::Free(None);
        }
        let (slots, cache) = (places.slots.clone(), places.cache.clone());
        let room = places.room(course, choices);
        let mut turn: Turn = Box::pin(async move {
            // The semaphores are never closed.
            let slot = match slots {
                Some(slots) => slots.acquire_owned().await.ok(),
                None => None,
            };
            let room = match cache {
                Some(cache) => cache.acquire_many_owned(room).await.ok(),
                None => None,
            };
            Place {
                _slot: slot,
                _room: room,
            }
        });
        let first = std::future::poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
        match first {
            Poll::Ready(place) => Self::Free(Some(place)),
            Poll::Pending => Self::Waiting(turn),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        match self {
            Self::Free(place) => Poll::Ready(place.take()),
            Self::Waiting(turn) => turn.as_mut().poll(cx).map(Some),
        }
    }
}
