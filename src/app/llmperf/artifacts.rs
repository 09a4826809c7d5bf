//! The files of a test for an ML Repo: results, plots, the report. They are made in memory, whether any are written or not.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chart;
use crate::llmperf::{Benchmark, Individual, file, plots};
use crate::mlflow::{Artifact, Content};
use crate::page::{Page, html};

/// Those of a token benchmark. What cannot be made costs a warning.
pub(super) fn of_benchmark(
    bench: &Benchmark,
    summary: &Map<String, Value>,
    responses: &[Individual],
    page: &Page,
) -> Vec<Artifact> {
    let stem = bench.stem();
    let mut artifacts = of_results(&stem, summary, &responses);
    for (name, figure) in plots(&stem, responses) {
        let svg = made(name, chart::svg(&figure));
        artifacts.extend(svg.map(|svg| artifact(format!("{stem}_{name}.svg"), svg)));
        let png = made(name, chart::png(&figure));
        artifacts.extend(png.map(|png| artifact(format!("{stem}_{name}.png"), png)));
    }
    artifacts.extend(of_page(&stem, page));
    artifacts
}

/// The page.
pub(super) fn of_page(stem: &str, page: &Page) -> Option<Artifact> {
    let page = made("report", html(page));
    page.map(|page| artifact(format!("{stem}_report.html"), page))
}

/// The two result files.
pub(super) fn of_results(
    stem: &str,
    summary: &Map<String, Value>,
    individual: &impl Serialize,
) -> Vec<Artifact> {
    let texts = [
        ("summary", made("summary", file(summary))),
        ("individual_responses", made("responses", file(individual))),
    ];
    let named =
        |(name, text): (&str, Option<String>)| Some(artifact(format!("{stem}_{name}.json"), text?));
    texts.into_iter().filter_map(named).collect()
}

fn artifact(name: String, content: impl Into<Bytes>) -> Artifact {
    Artifact {
        name,
        content: Content::Bytes(content.into()),
    }
}

fn made<T>(what: &str, result: Result<T, impl std::fmt::Display>) -> Option<T> {
    result
        .inspect_err(|error| tracing::warn!("the ML Repo gets no {what}: {error}"))
        .ok()
}
