//! The tables, and the steps by which a schema comes to them. A step that was released is never changed: another follows it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Steps in order, each in the schema that the search path names: the first makes it version 1.
pub const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Longest name that the database keeps whole.
const LONGEST_NAME: usize = 63;

/// A table that rows go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// One row a run.
    Runs,
    /// One row a second of a run.
    Seconds,
    /// One row a kind of failure of a run.
    Errors,
    /// One row a worker of a run.
    Workers,
    /// One row a request.
    Requests,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Runs,
        Self::Seconds,
        Self::Errors,
        Self::Workers,
        Self::Requests,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Seconds => "seconds",
            Self::Errors => "errors",
            Self::Workers => "workers",
            Self::Requests => "requests",
        }
    }

    /// The columns of its rows, in order.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Runs => RUNS,
            Self::Seconds => SECONDS,
            Self::Errors => &["run", "outcome", "words", "count", "first_s", "last_s"],
            Self::Workers => WORKERS,
            Self::Requests => REQUESTS,
        }
    }

    /// What tells its rows apart, where a later row takes an earlier one's place.
    const fn key(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Runs => Some(&["run"]),
            Self::Errors => Some(&["run", "outcome", "words"]),
            Self::Workers => Some(&["run", "worker"]),
            Self::Seconds | Self::Requests => None,
        }
    }

    /// Whether rows that are there are changed.
    pub const fn is_updated(self) -> bool {
        self.key().is_some()
    }

    /// Whether rows are only ever added, and are so many that they go there straight.
    pub const fn is_long(self) -> bool {
        matches!(self, Self::Requests)
    }

    /// The statement that rows of it are copied by, into `into`.
    pub fn copy(self, into: &str) -> String {
        let columns = self.columns().join(", ");
        format!("COPY {into} ({columns}) FROM STDIN")
    }

    /// The statement that brings the rows of `from` into the table: what a later one does not know, an earlier one told. A second of
    /// a run that is there stays as it is: who goes on with a run tells again what a predecessor may not have told.
    pub fn bring(self, from: &str) -> String {
        let (name, columns) = (self.name(), self.columns().join(", "));
        let insert = format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {from}");
        let Some(key) = self.key() else {
            // The moment bounds the search: it may differ by what a second was told of.
            return format!(
                "{insert} AS new WHERE NOT EXISTS (SELECT FROM {name} AS old WHERE old.run = new.run AND old.second = new.second \
                 AND old.at BETWEEN new.at - interval '1 minute' AND new.at + interval '1 minute')"
            );
        };
        let told = self.columns().iter().filter(|column| !key.contains(column));
        let told =
            told.map(|column| format!("{column} = COALESCE(EXCLUDED.{column}, {name}.{column})"));
        let told: Vec<_> = told.collect();
        format!(
            "{insert} ON CONFLICT ({}) DO UPDATE SET {}",
            key.join(", "),
            told.join(", ")
        )
    }
}

const RUNS: &[&str] = &[
    "run",
    "command",
    "plan_sha256",
    "version",
    "provider",
    "model",
    "path",
    "target",
    "cluster",
    "started_at",
    "ended_at",
    "verdict",
    "failure",
    "run_s",
    "scheduled",
    "sent",
    "dropped",
    "late_cancelled",
    "lost",
    "completed",
    "failed",
    "cancelled",
    "measured_requests",
    "measured_good",
    "measured_from_s",
    "measured_to_s",
    "requests_per_s",
    "output_tokens_per_s",
    "fail_ratio",
    "output_tokens",
    "prompt_tokens",
    "ttft_p50_s",
    "ttft_p95_s",
    "ttft_p99_s",
    "tpot_p50_s",
    "tpot_p95_s",
    "tpot_p99_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
];

