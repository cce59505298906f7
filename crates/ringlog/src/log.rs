//! The door: make or open a log, and become its writer, a reader, or an observer. Long by its examples.

use crate::claims::Claims;
use crate::copy::{self, Copied};
use crate::error::{Error, Result, Role};
use crate::layout::{Geometry, READERS, STATE_OPEN};
use crate::cursor::Start;
use crate::name::{self, Name};
use crate::observer::Observer;
use crate::reader::Reader;
use crate::schema::{Described, Form, Schema};
use crate::check::{Absent, Purpose, Terms};
use crate::lossless::LosslessWriter;
use crate::segment::{Access, Presence, Segment};
use crate::snapshot::Snapshot;
use crate::sync::Ordering::Relaxed;
use crate::verify::{self, Finding, Verified};
use crate::writer::Writer;
use std::fmt;
use std::path::Path;

/// The name that the programs use unless told otherwise.
pub const DEFAULT_SHM: &str = "/rpt_sys_shm";

/// A log that exists: one named segment, a header and a ring of slots.
///
/// Opening it changes nothing in it and needs no more than permission to read.
///
/// A child made by `fork` has no part in a log that its parent has open: not the claims, and not
/// the memory, so that to append, poll or look there is a `SIGSEGV`. It can drop what it has, and
/// open the log anew. (One made by a bare `clone`, behind the C library's back, must touch nothing.)
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

/// How to make or open a log: what [`Log::options`] gives.
#[derive(Debug, Clone)]
pub struct Options {
    terms: Terms,
}

impl Options {
    /// Number of slots: a power of two, at least 2; 1024 unless asked otherwise. A log that is
    /// there already with another capacity is refused.
    pub fn capacity(mut self, slots: u64) -> Options {
        self.terms.capacity = Some(slots);
        self
    }

    /// Sets how many bytes of a body a slot holds itself, rounded up to a multiple of 8: the length of your
    /// usual message, which is then handed over with its slot. By default as many as make a slot of 128
    /// bytes, or a larger one where that leaves less than 40.
    pub fn inline(mut self, bytes: usize) -> Options {
        self.terms.inline = Some(bytes.max(8).saturating_add(7) / 8 * 8);
        self
    }

    /// Sets the bytes of the arena, which holds longer bodies: a power of two, from 4 KiB to 4 GiB; 8 MiB unless
    /// asked otherwise. A body is at most half of it. A log that is there already with another is refused.
    pub fn arena(mut self, bytes: u64) -> Options {
        self.terms.arena = Some(bytes);
        self
    }

    /// Makes the log lossless: its writer, a [`LosslessWriter`], overwrites no entry that one of these
    /// readers, its gates, has not committed. Others are overwritten as ever. It is a property of the log
    /// for as long as it exists: one that is there already with other gates is refused.
    ///
    /// A gate holds the writer up from the log's first entry on, whether somebody has been that reader or
    /// not. `ringlog reader N release` lets one off for good.
    pub fn lossless(mut self, gates: impl IntoIterator<Item = usize>) -> Options {
        let bits = gates.into_iter().map(|id| 1 << id.min(63));
        self.terms.gates = Some(bits.fold(0, |gates: u64, bit: u64| gates | bit));
        self
    }

    /// What the writer of a [lossless](Options::lossless) log does about a gate whose reader is gone;
    /// unless asked otherwise it waits. A log that is there already and does otherwise is refused.
    pub fn absent(mut self, absent: Absent) -> Options {
        self.terms.absent = Some(absent);
        self
    }

    /// What a log that is made is for, if it is part of a service or a topic. A log that is there already
    /// stays what it is.
    pub fn purpose(mut self, purpose: Purpose) -> Options {
        self.terms.purpose = purpose;
        self
    }

    /// Permissions of a log that is made, exactly, whatever the umask; 0600 unless asked
    /// otherwise. Readers store their position, so they need write permission too.
    pub fn mode(mut self, mode: u32) -> Options {
        self.terms.mode = mode;
        self
    }

    /// Believe a log that belongs to this user id too. Without it, a log must belong to the
    /// caller or to root.
    pub fn owner(mut self, uid: u32) -> Options {
        self.terms.owner = Some(uid);
        self
    }

