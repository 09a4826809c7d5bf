//! Rows of a run in a `PostgreSQL` database: its seconds as a view of the run, its requests as one of those who take them, and what
//! was left in a spool by a command. What stands in the rows is `database`'s matter.

mod connect;
mod load;
mod look;
mod pg_load;
mod requests;
mod seconds;
mod spool;
mod writer;

pub(super) use look::look;
pub(super) use pg_load::{NAME as PG_LOAD, command as pg_load_command, pg_load};
pub(super) use requests::{Requests, Wanted};
pub(super) use seconds::Seconds;
