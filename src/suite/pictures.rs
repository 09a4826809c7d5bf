//! The charts of a suite: which figures stand on which axis. How a chart is drawn is `chart`'s business.

use super::comparison::{Member, groups, number};
use super::knee::{knee, pareto};
use super::{Figures, Load, Objective, QUANTILES, Row, Spread};
use crate::chart::{Body, Dot, Figure, LINES, Line, Panel};

/// More runs than this are not listed below a chart: they are in the table.
const LISTED: usize = 40;
const MILLIS: &str = "time (ms)";
/// The axis whose places are percentiles.
pub(super) const PERCENTILE: &str = "percentile";

/// The name of a group of bars, and its figure of a run.
type Bars<'a> = (&'a str, &'a dyn Fn(&Figures) -> Option<f64>);

/// The four panels of Fireworks' benchmark suite: response times, requests per second, latencies per token, and the
/// percentile curve. `None` where no run has figures.
pub fn overview_figure(title: &str, rows: &[Row]) -> Option<Figure> {
    let measured: Vec<(String, &Figures)> = (1..)
        .zip(rows)
        .filter_map(|(at, row): (usize, &Row)| Some((at.to_string(), row.figures.as_ref()?)))
        .collect();
    if measured.is_empty() {
        return None;
    }
    let mean = |spread: &Option<Spread>| spread.as_ref().map(|spread| spread.mean);
    let median = |spread: &Option<Spread>| spread.as_ref().and_then(|spread| spread.quantile(0.5));
    let bars = |title: &str, y: &str, groups: &[Bars<'_>]| Panel {
        title: title.to_owned(),
        x: "run".to_owned(),
        y: y.to_owned(),
        body: Body::Bars {
            places: measured.iter().map(|(number, _)| number.clone()).collect(),
            groups: groups
                .iter()
                .map(|(name, of)| {
                    let values = measured.iter().map(|(_, figures)| of(figures));
                    ((*name).to_owned(), values.collect())
                })
                .collect(),
        },
    };
    Some(Figure {
        title: title.to_owned(),
        panels: vec![
            bars(
                "Response time",
                MILLIS,
                &[
                    ("average", &|figures| mean(&figures.latency)),
                    ("median", &|figures| median(&figures.latency)),
                ],
            ),
            bars(
                "Requests per second",
                "requests/s",
                &[("achieved", &Figures::achieved_per_s)],
            ),
            bars(
                "Latency per token",
                "time per token (ms)",
                &[
                    ("latency per token", &|figures| {
                        mean(&figures.latency_per_token)
                    }),
                    ("overall latency per token", &|figures| {
                        mean(&figures.overall_latency_per_token)
                    }),
                ],
            ),
            percentiles(&measured),
        ],
        columns: 2,
        key: key(rows),
    })
}

/// Distributions of up to [`LINES`] runs, evenly chosen where there are more.
fn percentiles(measured: &[(String, &Figures)]) -> Panel {
    let each = measured.len().div_ceil(LINES).max(1);
    let line = |(number, figures): &(String, &Figures)| {
        let spread = figures.latency.as_ref()?;
        let dot = |(at, y): (u32, &f64)| Dot {
            x: f64::from(at),
            y: *y,
            ..Dot::default()
        };
        Some(Line {
            name: format!("run {number}"),
            points: (0..).zip(&spread.at).map(dot).collect(),
        })
    };
    let lines: Vec<Line> = measured.iter().step_by(each).filter_map(line).collect();
    let shown = if each > 1 {
        format!(" ({} of {} runs)", lines.len(), measured.len())
    } else {
        String::new()
    };
    Panel {
        title: format!("Response time percentiles{shown}"),
        x: PERCENTILE.to_owned(),
        y: MILLIS.to_owned(),
        body: Body::Lines {
            lines,
            places: QUANTILES.iter().map(|q| number(Some(q * 100.0))).collect(),
            limits: Vec::new(),
        },
    }
}

