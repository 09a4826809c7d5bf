//! One generated prompt: shared prefix, opening line, whole items, a beginning of one, the instruction.
//! Its length is a sum of lengths measured before; nothing is tokenized here once it is built.

use super::Corpus;
use super::draw::{Compose, Draw};
use super::ladder::Ladder;
use super::lead::Leads;
use super::measure::Measure;

/// Bytes to reserve for each token: a little over what our texts have.
const BYTES_PER_TOKEN: usize = 5;

/// What stands around the items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// How long prompts are, all in all.
    pub(super) tokens: u32,
    /// The common prefixes; one that is empty for none.
    pub(super) prefixes: &'a [String],
    /// What ends a prompt.
    pub(super) instruction: &'a str,
    /// Whether a line that is drawn for each prompt stands before its prefix, too.
    pub(super) ahead: bool,
}

/// Makes prompts of one length.
#[derive(Debug)]
pub(super) struct Composer {
    prefixes: Vec<Prefix>,
    /// Lines before the prefix.
    ahead: Option<Leads>,
    leads: Leads,
    ladder: Ladder,
    instruction: String,
    tokens: u32,
}

/// A common prefix.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    /// What prompts begin with.
    pub(super) text: String,
    /// Tokens of it and all that prompts of the group have beside what is filled in, with what the server adds.
    pub(super) fixed: i64,
}

/// There is no room for an opening line.
pub(super) struct Narrow;

impl Composer {
    /// Measures all pieces for prompts in `frame`.
    pub(super) fn new(
        corpus: Corpus,
        ladder: Ladder,
        frame: Frame<'_>,
        measure: &Measure,
    ) -> Result<Self, Narrow> {
        let bare = frame.prefixes.iter().all(String::is_empty);
        let instruction = frame.instruction;
        // Words after a prefix stand as in any paragraph, and counting a long prefix each time is slow.
        let leads = Leads::new(corpus, |line| {
            if bare {
                measure.whole(&[line, instruction].concat())
            } else {
                measure.part(line)
            }
        });
        let ahead = frame.ahead.then(|| {
            Leads::new(corpus, |line| {
                measure.whole(&[line, &Leads::base(corpus), instruction].concat())
            })
        });
        let prefixes = prefixes(corpus, frame, measure);
        let longest = prefixes.iter().map(|prefix| prefix.fixed).max();
        let needed = longest.unwrap_or(0)
            + leads.most()
            + ahead.as_ref().map_or(0, Leads::most)
            + i64::from(ladder.least());
        if i64::from(frame.tokens) < needed {
            return Err(Narrow);
        }
        Ok(Self {
            prefixes,
            ahead,
            leads,
            ladder,
            instruction: instruction.to_owned(),
            tokens: frame.tokens,
        })
    }
}

impl Compose for Composer {
    fn compose_off(&self, correction: i64, draw: Draw) -> String {
        let mut rng = draw.rng();
        let prefix = &self.prefixes[draw.group(self.prefixes.len())];
        let mut text = String::with_capacity(self.tokens as usize * BYTES_PER_TOKEN);
        let ahead = match &self.ahead {
            Some(leads) => leads.draw(&mut draw.ahead(), &mut text),
            None => 0,
        };
        text.push_str(&prefix.text);
        let lead = self.leads.draw(&mut rng, &mut text);
        let room = i64::from(self.tokens) - prefix.fixed - ahead - lead + correction;
        let room = u32::try_from(room).unwrap_or(0);
        self.ladder
            .fill(room, &mut self.ladder.deck(), &mut rng, &mut text);
        text.push_str(&self.instruction);
        text
    }
}

/// The prefixes with the tokens that stand beside what is filled in.
fn prefixes(corpus: Corpus, frame: Frame<'_>, measure: &Measure) -> Vec<Prefix> {
    let base = Leads::base(corpus);
    let ahead = if frame.ahead { base.as_str() } else { "" };
    let measured = |text: &String| Prefix {
        fixed: measure
            .whole(&[ahead, text, &base, frame.instruction].concat())
            .into(),
        text: text.clone(),
    };
    frame.prefixes.iter().map(measured).collect()
}
