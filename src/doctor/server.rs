//! What a server's list of models and its answers to a few short requests tell: whether a run of many would measure what it says.
//! It asks nobody.

use std::time::Duration;

use super::finding::Finding;
use crate::domain::{Answer, Offset};

/// Fewer tokens tell nothing about how they come.
const ENOUGH: usize = 4;
/// Events that are nearer to each other than this came together: no model writes 10,000 a second into one answer.
const TOGETHER: Duration = Duration::from_micros(100);
/// Events in so few groups were held back by somebody.
const GROUPED: usize = 4;
/// Tokens that a chat's template may add to a prompt: so many, or this share.
const TEMPLATE: (u32, f64) = (48, 0.1);
/// What lengths without the model's tokenizer may be off by.
const ESTIMATE: (u32, f64) = (48, 0.15);
/// What two counts of the same output may differ by.
const OUTPUT: (u32, f64) = (2, 0.05);
/// Names that are told of a list.
const NAMED: usize = 5;

/// What the server lists.
#[derive(Clone, Debug)]
pub(crate) enum Listed {
    /// These models.
    Models(Vec<String>),
    /// The list cannot be had, and why.
    Unknown(String),
    /// This API lists none.
    None,
}

/// Whether the model is there. `wanted` is what somebody asked for.
pub(crate) fn model(wanted: Option<&str>, listed: &Listed) -> Finding {
    const CHECK: &str = "model";
    let both = "--model and --provider spare the question";
    match (listed, wanted) {
        (Listed::None, wanted) => Finding::skipped(
            CHECK,
            format!("`{}`: this API lists none", wanted.unwrap_or("its own")),
        ),
        (Listed::Unknown(why), Some(wanted)) => {
            let words = format!("whether `{wanted}` is there cannot be told: {why}");
            Finding::skipped(CHECK, words)
        }
        (Listed::Unknown(why), None) => Finding::problem(CHECK, why.as_str(), both),
        (Listed::Models(all), Some(wanted)) if all.iter().any(|name| name == wanted) => {
            Finding::ok(CHECK, format!("`{wanted}` is listed"))
        }
        (Listed::Models(all), Some(wanted)) => Finding::warning(
            CHECK,
            format!("`{wanted}` is not listed; there are: {}", names(all)),
            "--model, as the server names it; some servers take names that they do not list",
        ),
        (Listed::Models(all), None) => match &all[..] {
            [] => Finding::problem(CHECK, "the server lists no model", both),
            [only] => Finding::ok(CHECK, format!("`{only}`, the one that is listed")),
            [first, ..] => Finding::ok(
                CHECK,
                format!("`{first}`, the first that is listed of {}", names(all)),
            ),
        },
    }
}

