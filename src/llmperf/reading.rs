//! Files of individual responses read back, llmperf's own too.

use super::Individual;

/// The responses in the text of a file: ours, or llmperf's, where what is not known may be `NaN`.
///
/// # Errors
/// When it is not such a file.
pub fn individuals(text: &str) -> Result<Vec<Individual>, serde_json::Error> {
    serde_json::from_str(text)
}
