//! One generated prompt: shared prefix, opening line, whole items, a beginning of one, the instruction.
//! Its length is a sum of lengths measured before; nothing is tokenized here once it is built.

use rand_chacha::ChaCha8Rng;

use super::Corpus;
use super::ladder::Ladder;
use super::lead::Leads;
use super::measure::Measure;
use crate::domain::Seed;

/// Attempts to piece together a shared prefix of the exact length.
const PREFIX_ATTEMPTS: u64 = 200;
/// Bytes to reserve for each token: a little over what our texts have.
const BYTES_PER_TOKEN: usize = 5;

/// Makes prompts of one length.
#[derive(Clone, Debug)]
pub(super) struct Composer {
    prefix: String,
    leads: Leads,
    ladder: Ladder,
    instruction: String,
    tokens: u32,
    /// Tokens of prefix, base line and instruction together, with what the server adds around them.
    fixed: i64,
}

/// There is no room for an opening line.
pub(super) struct Narrow;

impl Composer {
    /// Measures all pieces for prompts of `tokens` tokens that begin with `prefix` and end with `instruction`.
    pub(super) fn new(
        corpus: Corpus,
        ladder: Ladder,
        tokens: u32,
        prefix: &str,
        instruction: &str,
        measure: &Measure,
    ) -> Result<Self, Narrow> {
        // Words after a prefix stand as in any paragraph, and counting a long prefix each time is slow.
        let leads = Leads::new(corpus, |line| match prefix {
            "" => measure.whole(&[line, instruction].concat()),
            _ => measure.part(line),
        });
        let fixed = measure.whole(&[prefix, &Leads::base(corpus), instruction].concat());
        let needed = i64::from(fixed) + leads.most() + i64::from(ladder.least());
        if i64::from(tokens) < needed {
            return Err(Narrow);
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            leads,
            ladder,
            instruction: instruction.to_owned(),
            tokens,
            fixed: fixed.into(),
        })
    }

    /// The prompt that `rng` draws.
    pub(super) fn compose(&self, rng: &mut ChaCha8Rng) -> String {
        self.compose_off(0, rng)
    }

    /// As `compose`, with `correction` tokens more to fill: what a tokenizer that does not add up needs.
    pub(super) fn compose_off(&self, correction: i64, rng: &mut ChaCha8Rng) -> String {
        let mut text = String::with_capacity(self.tokens as usize * BYTES_PER_TOKEN);
        text.push_str(&self.prefix);
        let lead = self.leads.draw(rng, &mut text);
        let room = i64::from(self.tokens) - self.fixed - lead + correction;
        let room = u32::try_from(room).unwrap_or(0);
        self.ladder
            .fill(room, &mut self.ladder.deck(), rng, &mut text);
        text.push_str(&self.instruction);
        text
    }
}

/// A text of exactly `tokens` tokens to stand before all prompts: the same for equal seeds, whatever the index.
pub(super) fn shared_prefix(
    ladder: &Ladder,
    tokens: u32,
    seed: Seed,
    measure: &Measure,
) -> Option<String> {
    let mut aim = i64::from(tokens);
    for attempt in 0..PREFIX_ATTEMPTS {
        let mut rng = seed.stream("shared-prefix", attempt);
        let mut text = String::new();
        let room = u32::try_from(aim).unwrap_or(0);
        ladder.fill(room, &mut ladder.deck(), &mut rng, &mut text);
        let got = measure.opening(&text);
        if got == tokens {
            return Some(text);
        }
        // The start of a text may cost a token more or less than its middle.
        let off = i64::from(tokens) - i64::from(got);
        aim = (aim + off).clamp(1, i64::from(tokens) + i64::from(ladder.least()));
    }
    None
}
