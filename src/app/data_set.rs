//! The data set of a run: pinned before it starts; whoever sends its rows opens it again.
//! What rows mean is the workload's business.

use std::sync::Arc;

use anyhow::anyhow;

use super::failure::Failure;
use crate::cluster::MAX_MESSAGE_BYTES;
use crate::config::{DataOptions, Settings, TRACE_USERS};
use crate::plan::Plan;
use crate::schedule::Pacing;
use crate::workload::load::{self, DataWish, LoadError, Pinned};
use crate::workload::{Data, Format, PromptSource};

/// Where prompts come from, and when a trace's are due, in microseconds.
pub(super) type Source = (PromptSource, Option<Arc<[u64]>>);

/// What a plan needs in a message beside itself: its share, secrets, the frame.
const BESIDE: usize = 1 << 20;

/// Reads the data set once, whole. With a trace come the times of its requests, unless something else paces them.
pub(super) fn pin(settings: &Settings, options: &DataOptions) -> Result<Source, Failure> {
    let wish = DataWish {
        path: &options.path,
        format: options.format,
        column: options.column.as_deref(),
        shuffle_seed: options.shuffle_seed,
        limit: options.limit,
    };
    let Pinned {
        reference,
        data,
        known_by,
    } = load::pin_data(wish).map_err(failure)?;
    let paced = settings.schedule.is_open();
    if data.format() == Format::Conversations && paced {
        let error =
            anyhow!("a conversation's next turn waits for an answer, and an open loop does not");
        return Err(Failure::usage(error).hint(
            "conversations are paced by --users and --think-time; --dataset-format sharegpt sends their first turns alone",
        ));
    }
    if data.format() == Format::Trace && !paced {
        refuse_beside_a_trace(settings)?;
    }
    if settings.trace_speed.to_bits() != 1.0_f64.to_bits()
        && (paced || data.format() != Format::Trace)
    {
        let error =
            anyhow!("--trace-speed speeds a trace's own times up, and they do not pace this run");
        return Err(Failure::usage(error).hint("leave it out"));
    }
    tracing::info!("{}", described(&reference.name, &data, known_by));
    let due_us = (data.format() == Format::Trace && !paced)
        .then(|| data.due_us(settings.trace_speed, settings.schedule.max_requests));
    if let Some(due_us) = &due_us {
        told_of_times(due_us, settings);
    }
    Ok((PromptSource::Data(reference), due_us))
}

/// A trace's requests are due at its own times, whatever users do.
fn refuse_beside_a_trace(settings: &Settings) -> Result<(), Failure> {
    let schedule = &settings.schedule;
    let beside = [
        ("--think-time", schedule.think.is_some()),
        ("--ramping-time", schedule.ramp.is_some()),
        ("--spawn-rate", settings.given.spawn_rate),
    ];
    let Some((option, _)) = beside.into_iter().find(|(_, set)| *set) else {
        return Ok(());
    };
    let error =
        anyhow!("{option} has no effect on a trace, whose requests are due at its own times");
    Err(Failure::usage(error).hint(format!("leave {option} out, or pace the rows with --qps")))
}

/// `data set rows.json: 40 rows of sharegpt (by its first row), 2 more have nothing to send`.
fn described(name: &str, data: &Data, known_by: Option<&str>) -> String {
    let known_by = known_by.map_or_else(String::new, |by| format!(" (by {by})"));
    let left_out = match data.left_out() {
        0 => String::new(),
        out => format!("; left out for want of anything to send: {out}"),
    };
    let (rows, format) = (data.rows(), data.format().name());
    format!("data set {name}: {rows} rows of {format}{known_by}{left_out}")
}

fn told_of_times(due_us: &[u64], settings: &Settings) {
    let last = due_us.last().copied().unwrap_or(0) / 1_000_000;
    tracing::info!(
        "{} requests at the trace's own times over {last} s",
        due_us.len()
    );
    if !settings.given.users {
        tracing::info!(
            "at most {TRACE_USERS} requests in flight at once; --users sets another limit"
        );
    }
}

/// What cannot be loaded is a setting that cannot be carried out.
pub(super) fn failure(error: LoadError) -> Failure {
    let hint = error.hint();
    Failure::usage(error).with_hint(hint)
}

/// A plan travels in one message: what is too much for it is said before workers are waited for.
pub(super) fn fits_a_message(plan: &Plan) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(plan).map_or(0, |json| json.len());
    if bytes + BESIDE <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let error = anyhow!(
        "the plan has {bytes} bytes, and workers take {} at most",
        MAX_MESSAGE_BYTES - BESIDE
    );
    Err(Failure::usage(error).hint(match plan.schedule.pacing {
        Pacing::Trace { .. } => "--dataset-limit or --max-requests take fewer rows of the trace",
        _ => "--dataset @FILE leaves a file of more than 1 MiB where it is; --prompt-text does not",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::workload::DataRef;

    fn plan(text: String, arrivals: u64) -> Plan {
        let mut plan = sample::open().plan;
        plan.workload.prompts = PromptSource::Data(DataRef {
            name: "rows.txt".to_owned(),
            format: Format::Text,
            column: None,
            shuffle_seed: None,
            limit: None,
            skip: 0,
            sha256: "0".repeat(64),
            bytes: text.len() as u64,
            inline: Some(text),
        });
        // Of a week, in microseconds.
        let due_us = (0..arrivals).map(|i| 600_000_000_000 + i).collect();
        plan.schedule.pacing = Pacing::Trace { due_us };
        plan
    }

    #[test]
    fn a_mebibyte_of_rows_and_the_times_of_a_long_trace_fit_a_message() {
        // Written as six characters each.
        let worst = "\u{1}".repeat(1 << 20);
        assert!(fits_a_message(&plan(worst, 24_000)).is_ok());
        let failure = fits_a_message(&plan("a".to_owned(), 2_000_000)).unwrap_err();
        assert!(
            failure
                .error
                .to_string()
                .ends_with("bytes, and workers take 15728640 at most")
        );
        assert!(failure.hint.unwrap().contains("--dataset-limit"));
    }
}
