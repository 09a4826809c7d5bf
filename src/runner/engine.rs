//! The engine as a whole: starts the cores, merges what they measured once a second, ends them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use rand::RngExt as _;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::authority::Authority;
use super::control::{Control, CoreGauges};
use super::core::{ASIDE, Core, CoreSeat};
use super::counting;
use super::load::MachineWatch;
use super::meter::Meter;
use super::pacer::Pacer;
use super::reading::Finished;
use super::rehearsal;
use super::spares::Spares;
use super::steer::Helm;
use super::warm;
use crate::client::{
    Clock, Connector, Failure, HyperTransport, LeanTransport, ReadProbe, Reuse, Transport,
};
use crate::domain::{Ask, HttpEngine, Index, Offset, Outcome, Record, Secret, StampSource, Traced};
use crate::metrics::{Keeping, MAX_CORES, Rules, Tally};
use crate::plan::{Limits, Plan};
use crate::provider::Provider;
use crate::schedule::Share;
use crate::workload::{Tokenizer, Workload};

/// How often a tally is handed over.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// How long after an interval's end the engine waits for the parts of all cores.
const GRACE: Duration = Duration::from_millis(50);
const _: () = assert!(ASIDE.as_millis() < GRACE.as_millis());

/// Everything an engine needs to carry out its share of a plan.
pub struct Job {
    /// A number drawn for the run.
    pub run: u64,
    /// The run.
    pub plan: Plan,
    /// The number of this worker in the cluster, from 0: no other worker of the run has it.
    pub worker: u32,
    /// What it begins with.
    pub share: Share,
    /// What is asked.
    pub workload: Arc<Workload>,
    /// How it is said.
    pub provider: Arc<dyn Provider>,
    /// How the server is reached.
    pub connector: Connector,
    /// When connections are opened.
    pub reuse: Reuse,
    /// Who speaks HTTP/1.1.
    pub http_engine: HttpEngine,
    /// Where the stamps of received bytes come from.
    pub stamps: StampSource,
    /// Lets each request in where no header that stays the same can.
    pub authority: Option<Arc<dyn Authority>>,
    /// Headers that carry secrets, added to every request.
    pub secret_headers: Vec<(HeaderName, HeaderValue)>,
    /// What must not appear in an error's text.
    pub secrets: Vec<Secret>,
    /// Counts output tokens, where there is one.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// Takes each finished request, where somebody wants them.
    pub records: Option<mpsc::Sender<Record>>,
    /// Cores to send with. One without users costs next to nothing.
    pub threads: u32,
    /// Where the measured window starts.
    pub window_start: Offset,
}

/// What an engine measured since the last slice.
#[derive(Debug)]
pub struct Slice {
    /// Since when.
    pub from: Offset,
    /// Until when.
    pub to: Offset,
    /// Users alive.
    pub users: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests that are due and wait for a free user.
    pub waiting: u32,
    /// What was measured.
    pub tally: Tally,
}

