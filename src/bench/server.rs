//! A server that costs as little as one can: one thread, one epoll, answers made beforehand.
//! It understands no more of a request than where it ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::answer::Answer;
use super::error::BenchError;
use super::message::{Pace, Said, Served, ServerSpec};
use super::meter::{self, Usage};
use super::request;
use super::stamps::Stamps;

const LISTENER: u64 = u64::MAX;
const PARENT: u64 = u64::MAX - 1;

/// Connections that may wait to be accepted; the system's own limit is usually lower.
const BACKLOG: i32 = 16_384;
/// Writes of saturated streams between two looks at what else there is.
const BURST: usize = 64;
/// From the opening of a gate to the first event.
const BREATH_NS: u64 = 5_000_000;

/// One connection, and the answer that it is given.
struct Stream {
    tcp: TcpStream,
    /// A request that has come in part.
    inbox: Vec<u8>,
    /// What the request calls itself.
    number: u64,
    /// Content events sent of the current answer; `None` between two answers.
    sent: Option<u32>,
    /// The head is out.
    opened: bool,
    /// What the socket did not take yet.
    backlog: Vec<u8>,
}

struct Server<'a> {
    spec: &'a ServerSpec,
    answer: Answer,
    epoll: OwnedFd,
    listener: TcpListener,
    streams: Vec<Option<Stream>>,
    /// When a stream sends next, of a paced answer.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// Streams that send as soon as they can.
    ready: VecDeque<usize>,
    gates: VecDeque<u32>,
    held: Vec<usize>,
    log: Vec<(u64, Vec<u64>)>,
    served: Served,
    buffer: Vec<u8>,
    over: bool,
}

/// Serves until the parent closes standard input; then says what was served.
pub(super) fn serve(spec: &ServerSpec) -> Result<(), BenchError> {
    meter::pin(&spec.cores).map_err(BenchError::system("keep the server on its core"))?;
    // Else the kernel may wake it 50 µs late, and what was to be spread comes in heaps.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))
        .map_err(|error| BenchError::system("set the timer slack")(error.into()))?;
    let mut server = Server::new(spec).map_err(BenchError::system("start the server"))?;
    let address = server
        .listener
        .local_addr()
        .map_err(BenchError::system("listen"))?;
    Said::Port(address.port()).say()?;
    server.run()?;
    server.finish()
}

