//! What `inspect` tells, added up row by row, and its words. It reads no file and tokenizes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use serde::Serialize;

/// Characters of a row that are shown.
const SHOWN: usize = 72;

/// Numbers of which the spread is wanted: four bytes each.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(Vec<u32>);

/// How numbers are spread; percentiles are by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    count: usize,
    min: u32,
    mean: f64,
    p50: u32,
    p95: u32,
    max: u32,
}

impl Numbers {
    pub(super) fn add(&mut self, number: usize) {
        self.0.push(u32::try_from(number).unwrap_or(u32::MAX));
    }

    fn sum(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    /// `None` where there are none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean is shown with one digit behind its point"
    )]
    pub(super) fn spread(mut self) -> Option<Spread> {
        self.0.sort_unstable();
        let (min, max) = (*self.0.first()?, *self.0.last()?);
        let count = self.0.len();
        // The smallest value that so many hundredths do not exceed.
        let rank = |percent: usize| self.0[(count * percent).div_ceil(100).max(1) - 1];
        Some(Spread {
            count,
            min,
            mean: self.sum() as f64 / count as f64,
            p50: rank(50),
            p95: rank(95),
            max,
        })
    }
}

/// What a trace says of times, lengths and blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct TraceNumbers {
    first_us: Option<u64>,
    last_us: u64,
    input: Numbers,
    output: Numbers,
    seen: BTreeSet<u64>,
    blocks: u64,
}

/// The same in the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Trace {
    span_s: f64,
    /// One less than the arrivals, over the span; `None` where they come all at once.
    arrivals_per_s: Option<f64>,
    input_tokens: Option<Spread>,
    output_tokens: Option<Spread>,
    blocks: u64,
    /// Blocks that stood in an earlier row.
    repeated_blocks: u64,
    repeated_share: Option<f64>,
}

impl TraceNumbers {
    pub(super) fn add(&mut self, time_us: u64, (input, output): (u32, u32), blocks: Vec<u64>) {
        self.first_us.get_or_insert(time_us);
        self.last_us = time_us;
        self.input.0.push(input);
        self.output.0.push(output);
        self.blocks += blocks.len() as u64;
        self.seen.extend(blocks);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "shares and rates are rounded when shown"
    )]
    pub(super) fn ended(self) -> Option<Trace> {
        let span_s = (self.last_us - self.first_us?) as f64 / 1e6;
        let gaps = (self.input.0.len() - 1) as f64;
        let repeated = self.blocks - self.seen.len() as u64;
        Some(Trace {
            span_s,
            arrivals_per_s: (span_s > 0.0).then(|| gaps / span_s),
            input_tokens: self.input.spread(),
            output_tokens: self.output.spread(),
            blocks: self.blocks,
            repeated_blocks: repeated,
            repeated_share: (self.blocks > 0).then(|| repeated as f64 / self.blocks as f64),
        })
    }
}

/// Where the numbers of tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TokensBy {
    /// This tokenizer counted.
    Tokenizer(String),
    /// Nobody counted.
    RuleOfThumb,
}

/// One of the first rows, shortened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Shown {
    pub(super) row: usize,
    pub(super) text: String,
}

/// What a data set holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Inspection {
    pub(super) file: String,
    pub(super) format: &'static str,
    /// `None` where the user said it.
    pub(super) known_by: Option<&'static str>,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) rows: usize,
    /// By the reason.
    pub(super) left_out: BTreeMap<String, u64>,
    /// Rows that have each field.
    pub(super) fields: IndexMap<String, u64>,
    pub(super) prompt_column: Option<String>,
    /// Rows whose content is in fields of the body that are neither a text nor plain messages.
    pub(super) elsewhere: u64,
    pub(super) turns: Option<Spread>,
    /// Of each prompt, or of each turn of a conversation.
    pub(super) characters: Option<Spread>,
    pub(super) tokens: Option<Spread>,
    pub(super) tokens_by: TokensBy,
    /// Output lengths that rows bring along.
    pub(super) max_tokens: Option<Spread>,
    pub(super) trace: Option<Trace>,
    pub(super) first_rows: Vec<Shown>,
}

impl Inspection {
    /// For people.
    pub(super) fn words(&self) -> String {
        let mut out = format!("{}\n", self.file);
        let mut line = |name: &str, text: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {name:<16}{text}");
        };
        let by = self.known_by.map(|by| format!(", by {by}"));
        line(
            "format",
            &format!("{}{}", self.format, by.unwrap_or_default()),
        );
        line("rows", &self.rows.to_string());
        for (why, count) in &self.left_out {
            line("left out", &format!("{count}: {why}"));
        }
        if self.elsewhere > 0 {
            let rest = "content in other fields of the request";
            line("no plain text", &format!("{}: {rest}", self.elsewhere));
        }
        line("bytes", &self.bytes.to_string());
        line("SHA-256", &self.sha256);
        if !self.fields.is_empty() {
            line("fields", &self.fields_in_words());
        }
        if let Some(trace) = &self.trace {
            trace.tell(&mut line);
        }
        self.lengths(&mut out);
        for shown in &self.first_rows {
            let _ = writeln!(out, "  row {:<12}{}", shown.row, shown.text);
        }
        out
    }

    fn fields_in_words(&self) -> String {
        let field = |(name, count): (&String, &u64)| {
            let mut text = name.clone();
            if *count != self.rows as u64 {
                let _ = write!(text, " ({count})");
            }
            if self.prompt_column.as_ref() == Some(name) {
                text.push_str(" (the prompt)");
            }
            text
        };
        self.fields.iter().map(field).collect::<Vec<_>>().join(", ")
    }

    /// A table of all that is spread.
    fn lengths(&self, out: &mut String) {
        let a_turn = if self.turns.is_some() { "/turn" } else { "" };
        let trace = self.trace.as_ref();
        let rows = [
            ("turns".to_owned(), self.turns),
            (format!("characters{a_turn}"), self.characters),
            (format!("tokens{a_turn}"), self.tokens),
            ("max_tokens".to_owned(), self.max_tokens),
            (
                "input tokens".to_owned(),
                trace.and_then(|it| it.input_tokens),
            ),
            (
                "output tokens".to_owned(),
                trace.and_then(|it| it.output_tokens),
            ),
        ];
        let _ = writeln!(
            out,
            "  {:<16}{:>9}{:>11}{:>9}{:>9}{:>9}",
            "", "min", "mean", "p50", "p95", "max"
        );
        for (name, spread) in rows {
            let Some(it) = spread else { continue };
            let _ = write!(
                out,
                "  {name:<16}{:>9}{:>11.1}{:>9}{:>9}{:>9}",
                it.min, it.mean, it.p50, it.p95, it.max
            );
            if name == "max_tokens" && it.count != self.rows {
                let _ = write!(out, "  in {}", counted(it.count, "row"));
            }
            if name.starts_with("tokens") && self.tokens_by == TokensBy::RuleOfThumb {
                out.push_str("  by rule of thumb; --tokenizer counts");
            }
            out.push('\n');
        }
    }
}

