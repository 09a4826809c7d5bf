//! What a server writes for all requests together, for each pair of lengths and number of requests under way.

use crate::serving::stats::{quantity, ratio};
use crate::serving::{Beside, Raw};

use super::kept::Kept;

/// One number of requests under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sum {
    pub(super) parallel: u32,
    /// Of all queries, one after another: seconds.
    pub(super) total_time: f64,
    /// By the clock, with all that is around the queries: seconds.
    pub(super) actual_total_time: f64,
    pub(super) tokens: u64,
    /// Tokens per second; 0 where no time is left for them.
    pub(super) speed: f64,
}

/// One pair of lengths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Total {
    pub(super) input: u32,
    pub(super) output: u32,
    pub(super) levels: Vec<Sum>,
    /// What the smallest level had around its queries, in seconds: taken from the time of all.
    pub(super) overhead_s: f64,
}

impl Total {
    pub(super) fn all(kept: &Kept<'_>) -> Vec<Self> {
        let mut totals: Vec<Self> = Vec::new();
        for ((input, output), parallel, raw) in kept.speeds() {
            let is_new = totals
                .last()
                .is_none_or(|last| (last.input, last.output) != (input, output));
            if is_new {
                totals.push(Self {
                    input,
                    output,
                    levels: Vec::new(),
                    overhead_s: overhead(parallel, raw),
                });
            }
            if let Some(total) = totals.last_mut() {
                total.levels.push(sum(parallel, raw, total.overhead_s));
            }
        }
        totals
    }
}

/// What a benchmark had around its queries: by when the first began and the last ended; where the file does not tell, by the
/// queries' times, of which `parallel` passed at once.
fn overhead(parallel: u32, raw: &Raw) -> f64 {
    let of = |key| raw.general(key).unwrap_or(0.0);
    let span = Beside::read(&raw.llmload).span_s;
    let busy = match span > 0.0 {
        true => span,
        false => of("total_time") / f64::from(parallel.max(1)),
    };
    (of("actual_total_time") - busy).max(0.0)
}

fn sum(parallel: u32, raw: &Raw, overhead_s: f64) -> Sum {
    let of = |key| raw.general(key).unwrap_or(0.0);
    let tokens = crate::serving::stats::whole(of("total_number_of_generated_tokens"));
    let actual_total_time = of("actual_total_time");
    Sum {
        parallel,
        total_time: of("total_time"),
        actual_total_time,
        tokens,
        speed: ratio(quantity(tokens), actual_total_time - overhead_s),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(total: f64, actual: f64, tokens: u64, span: f64) -> Raw {
        let general = json!({"total_time": total, "actual_total_time": actual, "total_number_of_generated_tokens": tokens});
        let beside = json!({"span_s": span});
        Raw {
            general_metrics: general.as_object().unwrap().clone(),
            llmload: beside.as_object().unwrap().clone(),
            ..Raw::default()
        }
    }

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn what_the_smallest_level_had_around_its_queries_is_nobodys_time() {
        near(overhead(1, &raw(100.0, 103.5, 0, 0.0)), 3.5);
        near(overhead(2, &raw(100.0, 53.5, 0, 0.0)), 3.5);
        near(overhead(1, &raw(90.0, 103.5, 0, 100.0)), 3.5);
        near(overhead(1, &raw(100.0, 90.0, 0, 0.0)), 0.0);
        let sum = sum(4, &raw(200.0, 53.5, 1000, 0.0), 3.5);
        near(sum.speed, 20.0);
        near(super::sum(4, &raw(200.0, 3.0, 1000, 0.0), 3.5).speed, 0.0);
    }
}
