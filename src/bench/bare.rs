//! The floor: what the same traffic costs a program that only sends the same bytes and reads the same bytes.
//! One epoll a thread, one buffer, plain `recv`; the end of an answer is found by counting its bytes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::answer::{Answer, Size};
use super::control::Control;
use super::error::BenchError;
use super::job::Words;
use super::kernel::{self, KernelClock};
use super::message::{ClientSpec, Done, Role, Spread};
use super::meter::{self, Usage};
use super::server::NO_EVENT;
use super::stamps::Stamps;
use super::worker::is_steady;

const TIMER: u64 = u64::MAX;
/// Requests made before the start; further ones are sent again from the first.
const POOL: u32 = 512;

/// How the arrival of an event is noted.
enum Noted {
    Not,
    /// By the clock, after the read has returned.
    Clock,
    /// By the kernel.
    Kernel(KernelClock),
}

/// One connection, and how much of its answer has come.
struct Conn {
    tcp: TcpStream,
    /// Which of the client's streams it is.
    stream: u32,
    got: usize,
    stamps: Vec<u64>,
}

/// One thread's share of the traffic.
struct Bare<'a> {
    port: u16,
    requests: &'a [Vec<u8>],
    size: Size,
    fresh: bool,
    /// Connections wait for the next request that is due.
    open_loop: bool,
    epoll: OwnedFd,
    conns: Vec<Option<Conn>>,
    buffer: Vec<u8>,
    noted: Noted,
    /// Requests that are still to be sent.
    left: u64,
    sent: u64,
    answers: u64,
    events: u64,
    /// Connections without a request, of an open loop; the last used goes first.
    idle: VecDeque<usize>,
    stamps: Vec<(u64, Vec<u64>)>,
    lateness: Vec<i64>,
}

/// Runs the bare loop from the parent's `start` to its end.
pub(super) fn run(spec: &ClientSpec, control: &Control) -> Result<Done, BenchError> {
    let numbered = spec.log.is_some();
    let words = Words::new(&spec.traffic, spec.port, numbered)?;
    let streams = spec.traffic.streams;
    let pool = if numbered { streams } else { streams.min(POOL) };
    let requests = (0..pool)
        .map(|stream| words.request(stream, spec.port))
        .collect::<Result<Vec<_>, _>>()?;
    drop(words);
    control.await_start()?;
    let usage = || Usage::now().map_err(BenchError::system("read its own CPU time"));
    let begin = usage()?;
    let shares = thread::scope(|scope| {
        let threads: Vec<_> = (0..spec.threads)
            .map(|part| {
                let requests = &requests;
                scope.spawn(move || Bare::new(spec, requests, part)?.drive(spec, part))
            })
            .collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|ended| {
                ended.unwrap_or_else(|_| Err(io::Error::other("a thread ended by a defect")))
            })
            .collect::<io::Result<Vec<_>>>()
    })
    .map_err(BenchError::system("carry out the bare loop"))?;
    let end = usage()?;
    conclude(spec, begin, end, shares)
}

fn conclude(
    spec: &ClientSpec,
    begin: Usage,
    end: Usage,
    shares: Vec<Bare<'_>>,
) -> Result<Done, BenchError> {
    let mut done = Done {
        begin,
        end,
        ..Done::default()
    };
    let (mut stamps, mut lateness) = (Stamps::default(), Vec::new());
    for share in shares {
        done.answers += share.answers;
        done.events += share.events;
        lateness.extend(share.lateness);
        for (stream, at) in share.stamps {
            stamps.insert(stream, at);
        }
    }
    done.lateness = Spread::of(lateness);
    if let Some(path) = &spec.log {
        stamps.write(path)?;
    }
    Ok(done)
}

/// Part `part` of `of` of `count`, as even as can be.
fn share(count: u64, part: u32, of: u32) -> u64 {
    (count + u64::from(of) - 1 - u64::from(part)) / u64::from(of)
}

