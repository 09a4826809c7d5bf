//! What a master writes down as it goes, and what can be known from it when the master is gone.
//! Values alone: how they become bytes is `wire`'s business, and the disk the shell's.

use std::collections::BTreeMap;

use super::deal::Epoch;
use super::{ClockEstimate, EndedBy, Gauges, Hello, Totals, WorkerState};
use crate::cluster::master::Halt;
use crate::domain::Offset;
use crate::metrics::{Counts, Tally};

/// What has happened since the frame before.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// From 1, without gaps.
    pub number: u64,
    /// Which run.
    pub run: u64,
    /// The master's clock.
    pub at: Offset,
    /// Offset zero of the run on the master's clock, once it is known.
    pub started_at: Option<Offset>,
    /// The order to end, once it was given.
    pub halt: Option<Halt>,
    /// Epochs that are new.
    pub epochs: Vec<Epoch>,
    /// Workers that are new or changed, by number.
    pub members: BTreeMap<u32, Standing>,
    /// What was merged.
    pub delta: Tally,
    /// Until when, since the run's start.
    pub to: Offset,
    /// Of all workers at work, added up, when anything was merged.
    pub gauges: Option<Gauges>,
    /// How the run ended: this is the last frame.
    pub ended: Option<EndedBy>,
}

/// What is known of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Who it is.
    pub hello: Hello,
    /// What it was doing.
    pub state: WorkerState,
    /// Its place among those who have a part in the run.
    pub part: Option<u32>,
    /// It was told to go before the run was over.
    pub left_early: bool,
    /// It went, and others had its share from then on.
    pub handed_over: bool,
    /// It was not heard of for too long at some time.
    pub was_missing: bool,
    /// The last interval's number, once it said that there will be no more, and its own books.
    pub last: Option<(u64, Totals)>,
    /// Its estimate of the master's clock minus its own.
    pub clock: Option<ClockEstimate>,
    /// The highest number up to which all of its intervals are merged.
    pub merged_to: u64,
    /// Those merged beyond it.
    pub ahead: Vec<u64>,
    /// Intervals merged.
    pub intervals: u64,
    /// What they count.
    pub counts: Counts,
    /// Requests that ended.
    pub finished: u64,
    /// Until when its measurements are known.
    pub confirmed_to: Offset,
}

/// All frames of a run, added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Frames read.
    pub frames: u64,
    /// Which run.
    pub run: u64,
    /// The master's clock at the last frame.
    pub at: Offset,
    /// Offset zero of the run on the master's clock.
    pub started_at: Option<Offset>,
    /// The order to end.
    pub halt: Option<Halt>,
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// All workers, by number.
    pub members: BTreeMap<u32, Standing>,
    /// Everything that was merged.
    pub tally: Tally,
    /// Until when, since the run's start.
    pub to: Offset,
    /// How the run ended, if it did.
    pub ended: Option<EndedBy>,
}

/// A frame that cannot follow those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A frame is missing, or there twice.
    #[error("frame `{found}` follows frame `{last}`")]
    Number {
        /// The last one's number.
        last: u64,
        /// This one's.
        found: u64,
    },
    /// It is another run's.
    #[error("a frame is of another run")]
    Run,
}

impl Past {
    /// Adds the next frame.
    ///
    /// # Errors
    ///
    /// When it is not the next one of this run; then nothing is added.
    pub fn add(&mut self, frame: &Frame) -> Result<(), Broken> {
        if frame.number != self.frames + 1 {
            return Err(Broken::Number {
                last: self.frames,
                found: frame.number,
            });
        }
        if self.frames > 0 && frame.run != self.run {
            return Err(Broken::Run);
        }
        self.frames = frame.number;
        self.run = frame.run;
        self.at = frame.at;
        self.started_at = frame.started_at;
        self.halt = frame.halt;
        self.epochs.extend(frame.epochs.iter().cloned());
        let members = frame.members.iter();
        self.members
            .extend(members.map(|(&worker, standing)| (worker, standing.clone())));
        self.tally.merge(&frame.delta);
        self.to = self.to.max(frame.to);
        self.ended.clone_from(&frame.ended);
        Ok(())
    }

    /// Whether the run began and nobody knows how it ended.
    pub fn is_open(&self) -> bool {
        self.started_at.is_some() && self.ended.is_none()
    }
}