impl<'a> Server<'a> {
    fn new(spec: &'a ServerSpec) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let listener = listen()?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            io::stdin(),
            EventData::new_u64(PARENT),
            EventFlags::IN,
        )?;
        Ok(Self {
            spec,
            answer: Answer::new(spec.events, spec.per_write),
            epoll,
            listener,
            streams: Vec::new(),
            due: BinaryHeap::new(),
            ready: VecDeque::new(),
            gates: spec.gates.after.iter().copied().collect(),
            held: Vec::new(),
            log: Vec::new(),
            served: Served::default(),
            buffer: vec![0; 64 * 1024],
            over: false,
        })
    }

    fn run(&mut self) -> Result<(), BenchError> {
        let mut events = [NO_EVENT; 256];
        while !self.over {
            let wait = self.wait();
            let timeout = wait.map(meter::timespec);
            let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(BenchError::system("wait for the sockets")(error.into())),
            };
            for event in &events[..count] {
                let (token, flags) = (event.data.u64(), event.flags);
                self.on_event(token, flags)?;
            }
            self.send_due()?;
            self.send_ready()?;
        }
        Ok(())
    }

    /// How long there is nothing to do, in nanoseconds.
    fn wait(&self) -> Option<u64> {
        if !self.ready.is_empty() {
            return Some(0);
        }
        let Reverse((due, _)) = self.due.peek()?;
        Some(due.saturating_sub(meter::monotonic()))
    }

    fn on_event(&mut self, token: u64, flags: EventFlags) -> Result<(), BenchError> {
        match token {
            LISTENER => self
                .accept()
                .map_err(BenchError::system("accept a connection")),
            PARENT => self.hear_parent(),
            _ => {
                let index = usize::try_from(token).unwrap_or(usize::MAX);
                if flags.contains(EventFlags::OUT) {
                    self.flush(index);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.read(index)?;
                }
                Ok(())
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let tcp = match self.listener.accept() {
                Ok((tcp, _)) => tcp,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            tcp.set_nonblocking(true)?;
            tcp.set_nodelay(true)?;
            let token = EventData::new_u64(self.streams.len() as u64);
            epoll::add(&self.epoll, &tcp, token, EventFlags::IN)?;
            self.served.connections += 1;
            self.streams.push(Some(Stream {
                tcp,
                inbox: Vec::new(),
                number: 0,
                sent: None,
                opened: false,
                backlog: Vec::new(),
            }));
        }
    }

    /// A line opens the gate at which the streams wait; the end of the input ends the server.
    fn hear_parent(&mut self) -> Result<(), BenchError> {
        let mut bytes = [0; 64];
        let count = rustix::io::read(io::stdin(), &mut bytes[..])
            .map_err(|error| BenchError::system("hear the parent")(error.into()))?;
        self.over |= count == 0;
        for _ in bytes[..count].iter().filter(|&&byte| byte == b'\n') {
            self.gates.pop_front();
            self.release();
        }
        Ok(())
    }

    fn release(&mut self) {
        let start = meter::monotonic() + BREATH_NS;
        let held = std::mem::take(&mut self.held);
        let streams = held.len().max(1) as u64;
        for (place, index) in (0..).zip(held) {
            match self.spec.pace {
                Pace::AtOnce => self.ready.push_back(index),
                Pace::Every { together: true, .. } => self.due.push(Reverse((start, index))),
                Pace::Every { period_ns, .. } => {
                    let at = start + period_ns * place / streams;
                    self.due.push(Reverse((at, index)));
                }
            }
        }
    }

    fn read(&mut self, index: usize) -> Result<(), BenchError> {
        let Some(stream) = self.streams.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let count = match stream.tcp.read(&mut self.buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => 0,
        };
        if count == 0 {
            self.streams[index] = None;
            return Ok(());
        }
        self.served.request_bytes += count as u64;
        let request = if stream.inbox.is_empty() {
            &self.buffer[..count]
        } else {
            stream.inbox.extend_from_slice(&self.buffer[..count]);
            &stream.inbox[..]
        };
        if !request::is_complete(request) {
            if stream.inbox.is_empty() {
                stream.inbox.extend_from_slice(&self.buffer[..count]);
            }
            return Ok(());
        }
        if self.spec.log.is_some() {
            stream.number = request::number(request).unwrap_or(index as u64);
        }
        stream.inbox.clear();
        stream.sent = Some(0);
        self.begin(index)
    }

    /// A request is there: its answer begins, or waits at the first gate.
    fn begin(&mut self, index: usize) -> Result<(), BenchError> {
        if self.gates.is_empty() {
            match self.spec.pace {
                Pace::AtOnce => self.ready.push_back(index),
                Pace::Every { period_ns, .. } => {
                    let at = meter::monotonic() + period_ns;
                    self.due.push(Reverse((at, index)));
                }
            }
            return Ok(());
        }
        if let Some(stream) = &mut self.streams[index] {
            stream.opened = true;
            stream.write(self.answer.opening(), &self.epoll, index, &mut self.served);
        }
        self.hold(index)
    }

    fn hold(&mut self, index: usize) -> Result<(), BenchError> {
        self.held.push(index);
        if self.held.len() == self.spec.gates.streams as usize {
            let gate = self.gates.front().copied().unwrap_or_default();
            Said::Gate(gate).say()?;
        }
        Ok(())
    }

    fn send_due(&mut self) -> Result<(), BenchError> {
        let Pace::Every { period_ns, .. } = self.spec.pace else {
            return Ok(());
        };
        while let Some(&Reverse((due, index))) = self.due.peek() {
            if due > meter::monotonic() {
                break;
            }
            self.due.pop();
            if self.send(index)? {
                self.due.push(Reverse((due + period_ns, index)));
            }
        }
        Ok(())
    }

    fn send_ready(&mut self) -> Result<(), BenchError> {
        for _ in 0..BURST {
            let Some(index) = self.ready.pop_front() else {
                break;
            };
            let more = self.send(index)?;
            let flows = self.streams[index]
                .as_ref()
                .is_some_and(|stream| stream.backlog.is_empty());
            if more && flows {
                self.ready.push_back(index);
            }
        }
        Ok(())
    }

    /// Writes the next events of a stream. Returns whether there are more to send now.
    fn send(&mut self, index: usize) -> Result<bool, BenchError> {
        let Some(stream) = &mut self.streams[index] else {
            return Ok(false);
        };
        let Some(before) = stream.sent else {
            return Ok(false);
        };
        let sent = before + self.spec.per_write;
        let last = sent >= self.spec.events;
        if self.spec.log.is_some() {
            note(&mut self.log, index, stream.number, meter::monotonic());
        }
        let piece = self.answer.piece(!stream.opened, last);
        stream.opened = !last;
        stream.sent = (!last).then_some(sent);
        stream.write(piece, &self.epoll, index, &mut self.served);
        self.served.events += u64::from(self.spec.per_write);
        self.served.answers += u64::from(last);
        let held = !last && self.gates.front() == Some(&sent);
        if held {
            self.hold(index)?;
        }
        Ok(!last && !held)
    }

    /// The socket takes more.
    fn flush(&mut self, index: usize) {
        let Some(stream) = self.streams.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let backlog = std::mem::take(&mut stream.backlog);
        stream.write(&backlog, &self.epoll, index, &mut self.served);
        if !stream.backlog.is_empty() {
            return;
        }
        let token = EventData::new_u64(index as u64);
        // A socket that cannot be watched any more is broken, which the next read finds.
        let _ = epoll::modify(&self.epoll, &stream.tcp, token, EventFlags::IN);
        let waits = stream.sent.is_some() && !self.held.contains(&index);
        if waits && self.spec.pace == Pace::AtOnce {
            self.ready.push_back(index);
        }
    }

    fn finish(self) -> Result<(), BenchError> {
        if let Some(path) = &self.spec.log {
            let mut stamps = Stamps::default();
            for (number, sent) in self.log {
                stamps.insert(number, sent);
            }
            stamps.write(path)?;
        }
        let usage = Usage::now().map_err(BenchError::system("read its own CPU time"))?;
        Said::Served(Served {
            cpu_ns: usage.cpu_ns,
            ..self.served
        })
        .say()
    }
}

/// Logs an event of the connection `index`: in logged runs each has one stream of one event a write.
fn note(log: &mut Vec<(u64, Vec<u64>)>, index: usize, number: u64, at: u64) {
    if log.len() <= index {
        log.resize_with(index + 1, Default::default);
    }
    log[index].0 = number;
    log[index].1.push(at);
}

impl Stream {
    /// Writes what the socket takes and keeps the rest. A broken connection is found by the next read.
    fn write(&mut self, bytes: &[u8], epoll: &OwnedFd, index: usize, served: &mut Served) {
        if !self.backlog.is_empty() {
            self.backlog.extend_from_slice(bytes);
            return;
        }
        served.writes += 1;
        let taken = self.tcp.write(bytes).unwrap_or(0);
        if taken < bytes.len() {
            served.blocked += 1;
            self.backlog.extend_from_slice(&bytes[taken..]);
            let token = EventData::new_u64(index as u64);
            let _ = epoll::modify(epoll, &self.tcp, token, EventFlags::IN | EventFlags::OUT);
        }
    }
}

pub(super) const NO_EVENT: Event = Event {
    flags: EventFlags::empty(),
    data: EventData::new_u64(0),
};

fn listen() -> io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
