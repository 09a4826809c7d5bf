//! Connections ahead of the first requests: before the run's start, and in a ramp a second before each user's.
//! A failure here fails nothing: whoever lacks a connection opens one with the request, and reports what it meets.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::core::{Core, CoreSeat};
use super::engine::Job;
use crate::client::{Failure, Reuse, Transport};
use crate::domain::Offset;
use crate::schedule::Shard;

/// Handshakes under way at once on one core.
const AT_ONCE: usize = 16;
/// Connections that one process opens in a second at most: a queue of waiting connections is short by default.
const PER_SECOND: u32 = 2_000;
/// How long before a user's start its connection is opened.
const LEAD: Duration = Duration::from_secs(1);
/// How long opening may take altogether where no time-out for a connection says it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the connections of a core's users that start at once or within the lead. Tells how long each took.
///
/// It ends at the first failure, and in any case one connect time-out after the last one may begin.
pub(super) async fn before_start<T>(transport: &Rc<T>, seat: &CoreSeat) -> Vec<Duration>
where
    T: Transport + 'static,
{
    let (first, _) = seat.job.users_to_warm(seat.shard);
    let gap = Duration::from_secs(1) * seat.cores / PER_SECOND;
    let staggered = gap * u32::try_from(first.len()).unwrap_or(u32::MAX);
    let bound = staggered + seat.job.plan.limits.connect.unwrap_or(PATIENCE);
    let mut opening = Opening::new(Rc::clone(transport));
    let mut opened = Vec::new();
    let all = async {
        let mut next = Instant::now();
        for user in first {
            sleep_until(next).await;
            next += gap;
            opened.extend(opening.begin(user).await);
            if opening.failed {
                break;
            }
        }
        while let Some(took) = opening.end_one().await {
            opened.extend(took);
        }
    };
    // Whatever is missing then is opened with the requests.
    let _ = timeout(bound, all).await;
    opened
}

impl<T: Transport + 'static> Core<T> {
    /// Opens the connections of the users that start later.
    pub(super) async fn warm_ramp(self: Rc<Self>) {
        tokio::select! {
            () = self.open_ahead() => {}
            () = self.sending_ends() => {}
            () = self.spent.cancelled() => {}
        }
    }

    async fn open_ahead(&self) {
        let (_, later) = self.job.users_to_warm(self.shard);
        let mut opening = Opening::new(Rc::clone(&self.transport));
        for user in later {
            let start = self.job.plan.schedule.spawn_at(user);
            let at = self.clock.instant_of(start) - LEAD;
            while !opening.under_way.is_empty() && Instant::now() < at {
                tokio::select! {
                    took = opening.end_one() => self.note_warm(took.flatten()),
                    () = sleep_until(at) => {}
                }
            }
            sleep_until(at).await;
            if opening.failed {
                break;
            }
            self.note_warm(opening.begin(user).await);
        }
        while let Some(took) = opening.end_one().await {
            self.note_warm(took);
        }
    }

    fn note_warm(&self, took: Option<Duration>) {
        if let Some(took) = took {
            self.note_opened_ahead(&[took]);
        }
    }
}

/// Handshakes under way.
struct Opening<T> {
    transport: Rc<T>,
    under_way: JoinSet<Result<Option<Duration>, Failure>>,
    failed: bool,
}

impl<T: Transport + 'static> Opening<T> {
    fn new(transport: Rc<T>) -> Self {
        Self {
            transport,
            under_way: JoinSet::new(),
            failed: false,
        }
    }

    /// Begins one more when there is room for it; tells of the one that made room.
    async fn begin(&mut self, user: u32) -> Option<Duration> {
        let took = if self.under_way.len() < AT_ONCE {
            None
        } else {
            self.end_one().await.flatten()
        };
        if !self.failed {
            let transport = Rc::clone(&self.transport);
            self.under_way
                .spawn_local(async move { transport.warm(user).await });
        }
        took
    }

    /// Waits for the next one to end; `None` when there is none. `Some(None)` is one that opened nothing.
    async fn end_one(&mut self) -> Option<Option<Duration>> {
        match self.under_way.join_next().await? {
            Ok(Ok(took)) => Some(took),
            Ok(Err(failure)) => {
                tracing::debug!("no further connections are opened ahead: {failure}");
                self.failed = true;
                Some(None)
            }
            // A defect, which the first request will meet again.
            Err(_) => {
                self.failed = true;
                Some(None)
            }
        }
    }
}

impl Job {
    /// The users of a part whose connections are opened ahead: before the start, and later in the ramp.
    fn users_to_warm(&self, shard: Shard) -> (Vec<u32>, Vec<u32>) {
        let spec = &self.plan.schedule;
        if !self.plan.target.warm_connections || self.reuse == Reuse::Never {
            return (Vec::new(), Vec::new());
        }
        // Who will send nothing needs no connection. Which users an open loop takes for few requests nobody knows.
        let requests = match (spec.is_open(), self.reuse) {
            (false, _) => shard.budget(spec),
            (true, Reuse::PerUser) => None,
            (true, _) => spec.max_requests.map(|max| shard.share(max)),
        };
        let most = requests.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        shard
            .users(spec)
            .take(most)
            .partition(|&user| spec.spawn_at(user) <= Offset::from(LEAD))
    }
}
