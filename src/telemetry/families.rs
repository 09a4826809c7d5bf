//! A run as it stands, or one worker's part of it, as families of series: which there are now, and their values. It writes no bytes.

use std::borrow::Cow;

use super::catalogue::{
    ASKED, CHANGES, COMMON, CORE_BUSY, CORE_TIME, DROPPED, Def, ERROR_KINDS, EVENTS, FAILED,
    FINISHED, IN_FLIGHT, LATE, LEFT, LOST, MEASURED, MEASURED_BYTES, MEASURED_OUTPUT,
    MEASURED_PROMPT, MET, MET_ALL, OPENED, OUTPUT_TOKENS, PART, PAUSED, PROMPT_TOKENS, READS,
    REUSED, RUN, SCHEDULED, SENT, SHARED, STAGE, STAMPED, STARTED, TIME, USERS, USERS_WANTED,
    VERDICT, WAITING, WARMED, WARNINGS, WORKER_FINISHED, WORKER_LOST, WORKER_SENT, WORKER_SILENCE,
    WORKER_UP, WORKERS,
};
use super::distribution::Distribution;
use super::histograms::{self, Histogram};
use crate::domain::{Outcome, Warning};
use crate::metrics::{Level, Phase, Summary, core_name};
use crate::plan::Plan;
use crate::report::{LifeStage, Standing, WorkerStanding};

/// What a run is about, while it lasts.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its number.
    pub run: u64,
    /// What was asked for.
    pub plan: &'a Plan,
    /// The request's path.
    pub path: &'a str,
    /// This program's version.
    pub version: &'a str,
    /// Of one worker's part, that worker's number in the run, from 0; `None` of the whole.
    pub part: Option<u32>,
}

/// Series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Their name, kind and help.
    pub def: Def,
    /// One or more, each with labels of its own.
    pub samples: Vec<Sample>,
    /// They are of one worker's part.
    pub is_part: bool,
}

impl Family {
    /// The name that is scraped. One of a part is another one than the whole's: who adds up all series of a name
    /// must count no request twice.
    pub fn name(&self) -> Cow<'static, str> {
        self.named(self.def.name)
    }

    /// The name without what a kind adds at its end.
    pub(super) fn stem(&self) -> Cow<'static, str> {
        self.named(self.def.stem())
    }

    fn named(&self, name: &'static str) -> Cow<'static, str> {
        match name.strip_prefix("llmload_") {
            Some(rest) if self.is_part => format!("llmload_part_{rest}").into(),
            _ => name.into(),
        }
    }
}

/// One series as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// What it shows.
    pub value: Value,
}

/// What a series shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// Any number.
    Number(f64),
    /// A distribution.
    Distribution(Box<Distribution>),
}

/// Everything of a run, or a part, that can be told now, in the catalogue's order.
pub fn families(subject: &Subject<'_>, standing: &Standing) -> Vec<Family> {
    let mut page = Page::new(subject);
    page.run(subject, standing);
    page.load(standing);
    page.requests(standing);
    page.figures(subject, standing);
    if subject.part.is_none() {
        page.workers(&standing.workers);
    }
    page.generator(&standing.summary);
    page.histograms(measured(standing));
    page.families
}

/// The requests that the figures are made of. Before any of them ended a summary shows those of the ramp in their place: they are
/// the figures of a run that ends so, and would be taken away again from one that goes on.
fn measured(standing: &Standing) -> Option<&Phase> {
    let summary = &standing.summary;
    let is_final = standing.stage == LifeStage::Ended;
    (is_final || !summary.ramp_included).then_some(&summary.phase)
}

struct Page {
    common: Vec<(&'static str, String)>,
    families: Vec<Family>,
    is_part: bool,
}

impl Page {
    fn new(subject: &Subject<'_>) -> Self {
        let spec = &subject.plan.provider;
        let values = [spec.kind.name(), &spec.model, subject.path];
        let common = COMMON.into_iter().zip(values.map(str::to_owned));
        // People count workers from 1, as tables and files do.
        let number = |worker| (u64::from(worker) + 1).to_string();
        let part = subject.part.map(|worker| (PART, number(worker)));
        Self {
            common: common.chain(part).collect(),
            families: Vec::new(),
            is_part: subject.part.is_some(),
        }
    }

