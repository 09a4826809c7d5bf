//! What is done to a prompt once it is there: a random beginning, a length in characters, images.
//! It makes no prompts, and counts no tokens.

use std::sync::Arc;

use super::error::WorkloadError;
use super::images;
use super::lead::Leads;
use super::{Api, Corpus, Positioning, Shape};
use crate::domain::{Ask, Message, Part, Prompt, Role, Seed};

const BLANK: &str = "\n\n";

/// What is done to each prompt.
#[derive(Debug)]
pub(super) struct Finish {
    seed: Seed,
    /// Lines to begin a text with, where it is not made with one already.
    leads: Option<Leads>,
    chars: Option<usize>,
    /// Where the text that pads comes from.
    corpus: Corpus,
    images: Vec<Arc<str>>,
    positioning: Positioning,
    clear_assistant: bool,
}

impl Finish {
    /// As `shape` says, for prompts of `corpus`. Prompts that are `drawn` hold their random beginning already.
    pub(super) fn new(
        shape: &Shape,
        corpus: Corpus,
        drawn: bool,
        api: Api,
        seed: Seed,
    ) -> Result<Self, WorkloadError> {
        if !shape.images.is_empty() && api != Api::Chat {
            return Err(WorkloadError::Images);
        }
        let chars = shape.chars.map(|chars| chars as usize);
        Ok(Self {
            seed,
            // Nobody counts these lines.
            leads: (shape.randomize && !drawn).then(|| Leads::new(corpus, |_| 0)),
            chars,
            corpus,
            images: images::make(&shape.images)?,
            positioning: shape.positioning,
            clear_assistant: shape.clear_assistant,
        })
    }

    /// Whether prompts come out as they go in.
    pub(super) const fn is_nothing(&self) -> bool {
        self.leads.is_none()
            && self.chars.is_none()
            && self.images.is_empty()
            && !self.clear_assistant
    }

    /// Whether there are images.
    pub(super) const fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// What the user should know.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let leads = self.leads.as_ref().map(|_| {
            "prompts begin with random words, whose tokens are not counted before the run"
                .to_owned()
        });
        let chars = self.chars.map(|chars| {
            format!("prompts have {chars} characters, so -p does not say how many tokens they have")
        });
        let images = self.has_images().then(|| {
            "the tokens of images are not counted before the run; each request has the same ones, \
             so a server that keeps images may have done its work already"
                .to_owned()
        });
        leads.into_iter().chain(chars).chain(images)
    }

    /// What can be done to a prompt before the run, since it depends on no request. Says whether anything was.
    pub(super) fn settle(&self, prompt: &mut Prompt) -> bool {
        let cleared = self.clear_assistant && clear(prompt);
        let fitted = self.leads.is_none() && self.fit(prompt);
        cleared || fitted
    }

    /// Does the rest to the prompt of the request that `key` names; counts that no longer hold are taken back.
    pub(super) fn apply(&self, mut ask: Ask, key: u64) -> Ask {
        let later = ask.turn.is_some_and(|turn| turn.number > 0);
        let cleared = self.clear_assistant && clear(&mut ask.prompt);
        let begun = !later && self.begin(&mut ask.prompt, key);
        let fitted = self.fit(&mut ask.prompt);
        if cleared || begun || fitted {
            ask.counted_prompt_tokens = None;
        }
        if fitted {
            ask.requested_prompt_tokens = None;
        }
        if self.has_images()
            && let Prompt::Text(text) = &ask.prompt
        {
            ask.prompt = Prompt::Parts(self.illustrate(text).into());
            ask.counted_prompt_tokens = None;
        }
        ask
    }

    fn begin(&self, prompt: &mut Prompt, key: u64) -> bool {
        let Some(leads) = &self.leads else {
            return false;
        };
        rewrite(prompt, |text| {
            let mut line = String::with_capacity(text.len() + 64);
            leads.draw(&mut self.seed.stream("randomize", key), &mut line);
            line.push_str(text);
            Some(line)
        })
    }

    fn fit(&self, prompt: &mut Prompt) -> bool {
        let Some(chars) = self.chars else {
            return false;
        };
        rewrite(prompt, |text| fitted(text, chars, self.corpus))
    }

    fn illustrate(&self, text: &Arc<str>) -> Vec<Part> {
        let images = self.images.iter().cloned().map(Part::Image);
        match self.positioning {
            Positioning::End => [Part::Text(text.clone())]
                .into_iter()
                .chain(images)
                .collect(),
            Positioning::SpaceEvenly => {
                let mut texts =
                    split(text, self.images.len() + 1).map(|part| Part::Text(part.into()));
                let mut parts: Vec<Part> = texts.next().into_iter().collect();
                parts.extend(images.zip(texts).flat_map(|(image, text)| [image, text]));
                parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
                parts
            }
        }
    }
}

/// Changes the text of `prompt`, of a conversation the first words of its user; says whether it did.
pub(super) fn rewrite(prompt: &mut Prompt, change: impl Fn(&str) -> Option<String>) -> bool {
    match prompt {
        Prompt::Text(text) => match change(text) {
            Some(new) => {
                *text = new.into();
                true
            }
            None => false,
        },
        Prompt::Messages(messages) => {
            let user = |message: &Message| message.role == Role::User;
            let Some(at) = messages.iter().position(user) else {
                return false;
            };
            let Some(new) = change(&messages[at].content) else {
                return false;
            };
            let mut list = messages.to_vec();
            list[at].content = new;
            *messages = list.into();
            true
        }
        _ => false,
    }
}

