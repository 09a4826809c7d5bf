//! From settings to a plan: what only files, the server or chance can tell is found out here, before anything starts.

use std::net::IpAddr;

use anyhow::Context;

use super::data_set;
use super::discover::{Discovered, Way, discover};
use super::failure::Failure;
use super::prepare::load_tokenizer;
use super::surroundings::{draw, hub_paths};
use super::target::read_text;
use crate::config::{ForcedOptions, Found, Prompts, Settings};
use crate::domain::Seed;
use crate::plan::Plan;
use crate::provider::{self, Custom, Kind};
use crate::workload::{self, Forced, TokenizerRef};

/// OpenAI's own server.
const OPENAI: &str = "https://api.openai.com";

/// The plan of a run. The server is asked from `source`, where one is given.
pub(super) async fn settle(settings: &Settings, source: Option<IpAddr>) -> Result<Plan, Failure> {
    let ca_pem = settings
        .target
        .ca_cert
        .as_deref()
        .map(|path| read_text(path, "the CA file", "--ca-cert takes a PEM file"))
        .transpose()?;
    let tokenizer = match settings.tokenizer.clone() {
        Some(name) => Some(pinned(name).await?),
        None => None,
    };
    let (prompts, due_us) = prompts(settings)?;
    let custom = custom(settings)?;
    let forced = settings.forced.as_ref().map(forced).transpose()?;
    let way = Way {
        ca_pem: ca_pem.as_deref(),
        source,
    };
    let Discovered {
        kind,
        model,
        guessed,
    } = discover(settings, way).await?;
    if guessed {
        tracing::info!("provider {}, model {model}", kind.name());
    }
    let deployed = settings
        .azure
        .as_ref()
        .is_some_and(|azure| azure.deployment.is_some());
    if kind != Kind::Azure && deployed {
        let error = anyhow::anyhow!("--azure-deployment is for Azure, and the provider is {kind}");
        return Err(Failure::usage(error).hint("leave it out, or --provider azure"));
    }
    let seed = match settings.seed {
        Some(seed) => seed,
        // Small enough to be typed again.
        None => Seed(
            draw()
                .context("cannot draw a seed")
                .map_err(Failure::failed)?
                >> 32,
        ),
    };
    let thinks = provider::renames_length(&model);
    let mut plan = settings.plan(Found {
        seed,
        provider: kind,
        model,
        prompts,
        tokenizer,
        forced,
        due_us,
        custom,
        ca_pem,
    });
    // Others that speak like them take either name, or the old one alone.
    let is_openais = plan.target.base_url == OPENAI && kind == Kind::OpenAi;
    plan.provider.place.max_completion_tokens |= thinks && (is_openais || kind == Kind::Azure);
    Ok(plan)
}

/// The words of a server that the user described, read once here so that what is wrong with them is said first.
fn custom(settings: &Settings) -> Result<Option<Custom>, Failure> {
    let described = settings.provider == Some(Kind::Custom);
    let path = match (&settings.provider_file, described) {
        (None, false) => return Ok(None),
        (Some(path), true) => path,
        (None, true) => {
            let error = anyhow::anyhow!("--provider custom without --provider-file");
            return Err(Failure::usage(error)
                .hint("--provider-file FILE says what requests and answers look like"));
        }
        (Some(_), false) => {
            let error = anyhow::anyhow!("--provider-file without --provider custom");
            return Err(Failure::usage(error).hint("--provider custom speaks as the file says"));
        }
    };
    let hint = "docs/providers.md has a whole example";
    let text = read_text(path, "the provider file", hint)?;
    let description = provider::custom::read(&text)
        .with_context(|| format!("the provider file `{}`", path.display()))
        .map_err(|error| Failure::usage(error).hint(hint))?;
    if settings.model.is_none() && description.names_model() {
        let error = anyhow::anyhow!("`{}` names a model, and none is given", path.display());
        return Err(Failure::usage(error).hint("--model NAME"));
    }
    Ok(Some(Custom { text }))
}

/// A tokenizer by its name and its content, so that every worker counts alike. Who waits for it may be told to end meanwhile:
/// it may have to come from far away.
async fn pinned(name: String) -> Result<TokenizerRef, Failure> {
    let load = tokio::task::spawn_blocking(move || {
        let tokenizer = load_tokenizer(&name, &hub_paths())?;
        Ok(TokenizerRef {
            sha256: tokenizer.sha256().to_owned(),
            name,
        })
    });
    load.await.unwrap_or_else(|_| {
        Err(Failure::failed(anyhow::anyhow!(
            "loading ended by a defect"
        )))
    })
}

fn forced(options: &ForcedOptions) -> Result<Forced, Failure> {
    match options {
        ForcedOptions::Corpus => Ok(Forced::Corpus),
        ForcedOptions::File(path) => {
            workload::load::forced(path)
                .map(Forced::Texts)
                .map_err(|error| {
                    let hint = error.hint();
                    Failure::usage(error).with_hint(hint)
                })
        }
    }
}

