//! Looks at a server's metrics while it is under load, on a thread, a runtime and a connection of its own: what is measured
//! is neither waited for nor held up. What a page says is read in `gauges`.

use std::io;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::discover::{self, Way};
use super::failure::Failure;
use super::surroundings::wall_clock;
use crate::config::Settings;
use crate::domain::Secret;
use crate::gauges::{self, Look, Page, Watched, Watching};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// After so many failures in a row the server is left alone for a while: a page that is not there is no load.
const RESIGNED: u64 = 3;
const REST: Duration = Duration::from_secs(1);

/// How long the last look is waited for, and the one that is under way when the watching ends.
const LAST: Duration = Duration::from_secs(1);

/// Servers count some time after they have answered: so long before the last look.
const SETTLING: Duration = Duration::from_millis(200);

/// The longest page that is read.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Addresses that one look is sent on to at most.
const MOST_HOPS: u32 = 3;

/// Looks at a server until it is stopped; dropped, it stops without a word.
#[derive(Debug)]
pub(super) struct Sampler {
    stop: oneshot::Sender<()>,
    watched: oneshot::Receiver<Watched>,
}

impl Sampler {
    /// Begins to look at the page at `url`: now, and then every `step`. Keys and headers are those of the run, and go to the
    /// host of the run's own target alone.
    ///
    /// # Errors
    ///
    /// An address or settings that no request can be made of. A page that cannot be read is none: it is told in what was watched.
    pub(super) fn start(
        url: &str,
        step: Duration,
        settings: &Settings,
        way: Way<'_>,
    ) -> Result<Self, Failure> {
        Self::start_telling(url, step, settings, way, watch::channel(None).0)
    }

    /// The same; the last look is in `glance` meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::start`] has them.
    pub(super) fn start_telling(
        url: &str,
        step: Duration,
        settings: &Settings,
        way: Way<'_>,
        glance: watch::Sender<Option<Look>>,
    ) -> Result<Self, Failure> {
        let eye = Eye::new(url, settings, way, glance)?;
        let (stop, stopped) = oneshot::channel();
        let (tell, watched) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unstarted)?;
        thread::Builder::new()
            .name("server-metrics".to_owned())
            .spawn(move || {
                let watched = runtime.block_on(look_on(eye, step, stopped));
                // Whoever does not wait for it does not want it.
                let _ = tell.send(watched);
            })
            .map_err(unstarted)?;
        Ok(Self { stop, watched })
    }

    /// What was seen, with a last look when the server has had time to count its last tokens.
    pub(super) async fn stop(self) -> Watched {
        let _ = self.stop.send(());
        self.watched.await.unwrap_or_default()
    }
}

/// One look at the page at `url`: whose names it has, or why it cannot be read.
///
/// # Errors
///
/// As those of [`Sampler::start`].
pub(super) async fn glance(
    url: &str,
    settings: &Settings,
    way: Way<'_>,
) -> Result<Result<&'static str, String>, Failure> {
    // Nobody but the caller sees it.
    let (unseen, _) = watch::channel(None);
    let mut eye = Eye::new(url, settings, way, unseen)?;
    let looked = timeout(PATIENCE, eye.page()).await;
    let looked = looked.unwrap_or_else(|_| Err(anyhow!("no answer in {PATIENCE:?}")));
    Ok(looked
        .map(|page| page.server)
        .map_err(|error| eye.masked(&error)))
}

fn unstarted(error: io::Error) -> Failure {
    Failure::failed(anyhow::Error::new(error).context("cannot start to watch the server"))
}

/// Where a server usually has its page: at the root of the target.
pub(super) fn usual_page(base_url: &str) -> String {
    let path = base_url
        .split_once("://")
        .and_then(|(scheme, rest)| Some(scheme.len() + 3 + rest.find('/')?));
    let origin = path.map_or(base_url, |path| &base_url[..path]);
    format!("{origin}/metrics")
}

/// Both clocks at one moment: looks are stamped by the wall clock and never jump with it.
struct Clock {
    zero: Instant,
    wall_s: f64,
}

impl Clock {
    fn start() -> Self {
        let since = wall_clock().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            zero: Instant::now(),
            wall_s: since.unwrap_or_default().as_secs_f64(),
        }
    }

    fn wall_s(&self, at: Instant) -> f64 {
        self.wall_s + at.duration_since(self.zero).as_secs_f64()
    }

    /// The first multiple of `step` that is not past at `at`.
    fn next(&self, at: Instant, step: Duration) -> u32 {
        let steps = at
            .duration_since(self.zero)
            .as_nanos()
            .div_ceil(step.as_nanos().max(1));
        u32::try_from(steps).unwrap_or(u32::MAX)
    }
}