/// Throughput against latency with the knee, and how first tokens, latencies and tokens per second follow the load.
/// `None` where no two runs differ in load alone.
pub fn load_figure(title: &str, rows: &[Row]) -> Option<Figure> {
    let curves: Vec<(String, Vec<Member>)> = groups(rows)
        .into_iter()
        .filter(|(_, members)| members.len() > 1)
        .take(LINES)
        .collect();
    if curves.is_empty() {
        return None;
    }
    let axis = Load::of(rows).axis();
    let of_load = |title: &str, y: &str, word: &str, of: &dyn Fn(&Figures, f64) -> Option<f64>| {
        let limits = limits(rows, word);
        Panel {
            title: title.to_owned(),
            x: axis.to_owned(),
            y: y.to_owned(),
            body: Body::Lines {
                lines: over_load(&curves, rows, of),
                places: Vec::new(),
                limits,
            },
        }
    };
    let ttft = |figures: &Figures, q| figures.ttft.as_ref()?.quantile(q);
    let latency = |figures: &Figures, q| figures.latency.as_ref()?.quantile(q);
    let tokens = |figures: &Figures| figures.output_tokens_per_s;
    Some(Figure {
        title: title.to_owned(),
        panels: vec![
            throughput_latency(&curves),
            of_load("Time to first token", MILLIS, "ttft", &ttft),
            of_load("Response time", MILLIS, "latency", &latency),
            Panel {
                title: "Output tokens per second".to_owned(),
                x: axis.to_owned(),
                y: "tokens/s".to_owned(),
                body: Body::Lines {
                    lines: curves
                        .iter()
                        .map(|(group, members)| line(group, members, rows, &tokens))
                        .collect(),
                    places: Vec::new(),
                    limits: Vec::new(),
                },
            },
        ],
        columns: 2,
        key: key(rows),
    })
}

fn throughput_latency(curves: &[(String, Vec<Member>)]) -> Panel {
    let all: Vec<(f64, f64)> = curves
        .iter()
        .flat_map(|(_, members)| members.iter().map(|member| member.point))
        .collect();
    let best: Vec<(f64, f64)> = all
        .iter()
        .zip(pareto(&all))
        .filter_map(|(point, is_best)| is_best.then_some(*point))
        .collect();
    let curve = |(group, members): &(String, Vec<Member>)| {
        let points: Vec<(f64, f64)> = members.iter().map(|member| member.point).collect();
        let knee = knee(&points);
        let dot = |(at, member): (usize, &Member)| {
            let words = match knee {
                Some(knee) if knee == at => format!("{} knee", member.number),
                // In a crowd only what no run beats has room for its number.
                _ if all.len() > 12 && !best.contains(&member.point) => String::new(),
                _ => member.number.to_string(),
            };
            Dot {
                x: member.point.0,
                y: member.point.1,
                label: words,
                is_marked: knee == Some(at),
            }
        };
        Line {
            name: group.clone(),
            points: members.iter().enumerate().map(dot).collect(),
        }
    };
    Panel {
        title: "Throughput and latency (numbers are runs)".to_owned(),
        x: "achieved (requests/s)".to_owned(),
        y: "p95 response time (ms)".to_owned(),
        body: Body::Lines {
            lines: curves.iter().map(curve).collect(),
            places: Vec::new(),
            limits: Vec::new(),
        },
    }
}

