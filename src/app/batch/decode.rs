//! `llmload gen`: how long one forward pass of the model takes, by sequence length and batch size.

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{SharedArgs, six};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::batch::{
    Drawn, Named, PairError, Prompts, Quantity, Table, batch_sizes, doubling, forward_passes,
    parse_lengths, parse_pairs,
};

/// Options of `gen`.
#[derive(Clone, Debug, Args)]
pub(in crate::app) struct GenArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// Exactly these sequence lengths and batch sizes: 2000:1,2000:8
    #[arg(short = 'p', long, value_name = "S:B,...", conflicts_with_all = ["seq_lens", "min_seq_len", "max_seq_len", "min_batch_size", "max_batch_size"])]
    seq_batch_pairs: Option<String>,
    /// These sequence lengths, each with all batch sizes
    #[arg(short, long, value_name = "S,...", conflicts_with_all = ["min_seq_len", "max_seq_len"])]
    seq_lens: Option<String>,
    /// Shortest sequence in tokens; the others double it
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    min_seq_len: u32,
    /// Largest batch
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    max_batch_size: u32,
    /// Smallest batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    min_batch_size: u32,
    /// Leave out what needs more entries of the key-value cache than this
    #[arg(long, value_name = "N")]
    max_kv_cache_entries: Option<u64>,
    /// Output tokens of each answer
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Sampling temperature; absent: the server's own
    #[arg(long, value_name = "F")]
    temperature: Option<f64>,
}

const LENGTH: Named<'_> = Named {
    value: Quantity::Of("seq_len"),
    name: "sequence length",
    unit: "tokens",
};
const SIZE: Named<'_> = Named {
    value: Quantity::Of("batch_size"),
    name: "batch of",
    unit: "",
};
const TIME: Named<'_> = Named {
    value: Quantity::Of("latency_per_forward"),
    name: "time of a forward pass",
    unit: "s",
};
/// What its page shows.
const DRAWN: [Drawn<'_>; 2] = [
    Drawn {
        title: "Time of a forward pass by batch size",
        x: Named {
            name: "batch size",
            ..SIZE
        },
        y: TIME,
        by: LENGTH,
    },
    Drawn {
        title: "Time of a forward pass by sequence length",
        x: LENGTH,
        y: TIME,
        by: SIZE,
    },
];

/// More answers than any server gives at once.
const LARGEST_BATCH: u32 = 65_536;

/// One run of the benchmark.
struct Bench<'a> {
    args: &'a GenArgs,
    server: &'a Server,
    prompts: &'a Prompts,
    /// The fewest output tokens that the server takes: 0, or 1.
    fewest: u32,
    /// Whether the server tells no times of its own.
    by_the_client: bool,
}

/// Runs the benchmark and prints its table.
pub(in crate::app) async fn decode(args: GenArgs, command: &str) -> Result<u8, Failure> {
    args.shared.check_page()?;
    let prompts = args.shared.prompts()?;
    let server = Server::meet(&args.shared).await?;
    let pairs = pairs(&args, server.longest)?;
    if let Some(&(length, batch)) = pairs
        .iter()
        .find(|pair| pair.0 < prompts.least().saturating_add(args.max_tokens))
    {
        let error = anyhow!(
            "a sequence of {length} tokens (batch {batch}) has no room for a prompt and {} output tokens",
            args.max_tokens
        );
        return Err(Failure::usage(error).hint("a longer sequence, or a smaller --max-tokens"));
    }
    let mut bench = Bench {
        args: &args,
        server: &server,
        prompts: &prompts,
        fewest: 0,
        by_the_client: false,
    };
    let mut table = Table::new(&["seq_len", "batch_size", "latency_per_forward"]);
    if args.shared.workers() > 1 {
        server
            .warm_up_workers(&prompts.in_order(prompts.least() + 8))
            .await?;
    }
    let mut warmed = None;
    for (number, &(length, batch)) in pairs.iter().enumerate() {
        if warmed != Some(length) {
            bench.warm(length).await?;
            warmed = Some(length);
        }
        let latency = bench.measure(length, batch).await?;
        tracing::info!(
            "{} of {}: {length} tokens, batch {batch}: {} s a forward pass",
            number + 1,
            pairs.len(),
            six(latency)
        );
        table.add(vec![length.to_string(), batch.to_string(), six(latency)]);
    }
    if bench.by_the_client {
        tracing::warn!(
            "the server tells no times of its own (fireworks-generation-duration): these are the client's, \
             the time of an answer less that of one token, by forward pass"
        );
    }
    Console::default().print(&table.render(args.shared.format));
    let title = "Time of a forward pass";
    args.shared.write_page(
        (title, &server.about()),
        &[(title, &table)],
        &DRAWN,
        command,
    )?;
    Ok(status::OK)
}

