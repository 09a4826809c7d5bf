//! placeholder
mod spec;
use crate::domain::*;
pub use spec::*;
pub struct Tokenizer;
impl Tokenizer {
    pub fn count(&self, _: &str) -> usize {
        0
    }
}
pub struct Workload;
impl Workload {
    pub fn ask(&self, _: Index) -> Ask {
        unimplemented!()
    }
}
