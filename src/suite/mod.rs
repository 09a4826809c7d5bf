//! A suite of runs: which ones a grid or a search asks for, and what their figures come to side by side.
//! It starts no run, opens no file and reads no clock: `app` plays the runs and hands their figures in.

mod comparison;
mod figures;
mod finding;
mod grid;
mod judge;
mod knee;
mod page;
mod pictures;
mod row;
mod search;
mod trend;

pub use comparison::{comparison_csv, comparison_markdown, upstream_csv};
pub use figures::{Cause, Figures, Objective, QUANTILES, Spread};
pub use finding::{Finding, finding_json, finding_text};
pub use grid::{Axis, AxisError, Combination, Grid, Word, run_id};
pub use judge::{ENOUGH, Judgement, Limit, Rules, judge_run};
pub use knee::{knee, pareto};
pub use page::comparison_page;
pub use pictures::{load_figure, overview_figure};
pub use row::{Load, Row};
pub use search::{Found, Goal, Outcome, Point, Search, SearchSpec, Step, Trial};
pub use trend::Trend;
