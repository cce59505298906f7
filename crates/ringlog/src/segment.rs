//! A log's file, made, opened and checked; and the sleepers on its words. Long: it is all that is
//! done with the mapping, except the protocol.
//!
//! No part of a log is trusted. A process that opens one checks the file's type, owner and length,
//! and each word of the header, before it believes any of it. It reads each word once, and keeps
//! its own copy.

use crate::check::{Absent, ON_HUGETLBFS, Purpose, Terms, check_file, check_header, check_size};
use crate::claims::Claims;
use crate::error::{Error, Result, Role, invalid};
use crate::layout::{Geometry, HEADER_SIZE, Header, MAGIC, POSITION_LIMIT, VERSION};
use crate::name::{Name, open_file};
use crate::ring::{self, Placed, Ring};
use crate::schema::Schema;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::clock::{boot_id, now_ns};
use crate::sys::file::{self, Medium, Unnamed};
use crate::sys::futex;
use crate::sys::map::{MappedHeader, Words, ask_for_huge_pages};
use crate::sys::slots::Slots;
use crate::sys::memory::{self, Bytes, Memory};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use std::time::Duration;

use Ordering::{Acquire, Relaxed, Release};

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing may be stored.
    Observe,
    /// The header may be stored to, the slots not.
    Read,
    /// All may be stored to.
    Write,
}

/// Returns whether slots of `size` bytes are prefaulted by default: for a writer, whose first lap
/// would be slow, but not where that reads a disk, or takes longer than it saves.
fn is_prefaulted(access: Access, medium: Medium, size: u64) -> bool {
    access == Access::Write && medium == Medium::Memory && size <= 1 << 30
}

/// An open log: its header and slots as words, and what its header said when it was checked.
pub(crate) struct Segment {
    header: MappedHeader,
    slots: Slots,
    pub geometry: Geometry,
    /// Bit `i`: the writer waits for reader `i`.
    pub gates: u8,
    pub absent: Absent,
    pub purpose: Purpose,
    pub schema: Schema,
    pub log_id: u128,
    /// The id of the log that this one is a copy of; 0 if it is none.
    pub source_id: u128,
    base: u64,
    pub created_ns: u64,
    /// This boot of the machine.
    boot: [u64; 2],
    medium: Medium,
    access: Access,
    terms: Terms,
    identity: (u64, u64),
    /// When the file was made, in ns since the Unix epoch, if the file system says.
    born_ns: Option<u64>,
    name: Name,
    path: PathBuf,
}

impl Segment {
    /// Makes a log, completely or not at all: it is built without a name and named last, and
    /// replaces nothing.
    pub fn create(name: &Name, schema: &Schema, terms: &Terms) -> Result<()> {
        Segment::create_with(name, schema, terms, |_, _| Ok(()))
    }

