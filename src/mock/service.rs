//! Answers one request: finds its endpoint, reads its body, draws its fate, and starts the reply.
//! Streams are sent by `stream`; what whole answers look like is the dialects' matter.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ask::{Ask, AskError};
use super::clock;
use super::course::{Course, Gaps};
use super::dialect::{
    Chat, Completion, Converse, Dialect, Embeddings, Generate, Invoke, LlamaCpp, Messages, Ollama,
    Rerank, Responses, SageMaker, Together, TritonGenerate, TritonInfer, google, openai,
};
use super::fault::Fault;
use super::happy;
use super::life::{End, Life};
use super::numerals;
use super::place::Queue;
use super::prometheus;
use super::reply::Reply;
use super::server::Lane;
use super::stats::{PATHS, RequestNote, Stats};
use super::stream::{Stream, Torn};
use super::talk::Talk;

/// The longest body that is read: a prompt of ten million words.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Answer = Result<Response<Reply>, Torn>;

/// Reads a body in one dialect.
type Reader = fn(&[u8]) -> Result<Ask, AskError>;

/// How an endpoint that answers prompts reads and writes.
struct Endpoint {
    dialect: &'static dyn Dialect,
    read: Reader,
    /// How it writes where it is asked for OpenAI's chat; `None` where that changes nothing.
    chat: Option<&'static dyn Dialect>,
}

impl Endpoint {
    const fn new(dialect: &'static dyn Dialect, read: Reader) -> Self {
        Self {
            dialect,
            read,
            chat: None,
        }
    }
}

fn endpoint(path: &str) -> Option<Endpoint> {
    let (dialect, read): (&'static dyn Dialect, Reader) = match path {
        "/v1/chat/completions" => (&Chat, Ask::chat),
        "/v1/completions" => (&Completion, Ask::completion),
        "/v1/messages" => (&Messages, Ask::messages),
        "/generate" => (&Generate, |body| Ask::generate(body, false)),
        "/generate_stream" => (&Generate, |body| Ask::generate(body, true)),
        "/v1/embeddings" => (&Embeddings, Ask::vectors),
        "/v1/rerank" => (&Rerank, Ask::vectors),
        "/v1/responses" => (&Responses, |body| Ask::other(body, false)),
        "/api/chat" => (&Ollama { chat: true }, |body| Ask::other(body, true)),
        "/api/generate" => (&Ollama { chat: false }, |body| Ask::other(body, true)),
        "/completion" => (&LlamaCpp, |body| Ask::other(body, false)),
        "/" => (&Together, Ask::completion),
        _ => return at_google(path).or_else(|| below(path)),
    };
    Some(Endpoint::new(dialect, read))
}

