//! Remembers which loads a run had and how many workers, from its master's events. What follows from that is the report's.

use crate::cluster::{Epoch, MasterEvent};
use crate::domain::Offset;
use crate::report::{self, LoadChange};
use crate::schedule::Load;

/// The loads of a run.
#[derive(Debug)]
pub(super) struct Changes {
    load: Load,
    workers: Option<u32>,
    all: Vec<LoadChange>,
}

impl Changes {
    /// Of a run that begins with `load`.
    pub(super) const fn new(load: Load) -> Self {
        Self {
            load,
            workers: None,
            all: Vec::new(),
        }
    }

    /// Of a run that began with `load` and had these epochs already, the first one included.
    pub(super) fn resumed(load: Load, epochs: &[Epoch]) -> Self {
        let mut changes = Self::new(load);
        let workers = |epoch: &Epoch| u32::try_from(epoch.members.len()).unwrap_or(u32::MAX);
        changes.workers = epochs.first().map(workers);
        for epoch in epochs.iter().skip(1) {
            changes.add(epoch.from, epoch.load, workers(epoch));
        }
        changes
    }

    /// Takes note of an event; returns the change that it is.
    pub(super) fn note(&mut self, event: &MasterEvent) -> Option<LoadChange> {
        match *event {
            MasterEvent::Dealt { parts, .. } => {
                self.workers = Some(parts);
                None
            }
            MasterEvent::Changed {
                from,
                load,
                members,
                ..
            } => Some(self.add(from, load, members)),
            _ => None,
        }
    }

    fn add(&mut self, from: Offset, load: Load, workers: u32) -> LoadChange {
        let before = std::mem::replace(&mut self.load, load);
        let change = LoadChange {
            from,
            load: reported(load),
            workers,
            is_other_load: before != load,
            is_other_number: self.workers.replace(workers) != Some(workers),
        };
        self.all.push(change);
        change
    }

    /// The last load that was announced.
    pub(super) const fn load(&self) -> Load {
        self.load
    }

    /// All of them so far, in order.
    pub(super) fn all(&self) -> &[LoadChange] {
        &self.all
    }

    /// All of them, in order.
    pub(super) fn into_all(self) -> Vec<LoadChange> {
        self.all
    }
}

/// A load as reports have it.
pub(super) const fn reported(load: Load) -> report::Load {
    report::Load {
        users: load.users,
        spawn_rate: load.spawn_rate,
        rate: load.rate,
        paused: load.paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Rate;

    #[test]
    fn a_change_is_told_from_other_workers_for_the_same_load() {
        let load = |users| Load {
            users,
            spawn_rate: Rate::per_second(1),
            rate: None,
            paused: false,
        };
        let changed = |users, members| MasterEvent::Changed {
            epoch: 1,
            from: Offset::from_nanos(34_200_000_000),
            load: load(users),
            members,
        };
        let mut changes = Changes::new(load(100));
        assert_eq!(
            changes.note(&MasterEvent::Dealt { parts: 5, idle: 0 }),
            None
        );
        let mut words = |event| changes.note(&event).map(|change| change.to_string());
        let said = [
            words(changed(101, 5)),
            words(changed(101, 4)),
            words(changed(101, 4)),
            words(changed(90, 5)),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        assert_eq!(
            said,
            [
                "from 34.2 s on: 101 users",
                "from 34.2 s on: 4 workers",
                "from 34.2 s on: 4 workers, not the same ones",
                "from 34.2 s on: 90 users, on 5 workers",
            ]
        );
        assert_eq!(changes.into_all().len(), 4);
    }
    #[test]
    fn a_run_that_goes_on_had_its_changes_before() {
        let epoch = |seconds: u64, users, workers: u32| Epoch {
            from: Offset::from_nanos(seconds * 1_000_000_000),
            load: Load {
                users,
                spawn_rate: Rate::per_second(1),
                rate: None,
                paused: false,
            },
            members: (0..workers).collect(),
        };
        let epochs = [epoch(0, 10, 2), epoch(5, 20, 2), epoch(9, 20, 3)];
        let changes = Changes::resumed(epochs[0].load, &epochs);
        assert_eq!(changes.load(), epochs[2].load);
        let words: Vec<_> = changes.into_all().iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            ["from 5.0 s on: 20 users", "from 9.0 s on: 3 workers"]
        );
    }
}
