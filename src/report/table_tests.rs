//! Tests of the tables: Locust's layout to the byte.

use super::*;
use crate::report::sample;

#[test]
fn the_header_and_the_rule_are_locusts() {
    let sample = sample::open();
    let text = all(&sample.context(), Some(98));
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some(
            "Type     Name            # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s"
        )
    );
    assert_eq!(
        lines.next(),
        Some(
            "--------|--------------|-------|-------------|-------|-------|-------|-------|--------|-----------"
        )
    );
}

#[test]
fn a_row_is_locusts_format() {
    let mut series = Series::default();
    series.record_n(50_900_000, 3);
    series.record(419_000_000);
    let row = Row {
        kind: "POST",
        name: "/v1",
        requests: 1_039,
        failures: 63,
        series: Some(&series),
    };
    let rates = Rates {
        requests_per_s: 85.694,
        failures_per_s: 5.2,
    };
    assert_eq!(
        statistics_row(&row, 14, rates),
        "POST     /v1               1039    63(6.06%) |    142      50     419     50 |   85.69        5.20"
    );
    assert_eq!(
        percentile_row(
            &Row {
                name: "/v1/long",
                ..row
            },
            5
        ),
        "POST     /v1/long       50     50     50   ~419   ~419   ~419   ~419   ~419   ~419   ~419    419   1039"
    );
}

#[test]
fn the_name_column_follows_the_terminal() {
    for (columns, width) in [(None, 80), (Some(300), 80), (Some(100), 20), (Some(60), 0)] {
        assert_eq!(name_width(columns), width);
    }
    let sample = sample::closed();
    assert!(all(&sample.context(), Some(10)).starts_with("Type     Name  # reqs "));
}

#[test]
fn aggregated_counts_real_requests_alone() {
    let sample = sample::open();
    let rates = Rates {
        requests_per_s: 7.0,
        failures_per_s: 3.0,
    };
    let text = live(&sample.context(), Some(116), rates);
    insta::assert_snapshot!(text, @"");
}

#[test]
fn the_closing_tables_hold_percentiles_and_errors() {
    let sample = sample::closed();
    let text = all(&sample.context(), Some(110));
    let from = text.find("Response time").unwrap();
    insta::assert_snapshot!(&text[from..], @"");
}

#[test]
fn an_empty_run_has_tables_without_rows() {
    let mut sample = sample::closed();
    sample.summary.phase = crate::metrics::Phase::default();
    sample.summary.errors.clear();
    let text = all(&sample.context(), Some(98));
    assert!(text.contains("POST     /v1/chat/completions       0     0(0.00%) |      0       0       0      0 |    0.00        0.00\n"));
    assert!(!text.contains("Error report") && !text.contains(FOOTNOTE));
}

#[test]
fn wide_values_and_marks_never_run_into_each_other() {
    let mut series = Series::default();
    series.record(123_456_000_000);
    series.record(1_234_567_000_000);
    let row = Row {
        kind: "",
        name: "x",
        requests: 2,
        failures: 0,
        series: Some(&series),
    };
    let line = percentile_row(&row, 1);
    assert_eq!(
        line.split(['~', ' '])
            .filter(|cell| !cell.is_empty())
            .count(),
        13
    );
}
