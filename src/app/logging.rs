//! Where log lines go: standard error or a file, and into a book of the last ones, for views. Figures never go there.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;

use super::failure::Failure;
use crate::config::{LogLevel, Logging};

/// Lines that the book keeps.
const KEPT: usize = 1_000;
/// Bytes of log lines that are held back at most; the oldest ones beyond that are left out.
const HELD: usize = 1 << 20;

/// The one book of this process, as there is one log.
static BOOK: Mutex<Book> = Mutex::new(Book {
    lines: VecDeque::new(),
    written: 0,
    held: None,
    file: None,
});

/// The last lines of the log.
struct Book {
    lines: VecDeque<Arc<str>>,
    /// Lines that were ever written into it.
    written: u64,
    /// Standard error is somebody else's; what would have gone there meanwhile.
    held: Option<Held>,
    /// Where lines go; `None` for standard error.
    file: Option<File>,
}

/// Log lines that wait for standard error.
#[derive(Default)]
struct Held {
    events: VecDeque<Box<[u8]>>,
    bytes: usize,
    left_out: usize,
}

/// Starts logging for a command without options for it: what happens, on standard error.
pub(super) fn start_plain() -> Result<(), Failure> {
    start(&Logging {
        level: LogLevel::Info,
        file: None,
    })
}

/// Starts logging. Only this program's own words are logged, whatever the libraries have to say.
pub(super) fn start(logging: &Logging) -> Result<(), Failure> {
    let filter = EnvFilter::new(format!(
        // What was asked to be shown is shown at any level.
        "off,llmload={},llmload::request=info,llmload::response=info",
        logging.level.name()
    ));
    let file = logging.file.as_ref().map(|path| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("cannot open the log file `{}`", path.display()))
            .map_err(|error| {
                Failure::usage(error).hint("--logfile FILE in a folder that can be written")
            })
    });
    let file = file.transpose()?;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_timer(SystemTime)
        .with_ansi(false)
        .with_writer(ToBook)
        .try_init();
    // A second start in one process (the library used by others) keeps the first one's settings.
    if started.is_ok() {
        book().file = file;
    }
    Ok(())
}

/// The lines that were written after the first `seen`, as far as they are kept, and how many were ever written.
pub(super) fn lines_after(seen: u64) -> (Vec<Arc<str>>, u64) {
    let book = book();
    let new = usize::try_from(book.written.saturating_sub(seen)).unwrap_or(usize::MAX);
    let skipped = book.lines.len().saturating_sub(new);
    let lines = book.lines.iter().skip(skipped).cloned();
    (lines.collect(), book.written)
}

/// Keeps log lines from standard error while it lives: the terminal is somebody else's. Then they are written.
#[derive(Debug)]
pub(super) struct Hold(());

/// Begins to hold lines back. There is one holder at a time.
pub(super) fn hold() -> Hold {
    book().held.get_or_insert_default();
    Hold(())
}

impl Hold {
    /// Ends without a word: nobody would take what was held back.
    pub(super) fn discard(hold: Self) {
        book().held.take();
        drop(hold);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let held = book().held.take().unwrap_or_default();
        // Nothing can be done when even that fails.
        let _ = io::stderr().write_all(&held.into_text());
    }
}

impl Held {
    fn push(&mut self, event: &[u8]) {
        self.bytes += event.len();
        self.events.push_back(event.into());
        while self.bytes > HELD {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.left_out += 1;
        }
    }

    fn into_text(self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.left_out > 0 {
            let said = format!(
                "({} earlier messages were shown and are left out here; --logfile keeps all)\n",
                self.left_out
            );
            text.extend_from_slice(said.as_bytes());
        }
        for event in self.events {
            text.extend_from_slice(&event);
        }
        text
    }
}

fn book() -> MutexGuard<'static, Book> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    fn note(&mut self, event: &[u8]) {
        for line in String::from_utf8_lossy(event).lines() {
            if self.lines.len() >= KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(line.into());
            self.written += 1;
        }
    }
}

/// Writes whole events, one call each.
struct ToBook;

impl MakeWriter<'_> for ToBook {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for ToBook {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut book = book();
        book.note(event);
        let Book { file, held, .. } = &mut *book;
        match (file, held) {
            (Some(file), _) => file.write_all(event)?,
            (None, Some(held)) => held.push(event),
            // A terminal that is gone ends no run: who complains about it there would.
            (None, None) => drop(io::stderr().write_all(event)),
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_keeps_the_last_lines_and_says_which_are_new() {
        let mut book = Book {
            lines: VecDeque::new(),
            written: 0,
            held: None,
            file: None,
        };
        for number in 0..KEPT + 5 {
            book.note(format!("line {number}\n").as_bytes());
        }
        book.note(b"two\nmore\n");
        assert_eq!((book.lines.len(), book.written), (KEPT, KEPT as u64 + 7));
        assert_eq!(book.lines.back().map(AsRef::as_ref), Some("more"));
        assert_eq!(book.lines.front().map(AsRef::as_ref), Some("line 7"));
    }

    #[test]
    fn what_is_held_back_has_a_bound_and_says_what_is_missing() {
        let mut held = Held::default();
        let event = [b"x".repeat(HELD / 4 - 1), b"\n".to_vec()].concat();
        for _ in 0..4 {
            held.push(&event);
        }
        held.push(b"the last\n");
        assert_eq!(held.bytes, 3 * (HELD / 4) + 9);
        let text = String::from_utf8(held.into_text()).unwrap();
        assert!(
            text.starts_with("(1 earlier messages were"),
            "{}",
            &text[..40]
        );
        assert!(text.ends_with("x\nthe last\n"));
        assert!(Held::default().into_text().is_empty());
    }
}
