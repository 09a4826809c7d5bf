//! One benchmark from the first request, which only looks whether the server answers, to its file of raw results.
//! Which benchmarks there are is decided elsewhere.

use std::time::Duration;

use anyhow::anyhow;
use rand::Rng;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::carrier::{Carrier, Load, Pace};
use super::one_run::{self, Ran};
use super::progress::{Allowed, Progress};
use super::prompts::Library;
use super::server::Known;
use super::target::Target;
use super::watch;
use crate::app::door::Door;
use crate::app::failure::Failure;
use crate::app::signals::Signal;
use crate::domain::{Rate, Seed};
use crate::schedule::{Arrivals, Enough};
use crate::serving::{Asked, LEAST_WAVE_S, Played, QUICK_LOOK_S, Query, Raw};
use crate::workload::PromptSource;

/// The server is watched so long before the first query and after the last.
const AROUND: Duration = Duration::from_secs(1);

/// Between two waves.
const BETWEEN_WAVES: Duration = Duration::from_millis(500);

/// How often a server is asked whether it answers, and how long it has in between.
/// Tokens of an answer that every server gives.
const ANY_LENGTH: u32 = 1;
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The prompt of that.
const ANYBODY: &str = "Hey";

/// How the queries of a benchmark follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// So many under way all the time.
    Constant(u32),
    /// One, then two at once, then three.
    Growing,
    /// At random times; `None`: all at once.
    Random(Option<Rate>),
}

impl Shape {
    /// As upstream calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Constant(_) => "constant_number_of_queries",
            Self::Growing => "growing_requests",
            Self::Random(_) => "request_rate",
        }
    }
}

/// A benchmark that is to be played.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What a person is told that it is.
    pub(super) title: String,
    pub(super) shape: Shape,
    /// The prompts' length, as the folder has it.
    pub(super) length: u32,
    /// The answers' length.
    pub(super) output: u32,
    pub(super) seed: u64,
    pub(super) max_queries: u64,
    pub(super) max_duration: Duration,
    pub(super) min_duration: Duration,
    pub(super) target: u64,
    pub(super) query_metrics: bool,
    pub(super) with_kv_cache_profile: bool,
}

impl Task {
    /// How long a wave has for its requests that begins when so much has passed.
    fn left(&self, passed: Duration) -> Duration {
        let left = self.max_duration.saturating_sub(passed);
        left.max(seconds(LEAST_WAVE_S))
    }

    /// Whether it may end before its longest time and its last query.
    fn enough(&self) -> Option<Enough> {
        let may = self.min_duration < self.max_duration || self.target < self.max_queries;
        may.then_some(Enough {
            after: self.min_duration,
            requests: self.target,
        })
    }
}

/// What came of a benchmark.
pub(super) enum Done {
    /// Its file, and what is to be told of it.
    Raw(Box<Raw>, Told),
    /// A signal of this status came before its end.
    Interrupted(u8),
}

/// What is to be told of a benchmark that its figures do not say.
pub(super) struct Told {
    pub(super) words: String,
    pub(super) is_invalid: bool,
    /// Good answers that are shorter than was asked for.
    pub(super) short: usize,
}

/// Everything that a benchmark needs.
pub(super) struct Stage {
    pub(super) carrier: Carrier,
    /// Where workers come to, one benchmark after another.
    pub(super) door: Door,
    pub(super) target: Target,
    pub(super) known: Known,
    pub(super) prompts: Library,
    pub(super) progress: Progress,
    pub(super) signals: mpsc::Receiver<Signal>,
    /// When the suite was begun, in words; `None` for a benchmark by itself.
    pub(super) suite_id: Option<String>,
    /// The server tells something of itself.
    pub(super) is_watched: bool,
    /// No benchmark has a first request of its own, and a look at the server is given up after a while.
    pub(super) is_quick: bool,
}