/// Leaves out the last message where it is the model's; says whether it was.
fn clear(prompt: &mut Prompt) -> bool {
    let Prompt::Messages(messages) = prompt else {
        return false;
    };
    match messages.split_last() {
        Some((last, rest)) if last.role == Role::Assistant => {
            *messages = rest.into();
            true
        }
        _ => false,
    }
}

/// `text` cut to `chars` characters, or gone on with text of `corpus`; `None` where it has so many.
fn fitted(text: &str, chars: usize, corpus: Corpus) -> Option<String> {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        return Some(text[..end].to_owned());
    }
    let mut missing = chars - text.chars().count();
    if missing == 0 {
        return None;
    }
    let mut padded = String::with_capacity(text.len() + missing);
    padded.push_str(text);
    let more = corpus.items().collect::<Vec<_>>();
    // Our own texts are of ASCII, of which a character is a byte.
    for piece in more.iter().cycle().flat_map(|item| [BLANK, item]) {
        let taken = missing.min(piece.len());
        padded.push_str(&piece[..taken]);
        missing -= taken;
        if missing == 0 {
            break;
        }
    }
    Some(padded)
}

/// `text` in `count` parts of about one length, each but the last cut before a space where one is near.
fn split(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let mut start = 0;
    (1..=count).map(move |part| {
        let even = text.len() * part / count;
        let end = if part == count {
            text.len()
        } else {
            cut(text, even)
        }
        .max(start);
        let piece = &text[start..end];
        start = end;
        piece
    })
}

/// The space closest after `even`, or the next border of characters if the word is long.
fn cut(text: &str, even: usize) -> usize {
    const NEAR: usize = 32;
    let border = (even..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let rest = &text[border..];
    match rest.find(char::is_whitespace) {
        Some(space) if space <= NEAR => border + space,
        _ => border,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Resolution;
    use proptest::prelude::*;

    fn finish(shape: &Shape) -> Finish {
        Finish::new(shape, Corpus::Limericks, false, Api::Chat, Seed(5)).unwrap()
    }

    fn images(count: u32, positioning: Positioning) -> Shape {
        Shape {
            images: (1..=count)
                .map(|side| Resolution {
                    width: 8 * side,
                    height: 8,
                })
                .collect(),
            positioning,
            ..Shape::default()
        }
    }

    #[test]
    fn one_image_stands_in_the_middle_or_at_the_end() {
        let text: Arc<str> = "one two three four five six".into();
        let say = |positioning| {
            let parts = finish(&images(1, positioning)).illustrate(&text);
            let said = parts.iter().map(|part| match part {
                Part::Text(text) => text.to_string(),
                Part::Image(_) => "#".to_owned(),
            });
            said.collect::<Vec<_>>().join("|")
        };
        assert_eq!(
            say(Positioning::SpaceEvenly),
            "one two three|#| four five six"
        );
        assert_eq!(say(Positioning::End), "one two three four five six|#");
    }

    #[test]
    fn the_last_message_is_left_out_only_when_it_is_the_models() {
        let message = |role| Message {
            role,
            content: "x".to_owned(),
        };
        let mut prompt = Prompt::Messages([message(Role::User), message(Role::Assistant)].into());
        assert!(clear(&mut prompt) && !clear(&mut prompt));
        assert_eq!(prompt, Prompt::Messages([message(Role::User)].into()));
    }

    proptest! {
        #[test]
        fn a_text_is_cut_and_padded_to_so_many_characters_and_begins_as_it_was(
            text in "[a-z\u{e9}\u{4f60}\u{1f680} ]{0,40}", chars in 0_usize..9_000,
        ) {
            let new = fitted(&text, chars, Corpus::Code).unwrap_or_else(|| text.clone());
            prop_assert_eq!(new.chars().count(), chars);
            let same = text.chars().zip(new.chars()).all(|(a, b)| a == b);
            prop_assert!(same);
        }

        #[test]
        fn images_stand_between_parts_of_about_one_length(
            text in "[a-z\u{e9}\u{4f60}]{1,9}( [a-z]{1,9}){40,90}", count in 1_u32..6,
        ) {
            let parts = finish(&images(count, Positioning::SpaceEvenly)).illustrate(&text.as_str().into());
            let mut texts = Vec::new();
            for (place, part) in parts.iter().enumerate() {
                match part {
                    Part::Text(text) => {
                        prop_assert_eq!(place % 2, 0);
                        texts.push(text.to_string());
                    }
                    Part::Image(_) => prop_assert_eq!(place % 2, 1),
                }
            }
            prop_assert_eq!(texts.concat(), text.clone());
            let even = text.len() / (count as usize + 1);
            prop_assert_eq!(texts.len(), count as usize + 1);
            prop_assert!(texts.iter().all(|part| part.len().abs_diff(even) <= 40), "{:?}", texts);
        }
    }
}
