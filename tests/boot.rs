//! A log on a disk after the machine died: any page of it may be as it was before.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use ringlog::layout::{HEADER_SIZE, Header, WriterLine};
use ringlog::{Log, Pod, Polled, Start, Zeroable, record};
use std::fs::OpenOptions;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Sample {
    value: u64,
}
record!(Sample { value });

/// A log of 1024 slots with 1000 entries, in a directory that goes with it.
struct Disk {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    fn new() -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.log");
        let log = Log::create::<Sample>(path.as_path()).unwrap();
        let mut writer = log.writer::<Sample>().unwrap();
        (0..1000).for_each(|value| _ = writer.append(&Sample { value }));
        Disk { _dir: dir, path }
    }

    /// These bytes were not written back.
    fn forget(&self, bytes: Range<usize>) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(&vec![0; bytes.len()], bytes.start as u64).unwrap();
    }

    fn slots(&self, positions: Range<usize>) -> Range<usize> {
        let size = self.log().geometry().slot_size();
        HEADER_SIZE + positions.start * size..HEADER_SIZE + positions.end * size
    }

    fn log(&self) -> Log {
        Log::open(self.path.as_path()).unwrap()
    }

    /// The positions an observer gets, and those it is told are lost.
    fn read(&self) -> (Vec<u64>, Vec<Range<u64>>) {
        let mut observer = self.log().observe::<Sample>(Start::Oldest).unwrap();
        let (mut positions, mut lost) = (Vec::new(), Vec::new());
        loop {
            match observer.poll() {
                Polled::Entry { position, record } => {
                    assert_eq!(record.value, position);
                    positions.push(position);
                }
                Polled::Lost(range) => lost.push(range),
                Polled::Empty => return (positions, lost),
            }
        }
    }
}

const WRITER: Range<usize> = {
    let line = offset_of!(Header, writer);
    line..line + size_of::<WriterLine>()
};
const BOOT: Range<usize> = {
    let boot = WRITER.start + offset_of!(WriterLine, boot_id);
    boot..boot + 16
};

#[test]
fn after_another_boot_the_slots_are_asked_and_what_is_missing_is_lost() {
    let disk = Disk::new();
    disk.forget(BOOT);
    disk.forget(disk.slots(0..256));
    disk.forget(disk.slots(512..768));
    let (positions, lost) = disk.read();
    assert_eq!(positions, (256..512).chain(768..1000).collect::<Vec<u64>>());
    assert_eq!(lost, [0..256, 512..768]);
    assert_eq!(disk.log().writer::<Sample>().unwrap().position(), 1000);
}

#[test]
fn a_header_that_was_never_written_back_hides_no_entry() {
    let disk = Disk::new();
    disk.forget(WRITER);
    disk.forget(0..72);
    disk.forget(disk.slots(0..256));
    let (positions, lost) = disk.read();
    assert_eq!(positions, (256..1000).collect::<Vec<u64>>());
    assert!(matches!(lost.as_slice(), [Range { start: 0, end: 256 }]), "{lost:?}");
    assert_eq!(disk.log().writer::<Sample>().unwrap().position(), 1000);
}
