//! `benchmark`: one benchmark by itself, with the options of upstream's own command.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{ArgMatches, FromArgMatches};
use tokio_util::task::TaskTracker;

use super::args::{BENCHMARK, Profile, SingleArgs};
use super::carrier::Carrier;
use super::course::{Done, Shape, Stage, Task, seconds};
use super::layers::{Found, Layered, layered};
use super::progress::Progress;
use super::prompts::{GROWING, Library, Maker};
use super::server::Asker;
use super::store::write;
use super::suite::start_mock;
use super::target::Target;
use crate::app::console::{Console, complain};
use crate::app::door::Door;
use crate::app::failure::{Failure, status};
use crate::app::files::try_writing;
use crate::app::html::write_page;
use crate::app::llmperf::{has_workers, logging};
use crate::app::{logging as log, runtime, signals, two_threads};
use crate::domain::Rate;
use crate::serving::single_page;

/// `llmload benchmark`.
pub(in crate::app) fn benchmark(typed: &ArgMatches) -> Result<u8, Failure> {
    let json = typed.get_one::<PathBuf>("json_parameters");
    let below: Vec<Found> = json
        .map(|path| Found::json(path))
        .into_iter()
        .collect::<Result<_, _>>()?;
    for found in &below {
        found.refuse_unknown(BENCHMARK)?;
    }
    let Layered { matches, .. } = layered(BENCHMARK, typed, &below, true)?;
    let args = SingleArgs::from_arg_matches(&matches).map_err(Failure::usage)?;
    log::start(&logging(&matches))?;
    let task = task(&args)?;
    let mut target = Target::of(&args.server, matches.get_flag("mock"))?;
    let _mock = start_mock(&mut target)?;
    let carrier = Carrier::of(&matches, &target, task.seed)?;
    let file = writable(&args)?;
    let runtime = if has_workers(&matches) {
        two_threads()
    } else {
        runtime()
    };
    runtime?.block_on(async {
        let known = Asker::new(&target, &carrier)?.ask().await?;
        known.notes.iter().for_each(|note| complain(note));
        let maker = Maker {
            tokenizer: args.prompts.tokenizer.as_deref(),
            model: &known.model,
            longest: known.longest,
            seed: task.seed,
        };
        let folder = args.prompts.dataset_folder.clone();
        let folder = folder.unwrap_or_else(|| PathBuf::from("datasets"));
        let library = Library::open(&folder, &[task.length], maker)?;
        let mut stage = Stage {
            door: Door::default(),
            carrier,
            target,
            known,
            prompts: library,
            progress: Progress::new(),
            signals: signals::listen(&TaskTracker::new()),
            suite_id: None,
            is_watched: true,
            is_quick: false,
        };
        let played = stage.play(&task, None).await;
        stage.progress.clear();
        let (mut raw, told) = match played? {
            Done::Raw(raw, told) => (raw, told),
            Done::Interrupted(status) => return Ok(status),
        };
        if let Some(path) = &args.html {
            write_page(path, &single_page(&raw))?;
        }
        // Of these the page was drawn alone.
        raw.individual_query.take_if(|_| !args.query_metrics);
        raw.kv_cache_profile
            .take_if(|_| !args.with_kv_cache_profile);
        write(&file, &raw.text())?;
        let text = format!("{}; the results are in `{}`\n", told.words, file.display());
        Console::default().print(&text);
        let is_bad = told.is_invalid && !stage.carrier.settings().allow_invalid;
        Ok(if is_bad {
            status::NOT_DELIVERED
        } else {
            status::OK
        })
    })
}

/// Where the result goes; what cannot be written is found before the run.
fn writable(args: &SingleArgs) -> Result<PathBuf, Failure> {
    let file = args.output_file.clone();
    let file = file.unwrap_or_else(|| PathBuf::from("benchmark.json"));
    try_writing(&file, "--output-file")?;
    if let Some(path) = &args.html {
        try_writing(path, "--html")?;
    }
    Ok(file)
}

