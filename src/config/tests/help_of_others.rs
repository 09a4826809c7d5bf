//! The short help of `master`, `worker` and `ctl`: what they have beside or in place of that of `run`.

use super::help::help;

#[test]
fn the_short_help_of_master_adds_its_own_group() {
    let run = help("run", "-h");
    let own: Vec<_> = help("master", "-h")
        .lines()
        .filter(|line| !run.contains(line))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(own.join("\n"), @r#"
    Test a server from many machines: wait for workers, then direct them
    Usage: llmload master [OPTIONS]
    Cluster:
          --expect-workers <N>              Workers to wait for [env: LOCUST_EXPECT_WORKERS] [default:
                                            1]
          --expect-workers-max-wait <SPAN>  How long to wait for them; 0: for ever [env:
                                            LOCUST_EXPECT_WORKERS_MAX_WAIT] [default: 0]
          --max-workers <N>                 Most workers at a time [default: 10000]
          --heartbeat-interval <SPAN>       How often a worker says that it is there [default: 1s]
          --missing-after <SPAN>            A worker that was not heard of for so long is missing
                                            [default: 3s]
          --on-worker-loss <WHAT>           What becomes of a missing worker's share: the others take
                                            it, the run fails, or nobody sends it [default: rebalance]
                                            [possible values: rebalance, fail, ignore]
          --enable-rebalancing              Locust's word for --on-worker-loss rebalance (the default)
                                            [env: LOCUST_ENABLE_REBALANCING]
          --journal <FILE>                  Write down what is merged here, as it comes; absent: in a
                                            file named after the run
          --no-journal                      Write no journal
          --master-bind-host <HOST>         Address to listen on for workers [env:
                                            LOCUST_MASTER_BIND_HOST] [default: 127.0.0.1]
          --master-bind-port <PORT>         Port to listen on for workers [env: LOCUST_MASTER_BIND_PORT]
                                            [default: 5557]
    Cluster security:
          --token-file <FILE>  File with the token that workers must know; or the token itself in
                               LLMLOAD_TOKEN
          --tls-cert <FILE>    Certificate to show to workers (PEM): switches TLS on
          --tls-key <FILE>     The certificate's key (PEM)
          --tls-ca <FILE>      Let only workers in that have a certificate of this authority (PEM)
          --share-secrets      Give the workers the API key and secret headers of this machine; only
                               with TLS
          --insecure           Listen on an address that other machines reach, in plain text or for
                               anybody
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the text is long, not the test")]
fn the_short_help_of_worker_reads_like_this() {
    insta::assert_snapshot!(help("worker", "-h"), @r"
    Send requests for a master; the test's settings come from there

    Usage: llmload worker [OPTIONS]

    Options:
      -h, --help  Print help (see more with '--help')

    Cluster:
          --master <HOST:PORT>  Where the master listens, in one word; https:// before it switches TLS
                                on
          --master-host <HOST>  Host of the master [env: LOCUST_MASTER_NODE_HOST] [default: 127.0.0.1]
          --master-port <PORT>  Port of the master [env: LOCUST_MASTER_NODE_PORT] [default: 5557]
          --stay                Wait for the next run when one is over, until a signal; a run that fails
                                ends nothing
          --health-file <FILE>  Keep a file that says how this worker is, for `llmload health`

    Cluster security:
          --token-file <FILE>       File with the token that the master asks for; or the token itself in
                                    LLMLOAD_TOKEN
          --tls-ca <FILE>           Authority that the master's certificate is of (PEM): switches TLS on
          --tls-cert <FILE>         Certificate to show to a master that asks for one (PEM)
          --tls-key <FILE>          The certificate's key (PEM)
          --tls-server-name <NAME>  Name in the master's certificate; absent: the host connected to
          --insecure                Tell the token to a master on another machine in plain text

    Output:
          --records-dir <DIR>  Folder for the records file that the master names

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

    Load:
          --threads <N>  Cores to send from; absent or -1: all [env: LLMLOAD_THREADS, LOCUST_PROCESSES]
                         [alias: --processes]

    Target:
          --http-engine <ENGINE>  Who speaks HTTP/1.1: the lean engine, or hyper as the reference
                                  [default: lean] [possible values: lean, hyper]
          --stamps <SOURCE>       What stamps received bytes: the kernel where it can, or a clock read
                                  after each read [default: kernel] [possible values: kernel, clock]
          --source-ip <IP>        Local addresses to connect from in turn, with commas or repeated
      -k, --api-key <KEY>         API key; never shown, and kept from the workers of a master but for
                                  --share-secrets [env: API_KEY]
          --header <NAME:VALUE>   Header to add to every request; repeatable. One that carries a secret
                                  is kept as one

    Telemetry:
          --prometheus <[HOST:]PORT>  Serve the run's metrics for Prometheus at /metrics here, a worker
                                      those of its part; a port alone is on 127.0.0.1
          --prometheus-linger <SPAN>  Keep that page for so long after the end, for a last scrape
                                      [default: 0]
          --otlp <URL>                Send the run's metrics and spans to the OpenTelemetry collector at
                                      this address (OTLP over HTTP); env: as its own variables say
          --otlp-header <NAME:VALUE>  Header that lets in there; repeatable, and kept as a secret

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
    ");
}

#[test]
fn the_short_help_of_ctl_adds_its_orders() {
    let worker = help("worker", "-h");
    let own: Vec<_> = help("ctl", "-h")
        .lines()
        .filter(|line| !worker.contains(line))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(own.join("\n"), @r"
    Look at a running master, change its load, stop it
    Usage: llmload ctl [OPTIONS] [ORDER] [VALUE]
    Order:
          --spawn-rate <RATE>  With users: how many of them start, or end, per second; absent: as before
          --abort              With stop: drop what is in flight
          --json               With status and workers: print JSON
      [ORDER]                  What to ask the master for [default: status] [possible values: status,
                               workers, users, qps, pause, resume, stop]
      [VALUE]                  Of users: N, or +N or -N of what there are; of qps: requests per second
    ");
}
