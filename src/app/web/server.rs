//! Serves the page on a thread and a runtime of its own: neither a browser nor the making of its answers holds up a run.
//! What is answered is `api`'s matter, and who may ask is `guard`'s.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use tokio_util::task::TaskTracker;

use super::api;
use super::guard::{Guard, Way};
use super::site::Site;
use crate::app::console::complain;
use crate::app::failure::Failure;
use crate::app::security;
use crate::app::surroundings::{draw, host_name};
use crate::config::WebOptions;
use crate::domain::Secret;

/// Connections at a time; who comes then waits in the system's queue.
const CONNECTIONS: usize = 128;
/// How long a client may take to say what it wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// A moment of rest when the system has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// The page, served as long as this is held.
pub(super) struct Server {
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Begins to serve, and tells where.
    pub(super) fn open(options: &WebOptions, site: &Arc<Site>) -> Result<Self, Failure> {
        let bind = &options.bind;
        let listener = TcpListener::bind((bind.host.as_str(), bind.port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot serve the web page on {bind}"))
            .map_err(|error| Failure::usage(error).hint("--web-port takes another port, 0 any"))?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let token = match &options.token_file {
            Some(path) => Some(security::token_in(path, "--web-token-file")?),
            None if address.ip().is_loopback() => None,
            None => Some(drawn().map_err(Failure::failed)?),
        };
        tell(options, address, token.as_ref());
        let way = Way {
            port: address.port(),
            is_local: address.ip().is_loopback(),
            token,
        };
        let router = api::router(Arc::clone(site), Guard::new(&way));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::failed)?;
        thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || runtime.block_on(serve(listener, router, stopped)))
            .map_err(Failure::failed)?;
        Ok(Self { _stop: stop })
    }
}

/// 256 bits that nobody guesses.
fn drawn() -> io::Result<Secret> {
    let words = (0..4).map(|_| draw().map(|word| format!("{word:016x}")));
    Ok(Secret::new(words.collect::<io::Result<String>>()?))
}

/// A token that was drawn is told once, on standard error alone: the log may be a file, and stands on the page.
fn tell(options: &WebOptions, address: SocketAddr, token: Option<&Secret>) {
    let host = if address.ip().is_unspecified() {
        host_name().unwrap_or_else(|| options.bind.host.clone())
    } else {
        address.ip().to_string()
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let url = format!("http://{host}:{}/", address.port());
    match token {
        None => tracing::info!("web page: {url}"),
        Some(_) if options.token_file.is_some() => {
            tracing::info!("web page: {url}?token=… with the token of --web-token-file");
        }
        Some(token) => complain(&format!("web page: {url}?token={}", token.expose())),
    }
    if !address.ip().is_loopback() {
        tracing::warn!(
            "the web page is served beyond this machine without TLS: put it behind a proxy that has it, or use ssh -L"
        );
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        tracing::warn!("the web page cannot be served");
        return;
    };
    let connections = TaskTracker::new();
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            came = listener.accept() => match came {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, router.clone(), place));
                }
                Err(_) => tokio::time::sleep(REST).await,
            },
        }
    }
}

async fn answer(stream: tokio::net::TcpStream, router: Router, _place: OwnedSemaphorePermit) {
    let mut builder = Builder::new(hyper_util::rt::TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN);
    // Who goes away in the middle of an answer is nobody's failure.
    let _gone = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}
