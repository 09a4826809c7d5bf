//! `dataset inspect`: opens a data set as a run does and looks at each row once more. It keeps no rows, and words no figure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use indexmap::IndexMap;

use super::figures::{Inspection, Numbers, Shown, TokensBy, TraceNumbers, counted, shortened};
use super::{contents, lost, texts, tokenizer};
use crate::app::console::Console;
use crate::app::data_set;
use crate::app::failure::{Failure, status};
use crate::config::value;
use crate::workload::load::{DataWish, Pinned, pin_data};
use crate::workload::{Data, Format, Said, Sight, Tokenizer, estimated_tokens};

/// Rows that are shown.
const FIRST: usize = 3;

/// Options of `inspect`.
#[derive(Clone, Debug, Args)]
pub(super) struct InspectArgs {
    /// The data set (an @ before it, as -d of `run` takes it, is allowed)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written; absent: by its name and first line
    #[arg(long, visible_alias = "dataset-format", value_name = "FORMAT", value_parser = value::choice(value::FORMATS))]
    format: Option<Format>,
    /// Column of a CSV file, or field of JSON lines, that holds the prompt
    #[arg(long, visible_alias = "dataset-column", value_name = "NAME")]
    column: Option<String>,
    /// Count tokens with this tokenizer.json, its directory, a hub id, or built-in; absent: by rule of thumb
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,
    /// Look at the first N rows alone
    #[arg(long, visible_alias = "dataset-limit", value_name = "N", value_parser = value::large_count)]
    limit: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells what a data set holds.
pub(super) fn inspect(args: &InspectArgs) -> Result<u8, Failure> {
    let tokenizer = args.tokenizer.as_deref().map(tokenizer).transpose()?;
    let pinned = open(&args.file, args.format, args.column.as_deref(), args.limit)?;
    let found = look(&pinned, tokenizer.as_ref())?;
    let text = if args.json {
        let json = serde_json::to_string_pretty(&found).map_err(Failure::failed)?;
        json + "\n"
    } else {
        found.words()
    };
    Console::default().print(&text);
    Ok(status::OK)
}

/// Opens a data set; a name behind an `@` is that of a file, too.
pub(super) fn open(
    path: &Path,
    format: Option<Format>,
    column: Option<&str>,
    limit: Option<u64>,
) -> Result<Pinned, Failure> {
    let named = path.to_str().and_then(|path| path.strip_prefix('@'));
    let wish = DataWish {
        path: named.map_or(path, Path::new),
        format,
        column,
        shuffle_seed: None,
        limit,
    };
    pin_data(wish).map_err(data_set::failure)
}

/// What is added up over the rows.
#[derive(Default)]
struct Sums {
    fields: IndexMap<String, u64>,
    elsewhere: u64,
    turns: Numbers,
    characters: Numbers,
    tokens: Numbers,
    max_tokens: Numbers,
    trace: TraceNumbers,
    first_rows: Vec<Shown>,
}

impl Sums {
    fn add(&mut self, row: usize, sight: Sight, tokenizer: Option<&Tokenizer>) {
        for field in sight.fields {
            *self.fields.entry(field).or_default() += 1;
        }
        let shown = match sight.said {
            Said::Request { prompt, max_tokens } => {
                let texts = prompt.as_ref().map(texts);
                match &texts {
                    Some(texts) => self.measure(texts, tokenizer),
                    None => self.elsewhere += 1,
                }
                if let Some(length) = max_tokens {
                    self.max_tokens.add(length as usize);
                }
                texts.map_or_else(String::new, |texts| shortened(&texts.join("\n")))
            }
            Said::Conversation(turns) => {
                self.turns.add(turns.len());
                let turns: Vec<Vec<&str>> = turns.iter().map(|turn| contents(turn)).collect();
                for turn in &turns {
                    self.measure(turn, tokenizer);
                }
                let first = turns.first().map(|turn| shortened(&turn.join("\n")));
                let count = counted(turns.len(), "turn");
                format!("{count}: {}", first.unwrap_or_default())
            }
            Said::Arrival {
                time_us,
                input,
                output,
                blocks,
            } => {
                let (seconds, micros) = (time_us / 1_000_000, time_us % 1_000_000);
                let known = counted(blocks.len(), "block");
                self.trace.add(time_us, (input, output), blocks);
                format!("at {seconds}.{micros:06} s: {input} tokens in, {output} out, {known}")
            }
        };
        if row < FIRST {
            self.first_rows.push(Shown {
                row: row + 1,
                text: shown,
            });
        }
    }

    fn measure(&mut self, texts: &[&str], tokenizer: Option<&Tokenizer>) {
        let tokens = |text: &&str| match tokenizer {
            Some(tokenizer) => tokenizer.count(text),
            None => estimated_tokens(text) as usize,
        };
        self.characters
            .add(texts.iter().map(|text| text.chars().count()).sum());
        self.tokens.add(texts.iter().map(tokens).sum());
    }
}

fn look(pinned: &Pinned, tokenizer: Option<&Tokenizer>) -> Result<Inspection, Failure> {
    let (reference, data) = (&pinned.reference, &pinned.data);
    let mut sums = Sums::default();
    for row in 0..data.rows() {
        sums.add(row, data.sight(row, false).map_err(lost)?, tokenizer);
    }
    let columns = data.columns().map_err(lost)?;
    let prompt_column = data.prompt_column().and_then(|at| columns.get(at).cloned());
    let in_all = columns.into_iter().map(|name| (name, data.rows() as u64));
    sums.fields.extend(in_all);
    Ok(Inspection {
        file: reference.name.clone(),
        format: reference.format.name(),
        known_by: pinned.known_by,
        bytes: reference.bytes,
        sha256: reference.sha256.clone(),
        rows: data.rows(),
        left_out: reasons(data),
        fields: sums.fields,
        prompt_column,
        elsewhere: sums.elsewhere,
        turns: sums.turns.spread(),
        characters: sums.characters.spread(),
        tokens: sums.tokens.spread(),
        tokens_by: match tokenizer {
            Some(tokenizer) => TokensBy::Tokenizer(tokenizer.name().to_owned()),
            None => TokensBy::RuleOfThumb,
        },
        max_tokens: sums.max_tokens.spread(),
        trace: sums.trace.ended(),
        first_rows: sums.first_rows,
    })
}

fn reasons(data: &Data) -> BTreeMap<String, u64> {
    let reasons = data.reasons().iter();
    reasons
        .map(|(why, count)| (why.to_string(), *count))
        .collect()
}
