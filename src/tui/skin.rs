//! What a terminal can show: how a view that is drawn with everything is made to fit. Words from elsewhere are made
//! harmless before they come here.

use ratatui::buffer::Buffer;
use ratatui::style::Color;

/// What of a view a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skin {
    /// Characters beyond ASCII: frames, bars, and the letters of the world.
    pub unicode: bool,
    /// Colours.
    pub colour: bool,
}

impl Skin {
    /// Replaces what the terminal cannot show.
    pub(super) fn fit(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if !self.colour {
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
            }
            if !self.unicode && !cell.symbol().is_ascii() {
                let plain = plain(cell.symbol());
                cell.set_char(plain);
            }
        }
    }
}

/// The character of ASCII that does most like it.
fn plain(symbol: &str) -> char {
    match symbol {
        "▁" => '_',
        "▂" | "·" | "…" => '.',
        "▃" | "─" | "–" => '-',
        "▄" | "━" => '=',
        "▅" | "╭" | "╮" | "╰" | "╯" => '+',
        "▆" => '*',
        "▇" => '%',
        "█" => '#',
        "│" => '|',
        "µ" => 'u',
        "↑" => '^',
        "↓" => 'v',
        _ => '?',
    }
}

/// Words from elsewhere, of which none moves the cursor or turns others round.
pub(super) fn harmless(words: &str) -> String {
    let is_invisible = |letter: char| {
        matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    let seen = words.chars().filter(|&letter| !is_invisible(letter));
    seen.map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_from_elsewhere_steers_the_terminal() {
        let words = "a\x1b[2J\u{9b}2Jb\r\n\tc\u{202e}d\u{200d}ä";
        assert_eq!(harmless(words), "a [2J 2Jb   cdä");
    }
}
