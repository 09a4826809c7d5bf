//! `dataset generate`: writes the prompts that a run would make into a file. It composes nothing: that is the workload's work.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::suite::{COUNT, LENGTHS, LONGEST, SuiteWish, ensure_suite};
use super::tokenizer;
use crate::app::failure::{Failure, status};
use crate::app::files::replace_by;
use crate::config::value::{self, Dataset};
use crate::domain::{Index, Prompt, Seed};
use crate::workload::{
    Api, Around, Batch, LengthLaw, LengthSpec, PromptSource, Shape, Spec, Workload, WorkloadError,
};

/// Options of `generate`.
#[derive(Clone, Debug, Args)]
pub(super) struct GenerateArgs {
    /// Prompts to write
    #[arg(short, long, value_name = "N", value_parser = value::large_count, required_unless_present = "suite")]
    count: Option<u64>,
    /// Length of a prompt in tokens
    #[arg(short, long, value_name = "N", value_parser = value::count, required_unless_present = "suite")]
    prompt_tokens: Option<u32>,
    /// tokenizer.json, its directory, a hub id, or built-in: exact lengths; absent: by rule of thumb
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,
    /// What prompts are made of: limericks, code, sonnets, random (tokens)
    #[arg(short, long, value_name = "NAME", default_value = "limericks", value_parser = value::dataset)]
    dataset: Dataset,
    /// Tokens of common prefix that all prompts share [also: -pcml]
    #[arg(long, value_name = "N", default_value = "0", value_parser = value::tokens)]
    prompt_cache_max_len: u32,
    /// Different common prefixes, one of them in each prompt
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::count)]
    prefix_groups: u32,
    /// Instruction that ends a prompt; absent: the data set's own
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Count the chat template in: the prompt is what a chat API gets as one message
    #[arg(long, requires = "tokenizer")]
    chat: bool,
    /// Output tokens that each row asks for; the mean, if they vary; absent: rows ask for none
    #[arg(short = 'o', long, value_name = "N", value_parser = value::count)]
    max_tokens: Option<u32>,
    /// How the number of output tokens varies
    #[arg(long, value_name = "LAW", default_value = "constant", requires = "max_tokens", value_parser = value::choice(value::LENGTH_LAWS))]
    max_tokens_distribution: LengthLaw,
    /// Width relative to the mean: half the range of uniform, the deviation of normal
    #[arg(long, value_name = "F", default_value = "0.3", requires = "max_tokens", value_parser = value::non_negative)]
    max_tokens_range: f64,
    /// Never ask for more output tokens than this
    #[arg(long, value_name = "N", requires = "max_tokens", value_parser = value::count)]
    max_tokens_cap: Option<u32>,
    /// Vary the number of output tokens by up to this many either way
    #[arg(long, value_name = "N", default_value = "0", requires = "max_tokens", value_parser = value::tokens)]
    max_tokens_jitter: u32,
    /// Seed of all draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How rows are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Layout::Jsonl)]
    format: Layout,
    /// File to write; -: standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Write the files of a bench suite into this folder: prompts of each length, and growing ones
    #[arg(long, value_name = "DIR", conflicts_with_all = ["prompt_tokens", "output", "format", "dataset", "prompt_cache_max_len", "prefix_groups", "prompt", "chat", "max_tokens"])]
    suite: Option<PathBuf>,
    /// The suite's lengths in tokens
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = LENGTHS, value_parser = value::count, requires = "suite")]
    lengths: Vec<u32>,
    /// The longest of its growing prompts, in tokens
    #[arg(long, value_name = "N", default_value_t = LONGEST, value_parser = value::count, requires = "suite")]
    longest: u32,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// One object a line: `prompt`, and `max_tokens` with -o
    Jsonl,
    /// A JSON list of texts
    JsonList,
    /// One prompt a line: for prompts without line breaks, those of -d random
    Text,
    /// A table with the columns `prompt` and, with -o, `max_tokens`
    Csv,
}

/// Why rows are not written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    /// The file is at fault.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A text of several lines.
    #[error("prompt {0} has line breaks, and text holds one prompt a line")]
    Lines(u64),
}

/// One prompt.
struct Row {
    prompt: String,
    max_tokens: Option<u32>,
}

