//! Why a benchmark cannot be carried out, and what to do about it. No message holds a secret.

use std::io;
use std::net::IpAddr;

use crate::client::TlsError;
use crate::cluster::ClusterError;
use crate::provider::{Kind, ShapeError};
use crate::runner::{AuthorityError, EngineError};
use crate::workload::load::LoadError;
use crate::workload::{RowLost, WorkloadError};

/// Why a benchmark cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The base URL, or a proxy's, has no host, or is no URL at all.
    #[error("`{0}` is not a URL of a server")]
    Url(String),
    /// The base URL, or a proxy's, has a user's name or password in it, which would stand in every report.
    #[error("a URL with a user name or password in it")]
    UserInfo,
    /// A proxy's URL is of no use.
    #[error("the proxy `{url}`")]
    Proxy {
        /// The URL.
        url: String,
        /// Why not.
        #[source]
        source: Box<Error>,
    },
    /// Proxies are spoken to in clear.
    #[error("the proxy `{0}` wants TLS")]
    ProxyTls(String),
    /// One connection carries many users in HTTP/2.
    #[error("--http 2 carries many users on a connection, --connection-reuse per-user one")]
    Http2PerUser,
    /// Enough is for users that ask again and again.
    #[error(
        "a run that ends when enough was sent is a closed loop, and this one's requests are due at times of their own"
    )]
    EnoughOfOpen,
    /// No proxy passes HTTP/2 in clear on.
    #[error("HTTP/2 in clear does not go through a proxy")]
    Http2Proxy,
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address that is not this machine's.
    #[error("cannot connect from `{address}`")]
    Source {
        /// The address.
        address: IpAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system lets this process have fewer open files than the users need.
    #[error(
        "{connections} connections{ends} and {own} files of its own need {needed} open files, and this process may have {limit}",
        ends = if *both_ends { ", both ends of each," } else { "" }
    )]
    OpenFiles {
        /// Connections at once.
        connections: u64,
        /// Whether the server is in this process too.
        both_ends: bool,
        /// Other open files.
        own: u64,
        /// All of them.
        needed: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The workload cannot be made.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A file that the plan names cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A row of a data set is gone.
    #[error(transparent)]
    Row(#[from] RowLost),
    /// The API has no words for the plan.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// No header has this name.
    #[error("a header's name: `{0}`")]
    HeaderName(String),
    /// The value of a header has characters that no header has.
    #[error("the value of header `{0}` cannot be sent")]
    HeaderValue(String),
    /// The plan names a tokenizer that nobody handed over.
    #[error("the plan's tokenizer `{0}` was not handed over")]
    NoTokenizer(String),
    /// A cloud that lets in who signs or brings a token, and nobody was given who does.
    #[error("provider `{0}` lets nobody in without a signature or a token, and none was given")]
    NoAuthority(Kind),
    /// Signatures name a region.
    #[error("provider `{0}` needs a region of AWS")]
    AwsRegion(Kind),
    /// What signs requests cannot sign these.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The operating system has no random numbers.
    #[error("cannot draw random numbers")]
    Random(#[source] io::Error),
    /// The engine cannot go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The run was ended before it had begun.
    #[error("called off")]
    CalledOff,
    /// A thread ended by a panic: one of this crate, or in a callback.
    #[error("{0} ended by a defect")]
    Defect(&'static str),
    /// The run broke off.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing was sent.
    #[error("the run came to nothing: {0}")]
    Nothing(String),
}

impl Error {
    /// What to do about it, where there is something; in the terms of the command line, whose options are a plan's fields.
    pub fn hint(&self) -> Option<String> {
        let words = match self {
            Self::Url(_) => "-H http://host:port",
            Self::UserInfo => {
                "keys go where secrets do: `Benchmark::api_key`, `Benchmark::header`, `Benchmark::proxy_credentials`"
            }
            Self::Proxy { source, .. } => return source.hint(),
            Self::ProxyTls(_) => "proxies are reached over http://",
            Self::Http2PerUser => "--http 1, or another --connection-reuse",
            Self::Http2Proxy => "--no-proxy, --http 1, or an https:// server",
            Self::Tls(_) => "--ca-cert takes a PEM file",
            Self::Source { .. } => {
                "--source-ip takes addresses of this machine (`ip address` lists them)"
            }
            Self::OpenFiles { needed, .. } => {
                return Some(format!(
                    "raise the limit (`ulimit -n {needed}`), or share the users out among more workers"
                ));
            }
            Self::Workload(error) => return error.hint(),
            Self::Load(error) => return error.hint(),
            Self::NoTokenizer(_) => "`Benchmark::tokenizer`",
            Self::NoAuthority(Kind::SageMaker) => "`Benchmark::aws`, or `Benchmark::authority`",
            Self::NoAuthority(Kind::Bedrock | Kind::BedrockInvoke) => {
                "`Benchmark::aws`, `Benchmark::api_key`, or `Benchmark::authority`"
            }
            Self::NoAuthority(_) => {
                "`Benchmark::api_key` takes a token, `Benchmark::authority` what renews one"
            }
            Self::AwsRegion(_) => "give --aws-region, or set AWS_REGION_NAME",
            _ => return None,
        };
        Some(words.to_owned())
    }

    /// Whether it is the settings that cannot be carried out, rather than something that went wrong.
    pub(crate) const fn is_of_settings(&self) -> bool {
        !matches!(
            self,
            Self::Random(_)
                | Self::Engine(_)
                | Self::CalledOff
                | Self::Defect(_)
                | Self::Cluster(_)
                | Self::Nothing(_)
        )
    }
}
