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
