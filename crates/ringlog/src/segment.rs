//! A file in memory and the words in it: made, opened, checked, claimed. The only file with
//! `unsafe` in it: it turns a mapping into `&[AtomicU64]`, fetches lines of it ahead and copies
//! words of it in pairs, puts readers to sleep on one of its words and wakes them, and sees to those
//! who would be left with a mapping that is no longer theirs: a forked child, and a process whose
//! file was cut short.
//! Stands on `layout`, `schema`, `platform`, `error`.
//!
//! Nothing else of a log is trusted either: whoever opens one checks the file's type, owner and
//! length, and each word of the header, before believing any of it, reads each word once, and
//! keeps its own copy.

#![allow(unsafe_code)]

use crate::error::{Error, Result, Role, invalid};
use crate::layout::{Geometry, HEADER_SIZE, Header, MAGIC, POSITION_LIMIT, SCHEMA_MAX, VERSION};
use crate::platform::{self, Bytes, Medium, Memory, Unnamed};
use crate::ring::{self, Ring};
use crate::schema::{Schema, now_ns};
use crate::sync::{AtomicU64, Ordering};
#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::{MmapOptions, MmapRaw};
use nix::libc;
#[cfg(target_arch = "x86_64")]
use std::arch::asm;
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
use std::arch::x86_64::__m128i;
use std::fmt;
use std::fs::File;
use std::io;
use std::iter::successors;
use std::mem::offset_of;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use Ordering::{Acquire, Relaxed, Release};

/// What a log is called: a POSIX shared-memory object, or a regular file.
///
/// A string is a shared-memory name (`"/rpt_sys_shm"`), a path is a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// `/name`, as `shm_open` takes it. On Linux that is the file `/dev/shm/name`.
    Shm(String),
    /// A regular file, on any file system that can be mapped.
    File(PathBuf),
}

impl Name {
    fn path(&self) -> Result<PathBuf> {
        match self {
            Name::File(path) if path.file_name().is_some() => Ok(path.clone()),
            Name::File(path) => Err(invalid!("{}: not the path of a file", path.display())),
            Name::Shm(name) => {
                let bare = name.strip_prefix('/').unwrap_or(name);
                let good = !bare.is_empty()
                    && bare.len() <= 255
                    && !bare.contains(['/', '\0'])
                    && !matches!(bare, "." | "..");
                good.then(|| platform::shm_path(bare)).ok_or_else(|| {
                    invalid!(
                        "`{name}` cannot name shared memory: one slash, then up to 255 bytes \
                         without another, as in /rpt_sys_shm; for a file, give its path"
                    )
                })
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Shm(name) => write!(f, "/{}", name.trim_start_matches('/')),
            Name::File(path) => path.display().fmt(f),
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name::Shm(name.to_owned())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Name {
        Name::Shm(name)
    }
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Name {
        Name::File(path.to_owned())
    }
}

impl From<PathBuf> for Name {
    fn from(path: PathBuf) -> Name {
        Name::File(path)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Name {
        name.clone()
    }
}

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing is stored.
    Observe,
    /// Header writable, slots not.
    Read,
    /// All writable.
    Write,
}

/// Mapped words.
struct Words {
    _held: Held, // goes before the mapping: soon after, somebody else can be at its address
    map: MmapRaw,
    count: usize,
}

impl Words {
    fn map(file: &File, from: usize, bytes: usize, writable: bool) -> io::Result<Words> {
        let mut options = MmapOptions::new();
        options.offset(from as u64).len(bytes);
        let map =
            if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        if map.as_ptr().align_offset(64) != 0 {
            return Err(io::Error::other("the mapping does not begin at a cache line"));
        }
        // SAFETY: a question.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let lead = map.as_ptr() as usize % page; // where pages are larger than our header
        let held = MAPPED.hold(map.as_ptr() as usize - lead, bytes + lead)?;
        Ok(Words { _held: held, map, count: bytes / 8 })
    }

    /// Takes the page faults that are to come, and changes no byte. In memory the faults of loads
    /// are all there are (but on an AArch64 that cannot mark a page as dirty by itself); on a disk
    /// there is another one for the first store to each page.
    fn prefault(&self, stores: bool) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let advice = if stores { Advice::PopulateWrite } else { Advice::PopulateRead };
            match self.map.advise(advice) {
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
                outcome => return outcome,
            }
        }
        // Before Linux 5.14, and elsewhere: a load of each page. Stores to a disk still fault.
        let _ = stores;
        for word in self.iter().step_by(HEADER_SIZE / 8) {
            std::hint::black_box(word.load(Relaxed));
        }
        Ok(())
    }
}

/// Whether slots of so many bytes are prefaulted if nobody says anything: for a writer, whose first
/// lap is slow otherwise, but not by reading a disk, and not if to wait for it is the greater evil.
fn is_prefaulted(access: Access, medium: Medium, size: u64) -> bool {
    access == Access::Write && medium == Medium::Memory && size <= 1 << 30
}

/// A log below this is smaller than a huge page.
const HUGE_PAGE: u64 = 2 << 20;

/// Fills a new file with huge pages, where a tmpfs has them for those who ask (`huge=advise`). Only
/// a mapping can ask. What this leaves, for want of room too, is for `allocate`.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(file: &File, size: u64) {
    if size < HUGE_PAGE || platform::medium_of(file) != Medium::Memory {
        return;
    }
    let Ok(words) = Words::map(file, 0, size as usize, true) else { return };
    // The first page tells: it comes alone, or all of a huge page does.
    let first = || {
        words.map.advise(Advice::HugePage)?;
        words.map.advise_range(Advice::PopulateWrite, 0, HEADER_SIZE)?;
        io::Result::Ok(file.metadata()?.blocks() * 512)
    };
    if first().is_ok_and(|came| came > HEADER_SIZE as u64) {
        let _ = words.map.advise(Advice::PopulateWrite);
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_file: &File, _size: u64) {}

/// Why a log is not made or opened there.
const ON_HUGETLBFS: &str = "it is on a hugetlbfs, where a header cannot be mapped by itself; a \
                            tmpfs mounted with huge=advise has huge pages for a log";

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `map` is a live mapping of at least `count` words, aligned to 64 bytes, for as
        // long as `self`; in a forked child it is of nothing, and to touch it is a fault. The
        // memory is shared with other processes, which is what atomics are for; any bit pattern is
        // an `AtomicU64`. Where the mapping is read-only nobody stores: stores go through
        // `Segment::header` of a `Read` or `Write` segment (commit, attach, sleep, wake) or the
        // slots of a `Write` segment (publish), which `Reader` and `Writer` alone have.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}

/// A mapped header.
struct MappedHeader {
    words: Words,
}

impl MappedHeader {
    fn map(file: &File, writable: bool) -> io::Result<MappedHeader> {
        Ok(MappedHeader { words: Words::map(file, 0, HEADER_SIZE, writable)? })
    }
}

impl Deref for MappedHeader {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: `Header` is `repr(C)` and made of `AtomicU64` alone, `HEADER_SIZE` bytes of them
        // (asserted in layout.rs), which is what `MappedHeader::map`, alone in making one, has
        // mapped; aligned, shared and stored to as is said of `Words`.
        unsafe { &*self.words.map.as_ptr().cast::<Header>() }
    }
}

