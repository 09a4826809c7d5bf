//! Benchmarks from Rust, against the mock: what comes out, and every way to end one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::mpsc;

use llmload::domain::{AwsSecrets, Rate, Secret, Seed};
use llmload::embed::{Benchmark, EndedBy, Error, Outcome, PlanBuilder};
use llmload::mock::{MockHandle, Script, spawn_thread};
use llmload::plan::Plan;
use llmload::provider::Kind;
use llmload::schedule::Law;
use llmload::workload::{BUILT_IN, Corpus, Tokenizer, TokenizerRef};

use crate::server::{Answer, Server};

fn mock(ttft: &str) -> MockHandle {
    let script = Script {
        ttft: ttft.parse().unwrap(),
        inter_token: "0ms".parse().unwrap(),
        keep_requests: 1_000,
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

fn builder(mock: &MockHandle) -> PlanBuilder {
    PlanBuilder::chat(&format!("http://{}/", mock.addr()), "mock")
        .users(4)
        .spawn_rate(Rate::per_second(1_000))
        .prompt("Hello")
        .output_tokens(3)
        .seed(Seed(1))
}

fn plan(mock: &MockHandle, requests: u64) -> Plan {
    builder(mock).max_requests(requests).build().unwrap()
}

/// Nothing here takes so long.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("in vain")
}

async fn run(benchmark: Benchmark) -> Result<Outcome, Error> {
    soon(benchmark.threads(1).run()).await
}

#[test]
fn a_future_can_be_spawned() {
    fn sent<T: Send>(_: &T) {}
    let mock = mock("0ms");
    sent(&Benchmark::new(plan(&mock, 1)).run());
}

#[tokio::test]
async fn records_are_collected_up_to_a_limit_sent_or_handed_over() {
    let mock = mock("0ms");
    let all = run(Benchmark::new(plan(&mock, 20)).collect_records(12))
        .await
        .unwrap();
    assert_eq!((all.records.len(), all.records_left_out), (12, 8));
    assert_eq!(
        (all.summary.counts.sent, &all.ended_by),
        (20, &EndedBy::MaxRequests)
    );
    assert!(all.records_error.is_none() && all.discrepancies.is_empty());

    let (sender, mut queue) = mpsc::channel(100);
    let sent = run(Benchmark::new(plan(&mock, 20)).send_records(sender))
        .await
        .unwrap();
    let mut came = 0;
    while let Some(record) = queue.recv().await {
        assert_eq!(record.output_tokens().unwrap().0, 3);
        came += 1;
    }
    assert_eq!((came, sent.records.len()), (20, 0));

    let heard = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&heard);
    let count = move |_| {
        told.fetch_add(1, Relaxed);
    };
    run(Benchmark::new(plan(&mock, 20)).on_record(count))
        .await
        .unwrap();
    assert_eq!(heard.load(Relaxed), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_panics_costs_the_records_alone() {
    let mock = mock("0ms");
    let broken = Benchmark::new(plan(&mock, 9)).on_record(|_| panic!("no"));
    let outcome = run(broken).await.unwrap();
    assert_eq!(outcome.summary.counts.sent, 9);
    let words = outcome.records_error.unwrap().to_string();
    assert_eq!(words, "taking the records ended by a defect");
}

#[tokio::test]
async fn a_handle_stops_a_run_and_tells_how_it_stands() {
    let mock = mock("1ms");
    let endless = builder(&mock).build().unwrap();
    let benchmark = Benchmark::new(endless).threads(1);
    let handle = benchmark.handle();
    let stopping = async {
        while handle
            .status()
            .await
            .is_none_or(|status| status.requests < 10)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        handle.stop();
    };
    let (outcome, ()) = soon(async { tokio::join!(benchmark.run(), stopping) }).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.ended_by, EndedBy::Stopped);
    assert!(outcome.summary.counts.sent >= 10 && !outcome.is_valid());
    assert!(handle.status().await.is_none());
    handle.stop();
}

/// Polls `work` once and keeps it.
fn begun<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let mut work = Box::pin(work);
    let mut context = Context::from_waker(Waker::noop());
    assert!(work.as_mut().poll(&mut context).is_pending());
    work
}

