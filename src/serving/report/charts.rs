//! What is drawn, as charts of a page: the pictures of the report are the same ones. No figure is computed here.

use std::fmt::Write;

use crate::page::{At, Axis, Chart, Kind, Mark, Point, Series, axis};
use crate::serving::words::{figure, thousands};

use super::Findings;
use super::ingestion::Ingestion;
use super::profile::{Profile, Seen};
use super::speed::{CACHE_THRESHOLD, Level, Middle, Pair};
use super::total::Total;

/// Looks at a cache are thinned to the extremes of so many stretches of time: nobody sees more of them, and pages stay small.
const STRETCHES: usize = 400;
/// Of points of the ingestion, so many are shown; the line is drawn through all.
const POINTS: usize = 3000;

/// All charts of the report, by the paths of their pictures.
pub(super) fn all(findings: &Findings<'_>) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    if let Some(found) = &findings.ingestion {
        charts.push((
            "report/prompt_ingestion_graph.png".to_owned(),
            ingestion(found),
        ));
    }
    if !findings.totals.is_empty() {
        let chart = totals(&findings.totals);
        charts.push(("report/total_speed_generation_graph.png".to_owned(), chart));
    }
    for pair in &findings.pairs {
        let chart = speed(pair, findings.speed_threshold);
        charts.push((format!("report/{}", pair.graph_path()), chart));
    }
    for found in &findings.profiles {
        charts.push((format!("report/{}", found.graph_path()), profile(found)));
    }
    charts
}

fn share(name: &str) -> Axis {
    Axis {
        min: Some(0.0),
        max: Some(1.0),
        ..axis(name, "")
    }
}

fn point(x: f64, y: Option<f64>) -> Point {
    Point { x, y, spread: None }
}

fn series(name: &str, kind: Kind, axis: usize, points: Vec<Point>) -> Series {
    Series {
        name: name.to_owned(),
        kind,
        axis,
        points,
    }
}

pub(super) fn ingestion(found: &Ingestion) -> Chart {
    let places = |points: &[(f64, f64)]| {
        let each = points.len().div_ceil(POINTS).max(1);
        let ms = points
            .iter()
            .step_by(each)
            .map(|(x, y)| point(*x, Some(y * 1e3)));
        ms.collect::<Vec<Point>>()
    };
    let lengths = || found.points.iter().map(|point| point.0);
    let ends = [
        lengths().fold(f64::MAX, f64::min),
        lengths().fold(0.0, f64::max),
    ];
    let line = ends
        .map(|x| point(x, Some(found.line.at(x) * 1e3)))
        .to_vec();
    let speed = found.speed().map_or_else(
        || "no speed can be told".to_owned(),
        |speed| format!("{} tokens per second", thousands(speed.floor())),
    );
    let mut drawn = vec![series("TTFT", Kind::Points, 0, places(&found.points))];
    if !found.dropped.is_empty() {
        let name = "more than 5% off the first fit";
        drawn.push(series(name, Kind::Points, 0, places(&found.dropped)));
    }
    drawn.push(series("fit", Kind::Dashed, 0, line));
    Chart {
        title: format!("Prompt ingestion: {speed}"),
        summary: format!(
            "Time to first token against the length of the prompt, {} answers, with a fitted line: {speed}, and {} ms beside the reading.",
            found.points.len(),
            figure(found.rest_s() * 1e3),
        ),
        x: axis("Prompt length", "tokens"),
        y: vec![axis("Time to first token", "ms")],
        series: drawn,
        ..Chart::default()
    }
}

pub(super) fn totals(totals: &[Total]) -> Chart {
    let line = |total: &Total| {
        let points = total
            .levels
            .iter()
            .map(|sum| point(f64::from(sum.parallel), Some(sum.speed)));
        let name = format!("input {}, output {}", total.input, total.output);
        series(&name, Kind::Line, 0, points.collect())
    };
    let sums = totals.iter().flat_map(|total| &total.levels);
    let most = sums.map(|sum| sum.speed).fold(0.0, f64::max);
    Chart {
        title: "Total speed generation".to_owned(),
        summary: format!(
            "Tokens per second of all requests together against the number of parallel requests, a line a pair of lengths; the most is {}.",
            figure(most)
        ),
        x: axis("Parallel requests", ""),
        y: vec![axis("Total speed generation", "tokens/s")],
        series: totals.iter().map(line).collect(),
        ..Chart::default()
    }
}

pub(super) fn speed(pair: &Pair, threshold: f64) -> Chart {
    let of = |pick: fn(&Level) -> Middle, scale: f64| {
        let levels = pair.levels.iter().map(|level| {
            let it = pick(level);
            Point {
                x: f64::from(level.parallel),
                y: Some(it.median * scale),
                spread: Some((it.low * scale, it.high * scale)),
            }
        });
        levels.collect::<Vec<Point>>()
    };
    let mut y = vec![
        axis("Speed of a request", "tokens/s"),
        axis("Time to first token", "ms"),
    ];
    let mut drawn = vec![
        series("speed", Kind::Line, 0, of(|level| level.speed, 1.0)),
        series(
            "speed without waiting",
            Kind::Line,
            0,
            of(|level| level.without_waiting, 1.0),
        ),
        series("TTFT", Kind::Line, 1, of(|level| level.ttft, 1e3)),
    ];
    if pair.cache.is_some() {
        let most = pair
            .levels
            .iter()
            .map(|level| point(f64::from(level.parallel), level.cache));
        drawn.push(series("max KV cache", Kind::Dashed, 2, most.collect()));
        y.push(share("Max KV cache share"));
    }
    let lengths = format!("input length {}, output length {}", pair.input, pair.output);
    Chart {
        title: format!("Speed generation: {lengths}"),
        summary: summary(pair, threshold),
        x: axis("Parallel requests", ""),
        y,
        series: drawn,
        marks: vec![Mark {
            name: format!("threshold {} tokens/s", figure(threshold)),
            at: At::Y(threshold),
        }],
        ..Chart::default()
    }
}