fn names(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let some = all[..all.len() - more].join(", ");
    match more {
        0 if all.is_empty() => "none".to_owned(),
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// What the short requests were.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// As streams.
    pub(crate) stream: bool,
    /// Answers to each.
    pub(crate) choices: u32,
    /// They told the server to ignore the end token.
    pub(crate) ignores_end: bool,
    /// The tokenizer that counted, if one did.
    pub(crate) tokenizer: Option<String>,
    /// Who says in its headers that it answered, or passed the answer on.
    pub(crate) via: Option<String>,
}

/// Whether all were answered. There is at least one where anything was asked.
pub(crate) fn replied(answers: &[Answer]) -> Finding {
    const CHECK: &str = "requests";
    let Some(last) = answers.last() else {
        let hint = "llmload run --max-requests 1 with the same options tells more";
        return Finding::problem(CHECK, "no request was sent", hint);
    };
    if let Some(bad) = answers.iter().find(|it| !it.outcome.is_good()) {
        let failed = answers.iter().filter(|it| !it.outcome.is_good()).count();
        let words = format!(
            "{failed} of {} failed: {}: {}",
            answers.len(),
            bad.outcome,
            bad.error
        );
        let hint = "the same options with `llmload run --max-requests 1 --show-request` show what was sent";
        return Finding::problem(CHECK, words, hint);
    }
    let since = |at: Option<Offset>| Some(ms(at?.nanos_since(last.sent?)));
    let first = since(last.first_content);
    let first = first.map_or(String::new(), |ms| {
        format!("the first token after {ms:.1} ms, ")
    });
    let whole = since(Some(last.end)).unwrap_or(0.0);
    Finding::ok(
        CHECK,
        format!(
            "{} answered, the last one: {first}everything after {whole:.1} ms",
            answers.len()
        ),
    )
}

#[expect(clippy::cast_precision_loss, reason = "times of one request")]
fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// The last good one: the server is warm by then.
fn good(answers: &[Answer]) -> Option<&Answer> {
    answers.iter().rev().find(|it| it.outcome.is_good())
}

/// Whether tokens come one after another.
pub(crate) fn streaming(answers: &[Answer], asked: &Asked) -> Finding {
    const CHECK: &str = "streaming";
    if !asked.stream {
        return Finding::skipped(CHECK, "answers are asked for as wholes");
    }
    let Some(answer) = good(answers) else {
        return Finding::skipped(CHECK, "no answer");
    };
    let events = answer.arrivals.len();
    let tokens = output_of(answer).map_or(events, |tokens| usize::try_from(tokens).unwrap_or(0));
    if tokens.max(events) < ENOUGH {
        return Finding::skipped(CHECK, format!("{tokens} tokens are too few to tell"));
    }
    let (Some(&first), Some(&last)) = (answer.arrivals.first(), answer.arrivals.last()) else {
        return Finding::problem(CHECK, "the answer had no event with text", buffered(asked));
    };
    let took = last.nanos_since(first);
    let groups = 1 + answer
        .arrivals
        .windows(2)
        .filter(|pair| u128::from(pair[1].nanos_since(pair[0])) >= TOGETHER.as_nanos())
        .count();
    let waited = answer.sent.map_or(0, |sent| first.nanos_since(sent));
    let each = u128::from(took) / (events.max(2) as u128 - 1);
    if groups == 1 || each < TOGETHER.as_nanos() {
        let words = format!(
            "{tokens} tokens came all at once, in {events} events within {:.3} ms, {:.1} ms after the request: somebody buffers",
            ms(took),
            ms(waited)
        );
        return Finding::problem(CHECK, words, buffered(asked));
    }
    let words = format!(
        "{events} events in {:.1} ms, {groups} of them apart",
        ms(took)
    );
    if events >= 2 * GROUPED && groups <= events / GROUPED {
        let words = format!("{words}: they come in groups");
        return Finding::warning(
            CHECK,
            words,
            format!(
                "a server that speculates or steps several tokens does so; if yours does not: {}",
                buffered(asked)
            ),
        );
    }
    Finding::ok(CHECK, words)
}

fn buffered(asked: &Asked) -> String {
    let who = asked.via.as_deref();
    let who = who.map_or_else(
        || "a proxy or gateway before the server".to_owned(),
        |via| format!("what calls itself `{via}` answers"),
    );
    format!(
        "{who}: switch its response buffering and compression off (nginx: proxy_buffering off), or ask the server itself; \
         without streaming, --no-stream measures what there is"
    )
}

/// Output tokens, by the server, else by the tokenizer.
fn output_of(answer: &Answer) -> Option<u32> {
    answer.server_output_tokens.or(answer.counted_output_tokens)
}

/// Whether the server's counts are what others count.
pub(crate) fn counts(answers: &[Answer], asked: &Asked) -> Vec<Finding> {
    let Some(answer) = good(answers) else {
        return Vec::new();
    };
    vec![prompt(answer, asked), output(answer, asked)]
}

fn prompt(answer: &Answer, asked: &Asked) -> Finding {
    const CHECK: &str = "prompt tokens";
    let Some(server) = answer.server_prompt_tokens else {
        return Finding::skipped(CHECK, "the server does not count them");
    };
    if let Some(counted) = answer.counted_prompt_tokens {
        let words = format!("the server counts {server}, the tokenizer {counted}");
        // A template only adds.
        return if server >= counted && is_near(server, counted, TEMPLATE) {
            Finding::ok(CHECK, words)
        } else {
            Finding::warning(CHECK, words, other_tokenizer(asked))
        };
    }
    match answer.requested_prompt_tokens {
        Some(wanted) => {
            let words = format!("the server counts {server}, {wanted} were asked for");
            if is_near(server, wanted, ESTIMATE) {
                Finding::ok(CHECK, words)
            } else if asked.tokenizer.is_some() {
                Finding::warning(CHECK, words, other_tokenizer(asked))
            } else {
                let hint =
                    "--tokenizer with the model's makes prompts exactly as long as asked for";
                Finding::warning(CHECK, words, hint)
            }
        }
        None => Finding::ok(CHECK, format!("the server counts {server}")),
    }
}

fn output(answer: &Answer, asked: &Asked) -> Finding {
    const CHECK: &str = "output tokens";
    let events = answer.arrivals.len();
    match (answer.server_output_tokens, answer.counted_output_tokens) {
        (Some(server), Some(counted)) => {
            let words = format!("the server counts {server}, the tokenizer {counted}");
            if is_near(server, counted, OUTPUT) {
                Finding::ok(CHECK, words)
            } else {
                Finding::warning(CHECK, words, other_tokenizer(asked))
            }
        }
        (Some(server), None) if u64::from(server) + u64::from(OUTPUT.0) < events as u64 => {
            let hint = "--tokenizer with the model's counts them here, too";
            let words = format!("the server counts {server}, and {events} events had text");
            Finding::warning(CHECK, words, hint)
        }
        (Some(server), None) => Finding::ok(CHECK, format!("the server counts {server}")),
        (None, Some(counted)) => {
            let words = format!("the server does not count them, the tokenizer counts {counted}");
            Finding::ok(CHECK, words)
        }
        (None, None) => Finding::warning(
            CHECK,
            "nobody counts them: there will be no tokens per second and no time per output token",
            "--tokenizer with the model's counts them here",
        ),
    }
}

fn other_tokenizer(asked: &Asked) -> String {
    let named = asked.tokenizer.as_deref().unwrap_or_default();
    format!("is `{named}` the model's tokenizer? --tokenizer names another")
}

/// Whether `one` is as much as `other`, but for so many or for this share.
fn is_near(one: u32, other: u32, (least, share): (u32, f64)) -> bool {
    f64::from(one.abs_diff(other)) <= f64::from(least).max(share * f64::from(other))
}

/// Whether answers are as long as asked for.
pub(crate) fn ending(answers: &[Answer], asked: &Asked) -> Finding {
    const CHECK: &str = "length";
    let Some(answer) = good(answers) else {
        return Finding::skipped(CHECK, "no answer");
    };
    let Some(tokens) = output_of(answer) else {
        return Finding::skipped(CHECK, "nobody counts the output");
    };
    let most = answer.max_tokens.saturating_mul(asked.choices.max(1));
    let words = format!("{tokens} tokens of {most} asked for");
    // Some servers count the end token of each.
    if tokens > most.saturating_add(asked.choices.max(1)) {
        let hint =
            "the server does not honour the length, or counts otherwise: --provider names its API";
        return Finding::problem(CHECK, words, hint);
    }
    if tokens >= most {
        return Finding::ok(CHECK, words);
    }
    if asked.ignores_end {
        let hint = "it was told to ignore the end token (ignore_eos): is it the API that --provider names, and is its longest answer longer?";
        return Finding::warning(CHECK, words, hint);
    }
    Finding::ok(
        CHECK,
        format!("{words}: the model ends when it likes, this API cannot be told to go on"),
    )
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
