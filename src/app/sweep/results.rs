//! What a suite leaves behind: the comparison as text and tables, and its charts. It computes none of it.

use super::play::Stage;
use crate::app::failure::Failure;
use crate::chart::{self, Figure};
use crate::suite::{
    Row, comparison_csv, comparison_markdown, load_figure, overview_figure, upstream_csv,
};

const OVERVIEW: &str = "comparative_performance_metrics";
const LOAD: &str = "throughput_latency";

/// Writes every file of a grid's end, and says where they are.
pub(super) fn write_grid(stage: &mut Stage, rows: &[Row]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let pictures = write_charts(stage, "Comparative performance metrics", rows)?;
    let text = comparison_markdown("Comparison", rows, &pictures);
    write_tables(stage, &text, rows)?;
    let table: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    let table = table.join("\n");
    let place = stage.store.path("comparison.md");
    stage
        .console
        .print(&format!("\n{table}\n\nwritten: {}\n", place.display()));
    Ok(())
}

/// The comparison as Markdown and as CSV.
pub(super) fn write_tables(stage: &Stage, text: &str, rows: &[Row]) -> Result<(), Failure> {
    stage.store.write("comparison.md", text)?;
    let csv = comparison_csv(rows).map_err(Failure::failed)?;
    stage.store.write("comparison.csv", &csv)?;
    let csv = upstream_csv(rows).map_err(Failure::failed)?;
    stage.store.write("comparative_summary.csv", &csv)
}

/// The charts that `rows` are enough for, each as PNG and as SVG; returns the names of the PNG files.
pub(super) fn write_charts(
    stage: &Stage,
    title: &str,
    rows: &[Row],
) -> Result<Vec<String>, Failure> {
    let charts = [
        (OVERVIEW, overview_figure(title, rows)),
        (LOAD, load_figure("Throughput, latency and load", rows)),
    ];
    let mut written = Vec::new();
    for (name, figure) in charts {
        let Some(figure) = figure else { continue };
        written.push(write_chart(stage, name, &figure)?);
    }
    Ok(written)
}

fn write_chart(stage: &Stage, name: &str, figure: &Figure) -> Result<String, Failure> {
    let svg = chart::svg(figure).map_err(Failure::failed)?;
    stage.store.write(&format!("{name}.svg"), &svg)?;
    let png = chart::png(figure).map_err(Failure::failed)?;
    let name = format!("{name}.png");
    stage.store.write_bytes(&name, &png)?;
    Ok(name)
}
