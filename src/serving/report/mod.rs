//! The report on a suite: from files of raw results to figures, from figures to files. Each file here has one of them; what is drawn
//! is made of `page::Chart`, for the page and for the pictures alike.

mod card;
mod charts;
mod data;
mod ingestion;
mod kept;
mod page;
mod parameters;
mod picture;
mod profile;
mod readme;
mod single;
mod speed;
mod total;

pub use single::single_page;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::raw::json;
use super::{Bench, Beside, Content, Files, Raw, SuiteSettings};

use ingestion::Ingestion;
use kept::Kept;
use profile::{Capacity, Profile};
use speed::Pair;
use total::Total;

/// All figures of a report.
struct Findings<'a> {
    /// Missing where the folder is another tool's.
    settings: Option<&'a SuiteSettings>,
    /// What a pair's median speed must reach.
    speed_threshold: f64,
    /// What all files share, and the GPU.
    parameters: Map<String, Value>,
    ingestion: Option<Ingestion>,
    pairs: Vec<Pair>,
    totals: Vec<Total>,
    profiles: Vec<Profile>,
    capacity: Option<Capacity>,
    /// How each file was measured.
    trust: BTreeMap<Bench, Beside>,
    /// What had to be left out, and why.
    left_out: Vec<String>,
}

impl<'a> Findings<'a> {
    fn of(raws: &BTreeMap<String, Raw>, settings: Option<&'a SuiteSettings>) -> Self {
        let usual = SuiteSettings::default();
        let told = settings.unwrap_or(&usual);
        let mut kept = Kept::of(raws, told.min_number_of_valid_queries);
        let ingestion = Ingestion::of(&mut kept);
        let pairs = Pair::all(&kept, told.speed_threshold);
        let totals = Total::all(&kept);
        let profiles = Profile::all(&kept);
        for what in settings.map(|it| it.not_run(raws)).unwrap_or_default() {
            kept.lacks(&what);
        }
        if pairs.is_empty() {
            kept.lacks("no graphs of the speed: there is no file of it");
        }
        if profiles.is_empty() {
            kept.lacks("no profiles of the KV cache: there is no file of one");
        }
        let read = |(bench, raw): (&Bench, &&Raw)| (*bench, Beside::read(&raw.llmload));
        Self {
            settings,
            speed_threshold: told.speed_threshold,
            parameters: parameters::common(&kept, told.gpu_name.as_deref()),
            ingestion,
            pairs,
            totals,
            capacity: Capacity::of(&profiles),
            profiles,
            trust: kept.files.iter().map(read).collect(),
            left_out: kept.left_out,
        }
    }

    fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.get(key).and_then(Value::as_str)
    }

    fn model(&self) -> &str {
        self.parameter("model").unwrap_or("an unnamed model")
    }

    fn gpu(&self) -> &str {
        self.parameter("gpu_name").unwrap_or("an unnamed GPU")
    }
}

/// The whole report on these files of raw results, by their names, and what had to be left out and why. `settings` are missing
/// where the folder is another tool's: then its defaults stand in.
pub fn report(
    raws: &BTreeMap<String, Raw>,
    settings: Option<&SuiteSettings>,
) -> (Files, Vec<String>) {
    let findings = Findings::of(raws, settings);
    let mut files = Files::new();
    let mut text = |path: &str, text: String| files.insert(path.to_owned(), Content::Text(text));
    text("report/parameters.json", json(&findings.parameters));
    if let Some(ingestion) = &findings.ingestion {
        text(
            "report/data/prompt_ingestion_graph_data.json",
            json(&data::ingestion(ingestion)),
        );
    }
    for pair in &findings.pairs {
        text(&pair.data_path(), json(&data::speed(pair)));
    }
    if !findings.pairs.is_empty() {
        text("report/thresholds.csv", data::thresholds(&findings.pairs));
        text(
            "report/data/total_speed_generation_graph_data.json",
            json(&data::totals(&findings.totals)),
        );
    }
    text("report/README.md", card::card(&findings));
    text("README.md", readme::readme(&findings));
    let title = format!("{} on {}", findings.model(), findings.gpu());
    for (path, chart) in charts::all(&findings) {
        let figure = picture::picture(&title, &chart);
        files.insert(path, Content::Picture(Box::new(figure)));
    }
    let page = Content::Page(Box::new(page::page(&findings)));
    files.insert("report/report.html".to_owned(), page);
    (files, findings.left_out)
}
