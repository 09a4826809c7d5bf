//! Whether a run carried its load: the rule that a search goes by, for one run.
//! It looks at no other run, and decides nothing about the next one.
//!
//! In this order: more failures than allowed; the generator itself in the figures; an objective that was missed; in an open
//! loop less than [`ENOUGH`] of the rate achieved, where achieved is (requests sent / requests that came due) × the share that
//! the server kept up with. Both counts are of the whole run: how many arrivals chance or a limit put into a window is no
//! matter. One request that waits when sending ends is forgiven.

use serde::{Deserialize, Serialize};

use super::{Figures, Goal};

/// The share of the rate asked for that must be achieved.
pub const ENOUGH: f64 = 0.97;

/// The verdict's rule on requests that came due while all users were busy.
const NOT_SENT: &str = "not_sent";

/// What kept a run from carrying its load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "words")]
pub enum Limit {
    /// An objective was missed.
    Objective(String),
    /// The server answered more slowly than it was asked.
    Saturated(String),
    /// Too many requests failed.
    Failures(String),
    /// The generator could not send the load, or was seen in the figures: the server's limit is not known.
    Generator(String),
}

/// Of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It carried its load.
    Met,
    /// It did not.
    Failed(Limit),
}

/// What runs are judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// What is searched.
    pub goal: Goal,
    /// Share of failed requests above which a run has failed.
    pub max_fail_ratio: f64,
    /// A generator that is seen in the figures is taken as it is.
    pub allow_invalid: bool,
}

impl Limit {
    /// What it is, in a word or two.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Objective(_) => "objective",
            Self::Saturated(_) => "saturation",
            Self::Failures(_) => "failures",
            Self::Generator(_) => "generator",
        }
    }

    /// The rest.
    pub fn words(&self) -> &str {
        match self {
            Self::Objective(words)
            | Self::Saturated(words)
            | Self::Failures(words)
            | Self::Generator(words) => words,
        }
    }
}

impl Judgement {
    /// Whether the run carried its load.
    pub const fn is_met(&self) -> bool {
        matches!(self, Self::Met)
    }
}

/// Judges a run. `None`: nothing was measured.
pub fn judge_run(figures: Option<&Figures>, rules: Rules) -> Judgement {
    let Some(figures) = figures.filter(|figures| figures.requests > 0) else {
        return Judgement::Failed(Limit::Failures("nothing was measured".to_owned()));
    };
    let limit = failures(figures, rules)
        .or_else(|| generator(figures, rules))
        .or_else(|| objective(figures))
        .or_else(|| saturation(figures, rules));
    limit.map_or(Judgement::Met, Judgement::Failed)
}

fn failures(figures: &Figures, rules: Rules) -> Option<Limit> {
    (figures.fail_ratio() > rules.max_fail_ratio).then(|| {
        Limit::Failures(format!(
            "{} of {} requests failed",
            figures.failures, figures.requests
        ))
    })
}

fn generator(figures: &Figures, rules: Rules) -> Option<Limit> {
    let mut invalid = figures.causes.iter().filter(|cause| cause.is_invalid);
    let cause = invalid.find(|cause| cause.name != NOT_SENT);
    let cause = cause.filter(|_| !rules.allow_invalid)?;
    Some(Limit::Generator(cause.words.clone()))
}

