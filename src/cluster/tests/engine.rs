//! An invented engine: sends nothing, but knows of every request when it would be begun and how long it would take.
//! It keeps to shares, leases and instants as an engine must, by a simpler way than the product's: one list, one thread.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::answer;
use crate::cluster::{EngineCommand, EngineEnd, EngineEvent, Gauges, Prepare};
use crate::domain::{Answer, Index, Offset, Outcome};
use crate::metrics::Tally;
use crate::plan::Plan;
use crate::schedule::{Arrivals, Share};

const SECOND: u64 = 1_000_000_000;
pub(super) const CLOSED_TURN: u64 = 400_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Preparing(Offset),
    Prepared,
    Running,
}

/// A user of a closed loop.
#[derive(Clone, Copy, Debug)]
struct User {
    next: u64,
    ends: u64,
}

/// A request under way, and when it ends in the run's time.
#[derive(Clone, Copy, Debug)]
struct Flying {
    index: Index,
    ends: u64,
}

/// A request that was begun: arrival or user, and when on the own clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Begun {
    pub(super) what: u64,
    pub(super) at: u64,
}

#[derive(Debug)]
pub(super) struct Engine {
    state: State,
    preparing_takes: Duration,
    plan: Option<Plan>,
    /// The number of its worker.
    worker: u32,
    arrivals: Option<Arrivals>,
    users: BTreeMap<u32, User>,
    shares: Vec<Share>,
    /// Shares that came before the start.
    early: Vec<Share>,
    /// Offset zero on the own clock, and what is added to it.
    origin: u64,
    behind: i64,
    /// When that was changed last, or was nothing.
    corrected: u64,
    lease: Option<u64>,
    fenced: bool,
    /// Arrivals due before are not sent any more.
    skip_to: u64,
    in_flight: Vec<Flying>,
    /// Of a closed loop.
    taken: u64,
    stop_at: u64,
    cut_at: u64,
    fresh: Tally,
    events: VecDeque<EngineEvent>,
    /// Everything that it ever reported.
    pub(super) truth: Tally,
    /// Starts that it was told.
    pub(super) starts: Vec<Offset>,
    /// Requests begun since somebody looked.
    pub(super) begun: Vec<Begun>,
    /// What it says instead of READY.
    pub(super) unable: Option<String>,
    /// When it says that it cannot go on, since the run's start.
    pub(super) breaks_at: Option<Duration>,
    /// Goes deaf: never drains by a stop.
    pub(super) hung: bool,
}

impl Engine {
    pub(super) fn new(preparing_takes: Duration) -> Self {
        Self {
            state: State::Idle,
            preparing_takes,
            plan: None,
            worker: 0,
            arrivals: None,
            users: BTreeMap::new(),
            shares: Vec::new(),
            early: Vec::new(),
            origin: 0,
            behind: 0,
            corrected: 0,
            lease: None,
            fenced: false,
            skip_to: 0,
            in_flight: Vec::new(),
            taken: 0,
            stop_at: u64::MAX,
            cut_at: 0,
            fresh: Tally::default(),
            events: VecDeque::new(),
            truth: Tally::default(),
            starts: Vec::new(),
            begun: Vec::new(),
            unable: None,
            breaks_at: None,
            hung: false,
        }
    }

    pub(super) fn handle(&mut self, now: Offset, command: EngineCommand) {
        let time = self.time(now);
        match command {
            EngineCommand::Prepare(prepare) => self.prepare(now, &prepare),
            EngineCommand::Start { at } => self.start(now, at),
            EngineCommand::Share(share) => self.share(now, *share),
            EngineCommand::Lease { until } => self.renew(now, until),
            EngineCommand::Correct { behind_ns } => {
                self.tick(now);
                let passed = now.as_nanos().saturating_sub(self.corrected);
                let most = passed / 1_000 + SECOND / 1_000;
                assert!(self.behind.abs_diff(behind_ns) <= most);
                (self.behind, self.corrected) = (behind_ns, now.as_nanos());
            }
            EngineCommand::Stop { at } if self.state == State::Running && !self.hung => {
                self.tick(now);
                self.stop_at = self.stop_at.min(at.as_nanos().max(time));
            }
            EngineCommand::Abort if self.state == State::Running && !self.hung => {
                self.tick(now);
                self.stop_at = self.stop_at.min(time);
                self.cut(time, true);
            }
            EngineCommand::Abort if self.state == State::Prepared => self.state = State::Idle,
            EngineCommand::Stop { .. } | EngineCommand::Abort => {}
        }
    }

