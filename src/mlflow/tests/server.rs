//! A tracking server that keeps what it is told, and does what its script says instead where that has something to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What is done instead of an answer.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// This answer, with these headers.
    Answer(u16, &'static str, String),
    /// The connection is closed, nothing is done.
    Cut,
    /// What was asked is done, and the connection closed.
    DoneThenCut,
    /// No answer for so long.
    Silence(Duration),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What the server knows.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) requests: Vec<Request>,
    pub(super) experiments: Vec<Value>,
    pub(super) runs: Vec<Value>,
    pub(super) params: BTreeMap<String, String>,
    pub(super) metrics: BTreeMap<String, f64>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Where runs keep their files; `{run}` is the run's id.
    pub(super) artifacts: String,
}

type Script = dyn Fn(&Request, usize) -> Option<Fault> + Send + Sync;

/// It serves until it is dropped.
pub(super) struct FakeServer {
    pub(super) address: String,
    pub(super) store: Arc<Mutex<Store>>,
    _tasks: JoinSet<()>,
}

impl FakeServer {
    /// `script` sees each request and how many of its path came before.
    pub(super) async fn start(
        script: impl Fn(&Request, usize) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let store = Arc::new(Mutex::new(Store {
            artifacts: "mlflow-artifacts:/0/{run}/artifacts".to_owned(),
            ..Store::default()
        }));
        let script: Arc<Script> = Arc::new(script);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&store), script));
        Self {
            address,
            store,
            _tasks: tasks,
        }
    }

    pub(super) fn count(&self, path: &str) -> usize {
        let store = self.store.lock().unwrap();
        let same = |request: &&Request| request.path.contains(path);
        store.requests.iter().filter(same).count()
    }
}

async fn serve(listener: TcpListener, store: Arc<Mutex<Store>>, script: Arc<Script>) {
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        open.spawn(answer(stream, Arc::clone(&store), Arc::clone(&script)));
    }
}

async fn answer(mut stream: TcpStream, store: Arc<Mutex<Store>>, script: Arc<Script>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let fault = {
        let mut store = store.lock().unwrap();
        let same = |known: &&Request| known.path == request.path;
        let earlier = store.requests.iter().filter(same).count();
        store.requests.push(request.clone());
        script(&request, earlier)
    };
    let (status, headers, body) = match fault {
        Some(Fault::Answer(status, headers, body)) => (status, headers, body),
        Some(Fault::Cut) => return,
        Some(Fault::DoneThenCut) => {
            store.lock().unwrap().take(&request);
            return;
        }
        Some(Fault::Silence(time)) => return tokio::time::sleep(time).await,
        None => {
            let (status, body) = store.lock().unwrap().take(&request);
            (status, "", body.to_string())
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(at)) = head.parse(&bytes) {
            let header = |name: &str| {
                let found = head
                    .headers
                    .iter()
                    .find(|known| known.name.eq_ignore_ascii_case(name))?;
                Some(String::from_utf8(found.value.to_vec()).unwrap())
            };
            let length = header("content-length").map_or(0, |text| text.parse().unwrap());
            if bytes.len() >= at + length {
                return Some(Request {
                    method: head.method?.to_owned(),
                    path: head.path?.to_owned(),
                    authorization: header("authorization"),
                    media_type: header("content-type"),
                    body: bytes[at..at + length].to_vec(),
                });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

impl Store {
    fn take(&mut self, request: &Request) -> (u16, Value) {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let path = request.path.as_str();
        if let Some(file) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/") {
            self.files.insert(file.to_owned(), request.body.clone());
            return (200, json!({}));
        }
        match path
            .strip_prefix("/api/2.0/mlflow/")
            .unwrap()
            .split('?')
            .next()
            .unwrap()
        {
            "experiments/get-by-name" => self.find_experiment(path),
            "experiments/create" => self.create_experiment(&body),
            "runs/create" => self.create_run(&body),
            "runs/search" => self.search(&body),
            "runs/log-batch" => self.log(&body),
            "runs/update" => {
                self.runs[0]["info"]["status"] = body["status"].clone();
                (200, json!({}))
            }
            other => (
                404,
                json!({"error_code": "ENDPOINT_NOT_FOUND", "message": other}),
            ),
        }
    }

    fn find_experiment(&self, path: &str) -> (u16, Value) {
        let name = path.split("experiment_name=").nth(1).unwrap();
        match self.experiments.iter().find(|one| one["name"] == name) {
            Some(one) => (200, json!({"experiment": one})),
            None => (
                404,
                json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}),
            ),
        }
    }

    fn create_experiment(&mut self, body: &Value) -> (u16, Value) {
        if self
            .experiments
            .iter()
            .any(|one| one["name"] == body["name"])
        {
            return (
                400,
                json!({"error_code": "RESOURCE_ALREADY_EXISTS", "message": "there"}),
            );
        }
        let id = (self.experiments.len() + 1).to_string();
        self.experiments
            .push(json!({"experiment_id": id, "name": body["name"], "lifecycle_stage": "active"}));
        (200, json!({"experiment_id": id}))
    }

    fn create_run(&mut self, body: &Value) -> (u16, Value) {
        let id = format!("run{}", self.runs.len() + 1);
        let run = json!({
            "info": {"run_id": id, "run_name": body["run_name"], "status": "RUNNING",
                "artifact_uri": self.artifacts.replace("{run}", &id)},
            "data": {"tags": body["tags"]},
        });
        self.runs.push(run.clone());
        (200, json!({"run": run}))
    }

    fn search(&self, body: &Value) -> (u16, Value) {
        let filter = body["filter"].as_str().unwrap();
        let matches = |run: &&Value| {
            let tags = run["data"]["tags"].as_array().unwrap();
            tags.iter().any(|tag| {
                let (key, value) = (tag["key"].as_str().unwrap(), tag["value"].as_str().unwrap());
                filter == format!("tags.`{key}` = '{value}'")
            })
        };
        let found: Vec<_> = self.runs.iter().filter(matches).collect();
        // As MLflow does: what is empty is not there.
        (
            200,
            if found.is_empty() {
                json!({})
            } else {
                json!({"runs": found})
            },
        )
    }

    fn log(&mut self, body: &Value) -> (u16, Value) {
        for item in body["params"].as_array().into_iter().flatten() {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            self.params.insert(text("key"), text("value"));
        }
        for item in body["metrics"].as_array().into_iter().flatten() {
            let key = item["key"].as_str().unwrap().to_owned();
            self.metrics.insert(key, item["value"].as_f64().unwrap());
        }
        (200, json!({}))
    }
}
