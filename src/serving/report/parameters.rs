//! What all files of a suite were run with. The rest of each file's parameters is its own.

use serde_json::{Map, Value};

use super::kept::Kept;

/// The parameters that every file has with the same value, and the GPU's name.
pub(super) fn common(kept: &Kept<'_>, gpu: Option<&str>) -> Map<String, Value> {
    let mut files = kept.files.values().map(|raw| &raw.parameters);
    let mut common = files.next().cloned().unwrap_or_default();
    for other in files {
        common.retain(|key, value| other.get(key) == Some(value));
    }
    common.insert("gpu_name".to_owned(), Value::from(gpu));
    common
}
