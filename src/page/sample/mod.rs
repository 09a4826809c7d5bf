//! A page with all that a page may have, and with what nobody expects in it, for tests here and in a browser.

mod odd;

use super::{
    At, Axis, Block, Chart, Column, Fact, Kind, Level, Mark, Notice, Page, Scale, Section, Series,
    Table,
};
use odd::{crowded, small, unusual};

/// Words that would do harm where they are not escaped.
pub(super) const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\"> & {{ 7 * 7 }} \u{2028} ]]>";
/// Ends of logarithmic axes whose difference, added to the first again, is a rounding less than the last, and more.
const LESS: [f64; 2] = [12.5, 1260.0];
const MORE: [f64; 2] = [10.5, 1260.0];
const LONG: &str =
    "meta-llama/Llama-3.1-405B-Instruct-FP8-dynamic-quantised-with-a-name-that-does-not-end";

/// The page.
pub(super) fn page() -> Page {
    Page {
        title: "llmload: chat completions at 40 users".to_owned(),
        subtitle: format!("http://127.0.0.1:8000 · {LONG} · 2026-11-22 21:34 UTC · 2 min"),
        notices: vec![
            notice(
                Level::Bad,
                "INVALID",
                "The generator was late for 3.1% of the requests: its cores were busy.",
            ),
            notice(
                Level::Warning,
                "Doubtful",
                "The server's clock moved by 80 ms during the run.",
            ),
            notice(
                Level::Note,
                "Note",
                "No server metrics: nothing answered at /metrics.",
            ),
            notice(
                Level::Good,
                "Valid",
                "The generator kept all of its promises.",
            ),
        ],
        facts: facts(),
        sections: vec![
            latency(),
            over_time(),
            lengths(),
            bars(),
            tables(),
            section(
                "Unusual <values> & names, and a heading that goes on for quite some time",
                unusual(),
            ),
            section("Crowded", crowded().into()),
            section("", vec![super::text("A section without a heading.")]),
        ],
        made_by: "llmload 0.1.0".to_owned(),
    }
}

fn notice(level: Level, word: &str, text: &str) -> Notice {
    Notice {
        level,
        word: word.to_owned(),
        text: text.to_owned(),
    }
}

fn facts() -> Vec<Fact> {
    let fact = |name: &str, value: &str, unit: &str, note: &str| Fact {
        name: name.to_owned(),
        value: value.to_owned(),
        unit: unit.to_owned(),
        note: note.to_owned(),
    };
    vec![
        fact("Requests", "12,480", "", "104 a second"),
        fact("Failed", "0.32", "%", "40 of them: 38 × 503, 2 time-outs"),
        fact("Time to first token, p99", "412.6", "ms", "p50 83.1 ms"),
        fact("Output throughput", "18,204", "tokens/s", ""),
        fact("Time per output token, p50", "12.35", "ms", "p99 19.2 ms"),
        fact("Cost", "–", "", HOSTILE),
    ]
}

fn section(heading: &str, blocks: Vec<Block>) -> Section {
    Section {
        heading: heading.to_owned(),
        blocks,
    }
}

fn axis(name: &str, unit: &str, scale: Scale) -> Axis {
    Axis {
        scale,
        ..super::axis(name, unit)
    }
}

fn series(
    name: &str,
    kind: Kind,
    axis: usize,
    points: impl IntoIterator<Item = (f64, f64)>,
) -> Series {
    let points = points.into_iter().map(|(x, y)| (x, Some(y)));
    super::on_axis(axis, super::series(name, kind, points))
}

fn mark(name: &str, at: At) -> Mark {
    Mark {
        name: name.to_owned(),
        at,
    }
}

/// From 0 to 1, always the same: a sum of waves that do not repeat.
fn wave(at: f64) -> f64 {
    let sum = (at * 12.9898).sin() + (at * 0.731).sin() * 0.5 + (at * 0.083).cos() * 0.5;
    (sum + 2.0) / 4.0
}

fn count_to(end: u32) -> impl Iterator<Item = f64> + Clone {
    (0..end).map(f64::from)
}

fn latency() -> Section {
    let shares = [
        0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0,
    ];
    let curve = move |scale: f64| {
        shares.map(move |share: f64| {
            (
                share,
                scale * (20.0 + 30.0 * -(1.0 - share).max(5e-5).log10()),
            )
        })
    };
    let percentiles = Chart {
        title: "Latencies by percentile".to_owned(),
        summary: "Half of the requests had their first token after 90 ms, 99 of 100 after 240 ms; the slowest took 450 ms.".to_owned(),
        x: axis("Percentile", "%", Scale::Percentile),
        y: vec![axis("Latency", "ms", Scale::Linear)],
        series: vec![
            series("Time to first token", Kind::Line, 0, curve(3.0)),
            series("Time per output token", Kind::Line, 0, curve(0.6)),
            series("Before the change", Kind::Dashed, 0, curve(2.4)),
        ],
        marks: vec![mark("objective: 400 ms", At::Y(400.0)), mark("p99", At::X(0.99))],
        group: String::new(),
    };
    section(
        "Latency",
        vec![
            super::text(
                "All latencies are of requests that were due in the window of measurement, failed ones left out.",
            ),
            Block::Chart(percentiles),
            histogram("time to first token", LESS),
            histogram("latency", MORE),
        ],
    )
}

