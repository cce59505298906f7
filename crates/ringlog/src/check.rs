//! What to check before a log is trusted: the type, owner and length of its file, and each word of
//! the header that others rely on.

use crate::error::{CHANGE, Error, Result, invalid};
use crate::layout::{
    DEFAULT_CAPACITY, Geometry, HEADER_SIZE, Header, MAGIC, MEMBERS_MAX, POSITION_LIMIT, READERS, SCHEMA_MAX, VERSION,
};
use crate::name::{Name, version_of};
use crate::schema::Schema;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sys::file::{self, Medium};
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Why a log is neither made nor opened there.
pub(crate) const ON_HUGETLBFS: &str = "it is on a hugetlbfs, where a header cannot be mapped by \
                                       itself; for huge pages use a tmpfs mounted with huge=advise";

/// What a writer does about a gate that is gone: some process was that reader, and no living
/// process is. (A gate that no process has been yet is waited for, and so is a stopped one.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Absent {
    /// The writer waits until that reader is there again: nothing is lost.
    #[default]
    Wait,
    /// The writer continues without that reader, which learns what it lost when it attaches again.
    Skip,
}

/// What a log is for: a log that is part of something larger says so from the moment it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Purpose {
    /// A log for itself.
    #[default]
    Log,
    /// The log of a service: the holder of its writer's claim serves calls.
    Service {
        /// How many lanes the service can have.
        lanes: u64,
    },
    /// A log that carries the requests, or the answers, of a service's clients.
    Lane,
    /// One log of a topic: each has a writer of its own, and readers read all of them.
    Topic {
        /// How many logs the topic can have.
        logs: u64,
    },
}

impl Purpose {
    /// Returns the words `role` and `members` of a header.
    pub(crate) const fn words(self) -> [u64; 2] {
        match self {
            Purpose::Log => [0, 0],
            Purpose::Service { lanes } => [1, lanes],
            Purpose::Lane => [2, 0],
            Purpose::Topic { logs } => [3, logs],
        }
    }

    /// Returns the purpose that these words say, or `None` if they say none.
    pub(crate) const fn of_words(words: [u64; 2]) -> Option<Purpose> {
        match words {
            [0, 0] => Some(Purpose::Log),
            [1, lanes @ 1..=MEMBERS_MAX] => Some(Purpose::Service { lanes }),
            [2, 0] => Some(Purpose::Lane),
            [3, logs @ 1..=MEMBERS_MAX] => Some(Purpose::Topic { logs }),
            _ => None,
        }
    }
}

/// The log that a new log has the positions of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// The id of that log.
    pub source: u128,
    /// The first position that the new log can have.
    pub begin: u64,
}

/// How to make a log, which owners to trust, and how to prepare the memory of a process that
/// attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terms {
    pub capacity: Option<u64>,
    /// Bytes of a body that a slot holds; `None`: the default, or what the log has.
    pub inline: Option<usize>,
    /// Bytes of the arena; `None`: the default, or what the log has.
    pub arena: Option<u64>,
    /// The readers that the writer waits for: bit `i` is reader `i`. `None`: none, or what the log
    /// has.
    pub gates: Option<u64>,
    pub absent: Option<Absent>,
    /// What a new log is for.
    pub purpose: Purpose,
    /// Of which log it has the positions, and from which one on.
    pub mirror: Option<Mirror>,
    pub mode: u32,
    pub owner: Option<u32>,
    /// `None`: the default for the kind of access.
    pub prefault: Option<bool>,
    pub lock: bool,
}

