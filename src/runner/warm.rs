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
    let gap = gap(seat.cores);
    let staggered = gap * u32::try_from(first.len()).unwrap_or(u32::MAX);
    let bound = staggered + seat.job.plan.limits.connect.unwrap_or(PATIENCE);
    let mut opening = Opening::new(Rc::clone(transport));
    let mut opened = Vec::new();
    // Whatever is missing then is opened with the requests.
    let _ = timeout(bound, opening.all(&first, gap, &mut opened)).await;
    opened
}

/// Between two handshakes of one core.
fn gap(cores: u32) -> Duration {
    Duration::from_secs(1) * cores / PER_SECOND
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
        let mut next = self.clock.instant_of(Offset::ZERO);
        for user in later {
            let start = self.clock.instant_of(self.job.plan.schedule.spawn_at(user));
            next = next.max(start - LEAD);
            while !opening.has_room() || (!opening.under_way.is_empty() && Instant::now() < next) {
                tokio::select! {
                    took = opening.end_one() => self.note_warm(took.flatten()),
                    () = sleep_until(next), if opening.has_room() => {}
                }
            }
            sleep_until(next).await;
            next += gap(self.cores);
            if opening.failed {
                break;
            }
            // Whoever has started before its turn came has a connection by now.
            if Instant::now() < start {
                opening.begin(user);
            }
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

    /// Opens those of `users` one after another, a `gap` apart, until the first failure.
    async fn all(&mut self, users: &[u32], gap: Duration, opened: &mut Vec<Duration>) {
        let mut next = Instant::now();
        for &user in users {
            sleep_until(next).await;
            next += gap;
            if !self.has_room() {
                opened.extend(self.end_one().await.flatten());
            }
            if self.failed {
                break;
            }
            self.begin(user);
        }
        while let Some(took) = self.end_one().await {
            opened.extend(took);
        }
    }

    fn has_room(&self) -> bool {
        self.under_way.len() < AT_ONCE
    }

    fn begin(&mut self, user: u32) {
        let transport = Rc::clone(&self.transport);
        self.under_way
            .spawn_local(async move { transport.warm(user).await });
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bytes::Bytes;
    use http::Request;
    use tokio::task::LocalSet;

    use super::*;
    use crate::client::{Clock, Observer};
    use crate::domain::Outcome;

    const HANDSHAKE: Duration = Duration::from_millis(100);

    /// Shakes hands for a tenth of a second, until it has no more room.
    #[derive(Default)]
    struct Server {
        room: Option<usize>,
        asked: Cell<usize>,
        under_way: Cell<usize>,
        most: Cell<usize>,
    }

    impl Transport for Server {
        fn begin(&self, _: Clock) {}

        async fn warm(&self, _: u32) -> Result<Option<Duration>, Failure> {
            self.asked.set(self.asked.get() + 1);
            let full = self.room.is_some_and(|room| self.asked.get() > room);
            self.under_way.set(self.under_way.get() + 1);
            self.most.set(self.most.get().max(self.under_way.get()));
            tokio::time::sleep(HANDSHAKE).await;
            self.under_way.set(self.under_way.get() - 1);
            if full {
                return Err(Failure::new(Outcome::Connect, "full"));
            }
            Ok(Some(HANDSHAKE))
        }

        async fn exchange(
            &self,
            _: u32,
            _: Request<Bytes>,
            _: &impl Observer,
        ) -> Result<(), Failure> {
            Ok(())
        }
    }

    async fn open(server: &Rc<Server>, users: u32, gap: Duration) -> (usize, Duration) {
        let users: Vec<u32> = (0..users).collect();
        let (mut opened, started) = (Vec::new(), Instant::now());
        let mut opening = Opening::new(Rc::clone(server));
        let all = opening.all(&users, gap, &mut opened);
        LocalSet::new().run_until(all).await;
        (opened.len(), started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn few_handshakes_are_under_way_at_once() {
        let server = Rc::new(Server::default());
        let (opened, took) = open(&server, 160, Duration::ZERO).await;
        assert_eq!((opened, server.most.get()), (160, AT_ONCE));
        assert!(took >= HANDSHAKE * 10, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_opened_at_a_steady_pace() {
        let server = Rc::new(Server::default());
        let gap = Duration::from_millis(20);
        let (opened, took) = open(&server, 100, gap).await;
        assert_eq!(opened, 100);
        assert!(took >= gap * 99 + HANDSHAKE, "{took:?}");
        assert!(server.most.get() <= 6, "{}", server.most.get());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_no_further_one_is_begun_and_the_others_end() {
        let server = Rc::new(Server {
            room: Some(20),
            ..Server::default()
        });
        let (opened, _) = open(&server, 1_000, Duration::ZERO).await;
        assert_eq!(opened, 20);
        assert!(server.asked.get() <= 20 + AT_ONCE, "{}", server.asked.get());
    }
}
