//! `--show-config`.

use super::super::Command;
use super::{Around, resolved};

fn shown(line: &str, around: &Around) -> String {
    match resolved(line, around) {
        Ok(Command::ShowConfig(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the text is long, not the test")]
fn show_config_tells_values_and_sources_and_no_secret() {
    let around = Around::with(&[
        ("HOME", "/home/a"),
        ("LOCUST_USERS", "8"),
        ("API_KEY", "hunter2"),
        ("http_proxy", "http://u:hunter2@proxy:3128"),
    ])
    .and_file("/home/a/.locust.conf", "\n\nstop-timeout = 5s\n")
    .and_file(
        "locust.conf",
        "qps = 2\nheader = [X-Team: load, 'X-Api-Key: hunter2']\nprompt = \"a # b\"\n",
    )
    .and_file("my.conf", "no-stream\n");
    let text = shown("run --config my.conf -t 5min --show-config", &around);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r#"
    # settings of llmload run

    # Target
    host = http://localhost:80                   # default
    # model is not set                           # default
    # provider is not set                        # default
    chat = true                                  # default
    stream = false                               # my.conf:1
    http = 1                                     # default
    connection-reuse = pooled                    # default
    warm-connections = true                      # default
    # ca-cert is not set                         # default
    no-proxy = false                             # default
    api-key = ***                                # environment API_KEY
    header = X-Team: load                        # ./locust.conf:2
    header = X-Api-Key: ***                      # ./locust.conf:2
    http-engine = lean                           # default
    stamps = kernel                              # default
    # source-ip is not set                       # default
    insecure-skip-verify = false                 # default
    mock = false                                 # default

    # Load
    users = 8                                    # environment LOCUST_USERS
    spawn-rate = 1000000000                      # default
    run-time = 5min                              # command line
    qps = 2                                      # ./locust.conf:1
    # max-requests is not set                    # default
    warmup = 0s                                  # default
    reset-stats = true                           # default
    stop-timeout = 5s                            # ~/.locust.conf:3
    # seed is not set                            # default
    max-fail-ratio = 0.01                        # default
    exit-code-on-error = 1                       # default
    qps-distribution = constant                  # default
    burstiness = 1.0                             # default
    # stages is not set                          # default
    # burst is not set                           # default
    # ramping-time is not set                    # default
    ramping-warmup-time = 30s                    # default
    ramping-curve = geometric                    # default
    # think-time is not set                      # default
    start-spread = 1s                            # default
    warmup-requests = 0                          # default
    cancel-rate = 0                              # default
    # slo is not set                             # default
    trace-speed = 1.0                            # default
    # threads is not set                         # default
    allow-invalid = false                        # default

    # Prompts
    dataset = limericks                          # default
    prompt-tokens = 512                          # default
    prompt-cache-max-len = 0                     # default
    prompt = "a # b"                             # ./locust.conf:3
    # prompt-text is not set                     # default
    # tokenizer is not set                       # default
    # dataset-format is not set                  # default
    # dataset-column is not set                  # default
    # dataset-shuffle-seed is not set            # default
    # dataset-limit is not set                   # default
    prefix-groups = 1                            # default
    # prompt-chars is not set                    # default
    # prompt-letters is not set                  # default
    # prompt-images-with-resolutions is not set  # default
    prompt-images-positioning = space-evenly     # default
    prompt-randomize = false                     # default
    clear-assistant = false                      # default

    # Answers
    max-tokens = 64                              # default
    max-tokens-distribution = constant           # default
    max-tokens-range = 0.3                       # default
    # max-tokens-cap is not set                  # default
    max-tokens-jitter = 0                        # default

    # Sampling
    temperature = 1.0                            # default
    # top-k is not set                           # default
    # n is not set                               # default
    # logprobs is not set                        # default
    # reasoning-effort is not set                # default

    # Embeddings and ranking
    embeddings-batch-size = 1                    # default
    # embeddings-dimensions is not set           # default
    # embeddings-prompt-template is not set      # default
    # return-logits is not set                   # default
    rerank-query = Find the most relevant document. # default
    # rerank-top-n is not set                    # default
    rerank-return-documents = true               # default
    # num-documents is not set                   # default
    # tokens-per-document is not set             # default
    embeddings = false                           # default
    normalize = false                            # default
    rerank = false                               # default

    # Providers
    # provider-file is not set                   # default
    # azure-deployment is not set                # default
    azure-api-version = 2024-10-21               # default
    # aws-region is not set                      # default
    # gcloud-project is not set                  # default
    # gcloud-region is not set                   # default
    # vertexai-endpoint-id is not set            # default
    # forced-generation-file is not set          # default
    # acceptance-probs-override is not set       # default
    force-min-tokens = false                     # default
    forced-generation-from-dataset = false       # default

    # Time-outs
    # timeout is not set                         # default
    # timeout-first-token is not set             # default
    # timeout-idle is not set                    # default
    connect-timeout = 30s                        # default

    # Output
    # summary-file is not set                    # default
    # csv is not set                             # default
    # json-file is not set                       # default
    # html is not set                            # default
    # records is not set                         # default
    # server-metrics is not set                  # default
    server-metrics-step = 1s                     # default
    # journal is not set                         # default
    csv-full-history = false                     # default
    json = false                                 # default
    show-request = false                         # default
    show-response = false                        # default
    first-visible-token = false                  # default
    only-summary = false                         # default
    headless = false                             # default

    # Telemetry
    # prometheus is not set                      # default
    prometheus-linger = 0                        # default
    # otlp is not set                            # default
    # otlp-header is not set                     # default
    otlp-step = 10s                              # default
    # trace-sample is not set                    # default

    # Database
    # pg-url is not set                          # default
    # pghost is not set                          # default
    # pgport is not set                          # default
    # pguser is not set                          # default
    # pgpassword is not set                      # default
    # pgdatabase is not set                      # default
    pg-schema = llmload                          # default
    pg-spool = llmload-spool                     # default
    pg-spool-max = 1024                          # default
    timescale = false                            # default
    pg-requests = false                          # default

    # Web page
    web-host = 127.0.0.1                         # default
    web-port = 8089                              # default
    # web-token-file is not set                  # default
    # autoquit is not set                        # default
    web = false                                  # default
    autostart = false                            # default

    # Log
    loglevel = info                              # default
    # logfile is not set                         # default

    # Settings
    config = my.conf                             # command line

    # through the proxy http://proxy:3128        # environment http_proxy
    "#);
}

#[test]
fn what_show_config_prints_can_be_used_as_a_settings_file() {
    let line = "run -u 3 --no-stream --prompt 'x#y --header A:b --qps 2 --json";
    let text = shown(&format!("{line} --show-config"), &Around::default());
    let again = shown(
        "run --config again.conf --show-config",
        &Around::default().and_file("again.conf", &text),
    );
    let values = |text: &str| {
        let value = |line: &str| {
            line.split(" # ")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let lines = text.lines().filter(|line| !line.starts_with("config"));
        lines
            .filter(|line| !line.starts_with("# config"))
            .map(value)
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&text));
    let error = resolved("run --show-config -H nowhere", &Around::default());
    assert!(
        error.is_err(),
        "settings that cannot be used are not shown as if they could"
    );
}

#[test]
fn a_worker_shows_its_own_settings() {
    let text = shown(
        "worker -k hunter2 --show-config --header Cookie:hunter2",
        &Around::default(),
    );
    assert!(
        !text.contains("hunter2") && text.contains("cookie: ***") | text.contains("Cookie: ***"),
        "{text}"
    );
    assert!(
        text.contains("master-port = 5557") && !text.contains("users"),
        "{text}"
    );
}

#[test]
fn the_command_of_a_page_is_what_was_set_anywhere_and_no_secret() {
    let around = Around::with(&[("LOCUST_USERS", "7"), ("API_KEY", "hunter2")]);
    let line = "run -H http://h -m m --header Cookie:hunter3 --header X-Team:a'b --no-stream --prompt-text=-v --html p.html \
                --csv c --json-file j --loglevel error";
    let Ok(Command::Run(options)) = resolved(line, &around) else {
        panic!("no run");
    };
    assert_eq!(
        options.settings.command,
        "llmload run --host http://h --model m --no-stream --api-key=\"$API_KEY\" --header=\"Cookie: $COOKIE\" \
         --header 'X-Team:a'\\''b' --users 7 --prompt-text=-v"
    );
}
