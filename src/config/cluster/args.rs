//! The cluster's options as clap knows them. What they mean beside each other is decided in `build`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::OnWorkerLoss;
use crate::config::value;

#[derive(Args)]
#[command(next_help_heading = "Cluster")]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(in crate::config) struct BindArgs {
    /// Workers to wait for
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::count)]
    pub expect_workers: u32,
    /// How long to wait for them; 0: for ever
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = value::span)]
    pub expect_workers_max_wait: Duration,
    /// Most workers at a time
    #[arg(long, value_name = "N", default_value = "10000", value_parser = value::count)]
    pub max_workers: u32,
    /// How often a worker says that it is there
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = value::heartbeat)]
    pub heartbeat_interval: Duration,
    /// A worker that was not heard of for so long is missing
    #[arg(long, value_name = "SPAN", default_value = "3s", value_parser = value::positive_span)]
    pub missing_after: Duration,
    /// What becomes of a missing worker's share: the others take it, the run fails, or nobody sends it
    #[arg(long, value_name = "WHAT", default_value = "rebalance", value_parser = value::choice(value::WORKER_LOSSES))]
    pub on_worker_loss: OnWorkerLoss,
    /// Locust's word for --on-worker-loss rebalance (the default)
    #[arg(long)]
    pub enable_rebalancing: bool,
    /// Write down what is merged here, as it comes; absent: in a file named after the run
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Write no journal
    #[arg(long)]
    pub no_journal: bool,
    /// Address to listen on for workers
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub master_bind_host: String,
    /// Port to listen on for workers
    #[arg(long, value_name = "PORT", default_value = "5557")]
    pub master_bind_port: u16,
    /// File with the token that workers must know; or the token itself in LLMLOAD_TOKEN
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub token_file: Option<PathBuf>,
    /// Certificate to show to workers (PEM): switches TLS on
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_key: Option<PathBuf>,
    /// Let only workers in that have a certificate of this authority (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_ca: Option<PathBuf>,
    /// Give the workers the API key and secret headers of this machine; only with TLS
    #[arg(long, help_heading = "Cluster security")]
    pub share_secrets: bool,
    /// Listen on an address that other machines reach, in plain text or for anybody
    #[arg(long, help_heading = "Cluster security")]
    pub insecure: bool,
}

/// What everybody needs who connects to a master.
#[derive(Args)]
#[command(next_help_heading = "Cluster")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(in crate::config) struct ConnectArgs {
    /// Where the master listens, in one word; https:// before it switches TLS on
    #[arg(long, value_name = "HOST:PORT")]
    pub master: Option<String>,
    /// Host of the master
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub master_host: String,
    /// Port of the master
    #[arg(long, value_name = "PORT", default_value = "5557")]
    pub master_port: u16,
    /// File with the token that the master asks for; or the token itself in LLMLOAD_TOKEN
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub token_file: Option<PathBuf>,
    /// Authority that the master's certificate is of (PEM): switches TLS on
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate to show to a master that asks for one (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Cluster security")]
    pub tls_key: Option<PathBuf>,
    /// Name in the master's certificate; absent: the host connected to
    #[arg(long, value_name = "NAME", help_heading = "Cluster security")]
    pub tls_server_name: Option<String>,
    /// Tell the token to a master on another machine in plain text
    #[arg(long, help_heading = "Cluster security")]
    pub insecure: bool,
}
