//! The report of a token benchmark, and of a correctness test, as a page: their figures, failures, plots and settings.
//! How a page looks, and how its charts are drawn, is the room `page`'s.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::plots::{plots, three_digits};
use super::{Benchmark, Correctness, Individual, Mark, Marks, Solved};
use crate::chart::{Body, Figure};
use crate::page::{
    At, Block, Chart, Fact, Kind, Page, Section, axis, counted, series, table, text,
};
use crate::report::page::{Bins, Course, percent};

/// More kinds of errors, or wrong answers, than this are counted and not told.
const TOLD: usize = 20;
/// Characters of an answer that are told.
const LONGEST: usize = 400;

/// The columns of the table: heading, end of the key.
const COLUMNS: [(&str, &str); 10] = [
    ("#mean", "mean"),
    ("#p25", "quantiles_p25"),
    ("#p50", "quantiles_p50"),
    ("#p75", "quantiles_p75"),
    ("#p90", "quantiles_p90"),
    ("#p95", "quantiles_p95"),
    ("#p99", "quantiles_p99"),
    ("#min", "min"),
    ("#max", "max"),
    ("#stddev", "stddev"),
];

/// The rows of the table: words, key, and what a value is multiplied by for the unit in the words.
const ROWS: [(&str, &str, f64); 6] = [
    ("end-to-end latency (s)", "end_to_end_latency_s", 1.0),
    ("time to first token (s)", "ttft_s", 1.0),
    ("inter-token latency (ms)", "inter_token_latency_s", 1e3),
    (
        "output throughput of a request (tokens/s)",
        "request_output_throughput_token_per_s",
        1.0,
    ),
    ("input tokens", "number_input_tokens", 1.0),
    ("output tokens", "number_output_tokens", 1.0),
];

/// The page of a token benchmark. `summary` is [`summary`](fn@super::summary)'s; `course` may be empty, where only the
/// files are left of a test.
pub fn benchmark_page(
    bench: &Benchmark,
    summary: &Map<String, Value>,
    responses: &[Individual],
    course: &Course,
) -> Page {
    let counted = if bench.tokenizer_id.is_empty() {
        String::new()
    } else {
        format!("; tokens counted by {}", bench.tokenizer_id)
    };
    let sections = vec![
        section("Figures", figures(summary)),
        section("Errors", errors(responses)),
        section("Plots", charts(&bench.stem(), responses)),
        section("Over time", course.over_time.clone()),
        section("Can these figures be trusted?", course.trust.clone()),
        section("Settings", settings(summary, course)),
    ];
    Page {
        title: bench.model.clone(),
        subtitle: format!(
            "Token benchmark{}, over at {} UTC{counted}",
            through(&bench.llm_api),
            over(summary)
        ),
        facts: facts(summary),
        sections: filled(sections),
        made_by: made_by(),
        ..Page::default()
    }
}

/// The page of a correctness test. `summary` is [`correctness_summary`](super::correctness_summary)'s.
/// `course` may be empty.
pub fn correctness_page(
    test: &Correctness,
    summary: &Map<String, Value>,
    tasks: &[Solved],
    course: &Course,
) -> Page {
    let responses: Vec<Individual> = tasks.iter().map(|task| task.metrics.clone()).collect();
    let sections = vec![
        section("Wrong answers", wrong(tasks)),
        section("Errors", errors(&responses)),
        section("Plots", charts(&test.stem(), &responses)),
        section("Over time", course.over_time.clone()),
        section("Can these figures be trusted?", course.trust.clone()),
        section("Settings", settings(summary, course)),
    ];
    Page {
        title: test.model.clone(),
        subtitle: format!(
            "Correctness test{}, over at {} UTC",
            through(&test.llm_api),
            over(summary)
        ),
        facts: marks(Marks::of(tasks)),
        sections: filled(sections),
        made_by: made_by(),
        ..Page::default()
    }
}

fn made_by() -> String {
    format!("llmload {}", env!("CARGO_PKG_VERSION"))
}

fn through(api: &str) -> String {
    if api.is_empty() {
        String::new()
    } else {
        format!(" through the {api} API")
    }
}

