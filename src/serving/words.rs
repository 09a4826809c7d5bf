//! Figures as people read them: times, counts, shares, lists. It computes nothing but their digits.

use super::stats::whole;

/// A time in the two units that matter: `45 s`, `12 min`, `2 h 10 min`.
pub fn span_in_words(seconds: f64) -> String {
    let seconds = if seconds.is_finite() {
        seconds.max(0.0)
    } else {
        0.0
    };
    if seconds < 90.0 {
        return format!("{seconds:.0} s");
    }
    let minutes = whole((seconds / 60.0).round());
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 {
        text.insert(0, '-');
    }
    text
}

/// A figure with three digits that matter, or all before the point.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        thousands(value)
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 || size <= 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// Seconds as milliseconds.
pub(super) fn millis(seconds: f64) -> String {
    figure(seconds * 1e3)
}

/// A share as per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// `1 query`, `2 queries`.
pub(super) fn queries(n: u64) -> String {
    if n == 1 {
        "1 query".to_owned()
    } else {
        format!("{} queries", thousands(super::stats::quantity(n)))
    }
}

/// Numbers with commas between.
pub(super) fn list(numbers: &[u32]) -> String {
    let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
    words.join(",")
}

/// What may stand in a cell of a Markdown table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace(['\n', '\r'], " ")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let spans = [0.0, 89.4, 90.0, 3600.0, 7812.0, f64::NAN].map(span_in_words);
        assert_eq!(spans, ["0 s", "89 s", "2 min", "1 h", "2 h 10 min", "0 s"]);
        let counts = [0.0, 999.4, 1000.0, 1_234_567.0, -1234.0].map(thousands);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567", "-1,234"]);
        let figures = [0.0, 0.012_34, 1.234, 12.34, 123.4, 1234.5].map(figure);
        assert_eq!(figures, ["0.00", "0.0123", "1.23", "12.3", "123", "1,234"]);
        assert_eq!(
            (millis(0.0123), percent(0.954)),
            ("12.3".to_owned(), "95.4%".to_owned())
        );
        assert_eq!(cell("a|b\nc<d"), "a\\|b c&lt;d");
    }
}
