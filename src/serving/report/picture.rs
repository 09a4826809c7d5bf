//! A chart of a page as a picture: the same axes, curves and marks, without anything to hover.

use crate::chart::{Body, Colour, Curve, Figure, Panel, Side, Spot, Stroke};
use crate::page::{At, Axis, Chart, Kind, Series};

/// The picture of a chart. `title` stands above its own.
pub(super) fn picture(title: &str, chart: &Chart) -> Figure {
    let axes = chart.y.iter().map(|axis| Side {
        title: words(axis),
        ends: axis.min.zip(axis.max),
    });
    let has_points = chart
        .series
        .iter()
        .any(|series| series.kind == Kind::Points);
    let curves = chart.series.iter().map(|series| curve(series, has_points));
    let panel = Panel {
        title: chart.title.clone(),
        x: words(&chart.x),
        y: String::new(),
        body: Body::Curves {
            axes: axes.collect(),
            curves: curves.chain(limits(chart)).collect(),
        },
    };
    Figure {
        title: title.to_owned(),
        panels: vec![panel],
        columns: 1,
        key: Vec::new(),
    }
}

fn words(axis: &Axis) -> String {
    match axis.unit.as_str() {
        "" => axis.name.clone(),
        unit => format!("{} ({unit})", axis.name),
    }
}

/// A dashed line through a cloud of points was reckoned from them, and is drawn so.
fn curve(series: &Series, has_points: bool) -> Curve {
    let spots = series.points.iter().map(|point| Spot {
        x: point.x,
        y: point.y.unwrap_or(f64::NAN),
        whisker: point.spread,
    });
    Curve {
        name: series.name.clone(),
        axis: series.axis,
        stroke: match series.kind {
            Kind::Line | Kind::Bars | Kind::Stacked => Stroke::Line,
            Kind::Dashed => Stroke::Dashed,
            Kind::Steps => Stroke::Steps,
            Kind::Points => Stroke::Points,
        },
        colour: match series.kind {
            Kind::Dashed if has_points => Colour::Red,
            _ => Colour::Next,
        },
        points: spots.collect(),
    }
}

/// The limits that are told: dashed lines from the first place to the last.
fn limits(chart: &Chart) -> Vec<Curve> {
    let places = || {
        chart
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|point| point.x)
    };
    let ends = [
        places().fold(f64::MAX, f64::min),
        places().fold(f64::MIN, f64::max),
    ];
    let limit = |mark: &crate::page::Mark| match mark.at {
        At::Y(y) => Some(Curve {
            name: mark.name.clone(),
            stroke: Stroke::Dashed,
            colour: Colour::Red,
            points: ends
                .map(|x| Spot {
                    x,
                    y,
                    whisker: None,
                })
                .to_vec(),
            ..Curve::default()
        }),
        At::X(_) | At::Point(_) | At::Ring(_) => None,
    };
    chart.marks.iter().filter_map(limit).collect()
}
