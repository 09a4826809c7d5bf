//! placeholder
mod message;
pub use message::*;
