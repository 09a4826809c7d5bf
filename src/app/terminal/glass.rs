//! The screen of the terminal that a run is shown on: lent by the shell, and given back as it was whatever happens.
//!
//! Who has the terminal's keys says when it is ours (`raise`) and when no longer (`lower`, `forget`); a thread of its own draws,
//! and what it has half written when the screen is given back is cut off. While the screen is ours the log is held back. The
//! handle is this process's alone and never waits, so that a terminal that stands still holds nobody up.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ratatui::layout::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetwinsize, tcsetattr, ttyname};
use tokio::time::Instant;

use crate::app::logging::{self, Hold};
use crate::tui::{Glance, Look};

/// Another screen than the shell's, without a cursor.
pub(super) const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[0m";
/// The shell's screen, as it was left.
pub(super) const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";
/// What a terminal gets to take its own screen back, before somebody else waits for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often what waits for a terminal looks whether it is still wanted.
const GLIMPSE: Duration = Duration::from_millis(100);
/// Larger ones are shown in part; some report nonsense.
const LARGEST: Size = Size::new(500, 200);
const USUAL: Size = Size::new(80, 24);

/// A terminal that a run is shown on.
pub(in crate::app) struct Glass {
    terminal: File,
    pane: Mutex<Pane>,
    changed: Condvar,
}

/// What is known of the screen.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: ours, entered, owed, over"
)]
struct Pane {
    /// It is ours to draw on.
    up: bool,
    /// It will never be again.
    over: bool,
    /// Our first bytes may have been written.
    entered: bool,
    /// Our last bytes could not be written yet.
    owes: bool,
    /// Raised, lowered: what was drawn before is no longer there.
    turns: u64,
    /// A key asked for something to be shown.
    stirred: bool,
    look: Look,
    hold: Option<Hold>,
    /// The settings that whoever had the terminal before had.
    before: Option<Termios>,
    /// They were given back past the keyboard, which knows nothing of it.
    was_reset: bool,
}

/// What is to be drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surface {
    pub(super) turn: u64,
    pub(super) look: Look,
    pub(super) size: Size,
}

