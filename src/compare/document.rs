//! A report as blocks, and its two forms: Markdown, and one HTML page that needs nothing else. It words nothing itself.

use std::fmt::Write as _;

use minijinja::{Environment, context};
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
/// What stands where nothing is known.
pub(super) const UNKNOWN: &str = "–";

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// The title.
    pub title: String,
    /// What stands in it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A heading, 2 or 3 deep.
    Heading {
        /// 2 for a part, 3 for a piece of one.
        level: usize,
        /// The words.
        text: String,
    },
    /// A paragraph.
    Paragraph {
        /// The words.
        text: String,
    },
    /// Points.
    List {
        /// One each.
        items: Vec<String>,
    },
    /// A table.
    Table(Table),
    /// A picture.
    Picture {
        /// Its name as a file, without an ending.
        name: String,
        /// What it shows.
        alt: String,
        /// Itself.
        svg: String,
    },
}

/// A table. Its first column names the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows, as long as `head`.
    pub rows: Vec<Vec<String>>,
    /// All columns but the first hold numbers.
    pub is_numeric: bool,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[error("the HTML page cannot be made")]
pub struct PageError(#[from] minijinja::Error);

impl Document {
    pub(super) fn heading(&mut self, level: usize, text: impl Into<String>) {
        let text = text.into();
        self.blocks.push(Block::Heading { level, text });
    }

    pub(super) fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph { text: text.into() });
    }

    pub(super) fn list(&mut self, items: Vec<String>) {
        if !items.is_empty() {
            self.blocks.push(Block::List { items });
        }
    }

    pub(super) fn table(&mut self, head: Vec<String>, rows: Vec<Vec<String>>, is_numeric: bool) {
        self.blocks.push(Block::Table(Table {
            head,
            rows,
            is_numeric,
        }));
    }

    /// The pictures: their names as files and their SVG text.
    pub fn pictures(&self) -> impl Iterator<Item = (String, &str)> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Picture { name, svg, .. } => Some((format!("{name}.svg"), svg.as_str())),
            _ => None,
        })
    }

    /// As Markdown. Pictures are shown by their names where they are files beside it.
    pub fn markdown(&self, with_pictures: bool) -> String {
        let mut text = format!("# {}\n", escaped(&self.title));
        for block in &self.blocks {
            match block {
                Block::Heading { level, text: words } => {
                    let _ = write!(text, "\n{} {}\n", "#".repeat(*level), escaped(words));
                }
                Block::Paragraph { text: words } => {
                    let _ = write!(text, "\n{}\n", escaped(words));
                }
                Block::List { items } => {
                    text.push('\n');
                    for item in items {
                        let _ = writeln!(text, "- {}", escaped(item));
                    }
                }
                Block::Table(table) => table.markdown(&mut text),
                Block::Picture { name, alt, .. } if with_pictures => {
                    let _ = write!(text, "\n![{}]({name}.svg)\n", escaped(alt));
                }
                Block::Picture { .. } => {}
            }
        }
        text
    }

    /// As one HTML page with its pictures inside. Everything but these is escaped.
    ///
    /// # Errors
    /// When the page's template cannot be filled.
    pub fn html(&self) -> Result<String, PageError> {
        let mut environment = Environment::new();
        environment.add_template("page.html", PAGE)?;
        let page = environment.get_template("page.html")?;
        Ok(page.render(context! { document => self })?)
    }
}

impl Table {
    fn markdown(&self, text: &mut String) {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = if self.is_numeric { "--:" } else { "---" };
        let rules = (1..self.head.len()).map(|_| rule);
        let rules: Vec<&str> = std::iter::once("---").chain(rules).collect();
        text.push('\n');
        text.push_str(&line(&self.head));
        let _ = writeln!(text, "| {} |", rules.join(" | "));
        for row in &self.rows {
            text.push_str(&line(row));
        }
    }
}

/// Text that Markdown takes as it is; line ends become spaces.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '<' | '|' | '[' | ']' => {
                plain.push('\\');
                plain.push(letter);
            }
            letter if letter.is_control() => plain.push(' '),
            letter => plain.push(letter),
        }
    }
    plain
}

/// Two decimals from 1 on, three digits below.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    if size >= 1.0 || size <= 0.0 {
        return format!("{value:.2}");
    }
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    if size < 1e-6 {
        return format!("{rounded:e}");
    }
    format!("{rounded}")
}

/// A number, or that it is not known.
pub(super) fn known(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), number)
}

/// A change: `+12.3%`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let sign = if percent < 0.0 { '−' } else { '+' };
    let size = percent.abs();
    if size >= 1_000.0 {
        format!("{sign}{size:.0}%")
    } else {
        format!("{sign}{size:.1}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut document = Document {
            title: "A <b> & `c`".to_owned(),
            ..Document::default()
        };
        document.heading(2, "Part");
        document.paragraph("one *two*");
        document.list(vec!["a|b".to_owned()]);
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        document.table(cells(["x", "<script>"]), vec![cells(["1", "a|b"])], true);
        document.blocks.push(Block::Picture {
            name: "figures".to_owned(),
            alt: "bars".to_owned(),
            svg: "<svg id=\"it\"></svg>".to_owned(),
        });
        document
    }

    #[test]
    fn markdown_takes_words_as_they_are() {
        insta::assert_snapshot!(document().markdown(true), @r"
        # A \<b> & \`c\`

        ## Part

        one \*two\*

        - a\|b

        | x | \<script> |
        | --- | --: |
        | 1 | a\|b |

        ![bars](figures.svg)
        ");
        assert!(!document().markdown(false).contains("figures"));
    }

    #[test]
    fn html_escapes_everything_but_its_pictures_and_needs_no_network() {
        let page = document().html().unwrap();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        assert!(page.contains("A &lt;b&gt; &amp; `c`"));
        assert!(page.contains("<svg id=\"it\"></svg>"));
        for word in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
        for word in [
            "prefers-color-scheme: dark",
            "@media print",
            "width=device-width",
            "lang=\"en\"",
        ] {
            assert!(page.contains(word), "{word}");
        }
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_bear() {
        let shown = [9.364, 0.4091, 66.36, 0.009_87, 350.0, 0.0, -2.5, f64::NAN].map(number);
        assert_eq!(
            shown,
            [
                "9.36", "0.409", "66.36", "0.00987", "350.00", "0.00", "-2.50", "–"
            ]
        );
        assert_eq!(
            [0.1234, -0.05, 12.0].map(percent),
            ["+12.3%", "−5.0%", "+1200%"]
        );
    }
}
