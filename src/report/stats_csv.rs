//! Locust's four CSV files: statistics, their history, failures, exceptions.
//! Whole contents or whole rows come out as text; replacing a file is somebody else's work.

use super::rows::{Row, aggregated, rows};
use super::{Context, PERCENTILES, number};
use crate::metrics::{ErrorKey, Phase, Series};

const EXCEPTIONS_HEADER: [&str; 4] = ["Count", "Message", "Traceback", "Nodes"];
const FAILURES_HEADER: [&str; 6] = [
    "Method",
    "Name",
    "Error",
    "Occurrences",
    "First Seen",
    "Last Seen",
];

const STATS_HEADING: &str = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
                             Max Response Time,Average Content Size,Requests/s,Failures/s";

/// One moment of the history file.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Seconds since 1970.
    pub timestamp_s: i64,
    /// Users alive.
    pub users: u32,
    /// What finished in the last 10 s: the percentiles and rates of the moment.
    pub recent: &'a Phase,
    /// How long `recent` is, in seconds: less than 10 at the start of a run.
    pub recent_s: f64,
}

/// The content of `PREFIX_stats.csv`.
pub fn stats(ctx: &Context<'_>) -> Result<String, csv::Error> {
    let mut text = heading_with_percentiles(STATS_HEADING) + "\n";
    for fields in stats_rows(ctx) {
        text.push_str(&line(&fields)?);
    }
    Ok(text)
}

/// The names of its columns.
pub fn stats_columns() -> Vec<String> {
    let heading = heading_with_percentiles(STATS_HEADING);
    heading.split(',').map(str::to_owned).collect()
}

/// Its rows, field by field, the aggregated one last.
pub fn stats_rows(ctx: &Context<'_>) -> Vec<Vec<String>> {
    let fields = |row: &Row<'_>| {
        let mut fields = vec![row.kind.to_owned(), row.name.to_owned()];
        fields.extend(totals(row, &ctx.summary.phase));
        fields.extend(rates(row, ctx.summary.window_s()));
        fields.extend(percentiles(row.series));
        fields
    };
    let rows = all_rows(ctx, &ctx.summary.phase);
    rows.iter().map(fields).collect()
}

/// The first line of `PREFIX_stats_history.csv`.
pub fn history_header() -> String {
    let start = heading_with_percentiles("Timestamp,User Count,Type,Name,Requests/s,Failures/s");
    start
        + ",Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,\
           Total Min Response Time,Total Max Response Time,Total Average Content Size\n"
}

/// The rows that one moment adds to the history: the aggregated one, and with `full` all others before it.
pub fn history_rows(
    ctx: &Context<'_>,
    point: &Point<'_>,
    full: bool,
) -> Result<String, csv::Error> {
    let recent = all_rows(ctx, point.recent);
    let now = |row: &Row<'_>| {
        let same = |other: &&Row<'_>| (other.kind, other.name) == (row.kind, row.name);
        recent.iter().find(same).copied().unwrap_or(Row {
            requests: 0,
            failures: 0,
            series: None,
            ..*recent.last().unwrap_or(&aggregated(point.recent))
        })
    };
    let mut text = String::new();
    let total = all_rows(ctx, &ctx.summary.phase);
    for row in total.iter().filter(|row| full || row.kind.is_empty()) {
        let recent = now(row);
        let mut fields = vec![
            point.timestamp_s.to_string(),
            point.users.to_string(),
            row.kind.to_owned(),
            row.name.to_owned(),
        ];
        fields.extend(rates(&recent, point.recent_s));
        fields.extend(percentiles(recent.series));
        fields.extend(totals(row, &ctx.summary.phase));
        text.push_str(&line(&fields)?);
    }
    Ok(text)
}

/// The content of `PREFIX_failures.csv`; times are UTC, as RFC 3339.
pub fn failures(ctx: &Context<'_>) -> Result<String, csv::Error> {
    let mut text = line(&FAILURES_HEADER)?;
    for fields in failure_rows(ctx) {
        text.push_str(&line(&fields)?);
    }
    Ok(text)
}

/// Its rows, field by field: method, name, error, occurrences, first and last seen.
pub fn failure_rows(ctx: &Context<'_>) -> Vec<[String; 6]> {
    let errors = ctx.summary.errors.iter();
    let fields = errors.map(|(key, seen)| {
        [
            ctx.endpoint.method.to_owned(),
            ctx.endpoint.name.to_owned(),
            error_words(key),
            seen.count.to_string(),
            ctx.wall_clock(seen.first_seen),
            ctx.wall_clock(seen.last_seen),
        ]
    });
    fields.collect()
}