/// Checks the file's type, owner and least length.
pub(crate) fn check_file(name: &Name, file: &File, terms: &Terms) -> Result<std::fs::Metadata> {
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
    if file::medium_of(file) == Medium::HugePages {
        return Err(bad(ON_HUGETLBFS.to_owned()));
    }
    let trusted = [nix::unistd::geteuid().as_raw(), 0];
    if !trusted.contains(&meta.uid()) && terms.owner != Some(meta.uid()) {
        return Err(bad(format!(
            "it belongs to user {}, which is neither you nor root; if you trust that user, name it \
             as the owner",
            meta.uid()
        )));
    }
    // A log of an earlier format can be shorter than a header of this one, so its version comes
    // first.
    if let Some(found) = version_of(file).filter(|&found| found != VERSION) {
        return Err(Error::Version { log: name.to_string(), found });
    }
    if meta.len() < HEADER_SIZE as u64 {
        return Err(bad(format!("it has {} bytes, fewer than a header", meta.len())));
    }
    Ok(meta)
}

pub(crate) struct Checked {
    pub geometry: Geometry,
    /// Bit `i`: the writer waits for reader `i`.
    pub gates: u8,
    pub absent: Absent,
    pub purpose: Purpose,
    pub schema: Schema,
    pub log_id: u128,
    /// The id of the log that this one is a copy of; 0 if it is none.
    pub source_id: u128,
    /// The first position that ever existed in this log.
    pub base: u64,
    pub created_ns: u64,
}

/// Checks every word of the header that others rely on; loads each once.
pub(crate) fn check_header(name: &Name, header: &Header, file_size: u64) -> Result<Checked> {
    let log = || name.to_string();
    if header.magic.load(Acquire) != MAGIC {
        // with the Release in `create_with`
        let why = "it does not begin as a log does (no RINGLOG1 at 0x80)".to_owned();
        return Err(Error::NotALog { log: log(), why });
    }
    let found = header.version.load(Relaxed);
    if found != VERSION {
        return Err(Error::Version { log: log(), found }); // it changed since `check_file`
    }
    let [role, members] = [header.role.load(Relaxed), header.members.load(Relaxed)];
    let Some(purpose) = Purpose::of_words([role, members]) else {
        let why = format!(
            "this version of ringlog does not know its role {role:#x} (of {members}); use the \
             version that made it"
        );
        return Err(Error::NotALog { log: log(), why });
    };
    let fits = |why: String| Error::Geometry { log: log(), why };
    let capacity = header.capacity.load(Relaxed);
    let slot_size = header.slot_size.load(Relaxed);
    let entry_size = header.entry_size.load(Relaxed);
    let entry_size = usize::try_from(entry_size).unwrap_or(usize::MAX);
    let inline_size = usize::try_from(header.inline_size.load(Relaxed)).unwrap_or(usize::MAX);
    let arena_size = header.arena_size.load(Relaxed);
    let geometry = match (inline_size, arena_size) {
        (0, 0) => Geometry::new(capacity, entry_size),
        _ => Geometry::with_bodies(capacity, entry_size, inline_size, arena_size),
    };
    let geometry = geometry.map_err(|why| {
        let bodies = match (inline_size, arena_size) {
            (0, 0) => String::new(),
            _ => format!(", {inline_size} of them of a body, and an arena of {arena_size}"),
        };
        fits(format!("{capacity} slots for records of {entry_size} bytes{bodies}: {why}"))
    })?;
    if geometry.slot_size() as u64 != slot_size {
        return Err(fits(format!(
            "a record of {entry_size} bytes takes slots of {}, and the header says {slot_size}",
            geometry.slot_size()
        )));
    }
    check_size(name, &geometry, file_size)?;
    let (gates, absent) = (header.gates.load(Relaxed), header.absent.load(Relaxed));
    let gates = u8::try_from(gates).map_err(|_| {
        fits(format!(
            "its writer waits for the readers {gates:#x} (a bit each), and a log has {READERS}"
        ))
    })?;
    let absent = match absent {
        0 => Absent::Wait,
        1 => Absent::Skip,
        _ => return Err(fits(format!(
            "its policy for absent gates is {absent:#x}, which is neither 0 nor 1"
        ))),
    };
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
    let columns = if arena_size == 0 { entry_size } else { geometry.head() };
    let schema = Schema::from_text(&text, columns).map_err(|e| unreadable(e.to_string()))?;
    match schema.body() {
        Some(body) if arena_size == 0 => {
            return Err(fits(format!("`{}` is a body, and there is no arena", body.name())));
        }
        None if arena_size > 0 => {
            return Err(fits("it has an arena, and no column is a body".to_owned()));
        }
        _ => {}
    }
    let base = header.base.load(Relaxed);
    if base >= POSITION_LIMIT {
        return Err(fits(format!("it begins at {base:#x}, which is no position")));
    }
    let id = |[high, low]: &[AtomicU64; 2]| {
        u128::from(high.load(Relaxed)) << 64 | u128::from(low.load(Relaxed))
    };
    Ok(Checked {
        geometry,
        gates,
        absent,
        purpose,
        schema,
        log_id: id(&header.log_id),
        source_id: id(&header.source_id),
        base,
        created_ns: header.created_ns.load(Relaxed),
    })
}

