//! Asking the server what it is: its models, and by them its API. Not measured, so reqwest serves.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::StatusCode;

use super::failure::Failure;
use super::target;
use crate::config::Settings;
use crate::domain::Secret;
use crate::provider::{self, GuessError, Kind};

/// How long a server may take to say what it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// What of the way to the server does not stand in the settings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way<'a> {
    /// The content of the CA file.
    pub(super) ca_pem: Option<&'a str>,
    /// The address to connect from.
    pub(super) source: Option<IpAddr>,
}

/// The API and the model of a run, and what was guessed of them.
#[derive(Debug)]
pub(super) struct Discovered {
    pub(super) kind: Kind,
    pub(super) model: String,
    pub(super) guessed: bool,
}

/// What the settings say, and for the rest what the host's name or the server itself tells.
pub(super) async fn discover(settings: &Settings, way: Way<'_>) -> Result<Discovered, Failure> {
    // Servers like to quote a wrong key.
    find_out(settings, way)
        .await
        .map_err(|failure| failure.without(&settings.secrets.values()))
}

async fn find_out(settings: &Settings, way: Way<'_>) -> Result<Discovered, Failure> {
    let host = target::parse(&settings.target.base_url)?.host;
    let kind = match settings.provider {
        Some(kind) => Some(kind),
        None => provider::guess_from_host(&host),
    };
    let model = settings.model.as_deref();
    match (kind, model.or_else(|| unasked(settings, kind?))) {
        (Some(kind), Some(model)) => Ok(Discovered {
            kind,
            model: model.to_owned(),
            guessed: settings.provider.is_none(),
        }),
        (Some(kind), None) if kind.is_aws() => {
            let error = anyhow!("provider `{kind}` needs a model");
            Err(Failure::usage(error).hint("--model, an endpoint's name or a model's id or ARN"))
        }
        (Some(kind), None) if kind.is_google() => {
            let failure = Failure::usage(anyhow!("provider `{kind}` needs the name of a model"));
            Err(failure.hint("give --model; Google's servers list none that could be meant"))
        }
        _ => {
            let body = models(settings, kind, way).await?;
            let list = provider::read_models(&body).map_err(|error| undecided(&error))?;
            let (kind, model) = provider::choose(&list, kind, settings.model.as_deref())
                .map_err(|error| undecided(&error))?;
            Ok(Discovered {
                kind,
                model,
                guessed: true,
            })
        }
    }
}

/// The model's name where the API alone tells it: its servers list none.
pub(super) fn unasked(settings: &Settings, kind: Kind) -> Option<&str> {
    let google = settings.place.google.as_ref();
    match (kind, &settings.azure) {
        (Kind::Azure, Some(azure)) => azure.deployment.as_deref(),
        _ if kind.is_google() => google.and_then(|google| google.endpoint.as_deref()),
        _ => kind.unlisted_model(),
    }
}

fn undecided(error: &GuessError) -> Failure {
    Failure::usage(anyhow!("{error}")).hint(error.hint())
}

/// The body of `/v1/models`, or of what stands for it where the API has another root.
async fn models(settings: &Settings, kind: Option<Kind>, way: Way<'_>) -> Result<Vec<u8>, Failure> {
    let url = list_url(settings);
    let hint = "is the server up, and is -H its address? --provider and --model spare the question";
    let refused = |error: anyhow::Error| {
        Failure::usage(error.context(format!("cannot ask `{url}`"))).hint(hint)
    };
    let response = listing(settings, kind, way)?
        .send()
        .await
        .map_err(|error| refused(anyhow::Error::new(error.without_url())))?;
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|error| refused(anyhow::Error::new(error.without_url())))?;
    match status {
        StatusCode::OK => Ok(body.into()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(refused(anyhow!("status {status}"))
                .hint("--api-key, or API_KEY in the environment"))
        }
        _ => Err(refused(anyhow!(
            "status {status}: {}",
            provider::error_text(&body)
        ))),
    }
}

fn list_url(settings: &Settings) -> String {
    let root = settings.place.root.as_deref().unwrap_or("/v1");
    format!("{}{root}/models", settings.target.base_url)
}

/// The question for the list of models, with everything that lets a request in.
pub(super) fn listing(
    settings: &Settings,
    kind: Option<Kind>,
    way: Way<'_>,
) -> Result<reqwest::RequestBuilder, Failure> {
    let url = list_url(settings);
    let mut request = client(settings, way)?.get(&url).timeout(PATIENCE);
    for (name, value) in &settings.headers {
        request = request.header(name, value);
    }
    if let Some(key) = &settings.secrets.api_key {
        let (name, value) = key_header(kind, settings, key)?;
        request = request.header(name, value);
    }
    for (name, value) in &settings.secrets.headers {
        request = request.header(name, value.expose());
    }
    Ok(request)
}

/// Before the API is known, most servers take a bearer token.
pub(super) fn key_header(
    kind: Option<Kind>,
    settings: &Settings,
    key: &Secret,
) -> Result<(http::HeaderName, http::HeaderValue), Failure> {
    let spec = provider::Spec {
        kind: kind.unwrap_or(Kind::OpenAi),
        // Not every API has every one.
        task: settings.task.clone(),
        ..target::plain_spec()
    };
    let speaks = provider::build(&spec).map_err(Failure::usage)?;
    speaks.auth(key).map_err(Failure::usage)
}

/// A client that reaches the server as the load will.
pub(super) fn client(settings: &Settings, way: Way<'_>) -> Result<reqwest::Client, Failure> {
    let proxy = settings.target.proxy.as_deref();
    let credentials = settings.secrets.proxy_credentials.as_ref();
    client_through(proxy.map(|url| (url, credentials)), settings, way)
}

/// A client that reaches `page`: one that was named for itself by the proxy of its own address, and any other as the server.
pub(super) fn client_of_page(
    page: &str,
    settings: &Settings,
    way: Way<'_>,
) -> Result<reqwest::Client, Failure> {
    let named = settings.server_metrics.as_ref();
    match named.filter(|it| it.url.as_deref() == Some(page)) {
        Some(it) => {
            let proxy = it.proxy.as_ref();
            let proxy = proxy.map(|it| (it.url.as_str(), it.credentials.as_ref()));
            client_through(proxy, settings, way)
        }
        None => client(settings, way),
    }
}

/// The address of a proxy, and its `user:password`.
type Through<'a> = (&'a str, Option<&'a Secret>);

fn client_through(
    proxy: Option<Through<'_>>,
    settings: &Settings,
    way: Way<'_>,
) -> Result<reqwest::Client, Failure> {
    let tls = target::tls(&settings.target, way.ca_pem)?;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .local_address(way.source)
        // A redirect would carry the key to another host; the load follows none either.
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured((*tls).clone());
    if let Some((url, credentials)) = proxy {
        let mut proxy = reqwest::Proxy::all(url)
            .context("the proxy")
            .map_err(Failure::usage)?;
        if let Some((user, password)) = credentials.and_then(|pair| pair.expose().split_once(':')) {
            proxy = proxy.basic_auth(user, password);
        }
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .context("cannot set up a client")
        .map_err(Failure::failed)
}
