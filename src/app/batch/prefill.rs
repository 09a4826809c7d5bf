//! `llmload prefill`: how long a server takes to read prompts, by their length and how much of them is in its cache.

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{SharedArgs, count, six};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::batch::{Drawn, Named, Prompts, Quantity, Table, parse_pairs, prefill_pairs};

/// Options of `prefill`.
#[derive(Clone, Debug, Args)]
pub(in crate::app) struct PrefillArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// Exactly these prompt lengths and cached tokens: 2000:0,2000:1500
    #[arg(short, long, value_name = "P:C,...")]
    seq_pairs: Option<String>,
    /// Shortest prompt in tokens; the others are 4, 16, ... times as long
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    min_seq_len: u32,
    /// Prompts are sent together until they have this many tokens that are not cached
    #[arg(long, value_name = "N", default_value_t = 131_072)]
    min_tokens_to_batch: u32,
    /// Output tokens of each answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_tokens: u32,
}

const NAMES: [&str; 7] = [
    "prompt_tokens",
    "cached_tokens",
    "num_prompts",
    "server_duration",
    "client_duration",
    "server_prompt_tokens",
    "server_cached_tokens",
];

/// The stages of the server's work, in their own table.
const STAGES: [&str; 7] = [
    "prompt_tokens",
    "cached_tokens",
    "tokenizer_queue",
    "tokenizer",
    "prefill_queue",
    "prefill",
    "generation_queue",
];

/// Columns of the times.
const SERVER: (&str, &str) = ("server_duration", "the server's time for each prompt");
const CLIENT: (&str, &str) = ("client_duration", "the client's time for each prompt");
const LENGTH: Named<'_> = Named {
    value: Quantity::Of("prompt_tokens"),
    name: "prompt length",
    unit: "tokens",
};
const CACHED: Named<'_> = Named {
    value: Quantity::Part("cached_tokens", "prompt_tokens"),
    name: "cached",
    unit: "%",
};

/// What its page shows: batches have as many prompts as it takes, so that times are those of one.
const fn drawn((column, name): (&'static str, &'static str)) -> [Drawn<'static>; 2] {
    let y = Named {
        value: Quantity::Each(column, "num_prompts"),
        name,
        unit: "s",
    };
    [
        Drawn {
            title: "Time to read a prompt by its length",
            x: LENGTH,
            y,
            by: CACHED,
        },
        Drawn {
            title: "Time to read a prompt by what is cached of it",
            x: CACHED,
            y,
            by: LENGTH,
        },
    ]
}

/// One run of the benchmark.
struct Bench<'a> {
    args: &'a PrefillArgs,
    server: &'a Server,
    prompts: &'a Prompts,
    /// Output tokens to ask for: what the options say, or the fewest that the server takes.
    max_tokens: u32,
    /// Prompts so far: each has content of its own.
    made: u64,
}

/// Runs the benchmark and prints its tables.
pub(in crate::app) async fn prefill(args: PrefillArgs, command: &str) -> Result<u8, Failure> {
    args.shared.check_page()?;
    let prompts = args.shared.prompts()?;
    let server = Server::meet(&args.shared).await?;
    let pairs = pairs(&args, &prompts, server.longest)?;
    let mut bench = Bench {
        args: &args,
        server: &server,
        prompts: &prompts,
        max_tokens: args.max_tokens,
        made: 0,
    };
    let (mut table, mut stages) = (Table::new(&NAMES), Table::new(&STAGES));
    if args.shared.workers() > 1 {
        server
            .warm_up_workers(&prompts.in_order(prompts.least() + 8))
            .await?;
    }
    let mut told = false;
    for (number, &(length, cached)) in pairs.iter().enumerate() {
        let (answer, batch) = bench.measure(length, cached).await?;
        let durations = answer.figures.durations;
        let server_s = durations.before_generation();
        told |= server_s.is_some();
        let seconds = server_s.unwrap_or(answer.client_s);
        tracing::info!(
            "{} of {}: {length} tokens, {cached} cached, {batch} prompts: {seconds:.6} s",
            number + 1,
            pairs.len()
        );
        table.add(vec![
            length.to_string(),
            cached.to_string(),
            batch.to_string(),
            six(server_s),
            six(Some(answer.client_s)),
            count(answer.figures.prompt_tokens),
            count(answer.figures.cached_tokens),
        ]);
        doubt_the_cache(&answer, cached, batch);
        let parts = [
            durations.tokenizer_queue,
            durations.tokenizer,
            durations.prefill_queue,
            durations.prefill,
            durations.generation_queue,
        ];
        let pair = [length.to_string(), cached.to_string()].into_iter();
        stages.add(pair.chain(parts.map(six)).collect());
    }
    let mut console = Console::default();
    console.print(&table.render(args.shared.format));
    if told && args.shared.format == crate::batch::Format::Table {
        console.print(&format!("\n{}", stages.render(args.shared.format)));
    }
    let about = ("Time to read prompts", server.about());
    let tables = [("Prompts", &table), ("The server's stages (s)", &stages)];
    let shown = if told { &tables[..] } else { &tables[..1] };
    let column = if told { SERVER } else { CLIENT };
    args.shared
        .write_page((about.0, &about.1), shown, &drawn(column), command)?;
    if !told {
        tracing::warn!(
            "the server tells no times of its own (fireworks-*-duration): client_duration is all that is known"
        );
    }
    Ok(status::OK)
}