fn objective(figures: &Figures) -> Option<Limit> {
    let missed = figures.objectives.iter().find(|objective| !objective.met)?;
    let worst = if missed.requests.is_some() {
        "at worst "
    } else {
        ""
    };
    let measured = missed
        .value_ms
        .map_or_else(|| "nothing".to_owned(), |ms| format!("{worst}{ms:.4} ms"));
    let share = missed.requests.map_or_else(String::new, |(met, of)| {
        format!(", met by {met} of {of} requests")
    });
    Some(Limit::Objective(format!(
        "{}: measured {measured}{share}",
        missed.slo
    )))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "requests of a run are far below 2^53"
)]
fn saturation(figures: &Figures, rules: Rules) -> Option<Limit> {
    let asked = figures.asked_per_s.filter(|_| rules.goal == Goal::MaxQps)?;
    let not_sent = figures.not_sent.saturating_sub(1) as f64;
    let sent = 1.0 - not_sent / figures.scheduled.max(1) as f64;
    let kept_up = figures.kept_up.unwrap_or(1.0);
    if sent * kept_up >= ENOUGH {
        return None;
    }
    let not_sent = figures.causes.iter().find(|cause| cause.name == NOT_SENT);
    match not_sent.filter(|_| kept_up >= ENOUGH) {
        // Whoever waits for a free user is in no latency: it is the number of users that ended this.
        Some(cause) => Some(Limit::Generator(format!(
            "all {} users were busy: {}",
            figures.users, cause.words
        ))),
        None => Some(Limit::Saturated(format!(
            "{:.1}% of {asked} requests/s achieved, and latencies rose while the run went on",
            sent * kept_up * 100.0
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::figures::tests::sample;
    use crate::suite::{Cause, Objective};

    const RULES: Rules = Rules {
        goal: Goal::MaxQps,
        max_fail_ratio: 0.01,
        allow_invalid: false,
    };

    fn good() -> Figures {
        sample(64, Some(10.0), 100.0)
    }

    fn named(figures: &Figures) -> &'static str {
        match judge_run(Some(figures), RULES) {
            Judgement::Met => "met",
            Judgement::Failed(limit) => limit.name(),
        }
    }

    fn cause(name: &str) -> Cause {
        Cause {
            name: name.to_owned(),
            is_invalid: true,
            words: "seen".to_owned(),
        }
    }

    #[test]
    fn a_run_that_carried_its_load_is_met_and_an_unmeasured_one_failed() {
        assert_eq!(named(&good()), "met");
        assert!(!judge_run(None, RULES).is_met());
        let nothing = Figures {
            requests: 0,
            ..good()
        };
        assert_eq!(named(&nothing), "failures");
    }

    #[test]
    fn each_rule_has_its_name() {
        let failed = Figures {
            failures: 2,
            ..good()
        };
        assert_eq!(named(&failed), "failures");
        let slow = Figures {
            objectives: vec![Objective {
                slo: "ttft<1ms".to_owned(),
                value_ms: Some(2.0),
                requests: None,
                limit_ms: 1.0,
                met: false,
            }],
            ..good()
        };
        assert_eq!(named(&slow), "objective");
        let behind = Figures {
            kept_up: Some(0.96),
            ..good()
        };
        assert_eq!(named(&behind), "saturation");
        let late = Figures {
            causes: vec![cause("send_delay")],
            ..slow.clone()
        };
        assert_eq!(named(&late), "generator");
        let tolerant = Rules {
            allow_invalid: true,
            ..RULES
        };
        let judged = judge_run(Some(&late), tolerant);
        assert!(matches!(judged, Judgement::Failed(Limit::Objective(_))));
    }

    #[test]
    fn users_that_were_all_busy_are_the_generators_limit_unless_the_server_fell_behind() {
        let mut figures = Figures {
            not_sent: 20,
            causes: vec![cause(NOT_SENT)],
            ..good()
        };
        assert_eq!(named(&figures), "generator");
        figures.kept_up = Some(0.9);
        assert_eq!(named(&figures), "saturation");
    }

    #[test]
    fn only_what_came_due_and_was_not_sent_counts_and_a_closed_loop_has_no_rate() {
        // A limit, or chance: a tenth of rate × window came due.
        let few = Figures {
            scheduled: 10,
            requests: 10,
            not_sent: 1,
            ..good()
        };
        assert_eq!(named(&few), "met");
        let more = Figures { not_sent: 2, ..few };
        assert_eq!(named(&more), "saturation");
        let closed = Rules {
            goal: Goal::MaxUsers,
            ..RULES
        };
        let behind = Figures {
            kept_up: Some(0.5),
            ..good()
        };
        assert!(judge_run(Some(&behind), closed).is_met());
    }
}
