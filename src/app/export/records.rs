//! Files of records, read line by line: the requests of all workers one after the other, and which lines are none.
//! It holds one line at a time, and computes nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::Stopped;
use crate::app::failure::Failure;
use crate::domain::Record;
use crate::export::{LineError, read_line};

/// No line is longer: ten million content events would fit.
const LONGEST: u64 = 256 * 1024 * 1024;
/// Lines that are told one by one, of those that are none.
const TOLD: usize = 5;

/// Files that are there, to be read once.
pub(super) struct RecordsFiles {
    files: Vec<(PathBuf, BufReader<File>)>,
}

/// What was read of them.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Requests.
    pub(super) requests: u64,
    /// What is wrong with the first few lines that are none.
    pub(super) broken: Vec<String>,
    /// How many lines are none.
    pub(super) lost: u64,
}

impl RecordsFiles {
    /// Opens them all, so that a file that is not there is found before anything is written.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut known = Vec::new();
        let mut files = Vec::new();
        for path in paths {
            let file = open(path)?;
            let place = path.canonicalize().unwrap_or_else(|_| path.clone());
            // A pipe may be named twice; a file would be counted twice.
            if place.is_file() && known.contains(&place) {
                let error = anyhow!("`{}` is given twice", path.display());
                return Err(Failure::usage(error).hint("each file of a run once"));
            }
            known.push(place);
            files.push((path.clone(), BufReader::with_capacity(256 * 1024, file)));
        }
        Ok(Self { files })
    }

    /// Gives each request to `take`.
    pub(super) fn each(
        self,
        take: &mut dyn FnMut(&Record) -> Result<(), Stopped>,
    ) -> Result<Account, Stopped> {
        let mut account = Account::default();
        for (path, mut file) in self.files {
            read_file(&path, &mut file, &mut account, take)?;
        }
        match account.broken.first() {
            _ if account.requests > 0 => Ok(account),
            Some(words) => Err(refused(format!("no whole request in the records: {words}"))),
            None => {
                let failure = Failure::usage(anyhow!("no request in the records"));
                let hint = "they are empty: did the run send anything?";
                Err(Stopped::Failed(failure.hint(hint)))
            }
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).and_then(|file| {
        let is_folder = file.metadata()?.is_dir();
        if is_folder {
            Err(io::ErrorKind::IsADirectory.into())
        } else {
            Ok(file)
        }
    });
    file.with_context(|| format!("cannot read the records `{}`", path.display()))
        .map_err(|error| {
            Failure::usage(error).hint("--records FILE FILE: what `run --records FILE` wrote")
        })
}

/// Of files that are something else.
fn refused(words: String) -> Stopped {
    let failure = Failure::usage(anyhow!(words));
    let hint = "--records takes the lines of JSON that `run --records FILE` writes";
    Stopped::Failed(failure.hint(hint))
}

/// A file without a record is refused when it holds something else; nothing, or the beginning of a first line, is what a worker leaves
/// behind that sent nothing, or was killed.
fn read_file(
    path: &Path,
    file: &mut impl BufRead,
    account: &mut Account,
    take: &mut dyn FnMut(&Record) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let (before, mut strange) = (account.requests, None);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = Read::by_ref(file)
            .take(LONGEST)
            .read_until(b'\n', &mut line);
        let length = read.map_err(|error| unreadable(path, number, error))?;
        if length == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(&line) {
            Ok(record) => {
                take(&record)?;
                account.requests += 1;
            }
            Err(error) => {
                let words = format!("line {number} of `{}`: {error}", path.display());
                if !matches!(error, LineError::Cut) {
                    strange.get_or_insert_with(|| words.clone());
                }
                account.lose(words);
            }
        }
    }
    match strange.filter(|_| account.requests == before) {
        Some(words) => {
            let what = format!("`{}` holds no record: {words}", path.display());
            Err(refused(what))
        }
        None => Ok(()),
    }
}

fn unreadable(path: &Path, line: u64, error: io::Error) -> Stopped {
    let context = format!(
        "cannot read the records `{}` from line {line} on",
        path.display()
    );
    Stopped::Failed(Failure::failed(anyhow::Error::new(error).context(context)))
}

impl Account {
    fn lose(&mut self, words: String) {
        self.lost += 1;
        if self.broken.len() < TOLD {
            self.broken.push(words);
        }
    }