/// Where prompts come from, and when a trace's are due.
fn prompts(settings: &Settings) -> Result<data_set::Source, Failure> {
    let source = match &settings.prompts {
        Prompts::Ready(source) => source.clone(),
        Prompts::Data(options) => return data_set::pin(settings, options),
        Prompts::File(path) => workload::load::prompt_text(&format!("@{}", path.display()))
            .map_err(|error| {
                Failure::usage(error)
                    .hint("--prompt-text @FILE takes a text, or rows in a file that ends in .jsonl")
            })?,
    };
    Ok((source, None))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::config::{Command, Surroundings, command, resolve};

    /// Neither environment nor settings files.
    struct Nothing;

    impl Surroundings for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn described(options: &[&str]) -> Result<Option<Custom>, String> {
        let words = ["llmload", "run", "-H", "http://127.0.0.1:1", "-t", "1s"];
        let words = words.iter().chain(options);
        let Ok(Command::Run(run)) = resolve(&command(), words, &Nothing) else {
            panic!("not a run: {options:?}");
        };
        custom(&run.settings).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_provider_file_and_its_provider_go_together() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("words.toml");
        let name = path.to_str().unwrap();
        let text = include_str!("../../tests/fixtures/custom/words.toml");
        std::fs::write(&path, text).unwrap();
        let both = ["--provider", "custom", "--provider-file", name];
        assert_eq!(described(&[]), Ok(None));
        let read = described(&[&both[..], &["--model", "m"]].concat());
        assert_eq!(read.unwrap().unwrap().text, text);

        let faults = [
            described(&both[..2]),
            described(&both[2..]),
            described(&both),
            described(&["--provider", "custom", "--provider-file", "no/such.toml"]),
        ];
        std::fs::write(&path, "path = \"/x\"\nbodi = \"{}\"\n").unwrap();
        let faults: Vec<String> = faults
            .into_iter()
            .chain([described(&both)])
            .map(|fault| fault.unwrap_err().replace(name, "words.toml"))
            .collect();
        insta::assert_snapshot!(faults.join("\n"), @r"
        error: --provider custom without --provider-file
        hint: --provider-file FILE says what requests and answers look like
        error: --provider-file without --provider custom
        hint: --provider custom speaks as the file says
        error: `words.toml` names a model, and none is given
        hint: --model NAME
        error: cannot read the provider file `no/such.toml`: No such file or directory (os error 2)
        hint: docs/providers.md has a whole example
        error: the provider file `words.toml`: line 2: unknown field `bodi`, expected one of `path`, `body`, `headers`, `auth`, `stream`, `whole`, `reasons`
        hint: docs/providers.md has a whole example
        ");
    }

    #[tokio::test]
    async fn a_server_whose_words_name_no_model_is_not_asked_for_any() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("words.toml");
        let text = include_str!("../../tests/fixtures/custom/words.toml");
        std::fs::write(&path, text.replace("/{{ model }}", "")).unwrap();
        let words = ["llmload", "run", "-H", "http://127.0.0.1:1", "-t", "1s"];
        let more = ["-k", "key", "--provider", "custom", "--provider-file"];
        let words = words.iter().chain(&more).copied();
        let words = words.chain([path.to_str().unwrap()]);
        let Ok(Command::Run(run)) = resolve(&command(), words, &Nothing) else {
            panic!("not a run");
        };
        let plan = settle(&run.settings, None)
            .await
            .map_err(|failure| failure.to_string());
        let provider = plan.unwrap().provider;
        assert_eq!(provider.kind, Kind::Custom);
        assert!(provider::build(&provider).is_ok());
    }

    #[test]
    fn a_plan_of_the_library_is_that_of_a_run_without_options() {
        use crate::config::Prompts;
        use crate::embed::PlanBuilder;
        use crate::schedule::{AT_ONCE, Law};
        use std::time::Duration;

        let planned = |options: &[&str]| {
            let words = ["llmload", "run", "-H", "http://h:1/", "-m", "m", "-t", "9s"];
            let words = words.iter().chain(options);
            let Ok(Command::Run(run)) = resolve(&command(), words, &Nothing) else {
                panic!("not a run: {options:?}");
            };
            let Prompts::Ready(prompts) = run.settings.prompts.clone() else {
                panic!("prompts of a file");
            };
            run.settings.plan(Found {
                seed: Seed(7),
                provider: Kind::OpenAi,
                model: "m".to_owned(),
                prompts,
                tokenizer: None,
                forced: None,
                due_us: None,
                custom: None,
                ca_pem: None,
            })
        };
        let nine = Duration::from_secs(9);
        let own = PlanBuilder::chat("http://h:1/", "m")
            .seed(Seed(7))
            .run_time(nine);
        assert_eq!(own.clone().build().unwrap(), planned(&[]));
        let rate = crate::domain::Rate::per_second(2);
        let open = own.rate(rate, Law::Exponential).users(1).build().unwrap();
        assert_eq!(open.schedule.spawn_rate, AT_ONCE);
        let options = ["--qps", "2", "--qps-distribution", "exponential", "-u", "1"];
        assert_eq!(open, planned(&options));
    }
}
