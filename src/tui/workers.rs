//! Who sends: each worker's state, its part, and how long it has not been heard of. The ones in need stand first.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::text::{Line, Span};

use super::figure::{NOTHING, count, counted};
use super::sheet::{BAD, DIM, DOUBTFUL, GOOD, Section, flush_right, padded};
use super::skin::harmless;
use super::{Scene, errors};
use crate::report::WorkerStanding;

/// A worker that says nothing for so long is to be looked at: it should speak each second.
const SILENT: Duration = Duration::from_millis(2_500);

/// How a worker is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Well,
    Doubtful,
    Lost,
}

fn health(worker: &WorkerStanding) -> Health {
    if worker.state == "lost" {
        Health::Lost
    } else if worker.state != "done" && (!worker.connected || worker.silent >= SILENT) {
        Health::Doubtful
    } else {
        Health::Well
    }
}

/// Its state, or what is wrong with it, in a few words.
fn state(worker: &WorkerStanding) -> Span<'static> {
    match health(worker) {
        Health::Lost => Span::styled("LOST", BAD),
        Health::Doubtful if !worker.connected => Span::styled("unconnected", DOUBTFUL),
        Health::Doubtful => Span::styled(
            format!("silent {:.1} s", worker.silent.as_secs_f64()),
            DOUBTFUL,
        ),
        Health::Well => Span::styled(worker.state, GOOD),
    }
}

fn ordered<'a>(scene: &Scene<'a>) -> Vec<&'a WorkerStanding> {
    let mut workers: Vec<_> = scene.standing.workers.iter().collect();
    workers.sort_by_key(|worker| (Reverse(health(worker)), worker.worker));
    workers
}

/// The section, in so many lines.
pub(super) fn section(scene: &Scene<'_>, most: usize) -> Section {
    let workers = ordered(scene);
    if workers.is_empty() {
        let nothing = Line::from(Span::styled("none yet", DIM));
        return Section::new("Workers", vec![nothing]);
    }
    let lines = workers.iter().map(|worker| short(worker)).collect();
    let section = Section::new("Workers", errors::few(lines, most, "worker"));
    if scene.cluster {
        let number = workers.len().to_string();
        section.and(Span::styled(number + &in_need(scene), worst(scene)))
    } else {
        section
    }
}

fn short(worker: &WorkerStanding) -> Line<'static> {
    let state = state(worker);
    let gap = STATE.saturating_sub(state.width());
    Line::from(vec![
        state,
        Span::raw(" ".repeat(gap)),
        Span::raw(harmless(&worker.name)),
        Span::styled(
            format!(
                "  {}, {} in flight",
                counted(worker.cores as usize, "core"),
                count(worker.crowd.in_flight.into())
            ),
            DIM,
        ),
    ])
}

/// How many there are of each sort.
pub(super) fn tally(scene: &Scene<'_>) -> String {
    counted(scene.standing.workers.len(), "worker") + &in_need(scene)
}

fn in_need(scene: &Scene<'_>) -> String {
    let workers = &scene.standing.workers;
    let of = |wanted| {
        workers
            .iter()
            .filter(|worker| health(worker) == wanted)
            .count()
    };
    let mut words = String::new();
    for (number, what) in [
        (of(Health::Doubtful), "in doubt"),
        (of(Health::Lost), "lost"),
    ] {
        if number > 0 {
            words = format!("{words}, {number} {what}");
        }
    }
    words
}

/// How the worst of them is to be shown.
pub(super) fn worst(scene: &Scene<'_>) -> ratatui::style::Style {
    match scene.standing.workers.iter().map(health).max() {
        Some(Health::Lost) => BAD,
        Some(Health::Doubtful) => DOUBTFUL,
        _ => DIM,
    }
}

/// What stands above all of them.
pub(super) fn heading() -> Line<'static> {
    let names = [
        "cores",
        "users",
        "in flight",
        "waiting",
        "sent",
        "ended",
        "lost",
        "silent",
        "clock, ms",
    ];
    let columns: String = names
        .into_iter()
        .zip(COLUMNS)
        .map(|(name, columns)| flush_right(name, columns))
        .collect();
    let text = padded("state", STATE) + &padded("worker", NAME) + &columns;
    Line::from(Span::styled(text, DIM))
}

const STATE: usize = 13;
const NAME: usize = 20;
const COLUMNS: [usize; 9] = [6, 7, 10, 8, 9, 9, 6, 8, 10];

/// All of them, a line each.
pub(super) fn lines(scene: &Scene<'_>) -> Vec<Line<'static>> {
    ordered(scene).into_iter().map(long).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an offset shown to a microsecond"
)]
fn long(worker: &WorkerStanding) -> Line<'static> {
    let state = state(worker);
    let crowd = worker.crowd;
    let clock = worker.clock.map_or_else(
        || NOTHING.to_owned(),
        |(offset_ns, _)| format!("{:+.3}", offset_ns as f64 / 1e6),
    );
    let figures = [
        worker.cores.to_string(),
        count(crowd.users.into()),
        count(crowd.in_flight.into()),
        count(crowd.waiting.into()),
        count(worker.sent),
        count(worker.finished),
        count(worker.lost),
        format!("{:.1} s", worker.silent.as_secs_f64()),
        clock,
    ];
    let columns: String = figures
        .iter()
        .zip(COLUMNS)
        .map(|(figure, columns)| flush_right(figure, columns))
        .collect();
    Line::from(vec![
        Span::styled(padded(&state.content, STATE), state.style),
        Span::raw(padded(&harmless(&worker.name), NAME - 1) + " "),
        Span::raw(columns),
    ])
}
