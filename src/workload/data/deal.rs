//! Which row is whose request, and what is asked of the model then.
//! A row is named by the request's index alone, so that any number of workers deals the same ones.

use std::sync::Arc;

use super::Data;
use super::fault::RowLost;
use super::letters::Letters;
use super::parse::Item;
use super::replay::Replay;
use super::talk::Talk;
use super::trace::Arrival;
use crate::domain::{Ask, Index, Message, Prompt, Seed, Turn};
use crate::workload::measure::Measure;
use crate::workload::shape::rewrite;
use crate::workload::{Card, Format, Spec, WorkloadError, card, rows};

/// Bytes of rows up to which prompts are tokenized before the run: some seconds of one core.
const COUNTED_BYTES: u64 = 8 << 20;

/// How rows are dealt.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::workload) struct Dealing {
    /// Of the whole cluster; at least 1.
    pub(in crate::workload) users: u32,
    /// See `Shape`.
    pub(in crate::workload) clear_assistant: bool,
    /// See `Shape`.
    pub(in crate::workload) letters: u32,
    /// See `DataRef`.
    pub(in crate::workload) skip: u64,
}

impl Dealing {
    /// As the settings say.
    pub(in crate::workload) fn of(spec: &Spec, users: u32) -> Self {
        Self {
            users: users.max(1),
            clear_assistant: spec.shape.clear_assistant,
            letters: spec.shape.letters,
            skip: spec.prompts.skipped(),
        }
    }
}

/// Deals the rows of a data set.
#[derive(Debug)]
pub(in crate::workload) struct Dealer {
    data: Arc<Data>,
    measure: Measure,
    dealing: Dealing,
    letters: Option<Letters>,
    /// Tokens of each row's prompt, in the order of dealing; empty where they are not counted.
    counted: Vec<Option<u32>>,
    replay: Option<Replay>,
    /// The most turns that a conversation has; 0 where rows are no conversations.
    most_turns: u32,
}

/// Where a request is in its conversation.
struct Seat {
    session: u64,
    number: u32,
    row: usize,
}

