//! `llmload health`: a probe's question, answered by the exit status and a line of text. A master is asked over the network; a
//! worker, which nobody can connect to, keeps a file (`pulse`).

mod pulse;

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;

use super::console::Console;
use super::failure::{Failure, status};
use super::security;
use super::surroundings::wall_clock;
use crate::cluster::{Controller, Dialer, RunPhase, RunStatus, WorkerState};
use crate::config::{Connection, HealthOptions, Patient};

use pulse::Word;
pub(super) use pulse::{Pulse, keep};

/// Answers a probe.
pub(super) async fn health(options: HealthOptions) -> Result<u8, Failure> {
    let words = match &options.patient {
        Patient::Worker { file, max_age } => {
            of_worker(file, *max_age, options.ready, wall_clock())?
        }
        Patient::Master {
            connection,
            timeout,
        } => of_master(connection, *timeout, options.ready).await?,
    };
    Console::default().print(&format!("{words}\n"));
    Ok(status::OK)
}

fn of_worker(
    file: &Path,
    max_age: Duration,
    ready: bool,
    now: SystemTime,
) -> Result<String, Failure> {
    let word = Word::read(file)?;
    let age = |at: SystemTime| now.duration_since(at).unwrap_or_default();
    let said = age(word.at());
    if said > max_age {
        let error = anyhow!(
            "worker {} said so {:.1} s ago: more than {:.1} s",
            word.worker,
            said.as_secs_f64(),
            max_age.as_secs_f64()
        );
        return Err(Failure::failed(error).hint("is it stopped, or is its machine too busy?"));
    }
    let heard = word.heard_at().map(age);
    match heard {
        Some(heard) if heard <= max_age => Ok(format!(
            "worker {} is well: it heard of its master {:.1} s ago",
            word.worker,
            heard.as_secs_f64()
        )),
        // To end it for that would help nobody: it may hold figures that nobody else has.
        silent if !ready => Ok(format!(
            "worker {} is well, {}",
            word.worker,
            unheard(silent)
        )),
        silent => {
            let error = anyhow!("worker {} is not ready, {}", word.worker, unheard(silent));
            Err(Failure::failed(error).hint("does its master run, and can it be reached?"))
        }
    }
}

fn unheard(silent: Option<Duration>) -> String {
    match silent {
        None => "but has not heard of a master".to_owned(),
        Some(silent) => format!(
            "but has not heard of its master for {:.1} s",
            silent.as_secs_f64()
        ),
    }
}

/// Whether a master answers, and how its run stands, in words.
pub(super) async fn of_master(
    connection: &Connection,
    timeout: Duration,
    ready: bool,
) -> Result<String, Failure> {
    let address = connection.master.to_string();
    let terms = security::of_connection(connection)?;
    let asking = async {
        let mut master = Controller::connect(&address, Dialer::default(), terms).await?;
        master.status().await
    };
    let answered = tokio::time::timeout(timeout, asking).await;
    let answered = answered.map_err(|_| {
        let seconds = timeout.as_secs_f64();
        Failure::failed(anyhow!(
            "the master at {address} does not answer within {seconds:.1} s"
        ))
        .hint("is it too busy, or stopped?")
    })?;
    let run = answered.map_err(|error| {
        let failure = super::ctl::explained(error);
        // A probe knows two answers, beside a question that makes no sense.
        let status = if failure.status == status::USAGE {
            status::USAGE
        } else {
            status::FAILED
        };
        Failure { status, ..failure }
    })?;
    let words = described(&address, &run);
    if ready && run.phase == RunPhase::Ended {
        return Err(Failure::failed(anyhow!("{words}")).hint("without --ready that is well"));
    }
    Ok(words)
}

fn described(address: &str, run: &RunStatus) -> String {
    let gone = run.workers.get(&WorkerState::Lost).copied();
    let lost = gone.unwrap_or_default();
    let there = run.workers.values().sum::<u32>() - lost;
    format!(
        "the master at {address} is well: run {:016x} is {}, {there} workers are there, {lost} are lost",
        run.run,
        super::ctl::phase_name(run.phase)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn written(age_ms: u64, heard_ms: Option<u64>) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health");
        let word = Word {
            worker: "host:17".to_owned(),
            unix_ms: NOW - age_ms,
            heard_unix_ms: heard_ms.map(|ms| NOW - ms),
        };
        word.write(&path).unwrap();
        (folder, path)
    }

    fn asked(age_ms: u64, heard_ms: Option<u64>, ready: bool) -> Result<String, String> {
        let (_folder, path) = written(age_ms, heard_ms);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW);
        of_worker(&path, Duration::from_secs(10), ready, now)
            .map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn a_worker_is_alive_while_it_says_so_and_ready_while_it_hears_of_its_master() {
        let well = "worker host:17 is well: it heard of its master 0.5 s ago";
        assert_eq!(asked(900, Some(500), false).unwrap(), well);
        assert_eq!(asked(900, Some(500), true).unwrap(), well);
        let alone = asked(900, Some(12_000), false).unwrap();
        assert_eq!(
            alone,
            "worker host:17 is well, but has not heard of its master for 12.0 s"
        );
        let unready = asked(900, Some(12_000), true).unwrap_err();
        assert!(unready.contains("not ready, but has not heard of its master for 12.0 s"));
        assert!(asked(0, None, false).is_ok() && asked(0, None, true).is_err());
        let stopped = asked(10_001, Some(0), false).unwrap_err();
        assert_eq!(
            stopped,
            "worker host:17 said so 10.0 s ago: more than 10.0 s"
        );
        assert!(asked(10_000, Some(0), false).is_ok());
    }

    #[test]
    fn no_file_and_another_file_are_no_worker_that_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health");
        let ask = || {
            let now = SystemTime::UNIX_EPOCH;
            let failure = of_worker(&path, Duration::from_secs(1), false, now).unwrap_err();
            (failure.status, failure.hint.is_some())
        };
        assert_eq!(ask(), (status::FAILED, true));
        std::fs::write(&path, "well").unwrap();
        assert_eq!(ask(), (status::FAILED, true));
    }
}
