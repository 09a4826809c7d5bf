//! Answers and servers for the tests of this room: a server that reads and writes at a known speed and holds its answers' tokens in
//! a cache of a known size.

use serde_json::{Map, Value};

use crate::domain::{Answer, Offset, Outcome};
use crate::gauges::{Counters, Lateness, Look, Watched};

use super::stats::{count, quantity, whole};
use super::{Asked, Bench, Query, SuiteSettings};

/// The parameters of a benchmark of a suite whose server tells its name alone.
pub(super) fn parameters(
    settings: &SuiteSettings,
    bench: Bench,
    model_name: Option<&str>,
) -> Map<String, Value> {
    let (length, output, workers, profile) = match bench {
        Bench::PromptIngestion { .. } => (0, 1, 1, "constant_number_of_queries"),
        Bench::KvCacheProfile { input, output } => (input, output, 1, "growing_requests"),
        Bench::SpeedGeneration {
            input,
            output,
            parallel,
        } => (input, output, parallel, "constant_number_of_queries"),
    };
    let asked = Asked {
        model: "tiny",
        length,
        workers,
        profile,
        step_s: settings.step_live_metrics,
        max_queries: settings.max_queries,
        rate: Some(0.0),
        backend: &settings.backend,
        output,
        suite_id: Some(&settings.suite_id),
    };
    let mut parameters = asked.parameters();
    parameters.insert("model_name".to_owned(), Value::from(model_name));
    parameters
}

/// When all runs of the tests begin, in seconds since 1970.
pub(super) const ZERO: f64 = 1_700_000_000.0;

pub(super) fn at(seconds: f64) -> Offset {
    Offset::from_nanos(whole(seconds * 1e9))
}

/// An answer that was sent at `sent`, whose pieces came at `pieces`, and that ended at `end`.
pub(super) fn answer(sent: f64, pieces: &[f64], end: f64) -> Answer {
    Answer {
        sent: Some(at(sent)),
        first_content: pieces.first().copied().map(at),
        last_content: pieces.last().copied().map(at),
        end: at(end),
        outcome: Outcome::Ok,
        code: None,
        error: String::new(),
        requested_prompt_tokens: None,
        counted_prompt_tokens: None,
        server_prompt_tokens: Some(32),
        max_tokens: 16,
        counted_output_tokens: None,
        server_output_tokens: u32::try_from(pieces.len()).ok(),
        text: None,
        arrivals: pieces.iter().copied().map(at).collect(),
    }
}

/// A server. Each step it gives every running request a token, or reads prompts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Prompt tokens a second.
    pub(super) reads: f64,
    /// Seconds a step that writes a token for everybody.
    pub(super) step_s: f64,
    /// Tokens of its cache.
    pub(super) cache: u64,
    /// Tokens of a block of it.
    pub(super) block: u64,
}

/// A request inside of a server.
#[derive(Clone, Debug)]
struct Job {
    due: f64,
    input: u64,
    output: u32,
    sent: f64,
    pieces: Vec<f64>,
}

/// What a run came to.
pub(super) struct Run {
    pub(super) queries: Vec<Query>,
    pub(super) watched: Watched,
    pub(super) length_s: f64,
}

/// What a server did so far.
struct Course {
    server: Server,
    now: f64,
    running: Vec<Job>,
    waiting: Vec<Job>,
    done: Vec<Job>,
    /// (from when on, running, waiting, share)
    gauges: Vec<(f64, usize, usize, f64)>,
}

impl Course {
    fn new(server: Server) -> Self {
        Self {
            server,
            now: 1.0,
            running: Vec::new(),
            waiting: Vec::new(),
            done: Vec::new(),
            gauges: vec![(0.0, 0, 0, 0.0)],
        }
    }

    fn blocks(&self, job: &Job) -> u64 {
        let tokens = job.input + u64::try_from(job.pieces.len()).unwrap();
        tokens.div_ceil(self.server.block)
    }

    fn held(&self) -> u64 {
        self.running.iter().map(|job| self.blocks(job)).sum()
    }

    /// When everybody has one token more.
    fn held_after(&self) -> u64 {
        let blocks = |job: &Job| {
            let tokens = job.input + u64::try_from(job.pieces.len()).unwrap() + 1;
            tokens.div_ceil(self.server.block)
        };
        self.running.iter().map(blocks).sum()
    }

    fn all(&self) -> u64 {
        self.server.cache / self.server.block
    }

    fn tell(&mut self) {
        let share = quantity(self.held()) / quantity(self.all());
        let waiting = self
            .waiting
            .iter()
            .filter(|job| job.due <= self.now)
            .count();
        self.gauges
            .push((self.now, self.running.len(), waiting, share));
    }

