//! `bench-suite`: all benchmarks of a serving API one after another, as far as they are not finished yet, and the report.
//! How one is played is `course`'s; what the report says is the room `serving`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use super::args::{BENCH_SUITE, SuiteArgs};
use super::carrier::Carrier;
use super::course::{Broken, Done, Shape, Stage, Task, seconds, seed_of};
use super::draw;
use super::layers::{DOT_ENV, Found, Layered, layered};
use super::progress::Progress;
use super::prompts::{GROWING, Library, Maker};
use super::server::{Asker, Known};
use super::settings;
use super::store::{ARCHIVE, Kept, Store};
use super::table::table;
use super::target::Target;
use super::watch::{self, Tells};
use crate::app::console::{Console, complain};
use crate::app::door::Door;
use crate::app::failure::{Failure, status};
use crate::app::files::try_writing;
use crate::app::llmperf::{has_workers, logging};
use crate::app::surroundings::{variables, wall_clock};
use crate::app::{logging as log, runtime, signals, two_threads};
use crate::metrics::Level;
use crate::mock::{self, MockHandle};
use crate::serving::{
    Bench, Beside, QUICK_DRAIN_S, QUICK_LOOK_S, QUICK_LOOK_TOKENS, QUICK_S, Raw, SuiteSettings,
    estimate_in_words,
};

/// `llmload bench-suite`.
pub(in crate::app) fn bench_suite(typed: &ArgMatches) -> Result<u8, Failure> {
    let Layered { matches, taken } = layered(BENCH_SUITE, typed, &below()?, false)?;
    let args = SuiteArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
    log::start(&logging(&matches))?;
    for (source, names) in taken {
        complain(&format!("from {source}: {}", names.join(", ")));
    }
    let is_mock = matches.get_flag("mock");
    let (mut target, _mock) = target(&args, is_mock)?;
    let carrier = Carrier::of(&matches, &target, args.prompts.seed.unwrap_or(0))?;
    if args.quick {
        target.drain = seconds(QUICK_DRAIN_S).min(target.timeout);
    }
    if let Some(path) = &args.html {
        try_writing(path, "--html")?;
    }
    let runtime = if has_workers(&matches) {
        two_threads()
    } else {
        runtime()
    };
    let suite = settings::suite(&args, target.backend.name, now())?;
    runtime?.block_on(conduct(&args, suite, target, carrier))
}

/// What stands below the command line.
fn below() -> Result<[Found; 2], Failure> {
    // One that cannot be read is as one that is not there.
    let text = std::fs::read_to_string(DOT_ENV).unwrap_or_default();
    Ok([Found::environment(variables()), Found::dot_env(&text)?])
}

/// The server; the built-in one serves as long as its handle is held.
fn target(args: &SuiteArgs, is_mock: bool) -> Result<(Target, Option<MockHandle>), Failure> {
    let mut target = Target::of(&args.server, is_mock)?;
    let mock = start_mock(&mut target)?;
    Ok((target, mock))
}

/// Starts the built-in server where it is wanted: it speaks as `happy_vllm` does, and has a cache that fills.
pub(super) fn start_mock(target: &mut Target) -> Result<Option<MockHandle>, Failure> {
    if !target.is_mock {
        return Ok(None);
    }
    let failed = |error: std::io::Error| {
        Failure::failed(anyhow::Error::new(error).context("cannot start the mock server"))
    };
    let handle = mock::spawn_thread(demo(), 1).map_err(failed)?;
    target.base_url = format!("http://{}", handle.addr());
    Ok(Some(handle))
}

