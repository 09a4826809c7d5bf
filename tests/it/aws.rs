//! Amazon's APIs from outside: signed requests, frames that are read to the end, keys that no output shows.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use llmload::runner::{Authority, AuthorityError};
use llmload::schedule::{Law, Share};
use serde_json::{Value, json};

use crate::command::{Place, Ran, at_once, faulty, serve, url, words};
use crate::process::{settled, shared};
use crate::rig;
use crate::server::{Answer, Server};

const ID: &str = "AKIDLLMLOADTEST";
const SECRET: &str = "wJalr-secret-of-aws";
const SESSION: &str = "session-token-of-aws";
const BEARER: &str = "bearer-token-of-bedrock";

const KEYS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_SESSION_TOKEN", SESSION),
    ("AWS_REGION_NAME", "eu-west-3"),
];

const LOAD: &str = "-u 2 -r 1000 --max-requests 4 -p 32 -o 6 --only-summary --no-reset-stats --start-spread 0s --threads 1 -L trace \
     --json-file result.json --records records.jsonl";

/// Each API, and a model that it takes.
const APIS: [(&str, &str); 4] = [
    ("sagemaker", "an-endpoint"),
    ("sagemaker --no-chat", "an-endpoint"),
    ("bedrock", "us.meta.llama3-1-8b-instruct-v1:0"),
    ("bedrock-invoke", "anthropic.claude-3-haiku-20240307-v1:0"),
];

fn run(place: &Place, address: &str, api: (&str, &str), more: &str, env: &[(&str, &str)]) -> Ran {
    let (provider, model) = api;
    let line = format!("run -H {address} --provider {provider} -m {model} {LOAD} {more}");
    place.run_with(&words(&line), env)
}

fn assert_silent(place: &Place, ran: &Ran) {
    for trace in [ID, SECRET, SESSION, BEARER] {
        assert!(
            !ran.stdout.contains(trace) && !ran.stderr.contains(trace),
            "{trace}"
        );
        for (path, content) in place.files() {
            assert!(!content.contains(trace), "{trace} in {}", path.display());
        }
    }
}

#[test]
fn each_of_amazons_apis_is_read_to_the_last_token() {
    let _shared = shared();
    for api in APIS {
        for how in ["", "--no-stream"] {
            let (place, mock) = (Place::new(), serve(at_once()));
            let ran = run(&place, &url(&mock), api, how, KEYS);
            ran.expect(0);
            let result = place.json("result.json");
            let asked = format!("{api:?} {how}");
            assert_eq!(result["totals"]["completed"], 4, "{asked}: {result}");
            assert_eq!(
                result["tokens"]["requests_by_source"],
                json!({"usage": 4}),
                "{asked}"
            );
            assert_eq!(result["tokens"]["whole_run_output"], 24, "{asked}");
            let seen = settled(&mock);
            let completed = (seen.streams.completed, seen.wholes.completed);
            assert_eq!(
                completed,
                if how.is_empty() { (4, 0) } else { (0, 4) },
                "{asked}"
            );
            assert_silent(&place, &ran);
        }
    }
}

#[test]
fn the_faults_of_a_stream_are_told_apart_in_frames_too() {
    let _shared = shared();
    for (fault, outcome) in [
        ("error-in-stream=1:2", "in_stream_error"),
        ("cut=1:2", "cut"),
        ("malformed=1:2", "parse_error"),
        ("drop=1:2", "cut"),
    ] {
        for api in APIS {
            let (place, mock) = (Place::new(), faulty(&[fault]));
            run(&place, &url(&mock), api, "", KEYS);
            let records = place.records("records.jsonl");
            let outcomes: Vec<&Value> = records.iter().map(|record| &record["outcome"]).collect();
            assert_eq!(
                outcomes,
                vec![outcome; 4],
                "{fault} {api:?}: {}",
                records[0]
            );
        }
    }
}

#[test]
fn requests_are_signed_for_the_service_and_the_region_and_nothing_shows_the_keys() {
    let _shared = shared();
    for (api, service) in APIS
        .into_iter()
        .zip(["sagemaker", "sagemaker", "bedrock", "bedrock"])
    {
        let (place, server) = (Place::new(), Server::start(Answer::Refuse(403)));
        let ran = run(&place, &format!("{}/base", server.url()), api, "", KEYS);
        ran.expect(1);
        let heads = server.heads();
        let scope = format!(
            "/eu-west-3/{service}/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
        );
        let key = format!("authorization: AWS4-HMAC-SHA256 Credential={ID}/");
        assert!(heads.len() >= 4, "{heads:?}");
        for head in &heads {
            assert!(head.contains(&scope) && head.contains(&key), "{head}");
            assert!(
                head.contains(&format!("x-amz-security-token: {SESSION}")),
                "{head}"
            );
            assert!(!head.contains(SECRET), "{head}");
        }
        assert_silent(&place, &ran);
    }
}

