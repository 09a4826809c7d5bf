//! Tests of the page as a whole: nothing in a description becomes markup, and all that it tells can be read without a script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::render::{SCRIPT, STYLE};
use super::sample::{self, HOSTILE};
use super::*;

/// What stands between two texts, each time.
fn between<'a>(html: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = html.split(open).skip(1);
    parts
        .map(|part| part.split(close).next().unwrap())
        .collect()
}

/// The page without its own script, style and licences.
fn body(html: &str) -> String {
    html.replace(SCRIPT, "").replace(STYLE, "")
}

fn charts(html: &str) -> Vec<Value> {
    let data = between(html, "<script type=\"application/json\">", "</script>");
    data.into_iter()
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

fn with(blocks: Vec<Block>) -> String {
    let section = Section {
        heading: "Part".to_owned(),
        blocks,
    };
    html(&Page {
        sections: vec![section],
        ..Page::default()
    })
    .unwrap()
}

fn points(values: &[(f64, Option<f64>)]) -> Vec<Point> {
    let point = |&(x, y): &(f64, Option<f64>)| Point { x, y, spread: None };
    values.iter().map(point).collect()
}

fn chart(points: Vec<Point>) -> Chart {
    Chart {
        title: "Speed".to_owned(),
        x: Axis {
            name: "Time".to_owned(),
            unit: "s".to_owned(),
            ..Axis::default()
        },
        y: vec![Axis {
            unit: "ms".to_owned(),
            ..Axis::default()
        }],
        series: vec![Series {
            name: "p50".to_owned(),
            points,
            ..Series::default()
        }],
        ..Chart::default()
    }
}

#[test]
fn the_page_runs_its_own_script_and_style_alone() {
    let html = html(&sample::page()).unwrap();
    let policy = &between(&html, "Content-Security-Policy\" content=\"", "\"")[0]
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/");
    for (text, name) in [(SCRIPT, "script-src"), (STYLE, "style-src")] {
        let digest = STANDARD.encode(Sha256::digest(text));
        assert!(
            policy.contains(&format!("{name} 'sha256-{digest}'")),
            "{policy}"
        );
    }
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert_eq!(between(&html, "<script>", "</script>"), [SCRIPT]);
    assert_eq!(between(&html, "<style>", "</style>"), [STYLE]);
}

#[test]
fn the_built_files_end_no_element_and_ask_for_nothing() {
    for word in ["</script", "<!--", "<script", "sourceMappingURL"] {
        assert!(!SCRIPT.to_lowercase().contains(word), "{word}");
    }
    for word in ["</style", "@import", "url("] {
        assert!(!STYLE.contains(word), "{word}");
    }
    assert!(SCRIPT.len() < 700_000, "{}", SCRIPT.len());
    assert!(SCRIPT.starts_with("/*! Holds Apache ECharts "));
}

#[test]
fn the_licences_of_what_is_built_in_are_on_the_page() {
    let html = html(&Page::default()).unwrap();
    for words in [
        "The Apache Software Foundation",
        "TERMS AND CONDITIONS FOR USE, REPRODUCTION",
        "Baidu Inc.",
        "Mike Bostock",
        "Microsoft Corporation",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn nothing_of_a_page_is_addressed_elsewhere() {
    let html = body(&html(&sample::page()).unwrap());
    for attribute in [
        " src=\"",
        " href=\"http",
        " action=",
        " style=\"",
        " onclick=",
    ] {
        assert!(!html.contains(attribute), "{attribute}");
    }
}

#[test]
fn the_values_of_a_chart_stand_in_a_table_without_the_script() {
    let mut drawn = chart(points(&[
        (0.0, Some(12.5)),
        (1.0, None),
        (2.0, Some(1234.5)),
    ]));
    drawn.series[0].points[0].spread = Some((15.0, 10.0));
    let html = with(vec![Block::Chart(drawn)]);
    let table = between(&html, "<table class=\"numbers\">", "</table>")[0];
    let cells: Vec<&str> = between(table, ">", "<")
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    assert_eq!(
        cells,
        [
            "Time (s)",
            "p50 (ms)",
            "0",
            "12.5 (10 to 15)",
            "1",
            "–",
            "2",
            "1,234"
        ]
    );
}

#[test]
fn several_values_at_one_place_have_a_row_each() {
    let html = with(vec![Block::Chart(chart(points(&[
        (7.0, Some(1.0)),
        (7.0, Some(2.0)),
    ])))]);
    let table = between(&html, "<table class=\"numbers\">", "</table>")[0];
    assert_eq!(between(table, "<tr>", "</tr>").len(), 3);
}

#[test]
fn values_that_are_none_become_gaps_and_points_come_in_order() {
    let html = with(vec![Block::Chart(chart(points(&[
        (3.0, Some(f64::NAN)),
        (f64::INFINITY, Some(1.0)),
        (1.0, Some(0.1 + 0.2)),
    ])))]);
    let drawn = &charts(&html)[0];
    assert_eq!(
        drawn["series"][0]["points"].to_string(),
        "[[1.0,0.3],[3.0,null]]"
    );
    assert_eq!(drawn["series"][0]["kind"], "line");
    assert_eq!(drawn["x"]["scale"], "linear");
}

#[test]
fn a_chart_without_values_says_so() {
    let html = body(&with(vec![Block::Chart(chart(points(&[(1.0, None)])))]));
    assert!(html.contains("There are no values to draw."));
    assert!(charts(&html).is_empty());
}

#[test]
fn a_series_that_is_too_long_is_thinned_and_the_page_says_so() {
    let many: Vec<Point> = (0..50_000_u32)
        .map(|at| Point {
            x: f64::from(at),
            y: Some(1.0),
            spread: None,
        })
        .collect();
    let html = with(vec![Block::Chart(chart(many))]);
    let drawn = charts(&html)[0]["series"][0]["points"]
        .as_array()
        .unwrap()
        .len();
    assert!(drawn <= 20_000, "{drawn}");
    assert!(html.contains("Of the 50,000 points of p50"));
    let rows = between(&html, "<tbody>", "</tbody>")[0]
        .matches("<tr>")
        .count();
    assert!((200..=300).contains(&rows), "{rows}");
}

#[test]
fn headings_go_down_by_one_and_lead_to_their_sections() {
    let html = body(&html(&sample::page()).unwrap());
    assert_eq!(html.matches("<h1>").count(), 1);
    let levels: Vec<u32> = html
        .match_indices("<h")
        .filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10))
        .collect();
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{levels:?}"
    );
    for link in between(&html, "<li><a href=\"#", "\"") {
        assert_eq!(
            html.matches(&format!("<h2 id=\"{link}\"")).count(),
            1,
            "{link}"
        );
    }
}

