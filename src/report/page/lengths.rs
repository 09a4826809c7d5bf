//! The time to the first token against the length of the prompt, request by request, with medians by length.
//! Where nothing is streamed it is the whole time of an answer.

use std::collections::BTreeMap;

use super::outline::{axis, counted, percent, quantity, series, shown, text};
use crate::domain::{Answer, Index, Offset, Outcome};
use crate::page::{Axis, Block, Chart, Kind};
use crate::report::Context;

/// More points than this are no more than a blot.
const MOST_POINTS: usize = 2_000;
/// Groups of lengths that have a median each.
const GROUPS: usize = 20;
/// Fewest requests of a group, where there are enough of them.
const FEWEST: usize = 5;

/// A request: its prompt's length in tokens, and a time in milliseconds.
type Place = (f64, f64);

pub(super) fn blocks(ctx: &Context<'_>, answers: &BTreeMap<Index, Answer>) -> Vec<Block> {
    let is_streamed = answers
        .values()
        .any(|answer| answer.first_content.is_some());
    let good = answers.values().filter(|answer| answer.outcome.is_good());
    let mut places: Vec<Place> = good
        .filter_map(|answer| place(answer, is_streamed))
        .collect();
    if places.is_empty() {
        return Vec::new();
    }
    let of = ctx.summary.whole_run(Outcome::is_good);
    let every = places.len().div_ceil(MOST_POINTS);
    let drawn: Vec<Place> = places.iter().copied().step_by(every).collect();
    places.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let medians = medians(&places);
    let share = quantity(drawn.len() as u64) / quantity(of.max(1));
    let words = format!(
        "{} of the {} of the run ({}) {} drawn, chosen by their numbers alone; medians are of the {} that were \
         kept one by one.",
        drawn.len(),
        counted(of, "good request"),
        percent(share.min(1.0)),
        if drawn.len() == 1 { "is" } else { "are" },
        places.len()
    );
    let name = if is_streamed {
        "time to first token"
    } else {
        "total latency"
    };
    vec![
        text(words),
        Block::Chart(Chart {
            title: format!(
                "{}{} by length of the prompt",
                name[..1].to_uppercase(),
                &name[1..]
            ),
            summary: in_words(name, &medians),
            x: around(&places),
            y: vec![axis(name, "ms")],
            series: vec![
                series("requests", Kind::Points, points_of(drawn)),
                series("median", Kind::Line, points_of(medians)),
            ],
            marks: Vec::new(),
            group: String::new(),
        }),
    ]
}

/// An axis from the shortest prompt to the longest, with a little room on both sides.
fn around(sorted: &[Place]) -> Axis {
    let (least, most) = sorted
        .first()
        .zip(sorted.last())
        .map_or((0.0, 0.0), |(first, last)| (first.0, last.0));
    let room = ((most - least) * 0.04).max(most * 0.01).max(1.0);
    Axis {
        min: Some((least - room).max(0.0)),
        max: Some(most + room),
        ..axis("prompt", "tokens")
    }
}

fn points_of(places: Vec<Place>) -> impl Iterator<Item = (f64, Option<f64>)> {
    places.into_iter().map(|(x, y)| (x, Some(y)))
}

fn place(answer: &Answer, is_streamed: bool) -> Option<Place> {
    let length = answer
        .server_prompt_tokens
        .or(answer.counted_prompt_tokens)
        .or(answer.requested_prompt_tokens)?;
    let until = if is_streamed {
        answer.first_content?
    } else {
        answer.end
    };
    let took = Offset::from_nanos(until.nanos_since(answer.sent?));
    Some((f64::from(length), took.as_secs_f64() * 1e3))
}

/// Medians of groups of about equally many requests of neighbouring lengths: (median length, median time). Requests of one length
/// are in one group.
fn medians(sorted: &[Place]) -> Vec<Place> {
    let size = sorted.len().div_ceil(GROUPS).max(FEWEST);
    let mut medians = Vec::new();
    let mut rest = sorted;
    while !rest.is_empty() {
        let edge = rest[size.min(rest.len()) - 1].0;
        let taken = rest.partition_point(|place| place.0 <= edge);
        let (group, behind) = rest.split_at(taken);
        let mut times: Vec<f64> = group.iter().map(|place| place.1).collect();
        times.sort_by(f64::total_cmp);
        medians.push((group[(taken - 1) / 2].0, times[(taken - 1) / 2]));
        rest = behind;
    }
    medians
}

fn in_words(name: &str, medians: &[Place]) -> String {
    let one =
        |(length, time): &Place| format!("{} ms at about {} tokens", shown(*time), shown(*length));
    let (first, last) = (medians.first().map(one), medians.last().map(one));
    match (first, last) {
        (Some(first), Some(last)) if first != last => {
            format!("The median {name} is {first} and {last}.")
        }
        (Some(first), _) => format!("The median {name} is {first}."),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_goes_from_the_shortest_prompt_to_the_longest_with_a_little_room() {
        let ends = |lengths: &[f64]| {
            let places: Vec<Place> = lengths.iter().map(|length| (*length, 1.0)).collect();
            let axis = around(&places);
            (axis.min.unwrap(), axis.max.unwrap())
        };
        assert_eq!(ends(&[1_000.0, 1_100.0, 2_000.0]), (960.0, 2_040.0));
        assert_eq!(ends(&[500.0]), (495.0, 505.0));
        assert_eq!(ends(&[1.0, 101.0]), (0.0, 105.0));
    }

    #[test]
    fn medians_are_of_neighbouring_lengths_and_one_length_is_not_divided() {
        let places: Vec<Place> = (0..100)
            .map(|n| (f64::from(n / 10), f64::from(n % 10)))
            .collect();
        let got = medians(&places);
        assert_eq!(got.len(), 10);
        assert!(
            got.iter()
                .enumerate()
                .all(|(n, place)| *place == (quantity(n as u64), 4.0))
        );
        assert_eq!(medians(&[(7.0, 3.0), (7.0, 1.0), (7.0, 2.0)]), [(7.0, 2.0)]);
        assert_eq!(medians(&[]), []);
    }
}