    /// Makes a log, as `create`, that `fill` fills before any other process has it.
    pub fn create_with(
        name: &Name,
        schema: &Schema,
        terms: &Terms,
        fill: impl FnOnce(&MappedHeader, &Slots) -> Result<()>,
    ) -> Result<()> {
        let path = name.path()?;
        let log = || name.to_string();
        let geometry = terms.geometry_to_make(name, schema)?;
        let (gates, absent) = terms.gates_to_make(name)?;
        let [role, members] = terms.purpose_to_make(name)?;
        let (source, base) = terms.mirror_to_make(name)?;
        let cannot = || Error::io(format!("{name}: cannot be made"));

        let unnamed = Unnamed::beside(&path, terms.mode).map_err(cannot())?;
        if file::medium_of(&unnamed.file) == Medium::HugePages {
            return Err(invalid!("{name}: cannot be made: {ON_HUGETLBFS}"));
        }
        let size = geometry.file_size();
        let lengthen = || {
            file::lengthen(&unnamed.file, size)?;
            ask_for_huge_pages(&unnamed.file, size);
            file::allocate(&unnamed.file, size)
        };
        lengthen().map_err(Error::io(format!(
            "{name}: no room for {size} bytes in {}",
            file::directory_of(&path).display()
        )))?;
        let header = MappedHeader::map(&unnamed.file, true).map_err(cannot())?;
        // What would be refused on opening is refused before the log has a name.
        let mapped_size = geometry.mapped_size() as usize;
        let slots =
            Words::map(&unnamed.file, HEADER_SIZE, mapped_size, true).map_err(cannot())?;
        if terms.lock {
            lock(name, size, || header.words.map.lock().and_then(|()| slots.map.lock()))?;
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| cannot()(io::Error::other(e)))?;
        let text = schema.to_text();

        // No other process has the file yet; the kernel orders these stores before the name.
        header.version.store(VERSION, Relaxed);
        header.capacity.store(geometry.capacity(), Relaxed);
        header.slot_size.store(geometry.slot_size() as u64, Relaxed);
        header.entry_size.store(geometry.entry_size() as u64, Relaxed);
        header.inline_size.store(geometry.inline_size() as u64, Relaxed);
        header.arena_size.store(geometry.arena_size(), Relaxed);
        for (word, bytes) in header.log_id.iter().zip(id.chunks(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().unwrap_or_default()), Relaxed);
        }
        header.created_ns.store(now_ns(), Relaxed);
        header.role.store(role, Relaxed);
        header.members.store(members, Relaxed);
        header.base.store(base, Relaxed);
        for (word, half) in header.source_id.iter().zip([(source >> 64) as u64, source as u64]) {
            word.store(half, Relaxed);
        }
        header.gates.store(gates.into(), Relaxed);
        header.absent.store((absent == Absent::Skip).into(), Relaxed);
        for (word, id) in header.writer.boot_id.iter().zip(boot_id()) {
            word.store(id, Relaxed);
        }
        header.schema_len.store(text.len() as u64, Relaxed);
        for (word, bytes) in header.schema.iter().zip(text.as_bytes().chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        let slots = Slots::mapped(slots, geometry);
        if base > 0 {
            Ring::of(&slots).begin(&header.write_ptr, base);
        }
        fill(&header, &slots)?;
        header.magic.store(MAGIC, Release); // with the Acquire in `check_header`

        if matches!(name, Name::File(_)) {
            // A name that survives the machine's death must not come before what it names.
            unnamed.file.sync_all().map_err(cannot())?;
        }
        unnamed.give_name(&path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { log: log() },
            _ => cannot()(e),
        })?;
        if matches!(name, Name::File(_)) {
            File::open(file::directory_of(&path))
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
        let stored_to = match access {
            Access::Observe => 0,
            Access::Read => HEADER_SIZE as u64,
            Access::Write => meta.len(),
        };
        if stored_to > 0 && meta.blocks() * 512 < meta.len() {
            // The file may be a copy with holes, where a store on a full disk would be a fault.
            file::fill_holes(&file, stored_to)
                .map_err(Error::io(format!(
                    "{name}: no room for the part of it that is not on the disk yet"
                )))?;
        }

        let header = MappedHeader::map(&file, access != Access::Observe).map_err(cannot())?;
        let checked = check_header(name, &header, meta.len())?;
        terms.check_geometry(name, &checked.geometry)?;
        terms.check_gates(name, checked.gates, checked.absent)?;
        terms.check_mirror(name, checked.source_id)?;
        let mapped_size = checked.geometry.mapped_size() as usize;
        let slots =
            Words::map(&file, HEADER_SIZE, mapped_size, access == Access::Write).map_err(cannot())?;
        let slots = Slots::mapped(slots, checked.geometry);
        Ok(Segment {
            header,
            slots,
            geometry: checked.geometry,
            gates: checked.gates,
            absent: checked.absent,
            purpose: checked.purpose,
            schema: checked.schema,
            log_id: checked.log_id,
            source_id: checked.source_id,
            base: checked.base,
            created_ns: checked.created_ns,
            boot: boot_id(),
            medium: file::medium_of(&file),
            access,
            terms: *terms,
            identity: (meta.dev(), meta.ino()),
            born_ns: meta.created().ok().and_then(|born| {
                Some(born.duration_since(UNIX_EPOCH).ok()?.as_nanos() as u64)
            }),
            name: name.clone(),
            path,
        })
    }

    /// Opens this log again, for another use.
    pub fn reopen(&self, access: Access, terms: &Terms) -> Result<Segment> {
        let again = Segment::open(&self.name, access, terms)?;
        if again.log_id != self.log_id {
            return Err(self.replaced());
        }
        Ok(again)
    }

    /// Prepares the memory for the process that attached: takes its page faults now, and locks it.
    /// Changes no byte of the log.
    pub fn make_ready(&self) -> Result<()> {
        let size = self.geometry.mapped_size();
        if self.terms.prefault.unwrap_or(is_prefaulted(self.access, self.medium, size)) {
            let stores = self.access == Access::Write && self.medium != Medium::Memory;
            let done = self.slots.words().prefault(stores);
            done.map_err(Error::io(format!("{}: its memory cannot be prefaulted", self.name)))?;
        }
        if self.terms.lock {
            lock(&self.name, size + HEADER_SIZE as u64, || {
                self.header.words.map.lock().and_then(|()| self.slots.words().map.lock())
            })?;
        }
        Ok(())
    }