fn section(heading: &str, blocks: Vec<Block>) -> Section {
    Section {
        heading: heading.to_owned(),
        blocks,
    }
}

fn filled(sections: Vec<Section>) -> Vec<Section> {
    let is_filled = |section: &Section| !section.blocks.is_empty();
    sections.into_iter().filter(is_filled).collect()
}

/// The wall-clock time of the end, in words.
fn over(summary: &Map<String, Value>) -> String {
    let seconds = summary.get("timestamp").and_then(Value::as_i64);
    let at = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.and_then(|at| at.format(format).ok()).unwrap_or_default()
}

/// A single number in words; a dash where there is none.
fn figure(value: Option<&Value>, factor: f64) -> String {
    // Some of llmperf's numbers are texts.
    let known = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    known.map_or_else(|| "–".to_owned(), |value| three_digits(value * factor))
}

fn fact(name: &str, value: String, unit: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        note: String::new(),
    }
}

fn facts(summary: &Map<String, Value>) -> Vec<Fact> {
    let value = |key: &str| summary.get(&format!("results_{key}"));
    let one = |name, key, unit| fact(name, figure(value(key), 1.0), unit);
    let rate = value("error_rate").and_then(Value::as_f64).unwrap_or(0.0);
    vec![
        one("requests completed", "num_completed_requests", ""),
        one("rate", "num_completed_requests_per_min", "requests/min"),
        one(
            "output, all requests",
            "mean_output_throughput_token_per_s",
            "tokens/s",
        ),
        fact("requests failed", three_digits(rate * 100.0), "%"),
        one("time to first token, p50", "ttft_s_quantiles_p50", "s"),
        one(
            "end-to-end latency, p50",
            "end_to_end_latency_s_quantiles_p50",
            "s",
        ),
    ]
}

fn marks(marks: Marks) -> Vec<Fact> {
    let wrong = marks.wrong_share().map_or_else(|| "–".to_owned(), percent);
    let right = marks.answered() - marks.mismatches;
    vec![
        fact("tasks", marks.completed.to_string(), ""),
        fact("right answers", right.to_string(), ""),
        Fact {
            note: format!(
                "{} of {}",
                marks.mismatches,
                counted(marks.answered(), "answer")
            ),
            ..fact("wrong answers", wrong, "")
        },
        Fact {
            note: format!(
                "{} of {}",
                marks.errors,
                counted(marks.completed, "request")
            ),
            ..fact("requests failed", percent(marks.error_rate()), "")
        },
    ]
}

