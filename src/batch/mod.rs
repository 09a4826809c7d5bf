//! The two batch benchmarks, but for their sockets: which lengths and sizes are tried, of which token ids prompts are made, what
//! the server's figures mean, and the tables. It sends nothing and reads no clock.

mod figures;
mod page;
mod prompt;
mod sizes;
mod table;

pub use figures::{Durations, Figures, forward_passes, read_figures};
pub use page::{Drawn, Named, Quantity, batch_page};
pub use prompt::{Content, Prompts};
pub use sizes::{PairError, batch_sizes, doubling, parse_lengths, parse_pairs, prefill_pairs};
pub use table::{Format, Table};
