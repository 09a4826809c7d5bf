//! Counts that no second of any worker can have: merging would overflow with them, or a single message would drown what
//! all others measured. It looks at one message alone.

use super::WireError;
use crate::metrics::{Phase, Tally};

/// Most of anything that one interval may count: a million million.
pub(super) const MAX_COUNT: u64 = 1 << 40;

/// Most bytes that one interval may have received: 256 TiB.
pub(super) const MAX_BYTES: u64 = 1 << 48;

/// Whether a tally counts no more than there can be.
pub(super) fn check(tally: &Tally) -> Result<(), WireError> {
    let counts = tally.counts;
    let all = [
        counts.scheduled,
        counts.sent,
        counts.dropped,
        counts.late_cancelled,
        counts.lost,
        tally.connections_opened,
        tally.connections_warmed,
        tally.connections_reused,
    ];
    let errors = tally.errors.values().map(|error| error.count);
    let warnings = tally.warnings.values().copied();
    countable("counts", all.into_iter())?;
    countable("errors", errors)?;
    countable("warnings", warnings)?;
    phase(&tally.warmup)?;
    phase(&tally.measured)
}

fn phase(phase: &Phase) -> Result<(), WireError> {
    countable("outcomes", phase.outcomes.values().copied())?;
    countable("token_sources", phase.token_sources.values().copied())?;
    if phase.body_bytes > MAX_BYTES {
        return Err(WireError::Impossible("body_bytes"));
    }
    countable("met", phase.met.iter().copied())?;
    let tokens = [phase.output_tokens, phase.prompt_tokens, phase.met_all];
    countable("tokens", tokens.into_iter())
}

fn countable(what: &'static str, mut counts: impl Iterator<Item = u64>) -> Result<(), WireError> {
    if counts.all(|count| count <= MAX_COUNT) {
        Ok(())
    } else {
        Err(WireError::Impossible(what))
    }
}
