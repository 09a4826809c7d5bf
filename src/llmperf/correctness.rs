//! The correctness test: whether an answer has the number in it, its summary, its lines on the console.

use std::fmt::Write as _;
use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::files::stem;
use super::summary::{foot, head, rate, sampling};
use super::{Individual, console};
use crate::domain::Answer;

/// What a request of the test has for sampling, before the additional fields.
const TEMPERATURE: (&str, f64) = ("temperature", 0.0);
/// What additional fields call the length of an answer.
const LENGTHS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Digits, of any script as in Python, with single commas between them.
static DIGITS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d+(?:,\d+)*").expect("a constant that a test compiles"));

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
    /// Most output tokens that are asked for where the additional fields do not say it; `None`: as many as the server likes.
    pub max_tokens: Option<u32>,
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
    /// The answer has as many tokens as were asked for: it may be cut off. The file does not say it.
    #[serde(skip)]
    pub is_cut: bool,
}

/// A request as llmperf writes it down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestConfig {
    /// The model.
    pub model: String,
    /// The prompt, and its length in tokens where it was counted, else 0.
    pub prompt: (String, u64),
    /// Fields of the body: the temperature, the length where one is asked for, and the additional ones.
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

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The number is in the answer.
    Right,
    /// It is not.
    Mismatch,
    /// There is no answer.
    Errored,
}

/// How many tasks were asked, failed and were answered wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Tasks that ended, in whatever way.
    pub completed: usize,
    /// Tasks that failed.
    pub errors: usize,
    /// Answers without the number.
    pub mismatches: usize,
}

impl Correctness {
    /// What the names of its files begin with.
    pub fn stem(&self) -> String {
        stem(&format!("{}_correctness", self.model))
    }

    /// The most output tokens that are asked for, by whomever.
    fn longest(&self) -> Option<u64> {
        let given = |name: &&str| self.additional_sampling_params.get(*name);
        match LENGTHS.iter().find_map(given) {
            Some(given) => given.as_u64(),
            None => self.max_tokens.map(u64::from),
        }
    }

    /// The fields of a request's body that are for sampling: the temperature and the length, unless they are given otherwise,
    /// and the others.
    pub fn sampling_params(&self) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert(TEMPERATURE.0.to_owned(), TEMPERATURE.1.into());
        let given = &self.additional_sampling_params;
        let is_given = LENGTHS.iter().any(|name| given.contains_key(*name));
        if let Some(most) = self.max_tokens.filter(|_| !is_given) {
            params.insert(LENGTHS[0].to_owned(), most.into());
        }
        params.extend(given.clone());
        params
    }
}

impl Solved {
    /// The task with `prompt` for `number`, and its `answer`; `None` of one that was ended on purpose.
    pub fn of(test: &Correctness, prompt: String, number: u32, answer: &Answer) -> Option<Self> {
        let length = answer.counted_prompt_tokens.map_or(0, u64::from);
        let wrote = answer.server_output_tokens.or(answer.counted_output_tokens);
        Some(Self {
            metrics: Individual::of(answer)?,
            generated_text: answer.text.clone().unwrap_or_default(),
            request_config: RequestConfig {
                model: test.model.clone(),
                prompt: (prompt, length),
                sampling_params: test.sampling_params(),
                llm_api: test.llm_api.clone(),
                metadata: Wanted { rnd_number: number },
            },
            is_cut: test
                .longest()
                .zip(wrote)
                .is_some_and(|(most, wrote)| u64::from(wrote) >= most),
        })
    }

    /// What became of it.
    pub fn mark(&self) -> Mark {
        if !self.metrics.is_good() {
            Mark::Errored
        } else if check(
            &self.generated_text,
            self.request_config.metadata.rnd_number,
        ) {
            Mark::Right
        } else {
            Mark::Mismatch
        }
    }
}

impl Marks {
    /// Those of `tasks`.
    pub fn of(tasks: &[Solved]) -> Self {
        let with = |mark: Mark| tasks.iter().filter(|task| task.mark() == mark).count();
        Self {
            completed: tasks.len(),
            errors: with(Mark::Errored),
            mismatches: with(Mark::Mismatch),
        }
    }

