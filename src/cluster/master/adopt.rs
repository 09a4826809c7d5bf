//! A master that goes on where another one, which is gone, left its run: from that one's journal, with the workers that live.
//! What the journal does not know is gone; the workers send again what was not acknowledged.

use std::time::Duration;

use super::books::Books;
use super::{Master, MasterConfig, MasterEvent, Phase};
use crate::cluster::deal::Deal;
use crate::cluster::journal::Past;
use crate::cluster::membership::Member;
use crate::cluster::{EndedBy, RunResult, WorkerState};
use crate::domain::Offset;

/// How long workers have to find the new master, beyond the time after which they are missing.
const RETURN_WITHIN: Duration = Duration::from_secs(5);

impl Master {
    /// Goes on with `past` at `now`, on a clock that continues the one that the journal was written by.
    /// `None` when there is nothing to go on with: the run never began, or it is over.
    pub fn adopt(mut config: MasterConfig, past: Past, now: Offset) -> Option<Self> {
        let at = past.started_at.filter(|_| past.ended.is_none())?;
        let deal = Deal::replay(config.plan.schedule.clone(), past.epochs)?;
        config.run = past.run;
        let mut master = Self::new(config, now);
        let epochs = deal.epochs(0).count();
        master.books = Books::continued(
            master.config.journal,
            past.tally,
            past.to,
            past.frames,
            epochs,
        );
        master.deal = Some(deal);
        master.phase = Phase::Running {
            at,
            halt: past.halt,
        };
        let parts = past.members.values().filter(|of| of.part.is_some());
        master.parts = u32::try_from(parts.count()).unwrap_or(u32::MAX);
        for (worker, standing) in past.members {
            let mut member = Member::standing_as(standing, now + RETURN_WITHIN);
            if matches!(member.state, WorkerState::Preparing | WorkerState::Ready) {
                member.state = WorkerState::Idle;
                member.part = None;
            }
            master.roster.restore(worker, member);
        }
        // A number that an epoch knows is never another worker's.
        let numbers = master.deal.iter().flat_map(|deal| deal.epochs(0));
        let highest = numbers.flat_map(|epoch| &epoch.members).max().copied();
        if let Some(highest) = highest {
            master.roster.reserve(highest);
        }
        master.deal_again_soon(now + RETURN_WITHIN);
        master.last_progress = now;
        let workers = u32::try_from(master.at_work().len()).unwrap_or(u32::MAX);
        master.event(MasterEvent::Adopted { at, workers });
        Some(master)
    }

    /// What `past` knows of a run whose master is gone: its workers count as lost where they were last heard of.
    pub fn post_mortem(config: MasterConfig, past: Past) -> Option<RunResult> {
        let (now, ended) = (past.at, past.ended.clone());
        let open = Past {
            ended: None,
            ..past
        };
        let to = open.to;
        let mut master = Self::adopt(config, open, now)?;
        let ended_by = ended.unwrap_or_else(|| {
            for worker in master.at_work() {
                if let Some(member) = master.roster.member_mut(worker) {
                    member.state = WorkerState::Lost;
                }
            }
            EndedBy::MasterGone
        });
        if let (EndedBy::MasterGone, Phase::Running { at, halt }) = (&ended_by, &mut master.phase) {
            // Nobody knows of anything after the last frame.
            halt.get_or_insert(super::Halt {
                at: *at + to.since(Offset::ZERO),
                abort: false,
            });
        }
        Some(master.result(now, &ended_by))
    }
}