    /// Returns how the slots lie in this process's memory now.
    pub fn memory(&self) -> Result<Memory> {
        let from = self.slots.words().map.as_ptr() as usize;
        let memory = memory::memory(from..from + self.slots.words().map.len());
        memory.map_err(Error::io(format!("{}: cannot read /proc/self/smaps", self.name)))
    }

    fn replaced(&self) -> Error {
        Error::Replaced { log: self.name.to_string() }
    }

    /// Returns the header's words.
    #[inline]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the header's words by index, with those that have no name.
    pub fn header_words(&self) -> &[AtomicU64] {
        &self.header.words
    }

    /// Returns the slots.
    #[inline]
    pub fn ring(&self) -> Ring<'_> {
        Ring::of(&self.slots)
    }

    /// Returns the address of the first slot.
    pub fn slots_at(&self) -> *const AtomicU64 {
        self.slots.words().as_ptr()
    }

    /// Returns the position after the newest entry.
    ///
    /// Pointers that no writer of this boot has vouched for are hints: it is not known which slots
    /// and which of the header reached the disk. The log then ends after everything that any
    /// pointer, or a checkpoint, has seen, so that no position ever stands for two entries.
    pub fn end(&self) -> u64 {
        let header = self.header();
        // With the Release in `Writer::attach_to`: the write pointer comes first.
        if header.writer.boot_id.each_ref().map(|word| word.load(Acquire)) == self.boot {
            return self.ring().end(&header.write_ptr).max(self.base);
        }
        let committed = header.readers.iter().flat_map(|line| &line.checkpoints);
        let pointers = header.read_ptrs.iter().chain([&header.write_ptr]);
        let pointers = pointers.chain(committed.map(|checkpoint| &checkpoint.position));
        let seen = pointers.map(|pointer| pointer.load(Relaxed)).filter(|&p| p < POSITION_LIMIT);
        self.ring().newest().max(seen.max().unwrap_or(0)).max(self.base)
    }

    /// Returns a position below which all bodies are what was appended, as far as the death of the
    /// machine allows to tell.
    ///
    /// Nothing of this boot is in doubt. Of another boot only that is trusted which its writer
    /// synced, and has not begun to overwrite since.
    pub fn synced(&self) -> u64 {
        let writer = &self.header().writer;
        // As in `end`.
        match writer.boot_id.each_ref().map(|word| word.load(Acquire)) == self.boot {
            true => u64::MAX,
            false => writer.synced.load(Relaxed),
        }
    }

    /// Returns a place from which on no byte of the arena was ever stored.
    pub fn cleared(&self) -> u64 {
        let horizon = self.header().horizon.load(Relaxed); // a picture: it only grows
        horizon.saturating_add(self.geometry.arena_size())
    }

    /// Returns whether the log survives the machine's death.
    pub fn is_on_disk(&self) -> bool {
        self.medium == Medium::Disk
    }

    /// Returns the oldest position that the log can still hold if it ends at `end`.
    pub fn oldest(&self, end: u64) -> u64 {
        end.saturating_sub(self.geometry.capacity()).max(self.base)
    }

    /// Returns the first position from `from` on after which no body in the arena is gone, if the
    /// log ends at `end` and the writer overwrites `more` bytes more. The search is bounded, so the
    /// result is a guess where few bodies are in the arena.
    pub fn whole_from(&self, from: u64, end: u64, more: u64) -> u64 {
        const LOOKS: u64 = 64;
        let (ring, horizon) = (self.ring(), self.header().horizon.load(Relaxed)); // a guess
        let (mut low, mut high) = (from, end);
        while low < high && horizon > 0 {
            let middle = low + (high - low) / 2;
            let looked = middle..high.min(middle + LOOKS);
            let place = |position| match ring.place_of(position) {
                Some(Placed::Arena { place, .. }) => Some((position, place)),
                _ => None,
            };
            match looked.filter_map(place).next() {
                Some((position, place)) if place < horizon.saturating_add(more) => {
                    low = position + 1;
                }
                _ => high = middle,
            }
        }
        low
    }

    /// Returns the first position that ever existed, as the creator said.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Returns the write pointer as it stands: a picture for people without a promise, so without
    /// an order.
    pub fn written(&self) -> u64 {
        self.header().write_ptr.load(Relaxed)
    }

    /// Returns whether this file is a copy of the one that the log was made in. The original is a
    /// little older than the log says, by the time that allocating it took.
    pub fn is_copy(&self) -> bool {
        const ALLOCATED_WITHIN: u64 = 600_000_000_000;
        let made = self.created_ns.saturating_sub(ALLOCATED_WITHIN)..=self.created_ns;
        self.born_ns.is_some_and(|born| !made.contains(&born))
    }

    /// Returns this boot of the machine.
    pub fn boot(&self) -> [u64; 2] {
        self.boot
    }

    /// Returns the log's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Opens a file description of this very log for claims alone: it is never mapped, so only the
    /// claim keeps it alive.
    pub fn claims(&self, write: bool) -> Result<Claims> {
        let file = open_file(&self.name, &self.path, write)?;
        let cannot = Error::io(format!("{}: cannot be opened", self.name));
        let meta = file.metadata().map_err(cannot)?;
        if (meta.dev(), meta.ino()) != self.identity {
            return Err(self.replaced());
        }
        Claims::on(file).map_err(Error::io(format!("{}: cannot be claimed", self.name)))
    }

    /// Becomes `role`, for as long as the claims live.
    pub fn claim(&self, role: Role) -> Result<Claims> {
        let claims = self.claims(true)?;
        let cannot = || Error::io(format!("{}: cannot be claimed", self.name));
        if claims.take(role).map_err(cannot())? {
            return Ok(claims);
        }
        if claims.is_shut_out(role) {
            let (log, by) = (self.name.to_string(), claims.read_lockers());
            return Err(Error::ShutOut { log, role, by });
        }
        let header = self.header();
        let pid = match role {
            Role::Writer => &header.writer.pid,
            Role::Reader(id) => &header.readers[id].pid,
        };
        Err(Error::Claimed { log: self.name.to_string(), role, pid: pid.load(Relaxed) })
    }

    /// Returns an error unless the log's file is as long as it was when it was mapped.
    pub fn check_size(&self, claims: &Claims) -> Result<()> {
        let cannot = Error::io(format!("{}: its size cannot be read", self.name));
        check_size(&self.name, &self.geometry, claims.file_size().map_err(cannot)?)
    }

    /// Returns what the name stands for now.
    pub fn presence(&self) -> Presence {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.identity => Presence::Here,
            Ok(_) => Presence::Replaced,
            Err(_) => Presence::Deleted,
        }
    }

    /// Sleeps until [`wake`](Segment::wake) is called, at most `at_most`, and not at all if
    /// `stay_awake` says so: it is asked once others can know that this thread is about to sleep.
    pub fn sleep(&self, at_most: Duration, stay_awake: impl Fn() -> bool) {
        sleep_on(&self.header().sleepers, at_most, stay_awake);
    }

    /// Maps the header once more for a process that stores nothing else, to say in it that it
    /// sleeps. `None` if this process may not.
    pub fn bell(&self) -> Option<Bell> {
        let file = open_file(&self.name, &self.path, true).ok()?;
        let meta = file.metadata().ok()?;
        let is_here = (meta.dev(), meta.ino()) == self.identity;
        let header = MappedHeader::map(&file, true).ok().filter(|_| is_here)?;
        Some(Bell { header })
    }

    /// Wakes all that sleep, if any have said so since the last time.
    #[inline]
    pub fn wake(&self) {
        if ring::has_sleepers(&self.header().sleepers) {
            futex::wake_all(&self.header().sleepers);
        }
    }

    /// Wakes as [`wake`](Segment::wake); and a thread that falls asleep meanwhile sees what was
    /// done before this.
    pub fn wake_everybody(&self) {
        if ring::has_any_sleepers(&self.header().sleepers) {
            futex::wake_all(&self.header().sleepers);
        }
    }

    /// Returns the readers that the writer waits for: the gates that the creator named, except
    /// those that were let off for good.
    pub fn gates(&self) -> u8 {
        let lines = self.header().readers.iter().enumerate();
        let waived = lines.filter(|(_, line)| line.waived.load(Relaxed) != 0); // sooner or later
        waived.fold(self.gates, |gates, (id, _)| gates & !(1 << id))
    }

    /// Sleeps until a reader has made room, as [`sleep`](Segment::sleep).
    pub fn sleep_for_room(&self, at_most: Duration, stay_awake: impl Fn() -> bool) {
        sleep_on(&self.header().room, at_most, stay_awake);
    }

    /// Wakes the writer, if it sleeps until there is room.
    #[inline]
    pub fn make_room(&self) {
        if ring::is_awaited(&self.header().room) {
            futex::wake_all(&self.header().room);
        }
    }

    /// Writes the header back, as [`sync`](Segment::sync) does the log.
    pub fn sync_header(&self) -> io::Result<()> {
        self.header.words.map.flush()
    }

    /// Writes the mapping back to the file system, if that keeps it anywhere.
    pub fn sync(&self) -> io::Result<()> {
        self.slots.words().map.flush()?;
        self.header.words.map.flush()
    }
}

