//! What a suite is: its settings under the upstream tool's names, its benchmarks in order, what each is run with.
//! How long it takes is `estimate`'s.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Bench, Raw, words};

/// How long, in seconds, a quick suite waits after a benchmark's time for what is still under way: then it is given up.
/// Without, a slow server's last answers would take a quick suite beyond its five minutes.
pub const QUICK_DRAIN_S: f64 = 5.0;

/// How long, in seconds, a quick suite waits for its first look at the server, of so many tokens: a server that does not answer by
/// then cannot be measured in five minutes.
pub const QUICK_LOOK_S: f64 = 30.0;
/// Tokens of that look.
pub const QUICK_LOOK_TOKENS: u32 = 4;

/// How long a quick suite may take, in seconds.
pub const QUICK_S: f64 = 300.0;

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
    /// It keeps to five minutes: no benchmark has a first request of its own, and none waits long for its last answers.
    #[serde(default)]
    pub quick: bool,
    /// Further options of the command that runs such a suite, as a shell takes them: without addresses and secrets.
    #[serde(default)]
    pub asked_with: Vec<String>,
}

/// The upstream tool's.
impl Default for SuiteSettings {
    fn default() -> Self {
        Self {
            input_lengths: vec![32, 1024, 4096],
            output_lengths: vec![16, 128, 1024],
            parallel_requests: vec![1, 2, 3, 4, 6, 8, 10, 14, 18, 22, 26, 30, 34, 38],
            max_queries: 1000,
            max_duration_prompt_ingestion: 900.0,
            max_duration_kv_cache_profile: 900.0,
            max_duration_speed_generation: 900.0,
            min_duration_speed_generation: 60.0,
            target_queries_nb_speed_generation: 100,
            repeats: 4,
            has_metrics: true,
            step_live_metrics: 0.01,
            backend: "happy_vllm".to_owned(),
            speed_threshold: 20.0,
            min_number_of_valid_queries: 50,
            gpu_name: None,
            seed: 0,
            suite_id: String::new(),
            quick: false,
            asked_with: Vec::new(),
        }
    }
}

