//! The whole run where there is little room: the most important lines first, and as many of them as fit.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::figure::{count, percentile};
use super::sheet::DIM;
use super::{Scene, latency, load, log, progress, trust, workers};

/// The lines, at most so many.
pub(super) fn lines(scene: &Scene<'_>, most: usize, width: usize) -> Vec<Line<'static>> {
    let standing = scene.standing;
    let way = progress::of(scene);
    let mut lines = vec![
        Line::from(vec![
            progress::badge(scene),
            Span::raw(format!(" {}", way.words)),
        ]),
        labelled("sent/s", load::sent(scene), Style::new()),
    ];
    for kind in latency::kinds(scene) {
        let lately = standing.lately.phase.get(kind.metric);
        let (median, tail) = (percentile(lately, 0.5), percentile(lately, 0.99));
        lines.push(labelled(
            kind.label,
            format!("{median}, p99 {tail}"),
            Style::new(),
        ));
    }
    lines.push(load::totals(scene));
    lines.push(labelled(
        "generator",
        trust::verdict(scene).content.into_owned(),
        trust::verdict(scene).style,
    ));
    let (users, in_flight) = (standing.crowd.users, standing.crowd.in_flight);
    let crowd = format!(
        "{}, {} in flight",
        count(users.into()),
        count(in_flight.into())
    );
    lines.push(labelled("users", crowd, Style::new()));
    if scene.cluster {
        lines.push(Line::styled(workers::tally(scene), workers::worst(scene)));
    }
    let room = most.saturating_sub(lines.len());
    if room > 1 {
        lines.push(Line::styled("─".repeat(width), DIM));
        lines.extend(log::last(scene, room - 1));
    }
    lines.truncate(most);
    lines
}

fn labelled(label: &str, value: String, style: Style) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{label} "), DIM),
        Span::styled(value, style),
    ])
}
