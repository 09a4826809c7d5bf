//! Ctrl-C and SIGTERM as a stream of "again". What the first, second and third mean is decided by who listens.

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Which signal came last; its number makes the exit status of a run that measured nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
    /// The terminal's; listened to by who has its keys while a run is shown there.
    HangUp,
}

impl Signal {
    /// 128 and the signal's number, as shells have it.
    pub(super) const fn exit_status(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for the rest of the process's life.
pub(super) fn listen(tasks: &TaskTracker) -> mpsc::Receiver<Signal> {
    let (sender, receiver) = mpsc::channel(4);
    #[cfg(unix)]
    for (kind, meaning) in [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
    ] {
        // Registered before this returns: from here on no signal ends the process unseen.
        let Ok(mut arriving) = signal(kind) else {
            continue;
        };
        let sender = sender.clone();
        tasks.spawn(async move {
            while arriving.recv().await.is_some() && sender.send(meaning).await.is_ok() {}
        });
    }
    #[cfg(not(unix))]
    tasks.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(Signal::Interrupt).await.is_ok()
        {
        }
    });
    receiver
}
