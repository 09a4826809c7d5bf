//! The rate that was asked for is the rate that arrives, and the law of the gaps is the one that was asked for.
//! Measured at the server; run with `--nocapture` to see the figures. The schedule itself is checked exactly.

use llmload::mock::{MockHandle, Snapshot};

use crate::process::{Cluster, Program, Report, alone, quick_mock, settled, towards};
use crate::schedule::records_file;

fn gaps(snapshot: &Snapshot) -> Vec<f64> {
    gaps_of(snapshot.arrivals.at_ns.clone())
}

/// In seconds.
#[expect(clippy::cast_precision_loss, reason = "gaps are far below 2^53 ns")]
fn gaps_of(mut times: Vec<u64>) -> Vec<f64> {
    times.sort_unstable();
    times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64 / 1e9)
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation / mean.
fn variation(values: &[f64]) -> f64 {
    let mean_value = mean(values);
    let squares: Vec<f64> = values
        .iter()
        .map(|value| (value - mean_value).powi(2))
        .collect();
    mean(&squares).sqrt() / mean_value
}

/// The two-sided Kolmogorov–Smirnov test of `values` against a distribution function: (D, p).
///
/// p by Kolmogorov's series at (√n + 0.12 + 0.11/√n)·D, Stephens' correction for finite n.
#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn kolmogorov_smirnov(values: &[f64], distribution: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let largest = sorted
        .iter()
        .enumerate()
        .fold(0.0, |largest: f64, (i, value)| {
            let wanted = distribution(*value);
            let (below, above) = (wanted - i as f64 / n, (i + 1) as f64 / n - wanted);
            largest.max(below).max(above)
        });
    let root = n.sqrt();
    let x = (root + 0.12 + 0.11 / root) * largest;
    let term = |k: i32| {
        let k = f64::from(k);
        (-2.0 * k * k * x * x).exp()
    };
    let series: f64 = (1..100)
        .map(|k| if k % 2 == 1 { term(k) } else { -term(k) })
        .sum();
    (largest, (2.0 * series).clamp(0.0, 1.0))
}

fn exponential(rate: f64) -> impl Fn(f64) -> f64 {
    move |gap| 1.0 - (-rate * gap).exp()
}

/// Runs three workers; their due times in order, in ns, what the mock saw, and the result.
fn by_three(mock: &MockHandle, line: &str) -> (Vec<u64>, Snapshot, Report) {
    let line = towards(mock, &format!("{line} --records due.jsonl"));
    let (master, workers) = Cluster::start(&line, 3).succeed();
    let mut due: Vec<(u64, u64)> = workers
        .iter()
        .flat_map(|worker| worker.records(&records_file(worker.folder())))
        .map(|record| {
            let index = record["index"]["arrival"].as_u64().unwrap();
            (index, record["due_ns"].as_u64().unwrap())
        })
        .collect();
    due.sort_unstable();
    let indices: Vec<u64> = due.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, (0..due.len() as u64).collect::<Vec<_>>());
    let due = due.into_iter().map(|(_, at)| at).collect();
    (due, settled(mock), master.result())
}

#[test]
fn twenty_a_second_arrive_as_twenty_a_second() {
    let _alone = alone();
    let mock = quick_mock();
    let line = towards(&mock, "-u 20 -r 20000 --qps 20 -t 6s");
    let report = Program::start(&format!("run {line}"))
        .wait()
        .expect(0)
        .result();
    let gaps = gaps(&settled(&mock));
    let (rate, reported) = (1.0 / mean(&gaps), report.number("/measured/sent_per_s"));
    println!(
        "run --qps 20: {rate:.4}/s arrived, {reported:.4}/s reported, CV of gaps {:.4}, lateness p99 {:.3} ms",
        variation(&gaps),
        report.number("/metrics/lateness_ms/p99")
    );
    assert!((rate / 20.0 - 1.0).abs() <= 0.005, "{rate}");
    // The report counts requests: one at either edge of its 6 s is a sixth of a request a second.
    assert!((reported - 20.0).abs() <= 1.0 / 6.0 + 1e-9, "{reported}");
}