fn lock(name: &Name, size: u64, lock: impl FnOnce() -> io::Result<()>) -> Result<()> {
    lock().map_err(|e| {
        let limit = memory::lock_limit();
        let limit = limit.map_or("none".to_owned(), |limit| Bytes(limit).to_string());
        Error::io(format!(
            "{name}: {} of memory cannot be locked, and the limit of this process is {limit}; \
             raise it (ulimit -l, or LimitMEMLOCK= of a service), or do not lock",
            Bytes(size)
        ))(e)
    })
}

/// A header that is mapped only to say that a process sleeps.
pub(crate) struct Bell {
    header: MappedHeader,
}

impl Bell {
    /// Sleeps as [`Segment::sleep`].
    pub fn sleep(&self, at_most: Duration, stay_awake: impl Fn() -> bool) {
        sleep_on(self.word(), at_most, stay_awake);
    }

    /// Returns the word that it sleeps on.
    pub fn word(&self) -> &AtomicU64 {
        &self.header.sleepers
    }
}

fn sleep_on(sleepers: &AtomicU64, at_most: Duration, stay_awake: impl Fn() -> bool) {
    let word = ring::fall_asleep(sleepers);
    pause();
    if !stay_awake() {
        futex::sleep_while(sleepers, word, at_most);
    }
}

