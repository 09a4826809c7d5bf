//! From a part of a plan to a job of the engine: builds the workload, tries the words, sets up TLS. The slow part before a run.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::address::{connector, reuse, sources};
use super::error::Error;
use super::open_files;
use crate::cluster::Prepare;
use crate::domain::{HttpEngine, Index, Record, Secret, StampSource};
use crate::plan::Plan;
use crate::provider::{Provider, Task};
use crate::runner::{Authority, Job};
use crate::workload::{Api, Data, PromptSource, Tokenizer, Workload, load};

/// What a machine adds to any plan.
pub(crate) struct Seat<'a> {
    /// Cores to send with.
    pub(crate) threads: u32,
    /// Addresses to connect from, in turn.
    pub(crate) source_ips: &'a [IpAddr],
    /// The server is in this process too, so that it has both ends of each connection.
    pub(crate) serves_itself: bool,
    pub(crate) http_engine: HttpEngine,
    pub(crate) stamps: StampSource,
    /// The plan's.
    pub(crate) tokenizer: Option<Arc<Tokenizer>>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) authority: Option<Arc<dyn Authority>>,
    pub(crate) api_key: Option<&'a Secret>,
    pub(crate) headers: &'a IndexMap<String, Secret>,
    pub(crate) proxy_credentials: Option<Secret>,
    /// What must not appear in an error's text.
    pub(crate) masked: Vec<Secret>,
    /// Takes each finished request.
    pub(crate) records: Option<mpsc::Sender<Record>>,
}

/// The job of a part, and what to say about its workload. Reads files and computes for seconds: not for an async thread.
pub(crate) fn job(part: &Prepare, seat: Seat<'_>) -> Result<(Job, Vec<String>), Error> {
    let plan = part.plan.clone();
    let ends = if seat.serves_itself { 2 } else { 1 };
    open_files::check(&plan, &part.share, seat.threads, ends)?;
    let sources = sources(seat.source_ips)?;
    let workload = Workload::new(
        &plan.workload,
        api(&plan.provider.task),
        plan.seed,
        seat.tokenizer.clone(),
        open_data(&plan)?,
        plan.schedule.users,
    )?;
    try_words(&workload, &*seat.provider, &plan)?;
    let notes = workload.notes().to_vec();
    let job = Job {
        run: part.run,
        worker: part.worker,
        share: part.share.clone(),
        workload: Arc::new(workload),
        authority: seat.authority,
        secret_headers: secret_headers(&*seat.provider, seat.api_key, seat.headers)?,
        secrets: seat.masked,
        provider: seat.provider,
        connector: connector(&plan, seat.proxy_credentials, sources)?,
        reuse: reuse(&plan),
        http_engine: seat.http_engine,
        stamps: seat.stamps,
        tokenizer: seat.tokenizer,
        records: seat.records,
        threads: seat.threads,
        window_start: plan.schedule.window_start(),
        plan,
    };
    Ok((job, notes))
}

/// What prompts are for.
const fn api(task: &Task) -> Api {
    match task {
        Task::Chat => Api::Chat,
        Task::Completion => Api::Completion,
        Task::Embeddings(_) => Api::Embeddings,
        Task::Rerank(_) => Api::Rerank,
    }
}

/// The data set that a plan names, as this machine has it; its content must be the plan's.
fn open_data(plan: &Plan) -> Result<Option<Arc<Data>>, Error> {
    let PromptSource::Data(reference) = &plan.workload.prompts else {
        return Ok(None);
    };
    Ok(Some(Arc::new(load::data(reference)?)))
}

/// What cannot be put into words is found before the run.
fn try_words(workload: &Workload, provider: &dyn Provider, plan: &Plan) -> Result<(), Error> {
    let first = if plan.schedule.is_open() {
        Index::Arrival(0)
    } else {
        Index::Turn { user: 0, turn: 0 }
    };
    let ask = workload.try_ask(first)?;
    provider.shape(&ask)?;
    Ok(())
}

/// The headers that carry secrets.
fn secret_headers(
    provider: &dyn Provider,
    key: Option<&Secret>,
    headers: &IndexMap<String, Secret>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut all = Vec::new();
    if let Some(key) = key {
        all.push(provider.auth(key)?);
    }
    for (name, secret) in headers {
        let header = HeaderName::try_from(name).map_err(|_| Error::HeaderName(name.clone()))?;
        let value = HeaderValue::try_from(secret.expose());
        let mut value = value.map_err(|_| Error::HeaderValue(name.clone()))?;
        value.set_sensitive(true);
        all.push((header, value));
    }
    Ok(all)
}

/// Shorter parts are words like `Basic`, which would mask more than they protect.
const SHORTEST_SECRET: usize = 7;

/// Secrets as they are masked wherever a server quotes them: whole, and in the parts that a server may quote alone (the key
/// without its scheme, a proxy's password without its user, the `pair` as it is sent).
pub(crate) fn masks<'a>(
    whole: impl Iterator<Item = &'a Secret> + Clone,
    pair: Option<&Secret>,
) -> Vec<Secret> {
    let parts = whole
        .clone()
        .flat_map(|secret| secret.expose().split([' ', ':']).map(Secret::new));
    let long_enough = |secret: &Secret| secret.expose().len() >= SHORTEST_SECRET;
    let sent = pair.map(|pair| Secret::new(STANDARD.encode(pair.expose())));
    whole
        .cloned()
        .chain(parts.filter(long_enough))
        .chain(sent)
        .collect()
}
