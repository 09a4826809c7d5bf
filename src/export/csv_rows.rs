//! One row a request as CSV: flat, without lists, as spreadsheets open it.
//! It opens no file: bytes go to whoever gathers them.

use super::row::{COLUMNS, Cell};
use crate::domain::Record;

/// The line of names.
///
/// # Errors
///
/// When `into` cannot be written.
pub fn header<W: std::io::Write>(into: &mut csv::Writer<W>) -> csv::Result<()> {
    into.write_record(COLUMNS.iter().map(|column| column.name))
}

/// The row of `record`. What is unknown is empty; numbers have the fewest digits that read back as the same.
///
/// # Errors
///
/// When `into` cannot be written.
pub fn row<W: std::io::Write>(record: &Record, into: &mut csv::Writer<W>) -> csv::Result<()> {
    for column in &COLUMNS {
        match (column.read)(record) {
            Cell::Empty => into.write_field("")?,
            Cell::Whole(number) => into.write_field(number.to_string())?,
            Cell::Real(number) => into.write_field(number.to_string())?,
            Cell::Text(words) => into.write_field(words)?,
            Cell::Flag(is_so) => into.write_field(if is_so { "true" } else { "false" })?,
        }
    }
    into.write_record(None::<&[u8]>)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::export::line::tests::any_record;

    fn written(records: &[Record]) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        header(&mut writer).unwrap();
        for record in records {
            row(record, &mut writer).unwrap();
        }
        writer.into_inner().unwrap()
    }

    proptest! {
        #[test]
        fn every_cell_comes_back_from_its_column(records in prop::collection::vec(any_record(), 0..4)) {
            let bytes = written(&records);
            let mut reader = csv::Reader::from_reader(&bytes[..]);
            prop_assert_eq!(reader.headers().unwrap().len(), COLUMNS.len());
            let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), records.len());
            for (row, record) in rows.iter().zip(&records) {
                for (text, column) in row.iter().zip(&COLUMNS) {
                    let same = match (column.read)(record) {
                        Cell::Empty => text.is_empty(),
                        Cell::Whole(number) => text.parse() == Ok(number),
                        Cell::Real(number) => text.parse() == Ok(number),
                        Cell::Text(words) => text == words,
                        Cell::Flag(is_so) => text.parse() == Ok(is_so),
                    };
                    prop_assert!(same, "{}: {text}", column.name);
                }
            }
        }
    }
}
