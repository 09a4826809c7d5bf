//! The end of a search in words, and as JSON: the maximum, how sure it is, what limits it, every load that was run.
//! It decides nothing: the search did.

use std::fmt::Write as _;

use serde::Serialize;

use super::comparison::number;
use super::{Figures, Found, Goal, Judgement, Limit, Outcome, Point, Row, SearchSpec};

/// The version of the JSON's shape.
const FORMAT: u32 = 1;

/// A search that is over, with the figures of its runs.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// What was searched.
    pub spec: &'a SearchSpec,
    /// The objectives, in the words of `--slo`.
    pub slos: &'a [String],
    /// How it ended.
    pub found: &'a Found,
    /// The runs, in the order in which they were made, with the load of each.
    pub runs: &'a [(f64, Row)],
}

/// The block that ends a search.
pub fn finding_text(finding: &Finding<'_>) -> String {
    let mut text = format!("{:=^80}\n", " Search ");
    let mut line = |name: &str, words: String| {
        let _ = writeln!(text, "{name:<20}: {words}");
    };
    line("Searched", searched(finding));
    line("Found maximum", maximum(finding));
    line("Interval", interval(finding));
    line("Limited by", limited_by(finding.found));
    for objective in at_maximum(finding)
        .iter()
        .flat_map(|figures| &figures.objectives)
    {
        let value = number(objective.value_ms);
        line("At the maximum", format!("{} is {value} ms", objective.slo));
    }
    if let Some(figures) = at_maximum(finding) {
        let p95 = |spread: &Option<super::Spread>| {
            number(spread.as_ref().and_then(|spread| spread.quantile(0.95)))
        };
        line(
            "At the maximum",
            format!(
                "{} requests/s, {} tokens/s, TTFT p95 {} ms, latency p95 {} ms",
                number(figures.achieved_per_s()),
                number(figures.output_tokens_per_s),
                p95(&figures.ttft),
                p95(&figures.latency)
            ),
        );
    }
    text.push('\n');
    text.push_str(&points(finding));
    text.push_str(&"=".repeat(80));
    text.push('\n');
    text
}

/// The same as JSON with a line end.
///
/// # Errors
/// When it has no JSON form.
pub fn finding_json(finding: &Finding<'_>) -> Result<String, serde_json::Error> {
    let runs = finding.runs.iter();
    let outline = Outline {
        format: FORMAT,
        find: finding.spec.goal,
        unit: finding.spec.goal.unit(),
        objectives: finding.slos,
        from: finding.spec.from,
        to: finding.spec.to,
        repeats: finding.spec.repeats,
        precision: finding.spec.precision,
        found: finding.found,
        runs: runs.map(|(load, row)| Run { load: *load, row }).collect(),
    };
    Ok(serde_json::to_string_pretty(&outline)? + "\n")
}

#[derive(Serialize)]
struct Outline<'a> {
    format: u32,
    find: Goal,
    unit: &'static str,
    objectives: &'a [String],
    from: f64,
    to: Option<f64>,
    repeats: u32,
    precision: f64,
    #[serde(flatten)]
    found: &'a Found,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    load: f64,
    #[serde(flatten)]
    row: &'a Row,
}

fn searched(finding: &Finding<'_>) -> String {
    let what = match finding.spec.goal {
        Goal::MaxQps => "the highest rate",
        Goal::MaxUsers => "the most users",
    };
    let slos = match finding.slos {
        [] => "at least 97% of it achieved".to_owned(),
        slos => slos.join(", "),
    };
    let (repeats, precision) = (finding.spec.repeats, finding.spec.precision * 100.0);
    let runs = if repeats == 1 { "run" } else { "runs" };
    format!("{what} with {slos}; up to {repeats} {runs} a load, to {precision:.3}%")
        .replace(".000%", "%")
}

fn maximum(finding: &Finding<'_>) -> String {
    let unit = finding.spec.goal.unit();
    match finding.found.maximum {
        Some(maximum) if finding.found.outcome == Outcome::AtTheTop => {
            format!("at least {} {unit}", number(Some(maximum)))
        }
        Some(maximum) => format!("{} {unit}", number(Some(maximum))),
        None => "none".to_owned(),
    }
}

fn interval(finding: &Finding<'_>) -> String {
    let unit = finding.spec.goal.unit();
    match (finding.found.low, finding.found.high) {
        (Some(low), Some(high)) => format!(
            "{} (every run met up to here) to {} (every run failed from here on) {unit}",
            number(Some(low)),
            number(Some(high))
        ),
        (Some(low), None) => format!(
            "from {} {unit} on; no upper end is known",
            number(Some(low))
        ),
        (None, Some(high)) => format!("below {} {unit}", number(Some(high))),
        (None, None) => "nothing is known".to_owned(),
    }
}

fn limited_by(found: &Found) -> String {
    let of = |limit: &Limit| match limit {
        Limit::Objective(words) => format!("an objective: {words}"),
        Limit::Saturated(words) => format!("the server is saturated: {words}"),
        Limit::Failures(words) => format!("failures: {words}"),
        Limit::Generator(words) => format!("the generator, not the server: {words}"),
    };
    match &found.outcome {
        Outcome::Limited(limit) => of(limit),
        Outcome::NotEvenTheSmallest(limit) => format!("{} (at the smallest load)", of(limit)),
        Outcome::AtTheTop => "--to: nothing failed up to there".to_owned(),
        Outcome::Unfinished => "the search was ended before its time".to_owned(),
    }
}

