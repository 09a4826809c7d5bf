//! The bytes of an answer, made once: a vLLM chat stream in HTTP chunks, every content event as long as the other.
//! So the server copies nothing, and the floor finds each event by counting bytes alone.

/// One answer, cut into the pieces that the server writes.
#[derive(Debug)]
pub(super) struct Answer {
    /// The response head and the event of the role.
    opening: Vec<u8>,
    /// As many content events as go into one write.
    events: Vec<u8>,
    opened_events: Vec<u8>,
    /// The tail is the finish, the usage, `[DONE]` and the end of the body.
    events_and_tail: Vec<u8>,
    /// Of an answer that is one write.
    whole: Vec<u8>,
    size: Size,
}

/// Where the events of an answer are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    opening: usize,
    event: usize,
    tail: usize,
    /// Content events of an answer.
    events: u32,
}

impl Size {
    /// Bytes of a whole answer.
    pub(super) fn total(self) -> usize {
        self.opening + self.event * self.events as usize + self.tail
    }

    /// Content events that are complete when `got` bytes have come.
    pub(super) fn complete(self, got: usize) -> u32 {
        let events = got.saturating_sub(self.opening) / self.event;
        u32::try_from(events).map_or(self.events, |events| events.min(self.events))
    }
}

impl Answer {
    /// An answer of `events` content events, `per_write` of them a write.
    pub(super) fn new(events: u32, per_write: u32) -> Self {
        let mut opening = HEAD.as_bytes().to_vec();
        opening.extend(chunk(
            r#"{"role":"assistant","content":""}"#,
            "null",
            "null",
        ));
        let event = chunk(r#"{"content":" word"}"#, "null", "null");
        let mut tail = chunk(r#"{"content":""}"#, r#""length""#, "null");
        tail.extend(usage(events));
        tail.extend(framed("data: [DONE]\n\n"));
        tail.extend(b"0\r\n\r\n");
        let size = Size {
            opening: opening.len(),
            event: event.len(),
            tail: tail.len(),
            events,
        };
        let events = event.repeat(per_write as usize);
        Self {
            opened_events: [&opening[..], &events].concat(),
            events_and_tail: [&events[..], &tail].concat(),
            whole: [&opening[..], &events, &tail].concat(),
            opening,
            events,
            size,
        }
    }

    /// How long its parts are.
    pub(super) const fn size(&self) -> Size {
        self.size
    }

    /// The head and the role, where they go out before the first event.
    pub(super) fn opening(&self) -> &[u8] {
        &self.opening
    }

    /// A write's events, with what goes before the first and behind the last.
    pub(super) fn piece(&self, first: bool, last: bool) -> &[u8] {
        match (first, last) {
            (false, false) => &self.events,
            (true, false) => &self.opened_events,
            (false, true) => &self.events_and_tail,
            (true, true) => &self.whole,
        }
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                    transfer-encoding: chunked\r\n\r\n";

fn framed(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn chunk(delta: &str, finish: &str, logprobs: &str) -> Vec<u8> {
    framed(&format!(
        "data: {{\"id\":\"chatcmpl-8f14e45fceea167a5a36dedd4bea2543\",\"object\":\"chat.completion.chunk\",\
         \"created\":1760000000,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
         \"logprobs\":{logprobs},\"finish_reason\":{finish},\"token_ids\":null}}]}}\n\n"
    ))
}

fn usage(events: u32) -> Vec<u8> {
    let total = events + 32;
    framed(&format!(
        "data: {{\"id\":\"chatcmpl-8f14e45fceea167a5a36dedd4bea2543\",\"object\":\"chat.completion.chunk\",\
         \"created\":1760000000,\"model\":\"bench\",\"choices\":[],\"usage\":{{\"prompt_tokens\":32,\
         \"total_tokens\":{total},\"completion_tokens\":{events}}}}}\n\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_an_answer_are_the_answer_and_its_events_are_found_by_counting() {
        let answer = Answer::new(4, 2);
        let sent = [answer.piece(true, false), answer.piece(false, true)].concat();
        let size = answer.size();
        assert_eq!(sent.len(), size.total());
        let apart = [
            answer.opening(),
            answer.piece(false, false),
            answer.piece(false, true),
        ]
        .concat();
        assert_eq!(apart, sent);
        let text = String::from_utf8(sent).unwrap();
        let ends: Vec<usize> = text
            .match_indices("\" word\"")
            .map(|(at, _)| at + text[at..].find("\n\n\r\n").unwrap() + 4)
            .collect();
        for (event, &end) in (1..).zip(&ends) {
            assert_eq!(
                (size.complete(end - 1), size.complete(end)),
                (event - 1, event)
            );
        }
        assert_eq!((ends.len(), size.complete(text.len())), (4, 4));
    }

    #[test]
    fn an_event_is_about_as_long_as_a_vllm_chunk() {
        let answer = Answer::new(1, 1);
        assert!((220..260).contains(&answer.piece(false, false).len()));
        assert!(answer.piece(true, true).ends_with(b"0\r\n\r\n"));
    }
}
