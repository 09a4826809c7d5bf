//! A run as rows of a `PostgreSQL` database: the tables and how they came to be, the rows of a second, a request and a run, the
//! text that `COPY` reads, and the batches in which rows travel and wait. It opens no connection and no file.

mod batch;
mod copy;
mod rows;
mod schema;
mod seconds;

pub use batch::{Batch, Frames, Part, SPOOL_HEAD, SpoolError, frame};
pub use copy::Rows;
pub use rows::{Sender, Subject, request, run, second};
pub use schema::{MIGRATIONS, NameError, Table, lock_key, schema_name};
pub use seconds::{Second, Seconds};
