//! placeholder
mod spec;
use crate::domain::*;
use bytes::Bytes;
pub use spec::*;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ShapeError;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct DecodeError;
pub trait Decoder: Send {
    fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError>;
    fn finish(&mut self, on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError>;
}
pub trait Provider: Send + Sync {
    fn shape(&self, ask: &Ask) -> Result<http::Request<Bytes>, ShapeError>;
    fn decoder(&self) -> Box<dyn Decoder>;
}
pub fn outcome_of_status(_: u16) -> Option<Outcome> {
    None
}
pub fn error_text(_: &[u8]) -> String {
    String::new()
}
