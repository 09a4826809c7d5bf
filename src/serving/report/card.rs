//! The model card, `report/README.md`: the figures that tell most, the graphs, and what the server was run with.

use std::fmt::Write;

use serde_json::Value;

use crate::serving::stats::whole;
use crate::serving::words::{cell, thousands};

use super::Findings;
use super::profile::Way;
use super::speed::{Level, Pair};

/// The ingestion speed is told in steps of so many tokens per second.
const INGESTION_STEP: u64 = 250;
/// The cache is told in steps of so many tokens.
const CACHE_STEP: u64 = 25_000;
/// What the speed is told at: prompt length, answer length, requests.
const USUAL: (u32, u32, u32) = (1024, 128, 10);

/// A row of the card's first table.
pub(super) struct Row {
    pub(super) name: String,
    /// Rounded down as the upstream tool does it.
    pub(super) rounded: String,
    /// As it was measured.
    pub(super) exact: String,
}

/// The three figures that tell most.
pub(super) fn summary(findings: &Findings<'_>) -> [Row; 3] {
    [ingestion(findings), speed(findings), cache(findings)]
}

fn ingestion(findings: &Findings<'_>) -> Row {
    let speed = findings
        .ingestion
        .as_ref()
        .and_then(super::Ingestion::speed);
    let rounded = |speed: f64| {
        let steps = whole(speed) / INGESTION_STEP * INGESTION_STEP;
        format!("~{steps} t/s")
    };
    Row {
        name: "Prompt ingestion speed".to_owned(),
        rounded: speed.map_or_else(none, rounded),
        exact: speed.map_or_else(none, |speed| format!("{speed:.1} tokens/s")),
    }
}

fn none() -> String {
    "NA".to_owned()
}

/// The level whose lengths and number of requests are nearest to the usual ones, by their ratios.
pub(super) fn nearest<'a>(findings: &'a Findings<'_>) -> Option<(&'a Pair, &'a Level)> {
    let off = |value: u32, usual: u32| (f64::from(value) / f64::from(usual)).ln().abs();
    let levels = findings
        .pairs
        .iter()
        .flat_map(|pair| pair.levels.iter().map(move |level| (pair, level)));
    levels.min_by(|a, b| {
        let far = |(pair, level): &(&Pair, &Level)| {
            off(pair.input, USUAL.0) + off(pair.output, USUAL.1) + off(level.parallel, USUAL.2)
        };
        far(a).total_cmp(&far(b))
    })
}

fn speed(findings: &Findings<'_>) -> Row {
    let found = nearest(findings);
    let (input, output, parallel) = found.map_or(USUAL, |(pair, level)| {
        (pair.input, pair.output, level.parallel)
    });
    let requests = if parallel == 1 { "request" } else { "requests" };
    let mut name = format!(
        "Median generation speed for {parallel} parallel {requests} with a prompt of {input} tokens and {output} tokens generated"
    );
    if found.is_some() && (input, output, parallel) != USUAL {
        let (input, output, parallel) = USUAL;
        // Writing to a text cannot fail.
        let _ = write!(
            name,
            " (the nearest that was run to {parallel} with {input} and {output})"
        );
    }
    let median = found.map(|(_, level)| level.speed.median);
    Row {
        name,
        rounded: median.map_or_else(none, |speed| {
            format!("~{} t/s for each request", whole(speed))
        }),
        exact: median.map_or_else(none, |speed| format!("{speed:.2} tokens/s")),
    }
}

fn cache(findings: &Findings<'_>) -> Row {
    let capacity = findings.capacity;
    let rounded = |tokens: f64| {
        let steps = whole(tokens) / CACHE_STEP * (CACHE_STEP / 1000);
        format!("~{steps}k tokens")
    };
    let exact = capacity.map(|it| {
        let from = thousands(it.range.0);
        let to = thousands(it.range.1);
        let way = match it.way {
            Way::Held => "from what the queries held at each look",
            Way::Fullest => "from the mean query at the fullest look",
        };
        match it.files {
            1 => format!("{} tokens ({way})", thousands(it.tokens)),
            files => format!(
                "{} tokens ({way}; {files} profiles say {from} to {to})",
                thousands(it.tokens)
            ),
        }
    });
    Row {
        name: "Estimate of the max number of tokens in KV cache".to_owned(),
        rounded: capacity.map_or_else(none, |it| rounded(it.tokens)),
        exact: exact.unwrap_or_else(none),
    }
}

