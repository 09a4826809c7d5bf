//! Failures by kind, and doubts: the most frequent first.

use ratatui::text::{Line, Span};

use super::Scene;
use super::figure::{count, counted};
use super::sheet::{BAD, BOLD, DIM, DOUBTFUL, Section};
use super::skin::harmless;

/// All of them, a line each.
pub(super) fn lines(scene: &Scene<'_>) -> Vec<Line<'static>> {
    let summary = &scene.standing.summary;
    let mut kinds: Vec<_> = summary.errors.iter().collect();
    kinds.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
    let failures = kinds.into_iter().map(|(kind, seen)| {
        Line::from(vec![
            Span::styled(format!("{:>6} ", count(seen.count)), BOLD),
            Span::styled(format!("{} ", kind.outcome), BAD),
            Span::raw(harmless(&kind.text)),
        ])
    });
    let doubts = summary.warnings.iter().map(|(kind, number)| {
        Line::from(vec![
            Span::styled(format!("{:>6} ", count(*number)), BOLD),
            Span::styled(kind.name().to_owned(), DOUBTFUL),
        ])
    });
    failures.chain(doubts).collect()
}

/// The section, in so many lines.
pub(super) fn section(scene: &Scene<'_>, most: usize) -> Section {
    let lines = few(lines(scene), most, "kind");
    if lines.is_empty() {
        let nothing = Line::from(Span::styled("none", DIM));
        return Section::new("Errors", vec![nothing]);
    }
    Section::new("Errors", lines)
}

/// The first of many lines, and how many more there are.
pub(super) fn few(mut lines: Vec<Line<'static>>, most: usize, what: &str) -> Vec<Line<'static>> {
    let more = lines.len().saturating_sub(most);
    if more > 0 && most > 0 {
        lines.truncate(most - 1);
        let words = format!("and {}", counted(more + 1, &format!("more {what}")));
        lines.push(Line::from(Span::styled(words, DIM)));
    }
    lines
}
