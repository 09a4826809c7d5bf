//! The suite's page: the figures that tell most, all charts, the tables behind them, how far the measurements can be trusted,
//! and what reproduces them. HTML is made of it elsewhere.

use crate::domain::shell_word;
use crate::page::{Block, Column, Fact, Level, Notice, Page, Section, Table, text};
use crate::serving::SuiteSettings;
use crate::serving::words::{figure, list, millis, percent, thousands};

use super::profile::Way;
use super::{Findings, card, charts};

pub(super) fn page(findings: &Findings<'_>) -> Page {
    let sections = [
        ("Prompt ingestion", ingestion(findings)),
        ("Total generation speed", totals(findings)),
        ("Generation speed and latency", speeds(findings)),
        ("KV cache", caches(findings)),
        ("How it was measured", trust(findings)),
        ("Left out", left_out(findings)),
        ("Parameters", parameters(findings)),
    ];
    let section = |(heading, blocks): (&str, Vec<Block>)| Section {
        heading: heading.to_owned(),
        blocks,
    };
    let told = sections
        .into_iter()
        .filter(|(_, blocks)| !blocks.is_empty());
    Page {
        title: format!("Bench suite of {}", findings.model()),
        subtitle: subtitle(findings),
        notices: notices(findings),
        facts: facts(findings),
        sections: told.map(section).collect(),
        made_by: format!("llmload {}", env!("CARGO_PKG_VERSION")),
    }
}

fn subtitle(findings: &Findings<'_>) -> String {
    let mut words = vec![format!("on {}", findings.gpu())];
    let names = [
        ("backend", "backend "),
        ("suite_id", ""),
        ("happy_vllm_version", "happy_vllm "),
        ("vllm_version", "vLLM "),
    ];
    for (key, before) in names {
        words.extend(
            findings
                .parameter(key)
                .map(|value| format!("{before}{value}")),
        );
    }
    words.join(" · ")
}

fn fact(name: &str, value: String, unit: &str, note: String) -> Fact {
    Fact {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        note,
    }
}

fn facts(findings: &Findings<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(found) = &findings.ingestion
        && let Some(speed) = found.speed()
    {
        let note = format!("and {} ms beside the reading", millis(found.rest_s()));
        facts.push(fact("Prompt ingestion", figure(speed), "tokens/s", note));
    }
    if let Some((pair, level)) = card::nearest(findings) {
        let (input, output) = (pair.input, pair.output);
        let name = match level.parallel {
            1 => "Speed of one request".to_owned(),
            parallel => format!("Speed at {parallel} parallel requests"),
        };
        let note = format!("median of a request, prompts of {input}, answers of {output} tokens");
        facts.push(fact(&name, figure(level.speed.median), "tokens/s", note));
    }
    let sums = findings
        .totals
        .iter()
        .flat_map(|total| total.levels.iter().map(move |sum| (total, sum)));
    if let Some((total, sum)) = sums.max_by(|a, b| a.1.speed.total_cmp(&b.1.speed)) {
        let note = format!(
            "prompts of {}, answers of {} tokens, {} parallel",
            total.input, total.output, sum.parallel
        );
        facts.push(fact(
            "Most for all together",
            figure(sum.speed),
            "tokens/s",
            note,
        ));
    }
    if let Some(capacity) = findings.capacity {
        let note = match capacity.way {
            Way::Held => "from what the queries held at each look",
            Way::Fullest => "from the mean query at the fullest look",
        };
        facts.push(fact(
            "KV cache",
            thousands(capacity.tokens),
            "tokens",
            note.to_owned(),
        ));
    }
    facts
}

/// What must be said first: figures whose generator or sampler could not keep up, and counters that say something else.
fn notices(findings: &Findings<'_>) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (word, level) in [("INVALID", Level::Bad), ("STRAINED", Level::Warning)] {
        let files: Vec<String> = findings
            .trust
            .iter()
            .filter(|(_, beside)| beside.verdict.as_ref().is_some_and(|it| it.word == word))
            .map(|(bench, _)| bench.file())
            .collect();
        if !files.is_empty() {
            let text = format!("The generator says so of {}.", some(&files));
            notices.push(notice(level, word, text));
        }
    }
    let apart: Vec<String> = findings
        .trust
        .iter()
        .filter(|(_, beside)| {
            beside
                .counters
                .as_ref()
                .is_some_and(|it| it.agree == Some(false))
        })
        .map(|(bench, _)| bench.file())
        .collect();
    if !apart.is_empty() {
        let text = format!(
            "The server's counters are not the sums of its answers in {}: others used it too, or answers were lost.",
            some(&apart)
        );
        notices.push(notice(Level::Warning, "COUNTERS DIFFER", text));
    }
    if !findings.left_out.is_empty() {
        let text = match findings.left_out.len() {
            1 => "One thing is left out of this report; it is named below.".to_owned(),
            many => format!("{many} things are left out of this report; they are named below."),
        };
        notices.push(notice(Level::Note, "INCOMPLETE", text));
    }
    notices
}

