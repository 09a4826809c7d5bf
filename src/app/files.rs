//! The result files: found writable before the run, replaced whole, appended to under a lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fs4::FileExt;
use time::OffsetDateTime;

use super::failure::Failure;
use crate::report::summary_file::{self, Row, RowError};

/// Replaces the file at `path` by `text`: readers see the old content or the new one, never a part.
///
/// What is there and no plain file, a pipe or `/dev/stdout`, is written to: it must not be renamed away. A link
/// stays, and the file that it names is replaced.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    replace_by(path, |file| file.write_all(text.as_bytes()))
}

/// The same by what `write` writes, piece by piece.
///
/// # Errors
/// Also those of `write`; the old file stands then.
pub(super) fn replace_by<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), E> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return write(&mut OpenOptions::new().write(true).open(path)?);
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = beside(path, "tmp");
    let written = File::create(&beside)
        .map_err(E::from)
        .and_then(|mut file| write(&mut file));
    let replaced = written.and_then(|()| fs::rename(&beside, path).map_err(E::from));
    if replaced.is_err() {
        // What is half written is of no use to anybody; the old file stands.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

/// `path` with a dot and `ending` behind it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Fails when `path` could not be written, and leaves nothing behind that was not there.
pub(super) fn try_writing(path: &Path, option: &str) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let refused = |error: io::Error| {
        let error = anyhow::Error::new(error).context(format!("cannot write `{}`", path.display()));
        Failure::usage(error).hint(format!(
            "{option} takes a file in a folder that can be written"
        ))
    };
    opened.map_err(refused)?;
    if existed {
        Ok(())
    } else {
        fs::remove_file(path).map_err(refused)
    }
}

/// Appends a row to the summary file. Two runs that append at once wait for each other.
///
/// A row that the file cannot take is kept in a file beside it, whose name the error tells.
pub(super) fn append_row(path: &Path, row: &Row, now: OffsetDateTime) -> Result<(), Failure> {
    let appended = try_append(path, row);
    let Err(error) = appended else { return Ok(()) };
    let elsewhere = beside(path, &format!("{}.csv", now.unix_timestamp()));
    let kept = summary_file::append(None, row)
        .map_err(io::Error::other)
        .and_then(|text| fs::write(&elsewhere, text));
    let failure =
        Failure::failed(error.context(format!("cannot append a row to `{}`", path.display())));
    Err(match kept {
        Ok(()) => failure.hint(format!("the row is kept in `{}`", elsewhere.display())),
        Err(_) => {
            // An empty or half-written file would only mislead.
            let _ = fs::remove_file(&elsewhere);
            let text = summary_file::append(None, row).unwrap_or_default();
            failure.hint(format!(
                "the row could not be kept beside it either; here it is:\n{text}"
            ))
        }
    })
}

fn try_append(path: &Path, row: &Row) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    FileExt::lock(&file).context("cannot lock it")?;
    // A device has no length, and may have no end.
    let before = file.metadata()?.len();
    let mut header = String::new();
    let _ = BufReader::new(Read::by_ref(&mut file).take(before)).read_line(&mut header)?;
    let unfinished = before > 0 && last_byte(&mut file)? != b'\n';
    let header = Some(header.trim_end_matches(['\r', '\n'])).filter(|header| !header.is_empty());
    let addition =
        summary_file::append(header, row).map_err(|error: RowError| anyhow::Error::new(error))?;
    let text = if unfinished {
        format!("\n{addition}")
    } else {
        addition
    };
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_data());
    if written.is_err() {
        // A torn row would shift every later one: take it back.
        let _ = file.set_len(before);
    }
    Ok(written?)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[&str], fields: &[&str]) -> Row {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Row {
            columns: owned(columns),
            fields: owned(fields),
        }
    }

    #[test]
    fn rows_are_appended_under_one_header_also_after_an_unfinished_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        append_row(
            &path,
            &row(&["A", "B"], &["1", "2"]),
            OffsetDateTime::UNIX_EPOCH,
        )
        .unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"3,4").unwrap();
        append_row(
            &path,
            &row(&["B", "A"], &["6", "5"]),
            OffsetDateTime::UNIX_EPOCH,
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "A,B\n1,2\n3,4\n5,6\n");
    }

    #[test]
    fn a_row_that_does_not_fit_is_kept_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        fs::write(&path, "A,B\n1,2\n").unwrap();
        let failure = append_row(
            &path,
            &row(&["A", "C"], &["1", "2"]),
            OffsetDateTime::UNIX_EPOCH,
        )
        .unwrap_err();
        assert!(format!("{failure}").contains("`C`"), "{failure}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "A,B\n1,2\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("results.csv.0.csv")).unwrap(),
            "A,C\n1,2\n"
        );
    }

    #[test]
    fn rows_of_many_threads_are_never_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        let long = "x".repeat(2000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        append_row(
                            &path,
                            &row(&["A", "B"], &[&long, "y"]),
                            OffsetDateTime::UNIX_EPOCH,
                        )
                        .unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 81);
        assert!(text.lines().skip(1).all(|line| line == format!("{long},y")));
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_written_to_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let [device, link, file] = ["device", "link", "file"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("/dev/full", &device).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = replace(&device, "text").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        fs::write(&file, "old").unwrap();
        replace(&link, "new").unwrap();
        assert!(device.is_symlink() && link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    #[cfg(unix)]
    fn a_device_without_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("device");
        std::os::unix::fs::symlink("/dev/full", &device).unwrap();
        let failure =
            append_row(&device, &row(&["A"], &["1"]), OffsetDateTime::UNIX_EPOCH).unwrap_err();
        assert!(
            format!("{failure}").contains("the row is kept in"),
            "{failure}"
        );
        assert_eq!(
            fs::read_to_string(folder.path().join("device.0.csv")).unwrap(),
            "A\n1\n"
        );
    }

    #[test]
    fn trying_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.csv");
        try_writing(&path, "--summary-file").unwrap();
        assert!(!path.exists());
        let failure =
            try_writing(&folder.path().join("no/such/folder.csv"), "--summary-file").unwrap_err();
        assert_eq!(failure.status, 2);
    }
}
