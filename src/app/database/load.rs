//! Brings batches into the database, each once: its rows and its line in the ledger are one transaction. Makes the tables, and
//! brings older ones up to date, under a lock, so that several processes may begin at once.

use std::borrow::Cow;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::SinkExt as _;
use thiserror::Error;
use tokio_postgres::{Client, GenericClient, Transaction};

use crate::database::{Batch, MIGRATIONS, Part, Table, lock_key};

/// A database that answers, and cannot take the rows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unfit {
    #[error("the schema `{schema}` is version {found}, and this program knows {latest}")]
    Newer {
        schema: String,
        found: i32,
        latest: i32,
    },
    #[error("its encoding is {0}, which cannot hold every text")]
    Encoding(String),
    #[error("it can only be read: it is a standby")]
    Standby,
    #[error("the user may not write to the tables there")]
    NoRight,
    #[error("the user may not make temporary tables there")]
    NoTemporary,
}

impl Unfit {
    /// What to do.
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "use a newer llmload, or another --pg-schema",
            Self::Encoding(_) => "make a database with ENCODING 'UTF8'",
            Self::Standby => "name the primary in --pg-url",
            Self::NoRight => {
                "GRANT INSERT, SELECT, UPDATE ON ALL TABLES IN the schema to the user, or another --pg-schema"
            }
            Self::NoTemporary => "GRANT TEMPORARY ON DATABASE to the user",
        }
    }
}

/// The table of batches that are in.
const LEDGER: &str = "batches";

/// Finds out whether rows can be written, before any is.
pub(super) async fn check(client: &impl GenericClient) -> anyhow::Result<()> {
    let mut written = Table::ALL.map(Table::name).to_vec();
    written.push(LEDGER);
    let changed = Table::ALL.into_iter().filter(|table| table.is_updated());
    let changed: Vec<_> = changed.map(Table::name).collect();
    let row = client
        .query_one(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery(),
               (SELECT bool_and(has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'SELECT'))
                FROM unnest($1::text[]) AS name),
               (SELECT bool_and(has_table_privilege(name, 'UPDATE')) FROM unnest($2::text[]) AS name),
               has_database_privilege(current_database(), 'TEMPORARY')",
            &[&written.as_slice(), &changed.as_slice()],
        )
        .await?;
    let encoding: String = row.get(0);
    if !matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
        bail!(Unfit::Encoding(encoding));
    }
    if row.get(1) {
        bail!(Unfit::Standby);
    }
    if !(row.get::<_, bool>(2) && row.get::<_, bool>(3)) {
        bail!(Unfit::NoRight);
    }
    if !row.get::<_, bool>(4) {
        bail!(Unfit::NoTemporary);
    }
    Ok(())
}

/// Makes the schema what this program needs.
pub(super) async fn migrate(client: &mut Client, schema: &str) -> anyhow::Result<()> {
    if known_version(client, schema).await? < MIGRATIONS.len() {
        let transaction = client.transaction().await?;
        bring_up_to_date(&transaction, schema).await?;
        transaction.commit().await?;
    }
    // Names that are not the schema's are the extension's.
    client
        .batch_execute(&format!("SET search_path TO {schema}, public"))
        .await?;
    Ok(())
}

/// Does as a run would before its first row, and takes it back. Returns whether the schema is there as it must be.
pub(super) async fn rehearse(client: &mut Client, schema: &str) -> anyhow::Result<bool> {
    let is_there = known_version(client, schema).await? == MIGRATIONS.len();
    let transaction = client.transaction().await?;
    if !is_there {
        bring_up_to_date(&transaction, schema).await?;
    }
    transaction
        .batch_execute(&format!("SET LOCAL search_path TO {schema}, public"))
        .await?;
    check(&transaction).await?;
    transaction.rollback().await?;
    Ok(is_there)
}

/// The schema's version, which is one of this program's.
async fn known_version(client: &Client, schema: &str) -> anyhow::Result<usize> {
    let latest = i32::try_from(MIGRATIONS.len())?;
    let found = version(client, schema).await?;
    if found > latest {
        bail!(Unfit::Newer {
            schema: schema.to_owned(),
            found,
            latest
        });
    }
    Ok(usize::try_from(found)?)
}

