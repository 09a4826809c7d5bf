//! Curves on several axes: what stands in the pictures, how many marks and lines, and that no figures break them.

use proptest::prelude::*;

use super::*;
use crate::chart::{Figure, png, svg};

fn spot(x: f64, y: f64) -> Spot {
    Spot {
        x,
        y,
        whisker: None,
    }
}

fn curve(name: &str, axis: usize, stroke: Stroke, points: Vec<Spot>) -> Curve {
    Curve {
        name: name.to_owned(),
        axis,
        stroke,
        points,
        ..Curve::default()
    }
}

fn side(title: &str, ends: Option<(f64, f64)>) -> Side {
    Side {
        title: title.to_owned(),
        ends,
    }
}

fn figure(axes: Vec<Side>, curves: Vec<Curve>) -> Figure {
    Figure {
        title: "One panel".to_owned(),
        panels: vec![Panel {
            title: String::new(),
            x: "parallel requests".to_owned(),
            y: "not shown".to_owned(),
            body: Body::Curves { axes, curves },
        }],
        columns: 1,
        key: Vec::new(),
    }
}

/// As many polylines of a colour.
fn lines(text: &str, colour: &str) -> usize {
    let of = |tag: &&str| tag.starts_with("<polyline") && tag.contains(colour);
    text.lines().filter(of).count()
}

fn speeds() -> Figure {
    let at = |n: f64, y: f64, low: f64, high: f64| Spot {
        x: n,
        y,
        whisker: Some((low, high)),
    };
    let mut speed = vec![at(1.0, 40.0, 38.0, 41.0), at(2.0, 35.0, 30.0, 36.0)];
    speed.push(at(4.0, 22.0, 20.0, 27.0));
    let first = vec![at(1.0, 0.2, 0.19, 0.25), at(2.0, 0.3, 0.2, 0.35)];
    let cache = vec![spot(1.0, 0.2), spot(2.0, 0.4), spot(4.0, 1.5)];
    figure(
        vec![
            side("speed (tokens/s)", None),
            side("time to first token (s)", None),
            side("cache use (share)", Some((0.0, 1.0))),
        ],
        vec![
            curve("speed", 0, Stroke::Line, speed),
            curve("TTFT", 1, Stroke::Line, first),
            curve("cache", 2, Stroke::Dashed, cache),
        ],
    )
}

#[test]
fn three_axes_stand_beside_each_other_in_their_curves_colours() {
    let text = svg(&speeds()).unwrap();
    let words = |colour: &str| -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = text.lines();
        while let Some(line) = rest.next() {
            if line.starts_with("<text") && line.contains(colour) {
                found.extend(rest.next());
            }
        }
        found
    };
    // Three quarters of blue, orange and green.
    let (first, second, third) = (words("#005686"), words("#A04700"), words("#007757"));
    assert!(
        first.contains(&"speed (tokens/s)") && first.contains(&"40"),
        "{first:?}"
    );
    assert!(
        second.contains(&"time to first token (s)") && second.contains(&"0.3"),
        "{second:?}"
    );
    assert_eq!(
        third,
        ["0", "0.2", "0.4", "0.6", "0.8", "1", "cache use (share)"]
    );
    assert!(!text.contains("not shown"));
    for name in ["speed", "TTFT", "cache"] {
        assert!(
            text.contains(&format!("\n{name}\n")),
            "{name}: no axis has two curves"
        );
    }
}

#[test]
fn a_whisker_is_an_upright_line_with_two_feet() {
    let text = svg(&speeds()).unwrap();
    // The line through the points, three whiskers with two feet each.
    assert_eq!(lines(&text, "#0072B2"), 1 + 9);
    assert_eq!(lines(&text, "#D55E00"), 1 + 6);
    // The dashes of a line of over a hundred pixels.
    assert!(lines(&text, "#009E73") > 20, "{}", lines(&text, "#009E73"));
}

