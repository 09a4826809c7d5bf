//! `llmload doctor`: looks at what a run needs before it is carried out: this machine, its clocks, the server and the way to it, a
//! master, the places of results. What is found is judged in the room `doctor`.

mod machine;
mod results;
mod server;
mod trial;

use std::time::Duration;

use super::console::Console;
use super::failure::{Failure, status};
use super::{health, session};
use crate::config::{Connection, DoctorOptions};
use crate::doctor::{Exam, Finding, Part, json, text};
use crate::domain::Secret;

/// How long a master's answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at everything and tells what it found.
pub(super) async fn doctor(options: DoctorOptions) -> Result<u8, Failure> {
    let DoctorOptions {
        mut run,
        master,
        strict,
    } = options;
    // It serves as long as it is held.
    let _mock = session::start_mock(&mut run)?;
    let mut exam = Exam::default();
    machine::look(&run, &mut exam).await;
    server::look(&run, &mut exam).await?;
    if let Some(connection) = master {
        let found = of_master(&connection).await;
        exam.note(Part::Master, found);
    }
    results::look(&run, &mut exam).await;
    mask(&mut exam, &run.settings.secrets.values());
    let told = if run.settings.outputs.json {
        json(&exam, strict)
    } else {
        text(&exam)
    };
    Console::default().print(&told);
    Ok(if exam.is_passed(strict) {
        status::OK
    } else {
        status::FAILED
    })
}

async fn of_master(connection: &Connection) -> Finding {
    const CHECK: &str = "master";
    match health::of_master(connection, PATIENCE, false).await {
        Ok(words) => Finding::ok(CHECK, words),
        Err(failure) => problem(CHECK, &failure),
    }
}

/// What keeps a run from beginning, in its own words.
fn problem(check: &'static str, failure: &Failure) -> Finding {
    let words = format!("{:#}", failure.error);
    Finding::problem(check, words, "").with_hint(failure.hint.clone())
}

/// Servers like to quote a wrong key.
fn mask(exam: &mut Exam, secrets: &[Secret]) {
    for (_, finding) in &mut exam.findings {
        for secret in secrets {
            finding.words = secret.masked_in(&finding.words);
            let hint = finding.hint.take();
            finding.hint = hint.map(|hint| secret.masked_in(&hint));
        }
    }
}
