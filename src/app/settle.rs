//! From settings to a plan: what only files, the server or chance can tell is found out here, before anything starts.

use std::net::IpAddr;

use anyhow::Context;

use super::discover::{Discovered, Way, discover};
use super::failure::Failure;
use super::prepare::load_tokenizer;
use super::surroundings::{draw, hub_paths};
use super::target::read_text;
use crate::config::{ForcedOptions, Found, Prompts, Settings};
use crate::domain::Seed;
use crate::plan::Plan;
use crate::workload::{self, Forced, PromptSource, TokenizerRef};

/// The plan of a run. The server is asked from `source`, where one is given.
pub(super) async fn settle(settings: &Settings, source: Option<IpAddr>) -> Result<Plan, Failure> {
    let ca_pem = settings
        .target
        .ca_cert
        .as_deref()
        .map(|path| read_text(path, "the CA file", "--ca-cert takes a PEM file"))
        .transpose()?;
    let tokenizer = settings
        .tokenizer
        .as_deref()
        .map(pin_tokenizer)
        .transpose()?;
    let prompts = prompts(&settings.prompts)?;
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
    Ok(settings.plan(Found {
        seed,
        provider: kind,
        model,
        prompts,
        tokenizer,
        forced,
        due_us: None,
        custom: None,
        ca_pem,
    }))
}

/// A tokenizer by its name and its content, so that every worker counts alike.
fn pin_tokenizer(name: &str) -> Result<TokenizerRef, Failure> {
    let tokenizer = load_tokenizer(name, &hub_paths())?;
    Ok(TokenizerRef {
        name: name.to_owned(),
        sha256: tokenizer.sha256().to_owned(),
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

fn prompts(prompts: &Prompts) -> Result<PromptSource, Failure> {
    match prompts {
        Prompts::Ready(source) => Ok(source.clone()),
        Prompts::Data(_) => Err(Failure::usage(anyhow::anyhow!(
            "data sets are not read yet"
        ))),
        Prompts::File(path) => workload::load::prompt_text(&format!("@{}", path.display()))
            .map_err(|error| {
                Failure::usage(error)
                    .hint("--prompt-text @FILE takes a text, or rows in a file that ends in .jsonl")
            }),
    }
}
