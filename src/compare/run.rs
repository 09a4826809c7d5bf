//! One measured run as far as its files tell, and several runs of one configuration as one entry of a comparison.
//! What a file does not tell is absent: it is never 0.

use std::collections::{BTreeMap, BTreeSet};

use super::stats;
use super::{Figure, ModelName, Rate, Stat};

/// What kind of file a run came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// llmperf's summary, upstream's or ours.
    LlmperfSummary,
    /// llmperf's individual responses.
    LlmperfIndividual,
    /// Our result file.
    Result,
    /// Our records.
    Records,
    /// A row of our CSV with upstream Fireworks' columns.
    SummaryRow,
    /// A row of a sweep's comparison.
    SweepRow,
}

impl Kind {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LlmperfSummary => "llmperf summary",
            Self::LlmperfIndividual => "llmperf individual responses",
            Self::Result => "result file",
            Self::Records => "records",
            Self::SummaryRow => "summary row",
            Self::SweepRow => "sweep row",
        }
    }
}

/// What a run was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The model, as it was given.
    pub model: Option<String>,
    /// The client or the provider.
    pub api: Option<String>,
    /// Requests in flight, or a rate in words.
    pub concurrency: Option<String>,
    /// Lengths of prompts, in words.
    pub input: Option<String>,
    /// Lengths of answers that were asked for, in words.
    pub output: Option<String>,
    /// Whether answers were streamed.
    pub streamed: Option<bool>,
    /// Sampling parameters.
    pub sampling: BTreeMap<String, String>,
    /// The user's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// What counted output tokens.
    pub counted_by: Option<String>,
}

impl Settings {
    /// The settings that decide what a run measures, by name; absent ones too.
    pub(super) fn named(&self) -> [(&'static str, Option<String>); 6] {
        let pairs = |map: &BTreeMap<String, String>| {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
            (!pairs.is_empty()).then(|| pairs.join(", "))
        };
        [
            ("Concurrency", self.concurrency.clone()),
            ("Input tokens", self.input.clone()),
            ("Output tokens asked for", self.output.clone()),
            ("Sampling", pairs(&self.sampling)),
            ("API", self.api.clone()),
            (
                "Streamed",
                self.streamed
                    .map(|it| if it { "yes" } else { "no" }.to_owned()),
            ),
        ]
    }

    /// What two runs of one configuration have in common.
    fn key(&self) -> (Option<String>, [(&'static str, Option<String>); 6]) {
        (self.model.clone(), self.named())
    }
}

/// Values of each response of a run, figure by figure; failed ones have none.
pub type Answers = BTreeMap<Figure, Vec<f64>>;

/// One measured run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The files it was read from.
    pub files: Vec<String>,
    /// Their kinds.
    pub kinds: BTreeSet<Kind>,
    /// What was asked for.
    pub settings: Settings,
    /// Each good response, where a file has them.
    pub answers: Answers,
    /// Statistics that a file gives itself.
    pub stated: BTreeMap<(Figure, Stat), f64>,
    /// Figures that the run has once.
    pub rates: BTreeMap<Rate, f64>,
    /// Finished requests, good and failed.
    pub requests: Option<u64>,
    /// Failed ones.
    pub errors: Option<u64>,
    /// What is to be known about its figures.
    pub notes: Vec<String>,
}

impl Run {
    /// A statistic: of the responses where they are there, as stated otherwise.
    pub fn stat(&self, figure: Figure, stat: Stat) -> Option<f64> {
        let values = self
            .answers
            .get(&figure)
            .filter(|values| !values.is_empty());
        match values {
            Some(values) => stats::stat(values, stat),
            None => self.stated.get(&(figure, stat)).copied(),
        }
    }

    /// Takes what `other`, another file of the same run, knows and this does not; its responses replace nothing that is there.
    pub fn join(&mut self, other: Self) {
        self.files.extend(other.files);
        self.kinds.extend(other.kinds);
        self.notes.extend(other.notes);
        let (mine, its) = (&mut self.settings, other.settings);
        let fill = |mine: &mut Option<String>, its: Option<String>| *mine = mine.take().or(its);
        fill(&mut mine.model, its.model);
        fill(&mut mine.api, its.api);
        fill(&mut mine.concurrency, its.concurrency);
        fill(&mut mine.input, its.input);
        fill(&mut mine.output, its.output);
        fill(&mut mine.counted_by, its.counted_by);
        mine.streamed = mine.streamed.or(its.streamed);
        mine.sampling.extend(its.sampling);
        mine.metadata.extend(its.metadata);
        for (figure, values) in other.answers {
            self.answers.entry(figure).or_default().extend(values);
        }
        for (key, value) in other.stated {
            self.stated.entry(key).or_insert(value);
        }
        for (rate, value) in other.rates {
            self.rates.entry(rate).or_insert(value);
        }
        self.requests = self.requests.or(other.requests);
        self.errors = self.errors.or(other.errors);
    }

    /// Whether it has responses one by one.
    pub fn has_answers(&self) -> bool {
        self.answers.values().any(|values| !values.is_empty())
    }

    /// Says so where the responses are not those that the stated figures were made of.
    pub fn check(&mut self) {
        let differs = |figure: Figure| {
            let stated = *self.stated.get(&(figure, Stat::Mean))?;
            let values = self.answers.get(&figure)?;
            let mean = stats::mean(values)?;
            // A result file's figures are of a window of the run, and of other counts of tokens.
            let is_llmperf = self.kinds.contains(&Kind::LlmperfSummary);
            ((stated - mean).abs() > 1e-6 * stated.abs() && is_llmperf).then(|| figure.name())
        };
        let off: Vec<&str> = Figure::ALL.into_iter().filter_map(differs).collect();
        if !off.is_empty() {
            self.notes.push(format!(
                "the individual responses are not those of the summary (mean of {} differs): the responses are used",
                off.join(", ").to_lowercase()
            ));
        }
    }
}

/// One column: the runs of one configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The name of the column.
    pub name: String,
    /// Its runs, at least one.
    pub runs: Vec<Run>,
}

impl Entry {
    /// Puts runs of equal settings together, in the order of their first ones.
    pub fn gathered(runs: Vec<Run>) -> Vec<Self> {
        let mut entries: Vec<Self> = Vec::new();
        for run in runs {
            let same = entries.iter_mut().find(|entry| {
                let known = entry.settings();
                run.settings.model.is_some() && known.key() == run.settings.key()
            });
            match same {
                Some(entry) => entry.runs.push(run),
                None => entries.push(Self {
                    name: String::new(),
                    runs: vec![run],
                }),
            }
        }
        entries
    }

