//! The kernel's own: a pipe, and a Unix socket that keeps messages apart, between two threads.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::{pipe2, read, write};
use std::os::fd::OwnedFd;

/// Both ends ask again and again.
pub struct Pipe;

/// Both ends ask again and again, or both sleep in the kernel.
pub struct Socket<const SLEEPS: bool>;

impl<E: Entry> Channel<E> for Pipe {
    const NAME: &'static str = "pipe";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = OwnedFd;
    type Receiver = To;

    /// Of as many bytes as the kernel gives it: a name and a number of slots mean nothing.
    fn create(_: &str, _: Terms) -> (impl FnOnce() -> OwnedFd + Send, impl FnOnce() -> To + Send) {
        let (to, from) = pipe2(OFlag::O_NONBLOCK).expect("a pipe");
        (move || from, move || To::of::<E>(to))
    }
}

impl<E: Entry, const SLEEPS: bool> Channel<E> for Socket<SLEEPS> {
    const NAME: &'static str = if SLEEPS { "Unix socket, asleep" } else { "Unix socket" };
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = OwnedFd;
    type Receiver = To;

    fn create(_: &str, _: Terms) -> (impl FnOnce() -> OwnedFd + Send, impl FnOnce() -> To + Send) {
        let flags = if SLEEPS { SockFlag::empty() } else { SockFlag::SOCK_NONBLOCK };
        let ends = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags);
        let (to, from) = ends.expect("a socket");
        // So that the last poll of a work is empty, and not for ever.
        let bound = TimeVal::milliseconds(if SLEEPS { 1 } else { 0 });
        setsockopt(&to, sockopt::ReceiveTimeout, &bound).expect("a time-out");
        (move || from, move || To::of::<E>(to))
    }
}

impl<E: Entry> Sender<E> for OwnedFd {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        is_sent(self, bytemuck::bytes_of(entry))
    }

    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        is_sent(self, bytemuck::cast_slice(entries))
    }
}

/// Whether the kernel took it: so much at once it takes whole or not at all.
fn is_sent(to: &OwnedFd, bytes: &[u8]) -> bool {
    match write(to, bytes) {
        Ok(sent) => sent == bytes.len() || panic!("{sent} of {} bytes", bytes.len()),
        Err(Errno::EAGAIN) => false,
        Err(e) => panic!("the kernel: {e}"),
    }
}

pub struct To {
    end: OwnedFd,
    bytes: Vec<u8>,
}

impl To {
    fn of<E>(end: OwnedFd) -> To {
        To { end, bytes: vec![0; BATCH * size_of::<E>()] }
    }

    /// Takes what is there of so many bytes.
    fn take<E: Entry>(&mut self, size: usize, mut each: impl FnMut(&E)) -> usize {
        let taken = match read(&self.end, &mut self.bytes[..size]) {
            Ok(taken) => taken,
            Err(Errno::EAGAIN) => 0,
            Err(e) => panic!("the kernel: {e}"),
        };
        let entries = self.bytes[..taken].chunks_exact(size_of::<E>());
        entries.map(|bytes| each(&bytemuck::pod_read_unaligned(bytes))).count()
    }
}

impl<E: Entry> Receiver<E> for To {
    fn poll(&mut self, each: impl FnMut(&E)) -> usize {
        self.take(size_of::<E>(), each)
    }

    fn poll_batch(&mut self, each: impl FnMut(&E)) -> usize {
        self.take(self.bytes.len(), each)
    }
}
