//! Common prefixes of generated prompts: texts of an exact length, one for each group.
//! It composes no prompts, and draws nobody's group.

use std::collections::BTreeSet;

use super::Corpus;
use super::ladder::Ladder;
use super::lead::Leads;
use super::measure::Measure;
use crate::domain::Seed;

/// Attempts to piece together a prefix of the exact length.
const ATTEMPTS: u64 = 200;
/// Of these, attempts with an opening line.
const WITH_LINE: u64 = 150;

/// Makes prefixes of `tokens` tokens, the same for equal seeds, whatever the index.
pub(super) struct Prefixes<'a> {
    /// Of which text.
    pub(super) corpus: Corpus,
    /// Its pieces.
    pub(super) ladder: &'a Ladder,
    /// How long.
    pub(super) tokens: u32,
    /// What draws them.
    pub(super) seed: Seed,
    /// What counts them.
    pub(super) measure: &'a Measure,
}

/// Opening lines that keep the prefixes of groups apart from their first words on.
struct Lines {
    leads: Leads,
    base: i64,
}

impl Prefixes<'_> {
    /// One prefix for each of `groups` groups, all different; how many were found where there are not so many.
    pub(super) fn make(&self, groups: u32) -> Result<Vec<String>, u32> {
        if groups < 2 {
            return self.one(0, None).map(|text| vec![text]).ok_or(0);
        }
        let lines = Lines {
            leads: Leads::new(self.corpus, |line| self.measure.part(line)),
            base: self.measure.part(&Leads::base(self.corpus)).into(),
        };
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for group in 0..groups {
            let text = self.distinct(group, &lines, &mut seen);
            found.push(text.ok_or(group)?);
        }
        Ok(found)
    }

    fn distinct(&self, group: u32, lines: &Lines, seen: &mut BTreeSet<String>) -> Option<String> {
        // A group's first text is nearly always new; the following ones are of streams of their own.
        (0..4_u64)
            .filter_map(|again| self.one(u64::from(group) | again << 32, Some(lines)))
            .find(|text| seen.insert(text.clone()))
    }

    fn one(&self, group: u64, lines: Option<&Lines>) -> Option<String> {
        let mut aim = i64::from(self.tokens);
        for attempt in 0..ATTEMPTS {
            let mut rng = self
                .seed
                .stream("shared-prefix", group.wrapping_mul(ATTEMPTS) + attempt);
            let mut text = String::new();
            let line = match lines.filter(|_| attempt < WITH_LINE) {
                Some(lines) => lines.base + lines.leads.draw(&mut rng, &mut text),
                None => 0,
            };
            let Ok(room) = u32::try_from(aim - line) else {
                continue;
            };
            self.ladder
                .fill(room, &mut self.ladder.deck(), &mut rng, &mut text);
            let got = self.measure.opening(&text);
            if got == self.tokens {
                return Some(text);
            }
            if line > 0 && room < self.ladder.least() {
                continue;
            }
            // The start of a text may cost a token more or less than its middle.
            let off = i64::from(self.tokens) - i64::from(got);
            let most = i64::from(self.tokens) + i64::from(self.ladder.least());
            aim = (aim + off).clamp(1, most);
        }
        None
    }
}
