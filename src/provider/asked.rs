//! What of an ask an API has words for, and the pieces of a prompt that several APIs need.
//! It writes no request: the fields are the APIs' own.

use std::borrow::Cow;

use super::body::joined_contents;
use super::{Kind, ShapeError};
use crate::domain::{Ask, Part, Prompt};

/// Prompts beside texts and conversations, which every API of text takes. `default` is none of them.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one field a kind of prompt")]
pub(super) struct Takes {
    /// `Prompt::Parts`.
    pub(super) parts: bool,
    /// `Prompt::Tokens`.
    pub(super) tokens: bool,
    /// `Prompt::Batch`, where embeddings are asked for.
    pub(super) batch: bool,
    /// `Prompt::Documents`, where a ranking is asked for.
    pub(super) documents: bool,
    /// `Ask.forced`.
    pub(super) forced: bool,
}

impl Kind {
    /// What an API has no words for is refused, never said otherwise.
    pub(super) fn check(self, ask: &Ask, takes: Takes) -> Result<(), ShapeError> {
        let is = |kind: fn(&Prompt) -> bool| kind(&ask.prompt);
        self.refuse(&[
            (
                "images in prompts",
                !takes.parts && is(|prompt| matches!(prompt, Prompt::Parts(_))),
            ),
            (
                "prompts of token ids",
                !takes.tokens && is(|prompt| matches!(prompt, Prompt::Tokens(_))),
            ),
            (
                "batches of texts",
                !takes.batch && is(|prompt| matches!(prompt, Prompt::Batch(_))),
            ),
            (
                "documents to rank",
                !takes.documents && is(|prompt| matches!(prompt, Prompt::Documents(_))),
            ),
            ("forced generation", !takes.forced && ask.forced.is_some()),
        ])
    }
}

/// A prompt as one text: the contents of a conversation are joined by blank lines, the images of a message are left out.
pub(super) fn text_of(prompt: &Prompt) -> Cow<'_, str> {
    match prompt {
        Prompt::Text(text) => Cow::Borrowed(text),
        Prompt::Messages(messages) => Cow::Owned(joined_contents(messages.iter())),
        Prompt::Parts(parts) => Cow::Owned(texts_in(parts)),
        Prompt::Tokens(_) | Prompt::Batch(_) | Prompt::Documents(_) => Cow::Borrowed(""),
    }
}

/// The texts of a message, as they follow each other.
pub(super) fn texts_in(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(&**text),
        Part::Image(_) => None,
    });
    texts.collect()
}

/// The images of a message, as `data:` URIs.
pub(super) fn images_in(prompt: &Prompt) -> impl Iterator<Item = &str> {
    let parts = match prompt {
        Prompt::Parts(parts) => &**parts,
        _ => &[],
    };
    parts.iter().filter_map(|part| match part {
        Part::Image(uri) => Some(&**uri),
        Part::Text(_) => None,
    })
}

/// What a `data:` URI holds: its media type and its Base64.
pub(super) fn base64_in(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("data:")?.split_once(";base64,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_uri_is_taken_apart() {
        assert_eq!(
            base64_in("data:image/jpeg;base64,/9j/"),
            Some(("image/jpeg", "/9j/"))
        );
        assert_eq!(base64_in("http://example.com/x.jpeg"), None);
        assert_eq!(base64_in("data:text/plain,x"), None);
    }

    #[test]
    fn a_prompt_reads_as_one_text() {
        let parts = [
            Part::Text("a ".into()),
            Part::Image("data:".into()),
            Part::Text("b".into()),
        ];
        let prompt = Prompt::Parts(parts.into());
        assert_eq!(text_of(&prompt), "a b");
        assert_eq!(images_in(&prompt).collect::<Vec<_>>(), ["data:"]);
    }
}