const SECONDS: &[&str] = &[
    "run",
    "at",
    "second",
    "from_s",
    "to_s",
    "users",
    "in_flight",
    "waiting",
    "asked_per_s",
    "scheduled",
    "sent",
    "dropped",
    "late_cancelled",
    "lost",
    "ok",
    "truncated",
    "http_4xx",
    "http_429",
    "http_5xx",
    "connect",
    "dns",
    "tls",
    "timeout_connect",
    "timeout_first_token",
    "timeout_idle",
    "timeout_total",
    "cut",
    "in_stream_error",
    "parse_error",
    "empty",
    "cancelled",
    "good",
    "failed",
    "measured_good",
    "measured_failed",
    "good_per_s",
    "failed_per_s",
    "output_tokens",
    "prompt_tokens",
    "output_tokens_per_s",
    "ttft_p50_s",
    "ttft_p95_s",
    "ttft_p99_s",
    "tpot_p50_s",
    "tpot_p95_s",
    "tpot_p99_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "send_delay_p99_s",
    "receive_lag_p99_s",
    "busiest_core",
    "kernel_stamped",
    "verdict",
];

const WORKERS: &[&str] = &[
    "run", "worker", "name", "version", "cores", "state", "sent", "finished", "lost",
];

const REQUESTS: &[&str] = &[
    "run",
    "worker",
    "incarnation",
    "n",
    "at",
    "request",
    "outcome",
    "status",
    "error",
    "due_s",
    "sent_s",
    "headers_s",
    "first_s",
    "last_s",
    "end_s",
    "ttft_s",
    "tpot_s",
    "latency_s",
    "prompt_tokens",
    "output_tokens",
    "max_tokens",
    "cached_tokens",
    "output_chars",
    "body_bytes",
    "new_connection",
    "session",
    "turn",
];

/// A name of a schema that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no name of a schema: lower-case letters, digits and _ alone, a letter first, at most 63"
)]
pub struct NameError(Cow<'static, str>);

/// `name`, if it needs no quotes.
///
/// # Errors
///
/// When it does, or the database would cut it.
pub fn schema_name(name: &str) -> Result<&str, NameError> {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= LONGEST_NAME && name.chars().all(is_fine) && !name.starts_with("pg_")
    {
        Ok(name)
    } else {
        Err(NameError(name.to_owned().into()))
    }
}

/// The number of the lock under which the schema of this name is brought up to date.
pub fn lock_key(schema: &str) -> i64 {
    i64::from(crc32fast::hash(schema.as_bytes())) | 0x6c6c_6d00_0000_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    #[test]
    fn every_column_of_a_row_is_in_its_table_in_that_order() {
        let text = MIGRATIONS.concat();
        for table in Table::ALL {
            let head = format!("CREATE TABLE {} (", table.name());
            let body = text
                .split_once(&head)
                .unwrap()
                .1
                .split_once("\n);")
                .unwrap()
                .0;
            let made: Vec<_> = body
                .lines()
                .filter_map(|line| line.trim().split(' ').next())
                .filter(|word| !word.is_empty() && *word != "PRIMARY")
                .collect();
            assert_eq!(made, table.columns(), "{}", table.name());
        }
    }

    #[test]
    fn every_outcome_has_a_column() {
        for outcome in Outcome::ALL {
            assert!(
                Table::Seconds.columns().contains(&outcome.name()),
                "{outcome}"
            );
        }
    }

    #[test]
    fn names_that_need_quotes_are_refused() {
        for fine in ["llmload", "a_1"] {
            assert_eq!(schema_name(fine), Ok(fine));
        }
        let long = "a".repeat(64);
        for wrong in ["", "1a", "A", "a b", "a;drop", "a\"", "pg_x", "é", &long] {
            assert!(schema_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_later_row_fills_in_what_an_earlier_one_did_not_know() {
        let text = Table::Workers.bring("t");
        assert!(text.starts_with("INSERT INTO workers (run, worker, name"));
        assert!(text.contains(
            "ON CONFLICT (run, worker) DO UPDATE SET name = COALESCE(EXCLUDED.name, workers.name), "
        ));
    }
}
