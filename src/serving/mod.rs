//! The bench suite of a serving API: which benchmarks it has, what each query and each file of raw results comes to, and the
//! report on them. It sends nothing, reads no clock and opens no file: `app` plays the benchmarks and writes what this gives.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chart::Figure;
use crate::domain::Answer;
use crate::gauges::Watched;
use crate::page::Page;

/// One benchmark of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bench {
    /// How fast prompts of all lengths are read, one at a time.
    PromptIngestion {
        /// Which of the repetitions.
        repeat: u32,
    },
    /// How the cache fills while more and more requests are sent at once.
    KvCacheProfile {
        /// The prompts' length.
        input: u32,
        /// The answers' length.
        output: u32,
    },
    /// How fast answers are written with so many requests under way.
    SpeedGeneration {
        /// The prompts' length.
        input: u32,
        /// The answers' length.
        output: u32,
        /// Requests under way.
        parallel: u32,
    },
}

impl Bench {
    /// The name of its file of raw results.
    pub fn file(self) -> String {
        match self {
            Self::PromptIngestion { repeat } => format!("prompt_ingestion_{repeat}.json"),
            Self::KvCacheProfile { input, output } => {
                format!("kv_cache_profile_input_{input}_output_{output}.json")
            }
            Self::SpeedGeneration {
                input,
                output,
                parallel,
            } => format!(
                "generation_speed_input_{input}_output_{output}_nb_requests_{parallel}.json"
            ),
        }
    }
}

/// What a suite is: kept beside its results, so that it can go on after an interruption and be reported again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteSettings {
    /// The prompts' lengths.
    pub input_lengths: Vec<u32>,
    /// The answers' lengths.
    pub output_lengths: Vec<u32>,
    /// How many requests are under way, one after another.
    pub parallel_requests: Vec<u32>,
    /// Most queries of one benchmark.
    pub max_queries: u64,
    /// Most seconds of one repetition of the prompt ingestion.
    pub max_duration_prompt_ingestion: f64,
    /// Most seconds of one profile of the cache.
    pub max_duration_kv_cache_profile: f64,
    /// Most seconds of one benchmark of the speed, and of all of one pair of lengths.
    pub max_duration_speed_generation: f64,
    /// Fewest seconds of one benchmark of the speed.
    pub min_duration_speed_generation: f64,
    /// Fewest queries of one benchmark of the speed.
    pub target_queries_nb_speed_generation: u64,
    /// Repetitions of the prompt ingestion.
    pub repeats: u32,
    /// Whether the server tells of its cache: without, there is no profile of it.
    pub has_metrics: bool,
    /// From one look at the server's metrics to the next, in seconds.
    pub step_live_metrics: f64,
    /// The backend's name.
    pub backend: String,
    /// What a pair's median speed must reach, in tokens per second.
    pub speed_threshold: f64,
    /// Files with fewer good queries are left out of the report.
    pub min_number_of_valid_queries: u64,
    /// The name of the GPU, where it was told.
    pub gpu_name: Option<String>,
    /// Where all draws come from.
    pub seed: u64,
    /// When it was begun, in words: the same in all its files.
    pub suite_id: String,
}

impl SuiteSettings {
    /// Its benchmarks, in the order in which they are played.
    pub fn benchmarks(&self) -> Vec<Bench> {
        Vec::new()
    }

    /// About how long `left` of them take a server that takes `ttft_s` and then `tpot_s` a token, and at most, in seconds.
    pub fn estimate(&self, _left: &[Bench], _ttft_s: f64, _tpot_s: f64) -> (f64, f64) {
        (0.0, 0.0)
    }
}