/// An open log: its header and slots as words, and what its header said when it was checked.
pub(crate) struct Segment {
    header: MappedHeader,
    slots: Words,
    pub geometry: Geometry,
    pub schema: Schema,
    pub log_id: u128,
    pub created_ns: u64,
    /// Which boot of the machine this is.
    boot: [u64; 2],
    medium: Medium,
    access: Access,
    terms: Terms,
    identity: (u64, u64),
    name: Name,
    path: PathBuf,
}

/// How a log is made, whose logs are believed, and how the memory of who attaches is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terms {
    pub capacity: Option<u64>,
    pub mode: u32,
    pub owner: Option<u32>,
    /// `None`: as suits.
    pub prefault: Option<bool>,
    pub lock: bool,
}

impl Segment {
    /// Makes a log, complete or not at all: built without a name, named last, nothing replaced.
    pub fn create(name: &Name, schema: &Schema, capacity: u64, mode: u32) -> Result<()> {
        let path = name.path()?;
        let log = || name.to_string();
        let geometry = Geometry::new(capacity, schema.entry_size())
            .map_err(|why| invalid!("{name}: capacity {capacity}: {why}"))?;
        let cannot = || Error::io(format!("{name}: cannot be made"));

        let unnamed = Unnamed::beside(&path, mode).map_err(cannot())?;
        if platform::medium_of(&unnamed.file) == Medium::HugePages {
            return Err(invalid!("{name}: cannot be made: {ON_HUGETLBFS}"));
        }
        let size = geometry.file_size();
        let fill = || {
            platform::lengthen(&unnamed.file, size)?;
            ask_for_huge_pages(&unnamed.file, size);
            platform::allocate(&unnamed.file, size)
        };
        fill().map_err(Error::io(format!(
            "{name}: no room for {size} bytes in {}",
            platform::directory_of(&path).display()
        )))?;
        let header = MappedHeader::map(&unnamed.file, true).map_err(cannot())?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| cannot()(io::Error::other(e)))?;
        let text = schema.to_text();