/// One curve has a line for each of three percentiles; several have one line each.
fn over_load(
    curves: &[(String, Vec<Member>)],
    rows: &[Row],
    of: &dyn Fn(&Figures, f64) -> Option<f64>,
) -> Vec<Line> {
    if let [(_, members)] = curves {
        return [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
            .map(|(name, q)| line(name, members, rows, &|figures| of(figures, q)))
            .into();
    }
    curves
        .iter()
        .map(|(group, members)| {
            let name = format!("{group} p95");
            line(name.trim(), members, rows, &|figures| of(figures, 0.95))
        })
        .collect()
}

fn line(
    name: &str,
    members: &[Member],
    rows: &[Row],
    of: &dyn Fn(&Figures) -> Option<f64>,
) -> Line {
    let dot = |member: &Member| {
        let figures = rows.get(member.at)?.figures.as_ref()?;
        Some(Dot {
            x: member.load,
            y: of(figures)?,
            ..Dot::default()
        })
    };
    Line {
        name: name.to_owned(),
        points: members.iter().filter_map(dot).collect(),
    }
}

/// The limits of the objectives on `word`. One that is far above everything measured would hide the curve.
fn limits(rows: &[Row], word: &str) -> Vec<(f64, String)> {
    let mut limits: Vec<(f64, String)> = Vec::new();
    let figures = || rows.iter().filter_map(|row| row.figures.as_ref());
    let most = figures()
        .flat_map(|figures| [&figures.ttft, &figures.latency])
        .flatten()
        .filter_map(|spread| spread.quantile(0.99))
        .fold(0.0, f64::max);
    for objective in figures().flat_map(|figures| &figures.objectives) {
        let words = &objective.slo;
        let is_of = |Objective { slo, .. }: &Objective| slo.split([':', '<']).next() == Some(word);
        let is_new = limits.iter().all(|(_, known)| known != words);
        if is_of(objective) && is_new && objective.limit_ms <= most * 2.0 {
            limits.push((objective.limit_ms, words.clone()));
        }
    }
    limits
}

fn key(rows: &[Row]) -> Vec<String> {
    if rows.len() > LISTED {
        return vec![format!("{} runs: see comparison.md", rows.len())];
    }
    let labelled = (1..).zip(rows);
    labelled
        .map(|(at, row): (usize, &Row)| {
            let label = if row.label.is_empty() {
                "as given"
            } else {
                row.label.as_str()
            };
            format!("{at}   {label}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::comparison::tests::{closed, rows};

    fn lines(figure: &Figure, at: usize) -> Vec<(String, Vec<Dot>)> {
        match &figure.panels[at].body {
            Body::Lines { lines, .. } => lines
                .iter()
                .map(|line| (line.name.clone(), line.points.clone()))
                .collect(),
            _ => panic!("no lines"),
        }
    }

    #[test]
    fn the_overview_has_upstreams_four_panels() {
        let figure = overview_figure("t", &rows()).unwrap();
        let titles: Vec<_> = figure
            .panels
            .iter()
            .map(|panel| panel.title.as_str())
            .collect();
        assert_eq!(
            titles,
            [
                "Response time",
                "Requests per second",
                "Latency per token",
                "Response time percentiles"
            ]
        );
        let Body::Bars { places, groups } = &figure.panels[0].body else {
            panic!("lines");
        };
        // The third run measured nothing.
        assert_eq!(places, &["1", "2", "4"]);
        assert_eq!(groups[0].1.len(), 3);
        assert_eq!(lines(&figure, 3)[0].1.len(), QUANTILES.len());
        assert_eq!(figure.key.len(), 4);
        assert_eq!(overview_figure("t", &[]), None);
    }

    #[test]
    fn one_curve_has_its_percentiles_and_its_knee_and_limits() {
        let figure = load_figure("t", &closed(&[1, 2, 4, 8, 16, 32])).unwrap();
        let curve = &lines(&figure, 0)[0].1;
        let marked: Vec<_> = curve.iter().filter(|dot| dot.is_marked).collect();
        assert_eq!(marked.len(), 1);
        assert!(marked[0].label.ends_with("knee"), "{marked:?}");
        let names: Vec<String> = lines(&figure, 1)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["p50", "p95", "p99"]);
        let Body::Lines { limits, .. } = &figure.panels[2].body else {
            panic!("bars");
        };
        assert_eq!(limits, &[(300.0, "latency:p95<300ms".to_owned())]);
    }

    #[test]
    fn runs_that_differ_in_more_than_load_are_no_curve() {
        let mut rows = closed(&[1, 2]);
        rows[1].group = "model=b".to_owned();
        assert_eq!(load_figure("t", &rows), None);
    }

    #[test]
    fn of_many_runs_some_are_drawn_and_the_title_says_so() {
        let users: Vec<u32> = (1..=20).collect();
        let figure = overview_figure("t", &closed(&users)).unwrap();
        assert!(figure.panels[3].title.ends_with("(7 of 20 runs)"));
        assert_eq!(lines(&figure, 3).len(), 7);
    }
}
