//! `sweep --find`: plays what the search asks for, and writes what it found. Where to go next is the search's decision.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use tokio_util::task::TaskTracker;

use super::args::{SweepArgs, Wanted};
use super::play::{Done, Stage, roughly};
use super::prepare::{Prepared, Resolved, resolve, room_for};
use super::store::Store;
use super::{results, start_logging};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::app::{runtime, signals};
use crate::suite::{
    Combination, Finding, Found, Goal, Judgement, Limit, Outcome, Row, Rules, Search, SearchSpec,
    Step, Trial, Word, finding_json, finding_text, judge_run,
};

/// Searches, to its end or to a signal.
pub(super) fn find(
    args: &SweepArgs,
    spec: SearchSpec,
    wanted: &Wanted,
    store: Store,
) -> Result<u8, Failure> {
    let first = match prepare(
        wanted,
        &spec,
        Trial {
            load: spec.from,
            repeat: 0,
        },
        &store,
    )? {
        Resolved::Run(first) => *first,
        Resolved::Text(text) => {
            Console::default().print(&text);
            return Ok(status::OK);
        }
    };
    refuse_contradictions(wanted, &spec, &first)?;
    if args.dry_run {
        Console::default().print(&format!("first: {}\n", first.command));
        return Ok(status::OK);
    }
    start_logging(Some(&first))?;
    let settings = &first.options.settings;
    let hunt = Hunt {
        html: args.html.clone(),
        spec,
        slos: settings
            .observe
            .slos
            .iter()
            .map(ToString::to_string)
            .collect(),
        rules: Rules {
            goal: spec.goal,
            max_fail_ratio: settings.max_fail_ratio,
            allow_invalid: settings.allow_invalid,
        },
    };
    runtime()?.block_on(hunt.play(wanted, store, args.cooldown))
}

/// What does not change while a search goes on.
struct Hunt {
    html: Option<PathBuf>,
    spec: SearchSpec,
    slos: Vec<String>,
    rules: Rules,
}

fn refuse_contradictions(
    wanted: &Wanted,
    spec: &SearchSpec,
    first: &Prepared,
) -> Result<(), Failure> {
    let refuse = |words: String, hint: &str| Err(Failure::usage(anyhow!(words)).hint(hint));
    if wanted.grid.combinations().len() > 1 {
        return refuse(
            "a search has one load, and nothing else that varies".to_owned(),
            "leave --vary and lists out, and search once for each combination",
        );
    }
    let (min, max) = (spec.from, spec.to.unwrap_or(f64::INFINITY));
    if min > max {
        return refuse(
            format!("--from {min} is above --to {max}"),
            "turn them round",
        );
    }
    let option = format!("--{}=", spec.goal.option());
    let is_given = |word: &std::ffi::OsString| word.to_string_lossy().starts_with(&option);
    if wanted.base.iter().any(is_given) {
        return refuse(
            format!("--find chooses {} itself", option.trim_end_matches('=')),
            "leave it out; --from and --to are the ends of the search",
        );
    }
    if spec.goal == Goal::MaxUsers && first.options.settings.observe.slos.is_empty() {
        return refuse(
            "--find max-users needs something that more users can miss".to_owned(),
            "give an objective like --slo ttft:p95<500ms",
        );
    }
    if spec.goal == Goal::MaxUsers && first.options.settings.schedule.is_open() {
        return refuse(
            "--find max-users is of a closed loop".to_owned(),
            "leave --qps and --stages out, or use --find max-qps",
        );
    }
    Ok(())
}

/// The run of a trial. All repeats have the same settings and a name of their own.
fn prepare(
    wanted: &Wanted,
    spec: &SearchSpec,
    trial: Trial,
    store: &Store,
) -> Result<Resolved, Failure> {
    let load = Word {
        name: spec.goal.option().to_owned(),
        value: format!("{}", trial.load),
    };
    let fixed = wanted.grid.combinations().into_iter().next();
    let mut words = fixed.map(|fixed| fixed.words).unwrap_or_default();
    words.push(load);
    let combination = Combination { words };
    let resolved = resolve(wanted, &combination, trial.repeat, store)?;
    match &resolved {
        Resolved::Run(prepared)
            if spec.goal == Goal::MaxQps && prepared.has_no_number_of_users() =>
        {
            let mut words = combination.words;
            words.push(room_for(trial.load));
            resolve(wanted, &Combination { words }, trial.repeat, store)
        }
        _ => Ok(resolved),
    }
}

