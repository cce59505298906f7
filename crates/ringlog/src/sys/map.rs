//! A file in memory as atomic words. Any process may cut it short, or change it, at any time.

use crate::layout::{HEADER_SIZE, Header, PAGE};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::sys::fault::{Held, MAPPED};
use crate::sys::file::{Medium, medium_of};
#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::{MmapOptions, MmapRaw};
use nix::libc;
use std::fs::File;
use std::io;
use std::ops::Deref;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt;

/// Mapped words.
pub struct Words {
    _held: Held, // goes before the mapping, whose address may soon be another's
    pub map: MmapRaw,
    count: usize,
}

impl Words {
    pub fn map(file: &File, from: usize, bytes: usize, writable: bool) -> io::Result<Words> {
        let mut options = MmapOptions::new();
        options.offset(from as u64).len(bytes);
        let map =
            if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        if map.as_ptr().align_offset(64) != 0 {
            return Err(io::Error::other("the mapping does not begin at a cache line"));
        }
        // SAFETY: it only asks.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let lead = map.as_ptr() as usize % page; // where pages are larger than our header
        let held = MAPPED.hold(map.as_ptr() as usize - lead, bytes + lead)?;
        Ok(Words { _held: held, map, count: bytes / 8 })
    }

    /// Takes all page faults now, and changes no byte. In memory the faults of loads are the only
    /// ones (except on an AArch64 that cannot mark a page as dirty by itself). On a disk the first
    /// store to each page is another fault.
    pub fn prefault(&self, stores: bool) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let advice = if stores { Advice::PopulateWrite } else { Advice::PopulateRead };
            match self.map.advise(advice) {
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
                outcome => return outcome,
            }
        }
        // Before Linux 5.14, and on other systems, it loads from each page. Stores to a disk still
        // fault later.
        let _ = stores;
        for word in self.iter().step_by(PAGE / 8) {
            std::hint::black_box(word.load(Relaxed));
        }
        Ok(())
    }
}

/// Bytes of a huge page; a smaller log gets none.
pub const HUGE_PAGE: u64 = 2 << 20;

/// Fills a new file with huge pages, if it is on a tmpfs that gives them on request
/// (`huge=advise`). Only a mapping can ask. `allocate` does what this leaves, for example for want
/// of huge pages.
#[cfg(target_os = "linux")]
pub fn ask_for_huge_pages(file: &File, size: u64) {
    if size < HUGE_PAGE || medium_of(file) != Medium::Memory {
        return;
    }
    let Ok(words) = Words::map(file, 0, size as usize, true) else { return };
    // The first page shows it: it comes alone, or with all of a huge page.
    let first = || {
        words.map.advise(Advice::HugePage)?;
        words.map.advise_range(Advice::PopulateWrite, 0, PAGE)?;
        io::Result::Ok(file.metadata()?.blocks() * 512)
    };
    if first().is_ok_and(|came| came > PAGE as u64) {
        let _ = words.map.advise(Advice::PopulateWrite);
    }
}

#[cfg(not(target_os = "linux"))]
pub fn ask_for_huge_pages(_file: &File, _size: u64) {}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `map` is a live mapping of at least `count` words, aligned to 64 bytes, for as
        // long as `self` lives; in a forked child nothing is mapped there, and an access is a
        // fault. The memory is shared with other processes, which is what atomics are for; any bit
        // pattern is an `AtomicU64`. If the mapping is read-only, nothing stores to it: stores go
        // through `Segment::header` of a `Read` or `Write` segment (commit, attach, sleep, wake) or
        // the slots of a `Write` segment (publish), which only `Reader` and `Writer` have.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}

/// A mapped header.
pub struct MappedHeader {
    pub words: Words,
}

impl MappedHeader {
    pub fn map(file: &File, writable: bool) -> io::Result<MappedHeader> {
        Ok(MappedHeader { words: Words::map(file, 0, HEADER_SIZE, writable)? })
    }
}

impl Deref for MappedHeader {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: `Header` is `repr(C)` and consists of `AtomicU64` alone, `HEADER_SIZE` bytes of
        // them (asserted in layout.rs). `MappedHeader::map`, the only place that makes one, has
        // mapped as many bytes. They are aligned, shared and stored to as described for `Words`.
        unsafe { &*self.words.map.as_ptr().cast::<Header>() }
    }
}
