//! Conversations turn by turn: one line each, for a history that grows makes later turns slower.
//! The figures are those of `metrics`; files have them one by one.

use super::{Context, number};
use crate::metrics::{Metric, Series, TurnClass};

/// The section's lines; none where no request was part of a conversation.
pub(crate) fn lines(ctx: &Context<'_>) -> Vec<String> {
    let rows: Vec<_> = TurnClass::all().filter_map(|turn| row(ctx, turn)).collect();
    if rows.is_empty() {
        return rows;
    }
    let heading = format!(
        "{:<4} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>13}",
        "turn",
        "requests",
        "ttft mean",
        "ttft p50",
        "ttft p95",
        "latency mean",
        "latency p95",
        "prompt tokens"
    );
    std::iter::once(heading).chain(rows).collect()
}

fn row(ctx: &Context<'_>, turn: TurnClass) -> Option<String> {
    let latency = ctx.summary.get(Metric::TurnLatency(turn))?;
    let ttft = ctx.summary.get(Metric::TurnTimeToFirstToken(turn));
    let prompt = ctx.summary.get(Metric::TurnPromptTokens(turn));
    let mean = |series: Option<&Series>| cell(series.and_then(number::mean), true);
    let at = |series: Option<&Series>, q| {
        let value = series.and_then(|series| number::percentile(series, q));
        cell(value, series.is_none_or(|series| series.supports(q)))
    };
    Some(format!(
        "{:<4} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>13}",
        turn.label(),
        latency.count(),
        mean(ttft),
        at(ttft, 0.5),
        at(ttft, 0.95),
        mean(Some(latency)),
        at(Some(latency), 0.95),
        mean(prompt),
    ))
}

/// Milliseconds or things to a tenth; with a mark where there were too few of them.
fn cell(value: Option<f64>, is_supported: bool) -> String {
    let doubt = if is_supported { "" } else { "~" };
    value.map_or_else(|| "-".to_owned(), |value| format!("{doubt}{value:.1}"))
}

#[cfg(test)]
mod tests {
    use crate::report::{closing, sample, stats_csv, table};

    #[test]
    fn every_turn_has_a_line_and_late_ones_share_one() {
        let sample = sample::conversations();
        let text = closing::sections(&sample.context());
        let section = text.split("Turns\n").nth(1).unwrap();
        insta::assert_snapshot!(section.split("\n\n").next().unwrap(), @r#"
        turn requests  ttft mean   ttft p50   ttft p95 latency mean  latency p95 prompt tokens
        1           2       10.0       10.0      ~10.0         40.0        ~40.0         100.0
        2           2       12.0       12.0      ~12.0         42.0        ~42.0         120.0
        3           2       14.0       14.0      ~14.0         44.0        ~44.0         140.0
        4           2       16.0       16.0      ~16.0         46.0        ~46.0         160.0
        5           2       18.0       18.0      ~18.0         48.0        ~48.0         180.0
        6           2       20.0       20.0      ~20.0         50.0        ~50.0         200.0
        7           2       22.0       22.0      ~22.0         52.0        ~52.0         220.0
        8           2       24.0       24.0      ~24.0         54.0        ~54.0         240.0
        9           2       26.0       26.0      ~26.0         56.0        ~56.0         260.0
        10          2       28.0       28.0      ~28.0         58.0        ~58.0         280.0
        11+         3       30.7       30.0      ~32.0         60.7        ~62.0         306.7
        "#);
        let files = stats_csv::stats(&sample.context()).unwrap();
        assert!(files.contains("\nMETRIC,turn_11+_latency,3,0,"), "{files}");
        assert!(!table::all(&sample.context(), None).contains("turn_"));
        assert!(!closing::sections(&sample::closed().context()).contains("Turns\n"));
    }
}
