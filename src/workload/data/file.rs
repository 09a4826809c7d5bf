//! Opens the file of a data set: pins its content for a plan, and finds the same content again on each worker.
//! What its rows mean is decided beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::scan::{Scan, Wanted, scan};
use super::sniff::sniff;
use super::{Data, ReadAt};
use crate::workload::load::LoadError;
use crate::workload::{DataRef, Format};

/// Bytes of a file that travels inside the plan.
const INLINE: u64 = 1 << 20;

/// A data set as a user asks for it.
#[derive(Clone, Copy, Debug)]
pub struct DataWish<'a> {
    /// The file.
    pub path: &'a Path,
    /// How it is written; `None`: by its name and first row.
    pub format: Option<Format>,
    /// The column or field that holds the prompt.
    pub column: Option<&'a str>,
    /// Rows are shuffled by this.
    pub shuffle_seed: Option<u64>,
    /// The first so many rows after the shuffle.
    pub limit: Option<u64>,
}

/// A data set with its content pinned.
#[derive(Debug)]
pub struct Pinned {
    /// For the plan.
    pub reference: DataRef,
    /// Opened.
    pub data: Data,
    /// What its format was known by; `None` where the user said it.
    pub known_by: Option<&'static str>,
}

/// How a data set is written, by its name and its first row. The rest is not read.
///
/// # Errors
/// A file that cannot be read.
pub fn data_format(path: &Path) -> Result<Format, LoadError> {
    let unread = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let held = open(path).map_err(unread)?;
    let (format, _) = sniff(&ending(path), held.reader()).map_err(unread)?;
    Ok(format)
}

/// Opens a data set and pins what it holds. Every row is read once.
///
/// # Errors
/// A file that cannot be read, and a row that cannot be used.
pub fn pin_data(wish: DataWish<'_>) -> Result<Pinned, LoadError> {
    let path = wish.path;
    let unread = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let unusable = |source| LoadError::Data {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let held = open(path).map_err(unread)?;
    let (format, known_by) = match wish.format {
        Some(format) => (format, None),
        None => {
            let (format, by) = sniff(&ending(path), held.reader()).map_err(unread)?;
            (format, Some(by))
        }
    };
    if matches!(format, Format::Text | Format::Trace) && wish.column.is_some() {
        return Err(LoadError::NoColumn { format });
    }
    let mut reference = DataRef {
        name: path.display().to_string(),
        format,
        column: wish.column.map(str::to_owned),
        shuffle_seed: wish.shuffle_seed,
        limit: wish.limit,
        skip: 0,
        sha256: String::new(),
        bytes: 0,
        inline: None,
    };
    let scan = scan(wanted(&reference), held.reader()).map_err(unusable)?;
    reference.sha256.clone_from(&scan.sha256);
    reference.bytes = scan.bytes;
    reference.inline.clone_from(&held.text);
    Ok(Pinned {
        data: opened(&reference, scan, held),
        reference,
        known_by,
    })
}

/// Opens the data set of a plan: what travelled inside it, or the file at the same path (or of the same name in the working
/// directory), which must have the same content.
///
/// # Errors
/// A file that is missing, cannot be read, or is another one.
pub fn data(reference: &DataRef) -> Result<Data, LoadError> {
    let (path, held) = match &reference.inline {
        Some(text) => {
            let source = Box::new(text.clone().into_bytes());
            (PathBuf::from(&reference.name), Held { source, text: None })
        }
        None => find(reference)?,
    };
    let scan = scan(wanted(reference), held.reader()).map_err(|source| LoadError::Data {
        path: path.clone(),
        source: Box::new(source),
    })?;
    if (scan.bytes, &scan.sha256) != (reference.bytes, &reference.sha256) {
        let content = |bytes, sha256| format!("{bytes} bytes, SHA-256 `{sha256}`");
        return Err(LoadError::DataDiffers {
            path,
            wanted: content(reference.bytes, &reference.sha256),
            found: content(scan.bytes, &scan.sha256),
        });
    }
    Ok(opened(reference, scan, held))
}

fn find(reference: &DataRef) -> Result<(PathBuf, Held), LoadError> {
    let given = PathBuf::from(&reference.name);
    let here = given.file_name().map(PathBuf::from);
    let mut looked = vec![given];
    looked.extend(here.filter(|here| *here != looked[0]));
    let Some(path) = looked.iter().find(|path| path.is_file()).cloned() else {
        return Err(LoadError::NoData {
            name: reference.name.clone(),
            bytes: reference.bytes,
            looked,
        });
    };
    match open(&path) {
        Ok(held) => Ok((path, held)),
        Err(source) => Err(LoadError::Read { path, source }),
    }
}

fn wanted(reference: &DataRef) -> Wanted<'_> {
    Wanted {
        format: reference.format,
        column: reference.column.as_deref(),
        tabs: ending(Path::new(&reference.name)) == "tsv",
        // Rows are drawn from all of them where they are shuffled.
        keep: reference.limit.filter(|_| reference.shuffle_seed.is_none()),
    }
}

fn opened(reference: &DataRef, scan: Scan, held: Held) -> Data {
    Data::new(
        reference.name.clone(),
        scan,
        reference.shuffle_seed,
        reference.limit,
        held.source,
    )
}

fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_ascii_lowercase()
}

fn open(path: &Path) -> io::Result<Held> {
    let about = fs::metadata(path)?;
    // A pipe could be read once, and each worker reads for itself.
    if !about.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut file = File::open(path)?;
    if about.len() > INLINE {
        return Ok(Held {
            source: Box::new(Shared::from(file)),
            text: None,
        });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Held {
        text: String::from_utf8(bytes.clone()).ok(),
        source: Box::new(bytes),
    })
}

