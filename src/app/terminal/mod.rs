//! The live view of `run` and `master` on a terminal: who draws it, where, and that the terminal is as it was afterwards.
//! What it looks like is `tui`'s matter; what its keys mean for the run is decided by who has them.

mod rules;

#[cfg(unix)]
mod drawing;
#[cfg(unix)]
mod glass;
#[cfg(unix)]
mod panics;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(unix)]
mod view;

#[cfg(not(unix))]
mod nowhere;

#[cfg(unix)]
pub(super) use glass::Glass;
#[cfg(unix)]
pub(super) use view::{is_wanted, open};

#[cfg(not(unix))]
pub(super) use nowhere::{Glass, is_wanted, open};
