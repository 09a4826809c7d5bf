//! A row of small bars, one a value, scaled from 0 to the greatest of them. It knows no unit.

/// Bars from the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Eighths of a line up to which a bar that stands in one line goes: it does not touch what is above.
const IN_ONE: usize = 7;

/// The last values, at most `width` of them, from left to right: what is not known is a blank.
pub(super) fn line(values: impl DoubleEndedIterator<Item = Option<f64>>, width: usize) -> String {
    bars(values, width, 1, IN_ONE).concat()
}

/// The same, so many lines high, from the top.
pub(super) fn lines(
    values: impl DoubleEndedIterator<Item = Option<f64>>,
    width: usize,
    height: usize,
) -> Vec<String> {
    bars(values, width, height, 8 * height)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "lines of a terminal"
)]
fn bars(
    values: impl DoubleEndedIterator<Item = Option<f64>>,
    width: usize,
    height: usize,
    most: usize,
) -> Vec<String> {
    let mut shown: Vec<_> = values.rev().take(width).collect();
    shown.reverse();
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite() && *value >= 0.0);
    let greatest = shown.iter().filter_map(finite).fold(0.0, f64::max);
    // The lowest bar is there for every value that is known.
    let steps = most.saturating_sub(1) as f64;
    let eighths = |value: &Option<f64>| match finite(value) {
        None => 0,
        Some(value) if greatest > 0.0 => 1 + (value / greatest * steps).round() as usize,
        Some(_) => 1,
    };
    let row = |above: usize| {
        let below = 8 * (height - 1 - above);
        let bar = |value| match eighths(value).saturating_sub(below) {
            0 => ' ',
            filled => BARS.get(filled - 1).copied().unwrap_or('█'),
        };
        shown.iter().map(bar).collect()
    };
    (0..height).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_scaled_from_nothing_to_the_greatest_and_the_last_ones_are_kept() {
        let values = [9.0, 0.0, 1.0, 2.0, 4.0, 7.0].map(Some);
        assert_eq!(line(values.into_iter(), 5), "▁▂▃▄▇");
        let gaps = [Some(1.0), None, Some(f64::NAN), Some(1.0)];
        assert_eq!(line(gaps.into_iter(), 9), "▇  ▇");
        assert_eq!(line([Some(0.0); 3].into_iter(), 9), "▁▁▁");
        assert_eq!(line([].into_iter(), 9), "");
        assert_eq!(line([Some(1.0)].into_iter(), 0), "");
    }

    #[test]
    fn higher_bars_go_on_line_by_line() {
        let values = [0.0, 5.0, 15.0].map(Some);
        assert_eq!(lines(values.into_iter(), 3, 2), ["  █", "▁▆█"]);
        assert_eq!(
            lines([Some(f64::MAX), Some(f64::INFINITY)].into_iter(), 3, 2),
            ["█ ", "█ "]
        );
        assert!(lines([Some(1.0)].into_iter(), 3, 0).is_empty());
    }
}