/// Why an engine could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A core's runtime could not be started.
    #[error("cannot start a core")]
    Core(#[source] io::Error),
    /// The target cannot be spoken to at all.
    #[error("cannot speak to the target")]
    Target(#[from] Failure),
    /// A defect of this program.
    #[error("a core of the engine ended by a defect; its figures are missing")]
    Defect,
}

/// A running engine. Dropping it drops what is in flight.
pub struct Engine {
    pub(super) clock: Clock,
    control: Arc<Control>,
    pub(super) helm: Helm,
    gauges: Vec<Arc<CoreGauges>>,
    parts: mpsc::Receiver<Tally>,
    spares: Arc<Spares>,
    threads: Vec<JoinHandle<Result<(), EngineError>>>,
    counting: Option<JoinHandle<()>>,
    machine: Option<MachineWatch>,
    pending: Tally,
    /// Whole seconds that are handed over, or were past at the start.
    pub(super) slices: u32,
    over: bool,
    error: Option<EngineError>,
}

/// An engine whose cores are ready, their connections open. Dropping it ends them.
pub struct Standby {
    pub(super) engine: Engine,
    window_start: Offset,
    starts: Vec<oneshot::Sender<Clock>>,
}

impl Standby {
    /// Sending begins at `origin`. Where that is past by a second or more, the run is under way: nothing from before now is
    /// reported, sent, or counted as due.
    pub fn start(self, origin: Instant) -> Result<Engine, EngineError> {
        let Self {
            mut engine,
            window_start,
            starts,
        } = self;
        engine.start_at(Clock::starting_at(origin));
        let control = Arc::clone(&engine.control);
        let machine = MachineWatch::start(engine.clock, window_start, control)
            .map_err(EngineError::Thread)?;
        engine.machine = Some(machine);
        for start in starts {
            // A core that is gone is noticed like any other that ends before its time.
            let _ = start.send(engine.clock);
        }
        Ok(engine)
    }
}

impl Engine {
    /// Starts the cores and returns when they are ready: each has opened the connections that its users begin with.
    /// Dropping the future drops all of it.
    pub async fn prepare(job: Job) -> Result<Standby, EngineError> {
        let (ready, mut heard) = mpsc::channel(1);
        let standby = Self::start_cores(job, &ready)?;
        // From here on the cores alone hold it: when all are ready or gone, it closes.
        drop(ready);
        let mut waiting = standby.starts.len();
        while heard.recv().await.is_some() {
            waiting -= 1;
        }
        if waiting == 0 {
            return Ok(standby);
        }
        // A core has ended without a word; the others end when nobody can start them.
        drop(standby.starts);
        Err(standby.engine.finish().err().unwrap_or(EngineError::Defect))
    }

    fn start_cores(job: Job, ready: &mpsc::Sender<()>) -> Result<Standby, EngineError> {
        let control = Arc::new(Control::new(job.plan.schedule.end_of_sending()));
        let cores = job.threads.clamp(1, MAX_CORES);
        let (helm, first) = Helm::new(&job, cores, Arc::clone(&control));
        let job = Arc::new(job);
        let (sender, parts) = mpsc::channel(4 * cores as usize);
        let spares = Arc::new(Spares::new(cores as usize));
        let counting =
            counting::start(&job, &control, sender.clone()).map_err(EngineError::Thread)?;
        let (counter, counting) = counting.unzip();
        // Stands in until the start is known.
        let clock = Clock::starting_at(Instant::now());
        let mut engine = Self {
            clock,
            control: Arc::clone(&control),
            helm,
            gauges: Vec::new(),
            parts,
            spares: Arc::clone(&spares),
            threads: Vec::new(),
            counting,
            machine: None,
            pending: Tally::default(),
            slices: 0,
            over: false,
            error: None,
        };
        let mut starts = Vec::new();
        for index in 0..cores {
            let seat = CoreSeat {
                index,
                cores,
                first: Arc::clone(&first),
                job: Arc::clone(&job),
                clock,
                control: Arc::clone(&control),
                gauges: Arc::default(),
                counter: counter.clone(),
                parts: sender.clone(),
                spares: Arc::clone(&spares),
            };
            let (start, started) = oneshot::channel();
            let ready = ready.clone();
            let gate = Gate { ready, started };
            starts.push(start);
            engine.gauges.push(Arc::clone(&seat.gauges));
            engine
                .threads
                .push(start_core(seat, gate, index).map_err(EngineError::Thread)?);
        }
        Ok(Standby {
            engine,
            window_start: job.window_start,
            starts,
        })
    }

    /// Drops what is in flight; it is counted as cancelled.
    pub fn abort(&self) {
        self.control.abort(self.clock.now());
    }

    /// What was measured in the next second; `None` when everything is handed over. Safe to cancel.
    pub async fn next(&mut self) -> Option<Slice> {
        if self.over {
            return None;
        }
        let to = Offset::from(INTERVAL * (self.slices + 1));
        let wake = self.clock.instant_of(to + GRACE);
        loop {
            tokio::select! {
                biased;
                part = self.parts.recv() => match part {
                    Some(part) => {
                        self.pending.merge(&part);
                        self.spares.give_back(part);
                    }
                    None => {
                        self.over = true;
                        return Some(self.slice(self.clock.now()));
                    }
                },
                () = tokio::time::sleep_until(wake) => {
                    self.look_after_threads();
                    return Some(self.slice(to));
                }
            }
        }
    }

    /// A core that ended by an error takes its share with it: the others must not go on as if nothing were.
    fn look_after_threads(&mut self) {
        let (ended, running) = self.threads.drain(..).partition(JoinHandle::is_finished);
        self.threads = running;
        for thread in ended {
            self.note_end(thread);
        }
    }

    fn note_end(&mut self, thread: JoinHandle<Result<(), EngineError>>) {
        let ended = thread.join().unwrap_or(Err(EngineError::Defect));
        if let Err(error) = ended {
            self.abort();
            self.error.get_or_insert(error);
        }
    }

    fn slice(&mut self, to: Offset) -> Slice {
        let sum = |gauge: fn(&CoreGauges) -> &std::sync::atomic::AtomicU32| {
            self.gauges
                .iter()
                .map(|core| gauge(core).load(Relaxed))
                .sum()
        };
        let from = Offset::from(INTERVAL * self.slices);
        let (users, in_flight, waiting) = (
            sum(|core| &core.users),
            sum(|core| &core.in_flight),
            sum(|core| &core.waiting),
        );
        self.slices += 1;
        let mut tally = std::mem::take(&mut self.pending);
        if let Some(machine) = &self.machine {
            tally.generator.machine.merge(machine.take());
        }
        Slice {
            from,
            to,
            users,
            in_flight,
            waiting,
            tally,
        }
    }

    /// Ends the threads. Call it when `next` returned `None`.
    pub fn finish(mut self) -> Result<(), EngineError> {
        for thread in std::mem::take(&mut self.threads) {
            self.note_end(thread);
        }
        if self
            .counting
            .take()
            .is_some_and(|thread| thread.join().is_err())
            || self.control.has_defect()
        {
            self.error.get_or_insert(EngineError::Defect);
        }
        self.error.take().map_or(Ok(()), Err)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Where a core waits for the start.
struct Gate {
    /// Told once, when it is ready.
    ready: mpsc::Sender<()>,
    /// Brings the clock; closed when there will be no start.
    started: oneshot::Receiver<Clock>,
}

fn start_core(
    seat: CoreSeat,
    gate: Gate,
    index: u32,
) -> io::Result<JoinHandle<Result<(), EngineError>>> {
    thread::Builder::new()
        .name(format!("send-{index}"))
        .spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .map_err(EngineError::Core)?;
            let job = Arc::clone(&seat.job);
            runtime.block_on(async move {
                let meter = Rc::new(Meter::new(seat.clock, job.window_start));
                let probe = Rc::clone(&meter) as Rc<dyn ReadProbe>;
                let (connector, reuse, clock) = (job.connector.clone(), job.reuse, seat.clock);
                if job.connector.http2 || job.http_engine == HttpEngine::Hyper {
                    let transport =
                        HyperTransport::new(connector, reuse, clock, job.stamps, probe)?;
                    perform(seat, gate, Rc::new(transport), meter).await;
                } else {
                    let transport = LeanTransport::new(connector, reuse, clock, job.stamps, probe)?;
                    perform(seat, gate, Rc::new(transport), meter).await;
                }
                Ok(())
            })
        })
}

/// A core's life: opens connections, waits for the start, sends its share.
async fn perform<T>(mut seat: CoreSeat, gate: Gate, transport: Rc<T>, meter: Rc<Meter>)
where
    T: Transport + 'static,
{
    let Gate { ready, mut started } = gate;
    let ahead = async {
        let mut opened = warm::before_start(&transport, &seat).await;
        opened.extend(rehearsal::before_start(&transport, &seat).await);
        opened
    };
    let opened = tokio::select! {
        opened = ahead => opened,
        _ = &mut started => return,
    };
    // Who asked for the engine may be gone; then there is no start either.
    let _ = ready.send(()).await;
    drop(ready);
    let Ok(clock) = started.await else { return };
    seat.clock = clock;
    transport.begin(clock);
    meter.begin(clock);
    // It gets its memory before the start.
    let core = Core::new(seat, transport, Pacer::best(), meter);
    core.note_opened_ahead(&opened);
    tokio::time::sleep_until(clock.instant_of(Offset::ZERO)).await;
    core.run().await;
}

/// The header of W3C's Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Job {
    /// A request in the provider's words, with the secret headers.
    pub(super) fn words(&self, ask: &Ask) -> Result<Request<Bytes>, Failure> {
        let unspeakable = |error| {
            Failure::new(
                Outcome::Connect,
                format!("the request cannot be put into words: {error}"),
            )
        };
        let mut request = self.provider.shape(ask).map_err(unspeakable)?;
        for (name, value) in &self.secret_headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        if self.plan.observe.show_request {
            tracing::info!(target: "llmload::request", "{}", String::from_utf8_lossy(request.body()));
        }
        self.authorize(&mut request)?;
        Ok(request)
    }

    /// Lets `request` in, as of now.
    pub(super) fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), Failure> {
        let Some(authority) = &self.authority else {
            return Ok(());
        };
        let unable = |error| {
            Failure::new(
                Outcome::Connect,
                format!("the request cannot be let in: {error}"),
            )
        };
        authority.authorize(request).map_err(unable)
    }

    /// The time-outs of a request. An answer that comes as a whole has no first token to wait for.
    pub(super) fn limits(&self) -> Limits {
        let limits = self.plan.limits;
        if self.plan.provider.streams() {
            limits
        } else {
            Limits {
                first_token: None,
                ..limits
            }
        }
    }

    /// Tells the server that request `index` is traced, and by what name, if it is.
    pub(super) fn note_trace(&self, index: Index, request: &mut Request<Bytes>) {
        let Some(tracing) = &self.plan.observe.tracing else {
            return;
        };
        let traced = Traced::sampled(self.run, self.plan.seed, index, tracing.sample);
        let value = traced.and_then(|traced| HeaderValue::try_from(traced.traceparent()).ok());
        if let Some(value) = value {
            request.headers_mut().insert(TRACEPARENT, value);
        }
    }

    /// Whether the stream of request `index` is dropped after its first content event.
    pub(super) fn drops(&self, index: Index) -> bool {
        let share = self.plan.observe.cancel_rate;
        if share <= 0.0 || !self.plan.provider.streams() {
            return false;
        }
        let draw: f64 = self.plan.seed.stream("cancel", index.key()).random();
        draw < share
    }

    pub(super) fn show_answer(&self, finished: &Finished) {
        if self.plan.observe.show_response
            && let Some(text) = &finished.text
        {
            tracing::info!(target: "llmload::response", "{}", self.masked(text));
        }
    }

    /// What the fold of its requests needs to know.
    pub(super) fn rules(&self) -> Rules {
        let observe = &self.plan.observe;
        Rules {
            slos: observe.slos.clone(),
            first_visible: observe.first_visible_token,
            embeddings: self.plan.provider.task.embeds(),
            answers: observe.answers.map(|keep| Keeping {
                keep,
                at_most: observe.answers_at_most,
            }),
        }
    }

    /// Servers like to quote a wrong key in their error: it is masked before anybody sees it.
    pub(super) fn without_secrets(&self, mut record: Record) -> Record {
        if !record.error.is_empty() {
            record.error = self.masked(&record.error);
        }
        record
    }

    fn masked(&self, text: &str) -> String {
        let renewed = self.authority.as_ref().map(|it| it.secrets());
        let secrets = self.secrets.iter().chain(renewed.iter().flatten());
        secrets.fold(text.to_owned(), |text, secret| secret.masked_in(&text))
    }
}
