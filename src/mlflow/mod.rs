//! A run in an ML Repo: parameters, figures and files, sent to an MLflow tracking server by its REST API while the run's own
//! results wait for nothing. It computes no figure.

mod body;
mod limits;
mod patience;
mod place;
mod run;
mod server;
mod trouble;
mod wire;

#[cfg(test)]
mod tests;

pub use body::{NewRun, Status};
pub use patience::Limits;
pub use run::{Artifact, Content, Ending, Logged, Logging};
pub use server::{Server, ServerError};
