//! A look at every word of a log: what is not as docs/format.md says, and where. Stores nothing,
//! and reports nothing false of a log in use.

mod header;
mod slots;

use crate::layout::{READERS, WRITING};
use crate::ring::Seen;
use crate::schema::{Column, Kind};
use crate::segment::Segment;
use crate::sync::Ordering::Acquire;
use std::fmt;
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
    /// The position whose entry the slot should hold now, if any.
    pub position: Option<u64>,
    /// What is there, and what should be.
    pub what: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Severity {
    /// Bytes that no writer or reader of this format stores, and that mislead no program.
    Oddity,
    /// An entry, a place or a count that a program would get wrong, or not at all.
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

/// What [`Log::verify`](crate::Log::verify) has checked, and how much it found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Verified {
    /// Slots of the log.
    pub slots: u64,
    /// The positions that the log should hold: from the oldest to the end, as of the end of the
    /// check.
    pub held: Range<u64>,
    /// Number of slots that hold a whole entry in its right place.
    pub entries: u64,
    /// Number of slots whose position the writer of a mirror skipped: a hole is no damage.
    pub holes: u64,
    /// The position that is being written, or was when the writer was killed.
    pub unfinished: Option<u64>,
    /// Number of findings that are damage.
    pub damage: u64,
    /// Number of findings that are oddities.
    pub oddities: u64,
}

/// Number of looks at words that keep changing, before they are left to the processes that use
/// them.
const LOOKS: u32 = 16;
/// Number of times the end of the log is determined anew: in a log with wrong stamps each of them
/// can take a look at every slot.
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
        holes: 0,
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
    /// The log has reached this position, or gone further.
    end: u64,
    /// A position, and a later one that its slot claims to hold though the log has not reached
    /// that.
    lie: Option<(u64, u64)>,
    asks: u32,
    /// Columns with values that no writer stores.
    checked: Vec<Column>,
    entries: u64,
    holes: u64,
    damage: u64,
    oddities: u64,
}

fn is_checked(column: &Column) -> bool {
    matches!(column.kind(), Kind::Text(_) | Kind::Bool)
}

impl Verifier<'_> {
    fn finding(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Damage => self.damage += 1,
            Severity::Oddity => self.oddities += 1,
        }
        (self.found)(finding);
    }

    /// Reports a finding in the header.
    fn header(&mut self, severity: Severity, offset: usize, what: String) {
        let offset = offset as u64;
        self.finding(Finding { severity, offset, slot: None, position: None, what });
    }

    fn word(&self, offset: usize) -> u64 {
        self.segment.header_words()[offset / 8].load(Acquire) // no look moves before an earlier one
    }

    /// Returns the words at `offsets` as they all were at one moment; `None` if they keep changing.
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

    /// Returns where the log ends, no later than when this was called; `None` if the writer is too
    /// fast to tell.
    fn end_by_now(&mut self) -> Option<u64> {
        let ring = self.segment.ring();
        let mut steps = ring.geometry().capacity();
        loop {
            let holder = match ring.look(self.end) {
                Seen::Entry | Seen::Hole if steps > 0 => {
                    (self.end, steps) = (self.end + 1, steps - 1);
                    continue;
                }
                Seen::Entry | Seen::Hole => return None,
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
                // If this slot had been passed, the log would have been further all the time.
                self.lie = Some((self.end, holder));
            }
        }
    }

    fn summary(mut self) -> Verified {
        let end = self.end_by_now().unwrap_or(self.end);
        let capacity = self.segment.geometry.capacity();
        let stamp = self.segment.ring().picture(end, &mut []);
        let unfinished = (stamp == Some(WRITING | end)).then_some(end);
        // The slot of the entry that is being written held the oldest.
        let free = unfinished.map_or(0, |end| (end + 1).saturating_sub(capacity));
        Verified {
            slots: capacity,
            held: self.segment.oldest(end).max(free)..end,
            entries: self.entries,
            holes: self.holes,
            unfinished,
            damage: self.damage,
            oddities: self.oddities,
        }
    }
}
