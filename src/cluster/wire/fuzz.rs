//! Damaged messages against the decoders, and what they still understand against the machines: nothing of it may panic
//! or grow without bound. Seeded: a case that fails is found again by its number.
//!
//! `LLMLOAD_FUZZ_CASES` asks for more cases than the usual ones, `LLMLOAD_FUZZ_SEED` for others.

use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tests::{bytes_of, to_master, to_worker};
use super::{
    FromMaster, MAX_MESSAGE_BYTES, decode_heartbeat, decode_pulse, decode_to_master,
    decode_to_worker, encode_to_worker, pb,
};
use crate::cluster::master::{Input as MasterInput, Master, MasterConfig, Output as MasterOutput};
use crate::cluster::tests::plan;
use crate::cluster::worker::{Input as WorkerInput, Output as WorkerOutput, Worker, WorkerConfig};
use crate::cluster::{
    ConnId, EngineCommand, EngineEvent, Hello, PROTOCOL_VERSION, Prepare, Terms, ToMaster, ToWorker,
};
use crate::domain::Offset;
use crate::schedule::Share;

/// In a usual run of the tests.
const CASES: u64 = 20_000;

/// Messages of each direction that are damaged.
const CORPUS: usize = 48;

/// Cases that one machine lives through, so that most of them meet one in the middle of its run.
const LIFE: u64 = 100;

/// Outputs of a machine for one input; more is a loop without end.
const MOST_OUTPUTS: usize = 10_000;

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be asked for more from outside"
)]
fn number(variable: &str, usual: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(usual, |text| text.parse().unwrap())
}

fn corpus() -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let mut all = Vec::new();
    for n in 0..CORPUS {
        let mut said = to_master().new_tree(&mut runner).unwrap().current();
        let mut told = to_worker().new_tree(&mut runner).unwrap().current();
        if n % 4 != 0 {
            of_this_run(&mut said, &mut told);
        }
        all.push(bytes_of(said));
        all.push(match encode_to_worker(told).unwrap() {
            FromMaster::Control(message) => message.encode_to_vec(),
            FromMaster::Pulse(reply) => reply.encode_to_vec(),
        });
    }
    all
}

/// What is said of any other run is hardly listened to.
fn of_this_run(said: &mut ToMaster, told: &mut ToWorker) {
    match said {
        ToMaster::Hello(hello) => {
            (hello.protocol, hello.incarnation) = (PROTOCOL_VERSION, 2);
            hello.run = hello.run.map(|_| RUN);
        }
        ToMaster::Ready { run, .. }
        | ToMaster::Unable { run, .. }
        | ToMaster::Final { run, .. } => *run = RUN,
        ToMaster::Interval(interval) => {
            interval.run = RUN;
            interval.seq = interval.seq % 8 + 1;
        }
        ToMaster::Heartbeat { .. } | ToMaster::Leaving => {}
    }
    match told {
        ToWorker::Welcome { run, .. }
        | ToWorker::Share { run, .. }
        | ToWorker::Start { run, .. }
        | ToWorker::Ack { run, .. }
        | ToWorker::Pulse { run, .. }
        | ToWorker::Stop { run, .. }
        | ToWorker::Abort { run } => *run = RUN,
        ToWorker::Prepare(prepare) => prepare.run = RUN,
        ToWorker::Refused { .. } | ToWorker::Quit => {}
    }
}

/// Numbers that lengths and tags lie with.
const LIES: [&[u8]; 6] = [
    &[0x00],
    &[0x7f],
    &[0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..8_u32) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8_u32),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => bytes.truncate(at),
        3 => {
            // The end of another message, from anywhere.
            let from = rng.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        4 => {
            let lie = LIES[rng.random_range(0..LIES.len())];
            let end = bytes.len().min(at + rng.random_range(0..3_usize));
            bytes.splice(at..end, lie.iter().copied());
        }
        5 => {
            let end = bytes.len().min(at + rng.random_range(0..64_usize));
            bytes.drain(at..end);
        }
        6 => {
            // The same twice: fields that may stand once, and keys of maps.
            let end = bytes.len().min(at + rng.random_range(0..256_usize));
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        _ => bytes.insert(at, rng.random()),
    }
    bytes.truncate(MAX_MESSAGE_BYTES);
}

/// A master in the middle of a run, with one worker that keeps to the rules and one that does not.
struct MasterAtWork {
    machine: Master,
    now: Offset,
}

const RUN: u64 = 7;
const HONEST: ConnId = ConnId(0);
const DAMAGED: ConnId = ConnId(1);

impl MasterAtWork {
    fn new() -> Self {
        let mut config = MasterConfig::new(RUN, plan(Some(20.0), Some(3_600), None), 2);
        config.journal = false;
        let digest = config.plan.digest();
        let mut master = Self {
            machine: Master::new(config, Offset::ZERO),
            now: Offset::ZERO,
        };
        for (conn, incarnation) in [(HONEST, 1), (DAMAGED, 2)] {
            let hello = Hello {
                version: "1".to_owned(),
                protocol: PROTOCOL_VERSION,
                name: format!("w{incarnation}"),
                incarnation,
                cores: 1,
                run: None,
            };
            master.hear(conn, ToMaster::Hello(hello));
        }
        for conn in [HONEST, DAMAGED] {
            master.hear(conn, ToMaster::Ready { run: RUN, digest });
        }
        master
    }

    fn hear(&mut self, conn: ConnId, message: ToMaster) {
        self.machine
            .handle(self.now, MasterInput::Message(conn, message));
        self.settle();
    }

