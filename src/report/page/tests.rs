//! What stands on the page of small runs.

use std::fmt::Write as _;

use super::*;
use crate::domain::{Keep, Offset, Outcome, Rate, Warning};
use crate::gauges::{Counters, Lateness, Look, Watched};
use crate::metrics::{Counts, Rules, Tally, Window};
use crate::page::{At, Chart};
use crate::report::sample::{self, Sample};
use crate::report::{Crowd, Load, LoadChange};

const SECOND: u64 = 1_000_000_000;
const COMMAND: &str = "llmload run --host http://127.0.0.1:8000 --api-key=\"$API_KEY\" --seed 1";

/// Two steps of 5 s, with what the sample's requests came to in the first of them.
fn history() -> History {
    let mut delta = Tally::default();
    for (due_ms, outcome) in [
        (0, Outcome::Ok),
        (200, Outcome::Ok),
        (400, Outcome::Ok),
        (600, Outcome::Http5xx),
    ] {
        let mut record = sample::record(due_ms);
        record.outcome = outcome;
        delta.record(&record, &Window::default(), &Rules::default());
    }
    delta.counts = Counts {
        scheduled: 4,
        sent: 4,
        ..Counts::default()
    };
    let mut history = History::default();
    let crowd = Crowd {
        users: 4,
        in_flight: 2,
        waiting: 1,
    };
    history.push(&delta, Offset::from_nanos(5 * SECOND), crowd);
    history.push(
        &Tally::default(),
        Offset::from_nanos(10 * SECOND),
        Crowd::default(),
    );
    history
}

fn answers() -> BTreeMap<Index, Answer> {
    let answer = |due_ms| {
        let record = sample::record(due_ms);
        (record.index, Answer::new(&record, Keep::Figures, None))
    };
    [0, 200, 400].into_iter().map(answer).collect()
}

fn made(sample: &Sample) -> Page {
    run_page(&sample.context(), &history(), &answers(), COMMAND)
}

/// Headings, notices, facts, and what stands below each heading, a line each.
fn skeleton(page: &Page) -> String {
    let mut text = format!("{} | {}\n", page.title, page.subtitle);
    for notice in &page.notices {
        let _ = writeln!(
            text,
            "! {:?} {}: {}",
            notice.level, notice.word, notice.text
        );
    }
    for fact in &page.facts {
        let _ = writeln!(
            text,
            "= {}: {} {} ({})",
            fact.name, fact.value, fact.unit, fact.note
        );
    }
    for section in &page.sections {
        let _ = writeln!(text, "# {}", section.heading);
        section
            .blocks
            .iter()
            .for_each(|block| outlined(&mut text, block));
    }
    text
}

fn outlined(text: &mut String, block: &Block) {
    let _ = match block {
        Block::Text { text: words } => writeln!(text, "  {words}"),
        Block::Table(table) => writeln!(text, "  table {}: {} rows", table.title, table.rows.len()),
        Block::Chart(chart) => {
            let names: Vec<_> = chart
                .series
                .iter()
                .map(|series| series.name.as_str())
                .collect();
            writeln!(
                text,
                "  chart {} [{}]: {}",
                chart.title,
                names.join(", "),
                chart.summary
            )
        }
        Block::Code { title, .. } => writeln!(text, "  code {title}"),
        Block::Folded { title, blocks } => {
            writeln!(text, "  folded {title}: {} blocks", blocks.len())
        }
    };
}

fn charts(page: &Page) -> Vec<&Chart> {
    let blocks = page.sections.iter().flat_map(|section| &section.blocks);
    blocks
        .filter_map(|block| match block {
            Block::Chart(chart) => Some(chart),
            _ => None,
        })
        .collect()
}

