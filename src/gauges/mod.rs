//! What a server tells of itself while it is under load: its gauges and counters, under the names that each kind of server has.
//! Pages in, figures out: it asks no server and reads no clock.

mod names;
mod page;
mod watching;

pub use page::{Page, read};
pub use watching::{MOST_LOOKS, Watching};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One look at a server's gauges. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When the page was asked for, in seconds since 1970.
    pub at_s: f64,
    /// Requests that it works on.
    pub running: Option<f64>,
    /// Requests that wait there.
    pub waiting: Option<f64>,
    /// Share of its key-value cache that is in use, from 0 to 1.
    pub cache: Option<f64>,
}

impl Look {
    /// Both in one: the earlier time, and of each gauge the larger value.
    #[must_use]
    pub fn merged(self, later: Self) -> Self {
        Self {
            at_s: self.at_s,
            running: larger(self.running, later.running),
            waiting: larger(self.waiting, later.waiting),
            cache: larger(self.cache, later.cache),
        }
    }
}

/// The larger of what is known.
fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

/// What a server has counted since it was started. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Prompt tokens.
    pub prompt_tokens: Option<f64>,
    /// Output tokens.
    pub output_tokens: Option<f64>,
}

/// How late looks were against their own schedule, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// The mean.
    pub mean_s: f64,
    /// The 99th percentile.
    pub p99_s: f64,
    /// The largest.
    pub max_s: f64,
}

impl Lateness {
    /// Of so many nanoseconds each; 0 where there are none.
    pub fn of(late_ns: &Histogram<u64>) -> Self {
        if late_ns.is_empty() {
            return Self::default();
        }
        let seconds = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64();
        Self {
            mean_s: late_ns.mean() / 1e9,
            p99_s: seconds(late_ns.value_at_quantile(0.99)),
            max_s: seconds(late_ns.max()),
        }
    }
}

/// What was seen of a server over a time.
///
/// There are at most [`MOST_LOOKS`] looks: when there would be more, neighbours become one, with the time of the first and
/// the maxima of all, so that a peak stays in sight however long it is looked for. They then stand further apart than `step_s`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Whose names its page has (`vllm`, `sglang`, `tgi`, `llamacpp`, `triton`); empty where there was no page.
    pub server: String,
    /// From one look to the next, in seconds.
    pub step_s: f64,
    /// The looks, in order.
    pub looks: Vec<Look>,
    /// How late they were.
    pub lateness: Lateness,
    /// Looks that were due and not made, since the one before was not answered yet, or since those before had failed.
    pub skipped: u64,
    /// Looks that failed, and the words of the last failure.
    pub failed: u64,
    /// Those words, without secrets; empty where none failed.
    pub failure: String,
    /// Its counters at the first look.
    pub before: Counters,
    /// Its counters at the last look.
    pub after: Counters,
}

impl Watched {
    /// The most requests that it worked on in any look.
    pub fn most_running(&self) -> Option<f64> {
        self.most(|look| look.running)
    }

    /// The most requests that waited there in any look.
    pub fn most_waiting(&self) -> Option<f64> {
        self.most(|look| look.waiting)
    }

    /// The largest share of its key-value cache that was in use in any look.
    pub fn most_cache(&self) -> Option<f64> {
        self.most(|look| look.cache)
    }

    fn most(&self, gauge: impl Fn(&Look) -> Option<f64>) -> Option<f64> {
        self.looks.iter().filter_map(gauge).reduce(f64::max)
    }

    /// What it counted from the first look to the last: after − before. `None` also where it counted from 0 again.
    pub fn counted(&self) -> Counters {
        let (before, after) = (self.before, self.after);
        Counters {
            prompt_tokens: growth(before.prompt_tokens, after.prompt_tokens),
            output_tokens: growth(before.output_tokens, after.output_tokens),
        }
    }
}

fn growth(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    let growth = after? - before?;
    (growth >= 0.0).then_some(growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_a_difference_unless_the_server_began_again() {
        let counters = |prompt, output| Counters {
            prompt_tokens: prompt,
            output_tokens: output,
        };
        let watched = Watched {
            before: counters(Some(100.0), Some(50.0)),
            after: counters(Some(130.0), Some(20.0)),
            ..Watched::default()
        };
        assert_eq!(watched.counted(), counters(Some(30.0), None));
        let unknown = Watched {
            before: counters(None, Some(50.0)),
            ..watched
        };
        assert_eq!(unknown.counted(), counters(None, None));
    }

    #[test]
    fn maxima_are_of_the_looks_that_tell() {
        let look = |running, cache| Look {
            running,
            cache,
            ..Look::default()
        };
        let watched = Watched {
            looks: vec![
                look(Some(3.0), None),
                look(None, Some(0.5)),
                look(Some(2.0), Some(0.25)),
            ],
            ..Watched::default()
        };
        let most = (
            watched.most_running(),
            watched.most_waiting(),
            watched.most_cache(),
        );
        assert_eq!(most, (Some(3.0), None, Some(0.5)));
    }

    #[test]
    fn lateness_is_of_the_whole_distribution() {
        let mut late = Histogram::new(3).unwrap();
        assert_eq!(Lateness::of(&late), Lateness::default());
        late.record_n(1_000_000, 98).unwrap();
        late.record_n(11_000_000, 2).unwrap();
        let got = Lateness::of(&late);
        assert!((got.mean_s - 0.0012).abs() < 2e-6, "{got:?}");
        assert!((got.p99_s - 0.011).abs() < 2e-5, "{got:?}");
        assert!((got.max_s - 0.011).abs() < 2e-5, "{got:?}");
    }
}
