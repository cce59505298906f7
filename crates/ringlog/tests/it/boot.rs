//! A log on a disk after the machine died: any page of it may be as it was before.

use ringlog::layout::{HEADER_SIZE, Header, POSITION_LIMIT, READERS, WriterLine};
use ringlog::{Log, Polled, Record, Start};
use std::fs::{self, OpenOptions};
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Sample {
    value: u64,
}

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

    /// These bytes were written back although others were not, or were scribbled on.
    fn put(&self, offset: usize, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(bytes, offset as u64).unwrap();
    }

    fn set(&self, offset: usize, word: u64) {
        self.put(offset, &word.to_le_bytes());
    }

    /// These bytes were not written back.
    fn forget(&self, bytes: Range<usize>) {
        self.put(bytes.start, &vec![0; bytes.len()]);
    }

    /// Reader 7 has committed up to here.
    fn commit(&self, position: u64) {
        self.log().reader_from::<Sample>(7, Start::At(position)).unwrap().commit();
    }

    fn slots(&self, positions: Range<usize>) -> Range<usize> {
        let size = self.log().geometry().slot_size();
        HEADER_SIZE + positions.start * size..HEADER_SIZE + positions.end * size
    }

    fn log(&self) -> Log {
        Log::open(self.path.as_path()).unwrap()
    }

    /// Returns the positions that an observer gets, and those it loses.
    fn read(&self) -> (Vec<u64>, Vec<Range<u64>>) {
        let mut observer = self.log().observe::<Sample>(Start::Oldest).unwrap();
        all(|| observer.poll())
    }

    /// Returns those of reader 7, from where it left off.
    fn resume(&self) -> (Vec<u64>, Vec<Range<u64>>) {
        let mut reader = self.log().reader::<Sample>(7).unwrap();
        all(|| reader.poll())
    }

    /// Asserts that the next writer continues at `end`, and so does the one after it if that one
    /// dies before it has appended anything; it appends ten entries.
    #[track_caller]
    fn assert_goes_on_at(&self, end: u64) {
        assert_eq!(self.log().writer::<Sample>().unwrap().position(), end);
        assert_eq!(self.log().snapshot().unwrap().end, end);
        let mut writer = self.log().writer::<Sample>().unwrap();
        assert_eq!(writer.position(), end);
        (end..end + 10).for_each(|value| _ = writer.append(&Sample { value }));
        assert_eq!(self.boot_id(), Disk::new().boot_id());
    }

    /// Returns the boot to which, by the header, the pointers belong.
    fn boot_id(&self) -> Vec<u8> {
        let at = WRITER.start + offset_of!(WriterLine, boot_id);
        fs::read(&self.path).unwrap()[at..at + 16].to_vec()
    }
}

/// Polls until there is nothing more; returns the positions delivered, and those lost.
fn all(mut poll: impl FnMut() -> Polled<Sample>) -> (Vec<u64>, Vec<Range<u64>>) {
    let (mut positions, mut lost) = (Vec::new(), Vec::new());
    loop {
        match poll() {
            Polled::Entry { position, record } => {
                assert_eq!(record.value, position);
                positions.push(position);
            }
            Polled::Lost(range) => lost.push(range),
            Polled::Empty => return (positions, lost),
        }
    }
}

const WRITE_PTR: usize = offset_of!(Header, write_ptr);
const POINTERS: Range<usize> = WRITE_PTR..offset_of!(Header, read_ptrs) + 8 * READERS;
const WRITER: Range<usize> = {
    let line = offset_of!(Header, writer);
    line..line + size_of::<WriterLine>()
};
const BOOT: Range<usize> = {
    let boot = WRITER.start + offset_of!(WriterLine, boot_id);
    boot..boot + 16
};

#[test]
fn the_boot_in_the_header_is_the_one_that_the_kernel_tells() {
    let disk = Disk::new();
    let bytes = fs::read(&disk.path).unwrap();
    let at = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);
    let words = bytes[at..at + 16].chunks(8);
    let words = words.map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let id: String = words.map(|word| format!("{word:016x}")).collect();
    let told = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(id, told.trim().replace('-', ""));
}

#[test]
fn after_a_reboot_gaps_in_slots_are_lost() {
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
    disk.forget(POINTERS);
    disk.forget(disk.slots(0..256));
    let (positions, lost) = disk.read();
    assert_eq!(positions, (256..1000).collect::<Vec<u64>>());
    assert!(matches!(lost.as_slice(), [Range { start: 0, end: 256 }]), "{lost:?}");
    assert_eq!(disk.log().writer::<Sample>().unwrap().position(), 1000);
}

#[test]
fn after_a_reboot_appending_resumes_above_every_pointer() {
    // The write pointer, written back or not; of reader 7, what it committed.
    for (write_ptr, committed, end) in
        [(1000, 0, 1000), (1000, 950, 1000), (0, 950, 950), (900, 950, 950), (0, 100, 900)]
    {
        for reader_first in [true, false] {
            let disk = Disk::new();
            disk.commit(committed);
            disk.forget(BOOT);
            disk.set(WRITE_PTR, write_ptr);
            disk.forget(disk.slots(900..1000));
            let hole = |from: u64| Vec::from_iter((from < end).then_some(from..end));

            let before = (committed..900).collect();
            if reader_first {
                assert_eq!(disk.read(), ((0..900).collect(), hole(900)));
                assert_eq!(disk.resume(), (before, hole(committed.max(900))));
            }
            disk.assert_goes_on_at(end);
            assert_eq!(disk.read(), ((0..900).chain(end..end + 10).collect(), hole(900)));
            let behind = (committed..900).chain(end..end + 10).collect();
            assert_eq!(disk.resume(), (behind, hole(committed.max(900))));
        }
    }
}

#[test]
fn after_a_reboot_impossible_pointers_move_no_end() {
    for pointer in [POSITION_LIMIT, 1 << 63, u64::MAX] {
        let disk = Disk::new();
        disk.forget(BOOT);
        POINTERS.step_by(8).for_each(|offset| disk.set(offset, pointer));
        disk.assert_goes_on_at(1000);
        assert_eq!(disk.read(), ((0..1010).collect(), vec![]));
    }
}

#[test]
fn lost_pointers_deliver_no_committed_entry_again() {
    let disk = Disk::new();
    disk.commit(950);
    disk.forget(BOOT);
    disk.forget(POINTERS);
    disk.forget(disk.slots(900..1000));
    assert_eq!(disk.resume(), (vec![], vec![]));
    disk.assert_goes_on_at(950);
    assert_eq!(disk.resume(), ((950..960).collect(), vec![]));
}
