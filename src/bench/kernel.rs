//! Reads with the kernel's own time of arrival (`SO_TIMESTAMPING`, software), for the bare loop.

use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, TimestampingFlag, recvmsg, setsockopt};

use super::meter;

/// How long an offset between the clocks is believed.
const STALE_NS: u64 = 100_000_000;

/// Turns the kernel's wall-clock stamps into `CLOCK_MONOTONIC`.
pub(super) struct KernelClock {
    offset: i64,
    read_at: u64,
    control: Vec<u8>,
}

/// Asks for stamps on this socket.
pub(super) fn enable(tcp: &TcpStream) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    Ok(setsockopt(tcp, Timestamping, &flags)?)
}

impl KernelClock {
    pub(super) fn new() -> Self {
        Self {
            offset: meter::wall_offset(),
            read_at: meter::monotonic(),
            control: nix::cmsg_space!(nix::sys::socket::Timestamps),
        }
    }

    /// Reads, and returns how many bytes came and when the last of them arrived.
    pub(super) fn receive(
        &mut self,
        tcp: &TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<(usize, u64)> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            tcp.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps.system),
            _ => None,
        });
        let count = message.bytes;
        let wall = stamp.map_or(0, |at| at.tv_sec() * 1_000_000_000 + at.tv_nsec());
        // Bytes that came before stamps were asked for have none.
        if wall == 0 {
            return Ok((count, meter::monotonic()));
        }
        let now = meter::monotonic();
        if now > self.read_at + STALE_NS {
            (self.offset, self.read_at) = (meter::wall_offset(), now);
        }
        Ok((count, (wall - self.offset).cast_unsigned()))
    }
}
