//! Messages as protobuf and back. Nothing that arrives is trusted: sizes, numbers and words are checked here once,
//! so that the machines behind see only values that make sense. It opens no connection.

mod answer;
mod bounds;
pub(super) mod control;
mod frame;
mod journal;
mod plan;
mod secrets;
mod share;
mod tally;

use std::time::Duration;

use super::{
    ClockEstimate, Gauges, Hello, Interval, MAX_MESSAGE_BYTES, Prepare, Terms, ToMaster, ToWorker,
    Totals, WorkerState,
};
use crate::domain::Offset;

pub(super) use answer::bytes_of_times;
pub use journal::{
    JournalError, JournalHeader, JournalReader, Tear, Torn, journal_frame, journal_head,
    journal_notes,
};

#[expect(
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated from proto/llmload/v1/*.proto, where the documentation is"
)]
pub(in crate::cluster) mod pb {
    tonic::include_proto!("llmload.v1");
}

/// Most bytes of a worker's or master's short texts: a name, a version.
const MAX_NAME_BYTES: usize = 256;

/// Most bytes of a reason.
const MAX_REASON_BYTES: usize = 4_096;

/// Why a message cannot be sent or was not understood.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A message without a body, or a body of a kind that is not known.
    #[error("a message has no body that this version knows")]
    NoBody,
    /// A part of a message is missing.
    #[error("a message lacks its `{0}`")]
    Missing(&'static str),
    /// A number that stands for nothing.
    #[error("`{number}` is no {what} that this version knows")]
    Unknown {
        /// What it should stand for.
        what: &'static str,
        /// The number.
        number: i32,
    },
    /// A value that cannot be.
    #[error("a message's `{0}` is impossible")]
    Impossible(&'static str),
    /// A distribution that is none.
    #[error("a distribution of a message is damaged")]
    Series(#[source] crate::metrics::SeriesError),
    /// A plan that cannot be read.
    #[error("a plan cannot be read or written")]
    Plan(#[source] serde_json::Error),
    /// A plan in another layout.
    #[error("a plan has layout `{0}`, which this version does not know")]
    PlanVersion(u32),
    /// More than a message may have.
    #[error("a message of `{0}` bytes is larger than the limit of {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// More than a record of a journal may have.
    #[error("a record of `{0}` bytes is larger than a journal's may be")]
    RecordTooLarge(usize),
}

/// What a worker sends: on the control stream, or beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FromWorker {
    Control(Box<pb::WorkerMessage>),
    Pulse(pb::Heartbeat),
}

/// What a master sends: on the control stream, or beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FromMaster {
    Control(pb::MasterMessage),
    Pulse(pb::PulseReply),
}

/// Puts a worker's message into protobuf.
pub(super) fn encode_to_master(message: ToMaster) -> Result<FromWorker, WireError> {
    use pb::worker_message::Body;
    let body = match message {
        ToMaster::Hello(hello) => Body::Hello(hello_out(hello)),
        ToMaster::Ready { run, digest } => Body::Ready(pb::Ready { run, digest }),
        ToMaster::Unable { run, reason } => Body::Unable(pb::Unable {
            run,
            reason: cut(reason, MAX_REASON_BYTES),
        }),
        ToMaster::Heartbeat {
            sent_at,
            clock,
            gauges,
            epoch,
        } => {
            let beat = heartbeat_out(sent_at, clock, gauges, epoch);
            return Ok(FromWorker::Pulse(beat));
        }
        ToMaster::Interval(interval) => Body::Interval(interval_out(*interval)),
        ToMaster::Final {
            run,
            last_seq,
            totals,
        } => Body::Final(pb::Final {
            run,
            last_seq,
            totals: Some(totals_out(totals)),
        }),
        ToMaster::Leaving => Body::Leaving(pb::Leaving {}),
    };
    let message = pb::WorkerMessage { body: Some(body) };
    check_size(&message)?;
    Ok(FromWorker::Control(Box::new(message)))
}

/// Reads a message of a worker's control stream.
pub(super) fn decode_to_master(message: pb::WorkerMessage) -> Result<ToMaster, WireError> {
    use pb::worker_message::Body;
    Ok(match message.body.ok_or(WireError::NoBody)? {
        Body::Hello(hello) => ToMaster::Hello(hello_in(hello)?),
        Body::Ready(pb::Ready { run, digest }) => ToMaster::Ready { run, digest },
        Body::Unable(pb::Unable { run, reason }) => ToMaster::Unable {
            run,
            reason: text("reason", reason, MAX_REASON_BYTES)?,
        },
        Body::Interval(interval) => ToMaster::Interval(Box::new(interval_in(interval)?)),
        Body::Final(of) => ToMaster::Final {
            run: of.run,
            last_seq: of.last_seq,
            totals: totals_in(of.totals.ok_or(WireError::Missing("totals"))?),
        },
        Body::Leaving(pb::Leaving {}) => ToMaster::Leaving,
    })
}

/// Reads a heartbeat.
pub(super) fn decode_heartbeat(beat: pb::Heartbeat) -> Result<ToMaster, WireError> {
    let clock = beat.clock.map(|clock| ClockEstimate {
        offset_ns: clock.offset_ns,
        bound_ns: clock.bound_ns,
    });
    Ok(ToMaster::Heartbeat {
        sent_at: Offset::from_nanos(beat.sent_at),
        clock,
        gauges: gauges_in(beat.gauges)?,
        epoch: beat.epoch,
    })
}

/// Puts a master's message into protobuf.
pub(super) fn encode_to_worker(message: ToWorker) -> Result<FromMaster, WireError> {
    use pb::master_message::Body;
    let body = match message {
        ToWorker::Welcome { worker, run, terms } => Body::Welcome(pb::Welcome {
            worker,
            run,
            heartbeat_ns: Offset::from(terms.heartbeat).as_nanos(),
            lease_ns: Offset::from(terms.lease).as_nanos(),
        }),
        ToWorker::Refused { reason } => Body::Refused(pb::Refused {
            reason: cut(reason, MAX_REASON_BYTES),
        }),
        ToWorker::Prepare(prepare) => Body::Prepare(prepare_out(&prepare)?),
        ToWorker::Start { run, at } => Body::Start(pb::Start {
            run,
            master_at: at.as_nanos(),
        }),
        ToWorker::Ack { run, seq } => Body::Ack(pb::Ack { run, seq }),
        ToWorker::Pulse {
            echo,
            received_at,
            sent_at,
            run,
            epoch,
        } => {
            return Ok(FromMaster::Pulse(pb::PulseReply {
                echo_at: echo.as_nanos(),
                received_at: received_at.as_nanos(),
                sent_at: sent_at.as_nanos(),
                run,
                epoch,
            }));
        }
        ToWorker::Stop { run, at } => Body::Stop(pb::Stop {
            run,
            at_offset: at.as_nanos(),
        }),
        ToWorker::Share { run, share } => Body::Share(pb::ShareChange {
            run,
            share: Some(share::encode(&share)),
        }),
        ToWorker::Abort { run } => Body::Abort(pb::Abort { run }),
        ToWorker::Quit => Body::Quit(pb::Quit {}),
    };
    let message = pb::MasterMessage { body: Some(body) };
    check_size(&message)?;
    Ok(FromMaster::Control(message))
}

/// Reads a message of a master's control stream.
pub(super) fn decode_to_worker(message: pb::MasterMessage) -> Result<ToWorker, WireError> {
    use pb::master_message::Body;
    Ok(match message.body.ok_or(WireError::NoBody)? {
        Body::Welcome(of) => ToWorker::Welcome {
            worker: of.worker,
            run: of.run,
            terms: terms_in(&of)?,
        },
        Body::Refused(pb::Refused { reason }) => ToWorker::Refused {
            reason: text("reason", reason, MAX_REASON_BYTES)?,
        },
        Body::Prepare(prepare) => ToWorker::Prepare(Box::new(prepare_in(prepare)?)),
        Body::Start(pb::Start { run, master_at }) => ToWorker::Start {
            run,
            at: Offset::from_nanos(master_at),
        },
        Body::Ack(pb::Ack { run, seq }) => ToWorker::Ack { run, seq },
        Body::Stop(pb::Stop { run, at_offset }) => ToWorker::Stop {
            run,
            at: Offset::from_nanos(at_offset),
        },
        Body::Share(pb::ShareChange { run, share }) => ToWorker::Share {
            run,
            share: Box::new(share::decode(share.ok_or(WireError::Missing("share"))?)?),
        },
        Body::Abort(pb::Abort { run }) => ToWorker::Abort { run },
        Body::Quit(pb::Quit {}) => ToWorker::Quit,
    })
}

/// Reads the answer to a heartbeat.
pub(super) fn decode_pulse(reply: pb::PulseReply) -> ToWorker {
    ToWorker::Pulse {
        echo: Offset::from_nanos(reply.echo_at),
        received_at: Offset::from_nanos(reply.received_at),
        sent_at: Offset::from_nanos(reply.sent_at),
        run: reply.run,
        epoch: reply.epoch,
    }
}

fn hello_out(hello: Hello) -> pb::Hello {
    pb::Hello {
        protocol: hello.protocol,
        version: cut(hello.version, MAX_NAME_BYTES),
        name: cut(hello.name, MAX_NAME_BYTES),
        incarnation: hello.incarnation,
        cores: hello.cores,
        run: hello.run,
    }
}

fn hello_in(hello: pb::Hello) -> Result<Hello, WireError> {
    Ok(Hello {
        version: text("version", hello.version, MAX_NAME_BYTES)?,
        protocol: hello.protocol,
        name: text("name", hello.name, MAX_NAME_BYTES)?,
        incarnation: hello.incarnation,
        cores: hello.cores,
        run: hello.run,
    })
}

const fn totals_out(totals: Totals) -> pb::Totals {
    pb::Totals {
        scheduled: totals.scheduled,
        sent: totals.sent,
        finished: totals.finished,
    }
}

const fn totals_in(totals: pb::Totals) -> Totals {
    Totals {
        scheduled: totals.scheduled,
        sent: totals.sent,
        finished: totals.finished,
    }
}

fn terms_in(welcome: &pb::Welcome) -> Result<Terms, WireError> {
    if welcome.heartbeat_ns == 0 || welcome.lease_ns == 0 {
        return Err(WireError::Impossible("terms"));
    }
    Ok(Terms {
        heartbeat: Duration::from_nanos(welcome.heartbeat_ns),
        lease: Duration::from_nanos(welcome.lease_ns),
    })
}

fn heartbeat_out(
    sent_at: Offset,
    clock: Option<ClockEstimate>,
    gauges: Gauges,
    epoch: u32,
) -> pb::Heartbeat {
    pb::Heartbeat {
        sent_at: sent_at.as_nanos(),
        clock: clock.map(|clock| pb::ClockEstimate {
            offset_ns: clock.offset_ns,
            bound_ns: clock.bound_ns,
        }),
        gauges: Some(gauges_out(gauges)),
        epoch,
    }
}

fn interval_out(interval: Interval) -> pb::Interval {
    pb::Interval {
        run: interval.run,
        seq: interval.seq,
        from_offset: interval.from.as_nanos(),
        to_offset: interval.to.as_nanos(),
        gauges: Some(gauges_out(interval.gauges)),
        tally: Some(tally::encode(interval.tally)),
    }
}

fn interval_in(interval: pb::Interval) -> Result<Interval, WireError> {
    if interval.to_offset < interval.from_offset {
        return Err(WireError::Impossible("to_offset"));
    }
    if interval.seq == 0 {
        return Err(WireError::Impossible("seq"));
    }
    let tally = tally::decode(interval.tally.ok_or(WireError::Missing("tally"))?)?;
    bounds::check(&tally)?;
    Ok(Interval {
        run: interval.run,
        seq: interval.seq,
        from: Offset::from_nanos(interval.from_offset),
        to: Offset::from_nanos(interval.to_offset),
        gauges: gauges_in(interval.gauges)?,
        tally,
    })
}

fn prepare_out(prepare: &Prepare) -> Result<pb::Prepare, WireError> {
    Ok(pb::Prepare {
        run: prepare.run,
        plan_version: plan::VERSION,
        plan_json: plan::encode(&prepare.plan)?,
        worker: prepare.worker,
        alone: prepare.alone,
        share: Some(share::encode(&prepare.share)),
        secrets: prepare
            .secrets
            .as_ref()
            .map(|all| Box::new(secrets::encode(all))),
    })
}

fn prepare_in(prepare: pb::Prepare) -> Result<Prepare, WireError> {
    Ok(Prepare {
        run: prepare.run,
        worker: prepare.worker,
        alone: prepare.alone,
        plan: plan::decode(prepare.plan_version, &prepare.plan_json)?,
        share: share::decode(prepare.share.ok_or(WireError::Missing("share"))?)?,
        secrets: prepare
            .secrets
            .map(|all| secrets::decode(*all))
            .transpose()?,
    })
}

fn gauges_out(gauges: Gauges) -> pb::Gauges {
    pb::Gauges {
        users: gauges.users,
        in_flight: gauges.in_flight,
        waiting: gauges.waiting,
    }
}

fn gauges_in(gauges: Option<pb::Gauges>) -> Result<Gauges, WireError> {
    let gauges = gauges.ok_or(WireError::Missing("gauges"))?;
    Ok(Gauges {
        users: gauges.users,
        in_flight: gauges.in_flight,
        waiting: gauges.waiting,
    })
}

const fn state_out(state: WorkerState) -> pb::WorkerState {
    match state {
        WorkerState::Idle => pb::WorkerState::Idle,
        WorkerState::Preparing => pb::WorkerState::Preparing,
        WorkerState::Ready => pb::WorkerState::Ready,
        WorkerState::Running => pb::WorkerState::Running,
        WorkerState::Done => pb::WorkerState::Done,
        WorkerState::Lost => pb::WorkerState::Lost,
    }
}

fn state_in(number: i32) -> Result<WorkerState, WireError> {
    match pb::WorkerState::try_from(number) {
        Ok(pb::WorkerState::Idle) => Ok(WorkerState::Idle),
        Ok(pb::WorkerState::Preparing) => Ok(WorkerState::Preparing),
        Ok(pb::WorkerState::Ready) => Ok(WorkerState::Ready),
        Ok(pb::WorkerState::Running) => Ok(WorkerState::Running),
        Ok(pb::WorkerState::Done) => Ok(WorkerState::Done),
        Ok(pb::WorkerState::Lost) => Ok(WorkerState::Lost),
        Ok(pb::WorkerState::Unspecified) | Err(_) => Err(WireError::Unknown {
            what: "state of a worker",
            number,
        }),
    }
}

/// A text of another process: not too long, and nothing in it that moves a terminal's cursor.
fn text(what: &'static str, text: String, most: usize) -> Result<String, WireError> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.len() > most || text.contains(harmful) {
        return Err(WireError::Impossible(what));
    }
    Ok(text)
}

/// One's own text, made to fit: cut at a character's edge, control characters replaced.
fn cut(text: String, most: usize) -> String {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    let mut text = if text.contains(harmful) {
        text.replace(harmful, " ")
    } else {
        text
    };
    if text.len() > most {
        let edge = (0..=most).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(edge.unwrap_or(0));
    }
    text
}

fn check_size(message: &impl prost::Message) -> Result<(), WireError> {
    let bytes = message.encoded_len();
    if bytes > MAX_MESSAGE_BYTES {
        return Err(WireError::TooLarge(bytes));
    }
    Ok(())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
