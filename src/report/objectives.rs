//! What became of the run's objectives, and the share of the load that met them all.
//! Whether that is a failure is decided elsewhere.

use serde_json::{Value, json};

use super::{Context, number};
use crate::metrics::{Measured, Objective};

/// The section's lines: one an objective, then goodput beside throughput. None where nothing was wanted.
pub(crate) fn lines(ctx: &Context<'_>) -> Vec<String> {
    let mut lines: Vec<_> = judged(ctx).iter().map(line).collect();
    lines.extend(goodput(ctx));
    lines
}

/// How many objectives were not met, and of how many; `None` where none was missed.
pub(crate) fn missed(ctx: &Context<'_>) -> Option<(usize, usize)> {
    let judged = judged(ctx);
    let missed = judged.iter().filter(|one| one.is_met() == Some(false));
    let missed = missed.count();
    (missed > 0).then_some((missed, judged.len()))
}

fn judged(ctx: &Context<'_>) -> Vec<Objective> {
    ctx.summary.objectives(&ctx.plan.observe.slos)
}

fn line(objective: &Objective) -> String {
    let measured = match objective.measured {
        None => "nothing was measured that it could be held against".to_owned(),
        Some(Measured::Percentile {
            metric,
            nanos,
            is_supported,
        }) => {
            let doubt = if is_supported { "" } else { "~" };
            let millis = number::shown(nanos);
            format!("{doubt}{millis:.3} ms ({})", metric.name())
        }
        Some(Measured::Requests { met, of }) => {
            format!("by {met} of {of} requests ({})", percent(met, of))
        }
    };
    let verdict = match objective.is_met() {
        None => "unknown",
        Some(true) => "met",
        Some(false) => "NOT MET",
    };
    format!("{}: {verdict}, {measured}", objective.slo)
}

fn goodput(ctx: &Context<'_>) -> Option<String> {
    let summary = ctx.summary;
    let (good, all) = (summary.goodput_per_s?, summary.requests_per_s()?);
    let share = percent(summary.phase.met_all, summary.requests());
    Some(format!(
        "goodput {good:.2} of {all:.2} requests/s met every limit ({share})"
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a share for display")]
fn percent(part: u64, of: u64) -> String {
    format!("{:.1}%", 100.0 * part as f64 / of.max(1) as f64)
}

/// The `objectives` of a result file.
pub(crate) fn objects(ctx: &Context<'_>) -> Vec<Value> {
    judged(ctx).iter().map(object).collect()
}

fn object(objective: &Objective) -> Value {
    let slo = &objective.slo;
    let (mut millis, mut metric, mut few, mut met, mut of) = (None, None, None, None, None);
    match objective.measured {
        None => {}
        Some(Measured::Percentile {
            metric: from,
            nanos,
            is_supported,
        }) => {
            (millis, metric) = (Some(number::shown(nanos)), Some(from.key()));
            few = Some(!is_supported);
        }
        Some(Measured::Requests {
            met: good,
            of: requests,
        }) => (met, of) = (Some(good), Some(requests)),
    }
    json!({
        "objective": slo.to_string(),
        "figure": slo.figure.name(),
        "quantile": slo.quantile,
        "limit_ms": number::shown(slo.limit_ns),
        "measured_ms": millis,
        "metric": metric,
        "too_few_samples": few,
        "requests_met": met,
        "requests": of,
        "met": objective.is_met(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{closing, json, sample};

    fn wanted(slos: &[&str]) -> sample::Sample {
        sample::with_objectives(slos)
    }

    #[test]
    fn each_objective_says_what_was_wanted_and_what_came_of_it() {
        let sample = wanted(&[
            "ttft:p50<10.1ms",
            "ttft:p95<10ms",
            "tpot:p50<1s",
            "itl<20ms",
            "latency<40.1ms",
        ]);
        insta::assert_snapshot!(lines(&sample.context()).join("\n"), @r#"
        ttft:p50<10.1ms: met, 10.000 ms (time_to_first_token)
        ttft:p95<10ms: NOT MET, ~10.000 ms (time_to_first_token)
        tpot:p50<1s: met, 10.000 ms (time_per_output_token)
        itl<20ms: NOT MET, by 3 of 4 requests (75.0%)
        latency<40.1ms: NOT MET, by 3 of 4 requests (75.0%)
        goodput 0.00 of 0.40 requests/s met every limit (0.0%)
        "#);
        assert!(
            closing::sections(&sample.context()).contains("\nObjectives\n  ttft:p50<10.1ms: met")
        );
    }

    #[test]
    fn what_was_never_measured_is_neither_met_nor_not() {
        let mut sample = wanted(&["ttft:p50<1s"]);
        sample.summary.phase.series.clear();
        assert_eq!(
            lines(&sample.context())[0],
            "ttft:p50<1s: unknown, nothing was measured that it could be held against"
        );
        assert_eq!(lines(&sample::open().context()), Vec::<String>::new());
    }

    #[test]
    fn a_result_file_has_every_objective_and_the_goodput() {
        let sample = wanted(&["ttft:p50<10.1ms", "latency<40ms"]);
        let result: Value =
            serde_json::from_str(&json::result(&sample.context()).unwrap()).unwrap();
        assert_eq!(
            result["objectives"],
            json!([
                {
                    "objective": "ttft:p50<10.1ms", "figure": "ttft", "quantile": 0.5, "limit_ms": 10.1,
                    "measured_ms": 10.0, "metric": "ttft_ms", "too_few_samples": false,
                    "requests_met": null, "requests": null, "met": true,
                },
                {
                    "objective": "latency<40ms", "figure": "latency", "quantile": null, "limit_ms": 40.0,
                    "measured_ms": null, "metric": null, "too_few_samples": null,
                    "requests_met": 0, "requests": 4, "met": false,
                },
            ])
        );
        let measured = &result["measured"];
        assert_eq!(
            (&measured["goodput_per_s"], &measured["goodput_ratio"]),
            (&json!(0.0), &json!(0.0))
        );
    }
}
