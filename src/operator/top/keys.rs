//! Keys, from the bytes that a terminal sends. crossterm reads them too, but a wait in it for a key
//! never ends, and is busy, if the terminal goes away (crossterm issue 793).

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::{errno::Errno, unistd::read};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A key with a character on it, or with Ctrl: `'\x03'` is Ctrl-C.
    Char(char),
    Escape,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// Keys of more than one byte, as terminals send them.
const SEQUENCES: [(&[u8], Key); 12] = [
    (b"\x1b[A", Key::Up),
    (b"\x1bOA", Key::Up),
    (b"\x1b[B", Key::Down),
    (b"\x1bOB", Key::Down),
    (b"\x1b[5~", Key::PageUp),
    (b"\x1b[6~", Key::PageDown),
    (b"\x1b[H", Key::Home),
    (b"\x1bOH", Key::Home),
    (b"\x1b[1~", Key::Home),
    (b"\x1b[F", Key::End),
    (b"\x1bOF", Key::End),
    (b"\x1b[4~", Key::End),
];

/// The rest of a key comes within this time after its first byte, even over a slow line.
const REST: Duration = Duration::from_millis(50);

/// A terminal's keys: those of stdin, or of our controlling terminal if stdin is none.
pub struct Keys(Option<File>);

impl Keys {
    pub fn open() -> io::Result<Keys> {
        let is_terminal = io::stdin().is_terminal();
        Ok(Keys(if is_terminal { None } else { Some(File::open("/dev/tty")?) }))
    }

    /// Waits for `time`, or until keys are pressed or a signal comes.
    ///
    /// # Errors
    /// An error if the terminal is gone, too.
    pub fn wait(&self, time: Duration) -> io::Result<Vec<Key>> {
        let stdin = io::stdin();
        let terminal = self.0.as_ref().map_or(stdin.as_fd(), |file| file.as_fd());
        let mut bytes = Vec::new();
        receive(terminal, time, &mut bytes)?;
        if bytes.last() == Some(&b'\x1b') {
            // Escape, or the beginning of another key.
            receive(terminal, REST, &mut bytes)?;
        }
        Ok(keys(&bytes))
    }
}

/// Receives what comes within a time.
fn receive(terminal: BorrowedFd, time: Duration, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut looked = [PollFd::new(terminal, PollFlags::POLLIN)];
    match poll(&mut looked, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
        Ok(0) | Err(Errno::EINTR) => return Ok(()),
        Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let mut buffer = [0; 256];
    match read(terminal, &mut buffer) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone")),
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            Ok(())
        }
        Err(Errno::EINTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Returns the keys that were pressed. A sequence that is no key here is left out.
pub fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(s, _)| bytes.starts_with(s)) {
            keys.push(*key);
            bytes = &bytes[sequence.len()..];
        } else if *first != b'\x1b' {
            keys.push(Key::Char(char::from(*first)));
            bytes = rest;
        } else if let [b'[' | b'O', parameters @ ..] = rest {
            let last = parameters.iter().position(|byte| (b'@'..=b'~').contains(byte));
            bytes = last.map_or(&[], |last| &parameters[last + 1..]);
        } else {
            keys.push(Key::Escape);
            bytes = rest;
        }
    }
    keys
}