#[test]
fn curves_that_share_an_axis_say_where_it_is() {
    let points = || vec![spot(0.0, 1.0), spot(1.0, 2.0)];
    let text = svg(&figure(
        vec![side("cache", Some((0.0, 1.0))), side("requests", None)],
        vec![
            curve("cache use", 0, Stroke::Steps, points()),
            curve("running", 1, Stroke::Steps, points()),
            curve("waiting", 1, Stroke::Steps, points()),
            curve("", 1, Stroke::Steps, points()),
        ],
    ))
    .unwrap();
    for name in [
        "\ncache use\n",
        "\nrunning (right)\n",
        "\nwaiting (right)\n",
    ] {
        assert!(text.contains(name), "{name}");
    }
    assert!(!text.contains("\n (right)\n"), "no name, no entry");
    // Running: up to 2, in whole requests.
    assert!(
        !text.contains("\n0.5\n") && !text.contains("\n1.5\n"),
        "{text}"
    );
}

#[test]
fn a_fitted_line_is_red_and_takes_no_colour_from_the_rest() {
    let fit = Curve {
        colour: Colour::Red,
        ..curve(
            "fit",
            0,
            Stroke::Dashed,
            vec![spot(0.0, 0.0), spot(90.0, 9.0)],
        )
    };
    let points = (0..90).map(|at| spot(f64::from(at), f64::from(at) / 10.0));
    let cloud = curve("queries", 0, Stroke::Points, points.collect());
    let text = svg(&figure(vec![side("s", None)], vec![fit, cloud])).unwrap();
    assert!(lines(&text, "#AA001E") > 20);
    let circles = text
        .lines()
        .filter(|tag| tag.starts_with("<circle") && tag.contains("#0072B2"));
    // And the one of the legend.
    assert_eq!(circles.count(), 91);
}

#[test]
fn thirty_thousand_samples_are_drawn_fast_and_keep_their_extremes() {
    let samples = |top: f64| -> Vec<Spot> {
        let height = |at: u32| {
            if at == 17_123 {
                top
            } else {
                f64::from(at % 97) / 97.0
            }
        };
        (0..30_000)
            .map(|at| spot(f64::from(at) / 100.0, height(at)))
            .collect()
    };
    let drawn = |top: f64| {
        let axes = vec![side("share", Some((0.0, 2.0)))];
        let curves = vec![curve("", 0, Stroke::Steps, samples(top))];
        svg(&figure(axes, curves)).unwrap()
    };
    let (high, low) = (drawn(2.0), drawn(0.5));
    assert!(high.len() < 400_000, "{} bytes", high.len());
    assert_ne!(high, low, "one sample of 30,000 is seen");
}

#[test]
fn one_point_is_seen_however_it_is_drawn() {
    for stroke in [Stroke::Line, Stroke::Dashed, Stroke::Steps, Stroke::Points] {
        let only = curve("", 0, stroke, vec![spot(3.0, 7.0)]);
        let text = svg(&figure(vec![side("s", None)], vec![only])).unwrap();
        assert_eq!(text.matches("<circle").count(), 1, "{stroke:?}");
    }
}

#[test]
fn a_curve_of_no_axis_is_left_out() {
    let lost = curve("", 3, Stroke::Line, vec![spot(1.0, 1.0), spot(2.0, 2.0)]);
    let text = svg(&figure(vec![side("s", None)], vec![lost])).unwrap();
    assert_eq!(lines(&text, "#0072B2"), 0);
    assert!(svg(&figure(Vec::new(), Vec::new())).is_ok());
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3_f64,
        1 => Just(0.0),
        1 => any::<f64>(),
        1 => Just(1e18),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_figures_break_a_picture(
        points in prop::collection::vec((value(), value(), prop::option::of((value(), value()))), 0..40),
        stroke in prop::sample::select(vec![Stroke::Line, Stroke::Dashed, Stroke::Steps, Stroke::Points]),
        fixed in prop::option::of((value(), value())),
    ) {
        let points: Vec<Spot> = points.into_iter().map(|(x, y, whisker)| Spot { x, y, whisker }).collect();
        let axes = vec![side("one", fixed), side("two", None)];
        let curves = vec![
            curve("a", 0, stroke, points.clone()),
            curve("b", 1, stroke, points),
        ];
        prop_assert!(svg(&figure(axes.clone(), curves.clone())).is_ok());
        prop_assert!(png(&figure(axes, curves)).is_ok());
    }
}
