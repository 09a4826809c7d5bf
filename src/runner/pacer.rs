//! Waiting for an instant, precisely. tokio's timer wheel is a millisecond coarse and always late;
//! a timerfd is awaited like a socket and is some tens of microseconds late.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Wakes one task at given instants.
pub(super) enum Pacer {
    /// A Linux timerfd.
    #[cfg(target_os = "linux")]
    Precise(timerfd::Timer),
    /// tokio's own timer: elsewhere, and under a paused clock.
    Coarse,
}

impl Pacer {
    /// The best that this system has.
    pub(super) fn best() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(timer) = timerfd::Timer::new() {
            return Self::Precise(timer);
        }
        Self::Coarse
    }

    /// How late it may be by itself, however idle the event loop is.
    pub(super) const fn own_lag(&self) -> Duration {
        match self {
            #[cfg(target_os = "linux")]
            Self::Precise(_) => Duration::ZERO,
            Self::Coarse => Duration::from_millis(1),
        }
    }

    /// Returns at `at`, at once when it is past.
    pub(super) async fn until(&self, at: Instant) {
        #[cfg(target_os = "linux")]
        if let Self::Precise(timer) = self
            && timer.until(at).await.is_ok()
        {
            return;
        }
        sleep_until(at).await;
    }
}

#[cfg(target_os = "linux")]
mod timerfd {
    //! The timerfd itself, armed anew for each wait.

    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use rustix::time::{timerfd_create, timerfd_settime};
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant;

    pub(in super::super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "the safe constructor is deprecated for types that may lose their descriptor; \
                          an OwnedFd keeps it as long as it lives, and this crate forbids unsafe code"
            )]
            AsyncFd::new(timer).map(Self)
        }

        pub(super) async fn until(&self, at: Instant) -> io::Result<()> {
            loop {
                // It may be woken by an expiry that was armed before: only the clock decides.
                let wait = at.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    return Ok(());
                }
                self.arm(wait)?;
                let mut ready = self.0.readable().await?;
                let _: rustix::io::Result<usize> = rustix::io::read(self.0.get_ref(), &mut [0; 8]);
                ready.clear_ready();
            }
        }

        fn arm(&self, wait: Duration) -> io::Result<()> {
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let tv_sec = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
            let value = Timespec {
                tv_sec,
                tv_nsec: wait.subsec_nanos().into(),
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: value,
            };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
            Ok(())
        }
    }
}
