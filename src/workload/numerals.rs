//! Numbers in English words: the task to write one in digits, and which number a request gets.
//! Whether an answer is right is not decided here.

use rand::RngExt;

use crate::domain::{Index, Seed};

/// The largest number that is asked about.
const LARGEST: u16 = 10_000;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// The number that request `index` asks about: from 0 to 10,000.
pub fn numeral(seed: Seed, index: Index) -> u16 {
    seed.stream("numeral", index.key())
        .random_range(0..=LARGEST)
}

/// `number` in British English, as num2words writes it: `one hundred and twenty-three`, `four thousand, five hundred and six`.
pub fn in_words(number: u16) -> String {
    let (thousands, rest) = (number / 1_000, number % 1_000);
    match (thousands, rest) {
        (0, _) => below_thousand(rest),
        (_, 0) => format!("{} thousand", below_thousand(thousands)),
        (_, 1..100) => format!(
            "{} thousand and {}",
            below_thousand(thousands),
            below_thousand(rest)
        ),
        _ => format!(
            "{} thousand, {}",
            below_thousand(thousands),
            below_thousand(rest)
        ),
    }
}

fn below_thousand(number: u16) -> String {
    let (hundreds, rest) = (number / 100, number % 100);
    match (hundreds, rest) {
        (0, _) => below_hundred(rest),
        (_, 0) => format!("{} hundred", below_hundred(hundreds)),
        _ => format!(
            "{} hundred and {}",
            below_hundred(hundreds),
            below_hundred(rest)
        ),
    }
}

fn below_hundred(number: u16) -> String {
    let (tens, ones) = (usize::from(number / 10), usize::from(number % 10));
    match (tens, ones) {
        (0 | 1, _) => SMALL[usize::from(number)].to_owned(),
        (_, 0) => TENS[tens].to_owned(),
        _ => format!("{}-{}", TENS[tens], SMALL[ones]),
    }
}

/// The task to write `number` in digits.
pub fn numeral_task(number: u16) -> String {
    let words = in_words(number);
    format!(
        "Convert the following sequence of words into a number: {words}.\nPrint the number first."
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn numbers_are_written_as_num2words_writes_them() {
        let all: Vec<String> = (0..=LARGEST).map(in_words).collect();
        for (number, words) in [
            (0, "zero"),
            (21, "twenty-one"),
            (100, "one hundred"),
            (123, "one hundred and twenty-three"),
            (1_000, "one thousand"),
            (1_001, "one thousand and one"),
            (1_100, "one thousand, one hundred"),
            (9_999, "nine thousand, nine hundred and ninety-nine"),
            (10_000, "ten thousand"),
        ] {
            assert_eq!(all[number], words);
        }
        // Of what `num2words(n)` of Python's num2words 0.5.14 gives for 0 to 10,000, joined by line feeds.
        let digest = Sha256::digest(all.join("\n"));
        let hex = digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        assert_eq!(
            hex,
            "9fdadcae6ddf06a68e4c312139db13fa31a39631d96f91a072bf9b77494e0b4a"
        );
    }

    #[test]
    fn every_number_may_be_asked_about_and_is_a_function_of_seed_and_request() {
        let of = |seed| {
            let numbers = (0..60_000).map(move |i| numeral(Seed(seed), Index::Arrival(i)));
            numbers.collect::<Vec<u16>>()
        };
        let (one, same, other) = (of(1), of(1), of(2));
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!(
            (one.iter().min(), one.iter().max()),
            (Some(&0), Some(&LARGEST))
        );
        let mean = one.iter().copied().map(f64::from).sum::<f64>() / 60_000.0;
        assert!((mean - 5_000.0).abs() < 50.0, "{mean}");
    }

    #[test]
    fn the_task_is_llmperf_s() {
        assert_eq!(
            numeral_task(123),
            "Convert the following sequence of words into a number: one hundred and twenty-three.\nPrint the number first."
        );
    }
}