/// What is tried, the longest and largest first: what does not fit is found at once.
fn pairs(args: &GenArgs, served: Option<u32>) -> Result<Vec<(u32, u32)>, Failure> {
    let wrong = |error: PairError| Failure::usage(error).hint("-p 2000:1,2000:8 or -s 1000,2000");
    if args.min_batch_size > args.max_batch_size {
        let error = anyhow!(
            "--min-batch-size {} is above --max-batch-size {}",
            args.min_batch_size,
            args.max_batch_size
        );
        return Err(Failure::usage(error).hint("raise the second"));
    }
    let mut pairs = match (&args.seq_batch_pairs, &args.seq_lens) {
        (Some(pairs), _) => parse_pairs(pairs).map_err(wrong)?,
        (None, lengths) => {
            let lengths = match lengths {
                Some(lengths) => parse_lengths(lengths).map_err(wrong)?,
                None => doubling(args.min_seq_len, args.shared.longest(served)?),
            };
            let sizes = batch_sizes(args.min_batch_size, args.max_batch_size);
            let with_sizes = |length| {
                sizes
                    .iter()
                    .map(move |&size| (length, size))
                    .collect::<Vec<_>>()
            };
            lengths.into_iter().flat_map(with_sizes).collect()
        }
    };
    let entries = |&(length, batch): &(u32, u32)| {
        (u64::from(length) + u64::from(args.max_tokens)) * u64::from(batch)
    };
    pairs.retain(|pair| {
        args.max_kv_cache_entries
            .is_none_or(|most| entries(pair) <= most)
    });
    if let Some(&(_, batch)) = pairs
        .iter()
        .find(|pair| !(1..=LARGEST_BATCH).contains(&pair.1))
    {
        let error = anyhow!("a batch of {batch} cannot be sent");
        return Err(Failure::usage(error).hint(format!("1 to {LARGEST_BATCH}")));
    }
    pairs.sort_unstable_by(|one, other| other.cmp(one));
    pairs.dedup();
    if pairs.is_empty() {
        let error = anyhow!("no sequence length and batch size is left to try");
        return Err(Failure::usage(error)
            .hint("--min-seq-len, --max-seq-len and --max-kv-cache-entries say which there are"));
    }
    Ok(pairs)
}

impl Bench<'_> {
    fn body(&self, prompt: &[u32], max_tokens: u32, more: &Value) -> Value {
        let mut body = json!({"model": self.server.model, "prompt": prompt, "max_tokens": max_tokens, "stream": false});
        if let Some(temperature) = self.args.temperature {
            body["temperature"] = json!(temperature);
        }
        for extra in [&self.server.full_length(max_tokens), more] {
            if let (Value::Object(body), Value::Object(extra)) = (&mut body, extra) {
                body.extend(extra.clone());
            }
        }
        body
    }

    fn prompt(&self, length: u32) -> Vec<u32> {
        self.prompts.in_order(length - self.args.max_tokens)
    }

    /// Has the prompt put into the server's cache.
    async fn warm(&mut self, length: u32) -> Result<Answer, Failure> {
        let prompt = self.prompt(length);
        loop {
            let body = self.body(&prompt, self.fewest, &json!({}));
            let answer = if self.fewest == 0 {
                // Whatever the server says to it, it need not be asked again.
                self.server.try_once(&body, None).await
            } else {
                self.server.complete(&body, None).await?
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(words) if self.fewest == 0 => {
                    tracing::debug!("no request for 0 tokens: {words}");
                    self.fewest = 1;
                }
                Err(words) => return Err(Failure::failed(anyhow!("{words}"))),
            }
        }
    }

    /// Seconds of one forward pass; `None` where nothing tells how many there were.
    async fn measure(&mut self, length: u32, batch: u32) -> Result<Option<f64>, Failure> {
        let prompt = self.prompt(length);
        let answer = self.send(&prompt, batch, self.args.max_tokens).await?;
        let Some(passes) = forward_passes(&answer.figures, batch) else {
            return Ok(None);
        };
        #[expect(clippy::cast_precision_loss, reason = "passes are few")]
        let per_pass = |seconds: f64, passes: u64| Some(seconds / passes as f64);
        if let Some(generation) = answer.figures.durations.generation {
            return Ok(per_pass(generation, passes));
        }
        self.by_the_client = true;
        if passes < 2 {
            return Ok(None);
        }
        // The prompt is in the cache: what one token costs is all but the other passes.
        let first = self.send(&prompt, batch, 1).await?;
        Ok(per_pass(
            (answer.client_s - first.client_s).max(0.0),
            passes - 1,
        ))
    }

    /// A batch: one request for many answers, or one for each of the workers' places.
    async fn send(&self, prompt: &[u32], batch: u32, max_tokens: u32) -> Result<Answer, Failure> {
        let answer = if self.args.shared.workers() > 1 {
            let body = |place: u32| {
                self.body(
                    prompt,
                    max_tokens,
                    &json!({"n": 1, "user": place.to_string()}),
                )
            };
            let bodies: Vec<Value> = (0..batch).map(body).collect();
            self.server.beside_each_other(&bodies).await?
        } else {
            let body = self.body(prompt, max_tokens, &json!({ "n": batch }));
            self.server.complete(&body, None).await?
        };
        answer.map_err(|words| Failure::failed(anyhow!("{words}")))
    }
}
