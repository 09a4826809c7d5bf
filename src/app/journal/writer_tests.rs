//! Disks that are full, slow or read from at the same time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::app::journal::tests::{frame, header};
use crate::cluster::{EndedBy, JournalReader, journal_head};

/// A disk with so much room, on which anybody may look.
#[derive(Clone)]
struct Small {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Disk for Small {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut there = self.bytes.lock().unwrap();
        let fits = bytes.len().min(self.room - there.len());
        there.extend(&bytes[..fits]);
        if fits == bytes.len() {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).unwrap();
        self.bytes.lock().unwrap().truncate(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn small(room: usize) -> (Small, Arc<Mutex<Vec<u8>>>) {
    let bytes = Arc::new(Mutex::new(journal_head(&header()).unwrap()));
    let disk = Small {
        bytes: Arc::clone(&bytes),
        room,
    };
    (disk, bytes)
}

fn head_bytes() -> usize {
    journal_head(&header()).unwrap().len()
}

/// Writes the frames to the disk; returns the numbers that were said to be written, and how it went.
fn write<D: Disk + Clone + Send + 'static>(disk: D, frames: Vec<Frame>) -> (Vec<u64>, Outcome) {
    let pen = Pen {
        path: PathBuf::from("j"),
        syncing: Syncing::start(disk.clone()).unwrap(),
        disk,
        bytes: head_bytes() as u64,
        outcome: Outcome::default(),
    };
    let (sender, queue) = mpsc::channel(QUEUE);
    let (said, mut written) = mpsc::channel(QUEUE);
    let (notes, last_words) = std_mpsc::sync_channel(1);
    for frame in frames {
        sender.try_send(Box::new(frame)).unwrap();
    }
    drop(sender);
    notes.send(vec!["a note".to_owned()]).unwrap();
    let outcome = thread::spawn(move || pen.write_all(queue, said, &last_words));
    let outcome = outcome.join().unwrap();
    let numbers = std::iter::from_fn(|| written.try_recv().ok()).collect();
    assert_eq!(
        written.try_recv(),
        Err(mpsc::error::TryRecvError::Disconnected)
    );
    (numbers, outcome)
}

fn last(number: u64) -> Frame {
    Frame {
        ended: Some(EndedBy::Time),
        ..frame(number)
    }
}

/// The numbers of the frames in `bytes`, and whether there is anything else.
fn frames_in(bytes: &[u8]) -> (u64, bool) {
    let mut reader = JournalReader::open(bytes).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    (reader.past().frames, reader.torn().is_some())
}

#[test]
fn frames_are_written_in_order_and_said_and_notes_follow_the_end() {
    let (disk, bytes) = small(usize::MAX);
    let (numbers, outcome) = write(disk, vec![frame(1), frame(2), last(3)]);
    assert_eq!(numbers, [1, 2, 3]);
    assert!(outcome.has_end && outcome.error.is_none());
    let bytes = bytes.lock().unwrap().clone();
    let mut reader = JournalReader::open(&*bytes).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    assert_eq!(reader.past().ended, Some(EndedBy::Time));
    assert_eq!(reader.notes(), ["a note"]);
}

#[test]
fn a_full_disk_keeps_whole_frames_and_what_is_not_written_is_not_said() {
    let one = journal_frame(frame(1)).unwrap().len();
    for room in [one / 2, one, 2 * one + 1, 3 * one - 1] {
        let (disk, bytes) = small(head_bytes() + room);
        let (numbers, outcome) = write(disk, vec![frame(1), frame(2), last(3)]);
        let whole = u64::try_from(room / one).unwrap();
        assert_eq!(numbers, (1..=whole).collect::<Vec<_>>(), "{room} of {one}");
        assert_eq!(frames_in(&bytes.lock().unwrap()), (whole, false));
        let error = outcome.error.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!outcome.has_end);
    }
}

#[test]
fn who_reads_while_it_is_written_sees_whole_frames() {
    let (disk, bytes) = small(usize::MAX);
    let over = Arc::new(AtomicBool::new(false));
    let (seen, is_over) = (Arc::clone(&bytes), Arc::clone(&over));
    let reader = thread::spawn(move || {
        let mut most = 0;
        while !is_over.load(Ordering::Relaxed) {
            let bytes = seen.lock().unwrap().clone();
            let (frames, is_torn) = frames_in(&bytes);
            assert!(frames >= most && !is_torn);
            most = frames;
        }
    });
    let (numbers, _) = write(disk, (1..=60).map(frame).collect());
    over.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    assert_eq!(numbers.len(), 60);
}

/// A disk whose syncing waits for a word, and then fails.
#[derive(Clone)]
struct Dying {
    disk: Small,
    word: Arc<Mutex<std_mpsc::Receiver<()>>>,
}

impl Disk for Dying {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let _ = self.word.lock().unwrap().recv();
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[test]
fn a_disk_that_syncs_slowly_delays_no_frame_and_one_that_fails_to_ends_the_journal() {
    let (disk, bytes) = small(usize::MAX);
    let (word, heard) = std_mpsc::channel();
    let disk = Dying {
        disk,
        word: Arc::new(Mutex::new(heard)),
    };
    let mut pen = Pen {
        path: PathBuf::from("j"),
        syncing: Syncing::start(disk.clone()).unwrap(),
        disk,
        bytes: head_bytes() as u64,
        outcome: Outcome::default(),
    };
    for number in 1..=3 {
        pen.syncing.wake();
        pen.append(&journal_frame(frame(number)).unwrap()).unwrap();
    }
    assert_eq!(frames_in(&bytes.lock().unwrap()), (3, false));
    word.send(()).unwrap();
    while pen.syncing.failed.get().is_none() {
        thread::yield_now();
    }
    let error = pen.append(&journal_frame(frame(4)).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(frames_in(&bytes.lock().unwrap()), (3, false));
}

#[tokio::test]
async fn a_journal_that_is_not_whole_is_a_failure_if_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_named, frame, told) in [
        ("whole", true, last(1), None),
        ("torn", true, frame(1), Some("lacks the end of the run")),
        ("unnamed", false, frame(1), None),
    ] {
        let path = folder.path().join(name);
        let mut file = JournalFile::named(&path).unwrap();
        file.is_named = is_named;
        file.begin(&journal_head(&header()).unwrap()).unwrap();
        let (mut port, mut writing) = start(file).unwrap();
        port.frames.send(Box::new(frame)).await.unwrap();
        assert_eq!(port.written.recv().await, Some(1));
        drop(port);
        let failure = writing.close(&[]).await.map(|failure| failure.to_string());
        assert_eq!(failure.is_some(), told.is_some());
        assert!(failure.is_none_or(|words| words.contains(told.unwrap())));
        writing.remove();
        assert_eq!(path.exists(), is_named);
    }
}
