//! The options that say what is asked: data sets, images, embeddings, ranking, what Fireworks' servers take.
//! What they mean beside each other is decided here; files are read elsewhere.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::build::{Builder, Result};
use super::cli::{PromptArgs, TargetArgs};
use super::error::Fault;
use super::options::{DataOptions, ForcedOptions, Prompts};
use super::value::{self, Dataset};
use crate::provider::{Azure, Embeddings, Fireworks, Kind, Rerank, Task};
use crate::workload::{Batch, Format, Positioning, PromptSource, Resolution, Shape};

/// Which rows of a data set are sent, and how they are read.
#[derive(Args)]
#[command(next_help_heading = "Prompts")]
pub(super) struct DatasetArgs {
    /// How a data set file is written; absent: by its name and first line
    #[arg(long, value_name = "FORMAT", value_parser = value::choice(value::FORMATS))]
    pub dataset_format: Option<Format>,
    /// Column of a CSV file, or field of JSON lines, that holds the prompt
    #[arg(long, value_name = "NAME")]
    pub dataset_column: Option<String>,
    /// Shuffle the rows of a data set file by this seed
    #[arg(long, value_name = "N")]
    pub dataset_shuffle_seed: Option<u64>,
    /// Use the first N rows of a data set file, after the shuffle
    #[arg(long, value_name = "N", value_parser = value::large_count)]
    pub dataset_limit: Option<u64>,
    /// Different common prefixes, one of them in each prompt
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::count)]
    pub prefix_groups: u32,
    /// Pad or cut each prompt to this many characters
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub prompt_chars: Option<u32>,
    /// Begin each prompt with random words, so that no cache of prompts helps
    #[arg(long)]
    pub prompt_randomize: bool,
    /// Begin each row of a data set file with N random letters, and rows that come again with their number: no two begin alike
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub prompt_letters: Option<u32>,
    /// Add images of these sizes to each prompt (chat only), one or more
    #[arg(long, value_name = "WxH", num_args = 1.., value_delimiter = ',', action = ArgAction::Append, value_parser = value::resolution)]
    pub prompt_images_with_resolutions: Vec<Resolution>,
    /// Where the images stand in the text
    #[arg(long, value_name = "WHERE", default_value = "space-evenly", value_parser = value::choice(value::POSITIONINGS))]
    pub prompt_images_positioning: Positioning,
    /// Drop a conversation's last message when it is the model's
    #[arg(long)]
    pub clear_assistant: bool,
}

/// Embeddings and ranking.
#[derive(Args)]
#[command(next_help_heading = "Embeddings and ranking")]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub(super) struct VectorArgs {
    /// Ask for embeddings (/v1/embeddings)
    #[arg(long)]
    pub embeddings: bool,
    /// Texts in one request
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::count)]
    pub embeddings_batch_size: u32,
    /// Length of the vectors to ask for
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub embeddings_dimensions: Option<u32>,
    /// Template that the server puts each text into
    #[arg(long, value_name = "TEXT")]
    pub embeddings_prompt_template: Option<String>,
    /// Ask for the logits of these token or class ids; without ids: of all
    #[arg(long, value_name = "ID", num_args = 0.., value_delimiter = ',', action = ArgAction::Append, value_parser = value::tokens)]
    pub return_logits: Option<Vec<u32>>,
    /// Ask for vectors of length 1
    #[arg(long)]
    pub normalize: bool,
    /// Ask for an order of documents (/v1/rerank)
    #[arg(long)]
    pub rerank: bool,
    /// What the documents are ranked by
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Find the most relevant document."
    )]
    pub rerank_query: String,
    /// Ask for this many of the best documents
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub rerank_top_n: Option<u32>,
    /// Ask for the documents themselves in the answer (the default)
    #[arg(long, overrides_with = "no_rerank_return_documents")]
    pub rerank_return_documents: bool,
    /// Ask for their order alone
    #[arg(long, overrides_with = "rerank_return_documents")]
    pub no_rerank_return_documents: bool,
    /// Made-up documents in one request; absent: the prompt's paragraphs
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub num_documents: Option<u32>,
    /// Length of a made-up document in tokens; absent: the prompt's length dealt evenly
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub tokens_per_document: Option<u32>,
}

/// What single APIs take.
#[derive(Args)]
#[command(next_help_heading = "Providers")]
pub(super) struct ProviderArgs {
    /// File that describes the API of --provider custom
    #[arg(long, value_name = "FILE")]
    pub provider_file: Option<PathBuf>,
    /// Azure: name of the deployment; absent: the model's
    #[arg(long, value_name = "NAME")]
    pub azure_deployment: Option<String>,
    /// Azure: version of the API
    #[arg(long, value_name = "DATE", default_value = "2024-10-21")]
    pub azure_api_version: String,
    /// AWS: region of the service; absent: the one in the host's name
    #[arg(long, value_name = "REGION")]
    pub aws_region: Option<String>,
    /// Google Cloud: id of the project
    #[arg(long, value_name = "ID")]
    pub gcloud_project: Option<String>,
    /// Google Cloud: region of Vertex AI, or global
    #[arg(long, value_name = "REGION")]
    pub gcloud_region: Option<String>,
    /// Vertex AI: id of the endpoint that a model is deployed at
    #[arg(long, value_name = "ID")]
    pub vertexai_endpoint_id: Option<String>,
    /// Fireworks: ask for at least as many tokens as at most
    #[arg(long)]
    pub force_min_tokens: bool,
    /// Fireworks: make the model say the lines of this file (or the `text` of its JSON lines), in turn
    #[arg(long, value_name = "FILE")]
    pub forced_generation_file: Option<PathBuf>,
    /// Fireworks: make the model say text of the data set
    #[arg(long)]
    pub forced_generation_from_dataset: bool,
    /// Fireworks: chances that speculated tokens are accepted, as a JSON array
    #[arg(long, value_name = "JSON")]
    pub acceptance_probs_override: Option<String>,
}