/// A prompt that was sent before is no fresh one.
fn doubt_the_cache(answer: &Answer, cached: u32, batch: u32) {
    let expected = (u64::from(cached) + 64) * u64::from(batch);
    if answer
        .figures
        .cached_tokens
        .is_some_and(|found| found > expected)
    {
        tracing::warn!(
            "the server had {} tokens in its cache, more than the {cached} of each prompt: another --seed asks with prompts that \
             it has not seen",
            count(answer.figures.cached_tokens)
        );
    }
}

fn pairs(
    args: &PrefillArgs,
    prompts: &Prompts,
    served: Option<u32>,
) -> Result<Vec<(u32, u32)>, Failure> {
    let pairs = match &args.seq_pairs {
        Some(pairs) => {
            parse_pairs(pairs).map_err(|error| Failure::usage(error).hint("-s 2000:0,2000:1500"))?
        }
        None => prefill_pairs(args.min_seq_len, args.shared.longest(served)?),
    };
    for &(length, cached) in &pairs {
        if length < prompts.least() {
            let error =
                anyhow!("a prompt of {length} tokens is shorter than the chat template alone");
            return Err(Failure::usage(error).hint(format!("at least {} tokens", prompts.least())));
        }
        if cached >= length {
            let error =
                anyhow!("of {length} tokens {cached} cannot be cached: the last one never is");
            return Err(Failure::usage(error));
        }
    }
    if pairs.is_empty() {
        let error = anyhow!("no prompt length is left to try");
        return Err(
            Failure::usage(error).hint("--min-seq-len and --max-seq-len say which there are")
        );
    }
    Ok(pairs)
}

impl Bench<'_> {
    fn body(&self, prompt: &Value, cached: u32) -> Value {
        let mut body = json!({
            "model": self.server.model,
            "prompt": prompt,
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": false,
            "user": "0",
        });
        if cached > 0 {
            body["prompt_cache_max_len"] = json!(cached);
        }
        body
    }

    /// Puts the first `cached` tokens of the prompts to come into the server's cache: the last token of a prompt cannot be
    /// shared, so there is one more.
    async fn warm(&mut self, length: u32, cached: u32) -> Result<(), Failure> {
        let mut prompt = self.prompts.partly_shared(length, cached, u64::MAX);
        prompt.truncate(usize::try_from(cached + 1).unwrap_or(usize::MAX));
        let body = |bench: &Self| bench.body(&json!(prompt), cached);
        let first = self.warm_all(&body(self)).await?;
        let Err(words) = first else { return Ok(()) };
        if self.max_tokens > 0 {
            return Err(Failure::failed(anyhow!("{words}")));
        }
        tracing::info!("the server takes no request for 0 tokens ({words}); asking for 1");
        self.max_tokens = 1;
        let again = self.warm_all(&body(self)).await?;
        again.map_err(|words| Failure::failed(anyhow!("{words}")))
    }

    /// Each worker has a cache of its own.
    async fn warm_all(&self, body: &Value) -> Result<Result<(), String>, Failure> {
        let workers = self.args.shared.workers();
        for worker in 0..workers {
            let worker = (workers > 1).then_some(worker);
            let answer = if self.max_tokens == 0 {
                self.server.try_once(body, worker).await
            } else {
                self.server.complete(body, worker).await?
            };
            if let Err(words) = answer {
                return Ok(Err(words));
            }
        }
        Ok(Ok(()))
    }

    async fn measure(&mut self, length: u32, cached: u32) -> Result<(Answer, u32), Failure> {
        self.warm(length, cached).await?;
        let batch = (self.args.min_tokens_to_batch / (length - cached)).max(1);
        let prompts: Vec<Vec<u32>> = (0..u64::from(batch))
            .map(|place| {
                self.prompts
                    .partly_shared(length, cached, self.made + place)
            })
            .collect();
        self.made += u64::from(batch);
        let workers = usize::try_from(self.args.shared.workers()).unwrap_or(1);
        let answer = if workers > 1 {
            let dealt = |first: usize| {
                prompts
                    .iter()
                    .skip(first)
                    .step_by(workers)
                    .collect::<Vec<_>>()
            };
            let bodies: Vec<Value> = (0..workers.min(prompts.len()))
                .map(|worker| self.body(&json!(dealt(worker)), cached))
                .collect();
            self.server.beside_each_other(&bodies).await?
        } else {
            self.server
                .complete(&self.body(&json!(prompts), cached), None)
                .await?
        };
        let answer = answer.map_err(|words| Failure::failed(anyhow!("{words}")))?;
        Ok((answer, batch))
    }
}