    /// The run's time.
    fn time(&self, now: Offset) -> u64 {
        let at = i128::from(now.as_nanos()) - i128::from(self.origin) - i128::from(self.behind);
        u64::try_from(at.max(0)).unwrap()
    }

    fn own(&self, time: u64) -> Offset {
        let own = i128::from(time) + i128::from(self.origin) + i128::from(self.behind);
        Offset::from_nanos(u64::try_from(own.max(0)).unwrap_or(u64::MAX))
    }

    fn prepare(&mut self, now: Offset, prepare: &Prepare) {
        let plan = prepare.plan.clone();
        *self = Self {
            arrivals: Arrivals::new(&plan.schedule, plan.seed),
            plan: Some(plan),
            worker: prepare.worker,
            shares: vec![prepare.share.clone()],
            truth: std::mem::take(&mut self.truth),
            starts: std::mem::take(&mut self.starts),
            begun: std::mem::take(&mut self.begun),
            unable: self.unable.take(),
            hung: self.hung,
            breaks_at: self.breaks_at,
            ..Self::new(self.preparing_takes)
        };
        self.state = State::Preparing(now + self.preparing_takes);
    }

    fn start(&mut self, now: Offset, at: Offset) {
        self.starts.push(at);
        self.state = State::Running;
        self.origin = at.as_nanos();
        self.corrected = now.as_nanos();
        let time = self.time(now);
        self.skip_to = time;
        self.cut_at = time / SECOND * SECOND;
        let schedule = &self.plan.as_ref().unwrap().schedule;
        if !schedule.is_open() {
            let users = self.shares[0].users.iter();
            let new = |user| (user, schedule.spawn_at(user).as_nanos());
            self.users = users
                .map(new)
                .map(|(user, next)| {
                    (
                        user,
                        User {
                            next,
                            ends: u64::MAX,
                        },
                    )
                })
                .collect();
        }
        for share in std::mem::take(&mut self.early) {
            self.carry_out(now, share);
        }
    }

    fn share(&mut self, now: Offset, share: Share) {
        match self.state {
            State::Prepared => self.early.push(share),
            State::Running => {
                self.tick(now);
                self.carry_out(now, share);
            }
            State::Idle | State::Preparing(_) => {}
        }
    }

