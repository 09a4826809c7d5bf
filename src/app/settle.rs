//! From settings to a plan: what only files, the server or chance can tell is found out here, before anything starts.

use std::net::IpAddr;

use anyhow::Context;

use super::data_set;
use super::discover::{Discovered, Way, discover};
use super::failure::Failure;
use super::prepare::load_tokenizer;
use super::surroundings::{draw, hub_paths};
use super::target::read_text;
use crate::config::{Found, Prompts, Settings};
use crate::domain::Seed;
use crate::plan::Plan;
use crate::workload::{self, TokenizerRef};

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
    let (prompts, due_us) = prompts(settings)?;
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
        forced: None,
        due_us,
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