        // Nobody else has the file yet; the kernel orders these before the name.
        header.version.store(VERSION, Relaxed);
        header.capacity.store(geometry.capacity(), Relaxed);
        header.slot_size.store(geometry.slot_size() as u64, Relaxed);
        header.entry_size.store(geometry.entry_size() as u64, Relaxed);
        for (word, bytes) in header.log_id.iter().zip(id.chunks(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().unwrap_or_default()), Relaxed);
        }
        header.created_ns.store(now_ns(), Relaxed);
        for (word, id) in header.writer.boot_id.iter().zip(platform::boot_id()) {
            word.store(id, Relaxed);
        }
        header.schema_len.store(text.len() as u64, Relaxed);
        for (word, bytes) in header.schema.iter().zip(text.as_bytes().chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        header.magic.store(MAGIC, Release); // with the Acquire in `check`

        if matches!(name, Name::File(_)) {
            // A name that survives the machine must not come before what it names.
            unnamed.file.sync_all().map_err(cannot())?;
        }
        unnamed.give_name(&path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { log: log() },
            _ => cannot()(e),
        })?;
        if matches!(name, Name::File(_)) {
            File::open(platform::directory_of(&path))
                .and_then(|directory| directory.sync_all())
                .map_err(cannot())?;
        }
        Ok(())
    }

    /// Opens and checks a log.
    pub fn open(name: &Name, access: Access, terms: &Terms) -> Result<Segment> {
        let path = name.path()?;
        let cannot = || Error::io(format!("{name}: cannot be opened"));
        let file = open_file(name, &path, access != Access::Observe)?;
        let meta = check_file(name, &file, terms)?;

        let header = MappedHeader::map(&file, access != Access::Observe).map_err(cannot())?;
        let checked = check_header(name, &header, meta.len())?;
        if let Some(capacity) = terms.capacity.filter(|&asked| asked != checked.geometry.capacity())
        {
            return Err(Error::Geometry {
                log: name.to_string(),
                why: format!(
                    "it has {} slots, {capacity} were asked for; leave the capacity out to take \
                     what is there, or remove the log to make another",
                    checked.geometry.capacity()
                ),
            });
        }
        let slots_size = checked.geometry.slots_size() as usize;
        let slots =
            Words::map(&file, HEADER_SIZE, slots_size, access == Access::Write).map_err(cannot())?;
        Ok(Segment {
            header,
            slots,
            geometry: checked.geometry,
            schema: checked.schema,
            log_id: checked.log_id,
            created_ns: checked.created_ns,
            boot: platform::boot_id(),
            medium: platform::medium_of(&file),
            access,
            terms: *terms,
            identity: (meta.dev(), meta.ino()),
            name: name.clone(),
            path,
        })
    }

    /// The same log again, for another use.
    pub fn reopen(&self, access: Access, terms: &Terms) -> Result<Segment> {
        let again = Segment::open(&self.name, access, terms)?;
        if again.log_id != self.log_id {
            return Err(self.replaced());
        }
        Ok(again)
    }

    /// Makes the memory ready for who has attached: takes its page faults now, and locks it. Changes
    /// no byte of the log.
    pub fn make_ready(&self) -> Result<()> {
        let size = self.geometry.slots_size();
        if self.terms.prefault.unwrap_or(is_prefaulted(self.access, self.medium, size)) {
            let stores = self.access == Access::Write && self.medium != Medium::Memory;
            let done = self.slots.prefault(stores);
            done.map_err(Error::io(format!("{}: its memory cannot be prefaulted", self.name)))?;
        }
        if self.terms.lock {
            let lock = || self.header.words.map.lock().and_then(|()| self.slots.map.lock());
            lock().map_err(|e| {
                let limit = platform::lock_limit();
                let limit = limit.map_or("none".to_owned(), |limit| Bytes(limit).to_string());
                Error::io(format!(
                    "{}: {} of memory cannot be locked, where the limit of this process is \
                     {limit}; raise it (ulimit -l, or LimitMEMLOCK= of a service), or do not lock",
                    self.name,
                    Bytes(size + HEADER_SIZE as u64)
                ))(e)
            })?;
        }
        Ok(())
    }

    /// What the slots are in this process's memory now.
    pub fn memory(&self) -> Result<Memory> {
        let from = self.slots.map.as_ptr() as usize;
        let memory = platform::memory(from..from + self.slots.map.len());
        memory.map_err(Error::io(format!("{}: nobody tells of its memory", self.name)))
    }

    fn replaced(&self) -> Error {
        Error::Replaced { log: self.name.to_string() }
    }

    /// The header's words.
    #[inline]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The same by their place, with those that belong to nobody.
    pub fn header_words(&self) -> &[AtomicU64] {
        &self.header.words
    }

    /// The slots.
    #[inline]
    pub fn ring(&self) -> Ring<'_> {
        Ring { geometry: &self.geometry, slots: &self.slots }
    }

    /// The position after the newest entry.
    ///
    /// Pointers that no writer of this boot of the machine has vouched for are hints: what reached
    /// the disk, of the slots and of the header, is not known. The log then ends behind whatever
    /// any of them, or a checkpoint, has seen, so that no position ever stands for two entries.
    pub fn end(&self) -> u64 {
        let header = self.header();
        // With the Release in `Writer::attach`: the write pointer comes first.
        if header.writer.boot_id.each_ref().map(|word| word.load(Acquire)) == self.boot {
            return self.ring().end(&header.write_ptr);
        }
        let committed = header.readers.iter().flat_map(|line| &line.checkpoints);
        let pointers = header.read_ptrs.iter().chain([&header.write_ptr]);
        let pointers = pointers.chain(committed.map(|checkpoint| &checkpoint.position));
        let seen = pointers.map(|pointer| pointer.load(Relaxed)).filter(|&p| p < POSITION_LIMIT);
        self.ring().newest().max(seen.max().unwrap_or(0))
    }

    /// Which boot of the machine this is.
    pub fn boot(&self) -> [u64; 2] {
        self.boot
    }

    /// What the log is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// A file description of this very log for claims alone: it is never mapped, so nothing but
    /// the claim keeps it alive.
    pub fn claims(&self, write: bool) -> Result<Claims> {
        let file = open_file(&self.name, &self.path, write)?;
        let cannot = Error::io(format!("{}: cannot be opened", self.name));
        let meta = file.metadata().map_err(cannot)?;
        if (meta.dev(), meta.ino()) != self.identity {
            return Err(self.replaced());
        }
        let held = CLAIMS.hold(file.as_raw_fd() as usize, 1);
        let held = held.map_err(Error::io(format!("{}: cannot be claimed", self.name)))?;
        Ok(Claims { _held: held, file, pid: std::process::id() })
    }

    /// What the name stands for now.
    pub fn presence(&self) -> Presence {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.identity => Presence::Here,
            Ok(_) => Presence::Replaced,
            Err(_) => Presence::Deleted,
        }
    }

    /// Sleeps until somebody calls [`wake`](Segment::wake), but at most so long, and not at all if
    /// there is a reason not to: which is asked when everybody can know that somebody sleeps.
    pub fn sleep(&self, at_most: Duration, stay_awake: impl Fn() -> bool) {
        let sleepers = &self.header().sleepers;
        let word = ring::fall_asleep(sleepers);
        for _ in 0..64 {
            // About a microsecond: a writer that did not see the word yet has then stored its
            // entry where we see it, unless it is stopped in between.
            std::hint::spin_loop();
        }
        if !stay_awake() {
            sleep_while(sleepers, word, at_most);
        }
    }

    /// Wakes all who sleep, if any have said so since the last time.
    #[inline]
    pub fn wake(&self) {
        if ring::has_sleepers(&self.header().sleepers) {
            wake_all(&self.header().sleepers);
        }
    }

    /// As [`wake`](Segment::wake), and whoever falls asleep meanwhile sees what was done before.
    pub fn wake_everybody(&self) {
        if ring::has_any_sleepers(&self.header().sleepers) {
            wake_all(&self.header().sleepers);
        }
    }

    /// Writes what is mapped back to the file system, if that keeps it anywhere.
    pub fn sync(&self) -> io::Result<()> {
        self.slots.map.flush()?;
        self.header.words.map.flush()
    }
}