/// What stands at Google Cloud, and Gemini wherever it stands: the method follows the last colon.
fn at_google(path: &str) -> Option<Endpoint> {
    let is_google = ["/v1beta/", "/v1/projects/", "/v1beta1/projects/"];
    if !is_google.iter().any(|start| path.starts_with(start)) {
        return None;
    }
    if path.ends_with("/chat/completions") {
        let (dialect, read): (&'static dyn Dialect, Reader) = (&Chat, Ask::chat);
        return Some(Endpoint::new(dialect, read));
    }
    let (dialect, read): (&'static dyn Dialect, Reader) = match path.rsplit_once(':')?.1 {
        "generateContent" => (&google::Gemini, |body| google::read_gemini(body, false)),
        "streamGenerateContent" => (&google::Gemini, |body| google::read_gemini(body, true)),
        "predict" => (&google::Predict, google::read_predict),
        "rawPredict" | "streamRawPredict" => (&Messages, Ask::messages),
        _ => return None,
    };
    Some(Endpoint::new(dialect, read))
}

/// The endpoints that have a model's or a deployment's name in their path.
fn below(path: &str) -> Option<Endpoint> {
    let (dialect, read): (&'static dyn Dialect, Reader) =
        if let Some(rest) = path.strip_prefix("/openai/deployments/") {
            match rest.split_once('/')?.1 {
                "chat/completions" => (&Chat, Ask::chat),
                "completions" => (&Completion, Ask::completion),
                "embeddings" => (&Embeddings, Ask::vectors),
                _ => return None,
            }
        } else if let Some(rest) = path.strip_prefix("/endpoints/") {
            match rest.split_once('/')?.1 {
                "invocations" => (&SageMaker { chat: false }, |body| {
                    Ask::sagemaker(body, false)
                }),
                "invocations-response-stream" => (&SageMaker { chat: false }, |body| {
                    Ask::sagemaker(body, true)
                }),
                _ => return None,
            }
        } else if let Some(rest) = path.strip_prefix("/model/") {
            match rest.split_once('/')?.1 {
                "converse" => (&Converse, |body| Ask::converse(body, false)),
                "converse-stream" => (&Converse, |body| Ask::converse(body, true)),
                "invoke" => (&Invoke, Ask::messages),
                "invoke-with-response-stream" => {
                    (&Invoke, |body| Ask::messages(body).map(Ask::streamed))
                }
                _ => return None,
            }
        } else {
            match path.strip_prefix("/v2/models/")?.split_once('/')?.1 {
                "generate" => (&TritonGenerate, |body| Ask::other(body, false)),
                "generate_stream" => (&TritonGenerate, |body| Ask::other(body, true)),
                "infer" => (&TritonInfer, Ask::infer),
                _ => return None,
            }
        };
    let chat: &'static dyn Dialect = &SageMaker { chat: true };
    Some(Endpoint {
        chat: path.starts_with("/endpoints/").then_some(chat),
        ..Endpoint::new(dialect, read)
    })
}

/// Answers a request; an error closes the connection without a byte.
pub(super) async fn answer(lane: Arc<Lane>, request: Request<Incoming>) -> Answer {
    let arrived = clock::now();
    let path = request.uri().path();
    let endpoint = endpoint(path);
    let place = PATHS.iter().position(|known| *known == path);
    lane.stats().arrived(
        place.unwrap_or(PATHS.len() - 1),
        arrived,
        endpoint.is_some(),
    );
    match (request.method(), endpoint) {
        (&Method::POST, Some(endpoint)) => generate(lane, request, endpoint).await,
        (_, Some(endpoint)) => Ok(refusal(endpoint.dialect, 405, "this endpoint wants a POST")),
        (_, None) => Ok(page(&lane, &request)),
    }
}

/// The endpoints that only show something.
fn page(lane: &Lane, request: &Request<Incoming>) -> Response<Reply> {
    let post = request.method() == Method::POST;
    match request.uri().path() {
        "/v1/models" if !post => json_reply(200, &models(lane)),
        "/health" if !post => json_reply(200, &json!({"status": "ok"})),
        "/metrics" | "/metrics/" if !post => metrics(lane),
        "/v1/info" if !post => json_reply(200, &happy::info(lane.script())),
        "/v1/launch_arguments" if !post => json_reply(200, &happy::launch_arguments(lane.script())),
        "/version" if !post => json_reply(200, &happy::version()),
        "/stats" if !post => stats(lane),
        "/stats/reset" if post => {
            lane.stats().reset();
            json_reply(200, &json!({"status": "reset"}))
        }
        known if PATHS.contains(&known) => {
            refusal(&Chat, 405, "this endpoint wants another method")
        }
        _ => refusal(&Chat, 404, "there is no such endpoint"),
    }
}

fn metrics(lane: &Lane) -> Response<Reply> {
    match prometheus::page(lane.stats(), lane.script()) {
        Some(page) => reply(200, "text/plain; version=0.0.4; charset=utf-8", whole(page)),
        None => refusal(&Chat, 404, "there are no metrics"),
    }
}

fn models(lane: &Lane) -> Value {
    let script = lane.script();
    json!({"object": "list", "data": [{
        "id": script.model,
        "object": "model",
        "created": clock::unix_seconds(),
        "owned_by": script.owned_by,
    }]})
}

fn stats(lane: &Lane) -> Response<Reply> {
    match serde_json::to_vec(&lane.stats().snapshot()) {
        Ok(body) => reply(200, "application/json", whole(body)),
        Err(error) => refusal(&Chat, 500, &error.to_string()),
    }
}

/// What a request says outside of its body.
struct Head {
    request_id: Option<String>,
    traceparent: Option<String>,
    fault: Option<Fault>,
}

impl Head {
    fn read(headers: &HeaderMap) -> Result<Self, String> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let fault = text("x-mock-fault").map(str::parse).transpose();
        Ok(Self {
            request_id: text("x-request-id").map(str::to_owned),
            traceparent: text("traceparent").map(str::to_owned),
            fault: fault.map_err(|error: super::fault::FaultError| error.to_string())?,
        })
    }
}

async fn generate(lane: Arc<Lane>, request: Request<Incoming>, endpoint: Endpoint) -> Answer {
    let mut dialect = endpoint.dialect;
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(refusal(dialect, 413, &error.to_string())),
    };
    if let Some(chat) = endpoint.chat.filter(|_| Ask::is_chat(&body)) {
        dialect = chat;
    }
    let received_ns = clock::now();
    let number = lane.stats().numbers.next();
    let read = Head::read(&parts.headers).and_then(|head| {
        Ok((
            head,
            asked(&lane, endpoint.read, &body).map_err(|e| e.to_string())?,
        ))
    });
    let (head, ask) = match read {
        Ok(read) => read,
        Err(message) => {
            lane.stats().refused.add(1);
            return Ok(refusal(dialect, 400, &message));
        }
    };
    let course = Course::new(lane.script(), number, &ask, head.fault);
    if let Some(fault) = course.fault {
        lane.stats().faults[fault.kind() as usize].add(1);
        if let Some(answer) = refused(&lane, dialect, fault) {
            return answer;
        }
    }
    let note = RequestNote {
        number,
        request_id: head.request_id,
        traceparent: head.traceparent,
        fault: course.fault.map(|fault| fault.kind().name()),
        received_ns,
        body_sha256: fingerprint(lane.stats(), &body),
        ..RequestNote::default()
    };
    let life = Life::begin(lane, &course, ask.stream, note);
    respond(life, ask, &course, dialect).await
}

