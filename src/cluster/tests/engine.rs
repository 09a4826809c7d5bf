//! An invented engine: sends nothing, but knows of every request when it would be due and how long it would take.
//! It computes the schedule by itself, on another path than the product.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::{EngineCommand, EngineEnd, EngineEvent, Gauges, Prepare};
use crate::domain::{Offset, Outcome};
use crate::metrics::Tally;

const SECOND: u64 = 1_000_000_000;
const CLOSED_TURN: u64 = 400_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    Preparing(Offset),
    Prepared,
    Running(Offset),
}

#[derive(Debug)]
pub(super) struct Engine {
    state: State,
    preparing_takes: Duration,
    due: Vec<u64>,
    cursor: usize,
    in_flight: Vec<u64>,
    stop_at: u64,
    cut_at: u64,
    events: VecDeque<EngineEvent>,
    /// Everything that it ever reported.
    pub(super) truth: Tally,
    /// Starts that it was told.
    pub(super) starts: Vec<Offset>,
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
            due: Vec::new(),
            cursor: 0,
            in_flight: Vec::new(),
            stop_at: u64::MAX,
            cut_at: 0,
            events: VecDeque::new(),
            truth: Tally::default(),
            starts: Vec::new(),
            unable: None,
            breaks_at: None,
            hung: false,
        }
    }

    pub(super) fn handle(&mut self, now: Offset, command: EngineCommand) {
        match (command, self.state) {
            (EngineCommand::Prepare(prepare), _) => self.prepare(now, &prepare),
            (EngineCommand::Start { at }, _) => {
                self.starts.push(at);
                self.state = State::Running(at);
            }
            (EngineCommand::Stop, State::Running(at)) if !self.hung => {
                self.stop_at = self.stop_at.min(now.nanos_since(at));
            }
            (EngineCommand::Abort, State::Running(at)) if !self.hung => {
                self.abort(now.nanos_since(at));
            }
            (EngineCommand::Abort, State::Prepared) => self.state = State::Idle,
            _ => {}
        }
    }

    fn prepare(&mut self, now: Offset, prepare: &Prepare) {
        let schedule = &prepare.plan.schedule;
        let end = schedule.end_of_sending().unwrap_or(Offset::MAX).as_nanos();
        let end = end.min(600 * SECOND);
        let limit = schedule.max_requests.unwrap_or(u64::MAX);
        let rate = serde_json::to_value(schedule.pacing).unwrap()["open"]["rate"].as_f64();
        let (index, of) = (u64::from(prepare.index), u64::from(prepare.of));
        let mut due: Vec<u64> = match rate {
            Some(rate) => (0..limit)
                .map(|i| (i, (i as f64 * 1e9 / rate) as u64))
                .take_while(|&(_, at)| at < end)
                .filter(|(i, _)| i % of == index)
                .map(|(_, at)| at)
                .collect(),
            None => (0..schedule.users)
                .filter(|user| u64::from(*user) % of == index)
                .flat_map(|user| {
                    let spawn = schedule.spawn_at(user).as_nanos();
                    (0..)
                        .map(move |turn| spawn + turn * CLOSED_TURN)
                        .take_while(move |&at| at < end)
                })
                .collect(),
        };
        due.sort_unstable();
        let unable = self.unable.take();
        let truth = std::mem::take(&mut self.truth);
        let (takes, starts) = (self.preparing_takes, std::mem::take(&mut self.starts));
        *self = Self {
            due,
            truth,
            starts,
            unable,
            hung: self.hung,
            breaks_at: self.breaks_at,
            ..Self::new(takes)
        };
        self.state = State::Preparing(now + takes);
    }

    pub(super) fn timeout(&self) -> Option<Offset> {
        match self.state {
            State::Preparing(until) => Some(until),
            State::Running(at) => Some(at + Duration::from_nanos(self.cut_at + SECOND)),
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
            State::Running(at) if now.nanos_since(at) >= self.cut_at + SECOND => {
                self.cut(now.nanos_since(at), false);
            }
            _ => {}
        }
    }

    pub(super) fn poll(&mut self) -> Option<EngineEvent> {
        self.events.pop_front()
    }

    pub(super) fn has_words(&self) -> bool {
        !self.events.is_empty()
    }

    fn abort(&mut self, at: u64) {
        self.stop_at = self.stop_at.min(at);
        self.cut(at, true);
    }

    /// Closes an interval at `to`, and ends when nothing is left.
    fn cut(&mut self, to: u64, drop_rest: bool) {
        let mut tally = Tally::default();
        while let Some(&due) = self
            .due
            .get(self.cursor)
            .filter(|&&due| due < to.min(self.stop_at))
        {
            self.cursor += 1;
            tally.counts.scheduled += 1;
            tally.counts.sent += 1;
            tally.first_sent.get_or_insert(Offset::from_nanos(due));
            tally.last_sent = Some(Offset::from_nanos(due));
            self.in_flight.push(due + 20_000_000 + due % 1_300_000_000);
        }
        let before = self.in_flight.len();
        self.in_flight.retain(|&end| end > to);
        count(&mut tally, Outcome::Ok, before - self.in_flight.len());
        if drop_rest {
            count(&mut tally, Outcome::Cancelled, self.in_flight.len());
            self.in_flight.clear();
        }
        let gauges = Gauges {
            users: 1,
            in_flight: self.in_flight.len() as u32,
            waiting: 0,
        };
        self.truth.merge(&tally);
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
        let more = self
            .due
            .get(self.cursor)
            .is_some_and(|&due| due < self.stop_at);
        if !more && self.in_flight.is_empty() && !self.hung {
            self.state = State::Idle;
            self.events.push_back(EngineEvent::Drained);
        }
    }
}

fn count(tally: &mut Tally, outcome: Outcome, n: usize) {
    if n > 0 {
        *tally.measured.outcomes.entry(outcome).or_default() += n as u64;
    }
}

/// Runs an engine on the real clock until its worker is gone, and gives it back.
pub(super) async fn drive(mut end: EngineEnd, mut engine: Engine) -> Engine {
    loop {
        while let Some(event) = engine.poll() {
            if end.events.send(event).await.is_err() {
                return engine;
            }
        }
        let timeout = engine
            .timeout()
            .unwrap_or(end.clock.now() + Duration::from_secs(60));
        tokio::select! {
            command = end.commands.recv() => match command {
                Some(command) => engine.handle(end.clock.now(), command),
                None => return engine,
            },
            () = tokio::time::sleep_until(end.clock.instant(timeout)) => engine.tick(end.clock.now()),
        }
    }
}
