//! Charts that nobody expects: empty ones, hostile names, more points than there is room for.

use super::{HOSTILE, LONG, axis, count_to, mark, series, wave};
use crate::page::{At, Block, Chart, Kind, Point, Scale, Series};

pub(super) fn small(title: &str, series: Vec<Series>) -> Chart {
    Chart {
        title: title.to_owned(),
        x: axis("Time", "s", Scale::Linear),
        y: vec![axis("Value", "", Scale::Linear)],
        series,
        ..Chart::default()
    }
}

fn line(title: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Block {
    Block::Chart(small(title, vec![series("Values", Kind::Line, 0, points)]))
}

fn hostile() -> Chart {
    Chart {
        title: HOSTILE.to_owned(),
        summary: HOSTILE.to_owned(),
        x: axis(
            HOSTILE,
            HOSTILE,
            Scale::Names(vec![HOSTILE.to_owned(), String::new()]),
        ),
        y: vec![axis(HOSTILE, HOSTILE, Scale::Linear)],
        series: vec![
            series(HOSTILE, Kind::Bars, 0, [(0.0, 3.0), (1.0, 2.0)]),
            series(HOSTILE, Kind::Line, 9, [(0.0, 1.0), (1.0, 4.0)]),
        ],
        marks: vec![mark(HOSTILE, At::Y(3.5))],
        group: HOSTILE.to_owned(),
    }
}

pub(super) fn crowded() -> [Block; 2] {
    [
        Block::Chart(Chart {
            marks: vec![
                mark("run 3, the knee", At::Ring([6.0, 36.0])),
                mark("run 4, on the same place", At::Point([6.0, 36.0])),
                mark("run 5", At::Point([7.0, 49.0])),
                mark("p50", At::X(3.0)),
                mark("p51", At::X(3.05)),
                mark("p52", At::X(3.1)),
            ],
            ..small(
                "Words at points, and more marks than have room",
                vec![series(
                    "Curve",
                    Kind::Line,
                    0,
                    count_to(10).map(|at| (at, at * at)),
                )],
            )
        }),
        Block::Chart(small(
            "Four lines of many points",
            (0..4_u32)
                .map(|nth| {
                    let kind = [Kind::Line, Kind::Line, Kind::Steps, Kind::Dashed][nth as usize];
                    let points = count_to(400).map(|at| (at, f64::from(nth) + wave(at)));
                    series(&format!("Line {nth}"), kind, 0, points)
                })
                .collect(),
        )),
    ]
}

pub(super) fn unusual() -> Vec<Block> {
    let nine = (0..9_u32).map(|nth| {
        let shift = f64::from(nth);
        series(
            &format!("{LONG}-{nth}"),
            Kind::Line,
            0,
            count_to(30).map(move |at| (at, shift + wave(at + shift * 7.0))),
        )
    });
    let none = Point {
        x: f64::NAN,
        y: Some(f64::INFINITY),
        spread: None,
    };
    vec![
        Block::Chart(hostile()),
        Block::Chart(small("Nine series with long names", nine.collect())),
        line("One point", [(5.0, 2.5)]),
        Block::Chart(small(
            "One empty series of two",
            vec![
                series("Empty", Kind::Line, 0, []),
                series(
                    "Below zero",
                    Kind::Line,
                    0,
                    count_to(10).map(|at| (at - 5.0, at * at - 60.0)),
                ),
            ],
        )),
        line("All the same", count_to(10).map(|at| (at, 0.0))),
        Block::Chart(small(
            "Nothing",
            vec![Series {
                points: vec![none],
                ..Series::default()
            }],
        )),
        line(
            "25,000 points",
            count_to(25_000).map(|at| {
                let is_high = (at - 12_345.0).abs() < 0.5;
                (at / 100.0, if is_high { 9.0 } else { wave(at) })
            }),
        ),
        crate::page::text(HOSTILE),
    ]
}
