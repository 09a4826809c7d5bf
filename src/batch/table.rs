//! The results of a batch benchmark as a table of pipes, or as CSV.

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns between pipes, with a header.
    Table,
    /// Comma-separated values.
    Csv,
}

/// Rows under names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
    pub fn new(names: &[&'static str]) -> Self {
        Self {
            names: names.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each name.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The names of the columns.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The rows, a cell for each name.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The whole of it, with a line end after each line.
    pub fn render(&self, format: Format) -> String {
        let names: Vec<String> = self.names.iter().map(|&name| name.to_owned()).collect();
        match format {
            // No cell has a comma or a quote in it.
            Format::Csv => lines(std::iter::once(&names).chain(&self.rows), |row| {
                row.join(",")
            }),
            Format::Table => {
                let widths = self.widths();
                let cells = |row: &Vec<String>| {
                    let padded: Vec<String> = row
                        .iter()
                        .zip(&widths)
                        .map(|(cell, &width)| format!("{cell:>width$}"))
                        .collect();
                    format!("| {} |", padded.join(" | "))
                };
                let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                lines([&names, &rule].into_iter().chain(&self.rows), cells)
            }
        }
    }

    fn widths(&self) -> Vec<usize> {
        let column = |at: usize| {
            self.rows
                .iter()
                .filter_map(move |row| row.get(at))
                .map(String::len)
        };
        let names = self.names.iter().enumerate();
        names
            .map(|(at, name)| column(at).chain([name.len()]).max().unwrap_or(0))
            .collect()
    }
}

fn lines<'a>(
    rows: impl Iterator<Item = &'a Vec<String>>,
    line: impl Fn(&Vec<String>) -> String,
) -> String {
    rows.map(|row| line(row) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_hold_the_same() {
        let mut table = Table::new(&["seq_len", "batch_size"]);
        table.add(vec!["1000".to_owned(), "8".to_owned()]);
        assert_eq!(table.render(Format::Csv), "seq_len,batch_size\n1000,8\n");
        assert_eq!(
            table.render(Format::Table),
            "| seq_len | batch_size |\n| ------- | ---------- |\n|    1000 |          8 |\n"
        );
    }
}
