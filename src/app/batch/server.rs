//! The server of a batch benchmark: single requests for completions, timed from sent to the end of the body.
//! One request at a time or some beside each other, so reqwest serves; nothing here is a load.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::future::join_all;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::SharedArgs;
use crate::app::failure::Failure;
use crate::app::surroundings::variable;
use crate::app::target::read_text;
use crate::batch::{Durations, Figures, read_figures};
use crate::client::TlsSettings;
use crate::config;
use crate::domain::Secret;
use crate::provider;

/// Where to send, and how often.
pub(super) struct Server {
    client: reqwest::Client,
    base_url: String,
    key: Option<Secret>,
    pub(super) model: String,
    /// The longest prompt, as the list of models has it.
    pub(super) longest: Option<u32>,
    /// Whose server it is, by `owned_by`.
    owner: String,
    retries: u32,
    retry_delay: Duration,
    generators: u32,
    servers: u32,
}

/// An answer, and how long it took.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) figures: Figures,
    /// From sent to the end of the body, in seconds.
    pub(super) client_s: f64,
}

/// Requests that are sent one after another before workers are named one by one, so that each has its own caches.
const WARM_UP: u32 = 64;

impl Server {
    /// Asks the server for its models.
    pub(super) async fn meet(args: &SharedArgs) -> Result<Self, Failure> {
        let base_url = args.base_url.clone();
        let base_url = base_url.or_else(|| variable("FIREWORKS_BASE_URL"));
        let base_url = base_url.unwrap_or_else(|| "http://localhost".to_owned());
        let key = args.api_key.clone();
        let key = key.or_else(|| variable("API_KEY"));
        let key = key.or_else(|| variable("FIREWORKS_API_KEY"));
        let mut server = Self {
            client: client(args)?,
            base_url: config::base_url(&base_url).map_err(|error| {
                let hint = error.hint();
                Failure::usage(anyhow!("{error}")).with_hint(hint)
            })?,
            key: key.map(Secret::new),
            model: args.model.clone().unwrap_or_default(),
            longest: None,
            owner: String::new(),
            retries: args.retries,
            retry_delay: Duration::from_secs(args.retry_delay),
            generators: args.num_gens,
            servers: args.num_servers,
        };
        server.look_at_models().await?;
        Ok(server)
    }

    /// Which model is asked, and where.
    pub(super) fn about(&self) -> String {
        format!("{} at {}", self.model, self.base_url)
    }

    async fn look_at_models(&mut self) -> Result<(), Failure> {
        let listed = match self.models().await {
            Ok(listed) => listed,
            // A model that was named needs no list.
            Err(_) if !self.model.is_empty() => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let wanted = |model: &&Value| self.model.is_empty() || model["id"] == self.model.as_str();
        let models = listed["data"].as_array();
        let Some(model) = models.and_then(|models| models.iter().find(wanted)) else {
            return if self.model.is_empty() {
                Err(Failure::usage(anyhow!("the server lists no model")).hint("--model NAME"))
            } else {
                Ok(())
            };
        };
        model["id"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.model);
        model["owned_by"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.owner);
        let longest = model["max_model_len"]
            .as_u64()
            .or_else(|| model["context_length"].as_u64());
        self.longest = longest.and_then(|longest| u32::try_from(longest).ok());
        Ok(())
    }

    async fn models(&self) -> Result<Value, Failure> {
        let url = format!("{}/v1/models", self.base_url);
        let answer = self.with_key(self.client.get(&url)).send().await;
        let refused = |error: reqwest::Error| {
            let error = anyhow::Error::new(error.without_url());
            Failure::usage(error.context(format!("cannot ask `{url}`")))
                .hint("is the server up, and is --base-url its address?")
        };
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map_err(refused)?.json().await.map_err(refused)
    }

    fn with_key(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {}", key.expose())),
            None => request,
        }
    }

    /// The fields that make an answer as long as it is to be, for servers that are known to take them.
    pub(super) fn full_length(&self, max_tokens: u32) -> Value {
        match self.owner.to_ascii_lowercase().as_str() {
            "vllm" | "sglang" | "llamacpp" => json!({"ignore_eos": true}),
            "fireworks" => json!({"min_tokens": max_tokens}),
            _ => json!({}),
        }
    }

    /// One request for completions, sent again as often as the options say.
    ///
    /// `Ok(Err(words))`: the server does not take such a request.
    pub(super) async fn complete(
        &self,
        body: &Value,
        worker: Option<u32>,
    ) -> Result<Result<Answer, String>, Failure> {
        let mut left = self.retries;
        loop {
            match self.once(body, worker).await {
                Ok(answer) => return Ok(answer),
                Err(words) if left > 0 => {
                    left -= 1;
                    tracing::warn!(
                        "{words}; once more in {} s ({left} left)",
                        self.retry_delay.as_secs()
                    );
                    tokio::time::sleep(self.retry_delay).await;
                }
                Err(words) => return Err(Failure::failed(anyhow!("{words}"))),
            }
        }
    }

