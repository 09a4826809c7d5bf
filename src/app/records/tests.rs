//! Several takers of the same requests: each gets all of them until it fails, and the run goes on.

use std::sync::{Arc, Mutex};

use anyhow::anyhow;

use super::*;
use crate::domain::Index;
use crate::report::sample;

type Heard = Arc<Mutex<Vec<String>>>;

struct Taker {
    name: &'static str,
    heard: Heard,
    /// Fails at this index.
    fails_at: Option<u64>,
}

impl Taker {
    fn say(&self, words: &str) {
        let mut heard = self.heard.lock().unwrap();
        heard.push(format!("{} {words}", self.name));
    }
}

impl Sink for Taker {
    fn begin(&mut self, _zero: SystemTime) {
        self.say("begin");
    }

    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        if self.fails_at == Some(record.index.key()) {
            return Err(Failure::failed(anyhow!("{} fails", self.name)));
        }
        self.say(&record.index.key().to_string());
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failure> {
        self.say("idle");
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<(), Failure> {
        self.say("end");
        Ok(())
    }
}

fn played(fails: [Option<u64>; 2]) -> (Vec<String>, Result<(), Failure>) {
    let heard = Heard::default();
    let taker = |(name, fails_at)| {
        Box::new(Taker {
            name,
            heard: Arc::clone(&heard),
            fails_at,
        }) as Box<dyn Sink>
    };
    let (sender, queue) = mpsc::channel(8);
    for index in 0..3 {
        let mut record = sample::record(1_000);
        record.index = Index::Arrival(index);
        sender.try_send(record).unwrap();
    }
    drop(sender);
    let sinks = ["a", "b"].into_iter().zip(fails).map(taker).collect();
    let ended = hand_out(queue, sinks, SystemTime::UNIX_EPOCH);
    let words = heard.lock().unwrap().clone();
    (words, ended)
}

#[test]
fn everyone_gets_every_request() {
    let (heard, ended) = played([None, None]);
    assert_eq!(
        heard,
        [
            "a begin", "b begin", "a 0", "b 0", "a 1", "b 1", "a 2", "a idle", "b 2", "b idle",
            "a end", "b end"
        ]
    );
    assert!(ended.is_ok());
}

#[test]
fn who_fails_gets_no_more_and_the_others_do() {
    let (heard, ended) = played([Some(1), None]);
    assert_eq!(
        heard,
        [
            "a begin", "b begin", "a 0", "b 0", "b 1", "b 2", "b idle", "b end"
        ]
    );
    assert_eq!(format!("{}", ended.unwrap_err().error), "a fails");
}

#[test]
fn when_nobody_is_left_the_queue_is_closed_and_the_first_failure_told() {
    let (heard, ended) = played([Some(1), Some(0)]);
    assert_eq!(heard, ["a begin", "b begin", "a 0"]);
    assert_eq!(format!("{}", ended.unwrap_err().error), "b fails");
}
