//! The loads that a run had, where somebody changed it while it went on: figures are of all of them then.
//! Who may change what is not known here.

use std::fmt;

use serde_json::{Value, json};

use super::Context;
use crate::domain::{Offset, Rate};
use crate::page::counted;

/// Changes that are written out; a result file has them all.
const SHOWN: usize = 20;

/// What a cluster does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Closed loop: concurrent users. Open loop: most requests in flight.
    pub users: u32,
    /// Users that start or end, a second.
    pub spawn_rate: Rate,
    /// Open loop: requests a second; `None` in a closed one.
    pub rate: Option<Rate>,
    /// Nothing is begun.
    pub paused: bool,
}

/// Another load from some time of the run on, or other workers for the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadChange {
    /// From when, in the run's time.
    pub from: Offset,
    /// The load from then on.
    pub load: Load,
    /// The workers from then on.
    pub workers: u32,
    /// Whether the load was another one before.
    pub is_other_load: bool,
    /// Whether the workers were more or fewer before.
    pub is_other_number: bool,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.paused {
            return write!(f, "paused");
        }
        match self.rate {
            Some(rate) => write!(f, "{rate} requests/s, at most {} in flight", self.users),
            None => write!(f, "{}", counted(self.users, "user")),
        }
    }
}

impl fmt::Display for LoadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, workers) = (self.from.as_secs_f64(), counted(self.workers, "worker"));
        write!(f, "from {from:.1} s on: ")?;
        match (self.is_other_load, self.is_other_number) {
            (true, true) => write!(f, "{}, on {workers}", self.load),
            (true, false) => write!(f, "{}", self.load),
            (false, true) => write!(f, "{workers}"),
            (false, false) => write!(f, "{workers}, not the same ones"),
        }
    }
}

impl Context<'_> {
    /// Requests per second that the plan asks for in the window, on average; `None` where there is no such rate, or where it
    /// was changed while the run went on.
    pub(crate) fn asked_per_s(&self) -> Option<f64> {
        let asked = self.plan.asked_per_s(self.summary.from, self.summary.to);
        asked.filter(|_| !self.is_of_several_loads())
    }

    /// Whether the figures are of several loads.
    pub(crate) fn is_of_several_loads(&self) -> bool {
        self.changes.iter().any(|change| change.is_other_load)
    }
}

/// The section's lines.
pub(crate) fn lines(ctx: &Context<'_>) -> Vec<String> {
    let shown = ctx.changes.iter().take(SHOWN);
    let mut lines: Vec<_> = shown.map(ToString::to_string).collect();
    let rest = ctx.changes.len().saturating_sub(SHOWN);
    if rest > 0 {
        lines.push(format!("{rest} more changes are in the result file"));
    }
    if ctx.is_of_several_loads() {
        lines.push("the figures are of all of these loads together".to_owned());
    }
    lines
}

/// One change in a result file.
pub(crate) fn object(change: &LoadChange) -> Value {
    json!({
        "from_s": change.from.as_secs_f64(),
        "users": change.load.users,
        "spawn_rate_per_s": change.load.spawn_rate.as_f64(),
        "asked_per_s": change.load.rate.map(Rate::as_f64),
        "paused": change.load.paused,
        "workers": change.workers,
        "load_changed": change.is_other_load,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{closing, json, sample};

    fn change(seconds: u64, users: u32, other: (bool, bool)) -> LoadChange {
        LoadChange {
            from: Offset::from_nanos(seconds * 1_000_000_000 + 240_000_000),
            load: Load {
                users,
                spawn_rate: Rate::per_second(10),
                rate: None,
                paused: false,
            },
            workers: 5,
            is_other_load: other.0,
            is_other_number: other.1,
        }
    }

    fn paused(mut change: LoadChange) -> LoadChange {
        change.load.paused = true;
        change
    }

    fn open(mut change: LoadChange) -> LoadChange {
        change.load.rate = "2.5".parse().ok();
        change
    }

    #[test]
    fn changes_are_said_in_their_order_and_what_they_mean_for_the_figures() {
        let mut sample = sample::open();
        sample.changes = vec![
            change(1, 1, (true, false)),
            open(change(2, 20, (true, true))),
            paused(change(3, 20, (true, false))),
            change(4, 20, (false, true)),
            change(5, 20, (false, false)),
        ];
        let text = closing::sections(&sample.context());
        let section = text.split("Load\n").nth(1).unwrap();
        insta::assert_snapshot!(section.split("\n\n").next().unwrap(), @r"
          from 1.2 s on: 1 user
          from 2.2 s on: 2.5 requests/s, at most 20 in flight, on 5 workers
          from 3.2 s on: paused
          from 4.2 s on: 5 workers
          from 5.2 s on: 5 workers, not the same ones
          the figures are of all of these loads together
        ");
        assert!(text.contains("asked for 2 requests/s (constant) at first, "));
    }

    #[test]
    fn other_workers_alone_are_the_same_load() {
        let mut sample = sample::open();
        sample.changes = vec![change(4, 20, (false, true))];
        let text = closing::sections(&sample.context());
        assert!(text.contains("on: 5 workers\n") && !text.contains("all of these loads"));
        assert!(text.contains("asked for 2 requests/s (constant), "));
    }

    #[test]
    fn a_file_has_all_of_them_and_a_page_the_first() {
        let mut sample = sample::open();
        sample.changes = vec![change(4, 20, (true, false)); 23];
        let text = closing::sections(&sample.context());
        assert!(text.contains("  3 more changes are in the result file\n"));
        let result: Value =
            serde_json::from_str(&json::result(&sample.context()).unwrap()).unwrap();
        assert_eq!(result["changes"].as_array().unwrap().len(), 23);
        assert_eq!(result["changes"][0]["users"], 20);
        assert_eq!(result["measured"]["asked_per_s"], Value::Null);
    }
}