/// Waits about a microsecond: by then a writer that did not see the word yet has stored its entry
/// where we see it, unless it is stopped in between.
fn pause() {
    for _ in 0..64 {
        std::hint::spin_loop();
    }
}

/// Sleeps on all of these words at once, as [`Segment::sleep`] on one; returns false, at once, if
/// that is impossible.
pub(crate) fn sleep_on_any(
    words: &[&AtomicU64],
    at_most: Duration,
    stay_awake: impl Fn() -> bool,
) -> bool {
    if words.len() > futex::WORDS_MAX {
        return false;
    }
    let asleep: Vec<_> = words.iter().map(|word| (*word, ring::fall_asleep(word))).collect();
    pause();
    stay_awake() || futex::sleep_while_all(&asleep, at_most)
}

/// Wakes the threads that sleep on a word of this process.
pub(crate) fn wake_on(word: &AtomicU64) {
    if ring::has_any_sleepers(word) {
        futex::wake_all(word);
    }
}

/// What a log's name stands for, as seen from a log that was opened under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// This log.
    Here,
    /// Nothing: the log was deleted. Processes that are attached keep what they have.
    Deleted,
    /// Another file: the log was deleted, and its name given to another.
    Replaced,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        capacity: None,
        inline: None,
        arena: None,
        gates: None,
        absent: None,
        purpose: Purpose::Log,
        mirror: None,
        mode: 0o600,
        owner: None,
        prefault: None,
        lock: false,
    };

    /// Makes a log of eight slots, in a directory of its own.
    fn log() -> (tempfile::TempDir, Name) {
        let directory = tempfile::tempdir().unwrap();
        let name = Name::File(directory.path().join("a.log"));
        let schema = Schema::declared("value:u64").unwrap();
        Segment::create(&name, &schema, &Terms { capacity: Some(8), ..TERMS }).unwrap();
        (directory, name)
    }

    #[test]
    fn only_writers_in_memory_prefault_unasked() {
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
            assert_eq!(segment.slots.words().len(), 8 * 16 / 8, "{access:?}");
        }
    }

    #[test]
    fn dropped_claim_is_free_despite_a_forked_child() {
        let (_directory, name) = log();
        let segment = Segment::open(&name, Access::Write, &TERMS).unwrap();
        let claims = segment.claim(Role::Writer).unwrap();
        let _childs = claims.descriptor().unwrap();
        let others = segment.claims(true).unwrap();
        assert!(others.is_taken(Role::Writer));
        drop(claims);
        assert!(!others.is_taken(Role::Writer));
    }
}
