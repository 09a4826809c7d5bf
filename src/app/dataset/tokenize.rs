//! `dataset tokenize`: counts the tokens of a text, or of each row of a data set, as a server would. It makes no prompts.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::inspect::open;
use super::{lost, tokenizer};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::config::value;
use crate::domain::Prompt;
use crate::workload::{Format, Said, Tokenizer};

/// Endings of names that are no texts.
const ENDINGS: [&str; 6] = ["json", "jsonl", "ndjson", "csv", "tsv", "txt"];
/// Bytes that are printed at once.
const PIECE: usize = 1 << 16;

/// Options of `tokenize`.
#[derive(Clone, Debug, Args)]
pub(super) struct TokenizeArgs {
    /// A data set file, a text, or - for all of standard input as one text
    #[arg(value_name = "FILE|TEXT|-")]
    what: String,
    /// tokenizer.json, its directory, a hub id, or built-in
    #[arg(long, value_name = "NAME")]
    tokenizer: String,
    /// Print the ids of the tokens, too
    #[arg(long)]
    ids: bool,
    /// Count what the chat template makes of it; without: the text with the special tokens of a completion
    #[arg(long)]
    chat: bool,
    /// How a data set is written; absent: by its name and first line
    #[arg(long, visible_alias = "dataset-format", value_name = "FORMAT", value_parser = value::choice(value::FORMATS))]
    format: Option<Format>,
    /// Column of a CSV file, or field of JSON lines, that holds the prompt
    #[arg(long, visible_alias = "dataset-column", value_name = "NAME")]
    column: Option<String>,
    /// Count the first N rows alone
    #[arg(long, visible_alias = "dataset-limit", value_name = "N", value_parser = value::large_count)]
    limit: Option<u64>,
}

/// What is counted.
#[derive(Debug, PartialEq)]
enum What {
    Input,
    File(PathBuf),
    Text(String),
}

/// Counts tokens.
pub(super) fn tokenize(args: &TokenizeArgs) -> Result<u8, Failure> {
    let tokenizer = tokenizer(&args.tokenizer)?;
    if args.chat && tokenizer.chat_overhead().is_none() {
        return Err(no_template(&tokenizer));
    }
    let counter = Counter {
        tokenizer,
        chat: args.chat,
        ids: args.ids,
    };
    let what = what(&args.what, Path::is_file)?;
    let of_rows = args.format.is_some() || args.column.is_some() || args.limit.is_some();
    let text = match what {
        What::File(path) => return rows(args, &path, &counter),
        _ if of_rows => {
            let error = anyhow!("--format, --column and --limit are for data set files");
            return Err(Failure::usage(error).hint("write @FILE for a file"));
        }
        What::Text(text) => text,
        What::Input => {
            let read = io::read_to_string(io::stdin().lock().by_ref());
            read.context("cannot read standard input")
                .map_err(Failure::failed)?
        }
    };
    let (count, line) = counter.count(&Prompt::Text(text.into()));
    let more = if line.is_empty() {
        String::new()
    } else {
        format!("{line}\n")
    };
    Console::default().print(&format!("{} tokens\n{more}", count.unwrap_or(0)));
    Ok(status::OK)
}

/// What somebody means by `word`.
fn what(word: &str, is_file: impl Fn(&Path) -> bool) -> Result<What, Failure> {
    if word == "-" {
        return Ok(What::Input);
    }
    let named = word.strip_prefix('@').filter(|name| !name.is_empty());
    if let Some(name) = named {
        return Ok(What::File(PathBuf::from(name)));
    }
    let path = Path::new(word);
    if is_file(path) {
        return Ok(What::File(path.to_owned()));
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| ENDINGS.contains(&ending)) && !word.contains(char::is_whitespace)
    {
        let error = anyhow!("there is no file `{word}`");
        return Err(Failure::usage(error)
            .hint("a text that looks like a file's name goes through standard input: `-`"));
    }
    Ok(What::Text(word.to_owned()))
}

fn no_template(tokenizer: &Tokenizer) -> Failure {
    let why = match tokenizer.template_trouble() {
        Some(trouble) => format!("its chat template cannot be rendered: {trouble}"),
        None => "it has no chat template".to_owned(),
    };
    Failure::usage(anyhow!("the tokenizer `{}`: {why}", tokenizer.name()))
        .hint("a tokenizer_config.json or chat_template.jinja beside tokenizer.json")
}

/// Counts as the options say.
struct Counter {
    tokenizer: Tokenizer,
    chat: bool,
    ids: bool,
}

impl Counter {
    /// Tokens, and their ids in words where they are wanted; `None` where the chat template refuses the messages.
    fn count(&self, prompt: &Prompt) -> (Option<u32>, String) {
        let ids = self
            .ids
            .then(|| self.tokenizer.prompt_ids(prompt, self.chat))
            .flatten();
        let words: Vec<String> = ids.into_iter().flatten().map(|id| id.to_string()).collect();
        (
            self.tokenizer.count_prompt(prompt, self.chat),
            words.join(" "),
        )
    }
}

fn rows(args: &TokenizeArgs, path: &Path, counter: &Counter) -> Result<u8, Failure> {
    let data = open(path, args.format, args.column.as_deref(), args.limit)?.data;
    if data.format() == Format::Trace {
        let error = anyhow!("a trace says lengths, and holds no text");
        return Err(Failure::usage(error).hint("llmload dataset inspect shows its lengths"));
    }
    let mut console = Console::default();
    let (mut out, mut total, mut uncounted) = (String::new(), 0, 0_u64);
    for row in 0..data.rows() {
        let prompt = match data.sight(row, args.chat).map_err(lost)?.said {
            Said::Request { prompt, .. } => prompt,
            Said::Conversation(turns) => Some(Prompt::Messages(turns.concat().into())),
            Said::Arrival { .. } => None,
        };
        let (count, ids) = prompt.map_or((None, String::new()), |it| counter.count(&it));
        total += u64::from(count.unwrap_or(0));
        uncounted += u64::from(count.is_none());
        let count = count.map_or_else(|| "not counted".to_owned(), |it| format!("{it} tokens"));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "row {}: {count}", row + 1);
        if !ids.is_empty() {
            let _ = writeln!(out, "{ids}");
        }
        if out.len() >= PIECE {
            console.print(&std::mem::take(&mut out));
        }
        if !console.is_open() {
            return Ok(status::OK);
        }
    }
    let _ = writeln!(out, "total: {} rows, {total} tokens", data.rows());
    if uncounted > 0 {
        let why = "no plain text, or refused by the chat template";
        let _ = writeln!(out, "not counted: {uncounted} ({why})");
    }
    console.print(&out);
    Ok(status::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_file_where_there_is_one_and_a_text_otherwise() {
        let there = |path: &Path| path == Path::new("rows.jsonl");
        let found = |word| what(word, there).map_err(|failure| failure.to_string());
        assert_eq!(found("-"), Ok(What::Input));
        assert_eq!(found("rows.jsonl"), Ok(What::File("rows.jsonl".into())));
        assert_eq!(found("@any"), Ok(What::File("any".into())));
        assert_eq!(found("Is it 1.txt?"), Ok(What::Text("Is it 1.txt?".into())));
        assert_eq!(found("and/or"), Ok(What::Text("and/or".into())));
        let refused = found("other.jsonl").unwrap_err();
        assert!(refused.contains("no file `other.jsonl`"), "{refused}");
    }
}