/// Why something has no result.
pub(super) enum Broken {
    /// A signal of this status came.
    Interrupted(u8),
    /// It could not be done.
    Failed(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stage {
    /// Plays a benchmark.
    ///
    /// # Errors
    /// It could not be played, or the server answered nothing.
    pub(super) async fn play(
        &mut self,
        task: &Task,
        behind: Option<Duration>,
    ) -> Result<Done, Failure> {
        let allowed = Allowed {
            queries: task.max_queries,
            time: task.max_duration,
        };
        self.progress.begin(&task.title, allowed, behind);
        match self.played(task).await {
            Ok((raw, told)) => Ok(Done::Raw(Box::new(raw), told)),
            Err(Broken::Interrupted(status)) => Ok(Done::Interrupted(status)),
            Err(Broken::Failed(failure)) => Err(failure),
        }
    }

    async fn played(&mut self, task: &Task) -> Result<(Raw, Told), Broken> {
        let begun = self.before(task).await?;
        // Of a server that tells nothing each look would be a failure that was told once.
        let sampler = self
            .is_watched
            .then(|| watch::start(&self.target, &self.carrier))
            .transpose()?;
        self.pause(AROUND).await?;
        let ran = match task.shape {
            Shape::Growing => self.waves(task).await?,
            shape => {
                let load = self.load(task, shape)?;
                self.run(&load).await?
            }
        };
        self.pause(AROUND).await?;
        let actual_total_time = begun.elapsed().as_secs_f64();
        let watched = match sampler {
            Some(sampler) => Some(sampler.stop().await),
            None => None,
        };
        if ran.is_hopeless || !ran.queries.iter().any(Query::counts) {
            // Of a server that answers others the failures are the result.
            self.first(ANY_LENGTH, task.seed).await?;
        }
        let told = told(&ran);
        let verdict = ran.verdict;
        let raw = Raw::of(Played {
            parameters: self.parameters(task),
            queries: ran.queries,
            dropped: u64::try_from(ran.dropped).unwrap_or(u64::MAX),
            watched,
            actual_total_time,
            query_metrics: task.query_metrics,
            with_kv_cache_profile: task.with_kv_cache_profile,
            verdict: verdict
                .level
                .map(|level| (level.to_string(), verdict.reasons)),
        });
        Ok((raw, told))
    }

    /// One request like the benchmark's. One that fails may be too long for the server, which then answers a short one.
    async fn before(&mut self, task: &Task) -> Result<Instant, Broken> {
        let begun = Instant::now();
        if self.is_quick || self.look(task.output, task.seed).await?.is_ok() {
            return Ok(begun);
        }
        // The one that failed is a part of the benchmark's time, as the upstream tool has it; what follows only looks for life.
        let took = begun.elapsed();
        self.first(ANY_LENGTH, task.seed).await?;
        let now = Instant::now();
        Ok(now.checked_sub(took).unwrap_or(now))
    }

    fn dead(&self, error: anyhow::Error) -> Failure {
        let url = &self.target.base_url;
        let error = error.context(format!("{url} does not answer"));
        Failure::failed(error).hint(
            "what is finished stays: the same command line, without --restart, goes on with it",
        )
    }

    /// One request, which tells how long a first token takes and then each; one that fails is tried again.
    pub(super) async fn first(&mut self, output: u32, seed: u64) -> Result<Query, Broken> {
        let mut failed = String::new();
        for number in 0..TRIES {
            if number > 0 {
                self.pause(BETWEEN_TRIES).await?;
            }
            match self.look(output, seed).await? {
                Ok(query) => return Ok(query),
                Err(words) => failed = words,
            }
        }
        Err(self.dead(anyhow!("{failed}")).into())
    }

    /// One request that is none of the benchmark's; how it failed, if it did.
    async fn look(&mut self, output: u32, seed: u64) -> Result<Result<Query, String>, Broken> {
        let load = Load {
            pace: Pace::Wave(1),
            prompts: PromptSource::Text(ANYBODY.to_owned()),
            has_letters: false,
            output,
            seed,
            max_requests: 1,
            max_duration: self.is_quick.then(|| seconds(QUICK_LOOK_S)),
            enough: None,
        };
        let carrier = self
            .carrier
            .carrying(&self.target, &self.known.model, &load);
        let ran = one_run::play(carrier, &self.door, &mut Progress::hidden()).await?;
        self.heed(&ran)?;
        Ok(match ran.queries.into_iter().next() {
            Some(query) if query.counts() => Ok(query),
            Some(query) => Err(query.error),
            None if self.is_quick => Err(format!("nothing came within {QUICK_LOOK_S:.0} s")),
            None => Err("nothing came".to_owned()),
        })
    }

    /// A load that is one run.
    fn load(&self, task: &Task, shape: Shape) -> Result<Load, Failure> {
        let pace = match shape {
            Shape::Constant(users) => Pace::Users(users),
            Shape::Random(Some(rate)) => Pace::Poisson(rate),
            Shape::Random(None) | Shape::Growing => {
                Pace::Wave(u32::try_from(task.max_queries).unwrap_or(u32::MAX))
            }
        };
        let mut load = Load {
            pace,
            prompts: self.prompts.source(task.length, task.seed, 0)?,
            has_letters: true,
            output: task.output,
            seed: task.seed,
            max_requests: task.max_queries,
            max_duration: Some(task.max_duration),
            enough: task.enough(),
        };
        if let Pace::Poisson(_) = pace
            && let Some(enough) = load.enough.take()
        {
            load.max_requests = self.arrivals_until(task, &load, enough);
        }
        Ok(load)
    }

    /// How many arrivals there are when it is enough: where they lie is known before.
    fn arrivals_until(&self, task: &Task, load: &Load, enough: Enough) -> u64 {
        let carrier = self.carrier.carrying(&self.target, "", load);
        let spec = &carrier.settings().schedule;
        let Some(arrivals) = Arrivals::new(spec, Seed(load.seed)) else {
            return task.max_queries;
        };
        let is_before =
            |due: &crate::domain::Offset| due.since(crate::domain::Offset::ZERO) < enough.after;
        let before = arrivals.map(|(_, due)| due).take_while(is_before).count();
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        task.max_queries.min(before.max(enough.requests))
    }

    /// One query, then two at once, then three, as long as there is time and there are queries for a whole wave.
    async fn waves(&mut self, task: &Task) -> Result<Ran, Broken> {
        let begun = Instant::now();
        let (mut all, mut launched) = (Ran::default(), 0_u64);
        for size in 1_u32.. {
            let passed = begun.elapsed();
            let has_enough = passed >= task.min_duration && launched >= task.target;
            let is_over = passed >= task.max_duration || has_enough;
            if is_over || launched + u64::from(size) > task.max_queries {
                break;
            }
            self.pause(BETWEEN_WAVES).await?;
            let load = Load {
                pace: Pace::Wave(size),
                prompts: self.prompts.source(task.length, task.seed, launched)?,
                has_letters: true,
                output: task.output,
                seed: task.seed,
                max_requests: size.into(),
                max_duration: Some(task.left(passed)),
                enough: None,
            };
            let ran = self.run(&load).await?;
            launched += u64::from(size);
            all.and(ran);
            let failed = !all.queries.iter().any(Query::counts);
            if failed && launched >= one_run::HOPELESS {
                all.is_hopeless = true;
                break;
            }
        }
        Ok(all)
    }

    async fn run(&mut self, load: &Load) -> Result<Ran, Broken> {
        let carrier = self.carrier.carrying(&self.target, &self.known.model, load);
        let ran = one_run::play(carrier, &self.door, &mut self.progress).await?;
        self.heed(&ran)?;
        Ok(ran)
    }

    /// A signal that came while a run went on, or just after.
    fn heed(&mut self, ran: &Ran) -> Result<(), Broken> {
        let later = self.signals.try_recv().ok().map(Signal::exit_status);
        match ran.interrupted.or(later) {
            Some(status) => Err(Broken::Interrupted(status)),
            None => Ok(()),
        }
    }

    async fn pause(&mut self, time: Duration) -> Result<(), Broken> {
        tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Err(Broken::Interrupted(signal.exit_status())),
            () = sleep(time) => Ok(()),
        }
    }

    /// What goes under `parameters`, in upstream's words.
    fn parameters(&self, task: &Task) -> Map<String, Value> {
        let workers = match task.shape {
            Shape::Constant(users) => users,
            _ => 1,
        };
        let asked = Asked {
            model: &self.known.model,
            length: task.length,
            workers,
            profile: task.shape.name(),
            step_s: self.target.step.as_secs_f64(),
            max_queries: task.max_queries,
            rate: match task.shape {
                Shape::Random(rate) => rate.map(Rate::as_f64),
                _ => Some(0.0),
            },
            backend: self.target.backend.name,
            output: task.output,
            suite_id: self.suite_id.as_deref(),
        };
        let mut parameters = asked.parameters();
        let known = self.known.parameters.iter();
        parameters.extend(known.map(|(name, value)| (name.clone(), value.clone())));
        parameters
    }
}

/// The seed of one of many benchmarks.
pub(super) fn seed_of(suite: u64, file: &str) -> u64 {
    // So that a JSON reader of doubles keeps it.
    Seed(suite).stream(file, 0).next_u64() >> 11
}

/// A benchmark in one line.
fn told(ran: &Ran) -> Told {
    let good = ran.queries.iter().filter(|query| query.success).count();
    let mut parts = vec![format!("{good} queries")];
    let failed = ran.queries.len() - good;
    for (count, words) in [
        (failed, "failed"),
        (ran.short, "answers shorter than asked for"),
        (ran.dropped, "dropped at the end"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    if let Some(level) = ran.verdict.level {
        parts.push(level.to_string());
    }
    Told {
        words: parts.join(", "),
        is_invalid: ran.verdict.is_invalid(),
        short: ran.short,
    }
}

/// A time of the settings.
pub(super) fn seconds(of: f64) -> Duration {
    Duration::try_from_secs_f64(of).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_benchmark_has_a_seed_of_its_own_and_always_the_same() {
        let seed = seed_of(7, "a.json");
        assert_eq!(seed, seed_of(7, "a.json"));
        assert_ne!(seed, seed_of(7, "b.json"));
        assert_ne!(seed, seed_of(8, "a.json"));
        assert!(seed < 1 << 53);
    }
}
