//! What a person looks at: which page, how far it is scrolled, whether the keys are said. Keys come here as their meaning.

/// What a key asks to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// The next page.
    Next,
    /// The page before.
    Previous,
    /// A line up.
    Up,
    /// A line down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// All keys, or no longer.
    Help,
    /// No keys; the first page, when they are not shown.
    Back,
}

/// What there is to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// Everything at once.
    #[default]
    Overview,
    /// Each worker.
    Workers,
    /// Each kind of failure.
    Errors,
    /// The lines of the log.
    Log,
}

impl Page {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Overview, Self::Workers, Self::Errors, Self::Log];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Workers => "Workers",
            Self::Errors => "Errors",
            Self::Log => "Log",
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|page| *page == self);
        let next = (at.unwrap_or(0) + by) % Self::ALL.len();
        Self::ALL.get(next).copied().unwrap_or_default()
    }
}

/// How a person looks at a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The page.
    pub page: Page,
    /// Whether the keys are said.
    pub help: bool,
    /// Lines by which the page is scrolled: from its top, or from the last line of the log back.
    scrolled: usize,
    /// Lines of a list that there was room for.
    room: usize,
}

impl Look {
    /// Looks as a key asks to.
    pub fn turn(&mut self, glance: Glance) {
        let page = self.room.max(2) - 1;
        match glance {
            Glance::Next => self.open(self.page.step(1)),
            Glance::Previous => self.open(self.page.step(Page::ALL.len() - 1)),
            Glance::Help => self.help = !self.help,
            Glance::Back if self.help => self.help = false,
            Glance::Back => self.open(Page::Overview),
            Glance::Up => self.scroll(1, true),
            Glance::Down => self.scroll(1, false),
            Glance::PageUp => self.scroll(page, true),
            Glance::PageDown => self.scroll(page, false),
        }
    }

    fn open(&mut self, page: Page) {
        self.help = false;
        if page != self.page {
            (self.page, self.scrolled) = (page, 0);
        }
    }

    /// Up is forward in a list that is read from its top, and back in a log that is read from its end.
    fn scroll(&mut self, by: usize, up: bool) {
        self.scrolled = if up == (self.page == Page::Log) {
            self.scrolled.saturating_add(by)
        } else {
            self.scrolled.saturating_sub(by)
        };
    }

    /// The lines of a list of so many that are in sight: (first, last + 1), where there is room for so many.
    pub(super) fn window(&mut self, lines: usize, room: usize) -> (usize, usize) {
        self.room = room;
        self.scrolled = self.scrolled.min(lines.saturating_sub(room));
        let shown = lines.min(room);
        let first = if self.page == Page::Log {
            lines - shown - self.scrolled
        } else {
            self.scrolled
        };
        (first, first + shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_round_and_back_is_the_first() {
        let mut look = Look::default();
        let mut turned = |glance| {
            look.turn(glance);
            (look.page, look.help)
        };
        assert_eq!(turned(Glance::Next), (Page::Workers, false));
        assert_eq!(turned(Glance::Previous), (Page::Overview, false));
        assert_eq!(turned(Glance::Previous), (Page::Log, false));
        assert_eq!(turned(Glance::Help), (Page::Log, true));
        assert_eq!(turned(Glance::Back), (Page::Log, false));
        assert_eq!(turned(Glance::Back), (Page::Overview, false));
    }

    #[test]
    fn a_list_is_read_from_its_top_and_a_log_from_its_end() {
        let mut look = Look::default();
        look.turn(Glance::Next);
        assert_eq!(look.window(100, 10), (0, 10));
        look.turn(Glance::PageDown);
        look.turn(Glance::Down);
        assert_eq!(look.window(100, 10), (10, 20));
        for _ in 0..50 {
            look.turn(Glance::PageDown);
        }
        assert_eq!(look.window(100, 10), (90, 100));
        // What was pressed too often is not owed.
        look.turn(Glance::Up);
        assert_eq!(look.window(100, 10), (89, 99));
        assert_eq!(look.window(3, 10), (0, 3));
        look.turn(Glance::Previous);
        look.turn(Glance::Previous);
        assert_eq!(look.window(100, 10), (90, 100));
        look.turn(Glance::Up);
        assert_eq!(look.window(100, 10), (89, 99));
        assert_eq!(look.window(0, 0), (0, 0));
    }
}