#[tokio::test]
async fn no_number_of_questions_keeps_an_order_from_being_heard() {
    for (is_abort, ended_by) in [(false, EndedBy::Stopped), (true, EndedBy::Aborted)] {
        let mock = mock("1ms");
        let plan = builder(&mock).run_time(Duration::from_secs(5)).build();
        let benchmark = Benchmark::new(plan.unwrap()).threads(1);
        let handle = benchmark.handle();
        let telling = async {
            while handle
                .status()
                .await
                .is_none_or(|status| status.requests < 1)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let pending: Vec<_> = (0..64).map(|_| begun(handle.status())).collect();
            if is_abort {
                handle.stop();
                handle.abort();
            } else {
                handle.stop();
            }
            pending
        };
        let (outcome, pending) = soon(async { tokio::join!(benchmark.run(), telling) }).await;
        assert_eq!(outcome.unwrap().ended_by, ended_by);
        drop(pending);
    }
}

#[tokio::test]
async fn dropping_the_future_ends_the_load() {
    let mock = mock("1ms");
    let endless = builder(&mock).build().unwrap();
    let running = Benchmark::new(endless).threads(1).run();
    let cut = tokio::time::timeout(Duration::from_millis(700), running).await;
    assert!(cut.is_err());
    let requests = || mock.stats().snapshot().requests.numbered;
    // What is under way ends by itself.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let then = requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(then > 0);
    assert_eq!(requests(), then);
}

#[tokio::test]
async fn a_tokenizer_makes_lengths_exact_and_must_be_the_plans() {
    let mock = mock("0ms");
    let tokenizer = Arc::new(Tokenizer::built_in().unwrap());
    let exact = || {
        builder(&mock)
            .generated(Corpus::Sonnets, 300)
            .max_requests(5)
    };
    let plan = exact().tokenizer(&tokenizer).build().unwrap();
    let outcome = run(Benchmark::new(plan.clone()).collect_records(9))
        .await
        .unwrap();
    let counted = outcome
        .records
        .iter()
        .map(|record| record.counted_prompt_tokens);
    assert!(counted.clone().count() == 5 && counted.flatten().all(|tokens| tokens == 300));
    assert!(
        outcome.notes[0].contains("no model's"),
        "{:?}",
        outcome.notes
    );

    let mut other = plan;
    other.workload.tokenizer = Some(TokenizerRef {
        name: "org/name".to_owned(),
        sha256: "0".repeat(64),
    });
    let none = run(Benchmark::new(other.clone())).await.unwrap_err();
    assert!(matches!(none, Error::NoTokenizer(name) if name == "org/name"));
    let differs = run(Benchmark::new(other).tokenizer(Arc::clone(&tokenizer))).await;
    assert!(matches!(differs.unwrap_err(), Error::Workload(_)));

    let plain = exact().build().unwrap();
    let given = run(Benchmark::new(plain).tokenizer(tokenizer))
        .await
        .unwrap();
    assert_eq!(given.plan.workload.tokenizer.unwrap().name, BUILT_IN);
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_a_typed_error_and_keys_are_masked() {
    let mock = mock("0ms");
    let mut proxied = plan(&mock, 1);
    proxied.target.proxy = Some("https://proxy:1".to_owned());
    let error = run(Benchmark::new(proxied)).await.unwrap_err();
    assert!(matches!(error, Error::ProxyTls(_)), "{error}");
    let key = Secret::new("two\nlines");
    let error = run(Benchmark::new(plan(&mock, 1)).api_key(key))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Shape(_)) && !error.to_string().contains("two"));
    let header = Benchmark::new(plan(&mock, 1)).header("no name", Secret::new("v"));
    assert!(matches!(
        run(header).await.unwrap_err(),
        Error::HeaderName(_)
    ));
    let asked = mock.stats().snapshot().requests.numbered;
    assert_eq!(asked, 0);
}

const AWS: [Kind; 3] = [Kind::SageMaker, Kind::Bedrock, Kind::BedrockInvoke];

fn keys() -> AwsSecrets {
    AwsSecrets {
        access_key_id: Some(Secret::new("AKIDLLMLOADTEST")),
        secret_access_key: Some(Secret::new("wJalr-secret-of-aws")),
        session_token: Some(Secret::new("session-token-of-aws")),
        bearer_token: None,
    }
}

