//! The page's HTML: a template filled with a view of the page. It decides on no number; the values of charts come from
//! `drawn` and `listing`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::anchor::Anchors;
use super::drawn::Drawable;
use super::listing::Listing;
use super::{Block, Chart, Fact, Notice, Page, PageError, Table};

const TEMPLATE: &str = include_str!("page.html");
pub(super) const SCRIPT: &str = include_str!("built/page.js");
pub(super) const STYLE: &str = include_str!("built/page.css");
const NOTICES: &str = include_str!("built/notices.txt");

#[derive(Serialize)]
struct Part<'a> {
    anchor: String,
    heading: &'a str,
    blocks: Vec<Piece<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "block", rename_all = "lowercase")]
enum Piece<'a> {
    Text {
        text: &'a str,
    },
    Table {
        id: String,
        table: &'a Table,
    },
    Chart(Box<Figure<'a>>),
    Code {
        id: String,
        title: &'a str,
        text: &'a str,
    },
    Folded {
        title: &'a str,
        blocks: Vec<Piece<'a>>,
    },
}

#[derive(Serialize)]
struct Figure<'a> {
    id: String,
    title: &'a str,
    summary: &'a str,
    notes: Vec<String>,
    is_empty: bool,
    data: Value,
    listing: Listing,
}

/// Gives each table, chart and text a name of its own.
#[derive(Default)]
struct Numbered {
    last: usize,
}

pub(super) fn html(page: &Page) -> Result<String, PageError> {
    let mut anchors = Anchors::default();
    let mut numbered = Numbered::default();
    let mut parts = Vec::new();
    for section in &page.sections {
        parts.push(Part {
            anchor: anchors.of(&section.heading),
            heading: &section.heading,
            blocks: numbered.pieces(&section.blocks)?,
        });
    }
    filled(page, &page.notices, &page.facts, &parts)
}

fn filled(
    page: &Page,
    notices: &[Notice],
    facts: &[Fact],
    parts: &[Part<'_>],
) -> Result<String, PageError> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page.html", TEMPLATE)?;
    Ok(environment.get_template("page.html")?.render(context! {
        title => page.title,
        subtitle => page.subtitle,
        made_by => page.made_by,
        notices => notices,
        facts => facts,
        parts => parts,
        script => Value::from_safe_string(SCRIPT.to_owned()),
        style => Value::from_safe_string(STYLE.to_owned()),
        script_digest => digest(SCRIPT),
        style_digest => digest(STYLE),
        third_parties => NOTICES,
    })?)
}

/// As a Content-Security-Policy names a text that may stand in the page.
fn digest(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

impl Numbered {
    fn id(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}_{}", self.last)
    }

    fn pieces<'a>(&mut self, blocks: &'a [Block]) -> Result<Vec<Piece<'a>>, PageError> {
        blocks.iter().map(|block| self.piece(block)).collect()
    }

    fn piece<'a>(&mut self, block: &'a Block) -> Result<Piece<'a>, PageError> {
        Ok(match block {
            Block::Text { text } => Piece::Text { text },
            Block::Table(table) => Piece::Table {
                id: self.id("table"),
                table,
            },
            Block::Chart(chart) => Piece::Chart(Box::new(self.figure(chart)?)),
            Block::Code { title, text } => Piece::Code {
                id: self.id("code"),
                title,
                text,
            },
            Block::Folded { title, blocks } => Piece::Folded {
                title,
                blocks: self.pieces(blocks)?,
            },
        })
    }

    fn figure<'a>(&mut self, chart: &'a Chart) -> Result<Figure<'a>, PageError> {
        let drawable = Drawable::new(chart);
        Ok(Figure {
            id: self.id("chart"),
            title: &chart.title,
            summary: &chart.summary,
            is_empty: drawable.is_empty(),
            data: Value::from_safe_string(drawable.json()?),
            listing: Listing::new(&chart.x, &drawable),
            notes: drawable.notes,
        })
    }
}