    /// One request that is not sent again, whatever becomes of it.
    pub(super) async fn try_once(
        &self,
        body: &Value,
        worker: Option<u32>,
    ) -> Result<Answer, String> {
        self.once(body, worker).await.and_then(|answer| answer)
    }

    async fn once(
        &self,
        body: &Value,
        worker: Option<u32>,
    ) -> Result<Result<Answer, String>, String> {
        let url = format!("{}/v1/completions", self.base_url);
        let mut request = self.with_key(self.client.post(url)).json(body);
        if let Some(worker) = worker {
            // The server's number varies first.
            let (server, generator) = (
                worker % self.servers,
                worker / self.servers % self.generators,
            );
            request = request
                .header("x-fireworks-generator-worker-service-index", server)
                .header("x-fireworks-generator-worker-local-index", generator);
        }
        let sent = Instant::now();
        let broken =
            |error: reqwest::Error| self.masked(&crate::app::failure::chain(&error.without_url()));
        let answer = request.send().await.map_err(broken)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.map_err(broken)?;
        let client_s = sent.elapsed().as_secs_f64();
        if !status.is_success() {
            let words = self.masked(&format!(
                "status {status}: {}",
                provider::error_text(&bytes)
            ));
            let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return if later { Err(words) } else { Ok(Err(words)) };
        }
        let body: Value = serde_json::from_slice(&bytes)
            .map_err(|error| format!("the answer is not JSON: {error}"))?;
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Ok(Ok(Answer {
            figures: read_figures(&header, &body),
            client_s,
        }))
    }

    /// Servers like to quote a wrong key.
    fn masked(&self, words: &str) -> String {
        self.key
            .iter()
            .fold(words.to_owned(), |words, key| key.masked_in(&words))
    }

    /// These requests beside each other, request i by worker i: the longest times and the sums of the counts.
    pub(super) async fn beside_each_other(
        &self,
        bodies: &[Value],
    ) -> Result<Result<Answer, String>, Failure> {
        let sent = Instant::now();
        let workers = (0..self.servers * self.generators).cycle();
        let requests = bodies.iter().zip(workers);
        let requests = requests.map(|(body, worker)| self.complete(body, Some(worker)));
        let answers = join_all(requests).await;
        let client_s = sent.elapsed().as_secs_f64();
        let mut all: Option<Figures> = None;
        for answer in answers {
            match answer? {
                Ok(answer) => {
                    all = Some(match all {
                        Some(figures) => together(&figures, &answer.figures),
                        None => answer.figures,
                    });
                }
                Err(words) => return Ok(Err(words)),
            }
        }
        let figures = all.unwrap_or_default();
        Ok(Ok(Answer { figures, client_s }))
    }

    /// Short requests before workers are named one by one.
    pub(super) async fn warm_up_workers(&self, prompt: &[u32]) -> Result<(), Failure> {
        for number in 0..WARM_UP {
            let body = json!({"model": self.model, "prompt": prompt, "max_tokens": 1, "user": number.to_string()});
            let worker = number % (self.servers * self.generators);
            if let Err(words) = self.complete(&body, Some(worker)).await? {
                return Err(Failure::failed(anyhow!("{words}")));
            }
        }
        Ok(())
    }
}

fn together(one: &Figures, other: &Figures) -> Figures {
    let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
    Figures {
        durations: Durations::longest(one.durations, other.durations),
        prompt_tokens: sum(one.prompt_tokens, other.prompt_tokens),
        cached_tokens: sum(one.cached_tokens, other.cached_tokens),
        completion_tokens: sum(one.completion_tokens, other.completion_tokens),
        speculated: sum(one.speculated, other.speculated),
    }
}

fn client(args: &SharedArgs) -> Result<reqwest::Client, Failure> {
    let ca_pem = args
        .ca_cert
        .as_deref()
        .map(|path| read_text(path, "the CA file", "--ca-cert takes a PEM file"))
        .transpose()?;
    let tls = TlsSettings {
        insecure_skip_verify: args.insecure_skip_verify,
        ca_pem,
        http2: false,
    };
    let tls = tls
        .config()
        .map_err(|error| Failure::usage(error).hint("--ca-cert takes a PEM file"))?;
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured((*tls).clone())
        .build()
        .context("cannot set up a client")
        .map_err(Failure::failed)
}