/// Checks the length of the file: memory beyond its end does not exist.
pub(crate) fn check_size(name: &Name, geometry: &Geometry, file_size: u64) -> Result<()> {
    let (capacity, slot_size, size) =
        (geometry.capacity(), geometry.slot_size(), geometry.file_size());
    if size == file_size {
        return Ok(());
    }
    let arena = match geometry.arena_size() {
        0 => String::new(),
        arena => format!(", with an arena of {arena},"),
    };
    let why = format!(
        "{capacity} slots of {slot_size} bytes{arena} make {size} bytes, and the file has {file_size}"
    );
    Err(Error::Geometry { log: name.to_string(), why })
}

/// Bytes of the arena by default: small enough for the shared memory of a container.
const DEFAULT_ARENA: u64 = 8 << 20;
/// Bytes of a slot by default, if that leaves at least `LEAST_INLINE` bytes for the body.
const DEFAULT_SLOT: usize = 128;
const LEAST_INLINE: usize = 40;

impl Terms {
    /// Returns the sizes of a new log with these columns.
    pub fn geometry_to_make(&self, name: &Name, schema: &Schema) -> Result<Geometry> {
        let (capacity, columns) = (self.capacity.unwrap_or(DEFAULT_CAPACITY), schema.entry_size());
        let geometry = if schema.body().is_none() {
            if self.inline.is_some() || self.arena.is_some() {
                return Err(invalid!(
                    "{name}: an arena, and bytes of a body in a slot, need a column that is a \
                     body, and there is none; leave them out"
                ));
            }
            Geometry::new(capacity, columns)
        } else {
            let fixed = columns + 16; // with the stamp and the head
            let slot = (fixed + LEAST_INLINE).next_power_of_two().max(DEFAULT_SLOT);
            let inline = self.inline.unwrap_or(slot - fixed);
            let arena = self.arena.unwrap_or(DEFAULT_ARENA);
            Geometry::with_bodies(capacity, (columns + 8).saturating_add(inline), inline, arena)
        };
        geometry.map_err(|why| invalid!("{name}: capacity {capacity}: {why}"))
    }

    /// Refuses a log of other sizes than were asked for.
    pub fn check_geometry(&self, name: &Name, geometry: &Geometry) -> Result<()> {
        for (asked, is, what) in [
            (self.capacity, geometry.capacity(), "slots"),
            (self.arena, geometry.arena_size(), "bytes of arena"),
            (
                self.inline.map(|inline| inline as u64),
                geometry.inline_size() as u64,
                "bytes of a body in a slot",
            ),
        ] {
            if let Some(asked) = asked.filter(|&asked| asked != is) {
                let why = format!(
                    "it has {is} {what}, and {asked} were asked for; leave that out to use the log \
                     as it is; {CHANGE}"
                );
                return Err(Error::Geometry { log: name.to_string(), why });
            }
        }
        Ok(())
    }

