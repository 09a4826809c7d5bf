//! Rows as `COPY ... FROM STDIN` reads them in its text format: columns apart by tabs, `\N` for what is unknown, a backslash
//! before what would mean something else. It knows no table.

use std::fmt::{Display, Write as _};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Rows of one table, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    text: String,
    count: u32,
    is_begun: bool,
}

impl Rows {
    /// The text, and how many rows it is.
    pub fn done(self) -> (String, u32) {
        (self.text, self.count)
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many rows there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Ends a row.
    pub fn end(&mut self) {
        self.text.push('\n');
        self.count += 1;
        self.is_begun = false;
    }

    /// A number or another value whose text holds nothing that must be escaped; `None` is unknown.
    pub fn plain(&mut self, value: Option<impl Display>) {
        self.apart();
        match value {
            // Writing to a string does not fail.
            Some(value) => drop(write!(self.text, "{value}")),
            None => self.text.push_str("\\N"),
        }
    }

    /// A count. `PostgreSQL` has no unsigned numbers: beyond its range the greatest of them stands.
    pub fn count_of(&mut self, value: u64) {
        self.plain(Some(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    /// A figure; one that is no number is unknown.
    pub fn figure(&mut self, value: Option<f64>) {
        self.plain(value.filter(|value| value.is_finite()));
    }

    /// Words. A NUL, which no text of the database can hold, becomes a space.
    pub fn words(&mut self, value: Option<&str>) {
        self.apart();
        let Some(value) = value else {
            self.text.push_str("\\N");
            return;
        };
        for letter in value.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\0' => self.text.push(' '),
                _ => self.text.push(letter),
            }
        }
    }

    /// A moment, to the nanosecond; the database rounds to microseconds.
    pub fn moment(&mut self, value: Option<OffsetDateTime>) {
        let text = value.and_then(|value| value.format(&Rfc3339).ok());
        self.plain(text);
    }

    fn apart(&mut self) {
        if self.is_begun {
            self.text.push('\t');
        }
        self.is_begun = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn values_stand_as_copy_reads_them() {
        let mut rows = Rows::default();
        rows.count_of(u64::MAX);
        rows.figure(Some(0.25));
        rows.figure(Some(f64::NAN));
        rows.words(None);
        rows.words(Some("a\tb\\c\nd\re\0f"));
        rows.words(Some("\\N"));
        rows.words(Some(""));
        rows.moment(Some(datetime!(2026-01-02 03:04:05.5 UTC)));
        rows.plain(Some(true));
        rows.end();
        rows.plain(Some(1));
        rows.end();
        let text = "9223372036854775807\t0.25\t\\N\t\\N\ta\\tb\\\\c\\nd\\re f\t\\\\N\t\t2026-01-02T03:04:05.5Z\ttrue\n1\n";
        assert_eq!(rows.done(), (text.to_owned(), 2));
    }

    /// What the database's own reader makes of a field, by its documentation.
    fn read(field: &str) -> Option<String> {
        if field == "\\N" {
            return None;
        }
        let mut letters = field.chars();
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            text.push(match letter {
                '\\' => match letters.next().unwrap() {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                },
                other => other,
            });
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn words_come_back_as_they_were(first in any::<String>(), second in proptest::option::of(any::<String>())) {
            let mut rows = Rows::default();
            rows.words(Some(&first));
            rows.words(second.as_deref());
            rows.end();
            let (text, _) = rows.done();
            prop_assert_eq!(text.matches('\n').count(), 1);
            let fields: Vec<_> = text.trim_end_matches('\n').split('\t').map(read).collect();
            let clean = |text: &str| text.replace('\0', " ");
            prop_assert_eq!(fields, vec![Some(clean(&first)), second.as_deref().map(clean)]);
        }
    }
}
