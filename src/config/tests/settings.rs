//! What the settings come to: precedence, spellings, and where each option arrives.

use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::machines::worker_in;
use super::{Around, resolved, words};
use crate::domain::{HttpEngine, Rate, Secret, Seed, StampSource};
use crate::plan::{ConnectionReuse, HttpVersion, Limits};
use crate::provider::Task;
use crate::schedule::{Law, Pacing};
use crate::workload::{Corpus, LengthLaw, LengthSpec, PromptSource, TokenizerRef};

pub(super) fn run_in(line: &str, around: &Around) -> RunOptions {
    match resolved(&format!("run {line}"), around) {
        Ok(Command::Run(options)) => *options,
        other => panic!("{other:?}"),
    }
}

fn run(line: &str) -> RunOptions {
    run_in(line, &Around::default())
}

fn settings(line: &str) -> Settings {
    run(line).settings
}

fn shown(addresses: &[core::net::IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

#[test]
fn source_addresses_come_from_every_layer_and_a_stronger_one_replaces_them() {
    let around = Around::conf("source-ip = 10.0.0.1, 10.0.0.2\nsource-ip = 10.0.0.3\n");
    assert_eq!(
        shown(&worker_in("", &around).sending.source_ips),
        "10.0.0.1 10.0.0.2 10.0.0.3"
    );
    let around = Around::with(&[("LLMLOAD_SOURCE_IP", "10.0.0.4,[::1]")])
        .and_file("locust.conf", "source-ip = 10.0.0.1");
    assert_eq!(
        shown(&run_in("", &around).sending.source_ips),
        "10.0.0.4 ::1"
    );
    assert_eq!(
        shown(&run_in("--source-ip 10.0.0.5", &around).sending.source_ips),
        "10.0.0.5"
    );
}

#[test]
fn without_a_word_the_defaults_of_the_old_tool_hold() {
    let RunOptions {
        settings,
        sending,
        mock,
        pg_requests,
        journal,
    } = run("");
    assert_eq!((sending.threads, mock, pg_requests), (None, false, false));
    assert_eq!(settings.database, None);
    assert_eq!(journal, Journal::Off);
    assert_eq!(
        (sending.http_engine, sending.stamps),
        (HttpEngine::Lean, StampSource::Kernel)
    );
    assert!(sending.source_ips.is_empty() && settings.target.warm_connections);
    assert_eq!(settings.target.base_url, "http://localhost:80");
    assert_eq!(settings.target.http, HttpVersion::Http1);
    assert_eq!(settings.target.connection_reuse, ConnectionReuse::Pooled);
    assert_eq!((settings.provider, settings.model.as_deref()), (None, None));
    assert!(settings.task == Task::Chat && settings.stream && !settings.schedule.measure_ramp);
    assert_eq!(settings.sampling.temperature, Some(1.0));
    assert_eq!(settings.sampling.n, None);
    assert_eq!(settings.schedule.users, 1);
    assert_eq!(settings.schedule.spawn_rate, Rate::per_second(1));
    assert_eq!(settings.schedule.pacing, Pacing::Closed);
    assert_eq!(settings.schedule.run_time, None);
    assert_eq!(
        settings.prompts,
        Prompts::Ready(PromptSource::Generated {
            corpus: Corpus::Limericks,
            tokens: 512,
            shared_prefix_tokens: 0,
            prefix_groups: 1,
            instruction: None,
        })
    );
    let length = LengthSpec {
        mean: 64,
        law: LengthLaw::Constant,
        range: 0.3,
        cap: None,
        jitter: 0,
    };
    assert_eq!(settings.output, length);
    let limits = Limits {
        total: None,
        first_token: None,
        idle: None,
        connect: Some(Duration::from_secs(30)),
        stop: Duration::from_secs(30),
    };
    assert_eq!(settings.limits, limits);
    assert_eq!(
        (settings.max_fail_ratio, settings.exit_code_on_error),
        (0.01, 1)
    );
    assert_eq!(
        settings.logging,
        Logging {
            level: LogLevel::Info,
            file: None
        }
    );
    assert_eq!(
        (settings.outputs, settings.seed),
        (Outputs::default(), None)
    );
    assert!(!settings.allow_invalid);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the text is long, not the test")]
fn every_option_of_a_test_arrives_where_it_belongs() {
    let line = "-H https://h/base/ -m m --provider anyscale -k key --header X-A:1 --header X-Api-Key:s --http 2 \
                --connection-reuse per-user --insecure-skip-verify --ca-cert ca.pem -u 7 -r 2.5 -t 1h20m --qps 0.5 \
                --qps-distribution exponential --max-requests 5000000000 --warmup 10s --stop-timeout 1s --seed 9 \
                --max-fail-ratio 0.5 --exit-code-on-error 3 -o 10 --max-tokens-distribution normal \
                --max-tokens-range 0.2 --max-tokens-cap 20 --max-tokens-jitter 2 -p 100 -pcml 50 --prompt Go -d code \
                --tokenizer tok --no-chat --no-stream --temperature 0 --top-k 5 -n 2 --logprobs 3 \
                --reasoning-effort low --timeout 60 --timeout-first-token 5s --timeout-idle 500ms \
                --connect-timeout none --summary-file s.csv --csv p --csv-full-history --json --json-file j.json \
                --records d/r.jsonl --show-request --show-response --only-summary --headless -L DEBUG \
                --logfile l.log --threads 2 --http-engine hyper --stamps clock --allow-invalid \
                --source-ip 10.0.0.1,10.0.0.2 --source-ip ::1 --no-warm-connections";
    let RunOptions {
        settings, sending, ..
    } = run(line);
    assert_eq!(sending.threads.map(u32::from), Some(2));
    assert_eq!(
        (sending.http_engine, sending.stamps),
        (HttpEngine::Hyper, StampSource::Clock)
    );
    assert_eq!(shown(&sending.source_ips), "10.0.0.1 10.0.0.2 ::1");
    assert_eq!(settings.target.base_url, "https://h/base");
    assert_eq!(settings.target.ca_cert, Some(PathBuf::from("ca.pem")));
    assert_eq!(settings.target.connection_reuse, ConnectionReuse::PerUser);
    assert!(settings.target.insecure_skip_verify && settings.target.http == HttpVersion::Http2);
    assert_eq!(
        settings.secrets.api_key.as_ref().map(Secret::expose),
        Some("key")
    );
    assert_eq!(settings.secrets.headers["x-api-key"].expose(), "s");
    assert_eq!(settings.outputs.records_dir, Some(PathBuf::from("d")));
    assert_eq!(settings.outputs.csv.as_deref(), Some("p"));
    assert!(
        settings.outputs.csv_full_history && settings.outputs.json && settings.outputs.only_summary
    );
    assert!(settings.outputs.headless);
    assert_eq!(
        settings.logging,
        Logging {
            level: LogLevel::Debug,
            file: Some(PathBuf::from("l.log"))
        }
    );
    assert_eq!(
        (settings.max_fail_ratio, settings.exit_code_on_error),
        (0.5, 3)
    );
    assert!(settings.allow_invalid);
    let Prompts::Ready(prompts) = settings.prompts.clone() else {
        panic!("not ready")
    };
    let found = Found {
        forced: None,
        due_us: None,
        custom: None,
        seed: settings.seed.unwrap(),
        provider: settings.provider.unwrap(),
        model: "m".to_owned(),
        prompts,
        tokenizer: Some(TokenizerRef {
            name: settings.tokenizer.clone().unwrap(),
            sha256: String::new(),
        }),
        ca_pem: Some("PEM".to_owned()),
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&settings.plan(found)).unwrap(), @r#"
    {
      "seed": 9,
      "target": {
        "base_url": "https://h/base",
        "http": "http2",
        "insecure_skip_verify": true,
        "ca_pem": "PEM",
        "connection_reuse": "per-user",
        "warm_connections": false,
        "proxy": null,
        "no_proxy": false
      },
      "provider": {
        "kind": "anyscale",
        "model": "m",
        "task": "completion",
        "stream": false,
        "sampling": {
          "temperature": 0.0,
          "top_k": 5,
          "n": 2,
          "logprobs": 3,
          "reasoning_effort": "low"
        },
        "headers": {
          "x-a": "1"
        },
        "fireworks": {
          "force_min_tokens": false,
          "prompt_cache_max_len": 50,
          "acceptance_probs": null
        },
        "azure": null,
        "custom": null,
        "place": {
          "root": null,
          "path": null,
          "no_stream_options": false,
          "max_completion_tokens": false,
          "lists_of_messages": false,
          "aws_region": null,
          "google": null
        }
      },
      "workload": {
        "prompts": {
          "generated": {
            "corpus": "code",
            "tokens": 100,
            "shared_prefix_tokens": 50,
            "prefix_groups": 1,
            "instruction": "Go"
          }
        },
        "output": {
          "mean": 10,
          "law": "normal",
          "range": 0.2,
          "cap": 20,
          "jitter": 2
        },
        "tokenizer": {
          "name": "tok",
          "sha256": ""
        },
        "shape": {
          "chars": null,
          "randomize": false,
          "images": [],
          "positioning": "space-evenly",
          "clear_assistant": false,
          "letters": 0
        },
        "forced": null,
        "batch": {
          "texts": 1,
          "documents": null,
          "document_tokens": null
        },
        "around": {
          "system": null,
          "extra": {}
        }
      },
      "schedule": {
        "users": 7,
        "spawn_rate": 2.5,
        "pacing": {
          "open": {
            "rate": 0.5,
            "law": "exponential"
          }
        },
        "run_time": {
          "secs": 4800,
          "nanos": 0
        },
        "warmup": {
          "secs": 10,
          "nanos": 0
        },
        "measure_ramp": false,
        "max_requests": 5000000000,
        "ramp": null,
        "spread": {
          "secs": 0,
          "nanos": 0
        },
        "think": null,
        "burstiness": 1.0,
        "enough": null
      },
      "limits": {
        "total": {
          "secs": 60,
          "nanos": 0
        },
        "first_token": {
          "secs": 5,
          "nanos": 0
        },
        "idle": {
          "secs": 0,
          "nanos": 500000000
        },
        "connect": null,
        "stop": {
          "secs": 1,
          "nanos": 0
        }
      },
      "observe": {
        "show_request": true,
        "show_response": true,
        "records": "r.jsonl",
        "first_visible_token": false,
        "cancel_rate": 0.0,
        "warmup_requests": 0,
        "slos": [],
        "answers": null,
        "answers_at_most": null
      }
    }
    "#);
}

#[test]
fn stronger_layers_win_and_weaker_ones_shine_through() {
    let around = Around::with(&[("HOME", "/home/a"), ("LOCUST_USERS", "5"), ("MODEL", "")])
        .and_file(
            "/home/a/.locust.conf",
            "users = 2\nspawn-rate = 2\nqps = 2\nmodel = two\nseed = 2\nwarmup = 2\n",
        )
        .and_file(
            "locust.conf",
            "users = 3\nspawn-rate = 3\nqps = 3\nmodel = three",
        )
        .and_file("my.conf", "users = 4\nspawn-rate = 4\nqps = 4");
    let settings = run_in("--config my.conf --spawn-rate 6", &around).settings;
    assert_eq!(
        settings.schedule.spawn_rate,
        Rate::per_second(6),
        "the command line"
    );
    assert_eq!(settings.schedule.users, 5, "the environment");
    let open = Pacing::Open {
        rate: Rate::per_second(4),
        law: Law::Constant,
    };
    assert_eq!(settings.schedule.pacing, open, "--config");
    assert_eq!(
        settings.model.as_deref(),
        Some("three"),
        "./locust.conf, since the variable is empty"
    );
    assert_eq!(settings.seed, Some(Seed(2)), "~/.locust.conf");
    assert_eq!(settings.max_fail_ratio.to_string(), "0.01", "the default");
}

#[test]
fn the_environment_can_name_the_settings_file() {
    let around = Around::with(&[("LOCUST_CONFIG", "my.conf")]).and_file("my.conf", "users = 4");
    assert_eq!(run_in("", &around).settings.schedule.users, 4);
}

#[test]
fn of_a_boolean_pair_the_last_or_the_stronger_stands() {
    assert!(settings("--no-stream --stream").stream);
    assert!(!settings("--stream --no-stream").stream);
    assert!(!run_in("", &Around::conf("stream = no\n")).settings.stream);
    assert!(!run_in("", &Around::conf("no-stream\n")).settings.stream);
    assert!(
        run_in("--stream", &Around::conf("stream = false\n"))
            .settings
            .stream
    );
    assert!(
        !run_in("--no-chat", &Around::conf("chat = true\n"))
            .settings
            .task
            .eq(&Task::Chat)
    );
    let env = Around::with(&[("LLMLOAD_STREAM", "off")]).and_file("locust.conf", "stream = true");
    assert!(!run_in("", &env).settings.stream);
    assert!(
        !run_in("--no-json", &Around::conf("json\n"))
            .settings
            .outputs
            .json
    );
    let env = Around::with(&[("LLMLOAD_ALLOW_INVALID", "true")]);
    assert!(run_in("", &env).settings.allow_invalid);
    assert!(!run_in("--no-allow-invalid", &env).settings.allow_invalid);
    let env = Around::with(&[("LOCUST_JSON", "0")]).and_file("locust.conf", "json = 1");
    assert!(!run_in("", &env).settings.outputs.json);
}

#[test]
fn headers_of_a_stronger_layer_replace_those_of_a_weaker() {
    let around = Around::conf("header = X-A: 1\nheader = [X-B: 2, \"X-C: 3, 4\"]\n");
    let headers = |line, around: &Around| {
        let pairs = run_in(line, around).settings.headers.into_iter();
        pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(headers("", &around), ["x-a=1", "x-b=2", "x-c=3, 4"]);
    assert_eq!(headers("--header X-D:5", &around), ["x-d=5"]);
    let around = Around::with(&[("LLMLOAD_HEADER", "X-E: 6\n\nX-F: 7\n")]);
    assert_eq!(headers("", &around), ["x-e=6", "x-f=7"]);
}

#[test]
fn old_spellings_are_understood() {
    let around = Around::conf("max_tokens = 5\n--prompt_tokens: 40");
    assert_eq!(run_in("", &around).settings.output.mean, 5);
    assert_eq!(settings("--max_tokens 9").output.mean, 9);
    let prompts = run_in("-pcml 10", &around).settings.prompts;
    assert!(matches!(
        prompts,
        Prompts::Ready(PromptSource::Generated {
            tokens: 40,
            shared_prefix_tokens: 10,
            prefix_groups: 1,
            ..
        })
    ));
    assert_eq!(run("--processes 3").sending.threads.map(u32::from), Some(3));
    assert_eq!(run("--processes -1").sending.threads, None);
}

#[test]
fn the_commands_of_the_old_manual_work() {
    for line in [
        "-u 8 -r 2 -p 512 -o 128",
        "-t 1min -u 100 -r 100 -p 512 -o 128 --stream --chat --qps 0.5 --summary-file results.csv",
        "-u 1 -H https://api.fireworks.ai/inference -p 128 -o 200 --api-key K --model=accounts/fireworks/models/m",
        "-u 1 -H https://api.openai.com -p 128 -o 200 --api-key K --model=gpt-3.5-turbo --chat",
        "-u 100 -r 100 --prompt-text Hello -o 100 --provider vllm -H http://localhost:8000 --tokenizer /t --qps 1",
    ] {
        run(line);
    }
}

#[test]
fn an_open_loop_starts_all_its_users_at_once() {
    assert_eq!(settings("-u 50").schedule.spawn_rate, Rate::per_second(1));
    assert_eq!(
        settings("-u 50 --qps 3").schedule.spawn_rate,
        Rate::per_second(1_000_000_000)
    );
    assert_eq!(
        settings("-u 50 --qps 3 -r 2").schedule.spawn_rate,
        Rate::per_second(2)
    );
}

#[test]
fn of_options_that_exclude_each_other_the_stronger_layer_s_stands() {
    let text = |prompts| matches!(prompts, Prompts::Ready(PromptSource::Text(_)));
    let conf = Around::conf("prompt-tokens = 100\ndataset = code\n");
    assert!(text(run_in("--prompt-text hi", &conf).settings.prompts));
    assert!(!text(
        run_in("-p 3", &Around::conf("prompt-text = hi"))
            .settings
            .prompts
    ));
    let conf = Around::conf("host = http://h");
    assert!(run_in("--mock", &conf).mock);
    assert!(!run_in("-H http://g", &Around::conf("mock")).mock);
    assert_eq!(
        run_in("-H http://g", &Around::conf("mock = false"))
            .settings
            .target
            .base_url,
        "http://g"
    );
}

#[test]
fn prompts_in_files_are_left_to_the_app() {
    assert_eq!(
        settings("--prompt-text @a/p.jsonl").prompts,
        Prompts::File(PathBuf::from("a/p.jsonl"))
    );
}

#[test]
fn keys_of_other_subcommands_are_skipped() {
    let around = Around::conf(
        "users = 3\nexpect-workers = 2\nmaster-host = m\nmock = true\nrecords-dir = d\nthreads = 2",
    );
    assert_eq!(worker_in("", &around).connection.master.host, "m");
    assert!(run_in("", &around).mock);
}

#[test]
fn subcommands_of_other_rooms_come_back_as_they_are() {
    let port = clap::Arg::new("port").long("listen-port");
    let cli = command().subcommand(clap::Command::new("mock-server").arg(port));
    let around = Around::conf("nonsense = 1");
    let Ok(Command::Other { name, matches }) =
        resolve(&cli, words("mock-server --listen_port 7"), &around)
    else {
        panic!("not handed over");
    };
    assert_eq!(name, "mock-server");
    assert_eq!(
        matches.get_one::<String>("port").map(String::as_str),
        Some("7")
    );
}

#[test]
fn help_and_version_are_no_failures() {
    for line in ["--help", "-V", "run -h", "worker --help"] {
        let error = resolved(line, &Around::default()).unwrap_err();
        assert_eq!(error.exit_status(), 0, "{line}");
    }
    assert_eq!(
        resolved("", &Around::default()).unwrap_err().exit_status(),
        2
    );
}
