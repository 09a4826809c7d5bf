//! The page that Prometheus scrapes, of a run or of a worker's part: it listens, and hands out what `telemetry` makes of the last standing.
//! A page is made at most once a second and format, on a thread that may wait, however many ask for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::failure::Failure;
use super::observe::{Part, View};
use super::views::{Doing, Viewer};
use crate::config::{Endpoint, Page};
use crate::plan::Plan;
use crate::provider;
use crate::report::Standing;
use crate::telemetry::{self, Format, Subject};

/// Connections at a time; who comes then waits in the system's queue.
const CONNECTIONS: usize = 32;
/// How long a scraper may take to say what it wants, a kept connection to be used again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause after a failed accept: it fails when files run out, and those take a while to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page, while it is there.
pub(super) struct Prometheus {
    /// Ends with it.
    _serving: JoinSet<()>,
    linger: Duration,
}

impl Prometheus {
    /// Takes the port and serves the page of a run from now on.
    pub(super) async fn open(page: &Page, view: View) -> Result<Self, Failure> {
        let latest = move || {
            Some(Matter {
                run: view.run,
                worker: None,
                plan: Arc::clone(&view.plan),
                endpoint: Arc::clone(&view.endpoint),
                standing: Arc::clone(&view.standing.borrow()),
            })
        };
        Self::serve(page, Box::new(latest)).await
    }

    /// The same of whatever part a worker has at the time.
    pub(super) async fn of_part(
        page: &Page,
        part: watch::Receiver<Option<Part>>,
    ) -> Result<Self, Failure> {
        let latest = move || {
            let part = part.borrow().clone()?;
            Some(Matter {
                run: part.run,
                worker: Some(part.worker),
                plan: part.plan,
                endpoint: part.endpoint,
                standing: part.standing,
            })
        };
        Self::serve(page, Box::new(latest)).await
    }

    async fn serve(page: &Page, latest: Latest) -> Result<Self, Failure> {
        let bind = &page.bind;
        let listener = listen(bind).await?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        tracing::info!("metrics for Prometheus: http://{address}/metrics");
        let press = Arc::new(Press {
            latest,
            printed: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, press));
        Ok(Self {
            _serving: serving,
            linger: page.linger,
        })
    }

    /// Stays for a last scrape, if it was asked to.
    pub(super) async fn stay(self) {
        if !self.linger.is_zero() {
            let seconds = self.linger.as_secs_f64();
            tracing::info!(
                "the metrics stay for {seconds} s (--prometheus-linger); Ctrl-C ends that"
            );
            sleep(self.linger).await;
        }
        drop(self);
    }
}

impl Viewer for Prometheus {
    fn close(&mut self) -> Doing<'_, Vec<Failure>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn linger(self: Box<Self>) -> Doing<'static, ()> {
        Box::pin(self.stay())
    }
}

async fn listen(bind: &Endpoint) -> Result<TcpListener, Failure> {
    TcpListener::bind((bind.host.as_str(), bind.port))
        .await
        .with_context(|| format!("cannot listen on {bind} for --prometheus"))
        .map_err(|error| {
            Failure::usage(error).hint("take another port; 0 has the system choose one")
        })
}

/// Accepts until it is dropped, and everyone who is connected with it.
async fn serve(listener: TcpListener, press: Arc<Press>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, _): (_, SocketAddr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("nobody could be let in to the metrics: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let press = Arc::clone(&press);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&press)));
            // A scraper that breaks off is its own affair.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    press: Arc<Press>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    if request.uri().path() != "/metrics" {
        let words = Bytes::from_static(b"the metrics are at /metrics\n");
        return Ok(response(StatusCode::NOT_FOUND, text, words));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let words = Bytes::from_static(b"the metrics can be read alone\n");
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, text, words);
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return Ok(refused);
    }
    let format = Format::of(&accepted(request.headers()));
    let page = spawn_blocking(move || press.page(format)).await;
    Ok(match page {
        Ok(page) => {
            let kind = HeaderValue::from_static(format.content_type());
            response(StatusCode::OK, kind, page)
        }
        Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, text, Bytes::new()),
    })
}

/// All that is said to be accepted.
fn accepted(headers: &HeaderMap) -> String {
    let said = headers.get_all(ACCEPT).iter();
    let said: Vec<_> = said.filter_map(|value| value.to_str().ok()).collect();
    said.join(",")
}

fn response(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// What a page is of.
struct Matter {
    run: u64,
    /// Of one worker's part: that worker's number.
    worker: Option<u32>,
    plan: Arc<Plan>,
    endpoint: Arc<provider::Endpoint>,
    standing: Arc<Standing>,
}

/// Says how things stand now; nothing while there is no run.
type Latest = Box<dyn Fn() -> Option<Matter> + Send + Sync>;

/// Makes pages, and keeps the last of each format until the run stands otherwise.
struct Press {
    latest: Latest,
    printed: Mutex<BTreeMap<Format, (Arc<Standing>, Bytes)>>,
}

impl Press {
    fn page(&self, format: Format) -> Bytes {
        let Some(matter) = (self.latest)() else {
            return Bytes::new();
        };
        // Who comes meanwhile wants the same page.
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, page)) = printed.get(&format)
            && Arc::ptr_eq(of, &matter.standing)
        {
            return page.clone();
        }
        let subject = Subject {
            run: matter.run,
            plan: &matter.plan,
            path: &matter.endpoint.path,
            version: env!("CARGO_PKG_VERSION"),
            part: matter.worker,
        };
        let page = Bytes::from(telemetry::page(&subject, &matter.standing, format));
        printed.insert(format, (matter.standing, page.clone()));
        page
    }
}
