//! The page of a run: what stands on it, from the same figures as the tables and the result file.
//! How a page looks, and how its charts are drawn, is the room `page`'s.

mod bins;
mod errors;
mod head;
mod latency;
mod lengths;
mod outline;
mod over_time;
mod settings;
mod tables;
mod trust;

use std::collections::BTreeMap;

pub(crate) use bins::Bins;
pub(crate) use outline::percent;

use super::{Context, History};
use crate::domain::{Answer, Index};
use crate::metrics::Verdict;
use crate::page::{Block, Notice, Page, Section};

/// The page of a run.
///
/// `history` is how it went step by step; `answers` are single requests, all or some, for what distributions cannot tell;
/// `command` is the command line that does the same again, without secrets, and may be empty.
pub fn run_page(
    ctx: &Context<'_>,
    history: &History,
    answers: &BTreeMap<Index, Answer>,
    command: &str,
) -> Page {
    let sections = [
        ("Summary", tables::blocks(ctx)),
        ("Latency", latency::blocks(ctx.summary)),
        ("Over time", over_time::blocks(ctx, history)),
        ("Length of prompts", lengths::blocks(ctx, answers)),
        ("Errors", errors::blocks(ctx, history)),
        ("Can these figures be trusted?", trust::blocks(ctx, history)),
        ("Settings", settings::blocks(ctx, command)),
    ];
    Page {
        title: head::title(ctx),
        subtitle: head::subtitle(ctx),
        notices: head::notices(ctx),
        facts: head::facts(ctx),
        sections: sections.into_iter().filter_map(section).collect(),
        made_by: format!("llmload {}", ctx.version),
    }
}

/// How a run went, for a page that has figures of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Step by step, with the server's own gauges.
    pub over_time: Vec<Block>,
    /// What the generator measured of itself.
    pub trust: Vec<Block>,
    /// What somebody needs to have it again.
    pub settings: Vec<Block>,
}

impl Course {
    /// Of a run that went like `history`; `command` is as in [`run_page`].
    pub fn of(ctx: &Context<'_>, history: &History, command: &str) -> Self {
        Self {
            over_time: over_time::blocks(ctx, history),
            trust: trust::blocks(ctx, history),
            settings: settings::blocks(ctx, command),
        }
    }
}

/// Why a run failed, if it did, and how far its figures can be trusted: for pages that others make of it.
pub fn run_notices(failure: Option<&str>, verdict: Option<&Verdict>) -> Vec<Notice> {
    let failed = failure.map(head::failed);
    failed.into_iter().chain([head::verdict(verdict)]).collect()
}

fn section((heading, blocks): (&str, Vec<Block>)) -> Option<Section> {
    (!blocks.is_empty()).then(|| Section {
        heading: heading.to_owned(),
        blocks,
    })
}

#[cfg(test)]
mod tests;
