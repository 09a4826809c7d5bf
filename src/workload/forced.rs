//! What the model is made to say: given texts in turn, or text of the corpus that is as long as was asked for.
//! It measures once, before the run; then everything is addition. It knows no API.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

use super::error::WorkloadError;
use super::length::Lengths;
use super::measure::Measure;
use super::{Corpus, Forced};
use crate::domain::{Index, Seed};

/// Beginnings kept for one length: enough for variety.
const MOST_CUTS: usize = 12;
/// Bytes of beginnings to measure: of those that end with a word, and of others.
const MOST_MEASURED: (usize, usize) = (600_000, 200_000);
/// Texts that are counted whole, to see whether lengths add up.
const PROOFS: u64 = 32;
/// Letters of each text among which a beginning may end.
const FIRST: usize = 24;
const BLANK: &str = "\n\n";

/// A file of texts to force that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ForcedError {
    /// A line that is no JSON object.
    #[error("line {line}: not a JSON object")]
    Json {
        /// From 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// An object without a text.
    #[error("line {line}: no `text`")]
    NoText {
        /// From 1.
        line: usize,
    },
    /// Nothing but blank lines.
    #[error("no texts")]
    Empty,
}

/// The texts of a file: its lines, or the `text` of each where they are JSON objects. Blank lines are left out.
pub(super) fn parse(text: &str, json: bool) -> Result<Vec<String>, ForcedError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    let json = json || lines.peek().is_some_and(|(_, line)| read(line, 1).is_ok());
    let texts: Vec<String> = lines
        .map(|(number, line)| {
            if json {
                read(line, number)
            } else {
                Ok(line.to_owned())
            }
        })
        .collect::<Result<_, _>>()?;
    if texts.is_empty() {
        return Err(ForcedError::Empty);
    }
    Ok(texts)
}

fn read(text: &str, line: usize) -> Result<String, ForcedError> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|source| ForcedError::Json { line, source })?;
    let text = object.get("text").and_then(Value::as_str);
    text.map(str::to_owned).ok_or(ForcedError::NoText { line })
}

/// What the model is made to say, ready to be dealt.
#[derive(Debug)]
pub(super) enum Script {
    Texts(Vec<Arc<str>>),
    Reel { reel: Box<Reel>, seed: Seed },
}