#[tokio::test]
async fn no_cloud_is_asked_by_who_brings_neither_a_signature_nor_a_token() {
    let mock = mock("0ms");
    let half = AwsSecrets {
        secret_access_key: None,
        ..keys()
    };
    for kind in AWS {
        let plan = builder(&mock).api(kind).max_requests(2).build().unwrap();
        for keys in [AwsSecrets::default(), half.clone()] {
            let error = run(Benchmark::new(plan.clone()).aws(keys)).await;
            let error = error.unwrap_err();
            assert!(
                matches!(error, Error::NoAuthority(named) if named == kind),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("`Benchmark::aws`"));
        }
        let nowhere = run(Benchmark::new(plan).aws(keys())).await.unwrap_err();
        assert!(matches!(nowhere, Error::AwsRegion(named) if named == kind));
    }
    for kind in [Kind::Gemini, Kind::VertexPredict, Kind::VertexAnthropic] {
        let plan = PlanBuilder::chat("http://google.invalid", "m")
            .api(kind)
            .build();
        let error = run(Benchmark::new(plan.unwrap()).aws(keys())).await;
        assert!(matches!(error.unwrap_err(), Error::NoAuthority(named) if named == kind));
    }
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[tokio::test]
async fn keys_of_amazons_sign_requests_and_are_masked() {
    let mock = mock("0ms");
    for kind in AWS {
        let at = |builder: PlanBuilder| {
            let there = builder.api(kind).max_requests(2).with(|plan| {
                plan.provider.model = "anthropic.claude-3-haiku-20240307-v1:0".to_owned();
                plan.provider.place.aws_region = Some("eu-west-3".to_owned());
            });
            Benchmark::new(there.build().unwrap())
        };
        let served = run(at(builder(&mock)).aws(keys())).await.unwrap();
        assert_eq!(served.summary.counts.sent, 2);
        assert_eq!(served.summary.failures(), 0, "{kind}");

        let server = Server::start(Answer::Refuse(403));
        let there = || at(PlanBuilder::chat(&server.url(), "").prompt("Hello"));
        let refused = run(there().aws(keys())).await.unwrap();
        assert_eq!(refused.summary.failures(), 2);
        let signed = "authorization: AWS4-HMAC-SHA256 Credential=AKIDLLMLOADTEST/";
        assert!(!server.heads().is_empty());
        for head in server.heads() {
            assert!(
                head.contains(signed) && head.contains("/eu-west-3/"),
                "{head}"
            );
        }
        let all = format!("{refused:?}");
        assert!(!all.contains("AKIDLLMLOADTEST") && !all.contains("-of-aws"));
        if kind != Kind::SageMaker {
            let signed = server.heads().len();
            let bearer = AwsSecrets {
                bearer_token: Some(Secret::new("bearer-token-of-bedrock")),
                ..keys()
            };
            run(there().aws(bearer)).await.unwrap();
            let heads = server.heads();
            let words = "authorization: Bearer bearer-token-of-bedrock";
            assert!(heads.len() > signed);
            assert!(heads[signed..].iter().all(|head| head.contains(words)));
        }
    }
}

#[tokio::test]
async fn a_password_in_a_plan_is_refused_wherever_the_plan_comes_from() {
    let mock = mock("0ms");
    let made = plan(&mock, 1);
    let with = |url: &str| {
        let mut plan = serde_json::to_value(&made).unwrap();
        plan["target"]["base_url"] = url.into();
        serde_json::from_value::<Plan>(plan).unwrap()
    };
    let host = mock.addr();
    for url in [
        format!("http://user:hush-hush@{host}"),
        format!("http://user:hush/hush-hush@{host}"),
    ] {
        let error = run(Benchmark::new(with(&url))).await.unwrap_err();
        assert!(matches!(error, Error::UserInfo), "{error:?}");
    }
    let mut proxied = made.clone();
    proxied.target.proxy = Some(format!("http://user:hush-hush@{host}"));
    let error = run(Benchmark::new(proxied)).await.unwrap_err();
    assert!(matches!(error, Error::UserInfo), "{error:?}");
    assert!(!format!("{error:?}").contains("hush"));
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn a_plan_is_checked_where_it_is_made_and_can_be_written_down() {
    let made = |url: &str| PlanBuilder::chat(url, "m").build();
    assert!(matches!(made("localhost:80").unwrap_err(), Error::Url(_)));
    assert!(matches!(made("http://").unwrap_err(), Error::Url(_)));
    for url in [
        "http://user:hush@host",
        "ftp://user:hush@host",
        "user:hush@host",
    ] {
        let secret = made(url).unwrap_err();
        assert!(matches!(secret, Error::UserInfo), "{secret:?}");
    }
    let open = PlanBuilder::completion("http://h:1/base/", "m")
        .rate(Rate::per_second(5), Law::Exponential)
        .users(0)
        .build()
        .unwrap();
    assert_eq!(
        (open.schedule.users, open.target.base_url.as_str()),
        (1, "http://h:1/base")
    );
    let text = serde_json::to_string(&open).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), open);
}