    /// Returns the words that say what a new log is for.
    pub fn purpose_to_make(&self, name: &Name) -> Result<[u64; 2]> {
        let words = self.purpose.words();
        match Purpose::of_words(words) {
            Some(_) => Ok(words),
            None => Err(invalid!(
                "{name}: cannot be one of {} lanes or logs: a service has 1 to {MEMBERS_MAX} \
                 lanes, a topic 1 to {MEMBERS_MAX} logs",
                words[1]
            )),
        }
    }

    /// Returns the id of the log that a new log mirrors, 0 if it mirrors none, and where it begins.
    pub fn mirror_to_make(&self, name: &Name) -> Result<(u128, u64)> {
        match self.mirror {
            None => Ok((0, 0)),
            Some(Mirror { source: 0, .. }) => {
                Err(invalid!("{name}: it cannot mirror the log 0: no log has this id"))
            }
            Some(Mirror { begin, .. }) if begin >= POSITION_LIMIT => {
                Err(invalid!("{name}: it cannot begin at {begin}: positions stay below 2^62"))
            }
            Some(_) if self.gates.is_some_and(|gates| gates != 0) => Err(invalid!(
                "{name}: a mirror can have holes, which its readers lose, and a lossless log cannot; \
                 leave out what its writer waits for"
            )),
            Some(Mirror { source, begin }) => Ok((source, begin)),
        }
    }

    /// Refuses a log that does not mirror the log that was asked for.
    pub fn check_mirror(&self, name: &Name, source: u128) -> Result<()> {
        let Some(asked) = self.mirror.map(|mirror| mirror.source).filter(|&asked| asked != source)
        else {
            return Ok(());
        };
        let is = match source {
            0 => "it mirrors no log".to_owned(),
            source => format!("it mirrors the log {source:032x}"),
        };
        let why = format!("{is}, and a mirror of {asked:032x} was asked for");
        Err(Error::Source { log: name.to_string(), why })
    }

    /// Returns the gates of a new log, and what its writer does when one is gone.
    pub fn gates_to_make(&self, name: &Name) -> Result<(u8, Absent)> {
        let gates = self.gates.unwrap_or(0);
        let gates = u8::try_from(gates)
            .map_err(|_| invalid!("{name}: cannot wait for {}: readers are 0 to 7", readers(gates)))?;
        match self.absent {
            Some(_) if gates == 0 => Err(invalid!(
                "{name}: a policy for absent readers needs readers that the writer waits for; name \
                 one, or leave the policy out"
            )),
            absent => Ok((gates, absent.unwrap_or_default())),
        }
    }

    /// Refuses a log with other gates than were asked for.
    pub fn check_gates(&self, name: &Name, gates: u8, absent: Absent) -> Result<()> {
        let other = |is: String, asked: String| Error::Gates {
            log: name.to_string(),
            why: format!(
                "its writer {is}, and {asked} asked for; leave that out to use the log as it is; \
                 {CHANGE}"
            ),
        };
        if let Some(asked) = self.gates.filter(|&asked| asked != u64::from(gates)) {
            let waits = |gates| match gates {
                0 => "waits for no reader".to_owned(),
                gates => format!("waits for {}", readers(gates)),
            };
            let asked = format!("one that {} was", waits(asked));
            return Err(other(waits(gates.into()), asked));
        }
        let goes = |absent| match absent {
            Absent::Wait => "waits for a reader that is gone",
            Absent::Skip => "does not wait for a reader that is gone",
        };
        match self.absent.filter(|&asked| asked != absent) {
            Some(asked) => Err(other(goes(absent).to_owned(), format!("one that {} was", goes(asked)))),
            None => Ok(()),
        }
    }
}

/// Returns `reader 0`, or `readers 0 and 2`, from a bit for each.
pub(crate) fn readers(gates: u64) -> String {
    let ids: Vec<_> =
        (0..u64::BITS).filter(|id| gates & (1 << id) != 0).map(|id| id.to_string()).collect();
    match &ids[..] {
        [] => "no reader".to_owned(),
        [one] => format!("reader {one}"),
        [first @ .., last] => format!("readers {} and {last}", first.join(", ")),
    }
}
