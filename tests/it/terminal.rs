//! The live view: the real binary on a terminal of its own, read as a terminal shows it. The terminal must be as it was
//! afterwards, however the run ended, and the run must not depend on the terminal.

use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use llmload::mock::MockHandle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Action, Winsize, tcflow, tcsetwinsize};
use serde_json::Value;
use tempfile::TempDir;

use crate::keys::{Terminal, can_run};
use crate::process::{
    Program, TOLERANT, alone, eventually, mock, quick_mock, shared, wait_for_requests,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_llmload");
const LEAVE: &str = "\x1b[?1049l";

/// A terminal with somebody who looks at it.
struct Seen {
    terminal: Terminal,
    parser: Arc<Mutex<vt100::Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
    looking: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

/// A program on it, which is killed when dropped.
struct Shown {
    child: Child,
    folder: TempDir,
}

impl Seen {
    fn new(columns: u16, rows: u16) -> Self {
        let terminal = Terminal::new();
        let size = |number| NonZero::new(number).unwrap();
        let parser = vt100::Parser::new(size(rows), size(columns), 0);
        let mut seen = Self {
            terminal,
            parser: Arc::new(Mutex::new(parser)),
            written: Arc::default(),
            looking: Arc::new(AtomicBool::new(true)),
            reader: None,
        };
        seen.resize(columns, rows);
        seen.reader = Some(seen.read());
        seen
    }

    fn read(&self) -> JoinHandle<()> {
        let mut reading = File::from(self.terminal.person.try_clone().unwrap());
        let (parser, written) = (Arc::clone(&self.parser), Arc::clone(&self.written));
        let looking = Arc::clone(&self.looking);
        thread::spawn(move || {
            let mut some = [0; 4_096];
            let moment = Timespec::try_from(Duration::from_millis(20)).unwrap();
            while looking.load(Ordering::Relaxed) {
                let ready = poll(&mut [PollFd::new(&reading, PollFlags::IN)], Some(&moment));
                if ready.is_ok_and(|ready| ready == 0) {
                    continue;
                }
                let Ok(read @ 1..) = reading.read(&mut some) else {
                    return;
                };
                parser.lock().unwrap().process(&some[..read]);
                written.lock().unwrap().extend_from_slice(&some[..read]);
            }
        })
    }

    /// The terminal is closed.
    fn hang_up(mut self) {
        self.looking.store(false, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = |number| NonZero::new(number).unwrap();
        let mut parser = self.parser.lock().unwrap();
        parser.screen_mut().set_size(size(rows), size(columns));
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.terminal.machine, size).unwrap();
    }

    /// Starts words of which this is the controlling terminal, and all that they know.
    fn start(&self, words: &[&str], variables: &[(&str, &str)]) -> Shown {
        let folder = TempDir::new().unwrap();
        let lent = || Stdio::from(File::from(self.terminal.machine.try_clone().unwrap()));
        let child = Command::new("/usr/bin/setsid")
            .arg("--ctty")
            .args(words)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("HF_HUB_OFFLINE", "1")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .envs(TOLERANT)
            .envs(variables.iter().copied())
            .stdin(lent())
            .stdout(lent())
            .stderr(lent())
            .spawn()
            .unwrap();
        Shown { child, folder }
    }

    fn run(&self, mock: &MockHandle, line: &str) -> Shown {
        self.start_run(&towards(mock, line), &[])
    }

    fn start_run(&self, line: &str, variables: &[(&str, &str)]) -> Shown {
        let words = [PROGRAM, "run"].into_iter().chain(line.split_whitespace());
        self.start(&words.collect::<Vec<_>>(), variables)
    }

    fn text(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    fn is_live(&self) -> bool {
        self.parser.lock().unwrap().screen().alternate_screen()
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        let what = format!("`{words}` on the screen");
        eventually(&what, || self.text().contains(words).then_some(()));
    }

    /// All that was written since the screen was given back, or ever.
    fn after_it(&self) -> String {
        let written = String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned();
        written.rsplit(LEAVE).next().unwrap_or_default().to_owned()
    }

    /// The terminal is the shell's again: its screen with a cursor, and its settings.
    #[track_caller]
    fn is_given_back(&self) {
        self.terminal.wait_until_as_before();
        eventually("the shell's screen", || (!self.is_live()).then_some(()));
        assert!(!self.parser.lock().unwrap().screen().hide_cursor());
    }
}

impl Shown {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; it must have this status.
    #[track_caller]
    fn expect(mut self, status: i32) -> TempDir {
        let ended = eventually("its end", || self.child.try_wait().unwrap());
        assert_eq!((ended.code(), ended.signal()), (Some(status), None));
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // It is over already, or this test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn towards(mock: &MockHandle, line: &str) -> String {
    format!(
        "-H http://{} -m mock --provider openai -p 40 -o 5 --seed 7 --start-spread 0s --json-file result.json {line}",
        mock.addr()
    )
}

fn result(folder: &TempDir) -> Value {
    let text = fs::read_to_string(folder.path().join("result.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_run_is_seen_while_it_goes_on_and_its_tables_stay() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(80, 24);
    let run = seen.run(&mock, "-u 2 -r 1000 -t 50s");
    for words in [
        "RUNNING",
        "2 of 2",
        "first token",
        "Generator",
        " left",
        "none failed",
    ] {
        seen.wait_for(words);
    }
    assert!(seen.is_live());
    // The log is a part of it.
    seen.wait_for("seed 7: --seed 7 sends");
    seen.terminal.press("w");
    seen.wait_for("3 of 3");
    seen.wait_for("on: 3 users");
    seen.terminal.press("r");
    seen.wait_for("not possible: the run is a closed loop");
    seen.terminal.press("?");
    seen.wait_for("ten users more");
    seen.terminal.press("\x1b");
    eventually("no keys", || {
        (!seen.text().contains("ten users more")).then_some(())
    });
    seen.terminal.press("\t");
    seen.wait_for("waiting     sent");
    seen.terminal.press("\x1b[Z");
    seen.wait_for("first token");
    seen.terminal.press("p");
    seen.wait_for("PAUSED");
    seen.terminal.press("q");
    let folder = run.expect(0);
    seen.is_given_back();
    let after = seen.after_it();
    // What was held back, and the tables, once.
    for words in [
        "no new requests; waiting",
        "not possible: the run",
        "Response time percentiles",
        "\r\nGenerator",
    ] {
        assert_eq!(after.matches(words).count(), 1, "{words} in {after}");
    }
    assert!(!after.contains("keys: w/W"), "{after}");
    assert_eq!(result(&folder)["changes"][0]["users"], 3);
}

#[test]
fn a_terminal_is_given_back_after_any_signal() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    for signal in [Signal::TERM, Signal::HUP] {
        let seen = Seen::new(80, 24);
        let run = seen.run(&mock, "-u 2 -r 1000 -t 50s");
        seen.wait_for("none failed");
        seen.wait_for("RUNNING");
        run.signal(signal);
        run.expect(0);
        seen.is_given_back();
        assert!(seen.after_it().contains("Response time percentiles"));
    }
    // Ctrl-\ ends it at once.
    let seen = Seen::new(80, 24);
    let mut run = seen.run(&mock, "-u 2 -r 1000 -t 50s");
    seen.wait_for("RUNNING");
    run.signal(Signal::QUIT);
    let ended = eventually("its end", || run.child.try_wait().unwrap());
    assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
    seen.is_given_back();
    // Ctrl-C twice drops what is in flight.
    let mock = self::mock("1ms", "60s");
    let seen = Seen::new(80, 24);
    let run = seen.run(&mock, "-u 3 -r 1000 -t 50s");
    wait_for_requests(&mock, 3);
    seen.wait_for("RUNNING");
    seen.terminal.press("\x03");
    seen.wait_for("STOPPING");
    seen.terminal.press("\x03");
    run.expect(130);
    seen.is_given_back();
}

#[test]
fn a_failure_gives_the_terminal_back() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let seen = Seen::new(80, 24);
    let run = seen.start_run(
        "-H http://127.0.0.1:1 -m mock --provider openai -u 2 --max-requests 4 -p 40",
        &[],
    );
    run.expect(1);
    seen.is_given_back();
    assert!(seen.after_it().contains("error: "), "{}", seen.after_it());
}

#[test]
fn a_suspended_run_leaves_the_terminal_and_comes_back_to_it() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(80, 24);
    let line = towards(&mock, "-u 2 -r 1000 -t 50s");
    let script = format!("{PROGRAM} run {line}; echo it was left; read -r _; fg; echo over $?");
    let shell = ["/bin/bash", "--norc", "--noprofile", "-ic", &script];
    let shell = seen.start(&shell, &[]);
    seen.wait_for("none failed");
    seen.wait_for("RUNNING");
    seen.terminal.press("\x1a");
    seen.wait_for("it was left");
    assert!(!seen.is_live());
    seen.terminal.wait_until_as_before();
    seen.terminal.press("\n");
    eventually("the view again", || seen.is_live().then_some(()));
    seen.wait_for("RUNNING");
    seen.terminal.press("q");
    seen.wait_for("over 0");
    seen.is_given_back();
    shell.expect(0);
}

#[test]
fn a_terminal_may_be_of_any_size_and_become_another() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(20, 5);
    let run = seen.run(&mock, "-u 2 -r 1000 -t 50s");
    seen.wait_for("RUNNING");
    seen.wait_for("first token");
    for (columns, rows, words) in [
        (120, 40, "Sent a second"),
        (1, 1, ""),
        (80, 24, "Overview"),
        (40, 12, "generator "),
    ] {
        seen.resize(columns, rows);
        seen.wait_for(words);
    }
    seen.terminal.press("q");
    run.expect(0);
    seen.is_given_back();
}

#[test]
fn a_terminal_that_is_closed_ends_no_run() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(80, 24);
    let run = seen.run(&mock, "-u 2 -r 1000 -t 4s --logfile run.log --csv run");
    seen.wait_for("none failed");
    let before = mock.stats().snapshot().requests.numbered;
    seen.hang_up();
    wait_for_requests(&mock, before + 20);
    let folder = run.expect(0);
    let result = result(&folder);
    assert_eq!(result["totals"]["failed"], 0);
    assert!(result["totals"]["sent"].as_u64().unwrap() >= before + 20);
    let log = fs::read_to_string(folder.path().join("run.log")).unwrap();
    assert!(log.contains("the terminal is gone"), "{log}");
    assert!(folder.path().join("run_stats.csv").exists());
}

#[test]
fn a_terminal_that_stands_still_holds_no_run_up() {
    let _alone = alone();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(80, 24);
    let run = seen.run(&mock, "-u 2 -r 1000 -t 3s");
    seen.wait_for("none failed");
    tcflow(&seen.terminal.machine, Action::OOff).unwrap();
    // All of it passes without a word.
    let requests = || mock.stats().snapshot().requests.numbered;
    let ended = || {
        let before = requests();
        thread::sleep(Duration::from_millis(500));
        (requests() == before).then_some(())
    };
    eventually("the end of the load", ended);
    assert!(seen.is_live());
    tcflow(&seen.terminal.machine, Action::OOn).unwrap();
    let folder = run.expect(0);
    seen.is_given_back();
    assert!(seen.after_it().contains("Response time percentiles"));
    let sent = result(&folder)["totals"]["sent"].as_u64().unwrap();
    assert_eq!(sent, requests());
    assert_eq!(result(&folder)["totals"]["failed"], 0);
}

#[test]
fn tables_are_printed_where_no_view_is_wanted() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    for (line, variables) in [
        ("--headless", [("TERM", "xterm")]),
        ("--only-summary", [("TERM", "xterm")]),
        ("--json", [("TERM", "xterm")]),
        ("", [("TERM", "dumb")]),
        ("", [("LOCUST_HEADLESS", "true")]),
    ] {
        let seen = Seen::new(80, 24);
        let line = towards(&mock, &format!("-u 2 -r 1000 --max-requests 4 {line}"));
        seen.start_run(&line, &variables).expect(0);
        let written = String::from_utf8(seen.written.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("\x1b["), "{line}: {written}");
        assert!(written.contains("seed 7"), "{line}: {written}");
        seen.terminal.is_as_before();
    }
}

