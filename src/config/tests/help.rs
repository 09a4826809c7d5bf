//! What help says, and of which options; the short help of `run` as it stands. That of the others is in `help_of_others`, the
//! example file is held against all of them in `example`.

use std::collections::BTreeSet;

use super::super::catalogue::{self, Setting};
use super::super::layers::SHARING;
use super::super::*;
use super::Around;

pub(super) fn help(name: &str, option: &str) -> String {
    let cli = command()
        .term_width(100)
        .mut_subcommand(name, |sub| sub.term_width(100));
    let words = ["llmload", name, option];
    let error = resolve(&cli, words, &Around::default()).unwrap_err();
    error.to_string()
}

/// Every setting of the commands that share files, with its command.
pub(super) fn all_settings() -> Vec<(&'static str, Setting)> {
    let cli = command();
    let of = |name: &'static str| {
        let settings = catalogue::settings(cli.find_subcommand(name).unwrap());
        settings.into_iter().map(move |setting| (name, setting))
    };
    SHARING.into_iter().flat_map(of).collect()
}

#[test]
fn clap_finds_no_fault_with_the_options() {
    command().debug_assert();
}

#[test]
fn every_option_says_what_it_is_in_one_line() {
    for name in SHARING {
        for arg in command()
            .find_subcommand(name)
            .unwrap()
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
        {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.contains('\n') && !help.ends_with('.'),
                "{}",
                arg.get_id()
            );
            assert!(
                arg.get_id() == "help" || arg.get_help_heading().is_some(),
                "{}",
                arg.get_id()
            );
            let takes_value = arg.get_action().takes_values();
            assert!(
                !takes_value || arg.get_value_names().is_some(),
                "{}",
                arg.get_id()
            );
        }
    }
}

#[test]
fn no_line_of_help_is_wider_than_a_hundred_columns() {
    for name in SHARING {
        for option in ["-h", "--help"] {
            let text = help(name, option);
            let wide: Vec<_> = text
                .lines()
                .filter(|line| line.chars().count() > 100)
                .collect();
            assert_eq!(wide, [""; 0], "{name} {option}");
        }
    }
}

