//! The figures of a run as the console's closing tables have them, and what became of its requests.

use super::outline::{shown, table, text};
use crate::metrics::{Metric, Series};
use crate::page::{Block, Column, Table};
use crate::report::rows::{Row, table_rows};
use crate::report::table::{FOOTNOTE, MARK};
use crate::report::{Context, PERCENTILES, closing, number, summary_block, turns};

pub(super) fn blocks(ctx: &Context<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Table(figures(ctx))];
    if has_doubts(&blocks) {
        blocks.push(text(FOOTNOTE));
    }
    blocks.push(accounts(ctx));
    let turns = turns::lines(ctx);
    if !turns.is_empty() {
        blocks.push(Block::Code {
            title: "Turns of conversations, times in ms".to_owned(),
            text: turns.join("\n"),
        });
    }
    blocks.push(block_of_the_console(ctx));
    blocks
}

/// One row a distribution, in milliseconds or things.
fn figures(ctx: &Context<'_>) -> Table {
    let mut columns = vec![column("figure", false)];
    let percentiles = PERCENTILES.iter().map(|(name, _)| *name);
    let others = ["count", "failed", "mean", "min"].into_iter();
    columns.extend(others.chain(percentiles).map(|name| column(name, true)));
    let rows = table_rows(ctx, &ctx.summary.phase);
    Table {
        title: "Figures of good requests, times in ms".to_owned(),
        columns,
        rows: rows.iter().map(cells).collect(),
    }
}

fn column(name: &str, is_number: bool) -> Column {
    Column {
        name: name.to_owned(),
        is_number,
    }
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let is_metric = row.kind == "METRIC";
    let is_time =
        !is_metric || Metric::from_name(row.name).is_some_and(|metric| !metric.is_count());
    let unit = if is_time { " (ms)" } else { "" };
    let failed = if is_metric {
        String::new()
    } else {
        row.failures.to_string()
    };
    let mut cells = vec![
        format!("{}{unit}", row.name),
        row.requests.to_string(),
        failed,
    ];
    let of =
        |figure: fn(&Series) -> Option<f64>| row.series.and_then(figure).map_or_else(dash, shown);
    cells.push(of(number::mean));
    cells.push(of(|series| series.min().map(number::shown)));
    cells.extend(PERCENTILES.iter().map(|(_, q)| percentile(row.series, *q)));
    cells
}

fn percentile(series: Option<&Series>, q: f64) -> String {
    let value = series.and_then(|series| Some((series, number::percentile(series, q)?)));
    value.map_or_else(dash, |(series, value)| {
        if series.supports(q) {
            shown(value)
        } else {
            format!("{MARK}{}", shown(value))
        }
    })
}

fn dash() -> String {
    "–".to_owned()
}

fn has_doubts(blocks: &[Block]) -> bool {
    blocks.iter().any(|block| {
        let Block::Table(table) = block else {
            return false;
        };
        table
            .rows
            .iter()
            .flatten()
            .any(|cell| cell.starts_with(MARK))
    })
}

/// What the console says of requests, load, objectives, tokens, connections.
fn accounts(ctx: &Context<'_>) -> Block {
    let accounts = closing::accounts(ctx).into_iter();
    let rows = accounts.flat_map(|(heading, lines)| {
        lines
            .into_iter()
            .map(move |line| vec![heading.to_lowercase(), line])
    });
    table("Accounts", &["of", "what became of them"], rows.collect())
}

/// The entries that Fireworks' users know.
fn block_of_the_console(ctx: &Context<'_>) -> Block {
    let entries = summary_block::entries(ctx);
    let rows = entries
        .into_iter()
        .map(|entry| vec![entry.name, entry.value.to_string()]);
    Block::Folded {
        title: "The closing block of the console".to_owned(),
        blocks: vec![table("Closing block", &["name", "value"], rows.collect())],
    }
}
