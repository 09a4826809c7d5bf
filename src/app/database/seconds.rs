//! The database as a view of a run: a row each second, and the run's own at its start and end.

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::writer::Writer;
use crate::app::failure::Failure;
use crate::app::observe::{Observatory, Second, View};
use crate::app::surroundings::wall_clock;
use crate::app::views::{Doing, Viewer};
use crate::config::Database;
use crate::database::{self, Part, Subject};

/// Seconds of another master that are a batch.
const AT_A_TIME: usize = 200;

/// The view.
pub(in crate::app) struct Seconds {
    view: View,
    /// One task, until it is closed.
    writing: JoinSet<(Writer, u64)>,
}

impl Seconds {
    /// Connects, and writes from now on.
    pub(in crate::app) async fn open(
        wanted: &Database,
        observatory: &mut Observatory,
    ) -> Result<Self, Failure> {
        let (database, view) = (wanted.clone(), observatory.view());
        let run = view.run;
        let started = spawn_blocking(move || Writer::start(&database, run, "run".to_owned())).await;
        let mut writer = started.map_err(Failure::failed)??;
        writer.put(rows(&view, writer.run()));
        let seconds = retell(observatory, &mut writer)?;
        let heard = observatory.listen();
        let mut writing = JoinSet::new();
        writing.spawn(follow(writer, seconds, heard, view.clone()));
        Ok(Self { view, writing })
    }
}

impl Viewer for Seconds {
    fn close(&mut self) -> Doing<'_, Vec<Failure>> {
        Box::pin(async move {
            let Some(writing) = self.writing.join_next().await else {
                return Vec::new();
            };
            let ended = async {
                let (mut writer, missed) = writing.map_err(Failure::failed)?;
                writer.put(rows(&self.view, writer.run()));
                // Who does not want to wait drops this.
                let _giving_up = writer.giving_up();
                spawn_blocking(move || writer.end())
                    .await
                    .map_err(Failure::failed)??;
                if missed > 0 {
                    let error =
                        anyhow::anyhow!("{missed} seconds of the run have no row in the database");
                    return Err(Failure::failed(error)
                        .hint("the row of the run is whole; this machine is too busy"));
                }
                Ok(())
            };
            ended.await.err().into_iter().collect()
        })
    }
}

fn rows(view: &View, run: &str) -> Vec<Part> {
    let standing = view.standing.borrow();
    let subject = Subject {
        run,
        command: &view.command,
        version: env!("CARGO_PKG_VERSION"),
        plan: &view.plan,
        path: &view.endpoint.path,
        is_cluster: view.cluster,
    };
    database::run(&subject, &standing, wall_clock().into())
}

/// Tells the database of the seconds that another master measured, of which it may not have told all; those that are there stay.
fn retell(observatory: &Observatory, writer: &mut Writer) -> Result<database::Seconds, Failure> {
    let (mut seconds, mut parts) = (database::Seconds::default(), Vec::new());
    let run = writer.run().to_owned();
    observatory.retell(&mut |to, delta, crowd, standing| {
        let over = seconds.push(to, delta, crowd, standing);
        parts.extend(over.iter().map(|over| row(&run, over)));
        if parts.len() >= AT_A_TIME {
            writer.put(std::mem::take(&mut parts));
        }
    })?;
    if !parts.is_empty() {
        writer.put(parts);
    }
    Ok(seconds)
}

/// Until the run is over; returns how many seconds were missed.
async fn follow(
    mut writer: Writer,
    mut seconds: database::Seconds,
    mut heard: mpsc::Receiver<Second>,
    view: View,
) -> (Writer, u64) {
    let (mut missed, mut is_begun) = (0, false);
    while let Some(second) = heard.recv().await {
        missed += second.missed;
        let mut parts = Vec::new();
        if !is_begun && second.standing.started_at.is_some() {
            is_begun = true;
            parts = rows(&view, writer.run());
        }
        let over = seconds.push(second.to, &second.delta, second.crowd, second.standing);
        parts.extend(over.iter().map(|over| row(writer.run(), over)));
        if !parts.is_empty() {
            writer.put(parts);
        }
    }
    if let Some(last) = seconds.rest() {
        let row = row(writer.run(), &last);
        writer.put(vec![row]);
    }
    (writer, missed)
}

fn row(run: &str, second: &database::Second) -> Part {
    let started_at = second.standing.started_at;
    let at = started_at.map(|zero| zero.saturating_add(span(second.at().as_nanos())));
    database::second(run, at.unwrap_or_else(|| wall_clock().into()), second)
}

fn span(nanos: u64) -> time::Duration {
    time::Duration::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
}
