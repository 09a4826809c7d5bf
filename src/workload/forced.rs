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
/// Bytes of beginnings to measure.
const MOST_MEASURED: usize = 500_000;
/// Texts that are counted whole, to see whether lengths add up.
const PROOFS: u64 = 32;
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
    /// For each number of tokens, beginnings of that length.
    cuts: Vec<Vec<Cut>>,
}

/// A whole item with its closing blank line.
#[derive(Debug)]
struct Item {
    text: String,
    tokens: u32,
}

/// The beginning of an item.
#[derive(Clone, Copy, Debug)]
struct Cut {
    item: usize,
    end: usize,
}

impl Reel {
    fn new(corpus: Corpus, measure: &Measure) -> Option<Self> {
        let item = |text: &str| {
            let text = [text, BLANK].concat();
            let tokens = measure.part(&text);
            Item { text, tokens }
        };
        let items: Vec<Item> = corpus.items().map(item).collect();
        if items.iter().any(|item| item.tokens == 0) {
            return None;
        }
        let longest = items.iter().map(|item| item.tokens).max()?;
        let mut cuts = vec![Vec::new(); longest as usize + 1];
        let words = |text: &str, at: usize| {
            let after = text[at..].chars().next();
            after.is_some_and(char::is_whitespace) && !text[..at].ends_with(char::is_whitespace)
        };
        add(&mut cuts, &items, measure, &words);
        // Inside of words and after their spaces, where nothing else has the length.
        if cuts[1..].iter().any(Vec::is_empty) {
            add(&mut cuts, &items, measure, &|_, _| true);
        }
        (!cuts[1].is_empty()).then_some(Self { items, cuts })
    }

    /// `tokens` tokens of text, from a beginning that `rng` draws.
    fn cut(&self, tokens: u32, rng: &mut ChaCha8Rng) -> String {
        let mut text = String::new();
        let mut room = tokens;
        let mut next = rng.random_range(0..self.items.len());
        while room as usize >= self.cuts.len() {
            let item = &self.items[next];
            text.push_str(&item.text);
            room = room.saturating_sub(item.tokens);
            next = (next + 1) % self.items.len();
        }
        while room > 0 {
            let ways = &self.cuts[room as usize];
            if !ways.is_empty() {
                let way = ways[rng.random_range(0..ways.len())];
                text.push_str(&self.items[way.item].text[..way.end]);
                break;
            }
            room -= 1;
        }
        text
    }
}

/// Adds the beginnings of items that end where `ends` says, if they have one length at the start of a text and later on.
fn add(
    cuts: &mut [Vec<Cut>],
    items: &[Item],
    measure: &Measure,
    ends: &dyn Fn(&str, usize) -> bool,
) {
    let mut measured = 0;
    for (item, Item { text, .. }) in items.iter().enumerate() {
        for end in (1..text.len()).filter(|end| ends(text, *end)) {
            let beginning = &text[..end];
            measured += 2 * end;
            let tokens = measure.ending(beginning);
            if let Some(ways) = cuts.get_mut(tokens as usize)
                && ways.len() < MOST_CUTS
                && measure.text(beginning) == tokens
            {
                ways.push(Cut { item, end });
            }
        }
        if measured > MOST_MEASURED {
            break;
        }
    }
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
