//! The door: makes or opens a log, and becomes its writer, a reader, or an observer. Long by its
//! examples.

use crate::claims::Claims;
use crate::copy::{self, Copied};
use crate::error::{Error, Result, Role};
use crate::layout::{Geometry, READERS, STATE_OPEN};
use crate::cursor::Start;
use crate::name::{self, Name};
use crate::observer::Observer;
use crate::reader::Reader;
use crate::schema::{Described, Form, Schema};
use crate::check::{Absent, Mirror, Purpose, Terms};
use crate::lossless::LosslessWriter;
use crate::segment::{Access, Presence, Segment};
use crate::snapshot::Snapshot;
use crate::sync::Ordering::Relaxed;
use crate::verify::{self, Finding, Verified};
use crate::writer::Writer;
use std::fmt;
use std::path::Path;

/// The name of the log that the programs use by default.
pub const DEFAULT_SHM: &str = "/rpt_sys_shm";

/// A log that exists: one named segment, a header and a ring of slots.
///
/// Opening a log changes nothing in it and needs only permission to read.
///
/// A child made by `fork` has no part in a log that its parent has open: it has neither the claims
/// nor the memory, so a child that appends, polls or looks there dies of a `SIGSEGV`. It may drop
/// what it inherited and open the log anew. (A child made by a bare `clone`, behind the C library's
/// back, must touch nothing.)
///
/// ```
/// use ringlog::{Log, Polled, Record};
///
/// #[derive(Clone, Copy, Record)]
/// #[repr(C)]
/// struct Sample {
///     value: f64,
/// }
///
/// # let name = format!("/ringlog-doc-log-{}", std::process::id());
/// # let name = name.as_str();
/// let log = Log::options().capacity(1 << 16).open_or_create::<Sample>(name)?;
/// let mut writer = log.writer::<Sample>()?;
/// let mut reader = log.reader::<Sample>(0)?;
///
/// writer.append(&Sample { value: 1.5 });
/// assert!(matches!(reader.poll(), Polled::Entry { position: 0, record } if record.value == 1.5));
/// reader.commit();
///
/// assert!(log.reader::<Sample>(0).is_err(), "reader 0 is one at a time");
/// drop((writer, reader));
/// Log::remove(name)?;
/// # Ok::<(), ringlog::Error>(())
/// ```
pub struct Log {
    segment: Segment,
    terms: Terms,
}

/// How to make or open a log; made by [`Log::options`].
#[derive(Debug, Clone)]
pub struct Options {
    terms: Terms,
}

impl Options {
    /// Sets the number of slots: a power of two, at least 2. The default is 1024. An existing log
    /// with another capacity is refused.
    pub fn capacity(mut self, slots: u64) -> Options {
        self.terms.capacity = Some(slots);
        self
    }

    /// Sets how many bytes of a body a slot holds itself, rounded up to a multiple of 8. Choose the
    /// length of your usual message: such a body moves between processors with its slot. By default
    /// a slot has 128 bytes, or more where 128 would leave less than 40 for the body.
    pub fn inline(mut self, bytes: usize) -> Options {
        self.terms.inline = Some(bytes.max(8).saturating_add(7) / 8 * 8);
        self
    }

    /// Sets the size in bytes of the arena, which holds longer bodies: a power of two, from 4 KiB
    /// to 4 GiB. The default is 8 MiB. A body is at most half of the arena. An existing log with
    /// another size is refused.
    pub fn arena(mut self, bytes: u64) -> Options {
        self.terms.arena = Some(bytes);
        self
    }

    /// Makes the log lossless: its writer, a [`LosslessWriter`], overwrites no entry that one of
    /// these readers, its gates, has not committed. Entries are overwritten for all other readers
    /// as before. Gates are a property of the log for as long as it exists: an existing log with
    /// other gates is refused.
    ///
    /// A gate holds the writer up from the log's first entry on, even if no process has been that
    /// reader yet. `ringlog reader N release` removes a gate for good.
    pub fn lossless(mut self, gates: impl IntoIterator<Item = usize>) -> Options {
        let bits = gates.into_iter().map(|id| 1 << id.min(63));
        self.terms.gates = Some(bits.fold(0, |gates: u64, bit: u64| gates | bit));
        self
    }