    /// Whether those who attach to the log (writer, readers, observers) take its page faults then,
    /// and not in their first lap: one for each four kilobytes of slots, a microsecond or more.
    /// Nothing is stored, and a log in a file on a disk is read. It takes about a tenth of a
    /// millisecond for a megabyte in memory, and the process is as large as the log at once.
    ///
    /// Unless told otherwise, a writer does, of a log in shared memory with up to a gigabyte of
    /// slots; a reader, whose faults bring in many pages each, does not. On a disk the writer's first
    /// store to a page faults again whenever the kernel has written the page back.
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

    /// Whether those who attach to the log lock its memory (`mlock`): the kernel then never takes it
    /// away to make room. It counts against the limit of their process (`RLIMIT_MEMLOCK`); who may
    /// not lock so much is refused, and nothing has happened. A child that is forked has no lock.
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

    /// Makes a log for records of type `R`: complete, or not at all.
    ///
    /// On a tmpfs that has huge pages for those who ask (mounted with `huge=advise`), or for all, a
    /// log of two megabytes or more is made of them; [`Writer::memory`] tells.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken; [`Error::Io`] if there is no room, now and not
    /// later; [`Error::Invalid`] for a capacity, name or place that no log can have.
    pub fn create<R: Described>(&self, name: impl Into<Name>) -> Result<Log> {
        let name = name.into();
        let schema = schema_of::<R>(&name)?;
        self.create_with(name, &schema)
    }

    /// [`create`](Options::create), for a schema that is known only now.
    ///
    /// # Errors
    /// As there.
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

    /// Opens a log after checking all of it that others rely on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotALog`], [`Error::Version`], [`Error::Geometry`] or
    /// [`Error::Schema`] by what is wrong with it; [`Error::Io`].
    pub fn open(&self, name: impl Into<Name>) -> Result<Log> {
        let segment = Segment::open(&name.into(), Access::Observe, &self.terms)?;
        Ok(Log { segment, terms: self.terms })
    }

    /// Opens a log, or makes it if it is not there. Of many that race one makes it, and all open
    /// the same one.
    ///
    /// # Errors
    /// As [`open`](Options::open) and [`create`](Options::create), and [`Error::Schema`] if the
    /// log that is there has other columns.
    pub fn open_or_create<R: Described>(&self, name: impl Into<Name>) -> Result<Log> {
        let name = name.into();
        let schema = schema_of::<R>(&name)?;
        self.open_or_create_with(name, &schema)
    }

    /// [`open_or_create`](Options::open_or_create), for a schema that is known only now.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_create_with(&self, name: impl Into<Name>, schema: &Schema) -> Result<Log> {
        let name = name.into();
        // Another may make it after we looked, or remove it after we failed to make it.
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
    /// Options with their defaults, to change and then make or open a log with.
    pub fn options() -> Options {
        Options { terms: Terms { mode: 0o600, ..Terms::default() } }
    }

    /// Makes a log of 1024 slots for records of type `R`; see [`Options::create`].
    ///
    /// # Errors
    /// As there.
    pub fn create<R: Described>(name: impl Into<Name>) -> Result<Log> {
        Log::options().create::<R>(name)
    }

