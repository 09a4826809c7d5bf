//! Prompts for a trace, of which it tells lengths and blocks alone: equal blocks become equal text, the rest differs by request.
//! Their length is a sum of lengths measured before; it reads no trace.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::trace::Arrival;
use crate::domain::Seed;
use crate::workload::Corpus;
use crate::workload::ladder::Ladder;
use crate::workload::lead::Leads;
use crate::workload::measure::Measure;

/// Tokens that one block number of a trace stands for (Mooncake's).
const BLOCK: u32 = 512;
/// The text that prompts are made of.
const CORPUS: Corpus = Corpus::Limericks;
/// What all prompts begin with: a text's first words may cost another number of tokens than any later ones.
const OPENER: &str = "Read on.\n\n";
/// Tokens to spend on the proof that lengths add up.
const PROOF_TOKENS: u64 = 200_000;

/// Makes the prompts of a trace.
#[derive(Debug)]
pub(super) struct Replay {
    seed: Seed,
    leads: Leads,
    ladder: Ladder,
    /// Tokens of what all prompts begin and end with.
    fixed: u32,
    /// Tokens of the opening line that others are relative to.
    base: u32,
    /// From this many tokens on a piece has an opening line of its own.
    roomy: u32,
    shorts: Vec<Vec<&'static str>>,
    /// Whether the lengths are the server's.
    exact: bool,
}

/// A prompt and its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) text: String,
    /// As the server counts it, where that is known.
    pub(super) counted: Option<u32>,
}

impl Replay {
    /// Measures the pieces. `None` where no lengths can be made of them, even by rule of thumb.
    pub(super) fn new(seed: Seed, measure: &Measure) -> Option<Self> {
        let rule = Measure::new(None, measure.is_chat());
        let (ladder, pieces) = match Ladder::new(CORPUS, measure) {
            Some(ladder) => (ladder, measure),
            None => (Ladder::new(CORPUS, &rule)?, &rule),
        };
        let leads = Leads::new(CORPUS, |line| pieces.part(line));
        let base = pieces.part(&Leads::base(CORPUS));
        let most = u32::try_from(leads.most()).unwrap_or(0);
        let fixed = pieces.whole(&[OPENER, CORPUS.instruction()].concat());
        let roomy = base + most + ladder.least();
        Some(Self {
            shorts: shorts(fixed + roomy, pieces),
            exact: measure.is_complete() && pieces.is_exact(),
            seed,
            leads,
            ladder,
            fixed,
            base,
            roomy,
        })
    }

    /// Holds the lengths of these prompts against the tokenizer; whether they are what was asked for.
    pub(super) fn prove(
        &mut self,
        arrivals: impl Iterator<Item = Arrival>,
        measure: &Measure,
    ) -> bool {
        let mut spent = 0;
        for (arrival, key) in arrivals.zip(0..) {
            if !self.exact || spent >= PROOF_TOKENS {
                break;
            }
            let made = self.prompt(&arrival, key);
            let got = measure.whole(&made.text);
            self.exact = made.counted == Some(got);
            spent += u64::from(got);
        }
        self.exact
    }

    /// The prompt of an arrival; `key` tells requests apart.
    pub(super) fn prompt(&self, arrival: &Arrival, key: u64) -> Made {
        let mut rest = self.seed.stream("trace-rest", key);
        let Some(room) = self.room(arrival.input) else {
            return self.short(arrival.input, &mut rest);
        };
        // A little more than a letter a token, and the block's own.
        let mut text = String::with_capacity(arrival.input as usize * 5);
        text.push_str(OPENER);
        let (whole, left) = self.blocks(room, arrival.blocks.len());
        for id in &arrival.blocks[..whole] {
            self.piece(BLOCK, &mut self.block(*id), &mut text);
        }
        match arrival.blocks.get(whole) {
            Some(id) => self.piece(left, &mut self.block(*id), &mut text),
            None => self.piece(left, &mut rest, &mut text),
        }
        text.push_str(CORPUS.instruction());
        let counted = self.exact.then_some(arrival.input);
        Made { text, counted }
    }

    /// What is left for pieces in a prompt of `tokens`; `None` where that is too little for any.
    fn room(&self, tokens: u32) -> Option<u32> {
        let room = tokens.checked_sub(self.fixed)?;
        (room >= self.roomy).then_some(room)
    }

    /// How many whole blocks `room` holds of `known` ones, and what is left: enough for a piece of its own, or nothing.
    fn blocks(&self, room: u32, known: usize) -> (usize, u32) {
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        let whole = (room / BLOCK).min(known);
        let left = room - whole * BLOCK;
        let (whole, left) = if left > 0 && left < self.roomy && whole > 0 {
            (whole - 1, left + BLOCK)
        } else {
            (whole, left)
        };
        (whole as usize, left)
    }

