//! Numbers in English words, read out of a request's body: for a mock that writes them in digits.
//! It knows the words by itself and shares nothing with who asks.

/// What stands before the words in a task.
const BEFORE: &[u8] = b"number: ";

/// What each word counts for, where it is no multiplier.
const COUNTS: [(&str, u32); 28] = [
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
];

/// The number that a body asks about: the words between `number: ` and the full stop behind them.
pub(super) fn asked(body: &[u8]) -> Option<u32> {
    let at = body
        .windows(BEFORE.len())
        .position(|piece| piece == BEFORE)?;
    let rest = body.get(at + BEFORE.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'.')?;
    of_words(std::str::from_utf8(rest.get(..end)?).ok()?)
}

/// Hundreds multiply what stands before them, thousands close a group of three digits.
fn of_words(text: &str) -> Option<u32> {
    let words = text
        .split([' ', '-', ','])
        .filter(|word| !word.is_empty() && *word != "and");
    let (mut closed, mut group, mut any) = (0_u32, 0_u32, false);
    for word in words {
        match word {
            "hundred" => group = group.checked_mul(100)?,
            "thousand" => {
                closed = group.checked_mul(1_000)?;
                group = 0;
            }
            _ => {
                let (_, count) = COUNTS.iter().find(|(known, _)| *known == word)?;
                group = group.checked_add(*count)?;
            }
        }
        any = true;
    }
    any.then(|| closed.checked_add(group)).flatten()
}

/// How many digits `number` has.
pub(super) fn digits(number: u32) -> u32 {
    number.checked_ilog10().unwrap_or(0) + 1
}

/// The digit of `number` at `place`, from the left.
pub(super) fn digit(number: u32, place: u32) -> Option<&'static str> {
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let behind = digits(number).checked_sub(place + 1)?;
    DIGITS
        .get((number / 10_u32.pow(behind) % 10) as usize)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_out_of_bodies() {
        let body = |words: &str| format!(r#"{{"content":"into a number: {words}.\nPrint"}}"#);
        for (words, number) in [
            ("zero", 0),
            ("nineteen", 19),
            ("ninety-nine", 99),
            ("one hundred and twenty-three", 123),
            ("one thousand and one", 1_001),
            ("four thousand, five hundred and six", 4_506),
            ("ten thousand", 10_000),
        ] {
            assert_eq!(asked(body(words).as_bytes()), Some(number), "{words}");
        }
        for words in ["", "one dozen", "and"] {
            assert_eq!(asked(body(words).as_bytes()), None, "{words}");
        }
        assert_eq!(asked(b"a number: one hundred"), None);
        assert_eq!(asked(b"one hundred."), None);
    }

    #[test]
    fn digits_are_said_from_the_left() {
        let said = |number| {
            (0..9)
                .map_while(|place| digit(number, place))
                .collect::<String>()
        };
        for number in [0, 7, 10, 405, 10_000] {
            assert_eq!(said(number), number.to_string());
            assert_eq!(digits(number) as usize, said(number).len());
        }
    }
}
