//! A run as other tools' summaries need it: what was asked for, when, by what, and the figures that came of it.
//! Whoever knows less of it (files of records alone know no plan and no time of day) leaves the rest empty.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::Figures;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// A name that no other export has: the same input has the same.
    pub uid: String,
    /// The version of llmload that played it.
    pub version: Option<String>,
    /// The wall clock at its offset zero.
    pub started_at: Option<OffsetDateTime>,
    /// How many processes sent.
    pub workers: Option<u64>,
    /// The plan as a result file shows it: without the content of data sets, and no secret was ever in it.
    pub plan: Option<Value>,
    /// How requests were paced, where that is known.
    pub pace: Option<Pace>,
    /// How far its figures can be trusted, where that was judged.
    pub verdict: Option<String>,
    /// What was measured.
    pub figures: Figures,
}

/// How requests were paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many users, each with a request after the other.
    Closed {
        /// How many.
        users: u64,
    },
    /// At times of their own, with at most so many in flight.
    Open {
        /// How many, where that is known.
        users: Option<u64>,
    },
}

impl Pace {
    /// That of a plan, as a result file shows it.
    pub fn of(plan: &Value) -> Option<Self> {
        let users = plan.pointer("/schedule/users")?.as_u64()?;
        let pacing = plan.pointer("/schedule/pacing")?;
        Some(if pacing == "closed" {
            Self::Closed { users }
        } else {
            Self::Open { users: Some(users) }
        })
    }
}

impl Run {
    /// The name of the model, where the plan is known.
    pub fn model(&self) -> Option<&str> {
        self.asked("/provider/model")?.as_str()
    }

    /// What stands at a place of the plan.
    pub(super) fn asked(&self, place: &str) -> Option<&Value> {
        self.plan.as_ref()?.pointer(place)
    }

    /// A whole number of the plan.
    pub(super) fn number(&self, place: &str) -> Option<u64> {
        self.asked(place)?.as_u64()
    }
}

/// 32 hexadecimal digits that differ for other parts, or the same ones divided otherwise.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize()
        .iter()
        .take(16)
        .fold(String::new(), |mut digits, byte| {
            // Writing to a string cannot fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::report::{json, sample};

    /// The sample of the report, as an export knows it.
    pub(in crate::export) fn run(sample: &sample::Sample) -> Run {
        let asked = sample
            .plan
            .asked_per_s(sample.summary.from, sample.summary.to);
        Run {
            uid: "0123456789abcdef".to_owned(),
            version: Some("0.1.0".to_owned()),
            started_at: Some(datetime!(2026-01-02 03:04:05 UTC)),
            workers: Some(2),
            pace: Pace::of(&json::shown_plan(&sample.plan).unwrap()),
            plan: json::shown_plan(&sample.plan).ok(),
            verdict: Some("ok".to_owned()),
            figures: Figures::of(&sample.summary, asked),
        }
    }

    /// What files of records alone tell.
    pub(in crate::export) fn bare() -> Run {
        Run {
            version: None,
            started_at: None,
            workers: None,
            plan: None,
            pace: None,
            verdict: None,
            ..run(&sample::open())
        }
    }

    #[test]
    fn the_plan_tells_how_requests_were_paced() {
        let users = 4;
        assert_eq!(run(&sample::closed()).pace, Some(Pace::Closed { users }));
        assert!(matches!(run(&sample::open()).pace, Some(Pace::Open { .. })));
        assert_eq!((bare().pace, bare().model()), (None, None));
    }

    #[test]
    fn digests_know_where_parts_end() {
        let sum = |parts: &[&str]| digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(sum(&["ab", "c"]).len(), 32);
        assert_ne!(sum(&["ab", "c"]), sum(&["a", "bc"]));
        assert_eq!(sum(&["ab", "c"]), sum(&["ab", "c"]));
    }
}