    fn block(&self, id: u64) -> ChaCha8Rng {
        self.seed.stream("trace-block", id)
    }

    /// Paragraphs of `tokens` tokens. The beginning is the same for equal draws, however long it is.
    fn piece(&self, tokens: u32, rng: &mut ChaCha8Rng, out: &mut String) {
        let mut room = tokens;
        if tokens >= self.roomy {
            let lead = i64::from(self.base) + self.leads.draw(rng, out);
            room = tokens - u32::try_from(lead).unwrap_or(0);
        }
        self.ladder.fill(room, &mut self.ladder.deck(), rng, out);
    }

    /// The beginning of a verse, of the nearest length there is.
    fn short(&self, tokens: u32, rng: &mut ChaCha8Rng) -> Made {
        let wanted = tokens as usize;
        let ways = |length: &usize| {
            self.shorts
                .get(*length)
                .is_some_and(|ways| !ways.is_empty())
        };
        let lengths = (0..self.shorts.len()).filter(ways);
        let Some(found) = lengths.min_by_key(|length| length.abs_diff(wanted)) else {
            return Made {
                text: OPENER.to_owned(),
                counted: None,
            };
        };
        let ways = &self.shorts[found];
        let counted = u32::try_from(found).ok();
        Made {
            text: ways[rng.random_range(0..ways.len())].to_owned(),
            counted: counted.filter(|_| self.exact),
        }
    }
}

/// For each length below `limit`, beginnings of items that are prompts of that length by themselves.
fn shorts(limit: u32, measure: &Measure) -> Vec<Vec<&'static str>> {
    let mut found = vec![Vec::new(); limit as usize];
    for item in CORPUS.items() {
        let ends = item.match_indices([' ', '\n']).map(|(end, _)| end);
        for end in ends.chain([item.len()]) {
            let text = &item[..end];
            match found.get_mut(measure.whole(text) as usize) {
                Some(ways) => ways.push(text),
                None => break,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::workload::tests::tiny_measure;

    fn arrival(input: u32, blocks: Vec<u64>) -> Arrival {
        Arrival {
            time_us: 0,
            input,
            output: 1,
            blocks,
        }
    }

    fn common(a: &str, b: &str) -> usize {
        a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
    }

    #[test]
    fn equal_blocks_are_equal_text_and_the_rest_differs() {
        for measure in [tiny_measure(true), Measure::new(None, true)] {
            let replay = Replay::new(Seed(3), &measure).unwrap();
            let text = |blocks: &[u64], key| {
                let made = replay.prompt(&arrival(2_200, blocks.to_vec()), key);
                made.text
            };
            let (one, two) = (text(&[1, 2, 3], 0), text(&[1, 2, 4], 1));
            let same = measure.whole(&one[..common(&one, &two)]);
            assert!((1_020..1_100).contains(&same), "{same} tokens in common");
            let (one, two) = (text(&[1, 2, 3], 0), text(&[1, 2, 3], 1));
            let same = measure.whole(&one[..common(&one, &two)]);
            assert!((1_530..1_600).contains(&same), "{same} tokens in common");
            let (one, two) = (text(&[], 0), text(&[], 1));
            assert!(common(&one, &two) < OPENER.len() + 24);
            let all = &[1, 2, 3, 4, 5, 6];
            assert_eq!(text(all, 0), text(all, 1), "all of it is in blocks");
        }
    }

    #[test]
    fn a_proof_finds_lengths_that_are_not_the_servers() {
        let measure = tiny_measure(true);
        let mut replay = Replay::new(Seed(3), &measure).unwrap();
        let some = || [60, 700, 2_000].map(|tokens| arrival(tokens, vec![7]));
        assert!(replay.prove(some().into_iter(), &measure));
        replay.fixed -= 1;
        assert!(!replay.prove(some().into_iter(), &measure));
        assert_eq!(replay.prompt(&arrival(700, vec![]), 0).counted, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_length_is_exact_or_said(
            input in 1_u32..5_000, blocks in prop::collection::vec(0_u64..9, 0..12), key: u64, chat: bool,
        ) {
            let measure = tiny_measure(chat);
            let replay = Replay::new(Seed(1), &measure).unwrap();
            let made = replay.prompt(&arrival(input, blocks), key);
            let got = measure.whole(&made.text);
            prop_assert_eq!(made.counted, Some(got));
            // Shorter than the chat template, or between two lengths that words have.
            if input >= replay.fixed {
                prop_assert!(got.abs_diff(input) <= 2, "{} for {}", got, input);
            }
            if input >= replay.fixed + replay.roomy {
                prop_assert_eq!(got, input);
            }
        }
    }
}