async fn bring_up_to_date(transaction: &Transaction<'_>, schema: &str) -> anyhow::Result<()> {
    let lock = lock_key(schema);
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&lock])
        .await?;
    // Another process may have done it while this one waited.
    let is_there = transaction
        .query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema])
        .await?;
    if is_there.is_none() {
        transaction
            .batch_execute(&format!("CREATE SCHEMA {schema}"))
            .await?;
    }
    transaction
        .batch_execute(&format!(
            "SET LOCAL search_path TO {schema}, public;
             CREATE TABLE IF NOT EXISTS {schema}.migrations (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        ))
        .await?;
    let row = transaction
        .query_one(
            &format!("SELECT COALESCE(max(version), 0) FROM {schema}.migrations"),
            &[],
        )
        .await?;
    let done: i32 = row.get(0);
    for (step, version) in MIGRATIONS
        .iter()
        .zip(1_i32..)
        .filter(|(_, version)| *version > done)
    {
        transaction
            .batch_execute(step)
            .await
            .with_context(|| format!("step {version} of the schema failed"))?;
        let note = format!("INSERT INTO {schema}.migrations (version) VALUES ($1)");
        transaction.execute(&note, &[&version]).await?;
    }
    Ok(())
}

/// 0 where there is nothing yet.
async fn version(client: &Client, schema: &str) -> anyhow::Result<i32> {
    let name = format!("{schema}.migrations");
    let row = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])
        .await?;
    if !row.get::<_, bool>(0) {
        return Ok(0);
    }
    let row = client
        .query_one(
            &format!("SELECT COALESCE(max(version), 0) FROM {name}"),
            &[],
        )
        .await?;
    Ok(row.get(0))
}

/// Brings a batch in, unless it is there.
pub(super) async fn load(client: &mut Client, batch: &Batch) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let seq = i64::try_from(batch.seq).unwrap_or(i64::MAX);
    let rows = i32::try_from(batch.rows()).unwrap_or(i32::MAX);
    let is_new = transaction
        .execute(
            "INSERT INTO batches (run, source, incarnation, seq, rows) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            &[&batch.run, &batch.source, &batch.incarnation, &seq, &rows],
        )
        .await?;
    if is_new == 1 {
        for (table, text) in by_table(&batch.parts) {
            bring(&transaction, table, &text).await?;
        }
    }
    transaction.commit().await
}

/// The rows of each table, at once where that is allowed: rows that change another must come one after the other.
fn by_table(parts: &[Part]) -> Vec<(Table, Cow<'_, str>)> {
    let mut all: Vec<(Table, Cow<'_, str>)> = Vec::new();
    for part in parts {
        match all.last_mut() {
            Some((table, text)) if *table == part.table && !table.is_updated() => {
                text.to_mut().push_str(&part.text);
            }
            _ => all.push((part.table, Cow::Borrowed(&part.text))),
        }
    }
    all
}

async fn bring(
    transaction: &Transaction<'_>,
    table: Table,
    text: &str,
) -> Result<(), tokio_postgres::Error> {
    if table.is_long() {
        return copy(transaction, table, text, table.name()).await;
    }
    // One a session: making one each second would fill the database's catalogue with what was dropped.
    let waiting = format!("new_{}", table.name());
    let make = format!(
        "CREATE TEMP TABLE IF NOT EXISTS {waiting} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS",
        table.name()
    );
    transaction.batch_execute(&make).await?;
    copy(transaction, table, text, &waiting).await?;
    transaction.execute(&table.bring(&waiting), &[]).await?;
    // The batch may have more rows of the table.
    transaction
        .batch_execute(&format!("DELETE FROM {waiting}"))
        .await
}

async fn copy(
    transaction: &Transaction<'_>,
    table: Table,
    text: &str,
    into: &str,
) -> Result<(), tokio_postgres::Error> {
    let sink = transaction.copy_in(&table.copy(into)).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::copy_from_slice(text.as_bytes())).await?;
    sink.finish().await?;
    Ok(())
}
