//! WHAT to ask: prompts of a wanted length, data set rows, output lengths, tokenizers.
//! Pure functions of (settings, seed, index), apart from `load` and `data/file`, which read files. It knows neither when a
//! request is sent nor how an API wants it said.

mod api;
mod around;
mod batch;
mod built_in;
mod compose;
mod corpus;
mod data;
mod draw;
mod error;
mod estimate;
mod forced;
mod generated;
mod ids;
mod images;
mod ladder;
mod lead;
mod length;
pub mod load;
mod measure;
mod numerals;
mod pool;
mod prefix;
mod random;
mod recital;
mod rows;
mod shape;
mod spec;
mod template;
mod tokenizer;
mod words;

#[cfg(test)]
mod prompt_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use api::Api;
pub use built_in::BUILT_IN;
pub use data::{Data, DataError, Place, RowFault, RowLost, Said, Sight, Unsent};
pub use error::WorkloadError;
pub use estimate::tokens as estimated_tokens;
pub use forced::ForcedError;
pub use length::LengthError;
pub use numerals::{in_words, numeral, numeral_task};
pub use rows::RowError;
pub use spec::{
    Around, Batch, Corpus, DataRef, Forced, Format, LengthLaw, LengthSpec, Normal, Positioning,
    PromptSource, Resolution, Row, Shape, Spec, TokenizerRef,
};
pub use tokenizer::{Tokenizer, TokenizerError, TokenizerFiles};

use around::Frame;
use batch::Bundle;
use data::{Dealer, Dealing};
use draw::{Compose, Draw};
use forced::Script;
use generated::{Made, Wanted};
use length::Lengths;
use measure::Measure;
use recital::Recital;
use serde_json::{Map, Value};
use shape::Finish;

use crate::domain::{Ask, Index, Prompt, Seed};

/// The content of every request of a run.
///
/// Made once on each worker (all tokenizing happens then), and shared by its cores. Equal settings, seeds and
/// numbers of users give equal asks on every machine.
///
/// Generated prompts are, with a tokenizer, of exactly the wanted number of tokens as the server counts them;
/// without one, of about that number: over many requests within 10 % (limericks) or 12 % (code, sonnets) for common
/// tokenizers. Each begins with a line of its own, so that a server's prefix cache finds nothing to share
/// beyond the shared prefix that was asked for; random ones with words of their own.
#[derive(Debug)]
pub struct Workload {
    source: Source,
    bundle: Bundle,
    finish: Finish,
    frame: Frame,
    forced: Option<Script>,
    lengths: Lengths,
    seed: Seed,
    users: u32,
    notes: Vec<String>,
}

/// Where prompts come from, ready to be dealt.
#[derive(Debug)]
enum Source {
    Composed {
        composer: Box<dyn Compose>,
        requested: u32,
        counted: Option<u32>,
    },
    Dealt(Vec<Card>),
    /// Each of a length of its own.
    Recital(Box<Recital>),
    /// Each with a number of its own.
    Numerals(Measure),
    /// Rows that are read when they are asked for.
    Data(Box<Dealer>),
}

/// A prompt that was made before the run.
#[derive(Debug)]
struct Card {
    prompt: Prompt,
    requested: Option<u32>,
    counted: Option<u32>,
    /// The row's own output length goes before the drawn one.
    max_tokens: Option<u32>,
    extra: Option<Arc<Map<String, Value>>>,
}