    /// Sets what the writer of a [lossless](Options::lossless) log does about a gate whose reader
    /// is gone. By default it waits. An existing log that does otherwise is refused.
    pub fn absent(mut self, absent: Absent) -> Options {
        self.terms.absent = Some(absent);
        self
    }

    /// Sets what a new log is for, if it is part of a service or a topic. An existing log keeps its
    /// purpose.
    pub fn purpose(mut self, purpose: Purpose) -> Options {
        self.terms.purpose = purpose;
        self
    }

    /// Makes the log a mirror: its entries have the positions that they have in the log with the id
    /// `source`, from `begin` on. Below `begin` nothing was ever there, so no reader loses it. The
    /// writer of a mirror appends what comes from the source, and [skips](Writer::skip_to) what the
    /// source lost. An existing log that mirrors another log, or none, is refused; one that begins
    /// elsewhere is not, because its own end says where to go on.
    ///
    /// A mirror is not [lossless](Options::lossless): its gates would lose what was skipped.
    ///
    /// ```
    /// # use ringlog::{Log, Polled, Raw, Schema};
    /// # let name = format!("/ringlog-doc-mirror-{}", std::process::id());
    /// # let (name, source_id) = (name.as_str(), 7);
    /// let schema = Schema::declared("value:u64")?;
    /// let log = Log::options().mirror_of(source_id, 5000).open_or_create_with(name, &schema)?;
    /// let mut writer = log.writer::<Raw>()?;
    /// assert_eq!(writer.append(&[1; 8])?, 5000);
    /// assert_eq!(writer.skip_to(5003)?, 5001..5003);
    /// assert_eq!(writer.append(&[2; 8])?, 5003);
    ///
    /// let mut reader = log.reader::<Raw>(0)?;
    /// assert!(matches!(reader.poll(), Polled::Entry { position: 5000, .. }));
    /// assert_eq!(reader.poll(), Polled::Lost(5001..5003));
    /// assert!(matches!(reader.poll(), Polled::Entry { position: 5003, .. }));
    /// # Log::unlink(name)?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn mirror_of(mut self, source: u128, begin: u64) -> Options {
        self.terms.mirror = Some(Mirror { source, begin });
        self
    }

    /// Sets the permissions of a new log, exactly, whatever the umask. The default is 0600. Readers
    /// store their position, so they need write permission too.
    pub fn mode(mut self, mode: u32) -> Options {
        self.terms.mode = mode;
        self
    }

    /// Trusts a log that belongs to this user id too. By default a log must belong to the caller or
    /// to root.
    pub fn owner(mut self, uid: u32) -> Options {
        self.terms.owner = Some(uid);
        self
    }

    /// Sets whether a process that attaches to the log (writer, reader, observer) takes the page
    /// faults of its memory at once, instead of in its first lap: one fault for every 4 KiB of
    /// slots, a microsecond or more each. This stores nothing; a log in a file on a disk is read.
    /// It takes about 0.1 ms for each MiB in memory, and the process has the size of the log from
    /// then on.
    ///
    /// By default a writer does so for a log in shared memory with up to 1 GiB of slots. A reader
    /// does not: each of its faults maps many pages. On a disk the writer's first store to a page
    /// faults again after each time the kernel has written that page back.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-prefault-{}", std::process::id());
    /// # let name = name.as_str();
    /// let log = Log::options().capacity(1 << 16).create::<Sample>(name)?;
    /// assert!(log.writer::<Sample>()?.memory()?.to_string().ends_with("all resident"));
    /// let reader = Log::options().prefault(true).open(name)?.reader::<Sample>(0)?;
    /// println!("{}", reader.memory()?); // 1 MiB in 4 KiB pages, all resident
    /// # assert!(reader.memory()?.to_string().ends_with("all resident"));
    /// # Log::unlink(name)?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn prefault(mut self, on: bool) -> Options {
        self.terms.prefault = Some(on);
        self
    }

    /// Sets whether a process that attaches to the log locks its memory (`mlock`), so that the
    /// kernel never reclaims it. The lock counts against that process's limit (`RLIMIT_MEMLOCK`); a
    /// process that may not lock that much is refused, and nothing has changed. A forked child has
    /// no lock.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-lock-{}", std::process::id());
    /// # let name = name.as_str();
    /// let log = Log::options().capacity(1 << 10).lock(true).create::<Sample>(name)?;
    /// let writer = log.writer::<Sample>()?;
    /// println!("{}", writer.memory()?); // 16 KiB in 4 KiB pages, all resident, locked
    /// # let memory = writer.memory()?;
    /// # assert!(memory.locked && memory.resident >= memory.size);
    /// # Log::unlink(name)?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn lock(mut self, on: bool) -> Options {
        self.terms.lock = on;
        self
    }

    /// Makes a log for records of type `R`, completely or not at all.
    ///
    /// On a tmpfs that gives huge pages on request (mounted with `huge=advise`) or always, a log of
    /// 2 MiB or more is made of them; [`Writer::memory`] says whether it is.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken; [`Error::Io`] if there is no room for the whole log,
    /// which is allocated now and not when entries come; [`Error::Invalid`] for a capacity, name or
    /// place that no log can have.
    pub fn create<R: Described>(&self, name: impl Into<Name>) -> Result<Log> {
        let name = name.into();
        let schema = schema_of::<R>(&name)?;
        self.create_with(name, &schema)
    }

    /// Makes a log for a schema that is known only at run time; otherwise as
    /// [`create`](Options::create).
    ///
    /// # Errors
    /// Those of [`create`](Options::create).
    pub fn create_with(&self, name: impl Into<Name>, schema: &Schema) -> Result<Log> {
        let name = name.into();
        Segment::create(&name, schema, &self.terms)?;
        self.open(name)
    }

    /// Returns the sizes of the log that [`create_with`](Options::create_with) would make.
    ///
    /// # Errors
    /// [`Error::Invalid`] for sizes that no log can have.
    pub fn geometry(&self, name: &Name, schema: &Schema) -> Result<Geometry> {
        self.terms.geometry_to_make(name, schema)
    }

    /// Opens a log, after checking everything in it that others rely on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotALog`], [`Error::Version`], [`Error::Geometry`],
    /// [`Error::Gates`] or [`Error::Schema`], by what is wrong with the log; [`Error::Io`].
    pub fn open(&self, name: impl Into<Name>) -> Result<Log> {
        let segment = Segment::open(&name.into(), Access::Observe, &self.terms)?;
        Ok(Log { segment, terms: self.terms })
    }

    /// Opens a log, or makes it if it does not exist. If several processes race, one of them makes
    /// the log and all open that one.
    ///
    /// # Errors
    /// Those of [`open`](Options::open) and [`create`](Options::create), and [`Error::Schema`] if
    /// an existing log has other columns.
    pub fn open_or_create<R: Described>(&self, name: impl Into<Name>) -> Result<Log> {
        let name = name.into();
        let schema = schema_of::<R>(&name)?;
        self.open_or_create_with(name, &schema)
    }

    /// Opens a log, or makes it, for a schema that is known only at run time; otherwise as
    /// [`open_or_create`](Options::open_or_create).
    ///
    /// # Errors
    /// Those of [`open_or_create`](Options::open_or_create).
    pub fn open_or_create_with(&self, name: impl Into<Name>, schema: &Schema) -> Result<Log> {
        let name = name.into();
        // Another process may make the log after we looked, or remove it after we failed to make
        // it.
        let mut tries = 0..10;
        loop {
            let result = match self.open(&name) {
                Err(Error::NotFound { .. }) => self.create_with(&name, schema),
                opened => opened,
            };
            match result {
                Err(Error::Exists { .. } | Error::NotFound { .. }) if tries.next().is_some() => {}
                Err(e) => return Err(e),
                Ok(log) => {
                    return match log.schema().difference(schema) {
                        Some(why) => Err(Error::Schema { log: name.to_string(), why }),
                        None => Ok(log),
                    };
                }
            }
        }
    }
}

