//! Writes bytes to a file or a stream: all of them, or as many as there is room for.

use nix::poll::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd;

/// Most bytes of one write to a stream, and of its batch. A pipe takes a write of at most 4096
/// bytes whole or not at all, so that a commit never falls within a row that was delivered in part.
pub(crate) const STREAM_BATCH: usize = 4096;

/// Writes all of it, or as much as there is room for; returns how much that was.
pub(crate) fn write_what_fits(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (written, Err(e)),
        }
    }
    (written, Ok(()))
}

/// Writes all of it to a stream, piece by piece, or as much as it takes now; returns how much that
/// was.
pub(crate) fn write_pieces(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while sent < bytes.len() {
        let rest = &bytes[sent..];
        let piece = &rest[..rest.len().min(STREAM_BATCH)];
        match wait_for_room(file).and_then(|()| file.write(piece)) {
            Ok(0) => return (sent, Err(ErrorKind::WriteZero.into())),
            Ok(count) => sent += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (sent, Err(e)),
        }
    }
    (sent, Ok(()))
}

/// Waits a moment until a pipe has room for a piece. So a write to it never blocks, whatever its
/// reader does; a signal would not end that.
fn wait_for_room(file: &File) -> io::Result<()> {
    let mut output = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut output, 50u8) {
        Ok(0) | Err(nix::Error::EINTR) => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()), // the write will say what else is wrong
    }
}
