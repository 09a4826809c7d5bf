//! The way to the server, what it lists, what it answers to a few short requests, and its page of metrics. It judges nothing.

use std::time::Duration;

use http::HeaderMap;
use http::header::{SERVER, VIA};
use tokio::time::Instant;

use super::{problem, trial};
use crate::app::discover::{self, Way, unasked};
use crate::app::failure::Failure;
use crate::app::played::Played;
use crate::app::prepare::load_tokenizer;
use crate::app::sampler::{glance, usual_page};
use crate::app::surroundings::hub_paths;
use crate::app::target;
use crate::client::{Connector, Stretch};
use crate::config::{RunOptions, Settings};
use crate::doctor::{
    Asked, Exam, Finding, Leg, Listed, Part, Walked, counts, ending, model, replied, stamps,
    streaming, way,
};
use crate::domain::{Answer, StampSource};
use crate::embed::address::{proxy, sources};
use crate::plan::HttpVersion;
use crate::provider::{self, Kind};

/// To have a connection, where no option says how long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most of a header that is told.
const MOST_NAMED: usize = 80;

/// # Errors
/// A signal that ended it.
pub(super) async fn look(run: &RunOptions, exam: &mut Exam) -> Result<(), Failure> {
    let settings = &run.settings;
    let found = match outset(run) {
        Ok(found) => found,
        Err(failure) => {
            exam.note(Part::Server, problem("address", &failure));
            return Ok(());
        }
    };
    let walk = found.connector.walk().await;
    let mut walked = Walked {
        legs: walk
            .walked
            .into_iter()
            .map(|(at, took, met)| (leg(at), took, met))
            .collect(),
        failed: walk.failed.map(|(at, failure)| (leg(at), failure.text)),
    };
    let mut met = Met::default();
    let ca_pem = found.ca_pem;
    let there = Way {
        ca_pem: ca_pem.as_deref(),
        source: run.sending.source_ips.first().copied(),
    };
    if walked.failed.is_none() && lists(settings, found.kind) {
        met = list(settings, found.kind, there, &mut walked).await;
    }
    let is_reached = walked.failed.is_none();
    for finding in way(&walked) {
        exam.note(Part::Server, finding);
    }
    if !is_reached {
        exam.note(
            Part::Server,
            Finding::skipped("requests", "the server cannot be reached"),
        );
        return Ok(());
    }
    let named = settings
        .model
        .as_deref()
        .or_else(|| unasked(settings, found.kind?));
    exam.note(Part::Server, model(named, &met.listed));
    let tokenizer = tokenizer(settings).await;
    let is_readable = tokenizer.hint.is_none();
    exam.note(Part::Server, tokenizer);
    if is_readable {
        ask(run, met.via, exam).await?;
    }
    let metrics = metrics(settings, found.kind, there).await;
    exam.note(Part::Server, metrics);
    Ok(())
}

/// What is known before anything is sent.
struct Outset {
    kind: Option<Kind>,
    ca_pem: Option<String>,
    connector: Connector,
}

fn outset(run: &RunOptions) -> Result<Outset, Failure> {
    let settings = &run.settings;
    let to = target::parse(&settings.target.base_url)?;
    let path = settings.target.ca_cert.as_deref();
    let ca_pem = path
        .map(|path| target::read_text(path, "the CA file", "--ca-cert takes a PEM file"))
        .transpose()?;
    let through = settings.target.proxy.as_deref();
    let credentials = &settings.secrets.proxy_credentials;
    Ok(Outset {
        kind: settings
            .provider
            .or_else(|| provider::guess_from_host(&to.host)),
        connector: Connector {
            tls: target::tls(&settings.target, ca_pem.as_deref())?,
            proxy: through
                .map(|url| proxy(url, credentials.clone()))
                .transpose()?,
            sources: sources(&run.sending.source_ips)?,
            http2: settings.target.http == HttpVersion::Http2,
            timeout: settings.limits.connect.or(Some(PATIENCE)),
            target: to,
        },
        ca_pem,
    })
}

const fn leg(of: Stretch) -> Leg {
    match of {
        Stretch::Name => Leg::Name,
        Stretch::Tcp => Leg::Tcp,
        Stretch::Tls => Leg::Tls,
    }
}

/// Whether servers of this API have a list of models that a key alone opens.
fn lists(settings: &Settings, kind: Option<Kind>) -> bool {
    kind.is_none_or(|kind| {
        !kind.is_aws()
            && !kind.is_google()
            && (settings.model.is_some() || unasked(settings, kind).is_none())
            && kind.unlisted_model().is_none()
    })
}

/// What the server said of itself.
struct Met {
    listed: Listed,
    via: Option<String>,
}

impl Default for Met {
    fn default() -> Self {
        Self {
            listed: Listed::None,
            via: None,
        }
    }
}