    fn carry_out(&mut self, now: Offset, share: Share) {
        let time = self.time(now);
        assert!(
            self.shares
                .last()
                .is_none_or(|last| last.epoch + 1 == share.epoch && last.from < share.from)
        );
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.change(share.from, share.load.arrivals());
        } else {
            let kept: std::collections::BTreeSet<u32> = share.users.iter().collect();
            for (user, of) in &mut self.users {
                if !kept.contains(user) {
                    let place = share.ends.iter().find(|placed| placed.user == *user);
                    let ends = place.map_or(share.from, |placed| share.at(placed.place));
                    of.ends = of.ends.min(ends.as_nanos());
                }
            }
            for user in kept {
                let place = share.starts.iter().find(|placed| placed.user == user);
                let starts = place
                    .map_or(share.from, |placed| share.at(placed.place))
                    .as_nanos();
                let here = self.users.get(&user).is_some_and(|of| of.ends == u64::MAX);
                if !here || place.is_some() {
                    let next = starts.max(time);
                    self.users.insert(
                        user,
                        User {
                            next,
                            ends: u64::MAX,
                        },
                    );
                }
            }
        }
        self.shares.push(share);
    }

    fn renew(&mut self, now: Offset, until: Offset) {
        self.tick(now);
        self.lease = Some(until.as_nanos());
        if self.fenced && until > now {
            self.fenced = false;
            self.skip_to = self.time(now);
        }
        self.tick(now);
    }

    fn end(&self) -> u64 {
        let schedule = &self.plan.as_ref().unwrap().schedule;
        let end = schedule.end_of_sending().map_or(u64::MAX, Offset::as_nanos);
        end.min(self.stop_at)
    }

    fn share_at(&self, time: u64) -> &Share {
        let past = self
            .shares
            .iter()
            .rev()
            .find(|share| share.from.as_nanos() <= time);
        past.unwrap_or(&self.shares[0])
    }

    fn next_begin(&mut self) -> Option<u64> {
        let end = self.end();
        let arrival = self.arrivals.as_mut().and_then(Arrivals::peek);
        let users = self.users.values().map(|user| user.next).min();
        let next = arrival.map(|(_, due)| due.as_nanos()).or(users)?;
        (next < end).then_some(next)
    }

    pub(super) fn timeout(&mut self) -> Option<Offset> {
        match self.state {
            State::Preparing(until) => Some(until),
            State::Running => {
                let begin = self.next_begin().filter(|_| !self.fenced);
                let report = self.cut_at + SECOND;
                Some(self.own(begin.map_or(report, |begin| begin.min(report))))
            }
            State::Idle | State::Prepared => None,
        }
    }

    pub(super) fn tick(&mut self, now: Offset) {
        match self.state {
            State::Preparing(until) if now >= until => {
                let answer = match self.unable.clone() {
                    Some(reason) => EngineEvent::Unable { reason },
                    None => EngineEvent::Ready,
                };
                self.state = State::Prepared;
                self.events.push_back(answer);
            }
            State::Running => {
                self.begin_due(now);
                let time = self.time(now);
                if self.state == State::Running && time >= self.cut_at + SECOND {
                    self.cut(time, false);
                }
            }
            _ => {}
        }
    }

    /// Begins what is due, while there is a lease.
    fn begin_due(&mut self, now: Offset) {
        if now < self.own(0) {
            return;
        }
        let time = self.time(now);
        while let Some(due) = self.next_begin().filter(|&due| due <= time) {
            self.fenced |= self.lease.is_some_and(|until| now.as_nanos() > until);
            if self.fenced {
                return;
            }
            if self.arrivals.is_some() {
                self.take_arrival(now, due);
            } else {
                self.take_turns(now, time);
            }
        }
    }

    fn take_arrival(&mut self, now: Offset, due: u64) {
        let Some((i, _)) = self.arrivals.as_mut().and_then(Iterator::next) else {
            return;
        };
        if !self
            .share_at(due)
            .arrivals
            .is_some_and(|shard| shard.owns(i))
        {
            return;
        }
        if due >= self.skip_to {
            self.fresh.counts.scheduled += 1;
            self.begin(now, due, i);
            let ends = due + 20_000_000 + due % 1_300_000_000;
            let index = Index::Arrival(i);
            self.in_flight.push(Flying { index, ends });
        } else if self.starts_before(due) {
            self.fresh.counts.scheduled += 1;
            self.fresh.counts.dropped += 1;
        }
    }

    /// Whether this engine was there already: what was due before it joined is nobody's of this one.
    fn starts_before(&self, due: u64) -> bool {
        self.share_at(due).arrivals.is_some()
    }

    fn take_turns(&mut self, now: Offset, time: u64) {
        // A turn that waited for a lease may come too late for its user.
        self.users
            .retain(|_, user| user.next < user.ends && time < user.ends);
        let paused = self.share_at(time).load.paused;
        let due: Vec<u32> = self
            .users
            .iter()
            .filter(|(_, user)| user.next <= time)
            .map(|(user, _)| *user)
            .collect();
        for user in due {
            if !paused && self.taken < self.most(time) {
                self.taken += 1;
                self.fresh.counts.scheduled += 1;
                self.begin(now, time, user.into());
                // No user begins twice in a millisecond at one place; it may begin here when it has just begun elsewhere.
                let turn = (time / 1_000_000) as u32 * 64 + self.worker % 64;
                let index = Index::Turn { user, turn };
                let ends = time + CLOSED_TURN - 1;
                self.in_flight.push(Flying { index, ends });
            }
            self.users.get_mut(&user).unwrap().next = time + CLOSED_TURN;
        }
    }

    /// How many requests of a closed loop may be begun in all by `time`.
    fn most(&self, time: u64) -> u64 {
        let schedule = &self.plan.as_ref().unwrap().schedule;
        let share = &self.shares[0];
        let budget = schedule.max_requests.map(|_| share.budget.unwrap());
        let enough = schedule
            .enough
            .filter(|of| time >= Offset::from(of.after).as_nanos());
        let target = enough.map(|_| share.target.unwrap());
        budget.into_iter().chain(target).min().unwrap_or(u64::MAX)
    }

    fn begin(&mut self, now: Offset, due: u64, what: u64) {
        let at = now.as_nanos();
        self.begun.push(Begun { what, at });
        self.fresh.counts.sent += 1;
        self.fresh.first_sent.get_or_insert(Offset::from_nanos(due));
        self.fresh.last_sent = Some(Offset::from_nanos(due));
    }

    /// What it shows of itself: users whose time has come.
    pub(super) fn gauges(&self) -> Gauges {
        let ended = |user: &&User| user.next < user.ends && user.next <= self.cut_at + 2 * SECOND;
        Gauges {
            users: self.users.values().filter(ended).count() as u32,
            in_flight: self.in_flight.len() as u32,
            waiting: 0,
        }
    }

    pub(super) fn poll(&mut self) -> Option<EngineEvent> {
        self.events.pop_front()
    }

    pub(super) fn has_words(&self) -> bool {
        !self.events.is_empty()
    }

    fn count(&mut self, outcome: Outcome, ended: Vec<Flying>) {
        let observe = self.plan.as_ref().unwrap().observe.clone();
        let keeps = observe.answers.is_some();
        for Flying { index, ends } in ended {
            *self.fresh.measured.outcomes.entry(outcome).or_default() += 1;
            if keeps {
                let answer = Answer {
                    outcome,
                    ..answer(ends, format!("{index:?}"))
                };
                self.fresh.answers.insert(index, answer);
                self.fresh.answers_at_most = observe.answers_at_most;
            }
        }
    }

    /// Closes an interval at `to`, and ends when nothing is left.
    fn cut(&mut self, to: u64, drop_rest: bool) {
        let ended = self.in_flight.extract_if(.., |it| it.ends <= to).collect();
        self.count(Outcome::Ok, ended);
        if drop_rest {
            let rest = std::mem::take(&mut self.in_flight);
            self.count(Outcome::Cancelled, rest);
        }
        let tally = std::mem::take(&mut self.fresh);
        self.truth.merge(&tally);
        let gauges = self.gauges();
        let from = Offset::from_nanos(self.cut_at);
        self.cut_at = to;
        let to_offset = Offset::from_nanos(to);
        let tally = Box::new(tally);
        self.events.push_back(EngineEvent::Interval {
            from,
            to: to_offset,
            gauges,
            tally,
        });
        if self
            .breaks_at
            .is_some_and(|at| u128::from(to) >= at.as_nanos())
        {
            self.state = State::Idle;
            let reason = "out of files".to_owned();
            self.events.push_back(EngineEvent::Unable { reason });
            return;
        }
        let schedule = &self.plan.as_ref().unwrap().schedule;
        let spent = if schedule.is_open() {
            schedule.max_requests.is_some() && self.next_begin().is_none()
        } else {
            self.taken >= self.most(to)
        };
        let over = to >= self.end() || spent;
        if over && self.in_flight.is_empty() && !self.hung {
            self.state = State::Idle;
            self.events.push_back(EngineEvent::Drained);
        }
    }
}

/// Runs an engine on the real clock until its worker is gone, and gives it back.
pub(super) async fn drive(end: EngineEnd, engine: Engine) -> Engine {
    drive_seen(end, engine, |_| ()).await
}

/// The same, with somebody who looks at it after every step.
pub(super) async fn drive_seen(
    mut end: EngineEnd,
    mut engine: Engine,
    mut seen: impl FnMut(&mut Engine),
) -> Engine {
    loop {
        seen(&mut engine);
        while let Some(event) = engine.poll() {
            if end.events.send(event).await.is_err() {
                return engine;
            }
        }
        let timeout = engine
            .timeout()
            .unwrap_or(end.clock.now() + Duration::from_secs(60));
        tokio::select! {
            biased;
            command = end.commands.recv() => match command {
                Some(command) => engine.handle(end.clock.now(), command),
                None => return engine,
            },
            () = tokio::time::sleep_until(end.clock.instant(timeout)) => engine.tick(end.clock.now()),
        }
    }
}