fn schema_of<R: Described>(name: &Name) -> Result<Schema> {
    Schema::of::<R>().map_err(|e| Error::Schema { log: name.to_string(), why: e.to_string() })
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("name", self.name())
            .field("geometry", self.geometry())
            .field("columns", &self.schema().to_text())
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Returns the default options, to change and then make or open a log with.
    pub fn options() -> Options {
        Options { terms: Terms { mode: 0o600, ..Terms::default() } }
    }

    /// Makes a log of 1024 slots for records of type `R`; see [`Options::create`].
    ///
    /// # Errors
    /// Those of [`Options::create`].
    pub fn create<R: Described>(name: impl Into<Name>) -> Result<Log> {
        Log::options().create::<R>(name)
    }

    /// Opens a log; see [`Options::open`].
    ///
    /// # Errors
    /// Those of [`Options::open`].
    pub fn open(name: impl Into<Name>) -> Result<Log> {
        Log::options().open(name)
    }

    /// Opens a log, or makes one of 1024 slots; see [`Options::open_or_create`].
    ///
    /// # Errors
    /// Those of [`Options::open_or_create`].
    pub fn open_or_create<R: Described>(name: impl Into<Name>) -> Result<Log> {
        Log::options().open_or_create::<R>(name)
    }

    /// Returns the names of all logs in shared memory that this process may read, in order. A file
    /// that merely begins like a log is among them; [`open`](Log::open) tells. (On systems other
    /// than Linux, shared memory is files in the temporary directory.)
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all() -> Result<Vec<Name>> {
        name::names_in(None).map_err(Error::io("shared memory cannot be listed"))
    }

    /// Returns the names of all logs in a directory, in order, but not of those in its
    /// subdirectories.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all_in(directory: &Path) -> Result<Vec<Name>> {
        let cannot = Error::io(format!("{}: cannot be listed", directory.display()));
        name::names_in(Some(directory)).map_err(cannot)
    }

    /// Removes a log on which no process has a claim, and whose entries every reader has committed,
    /// as `ringlog rm` does. Observers keep what they have open.
    ///
    /// # Errors
    /// [`Error::Claimed`] while a living process is its writer or one of its readers;
    /// [`Error::Undelivered`] while a reader has not committed all entries; those of
    /// [`open`](Log::open). Nothing is removed then. A change in the very moment of the removal is
    /// not noticed.
    pub fn remove(name: impl Into<Name>) -> Result<()> {
        let name = name.into();
        name::remove(&name, |file| {
            let claims = Claims::on(file).map_err(Error::io(format!(
                "{name}: its claims cannot be read"
            )))?;
            let log = || name.to_string();
            if let Some(role) = Role::all().find(|&role| claims.is_taken(role)) {
                return Err(Error::Claimed { log: log(), role, pid: claims.pid_of(role) });
            }
            match Log::open(&name)?.snapshot()?.undelivered().next() {
                Some((reader, entries)) => Err(Error::Undelivered { log: log(), reader, entries }),
                None => Ok(()),
            }
        })
    }

    /// Removes a log's name, even if processes are attached, as `unlink(2)` does. They keep what
    /// they have open, no other process finds the log, and its memory is freed with the last of
    /// them.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotALog`], and nothing is removed; [`Error::Io`].
    pub fn unlink(name: impl Into<Name>) -> Result<()> {
        name::remove(&name.into(), |_| Ok(()))
    }

    /// Becomes the writer, and continues after the last published entry.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is the writer; [`Error::Schema`] if the
    /// log's columns are not those of `R`; [`Error::Io`] if its memory cannot be mapped or
    /// [locked](Options::lock); [`Error::Invalid`] for a [lossless](Options::lossless) log; those
    /// of [`open`](Options::open) if the log has changed.
    pub fn writer<R: Form>(&self) -> Result<Writer<R>> {
        Writer::attach(self.again::<R>(Access::Write)?)
    }

    /// Becomes the writer of a [lossless](Options::lossless) log, and continues after the last
    /// published entry.
    ///
    /// # Errors
    /// Those of [`writer`](Log::writer), and [`Error::Invalid`] for a log that has no gates.
    pub fn lossless_writer<R: Form>(&self) -> Result<LosslessWriter<R>> {
        LosslessWriter::attach(self.again::<R>(Access::Write)?)
    }

    /// Returns true if the log was made with gates: its writer is then a [`LosslessWriter`].
    pub fn is_lossless(&self) -> bool {
        self.segment.gates != 0
    }

    /// Returns the readers that the writer waits for, and what it does about those that are gone.
    /// There are none if the writer overwrites what readers have not committed.
    pub fn gates(&self) -> (Vec<usize>, Absent) {
        let gates = self.segment.gates();
        ((0..READERS).filter(|id| gates & (1 << id) != 0).collect(), self.segment.absent)
    }

    /// Returns what the log is for.
    pub fn purpose(&self) -> Purpose {
        self.segment.purpose
    }

    /// Becomes reader `id` (0 to 7), and begins where that reader left off, or at the oldest entry
    /// if no process has been this reader before.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is this reader; [`Error::Schema`] if the
    /// log's columns are not those of `R`; [`Error::Invalid`] for an id that does not exist;
    /// [`Error::Io`] if its memory cannot be mapped or [locked](Options::lock); those of
    /// [`open`](Options::open) if the log has changed.
    pub fn reader<R: Form>(&self, id: usize) -> Result<Reader<R>> {
        self.reader_from(id, Start::Resume)
    }

    /// Becomes reader `id`, and begins at `start` instead of where that reader left off. What is
    /// skipped that way is neither delivered nor lost.
    ///
    /// # Errors
    /// Those of [`reader`](Log::reader), and [`Error::Invalid`] for a position that does not exist
    /// yet.
    pub fn reader_from<R: Form>(&self, id: usize, start: Start) -> Result<Reader<R>> {
        Reader::attach(self.again::<R>(Access::Read)?, id, start)
    }

    /// Attaches an observer, which needs no claim.
    ///
    /// # Errors
    /// [`Error::Schema`] if the log's columns are not those of `R`; [`Error::Invalid`] for a
    /// position that does not exist yet; [`Error::Io`] if its memory cannot be mapped or
    /// [locked](Options::lock); those of [`open`](Options::open) if the log has changed.
    pub fn observe<R: Form>(&self, start: Start) -> Result<Observer<R>> {
        Observer::attach(self.again::<R>(Access::Observe)?, start)
    }

    fn again<R: Form>(&self, access: Access) -> Result<Segment> {
        if let Some(why) = R::refuses(self.schema()) {
            return Err(Error::Schema { log: self.name().to_string(), why });
        }
        self.segment.reopen(access, &self.terms)
    }

    /// Returns a picture of the log's pointers and owners now.
    ///
    /// # Errors
    /// Those of [`open`](Options::open), if the log has been deleted, replaced or cut short.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.segment)
    }

    /// Checks every word of the log, and calls `found` for each that is not as docs/format.md says.
    /// It stores nothing. On a log in use it reports nothing false: a word that changes meanwhile
    /// is checked again. What [`open`](Log::open) refuses is found there and not here.
    ///
    /// There is no checksum: a value that some writer could have stored is not found.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-verify-{}", std::process::id());
    /// let log = Log::create::<Sample>(name.as_str())?;
    /// log.writer::<Sample>()?.append(&Sample { value: 1.5 });
    /// let verified = log.verify(|finding| eprintln!("{finding}"));
    /// assert_eq!((verified.held, verified.entries, verified.damage), (0..1, 1, 0));
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn verify(&self, mut found: impl FnMut(Finding)) -> Verified {
        verify::verify(&self.segment, &mut found)
    }

    /// Returns true if an entry may be mixed of two without a stamp that shows it. That is so for a
    /// copy of a log's file if a writer was attached when the file was copied, at work or killed,
    /// or has attached since the copy began. Returns false where the file system does not say when
    /// a file was made, and for a copy that was begun in the very clock tick, some milliseconds, in
    /// which the log was made.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let path = std::env::temp_dir().join(format!("ringlog-doc-copy-{}", std::process::id()));
    /// # let path = path.as_path();
    /// let log = Log::create::<Sample>(path)?;
    /// assert!(!log.may_be_mixed()); // even while a writer appends
    /// # Log::unlink(path)?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn may_be_mixed(&self) -> bool {
        let header = self.segment.header();
        self.segment.is_copy()
            && (header.writer.state.load(Relaxed) == STATE_OPEN
                || self.segment.ring().newest() > header.write_ptr.load(Relaxed))
    }

    /// Makes a sound copy of the log, even while a writer and readers are at work. The copy is a
    /// log of its own with the same columns, capacity and positions, and ends where this one did
    /// when the copy was begun. It has the readers' places, losses and outputs of that moment, no
    /// owner, and another [`id`](Log::id); its [`source_id`](Log::source_id) is the id of this log.
    /// It gets its name once it is complete.
    ///
    /// Entries that the writer overwrites meanwhile are not in the copy, which then begins later.
    /// Neither is the entry in which a writer was killed.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let name = format!("/ringlog-doc-copy-to-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(format!("ringlog-doc-copy-to-{}", std::process::id()));
    /// # let path = path.as_path();
    /// let log = Log::create::<Sample>(name.as_str())?;
    /// log.writer::<Sample>()?.append(&Sample { value: 1.5 });
    /// let copied = log.copy_to(path)?;
    /// assert_eq!((copied.held, copied.missed), (0..1, 0));
    /// assert_eq!(Log::open(path)?.source_id(), Some(log.id()));
    /// # Log::unlink(path)?;
    /// # Log::unlink(name.as_str())?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken; [`Error::Io`] if there is no room for all of it, or
    /// the writer overwrites everything before it can be read; [`Error::NotALog`] if entries of
    /// this log [may be mixed](Log::may_be_mixed), because the copy would not show it; those of
    /// [`observe`](Log::observe).
    pub fn copy_to(&self, name: impl Into<Name>) -> Result<Copied> {
        if self.may_be_mixed() {
            let why = "it is a copy made while a writer was attached, and any entry may be a mix \
                       of two; copy the log itself";
            return Err(Error::NotALog { log: self.name().to_string(), why: why.to_owned() });
        }
        copy::copy(&self.segment, &self.terms, &name.into())
    }

    /// Returns the [`id`](Log::id) of the log that this one is a [copy](Log::copy_to) or a
    /// [mirror](Options::mirror_of) of.
    pub fn source_id(&self) -> Option<u128> {
        Some(self.segment.source_id).filter(|&id| id != 0)
    }

    /// Returns the first position that the log could ever have: 0, but for a
    /// [mirror](Options::mirror_of) or a [copy](Log::copy_to).
    pub fn base(&self) -> u64 {
        self.segment.base()
    }

    /// Returns the oldest position that the log can still hold if it ends at `end`.
    pub fn oldest(&self, end: u64) -> u64 {
        self.segment.oldest(end)
    }

    /// Returns the oldest position from which on the log holds each entry whole, if it ends at
    /// `end`. Bodies may be overwritten before their slots are. Where few bodies are too long for a
    /// slot, the result is a guess.
    pub fn oldest_whole(&self, end: u64) -> u64 {
        self.segment.whole_from(self.segment.oldest(end), end, 0)
    }

    /// Returns how many writers the log has had: another number means another writer.
    pub fn epoch(&self) -> u64 {
        self.segment.header().writer.epoch.load(Relaxed)
    }

    /// Returns whether the log's name still stands for it.
    pub fn presence(&self) -> Presence {
        self.segment.presence()
    }

    /// Returns whether a living process holds the claim of `role`.
    ///
    /// # Errors
    /// Those of [`open`](Options::open), if the log has been deleted or replaced.
    pub fn is_claimed(&self, role: Role) -> Result<bool> {
        Ok(self.segment.claims(false)?.is_taken(role))
    }

    /// Returns the log's name.
    pub fn name(&self) -> &Name {
        self.segment.name()
    }

    /// Returns the columns of the log's entries.
    pub fn schema(&self) -> &Schema {
        &self.segment.schema
    }

    /// Returns the log's sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.segment.geometry
    }

    /// Returns a random number that stays the log's own for as long as it exists.
    pub fn id(&self) -> u128 {
        self.segment.log_id
    }

    /// Returns when the log was made, in ns since the Unix epoch.
    pub fn created_ns(&self) -> u64 {
        self.segment.created_ns
    }
}