impl Trace {
    fn tell(&self, line: &mut impl FnMut(&str, &str)) {
        let rate = self
            .arrivals_per_s
            .map(|rate| format!(", {rate:.3} arrivals/s"));
        let rate = rate.unwrap_or_default();
        line("span", &format!("{:.3} s{rate}", self.span_s));
        let share = match self.repeated_share {
            Some(share) => format!(
                "{}, {} of them seen before ({:.1}%)",
                self.blocks,
                self.repeated_blocks,
                share * 100.0
            ),
            None => "none: no two prompts begin alike".to_owned(),
        };
        line("blocks", &share);
    }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: usize, thing: &str) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{many}")
}

/// The beginning of a text in one line, in quotes.
pub(super) fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = words.chars().take(SHOWN).collect();
    if short.len() < words.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(of: impl IntoIterator<Item = usize>) -> Numbers {
        let mut numbers = Numbers::default();
        of.into_iter().for_each(|number| numbers.add(number));
        numbers
    }

    #[test]
    fn a_spread_is_by_nearest_rank() {
        assert_eq!(Numbers::default().spread(), None);
        let spread = numbers((1..=20).rev()).spread().unwrap();
        assert_eq!((spread.min, spread.max, spread.count), (1, 20, 20));
        assert_eq!((spread.p50, spread.p95), (10, 19));
        assert!((spread.mean - 10.5).abs() < 1e-9);
        let one = numbers([7]).spread().unwrap();
        assert_eq!((one.p50, one.p95), (7, 7));
    }

    #[test]
    fn blocks_that_stood_in_an_earlier_row_repeat() {
        let mut trace = TraceNumbers::default();
        trace.add(5_000_000, (900, 3), vec![1, 2]);
        trace.add(5_500_000, (1_500, 4), vec![1, 2, 3]);
        trace.add(9_000_000, (10, 5), vec![]);
        let ended = trace.ended().unwrap();
        assert_eq!((ended.blocks, ended.repeated_blocks), (5, 2));
        assert_eq!((ended.span_s, ended.arrivals_per_s), (4.0, Some(0.5)));
        assert_eq!(ended.repeated_share, Some(0.4));
        let mut at_once = TraceNumbers::default();
        at_once.add(1, (1, 1), vec![]);
        let ended = at_once.ended().unwrap();
        assert_eq!((ended.arrivals_per_s, ended.repeated_share), (None, None));
        assert_eq!(TraceNumbers::default().ended(), None);
    }

    #[test]
    fn a_long_row_is_shown_by_its_beginning_in_one_line() {
        assert_eq!(shortened("a\n  b\tc\n"), "\"a b c\"");
        let long = shortened(&"ä".repeat(100));
        assert_eq!(long.chars().count(), SHOWN + 3);
    }

    #[test]
    fn all_is_told_in_words() {
        let found = Inspection {
            file: "rows.csv".to_owned(),
            format: "csv",
            known_by: Some("its name"),
            bytes: 90,
            sha256: "ab".to_owned(),
            rows: 3,
            left_out: BTreeMap::from([("the prompt is blank".to_owned(), 2)]),
            fields: IndexMap::from([("id".to_owned(), 3), ("question".to_owned(), 3)]),
            prompt_column: Some("question".to_owned()),
            elsewhere: 0,
            turns: None,
            characters: numbers([3, 10, 8]).spread(),
            tokens: numbers([1, 3, 2]).spread(),
            tokens_by: TokensBy::RuleOfThumb,
            max_tokens: numbers([64]).spread(),
            trace: None,
            first_rows: vec![Shown {
                row: 1,
                text: shortened("Why?"),
            }],
        };
        insta::assert_snapshot!(found.words(), @r#"
        rows.csv
          format          csv, by its name
          rows            3
          left out        2: the prompt is blank
          bytes           90
          SHA-256         ab
          fields          id, question (the prompt)
                                min       mean      p50      p95      max
          characters              3        7.0        8       10       10
          tokens                  1        2.0        2        3        3  by rule of thumb; --tokenizer counts
          max_tokens             64       64.0       64       64       64  in 1 row
          row 1           "Why?"
    "#);
    }
}