/// A server that reads 20,000 and writes 100 tokens a second, and has a cache of 40,000.
fn demo() -> mock::Script {
    mock::Script {
        ttft: mock::Delay::constant(Duration::from_millis(10)),
        inter_token: mock::Delay::constant(Duration::from_millis(10)),
        prefill_rate: Some(20_000.0),
        kv_cache_tokens: 40_000,
        kv_cache_limits: true,
        role_first: false,
        ..mock::Script::default()
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from(wall_clock())
}

async fn conduct(
    args: &SuiteArgs,
    mut suite: SuiteSettings,
    target: Target,
    carrier: Carrier,
) -> Result<u8, Failure> {
    let folder = args.output_folder.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from("results"));
    let mut store = Store::open(&folder)?;
    let known = Asker::new(&target, &carrier)?.ask().await?;
    known.notes.iter().for_each(|note| complain(note));
    let told = tells(&target, &carrier).await?;
    suite.has_metrics = told == Ok(Tells::OfItsCache);
    let is_watched = told.is_ok();
    let library = library(args, &suite, &known)?;
    // Only now: what is there is worth more than nothing.
    if args.restart {
        store.forget()?;
    }
    let kept = store.begin(Kept {
        setup: setup(&target, &known, &library),
        settings: suite,
    })?;
    let stage = Stage {
        suite_id: Some(kept.settings.suite_id.clone()),
        door: Door::default(),
        carrier,
        target,
        known,
        prompts: library,
        progress: Progress::new(),
        signals: signals::listen(&TaskTracker::new()),
        is_watched,
        is_quick: args.quick,
    };
    let mut player = Player {
        settings: kept.settings,
        store,
        stage,
        short: 0,
        used: BTreeMap::new(),
    };
    let played = player.play_all().await;
    player.stage.progress.clear();
    match played {
        Ok(()) => player.report(&folder, args.html.as_deref()),
        Err(Broken::Interrupted(status)) => {
            let (done, all) = player.count();
            complain(&format!(
                "interrupted: {done} of {all} benchmarks are finished, and the same command line, without --restart, goes on with the rest"
            ));
            Ok(status)
        }
        Err(Broken::Failed(failure)) => Err(failure),
    }
}

async fn tells(target: &Target, carrier: &Carrier) -> Result<Result<Tells, String>, Failure> {
    let told = watch::tells(target, carrier).await?;
    let why = match &told {
        Ok(Tells::OfItsCache) => return Ok(told),
        Ok(Tells::OfRequests) => "it tells nothing of a cache",
        Err(why) => why,
    };
    complain(&format!(
        "the server's metrics are not known ({}: {why}): there is no profile of its cache",
        target.metrics
    ));
    Ok(told)
}

fn library(args: &SuiteArgs, suite: &SuiteSettings, known: &Known) -> Result<Library, Failure> {
    let folder = args.prompts.dataset_folder.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from("datasets"));
    let lengths: Vec<u32> = std::iter::once(GROWING)
        .chain(suite.input_lengths.iter().copied())
        .collect();
    let maker = Maker {
        tokenizer: args.prompts.tokenizer.as_deref(),
        model: &known.model,
        longest: known.longest,
        seed: suite.seed,
    };
    Library::open(&folder, &lengths, maker)
}

