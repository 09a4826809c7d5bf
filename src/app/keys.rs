//! The keys of the console while a run goes on: single keys, not echoed, from the terminal that standard input is.
//!
//! The terminal is another one only while this process is in its foreground: it is given back before the process is
//! suspended, and whenever the `Keyboard` is dropped. A process in the background neither reads nor sets it. What is shown on
//! that terminal comes and goes with it. What a key means for the run is decided by who listens.

use std::collections::VecDeque;

use crate::tui::Glance;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// So many users more, or fewer.
    Users(i32),
    /// So many requests a second more, or fewer.
    Rate(i32),
    /// So many percent of the rate more, or fewer.
    RatePercent(i32),
    /// Pause, or resume.
    Pause,
    /// Stop; drop what is in flight the second time.
    Quit,
    /// Say the keys.
    Help,
    /// Show something else of the view.
    Look(Glance),
    /// The terminal's signal to hang up, which is there still.
    HangUp,
    /// No key: from now on there are keys.
    Listening,
}

/// Begins the sequences of cursor and function keys.
const ESCAPE: u8 = 0x1b;

const fn meaning(byte: u8) -> Option<Key> {
    Some(match byte {
        b'w' => Key::Users(1),
        b'W' => Key::Users(10),
        b's' => Key::Users(-1),
        b'S' => Key::Users(-10),
        b'r' => Key::Rate(1),
        b'R' => Key::RatePercent(10),
        b'f' => Key::Rate(-1),
        b'F' => Key::RatePercent(-10),
        b'p' => Key::Pause,
        b'q' => Key::Quit,
        b'h' | b'?' => Key::Help,
        b'\t' => Key::Look(Glance::Next),
        _ => return None,
    })
}

/// The keys among what was typed; no letter in a sequence is a key of ours. A sequence comes in one piece.
fn keys(typed: &[u8]) -> VecDeque<Key> {
    let mut found = VecDeque::new();
    let mut rest = typed;
    while let Some((&byte, after)) = rest.split_first() {
        rest = if byte == ESCAPE {
            let beyond = after_sequence(after);
            let sequence = after.get(..after.len() - beyond.len());
            found.extend(sequence.and_then(glance).map(Key::Look));
            beyond
        } else {
            found.extend(meaning(byte));
            after
        };
    }
    found
}

/// What the rest of an escape's sequence asks to be shown.
const fn glance(sequence: &[u8]) -> Option<Glance> {
    Some(match sequence {
        [] => Glance::Back,
        b"[A" | b"OA" => Glance::Up,
        b"[B" | b"OB" => Glance::Down,
        b"[5~" => Glance::PageUp,
        b"[6~" => Glance::PageDown,
        b"[Z" => Glance::Previous,
        _ => return None,
    })
}

/// What follows the sequence that an escape began: `[`, parameters and a final byte; `O` and a byte; or a byte.
fn after_sequence(typed: &[u8]) -> &[u8] {
    let length = match typed {
        [b'[', parameters @ ..] => {
            let last = parameters
                .iter()
                .position(|byte| (0x40..0x7f).contains(byte));
            last.map_or(typed.len(), |last| last + 2)
        }
        [b'O', ..] => 2,
        _ => 1,
    };
    typed.get(length..).unwrap_or_default()
}

#[cfg(not(unix))]
pub(super) use nowhere::Keyboard;
#[cfg(unix)]
pub(super) use terminal::Keyboard;

#[cfg(not(unix))]
mod nowhere {
    //! Systems without such terminals.

    use std::sync::Arc;

    use super::Key;
    use crate::app::terminal::Glass;

    /// There is none.
    #[derive(Debug)]
    pub(in crate::app) enum Keyboard {}

    impl Keyboard {
        pub(in crate::app) const fn open() -> Option<Self> {
            None
        }

        pub(in crate::app) fn show_on(&mut self, _: Option<Arc<Glass>>) {
            match *self {}
        }

        pub(in crate::app) fn glass(&self) -> Option<&Glass> {
            match *self {}
        }

        pub(in crate::app) async fn next(&mut self) -> Key {
            match *self {}
        }
    }
}

#[cfg(unix)]
mod terminal {
    //! A terminal by termios.

    use std::collections::VecDeque;
    use std::io::{self, IsTerminal};
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::Arc;
    use std::time::Duration;

    use nix::sys::signal::{SigSet, Signal as Blocked};
    use rustix::process::{self, Signal};
    use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
    use tokio::io::Interest;
    use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
    use tokio::signal::unix::{self, SignalKind};
    use tokio::time::{Interval, MissedTickBehavior};