impl Workload {
    /// Makes everything that requests are made of. Slow: it counts the tokens of the corpus.
    ///
    /// `api` says what the prompts are for. `users` is the number of users of the whole cluster. `data` is the data set that
    /// the settings name, opened.
    pub fn new(
        spec: &Spec,
        api: Api,
        seed: Seed,
        tokenizer: Option<Arc<Tokenizer>>,
        data: Option<Arc<Data>>,
        users: u32,
    ) -> Result<Self, WorkloadError> {
        check(spec, tokenizer.as_deref())?;
        let talks = |data: &Arc<Data>| data.format() == Format::Conversations;
        if !api.generates() && data.as_ref().is_some_and(talks) {
            return Err(WorkloadError::Conversations);
        }
        if spec.shape.letters > 0 && data.is_none() {
            return Err(WorkloadError::Letters);
        }
        let lengths = Lengths::new(spec.output, seed)?;
        let mut notes = Vec::new();
        let option = option_of_tokenizer(&spec.prompts);
        notes.extend(
            tokenizer
                .as_ref()
                .and_then(|tokenizer| no_models(tokenizer, option)),
        );
        let measure = Measure::new(tokenizer, api == Api::Chat);
        let bundle = Bundle::new(spec, api, seed, &measure, &mut notes)?;
        let corpus = corpus(&spec.prompts);
        let drawn = matches!(
            spec.prompts,
            PromptSource::Generated { .. } | PromptSource::Random { .. }
        );
        let finish = Finish::new(&spec.shape, corpus, drawn, api, seed)?;
        let mut source = match (&bundle, data) {
            (Bundle::Documents(_), _) => Source::Dealt(vec![Card::empty()]),
            (_, Some(data)) => {
                let wish = Dealing::of(spec, users);
                let dealer = Dealer::new(data, &measure, seed, wish, &mut notes)?;
                Source::Data(Box::new(dealer))
            }
            (_, None) => source(spec, seed, &lengths, &measure, &mut notes)?,
        };
        if !matches!(bundle, Bundle::Documents(_)) {
            source.settle(&finish, &measure, &mut notes)?;
            notes.splice(0..0, doubts(&spec.prompts, &measure));
            notes.extend(finish.notes());
        }
        let forced = spec
            .forced
            .as_ref()
            .map(|it| Script::new(it, corpus, seed, &lengths, &measure, &mut notes))
            .transpose()?;
        let counts_text_alone = matches!(source, Source::Recital(_) | Source::Numerals(_));
        Ok(Self {
            frame: Frame::new(&spec.around, api, counts_text_alone),
            source,
            bundle,
            finish,
            forced,
            lengths,
            seed,
            users: users.max(1),
            notes,
        })
    }

    /// The content of request `index`.
    ///
    /// Prompts made before the run (rows, one text) are dealt in order, by [`Index::ordinal`]; then they
    /// start over. A request that holds several prompts gets the next ones of them.
    ///
    /// # Errors
    /// A row of a file that cannot be read any more.
    pub fn try_ask(&self, index: Index) -> Result<Ask, RowLost> {
        let mut ask = match &self.bundle {
            Bundle::One => self.prompt(index, 0, 1)?,
            Bundle::Texts(count) => {
                let prompts = (0..*count).map(|nth| self.prompt(index, nth, *count));
                let prompts: Vec<Ask> = prompts.collect::<Result<_, _>>()?;
                match batch::texts(prompts.into_iter()) {
                    Some(batch) => batch,
                    None => self.prompt(index, 0, 1)?,
                }
            }
            Bundle::Paragraphs => batch::paragraphs(self.prompt(index, 0, 1)?),
            Bundle::Documents(filler) => filler.fill(self.prompt(index, 0, 1)?, index.key()),
        };
        let say =
            |script: &Script| script.at(index.ordinal(self.users), index.key(), ask.max_tokens);
        ask.forced = self.forced.as_ref().map(say);
        Ok(self.frame.put(ask))
    }

    /// The content of request `index`; an empty one where [`try_ask`](Self::try_ask) fails.
    pub fn ask(&self, index: Index) -> Ask {
        let asked = self.try_ask(index);
        asked.unwrap_or_else(|_| Dealer::nothing(self.lengths.at(index)))
    }

    /// The `nth` of `of` prompts of request `index`.
    fn prompt(&self, index: Index, nth: u64, of: u64) -> Result<Ask, RowLost> {
        let key = batch::nth_key(index.key(), nth, of);
        let plain = self.plain(index, nth, of, key)?;
        Ok(self.finish.apply(plain, key))
    }

