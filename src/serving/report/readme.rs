//! The output folder's `README.md`: what each file is, what differs from the upstream tool, and how it is made again.

use std::fmt::Write;

use super::Findings;
use super::page::command;

const FILES: &str = "
| file | what it is |
|---|---|
| `report/README.md` | The model card: ingestion speed, speed with 10 parallel requests, tokens of the KV cache, thresholds, graphs, parameters |
| `report/report.html` | All of it as one page with charts that can be hovered and zoomed; it needs no network |
| `report/parameters.json` | The parameters that all benchmarks share, and the GPU's name (`gpu_name`) |
| `report/prompt_ingestion_graph.png` | Time to first token against the prompt's length, and the line fitted to it; its slope is the speed |
| `report/data/prompt_ingestion_graph_data.json` | `fit_coefficients` (seconds a token, seconds beside them), `prompt_lengths`, `times_to_first_token` (s) of the points of the last fit |
| `report/total_speed_generation_graph.png` | Tokens per second of all parallel requests together, a line a pair of lengths |
| `report/data/total_speed_generation_graph_data.json` | What it is drawn from, a pair an entry |
| `report/thresholds.csv` | For each pair of lengths: the largest number of parallel requests whose median speed is at least the threshold, and the largest whose KV cache is used less than 95% |
| `report/speed_generation/speed_generation_graph_input_I_output_O.png` | For prompts of about I and answers of O tokens: the speed of a request with and without what it waited, time to first token, most of the KV cache in use, against the number of parallel requests |
| `report/speed_generation/data/speed_generation_graph_data_input_I_output_O.json` | What it is drawn from, by the number of requests: median − 25th percentile, median, 75th percentile − median (tokens/s; s) |
| `report/kv_cache_profile/graph_kv_cache_profile_input_I_output_O.png` | KV cache in use, requests that run and wait, over time, while 1, 2, 3 … requests are sent at once |
| `raw_results` or `raw_results.zip` | The raw results that all of the above is made of: `prompt_ingestion_R.json`, `kv_cache_profile_input_I_output_O.json`, `generation_speed_input_I_output_O_nb_requests_N.json` |

Each picture is there as `.svg` too.

A raw result has `parameters`; `general_metrics` (maxima of the server's gauges, −1 where it has none; sums over its queries; `actual_total_time`, by the clock); `aggregated_metrics` (mean, median and percentiles of each figure of a query); `errored_queries`; `individual_query` for the prompt ingestion; `kv_cache_profile` for that; and `llmload`: pieces of the streams (`chunks`), queries that were under way at its end and given up (`dropped`; they are in no other figure), the time from the first query to the last (`span_s`), the tokens of the KV cache (`kv_cache_tokens`), the sampler's lateness and gaps (`sampler`), tokens by the server's counters and by the answers (`counters`), and the generator's verdict on itself (`verdict`). Times are in seconds, time stamps in seconds since 1970.
";

const DIFFERENCES: &str = "
The files have the names and keys of benchmark_llm_serving. What is different:

- `response_length` and all speeds count tokens as the server does; the other tool counts pieces of the stream, which may hold several tokens. `chunks` has their number.
- `times_to_first_token` of the ingestion's data belongs to `prompt_lengths`: points that the last fit leaves out are left out of both.
- The time to first token is drawn in milliseconds, as its axis says.
- The KV cache's threshold is 95% of it, here and there; the other tool's documentation says 100%.
- Both thresholds are the largest number of requests for which they hold, even when they do not for a smaller one; where that is so, it is said below.
- The data of the speed has `speed_without_waiting_time` beside the other speed, and the graphs show both.
- The tokens of the KV cache are drawn from what each query held at each look and the share that the server told then. Where a file has only its sums, they are the mean tokens of a query that counts × running requests ÷ share in use at the fullest look at which nothing waits; the other tool counts failed queries in the mean, and looks while answers are still growing.
- Total speeds take from the time what the smallest number of requests had around its queries; it need not be 1, and failed queries are no part of it.
- A query that timed out before its first token has no time to first token, and is left out of its statistics instead of counting as 0.
- What cannot be reckoned (no queries, no time, a line that does not rise) is left out and named; the other tool ends there.
- A picture's SVG, `report.html` and `llmload` in the raw results are this tool's own.
";

/// The text.
pub(super) fn readme(findings: &Findings<'_>) -> String {
    let mut text = format!(
        "# Benchmarks of {} on {}\n\nMade by `llmload bench-suite`. `llmload report DIR` draws everything below `report` again from the raw results in the folder `DIR`, or in its `raw_results.zip`.\n\n## Files\n",
        findings.model(),
        findings.gpu()
    );
    text.push_str(FILES);
    text.push_str("\n## Differences from the upstream tool\n");
    text.push_str(DIFFERENCES);
    breaks(findings, &mut text);
    dropped(findings, &mut text);
    if !findings.left_out.is_empty() {
        text.push_str("\n## Left out\n\n");
        for what in &findings.left_out {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "- {what}");
        }
    }
    if let Some(settings) = findings.settings {
        let command = command(findings, settings);
        let _ = write!(text, "\n## The same suite again\n\n```sh\n{command}\n```\n");
    }
    text
}

/// Where a threshold holds for a number of requests and not for a smaller one.
fn breaks(findings: &Findings<'_>, text: &mut String) {
    let mut lines = Vec::new();
    for pair in &findings.pairs {
        let both = [("speed", Some(pair.speed)), ("KV cache", pair.cache)];
        for (name, threshold) in both {
            let Some(it) = threshold.filter(|it| it.largest != it.unbroken) else {
                continue;
            };
            let (input, output, largest, unbroken) =
                (pair.input, pair.output, it.largest, it.unbroken);
            lines.push(format!(
                "- input length {input}, output length {output}, by the {name}: {largest}, but without a break only up to {unbroken}\n"
            ));
        }
    }
    if !lines.is_empty() {
        text.push_str("\nThresholds that a smaller number of requests does not meet:\n\n");
        text.push_str(&lines.concat());
    }
}

/// Queries that no file has.
fn dropped(findings: &Findings<'_>, text: &mut String) {
    let of = findings
        .trust
        .iter()
        .filter(|(_, beside)| beside.dropped > 0);
    let lines: Vec<String> = of
        .map(|(bench, beside)| format!("- `{}`: {}\n", bench.file(), beside.dropped))
        .collect();
    if !lines.is_empty() {
        text.push_str(
            "\nQueries that were under way when a benchmark's time was over, and given up; they are in no figure:\n\n",
        );
        text.push_str(&lines.concat());
    }
}