async fn look_on(mut eye: Eye, step: Duration, mut stop: oneshot::Receiver<()>) -> Watched {
    let mut watching = Watching::new(step);
    let clock = Clock::start();
    let (mut number, mut failed_in_a_row) = (0_u32, 0);
    loop {
        let due = clock.zero + step.saturating_mul(number);
        tokio::select! {
            biased;
            _ = &mut stop => break,
            () = sleep_until(due) => {}
        }
        let begun = Instant::now();
        watching.begun(begun.duration_since(due));
        let at_s = clock.wall_s(begun);
        let (saw, is_last) = {
            let mut looking = std::pin::pin!(eye.look_into(&mut watching, at_s));
            tokio::select! {
                biased;
                saw = &mut looking => (saw, false),
                // Nobody waits long for a page that hangs.
                _ = &mut stop => (timeout(LAST, looking).await.unwrap_or(false), true),
            }
        };
        if is_last {
            failed_in_a_row = if saw { 0 } else { RESIGNED };
            break;
        }
        failed_in_a_row = if saw { 0 } else { failed_in_a_row + 1 };
        let mut from = Instant::now();
        if failed_in_a_row >= RESIGNED {
            from += REST;
        }
        let next = clock.next(from, step).max(number.saturating_add(1));
        watching.skipped(u64::from(next - number - 1));
        number = next;
    }
    if failed_in_a_row == 0 {
        sleep(SETTLING).await;
        let at_s = clock.wall_s(Instant::now());
        // What does not answer by then has the counts of the look before.
        let _ = timeout(LAST, eye.look_into(&mut watching, at_s)).await;
    }
    watching.done()
}

/// A connection to a server's page.
struct Eye {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    glance: watch::Sender<Option<Look>>,
}

impl Eye {
    fn new(
        url: &str,
        settings: &Settings,
        way: Way<'_>,
        glance: watch::Sender<Option<Look>>,
    ) -> Result<Self, Failure> {
        let client = discover::client_of_page(url, settings, way)?;
        let url: Url = url
            .parse()
            .with_context(|| format!("`{url}` is no address of a page"))
            .map_err(Failure::usage)?;
        let target: Option<Url> = settings.target.base_url.parse().ok();
        // Another port is another server, whoever has it.
        let is_home = target.is_some_and(|target| target.origin() == url.origin());
        let mut headers = HeaderMap::new();
        if is_home {
            headers = own_headers(settings)?;
        }
        headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
        let mut secrets = settings.secrets.values();
        let page = settings.server_metrics.as_ref();
        let proxy = page.and_then(|page| page.proxy.as_ref());
        secrets.extend(proxy.and_then(|proxy| proxy.credentials.clone()));
        Ok(Self {
            client,
            url,
            headers,
            secrets,
            glance,
        })
    }

    /// One look, and whether there was anything to see.
    async fn look_into(&mut self, watching: &mut Watching, at_s: f64) -> bool {
        let looked = timeout(PATIENCE, self.page()).await;
        let looked = looked.unwrap_or_else(|_| Err(anyhow!("no answer in {PATIENCE:?}")));
        match looked {
            Ok(page) => {
                watching.saw(at_s, &page);
                self.glance.send_replace(Some(page.look(at_s)));
                true
            }
            Err(error) => {
                let words = self.masked(&error);
                if watching.failures() == 0 {
                    tracing::warn!("the server's metrics cannot be read: {words}");
                }
                watching.failed(words);
                false
            }
        }
    }

    async fn page(&mut self) -> Result<Page, anyhow::Error> {
        for _ in 0..MOST_HOPS {
            let request = self
                .client
                .get(self.url.clone())
                .headers(self.headers.clone());
            let response = request.send().await.map_err(reqwest::Error::without_url)?;
            let status = response.status();
            if status.is_redirection() {
                // From now on it is asked where the page is.
                self.url = self.moved(&response)?;
                continue;
            }
            if !status.is_success() {
                return Err(anyhow!("status {status}"));
            }
            let page = gauges::read(&text(response).await?);
            if page.server.is_empty() {
                return Err(anyhow!(
                    "the page has no names of vLLM, SGLang, TGI, llama.cpp or Triton"
                ));
            }
            return Ok(page);
        }
        Err(anyhow!("more than {MOST_HOPS} redirections"))
    }

    /// Another address of the same server: what is sent to it is for nobody else.
    fn moved(&self, response: &Response) -> Result<Url, anyhow::Error> {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let to = self
            .url
            .join(location.context("a redirection to nowhere")?)?;
        if to.origin() != self.url.origin() {
            return Err(anyhow!(
                "a redirection to another server, which is not followed"
            ));
        }
        Ok(to)
    }

    /// Servers like to quote a wrong key.
    fn masked(&self, error: &anyhow::Error) -> String {
        let words = format!("{error:#}");
        self.secrets
            .iter()
            .fold(words, |words, secret| secret.masked_in(&words))
    }
}

async fn text(mut response: Response) -> Result<String, anyhow::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        if body.len() + piece.len() > MOST_BYTES {
            return Err(anyhow!("the page is longer than {MOST_BYTES} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The headers and the key that requests to the target carry.
fn own_headers(settings: &Settings) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        headers.insert(header_name(name)?, header_value(value)?);
    }
    if let Some(key) = &settings.secrets.api_key {
        let (name, mut value) = discover::key_header(settings.provider, settings, key)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    for (name, value) in &settings.secrets.headers {
        let mut value = header_value(value.expose())?;
        value.set_sensitive(true);
        headers.insert(header_name(name)?, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, Failure> {
    HeaderName::try_from(name).map_err(Failure::usage)
}

fn header_value(value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::try_from(value).map_err(Failure::usage)
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
