//! What is said about settings that cannot be used.

use std::fmt::Write;

use super::{Around, resolved};

/// An error as the app prints it.
fn refused(line: &str, around: &Around) -> String {
    let error = resolved(line, around).unwrap_err();
    assert_eq!(error.exit_status(), 2, "{error}");
    let message = error.to_string();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let message = message
        .split("\n\nFor more information")
        .next()
        .unwrap_or_default();
    let message = message.split("\n\nUsage").next().unwrap_or_default();
    match error.hint() {
        Some(hint) => format!("error: {message}\nhint: {hint}\n"),
        None => format!("error: {message}\n"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the text is long, not the test")]
fn errors_say_where_what_and_what_to_do() {
    let conf = Around::conf;
    let env = |name, text| Around::with(&[(name, text)]);
    let none = Around::default;
    let cases = [
        ("run -u 0", none()),
        ("run --user 3", none()),
        ("run -t soon", none()),
        ("run --qps -1", none()),
        ("run --provider triton", none()),
        ("run -H localhost:8000", none()),
        ("run -H http://u:hunter2@h", none()),
        ("run --header nonsense", none()),
        ("run --prompt-text hi -p 5", none()),
        ("run --mock -H http://h", none()),
        ("run --qps-distribution uniform", none()),
        ("run -p 5 -pcml 6", none()),
        ("run -o 64 --max-tokens-cap 10", none()),
        ("run -o 0 --max-tokens-jitter 3", none()),
        ("run -t 5 --warmup 5", none()),
        ("run --no-reset-stats --warmup 5", none()),
        ("run --burst 5s --qps 1", none()),
        ("run --stages 10qps:1m --qps 2", none()),
        ("run --stages 10qps", none()),
        ("run -u 100 -r 1 --stages 10qps:4s", none()),
        ("run -t 18446744073709551615s", none()),
        ("run --qps 1 --think-time 2s", none()),
        ("run --think-time 3s-1s", none()),
        (
            "run --qps 1 --qps-distribution uniform --burstiness 2",
            none(),
        ),
        (
            "run --qps 1 --qps-distribution gamma --burstiness 0.001",
            none(),
        ),
        ("run --embeddings --rerank", none()),
        ("run --num-documents 3", none()),
        ("run --provider vllm --force-min-tokens", none()),
        ("run --acceptance-probs-override [x]", none()),
        ("run --no-chat --prompt-images-with-resolutions 5x5", none()),
        ("run --prompt-images-with-resolutions 5", none()),
        ("run --no-stream --first-visible-token", none()),
        ("run --no-stream --cancel-rate 0.5", none()),
        ("run --no-stream", env("LLMLOAD_SLO", "ttft<1s")),
        ("run --slo ttft", none()),
        ("run -d code --dataset-limit 3", none()),
        ("run -d code --prompt-letters 4", none()),
        ("run -d @rows.jsonl -p 5", none()),
        ("run --clear-assistant", none()),
        ("run --timeout 0", none()),
        ("run --max-fail-ratio 1.5", none()),
        ("run --config nowhere.conf", none()),
        ("run --threads 0", none()),
        ("master --records a/b", none()),
        ("master --master-bind-host 0.0.0.0", none()),
        ("master --master-bind-host h:1", none()),
        ("worker --master h:x", none()),
        ("master --expect-workers 3 --max-workers 2", none()),
        ("master --heartbeat-interval 2s", none()),
        ("master --heartbeat-interval 1ms", none()),
        ("master --missing-after 1500ms", none()),
        ("master --journal a --no-journal", none()),
        ("master --enable-rebalancing --on-worker-loss fail", none()),
        ("master --tls-cert c", none()),
        ("master --tls-key k", none()),
        ("master --tls-ca a", none()),
        ("master --share-secrets", none()),
        ("master --share-secrets --tls-cert c --tls-key k", none()),
        (
            "master --master-bind-host 0.0.0.0 --tls-cert c --tls-key k",
            none(),
        ),
        ("master --master-bind-host 0.0.0.0 --token-file t", none()),
        ("master", env("LLMLOAD_TOKEN", "hunter2")),
        ("master", env("LLMLOAD_TOKEN", " ")),
        ("worker", env("LLMLOAD_TOKEN", "hunter2 hunter2 hunter2")),
        (
            "worker",
            Around::with(&[
                ("LLMLOAD_TOKEN", "hunter2hunter2hunter2"),
                ("LLMLOAD_TOKEN_FILE", "t"),
            ]),
        ),
        (
            "worker --master h",
            env("LLMLOAD_TOKEN", "hunter2hunter2hunter2"),
        ),
        ("worker --tls-cert c --tls-key k", none()),
        ("worker --tls-server-name n", none()),
        ("worker --master http://h --tls-ca a", none()),
        ("worker --master https://h/x", none()),
        ("worker --users 3", none()),
        ("run", env("LOCUST_USERS", "many")),
        ("run", env("API_KEY", " ")),
        ("run", env("LLMLOAD_STREAM", "maybe")),
        ("run", env("HTTP_PROXY", "socks5://u:hunter2@h")),
        ("run", conf("# fine\nusrs = 3")),
        (
            "run --server-metrics localhost:1/metrics",
            Around::default(),
        ),
        (
            "run --server-metrics http://u:hunter2@h/metrics",
            Around::default(),
        ),
        ("run --server-metrics ftp://h/metrics", Around::default()),
        (
            "run --server-metrics auto --server-metrics-step 0.5ms",
            Around::default(),
        ),
        ("run --server-metrics-step 1s", Around::default()),
        ("worker", conf("spawn_rat = 3")),
        ("run", conf("zzz = 3")),
        ("run", conf("users = 3\n\nusers = x")),
        ("run", conf("json = perhaps")),
        ("run", conf("model")),
        ("run", conf("host = nowhere")),
        ("run", conf("prompt-text = a\nprompt = b")),
        ("run", conf("dataset = limerick")),
        ("run", conf("config = other.conf")),
        ("run", conf("api-key = \"a\u{7f}hunter2\"")),
    ];
    let mut text = String::new();
    for (line, around) in cases {
        let refused = refused(line, &around);
        assert!(!refused.contains("hunter2"), "{refused}");
        writeln!(text, "$ {line}\n{refused}").unwrap();
    }
    insta::assert_snapshot!(text, @r"
    $ run -u 0
    error: invalid value '0' for '--users <N>': must be at least 1

    $ run --user 3
    error: unexpected argument '--user' found

      tip: a similar argument exists: '--users'

    $ run -t soon
    error: invalid value 'soon' for '--run-time <SPAN>': `soon` is not a span of time (like 300, 20s, 5min, 1h20m, 500ms, 1.5h; at most ten years)

    $ run --qps -1
    error: invalid value '-1' for '--qps <RATE>': a rate of -1 per second is outside of 1e-9 to 1e9

    $ run --provider triton
    error: invalid value 'triton' for '--provider <NAME>'
      [possible values: openai, anyscale, vllm, sglang, anthropic, tgi, fireworks, together, triton-infer, triton-generate, ollama, llama.cpp, azure, responses, gemini, vertex-predict, vertex-anthropic, custom, sagemaker, bedrock, bedrock-invoke]

      tip: a similar value exists: 'triton-infer'

    $ run -H localhost:8000
    error: `localhost:8000` has no scheme
    hint: write http://localhost:8000 or https://localhost:8000

    $ run -H http://u:hunter2@h
    error: a user name or password in --host is not supported
    hint: use --api-key, or --header 'Authorization: …'

    $ run --header nonsense
    error: a --header has no `:`
    hint: write --header 'Name: value'

    $ run --prompt-text hi -p 5
    error: --prompt-text and --prompt-tokens exclude each other
    hint: leave one of them out

    $ run --mock -H http://h
    error: --mock and --host exclude each other
    hint: leave one of them out

    $ run --qps-distribution uniform
    error: --qps-distribution means nothing without --qps or --stages
    hint: give --qps or --stages, or leave --qps-distribution out

    $ run -p 5 -pcml 6
    error: a common prefix of 6 tokens does not fit into a prompt of 5
    hint: --prompt-cache-max-len is at most --prompt-tokens

    $ run -o 64 --max-tokens-cap 10
    error: --max-tokens-cap 10 is below every length that could be drawn
    hint: raise it, or lower --max-tokens

    $ run -o 0 --max-tokens-jitter 3
    error: --max-tokens 0 asks for no output, and cannot vary
    hint: leave --max-tokens-distribution and --max-tokens-jitter out, or ask for some output

    $ run -t 5 --warmup 5
    error: a warm-up of 5s leaves nothing of the run to measure
    hint: make --run-time longer: it counts from when all users are started, as --warmup does

    $ run --no-reset-stats --warmup 5
    error: --warmup leaves the beginning out and --no-reset-stats keeps it in
    hint: give one of them

    $ run --burst 5s --qps 1
    error: --burst and --qps exclude each other
    hint: leave one of them out

    $ run --stages 10qps:1m --qps 2
    error: --stages and --qps exclude each other
    hint: leave one of them out

    $ run --stages 10qps
    error: `10qps` is no stage
    hint: write --stages 10qps:1m,20qps:1m, or 10-20qps:1m for a straight ramp

    $ run -u 100 -r 1 --stages 10qps:4s
    error: sending ends 4 s after the start, and measuring would begin after 99 s
    hint: start users faster (--spawn-rate), or make the stages longer

    $ run -t 18446744073709551615s
    error: invalid value '18446744073709551615s' for '--run-time <SPAN>': `18446744073709551615s` is not a span of time (like 300, 20s, 5min, 1h20m, 500ms, 1.5h; at most ten years)

    $ run --qps 1 --think-time 2s
    error: --think-time is for users that wait for their answers, not for a rate
    hint: leave it out, or --qps, --stages and --burst

    $ run --think-time 3s-1s
    error: `3s-1s` is no think time
    hint: write 2s, 1s-3s, or exp:2s

    $ run --qps 1 --qps-distribution uniform --burstiness 2
    error: --burstiness is the shape of gamma gaps
    hint: --qps-distribution gamma

    $ run --qps 1 --qps-distribution gamma --burstiness 0.001
    error: invalid value '0.001' for '--burstiness <F>': must be from 0.01 to 1000

    $ run --embeddings --rerank
    error: --embeddings and --rerank exclude each other
    hint: leave one of them out

    $ run --num-documents 3
    error: --num-documents means nothing without --rerank
    hint: give --rerank, or leave --num-documents out

    $ run --provider vllm --force-min-tokens
    error: --force-min-tokens is for Fireworks' servers
    hint: --provider fireworks

    $ run --acceptance-probs-override [x]
    error: `[x]` is no JSON array of numbers
    hint: write --acceptance-probs-override '[0.9, 0.8]'

    $ run --no-chat --prompt-images-with-resolutions 5x5
    error: --prompt-images-with-resolutions goes with chat alone
    hint: leave --no-chat, --embeddings and --rerank out

    $ run --prompt-images-with-resolutions 5
    error: invalid value '5' for '--prompt-images-with-resolutions <WxH>...': not a size in pixels like 512x768 (at most 16384 a side)

    $ run --no-stream --first-visible-token
    error: --first-visible-token needs a streamed chat
    hint: leave --no-chat and --no-stream out

    $ run --no-stream --cancel-rate 0.5
    error: --cancel-rate drops streams, and nothing is streamed
    hint: leave --no-stream, --embeddings and --rerank out

    $ run --no-stream
    error: environment LLMLOAD_SLO: without streaming there are no token times to set an objective for
    hint: --slo latency<2s, or stream

    $ run --slo ttft
    error: invalid value 'ttft' for '--slo <SLO>': `ttft` is no objective: write one like ttft:p95<500ms or latency<2s (ttft, tpot, itl, latency)

    $ run -d code --dataset-limit 3
    error: --dataset-limit is for a data set file, and there is none
    hint: --dataset @FILE

    $ run -d code --prompt-letters 4
    error: --prompt-letters is for a data set file, and there is none
    hint: --dataset @FILE

    $ run -d @rows.jsonl -p 5
    error: --prompt-tokens is for prompts that are made, and a data set file says what is asked
    hint: leave it out, or --dataset NAME without @

    $ run --clear-assistant
    error: --clear-assistant drops the last message of a conversation, and prompts that are made are none
    hint: --dataset @FILE, or --prompt-text @FILE.jsonl

    $ run --timeout 0
    error: invalid value '0' for '--timeout <SPAN>': must be longer than zero (`none` waits for ever)

    $ run --max-fail-ratio 1.5
    error: invalid value '1.5' for '--max-fail-ratio <F>': must be from 0 to 1

    $ run --config nowhere.conf
    error: cannot read the settings file `nowhere.conf`
    hint: --config takes a file of `key = value` lines that can be read

    $ run --threads 0
    error: invalid value '0' for '--threads <N>': must be at least 1 (-1 is one a core)

    $ master --records a/b
    error: --records of a master is a name, not a path
    hint: each worker chooses its folder with --records-dir

    $ master --master-bind-host 0.0.0.0
    error: other machines may reach `0.0.0.0`, in plain text and without a password
    hint: `llmload certs` makes what --tls-cert, --tls-key and --token-file take; or give --insecure if everybody on that network may direct this test, or listen on 127.0.0.1

    $ master --master-bind-host h:1
    error: `h:1` has a port where a host is wanted
    hint: the port has an option of its own

    $ worker --master h:x
    error: `h:x` is not a host and a port
    hint: write one like master.example:5557 or [::1]:5557

    $ master --expect-workers 3 --max-workers 2
    error: 3 workers are waited for, and 2 are let in
    hint: --max-workers is at least --expect-workers

    $ master --heartbeat-interval 2s
    error: a worker that says each 2s that it is there cannot be missing after 3s
    hint: --missing-after is at least twice --heartbeat-interval, and half a second more than it

    $ master --heartbeat-interval 1ms
    error: invalid value '1ms' for '--heartbeat-interval <SPAN>': must be from 50ms to 60s

    $ master --missing-after 1500ms
    error: a worker that says each 1s that it is there cannot be missing after 1s500ms
    hint: --missing-after is at least twice --heartbeat-interval, and half a second more than it

    $ master --journal a --no-journal
    error: --no-journal and --journal exclude each other
    hint: leave one of them out

    $ master --enable-rebalancing --on-worker-loss fail
    error: --enable-rebalancing and --on-worker-loss exclude each other
    hint: leave one of them out

    $ master --tls-cert c
    error: --tls-cert means nothing without --tls-key
    hint: give --tls-key, or leave --tls-cert out; `llmload certs` makes both files

    $ master --tls-key k
    error: --tls-key means nothing without --tls-cert
    hint: give --tls-cert, or leave --tls-key out; `llmload certs` makes both files

    $ master --tls-ca a
    error: --tls-ca asks workers for certificates, and TLS is off
    hint: give the master's own --tls-cert and --tls-key too

    $ master --share-secrets
    error: --share-secrets would send the keys in plain text
    hint: give --tls-cert and --tls-key, or let each worker have its own key in API_KEY

    $ master --share-secrets --tls-cert c --tls-key k
    error: --share-secrets would give the keys to anybody who connects
    hint: give --token-file or --tls-ca, or let each worker have its own key in API_KEY

    $ master --master-bind-host 0.0.0.0 --tls-cert c --tls-key k
    error: other machines may reach `0.0.0.0`, and nothing tells a worker from a stranger
    hint: --token-file asks workers for a token, --tls-ca for a certificate; --insecure lets anybody in

    $ master --master-bind-host 0.0.0.0 --token-file t
    error: workers would send their token to `0.0.0.0` in plain text
    hint: give --tls-cert and --tls-key (`llmload certs` makes them), or --insecure if nobody listens on that network

    $ master
    error: environment LLMLOAD_TOKEN: a token of 7 bytes is too short: 16 are the least
    hint: `llmload certs` makes a good one, and so does `openssl rand -hex 32`

    $ master
    error: environment LLMLOAD_TOKEN: the token is empty
    hint: is the file or the variable that it comes from filled?

    $ worker
    error: environment LLMLOAD_TOKEN: the token has characters other than printable ASCII without blanks
    hint: `llmload certs` makes a good one, and so does `openssl rand -hex 32`

    $ worker
    error: environment LLMLOAD_TOKEN_FILE and environment LLMLOAD_TOKEN exclude each other
    hint: leave one of them out

    $ worker --master h
    error: the token would travel to `h` in plain text
    hint: give --tls-ca, write --master https://…, or --insecure if nobody listens on the way

    $ worker --tls-cert c --tls-key k
    error: --tls-cert means nothing without TLS
    hint: give --tls-ca, or write --master https://… where the system trusts the master's certificate

    $ worker --tls-server-name n
    error: --tls-server-name means nothing without TLS
    hint: give --tls-ca, or write --master https://… where the system trusts the master's certificate

    $ worker --master http://h --tls-ca a
    error: --tls-ca switches TLS on, and http:// is without
    hint: write --master https://…

    $ worker --master https://h/x
    error: `h/x` is not a host and a port
    hint: write one like master.example:5557 or [::1]:5557

    $ worker --users 3
    error: unexpected argument '--users' found

      tip: a similar argument exists: '--pguser'

    $ run
    error: environment LOCUST_USERS: invalid value 'many' for '--users <N>': not a whole number

    $ run
    error: environment API_KEY: the API key is empty
    hint: is the variable that it comes from set?

    $ run
    error: environment LLMLOAD_STREAM: `maybe` is not a yes or no for `stream`
    hint: write true or false

    $ run
    error: environment HTTP_PROXY: a `socks5` proxy is not supported
    hint: name an http:// proxy, except the server with NO_PROXY, or give --no-proxy

    $ run
    error: ./locust.conf:2: unknown key `usrs`
    hint: did you mean `users`?

    $ run --server-metrics localhost:1/metrics
    error: `localhost:1/metrics` has no scheme
    hint: write http://HOST:PORT/metrics, or auto

    $ run --server-metrics http://u:hunter2@h/metrics
    error: a user name or password in --server-metrics is not supported
    hint: use --header 'Authorization: …'

    $ run --server-metrics ftp://h/metrics
    error: `ftp://h/metrics` is not the address of a page
    hint: write http://HOST:PORT/metrics, or auto

    $ run --server-metrics auto --server-metrics-step 0.5ms
    error: invalid value '0.5ms' for '--server-metrics-step <SPAN>': must be 1ms or longer

    $ run --server-metrics-step 1s
    error: --server-metrics-step means nothing without --server-metrics
    hint: give --server-metrics, or leave --server-metrics-step out

    $ worker
    error: ./locust.conf:1: unknown key `spawn_rat`
    hint: did you mean `spawn-rate`?

    $ run
    error: ./locust.conf:1: unknown key `zzz`
    hint: locust.conf.example documents every key

    $ run
    error: ./locust.conf:3: invalid value 'x' for '--users <N>': not a whole number

    $ run
    error: ./locust.conf:1: `perhaps` is not a yes or no for `json`
    hint: write true or false

    $ run
    error: ./locust.conf:1: `model` needs a value
    hint: write `model = …`

    $ run
    error: ./locust.conf:1: `nowhere` has no scheme
    hint: write http://nowhere or https://nowhere

    $ run
    error: ./locust.conf:2: --prompt-text and --prompt exclude each other
    hint: leave one of them out

    $ run
    error: ./locust.conf:1: invalid value 'limerick' for '--dataset <NAME|@FILE>': not limericks, code, sonnets, random, or @FILE

    $ run
    error: ./locust.conf:1: `config` cannot stand in a settings file
    hint: give it on the command line

    $ run
    error: ./locust.conf:1: the API key has characters that a header cannot carry
    ");
}