    /// The settings of the first run.
    pub fn settings(&self) -> Settings {
        self.runs
            .first()
            .map(|run| run.settings.clone())
            .unwrap_or_default()
    }

    /// The model's name, taken apart.
    pub fn model(&self) -> ModelName {
        ModelName::parse(self.settings().model.as_deref().unwrap_or_default())
    }

    /// The responses of a figure, run by run; none unless each run has them.
    pub fn answers(&self, figure: Figure) -> Option<Vec<&[f64]>> {
        let lists: Option<Vec<&[f64]>> = self
            .runs
            .iter()
            .map(|run| run.answers.get(&figure).map(Vec::as_slice))
            .collect();
        lists.filter(|lists| !lists.is_empty() && lists.iter().all(|list| !list.is_empty()))
    }

    /// A statistic: over all responses of all runs together, or the mean of what the runs state.
    pub fn stat(&self, figure: Figure, stat: Stat) -> Option<f64> {
        if let Some(lists) = self.answers(figure) {
            return stats::stat(&lists.concat(), stat);
        }
        let stated: Option<Vec<f64>> = self.runs.iter().map(|run| run.stat(figure, stat)).collect();
        let stated = stated?;
        match stat {
            Stat::Min | Stat::Max => stats::stat(&stated, stat),
            _ => stats::mean(&stated),
        }
    }

    /// A figure of each run; empty unless each has it.
    pub fn rates(&self, rate: Rate) -> Vec<f64> {
        let all: Option<Vec<f64>> = self
            .runs
            .iter()
            .map(|run| run.rates.get(&rate).copied())
            .collect();
        all.unwrap_or_default()
    }

    /// The mean of a figure over the runs.
    pub fn rate(&self, rate: Rate) -> Option<f64> {
        stats::mean(&self.rates(rate))
    }

    /// Failed and all finished requests of all runs; none unless each run knows both.
    pub fn failures(&self) -> Option<(u64, u64)> {
        let each: Option<Vec<(u64, u64)>> = self
            .runs
            .iter()
            .map(|run| Some((run.errors?, run.requests?)))
            .collect();
        let sum = |(a, b), (c, d)| (a + c, b + d);
        each.map(|each| each.into_iter().fold((0, 0), sum))
            .filter(|(_, requests)| *requests > 0)
    }

    /// Finished requests of all runs.
    pub fn requests(&self) -> Option<u64> {
        self.runs.iter().map(|run| run.requests).sum()
    }
}

/// The summary of a correctness test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correctness {
    /// The file.
    pub file: String,
    /// The model.
    pub model: Option<String>,
    /// The client.
    pub api: Option<String>,
    /// Requests in flight.
    pub concurrency: Option<u64>,
    /// Finished requests.
    pub completed: Option<u64>,
    /// Failed ones.
    pub errors: Option<u64>,
    /// Good ones with a wrong answer.
    pub mismatched: Option<u64>,
}

impl Correctness {
    /// Answers that were checked.
    pub fn checked(&self) -> Option<u64> {
        self.completed?.checked_sub(self.errors?)
    }
}
