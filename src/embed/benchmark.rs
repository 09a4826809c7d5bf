//! One benchmark in the caller's own runtime: a master and a worker in this process, joined as `llmload run` joins them.
//! It keeps nothing beyond the run, and nothing of it is global but the choice of a TLS library.

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::authority::Given;
use super::engine::{Aftermath, Made, Maker, Taking, serve};
use super::error::Error;
use super::handle::{Handle, Told, handle};
use super::job::{Seat, job, masks};
use super::outcome::{Outcome, summarised};
use super::planning::draw;
use crate::client::install_crypto;
use crate::cluster::{
    EndedBy, Master, MasterConfig, Prepare, ProcessClock, RunResult, WorkerConfig, engine_port,
    run_local,
};
use crate::domain::{AwsSecrets, HttpEngine, Record, Secret, StampSource};
use crate::metrics::judge;
use crate::plan::Plan;
use crate::provider::{self, Provider};
use crate::runner::Authority;
use crate::workload::{BUILT_IN, Tokenizer, TokenizerRef};

/// Finished requests that may wait for who wants them; then the engine waits, and its delay is measured.
const QUEUE: usize = 8_192;
/// Events that may wait to be passed over.
const EVENTS: usize = 64;

/// A benchmark that is not running yet.
#[derive(Debug)]
#[must_use]
pub struct Benchmark {
    plan: Plan,
    crew: Crew,
    handle: Handle,
    told: Told,
}

/// What the plan is carried out with.
#[derive(Debug)]
struct Crew {
    provider: Option<Arc<dyn Provider>>,
    authority: Option<Arc<dyn Authority>>,
    api_key: Option<Secret>,
    headers: IndexMap<String, Secret>,
    aws: AwsSecrets,
    proxy_credentials: Option<Secret>,
    tokenizer: Option<Arc<Tokenizer>>,
    threads: u32,
    source_ips: Vec<IpAddr>,
    http_engine: HttpEngine,
    stamps: StampSource,
    /// Taken when the run is prepared.
    wanted: Mutex<Wanted>,
    collected: Arc<Mutex<Collected>>,
}

/// Who takes the finished requests.
#[derive(Default)]
enum Wanted {
    #[default]
    Nobody,
    /// So many of them are kept.
    Kept(usize),
    Sent(mpsc::Sender<Record>),
    Called(Box<dyn FnMut(Record) + Send>),
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Kept(_) => "Kept",
            Self::Sent(_) => "Sent",
            Self::Called(_) => "Called",
        })
    }
}

/// What was kept.
#[derive(Debug, Default)]
struct Collected {
    records: Vec<Record>,
    left_out: u64,
}

impl Benchmark {
    /// Will carry out `plan`, on all cores.
    pub fn new(plan: Plan) -> Self {
        let (handle, told) = handle();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let crew = Crew {
            provider: None,
            authority: None,
            api_key: None,
            headers: IndexMap::new(),
            aws: AwsSecrets::default(),
            proxy_credentials: None,
            tokenizer: None,
            threads: u32::try_from(cores).unwrap_or(u32::MAX),
            source_ips: Vec::new(),
            http_engine: HttpEngine::Lean,
            stamps: StampSource::Kernel,
            wanted: Mutex::default(),
            collected: Arc::default(),
        };
        Self {
            plan,
            crew,
            handle,
            told,
        }
    }

