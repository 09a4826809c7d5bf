//! Tables of small suites.

use super::*;
use crate::suite::Objective;
use crate::suite::figures::tests::sample;

fn row(label: &str, figures: Option<Figures>) -> Row {
    Row {
        id: format!("id-{}", label.replace('=', "-")),
        label: label.to_owned(),
        command: format!("llmload run --{label}"),
        status: if figures.is_some() { 0 } else { 1 },
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
    insta::assert_snapshot!(text, @"");
}

#[test]
fn the_knee_of_a_curve_is_named() {
    let text = comparison_markdown("Sweep", &closed(&[1, 2, 4, 8, 16, 32]), &[]);
    assert!(text.contains("bends at run 4 (8 users)"), "{text}");
}

#[test]
fn upstreams_file_has_upstreams_columns() {
    insta::assert_snapshot!(upstream_csv(&rows()).unwrap(), @"");
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
