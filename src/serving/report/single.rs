//! The page of one benchmark by itself: what its file of raw results says, and every query of it where the file has them.

use serde_json::Value;

use crate::page::{
    self, Axis, Block, Chart, Column, Fact, Kind, Level, Notice, Page, Point, Scale, Section,
    Series, Table, counted,
};
use crate::serving::words::figure;
use crate::serving::{Beside, Query, Raw};

use super::profile::Profile;
use super::{card, charts};

/// The page.
pub fn single_page(raw: &Raw) -> Page {
    let told = |key: &str| {
        raw.parameters
            .get(key)
            .map_or_else(String::new, card::shown)
    };
    let sections = [
        ("Queries", queries(raw)),
        ("Server", server(raw)),
        ("Figures", figures(raw)),
        ("Errors", errors(raw)),
        ("Parameters", vec![named("What was run", &raw.parameters)]),
    ];
    let sections = sections
        .into_iter()
        .filter(|(_, blocks)| !blocks.is_empty());
    Page {
        title: format!("Benchmark of {}", told("model")),
        subtitle: format!(
            "{}, prompts of {} and answers of {} tokens",
            told("query_profile"),
            told("prompt_length"),
            told("output_length")
        ),
        notices: notices(raw),
        facts: facts(raw),
        sections: sections
            .map(|(heading, blocks)| Section {
                heading: heading.to_owned(),
                blocks,
            })
            .collect(),
        made_by: format!("llmload {}", env!("CARGO_PKG_VERSION")),
    }
}

fn notices(raw: &Raw) -> Vec<Notice> {
    let beside = Beside::read(&raw.llmload);
    let verdict = beside.verdict.unwrap_or_default();
    let level = match verdict.word.as_str() {
        "INVALID" => Level::Bad,
        "STRAINED" => Level::Warning,
        _ => Level::Good,
    };
    let own = (!verdict.word.is_empty()).then(|| Notice {
        level,
        word: verdict.word.clone(),
        text: verdict.reasons.join("; "),
    });
    let counts = beside.counters.and_then(|counted| counted.agree) == Some(false);
    let counts = counts.then(|| Notice {
        level: Level::Warning,
        word: "Counts differ".to_owned(),
        text: "the server's own counters of tokens are not the sums of its answers: did somebody else use it?"
            .to_owned(),
    });
    own.into_iter().chain(counts).collect()
}

