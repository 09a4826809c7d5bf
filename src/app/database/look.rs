//! Whether a run could write its rows, found out without leaving anything there.

use anyhow::anyhow;
use tokio::time::timeout;

use super::connect::Connector;
use super::load::rehearse;
use super::writer::{PATIENCE, unreachable};
use crate::app::failure::Failure;
use crate::config::Database;

/// What there is to say of a database that takes the rows, else why it does not.
pub(in crate::app) async fn look(database: &Database) -> Result<String, Failure> {
    let connector = Connector::new(database, PATIENCE).map_err(Failure::usage)?;
    let tried = timeout(PATIENCE * 2, try_out(&connector, &database.schema)).await;
    let tried = tried.unwrap_or_else(|_| Err(anyhow!("it does not answer")));
    let is_there = tried.map_err(|error| unreachable(&connector, error))?;
    let (place, user, schema) = (connector.place(), connector.user(), &database.schema);
    let state = if is_there { "is there" } else { "can be made" };
    Ok(format!(
        "{place} takes rows of `{user}`; the schema `{schema}` {state}"
    ))
}

async fn try_out(connector: &Connector, schema: &str) -> anyhow::Result<bool> {
    let mut connection = connector.connect().await?;
    rehearse(&mut connection.client, schema).await
}