impl Dealer {
    pub(in crate::workload) fn new(
        data: Arc<Data>,
        measure: &Measure,
        seed: Seed,
        dealing: Dealing,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkloadError> {
        let replay = match data.format() {
            Format::Trace => Some(Replay::new(seed, measure).ok_or(WorkloadError::NoRows)?),
            _ => None,
        };
        let turns = data.scan.rows.turns.iter().copied();
        let mut dealer = Self {
            most_turns: turns.max().unwrap_or(0),
            measure: measure.clone(),
            counted: Vec::new(),
            data,
            letters: Letters::new(dealing.letters, seed),
            dealing,
            replay,
        };
        notes.extend(dealer.told_of_letters());
        dealer.count(notes);
        dealer.prove(notes);
        Ok(dealer)
    }

    /// The content of request `index`, or of the `place.0`-th of `place.1` parts of it, which asks for `drawn` tokens unless its
    /// row says otherwise.
    pub(in crate::workload) fn ask(
        &self,
        index: Index,
        place: (u64, u64),
        drawn: u32,
    ) -> Result<Ask, RowLost> {
        if self.most_turns > 0 {
            return self.turn(index, drawn);
        }
        let number = index.ordinal(self.dealing.users).wrapping_mul(place.1);
        let number = number.wrapping_add(place.0).wrapping_add(self.dealing.skip);
        let nth = self.nth(number);
        match self.data.item(nth)? {
            Item::Row { row, max_tokens } => {
                let mut card = self.card(row);
                self.begin(&mut card.prompt, number);
                let counted = self.counted.get(nth).copied().flatten();
                Ok(of_card(card, max_tokens, counted, drawn))
            }
            Item::Arrival(arrival) => Ok(self.arrival(&arrival, index)),
            Item::Talk(talk) => Ok(plain(messages(talk.turns.concat()), drawn)),
        }
    }

    /// Whether each row is one text.
    pub(in crate::workload) fn is_text(&self) -> bool {
        let mut rows = (0..self.data.rows()).map(|nth| self.data.item(nth));
        rows.all(|item| match item {
            Ok(Item::Row { row, .. }) => {
                matches!(self.card(row).prompt, Prompt::Text(text) if !text.is_empty())
            }
            Ok(Item::Arrival(_)) | Err(_) => true,
            Ok(Item::Talk(_)) => false,
        })
    }

    /// What is asked where a row is lost: nothing.
    pub(in crate::workload) fn nothing(drawn: u32) -> Ask {
        plain(messages(Vec::new()), drawn)
    }

    /// The first turn from `turn` on that `user` has: shorter conversations leave places empty.
    pub(in crate::workload) fn next_turn(&self, user: u32, turn: u32) -> u32 {
        if self.most_turns == 0 {
            return turn;
        }
        let seat = self.seat(Index::Turn { user, turn });
        if seat.number < self.turns(seat.row) {
            return turn;
        }
        self.session_start(turn)
    }

    /// The first place from `turn` on where a conversation begins.
    pub(in crate::workload) fn session_start(&self, turn: u32) -> u32 {
        match self.most_turns {
            0 => turn,
            most => turn.div_ceil(most).saturating_mul(most),
        }
    }

    /// The row of a number: after the last one they start over.
    fn nth(&self, number: u64) -> usize {
        // The remainder is below a length, which is a usize.
        usize::try_from(number % self.data.rows() as u64).unwrap_or(0)
    }

    fn seat(&self, index: Index) -> Seat {
        let (session, number) = match index {
            Index::Arrival(session) => (session, 0),
            Index::Turn { user, turn } => {
                let round = Index::Turn {
                    user,
                    turn: turn / self.most_turns,
                };
                (round.ordinal(self.dealing.users), turn % self.most_turns)
            }
        };
        let row = self.nth(session);
        Seat {
            session,
            number,
            row,
        }
    }

    fn turns(&self, nth: usize) -> u32 {
        self.data.scan.rows.turns[self.data.row(nth)]
    }

    fn turn(&self, index: Index, drawn: u32) -> Result<Ask, RowLost> {
        let seat = self.seat(index);
        let said = match self.data.item(seat.row)? {
            Item::Talk(Talk { turns, .. }) => turns.into_iter().nth(seat.number as usize),
            _ => None,
        };
        let turn = Turn {
            session: seat.session,
            number: seat.number,
            of: self.turns(seat.row),
        };
        Ok(Ask {
            turn: Some(turn),
            ..plain(messages(said.unwrap_or_default()), drawn)
        })
    }

    fn arrival(&self, arrival: &Arrival, index: Index) -> Ask {
        let made = self
            .replay
            .as_ref()
            .map(|replay| replay.prompt(arrival, index.key()));
        let (text, counted) = made.map_or_else(Default::default, |made| (made.text, made.counted));
        Ask {
            requested_prompt_tokens: Some(arrival.input),
            counted_prompt_tokens: counted,
            ..plain(Prompt::Text(text.into()), arrival.output)
        }
    }

    fn card(&self, mut row: crate::workload::Row) -> Card {
        if self.dealing.clear_assistant {
            rows::clear_assistant(&mut row);
        }
        // Counting takes longer than there may be when a request is due.
        card(&row, &Measure::new(None, self.measure.is_chat()))
    }

    /// Puts letters of the row that `number` is dealt before its text, and how often that was sent before.
    fn begin(&self, prompt: &mut Prompt, number: u64) {
        let Some(letters) = &self.letters else {
            return;
        };
        let row = self.data.row(self.nth(number)) as u64;
        let before = letters.before(row, number / self.data.rows() as u64);
        rewrite(prompt, |text| {
            (!text.is_empty()).then(|| [&before, text].concat())
        });
    }

    fn told_of_letters(&self) -> Option<String> {
        self.letters?;
        Some(if self.replay.is_some() || self.most_turns > 0 {
            "no letters are put before conversations and before the prompts of a trace".to_owned()
        } else {
            "prompts begin with random letters, whose tokens are not counted before the run"
                .to_owned()
        })
    }

    /// Counts the tokens of each prompt, where that does not take long.
    fn count(&mut self, notes: &mut Vec<String>) {
        // Letters are put before a row when it is dealt, and tokens of a text's parts do not add up.
        let is_changed = self.letters.is_some() && self.most_turns == 0;
        if !self.measure.is_complete() || self.replay.is_some() || is_changed {
            return;
        }
        if self.most_turns > 0 || self.data.size() > COUNTED_BYTES {
            notes.push(format!(
                "the prompts of `{}` are not tokenized before the run: {}",
                self.data.name,
                if self.most_turns > 0 {
                    "they grow by the server's answers"
                } else {
                    "the data set is too large for that"
                }
            ));
            return;
        }
        let count = |nth| match self.data.item(nth) {
            Ok(Item::Row { row, .. }) => self.measure.count(&self.card(row).prompt),
            _ => None,
        };
        self.counted = (0..self.data.rows()).map(count).collect();
    }

    /// Holds some of a trace's prompts against the tokenizer.
    fn prove(&mut self, notes: &mut Vec<String>) {
        let Some(replay) = &mut self.replay else {
            return;
        };
        let data = &self.data;
        let arrivals = (0..data.rows()).filter_map(|nth| match data.item(nth) {
            Ok(Item::Arrival(arrival)) => Some(arrival),
            _ => None,
        });
        if replay.prove(arrivals, &self.measure) {
            return;
        }
        notes.push(match &self.measure {
            Measure::Estimate { .. } => "no tokenizer: the trace's prompts have about the tokens that it says, by rule of thumb; \
                hint: --tokenizer with the model's own makes it exact"
                .to_owned(),
            Measure::Exact { tokenizer, .. } => format!(
                "the trace's prompts have about the tokens that it says: the tokenizer `{}` lacks a chat template, or its counts \
                 do not add up over paragraphs",
                tokenizer.name()
            ),
        });
    }
}

fn of_card(card: Card, own: Option<u32>, counted: Option<u32>, drawn: u32) -> Ask {
    Ask {
        max_tokens: own.or(card.max_tokens).unwrap_or(drawn),
        counted_prompt_tokens: counted,
        extra: card.extra,
        ..plain(card.prompt, drawn)
    }
}

fn messages(list: Vec<Message>) -> Prompt {
    Prompt::Messages(list.into())
}

fn plain(prompt: Prompt, max_tokens: u32) -> Ask {
    Ask {
        prompt,
        max_tokens,
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        extra: None,
        forced: None,
        turn: None,
    }
}
