//! A plan as versioned JSON bytes: its types carry their own serialisation, so that a setting is declared once.
//! It checks that a plan can be read, not that it makes sense; whoever prepares it does.

use super::WireError;
use crate::plan::Plan;

/// The layout of the JSON. Raised when a field changes its meaning or is no longer optional.
pub(super) const VERSION: u32 = 1;

pub(super) fn encode(plan: &Plan) -> Result<Vec<u8>, WireError> {
    serde_json::to_vec(plan).map_err(WireError::Plan)
}

pub(super) fn decode(version: u32, json: &[u8]) -> Result<Plan, WireError> {
    if version != VERSION {
        return Err(WireError::PlanVersion(version));
    }
    serde_json::from_slice(json).map_err(WireError::Plan)
}
