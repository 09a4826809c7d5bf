//! Whether a run is shown in the terminal, and what that terminal can show: decided from what is told of it, asked of nobody.

use crate::config::Outputs;
use crate::tui::Skin;

/// What is known of where this process was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Standard input is a terminal: there are keys.
    pub(super) stdin: bool,
    /// Standard output is one: there is something to draw on, and nobody reads what is printed but a person.
    pub(super) stdout: bool,
    /// Standard error is one: no line of the log is missed by a file.
    pub(super) stderr: bool,
    /// `TERM`: which sort of terminal it is.
    pub(super) term: Option<String>,
}

/// Whether the live view takes the place of the tables that would be printed while a run goes on.
///
/// It does not where somebody said so, where tables are not printed either, or where it is no terminal that a cursor moves in.
pub(super) fn is_wanted(outputs: &Outputs, place: &Place) -> bool {
    let is_refused = outputs.headless || outputs.only_summary || outputs.json;
    let is_a_terminal = place.stdin && place.stdout && place.stderr;
    let term = place.term.as_deref().unwrap_or_default();
    !is_refused && is_a_terminal && !matches!(term, "" | "dumb")
}

/// What the terminal can show, by the variables of its environment.
pub(super) fn skin(variable: impl Fn(&str) -> Option<String>) -> Skin {
    let said = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&said);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
    // The Linux console knows frames and few bars.
    let is_console = said("TERM").is_some_and(|term| term == "linux");
    Skin {
        unicode: is_utf8 && !is_console,
        colour: said("NO_COLOR").is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Place {
        Place {
            stdin: true,
            stdout: true,
            stderr: true,
            term: Some("xterm-256color".to_owned()),
        }
    }

    #[test]
    fn the_view_needs_a_terminal_on_all_sides_and_nobody_who_refuses() {
        let plain = Outputs::default();
        let with = |change: fn(&mut Place)| {
            let mut place = terminal();
            change(&mut place);
            is_wanted(&plain, &place)
        };
        assert!(with(|_| {}));
        assert!(!with(|place| place.stdin = false));
        assert!(!with(|place| place.stdout = false));
        assert!(!with(|place| place.stderr = false));
        assert!(!with(|place| place.term = None));
        assert!(!with(|place| place.term = Some(String::new())));
        assert!(!with(|place| place.term = Some("dumb".to_owned())));
        let said = |change: fn(&mut Outputs)| {
            let mut outputs = plain.clone();
            change(&mut outputs);
            is_wanted(&outputs, &terminal())
        };
        assert!(!said(|outputs| outputs.headless = true));
        assert!(!said(|outputs| outputs.only_summary = true));
        assert!(!said(|outputs| outputs.json = true));
    }

    fn skin_of(variables: &[(&str, &str)]) -> (bool, bool) {
        let named = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let skin = skin(named);
        (skin.unicode, skin.colour)
    }

    #[test]
    fn letters_go_by_the_locale_and_colours_by_no_color() {
        assert_eq!(skin_of(&[]), (false, true));
        assert_eq!(skin_of(&[("LANG", "en_GB.UTF-8")]), (true, true));
        assert_eq!(
            skin_of(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]),
            (false, true)
        );
        assert_eq!(
            skin_of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]),
            (true, true)
        );
        assert_eq!(
            skin_of(&[("LANG", "C.UTF-8"), ("TERM", "linux")]),
            (false, true)
        );
        assert_eq!(
            skin_of(&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")]),
            (true, false)
        );
        assert_eq!(
            skin_of(&[("LANG", "C.UTF-8"), ("NO_COLOR", "")]),
            (true, true)
        );
    }
}
