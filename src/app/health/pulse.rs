//! The file by which a worker says once a second that it is there, and when it last heard of its master: one line of JSON,
//! replaced whole. A file system that fails costs the file, never the work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::failure::Failure;
use crate::app::files::replace;
use crate::app::surroundings::wall_clock;
use crate::cluster::Heard;

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);
/// What a worker hears that may wait to be noted; what does not fit is not missed, for more follows.
const HEARD: usize = 16;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word {
    pub(super) worker: String,
    /// When it was said, in milliseconds since 1970.
    pub(super) unix_ms: u64,
    /// When it had last heard of its master; `None` if it never did.
    pub(super) heard_unix_ms: Option<u64>,
}

impl Word {
    /// Reads what a worker said last.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("no worker has said anything in `{}`", path.display()))
            .map_err(|error| {
                Failure::failed(error).hint("`llmload worker --health-file FILE` keeps such a file")
            })?;
        serde_json::from_str(&text)
            .map_err(|_| anyhow!("`{}` is no health file of a worker", path.display()))
            .map_err(|error| {
                Failure::failed(error).hint("`llmload worker --health-file FILE` keeps such a file")
            })
    }

    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        replace(path, &text)
    }

    pub(super) fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_ms)
    }

    pub(super) fn heard_at(&self) -> Option<SystemTime> {
        let heard = self.heard_unix_ms?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(heard))
    }
}

/// When a worker last heard of its master, over all its runs.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Pulse {
    /// Milliseconds since 1970; 0 before it ever did.
    heard_ms: Arc<AtomicU64>,
    noting: TaskTracker,
}

impl Pulse {
    /// For one connection of the worker: whatever it hears there is noted.
    pub(in crate::app) fn listen(&self) -> mpsc::Sender<Heard> {
        let (sender, mut heard) = mpsc::channel(HEARD);
        let noted = Arc::clone(&self.heard_ms);
        self.noting.spawn(async move {
            while heard.recv().await.is_some() {
                noted.store(unix_ms(wall_clock()), Ordering::Relaxed);
            }
        });
        sender
    }

    fn heard_unix_ms(&self) -> Option<u64> {
        Some(self.heard_ms.load(Ordering::Relaxed)).filter(|&ms| ms > 0)
    }
}

/// Keeps the file at `path`, from now until the task is dropped; the first word is there when this returns.
pub(in crate::app) fn keep(path: PathBuf, worker: String, pulse: Pulse) -> Result<Keeper, Failure> {
    let word = move || Word {
        worker: worker.clone(),
        unix_ms: unix_ms(wall_clock()),
        heard_unix_ms: pulse.heard_unix_ms(),
    };
    word()
        .write(&path)
        .with_context(|| format!("cannot write the health file `{}`", path.display()))
        .map_err(|error| {
            Failure::usage(error).hint("--health-file FILE in a folder that can be written")
        })?;
    let mut keeping = JoinSet::new();
    keeping.spawn(async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            let written = word().write(&path);
            if let Err(error) = &written
                && !failed
            {
                tracing::warn!("cannot write the health file `{}`: {error}", path.display());
            }
            failed = written.is_err();
        }
    });
    Ok(Keeper { _keeping: keeping })
}

/// Somebody who keeps the file, as long as it is held.
#[derive(Debug)]
pub(in crate::app) struct Keeper {
    _keeping: JoinSet<()>,
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
