//! What the run was asked to do, so that somebody can have it again, and what else is to be known of it.

use super::head;
use super::outline::{table, text};
use crate::page::Block;
use crate::report::{Context, closing, json, rfc3339};

/// A longer plan stays in the result file.
const LONGEST_PLAN: usize = 256 << 10;

pub(super) fn blocks(ctx: &Context<'_>, command: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !command.is_empty() {
        blocks.push(Block::Code {
            title: title(command),
            text: command.to_owned(),
        });
    }
    blocks.push(of_the_run(ctx));
    blocks.extend(plan(ctx));
    blocks.extend(closing::notes(ctx).into_iter().map(text));
    blocks
}

/// What the command line is for, and where it has its secrets from.
fn title(command: &str) -> String {
    let secrets = match () {
        () if command.contains("***") => "; *** stands for what is secret",
        () if command.contains("=\"") => {
            "; what is secret comes from the environment: each $NAME is a variable to set before"
        }
        () => "",
    };
    format!("This command line sends the same requests again{secrets}")
}

fn of_the_run(ctx: &Context<'_>) -> Block {
    let (plan, summary) = (ctx.plan, ctx.summary);
    let rows = [
        ("server", plan.target.base_url.clone()),
        ("API", plan.provider.kind.name().to_owned()),
        ("model", plan.provider.model.clone()),
        ("load", head::load(ctx)),
        ("seed", plan.seed.0.to_string()),
        ("begun at", rfc3339(ctx.started_at)),
        ("measured from", format!("{}", summary.from)),
        ("measured to", format!("{}", summary.to)),
        (
            "tokenizer",
            plan.workload
                .tokenizer
                .as_ref()
                .map_or_else(|| "none".to_owned(), |tokenizer| tokenizer.name.clone()),
        ),
        ("workers", ctx.workers.len().max(1).to_string()),
        ("llmload", ctx.version.to_owned()),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    table("The run", &["setting", "value"], rows.into())
}

fn plan(ctx: &Context<'_>) -> Option<Block> {
    // A setting without a JSON form is in no file either.
    let plan = serde_json::to_string_pretty(&json::plan(ctx).ok()?).ok()?;
    let block = if plan.len() > LONGEST_PLAN {
        text("The plan is too long for a page: --json-file has it.")
    } else {
        Block::Code {
            title: "Plan".to_owned(),
            text: plan,
        }
    };
    Some(Block::Folded {
        title: "The whole plan, as its workers had it".to_owned(),
        blocks: vec![block],
    })
}
