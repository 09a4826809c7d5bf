//! The files of a test for an ML Repo: results, plots, the report. They are made in memory, whether any are written or not.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chart;
use crate::llmperf::{Benchmark, Individual, file, html_report, plots};
use crate::mlflow::{Artifact, Content};

/// Those of a token benchmark. What cannot be made costs a warning.
pub(super) fn of_benchmark(
    bench: &Benchmark,
    summary: &Map<String, Value>,
    responses: &[Individual],
) -> Vec<Artifact> {
    let stem = bench.stem();
    let mut artifacts = of_results(&stem, summary, &responses);
    let mut pictures = Vec::new();
    for (name, figure) in plots(&stem, responses) {
        if let Some(svg) = made(name, chart::svg(&figure)) {
            artifacts.push(artifact(format!("{stem}_{name}.svg"), svg.clone()));
            pictures.push((name.to_owned(), svg));
        }
        let png = made(name, chart::png(&figure));
        artifacts.extend(png.map(|png| artifact(format!("{stem}_{name}.png"), png)));
    }
    let page = made("report", html_report(bench, summary, responses, &pictures));
    artifacts.extend(page.map(|page| artifact(format!("{stem}_report.html"), page)));
    artifacts
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