/// What a log's name stands for, seen from one that was opened under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// This log.
    Here,
    /// Nothing: it was deleted. Those attached go on with what they have.
    Deleted,
    /// Another file: it was deleted, and the name given anew.
    Replaced,
}

fn open_file(name: &Name, path: &Path, write: bool) -> Result<File> {
    let not_a_log = |what| Error::NotALog { log: name.to_string(), why: format!("it is {what}") };
    platform::open_existing(path, write).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Error::NotFound { log: name.to_string() },
        Some(libc::ELOOP) => not_a_log("a symbolic link"),
        Some(libc::EISDIR) => not_a_log("a directory"),
        Some(libc::ENXIO) => not_a_log("a socket"),
        Some(libc::EACCES) if write => Error::io(format!(
            "{name}: cannot be opened for writing, as a writer and each reader need it, who store \
             where they are (writer --mode, or chmod)"
        ))(e),
        _ => Error::io(format!("{name}: cannot be opened"))(e),
    })
}

/// Type, owner and least length.
fn check_file(name: &Name, file: &File, terms: &Terms) -> Result<std::fs::Metadata> {
    let bad = |why: String| Error::NotALog { log: name.to_string(), why };
    let meta = file.metadata().map_err(Error::io(format!("{name}: cannot be opened")))?;
    let kind = meta.file_type();
    if !kind.is_file() {
        let what = match kind {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a pipe",
            _ => "a device",
        };
        return Err(bad(format!("it is {what}")));
    }
    if platform::medium_of(file) == Medium::HugePages {
        return Err(bad(ON_HUGETLBFS.to_owned()));
    }
    let trusted = [nix::unistd::geteuid().as_raw(), 0];
    if !trusted.contains(&meta.uid()) && terms.owner != Some(meta.uid()) {
        return Err(bad(format!(
            "it belongs to user {}, who is neither you nor root; if you trust them, name them as \
             the owner",
            meta.uid()
        )));
    }
    if meta.len() < HEADER_SIZE as u64 {
        return Err(bad(format!("it has {} bytes, less than a header", meta.len())));
    }
    Ok(meta)
}

