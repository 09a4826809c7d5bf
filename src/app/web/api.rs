//! The page and its API: what is asked, and what is answered. `openapi.json` of the room `web` describes it.
//! It decides nothing about a run: starts go through the settings' own parsers, changes to the run's master.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::guard::{Guard, harden};
use super::site::{Phase, Run, Site};
use super::{events, files};
use crate::app::changes::reported;
use crate::app::failure::chain;
use crate::app::logging::lines_after;
use crate::app::surroundings::Process;
use crate::cluster::{Change, Coming, MasterCommand, Refusal};
use crate::config::{ConfigError, Form};
use crate::domain::Rate;
use crate::web;

/// A body longer than this is no form.
const MOST_BYTES: usize = 64 * 1024;
/// How long a master may take for an answer: it is in this process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages that follow events at a time.
const FOLLOWERS: usize = 64;

/// What every answer is made from.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) site: Arc<Site>,
    guard: Arc<Guard>,
    pub(super) followers: Arc<Semaphore>,
}

/// Why something was not done, as people and programs read it.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: String,
    hint: Option<String>,
    field: Option<String>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            hint: None,
            field: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn unknown(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: chain(&error)
                .trim_start_matches("error: ")
                .trim_end()
                .to_owned(),
            hint: error.hint(),
            field: error.field().map(str::to_owned),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "hint": self.hint, "field": self.field});
        let mut response = (self.status, told(&body)).into_response();
        harden(response.headers_mut());
        response
    }
}

type Answer = Result<Response, Refused>;

/// The page and its API, guarded.
pub(super) fn router(site: Arc<Site>, guard: Guard) -> Router {
    let desk = Desk {
        site,
        guard: Arc::new(guard),
        followers: Arc::new(Semaphore::new(FOLLOWERS)),
    };
    Router::new()
        .route(
            "/",
            get(async || fixed("text/html; charset=utf-8", web::PAGE)),
        )
        .route(
            "/live.js",
            get(async || fixed("text/javascript; charset=utf-8", web::SCRIPT)),
        )
        .route(
            "/live.css",
            get(async || fixed("text/css; charset=utf-8", web::STYLE)),
        )
        .route(
            "/notices.txt",
            get(async || fixed("text/plain; charset=utf-8", web::NOTICES)),
        )
        .route(
            "/api/openapi.json",
            get(async || fixed("application/json", web::OPENAPI)),
        )
        .route("/api/state", get(state))
        .route("/api/events", get(events::events))
        .route("/api/form", get(form))
        .route("/api/log", get(log))
        .route("/api/runs", get(runs).post(start))
        .route("/api/runs/{run}", get(run))
        .route("/api/runs/{run}/steps", get(steps))
        .route("/api/runs/{run}/stop", post(stop))
        .route("/api/runs/{run}/load", post(load))
        .route("/api/runs/{run}/files", get(list_files))
        .route("/api/runs/{run}/files/{name}", get(files::file))
        .fallback(async || Refused::unknown("such page"))
        .method_not_allowed_fallback(async || {
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
        })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(desk.clone(), guarded))
        .with_state(desk)
}

async fn guarded(State(desk): State<Desk>, request: Request<Body>, next: Next) -> Response {
    let mut response = match desk.guard.check(&request) {
        Some(answer) => answer,
        None => next.run(request).await,
    };
    harden(response.headers_mut());
    response
}

fn fixed(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

/// A value as an answer.
pub(super) fn told(value: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], value.to_string()).into_response()
}

/// What a body says. The words of an error are those of the parser.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        Refused::new(
            StatusCode::BAD_REQUEST,
            format!("the body is wrong: {error}"),
        )
    })
}

impl Desk {
    pub(super) fn run(&self, id: &str) -> Result<Arc<Run>, Refused> {
        let found = self.site.run(id);
        found.ok_or_else(|| Refused::unknown("such run").hint("GET /api/runs lists them"))
    }
}

async fn state(State(desk): State<Desk>) -> Answer {
    let run = desk.site.last();
    Ok(told(&json!({
        "process": desk.site.about(),
        "run": run.map(|run| run.standing()),
    })))
}

async fn form(State(desk): State<Desk>) -> Answer {
    let fields = desk.site.base.form(&Process)?;
    let fields = fields.iter().map(|field| {
        json!({
            "name": field.name,
            "label": field.label,
            "group": field.group,
            "help": field.help,
            "value": field.value,
            "choices": field.choices,
            "flag": field.is_flag,
            "secret": field.is_secret,
        })
    });
    Ok(told(&json!({"fields": fields.collect::<Vec<_>>()})))
}

async fn log(RawQuery(query): RawQuery) -> Answer {
    let after = query
        .as_deref()
        .and_then(|query| query.strip_prefix("after="));
    let after = after.map_or(Ok(0), str::parse).map_err(|_| {
        Refused::new(
            StatusCode::BAD_REQUEST,
            "`after` is the number of lines that were seen",
        )
    })?;
    let (lines, seen) = lines_after(after);
    Ok(told(&json!({"lines": lines, "seen": seen})))
}

async fn runs(State(desk): State<Desk>) -> Answer {
    Ok(told(&desk.site.about()))
}

async fn run(State(desk): State<Desk>, Path(id): Path<String>) -> Answer {
    Ok(told(&desk.run(&id)?.standing()))
}

