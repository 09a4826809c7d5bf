//! Carries what the machines of a world say from one to the other, through its network and its disk.
//! What happens to the world itself is in `world`.

use super::world::{Happening, MILLI, World};
use crate::cluster::{
    ConnId, Master, MasterEvent, MasterOutput, ToMaster, ToWorker, WorkerInput, WorkerOutput,
};
use crate::domain::Offset;

impl World {
    /// Carries all outputs of all machines.
    pub(super) fn carry(&mut self) {
        while let Some(output) = self.master.as_mut().and_then(Master::poll_output) {
            self.carry_from_master(output);
        }
        for node in 0..self.nodes.len() {
            while let Some(event) = self.nodes[node].engine.poll() {
                self.tell_worker(node, WorkerInput::Engine(event));
            }
            while let Some(output) = self.nodes[node].worker.poll_output() {
                self.carry_from_worker(node, output);
            }
        }
        // An engine may have answered a command at once.
        if self
            .nodes
            .iter()
            .any(|node| node.alive && node.engine.has_words())
        {
            self.carry();
        }
    }

    fn carry_from_master(&mut self, output: MasterOutput) {
        match output {
            MasterOutput::Send(conn, message) => {
                let lane = u8::from(matches!(message, ToWorker::Pulse { .. }));
                if let Some(node) = self.node_of(conn) {
                    let at = self.arrival(Some(node), conn, lane);
                    self.at(at, Happening::AtWorker(node, conn, message));
                }
            }
            MasterOutput::Close(conn) => {
                if let Some(node) = self.node_of(conn) {
                    let at = self.arrival(Some(node), conn, 0);
                    self.at(at, Happening::WorkerSeesClosed(node, conn));
                }
            }
            MasterOutput::Event(event) => {
                if let Some(master) = &self.master {
                    self.witness
                        .saw(&event, &master.snapshot(Offset::from_nanos(self.now)));
                }
                if self.told && !matches!(event, MasterEvent::Merged { .. }) {
                    eprintln!("{} master: {event:?}", Offset::from_nanos(self.now));
                }
                self.events.push(event);
            }
            MasterOutput::Persist(frame) if !self.disk_broken => {
                let number = frame.number;
                self.past.add(&frame).unwrap();
                let delay = self.below(self.disk);
                self.later(delay, Happening::Written(number));
            }
            MasterOutput::Persist(_) => {}
            MasterOutput::Finished(result) => {
                if self.told {
                    eprintln!("{:#?} {:?}", result.workers, result.ended_by);
                }
                assert!(self.result.is_none(), "a run ends once");
                self.witness.ended(&result);
                self.result = Some(*result);
            }
        }
    }

    fn carry_from_worker(&mut self, node: usize, output: WorkerOutput) {
        match output {
            WorkerOutput::Send(message) => self.send_to_master(node, message),
            WorkerOutput::Engine(command) => {
                let of = &mut self.nodes[node];
                of.engine.handle(of.own(self.now), command);
                self.look_at(node);
            }
            WorkerOutput::HangUp => self.cut(node, true),
            WorkerOutput::Orphaned { intervals, .. } => self.nodes[node].orphaned += intervals,
            WorkerOutput::Done(exit) => {
                self.nodes[node].exit = Some(exit);
                if let Some(conn) = self.nodes[node].conn.take() {
                    let at = self.arrival(Some(node), conn, 2);
                    self.at(at, Happening::MasterSeesClosed(conn));
                }
            }
        }
    }

    fn send_to_master(&mut self, node: usize, message: ToMaster) {
        let Some(conn) = self.nodes[node].conn else {
            return;
        };
        let lane = if matches!(message, ToMaster::Heartbeat { .. }) {
            3
        } else {
            2
        };
        let at = self.arrival(Some(node), conn, lane);
        if self.repeats && matches!(message, ToMaster::Interval(_)) && self.below(5) == 0 {
            let again = at + self.below(2_000) * MILLI;
            self.at(again, Happening::AtMaster(conn, message.clone()));
        }
        self.at(at, Happening::AtMaster(conn, message));
    }

    fn node_of(&self, conn: ConnId) -> Option<usize> {
        self.nodes.iter().position(|node| node.conn == Some(conn))
    }
}
