//! What is asked of the kernel about a socket: bytes with the time of their arrival, and the clock that the stamps are of.
//! It places no stamp and keeps no state. Where the system has no such stamps, it reads without.

use std::io;
use std::time::UNIX_EPOCH;

use tokio::net::TcpStream;

/// The wall clock, in nanoseconds since 1970: the clock of the kernel's stamps.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel stamps with the wall clock; it is read to leave it at once"
)]
pub(super) fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, cmsg_space, recvmsg,
        setsockopt, sockopt,
    };
    use nix::sys::time::TimeValLike as _;
    use tokio::net::TcpStream;

    /// Room for one control message of stamps.
    const ROOM: usize = cmsg_space::<Timestamps>();

    /// Asks for stamps on everything that `tcp` receives; whether the system will give them.
    pub(crate) fn ask_for_stamps(tcp: &TcpStream) -> bool {
        let wanted = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(tcp, sockopt::Timestamping, &wanted).is_ok()
    }

    /// Reads once into `buffer`: how many bytes, and when the last of them arrived if the kernel tells.
    pub(crate) fn receive(
        tcp: &TcpStream,
        buffer: &mut [u8],
        stamped: bool,
    ) -> io::Result<(usize, Option<i64>)> {
        if !stamped {
            return super::receive_plain(tcp, buffer);
        }
        let mut control = Control([0; ROOM]);
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            tcp.as_raw_fd(),
            &mut slices,
            Some(&mut control.0),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let arrived = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampsns(stamps) => {
                    Some(stamps.system.num_nanoseconds()).filter(|&nanos| nanos > 0)
                }
                _ => None,
            })
        });
        Ok((message.bytes, arrived))
    }

    /// The kernel writes a structure here: it must lie as one does.
    #[repr(align(8))]
    struct Control([u8; ROOM]);
}

#[cfg(target_os = "linux")]
pub(super) use linux::{ask_for_stamps, receive};

/// Nothing to ask.
#[cfg(not(target_os = "linux"))]
pub(super) const fn ask_for_stamps(_: &TcpStream) -> bool {
    false
}

/// Reads once into `buffer`.
#[cfg(not(target_os = "linux"))]
pub(super) fn receive(
    tcp: &TcpStream,
    buffer: &mut [u8],
    _: bool,
) -> io::Result<(usize, Option<i64>)> {
    receive_plain(tcp, buffer)
}

fn receive_plain(tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<i64>)> {
    let count = rustix::net::recv(tcp, buffer, rustix::net::RecvFlags::DONTWAIT)?.1;
    Ok((count, None))
}