/// A file's bytes, or the file.
struct Held {
    source: Box<dyn ReadAt>,
    /// What may travel.
    text: Option<String>,
}

impl Held {
    /// From its beginning.
    fn reader(&self) -> Reader<'_> {
        Reader {
            source: &*self.source,
            at: 0,
        }
    }
}

/// Reads a source from its beginning to its end.
struct Reader<'a> {
    source: &'a dyn ReadAt,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_some(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl ReadAt for Vec<u8> {
    fn read_some(&self, start: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let mut rest = self.get(start..).unwrap_or_default();
        rest.read(buffer)
    }
}

/// A file that many threads read from at once, each where it likes.
#[cfg(unix)]
type Shared = File;

#[cfg(unix)]
impl ReadAt for File {
    fn read_some(&self, start: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, start)
    }
}

/// A file whose place is moved for each read, by one thread at a time.
#[cfg(not(unix))]
#[derive(Debug)]
struct Shared(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl From<File> for Shared {
    fn from(file: File) -> Self {
        Self(std::sync::Mutex::new(file))
    }
}

#[cfg(not(unix))]
impl ReadAt for Shared {
    fn read_some(&self, start: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::Seek as _;
        let mut file = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(io::SeekFrom::Start(start))?;
        file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WorkloadError;

    fn wish(path: &Path) -> DataWish<'_> {
        DataWish {
            path,
            format: None,
            column: None,
            shuffle_seed: None,
            limit: None,
        }
    }

    fn words(error: &LoadError) -> String {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        format!("{error}{}", cause.unwrap_or_default())
    }

    /// Rows of `bytes` bytes in all.
    fn large(folder: &Path, bytes: usize) -> PathBuf {
        let path = folder.join("large.txt");
        let row = format!("{}\n", "word ".repeat(200));
        fs::write(&path, row.repeat(bytes / row.len() + 1)).unwrap();
        path
    }

    #[test]
    fn a_small_file_travels_and_a_large_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.txt");
        fs::write(&path, "one\ntwo\n").unwrap();
        let pinned = pin_data(wish(&path)).unwrap();
        assert_eq!(pinned.reference.inline.as_deref(), Some("one\ntwo\n"));
        assert_eq!(
            (pinned.reference.bytes, pinned.known_by),
            (8, Some("its name"))
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(data(&pinned.reference).unwrap().rows(), 2);
        let path = large(folder.path(), 1 << 20);
        let pinned = pin_data(wish(&path)).unwrap();
        assert_eq!(pinned.reference.inline, None);
        assert_eq!(data(&pinned.reference).unwrap().rows(), pinned.data.rows());
    }

    #[test]
    fn a_large_file_must_be_the_plans() {
        let folder = tempfile::tempdir().unwrap();
        let path = large(folder.path(), 2 << 20);
        let mut reference = pin_data(wish(&path)).unwrap().reference;
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("word", "Word", 1)).unwrap();
        let error = data(&reference).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("large.txt` is another one here: "),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("large.txt"));
        reference.name = "/nowhere/at/all.txt".to_owned();
        let error = data(&reference).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("looked for `/nowhere/at/all.txt`, `all.txt`"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("/nowhere/at/all.txt"));
    }

    #[test]
    fn rows_of_a_large_file_are_read_by_many_threads_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let row = |i: usize| format!("{i},\"prompt {i}\nof {i}\",{}\r\n", i + 1);
        let rows: Vec<_> = (0..60_000).map(row).collect();
        fs::write(&path, format!("id,prompt,max_tokens\r\n{}", rows.concat())).unwrap();
        let pinned = pin_data(wish(&path)).unwrap();
        assert!(pinned.reference.inline.is_none());
        let data = std::sync::Arc::new(data(&pinned.reference).unwrap());
        let shape = crate::workload::Shape::default();
        let workload = crate::workload::tests::data_workload(data, &shape, 4);
        std::thread::scope(|scope| {
            for user in 0..4 {
                let workload = &workload;
                scope.spawn(move || {
                    for turn in (0..15_000).step_by(100) {
                        let index = crate::domain::Index::Turn { user, turn };
                        let ask = workload.try_ask(index).unwrap();
                        let number = user + turn * 4;
                        let expected = format!("prompt {number}\nof {number}");
                        assert_eq!(ask.prompt, crate::domain::Prompt::Text(expected.into()));
                        assert_eq!(ask.max_tokens, number + 1);
                    }
                });
            }
        });
    }

    #[test]
    fn what_is_no_data_set_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.jsonl");
        let error = pin_data(wish(&missing)).unwrap_err();
        assert!(error.to_string().contains("none.jsonl"));
        let error = pin_data(wish(folder.path())).unwrap_err();
        assert!(
            words(&error).ends_with("not a regular file"),
            "{}",
            words(&error)
        );
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, "{\"prompt\":\"a\"}\n{\"promt\":\"a\"}\n").unwrap();
        let error = pin_data(wish(&path)).unwrap_err();
        assert!(
            words(&error).contains("rows.jsonl`: line 2: neither `prompt`"),
            "{}",
            words(&error)
        );
        let path = folder.path().join("rows.txt");
        fs::write(&path, "a\n").unwrap();
        let named = DataWish {
            column: Some("a"),
            ..wish(&path)
        };
        let error = pin_data(named).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a data set of format `text` has no columns"
        );
        let missing = WorkloadError::DataMissing { name: "a".into() };
        assert_eq!(missing.to_string(), "the data set `a` is not opened");
    }
}