/// The content of `PREFIX_exceptions.csv`: the header alone. Locust lists what user code threw; here there is none.
pub fn exceptions() -> Result<String, csv::Error> {
    line(&EXCEPTIONS_HEADER)
}

/// A failure's kind in words: its outcome, and what was said.
pub(crate) fn error_words(key: &ErrorKey) -> String {
    if key.text.is_empty() {
        key.outcome.name().to_owned()
    } else {
        format!("{}: {}", key.outcome.name(), key.text)
    }
}

/// One line of CSV.
pub(crate) fn line<T: AsRef<[u8]>>(fields: &[T]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn heading_with_percentiles(start: &str) -> String {
    PERCENTILES
        .iter()
        .fold(start.to_owned(), |line, (name, _)| line + "," + name)
}

fn all_rows<'a>(ctx: &Context<'a>, phase: &'a Phase) -> Vec<Row<'a>> {
    let mut all = rows(ctx, phase);
    all.push(aggregated(phase));
    all
}

/// Counts, median, average, minimum, maximum, and the average body in bytes (of real requests alone).
#[expect(clippy::cast_precision_loss, reason = "an average for display")]
fn totals(row: &Row<'_>, phase: &Phase) -> [String; 7] {
    let shown = |value: Option<f64>| number::plain(value.unwrap_or(0.0));
    let exact = |value: Option<u64>| shown(value.map(number::shown));
    let body = match phase.finished() {
        0 => 0.0,
        _ if row.kind == "METRIC" => 0.0,
        finished => phase.body_bytes as f64 / finished as f64,
    };
    [
        row.requests.to_string(),
        row.failures.to_string(),
        shown(
            row.series
                .and_then(|series| number::percentile(series, 0.5)),
        ),
        shown(row.series.and_then(number::mean)),
        exact(row.series.and_then(Series::min)),
        exact(row.series.and_then(Series::max)),
        number::plain(body),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
fn rates(row: &Row<'_>, seconds: f64) -> [String; 2] {
    [row.requests, row.failures].map(|count| {
        let rate = if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        };
        number::plain(rate)
    })
}

fn percentiles(series: Option<&Series>) -> impl Iterator<Item = String> {
    PERCENTILES.iter().map(move |(_, q)| {
        let value = series.and_then(|series| number::percentile(series, *q));
        value.map_or_else(|| "N/A".to_owned(), number::plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn statistics_have_locusts_columns_and_end_with_the_aggregated_row() {
        let sample = sample::open();
        let text = stats(&sample.context()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
             Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%"
        );
        assert_eq!(
            lines[1],
            "POST,/v1/chat/completions,4,1,42,42,42,42,800,0.4,0.1,42,42,42,42,42,42,42,42,42,42,42"
        );
        assert_eq!(
            lines.last(),
            Some(
                &lines[1]
                    .replace("POST,/v1/chat/completions", ",Aggregated")
                    .as_str()
            )
        );
        assert!(text.contains("\nMETRIC,num_tokens,3,0,4,4,4,4,0,0.3,0,4,"));
    }

    #[test]
    fn history_holds_the_moment_beside_the_total() {
        let sample = sample::open();
        let (ctx, empty) = (sample.context(), Phase::default());
        let point = |recent| Point {
            timestamp_s: 1_700_000_000,
            users: 4,
            recent,
            recent_s: 2.0,
        };
        assert_eq!(
            history_rows(&ctx, &point(&sample.summary.phase), false).unwrap(),
            "1700000000,4,,Aggregated,2,0.5,42,42,42,42,42,42,42,42,42,42,42,4,1,42,42,42,42,800\n"
        );
        assert_eq!(
            history_rows(&ctx, &point(&empty), false).unwrap(),
            "1700000000,4,,Aggregated,0,0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,4,1,42,42,42,42,800\n"
        );
        let full = history_rows(&ctx, &point(&empty), true).unwrap();
        assert_eq!(
            full.lines().count(),
            stats(&ctx).unwrap().lines().count() - 1
        );
        let columns = history_header().trim_end().split(',').count();
        assert!(full.lines().all(|line| line.split(',').count() == columns));
    }

    #[test]
    fn failures_tell_when_they_were_seen() {
        let sample = sample::open();
        insta::assert_snapshot!(failures(&sample.context()).unwrap(), @r#"
        Method,Name,Error,Occurrences,First Seen,Last Seen
        POST,/v1/chat/completions,"http_5xx: busy, ""really""",1,2026-01-02T03:04:05.643Z,2026-01-02T03:04:05.643Z
        "#);
        assert_eq!(exceptions().unwrap(), "Count,Message,Traceback,Nodes\n");
    }
}