/// Why settings make no suite.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// There is nothing to run.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// The suite would begin with what is not there.
    #[error("{0} has `0`")]
    Zero(&'static str),
    /// The numbers of parallel requests must grow: a pair stops where its time is up.
    #[error("{0} has `{2}` after `{1}`: each must be larger than the one before")]
    NotGrowing(&'static str, u32, u32),
    /// No time at all, or no number.
    #[error("`{1}` is no {0}: it must be above 0")]
    NotPositive(&'static str, f64),
    /// A benchmark would have to run at least longer than it may run at most.
    #[error("the speed's least duration `{least}` s is above its most, `{most}` s")]
    LeastAboveMost {
        /// Fewest seconds.
        least: f64,
        /// Most seconds.
        most: f64,
    },
    /// Each file would be left out of the report, or stop before its target.
    #[error("{name} `{wanted}` is above the most queries of a benchmark, `{most}`")]
    MoreThanAll {
        /// What is wanted.
        name: &'static str,
        /// So many.
        wanted: u64,
        /// So many there are.
        most: u64,
    },
}

impl SuiteSettings {
    /// What fits in five minutes, whatever the server's speed: the look at the server (`QUICK_LOOK_S`), the longest durations of its
    /// benchmarks, the looks at its metrics before and after them and the wait for the last answers (`QUICK_DRAIN_S`) add up to
    /// less. Its figures are rough.
    pub fn quick() -> Self {
        Self {
            input_lengths: vec![32, 1024],
            output_lengths: vec![128],
            parallel_requests: vec![1, 4, 10],
            max_duration_prompt_ingestion: 15.0,
            max_duration_kv_cache_profile: 20.0,
            max_duration_speed_generation: 25.0,
            min_duration_speed_generation: 6.0,
            target_queries_nb_speed_generation: 20,
            repeats: 2,
            min_number_of_valid_queries: 5,
            quick: true,
            ..Self::default()
        }
    }

    /// Its pairs of lengths, in the order in which they are played.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.input_lengths
            .iter()
            .flat_map(|input| self.output_lengths.iter().map(|output| (*input, *output)))
    }

    /// Its benchmarks, in the order in which they are played: the ingestion, all profiles of the cache, then the speeds, pair
    /// by pair. (A pair stops growing when its benchmarks together took longer than one of them may: that is seen on the way.)
    pub fn benchmarks(&self) -> Vec<Bench> {
        let ingestion = (0..self.repeats).map(|repeat| Bench::PromptIngestion { repeat });
        let profiles = self
            .pairs()
            .filter(|_| self.has_metrics)
            .map(|(input, output)| Bench::KvCacheProfile { input, output });
        let speeds = self.pairs().flat_map(|(input, output)| {
            let levels = self.parallel_requests.iter();
            levels.map(move |parallel| Bench::SpeedGeneration {
                input,
                output,
                parallel: *parallel,
            })
        });
        ingestion.chain(profiles).chain(speeds).collect()
    }

    /// What there is no file of, in words. A level of a pair is left out when its time was over before.
    pub fn not_run(&self, raws: &BTreeMap<String, Raw>) -> Vec<String> {
        let mut speeds: IndexMap<(u32, u32), Vec<u32>> = IndexMap::new();
        let mut all = Vec::new();
        for bench in self.benchmarks() {
            match bench {
                _ if raws.contains_key(&bench.file()) => {}
                Bench::SpeedGeneration {
                    input,
                    output,
                    parallel,
                } => speeds.entry((input, output)).or_default().push(parallel),
                _ => all.push(format!("`{}` was not run", bench.file())),
            }
        }
        let most = words::span_in_words(self.max_duration_speed_generation);
        all.extend(speeds.into_iter().map(|((input, output), levels)| {
            let levels = words::list(&levels);
            format!("the speed from {input} to {output} tokens with {levels} at once was not run: the time of the pair ({most}) was over, or the suite was interrupted")
        }));
        all
    }

    /// Whether they make a suite.
    ///
    /// # Errors
    /// The first contradiction, in words.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.check_lists()?;
        for (name, value) in [
            (
                "duration of the prompt ingestion",
                self.max_duration_prompt_ingestion,
            ),
            (
                "duration of the KV cache profile",
                self.max_duration_kv_cache_profile,
            ),
            (
                "duration of the speed generation",
                self.max_duration_speed_generation,
            ),
            ("step of the live metrics", self.step_live_metrics),
            ("speed threshold", self.speed_threshold),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(SettingsError::NotPositive(name, value));
            }
        }
        let (least, most) = (
            self.min_duration_speed_generation,
            self.max_duration_speed_generation,
        );
        if !(0.0..=most).contains(&least) {
            return Err(SettingsError::LeastAboveMost { least, most });
        }
        self.check_counts()
    }

    fn check_lists(&self) -> Result<(), SettingsError> {
        for (name, list) in [
            ("the list of input lengths", &self.input_lengths),
            ("the list of output lengths", &self.output_lengths),
            ("the list of parallel requests", &self.parallel_requests),
        ] {
            if list.is_empty() {
                return Err(SettingsError::Empty(name));
            }
            if list.contains(&0) {
                return Err(SettingsError::Zero(name));
            }
            if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(SettingsError::NotGrowing(name, pair[0], pair[1]));
            }
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), SettingsError> {
        if self.repeats == 0 {
            return Err(SettingsError::Zero("the number of repeats"));
        }
        let widest = self.parallel_requests.last().copied().unwrap_or_default();
        for (name, wanted) in [
            (
                "the target of queries",
                self.target_queries_nb_speed_generation,
            ),
            (
                "the least number of valid queries",
                self.min_number_of_valid_queries,
            ),
            ("the largest number of parallel requests", u64::from(widest)),
        ] {
            if wanted > self.max_queries {
                let most = self.max_queries;
                return Err(SettingsError::MoreThanAll { name, wanted, most });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