impl Script {
    /// Measures the text of `corpus` where it is to be said, and tells the user in `notes` where it is not exact.
    pub(super) fn new(
        forced: &Forced,
        corpus: Corpus,
        seed: Seed,
        lengths: &Lengths,
        measure: &Measure,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkloadError> {
        match forced {
            Forced::Texts(texts) if texts.is_empty() => Err(WorkloadError::NoForcedTexts),
            Forced::Texts(texts) => Ok(Self::Texts(
                texts.iter().map(|t| t.as_str().into()).collect(),
            )),
            Forced::Corpus if !measure.is_exact() => Err(WorkloadError::ForcedTokenizer),
            Forced::Corpus => {
                let reel = Box::new(Reel::new(corpus, measure).ok_or(WorkloadError::NoWords)?);
                let script = Self::Reel { reel, seed };
                notes.extend(script.doubts(lengths, measure));
                Ok(script)
            }
        }
    }

    /// The text for the request with this number and key, which asks for `tokens` output tokens.
    pub(super) fn at(&self, number: u64, key: u64, tokens: u32) -> Arc<str> {
        match self {
            // The remainder is below a length, which is a usize.
            Self::Texts(texts) => {
                texts[usize::try_from(number % texts.len() as u64).unwrap_or(0)].clone()
            }
            Self::Reel { reel, seed } => reel.cut(tokens, &mut seed.stream("forced", key)).into(),
        }
    }

    fn doubts(&self, lengths: &Lengths, measure: &Measure) -> Option<String> {
        let off = |key: u64| {
            let wanted = lengths.at(Index::Arrival(key));
            measure.text(&self.at(key, key, wanted)).abs_diff(wanted)
        };
        let most = (0..PROOFS).map(off).max().filter(|off| *off > 0)?;
        Some(format!(
            "the tokenizer's counts do not add up over paragraphs: forced texts are off by up to {most} tokens"
        ))
    }
}

/// Text of the corpus that can be cut to any number of tokens.
#[derive(Debug)]
pub(super) struct Reel {
    items: Vec<Item>,
    /// Beginnings of items by their lengths when they stand alone, from the shortest on.
    alone: Vec<Vec<Cut>>,
    /// Tokens of the shortest of these.
    shortest: i64,
    /// The same when they stand after others; lengths of items at the start of a text go with these.
    after: Vec<Vec<Cut>>,
}

/// A whole item with its closing blank line.
#[derive(Debug)]
struct Item {
    text: String,
    /// Tokens at the start of a text.
    first: i64,
    /// Tokens later on.
    tokens: i64,
}

/// The beginning of an item.
#[derive(Clone, Copy, Debug)]
struct Cut {
    item: usize,
    end: usize,
}

impl Reel {
    /// Measures the text of `corpus`; `None` where the tokenizer makes no tokens of it.
    fn new(corpus: Corpus, measure: &Measure) -> Option<Self> {
        let texts: Vec<String> = corpus.items().map(|it| [it, BLANK].concat()).collect();
        let (alone, shortest) = cuts(&texts, &|text| measure.text(text).into())?;
        let (after, least) = cuts(&texts, &|text| measure.ending(text))?;
        let item = |text: String| Item {
            first: i64::from(measure.first(&text)) + least - 1,
            tokens: measure.part(&text).into(),
            text,
        };
        let items: Vec<Item> = texts.into_iter().map(item).collect();
        // What has no length would be dealt for ever.
        let reel = Self {
            items,
            alone,
            shortest,
            after,
        };
        reel.items
            .iter()
            .all(|item| item.tokens > 0)
            .then_some(reel)
    }

    /// `tokens` tokens of text, from a beginning that `rng` draws.
    fn cut(&self, tokens: u32, rng: &mut ChaCha8Rng) -> String {
        let mut text = String::new();
        let mut room = i64::from(tokens);
        let alone = room - self.shortest + 1;
        let start = rng.random_range(0..self.items.len());
        let fits = |room: i64| room >= length(&self.after) || is_filled(&self.after, room);
        let first = self.next(start, |item| fits(room - item.first));
        let Some(mut next) = first.filter(|_| !is_filled(&self.alone, alone)) else {
            end(&self.alone, &self.items, alone, rng, &mut text);
            return text;
        };
        room -= self.items[next].first;
        text.push_str(&self.items[next].text);
        while !is_filled(&self.after, room) {
            let Some(item) = self.next(next + 1, |item| fits(room - item.tokens)) else {
                break;
            };
            next = item;
            room -= self.items[next].tokens;
            text.push_str(&self.items[next].text);
        }
        end(&self.after, &self.items, room, rng, &mut text);
        text
    }

