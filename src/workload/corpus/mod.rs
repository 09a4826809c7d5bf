//! The texts that the product ships: corpora, their instructions, and the words of opening lines.
//! All of it is our own writing but the sonnets, which are Shakespeare's (1609) in modern spelling. It counts no tokens and draws nothing.

use super::Corpus;

/// Words of an opening line: a quality, a colour, who, does what, and how.
const LEADS: &str = include_str!("leads.txt");

impl Corpus {
    /// The items: paragraphs without inner blank lines, each starting with a letter.
    pub fn items(self) -> impl Iterator<Item = &'static str> {
        self.text().split("\n\n").map(str::trim_end)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Limericks => include_str!("limericks.txt"),
            Self::Sonnets => include_str!("sonnets.txt"),
            Self::Code => include_str!("code.txt"),
        }
    }

    /// The lines, each with its line feed.
    pub(super) fn lines(self) -> impl Iterator<Item = &'static str> {
        let lines = self.text().split_inclusive('\n');
        lines.filter(|line| !line.trim().is_empty() && line.ends_with('\n'))
    }

    /// The instruction that ends a prompt unless another one is given.
    pub const fn instruction(self) -> &'static str {
        match self {
            Self::Limericks => "Translate every limerick above to Spanish.",
            Self::Sonnets => "Tell in plain Spanish what each sonnet above says.",
            Self::Code => "Translate all the code above to C++.",
        }
    }

    /// What stands before and after the words of an opening line, from the first word to the last.
    pub(super) const fn lead_joints(self) -> [(&'static str, &'static str); 5] {
        match self {
            Self::Limericks | Self::Sonnets => {
                [("", ""), (" ", ""), (" ", ""), (" ", ""), (" ", "\n\n")]
            }
            Self::Code => [
                ("", ""),
                ("_", ""),
                ("_", ""),
                (" = ", ""),
                ("(\"", "\")\n\n"),
            ],
        }
    }

    /// Whether an opening line starts with a capital letter.
    pub(super) const fn capitalises(self) -> bool {
        matches!(self, Self::Limericks | Self::Sonnets)
    }
}

/// The five word lists of opening lines.
pub(super) fn lead_words() -> impl Iterator<Item = Vec<&'static str>> {
    LEADS.lines().map(|line| line.split(' ').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Corpus; 3] = [Corpus::Limericks, Corpus::Code, Corpus::Sonnets];

    #[test]
    fn items_are_paragraphs_that_start_with_a_letter() {
        for item in ALL.into_iter().flat_map(Corpus::items) {
            assert!(
                item.starts_with(|c: char| c.is_ascii_alphabetic()),
                "{item}"
            );
            assert!(item.is_ascii() && !item.contains("\n\n") && item.trim() == item);
        }
    }

    #[test]
    fn a_limerick_has_five_lines_and_none_is_there_twice() {
        let mut items: Vec<_> = Corpus::Limericks.items().collect();
        assert!(items.iter().all(|item| item.lines().count() == 5));
        let count = items.len();
        items.sort_unstable();
        items.dedup();
        assert_eq!((items.len(), count), (count, 101));
    }

    #[test]
    fn a_sonnet_has_fourteen_lines_and_none_is_there_twice() {
        let mut items: Vec<_> = Corpus::Sonnets.items().collect();
        assert!(items.iter().all(|item| item.lines().count() == 14));
        assert!(
            items
                .iter()
                .flat_map(|item| item.lines())
                .all(|line| line.trim() == line)
        );
        let count = items.len();
        items.sort_unstable();
        items.dedup();
        assert_eq!((items.len(), count), (count, 75));
    }

    #[test]
    fn code_items_have_ten_to_twenty_lines() {
        let lines: Vec<_> = Corpus::Code
            .items()
            .map(|item| item.lines().count())
            .collect();
        assert!(lines.len() >= 40);
        assert!(
            lines.iter().all(|lines| (10..=20).contains(lines)),
            "{lines:?}"
        );
    }

    #[test]
    fn there_are_a_billion_opening_lines() {
        let lists: Vec<_> = lead_words().collect();
        assert_eq!(lists.len(), 5);
        assert!(lists.iter().map(Vec::len).product::<usize>() > 1_000_000_000);
        for mut list in lists {
            let count = list.len();
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), count);
        }
    }
}