fn histogram(of: &str, [first, last]: [f64; 2]) -> Block {
    let bars = count_to(60).map(|at| {
        let hill = |middle: f64, width: f64| (-((at - middle) / width).powi(2)).exp();
        let height = 600.0 * hill(24.0, 9.0) + 80.0 * hill(42.0, 4.0);
        (20.0 * 1.07_f64.powf(at), height.round())
    });
    Block::Chart(Chart {
        title: format!("Distribution of the {of}"),
        summary: "Most lie between 40 and 160 ms, with a second hill at 300 ms.".to_owned(),
        x: Axis {
            min: Some(first),
            max: Some(last),
            ..axis(of, "ms", Scale::Log)
        },
        y: vec![axis("Requests", "", Scale::Linear)],
        series: vec![series("Requests", Kind::Bars, 0, bars.chain([(last, 0.0)]))],
        ..Chart::default()
    })
}

fn over_time() -> Section {
    let time = || axis("Time", "s", Scale::Linear);
    let three = Chart {
        title: "Throughput, users and cache over time".to_owned(),
        summary:
            "Throughput follows the users up to 40 of them; the cache fills to 90% within a minute."
                .to_owned(),
        x: time(),
        y: vec![
            axis("Throughput", "tokens/s", Scale::Linear),
            axis("Users", "", Scale::Linear),
            Axis {
                min: Some(0.0),
                max: Some(100.0),
                ..axis("KV cache", "%", Scale::Linear)
            },
        ],
        series: vec![
            series(
                "Output tokens",
                Kind::Line,
                0,
                count_to(120).map(|at| {
                    (
                        at,
                        18_000.0 * (at / 30.0).min(1.0) * (0.85 + 0.15 * wave(at)),
                    )
                }),
            ),
            series(
                "Users",
                Kind::Steps,
                1,
                count_to(120).map(|at| (at, (at / 3.0).floor().min(40.0))),
            ),
            series(
                "KV cache",
                Kind::Dashed,
                2,
                count_to(120).map(|at| (at, 90.0 * (1.0 - (-at / 20.0).exp()))),
            ),
        ],
        marks: vec![mark("warm-up ends", At::X(30.0))],
        group: "time".to_owned(),
    };
    let mut band = series(
        "Time to first token, p50, with p25 to p75",
        Kind::Line,
        0,
        count_to(118).map(|at| (at, 60.0 + 60.0 * wave(at))),
    );
    for point in &mut band.points {
        point.spread = point.y.map(|y| (y * 0.7, y * 1.5));
        let is_missing = [50.0..58.0, 99.5..100.5, 101.5..102.5]
            .iter()
            .any(|gap| gap.contains(&point.x));
        if is_missing {
            (point.y, point.spread) = (None, None);
        }
    }
    let gaps = Chart {
        title: "Latency over time, with gaps".to_owned(),
        summary: "Between 60 and 120 ms all the time; no values between 50 and 58 s.".to_owned(),
        x: time(),
        y: vec![axis("Time to first token", "ms", Scale::Linear)],
        series: vec![band],
        marks: vec![mark("objective", At::Y(200.0))],
        group: "time".to_owned(),
    };
    section("Over time", vec![Block::Chart(three), Block::Chart(gaps)])
}

fn lengths() -> Section {
    let many = Chart {
        title: "Time to first token against prompt length".to_owned(),
        summary: "It grows evenly by 45 ms for each 1,000 tokens of the prompt.".to_owned(),
        x: axis("Prompt", "tokens", Scale::Linear),
        y: vec![axis("Time to first token", "ms", Scale::Log)],
        series: vec![
            series(
                "Requests",
                Kind::Points,
                0,
                count_to(10_000).map(|at| {
                    let length = 50.0 + (at * 0.8).floor();
                    (length, 20.0 + 0.045 * length * (0.6 + 0.8 * wave(at)))
                }),
            ),
            series("Fit", Kind::Dashed, 0, [(50.0, 22.0), (8_050.0, 382.0)]),
        ],
        marks: Vec::new(),
        group: String::new(),
    };
    let mut measured = series(
        "Speed of one query",
        Kind::Line,
        0,
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0].map(|n: f64| (n, 80.0 / n.powf(0.4))),
    );
    for point in &mut measured.points {
        point.spread = point.y.map(|y| (y - 4.0, y + 6.0));
    }
    let errors = Chart {
        title: "Speed by parallel queries, with standard deviations".to_owned(),
        summary: "From 80 tokens a second alone to 15 with 64 queries at once.".to_owned(),
        x: axis("Parallel queries", "", Scale::Log),
        y: vec![axis("Speed", "tokens/s", Scale::Linear)],
        series: vec![measured],
        marks: vec![mark("10 at once", At::X(10.0))],
        group: String::new(),
    };
    section("Lengths", vec![Block::Chart(many), Block::Chart(errors)])
}

