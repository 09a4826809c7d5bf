//! Which clusters the settings allow, and what they come to.

use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::{Around, resolved};
use crate::domain::Secret;

const TOKEN: &str = "a-token-of-many-bytes";

fn master(line: &str, around: &Around) -> MasterOptions {
    match resolved(&format!("master {line}"), around) {
        Ok(Command::Master(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn worker(line: &str, around: &Around) -> Connection {
    match resolved(&format!("worker {line}"), around) {
        Ok(Command::Worker(options)) => options.connection,
        other => panic!("{line}: {other:?}"),
    }
}

fn file(name: &str) -> TokenSource {
    TokenSource::File(PathBuf::from(name))
}

fn given() -> TokenSource {
    TokenSource::Given(Secret::new(TOKEN))
}

#[test]
fn a_master_that_is_told_nothing_listens_on_loopback_and_waits_as_the_field_does() {
    let options = master("", &Around::default());
    assert_eq!(options.bind.to_string(), "127.0.0.1:5557");
    assert_eq!(options.security, MasterSecurity::default());
    assert_eq!(options.max_workers, 10_000);
    assert_eq!(options.heartbeats.interval, Duration::from_secs(1));
    assert_eq!(options.heartbeats.missing_after, Duration::from_secs(3));
    assert_eq!(options.on_worker_loss, OnWorkerLoss::Rebalance);
    assert_eq!(options.journal, Journal::Unnamed);
}

#[test]
fn beyond_loopback_only_what_keeps_strangers_out_or_says_insecure_is_allowed() {
    let tls = "--tls-cert c --tls-key k";
    let public = "--master-bind-host 192.0.2.7";
    for (line, allowed) in [
        (String::new(), false),
        ("--token-file t".to_owned(), false),
        (tls.to_owned(), false),
        (format!("{tls} --token-file t"), true),
        (format!("{tls} --tls-ca a"), true),
        (format!("{tls} --tls-ca a --token-file t"), true),
        ("--insecure".to_owned(), true),
        ("--insecure --token-file t".to_owned(), true),
        (format!("--insecure {tls}"), true),
        // Never, not even then: the keys would be anybody's.
        ("--insecure --share-secrets".to_owned(), false),
        (format!("--insecure {tls} --share-secrets"), false),
    ] {
        let outcome = resolved(&format!("master {public} {line}"), &Around::default());
        assert_eq!(outcome.is_ok(), allowed, "{line}: {outcome:?}");
    }
    for host in ["127.0.0.9", "::1", "localhost"] {
        master(&format!("--master-bind-host {host}"), &Around::default());
    }
}

#[test]
fn the_files_of_a_master_arrive_as_they_were_given() {
    let options = master(
        "--tls-cert c --tls-key k --tls-ca a --token-file t --share-secrets --journal j --on-worker-loss ignore",
        &Around::default(),
    );
    let files = ServerTlsFiles {
        cert: "c".into(),
        key: "k".into(),
        client_ca: Some("a".into()),
    };
    assert_eq!(
        options.security,
        MasterSecurity {
            token: Some(file("t")),
            tls: Some(files),
            share_secrets: true
        }
    );
    assert_eq!(options.journal, Journal::Named("j".into()));
    assert_eq!(options.on_worker_loss, OnWorkerLoss::Ignore);
    let none = master("--no-journal", &Around::conf("journal = j"));
    assert_eq!(none.journal, Journal::Off);
    let named = master("--journal j", &Around::conf("no-journal"));
    assert_eq!(named.journal, Journal::Named("j".into()));
    let locust = master(
        "--enable-rebalancing",
        &Around::conf("on-worker-loss = fail"),
    );
    assert_eq!(locust.on_worker_loss, OnWorkerLoss::Rebalance);
    let ours = master(
        "--on-worker-loss fail",
        &Around::conf("enable-rebalancing = true"),
    );
    assert_eq!(ours.on_worker_loss, OnWorkerLoss::Fail);
}

#[test]
fn the_stronger_of_token_file_and_variable_counts() {
    let env = |more: &[(&str, &str)]| Around::with(&[&[("LLMLOAD_TOKEN", TOKEN)], more].concat());
    assert_eq!(worker("", &env(&[])).token, Some(given()));
    assert_eq!(worker("--token-file t", &env(&[])).token, Some(file("t")));
    let conf = env(&[]).and_file("locust.conf", "token-file = t");
    assert_eq!(worker("", &conf).token, Some(given()));
    assert_eq!(master("", &conf).security.token, Some(given()));
    let named = Around::with(&[("LLMLOAD_TOKEN_FILE", "t"), ("LLMLOAD_TOKEN", "")]);
    assert_eq!(worker("", &named).token, Some(file("t")));
}

#[test]
fn a_worker_speaks_tls_for_an_authority_or_https() {
    let none = Around::default();
    assert_eq!(worker("--master h:1", &none).tls, None);
    let system = worker("--master https://[::1]:7/", &none);
    assert_eq!(system.master.to_string(), "[::1]:7");
    assert_eq!(system.tls, Some(ClientTlsFiles::default()));
    let own = worker(
        "--master h --tls-ca a --tls-cert c --tls-key k --tls-server-name n",
        &none,
    );
    assert_eq!(own.master.to_string(), "h:5557");
    assert_eq!(
        own.tls,
        Some(ClientTlsFiles {
            ca: Some("a".into()),
            identity: Some(("c".into(), "k".into())),
            server_name: Some("n".to_owned()),
        })
    );
}

#[test]
fn a_token_travels_to_another_machine_in_plain_text_only_when_told_so() {
    let around = Around::with(&[("LLMLOAD_TOKEN", TOKEN)]);
    assert!(resolved("worker --master h", &around).is_err());
    for line in [
        "--master h --insecure",
        "--master h --tls-ca a",
        "--master https://h",
        "--master 127.0.0.1:7",
    ] {
        assert_eq!(worker(line, &around).token, Some(given()), "{line}");
    }
}

#[test]
fn a_token_is_shown_nowhere() {
    for name in ["master", "worker"] {
        let around = Around::with(&[("LLMLOAD_TOKEN", TOKEN)]);
        let Ok(Command::ShowConfig(text)) = resolved(&format!("{name} --show-config"), &around)
        else {
            panic!("{name}");
        };
        assert!(!text.contains(TOKEN), "{text}");
        let note = text.lines().last().unwrap();
        assert_eq!(
            note,
            "# the cluster's token is ***                 # environment LLMLOAD_TOKEN"
        );
        let options = format!("{:?}", resolved(name, &around).unwrap());
        assert!(!options.contains(TOKEN), "{options}");
    }
}
