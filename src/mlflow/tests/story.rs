//! What is there afterwards, and what is said, for servers in good and bad health.

use std::time::Duration;

use tokio::time::Instant;

use tempfile::TempDir;

use super::server::{FakeServer, Fault, Request};
use crate::mlflow::{Artifact, Content, Ending, Limits, Logged, Logging, NewRun, Server, Status};

const CREATE: &str = "/api/2.0/mlflow/runs/create";
const PAGE: &str = "/#/experiments/1/runs/run1";

fn healthy(_: &Request, _: usize) -> Option<Fault> {
    None
}

fn client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().no_proxy();
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    builder.tls_backend_preconfigured(tls).build().unwrap()
}

fn tracking(address: &str) -> Server {
    let variable = |name: &str| match name {
        "MLFLOW_TRACKING_URI" => Some(address.to_owned()),
        "MLFLOW_TRACKING_TOKEN" => Some("tok-secret".to_owned()),
        _ => None,
    };
    Server::from_variables(&variable).unwrap()
}

fn limits() -> Limits {
    Limits {
        total: Duration::from_secs(20),
        silent: Duration::from_millis(500),
        call: Duration::from_millis(400),
        first_pause: Duration::from_millis(5),
    }
}

fn run() -> NewRun {
    let params = (0..150).map(|n| (format!("p{n}"), n.to_string()));
    NewRun {
        experiment: "repo".to_owned(),
        name: "bench-m".to_owned(),
        params: params.collect(),
        key: "k-1".to_owned(),
        ..NewRun::default()
    }
}

fn ending() -> Ending {
    let page = Artifact {
        name: "report.html".to_owned(),
        content: Content::Bytes("<html>".into()),
    };
    Ending {
        metrics: vec![("a".to_owned(), 0.1), ("b".to_owned(), f64::NAN)],
        files: vec![page],
        status: Status::Finished,
        time_ms: 7,
    }
}

async fn log(address: &str, limits: Limits) -> Logged {
    let logging = Logging::start(client(), tracking(address), run(), limits);
    logging.finish(ending()).await
}

/// Everything is there, once.
fn assert_whole(server: &FakeServer, logged: &Logged) {
    assert_eq!(logged.warnings, [""; 0]);
    assert_eq!(logged.page, Some(format!("{}{PAGE}", server.address)));
    let store = server.store.lock().unwrap();
    assert_eq!(store.experiments.len(), 1);
    assert_eq!(store.runs.len(), 1, "{:?}", store.runs);
    assert_eq!(store.runs[0]["info"]["status"], "FINISHED");
    assert_eq!(store.runs[0]["info"]["run_name"], "bench-m");
    assert_eq!(store.params.len(), 150);
    assert_eq!(store.params["p149"], "149");
    assert_eq!(
        store.metrics.iter().collect::<Vec<_>>(),
        [(&"a".to_owned(), &0.1)]
    );
    assert_eq!(store.files.len(), 1);
    assert_eq!(store.files["0/run1/artifacts/report.html"], b"<html>");
}

#[tokio::test]
async fn a_healthy_server_has_everything_once_and_is_asked_with_the_token() {
    let server = FakeServer::start(healthy).await;
    assert_whole(&server, &log(&server.address, limits()).await);
    let store = server.store.lock().unwrap();
    for request in &store.requests {
        assert_eq!(request.authorization.as_deref(), Some("Bearer tok-secret"));
        match request.method.as_str() {
            "PUT" => assert_eq!(request.media_type.as_deref(), Some("text/html")),
            "POST" => assert_eq!(request.media_type.as_deref(), Some("application/json")),
            _ => assert_eq!(request.body, b""),
        }
    }
}

#[tokio::test]
async fn the_run_and_its_parameters_are_there_before_the_end() {
    let server = FakeServer::start(healthy).await;
    let logging = Logging::start(client(), tracking(&server.address), run(), limits());
    let until = Instant::now() + Duration::from_secs(20);
    while server.store.lock().unwrap().params.len() < 150 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        server.store.lock().unwrap().runs[0]["info"]["status"],
        "RUNNING"
    );
    assert_whole(&server, &logging.finish(ending()).await);
}