fn figures(summary: &Map<String, Value>) -> Vec<Block> {
    let cell =
        |key: &str, end: &str, factor| figure(summary.get(&format!("results_{key}_{end}")), factor);
    let row = |(name, key, factor): (&str, &str, f64)| {
        let cells = COLUMNS.iter().map(|(_, end)| cell(key, end, factor));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let columns: Vec<&str> = std::iter::once("figure")
        .chain(COLUMNS.iter().map(|(heading, _)| *heading))
        .collect();
    vec![
        table("Figures of good requests", &columns, ROWS.map(row).into()),
        text(
            "Inter-token latency is the time to the last content by all output tokens, the first one counted in, as llmperf \
             defines it.",
        ),
    ]
}

/// What went wrong, the most frequent first.
fn errors(responses: &[Individual]) -> Vec<Block> {
    let mut known: indexmap::IndexMap<(i64, &str), usize> = indexmap::IndexMap::new();
    for one in responses {
        if let Some(code) = one.error_code {
            *known.entry((code, &one.error_msg)).or_default() += 1;
        }
    }
    if known.is_empty() {
        return Vec::new();
    }
    known.sort_by(|_, one, _, other| other.cmp(one));
    let more = known.len().saturating_sub(TOLD);
    let told = known.into_iter().take(TOLD);
    let rows = told
        .map(|((code, words), times)| vec![code.to_string(), times.to_string(), words.to_owned()]);
    let mut blocks = vec![table(
        "Failures by kind",
        &["code", "#times", "words"],
        rows.collect(),
    )];
    if more > 0 {
        blocks.push(text(format!(
            "And {}: see the individual responses.",
            counted(more, "other kind")
        )));
    }
    blocks
}

/// Answers without the number that was asked for.
fn wrong(tasks: &[Solved]) -> Vec<Block> {
    let wrong: Vec<&Solved> = tasks
        .iter()
        .filter(|task| task.mark() == Mark::Mismatch)
        .collect();
    if wrong.is_empty() {
        return vec![text("No answer is wrong.")];
    }
    let row = |task: &&Solved| {
        let answer: String = task.generated_text.chars().take(LONGEST).collect();
        let cut = if task.is_cut { "yes" } else { "" };
        vec![
            task.request_config.metadata.rnd_number.to_string(),
            answer,
            cut.to_owned(),
        ]
    };
    let rows: Vec<_> = wrong.iter().take(TOLD).map(row).collect();
    let columns = ["number asked for", "answer", "as long as was asked for"];
    let mut blocks = vec![table("Answers without the number", &columns, rows)];
    if wrong.len() > TOLD {
        let more = wrong.len() - TOLD;
        blocks.push(text(format!(
            "And {more} more: see the individual responses."
        )));
    }
    blocks
}

/// What nothing measured: all keys but the results, and what the run itself was asked.
fn settings(summary: &Map<String, Value>, course: &Course) -> Vec<Block> {
    let is_setting = |(key, _): &(&String, &Value)| !key.starts_with("results_");
    let row = |(key, value): (&String, &Value)| {
        let words = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        vec![key.clone(), words]
    };
    let rows = summary.iter().filter(is_setting).map(row).collect();
    let mut blocks = vec![table("Settings", &["setting", "value"], rows)];
    blocks.extend(course.settings.iter().cloned());
    blocks
}

/// The plots, to be hovered and zoomed; none where no request was good.
fn charts(title: &str, responses: &[Individual]) -> Vec<Block> {
    let figures = plots(title, responses).into_iter();
    let charts = figures.filter_map(|(_, figure)| chart(&figure));
    charts.map(Block::Chart).collect()
}

fn chart(figure: &Figure) -> Option<Chart> {
    let panel = figure.panels.first()?;
    let mut chart = Chart {
        title: figure.title.clone(),
        x: axis(&panel.x, ""),
        y: vec![axis(&panel.y, "")],
        ..Chart::default()
    };
    let (count, note) = match &panel.body {
        Body::Histogram {
            values,
            marks,
            note,
            ..
        } => {
            let counted: Vec<(f64, u64)> = values.iter().map(|value| (*value, 1)).collect();
            let bins = Bins::of(&counted)?;
            chart.x = bins.axis(&panel.x, "");
            chart.series = vec![bins.bars(&panel.y)];
            chart
                .marks
                .extend(marks.iter().map(|mark| marked(mark, At::X)));
            (values.len(), note)
        }
        Body::Scatter {
            points,
            x_marks,
            y_marks,
            note,
        } => {
            let places = points.iter().map(|(x, y)| (*x, Some(*y)));
            chart.series = vec![series("requests", Kind::Points, places)];
            chart
                .marks
                .extend(x_marks.iter().map(|mark| marked(mark, At::X)));
            chart
                .marks
                .extend(y_marks.iter().map(|mark| marked(mark, At::Y)));
            (points.len(), note)
        }
        _ => return None,
    };
    chart.summary = in_words(&chart, count, note);
    (count > 0).then_some(chart)
}

fn marked(mark: &crate::chart::Mark, at: fn(f64) -> At) -> crate::page::Mark {
    crate::page::Mark {
        name: mark.label.clone(),
        at: at(mark.value),
    }
}

fn in_words(chart: &Chart, count: usize, note: &str) -> String {
    let mut words = format!("{} of {}", chart.title, counted(count, "request"));
    let marks: Vec<&str> = chart.marks.iter().map(|mark| mark.name.as_str()).collect();
    if !marks.is_empty() {
        words.push_str(": ");
        words.push_str(&marks.join(", "));
    }
    if !note.is_empty() {
        words.push_str("; ");
        words.push_str(note);
    }
    words.push('.');
    words
}