fn bars() -> Section {
    let names = ["/v1/chat/completions", "/v1/completions", LONG, "/health"];
    let numbered = |values: [f64; 4]| (0_u32..).map(f64::from).zip(values);
    let named = |kinds: [Kind; 3]| Chart {
        title: format!("Errors by path ({:?})", kinds[1]),
        summary: "Most are 503 of the chat path.".to_owned(),
        x: axis("Path", "", Scale::Names(names.map(str::to_owned).to_vec())),
        y: vec![axis("Errors", "", Scale::Linear)],
        series: vec![
            series(
                "503 Service Unavailable",
                kinds[0],
                0,
                numbered([38.0, 4.0, 12.0, 0.0]),
            ),
            series("time-out", kinds[1], 0, numbered([2.0, 9.0, 3.0, 1.0])),
            series(
                "connection reset by peer",
                kinds[2],
                0,
                numbered([5.0, 0.0, 7.0, 2.0]),
            ),
        ],
        marks: Vec::new(),
        group: String::new(),
    };
    let mut spread = named([Kind::Bars, Kind::Bars, Kind::Bars]);
    for point in &mut spread.series[0].points {
        point.spread = point.y.map(|y| (y * 0.8, y * 1.1));
    }
    let stacked = Chart {
        title: "Requests under way by state".to_owned(),
        summary: "Waiting ones grow from the 40th second on.".to_owned(),
        x: axis("Time", "s", Scale::Linear),
        y: vec![axis("Requests", "", Scale::Linear)],
        series: vec![
            series(
                "running",
                Kind::Bars,
                0,
                count_to(90).map(|at| (at, (at / 2.0).min(32.0).floor())),
            ),
            series(
                "waiting",
                Kind::Stacked,
                0,
                count_to(90).map(|at| (at, (at - 40.0).max(0.0).floor())),
            ),
        ],
        marks: Vec::new(),
        group: "time".to_owned(),
    };
    section(
        "Errors and states",
        vec![
            Block::Chart(spread),
            Block::Chart(named([Kind::Bars, Kind::Stacked, Kind::Stacked])),
            Block::Chart(stacked),
        ],
    )
}

fn column(name: &str, is_number: bool) -> Column {
    Column {
        name: name.to_owned(),
        is_number,
    }
}

fn words(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn latencies() -> Table {
    let columns = [
        "Metric", "Unit", "Mean", "p50", "p90", "p99", "p99.9", "Max",
    ];
    Table {
        title: "Latencies".to_owned(),
        columns: columns
            .iter()
            .enumerate()
            .map(|(at, name)| column(name, at > 1))
            .collect(),
        rows: vec![
            words(&[
                "Time to first token",
                "ms",
                "96.2",
                "83.1",
                "180.4",
                "412.6",
                "801",
                "1,204",
            ]),
            words(&[
                "Time per output token",
                "ms",
                "12.9",
                "12.35",
                "15.1",
                "19.2",
                "31.7",
                "80.2",
            ]),
            words(&[
                "End to end",
                "s",
                "2.41",
                "2.35",
                "3.2",
                "4.6",
                "5.12",
                "6.03",
            ]),
        ],
    }
}

fn settings() -> Table {
    Table {
        title: String::new(),
        columns: vec![column("Setting", false), column("Value", false)],
        rows: vec![
            words(&["model", LONG]),
            words(&["hostile", HOSTILE]),
            words(&[
                "words",
                "A sentence that is long enough to need more than one line of the cell that it stands in, on a telephone at any rate.",
            ]),
        ],
    }
}

fn tables() -> Section {
    section(
        "Settings",
        vec![
            Block::Table(latencies()),
            Block::Table(settings()),
            Block::Code {
                title: "Run it again".to_owned(),
                text: format!(
                    "llmload run --host http://127.0.0.1:8000 --model {LONG} --users 40 --run-time 2m --seed 7 \\\n  --html report.html\n{HOSTILE}"
                ),
            },
            folded(),
        ],
    )
}

fn folded() -> Block {
    Block::Folded {
        title: "All of the server's gauges".to_owned(),
        blocks: vec![
            super::text("Folded blocks hold charts and tables, too."),
            Block::Chart(small(
                "Folded chart",
                vec![series(
                    "Queue",
                    Kind::Steps,
                    0,
                    count_to(20).map(|at| (at, (at % 7.0).floor())),
                )],
            )),
            Block::Folded {
                title: "Deeper".to_owned(),
                blocks: vec![Block::Table(Table {
                    title: "Empty".to_owned(),
                    columns: vec![column("Nothing", false)],
                    rows: Vec::new(),
                })],
            },
        ],
    }
}

#[cfg(test)]
mod written {
    /// The browser's tests begin with it: `LLMLOAD_PAGE_SAMPLE=FILE cargo test --lib page::sample`.
    #[test]
    fn the_sample_is_written_to_the_file_that_is_named() {
        let html = crate::page::html(&super::page()).unwrap();
        if let Some(file) = std::env::var_os("LLMLOAD_PAGE_SAMPLE") {
            std::fs::write(file, html).unwrap();
        }
    }
}
