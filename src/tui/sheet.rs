//! Where on the screen things stand: lines that are clipped, sections with a heading, words that are broken into lines.
//! It knows nothing of a run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Widget as _};
use unicode_width::UnicodeWidthStr as _;

/// What says less than the rest.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// What is to be seen first.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Headings and charts.
pub(super) const ACCENT: Style = Style::new().fg(Color::Cyan);
/// What is as it should be.
pub(super) const GOOD: Style = Style::new().fg(Color::Green);
/// What is to be looked at.
pub(super) const DOUBTFUL: Style = Style::new().fg(Color::Yellow);
/// What is wrong.
pub(super) const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// Lines with what stands above them.
pub(super) struct Section {
    pub(super) heading: Vec<Span<'static>>,
    pub(super) lines: Vec<Line<'static>>,
}

impl Section {
    /// With a plain heading.
    pub(super) fn new(heading: &str, lines: Vec<Line<'static>>) -> Self {
        Self {
            heading: vec![Span::styled(heading.to_owned(), ACCENT.patch(BOLD))],
            lines,
        }
    }

    /// With something beside the heading.
    pub(super) fn and(mut self, span: Span<'static>) -> Self {
        self.heading.push(Span::raw(" "));
        self.heading.push(span);
        self
    }

    /// Draws it into `area`, below a rule or in a frame.
    pub(super) fn draw(self, area: Rect, framed: bool, buffer: &mut Buffer) {
        let inside = frame(self.heading, area, framed, buffer);
        lines(self.lines, inside, buffer);
    }
}

/// Draws a heading with its rule, or with a whole frame, and says what is left inside.
pub(super) fn frame(
    heading: Vec<Span<'static>>,
    area: Rect,
    framed: bool,
    buffer: &mut Buffer,
) -> Rect {
    let mut title = vec![Span::raw(" ")];
    title.extend(heading);
    title.push(Span::raw(" "));
    let borders = if framed { Borders::ALL } else { Borders::TOP };
    let block = Block::new()
        .borders(borders)
        .border_type(BorderType::Rounded)
        .border_style(DIM)
        .title(Line::from(title));
    let inside = block.inner(area);
    block.render(area, buffer);
    // A word does not touch the frame.
    Rect {
        x: inside.x.saturating_add(1),
        width: inside.width.saturating_sub(2),
        ..inside
    }
}

/// Lines one below the other, as far as there is room.
pub(super) fn lines(lines: Vec<Line<'static>>, area: Rect, buffer: &mut Buffer) {
    for (row, line) in (area.top()..area.bottom()).zip(lines) {
        buffer.set_line(area.x, row, &line, area.width);
    }
}

/// Two texts at both ends of a line; the right one has the room first.
pub(super) fn ends(
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    width: usize,
) -> Line<'static> {
    let room = width.saturating_sub(wide(&right));
    let mut spans = clipped(left, room.saturating_sub(1));
    let gap = room.saturating_sub(wide(&spans));
    spans.push(Span::raw(" ".repeat(gap)));
    spans.extend(right);
    Line::from(spans)
}

/// Columns that spans need.
pub(super) fn wide(spans: &[Span<'_>]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// Spans cut to a number of columns.
fn clipped(spans: Vec<Span<'static>>, columns: usize) -> Vec<Span<'static>> {
    let mut left = columns;
    let mut kept = Vec::new();
    for span in spans {
        let text = fitting(&span.content, left);
        left = left.saturating_sub(text.width());
        kept.push(Span::styled(text, span.style));
    }
    kept
}

/// What of a text stands in so many columns; that something is cut off is said.
pub(super) fn fitting(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    // Letters that join change each other's widths: the whole is measured, with a column left for the mark.
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        if kept.width() >= columns {
            kept.pop();
            break;
        }
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text in exactly so many columns.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let text = fitting(text, columns);
    let gap = columns.saturating_sub(text.width());
    text + &" ".repeat(gap)
}

/// The same, at the right end of its columns.
pub(super) fn flush_right(text: &str, columns: usize) -> String {
    let text = fitting(text, columns);
    let gap = columns.saturating_sub(text.width());
    " ".repeat(gap) + &text
}

/// Words in lines of at most so many columns, at most so many lines: what is beyond the last one is cut off.
pub(super) fn broken(words: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        let is_last = lines.len() >= most;
        match lines.last_mut() {
            Some(line) if is_last || line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| fitting(line, columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_into_lines_and_the_last_one_is_cut() {
        let words = "one two three four five";
        assert_eq!(broken(words, 9, 3), ["one two", "three", "four five"]);
        assert_eq!(broken(words, 9, 2), ["one two", "three fo…"]);
        assert_eq!(broken("a-word-that-is-long", 6, 2), ["a-wor…"]);
        assert_eq!(broken("", 6, 2), Vec::<String>::new());
    }

    #[test]
    fn a_text_stands_in_its_columns_whatever_letters_are_wide() {
        assert_eq!(
            (fitting("模型模型", 5), fitting("ab", 0)),
            ("模型…".to_owned(), String::new())
        );
        // The second letter makes the first one wide.
        for columns in 0..5 {
            let text = fitting("\u{1f56f}\u{fe0f}\u{1f56f}\u{fe0f}①", columns);
            assert!(text.width() <= columns, "{text:?} in {columns}");
        }
        assert_eq!(
            (padded("模", 4), flush_right("ab", 4)),
            ("模  ".to_owned(), "  ab".to_owned())
        );
        let line = ends(vec![Span::raw("left side")], vec![Span::raw("right")], 12);
        assert_eq!(line.to_string(), "left … right");
        assert_eq!(
            ends(vec![Span::raw("l")], vec![Span::raw("r")], 5).to_string(),
            "l   r"
        );
        assert_eq!(
            ends(vec![Span::raw("l")], vec![Span::raw("right")], 3).to_string(),
            "right"
        );
    }
}