#[test]
fn names_of_places_are_there_once() {
    let html = body(&html(&sample::page()).unwrap());
    let mut ids = between(&html, " id=\"", "\"");
    let before = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), before);
}

#[test]
fn hostile_words_come_back_from_the_charts_as_they_were() {
    let drawn = charts(&html(&sample::page()).unwrap());
    let hostile = drawn
        .iter()
        .find(|chart| chart["title"] == HOSTILE)
        .unwrap();
    assert_eq!(hostile["series"][0]["name"], HOSTILE);
    assert_eq!(hostile["x"]["scale"]["names"][0], HOSTILE);
    assert_eq!(hostile["marks"][0]["name"], HOSTILE);
    assert_eq!(hostile["marks"][0]["y"], 3.5);
    assert_eq!(hostile["series"][1]["axis"], 0);
}

/// A page with these words wherever words may be.
fn everywhere(words: &str) -> Page {
    let text = || words.to_owned();
    let axis = |scale| Axis {
        name: text(),
        unit: text(),
        scale,
        ..Axis::default()
    };
    let table = Table {
        title: text(),
        columns: vec![
            Column {
                name: text(),
                is_number: true
            };
            2
        ],
        rows: vec![vec![text(), text()]],
    };
    let series = |kind| Series {
        name: text(),
        kind,
        axis: 0,
        points: points(&[(0.0, Some(1.0)), (1.0, Some(2.0))]),
    };
    let chart = Chart {
        title: text(),
        summary: text(),
        x: axis(Scale::Names(vec![text(), text()])),
        y: vec![axis(Scale::Linear), axis(Scale::Log)],
        series: vec![series(Kind::Line), series(Kind::Bars)],
        marks: vec![Mark {
            name: text(),
            at: At::X(0.0),
        }],
        group: text(),
    };
    let folded = vec![Block::Chart(chart.clone()), Block::Table(table.clone())];
    Page {
        title: text(),
        subtitle: text(),
        made_by: text(),
        notices: vec![Notice {
            level: Level::Bad,
            word: text(),
            text: text(),
        }],
        facts: vec![Fact {
            name: text(),
            value: text(),
            unit: text(),
            note: text(),
        }],
        sections: vec![Section {
            heading: text(),
            blocks: vec![
                Block::Text { text: text() },
                Block::Chart(chart),
                Block::Table(table),
                Block::Code {
                    title: text(),
                    text: text(),
                },
                Block::Folded {
                    title: text(),
                    blocks: folded,
                },
            ],
        }],
    }
}

/// The elements of a page, as a browser would count them: everything that looks like the beginning or end of one.
fn elements(html: &str) -> usize {
    let bytes = html.as_bytes();
    let is_tag = |at: &usize| {
        bytes
            .get(at + 1)
            .is_some_and(|next| next.is_ascii_alphabetic() || b"/!?".contains(next))
    };
    html.match_indices('<')
        .map(|(at, _)| at)
        .filter(is_tag)
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_words_become_markup(
        words in prop_oneof![
            "[ -~\u{2028}\u{2029}äß\u{1f980}]{1,40}",
            "(</script>|<!--|--|>|\"|'|&|&lt;|\\{\\{|\\{%|\\\\u003c|</style>|]]>|<x|onload=|\u{2028}){1,6}",
        ]
    ) {
        let plain = body(&html(&everywhere("plain")).unwrap());
        let made = body(&html(&everywhere(&words)).unwrap());
        prop_assert_eq!(elements(&made), elements(&plain));
        prop_assert_eq!(made.matches('"').count() - quotes_in_charts(&made), plain.matches('"').count() - quotes_in_charts(&plain));
        for drawn in charts(&made) {
            prop_assert_eq!(drawn["title"].as_str(), Some(words.as_str()));
            prop_assert_eq!(drawn["group"].as_str(), Some(words.as_str()));
            prop_assert_eq!(drawn["y"][1]["unit"].as_str(), Some(words.as_str()));
        }
    }
}

fn quotes_in_charts(html: &str) -> usize {
    let data = between(html, "<script type=\"application/json\">", "</script>");
    data.iter().map(|json| json.matches('"').count()).sum()
}