impl Glass {
    /// The terminal that `output` is.
    pub(super) fn open(output: &impl AsFd) -> io::Result<Self> {
        let named = ttyname(output, Vec::new()).ok();
        let named = named
            .as_ref()
            .map(|name| Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())));
        let own = |path: &Path| {
            let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
            let flags = i32::try_from(flags.bits()).unwrap_or_default();
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(flags)
                .open(path)
        };
        // Without a name in this file system (a container's), it is the one that controls this process.
        let opened = named.map(own).and_then(Result::ok);
        let terminal = opened.map_or_else(|| own(Path::new("/dev/tty")), Ok)?;
        Ok(Self {
            terminal,
            pane: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// The terminal is ours: it had these settings before. What was on the screen is not there any more.
    pub(in crate::app) fn raise(&self, before: &Termios) {
        let mut pane = self.pane();
        if pane.over {
            return;
        }
        pane.up = true;
        pane.entered = false;
        pane.stirred = true;
        pane.turns += 1;
        pane.before = Some(before.clone());
        pane.hold.get_or_insert_with(logging::hold);
        self.changed.notify_all();
    }

    /// Gives the screen back. A terminal that stands still has a moment for it; then it is owed.
    pub(in crate::app) fn lower(&self) {
        let mut pane = self.pane();
        pane.turn_away();
        if std::mem::take(&mut pane.entered) && self.write_within(LEAVE, PATIENCE).is_err() {
            pane.owes = true;
        }
        let hold = if pane.owes { None } else { pane.hold.take() };
        drop(pane);
        self.changed.notify_all();
        drop(hold);
    }

    /// The terminal is somebody else's, who has set it up already.
    pub(in crate::app) fn forget(&self) {
        let mut pane = self.pane();
        pane.turn_away();
        pane.entered = false;
        let hold = pane.hold.take();
        drop(pane);
        drop(hold);
    }

    /// There is no terminal any more. Returns whether there was one up to now.
    pub(in crate::app) fn lose(&self) -> bool {
        let mut pane = self.pane();
        pane.turn_away();
        (pane.entered, pane.owes) = (false, false);
        let was_there = !std::mem::replace(&mut pane.over, true);
        let hold = pane.hold.take();
        drop(pane);
        self.changed.notify_all();
        drop(hold);
        was_there
    }

    /// Something is wrong with this program: the terminal is given back with its settings, and the view is over.
    pub(super) fn break_off(&self) {
        self.lower();
        let mut pane = self.pane();
        pane.over = true;
        if let Some(before) = pane.before.take() {
            // A terminal that is gone needs no settings.
            pane.was_reset = tcsetattr(&self.terminal, OptionalActions::Now, &before).is_ok();
        }
        drop(pane);
        self.changed.notify_all();
    }

    /// Whether the terminal was given its settings back behind the keyboard's back; that is said once.
    pub(in crate::app) fn was_reset(&self) -> bool {
        std::mem::take(&mut self.pane().was_reset)
    }

    /// The run is over, for good or ill: nothing is drawn any more, and nobody is waited for.
    pub(super) fn close(&self) {
        self.lower();
        let mut pane = self.pane();
        pane.over = true;
        let hold = pane.hold.take();
        let owes = std::mem::take(&mut pane.owes);
        drop(pane);
        self.changed.notify_all();
        match hold {
            // Its words would be waited for where nothing is taken.
            Some(hold) if owes => Hold::discard(hold),
            hold => drop(hold),
        }
    }

    /// Whether the screen is ours: nothing else is to be written on it.
    pub(in crate::app) fn is_up(&self) -> bool {
        self.pane().up
    }

    /// Whether the terminal has not taken its own screen back yet.
    pub(super) fn owes(&self) -> bool {
        self.pane().owes
    }

    /// Shows what a key asks for. Returns whether anything is shown at all.
    pub(in crate::app) fn turn(&self, glance: Glance) -> bool {
        let mut pane = self.pane();
        if pane.up {
            pane.look.turn(glance);
            pane.stirred = true;
            self.changed.notify_all();
        }
        pane.up
    }

    /// How a person looks at it, after what was drawn took back what was scrolled too far.
    pub(super) fn settle(&self, drawn: &Surface, look: Look) {
        let mut pane = self.pane();
        if pane.look == drawn.look {
            pane.look = look;
        }
    }

    /// Waits until something may be drawn: `step` after the `last` time at the earliest, at a key, or when it is time to look
    /// for news.
    /// `None` when nothing will ever be.
    pub(super) fn next(&self, last: Instant, step: Duration) -> Option<Surface> {
        let mut pane = self.pane();
        loop {
            if pane.owes {
                drop(pane);
                self.pay();
                pane = self.pane();
                continue;
            }
            if pane.over {
                return None;
            }
            if !pane.up {
                pane = self.wait(pane);
                continue;
            }
            let since = last.elapsed();
            if since < step {
                pane = self.wait_for(pane, step.saturating_sub(since)).0;
                continue;
            }
            if pane.stirred {
                break;
            }
            let (waited, is_time) = self.wait_for(pane, step);
            pane = waited;
            if is_time && pane.up {
                break;
            }
        }
        pane.stirred = false;
        let (turn, look) = (pane.turns, pane.look);
        drop(pane);
        Some(Surface {
            turn,
            look,
            size: self.size(),
        })
    }

    /// Writes what was drawn, however long the terminal takes, as long as the screen is what it was. Returns whether it was.
    pub(super) fn write(&self, turn: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut pane = self.pane();
            if !pane.up || pane.turns != turn {
                return Ok(false);
            }
            pane.entered = true;
            let written = self.write_some(rest)?;
            drop(pane);
            rest = rest.get(written..).unwrap_or_default();
            if !rest.is_empty() {
                self.wait_for_room(GLIMPSE);
            }
        }
        Ok(true)
    }

    /// Has the terminal take its own screen back, as soon as it takes anything.
    fn pay(&self) {
        self.wait_for_room(GLIMPSE);
        let mut pane = self.pane();
        if !pane.owes {
            return;
        }
        let paid = self.write_within(LEAVE, Duration::ZERO);
        if paid.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return;
        }
        pane.owes = false;
        let hold = pane.hold.take();
        drop(pane);
        drop(hold);
    }

    fn size(&self) -> Size {
        match tcgetwinsize(&self.terminal) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size::new(
                size.ws_col.min(LARGEST.width),
                size.ws_row.min(LARGEST.height),
            ),
            _ => USUAL,
        }
    }

    /// Writes a few bytes, if the terminal takes them before long.
    fn write_within(&self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        let mut rest = bytes;
        loop {
            let written = self.write_some(rest)?;
            rest = rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.wait_for_room(left.min(GLIMPSE));
        }
    }

    /// Writes what there is room for.
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.terminal, bytes) {
            Ok(written) => Ok(written),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_for_room(&self, most: Duration) {
        let mut watched = [PollFd::new(&self.terminal, PollFlags::OUT)];
        let most = Timespec::try_from(most).ok();
        // Whatever it says, the next write tells.
        let _ = poll(&mut watched, most.as_ref());
    }

    fn pane(&self) -> MutexGuard<'_, Pane> {
        self.pane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, pane: MutexGuard<'a, Pane>) -> MutexGuard<'a, Pane> {
        self.changed
            .wait(pane)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether all of the time has passed.
    fn wait_for<'a>(
        &self,
        pane: MutexGuard<'a, Pane>,
        most: Duration,
    ) -> (MutexGuard<'a, Pane>, bool) {
        let waited = self.changed.wait_timeout(pane, most);
        let (pane, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (pane, timeout.timed_out())
    }
}

impl Pane {
    /// Nothing more is drawn of what is being drawn.
    fn turn_away(&mut self) {
        self.up = false;
        self.turns += 1;
    }
}