#[test]
fn a_bearer_token_takes_the_place_of_a_signature_at_bedrock() {
    let _shared = shared();
    let env = [
        ("AWS_BEARER_TOKEN_BEDROCK", BEARER),
        ("AWS_REGION", "us-east-1"),
    ];
    let (place, server) = (Place::new(), Server::start(Answer::Refuse(401)));
    let ran = run(&place, &server.url(), APIS[2], "", &env);
    ran.expect(1);
    let bearer = format!("authorization: Bearer {BEARER}");
    assert!(
        server.heads().iter().all(|head| head.contains(&bearer)),
        "{:?}",
        server.heads()
    );
    assert_silent(&place, &ran);
}

#[test]
fn what_is_missing_is_named_before_anything_is_sent() {
    let _shared = shared();
    let (place, server) = (Place::new(), Server::start(Answer::Refuse(401)));
    let without = |names: &[&str]| {
        let left: Vec<_> = KEYS
            .iter()
            .copied()
            .filter(|(name, _)| !names.contains(name))
            .collect();
        let ran = run(&place, &server.url(), APIS[0], "", &left);
        ran.expect(2);
        ran.complaint()
    };
    let both = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    assert!(
        both.contains("provider `sagemaker` needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "{both}"
    );
    let one = without(&["AWS_SECRET_ACCESS_KEY"]);
    assert!(
        one.contains("provider `sagemaker` needs AWS_SECRET_ACCESS_KEY\n"),
        "{one}"
    );
    let region = without(&["AWS_REGION_NAME"]);
    assert!(
        region.contains("provider `sagemaker` needs a region of AWS")
            && region.contains("--aws-region"),
        "{region}"
    );
    let line = format!("run -H {} --provider bedrock {LOAD}", server.url());
    let model = place.run_with(&words(&line), KEYS);
    model.expect(2);
    assert!(
        model
            .complaint()
            .contains("provider `bedrock` needs a model"),
        "{}",
        model.complaint()
    );
    assert!(server.heads().is_empty());
}

#[test]
fn the_plan_of_a_run_has_the_region_and_no_keys() {
    let _shared = shared();
    let (place, mock) = (Place::new(), serve(at_once()));
    let ran = run(
        &place,
        &url(&mock),
        APIS[0],
        "--aws-region us-west-2 --journal kept",
        KEYS,
    );
    ran.expect(0);
    let written = place
        .files()
        .into_iter()
        .map(|(_, content)| content)
        .collect::<String>();
    assert!(written.contains("us-west-2"));
    assert_silent(&place, &ran);
    fs::remove_dir_all(place.file("kept")).unwrap_or_default();
}

/// Numbers what it lets in.
#[derive(Debug)]
struct Numbers {
    given: AtomicU64,
    lasts: Duration,
}

impl Authority for Numbers {
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), AuthorityError> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        request.headers_mut().insert("x-request-id", number.into());
        Ok(())
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }
}

/// How often somebody was asked to let requests in, and how many were sent.
fn asked_to_let_in(lasts: Duration) -> (u64, u64) {
    let mock = serve(at_once());
    let spec = rig::open(2, 50, Law::Constant, 400);
    let authority = Arc::new(Numbers {
        given: AtomicU64::new(0),
        lasts,
    });
    let asked: Arc<dyn Authority> = Arc::clone(&authority) as _;
    let ran = rig::run(async {
        let share = Share::first(&spec, 0, 1);
        let worker = rig::Worker::let_in_by(&mock, &spec, share, Some(asked)).await;
        worker.run(rig::soon(), Vec::new()).await
    });
    let sent = ran.records.len() as u64;
    assert!(sent >= 15, "{sent}");
    (authority.given.load(Ordering::Relaxed), sent)
}

#[test]
fn a_request_that_waited_for_longer_than_it_may_is_let_in_once_more() {
    let _shared = shared();
    let (once, sent) = asked_to_let_in(Duration::from_secs(3_600));
    assert!(once >= sent && once < sent * 2, "{once} of {sent}");
    let (twice, sent) = asked_to_let_in(Duration::ZERO);
    assert!(twice >= sent * 2, "{twice} of {sent}");
}
