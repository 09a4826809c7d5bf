//! One row a request as Parquet, in row groups: what is held is a group, however many requests there are.
//! It opens no file: bytes go to whoever gathers them.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};

use super::row::{COLUMNS, Cell, Kind, LISTS};
use crate::domain::Record;

/// Rows of a group at most.
const ROWS: usize = 64 * 1024;
/// Bytes of texts and lists after which a group is full, so that long answers do not make large groups.
const HEAVY: usize = 32 * 1024 * 1024;

/// A file that grows by a row a request.
pub struct ParquetRows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    flat: Vec<Flat>,
    lists: Vec<List>,
    rows: usize,
    heavy: usize,
}

/// The places of a flat column in a group: those that are filled, and for each place whether it is.
struct Flat {
    values: Values,
    filled: Vec<i16>,
}

enum Values {
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Text(Vec<ByteArray>),
    Flag(Vec<bool>),
}

/// The places of a column of lists in a group, in the format's levels: an empty list is one place of definition 0.
#[derive(Default)]
struct List {
    values: Vec<i64>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
    scratch: Vec<u64>,
}

impl<W: Write + Send> ParquetRows<W> {
    /// A file of no rows.
    ///
    /// # Errors
    ///
    /// When `into` cannot be written.
    pub fn new(into: W, version: &str) -> Result<Self> {
        let file =
            SerializedFileWriter::new(into, Arc::new(schema()?), Arc::new(settings(version)))?;
        Ok(Self {
            file,
            flat: COLUMNS
                .iter()
                .map(|column| Flat::new(column.kind))
                .collect(),
            lists: LISTS.iter().map(|_| List::default()).collect(),
            rows: 0,
            heavy: 0,
        })
    }

    /// Adds the row of `record`.
    ///
    /// # Errors
    ///
    /// When a group is full and cannot be written.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        for (column, place) in COLUMNS.iter().zip(&mut self.flat) {
            self.heavy += place.push((column.read)(record));
        }
        for (column, list) in LISTS.iter().zip(&mut self.lists) {
            list.scratch.clear();
            (column.read)(record, &mut list.scratch);
            self.heavy += list.push();
        }
        self.rows += 1;
        if self.rows >= ROWS || self.heavy >= HEAVY {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.file.close()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for flat in &mut self.flat {
            flat.write(&mut group)?;
        }
        for list in &mut self.lists {
            list.write(&mut group)?;
        }
        group.close()?;
        (self.rows, self.heavy) = (0, 0);
        Ok(())
    }
}

/// Whole numbers are signed with 64 bits, which every reader knows: none here comes near 2^63. One that did would be empty.
fn schema() -> Result<Type> {
    let flat = COLUMNS.iter().map(|column| {
        let kind = match column.kind {
            Kind::Whole => "int64",
            Kind::Real => "double",
            Kind::Text => "binary",
            Kind::Flag => "boolean",
        };
        let note = if column.kind == Kind::Text {
            " (UTF8)"
        } else {
            ""
        };
        format!("optional {kind} {}{note};", column.name)
    });
    let lists = LISTS.iter().map(|list| {
        let name = list.name;
        format!(
            "required group {name} (LIST) {{ repeated group list {{ required int64 element; }} }}"
        )
    });
    let columns: Vec<_> = flat.chain(lists).collect();
    parse_message_type(&format!("message request {{ {} }}", columns.join(" ")))
}

/// Times grow from row to row, so that their differences are what is worth writing; few words are told from each other.
fn settings(version: &str) -> WriterProperties {
    let mut settings = WriterProperties::builder()
        .set_created_by(format!("llmload version {version}"))
        .set_compression(Compression::SNAPPY);
    let flat = COLUMNS.iter().filter(|column| column.kind == Kind::Whole);
    let flat = flat.map(|column| ColumnPath::from(column.name));
    let lists = LISTS.iter().map(|list| {
        let parts = [list.name, "list", "element"];
        ColumnPath::new(parts.map(str::to_owned).to_vec())
    });
    for path in flat.chain(lists) {
        settings = settings
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    settings.build()
}

impl Flat {
    const fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Whole => Values::Whole(Vec::new()),
            Kind::Real => Values::Real(Vec::new()),
            Kind::Text => Values::Text(Vec::new()),
            Kind::Flag => Values::Flag(Vec::new()),
        };
        Self {
            values,
            filled: Vec::new(),
        }
    }

    /// Adds a place; tells how many bytes of unforeseen size it took.
    fn push(&mut self, cell: Cell<'_>) -> usize {
        let mut heavy = 0;
        let is_filled = match (&mut self.values, cell) {
            (Values::Whole(values), Cell::Whole(number)) => i64::try_from(number)
                .map(|number| values.push(number))
                .is_ok(),
            (Values::Real(values), Cell::Real(number)) => {
                values.push(number);
                true
            }
            (Values::Text(values), Cell::Text(words)) => {
                heavy = words.len();
                values.push(ByteArray::from(words));
                true
            }
            (Values::Flag(values), Cell::Flag(is_so)) => {
                values.push(is_so);
                true
            }
            _ => false,
        };
        self.filled.push(is_filled.into());
        heavy
    }

    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let mut column = group.next_column()?.ok_or_else(no_column)?;
        let filled = Some(&self.filled[..]);
        match &mut self.values {
            Values::Whole(values) => {
                column
                    .typed::<Int64Type>()
                    .write_batch(values, filled, None)?;
                values.clear();
            }
            Values::Real(values) => {
                column
                    .typed::<DoubleType>()
                    .write_batch(values, filled, None)?;
                values.clear();
            }
            Values::Text(values) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(values, filled, None)?;
                values.clear();
            }
            Values::Flag(values) => {
                column
                    .typed::<BoolType>()
                    .write_batch(values, filled, None)?;
                values.clear();
            }
        }
        self.filled.clear();
        column.close()
    }
}

