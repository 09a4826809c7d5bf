//! From words to runs that are ready to be played: every one is resolved, and checked, before the first begins.
//! It plays none.

use std::ffi::OsString;
use std::fmt::Write as _;

use anyhow::anyhow;
use sha2::{Digest, Sha256};

use super::args::{Wanted, is_flag};
use super::store::Store;
use crate::app::failure::Failure;
use crate::app::surroundings::Process;
use crate::config::{self, Command, Found, Journal, Prompts, RunOptions, Secrets};
use crate::domain::{Secret, Seed, is_secret_header, shell_word};
use crate::provider::Kind;
use crate::schedule::Pacing;
use crate::suite::{Combination, Word, run_id};
use crate::workload::{self, Corpus, Format, PromptSource};

/// Options that give one run's result a place, which many runs cannot share.
const RESULTS: [&str; 3] = ["--json", "--json-file", "--journal"];

/// Options whose value is a secret, or may be one.
const SECRET: [&str; 2] = ["api-key", "header"];

/// Of the rate that a search tries, so many seconds of requests may be in flight where nobody said how many.
const ROOM_S: f64 = 10.0;
const ROOM: (f64, f64) = (64.0, 1_000.0);

/// What a command line comes to.
pub(super) enum Resolved {
    /// A run.
    Run(Box<Prepared>),
    /// `--show-config`.
    Text(String),
}

/// A run that is ready.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) group: String,
    /// `llmload run` with the words that make it, without secrets.
    pub(super) command: String,
    pub(super) options: RunOptions,
}

/// Resolves the words that all runs share and those of one combination. `repeat` tells runs of the same settings apart.
pub(super) fn resolve(
    wanted: &Wanted,
    combination: &Combination,
    repeat: u32,
    store: &Store,
) -> Result<Resolved, Failure> {
    let words: Vec<OsString> = wanted
        .base
        .iter()
        .cloned()
        .chain(combination.argv(is_flag).into_iter().map(OsString::from))
        .collect();
    // The environment or a settings file may ask for the page of single runs.
    let argv = ["llmload".into(), "run".into(), "--no-web".into()]
        .into_iter()
        .chain(words.clone());
    let command = config::resolve(&config::command(), argv, &Process).map_err(|error| {
        let hint = error.hint();
        let words = crate::app::failure::chain(&error);
        let label = masked(combination).label();
        let error = if label.is_empty() {
            anyhow!("{}", words.trim_end())
        } else {
            anyhow!("{label}: {}", words.trim_end())
        };
        Failure::usage(error).with_hint(hint)
    })?;
    match command {
        Command::Run(mut options) => {
            refuse_results(&options)?;
            without_page(&mut options);
            let mut prepared = Prepared {
                id: id(&options, repeat),
                label: masked(combination).label(),
                group: masked(&without_load(combination)).label(),
                command: shown(&words),
                options: *options,
            };
            prepared.place(store);
            prepared.must_end()?;
            Ok(Resolved::Run(Box::new(prepared)))
        }
        Command::ShowConfig(text) => Ok(Resolved::Text(text)),
        _ => Err(Failure::failed(anyhow!("`run` came to something else"))),
    }
}

/// The environment or a settings file may name a page of one run: one file for all runs would show the last one, and the
/// answers that it is drawn from are not kept for nobody.
fn without_page(options: &mut RunOptions) {
    if options.settings.outputs.html.take().is_some() {
        let observe = &mut options.settings.observe;
        (observe.answers, observe.answers_at_most) = (None, None);
    }
}

/// What is load makes a curve of runs; what is left tells curves apart.
fn without_load(combination: &Combination) -> Combination {
    let is_load = |word: &&Word| matches!(word.name.as_str(), "users" | "qps");
    let words = combination.words.iter().filter(|word| !is_load(word));
    Combination {
        words: words.cloned().collect(),
    }
}

