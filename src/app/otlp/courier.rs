//! Brings messages to a collector, on a thread and a runtime of its own. Its queue is bounded: what does not fit is dropped and
//! counted. A collector that is busy or away is asked again a few times; what it does not take then is counted too.

use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::Collector;
use crate::app::failure::Failure;
use crate::domain::Secret;
use crate::telemetry;

/// Messages that may wait.
const QUEUE: usize = 64;
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what waits is brought still when there is no more to come.
const LAST: Duration = Duration::from_secs(5);
/// Pauses before a message is brought once more.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
];

/// One message.
pub(super) struct Parcel {
    /// Behind the collector's address.
    pub(super) path: &'static str,
    pub(super) body: Vec<u8>,
    /// How many things it tells of.
    pub(super) items: u64,
}

/// What became of all things that were to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The collector took them.
    pub(super) taken: u64,
    /// It did not.
    pub(super) refused: u64,
    /// They did not fit into the queue.
    pub(super) dropped: u64,
    /// Of those under way.
    under_way: u64,
    /// Why the last of them was not taken, without secrets.
    pub(super) last_error: Option<String>,
}

/// The sending end.
pub(super) struct Courier {
    queue: mpsc::Sender<Parcel>,
    closing: oneshot::Sender<()>,
    done: oneshot::Receiver<Delivery>,
    dropped: u64,
    url: String,
}

impl Courier {
    pub(super) fn start(collector: &Collector, name: &'static str) -> Result<Self, Failure> {
        let (queue, parcels) = mpsc::channel(QUEUE);
        let (closing, closed) = oneshot::channel();
        let (tell, done) = oneshot::channel();
        let round = Round::new(collector)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unstarted)?;
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let delivery = runtime.block_on(deliver(round, parcels, closed));
                // Whoever does not wait for it does not want it.
                let _ = tell.send(delivery);
            })
            .map_err(unstarted)?;
        Ok(Self {
            queue,
            closing,
            done,
            dropped: 0,
            url: collector.url.clone(),
        })
    }

    /// Hands a message over, unless too many wait. Does not wait.
    pub(super) fn send(&mut self, parcel: Parcel) {
        let items = parcel.items;
        if self.queue.try_send(parcel).is_err() {
            self.dropped += items;
        }
    }

    /// There are no more: what becomes of those that wait is known soon.
    pub(super) fn end(self) -> Ending {
        // A thread that is gone has a defect, which it has told.
        let _ = self.closing.send(());
        Ending {
            done: self.done,
            dropped: self.dropped,
            url: self.url,
        }
    }
}

fn unstarted(error: std::io::Error) -> Failure {
    Failure::failed(anyhow!(error).context("cannot start the thread that sends telemetry"))
}

/// What is still waited for.
pub(super) struct Ending {
    done: oneshot::Receiver<Delivery>,
    dropped: u64,
    url: String,
}

impl Ending {
    pub(super) async fn wait(self, what: &str) -> Option<Failure> {
        let delivery = self.done.await.unwrap_or_default();
        judged(delivery, self.dropped, what, &self.url)
    }

    pub(super) fn wait_blocking(self, what: &str) -> Option<Failure> {
        let delivery = self.done.blocking_recv().unwrap_or_default();
        judged(delivery, self.dropped, what, &self.url)
    }
}

/// Says what became of all. That nothing at all arrived is a failure, as of a file that cannot be written; anything less is told.
fn judged(delivery: Delivery, dropped: u64, what: &str, url: &str) -> Option<Failure> {
    let Delivery { taken, refused, .. } = delivery;
    let dropped = dropped + delivery.dropped;
    if refused + dropped == 0 {
        tracing::info!("{taken} {what} went to the collector at {url}");
        return None;
    }
    let why = delivery
        .last_error
        .unwrap_or_else(|| "too many waited".to_owned());
    if taken == 0 {
        let error = anyhow!("no {what} arrived at the collector at {url}: {why}");
        let hint =
            "is it up, and does it speak OTLP over HTTP there? the run's own figures are whole";
        return Some(Failure::failed(error).hint(hint));
    }
    tracing::warn!(
        "of {} {what}, {taken} went to the collector at {url}, {refused} were not taken and {dropped} dropped: {why}",
        taken + refused + dropped
    );
    None
}

