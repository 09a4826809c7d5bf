//! The keys, said over whatever is shown.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

use super::Scene;
use super::sheet::{ACCENT, BOLD, DIM, frame, lines};

/// Keys and what they do.
const KEYS: [(&str, &str); 9] = [
    ("w W", "one user more, ten users more"),
    ("s S", "one user fewer, ten users fewer"),
    ("r R", "one request/s more, 10% more"),
    ("f F", "one request/s less, 10% less"),
    ("p", "pause, resume"),
    ("q", "stop: wait for what is in flight; again: drop it"),
    ("Tab", "the next page; Shift-Tab: the one before"),
    ("arrows", "scroll; PgUp and PgDn: a page"),
    ("? Esc", "these keys, or no longer"),
];
const WIDTH: u16 = 64;

/// Draws them in the middle of `area`.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let has_rate = scene.plan.schedule.has_rate();
    let said: Vec<_> = KEYS
        .into_iter()
        .filter(|(keys, _)| has_rate || !keys.starts_with(['r', 'f']))
        .map(|(keys, words)| {
            Line::from(vec![
                Span::styled(format!("{keys:<8}"), BOLD),
                Span::raw(words),
            ])
        })
        .chain(
            scene
                .plan
                .is_open()
                .then(|| Line::styled("users are the most requests in flight here", DIM)),
        )
        .collect();
    let height = u16::try_from(said.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let (width, height) = (WIDTH.min(area.width), height.min(area.height));
    let over = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(over, buffer);
    let inside = frame(
        vec![Span::styled("Keys", ACCENT.patch(BOLD))],
        over,
        true,
        buffer,
    );
    lines(said, inside, buffer);
}
