//! Numbers as they are shown in the tables of charts: four digits that count, thousands apart. Not what a caller has
//! already put into words.

/// A number: whole from 1,000 on, four significant digits below, powers of ten where it is tiny or huge.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size < 1e-300 {
        return "0".to_owned();
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    if size >= 999.95 {
        return grouped(&format!("{value:.0}"));
    }
    let before_point = if size < 1.0 {
        size.log10().floor() + 1.0
    } else {
        (size.log10() + 1.0).floor()
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 8: `size` is between 1e-4 and 1,000"
    )]
    let digits = (4.0 - before_point).clamp(0.0, 8.0) as usize;
    trimmed(&format!("{value:.digits$}"))
}

/// A percentile of 0 to 1 as per cent, without digits that say nothing.
pub(super) fn percentile(share: f64) -> String {
    trimmed(&format!("{:.7}", share * 100.0))
}

/// A count as it stands in a sentence.
pub(super) fn count(count: usize) -> String {
    grouped(&count.to_string())
}

fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn grouped(whole: &str) -> String {
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_that_count() {
        let shown: Vec<String> = [
            0.0,
            0.000_123_456,
            0.5,
            1.0,
            9.999_9,
            12.345_6,
            999.94,
            999.96,
            1_234.56,
            -1_234_567.0,
            1e15,
            0.000_01,
            -0.25,
            100.0,
        ]
        .map(number)
        .to_vec();
        assert_eq!(
            shown,
            [
                "0",
                "0.0001235",
                "0.5",
                "1",
                "10",
                "12.35",
                "999.9",
                "1,000",
                "1,235",
                "-1,234,567",
                "1.000e15",
                "1.000e-5",
                "-0.25",
                "100"
            ]
        );
    }

    #[test]
    fn percentiles_keep_their_nines() {
        let shown = [0.0, 0.5, 0.99, 0.999, 0.99999, 1.0].map(percentile);
        assert_eq!(shown, ["0", "50", "99", "99.9", "99.999", "100"]);
    }
}