#[test]
fn colours_and_letters_are_those_that_the_terminal_has() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(80, 24);
    let line = towards(&mock, "-u 2 -r 1000 -t 50s");
    let run = seen.start_run(&line, &[("NO_COLOR", "1"), ("LANG", "C")]);
    seen.wait_for("RUNNING");
    seen.wait_for("none failed");
    let written = seen.written.lock().unwrap().clone();
    assert!(written.is_ascii());
    let text = String::from_utf8(written).unwrap();
    assert!(!text.contains("[36m") && !text.contains("38;5"), "{text}");
    seen.terminal.press("q");
    run.expect(0);
    seen.is_given_back();
}

#[test]
fn a_master_shows_its_workers_and_which_is_lost() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let seen = Seen::new(120, 40);
    let line = towards(
        &mock,
        "-u 4 -r 1000 -t 50s --expect-workers 2 --master-bind-port 0",
    );
    let words = [PROGRAM, "master"]
        .into_iter()
        .chain(line.split_whitespace());
    let mut master = seen.start(&words.collect::<Vec<_>>(), &[]);
    seen.wait_for("waiting for workers: 0 workers here");
    let text = seen.text();
    let address = text.split("listening on ").nth(1).unwrap();
    let address = address.split(';').next().unwrap();
    let worker = || Program::start(&format!("worker --master {address} --threads 1"));
    let (one, other) = (worker(), worker());
    seen.wait_for("RUNNING");
    seen.wait_for("Workers 2");
    one.signal(Signal::KILL);
    seen.wait_for("Workers 2, 1 lost");
    seen.wait_for("LOST");
    seen.terminal.press("q");
    other.wait().expect(0);
    let ended = eventually("its end", || master.child.try_wait().unwrap());
    assert_eq!(ended.signal(), None);
    seen.is_given_back();
    assert!(
        seen.after_it()
            .contains("is lost; its figures are known until")
    );
}
