//! Texts of names and values, and tables of words: columns side by side, two blanks between them, as the closing sections
//! have them. What the words are is not decided here.

/// An indented line for each name and value, the values below each other.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = widest(pairs.iter().map(|(name, _)| *name));
    let line = |(name, value): &(&str, String)| format!("  {name:<width$}  {value}\n");
    pairs.iter().map(line).collect()
}

/// A heading and a line for each row. Columns of numbers stand to the right.
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let cells = |column: usize| {
        let of_rows = rows.iter().map(move |row| row[column].as_str());
        std::iter::once(heading[column]).chain(of_rows)
    };
    let widths: [usize; N] = std::array::from_fn(|column| widest(cells(column)));
    let is_number: [bool; N] = std::array::from_fn(|column| {
        let mut of_rows = cells(column).skip(1);
        of_rows.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
    });
    let cell = |(column, cell): (usize, &str)| {
        let width = widths[column];
        if is_number[column] {
            format!("{cell:>width$}")
        } else {
            format!("{cell:<width$}")
        }
    };
    let line = |row: [&str; N]| {
        let cells: Vec<_> = row.into_iter().enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let rows = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(heading)).chain(rows).collect()
}

fn widest<'a>(words: impl Iterator<Item = &'a str>) -> usize {
    words.map(|word| word.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_word_and_numbers_stand_to_the_right() {
        let row = |name: &str, sent: &str, clock: &str| [name, sent, clock].map(str::to_owned);
        let rows = [
            row("alpha:17", "9", "-1.250 ms ± 0.080 ms"),
            row("b:4", "1200", "unknown"),
        ];
        insta::assert_snapshot!(table(["name", "sent", "clock"], &rows), @r"
        name      sent  clock
        alpha:17     9  -1.250 ms ± 0.080 ms
        b:4       1200  unknown
        ");
        insta::assert_snapshot!(table(["name", "sent", "clock"], &[]), @"name  sent  clock");
        let lines = [
            ("load", "20 users".to_owned()),
            ("requests", "7".to_owned()),
        ];
        insta::assert_snapshot!(pairs(&lines), @r"
          load      20 users
          requests  7
        ");
    }
}
