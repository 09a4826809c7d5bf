//! What a machine's own settings come to: its proxy, and the ways of masters and workers to each other.

use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::settings::run_in;
use super::{Around, resolved};
use crate::domain::Secret;

fn master(line: &str) -> MasterOptions {
    match resolved(&format!("master {line}"), &Around::default()) {
        Ok(Command::Master(options)) => *options,
        other => panic!("{other:?}"),
    }
}

pub(super) fn worker_in(line: &str, around: &Around) -> WorkerOptions {
    match resolved(&format!("worker {line}"), around) {
        Ok(Command::Worker(options)) => *options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proxy_of_the_environment_is_used_unless_told_otherwise() {
    let around = Around::with(&[("http_proxy", "http://u:p@proxy:3128")]);
    let settings = run_in("", &around).settings;
    assert_eq!(settings.target.proxy.as_deref(), Some("http://proxy:3128"));
    assert_eq!(
        settings
            .secrets
            .proxy_credentials
            .as_ref()
            .map(Secret::expose),
        Some("u:p")
    );
    for line in ["--no-proxy", "--mock", "-H https://h"] {
        let settings = run_in(line, &around).settings;
        assert_eq!(
            (settings.target.proxy, settings.secrets.proxy_credentials),
            (None, None),
            "{line}"
        );
    }
}

#[test]
fn a_worker_has_a_page_of_its_own_which_one_that_stays_does_not_keep_afterwards() {
    let worker = |line: &str| worker_in(line, &Around::default());
    assert!(worker("").prometheus.is_none());
    let page = worker("--prometheus 9465 --prometheus-linger 5s").prometheus;
    let page = page.map(|page| (page.bind.to_string(), page.linger));
    let bind = "127.0.0.1:9465".to_owned();
    assert_eq!(page, Some((bind, Duration::from_secs(5))));
    assert!(worker("--stay --prometheus 0").prometheus.is_some());
    for line in [
        "worker --stay --prometheus 0 --prometheus-linger 5s",
        "worker --prometheus-linger 5s",
    ] {
        assert!(resolved(line, &Around::default()).is_err(), "{line}");
    }
}

#[test]
fn a_master_listens_on_loopback_unless_plain_text_is_allowed() {
    let options = master("--expect-workers 4 --expect-workers-max-wait 90 --records r.jsonl");
    assert_eq!(options.bind.to_string(), "127.0.0.1:5557");
    assert_eq!(options.expect_workers, 4);
    assert_eq!(
        options.expect_workers_max_wait,
        Some(Duration::from_secs(90))
    );
    assert_eq!(options.settings.observe.records.as_deref(), Some("r.jsonl"));
    assert_eq!(master("").expect_workers_max_wait, None);
    assert_eq!(
        master("--master-bind-host ::1 --master-bind-port 7")
            .bind
            .to_string(),
        "[::1]:7"
    );
    assert_eq!(
        master("--master-bind-host * --insecure").bind.to_string(),
        "0.0.0.0:5557"
    );
    assert!(resolved("master --master-bind-host 0.0.0.0", &Around::default()).is_err());
}

#[test]
fn a_worker_finds_its_master_by_one_word_or_two() {
    let none = Around::default();
    assert_eq!(
        worker_in("", &none).connection.master.to_string(),
        "127.0.0.1:5557"
    );
    assert_eq!(
        worker_in("--master m:7", &none)
            .connection
            .master
            .to_string(),
        "m:7"
    );
    assert_eq!(
        worker_in("--master m", &none).connection.master.to_string(),
        "m:5557"
    );
    assert_eq!(
        worker_in("--master-host ::1 --master-port 8", &none)
            .connection
            .master
            .to_string(),
        "[::1]:8"
    );
    let env = Around::with(&[
        ("LOCUST_MASTER_NODE_HOST", "m"),
        ("LOCUST_MASTER_NODE_PORT", "9"),
    ]);
    assert_eq!(worker_in("", &env).connection.master.to_string(), "m:9");
    assert_eq!(
        worker_in("--master n:1", &env)
            .connection
            .master
            .to_string(),
        "n:1"
    );
}

#[test]
fn every_header_of_a_worker_is_a_secret_of_its_own() {
    let options = worker_in(
        "-k K --header X-A:1 --header Authorization:B --records-dir d",
        &Around::default(),
    );
    assert_eq!(
        options.secrets.headers.keys().collect::<Vec<_>>(),
        ["x-a", "authorization"]
    );
    assert_eq!(options.secrets.api_key.unwrap().expose(), "K");
    assert_eq!(options.records_dir, Some(PathBuf::from("d")));
}