/// The figures of the last run of the found load that met.
fn at_maximum<'a>(finding: &Finding<'a>) -> Option<&'a Figures> {
    let maximum = finding.found.maximum?;
    let at = |(load, row): &&(f64, Row)| load.total_cmp(&maximum).is_eq() && row.figures.is_some();
    let run = finding.runs.iter().rfind(at)?;
    run.1.figures.as_ref()
}

/// A line a load.
fn points(finding: &Finding<'_>) -> String {
    let mut text = format!(
        "{:>12}  {:>5}  {:>10}  {:>10}  {:>12}  what limited it\n",
        finding.spec.goal.unit(),
        "met",
        "achieved/s",
        "TTFT p95",
        "latency p95"
    );
    for point in &finding.found.points {
        let _ = writeln!(text, "{}", point_line(finding, point));
    }
    text
}

fn point_line(finding: &Finding<'_>, point: &Point) -> String {
    let of = |(load, _): &&(f64, Row)| load.total_cmp(&point.load).is_eq();
    let figures: Vec<&Figures> = finding
        .runs
        .iter()
        .filter(of)
        .filter_map(|(_, row)| row.figures.as_ref())
        .collect();
    let middle = |value: &dyn Fn(&Figures) -> Option<f64>| {
        let mut values: Vec<f64> = figures
            .iter()
            .filter_map(|figures| value(figures))
            .collect();
        values.sort_by(f64::total_cmp);
        number(values.get(values.len() / 2).copied())
    };
    let met = point.runs.iter().filter(|run| run.is_met()).count();
    let limit = point.runs.iter().find_map(|run| match run {
        Judgement::Failed(limit) => Some(limit.words()),
        Judgement::Met => None,
    });
    let line = format!(
        "{:>12}  {:>5}  {:>10}  {:>10}  {:>12}  {}",
        number(Some(point.load)),
        format!("{met}/{}", point.runs.len()),
        middle(&Figures::achieved_per_s),
        middle(&|figures| figures.ttft.as_ref()?.quantile(0.95)),
        middle(&|figures| figures.latency.as_ref()?.quantile(0.95)),
        limit.unwrap_or_default()
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::figures::tests::sample;
    use crate::suite::{Search, Step};

    const SPEC: SearchSpec = SearchSpec {
        goal: Goal::MaxQps,
        from: 10.0,
        to: None,
        repeats: 1,
        precision: 0.1,
    };

    fn run() -> (Found, Vec<(f64, Row)>) {
        let mut search = Search::new(SPEC);
        let mut runs = Vec::new();
        loop {
            match search.next() {
                Step::Done(found) => return (found, runs),
                Step::Run(trial) => {
                    let judgement = if trial.load < 33.0 {
                        Judgement::Met
                    } else {
                        Judgement::Failed(Limit::Objective(
                            "ttft:p95<500ms: measured 612 ms".to_owned(),
                        ))
                    };
                    search.note(trial, judgement);
                    let row = Row {
                        figures: Some(sample(64, Some(trial.load), trial.load * 10.0)),
                        ..Row::default()
                    };
                    runs.push((trial.load, row));
                }
            }
        }
    }

    fn with_finding<R>(judge: impl FnOnce(&Finding<'_>) -> R) -> R {
        let (found, runs) = run();
        judge(&Finding {
            spec: &SPEC,
            slos: &["ttft:p95<500ms".to_owned()],
            found: &found,
            runs: &runs,
        })
    }

    #[test]
    fn the_block_says_what_was_found_and_how_sure_it_is() {
        insta::assert_snapshot!(with_finding(finding_text), @r#"
        ==================================== Search ====================================
        Searched            : the highest rate with ttft:p95<500ms; up to 1 run a load, to 10%
        Found maximum       : 32.5 requests/s
        Interval            : 32.5 (every run met up to here) to 35 (every run failed from here on) requests/s
        Limited by          : an objective: ttft:p95<500ms: measured 612 ms
        At the maximum      : 32.5 requests/s, 640 tokens/s, TTFT p95 65 ms, latency p95 325 ms

          requests/s    met  achieved/s    TTFT p95   latency p95  what limited it
                  10    1/1          10          20           100
                  20    1/1          20          40           200
                  30    1/1          30          60           300
                32.5    1/1        32.5          65           325
                  35    0/1          35          70           350  ttft:p95<500ms: measured 612 ms
                  40    0/1          40          80           400  ttft:p95<500ms: measured 612 ms
        ================================================================================
        "#);
    }

    #[test]
    fn the_json_holds_the_same_and_every_run() {
        let json: serde_json::Value =
            serde_json::from_str(&with_finding(|finding| finding_json(finding).unwrap())).unwrap();
        assert_eq!(json["maximum"], 32.5);
        assert_eq!(json["find"], "max-qps");
        assert_eq!(json["outcome"]["outcome"], "limited");
        assert_eq!(json["outcome"]["limit"]["kind"], "objective");
        assert_eq!(
            json["runs"].as_array().unwrap().len(),
            json["points"].as_array().unwrap().len()
        );
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let mut found = run().0;
        found.outcome = Outcome::AtTheTop;
        found.high = None;
        let finding = Finding {
            spec: &SPEC,
            slos: &[],
            found: &found,
            runs: &[],
        };
        let text = finding_text(&finding);
        assert!(text.contains("at least 32.5 requests/s"), "{text}");
        assert!(text.contains("no upper end is known"), "{text}");
    }
}
