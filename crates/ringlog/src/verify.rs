//! A look at every word of a log: what is not as docs/format.md says, and where. Stores nothing, and
//! says nothing false of a log that goes on meanwhile.

use crate::error::Result;
use crate::layout::{
    CheckpointLine, HEADER_SIZE, Header, MAGIC, OutputLine, POSITION_LIMIT, READERS, ReaderLine,
    STATE_OPEN, VERSION, WRITING, WriterLine,
};
use crate::ring::Seen;
use crate::schema::{Column, Kind};
use crate::segment::Segment;
use crate::sync::Ordering::Acquire;
use std::fmt;
use std::mem::offset_of;
use std::ops::Range;

/// Something in a log that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, in bytes from the beginning of the file.
    pub offset: u64,
    /// In which slot, if it is in one.
    pub slot: Option<u64>,
    /// The position that the slot is there for by now, if any.
    pub position: Option<u64>,
    /// What is there, and what should be.
    pub what: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Severity {
    /// Bytes that no writer or reader of this format stores, and that mislead nobody.
    Oddity,
    /// An entry, a place or a count that somebody is given wrong, or not at all.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Oddity => "oddity",
            Severity::Damage => "damage",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#06x}", self.severity, self.offset)?;
        if let Some(slot) = self.slot {
            write!(f, ", slot {slot}")?;
        }
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What [`Log::verify`](crate::Log::verify) has looked at, and how many findings there were.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Verified {
    /// Slots of the log.
    pub slots: u64,
    /// The positions that the log should hold: from the oldest to its end, as it was at last.
    pub held: Range<u64>,
    /// Slots that were found to hold an entry, whole and where it belongs.
    pub entries: u64,
    /// The position that is being written, or was when the writer was killed.
    pub unfinished: Option<u64>,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that are not.
    pub oddities: u64,
}

/// How often to look again at what changed under the look, before leaving it to the living.
const LOOKS: u32 = 16;
/// How often the end of the log is determined anew: each time can take a look at every slot, of a
/// log that lies.
const ASKS: u32 = 1000;

pub(crate) fn verify(segment: &Segment, found: &mut dyn FnMut(Finding)) -> Verified {
    let end = segment.end();
    let mut verifier = Verifier {
        segment,
        found,
        end,
        lie: None,
        asks: ASKS,
        checked: segment.schema.columns().iter().filter(|c| is_checked(c)).cloned().collect(),
        entries: 0,
        damage: 0,
        oddities: 0,
    };
    verifier.creator();
    verifier.reserved();
    verifier.writer();
    (0..READERS).for_each(|id| verifier.reader(id));
    verifier.slots();
    verifier.summary()
}

struct Verifier<'a> {
    segment: &'a Segment,
    found: &'a mut dyn FnMut(Finding),
    /// The log has come so far, or further.
    end: u64,
    /// A position, and one that its slot claims to hold though the log has not come so far.
    lie: Option<(u64, u64)>,
    asks: u32,
    /// Columns that have values no writer stores.
    checked: Vec<Column>,
    entries: u64,
    damage: u64,
    oddities: u64,
}

fn is_checked(column: &Column) -> bool {
    matches!(column.kind(), Kind::Text(_) | Kind::Bool)
}

/// Offsets that no field has.
const RESERVED: [Range<usize>; 4] = [
    offset_of!(Header, read_ptrs) + 8 * READERS..offset_of!(Header, magic),
    offset_of!(Header, schema_len) + 8..offset_of!(Header, writer),
    offset_of!(Header, writer) + offset_of!(WriterLine, heartbeat_ns) + 8
        ..offset_of!(Header, sleepers),
    offset_of!(Header, sleepers) + 8..offset_of!(Header, readers),
];