/// What a body asks for. Fireworks' servers take a request for no tokens, which fills their cache.
fn asked(lane: &Lane, read: Reader, body: &[u8]) -> Result<Ask, AskError> {
    let mut ask = read(body)?;
    if lane.script().numerals {
        ask.numeral = numerals::asked(body);
    }
    if lane.script().is_fireworks() {
        Ok(ask)
    } else {
        ask.wants_something()
    }
}

/// Of a body that will be noted; empty where none is.
fn fingerprint(stats: &Stats, body: &[u8]) -> String {
    if !stats.keeps_notes() {
        return String::new();
    }
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The answer to a request whose fault is that it gets none.
fn refused(lane: &Lane, dialect: &dyn Dialect, fault: Fault) -> Option<Answer> {
    let answer = match fault {
        Fault::Status(status) => Ok(refusal(dialect, status, "the script refuses this request")),
        Fault::RateLimit(seconds) => {
            let mut response = refusal(dialect, 429, "the script has had too many requests");
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            Ok(response)
        }
        Fault::DropBefore => Err(Torn),
        _ => return None,
    };
    lane.stats().refused.add(1);
    Some(answer)
}

async fn respond(life: Life, ask: Ask, course: &Course, dialect: &'static dyn Dialect) -> Answer {
    let lane = Arc::clone(life.lane());
    let mut life = life;
    match course.fault {
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::SlowStart(wait)) => {
            let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            let due = life.received().saturating_add(wait);
            lane.timer().until(due).await;
            life.delay(wait);
        }
        _ => {}
    }
    let talk = Talk::new(lane.script(), life.number(), &ask, course);
    let figures = figures(&lane, &talk);
    let queue = Queue::join(lane.places(), course, talk.choices).await;
    let received_ns = life.received();
    let mut response = if ask.stream {
        let stream = Stream::new(life, talk, course, dialect, queue);
        let body = Reply::Stream(Box::new(stream));
        let mut response = reply(200, dialect.stream_type(), body);
        let fresh = HeaderValue::from_static("no-cache");
        response.headers_mut().insert(CACHE_CONTROL, fresh);
        response
    } else {
        let body = whole_answer(life, &talk, course, dialect, queue).await;
        reply(200, "application/json", body)
    };
    response.headers_mut().extend(figures);
    if lane.script().stamp {
        let headers = response.headers_mut();
        headers.insert("x-mock-received-ns", received_ns.into());
    }
    Ok(response)
}

