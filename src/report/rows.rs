//! Which rows a statistics table has, and in which order: the request's own, and one for each metric.
//! It lays out nothing.

use super::Context;
use crate::domain::Outcome;
use crate::metrics::{Metric, Phase, Series};

/// One row of a table or a statistics file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    /// `None` where nothing was recorded.
    pub(crate) series: Option<&'a Series>,
}

/// The rows of `phase` that a table shows: those of `rows` less the turns of conversations, which have a section of their own.
pub(crate) fn table_rows<'a>(ctx: &Context<'a>, phase: &'a Phase) -> Vec<Row<'a>> {
    rows_of(ctx, phase, |metric| !metric.is_of_a_turn())
}

/// The rows of `phase`, sorted by (name, type) as Locust sorts them.
///
/// Metrics are no requests: they have no failures, and the aggregated row leaves them out.
pub(crate) fn rows<'a>(ctx: &Context<'a>, phase: &'a Phase) -> Vec<Row<'a>> {
    rows_of(ctx, phase, |_| true)
}

fn rows_of<'a>(
    ctx: &Context<'a>,
    phase: &'a Phase,
    is_wanted: impl Fn(Metric) -> bool,
) -> Vec<Row<'a>> {
    let endpoint = Row {
        kind: ctx.endpoint.method,
        name: ctx.endpoint.name,
        ..aggregated(phase)
    };
    let metrics = Metric::ALL
        .into_iter()
        .filter(|&metric| is_wanted(metric) && is_shown(metric, ctx, phase));
    let metrics = metrics.flat_map(|metric| {
        table_names(metric).into_iter().map(move |name| Row {
            kind: "METRIC",
            name,
            requests: phase.get(metric).map_or(0, Series::count),
            failures: 0,
            series: phase.get(metric),
        })
    });
    let mut rows: Vec<_> = std::iter::once(endpoint).chain(metrics).collect();
    rows.sort_by_key(|row| (row.name, row.kind));
    rows
}

/// The row of all real requests.
pub(crate) fn aggregated(phase: &Phase) -> Row<'_> {
    let failures = phase.count(Outcome::is_failure);
    Row {
        kind: "",
        name: "Aggregated",
        requests: failures + phase.count(Outcome::is_good),
        failures,
        series: phase.get(Metric::TotalLatency),
    }
}

/// A closed loop has no due times worth a row, and the first visible output is one only where it is not the first token.
fn is_shown(metric: Metric, ctx: &Context<'_>, phase: &Phase) -> bool {
    let Some(series) = phase.get(metric) else {
        return false;
    };
    match metric {
        Metric::TimeToFirstTokenFromDue | Metric::LatencyFromDue | Metric::Lateness => {
            ctx.plan.is_open()
        }
        // They are of the generator, which has a section of its own.
        Metric::SendDelay | Metric::ReceiveLag => false,
        Metric::TimeToFirstOutput => phase.get(Metric::TimeToFirstToken) != Some(series),
        _ => true,
    }
}

/// The output token count stands under the three names that Fireworks' readers look for.
fn table_names(metric: Metric) -> Vec<&'static str> {
    match metric {
        Metric::OutputTokens => vec!["num_tokens", "completion_tokens", "generation_tokens"],
        other => vec![other.name()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Sample};

    fn names(sample: &Sample) -> String {
        let ctx = sample.context();
        let rows = rows(&ctx, &sample.summary.phase);
        let names: Vec<_> = rows.iter().map(|row| row.name).collect();
        names.join(" ")
    }

    #[test]
    fn vectors_have_rows_of_their_own_and_none_of_tokens() {
        assert_eq!(
            names(&sample::embeddings()),
            "/v1/chat/completions connect_time latency latency_per_embedding prompt_tokens requested_prompt_tokens \
             time_to_headers total_latency"
        );
        assert!(!names(&sample::rerank()).contains("latency_per_embedding"));
    }

    #[test]
    fn times_that_were_due_have_rows_in_every_loop_but_a_closed_one() {
        let mut sample = sample::closed();
        assert!(!names(&sample).contains("lateness"));
        let every = serde_json::json!({"burst": {"every": {"secs": 1, "nanos": 0}}});
        sample.plan.schedule.pacing = serde_json::from_value(every).unwrap();
        assert!(names(&sample).contains(" lateness "));
    }
}
