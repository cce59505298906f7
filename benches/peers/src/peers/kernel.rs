//! The kernel's own means, between two threads: a pipe, a Unix socket that keeps messages apart,
//! and for messages of any length a Unix socket that does not, and TCP.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::{pipe2, read, write};
use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// A pipe that both ends ask again and again.
pub struct Pipe;

/// A socket that both ends ask again and again, or on which both sleep in the kernel.
pub struct Socket<const SLEEPS: bool>;

impl<E: Entry> Channel<E> for Pipe {
    const NAME: &'static str = "pipe";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = OwnedFd;
    type Receiver = To;

    /// With as many bytes as the kernel gives it: a name and a number of slots mean nothing here.
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

/// Returns whether the kernel took it: it takes this many bytes whole or not at all.
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

    /// Takes what is there of entries of this size.
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

/// Bytes one after the other, each message after its length: a Unix socket, or TCP on loopback.
/// Both ends ask again and again.
pub struct Stream<const TCP: bool>;

impl<const TCP: bool> Channel<[u8]> for Stream<TCP> {
    const NAME: &'static str = if TCP { "TCP on loopback" } else { "Unix socket" };
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = FromStream;
    type Receiver = ToStream;

    fn create(
        _: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> FromStream + Send, impl FnOnce() -> ToStream + Send) {
        let (from, to) = if TCP { tcp() } else { unix() }.expect("a socket");
        (
            move || FromStream(from),
            move || ToStream { end: to, filled: 0, buffer: vec![0; 8 + terms.bytes] },
        )
    }
}

fn unix() -> std::io::Result<(File, File)> {
    let (from, to) = UnixStream::pair()?;
    from.set_nonblocking(true)?;
    to.set_nonblocking(true)?;
    Ok((OwnedFd::from(from).into(), OwnedFd::from(to).into()))
}

fn tcp() -> std::io::Result<(File, File)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let from = TcpStream::connect(listener.local_addr()?)?;
    let (to, _) = listener.accept()?;
    from.set_nodelay(true)?;
    from.set_nonblocking(true)?;
    to.set_nonblocking(true)?;
    Ok((OwnedFd::from(from).into(), OwnedFd::from(to).into()))
}

pub struct FromStream(File);

impl Sender<[u8]> for FromStream {
    /// Sends a message: if the kernel took a part of it, it has to take the rest too.
    fn send(&mut self, message: &[u8]) -> bool {
        let length = (message.len() as u64).to_le_bytes();
        let mut sent = 0;
        while sent < 8 + message.len() {
            let parts =
                [&length[sent.min(8)..], &message[sent.saturating_sub(8)..]].map(IoSlice::new);
            match self.0.write_vectored(&parts) {
                Ok(bytes) => sent += bytes,
                Err(e) if e.kind() != ErrorKind::WouldBlock => panic!("the kernel: {e}"),
                Err(_) if sent == 0 => return false,
                Err(_) => {}
            }
        }
        true
    }
}

pub struct ToStream {
    end: File,
    filled: usize,
    buffer: Vec<u8>,
}

impl Receiver<[u8]> for ToStream {
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let ToStream { end, filled, buffer } = self;
        match end.read(&mut buffer[*filled..]) {
            Ok(bytes) => *filled += bytes,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
            Err(e) => panic!("the kernel: {e}"),
        }
        let (length, message) = buffer.split_at(8);
        if *filled < buffer.len() {
            return 0;
        }
        assert_eq!(length, message.len().to_le_bytes(), "messages here are of one length");
        *filled = 0;
        each(message);
        1
    }
}