impl List {
    /// Adds the list of `scratch`; tells how many bytes it took.
    fn push(&mut self) -> usize {
        if self.scratch.is_empty() {
            self.definition.push(0);
            self.repetition.push(0);
        }
        for (at, number) in self.scratch.iter().enumerate() {
            self.values.push(i64::try_from(*number).unwrap_or(i64::MAX));
            self.definition.push(1);
            self.repetition.push(i16::from(at > 0));
        }
        self.scratch.len() * size_of::<u64>()
    }

    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let mut column = group.next_column()?.ok_or_else(no_column)?;
        let levels = (Some(&self.definition[..]), Some(&self.repetition[..]));
        let typed = column.typed::<Int64Type>();
        typed.write_batch(&self.values, levels.0, levels.1)?;
        self.values.clear();
        self.definition.clear();
        self.repetition.clear();
        column.close()
    }
}

fn no_column() -> ParquetError {
    ParquetError::General("the schema has fewer columns than a row".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, RowAccessor as _};
    use proptest::prelude::*;

    use super::*;
    use crate::export::line::tests::any_record;
    use crate::report::sample;

    fn written(records: &[Record]) -> SerializedFileReader<Bytes> {
        let mut bytes = Vec::new();
        let mut rows = ParquetRows::new(&mut bytes, "0.1.0").unwrap();
        for record in records {
            rows.push(record).unwrap();
        }
        rows.finish().unwrap();
        SerializedFileReader::new(Bytes::from(bytes)).unwrap()
    }

    fn same(field: &Field, cell: Cell<'_>) -> bool {
        match (field, cell) {
            (Field::Null, Cell::Empty) => true,
            (Field::Null, Cell::Whole(number)) => i64::try_from(number).is_err(),
            (Field::Long(found), Cell::Whole(number)) => u64::try_from(*found) == Ok(number),
            (Field::Double(found), Cell::Real(number)) => found.to_bits() == number.to_bits(),
            (Field::Str(found), Cell::Text(words)) => found == words,
            (Field::Bool(found), Cell::Flag(is_so)) => *found == is_so,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn every_cell_and_list_comes_back(records in prop::collection::vec(any_record(), 0..5)) {
            let reader = written(&records);
            let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), records.len());
            for (row, record) in rows.iter().zip(&records) {
                let fields: Vec<_> = row.get_column_iter().collect();
                for ((name, field), column) in fields.iter().zip(&COLUMNS) {
                    prop_assert_eq!(name.as_str(), column.name);
                    prop_assert!(same(field, (column.read)(record)), "{name}: {field}");
                }
                for (at, list) in LISTS.iter().enumerate() {
                    let mut want = Vec::new();
                    (list.read)(record, &mut want);
                    let found = row.get_list(COLUMNS.len() + at).unwrap();
                    let found: Vec<_> = found.elements().iter().map(|field| match field {
                        Field::Long(number) => u64::try_from(*number).unwrap(),
                        other => panic!("{other}"),
                    }).collect();
                    prop_assert_eq!(found, want, "{}", list.name);
                }
            }
        }
    }

    #[test]
    fn groups_are_closed_when_they_are_full() {
        let long = Record {
            error: "x".repeat(HEAVY / 2 + 1),
            ..sample::record(0)
        };
        let short = sample::record(0);
        let reader = written(&[long.clone(), long.clone(), short, long]);
        let groups = reader.metadata().row_groups();
        let rows: Vec<_> = groups.iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(rows, [2, 2]);
    }
}
