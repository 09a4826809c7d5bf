//! Prompts as token ids: the chat template's own around a content that is cut to the token. Nothing is tokenized here.

use rand::RngExt;

use crate::domain::Seed;

/// What stands before and after the content of a user message, and what the content is made of, in token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The template up to the content; empty without a template.
    pub before: Vec<u32>,
    /// The template from there on, up to the answer.
    pub after: Vec<u32>,
    /// Ids of ordinary text, in their order; not empty.
    pub text: Vec<u32>,
}

/// Makes prompts of exact lengths.
#[derive(Clone, Debug)]
pub struct Prompts {
    content: Content,
    seed: Seed,
}

impl Prompts {
    /// Of this content; `None` when there is no text.
    pub fn new(content: Content, seed: Seed) -> Option<Self> {
        (!content.text.is_empty()).then_some(Self { content, seed })
    }

    /// The fewest tokens that a prompt has: the template's own, and one.
    pub fn least(&self) -> u32 {
        let own = self.content.before.len() + self.content.after.len();
        u32::try_from(own + 1).unwrap_or(u32::MAX)
    }

    /// The text in its order, of exactly `length` tokens with the template's.
    pub fn in_order(&self, length: u32) -> Vec<u32> {
        let room = self.room(length);
        self.around(self.content.text.iter().copied().cycle().take(room))
    }

    /// `length` tokens, of which the first `shared` are those of every such prompt and the rest of the content is drawn from
    /// (seed, number). What the template puts before the content is always shared.
    pub fn partly_shared(&self, length: u32, shared: u32, number: u64) -> Vec<u32> {
        let room = self.room(length);
        let before = self.content.before.len();
        let same = usize::try_from(shared)
            .unwrap_or(0)
            .saturating_sub(before)
            .min(room);
        let text = &self.content.text;
        let mut rng = self.seed.stream("prefill-content", number);
        let drawn = std::iter::repeat_with(|| text[rng.random_range(0..text.len())]);
        let same_ids = text.iter().copied().cycle().take(same);
        let content: Vec<u32> = same_ids.chain(drawn.take(room - same)).collect();
        self.around(content.into_iter())
    }

    fn room(&self, length: u32) -> usize {
        let own = self.content.before.len() + self.content.after.len();
        usize::try_from(length).unwrap_or(0).saturating_sub(own)
    }

    fn around(&self, content: impl Iterator<Item = u32>) -> Vec<u32> {
        let Content { before, after, .. } = &self.content;
        let before = before.iter().copied();
        before.chain(content).chain(after.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prompts() -> Prompts {
        let content = Content {
            before: vec![1, 2],
            after: vec![3],
            text: (100..150).collect(),
        };
        Prompts::new(content, Seed(7)).unwrap()
    }

    proptest! {
        #[test]
        fn prompts_have_their_length_and_share_what_they_are_to_share(length in 4_u32..400, part in 0.0_f64..1.0, a: u64, b: u64) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
            let shared = (f64::from(length - 1) * part) as u32;
            let [one, other] = [a, b].map(|number| prompts().partly_shared(length, shared, number));
            prop_assert_eq!(one.len(), length as usize);
            prop_assert_eq!(&one[..shared as usize], &other[..shared as usize]);
            prop_assert_eq!(prompts().in_order(length).len(), length as usize);
            prop_assert!(one.starts_with(&[1, 2]) && one.ends_with(&[3]));
        }
    }

    #[test]
    fn what_is_not_shared_differs() {
        let [one, other] = [0, 1].map(|number| prompts().partly_shared(200, 100, number));
        assert_ne!(one[100..], other[100..]);
        let first = one[100..199].iter().zip(&other[100..199]);
        assert!(first.filter(|(a, b)| a == b).count() < 20);
    }
}
