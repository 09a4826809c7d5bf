//! One page in Prometheus' text format: which lines matter, what stands in them, and what several series of a family come to.
//! Lines are read by a library; which names mean what is in `names`.

use prometheus_parse::LineInfo;

use super::names::{Figure, SAME_REQUESTS, SERVERS, Server};
use super::{Counters, Look};

/// What a page tells. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Page {
    /// Whose names it has; empty where it has none that are known.
    pub server: &'static str,
    /// Requests that it works on.
    pub running: Option<f64>,
    /// Requests that wait there.
    pub waiting: Option<f64>,
    /// Share of its key-value cache that is in use, from 0 to 1.
    pub cache: Option<f64>,
    /// What it has counted.
    pub counters: Counters,
}

impl Page {
    /// Its gauges, as of a time in seconds since 1970.
    pub fn look(&self, at_s: f64) -> Look {
        Look {
            at_s,
            running: self.running,
            waiting: self.waiting,
            cache: self.cache,
        }
    }

    fn place(&mut self, figure: Figure) -> &mut Option<f64> {
        match figure {
            Figure::Running => &mut self.running,
            Figure::Waiting => &mut self.waiting,
            Figure::Cache => &mut self.cache,
            Figure::PromptTokens => &mut self.counters.prompt_tokens,
            Figure::OutputTokens => &mut self.counters.output_tokens,
        }
    }

    /// One series more. Of data-parallel engines and of several models, the fullest cache counts; all else is summed.
    fn add(&mut self, figure: Figure, value: f64) {
        let place = self.place(figure);
        *place = Some(match (*place, figure) {
            (None, _) => value,
            (Some(known), Figure::Cache) => known.max(value),
            (Some(known), _) => known + value,
        });
    }

    fn known(&self) -> usize {
        let counters = self.counters;
        let figures = [
            self.running,
            self.waiting,
            self.cache,
            counters.prompt_tokens,
            counters.output_tokens,
        ];
        figures.iter().flatten().count()
    }
}

/// Reads a page, whatever it is. Values that are no finite numbers are as if they were not there.
///
/// Lines are picked by their names before anything else is done with them: of a page of 60 KB some ten lines are left.
pub fn read(page: &str) -> Page {
    let mut found: [Page; SERVERS.len()] = Default::default();
    for (found, server) in found.iter_mut().zip(&SERVERS) {
        found.server = server.name;
    }
    for line in page.lines() {
        if let Some((place, figure, rest)) = known(line.trim_start())
            && let Some(value) = value(rest)
        {
            found[place].add(figure, value);
        }
    }
    let best = found.into_iter().rev().max_by_key(Page::known);
    best.filter(|page| page.known() > 0).unwrap_or_default()
}

/// Whose line it is, what it tells, and what follows its name.
fn known(line: &str) -> Option<(usize, Figure, &str)> {
    // Nearly all lines of a page end here, at their first letters.
    let begins = |server: &&Server| line.starts_with(server.prefix);
    let place = SERVERS.iter().position(|server| begins(&server))?;
    let server = &SERVERS[place];
    let name = line.get(server.prefix.len()..)?.strip_prefix([':', '_'])?;
    let families = server.families.iter();
    let (rest, figure) = families
        .filter_map(|(family, figure)| Some((name.strip_prefix(family)?, *figure)))
        .find(|(rest, _)| rest.starts_with(['{', ' ', '\t']))?;
    Some((place, figure, rest))
}

/// The value that follows a name and its labels; `None` where another series tells the same.
fn value(rest: &str) -> Option<f64> {
    let (labels, rest) = split_labels(rest)?;
    if repeats_another(labels) {
        return None;
    }
    // The library's names have no colons, and its labels no braces: it gets the line without what is known of it already.
    match LineInfo::parse(&format!("x{rest}")) {
        LineInfo::Sample { value, .. } => {
            value.parse().ok().filter(|value: &f64| value.is_finite())
        }
        _ => None,
    }
}

/// The labels between their braces, and what follows them. Their values are quoted, and may have braces of their own.
fn split_labels(rest: &str) -> Option<(&str, &str)> {
    let Some(labels) = rest.strip_prefix('{') else {
        return Some(("", rest));
    };
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = labels.find(|letter| {
        let ends = letter == '}' && !is_quoted;
        is_quoted ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    })?;
    Some((&labels[..end], &labels[end + 1..]))
}

/// Whether a series is of a process that works on the same requests as another one.
fn repeats_another(labels: &str) -> bool {
    labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .any(|(name, value)| SAME_REQUESTS.contains(&name.trim()) && value.trim() != "\"0\"")
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