/// Writes prompts.
pub(super) fn generate(args: &GenerateArgs) -> Result<u8, Failure> {
    if let Some(folder) = &args.suite {
        return suite(args, folder);
    }
    let holds_lengths = matches!(args.format, Layout::Jsonl | Layout::Csv);
    if args.max_tokens.is_some() && !holds_lengths {
        let error = anyhow!("texts alone hold no output lengths");
        return Err(Failure::usage(error).hint("leave --max-tokens out, or --format jsonl or csv"));
    }
    let to_console = args.output == Path::new("-");
    if !to_console && !args.force && is_file(&args.output) {
        let error = anyhow!("`{}` is there already", args.output.display());
        return Err(Failure::usage(error).hint("--force replaces it"));
    }
    let workload = workload(args)?;
    for note in workload.notes() {
        tracing::warn!("{note}");
    }
    let written = if to_console {
        write_rows(&mut io::stdout().lock(), args, &workload)
    } else {
        replace_by(&args.output, |file| write_rows(file, args, &workload))
    };
    match written {
        Err(Unwritten::File(error)) if to_console && error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(Unwritten::File(error)) => {
            let error = anyhow::Error::new(error);
            let words = format!("cannot write `{}`", args.output.display());
            return Err(Failure::failed(error.context(words)));
        }
        Err(error @ Unwritten::Lines(_)) => {
            return Err(Failure::usage(error).hint("--dataset random, or --format jsonl"));
        }
        Ok(()) if to_console => {}
        Ok(()) => {
            let name = args.output.display();
            tracing::info!("{} prompts in {name}", args.count.unwrap_or_default());
        }
    }
    Ok(status::OK)
}

/// Writes the files of a bench suite.
fn suite(args: &GenerateArgs, folder: &Path) -> Result<u8, Failure> {
    let made = ensure_suite(&SuiteWish {
        folder,
        lengths: &args.lengths,
        growing_to: Some(args.longest),
        count: args.count.unwrap_or(COUNT),
        tokenizer: args.tokenizer.as_deref(),
        seed: args.seed,
        force: args.force,
    })?;
    let files = args.lengths.len() + 1;
    if made.len() < files {
        let left = files - made.len();
        tracing::warn!(
            "{left} files are there already and left as they are; --force makes them again"
        );
    }
    for path in made {
        tracing::info!("written: {}", path.display());
    }
    Ok(status::OK)
}

/// A plain file, which another one would replace.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|there| there.is_file() || there.is_symlink())
}

fn workload(args: &GenerateArgs) -> Result<Workload, Failure> {
    let tokenizer = args.tokenizer.as_deref().map(tokenizer).transpose()?;
    let api = if args.chat {
        Api::Chat
    } else {
        Api::Completion
    };
    let made = Workload::new(
        &spec(args)?,
        api,
        Seed(args.seed),
        tokenizer.map(Arc::new),
        None,
        1,
    );
    made.map_err(|error: WorkloadError| {
        let hint = error.hint();
        Failure::usage(error).with_hint(hint)
    })
}

fn spec(args: &GenerateArgs) -> Result<Spec, Failure> {
    let tokens = args.prompt_tokens.unwrap_or_default();
    let shared_prefix_tokens = args.prompt_cache_max_len;
    let prefix_groups = args.prefix_groups;
    let prompts = match &args.dataset {
        Dataset::Corpus(corpus) => PromptSource::Generated {
            corpus: *corpus,
            tokens,
            shared_prefix_tokens,
            prefix_groups,
            instruction: args.prompt.clone(),
        },
        Dataset::Random if args.prompt.is_some() => {
            let error = anyhow!("random prompts have no instruction");
            return Err(Failure::usage(error).hint("leave --prompt out"));
        }
        Dataset::Random => PromptSource::Random {
            tokens,
            shared_prefix_tokens,
            prefix_groups,
        },
        Dataset::File(path) => {
            let error = anyhow!("`{}` is a data set already", path.display());
            return Err(Failure::usage(error).hint("-d limericks, code, sonnets or random"));
        }
    };
    Ok(Spec {
        prompts,
        output: LengthSpec {
            mean: args.max_tokens.unwrap_or(1),
            law: args.max_tokens_distribution,
            range: args.max_tokens_range,
            cap: args.max_tokens_cap,
            jitter: args.max_tokens_jitter,
        },
        tokenizer: None,
        shape: Shape::default(),
        forced: None,
        batch: Batch::default(),
        around: Around::default(),
    })
}

