//! The users of one core: who lives, who will, and until when, as shares change it.
//! It starts and ends nobody: whoever asks knows the time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use super::deal::{CorePart, Dealt, Place};
use crate::domain::Offset;

/// A user from its start to its end, in the run's time. A user that comes back after its end has another life.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) user: u32,
    /// The turn of its first request.
    pub(super) first_turn: Cell<u32>,
    pub(super) start: Cell<Offset>,
    /// It begins no request from then on.
    pub(super) end: Cell<Offset>,
    pub(super) begun: Cell<bool>,
    /// Told when its time is over.
    pub(super) ended: Notify,
    over: Cell<bool>,
}

/// The users of one core.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// The last life of each, until it ends.
    lives: BTreeMap<u32, Rc<Life>>,
    /// Starts and ends to come. One that was moved since is found to be nothing.
    agenda: BTreeMap<(Offset, u64), Rc<Life>>,
    appointments: u64,
}

/// What is to be done for a user now.
#[derive(Debug)]
pub(super) enum Call {
    Start(Rc<Life>),
    End(Rc<Life>),
}

impl Crew {
    /// Carries a share out. Returns those that are still to start, new ones and moved ones, with whether a connection is to be
    /// opened ahead for them.
    pub(super) fn change(&mut self, dealt: &Dealt, part: &CorePart) -> Vec<(Rc<Life>, bool)> {
        let mut before = std::mem::take(&mut self.lives);
        let mut coming = Vec::new();
        for place in &part.users {
            let old = before.remove(&place.user);
            // A life that is over by then is not this one.
            let known = old.filter(|life| life.end.get() > dealt.since);
            let (life, moved) = match known {
                Some(life) => {
                    life.end.set(Offset::MAX);
                    let moved = life.is_moved(place, dealt);
                    (life, moved)
                }
                None => (Rc::new(Life::new(place, dealt)), true),
            };
            if moved {
                self.appoint(life.start.get(), &life);
                coming.push((Rc::clone(&life), place.warm));
            }
            self.lives.insert(place.user, life);
        }
        for (user, life) in before {
            self.end(life, dealt.ends.get(&user).copied(), dealt.since);
        }
        coming
    }

    /// A user that is in the share no more.
    fn end(&mut self, life: Rc<Life>, named: Option<Offset>, since: Offset) {
        if life.end.get() > since {
            life.end.set(named.unwrap_or(since));
            self.appoint(life.end.get(), &life);
        }
        // Somebody may still come to move its end.
        self.lives.entry(life.user).or_insert(life);
    }

    fn appoint(&mut self, at: Offset, life: &Rc<Life>) {
        self.appointments += 1;
        self.agenda.insert((at, self.appointments), Rc::clone(life));
    }

    /// Whether nobody lives here, or will.
    pub(super) fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }

    /// When somebody starts or ends next.
    pub(super) fn next(&self) -> Option<Offset> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whoever starts or ends next, if `is_past` says so of the time.
    pub(super) fn call(&mut self, is_past: impl Fn(Offset) -> bool) -> Option<Call> {
        while self.next().is_some_and(&is_past) {
            let (_, life) = self.agenda.pop_first()?;
            let over = is_past(life.end.get());
            if !life.begun.get() && is_past(life.start.get()) && life.start < life.end {
                life.begun.set(true);
                if over {
                    self.appoint(life.end.get(), &life);
                }
                return Some(Call::Start(life));
            }
            if over && !life.over.replace(true) {
                self.forget(&life);
                return Some(Call::End(life));
            }
        }
        None
    }

    fn forget(&mut self, life: &Rc<Life>) {
        if let Some(last) = self.lives.get(&life.user)
            && Rc::ptr_eq(last, life)
        {
            self.lives.remove(&life.user);
        }
    }
}

impl Life {
    fn new(place: &Place, dealt: &Dealt) -> Self {
        Self {
            user: place.user,
            first_turn: Cell::new(dealt.first_turn),
            start: Cell::new(place.start),
            end: Cell::new(Offset::MAX),
            begun: Cell::new(false),
            ended: Notify::new(),
            over: Cell::new(false),
        }
    }