fn notice(level: Level, word: &str, text: String) -> Notice {
    Notice {
        level,
        word: word.to_owned(),
        text,
    }
}

/// The first three, and how many more.
fn some(files: &[String]) -> String {
    let first = files.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match files.len() {
        0..=3 => first,
        many => format!("{first} and {} more", many - 3),
    }
}

fn table(title: &str, columns: &[(&str, bool)], rows: Vec<Vec<String>>) -> Block {
    let column = |(name, is_number): &(&str, bool)| Column {
        name: (*name).to_owned(),
        is_number: *is_number,
    };
    Block::Table(Table {
        title: title.to_owned(),
        columns: columns.iter().map(column).collect(),
        rows,
    })
}

fn ingestion(findings: &Findings<'_>) -> Vec<Block> {
    let Some(found) = &findings.ingestion else {
        return Vec::new();
    };
    let told = format!(
        "A line is fitted to the time to the first token against the prompt's length; points more than 5% off it are left out ({} of {}), and it is fitted again. The speed is 1 ÷ its slope.",
        found.dropped.len(),
        found.dropped.len() + found.points.len()
    );
    vec![text(told), Block::Chart(charts::ingestion(found))]
}

fn totals(findings: &Findings<'_>) -> Vec<Block> {
    if findings.totals.is_empty() {
        return Vec::new();
    }
    let rows = findings.totals.iter().flat_map(|total| {
        total.levels.iter().map(|sum| {
            vec![
                format!("input {}, output {}", total.input, total.output),
                sum.parallel.to_string(),
                sum.tokens.to_string(),
                figure(sum.actual_total_time - total.overhead_s),
                figure(sum.speed),
            ]
        })
    });
    let columns = [
        ("Lengths", false),
        ("Parallel requests", true),
        ("Tokens", true),
        ("Time (s)", true),
        ("Tokens/s", true),
    ];
    let figures = table("Total generation speed", &columns, rows.collect());
    vec![
        text(
            "Tokens of all requests together by the time that they took, less what the smallest number of requests had around its queries.",
        ),
        Block::Chart(charts::totals(&findings.totals)),
        Block::Folded {
            title: "The figures".to_owned(),
            blocks: vec![figures],
        },
    ]
}

fn speeds(findings: &Findings<'_>) -> Vec<Block> {
    if findings.pairs.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![thresholds(findings)];
    for pair in &findings.pairs {
        let rows = pair.levels.iter().map(|level| {
            let cache = level.cache.map_or_else(String::new, percent);
            vec![
                level.parallel.to_string(),
                level.queries.to_string(),
                figure(level.speed.low),
                figure(level.speed.median),
                figure(level.speed.high),
                figure(level.without_waiting.median),
                millis(level.ttft.median),
                cache,
            ]
        });
        let columns = [
            ("Parallel requests", true),
            ("Queries", true),
            ("Speed p25 (tokens/s)", true),
            ("median", true),
            ("p75", true),
            ("without waiting, median", true),
            ("TTFT median (ms)", true),
            ("Max KV cache", true),
        ];
        let title = format!("Input length {}, output length {}", pair.input, pair.output);
        blocks.push(Block::Chart(charts::speed(pair, findings.speed_threshold)));
        blocks.push(Block::Folded {
            title: format!("The figures: {}", title.to_lowercase()),
            blocks: vec![table(&title, &columns, rows.collect())],
        });
    }
    blocks
}

fn thresholds(findings: &Findings<'_>) -> Block {
    let rows = findings.pairs.iter().map(|pair| {
        let told = |of: fn(super::speed::Threshold) -> u32| {
            pair.cache
                .map_or_else(|| "not told".to_owned(), |it| of(it).to_string())
        };
        vec![
            format!("input {}, output {}", pair.input, pair.output),
            pair.speed.largest.to_string(),
            pair.speed.unbroken.to_string(),
            told(|it| it.largest),
            told(|it| it.unbroken),
        ]
    });
    let speed = format!(
        "Median of {} tokens/s or more",
        figure(findings.speed_threshold)
    );
    let columns = [
        ("Lengths", false),
        (speed.as_str(), true),
        ("without a break up to", true),
        ("KV cache below 95%", true),
        ("without a break up to", true),
    ];
    table(
        "The largest number of parallel requests",
        &columns,
        rows.collect(),
    )
}

fn caches(findings: &Findings<'_>) -> Vec<Block> {
    if findings.profiles.is_empty() {
        return Vec::new();
    }
    let rows = findings.profiles.iter().map(|found| {
        let tokens = found
            .tokens
            .map_or_else(|| "not known".to_owned(), |it| thousands(it.0));
        let way = found.tokens.map_or("", |it| match it.1 {
            Way::Held => "what the queries held at each look",
            Way::Fullest => "the mean query at the fullest look",
        });
        vec![
            format!("input {}, output {}", found.input, found.output),
            percent(found.fullest),
            tokens,
            way.to_owned(),
        ]
    });
    let columns = [
        ("Lengths", false),
        ("Most in use", true),
        ("Tokens of the cache", true),
        ("drawn from", false),
    ];
    let mut blocks = vec![table(
        "The cache, by each profile",
        &columns,
        rows.collect(),
    )];
    let drawn = findings
        .profiles
        .iter()
        .map(|found| Block::Chart(charts::profile(found)));
    blocks.extend(drawn);
    blocks
}

