//! A real pseudo-terminal in this process: it is as it was after a panic in any thread, and one that stands still holds nobody up.

use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    Action, LocalModes, OptionalActions, Termios, Winsize, tcflow, tcgetattr, tcsetattr,
    tcsetwinsize,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::drawing::Drawing;
use super::glass::{Glass, LEAVE};
use super::panics;
use crate::app::observe::sample::{Run, merged};
use crate::app::observe::{Observation, Observatory, Outcome};
use crate::cluster::MasterEvent;
use crate::domain::Offset;
use crate::tui::{Glance, Skin};

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

/// A terminal whose person writes down all that is shown.
struct Pty {
    machine: OwnedFd,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
    /// For as long as there is a person.
    person: Arc<OwnedFd>,
}

impl Pty {
    fn new() -> Self {
        let person =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let machine = open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY,
            Mode::empty(),
        )
        .unwrap();
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&machine, size).unwrap();
        let before = tcgetattr(&machine).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut reading = File::from(person.try_clone().unwrap());
        let writing = Arc::clone(&seen);
        // It ends with the terminal.
        drop(thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = reading.read(&mut some) {
                writing.lock().unwrap().extend_from_slice(&some[..read]);
            }
        }));
        Self {
            machine,
            before,
            seen,
            person: Arc::new(person),
        }
    }

    fn glass(&self) -> Arc<Glass> {
        Arc::new(Glass::open(&self.machine).unwrap())
    }

    /// Sets it up as the keyboard does, and lends it.
    fn lend(&self, glass: &Glass) {
        let mut settings = self.before.clone();
        settings
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&self.machine, OptionalActions::Now, &settings).unwrap();
        glass.raise(&self.before);
    }

    fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.machine).unwrap();
        format!("{now:?}") == format!("{:?}", self.before)
    }

    /// What is on it now, and whether that is the screen of a program that has it whole.
    fn screen(&self) -> (String, bool) {
        let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
        parser.process(&self.seen.lock().unwrap());
        let screen = parser.screen();
        (screen.contents(), screen.alternate_screen())
    }

    fn wait_for(&self, words: &str) {
        eventually(words, || self.screen().0.contains(words));
    }

    fn wait_until_left(&self) {
        eventually("the shell's screen", || {
            let seen = self.seen.lock().unwrap();
            seen.ends_with(LEAVE) && !seen.is_empty()
        });
        assert!(!self.screen().1);
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A run that is drawn on a terminal.
struct Shown {
    glass: Arc<Glass>,
    observation: Observation,
    drawing: JoinHandle<()>,
}

fn show(pty: &Pty) -> Shown {
    let (orders, _told) = mpsc::channel(1);
    let run = Run::new();
    let observatory = Observatory::new(run.prospect(orders)).unwrap();
    let glass = pty.glass();
    let skin = Skin {
        unicode: true,
        colour: true,
    };
    let drawing = Drawing::new(Arc::clone(&glass), skin, observatory.view());
    let mut observation = observatory.open();
    observation.note(&MasterEvent::Starting { at: Offset::ZERO });
    pty.lend(&glass);
    Shown {
        glass,
        observation,
        drawing: thread::spawn(|| drawing.go_on()),
    }
}

fn over() -> Outcome {
    Outcome {
        figures: None,
        failure: None,
        workers: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_run_is_drawn_and_keys_turn_its_pages() {
    let pty = Pty::new();
    let mut shown = show(&pty);
    pty.wait_for("RUNNING");
    assert!(pty.screen().1 && shown.glass.is_up());
    shown.observation.note(&merged(1, 1_234));
    pty.wait_for("1,234 good");
    assert!(shown.glass.turn(Glance::Help));
    pty.wait_for("stop: wait for what is in flight");
    shown.glass.turn(Glance::Back);
    shown.glass.turn(Glance::Next);
    pty.wait_for("state");
    // Suspended, and back.
    shown.glass.lower();
    pty.wait_until_left();
    assert!(!shown.glass.turn(Glance::Next));
    pty.lend(&shown.glass);
    pty.wait_for("state");
    shown.observation.end(over()).await;
    shown.glass.close();
    shown.drawing.join().unwrap();
    pty.wait_until_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_terminal_that_stands_still_holds_nobody_up_and_shows_the_last_state() {
    let pty = Pty::new();
    let mut shown = show(&pty);
    pty.wait_for("RUNNING");
    tcflow(&pty.machine, Action::OOff).unwrap();
    for second in 1..=50 {
        shown.observation.note(&merged(second, 10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen = pty.seen.lock().unwrap().len();
    tcflow(&pty.machine, Action::OOn).unwrap();
    pty.wait_for("500 good");
    assert!(pty.seen.lock().unwrap().len() > seen);
    // It stands still again when the screen is to be given back.
    tcflow(&pty.machine, Action::OOff).unwrap();
    shown.observation.note(&merged(51, 10));
    shown.glass.lower();
    assert!(shown.glass.owes() && !shown.glass.is_up());
    tcflow(&pty.machine, Action::OOn).unwrap();
    pty.wait_until_left();
    eventually("nothing is owed", || !shown.glass.owes());
    shown.observation.end(over()).await;
    shown.glass.close();
    shown.drawing.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_panic_in_any_thread_gives_the_terminal_back() {
    let pty = Pty::new();
    let shown = show(&pty);
    pty.wait_for("RUNNING");
    panics::guard(&shown.glass);
    assert!(!pty.is_as_before());
    let defect = thread::spawn(|| panic!("a defect, for a test"));
    assert!(defect.join().is_err());
    pty.wait_until_left();
    assert!(pty.is_as_before());
    // The view is over, whatever becomes of the run; the keyboard learns that it lost its settings.
    assert!(shown.glass.was_reset() && !shown.glass.was_reset());
    shown.glass.raise(&pty.before);
    assert!(!shown.glass.is_up());
    shown.drawing.join().unwrap();
    shown.observation.end(over()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_terminal_that_is_gone_ends_the_view_alone() {
    let pty = Pty::new();
    let mut shown = show(&pty);
    pty.wait_for("RUNNING");
    let Pty {
        machine, person, ..
    } = pty;
    assert!(shown.glass.lose() && !shown.glass.lose());
    drop((machine, person));
    shown.observation.note(&merged(1, 10));
    shown.drawing.join().unwrap();
    shown.glass.close();
    shown.observation.end(over()).await;
}