/// A combination that can be shown: a secret is a few digits of its digest, by which runs are told apart.
fn masked(combination: &Combination) -> Combination {
    let words = combination.words.iter().map(|word| Word {
        name: word.name.clone(),
        value: masked_value(&word.name, &word.value),
    });
    Combination {
        words: words.collect(),
    }
}

fn masked_value(name: &str, value: &str) -> String {
    match (name, value.split_once(':')) {
        ("api-key", _) | ("header", None) => mark(value),
        ("header", Some((header, rest))) if is_secret_header(header) => {
            format!("{header}:{}", mark(rest.trim()))
        }
        _ => value.to_owned(),
    }
}

fn mark(secret: &str) -> String {
    format!("***{:.6}", digest(&[secret]))
}

/// In hexadecimal digits; where one part ends and the next begins is part of it.
fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let bytes = digest.finalize();
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Of all secrets, so that runs that differ in one are not taken for each other.
fn digest_of_secrets(secrets: &Secrets) -> String {
    let exposed = |secret: &Option<Secret>| secret.as_ref().map_or("", Secret::expose).to_owned();
    let mut parts = vec![
        exposed(&secrets.api_key),
        exposed(&secrets.proxy_credentials),
    ];
    parts.extend(
        secrets
            .aws
            .values()
            .map(|secret| secret.expose().to_owned()),
    );
    for (name, value) in &secrets.headers {
        parts.extend([name.clone(), value.expose().to_owned()]);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    digest(&parts)
}

fn refuse_results(options: &RunOptions) -> Result<(), Failure> {
    let outputs = &options.settings.outputs;
    let given = [
        outputs.json,
        outputs.json_file.is_some(),
        !matches!(options.journal, Journal::Off),
    ];
    match RESULTS.iter().zip(given).find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => {
            let error = anyhow!("{option} is of one run, and a sweep has many");
            Err(Failure::usage(error)
                .hint("each run's result is in runs/ of --output-dir, as JSON"))
        }
    }
}

/// The name that the settings make, wherever they come from. What only files, the server or chance can tell is left out;
/// the settings that ask for it are not.
fn id(options: &RunOptions, repeat: u32) -> String {
    let settings = &options.settings;
    let plan = settings.plan(Found {
        seed: settings.seed.unwrap_or(Seed(0)),
        provider: settings.provider.unwrap_or(Kind::OpenAi),
        model: settings.model.clone().unwrap_or_default(),
        prompts: PromptSource::Generated {
            corpus: Corpus::Limericks,
            tokens: 0,
            shared_prefix_tokens: 0,
            prefix_groups: 1,
            instruction: None,
        },
        tokenizer: None,
        forced: None,
        due_us: None,
        custom: None,
        ca_pem: None,
    });
    let rest = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {} {:?} {} {} {} {}",
        settings.seed,
        settings.provider,
        settings.provider_file,
        settings.prompts,
        settings.forced,
        settings.tokenizer,
        options.sending,
        options.mock,
        settings.target.ca_cert,
        settings.trace_speed,
        settings.given,
        digest_of_secrets(&settings.secrets),
        // The status that is kept with a run depends on these.
        settings.max_fail_ratio,
        settings.exit_code_on_error,
        settings.allow_invalid,
    );
    run_id(plan.digest(), &rest, repeat)
}

/// The words as a shell takes them: without secrets, and without what every run writes.
fn shown(words: &[OsString]) -> String {
    let mut text = "llmload run".to_owned();
    for word in words {
        let word = word.to_string_lossy();
        let id = |long: &str| long.replace('-', "_");
        let shown = match word
            .strip_prefix("--")
            .map(|word| word.split_once('=').unwrap_or((word, "")))
        {
            Some((long, _)) if config::is_output(&id(long)) => continue,
            Some((long, value)) if SECRET.contains(&long) => config::option(&id(long), long, value),
            _ => shell_word(&word),
        };
        text.push(' ');
        text.push_str(&shown);
    }
    text
}

