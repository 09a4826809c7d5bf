//! A journal's frames as protobuf and back. They are checked like messages: a disk forgets and mixes up, too.
//! How they lie in a file is `journal`'s business.

use std::collections::BTreeMap;

use super::{
    MAX_NAME_BYTES, MAX_REASON_BYTES, WireError, cut, gauges_in, gauges_out, hello_in, hello_out,
    pb, share, state_in, state_out, tally, text, totals_in, totals_out,
};
use crate::cluster::journal::{Frame, Standing};
use crate::cluster::master::Halt;
use crate::cluster::{ClockEstimate, EndedBy, Epoch};
use crate::domain::Offset;

pub(super) fn encode(frame: Frame) -> pb::JournalFrame {
    let members = frame.members.into_iter();
    pb::JournalFrame {
        number: frame.number,
        run: frame.run,
        at: frame.at.as_nanos(),
        started_at: frame.started_at.map(Offset::as_nanos),
        halt: frame.halt.map(|halt| pb::Halt {
            at: halt.at.as_nanos(),
            abort: halt.abort,
        }),
        epochs: frame.epochs.into_iter().map(epoch_out).collect(),
        members: members
            .map(|(worker, standing)| standing_out(worker, standing))
            .collect(),
        delta: Some(tally::encode(frame.delta)),
        to_offset: frame.to.as_nanos(),
        gauges: frame.gauges.map(gauges_out),
        ended: frame.ended.map(ended_out),
    }
}

pub(super) fn decode(frame: pb::JournalFrame) -> Result<Frame, WireError> {
    let mut members = BTreeMap::new();
    for member in frame.members {
        let (worker, standing) = standing_in(member)?;
        if members.insert(worker, standing).is_some() {
            return Err(WireError::Impossible("members"));
        }
    }
    let epochs = frame.epochs.into_iter().map(epoch_in);
    Ok(Frame {
        number: frame.number,
        run: frame.run,
        at: Offset::from_nanos(frame.at),
        started_at: frame.started_at.map(Offset::from_nanos),
        halt: frame.halt.map(|halt| Halt {
            at: Offset::from_nanos(halt.at),
            abort: halt.abort,
        }),
        epochs: epochs.collect::<Result<_, _>>()?,
        members,
        delta: tally::decode(frame.delta.ok_or(WireError::Missing("delta"))?)?,
        to: Offset::from_nanos(frame.to_offset),
        gauges: frame
            .gauges
            .map(|gauges| gauges_in(Some(gauges)))
            .transpose()?,
        ended: frame.ended.map(ended_in).transpose()?,
    })
}

fn epoch_out(epoch: Epoch) -> pb::Epoch {
    pb::Epoch {
        from_offset: epoch.from.as_nanos(),
        load: Some(share::load_out(epoch.load)),
        members: epoch.members,
    }
}

fn epoch_in(epoch: pb::Epoch) -> Result<Epoch, WireError> {
    Ok(Epoch {
        from: Offset::from_nanos(epoch.from_offset),
        load: share::load_in(epoch.load.ok_or(WireError::Missing("load"))?)?,
        members: epoch.members,
    })
}

fn standing_out(worker: u32, of: Standing) -> pb::Standing {
    pb::Standing {
        worker,
        hello: Some(hello_out(of.hello)),
        state: state_out(of.state).into(),
        part: of.part,
        left_early: of.left_early,
        handed_over: of.handed_over,
        was_missing: of.was_missing,
        last: of.last.map(|(last_seq, totals)| pb::Final {
            run: 0,
            last_seq,
            totals: Some(totals_out(totals)),
        }),
        clock: of.clock.map(|clock| pb::ClockEstimate {
            offset_ns: clock.offset_ns,
            bound_ns: clock.bound_ns,
        }),
        merged_to: of.merged_to,
        ahead: of.ahead,
        intervals: of.intervals,
        counts: Some(tally::counts_out(of.counts)),
        finished: of.finished,
        confirmed_offset: of.confirmed_to.as_nanos(),
    }
}

fn standing_in(of: pb::Standing) -> Result<(u32, Standing), WireError> {
    let last = |last: pb::Final| {
        let totals = last.totals.ok_or(WireError::Missing("totals"))?;
        Ok((last.last_seq, totals_in(totals)))
    };
    let standing = Standing {
        hello: hello_in(of.hello.ok_or(WireError::Missing("hello"))?)?,
        state: state_in(of.state)?,
        part: of.part,
        left_early: of.left_early,
        handed_over: of.handed_over,
        was_missing: of.was_missing,
        last: of.last.map(last).transpose()?,
        clock: of.clock.map(|clock| ClockEstimate {
            offset_ns: clock.offset_ns,
            bound_ns: clock.bound_ns,
        }),
        merged_to: of.merged_to,
        ahead: of.ahead,
        intervals: of.intervals,
        counts: tally::counts_in(of.counts.ok_or(WireError::Missing("counts"))?),
        finished: of.finished,
        confirmed_to: Offset::from_nanos(of.confirmed_offset),
    };
    Ok((of.worker, standing))
}

fn ended_out(ended: EndedBy) -> pb::EndedBy {
    use pb::ended_by::{self, How};
    let name = |name| cut(name, MAX_NAME_BYTES);
    let how = match ended {
        EndedBy::Time => How::Time(ended_by::Time {}),
        EndedBy::MaxRequests => How::MaxRequests(ended_by::MaxRequests {}),
        EndedBy::Stopped => How::Stopped(ended_by::Stopped {}),
        EndedBy::Aborted => How::Aborted(ended_by::Aborted {}),
        EndedBy::WorkersLost => How::WorkersLost(ended_by::WorkersLost {}),
        EndedBy::WorkerLost { worker } => How::WorkerLost(ended_by::WorkerLost {
            worker: name(worker),
        }),
        EndedBy::MasterGone => How::MasterGone(ended_by::MasterGone {}),
        EndedBy::TooFewWorkers { present, expected } => {
            How::TooFewWorkers(ended_by::TooFewWorkers {
                present: present.into_iter().map(name).collect(),
                expected,
            })
        }
        EndedBy::Unable { worker, reason } => How::Unable(ended_by::WorkerUnable {
            worker: name(worker),
            reason: cut(reason, MAX_REASON_BYTES),
        }),
    };
    pb::EndedBy { how: Some(how) }
}

fn ended_in(ended: pb::EndedBy) -> Result<EndedBy, WireError> {
    use pb::ended_by::How;
    let name = |name| text("name", name, MAX_NAME_BYTES);
    Ok(match ended.how.ok_or(WireError::Missing("end"))? {
        How::Time(_) => EndedBy::Time,
        How::MaxRequests(_) => EndedBy::MaxRequests,
        How::Stopped(_) => EndedBy::Stopped,
        How::Aborted(_) => EndedBy::Aborted,
        How::WorkersLost(_) => EndedBy::WorkersLost,
        How::WorkerLost(of) => EndedBy::WorkerLost {
            worker: name(of.worker)?,
        },
        How::MasterGone(_) => EndedBy::MasterGone,
        How::TooFewWorkers(of) => EndedBy::TooFewWorkers {
            present: of.present.into_iter().map(name).collect::<Result<_, _>>()?,
            expected: of.expected,
        },
        How::Unable(of) => EndedBy::Unable {
            worker: name(of.worker)?,
            reason: text("reason", of.reason, MAX_REASON_BYTES)?,
        },
    })
}