    /// Reads one prompt if there is room for it, else writes a token for everybody, the last one going back to the queue when
    /// the cache is full.
    fn step(&mut self) {
        let due = self.waiting.iter().position(|job| job.due <= self.now);
        let room = |course: &Self, job: &Job| course.held() + course.blocks(job) < course.all();
        if let Some(next) = due.filter(|next| room(self, &self.waiting[*next])) {
            let mut job = self.waiting.remove(next);
            let tokens = job.input + u64::try_from(job.pieces.len()).unwrap();
            self.running.push(job.clone());
            self.tell();
            self.now += 0.004 + quantity(tokens) / self.server.reads;
            job.pieces.push(self.now);
            *self.running.last_mut().unwrap() = job;
        } else if self.running.is_empty() {
            let next = self
                .waiting
                .iter()
                .map(|job| job.due)
                .fold(f64::MAX, f64::min);
            self.now = self.now.max(next);
        } else {
            while self.held_after() > self.all() {
                let job = self.running.pop().unwrap();
                self.waiting.insert(0, job);
            }
            self.now += self.server.step_s;
            let now = self.now;
            self.running.iter_mut().for_each(|job| job.pieces.push(now));
        }
        let (done, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|job| job.pieces.len() >= usize::try_from(job.output).unwrap());
        self.running = running;
        self.done.extend::<Vec<Job>>(done);
        self.tell();
    }

    fn send(&mut self, due: f64, input: u64, output: u32) {
        self.waiting.push(Job {
            due,
            input,
            output,
            sent: due,
            pieces: Vec::new(),
        });
    }

    fn run(self, every: f64) -> Run {
        let length_s = self.now + 1.0;
        let queries: Vec<Query> = self
            .done
            .iter()
            .map(|job| {
                // The client hears of each token half a millisecond later.
                let pieces: Vec<f64> = job.pieces.iter().map(|piece| piece + 0.0005).collect();
                let mut answer = answer(job.sent, &pieces, pieces.last().unwrap() + 0.0002);
                answer.server_prompt_tokens = u32::try_from(job.input).ok();
                Query::of(&answer, ZERO)
            })
            .collect();
        let watched = self.watched(every, length_s);
        Run {
            queries,
            watched,
            length_s,
        }
    }

    fn watched(&self, every: f64, length_s: f64) -> Watched {
        let many = usize::try_from(whole(length_s / every)).unwrap();
        let looks = (0..many).map(|n| {
            let at = count(n) * every;
            let now = self.gauges.partition_point(|told| told.0 <= at) - 1;
            let (_, running, waiting, share) = self.gauges[now];
            Look {
                at_s: ZERO + at,
                running: Some(count(running)),
                waiting: Some(count(waiting)),
                cache: Some(share),
            }
        });
        let sums = |of: fn(&Job) -> u64| Some(quantity(self.done.iter().map(of).sum()));
        Watched {
            server: "vllm".to_owned(),
            step_s: every,
            looks: looks.collect(),
            lateness: Lateness {
                mean_s: 0.0001,
                p99_s: 0.0004,
                max_s: 0.002,
            },
            before: Counters {
                prompt_tokens: Some(0.0),
                output_tokens: Some(0.0),
            },
            after: Counters {
                prompt_tokens: sums(|job| job.input),
                output_tokens: sums(|job| u64::from(job.output)),
            },
            ..Watched::default()
        }
    }
}

impl Server {
    /// One request after another.
    pub(super) fn one_by_one(self, inputs: impl Iterator<Item = u64>, output: u32) -> Run {
        let mut course = Course::new(self);
        for input in inputs {
            course.send(course.now, input, output);
            course.drain();
        }
        course.run(0.01)
    }

    /// Waves of one request more than the one before, up to `most` queries.
    pub(super) fn waves(self, input: u64, output: u32, most: u32) -> Run {
        let mut course = Course::new(self);
        let (mut launched, mut wave) = (0, 1);
        while launched + wave <= most {
            course.now += 0.5;
            for n in 0..wave {
                course.send(course.now + f64::from(n) * 0.0002, input, output);
            }
            course.drain();
            launched += wave;
            wave += 1;
        }
        course.run(0.01)
    }

    /// `parallel` requests under way, until `most` were sent.
    pub(super) fn kept_busy(self, parallel: u32, input: u64, output: u32, most: u32) -> Run {
        let mut course = Course::new(self);
        let mut sent = 0;
        while sent < most || !course.waiting.is_empty() || !course.running.is_empty() {
            let under_way = u32::try_from(course.waiting.len() + course.running.len()).unwrap();
            for n in under_way..parallel.min(under_way + most - sent) {
                // With others beside it, each waits a moment that differs from user to user.
                let moment = match parallel {
                    1 => 0.0,
                    _ => 0.002 * f64::from((n * 7 + sent) % 10),
                };
                course.send(course.now + moment, input, output);
                sent += 1;
            }
            course.step();
        }
        course.run(0.01)
    }
}

impl Course {
    fn drain(&mut self) {
        while !self.waiting.is_empty() || !self.running.is_empty() {
            self.step();
        }
    }
}
