//! The console's keys: the real binary in a terminal of its own, which must be as it was afterwards, however the run ended.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use tempfile::TempDir;

use crate::process::{Program, eventually, mock, quick_mock, shared, towards, wait_for_requests};

/// A pseudo-terminal.
pub(crate) struct Terminal {
    pub(crate) person: OwnedFd,
    pub(crate) machine: OwnedFd,
    before: Termios,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let person =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let machine = open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let before = tcgetattr(&machine).unwrap();
        assert!(before.local_modes.contains(by_line()));
        Self {
            person,
            machine,
            before,
        }
    }

    /// Starts a program of which this is the controlling terminal. `setsid` does what only unsafe code could do here.
    fn start(&self, words: &[&str]) -> Program {
        let folder = Arc::new(TempDir::new().unwrap());
        let mut command = Command::new("/usr/bin/setsid");
        let input = self.machine.try_clone().unwrap();
        command
            .arg("--ctty")
            .args(words)
            .stdin(Stdio::from(File::from(input)));
        Program::launch(folder, &words.join(" "), command)
    }

    fn run(&self, line: &str) -> Program {
        let words = ["run"].into_iter().chain(line.split_whitespace());
        let words = [env!("CARGO_BIN_EXE_llmload")].into_iter().chain(words);
        self.start(&words.collect::<Vec<_>>())
    }

    pub(crate) fn press(&self, keys: &str) {
        assert_eq!(
            rustix::io::write(&self.person, keys.as_bytes()).unwrap(),
            keys.len()
        );
    }

    fn is_by_key(&self) -> bool {
        let modes = tcgetattr(&self.machine).unwrap().local_modes;
        !modes.intersects(by_line()) && modes.contains(LocalModes::ISIG)
    }

    #[track_caller]
    pub(crate) fn is_as_before(&self) {
        let now = format!("{:?}", tcgetattr(&self.machine).unwrap());
        assert_eq!(now, format!("{:?}", self.before));
    }

    pub(crate) fn wait_until_as_before(&self) {
        eventually("the terminal is as before", || {
            let now = format!("{:?}", tcgetattr(&self.machine).unwrap());
            (now == format!("{:?}", self.before)).then_some(())
        });
    }
}

fn by_line() -> LocalModes {
    LocalModes::ICANON | LocalModes::ECHO
}

/// Says loudly that a test cannot be made here.
pub(crate) fn can_run() -> bool {
    let can = std::path::Path::new("/usr/bin/setsid").exists();
    if !can {
        println!("SKIPPED: there is no /usr/bin/setsid to make a terminal a controlling one");
    }
    can
}

#[test]
fn keys_change_the_load_and_stop_the_run() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let terminal = Terminal::new();
    let run = terminal.run(&towards(&mock, "-u 2 -r 1000 -t 50s"));
    run.wait_for_words("keys: w/W");
    assert!(terminal.is_by_key());
    wait_for_requests(&mock, 4);
    terminal.press("w");
    run.wait_for_words("on: 3 users");
    terminal.press("W");
    run.wait_for_words("on: 13 users");
    terminal.press("s");
    run.wait_for_words("on: 12 users");
    // A function key is no S.
    terminal.press("\x1bOS");
    terminal.press("r");
    run.wait_for_words("not possible: the run is a closed loop");
    terminal.press("p");
    run.wait_for_words("on: paused");
    // Long enough for it not to be taken together with what comes next.
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.press("p");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.press("?");
    run.wait_for_words("a second q drops them");
    terminal.press("q");
    run.wait_for_words("no new requests");
    let report = run.wait().expect(0).result();
    terminal.is_as_before();
    let changes = report.at("/changes").as_array().unwrap().clone();
    let users: Vec<_> = changes
        .iter()
        .map(|of| of["users"].as_u64().unwrap())
        .collect();
    assert_eq!(users, [3, 13, 12, 12, 12]);
}

#[test]
fn a_second_q_drops_what_is_in_flight() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = mock("1ms", "60s");
    let terminal = Terminal::new();
    let run = terminal.run(&towards(&mock, "-u 3 -r 1000 -t 50s"));
    wait_for_requests(&mock, 3);
    terminal.press("q");
    run.wait_for_words("no new requests");
    terminal.press("q");
    // Nothing was measured by what was dropped.
    let ended = run.wait().expect(4);
    assert!(
        ended.stderr.contains("stopped before anything"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.result().total("cancelled"), 3);
    terminal.is_as_before();
}

#[test]
fn signals_give_the_terminal_back_be_it_one_or_three() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let terminal = Terminal::new();
    let run = terminal.run(&towards(&mock, "-u 2 -r 1000 -t 50s"));
    wait_for_requests(&mock, 4);
    assert!(terminal.is_by_key());
    run.signal(Signal::TERM);
    run.wait().expect(0);
    terminal.is_as_before();

    // It is not even ready: nothing but the third signal ends this.
    let mock = self::mock("60s", "60s");
    let run = terminal.run(&towards(&mock, "-u 2 -r 1000 -t 50s"));
    wait_for_requests(&mock, 2);
    assert!(terminal.is_by_key());
    // Ctrl-C is a signal still.
    terminal.press("\x03");
    run.wait_for_words("no new requests");
    assert!(terminal.is_by_key());
    run.signal(Signal::TERM);
    run.signal(Signal::TERM);
    let _status = run.wait();
    terminal.is_as_before();
}

#[test]
fn an_error_gives_the_terminal_back() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let terminal = Terminal::new();
    let tail = "--prompt-text @nowhere.jsonl";
    let ended = terminal
        .run(&format!("{} {tail}", towards(&mock, "-t 9s")))
        .wait();
    assert!(ended.stderr.contains("error: "), "{}", ended.stderr);
    terminal.is_as_before();
}

#[test]
fn a_run_in_the_background_leaves_the_terminal_alone_and_takes_it_in_the_foreground() {
    let _shared = shared();
    if !can_run() {
        return;
    }
    let mock = quick_mock();
    let terminal = Terminal::new();
    let program = env!("CARGO_BIN_EXE_llmload");
    let line = towards(&mock, "-u 2 -r 1000 -t 50s");
    let script = format!(
        "{program} run {line} & echo at $! >&2; read -r _; fg >&2; echo stopped >&2; fg >&2; echo over $? >&2"
    );
    let shell = terminal.start(&["/bin/bash", "--norc", "--noprofile", "-ic", &script]);
    let pid: i32 = shell.wait_for_words("at ").trim().parse().unwrap();
    wait_for_requests(&mock, 200);
    terminal.is_as_before();
    // The shell goes on, and puts it into the foreground.
    terminal.press("\n");
    shell.wait_for_words("keys: w/W");
    assert!(terminal.is_by_key());
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TSTP).unwrap();
    shell.wait_for_words("stopped");
    // Once more in the foreground it has the terminal again.
    eventually("keys again", || terminal.is_by_key().then_some(()));
    terminal.press("q");
    assert_eq!(shell.wait_for_words("over "), "0");
    terminal.wait_until_as_before();
    shell.wait().expect(0);
}

#[test]
fn without_a_terminal_there_are_no_keys() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 2 -r 1000 --max-requests 4");
    let ended = Program::start(&format!("run {line}")).wait().expect(0);
    assert!(!ended.stderr.contains("keys:"), "{}", ended.stderr);
}