/// Asks for the list of models, which is work for no model.
async fn list(settings: &Settings, kind: Option<Kind>, there: Way<'_>, walked: &mut Walked) -> Met {
    let begun = Instant::now();
    let asked = match discover::listing(settings, kind, there) {
        Ok(request) => request.send().await,
        Err(failure) => {
            return Met {
                listed: Listed::Unknown(format!("{:#}", failure.error)),
                via: None,
            };
        }
    };
    let response = match asked {
        Ok(response) => response,
        Err(error) => {
            let words = format!("{:#}", anyhow::Error::new(error.without_url()));
            // A server that speaks HTTP/2 alone on plain text is not understood by who asks here, and by the load it is.
            if settings.target.http == HttpVersion::Http2 && settings.model.is_some() {
                return Met {
                    listed: Listed::Unknown(words),
                    via: None,
                };
            }
            walked.failed = Some((Leg::Http, words));
            return Met::default();
        }
    };
    let (took, status) = (begun.elapsed(), response.status());
    let via = who(response.headers());
    let server = via.as_ref().map(|via| format!(", from `{via}`"));
    let words = format!(
        "the list of models: status {}{}",
        status.as_u16(),
        server.unwrap_or_default()
    );
    walked.legs.push((Leg::Http, took, words));
    let body = response.bytes().await.unwrap_or_default();
    let listed = if status.is_success() {
        match provider::read_models(&body) {
            Ok(list) => Listed::Models(list.models.into_iter().map(|it| it.id).collect()),
            Err(error) => Listed::Unknown(error.to_string()),
        }
    } else {
        let words = provider::error_text(&body);
        Listed::Unknown(format!("status {status}: {words}"))
    };
    Met { listed, via }
}

/// Who passed an answer on, else who gave it.
fn who(headers: &HeaderMap) -> Option<String> {
    let named = headers.get(VIA).or_else(|| headers.get(SERVER))?;
    let named: String = named.to_str().ok()?.chars().take(MOST_NAMED).collect();
    (!named.is_empty()).then_some(named)
}

async fn tokenizer(settings: &Settings) -> Finding {
    const CHECK: &str = "tokenizer";
    let Some(name) = settings.tokenizer.clone() else {
        let words = "none is named: lengths are estimates, and the server alone counts";
        return Finding::skipped(CHECK, words);
    };
    let words = format!("`{name}` is read");
    let load = move || load_tokenizer(&name, &hub_paths()).map(|_| ());
    let loaded = tokio::task::spawn_blocking(load).await;
    match loaded {
        Ok(Ok(())) => Finding::ok(CHECK, words),
        Ok(Err(failure)) => {
            let hint = failure.hint.clone();
            let hint = hint.unwrap_or_else(|| "--tokenizer names another".to_owned());
            problem(CHECK, &failure).with_hint(Some(hint))
        }
        Err(_) => Finding::problem(
            CHECK,
            "reading it ended by a defect",
            "--tokenizer names another",
        ),
    }
}

/// Sends a few short requests, and has their answers judged.
async fn ask(run: &RunOptions, via: Option<String>, exam: &mut Exam) -> Result<(), Failure> {
    let played = match trial::play(run).await {
        Ok(played) => played,
        Err(failure) => {
            exam.note(Part::Server, problem("requests", &failure));
            return Ok(());
        }
    };
    if played.interrupted.is_some() {
        return Err(Failure::failed(anyhow::anyhow!("interrupted")));
    }
    judged(&played, run, via, exam);
    Ok(())
}

fn judged(played: &Played, run: &RunOptions, via: Option<String>, exam: &mut Exam) {
    let Some(measured) = &played.measured else {
        let words = played.failure.as_deref().unwrap_or("nothing was measured");
        let hint = "llmload run --max-requests 1 with the same options tells more";
        exam.note(Part::Server, Finding::problem("requests", words, hint));
        return;
    };
    let plan = &measured.plan;
    let asked = Asked {
        stream: plan.provider.streams(),
        choices: plan.provider.sampling.n.unwrap_or(1),
        ignores_end: plan.provider.ignores_end(),
        tokenizer: run.settings.tokenizer.clone(),
        via,
    };
    let answers: Vec<Answer> = played.answers.values().cloned().collect();
    exam.note(Part::Server, replied(&answers));
    if plan.provider.task.generates() {
        exam.note(Part::Server, streaming(&answers, &asked));
        for finding in counts(&answers, &asked) {
            exam.note(Part::Server, finding);
        }
        exam.note(Part::Server, ending(&answers, &asked));
    }
    let share = measured.summary.generator.kernel_stamped_share();
    let wanted = run.sending.stamps == StampSource::Kernel;
    exam.note(Part::Clock, stamps(share, wanted));
}

/// The server's own metrics: those that the run is to watch, or those that it could.
async fn metrics(settings: &Settings, kind: Option<Kind>, there: Way<'_>) -> Finding {
    const CHECK: &str = "metrics";
    let wanted = settings.server_metrics.as_ref();
    if wanted.is_none() && kind.is_some_and(|kind| kind.is_aws() || kind.is_google()) {
        return Finding::skipped(CHECK, "this API has no such page");
    }
    let page = wanted.and_then(|wanted| wanted.url.clone());
    let page = page.unwrap_or_else(|| usual_page(&settings.target.base_url));
    // A query may hold what is nobody's business.
    let shown = page.split('?').next().unwrap_or_default();
    match glance(&page, settings, there).await {
        Ok(Ok(server)) if wanted.is_some() => Finding::ok(CHECK, format!("{server}'s, at {shown}")),
        Ok(Ok(server)) => {
            let words = format!("{server}'s, at {shown}: --server-metrics watches them");
            Finding::ok(CHECK, words)
        }
        Ok(Err(_)) if wanted.is_none() => Finding::skipped(CHECK, format!("none at {shown}")),
        Ok(Err(why)) => Finding::warning(
            CHECK,
            format!("{shown} cannot be read: {why}"),
            "--server-metrics URL, as the server has it (vLLM: /metrics; llama.cpp: with --metrics)",
        ),
        Err(failure) => problem(CHECK, &failure),
    }
}