fn task(args: &SingleArgs) -> Result<Task, Failure> {
    let Some(output) = args.output_length else {
        let error = anyhow!("nobody says how long answers are to be");
        return Err(Failure::usage(error).hint("--output-length N"));
    };
    let shape = shape(args)?;
    let max_queries = args.prompts.max_queries.unwrap_or(1000);
    let max_duration = args.max_duration.unwrap_or(900.0);
    let min_duration = args.min_duration.unwrap_or(max_duration);
    Ok(Task {
        title: format!("benchmark {}", shape.name()),
        shape,
        length: args.prompt_length.unwrap_or(GROWING),
        output,
        seed: args.prompts.seed.unwrap_or(0),
        max_queries,
        max_duration: seconds(max_duration),
        min_duration: seconds(min_duration.min(max_duration)),
        target: args
            .target_queries_nb
            .unwrap_or(max_queries)
            .min(max_queries),
        query_metrics: args.query_metrics || args.html.is_some(),
        with_kv_cache_profile: args.with_kv_cache_profile || args.html.is_some(),
    })
}

/// How queries follow each other. An option of another profile would be ignored.
fn shape(args: &SingleArgs) -> Result<Shape, Failure> {
    let profile = args
        .query_profile
        .unwrap_or(Profile::ConstantNumberOfQueries);
    for (option, is_given, owner) in [
        (
            "--n-workers",
            args.n_workers.is_some(),
            Profile::ConstantNumberOfQueries,
        ),
        (
            "--request-rate",
            args.request_rate.is_some(),
            Profile::RequestRate,
        ),
    ] {
        if is_given && profile != owner {
            let error = anyhow!(
                "{option} belongs to --query-profile {}, and this is {}",
                owner.name(),
                profile.name()
            );
            return Err(Failure::usage(error).hint(format!(
                "leave {option} out, or give --query-profile {}",
                owner.name()
            )));
        }
    }
    Ok(match profile {
        Profile::ConstantNumberOfQueries => Shape::Constant(args.n_workers.unwrap_or(1)),
        Profile::GrowingRequests => Shape::Growing,
        Profile::RequestRate => {
            let rate = args.request_rate.filter(|rate| rate.is_finite());
            let rate = rate.map(Rate::try_from).transpose();
            Shape::Random(rate.map_err(Failure::usage)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::args::command;
    use super::*;

    fn read(line: &str) -> Result<Task, String> {
        let argv = std::iter::once(BENCHMARK).chain(line.split_whitespace());
        let matches = command(BENCHMARK).try_get_matches_from(argv).unwrap();
        let args = SingleArgs::from_arg_matches(&matches).unwrap();
        task(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn shortest_time_and_target_are_the_longest_and_all_unless_they_are_given() {
        let plain = read("--output-length 16").unwrap();
        assert_eq!(plain.shape, Shape::Constant(1));
        assert_eq!(plain.min_duration, plain.max_duration);
        assert_eq!((plain.target, plain.length), (1000, GROWING));
        let given =
            read("--output-length 16 --max-queries 50 --min-duration 5 --target-queries-nb 7");
        let given = given.unwrap();
        assert_eq!((given.min_duration.as_secs(), given.target), (5, 7));
        assert!(read("").unwrap_err().contains("--output-length"));
    }

    #[test]
    fn a_rate_without_end_is_everything_at_once() {
        let shape = |line: &str| {
            let line = format!("--output-length 1 --query-profile {line}");
            read(&line).unwrap().shape
        };
        assert_eq!(shape("request_rate"), Shape::Random(None));
        assert_eq!(
            shape("request_rate --request-rate inf"),
            Shape::Random(None)
        );
        let Shape::Random(Some(rate)) = shape("request_rate --request-rate 2.5") else {
            panic!("no rate");
        };
        assert_eq!(rate.to_string(), "2.5");
        assert_eq!(shape("growing_requests"), Shape::Growing);
    }

    #[test]
    fn an_option_of_another_profile_is_refused() {
        for (line, words) in [
            (
                "--query-profile growing_requests --n-workers 3",
                "--n-workers belongs to --query-profile constant_number_of_queries, and this is growing_requests",
            ),
            (
                "--request-rate 2",
                "--request-rate belongs to --query-profile request_rate, and this is constant_number_of_queries",
            ),
        ] {
            let refused = read(&format!("--output-length 1 {line}")).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
