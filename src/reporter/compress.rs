//! Compresses finished files in a thread of its own, for which the reporter never waits.
//!
//! A part stays until its compressed form is whole and synced: `part.zst.tmp` becomes `part.zst`,
//! and only then `part` is deleted. So after a kill at any moment nothing is missing, and the next
//! run with `--compress` cleans up. The files to compress are in a list beside the output,
//! `.out.csv.finished`; no other file is ever touched, whatever its name.

use crate::cli::{put_whole, remove_if_there, tell};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ringlog_rows::identity;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
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

    /// Returns whether a compressed file is this part.
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

/// The files of this output that are finished and not compressed, by the hash by which a file is
/// recognised: one a line, in a file beside the output.
#[derive(Debug)]
struct List {
    output: PathBuf,
    path: PathBuf,
    /// Held while a line is added, or while all lines are removed.
    change: Mutex<()>,
}

impl List {
    fn beside(output: &Path) -> List {
        let mut name = OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(".finished");
        let path = output.with_file_name(name);
        List { output: output.to_owned(), path, change: Mutex::default() }
    }

    /// Adds the output, which is about to get the name of a part: after a kill the next run finds
    /// it here.
    fn add(&self) -> io::Result<()> {
        let _held = self.change.lock();
        let line = format!("{:016x}\n", identity(&std::fs::metadata(&self.output)?));
        File::options().append(true).create(true).open(&self.path)?.write_all(line.as_bytes())
    }

    /// Returns which of these files have been added.
    fn known(&self, mut files: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let known: Vec<_> =
            text.lines().filter_map(|line| u64::from_str_radix(line, 16).ok()).collect();
        files.retain(|file| {
            std::fs::metadata(file).is_ok_and(|meta| known.contains(&identity(&meta)))
        });
        Ok(files)
    }

    /// Returns the parts that still exist, and still are the files that were added.
    fn left(&self) -> io::Result<Vec<PathBuf>> {
        self.known(ringlog_rows::parts(&self.output)?)
    }

    /// Removes all lines, once no part is left and the output is not about to become one.
    fn clear(&self) {
        let _held = self.change.lock();
        let next = self.known(vec![self.output.clone()]);
        // In this order: the output may become a part meanwhile.
        if next.is_ok_and(|next| next.is_empty()) && self.left().is_ok_and(|left| left.is_empty()) {
            let _ = remove_if_there(&self.path);
        }
    }
}

pub struct Worker {
    parts: Sender<PathBuf>,
    list: Arc<List>,
    thread: JoinHandle<()>,
    /// Number of parts that it was given and has not finished.
    left: Arc<AtomicUsize>,
}

impl Worker {
    /// Starts a worker for the output at this path; it begins with the parts that a killed run
    /// left.
    pub fn start(reader: u8, how: Codec, output: &Path) -> io::Result<Worker> {
        let list = Arc::new(List::beside(output));
        let (parts, queue) = channel();
        let left = Arc::<AtomicUsize>::default();
        let (counter, known) = (Arc::clone(&left), Arc::clone(&list));
        let work = move || work(reader, how, &known, &queue, &counter);
        let thread = Builder::new().name("compress".to_owned()).spawn(work)?;
        let worker = Worker { parts, list, thread, left };
        worker.list.left()?.into_iter().for_each(|part| worker.take(part));
        Ok(worker)
    }

    /// Takes note that the output is about to be finished.
    pub fn expect(&self) -> io::Result<()> {
        self.list.add()
    }

    pub fn take(&self, part: PathBuf) {
        self.left.fetch_add(1, Ordering::Relaxed);
        let _ = self.parts.send(part); // it ends after this end of the channel
    }

    pub fn is_busy(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Waits until it has finished all parts.
    pub fn finish(self) {
        drop(self.parts);
        let _ = self.thread.join();
    }
}

fn work(reader: u8, how: Codec, list: &List, queue: &Receiver<PathBuf>, left: &AtomicUsize) {
    // On Linux this affects the thread alone. If it is refused, that does not matter.
    let _ = rustix::process::setpriority_process(None, 19);
    let mut parts = VecDeque::new();
    for part in queue {
        parts.push_back(part);
        while let Some(part) = parts.front() {
            if let Err(e) = compress(part, how) {
                tell(format_args!(
                    "reporter {reader}: {}: not compressed: {e}; the file is kept",
                    part.display()
                ));
                // There may be room when the next part is finished.
                if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                    break;
                }
            }
            parts.pop_front();
        }
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            list.clear();
        }
    }
}

fn compress(part: &Path, how: Codec) -> io::Result<()> {
    let file = match File::open(part) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()), // done before
        opened => opened?,
    };
    if let Ok(false) = ringlog::lock_finished(&file) {
        return Err(io::Error::other("another process is writing it"));
    }
    for other in Codec::ALL {
        remove_if_there(&other.provisional(part))?;
        let name = other.name(part);
        match File::open(&name) {
            Ok(compressed) if other.is_of(&compressed, &file)? => return remove_if_there(part),
            Ok(_) => {
                return Err(io::Error::other(format!("{} holds another part", name.display())));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_cannot_be_synced_is_no_compressed_part() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        fs::write(&path, "rows").unwrap();
        for how in Codec::ALL {
            let part = File::open(&path).unwrap();
            let (_reader, pipe) = io::pipe().unwrap(); // takes writes, but no sync
            let why = how.write(&part, &File::from(std::os::fd::OwnedFd::from(pipe))).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::InvalidInput, "{why}");
        }
    }

    #[test]
    fn what_is_about_to_be_a_part_stays_on_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out.csv");
        fs::write(&output, "rows").unwrap();
        let list = List::beside(&output);
        list.add().unwrap();
        list.clear();
        assert!(list.path.exists());
        let part = directory.path().join("out.000000000000000.csv");
        fs::rename(&output, &part).unwrap();
        fs::write(&output, "more").unwrap();
        list.clear();
        assert_eq!(list.left().unwrap(), std::slice::from_ref(&part));
        fs::remove_file(&part).unwrap();
        list.clear();
        assert!(!list.path.exists());
    }
}