fn summary(pair: &Pair, threshold: f64) -> String {
    let mut text = String::from(
        "Medians with the quarters on both sides, against the number of parallel requests.",
    );
    if let (Some(first), Some(last)) = (pair.levels.first(), pair.levels.last()) {
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            " The median speed goes from {} tokens/s with {} to {} with {}; it is at least {} up to {}.",
            figure(first.speed.median),
            first.parallel,
            figure(last.speed.median),
            last.parallel,
            figure(threshold),
            pair.speed.largest,
        );
    }
    if let Some(cache) = pair.cache {
        let limit = CACHE_THRESHOLD * 100.0;
        let largest = cache.largest;
        let _ = write!(
            text,
            " The cache is used less than {limit:.0}% up to {largest}."
        );
    }
    text
}

pub(super) fn profile(found: &Profile) -> Chart {
    let looks = thinned(&found.looks);
    let line = |name: &str, axis: usize, of: fn(&Seen) -> Option<f64>| {
        let points = looks.iter().map(|look| point(look.at_s, of(look)));
        series(name, Kind::Steps, axis, points.collect())
    };
    let most = |of: fn(&Seen) -> Option<f64>| found.looks.iter().filter_map(of).fold(0.0, f64::max);
    Chart {
        title: format!(
            "KV cache profile: input length {}, output length {}",
            found.input, found.output
        ),
        summary: format!(
            "Share of the KV cache in use, and requests that run and wait there, while one request is sent, then two at once, then three. At most {:.0}% is used, {:.0} run and {:.0} wait.",
            found.fullest * 100.0,
            most(|look| look.running),
            most(|look| look.waiting),
        ),
        x: axis("Time", "s"),
        y: vec![share("KV cache share"), axis("Requests", "")],
        series: vec![
            line("KV cache", 0, |look| look.cache),
            line("running", 1, |look| look.running),
            line("waiting", 1, |look| look.waiting),
        ],
        ..Chart::default()
    }
}

/// The looks of each stretch at which something is smallest or largest, and the first and the last of all.
fn thinned(looks: &[Seen]) -> Vec<Seen> {
    let each = looks.len().div_ceil(STRETCHES);
    if each <= 6 {
        return looks.to_vec();
    }
    let mut kept = Vec::new();
    for stretch in looks.chunks(each) {
        let mut places = vec![0, stretch.len() - 1];
        for of in [
            |look: &Seen| look.cache,
            |look: &Seen| look.running,
            |look: &Seen| look.waiting,
        ] {
            let told = || (0..stretch.len()).filter(|at| of(&stretch[*at]).is_some());
            let by = |a: &usize, b: &usize| {
                let (a, b) = (of(&stretch[*a]), of(&stretch[*b]));
                a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0))
            };
            places.extend(told().min_by(by));
            places.extend(told().max_by(by));
        }
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|at| stretch[at]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::speed::tests::{pair, plain};
    use super::*;
    use crate::serving::stats::count;

    #[test]
    fn thinned_looks_keep_their_extremes() {
        let mut looks: Vec<Seen> = (0..50_000)
            .map(|n| Seen {
                at_s: count(n) * 0.01,
                cache: Some(0.5),
                running: Some(3.0),
                waiting: None,
            })
            .collect();
        looks[31_416].cache = Some(0.99);
        looks[27_182].running = Some(0.0);
        let few = thinned(&looks);
        assert!(
            few.len() <= STRETCHES * 8 && few.len() >= STRETCHES,
            "{}",
            few.len()
        );
        assert!(few.contains(&looks[31_416]) && few.contains(&looks[27_182]));
        assert_eq!((few.first(), few.last()), (looks.first(), looks.last()));
        assert!(few.is_sorted_by(|a, b| a.at_s < b.at_s));
        assert_eq!(thinned(&looks[..10]).len(), 10);
        assert!(thinned(&[]).is_empty());
    }

    #[test]
    fn times_are_shown_in_the_unit_that_their_axis_says() {
        let chart = speed(
            &pair(vec![plain(1, 30.0, Some(0.2)), plain(4, 15.0, Some(0.99))]),
            20.0,
        );
        assert_eq!((chart.y[1].unit.as_str(), chart.y.len()), ("ms", 3));
        let ttft = &chart.series[2].points[1];
        assert!((ttft.y.unwrap() - 400.0).abs() < 1e-9);
        let spread = ttft.spread.unwrap();
        assert!((spread.0 - 360.0).abs() < 1e-9 && (spread.1 - 480.0).abs() < 1e-9);
        insta::assert_snapshot!(chart.summary, @r#"Medians with the quarters on both sides, against the number of parallel requests. The median speed goes from 30.0 tokens/s with 1 to 15.0 with 4; it is at least 20.0 up to 1. The cache is used less than 95% up to 1."#);
        let silent = speed(&pair(vec![plain(1, 30.0, None)]), 20.0);
        assert_eq!((silent.y.len(), silent.series.len()), (2, 3));
    }
}