struct Checked {
    geometry: Geometry,
    schema: Schema,
    log_id: u128,
    created_ns: u64,
}

/// Every word of the header that others rely on; each is loaded once.
fn check_header(name: &Name, header: &Header, file_size: u64) -> Result<Checked> {
    let log = || name.to_string();
    if header.magic.load(Acquire) != MAGIC {
        // with the Release in `create`
        let why = "it does not begin as a log does (no RINGLOG1 at 0x80)".to_owned();
        return Err(Error::NotALog { log: log(), why });
    }
    let found = header.version.load(Relaxed);
    if found != VERSION {
        return Err(Error::Version { log: log(), found });
    }
    let fits = |why: String| Error::Geometry { log: log(), why };
    let capacity = header.capacity.load(Relaxed);
    let slot_size = header.slot_size.load(Relaxed);
    let entry_size = header.entry_size.load(Relaxed);
    let entry_size = usize::try_from(entry_size).unwrap_or(usize::MAX);
    let geometry = Geometry::new(capacity, entry_size).map_err(|why| {
        fits(format!("{capacity} slots for records of {entry_size} bytes: {why}"))
    })?;
    if geometry.slot_size() as u64 != slot_size {
        return Err(fits(format!(
            "a record of {entry_size} bytes takes slots of {}, and the header says {slot_size}",
            geometry.slot_size()
        )));
    }
    check_size(name, &geometry, file_size)?;
    let unreadable = |why: String| Error::Schema { log: log(), why };
    let length = header.schema_len.load(Relaxed);
    let length = usize::try_from(length)
        .ok()
        .filter(|&length| length <= SCHEMA_MAX)
        .ok_or_else(|| unreadable(format!("its text of {length} bytes does not fit the header")))?;
    let mut text: Vec<u8> =
        header.schema.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
    text.truncate(length);
    let text =
        String::from_utf8(text).map_err(|_| unreadable("its text is not UTF-8".to_owned()))?;
    let schema = Schema::from_text(&text, entry_size).map_err(|e| unreadable(e.to_string()))?;
    let [high, low] = [&header.log_id[0], &header.log_id[1]].map(|word| word.load(Relaxed));
    Ok(Checked {
        geometry,
        schema,
        log_id: (high as u128) << 64 | low as u128,
        created_ns: header.created_ns.load(Relaxed),
    })
}

/// A file that is shorter than this is one whose memory is not there.
fn check_size(name: &Name, geometry: &Geometry, file_size: u64) -> Result<()> {
    let (capacity, slot_size, size) =
        (geometry.capacity(), geometry.slot_size(), geometry.file_size());
    if size == file_size {
        return Ok(());
    }
    let why = format!(
        "{capacity} slots of {slot_size} bytes make {size} bytes, and the file has {file_size}"
    );
    Err(Error::Geometry { log: name.to_string(), why })
}

/// A file description on which claims are taken and looked at: a claim is an open-file-description
/// lock on exactly the pointer that its holder may store.
pub(crate) struct Claims {
    _held: Held,
    file: File,
    /// Whose they are: a forked child has this too, and no claim.
    pid: u32,
}

impl Claims {
    /// Becomes `role`, until this is dropped or the process dies.
    pub fn take(&self, segment: &Segment, role: Role) -> Result<()> {
        let (from, size) = claimed_bytes(role);
        let what = || Error::io(format!("{}: cannot be claimed", segment.name));
        if platform::lock_range(&self.file, from, size).map_err(what())? {
            return Ok(());
        }
        let header = segment.header();
        let pid = match role {
            Role::Writer => &header.writer.pid,
            Role::Reader(id) => &header.readers[id].pid,
        };
        Err(Error::Claimed { log: segment.name.to_string(), role, pid: pid.load(Relaxed) })
    }

    /// Whether a living process has claimed `role` through another file description.
    pub fn is_taken(&self, role: Role) -> bool {
        let (from, size) = claimed_bytes(role);
        platform::is_locked(&self.file, from, size).unwrap_or(false)
    }