impl Builder<'_> {
    pub(super) fn task(target: &TargetArgs, args: &VectorArgs) -> Task {
        if args.embeddings {
            return Task::Embeddings(Embeddings {
                dimensions: args.embeddings_dimensions,
                prompt_template: args.embeddings_prompt_template.clone(),
                return_logits: args.return_logits.clone(),
                normalize: args.normalize,
            });
        }
        if args.rerank {
            return Task::Rerank(Rerank {
                query: args.rerank_query.clone(),
                top_n: args.rerank_top_n,
                return_documents: args.rerank_return_documents || !args.no_rerank_return_documents,
            });
        }
        if target.chat || !target.no_chat {
            Task::Chat
        } else {
            Task::Completion
        }
    }

    pub(super) fn prompts(&self, args: PromptArgs, dataset: &DatasetArgs) -> Result<Prompts> {
        if let Some(text) = args.prompt_text {
            return self.check("prompt_text", given_prompt(text));
        }
        if args.prompt_cache_max_len > args.prompt_tokens {
            let fault = Fault::new(format!(
                "a common prefix of {} tokens does not fit into a prompt of {}",
                args.prompt_cache_max_len, args.prompt_tokens
            ));
            let fault = fault.hint("--prompt-cache-max-len is at most --prompt-tokens");
            return self.check("prompt_cache_max_len", Err(fault));
        }
        let (tokens, shared_prefix_tokens) = (args.prompt_tokens, args.prompt_cache_max_len);
        let prefix_groups = dataset.prefix_groups;
        Ok(match args.dataset {
            Dataset::Corpus(corpus) => Prompts::Ready(PromptSource::Generated {
                corpus,
                tokens,
                shared_prefix_tokens,
                prefix_groups,
                instruction: args.prompt,
            }),
            Dataset::Random => Prompts::Ready(PromptSource::Random {
                tokens,
                shared_prefix_tokens,
                prefix_groups,
            }),
            Dataset::File(path) => Prompts::Data(DataOptions {
                path,
                format: dataset.dataset_format,
                column: dataset.dataset_column.clone(),
                shuffle_seed: dataset.dataset_shuffle_seed,
                limit: dataset.dataset_limit,
            }),
        })
    }

    pub(super) fn fireworks(&self, args: &ProviderArgs, prompt: &PromptArgs) -> Result<Fireworks> {
        let probs = args.acceptance_probs_override.as_deref();
        let probs = probs.map(probabilities).transpose();
        Ok(Fireworks {
            force_min_tokens: args.force_min_tokens,
            prompt_cache_max_len: prompt.prompt_cache_max_len,
            acceptance_probs: self.check("acceptance_probs_override", probs)?,
        })
    }
}

pub(super) fn forced(args: &ProviderArgs) -> Option<ForcedOptions> {
    if args.forced_generation_from_dataset {
        return Some(ForcedOptions::Corpus);
    }
    args.forced_generation_file.clone().map(ForcedOptions::File)
}

pub(super) fn azure(kind: Option<Kind>, args: &ProviderArgs) -> Option<Azure> {
    // A host of Azure's is recognised only later.
    kind.is_none_or(|kind| kind == Kind::Azure).then(|| Azure {
        deployment: args.azure_deployment.clone(),
        api_version: args.azure_api_version.clone(),
    })
}

pub(super) fn shape(args: &DatasetArgs) -> Shape {
    Shape {
        chars: args.prompt_chars,
        randomize: args.prompt_randomize,
        images: args.prompt_images_with_resolutions.clone(),
        positioning: args.prompt_images_positioning,
        clear_assistant: args.clear_assistant,
        letters: args.prompt_letters.unwrap_or(0),
    }
}

pub(super) const fn batch(args: &VectorArgs) -> Batch {
    Batch {
        texts: args.embeddings_batch_size,
        documents: args.num_documents,
        document_tokens: args.tokens_per_document,
    }
}

fn given_prompt(text: String) -> std::result::Result<Prompts, Fault> {
    match text.strip_prefix('@') {
        Some("") => Err(Fault::new("`@` names no file").hint("write --prompt-text @prompt.txt")),
        Some(path) => Ok(Prompts::File(PathBuf::from(path))),
        None if text.is_empty() => {
            Err(Fault::new("--prompt-text is empty")
                .hint("is the variable that it comes from set?"))
        }
        None => Ok(Prompts::Ready(PromptSource::Text(text))),
    }
}

fn probabilities(text: &str) -> std::result::Result<Vec<f64>, Fault> {
    let numbers: std::result::Result<Vec<f64>, _> = serde_json::from_str(text);
    numbers.map_err(|_| {
        Fault::new(format!("`{text}` is no JSON array of numbers"))
            .hint("write --acceptance-probs-override '[0.9, 0.8]'")
    })
}