    /// The same as it is made, before anything is done to it.
    fn plain(&self, index: Index, nth: u64, of: u64, key: u64) -> Result<Ask, RowLost> {
        Ok(match &self.source {
            Source::Composed {
                composer,
                requested,
                counted,
            } => Ask {
                prompt: Prompt::Text(composer.compose(Draw::prompt(self.seed, key)).into()),
                max_tokens: self.lengths.at(index),
                requested_prompt_tokens: Some(*requested),
                counted_prompt_tokens: *counted,
                extra: None,
                forced: None,
                turn: None,
            },
            Source::Dealt(cards) => {
                let number = index.ordinal(self.users).wrapping_mul(of).wrapping_add(nth);
                // The remainder is below a length, which is a usize.
                let place = usize::try_from(number % cards.len() as u64).unwrap_or(0);
                let card = &cards[place];
                Ask {
                    prompt: card.prompt.clone(),
                    max_tokens: card.max_tokens.unwrap_or_else(|| self.lengths.at(index)),
                    requested_prompt_tokens: card.requested,
                    counted_prompt_tokens: card.counted,
                    extra: card.extra.clone(),
                    forced: None,
                    turn: None,
                }
            }
            Source::Recital(recital) => {
                let max_tokens = self.lengths.at(index);
                let recited = recital.at(max_tokens, key);
                let (requested, counted) = (Some(recited.requested), recited.counted);
                told(recited.text, max_tokens, requested, counted)
            }
            Source::Numerals(_) => {
                let text = numeral_task(numeral(self.seed, index));
                told(text, self.lengths.at(index), None, None)
            }
            Source::Data(dealer) => dealer.ask(index, (nth, of), self.lengths.at(index))?,
        })
    }

    /// Tokens of the prompt of request `index`, counted in its text: of prompts that are not counted when they are made, so
    /// that what sends them loses no time. `None` of all others, whose asks know it, and without a tokenizer.
    pub fn recount(&self, index: Index) -> Option<u32> {
        let measure = match &self.source {
            Source::Recital(recital) => recital.uncounted()?,
            Source::Numerals(measure) => measure,
            _ => return None,
        };
        let ask = self.prompt(index, 0, 1).ok()?;
        match &ask.prompt {
            Prompt::Text(text) if measure.is_exact() => Some(measure.text(text)),
            _ => None,
        }
    }

    /// The number of the next turn of `user` from `turn` on that there is: conversations have places for as many turns as the
    /// longest one has. The same number where prompts are no conversations.
    pub fn next_turn(&self, user: u32, turn: u32) -> u32 {
        match &self.source {
            Source::Data(dealer) => dealer.next_turn(user, turn),
            _ => turn,
        }
    }

    /// The first number from `turn` on with which a conversation begins: where to go on when one cannot be continued. The same
    /// number where prompts are no conversations.
    pub fn session_start(&self, turn: u32) -> u32 {
        match &self.source {
            Source::Data(dealer) => dealer.session_start(turn),
            _ => turn,
        }
    }

    /// What the user should know about these prompts: where they are not quite as asked.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Source {
    /// Does to prompts before the run what can be done then, and counts them again.
    fn settle(
        &mut self,
        finish: &Finish,
        measure: &Measure,
        notes: &mut Vec<String>,
    ) -> Result<(), WorkloadError> {
        if finish.is_nothing() {
            return Ok(());
        }
        let cards = match self {
            Self::Dealt(cards) => cards,
            Self::Data(dealer) if finish.has_images() && !dealer.is_text() => {
                return Err(WorkloadError::ImagesInMessages);
            }
            Self::Data(_) | Self::Composed { .. } | Self::Recital(_) | Self::Numerals(_) => {
                return Ok(());
            }
        };
        if finish.has_images() && cards.iter().any(Card::is_conversation) {
            return Err(WorkloadError::ImagesInMessages);
        }
        for card in cards.iter_mut() {
            if finish.settle(&mut card.prompt) {
                card.requested = None;
                card.counted = measure.count(&card.prompt);
            }
        }
        let elsewhere = cards.iter().filter(|card| card.is_elsewhere()).count();
        if elsewhere > 0 {
            notes.push(format!(
                "nothing is done to the prompts of {elsewhere} rows, which are no plain text"
            ));
        }
        Ok(())
    }
}

