//! What the processes of a measurement are told when they start, and what they say to the one that started them.
//! Lines of JSON on standard output; the words that come back on standard input are `start`, `mark` and `go`.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::args::Engine;
use super::error::BenchError;
use super::meter::Usage;

/// What a child process is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Child {
    Server(ServerSpec),
    Client(ClientSpec),
    Crowd(CrowdSpec),
}

/// How the server answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ServerSpec {
    pub(super) cores: Vec<usize>,
    /// Content events of each answer.
    pub(super) events: u32,
    /// Events of a write.
    pub(super) per_write: u32,
    pub(super) pace: Pace,
    pub(super) gates: Gates,
    /// Where to write when each event was sent, at the end.
    pub(super) log: Option<PathBuf>,
}

/// When events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pace {
    /// As fast as the sockets take them.
    AtOnce,
    /// Each stream one write a period.
    Every {
        period_ns: u64,
        /// All streams on the same tick, as the steps of an engine; else spread over the period.
        together: bool,
    },
}

/// Where the first answers wait for each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gates {
    /// How many streams have to be there.
    pub(super) streams: u32,
    /// After how many content events, in order; the answers that begin when all are passed meet none.
    pub(super) after: Vec<u32>,
}

/// What the client does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ClientSpec {
    pub(super) role: Role,
    pub(super) cores: Vec<usize>,
    pub(super) threads: u32,
    pub(super) port: u16,
    pub(super) traffic: Traffic,
    /// Where to write when each event arrived, at the end.
    pub(super) log: Option<PathBuf>,
}

/// What a crowd of workers does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CrowdSpec {
    pub(super) cores: Vec<usize>,
    /// `host:port`.
    pub(super) master: String,
    pub(super) workers: u32,
    /// Values of each histogram that a worker reports each second, and requests.
    pub(super) values: u32,
}

/// Who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// The bare loop, which reads the clock after each read where stamps are wanted.
    Bare,
    /// The bare loop with the kernel's stamps.
    BareKernel,
    /// The worker.
    Worker(Engine),
}

/// What is asked of the server, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traffic {
    /// Connections, and users of a closed loop; most requests in flight of an open one.
    pub(super) streams: u32,
    pub(super) requests: u64,
    /// Requests a second of an open loop; `None` for a closed one.
    pub(super) rate: Option<u32>,
    /// Content events of each answer.
    pub(super) events: u32,
    /// Whether each request has a connection of its own.
    pub(super) fresh: bool,
    pub(super) prompt_tokens: u32,
}

/// What a child says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// The server listens on this port.
    Port(u16),
    /// All streams have come to a gate.
    Gate(u32),
    /// The server's last word.
    Served(Served),
    /// The client waits for `start`.
    Ready,
    /// The answer to `mark`.
    Mark(Usage),
    /// The client's last word.
    Done(Done),
    /// The run of a crowd begins when `CLOCK_MONOTONIC` shows this, in nanoseconds.
    Begun(u64),
    /// The crowd's last word.
    Crowd(CrowdDone),
    /// Why it cannot go on.
    Unable(String),
}

/// What a server did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Served {
    /// Answers sent to their end.
    pub(super) answers: u64,
    pub(super) events: u64,
    pub(super) writes: u64,
    pub(super) request_bytes: u64,
    pub(super) connections: u64,
    /// Writes that the socket did not take whole.
    pub(super) blocked: u64,
    pub(super) cpu_ns: u64,
}

/// What a client did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) begin: Usage,
    pub(super) end: Usage,
    /// Answers that came whole.
    pub(super) answers: u64,
    /// Content events in them.
    pub(super) events: u64,
    /// Sent − due, of an open loop.
    pub(super) lateness: Option<Spread>,
    /// Why requests failed, the first few.
    pub(super) failures: Vec<String>,
}

/// What a crowd did and saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CrowdDone {
    /// Intervals that were handed over.
    pub(super) intervals: u64,
    /// From a heartbeat to its answer.
    pub(super) round_trip: Spread,
    /// From an interval's being handed over to its acknowledgement.
    pub(super) delay: Spread,
    /// Leases that ended before the next one came.
    pub(super) lapses: u64,
}

/// A distribution in a few numbers, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of values in nanoseconds; `None` of none. A quantile is the smallest value that so many do not exceed.
    #[expect(
        clippy::cast_precision_loss,
        reason = "errors and lateness are far below 2^53 ns"
    )]
    pub(super) fn of(mut nanos: Vec<i64>) -> Option<Self> {
        nanos.sort_unstable();
        let count = nanos.len();
        let at = |rank: usize| {
            nanos
                .get(rank.clamp(1, count) - 1)
                .map(|&ns| ns as f64 / 1e3)
        };
        (count > 0).then_some(())?;
        Some(Self {
            count,
            p50: at(count.div_ceil(2))?,
            p99: at((count * 99).div_ceil(100))?,
            max: at(count)?,
        })
    }
}

impl Said {
    /// Says it to the parent.
    pub(super) fn say(&self) -> Result<(), BenchError> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)
            .and_then(|()| out.flush())
            .map_err(BenchError::system("tell the parent process"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let spread = |nanos: Vec<i64>| {
            let Spread { p50, p99, max, .. } = Spread::of(nanos).unwrap();
            [p50, p99, max].map(|micros| micros.to_string())
        };
        let nanos = (1..=200).rev().map(|n| n * 1_000).collect();
        assert_eq!(spread(nanos), ["100", "198", "200"]);
        assert_eq!(spread(vec![-500]), ["-0.5", "-0.5", "-0.5"]);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