fn trust(findings: &Findings<'_>) -> Vec<Block> {
    let rows = findings.trust.iter().map(|(bench, beside)| {
        let verdict = beside.verdict.clone().unwrap_or_default();
        let sampler = beside.sampler.clone().unwrap_or_default();
        let counters = beside.counters.clone().unwrap_or_default();
        let agree = match (counters.agree, counters.undecided.as_str()) {
            (Some(true), _) => "equal",
            (Some(false), _) => "differ",
            (None, "") => "not told",
            (None, why) => why,
        };
        let mut words = vec![verdict.word];
        words.extend(verdict.reasons);
        vec![
            bench.file(),
            words.join(": "),
            sampler.looks.to_string(),
            millis(sampler.lateness_p99_s),
            sampler.skipped.to_string(),
            sampler.failed.to_string(),
            agree.to_owned(),
            beside.dropped.to_string(),
        ]
    });
    let columns = [
        ("File", false),
        ("Generator", false),
        ("Looks at the server", true),
        ("late by, p99 (ms)", true),
        ("skipped", true),
        ("failed", true),
        ("Server's token counters", false),
        ("given up at the end", true),
    ];
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return Vec::new();
    }
    vec![
        text(
            "What the generator says of itself, how well the server's metrics could be looked at, whether its counters are the sums of its answers, and how many queries were given up at the end: those are in no figure.",
        ),
        Block::Folded {
            title: "File by file".to_owned(),
            blocks: vec![table("Each benchmark", &columns, rows)],
        },
    ]
}

fn left_out(findings: &Findings<'_>) -> Vec<Block> {
    findings.left_out.iter().map(text).collect()
}

fn parameters(findings: &Findings<'_>) -> Vec<Block> {
    let rows = findings.parameters.iter();
    let rows = rows.map(|(key, value)| vec![key.clone(), card::shown(value)]);
    let columns = [("Parameter", false), ("Value", false)];
    let mut blocks = vec![table("What all benchmarks share", &columns, rows.collect())];
    if let Some(settings) = findings.settings {
        blocks.push(Block::Code {
            title: "The same suite again".to_owned(),
            text: command(findings, settings),
        });
    }
    blocks
}

/// The command that runs such a suite. Where the server is, and what opens it, is nobody's but the user's.
pub(super) fn command(findings: &Findings<'_>, settings: &SuiteSettings) -> String {
    let mut lines = vec!["llmload bench-suite --base-url \"$BASE_URL\"".to_owned()];
    let mut option = |name: &str, value: String| lines.push(format!("--{name} {value}"));
    if let Some(model) = findings.parameter("model") {
        option("model", shell_word(model));
    }
    option("backend", shell_word(&settings.backend));
    if let Some(gpu) = &settings.gpu_name {
        option("gpu-name", shell_word(gpu));
    }
    option("input-lengths", list(&settings.input_lengths));
    option("output-lengths", list(&settings.output_lengths));
    option("parallel-requests", list(&settings.parallel_requests));
    option("repeats", settings.repeats.to_string());
    option("max-queries", settings.max_queries.to_string());
    for (name, value) in [
        (
            "max-duration-prompt-ingestion",
            settings.max_duration_prompt_ingestion,
        ),
        (
            "max-duration-kv-cache-profile",
            settings.max_duration_kv_cache_profile,
        ),
        (
            "max-duration-speed-generation",
            settings.max_duration_speed_generation,
        ),
        (
            "min-duration-speed-generation",
            settings.min_duration_speed_generation,
        ),
        ("step-live-metrics", settings.step_live_metrics),
        ("speed-threshold", settings.speed_threshold),
    ] {
        option(name, value.to_string());
    }
    let target = settings.target_queries_nb_speed_generation;
    option("target-queries-nb-speed-generation", target.to_string());
    let fewest = settings.min_number_of_valid_queries;
    option("min-number-of-valid-queries", fewest.to_string());
    option("seed", settings.seed.to_string());
    if settings.quick {
        lines.push("--quick".to_owned());
    }
    lines.extend(settings.asked_with.iter().cloned());
    lines.join(" \\\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::Bench;

    #[test]
    fn many_files_are_told_by_the_first_three() {
        let files = |n: u32| {
            let file = |repeat| Bench::PromptIngestion { repeat }.file();
            some(&(0..n).map(file).collect::<Vec<_>>())
        };
        assert_eq!(files(1), "prompt_ingestion_0.json");
        assert!(files(5).ends_with("prompt_ingestion_2.json and 2 more"));
    }
}