async fn steps(State(desk): State<Desk>, Path(id): Path<String>) -> Answer {
    Ok(told(&desk.run(&id)?.steps(0).0))
}

async fn list_files(State(desk): State<Desk>, Path(id): Path<String>) -> Answer {
    Ok(told(&json!({"files": desk.run(&id)?.files()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(default)]
    options: Form,
}

/// Answers when the run is shown, or when it is known why there is none.
async fn start(State(desk): State<Desk>, body: Bytes) -> Answer {
    let start: Start = read(&body)?;
    let command = desk.site.base.run(&start.options, &Process)?;
    let mut changes = desk.site.changes();
    if !desk.site.open() {
        let refused = Refused::new(StatusCode::CONFLICT, "a run goes on already");
        return Err(refused.hint("stop it, or wait for its end"));
    }
    desk.site.start(command);
    loop {
        changes.borrow_and_update();
        match desk.site.phase() {
            Phase::Opening => {}
            Phase::Playing(id) => {
                return Ok((StatusCode::CREATED, told(&json!({"run": id}))).into_response());
            }
            Phase::Refused(problem) => {
                let refused = Refused::new(StatusCode::UNPROCESSABLE_ENTITY, problem.error);
                return Err(Refused {
                    hint: problem.hint,
                    ..refused
                });
            }
            // It was over before anybody looked.
            Phase::Idle => {
                let last = desk.site.last().map(|run| run.id.clone());
                return Ok((StatusCode::CREATED, told(&json!({"run": last}))).into_response());
            }
        }
        if changes.changed().await.is_err() {
            return Err(ending());
        }
    }
}

fn ending() -> Refused {
    Refused::new(StatusCode::CONFLICT, "the run is ending").hint("start another one")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    #[serde(default)]
    abort: bool,
}

async fn stop(State(desk): State<Desk>, Path(id): Path<String>, body: Bytes) -> Answer {
    let run = desk.run(&id)?;
    let Stop { abort } = read(&body)?;
    let order = if abort {
        MasterCommand::Abort
    } else {
        MasterCommand::Stop
    };
    if run.is_ended() || run.view.orders.try_send(order).is_err() {
        return Err(ending());
    }
    Ok((StatusCode::ACCEPTED, told(&json!({"abort": abort}))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    users: Option<u32>,
    spawn_rate: Option<f64>,
    qps: Option<f64>,
    paused: Option<bool>,
}

async fn load(State(desk): State<Desk>, Path(id): Path<String>, body: Bytes) -> Answer {
    let run = desk.run(&id)?;
    let changes = changes(&read(&body)?)?;
    let mut coming = None;
    for change in changes {
        coming = Some(ask(&run, change).await?);
    }
    let Some(coming) = coming else {
        let refused = Refused::new(StatusCode::BAD_REQUEST, "nothing is to be changed");
        return Err(refused.hint("give users, spawn_rate, qps or paused"));
    };
    let load = reported(coming.load);
    Ok(told(&json!({
        "from_s": coming.from.as_secs_f64(),
        "words": load.to_string(),
        "users": load.users,
        "spawn_rate_per_s": load.spawn_rate.as_f64(),
        "asked_per_s": load.rate.map(Rate::as_f64),
        "paused": load.paused,
    })))
}

fn changes(wish: &Wish) -> Result<Vec<Change>, Refused> {
    let rate = |field: &str, rate: Option<f64>| {
        rate.map(Rate::try_from)
            .transpose()
            .map_err(|error| Refused {
                field: Some(field.to_owned()),
                ..Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            })
    };
    if wish.users == Some(0) {
        return Err(Refused {
            field: Some("users".to_owned()),
            hint: Some("pause the run instead".to_owned()),
            ..Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "users must be at least 1")
        });
    }
    let all = [
        rate("spawn_rate", wish.spawn_rate)?.map(Change::SpawnRate),
        wish.users.map(Change::Users),
        rate("qps", wish.qps)?.map(Change::Rate),
        wish.paused.map(|paused| {
            if paused {
                Change::Pause
            } else {
                Change::Resume
            }
        }),
    ];
    Ok(all.into_iter().flatten().collect())
}

async fn ask(run: &Run, change: Change) -> Result<Coming, Refused> {
    let (answer, answered) = oneshot::channel();
    let order = MasterCommand::Change(change, answer);
    if run.is_ended() || run.view.orders.try_send(order).is_err() {
        return Err(ending());
    }
    match timeout(PATIENCE, answered).await {
        Ok(Ok(Ok(coming))) => Ok(coming),
        Ok(Ok(Err(refusal))) => {
            let refused = Refused::new(StatusCode::CONFLICT, refusal.to_string());
            Err(refused.hint(way_out(refusal)))
        }
        Ok(Err(_)) => Err(ending()),
        Err(_) => Err(
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the master is busy").hint("try again"),
        ),
    }
}

const fn way_out(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotRunning => "wait until it runs",
        Refusal::Ending => "start another run",
        Refusal::Closed => "change its users; a run with requests per second has a rate",
        Refusal::Timed => "requests per second make a run that has a rate",
        Refusal::Counted => {
            "a run time instead of a number of requests makes a run that can be changed"
        }
        Refusal::TooMany => "ask for fewer",
    }
}

/// A header of a request, as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