#[test]
fn variables_belong_to_one_setting_each() {
    for name in SHARING {
        let mut seen = BTreeSet::new();
        for variable in all_settings()
            .iter()
            .filter(|(of, _)| *of == name)
            .flat_map(|(_, setting)| setting.variables())
        {
            assert!(seen.insert(variable.clone()), "{name} {variable}");
        }
    }
    let settings = all_settings();
    let variables = |long: &str| {
        settings
            .iter()
            .find(|(_, setting)| setting.long == long)
            .unwrap()
            .1
            .variables()
    };
    assert_eq!(variables("users"), ["LOCUST_USERS"]);
    assert_eq!(variables("max-tokens"), ["MAX_TOKENS"]);
    assert_eq!(variables("qps"), ["LLMLOAD_QPS"]);
    assert_eq!(variables("no-proxy"), ["LLMLOAD_NO_PROXY"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the text is long, not the test")]
fn the_short_help_of_run_reads_like_this() {
    insta::assert_snapshot!(help("run", "-h"), @r#"
    Test a server from this machine

    Usage: llmload run [OPTIONS]

    Options:
      -h, --help  Print help (see more with '--help')

    Target:
      -H, --host <URL>              Server address, the part before /v1/... [env: LOCUST_HOST] [default:
                                    http://localhost:80]
      -m, --model <NAME>            Model to name; absent: the first that the server lists [env: MODEL]
          --provider <NAME>         API that the server speaks; absent: guessed [possible values:
                                    openai, anyscale, vllm, sglang, anthropic, tgi, fireworks, together,
                                    triton-infer, triton-generate, ollama, llama.cpp, azure, responses,
                                    gemini, vertex-predict, vertex-anthropic, custom, sagemaker,
                                    bedrock, bedrock-invoke]
          --chat                    Use the chat API (the default)
          --no-chat                 Use the plain completion API
          --stream                  Stream the answers (the default)
          --no-stream               Ask for each answer as a whole; there is no time to first token then
          --http <VERSION>          HTTP version [default: 1] [possible values: 1, 2]
          --connection-reuse <HOW>  When to open connections: kept and shared, one a request, or one a
                                    user [default: pooled] [possible values: pooled, never, per-user]
          --warm-connections        Open each user's connection before its first request (the default)
          --no-warm-connections     Open connections with the requests that need them
          --ca-cert <FILE>          Trust the certificate authorities of this PEM file too
          --insecure-skip-verify    Do not verify the server's certificate
          --no-proxy                Ignore HTTP_PROXY, HTTPS_PROXY and ALL_PROXY
      -k, --api-key <KEY>           API key; never shown, and kept from the workers of a master but for
                                    --share-secrets [env: API_KEY]
          --header <NAME:VALUE>     Header to add to every request; repeatable. One that carries a
                                    secret is kept as one
          --http-engine <ENGINE>    Who speaks HTTP/1.1: the lean engine, or hyper as the reference
                                    [default: lean] [possible values: lean, hyper]
          --stamps <SOURCE>         What stamps received bytes: the kernel where it can, or a clock read
                                    after each read [default: kernel] [possible values: kernel, clock]
          --source-ip <IP>          Local addresses to connect from in turn, with commas or repeated
          --mock                    Start the built-in mock server and test it

    Load:
      -u, --users <N>                   Concurrent users; with --qps the most requests in flight [env:
                                        LOCUST_USERS] [default: 1]
      -r, --spawn-rate <RATE>           Users to start per second; absent: 1, with --qps all at once
                                        [env: LOCUST_SPAWN_RATE]
      -t, --run-time <SPAN>             Stop after this time, counted from when all users are started
                                        (20s, 5min, 1h20m) [env: LOCUST_RUN_TIME]
          --qps <RATE>                  Open loop: send this many requests per second, whatever the
                                        server does
          --max-requests <N>            Stop after this many requests
          --warmup <SPAN>               Leave this time after the start of all users out of the figures
                                        [default: 0s]
          --reset-stats                 Measure from when all users are started (the default) [env:
                                        LOCUST_RESET_STATS]
          --no-reset-stats              Measure from the first request, the ramp included
          --stop-timeout <SPAN>         How long requests in flight may take at the end before they are
                                        cancelled [env: LOCUST_STOP_TIMEOUT] [default: 30s]
          --seed <N>                    Seed of all random draws; absent: drawn, and reported
          --max-fail-ratio <F>          Share of failed requests above which the run has failed
                                        [default: 0.01]
          --exit-code-on-error <N>      Exit status of a run that has failed [env:
                                        LOCUST_EXIT_CODE_ON_ERROR] [default: 1]
          --allow-invalid               Let a run whose verdict is INVALID end with status 0
          --qps-distribution <LAW>      Gaps between requests with --qps and --stages: even, uniform, a
                                        Poisson process, or gamma [default: constant] [possible values:
                                        constant, uniform, exponential, gamma]
          --burstiness <F>              Shape of gamma gaps: 1 is a Poisson process, less comes in
                                        bursts, more is evener [default: 1.0]
          --stages <LIST>               Open loop in stages: RATEqps:SPAN or FROM-TOqps:SPAN, with
                                        commas (10qps:1m,10-50qps:2m)
          --burst <SPAN>                All users send at once, again and again, this many seconds apart
          --ramping-time <SPAN>         Grow from one user to all, or from 1 request/s to --qps, over
                                        this time
          --ramping-warmup-time <SPAN>  Hold the one before growing for this time [default: 30s]
          --ramping-curve <CURVE>       Grow by factors, or by steps [default: geometric] [possible
                                        values: geometric, linear]
          --think-time <LAW>            A user thinks between an answer and its next request: SPAN,
                                        FROM-TO, or exp:MEAN
          --start-spread <SPAN>         Delay each user's first request by up to this, so that they do
                                        not march in step [default: 1s]
          --warmup-requests <N>         Send this many requests before the run; they are in no figure
                                        (of a data set they are its last rows) [default: 0]
          --cancel-rate <F>             Drop this share of the streams after their first token [default:
                                        0]
          --slo <SLO>                   What a good request is, for goodput: ttft<500ms, or
                                        ttft:p95<500ms (ttft, tpot, itl, latency); repeatable
          --trace-speed <F>             Speed up a trace's own times by this factor [default: 1.0]
          --threads <N>                 Cores to send from; absent or -1: all [env: LLMLOAD_THREADS,
                                        LOCUST_PROCESSES] [alias: --processes]

    Prompts:
      -d, --dataset <NAME|@FILE>
              What prompts are made of: limericks, code, sonnets, random (tokens), or @FILE (a data set)
              [env: DATASET] [default: limericks]
      -p, --prompt-tokens <N>
              Length of a prompt in tokens [env: PROMPT_TOKENS] [default: 512]
          --prompt-cache-max-len <N>
              Tokens of common prefix that all prompts share [also: -pcml] [env: PROMPT_CACHE_MAX_LEN]
              [default: 0]
          --prompt <TEXT>
              Instruction that ends a prompt; absent: the data set's own
          --prompt-text <TEXT|@FILE>
              Use this prompt as it is, or @FILE: its text, or the rows of a .jsonl
          --tokenizer <NAME>
              tokenizer.json, its directory, a hub id, or built-in: exact prompt lengths, output counts
              [env: TOKENIZER]
          --dataset-format <FORMAT>
              How a data set file is written; absent: by its name and first line [possible values:
              jsonl, sharegpt, conversations, text, csv, trace]
          --dataset-column <NAME>
              Column of a CSV file, or field of JSON lines, that holds the prompt
          --dataset-shuffle-seed <N>
              Shuffle the rows of a data set file by this seed
          --dataset-limit <N>
              Use the first N rows of a data set file, after the shuffle
          --prefix-groups <N>
              Different common prefixes, one of them in each prompt [default: 1]
          --prompt-chars <N>
              Pad or cut each prompt to this many characters
          --prompt-randomize
              Begin each prompt with random words, so that no cache of prompts helps
          --prompt-letters <N>
              Begin each row of a data set file with N random letters, and rows that come again with
              their number: no two begin alike
          --prompt-images-with-resolutions <WxH>...
              Add images of these sizes to each prompt (chat only), one or more
          --prompt-images-positioning <WHERE>
              Where the images stand in the text [default: space-evenly] [possible values: space-evenly,
              end]
          --clear-assistant
              Drop a conversation's last message when it is the model's

    Answers:
      -o, --max-tokens <N>                 Output tokens to ask for; the mean, if they vary [env:
                                           MAX_TOKENS] [default: 64]
          --max-tokens-distribution <LAW>  How the number of output tokens varies [env:
                                           MAX_TOKENS_DISTRIBUTION] [default: constant] [possible
                                           values: constant, uniform, exponential, normal]
          --max-tokens-range <F>           Width relative to the mean: half the range of uniform, the
                                           deviation of normal [env: MAX_TOKENS_RANGE] [default: 0.3]
          --max-tokens-cap <N>             Never ask for more output tokens than this [env:
                                           MAX_TOKENS_CAP]
          --max-tokens-jitter <N>          Vary the number of output tokens by up to this many either
                                           way [env: MAX_TOKENS_JITTER] [default: 0]

    Sampling:
          --temperature <F>          Sampling temperature [env: TEMPERATURE] [default: 1.0]
          --top-k <K>                Sample from the k most likely tokens [env: TOP_K]
      -n, --n <N>                    Answers to ask for in one request
          --logprobs <N>             Log probabilities to ask for
          --reasoning-effort <WORD>  How much the model is to think [possible values: none, low, medium,
                                     high]

    Embeddings and ranking:
          --embeddings
              Ask for embeddings (/v1/embeddings)
          --embeddings-batch-size <N>
              Texts in one request [default: 1]
          --embeddings-dimensions <N>
              Length of the vectors to ask for
          --embeddings-prompt-template <TEXT>
              Template that the server puts each text into
          --return-logits [<ID>...]
              Ask for the logits of these token or class ids; without ids: of all
          --normalize
              Ask for vectors of length 1
          --rerank
              Ask for an order of documents (/v1/rerank)
          --rerank-query <TEXT>
              What the documents are ranked by [default: "Find the most relevant document."]
          --rerank-top-n <N>
              Ask for this many of the best documents
          --rerank-return-documents
              Ask for the documents themselves in the answer (the default)
          --no-rerank-return-documents
              Ask for their order alone
          --num-documents <N>
              Made-up documents in one request; absent: the prompt's paragraphs
          --tokens-per-document <N>
              Length of a made-up document in tokens; absent: the prompt's length dealt evenly

    Providers:
          --provider-file <FILE>
              File that describes the API of --provider custom
          --azure-deployment <NAME>
              Azure: name of the deployment; absent: the model's
          --azure-api-version <DATE>
              Azure: version of the API [default: 2024-10-21]
          --aws-region <REGION>
              AWS: region of the service; absent: the one in the host's name [env: AWS_REGION_NAME,
              AWS_REGION, AWS_DEFAULT_REGION]
          --gcloud-project <ID>
              Google Cloud: id of the project [env: GCLOUD_PROJECT_ID, VERTEXAI_PROJECT, VERTEX_PROJECT,
              GOOGLE_CLOUD_PROJECT]
          --gcloud-region <REGION>
              Google Cloud: region of Vertex AI, or global [env: GCLOUD_REGION, VERTEXAI_LOCATION,
              VERTEX_LOCATION, GOOGLE_CLOUD_LOCATION]
          --vertexai-endpoint-id <ID>
              Vertex AI: id of the endpoint that a model is deployed at [env: VERTEXAI_ENDPOINT_ID]
          --force-min-tokens
              Fireworks: ask for at least as many tokens as at most
          --forced-generation-file <FILE>
              Fireworks: make the model say the lines of this file (or the `text` of its JSON lines), in
              turn
          --forced-generation-from-dataset
              Fireworks: make the model say text of the data set
          --acceptance-probs-override <JSON>
              Fireworks: chances that speculated tokens are accepted, as a JSON array

    Time-outs:
          --timeout <SPAN>              For a whole request; absent: none
          --timeout-first-token <SPAN>  For the first token; absent: none
          --timeout-idle <SPAN>         Between two reads of an answer; absent: none
          --connect-timeout <SPAN>      To have a connection [default: 30s]

    Output:
          --summary-file <FILE>         Append a row with the result to this CSV file
          --csv <PREFIX>                Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv,
                                        PREFIX_failures.csv ... [env: LOCUST_CSV]
          --csv-full-history            Every row in PREFIX_stats_history.csv, not the aggregate alone
                                        [env: LOCUST_CSV_FULL_HISTORY]
          --json                        Print the result as JSON on standard output [env: LOCUST_JSON]
          --json-file <FILE>            Write the result as JSON to this file [env: LOCUST_JSON_FILE]
          --html <FILE>                 Write the result as a page of HTML to this file
          --records <FILE>              Write one line a request to this file; a master names it, its
                                        workers write it
          --show-request                Print each request's body
          --show-response               Print each answer's text
          --first-visible-token         Count the time to first token up to the first that is no
                                        reasoning (chat and stream only)
          --server-metrics <URL>        Watch the server's own metrics: the address of their page, or
                                        auto for /metrics at --host
          --server-metrics-step <SPAN>  Look at them this often [default: 1s]
          --only-summary                No tables while the run goes on [env: LOCUST_ONLY_SUMMARY]
          --headless                    Print tables instead of showing the run live, on a terminal too;
                                        not with --web [env: LOCUST_HEADLESS]
          --journal <FILE>              Write down what is measured here, as it comes: `llmload report`
                                        reads it, whatever became of the run

    Telemetry:
          --prometheus <[HOST:]PORT>  Serve the run's metrics for Prometheus at /metrics here, a worker
                                      those of its part; a port alone is on 127.0.0.1
          --prometheus-linger <SPAN>  Keep that page for so long after the end, for a last scrape
                                      [default: 0]
          --otlp <URL>                Send the run's metrics and spans to the OpenTelemetry collector at
                                      this address (OTLP over HTTP); env: as its own variables say
          --otlp-header <NAME:VALUE>  Header that lets in there; repeatable, and kept as a secret
          --otlp-step <SPAN>          Tell the collector how the run stands this often [default: 10s]
          --trace-sample <F>          Share of the requests that have a span there, and a header
                                      traceparent; absent: none

    Database:
          --pg-url <URL>           Write rows to the PostgreSQL or TimescaleDB database there while the
                                   run goes on; the password better in PGPASSWORD
          --pghost <HOST>          The database's host, or the folder of its socket, where no URL says
                                   it [env: PGHOST]
          --pgport <PORT>          Its port, likewise [env: PGPORT]
          --pguser <NAME>          The user there [env: PGUSER]
          --pgpassword <PASSWORD>  Their password; a command line can be seen by everybody on this
                                   machine: better PGPASSWORD [env: PGPASSWORD]
          --pgdatabase <NAME>      The database's name [env: PGDATABASE]
          --pg-schema <NAME>       Schema of the tables, which is made if it is not there [default:
                                   llmload]
          --timescale              Write rows to the database that --pghost and the like, or its own
                                   variables, name
          --pg-spool <DIR>         Folder for rows that the database does not take in time [default:
                                   llmload-spool]
          --pg-spool-max <MB>      Most megabytes that wait there; rows beyond are dropped and counted
                                   [default: 1024]
          --pg-requests            Write a row of each request to the database too

    Web page:
          --web                    Serve a page that starts runs, shows them live and changes their
                                   load; it waits for a start from there
          --web-host <HOST>        Where the page is served; beyond this machine it asks for a token
                                   [env: LOCUST_WEB_HOST] [default: 127.0.0.1]
          --web-port <PORT>        On which port; 0 takes any free one [env: LOCUST_WEB_PORT] [default:
                                   8089]
          --web-token-file <FILE>  Whoever opens the page must know the token in this file; without it
                                   one is drawn where one is needed
          --autostart              Start the first run at once [env: LOCUST_AUTOSTART]
          --autoquit <SPAN>        End the program so long after a run is over; absent: never [env:
                                   LOCUST_AUTOQUIT]

    Log:
      -L, --loglevel <LEVEL>  How much to log [env: LOCUST_LOGLEVEL] [default: info] [possible values:
                              off, critical, error, warning, info, debug, trace]
          --logfile <FILE>    Log to this file instead of standard error [env: LOCUST_LOGFILE]

    Settings:
          --config <FILE>  Read this settings file too [env: LOCUST_CONFIG]
          --show-config    Print every setting and where it came from, then exit

    Settings, weakest first: defaults, ~/.locust.conf, ./locust.conf, --config FILE, environment,
    command line.
    Long options may be written with _ for -. Any option can stand in a file by its long name (see
    locust.conf.example) and in the environment by the name that --help shows. A flag set there is
    turned off by --no-FLAG.
    "#);
}

#[test]
fn the_long_help_names_every_variable() {
    for (name, setting) in all_settings() {
        let text = help(name, "--help");
        for variable in setting.variables() {
            assert!(text.contains(&variable), "{name} {variable}");
        }
    }
}