    /// Whether the log's file is as long as it was when it was mapped.
    pub fn check_size(&self, segment: &Segment) -> Result<()> {
        let cannot = Error::io(format!("{}: cannot be looked at", segment.name));
        let size = self.file.metadata().map_err(cannot)?.len();
        check_size(&segment.name, &segment.geometry, size)
    }

    /// Whether this is the process that took them, and not one that was forked from it.
    pub fn are_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Closing would do, but for a child that is between its fork and its exec just now.
        if self.are_ours() {
            let _ = platform::unlock(&self.file);
        }
    }
}

fn claimed_bytes(role: Role) -> (u64, u64) {
    match role {
        Role::Writer => (offset_of!(Header, write_ptr) as u64, 8),
        Role::Reader(id) => (offset_of!(Header, read_ptrs) as u64 + 8 * id as u64, 8),
    }
}

/// The names of all files in a directory that begin as a log does, or of all such shared memory, in
/// order. What this process may not read is not among them, nor what is hidden: a log half made.
pub(crate) fn names_in(directory: Option<&Path>) -> io::Result<Vec<Name>> {
    let shm = platform::shm_path("");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.unwrap_or(&shm))? {
        let entry = entry?;
        // Without waiting, whatever is there; and a name that is no text can only be a file's.
        let file = match entry.file_type() {
            Ok(kind) if kind.is_file() => platform::open_existing(&entry.path(), false),
            _ => continue,
        };
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let name = match directory {
            _ if is_hidden => None,
            Some(_) => Some(Name::File(entry.path())),
            None => entry.file_name().to_str().map(|name| Name::Shm(format!("/{name}"))),
        };
        if file.is_ok_and(|file| is_log(&file)) {
            names.extend(name);
        }
    }
    names.sort_by_key(Name::to_string);
    Ok(names)
}

/// Whether a file begins as a log does.
fn is_log(file: &File) -> bool {
    let mut magic = [0; 8];
    let read = file.read_exact_at(&mut magic, offset_of!(Header, magic) as u64);
    read.is_ok() && u64::from_le_bytes(magic) == MAGIC
}

/// Removes the name of a log, and of nothing else.
pub(crate) fn remove(name: &Name) -> Result<()> {
    let path = name.path()?;
    if !is_log(&open_file(name, &path, false)?) {
        let why = "it does not begin as a log does, and is left alone".to_owned();
        return Err(Error::NotALog { log: name.to_string(), why });
    }
    std::fs::remove_file(&path).map_err(Error::io(format!("{name}: cannot be removed")))
}

/// Asks the processor for the cache line so many bytes behind `word`, which need not be there, to
/// store to it: a hint, that loads and stores nothing.
#[inline(always)]
pub(crate) fn prefetch<const AHEAD: usize>(word: *const AtomicU64) {
    // Not `_mm_prefetch`, which fetches a line only to load from it, and leaves half of the wait.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address, and no program sees what it did; where
    // a processor knows none for stores, it does nothing.
    unsafe {
        asm!("prefetchw [{} + {}]", in(reg) word, const AHEAD,
            options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// Stores two words at once: as `sync::store_pair`, which stands in for it elsewhere.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn store_pair(words: &[AtomicU64; 2], pair: &[u8; 16]) {
    let pair: __m128i = bytemuck::cast(*pair);
    // SAFETY: it stores the 16 bytes of these two words, which any number of threads may store to.
    // Rust takes it for two Relaxed stores, and they are no less: an aligned word is stored whole,
    // and stores of all widths become visible in their order.
    unsafe {
        asm!("movups [{}], {}", in(reg) words, in(xmm_reg) pair, options(nostack, preserves_flags));
    }
}

/// Loads two words at once: as `sync::load_pair`, which stands in for it elsewhere.
#[cfg(all(target_arch = "x86_64", not(any(test, loom))))]
#[inline(always)]
pub(crate) fn load_pair(words: &[AtomicU64; 2]) -> [u8; 16] {
    let pair: __m128i;
    // SAFETY: it loads the 16 bytes of these two words, which may be stored to meanwhile. Rust takes
    // it for two Relaxed loads, and they are no less: an aligned word is loaded whole, and loads of
    // all widths are carried out in their order. Not `pure`: the next may find something else.
    unsafe {
        asm!("movups {}, [{}]", out(xmm_reg) pair, in(reg) words,
            options(nostack, preserves_flags, readonly));
    }
    bytemuck::cast(pair)
}

/// Sleeps until `wake_all`, but at most so long, and not at all if the word has another value.
#[cfg(target_os = "linux")]
fn sleep_while(word: &AtomicU64, value: u64, at_most: Duration) {
    let time = libc::timespec {
        tv_sec: at_most.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    let (futex, value) = (std::ptr::from_ref(word).cast::<u32>(), value as u32);
    // SAFETY: the kernel loads the first four bytes of a word of ours, and the time. That others
    // store to the word meanwhile is what the call is for; if its memory is gone, it fails. Not
    // FUTEX_PRIVATE_FLAG: the others are other processes.
    let result = unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAIT, value, &time) };
    let woken = result == 0
        || matches!(
            nix::Error::last(),
            nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ETIMEDOUT
        );
    if !woken {
        platform::doze(at_most); // a system that has no such call for us must not make us spin
    }
}

#[cfg(target_os = "linux")]
#[cold]
fn wake_all(word: &AtomicU64) {
    let futex = std::ptr::from_ref(word).cast::<u32>();
    // SAFETY: an address, by which the kernel finds who sleeps. It can only fail to find them, and
    // then they wake up by themselves.
    unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAKE, i32::MAX) };
}