    /// Opens a log; see [`Options::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(name: impl Into<Name>) -> Result<Log> {
        Log::options().open(name)
    }

    /// Opens a log, or makes one of 1024 slots; see [`Options::open_or_create`].
    ///
    /// # Errors
    /// As there.
    pub fn open_or_create<R: Described>(name: impl Into<Name>) -> Result<Log> {
        Log::options().open_or_create::<R>(name)
    }

    /// The names of all logs in shared memory that this process may read, in order; of what only
    /// begins as a log does, too: [`open`](Log::open) tells. (Elsewhere than on Linux shared memory
    /// is files in the temporary directory.)
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all() -> Result<Vec<Name>> {
        name::names_in(None).map_err(Error::io("shared memory cannot be listed"))
    }

    /// The same of the files in a directory, and not of those in the directories in it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all_in(directory: &Path) -> Result<Vec<Name>> {
        let cannot = Error::io(format!("{}: cannot be listed", directory.display()));
        name::names_in(Some(directory)).map_err(cannot)
    }

    /// Removes a log that nobody has a claim on and every reader has had, as `ringlog rm` does.
    /// Observers go on with what they have.
    ///
    /// # Errors
    /// [`Error::Claimed`] while a living process is its writer or one of its readers;
    /// [`Error::Undelivered`] while a reader has not committed all entries; as [`open`](Log::open).
    /// Nothing is removed then. What changes in the very moment of the removal is not seen.
    pub fn remove(name: impl Into<Name>) -> Result<()> {
        let name = name.into();
        name::remove(&name, |file| {
            let claims = Claims::on(file).map_err(Error::io(format!("{name}: cannot be looked at")))?;
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

    /// Removes a log's name, whoever is attached, as `unlink(2)` does: they go on with what they have,
    /// nobody else finds it, and its memory is freed with the last of them.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotALog`], and nothing is removed; [`Error::Io`].
    pub fn unlink(name: impl Into<Name>) -> Result<()> {
        name::remove(&name.into(), |_| Ok(()))
    }

    /// Becomes the writer, and goes on behind the last published entry.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is the writer; [`Error::Schema`] if the
    /// log's columns are not those of `R`; [`Error::Io`] if its memory cannot be had or
    /// [locked](Options::lock); [`Error::Invalid`] for a [lossless](Options::lossless) log; as
    /// [`open`](Options::open) if the log has changed.
    pub fn writer<R: Form>(&self) -> Result<Writer<R>> {
        Writer::attach(self.again::<R>(Access::Write)?)
    }

    /// Becomes the writer of a [lossless](Options::lossless) log, and goes on behind the last published
    /// entry.
    ///
    /// # Errors
    /// As [`writer`](Log::writer), and [`Error::Invalid`] for a log whose writer waits for nobody.
    pub fn lossless_writer<R: Form>(&self) -> Result<LosslessWriter<R>> {
        LosslessWriter::attach(self.again::<R>(Access::Write)?)
    }

    /// Whether it was made with gates: its writer is then a [`LosslessWriter`].
    pub fn is_lossless(&self) -> bool {
        self.segment.gates != 0
    }

    /// The readers that its writer waits for, and what it does about those that are gone; none if it
    /// overwrites what readers have not had.
    pub fn gates(&self) -> (Vec<usize>, Absent) {
        let gates = self.segment.gates();
        ((0..READERS).filter(|id| gates & (1 << id) != 0).collect(), self.segment.absent)
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.segment.purpose
    }

    /// Becomes reader `id` (0 to 7), where that reader left off, or at the oldest entry if it has
    /// never been here.
    ///
    /// # Errors
    /// [`Error::Claimed`] while another living process is this reader; [`Error::Schema`] if the
    /// log's columns are not those of `R`; [`Error::Invalid`] for an id that does not exist;
    /// [`Error::Io`] if its memory cannot be had or [locked](Options::lock); as
    /// [`open`](Options::open) if the log has changed.
    pub fn reader<R: Form>(&self, id: usize) -> Result<Reader<R>> {
        self.reader_from(id, Start::Resume)
    }

    /// Becomes reader `id`, and begins elsewhere than where it left off. What is skipped that way
    /// is neither delivered nor lost.
    ///
    /// # Errors
    /// As [`reader`](Log::reader), and [`Error::Invalid`] for a position that is not there yet.
    pub fn reader_from<R: Form>(&self, id: usize, start: Start) -> Result<Reader<R>> {
        Reader::attach(self.again::<R>(Access::Read)?, id, start)
    }

    /// Looks on without a claim.
    ///
    /// # Errors
    /// [`Error::Schema`] if the log's columns are not those of `R`; [`Error::Invalid`] for a
    /// position that is not there yet; [`Error::Io`] if its memory cannot be had or
    /// [locked](Options::lock); as [`open`](Options::open) if the log has changed.
    pub fn observe<R: Form>(&self, start: Start) -> Result<Observer<R>> {
        Observer::attach(self.again::<R>(Access::Observe)?, start)
    }

    fn again<R: Form>(&self, access: Access) -> Result<Segment> {
        if let Some(why) = R::refuses(self.schema()) {
            return Err(Error::Schema { log: self.name().to_string(), why });
        }
        self.segment.reopen(access, &self.terms)
    }

    /// A picture of its pointers and owners now.
    ///
    /// # Errors
    /// As [`open`](Options::open), if the log has been deleted, replaced or cut short.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.segment)
    }

    /// Looks at every word of the log, and tells `found` of each that is not as docs/format.md says.
    /// It stores nothing, and says nothing false of a log that goes on meanwhile: what changes under
    /// the look is looked at again. What opening a log refuses is not found here but there.
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

    /// Whether its entries may be mixed of two, without a stamp that tells: it is a copy of a log's
    /// file, and a writer was attached when it was made, at work or killed, or has been since the
    /// copy was begun. False where the file system does not tell when a file was made, and of a copy
    /// that was begun in the very tick of its clock, some milliseconds, in which the log was made.
    ///
    /// ```
    /// # use ringlog::{Log, Record};
    /// # #[derive(Clone, Copy, Record)]
    /// # #[repr(C)]
    /// # struct Sample { value: f64 }
    /// # let path = std::env::temp_dir().join(format!("ringlog-doc-copy-{}", std::process::id()));
    /// # let path = path.as_path();
    /// let log = Log::create::<Sample>(path)?;
    /// assert!(!log.may_be_mixed()); // whoever writes to it
    /// # Log::unlink(path)?;
    /// # Ok::<(), ringlog::Error>(())
    /// ```
    pub fn may_be_mixed(&self) -> bool {
        let header = self.segment.header();
        self.segment.is_copy()
            && (header.writer.state.load(Relaxed) == STATE_OPEN
                || self.segment.ring().newest() > header.write_ptr.load(Relaxed))
    }

    /// Makes a copy of it that is sound, also while a writer and readers are at work: a log of its own with
    /// the same columns, capacity and positions, that ends where this one did when it was begun. It has
    /// the readers' places, losses and outputs of that moment, no owner, and another [`id`](Log::id);
    /// its [`source_id`](Log::source_id) is this one's. It gets its name when it is whole.
    ///
    /// What the writer overwrites meanwhile is not in it: the copy begins later. The entry that a writer
    /// was killed in is not in it either.
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
    /// [`Error::Exists`] if the name is taken; [`Error::Io`] if there is no room for all of it, or the
    /// writer overwrites everything before it can be read; [`Error::NotALog`] if its entries
    /// [may be mixed](Log::may_be_mixed), for the copy would not tell; as [`observe`](Log::observe).
    pub fn copy_to(&self, name: impl Into<Name>) -> Result<Copied> {
        if self.may_be_mixed() {
            let why = "it is a copy that was made while a writer was attached, and any entry may be \
                       mixed of two; copy the log itself";
            return Err(Error::NotALog { log: self.name().to_string(), why: why.to_owned() });
        }
        copy::copy(&self.segment, &self.terms, &name.into())
    }

    /// The [`id`](Log::id) of the log that this one is a [copy](Log::copy_to) of.
    pub fn source_id(&self) -> Option<u128> {
        Some(self.segment.source_id).filter(|&id| id != 0)
    }

    /// The oldest position that it can still hold if it ends at `end`.
    pub fn oldest(&self, end: u64) -> u64 {
        self.segment.oldest(end)
    }

    /// The oldest position from which on it holds each entry whole, if it ends at `end`: of entries
    /// with bodies these may be gone sooner than the slots. Where few of them are too long for a slot, a
    /// guess.
    pub fn oldest_whole(&self, end: u64) -> u64 {
        self.segment.whole_from(self.segment.oldest(end), end, 0)
    }

    /// How many writers it has had: another number is another writer.
    pub fn epoch(&self) -> u64 {
        self.segment.header().writer.epoch.load(Relaxed)
    }

    /// Whether its name still stands for it.
    pub fn presence(&self) -> Presence {
        self.segment.presence()
    }

    /// Whether a living process holds the claim of `role`.
    ///
    /// # Errors
    /// As [`open`](Options::open), if the log has been deleted or replaced.
    pub fn is_claimed(&self, role: Role) -> Result<bool> {
        Ok(self.segment.claims(false)?.is_taken(role))
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        self.segment.name()
    }

    /// The columns of its entries.
    pub fn schema(&self) -> &Schema {
        &self.segment.schema
    }

    /// Its sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.segment.geometry
    }

    /// Random, and the same for as long as this log exists.
    pub fn id(&self) -> u128 {
        self.segment.log_id
    }

    /// When it was made, ns since the Unix epoch.
    pub fn created_ns(&self) -> u64 {
        self.segment.created_ns
    }
}
