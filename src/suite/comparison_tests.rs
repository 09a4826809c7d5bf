//! Tables of small suites.

use super::*;
use crate::suite::Objective;
use crate::suite::figures::tests::sample;

fn row(label: &str, figures: Option<Figures>) -> Row {
    Row {
        id: format!("id-{}", label.replace('=', "-")),
        label: label.to_owned(),
        command: format!("llmload run --{label}"),
        status: u8::from(figures.is_none()),
        failure: figures.is_none().then(|| "nobody answered".to_owned()),
        took_s: 3.0,
        figures,
        ..Row::default()
    }
}

/// Two models at two loads, of which one failed.
pub(in crate::suite) fn rows() -> Vec<Row> {
    let grouped = |row: Row, group: &str| Row {
        group: group.to_owned(),
        ..row
    };
    vec![
        grouped(
            row("model=a|x users=1", Some(sample(1, None, 100.0))),
            "model=a|x",
        ),
        grouped(
            row("model=a|x users=2", Some(sample(2, None, 120.0))),
            "model=a|x",
        ),
        grouped(row("model=b users=1", None), "model=b"),
        grouped(
            row("model=b users=2", Some(sample(2, None, 90.0))),
            "model=b",
        ),
    ]
}

/// One curve of a closed loop against a server that answers 10 requests/s at most.
pub(in crate::suite) fn closed(users: &[u32]) -> Vec<Row> {
    users
        .iter()
        .map(|&users| {
            let rate = f64::from(users).min(10.0);
            let latency = f64::from(users) / rate * 100.0;
            let figures = Figures {
                requests_per_s: Some(rate),
                objectives: vec![Objective {
                    slo: "latency:p95<300ms".to_owned(),
                    value_ms: Some(latency),
                    requests: None,
                    limit_ms: 300.0,
                    met: latency < 300.0,
                }],
                ..sample(users, None, latency)
            };
            row(&format!("users={users}"), Some(figures))
        })
        .collect()
}

#[test]
fn runs_stand_below_each_other_and_a_failed_one_says_why() {
    let text = comparison_markdown("Sweep", &rows(), &["a.png".to_owned()]);
    insta::assert_snapshot!(text, @r#"
        # Sweep

        | # | settings | QPS asked | QPS achieved | TTFT mean | TTFT p50 | TTFT p95 | TTFT p99 | TPOT mean | latency p50 | latency p95 | latency p99 | tokens/s | goodput | requests | failures | verdict |
        | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |
        | 1 | model=a\|x users=1 |  | 1 | 12 | 11 | 20 | 20.8 | 1.2 | 55 | 100 | 104 | 640 |  | 100 | 0 | OK |
        | 2 | model=a\|x users=2 |  | 2 | 14.4 | 13.2 | 24 | 24.96 | 1.44 | 66 | 120 | 124.8 | 640 |  | 100 | 0 | OK |
        | 3 | model=b users=1 |  |  |  |  |  |  |  |  |  |  |  |  | 0 | 0 | status 1 |
        | 4 | model=b users=2 |  | 2 | 10.8 | 9.9 | 18 | 18.72 | 1.08 | 49.5 | 90 | 93.6 | 640 |  | 100 | 0 | OK |

        Times are in milliseconds, rates per second. *QPS achieved* is what was answered as fast as it was sent: where latencies rise while a run goes on, the rest of what was sent was only queued.

        - No other run has both more requests/s and a lower p95 latency than: 4.

        ![a.png](a.png)

        ## The runs

        1. `llmload run --model=a|x users=1` (`runs/id-model-a|x users-1.json`)
        2. `llmload run --model=a|x users=2` (`runs/id-model-a|x users-2.json`)
        3. `llmload run --model=b users=1` (`runs/id-model-b users-1.json`)
           nobody answered
        4. `llmload run --model=b users=2` (`runs/id-model-b users-2.json`)
        "#);
}

#[test]
fn the_knee_of_a_curve_is_named() {
    let text = comparison_markdown("Sweep", &closed(&[1, 2, 4, 8, 16, 32]), &[]);
    assert!(text.contains("bends at run 4 (8 users)"), "{text}");
}

#[test]
fn upstreams_file_has_upstreams_columns() {
    insta::assert_snapshot!(upstream_csv(&rows()).unwrap(), @r#"
        Model,Provider,Average QPS,Average Response Time,99th Percentile Latency,Average Tokens per Request
        m,openai,1,60,104,64
        m,openai,2,72,124.8,64
        m,openai,2,54,93.6,64
        "#);
}

#[test]
fn the_csv_has_the_tables_cells_as_they_are() {
    let text = comparison_csv(&rows()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("run,id,settings"), "{text}");
    assert!(
        lines[1].starts_with("1,id-model-a|x users-1,model=a|x users=1,"),
        "{text}"
    );
    assert_eq!(lines.len(), 5);
}
