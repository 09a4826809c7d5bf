//! Pictures of small figures: what stands in them, and that their bytes are a picture.

use super::*;

fn figure() -> Figure {
    let dot = |x: f64, y: f64| Dot {
        x,
        y,
        ..Dot::default()
    };
    Figure {
        title: "Two panels".to_owned(),
        panels: vec![
            Panel {
                title: "Bars".to_owned(),
                x: "run".to_owned(),
                y: "requests/s".to_owned(),
                body: Body::Bars {
                    places: vec!["1".to_owned(), "2".to_owned()],
                    groups: vec![
                        ("mean".to_owned(), vec![Some(3.0), Some(4.5)]),
                        ("median".to_owned(), vec![Some(2.0), None]),
                    ],
                },
            },
            Panel {
                title: "Lines".to_owned(),
                x: "users".to_owned(),
                y: "latency (ms)".to_owned(),
                body: Body::Lines {
                    lines: vec![Line {
                        name: "p95".to_owned(),
                        points: vec![dot(1.0, 10.0), dot(2.0, 40.0)],
                    }],
                    places: Vec::new(),
                    limits: vec![(30.0, "limit 30 ms".to_owned())],
                },
            },
        ],
        columns: 2,
        key: vec!["1  users=1".to_owned(), "2  users=2".to_owned()],
    }
}

#[test]
fn an_svg_says_everything_in_words() {
    let text = svg(&figure()).unwrap();
    for word in [
        "Two panels",
        "Bars",
        "requests/s",
        "median",
        "limit 30 ms",
        "2  users=2",
        "4.5",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    assert!(text.contains("#0072B2") && text.contains("sans-serif"));
    assert_eq!(svg(&figure()).unwrap(), text);
}

#[test]
fn a_png_is_a_picture_with_ink_in_it() {
    let bytes = png(&figure()).unwrap();
    let mut reader = png::Decoder::new(bytes.as_slice()).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), layout::size(&figure()));
    let has = |colour: [u8; 3]| pixels.chunks_exact(3).any(|pixel| pixel == colour);
    assert!(has([0, 114, 178]) && has([213, 94, 0]), "both bars");
    let dark = pixels
        .chunks_exact(3)
        .filter(|pixel| pixel.iter().all(|part| *part < 100));
    assert!(dark.count() > 1_000, "letters");
}

#[test]
fn nothing_to_show_is_no_error() {
    let empty = Figure {
        panels: vec![Panel {
            title: String::new(),
            x: String::new(),
            y: String::new(),
            body: Body::Lines {
                lines: Vec::new(),
                places: Vec::new(),
                limits: Vec::new(),
            },
        }],
        ..Figure::default()
    };
    assert!(svg(&empty).is_ok() && svg(&Figure::default()).is_ok());
}

fn one(body: Body) -> Figure {
    Figure {
        title: "One panel".to_owned(),
        panels: vec![Panel {
            title: String::new(),
            x: "latency (s)".to_owned(),
            y: "requests".to_owned(),
            body,
        }],
        columns: 1,
        key: Vec::new(),
    }
}

fn mark(value: f64, label: &str) -> Mark {
    Mark {
        value,
        label: label.to_owned(),
    }
}

#[test]
fn a_histogram_says_how_many_how_wide_and_what_is_outside() {
    let mut values: Vec<f64> = (0..50).map(|at| 1.0 + f64::from(at) / 50.0).collect();
    values.push(90.0);
    let text = svg(&one(Body::Histogram {
        values,
        marks: vec![mark(1.5, "p50 1.5 s"), mark(46.0, "p99 46 s")],
        unit: "s".to_owned(),
        note: "2 left out".to_owned(),
    }))
    .unwrap();
    for word in [
        "n = 51",
        "bins of 0.1 s",
        "1 beyond 2 s, up to 90 s",
        "2 left out",
        "p50 1.5 s",
        "p99 46 s &gt;",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[test]
fn points_far_outside_are_triangles_and_many_points_are_cells() {
    let circles = |n: u32| {
        let mut points: Vec<(f64, f64)> = (0..n)
            .map(|at| (f64::from(at % 50) + 10.0, f64::from(at % 41) + 20.0))
            .collect();
        points.push((12.0, 5_000.0));
        let text = svg(&one(Body::Scatter {
            points,
            x_marks: Vec::new(),
            y_marks: vec![mark(30.0, "p50 30 s")],
            note: String::new(),
        }))
        .unwrap();
        assert!(text.contains("1 outside the axes (triangles)") && text.contains("<polygon"));
        text.matches("<circle").count()
    };
    assert_eq!(circles(300), 300);
    let cells = circles(20_000);
    assert!((100..=2_050).contains(&cells), "{cells}");
}

#[test]
fn nothing_measured_is_said() {
    let histogram = Body::Histogram {
        values: Vec::new(),
        marks: Vec::new(),
        unit: "s".to_owned(),
        note: String::new(),
    };
    assert!(
        svg(&one(histogram))
            .unwrap()
            .contains("nothing was measured")
    );
}

#[test]
fn whiskers_show_where_a_value_may_lie() {
    let panel = |interval| Panel {
        title: "TTFT".to_owned(),
        x: String::new(),
        y: "s".to_owned(),
        body: Body::Whiskers {
            places: vec!["a".to_owned(), "<b>&".to_owned()],
            values: vec![
                Some(Estimate {
                    value: 2.0,
                    interval,
                }),
                None,
            ],
        },
    };
    let drawn = |interval| {
        let figure = Figure {
            panels: vec![panel(interval)],
            ..Figure::default()
        };
        svg(&figure).unwrap()
    };
    let lines = |text: &str| text.matches("stroke-width=\"3\"").count();
    let (with, without) = (drawn(Some((1.5, 3.0))), drawn(None));
    assert_eq!((lines(&with), lines(&without)), (3, 0));
    assert!(with.contains("&lt;b&gt;&amp;") && !with.contains("<b>"));
}