/// One query, under the names that the files have for its figures. Seconds, unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The prompt; not kept.
    pub prompt: String,
    /// Since 1970.
    pub starting_timestamp: f64,
    /// Since 1970: at the end marker.
    pub ending_timestamp: f64,
    /// Prompt tokens, as the server counted them.
    pub prompt_length: u64,
    /// Output tokens, as the server counted them; where it did not, pieces of the stream.
    pub response_length: u64,
    /// The text; not kept.
    pub generated_text: String,
    /// From start to end.
    pub total_query_time: f64,
    /// Since 1970.
    pub timestamp_of_first_token: f64,
    /// From the start.
    pub time_to_first_token: f64,
    /// Since 1970, a piece of the stream each.
    pub timestamp_of_tokens_arrival: Vec<f64>,
    /// From one to the next.
    pub delta_time_of_tokens_arrival: Vec<f64>,
    /// From the first token to the end.
    pub completion_time_from_first_token: f64,
    /// The median of the deltas; 0 without any.
    pub median_time_between_tokens: f64,
    /// TTFT, and what deltas are longer than median + 3 standard deviations by, with more than ten tokens.
    pub total_waiting_time: f64,
    /// Tokens per second of the whole time.
    pub speed_from_beginning: f64,
    /// Tokens per second from the first token on.
    pub speed_from_first_token: f64,
    /// Tokens per second without the waiting.
    pub speed_without_waiting_time: f64,
    /// The stream came to its end.
    pub success: bool,
    /// The words of a failure.
    pub error: String,
    /// It was given up for its time.
    pub timeout: bool,
    /// Pieces of the stream: what the upstream tool counts as tokens.
    #[serde(default)]
    pub chunks: u64,
}

impl Query {
    /// What an answer comes to, of a run that began `zero_s` seconds after 1970. It must have been kept with its times.
    pub fn of(_answer: &Answer, _zero_s: f64) -> Self {
        Self::default()
    }
}

/// What a file of raw results is made from.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What goes under `parameters`.
    pub parameters: Map<String, Value>,
    /// All queries, in the order in which they ended.
    pub queries: Vec<Query>,
    /// What was seen of the server meanwhile.
    pub watched: Option<Watched>,
    /// From before the first request that only looks whether the server answers to a second after the last: seconds.
    pub actual_total_time: f64,
    /// Keep every query.
    pub query_metrics: bool,
    /// Keep every look at the cache.
    pub with_kv_cache_profile: bool,
    /// What the generator says of itself: `OK`, `STRAINED` or `INVALID`, and why.
    pub verdict: Option<(String, Vec<String>)>,
}

/// A file of raw results: exactly the upstream tool's keys, and `llmload` beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// What was run.
    pub parameters: Map<String, Value>,
    /// Sums and maxima.
    pub general_metrics: Map<String, Value>,
    /// Statistics of each figure of the queries.
    pub aggregated_metrics: IndexMap<String, IndexMap<String, f64>>,
    /// Queries that failed, but for time-outs.
    pub errored_queries: Vec<Query>,
    /// Every other query, where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub individual_query: Option<Vec<Query>>,
    /// Every look at the server, where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_profile: Option<Vec<Map<String, Value>>>,
    /// What the upstream tool does not tell: the sampler's lateness, the server's counters, the verdict.
    #[serde(default)]
    pub llmload: Map<String, Value>,
}

impl Raw {
    /// The figures of a benchmark that was played.
    pub fn of(played: Played) -> Self {
        Self {
            parameters: played.parameters,
            general_metrics: Map::new(),
            aggregated_metrics: IndexMap::new(),
            errored_queries: Vec::new(),
            individual_query: None,
            kv_cache_profile: None,
            llmload: Map::new(),
        }
    }
}

/// The whole report on these files of raw results, by their names, and what had to be left out and why. `settings` are missing
/// where the folder is another tool's.
pub fn report(
    _raws: &BTreeMap<String, Raw>,
    _settings: Option<&SuiteSettings>,
) -> (Files, Vec<String>) {
    (Files::new(), Vec::new())
}

/// A file of the report.
#[derive(Clone, Debug)]
pub enum Content {
    /// As it is.
    Text(String),
    /// To be drawn as PNG (and beside it as SVG, under the same name).
    Picture(Box<Figure>),
    /// To be made HTML.
    Page(Box<Page>),
}

/// The files below the output folder, by their paths.
pub type Files = BTreeMap<String, Content>;