#[tokio::test]
async fn every_call_is_tried_again_after_overload_and_breakdowns() {
    let faults = [
        Fault::Answer(429, "retry-after: 0\r\n", String::new()),
        Fault::Answer(503, "", "<html>".to_owned()),
        Fault::Cut,
        Fault::Silence(Duration::from_secs(1)),
        Fault::Answer(500, "", r#"{"error_code": "INTERNAL_ERROR"}"#.to_owned()),
    ];
    for fault in faults {
        let first = fault.clone();
        let server = FakeServer::start(move |request, earlier| {
            // A file's call has no limit of its own, so silence would last until the end.
            let silent = matches!(first, Fault::Silence(_)) && request.method == "PUT";
            (earlier == 0 && !silent).then(|| first.clone())
        })
        .await;
        let logged = log(&server.address, limits()).await;
        assert_whole(&server, &logged);
        assert_eq!(server.count(CREATE), 2, "{fault:?}");
        assert_eq!(server.count("runs/update"), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn answers_that_are_lost_make_nothing_twice() {
    let server = FakeServer::start(|_, earlier| (earlier == 0).then_some(Fault::DoneThenCut)).await;
    assert_whole(&server, &log(&server.address, limits()).await);
    assert_eq!(server.count(CREATE), 1);
    assert_eq!(server.count("experiments/create"), 2);
}

#[tokio::test]
async fn an_experiment_that_somebody_else_just_made_is_used() {
    // The first look sees none, and then it is there.
    let missing = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST"}"#;
    let server = FakeServer::start(move |request, earlier| {
        let look = request.path.contains("get-by-name");
        (look && earlier == 0).then(|| Fault::Answer(404, "", missing.to_owned()))
    })
    .await;
    let theirs =
        serde_json::json!({"experiment_id": "1", "name": "repo", "lifecycle_stage": "active"});
    server.store.lock().unwrap().experiments.push(theirs);
    assert_whole(&server, &log(&server.address, limits()).await);
}

#[tokio::test]
async fn a_retry_after_is_waited_for() {
    let server = FakeServer::start(|request, earlier| {
        let wait = Fault::Answer(429, "retry-after: 1\r\n", String::new());
        (request.path == CREATE && earlier == 0).then_some(wait)
    })
    .await;
    let begun = Instant::now();
    assert_whole(&server, &log(&server.address, limits()).await);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_shows_no_secret() {
    let server = FakeServer::start(|_, _| {
        let words = r#"{"error_code": "UNAUTHENTICATED", "message": "bad tok-secret"}"#;
        Some(Fault::Answer(401, "", words.to_owned()))
    })
    .await;
    let logged = log(&server.address, limits()).await;
    assert_eq!((server.count("/"), logged.page), (1, None));
    let [warning] = &logged.warnings[..] else {
        panic!("{:?}", logged.warnings)
    };
    assert!(
        warning.contains("`repo`")
            && warning.contains("status 401: bad *** (MLFLOW_TRACKING_TOKEN"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_dead_server_costs_a_warning_and_little_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let begun = Instant::now();
    let logged = log(&address, limits()).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((logged.warnings.len(), logged.page), (1, None));
    assert!(
        logged.warnings[0].contains("refused"),
        "{:?}",
        logged.warnings
    );
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_its_time() {
    let server = FakeServer::start(|_, _| Some(Fault::Silence(Duration::from_secs(60)))).await;
    let begun = Instant::now();
    let logged = log(&server.address, limits()).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((logged.warnings.len(), logged.page), (1, None));
}

#[tokio::test]
async fn a_server_that_comes_back_has_everything() {
    let server = FakeServer::start(|request, earlier| {
        let first = request.path.contains("get-by-name");
        (first && earlier < 5).then_some(Fault::Cut)
    })
    .await;
    let limits = Limits {
        silent: Duration::from_secs(10),
        ..limits()
    };
    let logging = Logging::start(client(), tracking(&server.address), run(), limits);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_whole(&server, &logging.finish(ending()).await);
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_keeps_what_it_has_and_the_rest_is_named() {
    let server = FakeServer::start(|request, earlier| {
        let late = request.method == "PUT" || request.path.contains("update");
        // The second call of parameters is followed by that of figures.
        let figures = request.path.contains("log-batch") && earlier >= 2;
        (late || figures).then_some(Fault::Cut)
    })
    .await;
    let limits = Limits {
        total: Duration::from_millis(300),
        ..limits()
    };
    let logged = log(&server.address, limits).await;
    assert_eq!(logged.page, Some(format!("{}{PAGE}", server.address)));
    let about: Vec<bool> = ["figures", "`report.html`", "still has the run as running"]
        .iter()
        .zip(&logged.warnings)
        .map(|(words, warning)| warning.contains(words))
        .collect();
    assert_eq!(about, [true; 3], "{:?}", logged.warnings);
    assert_eq!(server.store.lock().unwrap().params.len(), 150);
}

#[tokio::test]
async fn what_is_no_mlflow_is_told_apart() {
    let page = |status, headers| {
        move |_: &Request, _: usize| Some(Fault::Answer(status, headers, "<html>".to_owned()))
    };
    let server = FakeServer::start(page(200, "")).await;
    let logged = log(&server.address, limits()).await;
    assert!(
        logged.warnings[0].contains("not MLflow's"),
        "{:?}",
        logged.warnings
    );
    let server = FakeServer::start(page(302, "location: http://elsewhere.invalid/\r\n")).await;
    let logged = log(&server.address, limits()).await;
    assert!(
        logged.warnings[0].contains("status 302"),
        "{:?}",
        logged.warnings
    );
    assert_eq!(server.count("/"), 1);
    let server = FakeServer::start(healthy).await;
    let deleted =
        serde_json::json!({"experiment_id": "1", "name": "repo", "lifecycle_stage": "deleted"});
    server.store.lock().unwrap().experiments.push(deleted);
    let logged = log(&server.address, limits()).await;
    assert!(
        logged.warnings[0].contains("deleted there"),
        "{:?}",
        logged.warnings
    );
}

#[tokio::test]
async fn folders_of_this_machine_are_written_and_other_stores_are_named() {
    let folder = TempDir::new().unwrap();
    let server = FakeServer::start(healthy).await;
    let path = folder.path().display();
    server.store.lock().unwrap().artifacts = format!("file://{path}/0/{{run}}/artifacts");
    let logged = log(&server.address, limits()).await;
    assert_eq!(logged.warnings, [""; 0]);
    let file = folder.path().join("0/run1/artifacts/report.html");
    assert_eq!(std::fs::read(file).unwrap(), b"<html>");

    let server = FakeServer::start(healthy).await;
    "s3://bucket/0/{run}/artifacts".clone_into(&mut server.store.lock().unwrap().artifacts);
    let logged = log(&server.address, limits()).await;
    assert_eq!(logged.warnings.len(), 1);
    assert!(
        logged.warnings[0].contains("`s3:`"),
        "{:?}",
        logged.warnings
    );
    assert_eq!(
        server.store.lock().unwrap().runs[0]["info"]["status"],
        "FINISHED"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_others_are_there() {
    let server = FakeServer::start(healthy).await;
    let logging = Logging::start(client(), tracking(&server.address), run(), limits());
    let mut ending = ending();
    ending.status = Status::Killed;
    ending
        .files
        .insert(0, Artifact::at("/nowhere/x_summary.json".as_ref()));
    let logged = logging.finish(ending).await;
    assert_eq!(logged.warnings.len(), 1);
    assert!(
        logged.warnings[0].contains("`x_summary.json`"),
        "{:?}",
        logged.warnings
    );
    let store = server.store.lock().unwrap();
    assert_eq!(
        (store.files.len(), &store.runs[0]["info"]["status"]),
        (1, &"KILLED".into())
    );
}