impl Card {
    /// Of a request that has something else in its place.
    fn empty() -> Self {
        Self {
            prompt: Prompt::Text("".into()),
            requested: None,
            counted: None,
            max_tokens: None,
            extra: None,
        }
    }

    /// Whether a row holds its content in fields of its own.
    fn is_elsewhere(&self) -> bool {
        let blank = matches!(&self.prompt, Prompt::Text(text) if text.is_empty());
        blank && self.extra.is_some()
    }

    fn is_conversation(&self) -> bool {
        matches!(self.prompt, Prompt::Messages(_)) || self.is_elsewhere()
    }
}

/// The text that goes with these prompts.
const fn corpus(prompts: &PromptSource) -> Corpus {
    match prompts {
        PromptSource::Generated { corpus, .. } => *corpus,
        _ => Corpus::Limericks,
    }
}

/// The tokenizer handed over must be the one that the settings pin.
fn check(spec: &Spec, tokenizer: Option<&Tokenizer>) -> Result<(), WorkloadError> {
    let Some(wanted) = &spec.tokenizer else {
        return Ok(());
    };
    let Some(found) = tokenizer else {
        let name = wanted.name.clone();
        return Err(WorkloadError::TokenizerMissing { name });
    };
    if wanted.sha256.is_empty() || wanted.sha256 == found.sha256() {
        return Ok(());
    }
    Err(WorkloadError::TokenizerDiffers {
        name: wanted.name.clone(),
        wanted: wanted.sha256.clone(),
        found: found.sha256().to_owned(),
    })
}

/// A request for one text.
fn told(text: String, max_tokens: u32, requested: Option<u32>, counted: Option<u32>) -> Ask {
    Ask {
        prompt: Prompt::Text(text.into()),
        max_tokens,
        requested_prompt_tokens: requested,
        counted_prompt_tokens: counted,
        extra: None,
        forced: None,
        turn: None,
    }
}

fn source(
    spec: &Spec,
    seed: Seed,
    lengths: &Lengths,
    measure: &Measure,
    notes: &mut Vec<String>,
) -> Result<Source, WorkloadError> {
    match &spec.prompts {
        PromptSource::Generated {
            corpus,
            tokens,
            shared_prefix_tokens,
            prefix_groups,
            instruction,
        } => {
            let wanted = Wanted {
                corpus: *corpus,
                tokens: *tokens,
                shared_prefix_tokens: *shared_prefix_tokens,
                prefix_groups: *prefix_groups,
                randomize: spec.shape.randomize,
                instruction: instruction.as_deref(),
            };
            let made = generated::make(wanted, seed, measure, notes)?;
            notes.extend(groups(*prefix_groups, *shared_prefix_tokens));
            Ok(from_made(made, *tokens, measure))
        }
        PromptSource::Random {
            tokens,
            shared_prefix_tokens,
            prefix_groups,
        } => {
            let wanted = random::Wanted {
                tokens: *tokens,
                shared_prefix_tokens: *shared_prefix_tokens,
                prefix_groups: *prefix_groups,
                randomize: spec.shape.randomize,
            };
            let made = random::make(wanted, seed, measure, notes)?;
            notes.extend(groups(*prefix_groups, *shared_prefix_tokens));
            Ok(from_made(made, *tokens, measure))
        }
        PromptSource::Text(text) => {
            let prompt = Prompt::Text(text.as_str().into());
            Ok(Source::Dealt(vec![Card {
                requested: None,
                counted: measure.count(&prompt),
                max_tokens: None,
                extra: None,
                prompt,
            }]))
        }
        PromptSource::Data(data) => Err(WorkloadError::DataMissing {
            name: data.name.clone(),
        }),
        PromptSource::Recital { tokens } => {
            let outputs = |key| lengths.at(Index::Arrival(key));
            let recital = Recital::new(*tokens, seed, outputs, measure, notes)?;
            Ok(Source::Recital(Box::new(recital)))
        }
        PromptSource::Numerals => Ok(Source::Numerals(measure.clone())),
        PromptSource::Rows(rows) if rows.is_empty() => Err(WorkloadError::NoRows),
        PromptSource::Rows(list) => Ok(Source::Dealt(
            list.iter()
                .map(|row| {
                    let mut row = row.clone();
                    if spec.shape.clear_assistant {
                        rows::clear_assistant(&mut row);
                    }
                    card(&row, measure)
                })
                .collect(),
        )),
    }
}