impl Prepared {
    /// Gives each file of the run a name of its own; all rows go into one file.
    fn place(&mut self, store: &Store) {
        let id = &self.id;
        let outputs = &mut self.options.settings.outputs;
        outputs.json_file = Some(store.result(id));
        outputs.only_summary = true;
        outputs
            .summary_file
            .get_or_insert_with(|| store.path("sweep.csv"));
        if let Some(prefix) = &mut outputs.csv {
            *prefix = format!("{prefix}_{id}");
        }
        if let Some(records) = &mut self.options.settings.observe.records {
            *records = format!("{id}_{records}");
        }
    }

    /// Nobody ends the runs of a sweep by hand.
    fn must_end(&self) -> Result<(), Failure> {
        let schedule = &self.options.settings.schedule;
        let ends = schedule.run_time.is_some()
            || schedule.max_requests.is_some()
            || matches!(schedule.pacing, Pacing::Stages { .. })
            || self.follows_a_trace()?;
        if ends {
            return Ok(());
        }
        Err(
            Failure::usage(anyhow!("a run of a sweep must end by itself"))
                .hint("give -t/--run-time or --max-requests, stages, or a trace that paces itself"),
        )
    }

    /// Whether a data set's own times say when what is asked, and end it.
    fn follows_a_trace(&self) -> Result<bool, Failure> {
        let settings = &self.options.settings;
        let Prompts::Data(data) = &settings.prompts else {
            return Ok(false);
        };
        if settings.schedule.is_open() {
            return Ok(false);
        }
        let format = match data.format {
            Some(format) => format,
            None => workload::load::data_format(&data.path).map_err(|error| {
                let hint = error.hint();
                Failure::usage(error).with_hint(hint)
            })?,
        };
        Ok(format == Format::Trace)
    }

    /// Whether nobody said how many requests may be in flight.
    pub(super) const fn has_no_number_of_users(&self) -> bool {
        !self.options.settings.given.users
    }
}