#[test]
fn the_page_of_an_open_loop_says_all_that_the_console_says() {
    insta::assert_snapshot!(skeleton(&made(&sample::open())), @r#"
    m | POST /v1/chat/completions at http://127.0.0.1:8000 (openai), 2 requests/s (constant), begun at 2026-01-02T03:04:05Z
    ! Good OK: the generator is not to be seen in the figures
    = requests: 4  (in a window of 10.0 s)
    = good: 3  ()
    = failed: 25.00%  (1 of 4)
    = sent: 0.4 requests/s (asked for: 2 requests/s (constant))
    = time to first token, p50: 10 ms (p95 ~10, p99 ~10)
    = time per output token, p50: 10 ms (p95 ~10, p99 ~10)
    = total latency, p50: 42 ms (p95 ~42, p99 ~42)
    = output: 1.2 tokens/s (12 tokens of good requests)
    # Summary
      table Figures of good requests, times in ms: 21 rows
      ~ too few samples for this percentile: fewer than one is expected beyond it
      table Accounts: 9 rows
      folded The closing block of the console: 1 blocks
    # Latency
      chart Time to first token [values]: Time to first token of 3 values: from 10 to 10 ms, p50 10 ms, p95 10 ms, p99 10 ms.
      chart Inter-token latency [values]: Inter-token latency of 9 values: from 10 to 10 ms, p50 10 ms, p95 10 ms, p99 10 ms.
      chart Time per output token [values]: Time per output token of 3 values: from 10 to 10 ms, p50 10 ms, p95 10 ms, p99 10 ms.
      chart Total latency [values]: Total latency of 3 values: from 42 to 42 ms, p50 42 ms, p95 42 ms, p99 42 ms.
      chart Latencies by percentile [Time to first token, Inter-token latency, Time per output token, Total latency]: By percentile: time to first token 10 ms at 50%, 10 ms at 99%; inter-token latency 10 ms at 50%, 10 ms at 99%; time per output token 10 ms at 50%, 10 ms at 99%; total latency 42 ms at 50%, 42 ms at 99%.
    # Over time
      2 steps of up to 5.0 s, each drawn at its end. A request counts in the step in which it ended, with its tokens; requests before the measured window are drawn too.
      chart Requests per second [asked for, sent, answered, failed]: 4 requests sent, 3 answered, 1 failed over the whole run; at most 0.8 sent and 0.6 answered per second.
      chart Users and requests [at most in flight, in flight, waiting for a free user]: Up to 4 users, 2 requests in flight and 1 waiting at the ends of steps.
      chart Tokens per second [output tokens, prompt tokens]: At most 60 prompt tokens per second and 2.4 output tokens per second; 1.2 output tokens per second in the measured window.
      chart Time to first token over time [p50, largest]: The median of a step is from 10 to 10 ms, the largest value of all 10 ms. Steps with too few requests for a percentile have none.
      chart Time per output token over time [p50, largest]: The median of a step is from 10 to 10 ms, the largest value of all 10 ms. Steps with too few requests for a percentile have none.
      chart Total latency over time [p50, largest]: The median of a step is from 42 to 42 ms, the largest value of all 42 ms. Steps with too few requests for a percentile have none.
    # Length of prompts
      3 of the 3 good requests of the run (100.00%) are drawn, chosen by their numbers alone; medians are of the 3 that were kept one by one.
      chart Time to first token by length of the prompt [requests, median]: The median time to first token is 10 ms at about 100 tokens.
    # Errors
      1 of 4 requests failed over the whole run, its ramp and warm-up included.
      table Failures by kind: 1 rows
      chart Failures per second [http_5xx]: 1 failure, in 1 of 2 steps of the run.
    # Can these figures be trusted?
      asked for 2 requests/s (constant), sent 0.40/s
      send delay p50 0.000 ms, p99 ~0.000 ms, max 0.000 ms
      receive lag p50 0.020 ms, p99 ~0.020 ms, max 0.020 ms
      stamps: the kernel's for 12 of 12 reads (100.00%)
      1 of 9 content events (11.11%) share the stamp of a later one that the same read returned
      cores: 2, the busiest of them (1) busy for 35.0% of 9.0 s: running 25.0%, waiting for a processor 10.0%
      the machine's processors: 0.4% of their time stolen, 2596 to 2600 MHz
      verdict: OK
      3 good requests are too few for these percentiles: 75% 80% 90% 95% 98% 99% 99.9% 99.99%
      chart The generator over time [send delay, p99]: The worst step's p99: send delay 0 ms, lag unknown; all sending cores together were busy for up to an unknown share of a step.
      table Sending cores: 2 rows
      table Workers: 2 rows
    # Settings
      code This command line sends the same requests again; what is secret comes from the environment: each $NAME is a variable to set before
      table The run: 11 rows
      folded The whole plan, as its workers had it: 1 blocks
      no --run-time: stopped by hand
    "#);
}

#[test]
fn the_page_of_vectors_has_nothing_of_tokens_that_are_not_there() {
    let mut sample = sample::embeddings();
    sample.workers.clear();
    let page = run_page(&sample.context(), &History::default(), &BTreeMap::new(), "");
    insta::assert_snapshot!(skeleton(&page), @r#"
    m | POST /v1/chat/completions at http://127.0.0.1:8000 (openai), 4 users, begun at 2026-01-02T03:04:05Z
    ! Good OK: the generator is not to be seen in the figures
    = requests: 4  (in a window of 10.0 s)
    = good: 4  ()
    = failed: 0.00%  (0 of 4)
    = sent: 0.4 requests/s ()
    = total latency, p50: 42 ms (p95 ~42, p99 ~42)
    # Summary
      table Figures of good requests, times in ms: 8 rows
      ~ too few samples for this percentile: fewer than one is expected beyond it
      table Accounts: 6 rows
      folded The closing block of the console: 1 blocks
    # Latency
      chart Total latency [values]: Total latency of 4 values: from 20 to 42 ms, p50 42 ms, p95 42 ms, p99 42 ms.
      chart Latencies by percentile [Total latency]: By percentile: total latency 42 ms at 50%, 42 ms at 99%.
    # Errors
      No request failed.
    # Can these figures be trusted?
      sent 0.40 requests/s
      send delay p50 0.000 ms, p99 ~0.000 ms, max 0.000 ms
      stamps: the kernel's for 12 of 12 reads (100.00%)
      1 of 9 content events (11.11%) share the stamp of a later one that the same read returned
      cores: 2, the busiest of them (1) busy for 35.0% of 9.0 s: running 25.0%, waiting for a processor 10.0%
      the machine's processors: 0.4% of their time stolen, 2596 to 2600 MHz
      verdict: OK
      4 good requests are too few for these percentiles: 80% 90% 95% 98% 99% 99.9% 99.99%
      table Sending cores: 2 rows
    # Settings
      table The run: 11 rows
      folded The whole plan, as its workers had it: 1 blocks
      no --run-time: stopped by hand
    "#);
}

#[test]
fn a_run_that_cannot_be_trusted_says_so_before_all_figures() {
    let mut sample = sample::with_objectives(&["latency<40.1ms"]);
    sample.summary.counts.late_cancelled = 3;
    sample.summary.ramp_included = true;
    sample.verdict = crate::metrics::judge(&sample.summary);
    let mut ctx = sample.context();
    ctx.failure = Some("1 of 4 requests failed");
    let page = run_page(&ctx, &history(), &answers(), COMMAND);
    let words: Vec<_> = page
        .notices
        .iter()
        .map(|notice| notice.word.as_str())
        .collect();
    assert_eq!(words, ["FAILED", "INVALID", "RAMP INCLUDED", "NOT MET"]);
    assert!(
        page.notices[1]
            .text
            .contains("3 of 4 requests came due and were never sent: all users were busy")
    );
    assert!(page.facts.iter().any(|fact| fact.name == "goodput"));
}

#[test]
fn charts_over_time_zoom_together_and_bear_what_was_changed() {
    let mut sample = sample::open();
    sample.changes = vec![LoadChange {
        from: Offset::from_nanos(3 * SECOND),
        load: Load {
            users: 20,
            spawn_rate: Rate::per_second(1),
            rate: None,
            paused: false,
        },
        workers: 2,
        is_other_load: true,
        is_other_number: false,
    }];
    let page = made(&sample);
    let grouped: Vec<_> = charts(&page)
        .into_iter()
        .filter(|chart| chart.group == "time")
        .collect();
    assert!(grouped.len() >= 7, "{}", grouped.len());
    for chart in grouped {
        let marks: Vec<_> = chart
            .marks
            .iter()
            .map(|mark| (mark.name.as_str(), mark.at))
            .collect();
        let want = [
            ("measured from here", At::X(0.0)),
            ("to here", At::X(10.0)),
            ("20 users", At::X(3.0)),
        ];
        assert_eq!(marks, want, "{}", chart.title);
    }
    let requests = charts(&page)
        .into_iter()
        .find(|chart| chart.title == "Requests per second")
        .unwrap();
    let sent: Vec<_> = requests.series[1]
        .points
        .iter()
        .map(|point| (point.x, point.y))
        .collect();
    assert_eq!(sent, [(5.0, Some(0.8)), (10.0, Some(0.0))]);
    assert!(
        page.notices
            .iter()
            .any(|notice| notice.word == "SEVERAL LOADS")
    );
}

#[test]
fn every_chart_is_in_words_and_has_its_axes() {
    for sample in [
        sample::open(),
        sample::closed(),
        sample::embeddings(),
        sample::conversations(),
    ] {
        let page = made(&sample);
        assert!(charts(&page).len() >= 6);
        for chart in charts(&page) {
            assert!(
                chart.summary.ends_with('.'),
                "{}: {}",
                chart.title,
                chart.summary
            );
            assert!(
                chart
                    .series
                    .iter()
                    .all(|series| series.axis < chart.y.len()),
                "{}",
                chart.title
            );
            let points = chart.series.iter().flat_map(|series| &series.points);
            assert!(
                points.into_iter().any(|point| point.y.is_some()),
                "{}",
                chart.title
            );
            assert!(
                chart
                    .series
                    .iter()
                    .all(|series| series.points.is_sorted_by_key(|point| point.x))
                    || chart.title.contains("prompt")
            );
        }
    }
}

#[test]
fn bars_hold_every_value_and_curves_end_where_values_do() {
    let page = made(&sample::open());
    let total = charts(&page)
        .into_iter()
        .find(|chart| chart.title == "Total latency")
        .unwrap();
    let drawn: f64 = total.series[0]
        .points
        .iter()
        .filter_map(|point| point.y)
        .sum();
    assert!((drawn - 3.0).abs() < f64::EPSILON, "{drawn}");
    assert_eq!(total.series[0].points.last().unwrap().y, None);
    let curves = charts(&page)
        .into_iter()
        .find(|chart| chart.title == "Latencies by percentile")
        .unwrap();
    let last = curves.series[0].points.last().unwrap();
    assert!(last.x <= 2.0 / 3.0 && last.x > 0.6, "{last:?}");
}

#[test]
fn the_servers_gauges_stand_on_the_time_of_the_run() {
    let mut sample = sample::open();
    let began = 1_767_323_045.0;
    let look = |at_s, running| Look {
        at_s,
        running: Some(running),
        waiting: None,
        cache: Some(0.25),
    };
    sample.watched = Some(Box::new(Watched {
        server: "vllm".to_owned(),
        step_s: 0.5,
        looks: vec![
            look(began - 2.0, 1.0),
            look(began - 1.0, 0.0),
            look(began + 2.0, 3.0),
        ],
        lateness: Lateness::default(),
        skipped: 2,
        failed: 1,
        failure: "connection refused".to_owned(),
        before: Counters {
            prompt_tokens: Some(100.0),
            output_tokens: None,
        },
        after: Counters {
            prompt_tokens: Some(400.0),
            output_tokens: None,
        },
    }));
    let page = made(&sample);
    let chart = charts(&page)
        .into_iter()
        .find(|chart| chart.title == "The server's own gauges")
        .unwrap();
    let running: Vec<_> = chart.series[0]
        .points
        .iter()
        .map(|point| (point.x.round(), point.y))
        .collect();
    // The last one before the run holds when it begins; no axis begins before it.
    assert_eq!(running, [(0.0, Some(0.0)), (2.0, Some(3.0))]);
    assert_eq!(
        chart.summary,
        "The server told of up to 3 requests at work, up to 25% of its cache in use."
    );
    let text = skeleton(&page);
    for words in [
        "2 looks were skipped",
        "1 look failed: connection refused.",
        "It counted 300 prompt tokens meanwhile.",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn what_no_step_knows_of_is_said() {
    let sample = sample::open();
    let mut short = History::default();
    short.push(
        &Tally::default(),
        Offset::from_nanos(SECOND),
        Crowd::default(),
    );
    let page = run_page(&sample.context(), &short, &BTreeMap::new(), "");
    assert!(skeleton(&page).contains("4 requests are in no step"));
    assert!(!skeleton(&made(&sample)).contains("in no step"));
}

#[test]
fn doubts_of_the_console_are_doubts_of_the_page() {
    let mut sample = sample::open();
    sample.summary.warnings.insert(Warning::UsersTooFew, 3);
    sample.plan.observe.answers = Some(Keep::Figures);
    let text = skeleton(&made(&sample));
    assert!(text.contains("3 x users_too_few"), "{text}");
}