impl<'a> Bare<'a> {
    fn new(spec: &ClientSpec, requests: &'a [Vec<u8>], part: u32) -> io::Result<Self> {
        let noted = match (spec.role, &spec.log) {
            (_, None) => Noted::Not,
            (Role::BareKernel, _) => Noted::Kernel(KernelClock::new()),
            _ => Noted::Clock,
        };
        Ok(Self {
            port: spec.port,
            requests,
            size: Answer::new(spec.traffic.events, 1).size(),
            fresh: spec.traffic.fresh,
            open_loop: spec.traffic.rate.is_some(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            conns: Vec::new(),
            buffer: vec![0; 64 * 1024],
            noted,
            left: share(spec.traffic.requests, part, spec.threads),
            sent: 0,
            answers: 0,
            events: 0,
            idle: VecDeque::new(),
            stamps: Vec::new(),
            lateness: Vec::new(),
        })
    }

    fn drive(mut self, spec: &ClientSpec, part: u32) -> io::Result<Self> {
        match spec.traffic.rate {
            None => {
                let streams = u64::from(spec.traffic.streams);
                for n in 0..share(streams, part, spec.threads) {
                    let stream = u64::from(part) + n * u64::from(spec.threads);
                    self.open(u32::try_from(stream).unwrap_or(u32::MAX))?;
                    self.begin(self.conns.len() - 1)?;
                }
                while self.answers < self.sent {
                    self.turn()?;
                }
            }
            Some(rate) => self.keep_rate(rate)?,
        }
        Ok(self)
    }

    /// Waits once, and reads what has come. Returns whether the timer fired.
    fn turn(&mut self) -> io::Result<bool> {
        let mut events = [NO_EVENT; 256];
        let count = match epoll::wait(&self.epoll, &mut events[..], None) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut fired = false;
        for event in &events[..count] {
            let token = event.data.u64();
            if token == TIMER {
                fired = true;
            } else {
                self.read(usize::try_from(token).unwrap_or(usize::MAX))?;
            }
        }
        Ok(fired)
    }

    fn open(&mut self, stream: u32) -> io::Result<()> {
        let tcp = self.connect(self.conns.len())?;
        self.conns.push(Some(Conn {
            tcp,
            stream,
            got: 0,
            stamps: Vec::new(),
        }));
        Ok(())
    }

    fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
        if matches!(self.noted, Noted::Kernel(_)) {
            kernel::enable(&tcp)?;
        }
        let token = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &tcp, token, EventFlags::IN)?;
        Ok(tcp)
    }

    /// Sends a request on the connection, if there is one to send.
    fn begin(&mut self, index: usize) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let Some(conn) = &mut self.conns[index] else {
            return Ok(());
        };
        self.left -= 1;
        // Stream k sends request k first: a numbered one belongs to it.
        let turn = self.sent + u64::from(conn.stream);
        let which = if matches!(self.noted, Noted::Not) {
            usize::try_from(turn % self.requests.len() as u64).unwrap_or(0)
        } else {
            conn.stream as usize
        };
        self.sent += 1;
        // A request is smaller than any socket's empty buffer.
        conn.tcp.write_all(&self.requests[which])
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let Some(conn) = &mut self.conns[index] else {
            return Ok(());
        };
        let read = match &mut self.noted {
            Noted::Kernel(clock) => clock.receive(&conn.tcp, &mut self.buffer),
            Noted::Clock => conn
                .tcp
                .read(&mut self.buffer)
                .map(|count| (count, meter::monotonic())),
            Noted::Not => conn.tcp.read(&mut self.buffer).map(|count| (count, 0)),
        };
        let (count, at) = match read {
            Ok((0, _)) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        conn.got += count;
        if !matches!(self.noted, Noted::Not) {
            conn.stamps
                .resize(self.size.complete(conn.got) as usize, at);
        }
        if conn.got < self.size.total() {
            return Ok(());
        }
        self.answers += 1;
        self.events += u64::from(self.size.complete(conn.got));
        conn.got = 0;
        if !conn.stamps.is_empty() {
            let stamps = std::mem::take(&mut conn.stamps);
            self.stamps.push((conn.stream.into(), stamps));
        }
        self.go_on(index)
    }

    /// The connection's answer is whole.
    fn go_on(&mut self, index: usize) -> io::Result<()> {
        if self.fresh {
            let stream = self.conns[index].take().map_or(0, |conn| conn.stream);
            if self.left > 0 {
                let tcp = self.connect(index)?;
                self.conns[index] = Some(Conn {
                    tcp,
                    stream,
                    got: 0,
                    stamps: Vec::new(),
                });
            }
        }
        if self.open_loop {
            self.idle.push_back(index);
            return Ok(());
        }
        self.begin(index)
    }

    /// The open loop: a timerfd, set to when the next request is due.
    fn keep_rate(&mut self, rate: u32) -> io::Result<()> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let token = EventData::new_u64(TIMER);
        epoll::add(&self.epoll, &timer, token, EventFlags::IN)?;
        let total = self.left;
        self.lateness
            .reserve(usize::try_from(total).unwrap_or(0) + 1);
        let origin = meter::monotonic() + 100_000_000;
        let due_of = |index: u64| origin + index * 1_000_000_000 / u64::from(rate);
        arm(&timer, origin)?;
        while self.answers < total {
            if !self.turn()? {
                continue;
            }
            let _: rustix::io::Result<usize> = rustix::io::read(&timer, &mut [0; 8]);
            while self.left > 0 && due_of(self.sent) <= meter::monotonic() {
                let (index, due) = (self.sent, due_of(self.sent));
                let conn = self.idle_or_new()?;
                self.begin(conn)?;
                if is_steady(index, total) {
                    let late = meter::monotonic().cast_signed() - due.cast_signed();
                    self.lateness.push(late);
                }
            }
            if self.left > 0 {
                arm(&timer, due_of(self.sent))?;
            }
        }
        Ok(())
    }

    fn idle_or_new(&mut self) -> io::Result<usize> {
        if let Some(index) = self.idle.pop_back() {
            return Ok(index);
        }
        let next = u32::try_from(self.conns.len()).unwrap_or(u32::MAX);
        self.open(next)?;
        Ok(self.conns.len() - 1)
    }
}

fn arm(timer: &OwnedFd, at_ns: u64) -> io::Result<()> {
    let spec = Itimerspec {
        it_interval: meter::timespec(0),
        it_value: meter::timespec(at_ns),
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &spec)?;
    Ok(())
}