/// The headers in which Fireworks' servers tell of their own work.
fn figures(lane: &Lane, talk: &Talk) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !lane.script().is_fireworks() {
        return headers;
    }
    if let Value::Object(figures) = openai::perf(talk) {
        for (name, value) in figures {
            let name = HeaderName::try_from(format!("fireworks-{name}"));
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let value = HeaderValue::try_from(value);
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
    }
    headers
}

/// Waits as long as the tokens of one answer take, then gives them all at once.
async fn whole_answer(
    mut life: Life,
    talk: &Talk,
    course: &Course,
    dialect: &dyn Dialect,
    mut queue: Queue,
) -> Reply {
    let lane = Arc::clone(life.lane());
    let place = std::future::poll_fn(|cx| queue.poll_turn(cx)).await;
    let start = if queue.is_waiting() {
        clock::now()
    } else {
        life.start()
    };
    life.admit(place);
    let due = start.saturating_add(duration(&lane, talk, course));
    lane.timer().until(due).await;
    let now = clock::now();
    lane.late(now - due);
    let mut body = dialect.whole(talk);
    if lane.script().stamp {
        body["mock_sent_ns"] = json!(now);
    }
    let body = body.to_string();
    let half = || Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let (end, reply) = match course.fault {
        Some(Fault::Cut(_)) => (End::Broken, Reply::part(half(), false)),
        Some(Fault::Drop(_)) => (End::Broken, Reply::part(half(), true)),
        Some(Fault::ErrorInStream(_)) => (End::Broken, whole(dialect.hidden_error().to_string())),
        Some(Fault::Malformed(_)) => (End::Completed, Reply::Whole(half())),
        _ => (End::Completed, whole(body)),
    };
    if end == End::Completed {
        let tokens = u64::from(talk.tokens) * u64::from(talk.choices);
        life.sent_whole(now, start.saturating_add(course.first_token), tokens);
    }
    life.end(now, end);
    reply
}

/// From the start to the last token, in ns.
fn duration(lane: &Lane, talk: &Talk, course: &Course) -> u64 {
    let gaps = talk.tokens.saturating_sub(1);
    let span = Gaps::new(lane.script(), talk.number).span(gaps);
    let stall = match course.fault {
        Some(Fault::Stall { wait, .. }) => u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
        _ => 0,
    };
    course
        .first_token
        .saturating_add(span)
        .saturating_add(stall)
}

fn whole(body: impl Into<Bytes>) -> Reply {
    Reply::Whole(body.into())
}

fn refusal(dialect: &dyn Dialect, status: u16, message: &str) -> Response<Reply> {
    json_reply(status, &dialect.error(status, message))
}

fn json_reply(status: u16, body: &Value) -> Response<Reply> {
    reply(status, "application/json", whole(body.to_string()))
}

fn reply(status: u16, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    // Every status here was checked to be one, by the parser of faults or by being written above.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
