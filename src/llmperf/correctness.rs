//! The correctness test: whether an answer has the number in it, its summary, its lines on the console.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Individual;
use crate::domain::Answer;

/// The settings of one correctness test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correctness {
    /// The model, as it was given.
    pub model: String,
    /// The name of the client.
    pub llm_api: String,
    /// Requests in flight.
    pub num_concurrent_requests: u32,
    /// Fields merged into each request.
    pub additional_sampling_params: Map<String, Value>,
    /// The user's own pairs.
    pub metadata: IndexMap<String, String>,
}

/// One task and what came of it: an element of the file of individual responses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Solved {
    /// Its times and counts.
    pub metrics: Individual,
    /// The answer's visible text.
    pub generated_text: String,
    /// What was asked.
    pub request_config: RequestConfig,
}

/// A request as llmperf writes it down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestConfig {
    /// The model.
    pub model: String,
    /// The prompt, and its length in tokens where it was counted, else 0.
    pub prompt: (String, u64),
    /// Fields of the body: the temperature, and the additional ones.
    pub sampling_params: Map<String, Value>,
    /// The name of the client.
    pub llm_api: String,
    /// What the answer is held against.
    pub metadata: Wanted,
}

/// What an answer is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The number that was put into words.
    pub rnd_number: u32,
}

/// How many tasks were asked, failed and were answered wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Tasks that ended, in whatever way.
    pub completed: u64,
    /// Tasks that failed.
    pub errors: u64,
    /// Answers without the number.
    pub mismatches: u64,
}

impl Solved {
    /// The task with `prompt` for `number`, and its `answer`; `None` of one that was ended on purpose.
    pub fn of(test: &Correctness, prompt: String, number: u32, answer: &Answer) -> Option<Self> {
        let _ = (test, prompt, number, answer);
        None
    }
}

impl Marks {
    /// Those of `tasks`.
    pub fn of(tasks: &[Solved]) -> Self {
        let _ = tasks;
        Self::default()
    }

    /// Failed tasks by all; 0 without any.
    pub fn error_rate(self) -> f64 {
        0.0
    }

    /// Wrong answers by all tasks; 0 without any.
    pub fn mismatch_rate(self) -> f64 {
        0.0
    }
}

/// Whether one of the runs of digits in `text` is `number`, once commas between digits are gone.
pub fn check(text: &str, number: u32) -> bool {
    let _ = (text, number);
    false
}

/// The summary, ready for [`file`](super::file). `timestamp_s` is in seconds since 1970.
pub fn correctness_summary(
    test: &Correctness,
    tasks: &[Solved],
    timestamp_s: i64,
) -> Map<String, Value> {
    let _ = (test, tasks, timestamp_s);
    Map::new()
}

/// Each mismatch and each failure, then the counts: the lines of the console, with a line end behind the last one.
pub fn correctness_console(test: &Correctness, tasks: &[Solved]) -> String {
    let _ = (test, tasks);
    String::new()
}