impl Verifier<'_> {
    fn finding(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Damage => self.damage += 1,
            Severity::Oddity => self.oddities += 1,
        }
        (self.found)(finding);
    }

    /// A finding in the header.
    fn header(&mut self, severity: Severity, offset: usize, what: String) {
        let offset = offset as u64;
        self.finding(Finding { severity, offset, slot: None, position: None, what });
    }

    fn word(&self, offset: usize) -> u64 {
        self.segment.header_words()[offset / 8].load(Acquire) // no look moves before an earlier one
    }

    /// The words of `offsets`, as they all were at one moment; `None` if they never stand still.
    fn words(&self, offsets: impl Iterator<Item = usize> + Clone) -> Option<Vec<u64>> {
        let look = || offsets.clone().map(|offset| self.word(offset)).collect::<Vec<u64>>();
        let mut before = look();
        for _ in 0..LOOKS {
            let again = look();
            if again == before {
                return Some(again);
            }
            before = again;
        }
        None
    }

    /// Where the log ends by now, and no later than it did when this was asked; `None` if the
    /// writer is too fast to tell.
    fn end_by_now(&mut self) -> Option<u64> {
        let ring = self.segment.ring();
        let mut steps = ring.geometry.capacity();
        loop {
            let holder = match ring.look(self.end) {
                Seen::Entry if steps > 0 => {
                    (self.end, steps) = (self.end + 1, steps - 1);
                    continue;
                }
                Seen::Entry => return None,
                Seen::Empty | Seen::Damaged => return Some(self.end), // the writer is not here yet
                Seen::Passed(holder) => holder,
            };
            if self.lie == Some((self.end, holder)) {
                return Some(self.end);
            }
            self.asks = self.asks.checked_sub(1)?;
            let asked = self.segment.end();
            if asked > self.end {
                self.end = asked; // more than a lap further
            } else if ring.look(self.end) == Seen::Passed(holder) {
                // Had this slot been passed, the log would have been further all the while.
                self.lie = Some((self.end, holder));
            }
        }
    }

    /// What the log was opened by.
    fn creator(&mut self) {
        let geometry = self.segment.geometry;
        let text = self.segment.schema.to_text();
        let [high, low] = [(self.segment.log_id >> 64) as u64, self.segment.log_id as u64];
        for (offset, name, opened) in [
            (offset_of!(Header, magic), "magic", MAGIC),
            (offset_of!(Header, version), "version", VERSION),
            (offset_of!(Header, capacity), "capacity", geometry.capacity()),
            (offset_of!(Header, slot_size), "slot_size", geometry.slot_size() as u64),
            (offset_of!(Header, entry_size), "entry_size", geometry.entry_size() as u64),
            (offset_of!(Header, log_id), "log_id", high),
            (offset_of!(Header, log_id) + 8, "log_id", low),
            (offset_of!(Header, created_ns), "created_ns", self.segment.created_ns),
            (offset_of!(Header, schema_len), "schema_len", text.len() as u64),
        ] {
            let now = self.word(offset);
            if now != opened {
                let what = format!("{name} is {now:#x} by now, and was {opened:#x} at opening");
                self.header(Severity::Damage, offset, what);
            }
        }
        self.time(offset_of!(Header, created_ns), "created_ns");

        let schema = offset_of!(Header, schema);
        let words = (schema..HEADER_SIZE).step_by(8).map(|offset| self.word(offset).to_le_bytes());
        let bytes: Vec<u8> = words.flatten().collect();
        let (now, rest) = bytes.split_at(text.len());
        if let Some(at) = now.iter().zip(text.as_bytes()).position(|(now, then)| now != then) {
            let what = "the schema text is another by now than at opening".to_owned();
            self.header(Severity::Damage, schema + at, what);
        }
        if let Some(at) = rest.iter().position(|&byte| byte != 0) {
            let what = format!("{:#04x} behind the schema text, where zeros are", rest[at]);
            self.header(Severity::Oddity, schema + text.len() + at, what);
        }
    }

    /// Words that are zero.
    fn reserved(&mut self) {
        for offset in RESERVED.into_iter().flat_map(|range| range.step_by(8)) {
            let word = self.word(offset);
            if word != 0 {
                let what = format!("{word:#x} in a word that is zero");
                self.header(Severity::Oddity, offset, what);
            }
        }
    }

    /// A time, for people.
    fn time(&mut self, offset: usize, name: &str) {
        let ns = self.word(offset);
        if i64::try_from(ns).is_err() {
            let what = format!("{name} is {ns:#x}, which is no time");
            self.header(Severity::Oddity, offset, what);
        }
    }

    /// A process id, for people.
    fn pid(&mut self, offset: usize) {
        let pid = self.word(offset);
        if i32::try_from(pid).is_err() {
            self.header(Severity::Oddity, offset, format!("pid is {pid}, which is no process id"));
        }
    }

    fn writer(&mut self) {
        let before = self.end;
        let line = offset_of!(Header, writer);
        let boot = line + offset_of!(WriterLine, boot_id);
        let ours = [self.word(boot), self.word(boot + 8)] == self.segment.boot();
        let pointer = self.word(offset_of!(Header, write_ptr)); // behind the boot, as it is stored
        let end = self.end_by_now();
        // A batch moves the pointer once for half a ring.
        let behind = pointer.saturating_add(self.segment.geometry.capacity() / 2);
        let what = match end {
            _ if pointer >= POSITION_LIMIT => Some("which is no position".to_owned()),
            Some(end) if pointer > end => Some(format!("and the entries end at {end}")),
            // Of another boot it is but a hint.
            _ if behind < before && ours => Some(format!("and there are entries up to {before}")),
            _ => None,
        };
        if let Some(what) = what {
            let what = format!("the write pointer is {pointer}, {what}");
            self.header(Severity::Damage, offset_of!(Header, write_ptr), what);
        }
        let state = line + offset_of!(WriterLine, state);
        let word = self.word(state);
        if word > STATE_OPEN {
            let what = format!("the writer's state is {word:#x}, which is neither open nor closed");
            self.header(Severity::Oddity, state, what);
        }
        let epoch = line + offset_of!(WriterLine, epoch);
        if before > 0 && self.word(epoch) == 0 {
            let what = format!("there have been no writers, and there are entries up to {before}");
            self.header(Severity::Oddity, epoch, what);
        }
        self.time(line + offset_of!(WriterLine, attached_ns), "attached_ns");
        self.time(line + offset_of!(WriterLine, heartbeat_ns), "heartbeat_ns");
        self.pid(line + offset_of!(WriterLine, pid));
    }

    fn reader(&mut self, id: usize) {
        let pointer_at = offset_of!(Header, read_ptrs) + 8 * id;
        let line = offset_of!(Header, readers) + id * size_of::<ReaderLine>();
        let fields = (line..line + size_of::<ReaderLine>()).step_by(8);
        let Some(words) = self.words(std::iter::once(pointer_at).chain(fields)) else { return };
        let end = self.end_by_now(); // after the reader, who cannot be ahead of it
        let beyond = |position: u64| match end {
            _ if position >= POSITION_LIMIT => Some("which is no position".to_owned()),
            Some(end) if position > end => Some(format!("and the log ends at {end}")),
            _ => None,
        };
        let (pointer, words) = (words[0], &words[1..]);
        let at = |offset: usize| words[offset / 8];
        let mut findings = Vec::new();
        let mut damage = |offset, what| findings.push((Severity::Damage, offset, what));

        let checkpoints = [0, 1]
            .map(|which| offset_of!(ReaderLine, checkpoints) + which * size_of::<CheckpointLine>());
        let counts = checkpoints.into_iter().find(|&checkpoint| at(checkpoint) == pointer);
        let foreign = || {
            let [a, b] = checkpoints.map(|checkpoint| match at(checkpoint) {
                u64::MAX => "none".to_owned(),
                position => position.to_string(),
            });
            format!("and its checkpoints are of {a} and {b}")
        };
        if let Some(why) = beyond(pointer).or_else(|| counts.is_none().then(foreign)) {
            damage(pointer_at, format!("the read pointer of reader {id} is {pointer}, {why}"));
        }
        if let Some(counts) = counts {
            let lost_at = counts + offset_of!(CheckpointLine, lost);
            let laps_at = counts + offset_of!(CheckpointLine, laps);
            let mark_at = counts + offset_of!(CheckpointLine, mark);
            let (lost, laps, mark) = (at(lost_at), at(laps_at), at(mark_at));
            // More than positions is no damage: who goes back may lose the same ones again.
            if lost >= POSITION_LIMIT || lost > 0 && laps == 0 {
                damage(
                    line + lost_at,
                    format!("reader {id} has lost {lost} entries, {laps} times"),
                );
            } else if laps >= POSITION_LIMIT {
                damage(
                    line + laps_at,
                    format!("reader {id} has lost {lost} entries, {laps} times"),
                );
            }
            if i64::try_from(mark).is_err() {
                damage(line + mark_at, format!("the output of reader {id} has {mark} bytes"));
            }
        }
        let output = offset_of!(ReaderLine, output);
        if at(output + offset_of!(OutputLine, file)) != 0 {
            let (begin_at, lost_at) =
                (output + offset_of!(OutputLine, begin), output + offset_of!(OutputLine, lost));
            let (begin, lost) = (at(begin_at), at(lost_at));
            if let Some(why) = beyond(begin) {
                damage(
                    line + begin_at,
                    format!("the output of reader {id} begins at {begin}, {why}"),
                );
            }
            if lost >= POSITION_LIMIT {
                damage(
                    line + lost_at,
                    format!("reader {id} lost {lost} entries before its output"),
                );
            }
        }
        if at(offset_of!(ReaderLine, attached_ns)) == 0 {
            // But the process id, which is stored before.
            let stored = (8..size_of::<ReaderLine>()).step_by(8).find(|&offset| at(offset) != 0);
            if let Some(offset) = stored {
                let what = format!("{:#x}, though nobody has been reader {id}", at(offset));
                findings.push((Severity::Oddity, line + offset, what));
            }
        }
        for (severity, offset, what) in findings {
            self.header(severity, offset, what);
        }
        self.time(line + offset_of!(ReaderLine, attached_ns), "attached_ns");
        self.time(line + offset_of!(ReaderLine, commit_ns), "commit_ns");
        self.pid(line + offset_of!(ReaderLine, pid));
    }

    fn slots(&mut self) {
        let slot_size = self.segment.geometry.slot_size();
        let mut words = vec![0; slot_size / 8 - 1];
        for slot in 0..self.segment.geometry.capacity() {
            for _ in 0..LOOKS {
                let before = self.end;
                let Some(stamp) = self.segment.ring().picture(slot, &mut words) else { continue };
                let mut judged = self.stamp(slot, stamp, before, Some(before));
                if judged.is_err() {
                    let after = self.end_by_now();
                    judged = self.stamp(slot, stamp, before, after);
                }
                let offset = HEADER_SIZE as u64 + slot * slot_size as u64;
                match judged {
                    Err((position, what)) => {
                        let (severity, slot) = (Severity::Damage, Some(slot));
                        self.finding(Finding { severity, offset, slot, position, what });
                    }
                    Ok(held) => {
                        self.entries += u64::from(held.is_some());
                        self.bytes(slot, offset + 8, stamp, held, bytemuck::cast_slice(&words));
                    }
                }
                break;
            }
        }
    }

    /// Whether a slot can have this stamp while the log ends somewhere from `before` to `after`
    /// (`None`: anywhere further): the position of the entry that it holds, or the one that it
    /// should hold, and what is the matter.
    fn stamp(
        &self,
        slot: u64,
        stamp: u64,
        before: u64,
        after: Option<u64>,
    ) -> Result<Option<u64>, (Option<u64>, String)> {
        let capacity = self.segment.geometry.capacity();
        let oldest = before.saturating_sub(capacity);
        // The one position of this slot from the oldest to the end, or the first that it will have.
        let due = oldest + (slot.wrapping_sub(oldest) & (capacity - 1));
        let is_due = due < before;
        let after = after.unwrap_or(u64::MAX);
        let bad = |what: String| {
            let missing = format!("; the entry at {due} is not there");
            let missing = if is_due { missing.as_str() } else { "" };
            Err((is_due.then_some(due), format!("{what}{missing}")))
        };
        if stamp == 0 {
            return if is_due { bad("nothing was ever written here".to_owned()) } else { Ok(None) };
        }
        let Some(holder) = self.segment.ring().holder(stamp, slot) else {
            return bad(format!("the stamp {stamp:#x} is none of this slot"));
        };
        let writing = stamp & WRITING != 0;
        match holder {
            _ if writing && holder < before => {
                bad(format!("the entry at {holder} was begun, and the log ends at {before}"))
            }
            _ if writing && holder > after => {
                bad(format!("the entry at {holder} has begun, and the log ends at {after}"))
            }
            _ if writing => Ok(None),
            _ if holder < oldest => {
                bad(format!("it holds the entry at {holder}, of an earlier lap"))
            }
            _ if holder >= after => {
                bad(format!("it holds an entry at {holder}, and the log ends at {after}"))
            }
            _ => Ok(Some(holder)),
        }
    }

    /// What is behind the stamp.
    fn bytes(&mut self, slot: u64, offset: u64, stamp: u64, held: Option<u64>, bytes: &[u8]) {
        let size = self.segment.geometry.entry_size();
        let mut findings = Vec::new();
        if let (Some(at), 0) = (bytes.iter().position(|&byte| byte != 0), stamp) {
            let what = format!("{:#04x} in a slot that was never written", bytes[at]);
            findings.push((Severity::Oddity, at, what));
        } else if let Some(at) = bytes[size..].iter().position(|&byte| byte != 0) {
            let what = format!("{:#04x} behind the record, where zeros are", bytes[size + at]);
            findings.push((Severity::Oddity, size + at, what));
        }
        for column in self.checked.iter().filter(|_| held.is_some()) {
            let (name, value) = (column.name(), column.bytes(bytes));
            let (severity, at, what) = match column.kind() {
                Kind::Bool if value[0] > 1 => {
                    let what = format!("{:#04x}, which is neither 0 nor 1", value[0]);
                    (Severity::Oddity, 0, what)
                }
                Kind::Text(_) => {
                    let text = crate::schema::until_nul(value);
                    if let Err(e) = str::from_utf8(text) {
                        (Severity::Damage, e.valid_up_to(), "not UTF-8".to_owned())
                    } else if let Some(at) = value[text.len()..].iter().position(|&b| b != 0) {
                        (Severity::Oddity, text.len() + at, "bytes behind the NUL".to_owned())
                    } else {
                        continue;
                    }
                }
                _ => continue,
            };
            findings.push((severity, column.offset() + at, format!("column {name}: {what}")));
        }
        for (severity, at, what) in findings {
            let offset = offset + at as u64;
            self.finding(Finding { severity, offset, slot: Some(slot), position: held, what });
        }
    }

    fn summary(mut self) -> Verified {
        let end = self.end_by_now().unwrap_or(self.end);
        let capacity = self.segment.geometry.capacity();
        let stamp = self.segment.ring().picture(end, &mut []);
        let unfinished = (stamp == Some(WRITING | end)).then_some(end);
        let overwriting = unfinished.is_some() && end >= capacity;
        Verified {
            slots: capacity,
            held: end.saturating_sub(capacity) + u64::from(overwriting)..end,
            entries: self.entries,
            unfinished,
            damage: self.damage,
            oddities: self.oddities,
        }
    }
}