    use super::{Key, keys};
    use crate::app::terminal::Glass;

    /// How often to look whether the shell has put this process into the foreground, which no signal tells.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    /// A terminal that is read key by key.
    pub(in crate::app) struct Keyboard {
        input: AsyncFd<OwnedFd>,
        /// The settings to give back; `None` while the terminal is not ours.
        before: Option<Termios>,
        typed: VecDeque<Key>,
        announced: bool,
        hung_up: bool,
        suspended: unix::Signal,
        continued: unix::Signal,
        killed: unix::Signal,
        look: Interval,
        /// What is shown on the terminal while it is ours, and the signal that says that it may be gone.
        shown: Option<(Arc<Glass>, unix::Signal)>,
    }

    impl Keyboard {
        /// The terminal that standard input is; `None` when it is none.
        pub(in crate::app) fn open() -> Option<Self> {
            let stdin = io::stdin();
            if !stdin.is_terminal() {
                return None;
            }
            stay_in_background();
            let input = stdin.as_fd().try_clone_to_owned().ok()?;
            let input = watched(input)?;
            let signals = |signal: Signal| unix::signal(SignalKind::from_raw(signal.as_raw())).ok();
            let mut look = tokio::time::interval(LOOK_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut keyboard = Self {
                input,
                before: None,
                typed: VecDeque::new(),
                announced: false,
                hung_up: false,
                suspended: signals(Signal::TSTP)?,
                continued: signals(Signal::CONT)?,
                killed: signals(Signal::QUIT)?,
                look,
                shown: None,
            };
            keyboard.take();
            Some(keyboard)
        }

        /// From now on something is shown on the terminal while it is ours.
        pub(in crate::app) fn show_on(&mut self, glass: Option<Arc<Glass>>) {
            let hung_up = unix::signal(SignalKind::hangup());
            self.shown = glass.zip(hung_up.ok());
            if let (Some((glass, _)), Some(before)) = (&self.shown, &self.before) {
                glass.raise(before);
            }
        }

        /// What that is.
        pub(in crate::app) fn glass(&self) -> Option<&Glass> {
            self.shown.as_ref().map(|(glass, _)| &**glass)
        }

        /// The next key. Safe to cancel.
        pub(in crate::app) async fn next(&mut self) -> Key {
            loop {
                if let Some(key) = self.typed.pop_front() {
                    return key;
                }
                let reads = self.before.is_some() && !self.hung_up;
                tokio::select! {
                    biased;
                    Some(()) = self.suspended.recv() => self.suspend(),
                    Some(()) = self.continued.recv() => self.take_again(),
                    Some(()) = hung_up(&mut self.shown) => {
                        if self.is_there() {
                            return Key::HangUp;
                        }
                        self.lose();
                    }
                    Some(()) = self.killed.recv() => {
                        self.give_back();
                        std::process::abort();
                    }
                    _ = self.look.tick() => self.take(),
                    ready = self.input.readable(), if reads => {
                        match ready.map(read) {
                            Ok(Read::Keys(typed)) => self.typed = typed,
                            Ok(Read::HungUp) | Err(_) => self.lose(),
                        }
                    }
                }
            }
        }

        /// Takes the terminal when this process is in its foreground, and forgets that it had it otherwise: who has it now
        /// has set it as they like.
        fn take(&mut self) {
            if self.hung_up || !self.is_in_foreground() {
                if self.before.take().is_some()
                    && let Some(glass) = self.glass()
                {
                    glass.forget();
                }
                return;
            }
            if self.glass().is_some_and(Glass::was_reset) {
                self.before = None;
            }
            if self.before.is_some() {
                return;
            }
            let Ok(before) = termios::tcgetattr(&self.input) else {
                return;
            };
            if termios::tcsetattr(&self.input, OptionalActions::Now, &by_key(&before)).is_ok() {
                if let Some(glass) = self.glass() {
                    glass.raise(&before);
                }
                self.before = Some(before);
                if !std::mem::replace(&mut self.announced, true) {
                    self.typed.push_back(Key::Listening);
                }
            }
        }

        /// The same after a stop, in which others may have had it.
        fn take_again(&mut self) {
            let had = self.before.is_some();
            self.take();
            if let (true, Some(glass), Some(before)) = (had, self.glass(), &self.before) {
                glass.raise(before);
            }
        }

        fn give_back(&mut self) {
            if let Some(glass) = self.glass() {
                glass.lower();
            }
            if let Some(before) = self.before.take()
                && self.is_in_foreground()
            {
                // A terminal that is gone needs no settings.
                let _gone = termios::tcsetattr(&self.input, OptionalActions::Now, &before);
            }
        }

        /// What Ctrl-Z does by itself, with the terminal given back first. Nobody could wake the leader of a session.
        fn suspend(&mut self) {
            let own = process::getpid();
            if process::getsid(None).is_ok_and(|leader| leader == own) {
                return;
            }
            self.give_back();
            let _impossible = process::kill_process(own, Signal::STOP);
            self.take();
        }

        fn is_there(&self) -> bool {
            termios::tcgetattr(&self.input).is_ok()
        }

        /// There is no terminal any more; what is shown elsewhere is.
        fn lose(&mut self) {
            (self.hung_up, self.before) = (true, None);
            if self.glass().is_some_and(Glass::lose) {
                tracing::warn!("the terminal is gone: the run goes on without its view");
            }
        }

        fn is_in_foreground(&self) -> bool {
            termios::tcgetpgrp(&self.input).is_ok_and(|group| group == process::getpgrp())
        }
    }

