//! Tables with a row a run: our CSV with upstream Fireworks' columns, and a sweep's comparison. Times there are in milliseconds.

use super::ReadError;
use crate::compare::{Figure, Kind, Rate, Run, Settings, Stat};

/// The columns of a table, and a row of it.
struct Row<'a> {
    columns: &'a csv::StringRecord,
    fields: &'a csv::StringRecord,
}

impl Row<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let at = self.columns.iter().position(|column| column == name)?;
        let field = self.fields.get(at)?.trim();
        (!field.is_empty()).then(|| field.to_owned())
    }

    fn number(&self, name: &str) -> Option<f64> {
        let number: Option<f64> = self.text(name)?.parse().ok();
        number.filter(|number| number.is_finite())
    }

    fn seconds(&self, name: &str) -> Option<f64> {
        self.number(name).map(|millis| millis / 1e3)
    }
}

/// The rows of the table, each with the name of its run where it has one.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<(Option<String>, Run)>, ReadError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader
        .headers()
        .map_err(|why| ReadError::broken(name, "line 1", &why))?
        .clone();
    let has = |column: &str| columns.iter().any(|it| it == column);
    let kind = if has("Provider") && has("Num Requests") {
        Kind::SummaryRow
    } else if has("run") && has("settings") && has("latency p50") {
        Kind::SweepRow
    } else {
        let lacks = "it is neither JSON nor a table with `Provider` and `Num Requests` (a summary file) or with `run`, \
`settings` and `latency p50` (a sweep's comparison.csv)";
        return Err(ReadError::unknown(name, lacks));
    };
    let mut runs = Vec::new();
    for (at, fields) in (2..).zip(reader.records()) {
        let fields = fields.map_err(|why| ReadError::broken(name, format!("line {at}"), &why))?;
        let row = Row {
            columns: &columns,
            fields: &fields,
        };
        let mut run = match kind {
            Kind::SweepRow => sweep_row(&row),
            _ => summary_row(&row),
        };
        run.files = vec![format!("{name}:{at}")];
        run.kinds = [kind].into();
        let label = row.text("settings").filter(|_| kind == Kind::SweepRow);
        runs.push((label, run));
    }
    if runs.is_empty() {
        return Err(ReadError::unknown(name, "the table has no row"));
    }
    Ok(runs)
}

fn summary_row(row: &Row<'_>) -> Run {
    let stated = [
        (Figure::Ttft, Stat::Mean, row.seconds("Time To First Token")),
        (
            Figure::Ttft,
            Stat::Median,
            row.seconds("P50 Time To First Token"),
        ),
        (
            Figure::Ttft,
            Stat::P95,
            row.seconds("P95 Time To First Token"),
        ),
        (Figure::EndToEnd, Stat::Mean, row.seconds("Total Latency")),
        (
            Figure::EndToEnd,
            Stat::Median,
            row.seconds("P50 Total Latency"),
        ),
        (
            Figure::EndToEnd,
            Stat::P95,
            row.seconds("P95 Total Latency"),
        ),
        (Figure::InputTokens, Stat::Mean, row.number("Prompt Tokens")),
        (Figure::OutputTokens, Stat::Mean, row.number("Num Tokens")),
    ];
    let temperature = row
        .text("Temperature")
        .map(|it| ("temperature".to_owned(), it));
    Run {
        settings: Settings {
            model: row.text("Model"),
            api: row.text("Provider"),
            concurrency: row.text("Concurrency"),
            streamed: row.text("Stream").map(|it| it == "True"),
            sampling: temperature.into_iter().collect(),
            ..Settings::default()
        },
        stated: known(stated),
        rates: row
            .number("Qps")
            .map(|qps| (Rate::RequestsPerMinute, qps * 60.0))
            .into_iter()
            .collect(),
        notes: vec![
            "a summary row counts good requests alone: its error rate is not known".to_owned(),
        ],
        ..Run::default()
    }
}

fn known<const N: usize>(
    stated: [(Figure, Stat, Option<f64>); N],
) -> std::collections::BTreeMap<(Figure, Stat), f64> {
    let known = stated
        .into_iter()
        .filter_map(|(figure, stat, value)| Some(((figure, stat), value?)));
    known.collect()
}

fn sweep_row(row: &Row<'_>) -> Run {
    let stated = [
        (Figure::Ttft, Stat::Mean, row.seconds("TTFT mean")),
        (Figure::Ttft, Stat::Median, row.seconds("TTFT p50")),
        (Figure::Ttft, Stat::P95, row.seconds("TTFT p95")),
        (Figure::TimePerToken, Stat::Mean, row.seconds("TPOT mean")),
        (Figure::EndToEnd, Stat::Median, row.seconds("latency p50")),
        (Figure::EndToEnd, Stat::P95, row.seconds("latency p95")),
    ];
    let label = row.text("settings").unwrap_or_default();
    let setting = |name: &str| {
        let words = label.split(' ').filter_map(|word| word.split_once('='));
        let mut named = words.filter(|(key, _)| *key == name);
        named.next().map(|(_, value)| value.to_owned())
    };
    let count = |name: &str| row.text(name).and_then(|it| it.parse().ok());
    let rate = row
        .number("QPS asked")
        .map(|rate| format!("{rate} requests/s"));
    Run {
        settings: Settings {
            model: setting("model"),
            api: setting("provider"),
            concurrency: rate.or_else(|| setting("users")),
            input: setting("prompt-tokens"),
            output: setting("max-tokens"),
            ..Settings::default()
        },
        stated: known(stated),
        rates: row
            .number("tokens/s")
            .map(|it| (Rate::OverallThroughput, it))
            .into_iter()
            .collect(),
        requests: count("requests"),
        errors: count("failures"),
        notes: vec![
            "a sweep's table has four digits, and its tokens/s are those of the measured window"
                .to_owned(),
        ],
        ..Run::default()
    }
}
