//! The input, even if it is slow: a signal ends it.

use crate::cli::Stop;
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that ends once a signal has come, even while it waits for a slow pipe.
pub struct Input<'a> {
    file: File,
    stop: &'a Stop,
}

impl<'a> Input<'a> {
    /// Opens it; returns its name, too.
    pub fn open(path: &Path, stop: &'a Stop) -> anyhow::Result<(String, Input<'a>)> {
        let (name, file) = if path.as_os_str() == "-" {
            ("stdin".to_owned(), io::stdin().as_fd().try_clone_to_owned().map(File::from))
        } else {
            (
                path.display().to_string(),
                File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path),
            )
        };
        let file = file.with_context(|| format!("{name}: cannot be read"))?;
        Ok((name, Input { file, stop }))
    }

    /// Returns whether all of it is there. A pipe may end because its writer was killed.
    pub fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.is_file())
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use nix::poll::{PollFd, PollFlags, poll};
        while !self.stop.requested() {
            let mut input = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut input, 50u8) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                _ => return self.file.read(buffer),
            }
        }
        Ok(0)
    }
}
