//! Connections ahead of the first requests: before the run's start, and in a ramp a second before each user's.
//! A failure here fails nothing: whoever lacks a connection opens one with the request, and reports what it meets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::core::{Core, CoreSeat};
use super::crew::Life;
use super::engine::Job;
use crate::client::{Failure, Reuse, Transport};
use crate::domain::Offset;

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
    let first = seat.users_to_warm();
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

/// Users that are to start, by when: connections are opened ahead for them.
#[derive(Default)]
pub(super) struct ToWarm {
    users: RefCell<BTreeMap<(Offset, u32), Rc<Life>>>,
    more: Notify,
}

impl ToWarm {
    /// The next one's start.
    fn next(&self) -> Option<Offset> {
        let users = self.users.borrow();
        users.first_key_value().map(|((start, _), _)| *start)
    }
}

impl<T: Transport + 'static> Core<T> {
    /// Users come that were not there at the start; connections are opened for those that are to have one.
    pub(super) fn warm_later(&self, coming: Vec<(Rc<Life>, bool)>) {
        if !self.job.opens_ahead() {
            return;
        }
        let now = self.clock.now();
        let mut users = self.to_warm.users.borrow_mut();
        let time = self.known.time();
        for (life, _) in coming.into_iter().filter(|(_, warm)| *warm) {
            let start = life.start.get();
            // Before the run's start they were opened already.
            if time.local(start) > now && start > Offset::from(LEAD) {
                users.insert((start, life.user), life);
            }
        }
        self.to_warm.more.notify_one();
    }

    /// Opens the connections of the users that start later.
    pub(super) async fn warm_ramp(self: Rc<Self>) {
        tokio::select! {
            () = self.open_ahead() => {}
            () = self.known.over.cancelled() => {}
            () = self.control.spent.cancelled() => {}
        }
    }

    async fn open_ahead(&self) {
        let mut opening = Opening::new(Rc::clone(&self.transport));
        let mut earliest = Instant::now();
        loop {
            if std::mem::take(&mut opening.failed) {
                // The others would fare the same.
                self.to_warm.users.borrow_mut().clear();
            }
            let next = self.to_warm.next();
            let start = next.map(|start| self.clock.instant_of(self.known.time().local(start)));
            let begin = start.and_then(|start| start.checked_sub(LEAD));
            let begin = begin.map_or(earliest, |begin| begin.max(earliest));
            tokio::select! {
                took = opening.end_one(), if !opening.under_way.is_empty() => {
                    self.note_warm(took.flatten());
                }
                () = self.to_warm.more.notified() => {}
                () = sleep_until(begin), if start.is_some() && opening.under_way.len() < AT_ONCE => {
                    earliest = Instant::now().max(earliest) + gap(self.cores);
                    let first = self.to_warm.users.borrow_mut().pop_first();
                    // Whoever has started before its turn came has a connection by now, and whoever was moved is not first.
                    if let Some(((at, user), life)) = first
                        && life.start.get() == at
                        && start.is_some_and(|start| Instant::now() < start)
                    {
                        opening.begin(user);
                    }
                }
            }
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

impl CoreSeat {
    /// The core's users whose connections are opened before the start.
    fn users_to_warm(&self) -> Vec<u32> {
        let part = &self.first.cores[self.index as usize];
        let first = part
            .users
            .iter()
            .filter(|place| place.warm && place.start <= Offset::from(LEAD));
        first.map(|place| place.user).collect()
    }
}

impl Job {
    fn opens_ahead(&self) -> bool {
        self.plan.target.warm_connections && self.reuse != Reuse::Never
    }

    /// How many of the first share's users have a connection opened ahead.
    pub(super) fn most_to_warm(&self) -> usize {
        if !self.opens_ahead() {
            return 0;
        }
        let spec = &self.plan.schedule;
        // Who will send nothing needs no connection. Which users an open loop takes for few requests nobody knows.
        let requests = match (spec.is_open(), self.reuse) {
            (false, _) => self.share.budget,
            (true, Reuse::PerUser) => None,
            (true, _) => spec
                .most_arrivals()
                .map(|max| self.share.arrivals.map_or(0, |part| part.share(max))),
        };
        requests.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        })
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