#[cfg(not(target_os = "linux"))]
fn sleep_while(_: &AtomicU64, _: u64, at_most: Duration) {
    platform::doze(at_most);
}

#[cfg(not(target_os = "linux"))]
fn wake_all(_: &AtomicU64) {}

// What a signal handler and a child that was just forked have to know.

/// The logs' memory: from which page on, and how many bytes.
static MAPPED: Place = Place::free();
/// The descriptors of claims.
static CLAIMS: Place = Place::free();

/// A list of numbers that can be looked through where nobody may wait for a lock. It only grows:
/// a place that was given back is used again.
struct Place {
    taken: AtomicBool,
    at: AtomicUsize,
    /// 0 while the place says nothing.
    size: AtomicUsize,
    next: OnceLock<Box<Place>>,
}

/// A place in a list, given back when this is dropped.
struct Held(&'static Place);

impl Place {
    const fn free() -> Place {
        Place {
            taken: AtomicBool::new(false),
            at: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            next: OnceLock::new(),
        }
    }

    fn hold(&'static self, at: usize, size: usize) -> io::Result<Held> {
        leave_children_nothing()?;
        let mut place = self;
        while place.taken.swap(true, Acquire) {
            // with the Release in `Held::drop`
            place = place.next.get_or_init(|| Box::new(Place::free()));
        }
        place.at.store(at, Relaxed);
        place.size.store(size, Release); // with the Acquire in `all`
        Ok(Held(place))
    }

    fn all(&'static self) -> impl Iterator<Item = (usize, usize)> {
        let places = successors(Some(self), |place| place.next.get().map(Box::as_ref));
        let said = places.map(|place| (place.size.load(Acquire), place)); // with `hold`
        said.filter(|(size, _)| *size > 0).map(|(size, place)| (place.at.load(Relaxed), size))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.size.store(0, Release);
        self.0.taken.store(false, Release); // with the Acquire in `hold`
    }
}

/// What a forked child has instead of the claims: a description of nothing that matters.
static NOTHING: OnceLock<File> = OnceLock::new();

/// From here on a child that is forked has neither the claims, which would outlive this process
/// with it, nor the memory, where it would be a second writer.
fn leave_children_nothing() -> io::Result<()> {
    if NOTHING.get().is_some() {
        return Ok(());
    }
    let nothing = File::open("/")?;
    if NOTHING.set(nothing).is_ok() {
        // SAFETY: `in_child` calls nothing but what a forked child may.
        let result = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
    }
    Ok(())
}

/// Runs in a child before `fork` returns there. A child that is to become another program has
/// nothing anyway, and is mostly not forked in this sense (`posix_spawn`).
extern "C" fn in_child() {
    #[cfg(target_os = "linux")] // elsewhere a child does not share its parent's claims
    if let Some(nothing) = NOTHING.get() {
        for (fd, _) in CLAIMS.all() {
            // SAFETY: two numbers. The descriptor stays what its `File` in this process, which
            // nobody can use for more than claims, closes one day.
            unsafe { libc::dup3(nothing.as_raw_fd(), fd as libc::c_int, libc::O_CLOEXEC) };
        }
    }
    for (at, size) in MAPPED.all() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: the range is a mapping of a `Words`, which lives on in this process, so that
        // nobody else has the address; whoever touches it from now on gets a fault, and nothing
        // that was read from it is read again. `Words` unmaps it, as it would have.
        unsafe { libc::mmap(at as *mut libc::c_void, size, libc::PROT_NONE, flags, -1, 0) };
    }
}

/// What to say and do when a log's memory is gone, and who was to be asked before.
struct LastWords {
    line: String,
    code: i32,
    before: libc::sigaction,
}

static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

