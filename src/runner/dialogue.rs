//! The conversation that a user of a closed loop is in: what was said so far goes before what it says next.
//! It sends nothing, and knows of one conversation at a time.

use crate::domain::{Ask, Message, Prompt, Role, Turn};

/// What was said so far, the request under way included.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    said: Vec<Message>,
}

impl Dialogue {
    /// Puts what was said before `ask`, where it is a turn of a conversation. A first turn begins anew.
    pub(super) fn say(&mut self, ask: &mut Ask) {
        let Some(turn) = ask.turn else { return };
        if turn.number == 0 {
            self.said.clear();
        }
        let begins = self.said.is_empty();
        match &ask.prompt {
            Prompt::Messages(new) => self.said.extend_from_slice(new),
            Prompt::Text(text) => self.said.push(Message {
                role: Role::User,
                content: text.to_string(),
            }),
            // Of these there is no conversation.
            Prompt::Parts(_) | Prompt::Tokens(_) | Prompt::Batch(_) | Prompt::Documents(_) => {
                return;
            }
        }
        if !begins {
            ask.prompt = Prompt::Messages(self.said.as_slice().into());
            // What was counted before the run is the new messages alone.
            ask.counted_prompt_tokens = None;
        }
    }

    /// Takes the answer to `turn`, `None` where it was not a good one; whether the conversation can go on.
    pub(super) fn hear(&mut self, turn: Turn, answer: Option<String>) -> bool {
        let goes_on = answer.is_some();
        match answer {
            Some(content) if turn.number + 1 < turn.of => self.said.push(Message {
                role: Role::Assistant,
                content,
            }),
            _ => self.said.clear(),
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u32) -> Turn {
        Turn {
            session: 5,
            number,
            of: 3,
        }
    }

    fn ask(number: u32, text: &str) -> Ask {
        let message = Message {
            role: Role::User,
            content: text.to_owned(),
        };
        Ask {
            prompt: Prompt::Messages([message].into()),
            max_tokens: 1,
            requested_prompt_tokens: None,
            counted_prompt_tokens: Some(4),
            extra: None,
            forced: None,
            turn: Some(turn(number)),
        }
    }

    /// The contents of what is sent, in order.
    fn sent(dialogue: &mut Dialogue, mut ask: Ask) -> Vec<String> {
        dialogue.say(&mut ask);
        match ask.prompt {
            Prompt::Messages(all) => all.iter().map(|one| one.content.clone()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_turn_comes_after_all_that_was_said_and_answered() {
        let mut dialogue = Dialogue::default();
        assert_eq!(sent(&mut dialogue, ask(0, "a")), ["a"]);
        assert!(dialogue.hear(turn(0), Some("b".to_owned())));
        assert_eq!(sent(&mut dialogue, ask(1, "c")), ["a", "b", "c"]);
        assert!(dialogue.hear(turn(1), Some("d".to_owned())));
        assert_eq!(sent(&mut dialogue, ask(2, "e")), ["a", "b", "c", "d", "e"]);
        assert!(dialogue.hear(turn(2), Some("f".to_owned())));
        assert_eq!(sent(&mut dialogue, ask(0, "g")), ["g"]);
    }

    #[test]
    fn a_failure_ends_the_conversation_and_nothing_of_it_is_said_again() {
        let mut dialogue = Dialogue::default();
        sent(&mut dialogue, ask(0, "a"));
        dialogue.hear(turn(0), Some("b".to_owned()));
        sent(&mut dialogue, ask(1, "c"));
        assert!(!dialogue.hear(turn(1), None));
        assert_eq!(sent(&mut dialogue, ask(0, "x")), ["x"]);
    }

    #[test]
    fn what_is_no_conversation_is_left_as_it_is() {
        let mut dialogue = Dialogue::default();
        sent(&mut dialogue, ask(0, "a"));
        let mut single = ask(0, "b");
        single.turn = None;
        let same = single.clone();
        dialogue.say(&mut single);
        assert_eq!(single, same);
        let mut first = ask(0, "c");
        let as_it_was = first.clone();
        dialogue.say(&mut first);
        assert_eq!(
            first, as_it_was,
            "a first turn is its own messages and count"
        );
    }
}
