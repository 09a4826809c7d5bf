//! The lines of the log: the time of day, the words, and how grave they are.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Scene;
use super::sheet::{BAD, DIM, DOUBTFUL};
use super::skin::harmless;

/// The last of them, at most so many.
pub(super) fn last(scene: &Scene<'_>, most: usize) -> Vec<Line<'static>> {
    between(scene, scene.log.len().saturating_sub(most), scene.log.len())
}

/// Those between two places.
pub(super) fn between(scene: &Scene<'_>, first: usize, end: usize) -> Vec<Line<'static>> {
    let lines = scene.log.get(first..end).unwrap_or_default();
    lines.iter().map(|line| shown(line)).collect()
}

fn shown(line: &str) -> Line<'static> {
    let Some((time, level, words)) = parts(line) else {
        return Line::from(harmless(line));
    };
    let style = match level {
        "ERROR" => BAD,
        "WARN" => DOUBTFUL,
        "INFO" => Style::new(),
        _ => DIM,
    };
    Line::from(vec![
        Span::styled(format!("{time} "), DIM),
        Span::styled(harmless(words), style),
    ])
}

/// Time of day, level and words of a line of the log; `None` for what follows on such a line.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (stamp, rest) = line.split_once(' ')?;
    let (_, time) = stamp.split_once('T')?;
    let time = time.get(..8)?;
    let (level, words) = rest.trim_start().split_once(' ')?;
    let is_level = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level);
    is_level.then_some((time, level, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_time_of_day_and_its_words() {
        let line = "2026-01-02T03:04:05.678901Z  WARN the journal cannot be written";
        assert_eq!(
            parts(line),
            Some(("03:04:05", "WARN", "the journal cannot be written"))
        );
        assert_eq!(
            shown(line).to_string(),
            "03:04:05 the journal cannot be written"
        );
        for other in [
            "",
            "  the body of a request",
            "Today INFO",
            "2026-01-02T03:04 INFO x",
            "Tseven..ä INFO x",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