impl Hunt {
    async fn play(self, wanted: &Wanted, store: Store, cooldown: Duration) -> Result<u8, Failure> {
        let tasks = TaskTracker::new();
        let mut stage = Stage::new(store, signals::listen(&tasks), cooldown);
        let mut search = Search::new(self.spec);
        let mut runs: Vec<(f64, Row)> = Vec::new();
        let (found, end) = loop {
            let trial = match search.next() {
                Step::Done(found) => {
                    let status = ended(&found);
                    break (found, Ok(status));
                }
                Step::Run(trial) => trial,
            };
            match self.one(wanted, &mut stage, trial, runs.len()).await {
                Ok(Done::Row(row)) => {
                    let tells = row.is_whole();
                    if tells {
                        let judgement = judge_run(row.figures.as_ref(), self.rules);
                        stage.console.print(&format!("  {}\n", told(&judgement)));
                        search.note(trial, judgement);
                    }
                    runs.push((trial.load, *row));
                    // What could not be played as it was meant tells nothing of any load.
                    if !tells {
                        break (search.so_far(), Ok(status::FAILED));
                    }
                }
                Ok(Done::Interrupted(signal, row)) => {
                    runs.extend(row.map(|row| (trial.load, *row)));
                    break (search.so_far(), Ok(signal));
                }
                // The load may be more than a setting takes: what the smaller ones came to is known all the same.
                Err(failure) => break (search.so_far(), Err(failure)),
            }
        };
        self.write(&mut stage, &found, &runs)?;
        end
    }

    async fn one(
        &self,
        wanted: &Wanted,
        stage: &mut Stage,
        trial: Trial,
        before: usize,
    ) -> Result<Done, Failure> {
        let Resolved::Run(prepared) = prepare(wanted, &self.spec, trial, &stage.store)? else {
            return Err(Failure::failed(anyhow!("the settings changed meanwhile")));
        };
        let time = stage.left(&[&prepared]).map(roughly).unwrap_or_default();
        let time = time.replace(" left", "");
        let which = format!(
            "run {}  {} {} ({time})",
            before + 1,
            trial.load,
            self.spec.goal.unit(),
        );
        // Whatever a load did to the server is what was to be found out: a failed run stands as well.
        stage.run(*prepared, |_| true, &which).await
    }

    fn write(&self, stage: &mut Stage, found: &Found, runs: &[(f64, Row)]) -> Result<(), Failure> {
        let finding = Finding {
            spec: &self.spec,
            slos: &self.slos,
            found,
            runs,
        };
        let text = finding_text(&finding);
        stage.console.print(&format!("\n{text}"));
        let json = finding_json(&finding).map_err(Failure::failed)?;
        stage.store.write("search.json", &json)?;
        let mut rows: Vec<Row> = runs.iter().map(|(_, row)| row.clone()).collect();
        rows.sort_by(results::by_load);
        results::write_search(stage, &rows, &text, self.html.as_deref())
    }
}

fn told(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Met => "met".to_owned(),
        Judgement::Failed(limit) => format!("not met: {}: {}", limit.name(), limit.words()),
    }
}

/// The exit status of a search that nobody interrupted.
fn ended(found: &Found) -> u8 {
    match &found.outcome {
        Outcome::Limited(Limit::Generator(_))
        | Outcome::NotEvenTheSmallest(Limit::Generator(_)) => status::NOT_DELIVERED,
        Outcome::Limited(_) | Outcome::AtTheTop => status::OK,
        Outcome::NotEvenTheSmallest(_) | Outcome::Unfinished => status::FAILED,
    }
}
