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
    insta::assert_snapshot!(text, @r#"
    Type     Name                              # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s
    --------|--------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
    POST     /v1/chat/completions                   4    1(25.00%) |     42      42      42     42 |    7.00        3.00
    METRIC   completion_tokens                      3     0(0.00%) |      4       4       4      4 |    0.30        0.00
    METRIC   connect_time                           1     0(0.00%) |      2       2       2      2 |    0.10        0.00
    METRIC   failed_time                            1     0(0.00%) |     42      42      42     42 |    0.10        0.00
    METRIC   generation_tokens                      3     0(0.00%) |      4       4       4      4 |    0.30        0.00
    METRIC   inter_chunk_latency                    6     0(0.00%) |     15      10      20     10 |    0.60        0.00
    METRIC   inter_token_latency                    9     0(0.00%) |     10      10      10     10 |    0.90        0.00
    METRIC   latency                                3     0(0.00%) |     40      40      40     40 |    0.30        0.00
    METRIC   latency_from_due                       3     0(0.00%) |     41      41      41     41 |    0.30        0.00
    METRIC   latency_per_char                       3     0(0.00%) |      1       1       1      1 |    0.30        0.00
    METRIC   latency_per_token                      3     0(0.00%) |      8       8       8      8 |    0.30        0.00
    METRIC   lateness                               4     0(0.00%) |      1       1       1      1 |    0.40        0.00
    METRIC   num_tokens                             3     0(0.00%) |      4       4       4      4 |    0.30        0.00
    METRIC   overall_latency_per_token              3     0(0.00%) |     10      10      10     10 |    0.30        0.00
    METRIC   prompt_tokens                          3     0(0.00%) |    100     100     100    100 |    0.30        0.00
    METRIC   requested_prompt_tokens                3     0(0.00%) |    100     100     100    100 |    0.30        0.00
    METRIC   time_per_output_token                  3     0(0.00%) |     10      10      10     10 |    0.30        0.00
    METRIC   time_to_first_token                    3     0(0.00%) |     10      10      10     10 |    0.30        0.00
    METRIC   time_to_first_token_from_due           3     0(0.00%) |     11      11      11     11 |    0.30        0.00
    METRIC   time_to_headers                        3     0(0.00%) |      4       4       4      4 |    0.30        0.00
    METRIC   total_latency                          3     0(0.00%) |     42      42      42     42 |    0.30        0.00
    --------|--------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
             Aggregated                             4    1(25.00%) |     42      42      42     42 |    7.00        3.00
    "#);
}

#[test]
fn the_closing_tables_hold_percentiles_and_errors() {
    let sample = sample::closed();
    let text = all(&sample.context(), Some(110));
    let from = text.find("Response time").unwrap();
    insta::assert_snapshot!(&text[from..], @r#"
    Response time percentiles (approximated)
    Type     Name                                50%    66%    75%    80%    90%    95%    98%    99%  99.9% 99.99%   100% # reqs
    --------|------------------------------|--------|------|------|------|------|------|------|------|------|------|------|------
    POST     /v1/chat/completions                 42     42    ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42     42      4
    METRIC   completion_tokens                     4      4     ~4     ~4     ~4     ~4     ~4     ~4     ~4     ~4      4      3
    METRIC   connect_time                         ~2     ~2     ~2     ~2     ~2     ~2     ~2     ~2     ~2     ~2      2      1
    METRIC   failed_time                         ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42     42      1
    METRIC   generation_tokens                     4      4     ~4     ~4     ~4     ~4     ~4     ~4     ~4     ~4      4      3
    METRIC   inter_chunk_latency                  10     20     20     20    ~20    ~20    ~20    ~20    ~20    ~20     20      6
    METRIC   inter_token_latency                  10     10     10     10    ~10    ~10    ~10    ~10    ~10    ~10     10      9
    METRIC   latency                              40     40    ~40    ~40    ~40    ~40    ~40    ~40    ~40    ~40     40      3
    METRIC   latency_per_char                      1      1     ~1     ~1     ~1     ~1     ~1     ~1     ~1     ~1      1      3
    METRIC   latency_per_token                     8      8     ~8     ~8     ~8     ~8     ~8     ~8     ~8     ~8      8      3
    METRIC   num_tokens                            4      4     ~4     ~4     ~4     ~4     ~4     ~4     ~4     ~4      4      3
    METRIC   overall_latency_per_token            10     10    ~10    ~10    ~10    ~10    ~10    ~10    ~10    ~10     10      3
    METRIC   prompt_tokens                       100    100   ~100   ~100   ~100   ~100   ~100   ~100   ~100   ~100    100      3
    METRIC   requested_prompt_tokens             100    100   ~100   ~100   ~100   ~100   ~100   ~100   ~100   ~100    100      3
    METRIC   time_per_output_token                10     10    ~10    ~10    ~10    ~10    ~10    ~10    ~10    ~10     10      3
    METRIC   time_to_first_token                  10     10    ~10    ~10    ~10    ~10    ~10    ~10    ~10    ~10     10      3
    METRIC   time_to_headers                       4      4     ~4     ~4     ~4     ~4     ~4     ~4     ~4     ~4      4      3
    METRIC   total_latency                        42     42    ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42     42      3
    --------|------------------------------|--------|------|------|------|------|------|------|------|------|------|------|------
             Aggregated                           42     42    ~42    ~42    ~42    ~42    ~42    ~42    ~42    ~42     42      4
    ~ too few samples for this percentile: fewer than one is expected beyond it

    Error report
    # occurrences      Error                                                                                               
    ------------------|-------------------------------------------------------------------------------------------
    1                  POST /v1/chat/completions: http_5xx: busy, "really"                                                 
    ------------------|-------------------------------------------------------------------------------------------
    "#);
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