    /// What is due, a little later.
    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.machine.handle_timeout(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..MOST_OUTPUTS {
            match self.machine.poll_output() {
                Some(MasterOutput::Close(conn)) => {
                    self.machine.handle(self.now, MasterInput::Closed(conn));
                }
                Some(_) => {}
                None => return,
            }
        }
        panic!("the master never stops talking");
    }
}

/// A worker in the middle of a run.
struct WorkerAtWork {
    machine: Worker,
    now: Offset,
    over: bool,
}

impl WorkerAtWork {
    fn new() -> Self {
        let config = WorkerConfig {
            name: "w".to_owned(),
            incarnation: 1,
            cores: 1,
        };
        let mut worker = Self {
            machine: Worker::new(config),
            now: Offset::ZERO,
            over: false,
        };
        let terms = Terms {
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(2),
        };
        let plan = plan(Some(20.0), Some(3_600), None);
        worker.take(WorkerInput::Connected);
        worker.hear(ToWorker::Welcome {
            worker: 0,
            run: RUN,
            terms,
        });
        worker.hear(ToWorker::Prepare(Box::new(Prepare {
            run: RUN,
            worker: 0,
            alone: false,
            share: Share::first(&plan.schedule, 0, 2),
            plan,
            secrets: None,
        })));
        worker.hear(ToWorker::Start {
            run: RUN,
            at: Offset::from(Duration::from_secs(1)),
        });
        worker
    }

    fn hear(&mut self, message: ToWorker) {
        self.take(WorkerInput::FromMaster(message));
    }

    fn take(&mut self, input: WorkerInput) {
        self.machine.handle(self.now, input);
        self.settle();
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.machine.handle_timeout(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..MOST_OUTPUTS {
            match self.machine.poll_output() {
                Some(WorkerOutput::Engine(EngineCommand::Prepare(_))) => {
                    let ready = WorkerInput::Engine(EngineEvent::Ready);
                    self.machine.handle(self.now, ready);
                }
                Some(WorkerOutput::Engine(EngineCommand::Stop { .. } | EngineCommand::Abort)) => {
                    let drained = WorkerInput::Engine(EngineEvent::Drained);
                    self.machine.handle(self.now, drained);
                }
                Some(WorkerOutput::Done(_)) => self.over = true,
                Some(_) => {}
                None => return,
            }
        }
        panic!("the worker never stops talking");
    }
}

/// What decoders and machines have understood.
#[derive(Debug, Default)]
struct Understood {
    by_master: u64,
    by_worker: u64,
}

fn try_all(
    bytes: &[u8],
    master: &mut MasterAtWork,
    worker: &mut WorkerAtWork,
    understood: &mut Understood,
) {
    let said = pb::WorkerMessage::decode(bytes).ok();
    let beat = pb::Heartbeat::decode(bytes).ok();
    let said = said.and_then(|message| decode_to_master(message).ok());
    let beat = beat.and_then(|beat| decode_heartbeat(beat).ok());
    for message in said.into_iter().chain(beat) {
        understood.by_master += 1;
        master.hear(DAMAGED, message);
    }
    let told = pb::MasterMessage::decode(bytes).ok();
    let told = told.and_then(|message| decode_to_worker(message).ok());
    let reply = pb::PulseReply::decode(bytes).ok().map(decode_pulse);
    for message in told.into_iter().chain(reply) {
        understood.by_worker += 1;
        worker.hear(message);
    }
}

#[test]
fn damaged_messages_harm_neither_decoders_nor_machines() {
    let seed = number("LLMLOAD_FUZZ_SEED", 1);
    let corpus = corpus();
    let mut understood = Understood::default();
    let (mut master, mut worker) = (MasterAtWork::new(), WorkerAtWork::new());
    let cases = number("LLMLOAD_FUZZ_CASES", CASES);
    for case in 0..cases {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(case);
        if case % LIFE == 0 || worker.over {
            (master, worker) = (MasterAtWork::new(), WorkerAtWork::new());
        }
        let mut bytes = corpus[rng.random_range(0..corpus.len())].clone();
        for _ in 0..rng.random_range(0..5_u32) {
            let other = &corpus[rng.random_range(0..corpus.len())];
            damage(&mut bytes, other, &mut rng);
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            try_all(&bytes, &mut master, &mut worker, &mut understood);
            let span = Duration::from_millis(rng.next_u64() % 700);
            master.wait(span);
            worker.wait(span);
        }));
        assert!(outcome.is_ok(), "case {case} of seed {seed}: {bytes:02x?}");
    }
    // Damage that nothing gets through would test the decoder alone.
    assert!(understood.by_master > cases / 20, "{understood:?}");
    assert!(understood.by_worker > cases / 20, "{understood:?}");
}

/// Bytes of address space that this process has ever had.
#[cfg(target_os = "linux")]
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn a_length_that_lies_makes_nobody_reserve_what_it_claims() {
    const CLAIMED: u64 = 0x7fff_ffff;
    let before = address_space();
    for tag in 0..=255_u8 {
        let mut bytes = vec![tag, 0xff, 0xff, 0xff, 0xff, 0x07];
        bytes.extend([0_u8; 64]);
        // The same inside of each kind of message.
        for outer in (1..=9_u8).map(|field| field << 3 | 2) {
            let mut nested = vec![outer, u8::try_from(bytes.len()).unwrap()];
            nested.extend(&bytes);
            for bytes in [&bytes, &nested] {
                let _ = pb::WorkerMessage::decode(&**bytes).map(decode_to_master);
                let _ = pb::MasterMessage::decode(&**bytes).map(decode_to_worker);
                let _ = pb::Heartbeat::decode(&**bytes).map(decode_heartbeat);
            }
        }
    }
    assert!(address_space() - before < CLAIMED);
}
