//! `llmload gen` and `llmload prefill`: batches of equal requests, one after another, timed by the server where it tells its times.
//! What is sent and what the answers mean is in the room `batch`; here are options, sockets and files.

mod decode;
mod prefill;
mod server;

use clap::Args;

use crate::app::failure::Failure;
use crate::app::files::try_writing;
use crate::app::html::write_page;
use crate::app::prepare::load_tokenizer_aloud;
use crate::app::surroundings::hub_paths;
use crate::batch::{Content, Drawn, Format, Prompts, Table, batch_page};
use crate::domain::Seed;
use crate::workload::{Corpus, load};

pub(super) use decode::{GenArgs, decode};
pub(super) use prefill::{PrefillArgs, prefill};

/// What both benchmarks are told.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
struct SharedArgs {
    /// tokenizer.json, its directory, a hub id, or built-in: prompts are made of its tokens
    #[arg(long, value_name = "NAME")]
    tokenizer: String,
    /// Model to name; absent: the first that the server lists
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// Server address, the part before /v1/... [env: FIREWORKS_BASE_URL] [default: http://localhost]
    #[arg(short = 'H', long, visible_alias = "host", value_name = "URL")]
    base_url: Option<String>,
    /// API key; never shown [env: API_KEY, FIREWORKS_API_KEY]
    #[arg(short = 'k', long, value_name = "KEY")]
    api_key: Option<String>,
    /// Text that prompts are made of
    #[arg(short, long, value_name = "NAME", default_value = "limericks", value_parser = ["limericks", "code", "sonnets"])]
    dataset: String,
    /// Longest prompt in tokens; absent: what the server's list of models or the model's config.json says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_seq_len: Option<u32>,
    /// How the result is printed
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the result as a page of HTML to this file
    #[arg(long, value_name = "FILE")]
    html: Option<std::path::PathBuf>,
    /// Seed of all draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How often a request that fails is sent again
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Seconds before it is sent again
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    retry_delay: u64,
    /// Servers behind the address; with more than one worker each request names its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    num_servers: u32,
    /// Generators in each of them
    #[arg(long, visible_alias = "num-generators-per-server", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    num_gens: u32,
    /// Do not verify the server's certificate
    #[arg(long)]
    insecure_skip_verify: bool,
    /// Trust the certificate authorities of this PEM file too
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<std::path::PathBuf>,
}

impl SharedArgs {
    /// A page that cannot be written is found before the benchmark.
    fn check_page(&self) -> Result<(), Failure> {
        self.html
            .as_deref()
            .map_or(Ok(()), |path| try_writing(path, "--html"))
    }

    /// The page, where one is wanted.
    fn write_page(
        &self,
        (title, server): (&str, &str),
        tables: &[(&str, &Table)],
        drawn: &[Drawn<'_>],
        command: &str,
    ) -> Result<(), Failure> {
        let Some(path) = &self.html else {
            return Ok(());
        };
        let page = batch_page(title, server, tables, drawn, command);
        write_page(path, &page)
    }

    /// Makes prompts of token ids, as the tokenizer's own chat template has them.
    fn prompts(&self) -> Result<Prompts, Failure> {
        let tokenizer = load_tokenizer_aloud(&self.tokenizer, &hub_paths())?;
        let corpus = match self.dataset.as_str() {
            "code" => Corpus::Code,
            "sonnets" => Corpus::Sonnets,
            _ => Corpus::Limericks,
        };
        let text: Vec<&str> = corpus.items().collect();
        let (before, after) = tokenizer.ids_around();
        let content = Content {
            before,
            after,
            text: tokenizer.ids(&text.join("\n\n")),
        };
        Prompts::new(content, Seed(self.seed)).ok_or_else(|| {
            Failure::usage(anyhow::anyhow!(
                "the tokenizer `{}` makes no tokens of plain text",
                self.tokenizer
            ))
        })
    }

    /// The longest prompt, where anybody tells.
    fn longest(&self, served: Option<u32>) -> Result<u32, Failure> {
        let known = || load::model_length(&self.tokenizer, &hub_paths());
        self.max_seq_len.or(served).or_else(known).ok_or_else(|| {
            let error = anyhow::anyhow!("nobody tells how long the model's prompts may be");
            Failure::usage(error).hint("--max-seq-len N")
        })
    }

    /// Generators that are named one by one; 1 when none is named.
    const fn workers(&self) -> u32 {
        self.num_servers * self.num_gens
    }
}

/// A number with six digits behind its point, or nothing.
fn six(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.6}"))
}

/// A count, or nothing.
fn count(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::typed;

    #[test]
    fn the_command_of_a_page_has_no_key_and_no_page() {
        let ways = [
            &["-k", "sesame", "--html", "p.html", "--seed", "7"][..],
            &["-ksesame", "--html=p.html", "--seed=7"],
            &["--seed", "7", "--api-key=sesame"],
        ];
        let gen_load = GenArgs::augment_args(clap::Command::new("gen"));
        for way in ways {
            let words = ["gen", "--tokenizer", "a b"].iter().chain(way);
            let matches = gen_load.clone().try_get_matches_from(words).unwrap();
            assert_eq!(
                typed("gen", &gen_load, &matches),
                "llmload gen --tokenizer 'a b' --api-key=\"$API_KEY\" --seed 7"
            );
        }
    }
}
