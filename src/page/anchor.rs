//! Names of places in a page, made of headings; each is there once.

use std::collections::BTreeSet;

/// The anchors that are taken.
#[derive(Default)]
pub(super) struct Anchors(BTreeSet<String>);

impl Anchors {
    /// A new one: letters and digits in lower case, joined by `-`. None holds a `_`, which other names of the page do.
    pub(super) fn of(&mut self, heading: &str) -> String {
        let words: Vec<String> = heading
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let wanted = if words.is_empty() {
            "section".to_owned()
        } else {
            words.join("-")
        };
        let mut anchor = wanted.clone();
        let mut count = 1_usize;
        while !self.0.insert(anchor.clone()) {
            count += 1;
            anchor = format!("{wanted}-{count}");
        }
        anchor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_plain_and_each_is_there_once() {
        let mut anchors = Anchors::default();
        let all: Vec<String> = [
            "Time to first token",
            "Time to first token!",
            "<script>",
            "",
            "…",
            "Überblick 2",
        ]
        .map(|heading| anchors.of(heading))
        .to_vec();
        assert_eq!(
            all,
            [
                "time-to-first-token",
                "time-to-first-token-2",
                "script",
                "section",
                "section-2",
                "überblick-2"
            ]
        );
    }
}