    /// What is to be said at the end when some lines were none.
    pub(super) fn failure(&self) -> Option<Failure> {
        let more = self.lost - self.broken.len() as u64;
        let mut words = self.broken.join("; ");
        if more > 0 {
            words = format!("{words}; and {more} more lines");
        }
        (self.lost > 0).then(|| {
            let (lost, kept) = (self.lost, self.requests);
            let lines = if lost == 1 { "line is" } else { "lines are" };
            let error = anyhow!("{lost} {lines} left out, {kept} requests are exported: {words}");
            let hint = "a last line that is cut off is of a writer that was killed, or of a disk that was full";
            Failure::failed(error).hint(hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::report::{record_line, sample};

    fn lines(count: u64) -> Vec<u8> {
        let mut lines = Vec::new();
        for due_ms in 0..count {
            record_line::write(&sample::record(due_ms), &mut lines).unwrap();
        }
        lines
    }

    fn read(contents: &[&[u8]]) -> (Result<Account, Stopped>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..contents.len())
            .map(|at| folder.path().join(format!("{at}.jsonl")))
            .collect();
        for (path, content) in paths.iter().zip(contents) {
            fs::write(path, content).unwrap();
        }
        let mut taken = 0;
        let account = RecordsFiles::open(&paths).unwrap().each(&mut |_| {
            taken += 1;
            Ok(())
        });
        (account, taken)
    }

    #[test]
    fn files_are_read_one_after_the_other_and_a_cut_line_is_named() {
        let whole = lines(3);
        let cut = &whole[..whole.len() - 20];
        let (account, taken) = read(&[&whole, cut]);
        let account = account.unwrap();
        assert_eq!((account.requests, account.lost, taken), (5, 1, 5));
        let failure = account.failure().unwrap();
        let words = failure.to_string();
        assert!(words.contains("line 3 of `") && words.contains("cut off in the middle"));
        assert!(words.contains("1 line is left out, 5 requests are exported"));
        assert_eq!(failure.status, 1);
    }

    #[test]
    fn damage_in_the_middle_costs_its_line_alone() {
        let mut damaged = lines(2);
        damaged.extend(b"{\"index\": nonsense}\n\n");
        damaged.extend(lines(2));
        let account = read(&[&damaged]).0.unwrap();
        assert_eq!((account.requests, account.lost), (4, 1));
        assert!(
            account.broken[0].starts_with("line 3 of"),
            "{:?}",
            account.broken
        );
        // A last line that lacks nothing but its end is whole.
        let mut unended = lines(2);
        unended.pop();
        let account = read(&[&unended]).0.unwrap();
        assert!(account.requests == 2 && account.failure().is_none());
        let many = [lines(1), b"x\n".repeat(9)].concat();
        let words = read(&[&many]).0.unwrap().failure().unwrap().to_string();
        assert!(words.contains("and 4 more lines"), "{words}");
    }

    #[test]
    fn a_worker_that_left_nothing_whole_behind_costs_nobody_elses_requests() {
        let whole = lines(3);
        let (cut, damaged) = (&whole[..30], [&whole[..], b"x\n"].concat());
        for (files, lost) in [
            ([cut, &whole], 1),
            ([&whole, cut], 1),
            ([&whole, b""], 0),
            ([&damaged, b""], 1),
        ] {
            let (account, taken) = read(&files);
            let account = account.unwrap();
            assert_eq!((account.requests, account.lost, taken), (3, lost, 3));
        }
        let Err(Stopped::Failed(failure)) = read(&[cut]).0 else {
            panic!("there was no request");
        };
        let words = failure.to_string();
        assert!(words.contains("no whole request") && words.contains("cut off"));
        assert_eq!(failure.status, 2);
    }

    #[test]
    fn what_holds_no_record_is_refused() {
        for (content, words) in [(&b"a,b\n1,2\n"[..], "holds no record"), (b"", "no request")] {
            let Err(Stopped::Failed(failure)) = read(&[content]).0 else {
                panic!("{words}");
            };
            assert_eq!(failure.status, 2);
            assert!(failure.to_string().contains(words), "{failure}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(RecordsFiles::open(&[folder.path().to_owned()]).is_err());
        let path = folder.path().join("a.jsonl");
        assert!(RecordsFiles::open(std::slice::from_ref(&path)).is_err());
        fs::write(&path, lines(1)).unwrap();
        let failure = RecordsFiles::open(&[path.clone(), path]).err().unwrap();
        assert!(failure.to_string().contains("given twice"));
    }
}