/// The card as Markdown.
pub(super) fn card(findings: &Findings<'_>) -> String {
    let mut text = format!(
        "# Model card for {} on {}\n\n## Main metrics\n\n",
        cell(findings.model()),
        cell(findings.gpu())
    );
    text.push_str("| Metric | Value | As measured |\n|:---:|:---:|:---:|\n");
    for row in summary(findings) {
        let _ = writeln!(text, "| {} | {} | {} |", row.name, row.rounded, row.exact);
    }
    text.push_str("\nValues are rounded down: the ingestion speed to 250 tokens/s, the KV cache to 25k tokens.\n");
    thresholds(findings, &mut text);
    graphs(findings, &mut text);
    left_out(findings, &mut text);
    parameters(findings, &mut text);
    text
}

fn thresholds(findings: &Findings<'_>, text: &mut String) {
    if findings.pairs.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "\n## Thresholds\n\nThe largest number of parallel requests whose median speed is at least {} tokens/s, and the largest whose KV cache is used less than 95%.\n\n| Input length | Output length | By the speed | By the KV cache |\n|---:|---:|---:|---:|\n",
        findings.speed_threshold
    );
    for pair in &findings.pairs {
        let cache = pair.cache.map_or_else(none, |it| it.largest.to_string());
        let speed = pair.speed.largest;
        let _ = writeln!(
            text,
            "| {} | {} | {speed} | {cache} |",
            pair.input, pair.output
        );
    }
}

fn image(text: &mut String, words: &str, path: &str) {
    let _ = writeln!(text, "\n![{words}](./{path})");
}

fn graphs(findings: &Findings<'_>, text: &mut String) {
    if findings.ingestion.is_some() {
        text.push_str("\n## Prompt ingestion\n\nThe time to the first token against the length of the prompt, and the line fitted to it.\n");
        image(text, "Prompt ingestion", "prompt_ingestion_graph.png");
    }
    if !findings.pairs.is_empty() {
        text.push_str("\n## Total generation speed\n\nWhat the server writes for all parallel requests together.\n");
        image(
            text,
            "Total generation speed",
            "total_speed_generation_graph.png",
        );
        text.push_str("\n## Generation speed and latency\n\nThe speed of each request, with and without what it waited, its time to the first token and the KV cache in use, against the number of parallel requests. Lines are medians, bars reach from the 25th to the 75th percentile.\n");
    }
    for pair in &findings.pairs {
        let words = format!(
            "Generation speed with prompts of {} and answers of {} tokens",
            pair.input, pair.output
        );
        image(text, &words, &pair.graph_path());
    }
    if !findings.profiles.is_empty() {
        text.push_str("\n## KV cache profiles\n\nThe KV cache in use and the requests that run and wait while one request is sent, then two at once, then three.\n");
    }
    for found in &findings.profiles {
        let words = format!(
            "KV cache with prompts of {} and answers of {} tokens",
            found.input, found.output
        );
        image(text, &words, &found.graph_path());
    }
}

fn left_out(findings: &Findings<'_>, text: &mut String) {
    if findings.left_out.is_empty() {
        return;
    }
    text.push_str("\n## Left out\n\n");
    for what in &findings.left_out {
        let _ = writeln!(text, "- {what}");
    }
}

fn parameters(findings: &Findings<'_>, text: &mut String) {
    text.push_str("\n## Parameters\n\nWhat all benchmarks of the suite share, with what the server told of itself.\n\n| Parameter | Value |\n|---|---|\n");
    for (key, value) in &findings.parameters {
        let _ = writeln!(text, "| {} | {} |", cell(key), cell(&shown(value)));
    }
}

/// A parameter as people read it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