#[test]
fn three_workers_make_one_even_stream() {
    let _alone = alone();
    // A machine that stands still for a moment spoils one try; pacers that know nothing of each other spoil all:
    // three of those have 0.5 and more, and a clump of three has 1.4.
    let mut tries = Vec::new();
    while tries.len() < 3 && tries.last().is_none_or(|&cv| cv > 0.25) {
        tries.push(one_even_stream());
    }
    assert!(tries.iter().any(|&cv| cv <= 0.25), "{tries:?}");
}

/// The coefficient of variation of the gaps at the mock; schedule and rate are held exactly.
fn one_even_stream() -> f64 {
    let mock = quick_mock();
    let (due, seen, _) = by_three(&mock, "-u 21 -r 21000 --qps 20 --max-requests 120");
    let even: Vec<u64> = (0..120).map(|i| i * 50_000_000).collect();
    assert_eq!(due, even, "every arrival is due at its multiple of 50 ms");
    let gaps = gaps(&seen);
    let (rate, cv) = (1.0 / mean(&gaps), variation(&gaps));
    println!(
        "3 workers, --qps 20: {rate:.4}/s arrived, CV of gaps {cv:.4} (0.05 on a quiet machine)"
    );
    assert!((rate / 20.0 - 1.0).abs() <= 0.005, "{rate}");
    cv
}

/// One run at 100/s, judged.
struct Attempt {
    /// p of the arrivals.
    arrived: f64,
    /// p of the schedule.
    scheduled: f64,
    /// 99th percentile of sent − due, in ms.
    lateness: f64,
}

fn measure_exponential() -> Attempt {
    let mock = quick_mock();
    let line = "-u 60 -r 60000 --qps 100 --qps-distribution exponential --max-requests 600";
    let (due, seen, report) = by_three(&mock, line);
    let (arrived, scheduled) = (gaps(&seen), gaps_of(due));
    assert_eq!((arrived.len(), scheduled.len()), (599, 599));
    let (d, p) = kolmogorov_smirnov(&arrived, exponential(100.0));
    let (due_d, due_p) = kolmogorov_smirnov(&scheduled, exponential(100.0));
    let attempt = Attempt {
        arrived: p,
        scheduled: due_p,
        lateness: report.number("/metrics/lateness_ms/p99"),
    };
    println!(
        "3 workers, --qps 100 exponential: {:.3}/s arrived; KS of arrivals D {d:.4} p {p:.3}, of the schedule D {due_d:.4} p {due_p:.3}; lateness p99 {:.3} ms",
        1.0 / mean(&arrived),
        attempt.lateness
    );
    attempt
}

#[test]
fn exponential_gaps_are_exponential() {
    let _alone = alone();
    let mut busiest = true;
    // The seed is fixed, so another attempt draws no other gaps: all that differs is what else the machine does.
    for _ in 0..3 {
        let attempt = measure_exponential();
        assert!(attempt.scheduled > 0.01, "the schedule");
        if attempt.arrived > 0.01 {
            return;
        }
        busiest &= attempt.lateness > 5.0;
    }
    // Half a mean gap late: nobody can keep times on such a machine, and the schedule was right each time.
    assert!(busiest, "no attempt's arrivals look exponential");
}

#[test]
fn the_test_of_exponential_gaps_refuses_other_laws() {
    let even: Vec<f64> = (0..600).map(|i| f64::from(i) / 600.0 * 0.02).collect();
    assert!(
        kolmogorov_smirnov(&even, exponential(100.0)).1 < 1e-6,
        "uniform gaps"
    );
    assert!(
        kolmogorov_smirnov(&[0.01; 600], exponential(100.0)).1 < 1e-6,
        "constant gaps"
    );
    let quantiles: Vec<f64> = (0..600)
        .map(|i| -(1.0 - (f64::from(i) + 0.5) / 600.0).ln() / 100.0)
        .collect();
    assert!(kolmogorov_smirnov(&quantiles, exponential(100.0)).1 > 0.99);
    assert!(
        kolmogorov_smirnov(&quantiles, exponential(120.0)).1 < 0.01,
        "another rate"
    );
}