/// Brings all there are. When there are no more, those that wait have a while left.
async fn deliver(
    round: Round,
    mut parcels: mpsc::Receiver<Parcel>,
    closed: oneshot::Receiver<()>,
) -> Delivery {
    let mut delivery = Delivery::default();
    let late = async {
        let _ = closed.await;
        sleep(LAST).await;
    };
    let in_time = tokio::select! {
        () = round.go(&mut parcels, &mut delivery) => true,
        () = late => false,
    };
    if !in_time {
        parcels.close();
        delivery.refused += std::mem::take(&mut delivery.under_way);
        while let Ok(parcel) = parcels.try_recv() {
            delivery.refused += parcel.items;
        }
        let why = || {
            format!(
                "it did not take them within {} s of the end",
                LAST.as_secs()
            )
        };
        delivery.last_error.get_or_insert_with(why);
    }
    delivery
}

/// How messages are brought.
struct Round {
    client: reqwest::Client,
    url: String,
    headers: HeaderMap,
    secrets: Vec<Secret>,
}

impl Round {
    fn new(collector: &Collector) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .no_proxy()
            // What lets us in at one place is no other's business.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::failed)?;
        let mut headers = collector.headers();
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, kind);
        Ok(Self {
            client,
            url: collector.url.clone(),
            headers,
            secrets: collector.secrets(),
        })
    }

    async fn go(&self, parcels: &mut mpsc::Receiver<Parcel>, delivery: &mut Delivery) {
        while let Some(parcel) = parcels.recv().await {
            delivery.under_way = parcel.items;
            let brought = self.bring(&parcel).await;
            delivery.under_way = 0;
            match brought {
                Ok(rejected) => {
                    let rejected = rejected.min(parcel.items);
                    delivery.refused += rejected;
                    delivery.taken += parcel.items - rejected;
                    if rejected > 0 {
                        delivery.last_error = Some("it rejected a part of a message".to_owned());
                    }
                }
                Err(why) => {
                    tracing::debug!("telemetry was not taken: {why}");
                    delivery.refused += parcel.items;
                    delivery.last_error = Some(why);
                }
            }
        }
    }

    /// Brings one message. Returns how many of its things were not taken, or why none was.
    async fn bring(&self, parcel: &Parcel) -> Result<u64, String> {
        let mut pauses = PAUSES.iter();
        loop {
            let (why, is_passing) = match self.try_once(parcel).await {
                Ok(rejected) => return Ok(rejected),
                Err(failed) => failed,
            };
            match pauses.next() {
                Some(pause) if is_passing => sleep(*pause).await,
                _ => return Err(why),
            }
        }
    }

    /// One try; if it fails, why, and whether another one may not.
    async fn try_once(&self, parcel: &Parcel) -> Result<u64, (String, bool)> {
        let request = self
            .client
            .post(format!("{}{}", self.url, parcel.path))
            .headers(self.headers.clone())
            .body(parcel.body.clone());
        let sent = request.send().await;
        let answer = sent.map_err(|error| (self.masked(&chain(&error)), true))?;
        let status = answer.status();
        if status.is_success() {
            let body = answer.bytes().await.unwrap_or_default();
            return Ok(telemetry::rejected(&body));
        }
        let is_passing = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err((format!("status {status}"), is_passing))
    }

    fn masked(&self, words: &str) -> String {
        let secrets = self.secrets.iter();
        secrets.fold(words.to_owned(), |words, secret| secret.masked_in(&words))
    }
}

fn chain(error: &reqwest::Error) -> String {
    crate::app::failure::chain(error)
}
