//! What is said to the server and what its answers mean, as JSON. It sends nothing.

use serde_json::{Value, json};

/// The tag by which a run is found again when the answer to its creation was lost.
pub(super) const KEY_TAG: &str = "llmload.key";

/// A run that is to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// The experiment's name; it is made if there is none.
    pub experiment: String,
    /// The run's name.
    pub name: String,
    /// Tags beside those that every run has.
    pub tags: Vec<(String, String)>,
    /// What was asked for.
    pub params: Vec<(String, String)>,
    /// Begin, in milliseconds since 1970.
    pub start_time_ms: i64,
    /// A text that no other run has.
    pub key: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It did what was asked.
    Finished,
    /// It could not be carried out.
    Failed,
    /// Somebody ended it.
    Killed,
}

impl Status {
    /// MLflow's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

/// An experiment that the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Experiment {
    pub(super) id: String,
    pub(super) deleted: bool,
}

/// A run that the server has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: String,
    pub(super) artifact_uri: String,
}

/// The body that makes a run. Servers before 2.0 read the name from its tag alone.
pub(super) fn create_run(run: &NewRun, experiment_id: &str) -> Value {
    let fixed = [
        ("mlflow.runName", run.name.as_str()),
        ("mlflow.source.name", "llmload"),
        ("mlflow.source.type", "LOCAL"),
        ("llmload.version", env!("CARGO_PKG_VERSION")),
        (KEY_TAG, run.key.as_str()),
    ];
    let own = run
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let tags: Vec<Value> = fixed
        .into_iter()
        .chain(own)
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({
        "experiment_id": experiment_id,
        "run_name": run.name,
        "start_time": run.start_time_ms,
        "tags": tags,
    })
}

/// The body that looks for a run by its key.
pub(super) fn search_run(key: &str, experiment_id: &str) -> Value {
    json!({
        "experiment_ids": [experiment_id],
        "filter": format!("tags.`{KEY_TAG}` = '{key}'"),
        "max_results": 1,
    })
}

/// The body that ends a run.
pub(super) fn update_run(run_id: &str, status: Status, end_time_ms: i64) -> Value {
    json!({"run_id": run_id, "status": status.word(), "end_time": end_time_ms})
}

/// The experiment of an answer to `get-by-name`.
pub(super) fn experiment(answer: &Value) -> Option<Experiment> {
    let experiment = &answer["experiment"];
    Some(Experiment {
        id: text(&experiment["experiment_id"])?,
        deleted: experiment["lifecycle_stage"] == "deleted",
    })
}

/// The id of an experiment that was made.
pub(super) fn created_experiment(answer: &Value) -> Option<String> {
    text(&answer["experiment_id"])
}

/// The run of an answer to `create`.
pub(super) fn created_run(answer: &Value) -> Option<Made> {
    made(&answer["run"])
}

/// The run of an answer to `search`; `None` when nothing was found.
pub(super) fn found_run(answer: &Value) -> Option<Made> {
    made(&answer["runs"][0])
}

fn made(run: &Value) -> Option<Made> {
    let info = &run["info"];
    Some(Made {
        // Old servers call it by its old name alone.
        id: text(&info["run_id"]).or_else(|| text(&info["run_uuid"]))?,
        artifact_uri: text(&info["artifact_uri"]).unwrap_or_default(),
    })
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_made_with_its_name_twice_and_its_tags() {
        let run = NewRun {
            name: "bench-m".to_owned(),
            tags: vec![("mlflow.user".to_owned(), "ann".to_owned())],
            start_time_ms: 1_700_000_000_123,
            key: "k1".to_owned(),
            ..NewRun::default()
        };
        let body = create_run(&run, "7");
        assert_eq!(body["experiment_id"], "7");
        assert_eq!(body["run_name"], "bench-m");
        assert_eq!(body["start_time"], 1_700_000_000_123_i64);
        let tags = body["tags"].as_array().unwrap();
        let value = |key: &str| tags.iter().find(|tag| tag["key"] == key).unwrap()["value"].clone();
        assert_eq!(value("mlflow.runName"), "bench-m");
        assert_eq!(value("mlflow.source.name"), "llmload");
        assert_eq!(value("mlflow.user"), "ann");
        assert_eq!(value("llmload.version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(
            search_run("k1", "7")["filter"],
            format!("tags.`{KEY_TAG}` = '{}'", value(KEY_TAG).as_str().unwrap())
        );
    }

    #[test]
    fn answers_are_read_and_empty_ones_are_none() {
        let answer = json!({"experiment": {"experiment_id": "3", "lifecycle_stage": "active"}});
        let found = experiment(&answer).unwrap();
        assert_eq!((found.id.as_str(), found.deleted), ("3", false));
        let answer = json!({"experiment": {"experiment_id": "3", "lifecycle_stage": "deleted"}});
        assert!(experiment(&answer).unwrap().deleted);
        assert_eq!(experiment(&json!({})), None);
        let run =
            json!({"info": {"run_id": "r", "artifact_uri": "mlflow-artifacts:/3/r/artifacts"}});
        let made = Made {
            id: "r".to_owned(),
            artifact_uri: "mlflow-artifacts:/3/r/artifacts".to_owned(),
        };
        assert_eq!(created_run(&json!({"run": run})).as_ref(), Some(&made));
        assert_eq!(found_run(&json!({"runs": [run]})), Some(made));
        assert_eq!(found_run(&json!({})), None);
        assert_eq!(created_run(&json!({"run": {"info": {"run_id": ""}}})), None);
    }
}