/// What else decides what is measured.
fn setup(target: &Target, known: &Known, library: &Library) -> Map<String, Value> {
    let own = [
        ("server", Value::from(target.address())),
        ("model", Value::from(known.model.clone())),
        (
            "completions_endpoint",
            Value::from(target.completions.clone()),
        ),
        ("timeout", Value::from(target.timeout.as_secs_f64())),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let files = library.digests();
    let files = files.map(|(name, digest)| (name, Value::from(digest)));
    // Another version of the server, or other arguments, are another server. Its name in the results is the user's to give.
    let said = known
        .parameters
        .iter()
        .filter(|(name, _)| *name != "model_name");
    let said = said.map(|(name, value)| (format!("server's {name}"), value.clone()));
    own.into_iter().chain(files).chain(said).collect()
}

/// Plays what is not finished.
struct Player {
    settings: SuiteSettings,
    store: Store,
    stage: Stage,
    /// Good answers that were shorter than asked for.
    short: usize,
    /// Seconds that the benchmarks of the speed have used, a pair of lengths each.
    used: BTreeMap<(u32, u32), f64>,
}

impl Player {
    /// How many are finished, of how many.
    fn count(&self) -> (usize, usize) {
        let all = self.settings.benchmarks();
        let done = all
            .iter()
            .filter(|bench| self.store.finished(**bench).is_some());
        (done.count(), all.len())
    }

    async fn play_all(&mut self) -> Result<(), Broken> {
        let all = self.settings.benchmarks();
        let (done, number) = self.count();
        if done > 0 {
            complain(&format!(
                "{done} of {number} benchmarks are finished already"
            ));
        }
        if done == number {
            return Ok(());
        }
        let (ttft_s, tpot_s) = self.look().await?;
        self.tell_estimate(&all, ttft_s, tpot_s);
        for (at, bench) in all.iter().enumerate() {
            if let Some(raw) = self.store.finished(*bench) {
                let took = time_of(raw);
                self.use_time(*bench, took);
                continue;
            }
            let which = format!("benchmark {}/{number}  {}", at + 1, title(*bench));
            if self.is_over(*bench) {
                self.stage.progress.say(&format!(
                    "{which}: left out, the time of its pair of lengths is over"
                ));
                continue;
            }
            let rest = self.left(all.get(at + 1..).unwrap_or_default());
            let (behind, _) = self.settings.estimate(&rest, ttft_s, tpot_s);
            self.play(*bench, which, seconds(behind)).await?;
        }
        Ok(())
    }

    async fn play(&mut self, bench: Bench, title: String, behind: Duration) -> Result<(), Broken> {
        let task = task(&self.settings, bench, &title);
        match self.stage.play(&task, Some(behind)).await? {
            Done::Interrupted(status) => Err(Broken::Interrupted(status)),
            Done::Raw(raw, told) => {
                self.short += told.short;
                self.use_time(bench, time_of(&raw));
                self.store.keep(bench, *raw)?;
                self.stage.progress.end(&told.words);
                Ok(())
            }
        }
    }

    /// How long a first token takes, and each of the next.
    async fn look(&mut self) -> Result<(f64, f64), Broken> {
        const TOKENS: u32 = 16;
        let tokens = if self.settings.quick {
            QUICK_LOOK_TOKENS
        } else {
            TOKENS
        };
        let query = self.stage.first(tokens, self.settings.seed).await?;
        let gaps = query.response_length.saturating_sub(1).max(1);
        let gaps = u32::try_from(gaps).unwrap_or(tokens);
        let each = query.completion_time_from_first_token / f64::from(gaps);
        Ok((query.time_to_first_token, each))
    }

    fn left(&self, of: &[Bench]) -> Vec<Bench> {
        let is_left = |bench: &&Bench| self.store.finished(**bench).is_none();
        of.iter().filter(is_left).copied().collect()
    }

    fn tell_estimate(&self, all: &[Bench], ttft_s: f64, tpot_s: f64) {
        let left = self.left(all);
        let estimate = self.settings.estimate(&left, ttft_s, tpot_s);
        let in_words = estimate_in_words(estimate);
        let most = estimate.1 + QUICK_LOOK_S + QUICK_DRAIN_S;
        if self.settings.quick && most > QUICK_S {
            complain(
                &"with the other options that were given --quick may take more than five minutes",
            );
        }
        complain(&format!(
            "{} benchmarks: {in_words}, by one answer of {:.0} ms to the first token and {:.1} ms for each of the next",
            left.len(),
            ttft_s * 1e3,
            tpot_s * 1e3,
        ));
    }

    fn use_time(&mut self, bench: Bench, took: f64) {
        if let Bench::SpeedGeneration { input, output, .. } = bench {
            *self.used.entry((input, output)).or_default() += took;
        }
    }

    /// Whether the pair of lengths has used its time.
    fn is_over(&self, bench: Bench) -> bool {
        let Bench::SpeedGeneration { input, output, .. } = bench else {
            return false;
        };
        let used = self.used.get(&(input, output)).copied();
        used.unwrap_or_default() > self.settings.max_duration_speed_generation
    }

    /// The files of this suite's benchmarks that have nothing but failures.
    fn failed(&self) -> Vec<String> {
        let all = self.settings.benchmarks().into_iter();
        let has_failed = |bench: &Bench| {
            let raw = self.store.finished(*bench);
            raw.is_some_and(|raw| {
                raw.aggregated_metrics.is_empty() && !raw.errored_queries.is_empty()
            })
        };
        all.filter(has_failed).map(Bench::file).collect()
    }

    /// Draws the report, packs the raw results, and prints the main figures. Returns the exit status.
    fn report(&self, folder: &Path, html: Option<&Path>) -> Result<u8, Failure> {
        let raws = self.store.all();
        let (files, left_out) = draw::report(folder, raws, Some(&self.settings), html)?;
        draw::pack(folder)?;
        for note in &left_out {
            complain(note);
        }
        if self.short > 0 {
            let backend = self.stage.target.backend;
            let why = if backend.keeps_lengths() {
                "the server does not heed min_tokens"
            } else {
                "this backend cannot be told to write so many tokens"
            };
            let short = self.short;
            complain(&format!(
                "{short} answers are shorter than asked for: {why}"
            ));
        }
        let mut console = Console::default();
        console.print(&table(raws, &files, &self.settings));
        let name = folder.display();
        console.print(&format!(
            "the report is in `{name}`: README.md tells what each file is, {ARCHIVE} has all raw results\n"
        ));
        if !draw::has_graphs(&files) {
            complain(&"nothing could be reported: no file has enough valid queries");
            return Ok(status::FAILED);
        }
        let failed = self.failed();
        if !failed.is_empty() {
            complain(&format!("every query failed of {}", failed.join(", ")));
            return Ok(status::FAILED);
        }
        if raws.values().any(is_invalid) && !self.stage.carrier.settings().allow_invalid {
            complain(
                &"the generator's verdict on some benchmarks is INVALID: their figures show this machine",
            );
            return Ok(status::NOT_DELIVERED);
        }
        Ok(status::OK)
    }
}

/// Seconds that a benchmark took.
fn time_of(raw: &Raw) -> f64 {
    let took = raw.general_metrics.get("actual_total_time");
    took.and_then(Value::as_f64).unwrap_or_default()
}

/// Whether the generator's verdict on a benchmark is that its figures cannot be trusted.
fn is_invalid(raw: &Raw) -> bool {
    let verdict = Beside::read(&raw.llmload).verdict;
    verdict.is_some_and(|verdict| verdict.word == Level::Invalid.to_string())
}

fn title(bench: Bench) -> String {
    match bench {
        Bench::PromptIngestion { repeat } => format!("prompt ingestion {}", repeat + 1),
        Bench::KvCacheProfile { input, output } => {
            format!("profile of the cache, {input} to {output} tokens")
        }
        Bench::SpeedGeneration {
            input,
            output,
            parallel,
        } => format!("speed, {input} to {output} tokens, {parallel} at once"),
    }
}

/// What is to be played of a benchmark.
fn task(suite: &SuiteSettings, bench: Bench, title: &str) -> Task {
    let seed = seed_of(suite.seed, &bench.file());
    let whole = |shape, length, output, max_duration: f64| Task {
        title: title.to_owned(),
        shape,
        length,
        output,
        seed,
        max_queries: suite.max_queries,
        max_duration: seconds(max_duration),
        min_duration: seconds(max_duration),
        target: suite.max_queries,
        query_metrics: false,
        with_kv_cache_profile: false,
    };
    match bench {
        Bench::PromptIngestion { .. } => Task {
            query_metrics: true,
            ..whole(
                Shape::Constant(1),
                GROWING,
                1,
                suite.max_duration_prompt_ingestion,
            )
        },
        Bench::KvCacheProfile { input, output } => Task {
            with_kv_cache_profile: true,
            ..whole(
                Shape::Growing,
                input,
                output,
                suite.max_duration_kv_cache_profile,
            )
        },
        Bench::SpeedGeneration {
            input,
            output,
            parallel,
        } => {
            let most = suite.max_duration_speed_generation;
            Task {
                min_duration: seconds(suite.min_duration_speed_generation.min(most)),
                target: suite
                    .target_queries_nb_speed_generation
                    .min(suite.max_queries),
                ..whole(Shape::Constant(parallel), input, output, most)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::ReportingArgs;
    use super::*;

    #[test]
    fn benchmarks_have_their_own_stop_conditions() {
        let suite = settings::of_another_tool(&ReportingArgs::default());
        let task = |bench| task(&suite, bench, "");
        let ingestion = task(Bench::PromptIngestion { repeat: 1 });
        assert_eq!((ingestion.length, ingestion.output), (GROWING, 1));
        assert_eq!(ingestion.min_duration, ingestion.max_duration);
        assert!(ingestion.query_metrics && !ingestion.with_kv_cache_profile);
        let cache = task(Bench::KvCacheProfile {
            input: 32,
            output: 16,
        });
        assert_eq!(cache.shape, Shape::Growing);
        assert!(cache.with_kv_cache_profile);
        let speed = task(Bench::SpeedGeneration {
            input: 32,
            output: 16,
            parallel: 6,
        });
        assert_eq!(speed.shape, Shape::Constant(6));
        assert_eq!(speed.min_duration, Duration::from_secs(60));
        assert_eq!((speed.target, speed.max_queries), (100, 1000));
        assert_ne!(cache.seed, speed.seed);
    }
}
