//! Recognises an event that differs from an earlier one in its text alone, without parsing it again.
//! Exact, not a guess: it reads no JSON, and what it does not recognise is parsed.
//!
//! The events of a stream are one and the same JSON around ever new words. JSON is read from left to right: where all bytes before
//! a string's text are those of an event that was parsed, the text has no quote, escape or control character, and all bytes after
//! it are the same again, parsing could tell nothing else than the earlier event with this text in it.

use std::ops::Range;

/// Events that are learned without ever being met again before learning is put off.
const TRIES: u32 = 4;
/// How many events learning is put off for, where each has something of its own.
const PAUSE: u32 = 64;

/// The last event that was learned.
#[derive(Debug)]
pub(super) struct Mold {
    event: Vec<u8>,
    /// Where in it the text stands; empty while nothing is learned.
    text: Range<usize>,
    tries: u32,
    pause: u32,
}

impl Default for Mold {
    fn default() -> Self {
        Self {
            event: Vec::new(),
            text: 0..0,
            tries: TRIES,
            pause: 0,
        }
    }
}

impl Mold {
    /// The text of `event`, if it is the learned one with another text.
    pub(super) fn text<'a>(&mut self, event: &'a [u8]) -> Option<&'a str> {
        if self.text.is_empty() {
            return None;
        }
        let before = &self.event[..self.text.start];
        let after = &self.event[self.text.end..];
        let text = event.strip_prefix(before)?.strip_suffix(after)?;
        let plain = |&byte: &u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.is_empty() || !text.iter().all(plain) {
            return None;
        }
        let text = str::from_utf8(text).ok()?;
        self.tries = TRIES;
        Some(text)
    }

    /// Learns `event`, of which nothing matters but `text`, a slice of it; `false` when the earlier one stays.
    pub(super) fn learn(&mut self, event: &[u8], text: &str) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        if self.tries == 0 {
            (self.tries, self.pause) = (TRIES, PAUSE);
            return false;
        }
        // The data lines of one event are joined by line feeds: without one, what is recognised is a single line as well.
        if event.contains(&b'\n') {
            return false;
        }
        let Some(start) = text.as_ptr().addr().checked_sub(event.as_ptr().addr()) else {
            return false;
        };
        let range = start..start + text.len();
        if event.get(range.clone()) != Some(text.as_bytes()) {
            return false;
        }
        self.tries -= 1;
        self.event.clear();
        self.event.extend_from_slice(event);
        self.text = range;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(event: &str, text: &str) -> Mold {
        let mut mold = Mold::default();
        let at = event.find(text).unwrap();
        mold.learn(event.as_bytes(), &event[at..at + text.len()]);
        mold
    }

    #[test]
    fn an_event_with_another_text_is_recognised() {
        let mut mold = learned(r#"{"t":"one","n":1}"#, "one");
        assert_eq!(
            mold.text(r#"{"t":"zwölf","n":1}"#.as_bytes()),
            Some("zwölf")
        );
        assert_eq!(mold.text(br#"{"t":"x","n":1}"#), Some("x"));
    }

    #[test]
    fn whatever_could_mean_something_else_is_not() {
        let mut mold = learned(r#"{"t":"one","n":1}"#, "one");
        for other in [
            r#"{"t":"two","n":2}"#,
            r#"{"t":"two","n":1} "#,
            r#"{"t":"","n":1}"#,
            r#"{"t":"a\"b","n":1}"#,
            r#"{"t":"a","t":"b","n":1}"#,
            "{\"t\":\"a\tb\",\"n\":1}",
            r#"{"t":"on"#,
            "",
        ] {
            assert_eq!(mold.text(other.as_bytes()), None, "{other}");
        }
        assert_eq!(mold.text(b"{\"t\":\"\xff\",\"n\":1}"), None);
    }

    #[test]
    fn a_text_that_overlaps_what_stands_around_it_is_not_cut() {
        // Before and after may not share bytes: the event is shorter than both together.
        let mut mold = learned("aaXaa", "X");
        assert_eq!(mold.text(b"aaa"), None);
        assert_eq!(mold.text(b"aaYaa"), Some("Y"));
    }

    #[test]
    fn events_that_never_come_again_are_learned_seldom() {
        let mut mold = Mold::default();
        let mut learned = 0;
        for i in 0..1_000 {
            let event = format!("{{\"i\":{i},\"t\":\"x\"}}");
            let at = event.find('x').unwrap();
            assert_eq!(mold.text(event.as_bytes()), None);
            let before = mold.event.clone();
            mold.learn(event.as_bytes(), &event[at..=at]);
            learned += usize::from(mold.event != before);
        }
        assert!(learned < 100, "{learned}");
        let event = br#"{"t":"x"}"#;
        for _ in 0..200 {
            mold.learn(event, str::from_utf8(&event[6..7]).unwrap());
            if mold.text(br#"{"t":"y"}"#) == Some("y") {
                return;
            }
        }
        panic!("it never learned again");
    }
}