    /// Failed tasks by all; 0 without any.
    pub fn error_rate(self) -> f64 {
        rate(self.errors, self.completed)
    }

    /// Wrong answers by all tasks; 0 without any.
    pub fn mismatch_rate(self) -> f64 {
        rate(self.mismatches, self.completed)
    }

    /// Wrong answers by all answers; `None` without any.
    pub fn wrong_share(self) -> Option<f64> {
        (self.answered() > 0).then(|| rate(self.mismatches, self.answered()))
    }

    /// Tasks that were answered.
    pub const fn answered(self) -> usize {
        self.completed - self.errors
    }
}

/// Whether one of the runs of digits in `text` is `number`, once commas between digits are gone.
pub fn check(text: &str, number: u32) -> bool {
    let number = number.to_string();
    DIGITS
        .find_iter(text)
        .any(|run| run.as_str().replace(',', "") == number)
}

/// The summary, ready for [`file`](super::file). `timestamp_s` is in seconds since 1970.
pub fn correctness_summary(
    test: &Correctness,
    tasks: &[Solved],
    timestamp_s: i64,
) -> Map<String, Value> {
    let marks = Marks::of(tasks);
    let mut flat = Map::new();
    head(&mut flat, &format!("{}_summary", test.stem()));
    let mut set = |key: &str, value: Value| flat.insert(key.to_owned(), value);
    set("number_errors", marks.errors.into());
    set("num_mismatched_requests", marks.mismatches.into());
    set("error_rate", marks.error_rate().into());
    set("mismatch_rate", marks.mismatch_rate().into());
    set("num_completed_requests", marks.completed.into());
    set("num_non_errored_requests", marks.answered().into());
    set("model", test.model.as_str().into());
    set(
        "num_concurrent_requests",
        test.num_concurrent_requests.into(),
    );
    sampling(&mut flat, &test.additional_sampling_params);
    flat.insert("llm_api".to_owned(), test.llm_api.as_str().into());
    foot(&mut flat, &test.metadata, timestamp_s);
    flat
}

/// Each mismatch and each failure, then the counts: the lines of the console, with a line end behind the last one.
pub fn correctness_console(test: &Correctness, tasks: &[Solved]) -> String {
    let mut text = "Mismatched and errored requests.\n".to_owned();
    for task in tasks {
        blame(&mut text, task);
    }
    let marks = Marks::of(tasks);
    let rate = |rate: f64| console::number(&rate.into());
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nResults for llm correctness test for {} queried with the {} api.\n\
         Errors: {}, Error rate: {}\nMismatched: {}, Mismatch rate: {}\nCompleted: {}\nCompleted without errors: {}\n",
        test.model,
        test.llm_api,
        marks.errors,
        rate(marks.error_rate()),
        marks.mismatches,
        rate(marks.mismatch_rate()),
        marks.completed,
        marks.answered(),
    );
    text
}

/// One line for what went wrong, if anything did.
fn blame(text: &mut String, task: &Solved) {
    let _ = match (task.mark(), task.metrics.error_code) {
        (Mark::Mismatch, _) => writeln!(
            text,
            "    mismatched request: {}, expected: {}{}",
            on_one_line(&without_commas(&task.generated_text)),
            task.request_config.metadata.rnd_number,
            if task.is_cut {
                " (cut off: as many tokens as were asked for)"
            } else {
                ""
            }
        ),
        (Mark::Errored, Some(code)) => {
            let words = on_one_line(&task.metrics.error_msg);
            writeln!(text, "    The request errored: {code}, {words}")
        }
        _ => Ok(()),
    };
}

fn without_commas(text: &str) -> String {
    let bare =
        |run: &regex::Captures<'_>| run.get(0).map_or("", |run| run.as_str()).replace(',', "");
    DIGITS.replace_all(text, bare).into_owned()
}

/// Answers are the server's words: nothing in them moves a terminal's cursor.
fn on_one_line(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
#[path = "correctness_tests.rs"]
mod tests;