    /// Puts a start that is not reached yet to where a share has it.
    fn is_moved(&self, place: &Place, dealt: &Dealt) -> bool {
        let moved = place.named && !self.begun.get() && self.start.get() >= dealt.since;
        if moved {
            self.start.set(place.start);
            self.first_turn.set(dealt.first_turn);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Pace;

    fn s(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000_000)
    }

    /// A share from second `since` on, of users with their named starts, and named ends.
    fn share(since: u64, users: &[(u32, Option<u64>)], ends: &[(u32, u64)]) -> Dealt {
        let place = |&(user, start): &(u32, Option<u64>)| Place {
            user,
            start: s(start.unwrap_or(since)),
            named: start.is_some(),
            warm: true,
        };
        Dealt {
            from: s(since),
            since: s(since),
            pace: Pace::Planned,
            paused: false,
            budget: None,
            target: None,
            first_turn: u32::try_from(since).unwrap(),
            cores: vec![CorePart {
                arrivals: None,
                users: users.iter().map(place).collect(),
            }],
            ends: ends.iter().map(|&(user, at)| (user, s(at))).collect(),
        }
    }

    fn change(crew: &mut Crew, dealt: &Dealt) {
        crew.change(dealt, &dealt.cores[0]);
    }

    /// What is called until second `at`, in order: `+user` and `-user`.
    fn calls(crew: &mut Crew, at: u64) -> Vec<String> {
        let mut called = Vec::new();
        while let Some(call) = crew.call(|time| time <= s(at)) {
            called.push(match call {
                Call::Start(life) => format!("+{}", life.user),
                Call::End(life) => format!("-{}", life.user),
            });
        }
        called
    }

    #[test]
    fn users_start_and_end_at_their_own_times_or_the_shares() {
        let mut crew = Crew::default();
        change(
            &mut crew,
            &share(0, &[(0, None), (1, Some(2)), (2, Some(4))], &[]),
        );
        assert_eq!(calls(&mut crew, 3), ["+0", "+1"]);
        change(
            &mut crew,
            &share(6, &[(1, None), (3, None), (4, Some(9))], &[(2, 8)]),
        );
        assert_eq!(calls(&mut crew, 5), ["+2"]);
        assert_eq!(calls(&mut crew, 6), ["+3", "-0"]);
        assert_eq!(calls(&mut crew, 8), ["-2"]);
        assert_eq!(calls(&mut crew, 20), ["+4"]);
        assert_eq!(crew.next(), None);
    }

    #[test]
    fn a_start_to_come_is_replaced_and_one_that_was_is_not() {
        let mut crew = Crew::default();
        change(
            &mut crew,
            &share(0, &[(0, Some(1)), (1, Some(3)), (2, Some(9))], &[]),
        );
        assert_eq!(calls(&mut crew, 1), ["+0"]);
        // The second starts before the new share, the third by it.
        let later = share(5, &[(0, Some(7)), (1, Some(7)), (2, Some(7))], &[]);
        change(&mut crew, &later);
        assert_eq!(calls(&mut crew, 6), ["+1"]);
        assert_eq!(calls(&mut crew, 7), ["+2"]);
        assert_eq!(calls(&mut crew, 20), [""; 0]);
    }

    #[test]
    fn a_start_to_come_that_is_not_named_again_stays() {
        let mut crew = Crew::default();
        change(&mut crew, &share(0, &[(0, Some(1)), (1, Some(9))], &[]));
        change(&mut crew, &share(5, &[(0, None), (1, None)], &[]));
        assert_eq!(calls(&mut crew, 8), ["+0"]);
        assert_eq!(calls(&mut crew, 9), ["+1"]);
    }

    #[test]
    fn who_comes_back_before_its_end_goes_on_and_after_it_begins_anew() {
        let mut crew = Crew::default();
        change(&mut crew, &share(0, &[(0, None), (1, None)], &[]));
        assert_eq!(calls(&mut crew, 0), ["+0", "+1"]);
        change(&mut crew, &share(2, &[], &[(0, 2), (1, 9)]));
        change(&mut crew, &share(5, &[(0, None), (1, None)], &[]));
        assert_eq!(calls(&mut crew, 4), ["-0"]);
        assert_eq!(calls(&mut crew, 20), ["+0"]);
    }

    #[test]
    fn a_later_share_moves_an_end_and_who_never_started_never_does() {
        let mut crew = Crew::default();
        change(&mut crew, &share(0, &[(0, None), (1, Some(30))], &[]));
        assert_eq!(calls(&mut crew, 1), ["+0"]);
        change(&mut crew, &share(2, &[], &[(0, 20)]));
        change(&mut crew, &share(4, &[], &[]));
        assert_eq!(calls(&mut crew, 3), ["-1"]);
        assert_eq!(calls(&mut crew, 4), ["-0"]);
        assert_eq!(calls(&mut crew, 40), [""; 0]);
    }
}
