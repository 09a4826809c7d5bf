//! Families as text: Prometheus' own format, version 0.0.4, and OpenMetrics 1.0. They differ in the name of a counter's family, in
//! escapes, units and the end.

use super::catalogue::Kind;
use super::families::{Family, Sample, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Classic,
    Open,
}

/// In Prometheus' own format.
pub(super) fn classic(families: &[Family]) -> String {
    write(families, Dialect::Classic)
}

/// In the format of OpenMetrics.
pub(super) fn open_metrics(families: &[Family]) -> String {
    let mut text = write(families, Dialect::Open);
    text.push_str("# EOF\n");
    text
}

fn write(families: &[Family], dialect: Dialect) -> String {
    let mut text = String::new();
    for family in families {
        let name = family.name();
        head(&mut text, family, dialect);
        for sample in &family.samples {
            body(&mut text, &name, sample);
        }
    }
    text
}

fn head(text: &mut String, family: &Family, dialect: Dialect) {
    let def = &family.def;
    let is_open = dialect == Dialect::Open;
    let name = if is_open {
        family.stem()
    } else {
        family.name()
    };
    let kind = match def.kind {
        Kind::Info if is_open => "info",
        kind => kind.name(),
    };
    line(text, &["# HELP ", &name, " ", &help(def.help, dialect)]);
    line(text, &["# TYPE ", &name, " ", kind]);
    if let Some(unit) = def.unit().filter(|_| is_open) {
        line(text, &["# UNIT ", &name, " ", unit]);
    }
}

fn body(text: &mut String, name: &str, sample: &Sample) {
    let labels = labels(&sample.labels);
    let distribution = match &sample.value {
        Value::Count(count) => {
            return line(text, &[name, "{", &labels, "} ", &count.to_string()]);
        }
        Value::Number(number) => {
            return line(text, &[name, "{", &labels, "} ", &float(*number)]);
        }
        Value::Distribution(distribution) => distribution,
    };
    let last = (f64::INFINITY, distribution.count);
    for (bound, count) in distribution.classic.iter().copied().chain([last]) {
        let (le, count) = (bound_label(bound), count.to_string());
        line(
            text,
            &[name, "_bucket{", &labels, ",le=\"", &le, "\"} ", &count],
        );
    }
    line(
        text,
        &[name, "_sum{", &labels, "} ", &float(distribution.sum)],
    );
    let count = distribution.count.to_string();
    line(text, &[name, "_count{", &labels, "} ", &count]);
}

fn line(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

fn labels(all: &[(&'static str, String)]) -> String {
    let pairs = all
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text
}

/// A help: quotes are escaped in OpenMetrics alone.
fn help(help: &str, dialect: Dialect) -> String {
    let text = help.replace('\\', "\\\\").replace('\n', "\\n");
    match dialect {
        Dialect::Classic => text,
        Dialect::Open => text.replace('"', "\\\""),
    }
}

/// A number, in the words of both formats for those that are none.
fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        (if number > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        format!("{number:?}")
    }
}

/// A bound as the server itself writes those that it scrapes as protobuf: by it the series of one run are the same in any format.
pub(super) fn bound_label(bound: f64) -> String {
    if bound.is_infinite() {
        return "+Inf".to_owned();
    }
    let shortest = format!("{bound:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{bound:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
