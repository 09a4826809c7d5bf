//! How far a run has come: its state in a word, and how much of it is done and left.

use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::figure::{clock, count, counted, exact};
use super::sheet::{ACCENT, DIM};
use super::{Scene, sheet};
use crate::domain::Offset;
use crate::report::LifeStage;

/// What is said of the way.
pub(super) struct Progress {
    /// In words.
    pub(super) words: String,
    /// The share of it that is done, where its end is known.
    pub(super) share: Option<f64>,
}

/// The state, as a badge.
pub(super) fn badge(scene: &Scene<'_>) -> Span<'static> {
    let standing = scene.standing;
    let (word, colour) = match standing.stage {
        LifeStage::Running if standing.load.paused => ("PAUSED", Color::Yellow),
        LifeStage::Waiting => ("WAITING", Color::Yellow),
        LifeStage::Preparing => ("PREPARING", Color::Yellow),
        LifeStage::Running => ("RUNNING", Color::Green),
        LifeStage::Stopping => ("STOPPING", Color::Yellow),
        LifeStage::Ended => ("ENDED", Color::Cyan),
    };
    let style = Style::new()
        .fg(colour)
        .add_modifier(Modifier::REVERSED | Modifier::BOLD);
    Span::styled(format!(" {word} "), style)
}

/// How far it is.
pub(super) fn of(scene: &Scene<'_>) -> Progress {
    let standing = scene.standing;
    match standing.stage {
        LifeStage::Waiting if scene.cluster => {
            let here = standing.workers.iter().filter(|worker| worker.connected);
            let here = counted(here.count(), "worker");
            unknown(format!("waiting for workers: {here} here"))
        }
        LifeStage::Waiting | LifeStage::Preparing => unknown("about to start".to_owned()),
        LifeStage::Stopping => {
            let in_flight = count(u64::from(standing.crowd.in_flight));
            unknown(format!("{}, {in_flight} still in flight", so_far(scene)))
        }
        LifeStage::Running | LifeStage::Ended => running(scene),
    }
}

const fn unknown(words: String) -> Progress {
    Progress { words, share: None }
}

fn so_far(scene: &Scene<'_>) -> String {
    clock(since_start(scene))
}

fn since_start(scene: &Scene<'_>) -> Duration {
    scene.standing.now.since(Offset::ZERO)
}

/// By its time or by its requests, whichever is nearer to its end.
fn running(scene: &Scene<'_>) -> Progress {
    let candidates = [by_time(scene), by_requests(scene)];
    let known = candidates.into_iter().flatten();
    let share = |progress: &Progress| progress.share.unwrap_or(0.0);
    known
        .max_by(|one, other| share(one).total_cmp(&share(other)))
        .unwrap_or_else(|| unknown(format!("{}, until it is stopped", so_far(scene))))
}

fn by_time(scene: &Scene<'_>) -> Option<Progress> {
    let left = scene.standing.left?;
    let done = since_start(scene);
    // What is left was asked for a moment before or after.
    let end = scene.plan.schedule.end_of_sending();
    let whole = end.map_or(done + left, |end| end.since(Offset::ZERO).max(done));
    // Spans are rounded each for itself: the parts are to add up to the whole that is said.
    let left = Duration::from_secs(rounded(whole).saturating_sub(done.as_secs()));
    let words = format!(
        "{} of {}, {} left",
        clock(done),
        clock(Duration::from_secs(rounded(whole))),
        clock(left)
    );
    let share = (!whole.is_zero()).then(|| done.as_secs_f64() / whole.as_secs_f64());
    Some(Progress { words, share })
}

fn rounded(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_millis() >= 500)
}

fn by_requests(scene: &Scene<'_>) -> Option<Progress> {
    let whole = scene
        .plan
        .schedule
        .most_arrivals()
        .filter(|&whole| whole > 0)?;
    let counts = scene.standing.summary.counts;
    let done = (counts.sent + counts.dropped + counts.late_cancelled + counts.lost).min(whole);
    let rest = exact(whole - done);
    let speed = scene.course.sent_per_s().filter(|&speed| speed > 0.0);
    let left = speed.and_then(|speed| Duration::try_from_secs_f64(rest / speed).ok());
    let left = left.map_or_else(String::new, |left| format!(", about {} left", clock(left)));
    let words = format!("{} of {} requests{left}", count(done), count(whole));
    Some(Progress {
        words,
        share: Some(exact(done) / exact(whole)),
    })
}

/// A bar with its words, in so many columns.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "columns of a terminal"
)]
pub(super) fn line(scene: &Scene<'_>, width: usize) -> Line<'static> {
    let progress = of(scene);
    let words = sheet::fitting(&progress.words, width);
    let room = width.saturating_sub(words.width() + 2);
    let Some(share) = progress.share.filter(|_| room >= 8) else {
        return Line::from(Span::raw(words));
    };
    let done = (share.clamp(0.0, 1.0) * room as f64).round() as usize;
    Line::from(vec![
        Span::styled("━".repeat(done), ACCENT),
        Span::styled("─".repeat(room.saturating_sub(done)), DIM),
        Span::raw("  "),
        Span::raw(words),
    ])
}
