//! Waiting until a due time: on tokio's wheel, or on the kernel's own timer where it must be precise.
//! What is due is not known here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep_until};

use super::clock::{self, Epoch};

#[cfg(target_os = "linux")]
pub(super) use self::kernel::Alarm;

/// Elsewhere there is none, and a script that wants one is refused.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) enum Alarm {}

/// One waiter's timer. It may wake early; ask the clock.
#[derive(Debug)]
pub(super) struct Timer {
    epoch: Epoch,
    alarm: Option<Arc<Alarm>>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What it is set to.
    armed: u64,
}

impl Timer {
    pub(super) fn new(epoch: Epoch, alarm: Option<Arc<Alarm>>) -> Self {
        Self {
            epoch,
            alarm,
            sleep: None,
            armed: 0,
        }
    }

    /// Ready once `due` is past.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, due: u64) -> Poll<()> {
        while clock::now() < due {
            ready!(self.poll_wake(cx, due));
            self.armed = 0;
        }
        Poll::Ready(())
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>, due: u64) -> Poll<()> {
        #[cfg(target_os = "linux")]
        if let Some(alarm) = &self.alarm {
            alarm.register(due, cx.waker());
            return Poll::Pending;
        }
        let instant = self.epoch.instant(due);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(instant)));
        if self.armed != due {
            self.armed = due;
            sleep.as_mut().reset(instant);
        }
        sleep.as_mut().poll(cx)
    }

    /// Waits until `due`.
    pub(super) async fn until(&mut self, due: u64) {
        std::future::poll_fn(|cx| self.poll_until(cx, due)).await;
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::cmp::{Ordering, Reverse};
    use std::collections::BinaryHeap;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::task::Waker;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    use super::clock;

    /// One timer of the kernel for all waiters of a thread, set to the earliest of them.
    #[derive(Debug)]
    pub(in crate::mock) struct Alarm {
        timer: AsyncFd<OwnedFd>,
        book: Mutex<Book>,
    }

    #[derive(Debug)]
    struct Book {
        waiters: BinaryHeap<Reverse<Waiter>>,
        /// What the timer is set to; `u64::MAX` for not at all.
        armed: u64,
    }

    #[derive(Debug)]
    struct Waiter {
        due: u64,
        waker: Waker,
    }

    impl PartialEq for Waiter {
        fn eq(&self, other: &Self) -> bool {
            self.due == other.due
        }
    }
    impl Eq for Waiter {}
    impl PartialOrd for Waiter {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Waiter {
        fn cmp(&self, other: &Self) -> Ordering {
            self.due.cmp(&other.due)
        }
    }

    impl Alarm {
        /// Needs to be within a tokio runtime.
        #[expect(
            deprecated,
            reason = "the successor is an unsafe function; what it asks for holds: the file is owned, and never taken out"
        )]
        pub(in crate::mock) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self {
                timer: AsyncFd::new(timer)?,
                book: Mutex::new(Book {
                    waiters: BinaryHeap::new(),
                    armed: u64::MAX,
                }),
            })
        }

        fn book(&self) -> MutexGuard<'_, Book> {
            self.book.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Wakes `waker` once `due` is past.
        pub(in crate::mock) fn register(&self, due: u64, waker: &Waker) {
            let mut book = self.book();
            book.waiters.push(Reverse(Waiter {
                due,
                waker: waker.clone(),
            }));
            if due < book.armed {
                book.armed = self.set(due);
            }
        }

        /// Sets the timer and says to what: a timer that cannot be set is as good as none.
        fn set(&self, due: u64) -> u64 {
            let value = Itimerspec {
                it_interval: timespec(0),
                it_value: timespec(due),
            };
            let set = timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &value);
            if set.is_ok() { due } else { u64::MAX }
        }

        /// Wakes whoever is due, for as long as it is polled.
        pub(in crate::mock) async fn drive(&self) {
            let mut due = Vec::new();
            while let Ok(mut ready) = self.timer.readable().await {
                let mut expirations = [0_u8; 8];
                if rustix::io::read(self.timer.get_ref(), &mut expirations).is_err() {
                    ready.clear_ready();
                    continue;
                }
                ready.clear_ready();
                self.collect(&mut due);
                due.drain(..).for_each(Waker::wake);
            }
        }

        /// Takes out everyone who is due, and sets the timer to the next.
        fn collect(&self, due: &mut Vec<Waker>) {
            let mut book = self.book();
            let now = clock::now();
            while book
                .waiters
                .peek()
                .is_some_and(|Reverse(first)| first.due <= now)
            {
                due.extend(book.waiters.pop().map(|Reverse(first)| first.waker));
            }
            let next = book.waiters.peek().map(|Reverse(first)| first.due);
            book.armed = next.map_or(u64::MAX, |next| self.set(next));
        }
    }

    fn timespec(nanos: u64) -> Timespec {
        let part = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Timespec {
            tv_sec: part(nanos / 1_000_000_000),
            tv_nsec: part(nanos % 1_000_000_000),
        }
    }
}
