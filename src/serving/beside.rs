//! What a file of raw results tells beside the upstream tool's keys, under `llmload`. A file of the upstream tool has none of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::gauges::{Counters, Watched};

use super::Query;
use super::capacity::Held;
use super::raw::Played;
use super::stats::quantity;

/// What stands under `llmload`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// The version that wrote it.
    pub version: String,
    /// Pieces of all streams, which the upstream tool counts as tokens.
    pub chunks: u64,
    /// Queries whose output tokens the server did not count: their pieces stand in.
    pub queries_without_count: u64,
    /// Queries that were under way when the benchmark ended and given up, or lost with a worker: they are in no other figure.
    pub dropped: u64,
    /// From the first query's start to the last one's end, in seconds.
    pub span_s: f64,
    /// Tokens that the server's cache holds, from what the queries held at each look and the share that the server told.
    pub kv_cache_tokens: Option<f64>,
    /// Tokens of a block of it: what a query holds is rounded up to whole blocks.
    pub kv_cache_block: Option<u32>,
    /// Looks that this was drawn from.
    pub kv_cache_looks: u64,
    /// The sampler; none where the server was not looked at.
    pub sampler: Option<Sampler>,
    /// Tokens by the server's counters and by the answers; none where the server was not looked at.
    pub counters: Option<Counted>,
    /// What the generator says of itself; none where it was not asked.
    pub verdict: Option<Generator>,
}

/// How well the server was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampler {
    /// Whose names the server's page has.
    pub server: String,
    /// From one look to the next, in seconds.
    pub step_s: f64,
    /// Looks that were made.
    pub looks: u64,
    /// Looks that were not made, since the one before was not answered yet.
    pub skipped: u64,
    /// Looks that failed.
    pub failed: u64,
    /// The words of the last failure.
    pub failure: String,
    /// How late looks were, in seconds: the mean.
    pub lateness_mean_s: f64,
    /// The 99th percentile.
    pub lateness_p99_s: f64,
    /// The largest.
    pub lateness_max_s: f64,
}

/// What the server counted over the benchmark, and what its answers say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// At the first look.
    pub before: Counters,
    /// At the last look.
    pub after: Counters,
    /// The difference; none where the server does not tell, or was started anew.
    pub server_prompt_tokens: Option<f64>,
    /// Likewise.
    pub server_output_tokens: Option<f64>,
    /// The sum over all answers, failed ones too.
    pub answers_prompt_tokens: u64,
    /// Likewise.
    pub answers_output_tokens: u64,
    /// Whether both are equal; none where the server does not tell, and where that cannot be decided.
    pub agree: Option<bool>,
    /// Why it cannot.
    pub undecided: String,
}

/// The verdict on the generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// `OK`, `STRAINED` or `INVALID`.
    pub word: String,
    /// Why.
    pub reasons: Vec<String>,
}

impl Beside {
    pub(super) fn of(played: &Played) -> Self {
        let queries = &played.queries;
        let held = played
            .watched
            .as_ref()
            .filter(|_| played.with_kv_cache_profile)
            .and_then(|watched| Held::of(queries, &watched.looks));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            chunks: queries.iter().map(|query| query.chunks).sum(),
            queries_without_count: uncounted(queries),
            dropped: played.dropped,
            span_s: span(queries),
            kv_cache_tokens: held.map(|held| held.tokens),
            kv_cache_block: held.map(|held| held.block),
            kv_cache_looks: held.map_or(0, |held| held.looks),
            sampler: played.watched.as_ref().map(Sampler::of),
            counters: played.watched.as_ref().map(|it| Counted::of(it, played)),
            verdict: played
                .verdict
                .clone()
                .map(|(word, reasons)| Generator { word, reasons }),
        }
    }

    /// What a file has; everything empty where it has nothing, or what nobody here can read.
    pub fn read(map: &Map<String, Value>) -> Self {
        serde_json::from_value(Value::Object(map.clone())).unwrap_or_default()
    }

    pub(super) fn map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

fn uncounted(queries: &[Query]) -> u64 {
    let none = queries
        .iter()
        .filter(|query| query.counts() && query.is_uncounted);
    u64::try_from(none.count()).unwrap_or(u64::MAX)
}

