//! The slots: their stamps, and the bytes after these.

use super::{Finding, LOOKS, Severity, Verifier};
use crate::layout::{HEADER_SIZE, WRITING};
use crate::ring::Placed;
use crate::schema::{Body, Kind};

impl Verifier<'_> {
    pub(super) fn slots(&mut self) {
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
                        self.holes += u64::from(self.segment.ring().hole(stamp, slot).is_some());
                        self.bytes(slot, offset + 8, stamp, held, bytemuck::cast_slice(&words));
                    }
                }
                break;
            }
        }
    }

    /// Checks whether a slot can have this stamp while the log ends from `before` to `after`
    /// (`None`: anywhere further). Returns the position of the entry that it holds; or the one that
    /// it should hold, and what is wrong.
    fn stamp(
        &self,
        slot: u64,
        stamp: u64,
        before: u64,
        after: Option<u64>,
    ) -> Result<Option<u64>, (Option<u64>, String)> {
        let capacity = self.segment.geometry.capacity();
        let oldest = self.segment.oldest(before);
        // The one position of this slot between the oldest and the end, or else the first that
        // comes into it.
        let due = oldest + (slot.wrapping_sub(oldest) & (capacity - 1));
        let is_due = due < before;
        let after = after.unwrap_or(u64::MAX);
        let bad = |what: String| {
            let missing = format!("; the entry at {due} is missing");
            let missing = if is_due { missing.as_str() } else { "" };
            Err((is_due.then_some(due), format!("{what}{missing}")))
        };
        if stamp == 0 {
            return if is_due { bad("nothing was ever written here".to_owned()) } else { Ok(None) };
        }
        if let Some(hole) = self.segment.ring().hole(stamp, slot) {
            // A hole of an earlier lap is of one that is longer than the ring.
            return match hole {
                _ if hole >= after => {
                    bad(format!("it says that {hole} was skipped, and the log ends at {after}"))
                }
                _ => Ok(None),
            };
        }
        let Some(holder) = self.segment.ring().holder(stamp, slot) else {
            return bad(format!("the stamp {stamp:#x} does not belong to this slot"));
        };
        let writing = stamp & WRITING != 0;
        match holder {
            _ if writing && holder < before => {
                bad(format!(
                    "the entry at {holder} is marked as begun, and the log ends at {before}"
                ))
            }
            _ if writing && holder > after => {
                bad(format!(
                    "the entry at {holder} is marked as begun, and the log ends at {after}"
                ))
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

    /// Checks the bytes after the stamp.
    fn bytes(&mut self, slot: u64, offset: u64, stamp: u64, held: Option<u64>, bytes: &[u8]) {
        let size = self.segment.geometry.entry_size();
        let mut findings = Vec::new();
        if let (Some(at), 0) = (bytes.iter().position(|&byte| byte != 0), stamp) {
            let what = format!("{:#04x} in a slot that was never written", bytes[at]);
            findings.push((Severity::Oddity, at, what));
        } else if let Some(at) = bytes[size..].iter().position(|&byte| byte != 0) {
            let what = format!(
                "{:#04x} after the record, where all bytes should be 0",
                bytes[size + at]
            );
            findings.push((Severity::Oddity, size + at, what));
        }
        if let Some((at, what)) = held.and_then(|held| self.body(held, bytes)) {
            findings.push((Severity::Damage, at, what));
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
                        (Severity::Oddity, text.len() + at, "bytes after the NUL".to_owned())
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

    /// Returns what is wrong with the body of the entry at `position`, and where in its record that
    /// stands.
    fn body(&self, position: u64, record: &[u8]) -> Option<(usize, String)> {
        let geometry = &self.segment.geometry;
        if geometry.arena_size() == 0 {
            return None;
        }
        let (ring, header) = (self.segment.ring(), self.segment.header());
        let (at, is_text) =
            (geometry.head(), self.segment.schema.body().is_some_and(|body| body.kind() == Body::Text));
        let is_wrong = |bytes: &[u8]| is_text && str::from_utf8(bytes).is_err();
        match geometry.placed_in(record) {
            Placed::Damaged => Some((at, "the head of the body is one that no writer stores".to_owned())),
            Placed::Inline(length) if is_wrong(&record[at + 8..at + 8 + length]) => {
                Some((at + 8, "the body is not UTF-8".to_owned()))
            }
            Placed::Inline(_) => None,
            Placed::Arena { place, length } => {
                // The writer has cleared what it stored to, and may have cleared more since.
                let cleared = self.segment.cleared();
                if place + length as u64 > cleared {
                    return Some((
                        at + 8,
                        format!(
                            "the body ends at {} of the arena, and only {cleared} of it was ever \
                             used",
                            place + length as u64
                        ),
                    ));
                }
                let is_known = position < self.segment.synced();
                let mut body = vec![0; if is_text && is_known { length } else { 0 }];
                let is_there = ring.copy_body(&header.horizon, place, &mut body);
                (is_there && is_wrong(&body)).then(|| (at + 8, "the body is not UTF-8".to_owned()))
            }
        }
    }
}
