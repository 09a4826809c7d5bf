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
    /// The server's base URL.
    pub server: Option<String>,
    /// What else of the plan decides what is measured, by the places of its settings.
    pub plan: BTreeMap<String, String>,
}

impl Settings {
    /// The settings that decide what a run measures, by name; absent ones too.
    pub(super) fn named(&self) -> [(&'static str, Option<String>); 7] {
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
            ("Server", self.server.clone()),
        ]
    }

    /// Whether two runs are repeats of one configuration; they are not where nobody knows the model.
    fn is_repeated_by(&self, other: &Self) -> bool {
        self.model.is_some()
            && self.model == other.model
            && self.named() == other.named()
            && self.counted_by == other.counted_by
            && self.metadata == other.metadata
            && self.plan == other.plan
    }

    /// The places of the plan where `all` that have one differ.
    pub(super) fn differing_plan(all: &[Self]) -> Vec<String> {
        let mut plans = all.iter().map(|it| &it.plan).filter(|it| !it.is_empty());
        let Some(first) = plans.next() else {
            return Vec::new();
        };
        let mut places = BTreeSet::new();
        for other in plans {
            let both = first.keys().chain(other.keys());
            places.extend(both.filter(|at| first.get(*at) != other.get(*at)));
        }
        places.into_iter().cloned().collect()
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

    /// Whether it is known that it has no good response.
    pub fn is_dead(&self) -> bool {
        let all_failed = self
            .errors
            .zip(self.requests)
            .is_some_and(|(errors, of)| errors >= of);
        let none_ended = self
            .rates
            .get(&Rate::RequestsPerMinute)
            .is_some_and(|rate| *rate <= 0.0);
        !self.has_answers() && (all_failed || none_ended)
    }

    /// A figure of the whole run; nothing comes of a dead one.
    fn rate(&self, rate: Rate) -> Option<f64> {
        let known = self.rates.get(&rate).copied();
        known.or_else(|| self.is_dead().then_some(0.0))
    }

    /// Takes what `other`, another file of the same run, knows and this does not; its responses of a figure are taken where there
    /// are none yet, and never added to those that are there.
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
        fill(&mut mine.server, its.server);
        mine.streamed = mine.streamed.or(its.streamed);
        mine.sampling.extend(its.sampling);
        mine.metadata.extend(its.metadata);
        mine.plan.extend(its.plan);
        for (figure, values) in other.answers {
            self.answers.entry(figure).or_insert(values);
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
            let same = entries
                .iter_mut()
                .find(|entry| entry.settings().is_repeated_by(&run.settings));
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

    /// The models of its runs, where they are known.
    pub fn models(&self) -> BTreeSet<&str> {
        let models = self.runs.iter().map(|run| run.settings.model.as_deref());
        models.flatten().collect()
    }

    /// In which settings its runs differ, and how.
    pub(super) fn differences(&self) -> Vec<String> {
        let all: Vec<Settings> = self.runs.iter().map(|run| run.settings.clone()).collect();
        let values = |of: &dyn Fn(&Settings) -> Option<String>| -> BTreeSet<String> {
            all.iter().filter_map(of).collect()
        };
        let model = |settings: &Settings| settings.model.clone();
        let counted_by = |settings: &Settings| settings.counted_by.clone();
        let mut each = vec![
            ("Model".to_owned(), values(&model)),
            ("Output tokens counted by".to_owned(), values(&counted_by)),
        ];
        for (at, (name, _)) in Settings::default().named().into_iter().enumerate() {
            let value = |it: &Settings| it.named().into_iter().nth(at)?.1;
            each.push((name.to_owned(), values(&value)));
        }
        let keys: BTreeSet<&String> = all.iter().flat_map(|it| it.metadata.keys()).collect();
        for key in keys {
            let value = |it: &Settings| it.metadata.get(key).cloned();
            each.push((key.clone(), values(&value)));
        }
        let differ = each.into_iter().filter(|(_, values)| values.len() > 1);
        let words = differ.map(|(name, values)| {
            let values: Vec<String> = values.into_iter().collect();
            format!("{name} ({})", values.join(" and "))
        });
        words.chain(Settings::differing_plan(&all)).collect()
    }

    /// Whether each run with a good response has its responses one by one.
    pub(super) fn answers_known(&self) -> bool {
        self.live().all(Run::has_answers) && !self.is_dead()
    }

    /// Whether no run has a good response.
    pub fn is_dead(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(Run::is_dead)
    }

    /// Runs that have a good response, as far as is known.
    fn live(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| !run.is_dead())
    }

    /// What is to be known of its runs together.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: BTreeSet<String> = self
            .runs
            .iter()
            .flat_map(|run| &run.notes)
            .cloned()
            .collect();
        let differences = self.differences();
        if !differences.is_empty() {
            notes.insert(format!("its runs differ in {}", differences.join(", ")));
        }
        let (all, live) = (self.runs.len(), self.live().count());
        match (all, all - live) {
            (_, 0) => {}
            (1, _) => {
                notes.insert("no response was good".to_owned());
            }
            (_, 1) => {
                notes.insert(format!(
                    "1 of its {all} runs has no good response: it counts in the error rate and in no latency"
                ));
            }
            (_, dead) => {
                notes.insert(format!(
                    "{dead} of its {all} runs have no good response: they count in the error rate and in no latency"
                ));
            }
        }
        notes.into_iter().collect()
    }

    /// The responses of a figure, run by run, without runs that have no good one; none unless each other run has them.
    pub fn answers(&self, figure: Figure) -> Option<Vec<&[f64]>> {
        let lists: Option<Vec<&[f64]>> = self
            .live()
            .map(|run| run.answers.get(&figure).map(Vec::as_slice))
            .collect();
        lists.filter(|lists| !lists.is_empty() && lists.iter().all(|list| !list.is_empty()))
    }

    /// A statistic: over all responses of all runs together, or the mean of what the runs state.
    pub fn stat(&self, figure: Figure, stat: Stat) -> Option<f64> {
        if let Some(lists) = self.answers(figure) {
            return stats::stat(&lists.concat(), stat);
        }
        let stated: Option<Vec<f64>> = self.live().map(|run| run.stat(figure, stat)).collect();
        let stated = stated?;
        match stat {
            Stat::Min | Stat::Max => stats::stat(&stated, stat),
            _ => stats::mean(&stated),
        }
    }

    /// A figure of each run; empty unless each has it.
    pub fn rates(&self, rate: Rate) -> Vec<f64> {
        let all: Option<Vec<f64>> = self.runs.iter().map(|run| run.rate(rate)).collect();
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