    /// The first item from `start` on that fits.
    fn next(&self, start: usize, fits: impl Fn(&Item) -> bool) -> Option<usize> {
        let count = self.items.len();
        (start..start + count)
            .map(|item| item % count)
            .find(|item| fits(&self.items[*item]))
    }
}

/// Whether a beginning may end at a place.
type Ends = dyn Fn(&[u8], usize) -> bool;

fn length(cuts: &[Vec<Cut>]) -> i64 {
    i64::try_from(cuts.len()).unwrap_or(i64::MAX)
}

fn is_filled(cuts: &[Vec<Cut>], room: i64) -> bool {
    let ways = usize::try_from(room).ok().and_then(|room| cuts.get(room));
    ways.is_some_and(|ways| !ways.is_empty())
}

/// Appends a beginning of `room` tokens; of fewer where there is none of so many.
fn end(cuts: &[Vec<Cut>], items: &[Item], room: i64, rng: &mut ChaCha8Rng, out: &mut String) {
    let room = usize::try_from(room).unwrap_or(0).min(cuts.len() - 1);
    if let Some(ways) = cuts[..=room].iter().rev().find(|ways| !ways.is_empty()) {
        let way = ways[rng.random_range(0..ways.len())];
        out.push_str(&items[way.item].text[..way.end]);
    }
}

/// For each length from 1 on, beginnings of texts that `count` finds so long, and what it finds for the shortest: up to
/// the end of a word, or inside of words where nothing else has the length.
fn cuts(texts: &[String], count: &dyn Fn(&str) -> i64) -> Option<(Vec<Vec<Cut>>, i64)> {
    let words = measured(texts, MOST_MEASURED.0, count, &|text, end| {
        text[end].is_ascii_whitespace() && !text[end - 1].is_ascii_whitespace()
    });
    // Of words alone the shortest may be some tokens already.
    let letters = texts.iter().map(|text| count(&text[..1]));
    let least = letters
        .chain(words.iter().map(|(tokens, _)| *tokens))
        .min()?;
    let most = words.iter().map(|(tokens, _)| *tokens).max()?;
    let mut cuts = vec![Vec::new(); usize::try_from(most - least + 2).ok()?];
    add(&mut cuts, &words, least);
    // The first letters of all texts, and all of some.
    let ends: [&Ends; 2] = [&|_, end| end <= FIRST, &|_, end| end > FIRST];
    for ends in ends {
        if cuts[1..].iter().all(|ways| !ways.is_empty()) {
            break;
        }
        let mut more = vec![Vec::new(); cuts.len()];
        add(
            &mut more,
            &measured(texts, MOST_MEASURED.1, count, ends),
            least,
        );
        for (ways, more) in cuts.iter_mut().zip(more) {
            if ways.is_empty() {
                *ways = more;
            }
        }
    }
    Some((cuts, least))
}

fn add(cuts: &mut [Vec<Cut>], found: &[(i64, Cut)], least: i64) {
    for (tokens, cut) in found {
        let place = usize::try_from(tokens - least + 1).unwrap_or(0);
        let ways = cuts.get_mut(place).filter(|_| place > 0);
        if let Some(ways) = ways.filter(|ways| ways.len() < MOST_CUTS) {
            ways.push(*cut);
        }
    }
}

fn measured(
    texts: &[String],
    most: usize,
    count: &dyn Fn(&str) -> i64,
    ends: &Ends,
) -> Vec<(i64, Cut)> {
    let mut spent = 0;
    let mut found = Vec::new();
    for (item, text) in texts.iter().enumerate() {
        if spent > most {
            break;
        }
        for end in (1..text.len()).filter(|end| ends(text.as_bytes(), *end)) {
            spent += end;
            found.push((count(&text[..end]), Cut { item, end }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_and_lines_of_json_hold_them() {
        assert_eq!(parse("one\r\n\n two \n", false).unwrap(), ["one", " two "]);
        let json = "\u{feff}{\"text\":\"one\",\"id\":1}\n\n{\"text\":\"t\\nwo\"}\n";
        assert_eq!(parse(json, false).unwrap(), ["one", "t\nwo"]);
        assert_eq!(parse("{one}\n{two}", false).unwrap(), ["{one}", "{two}"]);
    }

    #[test]
    fn a_bad_line_of_json_is_named_and_nothing_is_an_error() {
        let error = |text, json| parse(text, json).unwrap_err().to_string();
        assert_eq!(
            error("{\"text\":\"a\"}\nb", false),
            "line 2: not a JSON object"
        );
        assert_eq!(error("\nb", true), "line 2: not a JSON object");
        assert_eq!(
            error("{\"text\":\"a\"}\n{\"text\":1}", true),
            "line 2: no `text`"
        );
        assert_eq!(error(" \n\n", false), "no texts");
    }
}