fn span(queries: &[Query]) -> f64 {
    let counted = || queries.iter().filter(|query| query.counts());
    let first = counted().map(|query| query.starting_timestamp);
    let last = counted().map(|query| query.ending_timestamp);
    let span = last.fold(f64::MIN, f64::max) - first.fold(f64::MAX, f64::min);
    span.max(0.0)
}

impl Sampler {
    fn of(watched: &Watched) -> Self {
        Self {
            server: watched.server.clone(),
            step_s: watched.step_s,
            looks: u64::try_from(watched.looks.len()).unwrap_or(u64::MAX),
            skipped: watched.skipped,
            failed: watched.failed,
            failure: watched.failure.clone(),
            lateness_mean_s: watched.lateness.mean_s,
            lateness_p99_s: watched.lateness.p99_s,
            lateness_max_s: watched.lateness.max_s,
        }
    }
}

impl Counted {
    fn of(watched: &Watched, played: &Played) -> Self {
        let (before, after) = (watched.before, watched.after);
        let prompt = difference(before.prompt_tokens, after.prompt_tokens);
        let output = difference(before.output_tokens, after.output_tokens);
        let queries = &played.queries;
        let answers_prompt: u64 = queries.iter().map(|query| query.prompt_length).sum();
        let answers_output: u64 = queries.iter().map(|query| query.response_length).sum();
        let untold = Untold::of(played);
        let judged = [
            prompt.map(|told| untold.prompt.judge(told - quantity(answers_prompt))),
            output.map(|told| untold.output.judge(told - quantity(answers_output))),
        ];
        let agree = match judged.into_iter().flatten().max() {
            Some(Judged::Equal) => Some(true),
            Some(Judged::Different) => Some(false),
            Some(Judged::Unknown) | None => None,
        };
        let is_undecided = agree.is_none() && judged.iter().any(Option::is_some);
        Self {
            before,
            after,
            server_prompt_tokens: prompt,
            server_output_tokens: output,
            answers_prompt_tokens: answers_prompt,
            answers_output_tokens: answers_output,
            agree,
            undecided: if is_undecided {
                untold.words
            } else {
                String::new()
            },
        }
    }
}

/// What a difference says; of two counters the last of these holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Judged {
    Equal,
    Unknown,
    Different,
}

/// By how much a counter of the server may differ from the sum of the answers without anything being wrong.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: f64,
    /// None where nothing limits it.
    most: Option<f64>,
}

impl Range {
    fn judge(self, difference: f64) -> Judged {
        let is_over = self.most.is_some_and(|most| difference > most + 0.5);
        if difference.abs() < 0.5 {
            Judged::Equal
        } else if difference < self.least - 0.5 || is_over {
            Judged::Different
        } else {
            Judged::Unknown
        }
    }
}

/// Queries of which nobody knows what the server counted: those that failed, and those that were dropped.
struct Untold {
    prompt: Range,
    output: Range,
    words: String,
}

impl Untold {
    fn of(played: &Played) -> Self {
        let failed = || played.queries.iter().filter(|query| !query.success);
        let count = u64::try_from(failed().count()).unwrap_or(u64::MAX);
        let has_any = count > 0 || played.dropped > 0;
        let limit = played.parameters.get("output_length");
        let limit = limit.and_then(Value::as_u64);
        let longest = played.queries.iter().map(|query| query.prompt_length).max();
        // A dropped prompt may be longer than all that came to their ends.
        let longest = longest.filter(|_| played.dropped == 0);
        let range = |of: fn(&Query) -> u64, most_each: Option<u64>| {
            let told: u64 = failed().map(of).sum();
            let all = |each: u64| {
                failed()
                    .map(|query| each.saturating_sub(of(query)))
                    .sum::<u64>()
            };
            let most = most_each.map(|each| all(each) + each.saturating_mul(played.dropped));
            Range {
                least: -quantity(told),
                most: if has_any {
                    most.map(quantity)
                } else {
                    Some(0.0)
                },
            }
        };
        Self {
            prompt: range(|query| query.prompt_length, longest),
            output: range(|query| query.response_length, limit),
            words: untold(count, played.dropped),
        }
    }
}

fn untold(failed: u64, dropped: u64) -> String {
    let parts = [(failed, "failed"), (dropped, "given up at the end")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!(
        "what the server counted of queries without an end is not known: {}",
        parts.join(", ")
    )
}

fn difference(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    let difference = after? - before?;
    (difference >= 0.0).then_some(difference)
}