/// The modes of the terminal on stdout, and what to write to it.
static TERMINAL: OnceLock<(libc::termios, &'static str)> = OnceLock::new();

/// Ends this process with a line on stderr and an exit code, at once and without running
/// destructors, when the memory of a log turns out to be gone.
///
/// A log is mapped. Whoever cuts its file short while it is in use, or a disk that cannot be
/// read, makes the next access a `SIGBUS`, which ends a process without a word. The library does
/// not handle signals unless it is told to: call this first thing in `main`, as the programs do,
/// if your program has nothing better to do then. It loses no more than a kill does.
///
/// The first call counts. A `SIGBUS` for any other reason goes to whoever handled it before.
///
/// # Errors
/// [`Error::Io`], if the system refuses.
pub fn exit_on_fault(line: &str, code: i32) -> Result<()> {
    // SAFETY: all zeros is a `sigaction`; it is filled by the kernel, or by us with a handler of
    // the type that SA_SIGINFO asks for, which calls nothing but what a handler may.
    let result = unsafe {
        LAST_WORDS.get_or_init(|| {
            let mut before = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, null(), &mut before);
            LastWords { line: format!("{line}\n"), code, before }
        });
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(_, _, _) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &action, null_mut())
    };
    match result {
        0 => Ok(()),
        _ => Err(Error::io("SIGBUS cannot be handled")(io::Error::last_os_error())),
    }
}

/// For a program that changes the terminal on its stdout: from here on, what ends the process by
/// [`exit_on_fault`] first writes `farewell` there, and gives it the modes that it has now.
///
/// The first call counts.
///
/// # Errors
/// [`Error::Io`], if stdout is not a terminal.
pub fn restore_on_fault(farewell: &'static str) -> Result<()> {
    // SAFETY: all zeros is a `termios`, which is filled by the kernel.
    let (result, modes) = unsafe {
        let mut modes = std::mem::zeroed();
        (libc::tcgetattr(libc::STDOUT_FILENO, &mut modes), modes)
    };
    if result != 0 {
        return Err(Error::io("stdout has no modes")(io::Error::last_os_error()));
    }
    TERMINAL.get_or_init(|| (modes, farewell));
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some(LastWords { line, code, before }) = LAST_WORDS.get() else { return };
    // SAFETY: the kernel's `info`, of a fault unless somebody sent the signal; then `write`,
    // `tcsetattr`, `_exit`, `sigaction` and `raise`, which a handler may call.
    unsafe {
        let (is_sent, at) = ((*info).si_code <= 0, (*info).si_addr() as usize);
        if !is_sent && MAPPED.all().any(|(from, size)| at.wrapping_sub(from) < size) {
            if let Some((modes, farewell)) = TERMINAL.get() {
                libc::write(libc::STDOUT_FILENO, farewell.as_ptr().cast(), farewell.len());
                libc::tcsetattr(libc::STDOUT_FILENO, libc::TCSANOW, modes);
            }
            libc::write(2, line.as_ptr().cast(), line.len());
            libc::_exit(*code);
        }
        // A fault happens again as soon as we return.
        libc::sigaction(signal, before, null_mut());
        if is_sent {
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { capacity: None, mode: 0o600, owner: None, prefault: None, lock: false };

    /// A log of eight slots, in a directory of its own.
    fn log() -> (tempfile::TempDir, Name) {
        let directory = tempfile::tempdir().unwrap();
        let name = Name::File(directory.path().join("a.log"));
        let schema = Schema::declared("value:u64").unwrap();
        Segment::create(&name, &schema, 8, TERMS.mode).unwrap();
        (directory, name)
    }

    #[test]
    fn what_is_prefaulted_unasked_is_a_writers_and_in_memory_and_up_to_a_gigabyte() {
        const GIB: u64 = 1 << 30;
        assert!(is_prefaulted(Access::Write, Medium::Memory, GIB));
        for (access, medium, size) in [
            (Access::Write, Medium::Memory, GIB + 1),
            (Access::Write, Medium::Disk, 1),
            (Access::Read, Medium::Memory, 1),
            (Access::Observe, Medium::Memory, 1),
        ] {
            assert!(!is_prefaulted(access, medium, size), "{access:?} {medium:?} {size}");
        }
    }

    #[test]
    fn the_slots_are_as_many_words_as_are_mapped_and_no_more() {
        let (_directory, name) = log();
        for access in [Access::Observe, Access::Read, Access::Write] {
            let segment = Segment::open(&name, access, &TERMS).unwrap();
            assert_eq!(segment.ring().slots.len(), 8 * 16 / 8, "{access:?}");
        }
    }

    #[test]
    fn a_claim_that_is_given_up_is_free_though_a_child_has_its_descriptor_until_its_exec() {
        let (_directory, name) = log();
        let segment = Segment::open(&name, Access::Write, &TERMS).unwrap();
        let claims = segment.claims(true).unwrap();
        claims.take(&segment, Role::Writer).unwrap();
        let _childs = claims.file.try_clone().unwrap();
        let others = segment.claims(true).unwrap();
        assert!(others.is_taken(Role::Writer));
        drop(claims);
        assert!(!others.is_taken(Role::Writer));
    }
}