/// Room for a good many requests in flight at a rate: too few users would be the generator's limit.
pub(super) fn room_for(load: f64) -> Word {
    Word {
        name: "users".to_owned(),
        value: room(load).to_string(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 64 and 1,000"
)]
fn room(load: f64) -> u32 {
    (load * ROOM_S).ceil().clamp(ROOM.0, ROOM.1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Axis, Grid};

    fn prepared(base: &[&str], axes: &[&str]) -> Vec<Prepared> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), false).unwrap();
        let wanted = Wanted {
            base: base.iter().map(OsString::from).collect(),
            grid: Grid::new(axes.iter().map(|text| Axis::parse(text).unwrap()).collect()),
        };
        let resolved = |combination: Combination| match resolve(&wanted, &combination, 0, &store) {
            Ok(Resolved::Run(prepared)) => *prepared,
            Ok(Resolved::Text(text)) => panic!("{text}"),
            Err(failure) => panic!("{failure}"),
        };
        wanted
            .grid
            .combinations()
            .into_iter()
            .map(resolved)
            .collect()
    }

    #[test]
    fn every_combination_has_a_name_of_its_own_that_its_settings_make() {
        let runs = prepared(&["--run-time=5s"], &["users=1,2", "provider=vllm,openai"]);
        let mut ids: Vec<_> = runs.iter().map(|run| run.id.clone()).collect();
        assert_eq!(runs[3].options.settings.schedule.users, 2);
        assert_eq!(runs[3].group, "provider=openai");
        let again = prepared(&["--provider=vllm", "--users=1", "--run-time=5s"], &[]);
        assert_eq!(again[0].id, ids[0], "however the settings came there");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        // Where results go and how much is logged is no part of a run.
        let louder = prepared(
            &["--run-time=5s", "--loglevel=debug", "--csv=x"],
            &["users=1"],
        );
        let quiet = prepared(&["--run-time=5s"], &["users=1"]);
        assert_eq!(louder[0].id, quiet[0].id);
        assert_eq!(
            louder[0].options.settings.outputs.csv,
            Some(format!("x_{}", louder[0].id))
        );
    }

    #[test]
    fn the_command_that_repeats_a_run_holds_no_secret() {
        let runs = prepared(
            &[
                "--run-time=5s",
                "--api-key=sesame",
                "--header=X-Key:sesame",
                "--prompt=a b",
            ],
            &["users=2"],
        );
        assert_eq!(
            runs[0].command,
            "llmload run --run-time=5s --api-key=\"$API_KEY\" --header=\"X-Key: $X_KEY\" '--prompt=a b' --users=2"
        );
    }

    #[test]
    fn what_varies_is_told_apart_without_its_secrets() {
        let runs = prepared(
            &["--run-time=5s"],
            &["api-key=sesame,mellon", "header=X-Key:abra,X-Way:north"],
        );
        let mut labels: Vec<_> = runs.iter().map(|run| run.label.clone()).collect();
        let mut ids: Vec<_> = runs.iter().map(|run| run.id.clone()).collect();
        for (run, label) in runs.iter().zip(&labels) {
            let shown = format!("{label} {} {}", run.group, run.command);
            assert!(
                ["sesame", "mellon", "abra"]
                    .iter()
                    .all(|secret| !shown.contains(secret)),
                "{shown}"
            );
        }
        assert!(labels[1].ends_with("header=X-Way:north"), "{}", labels[1]);
        for names in [&mut labels, &mut ids] {
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 4);
        }
    }

    #[test]
    fn what_a_kept_status_and_the_plan_depend_on_is_part_of_the_name() {
        let id = |words: &[&str]| prepared(words, &[])[0].id.clone();
        let plain = id(&["--run-time=5s"]);
        for word in [
            "--users=1",
            "--api-key=sesame",
            "--header=X-Key:sesame",
            "--max-fail-ratio=0.5",
            "--exit-code-on-error=7",
            "--allow-invalid",
        ] {
            assert_ne!(id(&["--run-time=5s", word]), plain, "{word}");
        }
    }

    #[test]
    fn a_trace_ends_by_itself_unless_a_rate_paces_it() {
        let folder = tempfile::tempdir().unwrap();
        let ends = |name: &str, row: &str, more: &[&str]| {
            let path = folder.path().join(name);
            std::fs::write(&path, row).unwrap();
            let dataset = format!("--dataset=@{}", path.display());
            let words: Vec<&str> = [dataset.as_str()]
                .into_iter()
                .chain(more.iter().copied())
                .collect();
            let store = Store::open(folder.path(), false).unwrap();
            let wanted = Wanted {
                base: words.iter().map(OsString::from).collect(),
                grid: Grid::default(),
            };
            let only = wanted.grid.combinations().remove(0);
            resolve(&wanted, &only, 0, &store).is_ok()
        };
        let trace = r#"{"timestamp": 0, "input_length": 4, "output_length": 2, "hash_ids": [0]}"#;
        assert!(ends("trace.jsonl", trace, &[]));
        assert!(!ends("trace.jsonl", trace, &["--qps=3"]));
        assert!(!ends("rows.jsonl", r#"{"prompt": "a b"}"#, &[]));
        assert!(ends(
            "rows.jsonl",
            r#"{"prompt": "a b"}"#,
            &["--max-requests=1"]
        ));
    }

    #[test]
    fn one_user_that_somebody_asked_for_is_a_number_of_users() {
        let unsaid = |words: &[&str]| prepared(words, &[])[0].has_no_number_of_users();
        assert!(unsaid(&["--run-time=5s"]));
        assert!(!unsaid(&["--run-time=5s", "--users=1"]));
    }

    #[test]
    fn a_search_has_room_for_its_rate() {
        assert_eq!((room(1.0), room(50.0), room(5_000.0)), (64, 500, 1_000));
    }
}