/// What to say about common prefixes.
fn groups(groups: u32, tokens: u32) -> Option<String> {
    if groups < 2 {
        return None;
    }
    Some(match tokens {
        0 => format!(
            "{groups} groups of prompts with a common prefix, but a prefix of no tokens; hint: -pcml"
        ),
        _ => format!(
            "each prompt begins with one of {groups} common prefixes of {tokens} tokens, by chance"
        ),
    })
}

fn from_made(made: Made, tokens: u32, measure: &Measure) -> Source {
    match made {
        Made::Composed(composer) => Source::Composed {
            composer,
            requested: tokens,
            counted: measure.is_complete().then_some(tokens),
        },
        Made::Pool(texts) => Source::Dealt(
            texts
                .into_iter()
                .map(|(text, got)| Card {
                    prompt: Prompt::Text(text.into()),
                    requested: Some(tokens),
                    counted: measure.is_complete().then_some(got),
                    max_tokens: None,
                    extra: None,
                })
                .collect(),
        ),
    }
}

/// A row that has both a text and a conversation says the one that its API is made for.
fn card(row: &Row, measure: &Measure) -> Card {
    let text = row.prompt.as_deref().map(|text| Prompt::Text(text.into()));
    let messages = row.messages.as_deref().map(|m| Prompt::Messages(m.into()));
    let (first, second) = if measure.is_chat() {
        (messages, text)
    } else {
        (text, messages)
    };
    let prompt = first.or(second);
    let own_length = around::own_length(&row.extra);
    Card {
        requested: None,
        counted: prompt.as_ref().and_then(|prompt| measure.count(prompt)),
        prompt: prompt.unwrap_or_else(|| Prompt::Text("".into())),
        max_tokens: own_length,
        extra: (!row.extra.is_empty()).then(|| Arc::new(row.extra.clone())),
    }
}

/// What names the tokenizer where these prompts come from: llmperf's have commands of their own.
const fn option_of_tokenizer(prompts: &PromptSource) -> &'static str {
    match prompts {
        PromptSource::Recital { .. } | PromptSource::Numerals => "--tokenizer-id",
        _ => "--tokenizer",
    }
}

/// What to say of a tokenizer that is no model's.
fn no_models(tokenizer: &Arc<Tokenizer>, option: &str) -> Option<String> {
    let words = format!(
        "tokens are counted by llmload's built-in tokenizer, whose counts are no model's: off by some 15 % at most on English; \
         hint: {option} with the model's own makes them exact"
    );
    tokenizer.is_built_in().then_some(words)
}

/// Why a generated prompt's length may differ from what the server counts.
fn doubts(prompts: &PromptSource, measure: &Measure) -> Option<String> {
    let (PromptSource::Generated { tokens, .. } | PromptSource::Random { tokens, .. }) = prompts
    else {
        return None;
    };
    match measure {
        Measure::Estimate { .. } => Some(format!(
            "no tokenizer: prompts have about {tokens} tokens, by rule of thumb; \
             hint: --tokenizer with the model's own makes it exact"
        )),
        Measure::Exact {
            tokenizer, chat, ..
        } if *chat && tokenizer.chat_overhead().is_none() && !tokenizer.is_built_in() => {
            let why = match tokenizer.template_trouble() {
                Some(trouble) => format!("cannot render its chat template ({trouble})"),
                None => "has no chat template".to_owned(),
            };
            Some(format!(
                "the tokenizer `{}` {why}: what the server's template adds comes on top of {tokens} tokens; \
                 hint: a tokenizer_config.json or chat_template.jinja beside tokenizer.json",
                tokenizer.name()
            ))
        }
        Measure::Exact { .. } => None,
    }
}