    /// Speaks as `provider` does, instead of as the plan's [`provider::Spec`] says.
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.crew.provider = Some(provider);
        self
    }

    /// The key that [`Provider::auth`] makes a header of.
    pub fn api_key(mut self, key: Secret) -> Self {
        self.crew.api_key = Some(key);
        self
    }

    /// A header with a secret, for every request. Others are the plan's.
    pub fn header(mut self, name: &str, value: Secret) -> Self {
        self.crew.headers.insert(name.to_ascii_lowercase(), value);
        self
    }

    /// `user:password` of the plan's proxy.
    pub fn proxy_credentials(mut self, pair: Secret) -> Self {
        self.crew.proxy_credentials = Some(pair);
        self
    }

    /// What signs requests to Amazon's services, of a plan whose `provider.place.aws_region` says where they are; a bearer token
    /// lets in at Bedrock instead. Other APIs have no use for them.
    pub fn aws(mut self, keys: AwsSecrets) -> Self {
        self.crew.aws = keys;
        self
    }

    /// Lets each request in where no header that stays the same can.
    pub fn authority(mut self, authority: Arc<dyn Authority>) -> Self {
        self.crew.authority = Some(authority);
        self
    }

    /// Counts tokens: prompts become as long as the plan says, and outputs are counted where the server does not. It must be
    /// the plan's, if that names one.
    pub fn tokenizer(mut self, tokenizer: Arc<Tokenizer>) -> Self {
        self.crew.tokenizer = Some(tokenizer);
        self
    }

    /// Sends on so many threads, at least one, of its own; the caller's runtime sends nothing.
    pub fn threads(mut self, threads: u32) -> Self {
        self.crew.threads = threads.max(1);
        self
    }

    /// Connects from these addresses of this machine, in turn.
    pub fn source_ips(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.crew.source_ips = addresses.into_iter().collect();
        self
    }

    /// Who speaks HTTP/1.1, and where the times of received bytes come from.
    pub fn wire(mut self, engine: HttpEngine, stamps: StampSource) -> Self {
        self.crew.http_engine = engine;
        self.crew.stamps = stamps;
        self
    }

    /// Keeps the first `most` finished requests for [`Outcome::records`]; further ones are counted alone. Replaces the other
    /// ways to have them.
    pub fn collect_records(self, most: usize) -> Self {
        self.wanted(Wanted::Kept(most))
    }

    /// Sends each finished request into `queue`. What is not taken out fast enough is waited for: that slows the benchmark,
    /// which then says so. Replaces the other ways to have them.
    pub fn send_records(self, queue: mpsc::Sender<Record>) -> Self {
        self.wanted(Wanted::Sent(queue))
    }

    /// Calls `call` with each finished request, on a thread that may wait. Replaces the other ways to have them.
    pub fn on_record(self, call: impl FnMut(Record) + Send + 'static) -> Self {
        self.wanted(Wanted::Called(Box::new(call)))
    }

    fn wanted(mut self, wanted: Wanted) -> Self {
        self.crew.wanted = Mutex::new(wanted);
        self
    }

    /// Tells it what to do while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Carries the plan out. Needs a tokio runtime with time, of any kind. Dropping the future ends the run at once.
    ///
    /// # Errors
    /// What cannot be carried out, found before anything is sent. Requests that fail are no error: they are counted.
    pub async fn run(self) -> Result<Outcome, Error> {
        let Self {
            mut plan,
            mut crew,
            handle,
            told,
        } = self;
        // Those that the caller has count.
        drop(handle);
        install_crypto();
        crew.settle(&mut plan)?;
        let collected = Arc::clone(&crew.collected);
        let clock = ProcessClock::start();
        let (port, end) = engine_port(clock);
        let worker = WorkerConfig {
            name: "embedded".to_owned(),
            incarnation: draw()?,
            cores: crew.threads,
        };
        let config = MasterConfig::new(draw()?, plan.clone(), 1).local();
        let master = Master::new(config, clock.now());
        let (events, mut happening) = mpsc::channel(EVENTS);
        let performing =
            told.carried(|orders| run_local(master, worker, port, orders, events, None));
        let ignoring = async { while happening.recv().await.is_some() {} };
        // What a whole run keeps while it waits is too much for a caller's own state.
        let all =
            Box::pin(async { tokio::join!(performing, serve(end, Arc::new(crew)), ignoring) });
        let (result, aftermath, ()) = all.await;
        conclude(plan, result?, aftermath, &collected)
    }
}

/// Makes of a run that is over what its caller gets.
fn conclude(
    plan: Plan,
    result: RunResult,
    aftermath: Aftermath<Error>,
    collected: &Mutex<Collected>,
) -> Result<Outcome, Error> {
    if result.tally.counts.sent == 0
        && let EndedBy::Unable { reason, .. } = &result.ended_by
    {
        return Err(aftermath
            .fault
            .unwrap_or_else(|| Error::Nothing(reason.clone())));
    }
    let summary = summarised(&result);
    let kept = std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome {
        plan,
        verdict: judge(&summary),
        summary,
        answers: result.tally.answers,
        records: kept.records,
        records_left_out: kept.left_out,
        records_error: aftermath.records_error,
        notes: aftermath.notes,
        ended_by: result.ended_by,
        discrepancies: result.discrepancies,
    })
}