fn write_rows(
    out: &mut dyn Write,
    args: &GenerateArgs,
    workload: &Workload,
) -> Result<(), Unwritten> {
    let rows = (0..args.count.unwrap_or_default()).map(|number| {
        let ask = workload.ask(Index::Arrival(number));
        Row {
            prompt: match &ask.prompt {
                Prompt::Text(text) => text.to_string(),
                // Generated prompts for these APIs are texts.
                _ => String::new(),
            },
            max_tokens: args.max_tokens.map(|_| ask.max_tokens),
        }
    });
    let mut out = BufWriter::new(out);
    match args.format {
        Layout::Jsonl => jsonl(&mut out, rows)?,
        Layout::JsonList => json_list(&mut out, rows.map(|row| row.prompt))?,
        Layout::Text => text(&mut out, rows)?,
        Layout::Csv => csv(&mut out, rows, args.max_tokens.is_some())?,
    }
    out.flush()?;
    Ok(())
}

fn jsonl(out: &mut dyn Write, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    for row in rows {
        let line = match row.max_tokens {
            Some(length) => json!({"prompt": row.prompt, "max_tokens": length}),
            None => json!({"prompt": row.prompt}),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

pub(super) fn json_list(
    out: &mut dyn Write,
    prompts: impl Iterator<Item = impl AsRef<str>>,
) -> io::Result<()> {
    let mut before = "[\n";
    for prompt in prompts {
        write!(out, "{before}{}", json!(prompt.as_ref()))?;
        before = ",\n";
    }
    writeln!(out, "\n]")
}

fn text(out: &mut dyn Write, rows: impl Iterator<Item = Row>) -> Result<(), Unwritten> {
    for (row, number) in rows.zip(1..) {
        if row.prompt.contains(['\n', '\r']) {
            return Err(Unwritten::Lines(number));
        }
        writeln!(out, "{}", row.prompt)?;
    }
    Ok(())
}

fn csv(out: &mut dyn Write, rows: impl Iterator<Item = Row>, lengths: bool) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    let header: &[&str] = if lengths {
        &["prompt", "max_tokens"]
    } else {
        &["prompt"]
    };
    table.write_record(header)?;
    for row in rows {
        let length = row.max_tokens.map(|length| length.to_string());
        table.write_record([Some(row.prompt), length].into_iter().flatten())?;
    }
    table.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lengths: bool) -> impl Iterator<Item = Row> {
        ["a \"b\"\nc", "d"].into_iter().zip(7..).map(move |it| Row {
            prompt: it.0.to_owned(),
            max_tokens: lengths.then_some(it.1),
        })
    }

    fn written<E: std::fmt::Debug>(
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<String, E> {
        let mut out = Vec::new();
        write(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_are_written_in_four_ways() {
        let with = written(|out| jsonl(out, rows(true))).unwrap();
        let lines = "{\"prompt\":\"a \\\"b\\\"\\nc\",\"max_tokens\":7}\n{\"prompt\":\"d\",\"max_tokens\":8}\n";
        assert_eq!(with, lines);
        let without = written(|out| jsonl(out, rows(false).skip(1))).unwrap();
        assert_eq!(without, "{\"prompt\":\"d\"}\n");
        let list = written(|out| json_list(out, rows(false).map(|row| row.prompt))).unwrap();
        assert_eq!(list, "[\n\"a \\\"b\\\"\\nc\",\n\"d\"\n]\n");
        let table = written(|out| csv(out, rows(true), true)).unwrap();
        assert_eq!(table, "prompt,max_tokens\n\"a \"\"b\"\"\nc\",7\nd,8\n");
        let lines = written(|out| text(out, rows(false).skip(1))).unwrap();
        assert_eq!(lines, "d\n");
    }

    #[test]
    fn a_prompt_of_several_lines_is_no_line_of_text() {
        let refused = written(|out| text(out, rows(false))).unwrap_err();
        assert!(matches!(refused, Unwritten::Lines(1)), "{refused}");
    }
}
