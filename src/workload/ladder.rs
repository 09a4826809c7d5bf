//! Corpus items with their lengths, and a beginning of an item for every length that is left to fill.
//! It measures once, before the run; then everything is addition.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Corpus;
use super::measure::Measure;

/// Beginnings kept for one length: enough for variety.
const MOST_CUTS: usize = 12;
/// Bytes of beginnings to measure: what limericks and code have, and a part of what longer texts have.
const MOST_MEASURED: usize = 600_000;
/// What ends a paragraph.
const BLANK: &str = "\n\n";

/// The pieces of prompts.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    items: Vec<Item>,
    /// For each number of tokens, ways to make it.
    rungs: Vec<Vec<Rung>>,
    least: u32,
}

/// A whole item with its closing blank line.
#[derive(Clone, Debug)]
struct Item {
    text: String,
    tokens: u32,
}

/// The beginning of an item, after a whole one where a longer text is needed.
#[derive(Clone, Copy, Debug)]
struct Rung {
    whole: Option<usize>,
    item: usize,
    end: usize,
}

/// The items in an order of their own for one prompt.
pub(super) struct Deck {
    order: Vec<usize>,
    dealt: usize,
}

impl Ladder {
    /// Measures the items of `corpus` and their beginnings; `None` where lengths have gaps that cannot be bridged.
    pub(super) fn new(corpus: Corpus, measure: &Measure) -> Option<Self> {
        let items: Vec<Item> = corpus
            .items()
            .map(|item| {
                let text = [item, BLANK].concat();
                Item {
                    tokens: measure.part(&text),
                    text,
                }
            })
            .collect();
        let longest = items.iter().map(|item| item.tokens).max().unwrap_or(0);
        let mut rungs = beginnings(&items, longest, measure);
        extend(&mut rungs, &items, longest);
        // An item without a length would be dealt for ever.
        if items.iter().any(|item| item.tokens == 0) {
            return None;
        }
        let least = first_unbroken(&rungs, longest)?;
        Some(Self {
            items,
            rungs,
            least,
        })
    }

    /// From this number of tokens on every length can be made.
    pub(super) const fn least(&self) -> u32 {
        self.least
    }

    /// A fresh order.
    pub(super) fn deck(&self) -> Deck {
        Deck {
            order: (0..self.items.len()).collect(),
            dealt: 0,
        }
    }

    /// Appends whole items in the order of `deck` and then a beginning, together of exactly `room` tokens.
    /// A room of 1 to `least` - 1 stays empty.
    pub(super) fn fill(&self, room: u32, deck: &mut Deck, rng: &mut ChaCha8Rng, out: &mut String) {
        let mut room = room;
        while room > 0 {
            let item = &self.items[deck.next(rng)];
            match room.checked_sub(item.tokens) {
                Some(left) if left == 0 || left >= self.least => {
                    out.push_str(&item.text);
                    room = left;
                }
                _ => return self.end(room, rng, out),
            }
        }
    }

    fn end(&self, room: u32, rng: &mut ChaCha8Rng, out: &mut String) {
        let Some(ways) = self
            .rungs
            .get(room as usize)
            .filter(|ways| !ways.is_empty())
        else {
            return;
        };
        let way = &ways[rng.random_range(0..ways.len())];
        if let Some(whole) = way.whole {
            out.push_str(&self.items[whole].text);
        }
        out.push_str(&self.items[way.item].text[..way.end]);
        out.push_str(BLANK);
    }
}

impl Deck {
    /// The next item in random order; all are dealt before one comes again.
    fn next(&mut self, rng: &mut ChaCha8Rng) -> usize {
        if self.dealt == self.order.len() {
            self.dealt = 0;
        }
        let pick = rng.random_range(self.dealt..self.order.len());
        self.order.swap(self.dealt, pick);
        self.dealt += 1;
        self.order[self.dealt - 1]
    }
}

/// For each length up to twice the longest item's, beginnings of that length, cut at the end of a word.
fn beginnings(items: &[Item], longest: u32, measure: &Measure) -> Vec<Vec<Rung>> {
    let mut rungs: Vec<Vec<Rung>> = vec![Vec::new(); 2 * longest as usize + 1];
    let mut measured = 0;
    for (index, item) in items.iter().enumerate() {
        if measured > MOST_MEASURED {
            break;
        }
        for end in word_ends(&item.text) {
            measured += end;
            let tokens = measure.part(&[&item.text[..end], BLANK].concat());
            if let Some(ways) = rungs.get_mut(tokens as usize)
                && ways.len() < MOST_CUTS
            {
                ways.push(Rung {
                    whole: None,
                    item: index,
                    end,
                });
            }
        }
    }
    rungs
}

/// Puts whole items before beginnings where no beginning alone is long enough.
fn extend(rungs: &mut [Vec<Rung>], items: &[Item], longest: u32) {
    let short: Vec<Vec<Rung>> = rungs.to_vec();
    let empty = |tokens: &usize| short[*tokens].is_empty();
    for tokens in (1..=2 * longest as usize).filter(empty) {
        let ways = items.iter().enumerate().filter_map(|(whole, item)| {
            let rest = tokens.checked_sub(item.tokens as usize)?;
            let rung = short[rest].get(whole % short[rest].len().max(1))?;
            Some(Rung {
                whole: Some(whole),
                ..*rung
            })
        });
        rungs[tokens] = ways.take(MOST_CUTS).collect();
    }
}

/// The least length from which on every length is there, up to `longest` more: beside a last whole item less
/// than that is left.
fn first_unbroken(rungs: &[Vec<Rung>], longest: u32) -> Option<u32> {
    let mut start = 1;
    for (tokens, ways) in (0..).zip(rungs).skip(1) {
        if ways.is_empty() {
            start = tokens + 1;
        } else if tokens - start == longest {
            return Some(start);
        }
    }
    None
}

/// The ends of the words of `text`, the last one included.
fn word_ends(text: &str) -> impl Iterator<Item = usize> {
    let letters = text.as_bytes();
    (1..letters.len()).filter(|end| {
        !letters[end - 1].is_ascii_whitespace() && letters[*end].is_ascii_whitespace()
    })
}