    impl Drop for Keyboard {
        fn drop(&mut self) {
            self.give_back();
        }
    }

    /// The next signal to hang up, where somebody wants to know.
    async fn hung_up(shown: &mut Option<(Arc<Glass>, unix::Signal)>) -> Option<()> {
        match shown {
            Some((_, signal)) => signal.recv().await,
            None => std::future::pending().await,
        }
    }

    #[expect(
        deprecated,
        reason = "the safe constructor is deprecated for types that may lose their descriptor; \
                  an OwnedFd keeps it as long as it lives, and this crate forbids unsafe code"
    )]
    fn watched(input: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
        AsyncFd::with_interest(input, Interest::READABLE).ok()
    }

    /// Should this process lose the foreground between a look and what follows, it must not be stopped for it.
    fn stay_in_background() {
        let mut signals = SigSet::empty();
        signals.add(Blocked::SIGTTOU);
        signals.add(Blocked::SIGTTIN);
        // Not blocked, they are as rare as the moment is short.
        let _rare = signals.thread_block();
    }

    /// Without echo and lines; signals stay, and a read never waits.
    fn by_key(before: &Termios) -> Termios {
        let mut settings = before.clone();
        settings
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        settings.special_codes[SpecialCodeIndex::VMIN] = 0;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        settings
    }

    enum Read {
        Keys(VecDeque<Key>),
        HungUp,
    }

    fn read(mut ready: AsyncFdReadyGuard<'_, OwnedFd>) -> Read {
        let closed = ready.ready().is_read_closed();
        let mut typed = [0; 64];
        let read = ready.try_io(|input| match rustix::io::read(input, &mut typed) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(count) => Ok(count),
            Err(error) => Err(error.into()),
        });
        match read {
            Ok(Ok(count)) => Read::Keys(keys(typed.get(..count).unwrap_or_default())),
            Ok(Err(_)) => Read::HungUp,
            Err(_) if closed => Read::HungUp,
            Err(_) => Read::Keys(VecDeque::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_locust_and_no_function_key_is_one() {
        let typed = keys(b"wWsS q?h\rpx");
        assert_eq!(
            typed,
            [
                Key::Users(1),
                Key::Users(10),
                Key::Users(-1),
                Key::Users(-10),
                Key::Quit,
                Key::Help,
                Key::Help,
                Key::Pause
            ]
        );
        // F4, the cursor keys, F5 with a modifier, Alt-s, and a lone escape.
        let sequences = b"w\x1bOSq\x1b[Aq\x1b[15;2~w\x1bsq\x1b";
        let between = [
            Key::Users(1),
            Key::Quit,
            Key::Look(Glance::Up),
            Key::Quit,
            Key::Users(1),
            Key::Quit,
            Key::Look(Glance::Back),
        ];
        assert_eq!(keys(sequences), between);
        assert_eq!(
            keys(b"rRfF"),
            [
                Key::Rate(1),
                Key::RatePercent(10),
                Key::Rate(-1),
                Key::RatePercent(-10)
            ]
        );
    }

    #[test]
    fn keys_of_the_cursor_and_of_pages_look_elsewhere() {
        let glances = [
            Glance::Next,
            Glance::Previous,
            Glance::Up,
            Glance::Down,
            Glance::Down,
            Glance::PageUp,
            Glance::PageDown,
        ];
        assert_eq!(
            keys(b"\t\x1b[Z\x1b[A\x1b[B\x1bOB\x1b[5~\x1b[6~"),
            glances.map(Key::Look)
        );
    }
}
