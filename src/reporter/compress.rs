//! Finished files made small, by a thread of its own that the reporter never waits for.
//!
//! A part is there until its compressed form is, whole and synced: `part.zst.tmp` becomes
//! `part.zst`, and only then `part` is deleted. So whatever is killed, nothing is missing, and the
//! next run with `--compress` clears up.

use crate::cli::{put_whole, remove_if_there, tell};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    /// To FILE.zst
    Zstd,
    /// To FILE.gz
    Gz,
}

impl Codec {
    const ALL: [Codec; 2] = [Codec::Zstd, Codec::Gz];

    fn name(self, part: &Path) -> PathBuf {
        let extension = match self {
            Codec::Zstd => "zst",
            Codec::Gz => "gz",
        };
        part.with_added_extension(extension)
    }

    fn provisional(self, part: &Path) -> PathBuf {
        self.name(part).with_added_extension("tmp")
    }

    fn write(self, mut part: &File, to: &File) -> io::Result<()> {
        match self {
            Codec::Zstd => {
                let mut encoder = zstd::Encoder::new(to, 0)?;
                encoder.include_checksum(true)?;
                io::copy(&mut part, &mut encoder)?;
                encoder.finish()?;
            }
            Codec::Gz => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut part, &mut encoder)?;
                encoder.finish()?;
            }
        }
        to.sync_all()
    }

    /// Whether a compressed file is this part.
    fn is_of(self, compressed: &File, part: &File) -> io::Result<bool> {
        match self {
            Codec::Zstd => holds_the_same(zstd::Decoder::new(compressed)?, part),
            Codec::Gz => holds_the_same(MultiGzDecoder::new(BufReader::new(compressed)), part),
        }
    }
}

fn holds_the_same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        a.clear();
        b.clear();
        (&mut one).take(1 << 16).read_to_end(&mut a)?;
        (&mut other).take(1 << 16).read_to_end(&mut b)?;
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

pub struct Worker {
    parts: Sender<PathBuf>,
    thread: JoinHandle<()>,
    /// Parts that it was given and has not done with.
    left: Arc<AtomicUsize>,
}

impl Worker {
    pub fn start(reader: u8, how: Codec) -> io::Result<Worker> {
        let (parts, queue) = channel();
        let left = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&left);
        let work = move || work(reader, how, &queue, &counter);
        let thread = Builder::new().name("compress".to_owned()).spawn(work)?;
        Ok(Worker { parts, thread, left })
    }

    pub fn take(&self, part: PathBuf) {
        self.left.fetch_add(1, Ordering::Relaxed);
        let _ = self.parts.send(part); // it ends after this end of the channel, and not before
    }

    pub fn is_busy(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Waits until it has done with all.
    pub fn finish(self) {
        drop(self.parts);
        let _ = self.thread.join();
    }
}

fn work(reader: u8, how: Codec, queue: &Receiver<PathBuf>, left: &AtomicUsize) {
    // On Linux this is the thread alone. That it is refused is no reason not to work.
    let _ = rustix::process::setpriority_process(None, 19);
    let mut parts = VecDeque::new();
    for part in queue {
        parts.push_back(part);
        while let Some(part) = parts.front() {
            if let Err(e) = compress(part, how) {
                tell(format_args!("reporter {reader}: {}: {e}; it is kept", part.display()));
                // There may be room when the next is finished.
                if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                    break;
                }
            }
            parts.pop_front();
        }
        left.fetch_sub(1, Ordering::Relaxed);
    }
}

fn compress(part: &Path, how: Codec) -> io::Result<()> {
    let file = match File::open(part) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()), // it has been done before
        opened => opened?,
    };
    for other in Codec::ALL {
        remove_if_there(&other.provisional(part))?;
        let name = other.name(part);
        match File::open(&name) {
            Ok(compressed) if other.is_of(&compressed, &file)? => return remove_if_there(part),
            Ok(_) => return Err(io::Error::other(format!("{} is of another", name.display()))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    let provisional = how.provisional(part);
    let permissions = Some(file.metadata()?.permissions());
    put_whole(&how.name(part), &provisional, permissions, |to| how.write(&file, to))?;
    let directory = part.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    remove_if_there(part)
}