impl Crew {
    /// Has the plan agree with what it is carried out with: found before anything is sent.
    fn settle(&mut self, plan: &mut Plan) -> Result<(), Error> {
        // Who speaks other words than the plan's knows who is let in.
        if self.provider.is_none() && self.authority.is_none() {
            self.authority = self.given().authority(plan)?;
        }
        self.settle_tokenizer(plan)
    }

    const fn given(&self) -> Given<'_> {
        Given {
            api_key: self.api_key.as_ref(),
            headers: &self.headers,
            aws: &self.aws,
        }
    }

    /// Has the plan and the tokenizer agree; the built-in one is always there.
    fn settle_tokenizer(&mut self, plan: &mut Plan) -> Result<(), Error> {
        let wanted = &mut plan.workload.tokenizer;
        match (&self.tokenizer, &*wanted) {
            (Some(tokenizer), None) => {
                *wanted = Some(TokenizerRef {
                    name: tokenizer.name().to_owned(),
                    sha256: tokenizer.sha256().to_owned(),
                });
            }
            (None, Some(named)) if named.name == BUILT_IN => {
                let made = Tokenizer::built_in();
                let made = made.map_err(crate::workload::load::LoadError::BuiltIn)?;
                self.tokenizer = Some(Arc::new(made));
            }
            (None, Some(named)) => return Err(Error::NoTokenizer(named.name.clone())),
            _ => {}
        }
        Ok(())
    }

    /// Where finished requests go, and the work of taking them out there.
    fn takers(&self) -> (Option<mpsc::Sender<Record>>, Option<Taking<Error>>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let call: Box<dyn FnOnce(mpsc::Receiver<Record>) + Send> =
            match std::mem::take(&mut *wanted) {
                Wanted::Nobody => return (None, None),
                Wanted::Sent(queue) => return (Some(queue), None),
                Wanted::Kept(most) => {
                    let kept = Arc::clone(&self.collected);
                    Box::new(move |queue| {
                        *kept.lock().unwrap_or_else(PoisonError::into_inner) = collect(queue, most);
                    })
                }
                Wanted::Called(mut call) => Box::new(move |mut queue| {
                    while let Some(record) = queue.blocking_recv() {
                        call(record);
                    }
                }),
            };
        let (sender, queue) = mpsc::channel(QUEUE);
        let taking = Box::new(move |_zero| {
            call(queue);
            Ok(())
        });
        (Some(sender), Some(taking))
    }
}

fn collect(mut queue: mpsc::Receiver<Record>, most: usize) -> Collected {
    let mut collected = Collected::default();
    while let Some(record) = queue.blocking_recv() {
        if collected.records.len() < most {
            collected.records.push(record);
        } else {
            collected.left_out += 1;
        }
    }
    collected
}

impl Maker for Crew {
    type Fault = Error;

    fn make(&self, part: &Prepare) -> Result<Made<Error>, Error> {
        let provider = match &self.provider {
            Some(provider) => Arc::clone(provider),
            None => provider::build(&part.plan.provider)?,
        };
        let whole = self.api_key.iter().chain(self.headers.values());
        let whole = whole.chain(self.aws.values());
        let whole = whole.chain(&self.proxy_credentials);
        let masked = masks(whole, self.proxy_credentials.as_ref());
        let (records, taking) = self.takers();
        let seat = Seat {
            threads: self.threads,
            source_ips: &self.source_ips,
            serves_itself: false,
            http_engine: self.http_engine,
            stamps: self.stamps,
            tokenizer: self.tokenizer.clone(),
            provider,
            authority: self.authority.clone(),
            api_key: self.given().key(part.plan.provider.kind),
            headers: &self.headers,
            proxy_credentials: self.proxy_credentials.clone(),
            masked,
            records,
        };
        let (job, notes) = job(part, seat)?;
        Ok(Made { job, notes, taking })
    }

    fn words(error: &Error) -> String {
        error.to_string()
    }
}