fn facts(raw: &Raw) -> Vec<Fact> {
    let median = |name: &str, key: &str, unit: &str, factor: f64| {
        let value = raw.aggregated_metrics.get(key)?.get("median")?;
        Some(Fact {
            name: name.to_owned(),
            value: figure(value * factor),
            unit: unit.to_owned(),
            note: "median".to_owned(),
        })
    };
    let count = |key: &str| raw.general(key).unwrap_or(0.0);
    let beside = Beside::read(&raw.llmload);
    let given_up = match beside.dropped {
        0 => String::new(),
        dropped => format!("; {dropped} more given up at the end"),
    };
    let note = format!(
        "{} failed, of which {} timed out{given_up}",
        count("nb_errored_queries"),
        count("nb_timeout_queries")
    );
    let queries = Fact {
        name: "queries".to_owned(),
        value: format!("{}", count("total_number_of_queries")),
        unit: String::new(),
        note,
    };
    let span = beside.span_s;
    let all = (span > 0.0).then(|| Fact {
        name: "output of all".to_owned(),
        value: figure(count("total_number_of_generated_tokens") / span),
        unit: "tokens/s".to_owned(),
        note: "from the first query to the last".to_owned(),
    });
    [
        Some(queries),
        median("time to first token", "time_to_first_token", "ms", 1e3),
        median("speed of a query", "speed_from_beginning", "tokens/s", 1.0),
        median("total time", "total_query_time", "s", 1.0),
        all,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn queries(raw: &Raw) -> Vec<Block> {
    let Some(queries) = raw
        .individual_query
        .as_deref()
        .filter(|all| !all.is_empty())
    else {
        return Vec::new();
    };
    let first = queries
        .iter()
        .map(|query| query.starting_timestamp)
        .fold(f64::INFINITY, f64::min);
    let begun: Vec<&Query> = queries
        .iter()
        .filter(|query| !query.timestamp_of_tokens_arrival.is_empty())
        .collect();
    let ttft_ms = |query: &Query| query.time_to_first_token * 1e3;
    let against_length = points(&begun, |query| (whole(query.prompt_length), ttft_ms(query)));
    let over_time = |of: fn(&Query) -> f64| {
        points(&begun, |query| {
            (query.starting_timestamp - first, of(query))
        })
    };
    vec![
        Block::Chart(percentiles(&begun)),
        Block::Chart(cloud(
            "Time to first token by the length of the prompt",
            ("prompt length", "tokens"),
            ("time to first token", "ms"),
            against_length,
        )),
        Block::Chart(cloud(
            "Time to first token over time",
            ("begun", "s"),
            ("time to first token", "ms"),
            over_time(|query| query.time_to_first_token * 1e3),
        )),
        Block::Chart(cloud(
            "Speed of each query over time",
            ("begun", "s"),
            ("speed", "tokens/s"),
            over_time(|query| query.speed_from_beginning),
        )),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "lengths of prompts")]
fn whole(count: u64) -> f64 {
    count as f64
}

fn points(queries: &[&Query], of: impl Fn(&Query) -> (f64, f64)) -> Vec<Point> {
    let point = |query: &&Query| {
        let (x, y) = of(query);
        Point {
            x,
            y: Some(y),
            spread: None,
        }
    };
    queries.iter().map(point).collect()
}

fn axis((name, unit): (&str, &str)) -> Axis {
    page::axis(name, unit)
}

fn cloud(title: &str, x: (&str, &str), y: (&str, &str), points: Vec<Point>) -> Chart {
    let values = || points.iter().filter_map(|point| point.y);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(0.0, f64::max);
    Chart {
        title: title.to_owned(),
        summary: format!(
            "{} of {}, from {} to {} {}.",
            y.0,
            counted(points.len(), "query"),
            figure(low.min(high)),
            figure(high),
            y.1
        ),
        x: axis(x),
        y: vec![axis(y)],
        series: vec![Series {
            name: "queries".to_owned(),
            kind: Kind::Points,
            axis: 0,
            points,
        }],
        ..Chart::default()
    }
}

/// Each value at the share of the values below it.
fn percentiles(queries: &[&Query]) -> Chart {
    let curve = |name: &str, of: fn(&Query) -> f64| {
        let mut values: Vec<f64> = queries.iter().map(|query| of(query) * 1e3).collect();
        values.sort_by(f64::total_cmp);
        let all = whole(values.len() as u64);
        let point = |(below, value): (u64, f64)| Point {
            x: whole(below) / all,
            y: Some(value),
            spread: None,
        };
        Series {
            name: name.to_owned(),
            kind: Kind::Steps,
            axis: 0,
            points: (0..).zip(values).map(point).collect(),
        }
    };
    Chart {
        title: "Latencies by percentile".to_owned(),
        summary: format!(
            "Time to first token and total time of {} by percentile.",
            counted(queries.len(), "query")
        ),
        x: Axis {
            scale: Scale::Percentile,
            ..axis(("percentile", "%"))
        },
        y: vec![axis(("time", "ms"))],
        series: vec![
            curve("time to first token", |query| query.time_to_first_token),
            curve("total time", |query| query.total_query_time),
        ],
        ..Chart::default()
    }
}

fn server(raw: &Raw) -> Vec<Block> {
    if raw.kv_cache_profile.as_ref().is_none_or(Vec::is_empty) {
        return Vec::new();
    }
    let length = |key: &str| {
        let value = raw.parameters.get(key)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u32::try_from(number).ok()
    };
    let lengths = [length("prompt_length"), length("output_length")].map(Option::unwrap_or_default);
    let found = Profile::of(lengths[0], lengths[1], raw);
    let drawn = Chart {
        title: "The server meanwhile".to_owned(),
        ..charts::profile(&found)
    };
    vec![Block::Chart(drawn)]
}

fn figures(raw: &Raw) -> Vec<Block> {
    let Some((_, first)) = raw.aggregated_metrics.first() else {
        return vec![named("Sums", &raw.general_metrics)];
    };
    let names = std::iter::once("figure").chain(first.keys().map(String::as_str));
    let columns = names.enumerate().map(|(at, name)| Column {
        name: name.replace("percentile_", "p"),
        is_number: at > 0,
    });
    let row = |(name, statistics): (&String, &indexmap::IndexMap<String, f64>)| {
        let values = statistics.values().map(|value| figure(*value));
        std::iter::once(name.replace('_', " "))
            .chain(values)
            .collect()
    };
    let statistics = Table {
        title: "Statistics of the queries; times in s, speeds in tokens/s".to_owned(),
        columns: columns.collect(),
        rows: raw.aggregated_metrics.iter().map(row).collect(),
    };
    vec![
        Block::Table(statistics),
        named("Sums", &raw.general_metrics),
    ]
}

fn errors(raw: &Raw) -> Vec<Block> {
    let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for query in &raw.errored_queries {
        *kinds.entry(query.error.as_str()).or_default() += 1;
    }
    if kinds.is_empty() {
        return Vec::new();
    }
    let rows = kinds
        .into_iter()
        .map(|(words, count)| vec![words.to_owned(), count.to_string()]);
    let column = |name: &str, is_number| Column {
        name: name.to_owned(),
        is_number,
    };
    vec![Block::Table(Table {
        title: "Failures".to_owned(),
        columns: vec![column("failure", false), column("queries", true)],
        rows: rows.collect(),
    })]
}

fn named(title: &str, values: &serde_json::Map<String, Value>) -> Block {
    let column = |name: &str, is_number| Column {
        name: name.to_owned(),
        is_number,
    };
    let shown = |value: &Value| {
        let fraction = value.as_f64().filter(|_| !value.is_u64());
        fraction.map_or_else(|| card::shown(value), figure)
    };
    Block::Table(Table {
        title: title.to_owned(),
        columns: vec![column("name", false), column("value", true)],
        rows: values
            .iter()
            .map(|(name, value)| vec![name.clone(), shown(value)])
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::Played;

    fn query(at_s: f64, prompt_length: u64) -> Query {
        Query {
            starting_timestamp: 1_000.0 + at_s,
            timestamp_of_tokens_arrival: vec![1_000.2 + at_s],
            time_to_first_token: 0.2,
            total_query_time: 0.5,
            speed_from_beginning: 20.0,
            prompt_length,
            response_length: 10,
            success: true,
            ..Query::default()
        }
    }

    #[test]
    fn the_page_has_each_query_and_the_verdict() {
        let raw = Raw::of(Played {
            queries: vec![query(0.0, 10), query(1.0, 20)],
            query_metrics: true,
            verdict: Some(("STRAINED".to_owned(), vec!["late".to_owned()])),
            ..Played::default()
        });
        let page = single_page(&raw);
        let headings: Vec<&str> = page.sections.iter().map(|it| it.heading.as_str()).collect();
        assert_eq!(headings, ["Queries", "Figures", "Parameters"]);
        assert_eq!(page.notices[0].word, "STRAINED");
        let Block::Chart(chart) = &page.sections[0].blocks[1] else {
            panic!("no chart");
        };
        let points: Vec<(f64, Option<f64>)> = chart.series[0]
            .points
            .iter()
            .map(|it| (it.x, it.y))
            .collect();
        assert_eq!(points, [(10.0, Some(200.0)), (20.0, Some(200.0))]);
        assert_eq!(page.facts[0].value, "2");
    }

    #[test]
    fn a_benchmark_without_an_answer_has_a_page_too() {
        let failed = Query {
            error: "connection refused".to_owned(),
            ..Query::default()
        };
        let page = single_page(&Raw::of(Played {
            queries: vec![failed],
            query_metrics: true,
            ..Played::default()
        }));
        assert!(
            page.sections
                .iter()
                .any(|section| section.heading == "Errors")
        );
    }
}
