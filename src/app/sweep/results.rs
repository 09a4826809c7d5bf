//! What a suite leaves behind: the comparison as text, tables and a page, and its charts. It computes none of it.

use std::fs;
use std::path::Path;

use super::play::Stage;
use super::store::Store;
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::app::html::write_page;
use crate::chart::{self, Figure};
use crate::suite::{
    Row, comparison_csv, comparison_markdown, comparison_page, load_figure, overview_figure,
    upstream_csv,
};

const OVERVIEW: &str = "comparative_performance_metrics";
const LOAD: &str = "throughput_latency";
const COMPARISON: &str = "comparison.md";
/// What a search came to, in words.
const FOUND: &str = "search.txt";
/// The page.
const PAGE: &str = "report.html";

/// Writes every file of a grid's end, and says where they are.
pub(super) fn write_grid(
    stage: &mut Stage,
    rows: &[Row],
    html: Option<&Path>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = write_all(&stage.store, rows, None, html)?;
    let table: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    let table = table.join("\n");
    let place = stage.store.path(COMPARISON);
    stage
        .console
        .print(&format!("\n{table}\n\nwritten: {}\n", place.display()));
    Ok(())
}

/// Writes every file of a search's end: `rows` in the order of their loads, and what was found.
pub(super) fn write_search(
    stage: &mut Stage,
    rows: &[Row],
    found: &str,
    html: Option<&Path>,
) -> Result<(), Failure> {
    stage.store.write(FOUND, found)?;
    if rows.is_empty() {
        return Ok(());
    }
    write_all(&stage.store, rows, Some(found), html)?;
    let place = stage.store.path(COMPARISON);
    stage
        .console
        .print(&format!("written: {}\n", place.display()));
    Ok(())
}

/// Draws the files of a sweep's folder again, from what is kept of its runs.
pub(super) fn redraw(store: &Store, html: Option<&Path>) -> Result<u8, Failure> {
    let found = fs::read_to_string(store.path(FOUND)).ok();
    let mut rows = store.rows();
    if found.is_some() {
        rows.sort_by(by_load);
    }
    if rows.is_empty() {
        let error = anyhow::anyhow!("no run is kept in `{}`", store.path("").display());
        return Err(Failure::usage(error).hint("`llmload sweep` writes runs.jsonl there"));
    }
    write_all(store, &rows, found.as_deref(), html)?;
    let place = store.path(COMPARISON);
    Console::default().print(&format!("written: {}\n", place.display()));
    Ok(status::OK)
}

/// Runs by the load that was asked for.
pub(super) fn by_load(one: &Row, other: &Row) -> std::cmp::Ordering {
    load(one).total_cmp(&load(other))
}

fn load(row: &Row) -> f64 {
    let figures = row.figures.as_ref();
    figures.map_or(0.0, |figures| {
        figures.asked_per_s.unwrap_or(f64::from(figures.users))
    })
}

/// All files. Returns the comparison as Markdown.
fn write_all(
    store: &Store,
    rows: &[Row],
    found: Option<&str>,
    html: Option<&Path>,
) -> Result<String, Failure> {
    let (title, pictures) = match found {
        None => ("Comparison", "Comparative performance metrics"),
        Some(_) => ("Search", "Runs of the search"),
    };
    let pictures = write_charts(store, pictures, rows)?;
    let mut text = comparison_markdown(title, rows, &pictures);
    if let Some(found) = found {
        let heading = format!("# {title}\n");
        text = text.replacen(&heading, &format!("{heading}\n```text\n{found}```\n"), 1);
    }
    store.write(COMPARISON, &text)?;
    let csv = comparison_csv(rows).map_err(Failure::failed)?;
    store.write("comparison.csv", &csv)?;
    let csv = upstream_csv(rows).map_err(Failure::failed)?;
    store.write("comparative_summary.csv", &csv)?;
    let made_by = format!("llmload {}", env!("CARGO_PKG_VERSION"));
    let page = comparison_page(title, rows, found, &made_by);
    write_page(&store.path(PAGE), &page)?;
    if let Some(path) = html {
        write_page(path, &page)?;
    }
    Ok(text)
}

/// The charts that `rows` are enough for, each as PNG and as SVG; returns the names of the PNG files.
fn write_charts(store: &Store, title: &str, rows: &[Row]) -> Result<Vec<String>, Failure> {
    let charts = [
        (OVERVIEW, overview_figure(title, rows)),
        (LOAD, load_figure("Throughput, latency and load", rows)),
    ];
    let mut written = Vec::new();
    for (name, figure) in charts {
        let Some(figure) = figure else { continue };
        written.push(write_chart(store, name, &figure)?);
    }
    Ok(written)
}

fn write_chart(store: &Store, name: &str, figure: &Figure) -> Result<String, Failure> {
    let svg = chart::svg(figure).map_err(Failure::failed)?;
    store.write(&format!("{name}.svg"), &svg)?;
    let png = chart::png(figure).map_err(Failure::failed)?;
    let name = format!("{name}.png");
    store.write_bytes(&name, &png)?;
    Ok(name)
}