    /// Adds a family, unless there is nothing to be told of it.
    fn add<const N: usize>(
        &mut self,
        def: &Def,
        told: impl IntoIterator<Item = ([String; N], Value)>,
    ) {
        let sample = |(values, value): ([String; N], Value)| {
            let own = def.labels.iter().copied().zip(values);
            Sample {
                labels: self.common.iter().cloned().chain(own).collect(),
                value,
            }
        };
        let samples: Vec<Sample> = told.into_iter().map(sample).collect();
        if !samples.is_empty() {
            self.families.push(Family {
                def: *def,
                samples,
                is_part: self.is_part,
            });
        }
    }

    fn count(&mut self, def: &Def, count: u64) {
        self.add(def, [([], Value::Count(count))]);
    }

    fn number(&mut self, def: &Def, number: impl Into<Option<f64>>) {
        let number: Option<f64> = number.into();
        self.add(def, number.map(|number| ([], Value::Number(number))));
    }

    /// A family with one label.
    fn by<L: Into<String>>(&mut self, def: &Def, counts: impl IntoIterator<Item = (L, u64)>) {
        let told = counts.into_iter();
        self.add(
            def,
            told.map(|(label, n)| ([label.into()], Value::Count(n))),
        );
    }

    /// 1 for the one of `all` that holds, 0 for the others.
    fn which(&mut self, def: &Def, all: &[&'static str], holds: Option<&str>) {
        self.by(
            def,
            all.iter()
                .map(|&name| (name, u64::from(holds == Some(name)))),
        );
    }

    fn run(&mut self, subject: &Subject<'_>, standing: &Standing) {
        let target = subject.plan.target.base_url.clone();
        let about = [
            format!("{:016x}", subject.run),
            subject.version.to_owned(),
            target,
        ];
        self.add(&RUN, [(about, Value::Count(1))]);
        let stages = [
            LifeStage::Waiting,
            LifeStage::Preparing,
            LifeStage::Running,
            LifeStage::Stopping,
            LifeStage::Ended,
        ];
        self.which(
            &STAGE,
            &stages.map(LifeStage::name),
            Some(standing.stage.name()),
        );
        let levels = [Level::Ok, Level::Strained, Level::Invalid].map(Level::name);
        let level = standing.verdict.as_ref().map(|verdict| verdict.level);
        self.which(&VERDICT, &levels, level.map(Level::name));
        self.count(&FAILED, u64::from(standing.failure.is_some()));
        let started = standing.started_at.map(|at| {
            let millis = at.unix_timestamp_nanos() / 1_000_000;
            seconds_of_millis(millis)
        });
        self.number(&STARTED, started);
        self.number(&TIME, standing.now.as_secs_f64());
        if !self.is_part {
            self.number(&LEFT, standing.left.map(|left| left.as_secs_f64()));
        }
    }

    fn load(&mut self, standing: &Standing) {
        let crowd = standing.crowd;
        self.count(&USERS, crowd.users.into());
        if !self.is_part {
            self.count(&USERS_WANTED, standing.load.users.into());
        }
        self.count(&IN_FLIGHT, crowd.in_flight.into());
        self.count(&WAITING, crowd.waiting.into());
        // What is asked for is the whole's, and only the master knows its changes.
        if self.is_part {
            return;
        }
        self.number(&ASKED, standing.asked_per_s);
        self.count(&PAUSED, u64::from(standing.load.paused));
        self.count(&CHANGES, standing.changes.len() as u64);
    }

    fn requests(&mut self, standing: &Standing) {
        let summary = &standing.summary;
        let counts = &summary.counts;
        self.count(&SCHEDULED, counts.scheduled);
        self.count(&SENT, counts.sent);
        self.count(&DROPPED, counts.dropped);
        self.count(&LATE, counts.late_cancelled);
        if !self.is_part {
            self.count(&LOST, counts.lost);
        }
        let of = |outcomes: &std::collections::BTreeMap<Outcome, u64>| {
            Outcome::ALL.map(|outcome| {
                let count = outcomes.get(&outcome).copied().unwrap_or_default();
                (outcome.name(), count)
            })
        };
        self.by(&FINISHED, of(&summary.outcomes));
        let measured = measured(standing).map(|phase| of(&phase.outcomes));
        self.by(&MEASURED, measured.unwrap_or_else(|| of(&[].into())));
        self.count(&ERROR_KINDS, summary.errors.len() as u64);
        let doubts = Warning::ALL.map(|warning| {
            let count = summary.warnings.get(&warning).copied();
            (warning.name(), count.unwrap_or_default())
        });
        self.by(&WARNINGS, doubts);
    }

    fn figures(&mut self, subject: &Subject<'_>, standing: &Standing) {
        let (summary, phase) = (&standing.summary, measured(standing));
        let slos = &subject.plan.observe.slos;
        if !slos.is_empty() {
            self.count(&MET_ALL, phase.map_or(0, |phase| phase.met_all));
            let met = slos.iter().enumerate().map(|(at, slo)| {
                let count = phase.and_then(|phase| phase.met.get(at).copied());
                (slo.to_string(), count.unwrap_or_default())
            });
            self.by(&MET, met);
        }
        self.count(&OUTPUT_TOKENS, summary.output_tokens);
        self.count(&PROMPT_TOKENS, summary.prompt_tokens);
        self.count(
            &MEASURED_OUTPUT,
            phase.map_or(0, |phase| phase.output_tokens),
        );
        self.count(
            &MEASURED_PROMPT,
            phase.map_or(0, |phase| phase.prompt_tokens),
        );
        self.count(&MEASURED_BYTES, phase.map_or(0, |phase| phase.body_bytes));
        self.count(&OPENED, summary.connections_opened);
        self.count(&WARMED, summary.connections_warmed);
        self.count(&REUSED, summary.connections_reused);
    }

    fn workers(&mut self, workers: &[WorkerStanding]) {
        let states = ["idle", "preparing", "ready", "running", "done", "lost"];
        let of = |state| {
            workers
                .iter()
                .filter(|worker| worker.state == state)
                .count() as u64
        };
        self.by(&WORKERS, states.map(|state| (state, of(state))));
        // People count workers from 1, as tables and files do.
        let number = |worker: &WorkerStanding| (u64::from(worker.worker) + 1).to_string();
        let up = |worker: &WorkerStanding| {
            let labels = [number(worker), worker.name.clone()];
            (labels, Value::Count(u64::from(worker.connected)))
        };
        self.add(&WORKER_UP, workers.iter().map(up));
        self.by(
            &WORKER_SENT,
            workers.iter().map(|one| (number(one), one.sent)),
        );
        let finished = workers.iter().map(|one| (number(one), one.finished));
        self.by(&WORKER_FINISHED, finished);
        self.by(
            &WORKER_LOST,
            workers.iter().map(|one| (number(one), one.lost)),
        );
        let silence = |worker: &WorkerStanding| {
            let seconds = Value::Number(worker.silent.as_secs_f64());
            ([number(worker)], seconds)
        };
        self.add(&WORKER_SILENCE, workers.iter().map(silence));
    }

    fn generator(&mut self, summary: &Summary) {
        let generator = &summary.generator;
        self.count(&READS, generator.reads);
        self.count(&STAMPED, generator.kernel_stamped);
        self.count(&EVENTS, generator.events);
        self.count(&SHARED, generator.shared);
        let cores = || generator.cores.iter();
        let time = cores().map(|(&core, load)| ([core_name(core)], seconds(load.wall_ns)));
        self.add(&CORE_TIME, time);
        let busy = cores().map(|(&core, load)| {
            let busy = load.cpu_ns.saturating_add(load.kept_waiting_ns);
            ([core_name(core)], seconds(busy))
        });
        self.add(&CORE_BUSY, busy);
    }

    fn histograms(&mut self, phase: Option<&Phase>) {
        for histogram in histograms::ALL {
            self.histogram(histogram, phase);
        }
    }

    fn histogram(&mut self, histogram: &Histogram, phase: Option<&Phase>) {
        let of = |metric| phase.and_then(|phase| phase.get(metric));
        let members = histogram
            .members()
            .map(|(metric, label)| (of(metric), label));
        let there = members.filter(|(series, _)| series.is_some() || histogram.is_always);
        let told: Vec<_> = there
            .map(|(series, label)| {
                let distribution = Distribution::new(series, histogram.scale);
                ([label], Value::Distribution(Box::new(distribution)))
            })
            .collect();
        self.add(&histogram.def, told);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a run are exact to 104 days"
)]
const fn seconds(nanos: u64) -> Value {
    Value::Number(nanos as f64 / 1e9)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^53"
)]
const fn seconds_of_millis(millis: i128) -> f64 {
    millis as f64 / 1e3
}
