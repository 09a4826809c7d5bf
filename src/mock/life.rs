//! One answer from its place in the queue to its end, counted exactly once whichever way it ends.
//! It sends nothing itself; dropping it unfinished is how a client's leaving is seen.

use std::sync::Arc;

use super::course::{Course, Finish};
use super::place::Place;
use super::server::Lane;
use super::stats::{Answers, RequestNote};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Broken,
    Aborted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Over,
}

/// The count of one answer.
#[derive(Debug)]
pub(super) struct Life {
    lane: Arc<Lane>,
    note: RequestNote,
    finish: Finish,
    stream: bool,
    state: State,
    prompt_tokens: u64,
    held_tokens: u64,
    place: Option<Place>,
    delay: u64,
}

impl Life {
    /// Counted as started, and waiting until it is admitted.
    pub(super) fn begin(lane: Arc<Lane>, course: &Course, stream: bool, note: RequestNote) -> Self {
        let life = Self {
            lane,
            note,
            finish: course.finish,
            stream,
            state: State::Waiting,
            prompt_tokens: course.prompt_tokens,
            held_tokens: 0,
            place: None,
            delay: 0,
        };
        life.answers().started.add(1);
        life.answers().open.add(1);
        life.lane.stats().waiting.add(1);
        life
    }

    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    pub(super) fn received(&self) -> u64 {
        self.note.received_ns
    }

    pub(super) fn number(&self) -> u64 {
        self.note.number
    }

    /// Its schedule begins so many ns later.
    pub(super) fn delay(&mut self, nanos: u64) {
        self.delay = nanos;
    }

    /// Where its schedule begins, unless it had to queue.
    pub(super) fn start(&self) -> u64 {
        self.note.received_ns.saturating_add(self.delay)
    }

    fn answers(&self) -> &Answers {
        let stats = self.lane.stats();
        if self.stream {
            &stats.streams
        } else {
            &stats.wholes
        }
    }

    /// Its turn has come.
    pub(super) fn admit(&mut self, place: Option<Place>) {
        self.place = place;
        self.state = State::Running;
        self.held_tokens = self.prompt_tokens;
        let stats = self.lane.stats();
        stats.waiting.sub(1);
        stats.running.add(1);
        stats.prompt_tokens.add(self.prompt_tokens);
        stats.held_tokens.add(self.prompt_tokens);
    }

    /// A whole answer goes out now, whose first token would have been sent at `first`.
    pub(super) fn sent_whole(&mut self, now: u64, first: u64, tokens: u64) {
        let waited = first.saturating_sub(self.note.received_ns);
        self.lane.stats().first_token.record(waited);
        self.note.first_sent_ns = Some(now);
        self.sent(now, 0, tokens);
    }

    /// Content events of so many tokens in all go out now.
    pub(super) fn sent(&mut self, now: u64, events: u64, tokens: u64) {
        let stats = self.lane.stats();
        if self.note.first_sent_ns.is_none() {
            self.note.first_sent_ns = Some(now);
            stats
                .first_token
                .record(now.saturating_sub(self.note.received_ns));
        }
        self.note.last_sent_ns = Some(now);
        self.note.events += events;
        self.note.tokens += tokens;
        self.held_tokens += tokens;
        stats.tokens.add(tokens);
        stats.content_events.add(events);
        stats.held_tokens.add(tokens);
    }

    /// It is over; only the first end counts.
    pub(super) fn end(&mut self, now: u64, end: End) {
        if self.state == State::Over {
            return;
        }
        self.leave();
        let answers = self.answers();
        answers.open.sub(1);
        let (count, name, reason) = match end {
            End::Completed => (&answers.completed, "completed", self.finish as usize),
            End::Aborted => (&answers.aborted, "aborted", 2),
            End::Broken => (&answers.broken, "broken", 3),
        };
        count.add(1);
        let stats = self.lane.stats();
        stats.reasons[reason].add(1);
        if end == End::Completed {
            stats
                .latency
                .record(now.saturating_sub(self.note.received_ns));
        }
        self.note.end = name;
        stats.note(&self.note);
    }

    /// Gives its place to the next in the queue.
    fn leave(&mut self) {
        let stats = self.lane.stats();
        match self.state {
            State::Waiting => stats.waiting.sub(1),
            State::Running => stats.running.sub(1),
            State::Over => {}
        }
        stats.held_tokens.sub(self.held_tokens);
        self.state = State::Over;
        self.place = None;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end(0, End::Aborted);
    }
}
