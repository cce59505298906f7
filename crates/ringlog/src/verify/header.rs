//! The words of the header.

use super::{Severity, Verifier};
use crate::check::Absent;
use crate::layout::{
    CallLine, CheckpointLine, Header, MAGIC, OutputLine, PATH_MAX, POSITION_LIMIT,
    READERS, ReaderLine, ReaderNotes, SCHEMA_MAX, STATE_OPEN, VERSION, WriterLine,
};
use crate::ring::Seen;
use std::mem::offset_of;
use std::ops::Range;

/// Offsets that no field has.
const RESERVED: [Range<usize>; 6] = [
    offset_of!(Header, write_ptr) + 8..offset_of!(Header, read_ptrs),
    offset_of!(Header, source_id) + 16..offset_of!(Header, writer),
    offset_of!(Header, writer) + offset_of!(WriterLine, waiting_since_ns) + 8
        ..offset_of!(Header, sleepers),
    offset_of!(Header, sleepers) + 8..offset_of!(Header, room),
    offset_of!(Header, room) + 8..offset_of!(Header, horizon),
    offset_of!(Header, horizon) + 8..offset_of!(Header, readers),
];

impl Verifier<'_> {
    /// Checks that the words that the log was opened by are as they were then.
    pub(super) fn creator(&mut self) {
        let geometry = self.segment.geometry;
        let text = self.segment.schema.to_text();
        let halves = |id: u128| [(id >> 64) as u64, id as u64];
        let ([high, low], [source_high, source_low]) =
            (halves(self.segment.log_id), halves(self.segment.source_id));
        let [role, members] = self.segment.purpose.words();
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
            (offset_of!(Header, arena_size), "arena_size", geometry.arena_size()),
            (offset_of!(Header, inline_size), "inline_size", geometry.inline_size() as u64),
            (offset_of!(Header, gates), "gates", self.segment.gates.into()),
            (offset_of!(Header, absent), "absent", (self.segment.absent == Absent::Skip).into()),
            (offset_of!(Header, role), "role", role),
            (offset_of!(Header, members), "members", members),
            (offset_of!(Header, base), "base", self.segment.base()),
            (offset_of!(Header, source_id), "source_id", source_high),
            (offset_of!(Header, source_id) + 8, "source_id", source_low),
        ] {
            let now = self.word(offset);
            if now != opened {
                let what = format!("{name} is {now:#x} now, and was {opened:#x} at opening");
                self.header(Severity::Damage, offset, what);
            }
        }
        self.time(offset_of!(Header, created_ns), "created_ns");
        // These words mean nothing in such a log.
        if self.segment.gates == 0 {
            self.zero(offset_of!(Header, absent), "absent", "its writer waits for no reader");
        }
        if geometry.arena_size() == 0 {
            self.zero(offset_of!(Header, horizon), "horizon", "it has no arena");
        }

        let schema = offset_of!(Header, schema);
        let words = (schema..schema + SCHEMA_MAX).step_by(8).map(|offset| self.word(offset).to_le_bytes());
        let bytes: Vec<u8> = words.flatten().collect();
        let (now, rest) = bytes.split_at(text.len());
        if let Some(at) = now.iter().zip(text.as_bytes()).position(|(now, then)| now != then) {
            let what = "the schema text has changed since opening".to_owned();
            self.header(Severity::Damage, schema + at, what);
        }
        if let Some(at) = rest.iter().position(|&byte| byte != 0) {
            let what = format!(
                "{:#04x} after the schema text, where all bytes should be 0",
                rest[at]
            );
            self.header(Severity::Oddity, schema + text.len() + at, what);
        }
    }

    /// Checks that reserved words are zero.
    pub(super) fn reserved(&mut self) {
        for offset in RESERVED.into_iter().flat_map(|range| range.step_by(8)) {
            let word = self.word(offset);
            if word != 0 {
                let what = format!("{word:#x} in a word that should be 0");
                self.header(Severity::Oddity, offset, what);
            }
        }
    }

    /// Checks that a word is 0, as it is in such a log.
    fn zero(&mut self, offset: usize, name: &str, why: &str) {
        let word = self.word(offset);
        if word != 0 {
            self.header(Severity::Oddity, offset, format!("{name} is {word:#x}, and {why}"));
        }
    }

    /// Checks a time; it is for people.
    fn time(&mut self, offset: usize, name: &str) {
        let ns = self.word(offset);
        if i64::try_from(ns).is_err() {
            let what = format!("{name} is {ns:#x}, which is no time");
            self.header(Severity::Oddity, offset, what);
        }
    }

    /// Checks a process id; it is for people.
    fn pid(&mut self, offset: usize) {
        let pid = self.word(offset);
        if i32::try_from(pid).is_err() {
            self.header(Severity::Oddity, offset, format!("pid is {pid}, which is no process id"));
        }
    }

    pub(super) fn writer(&mut self) {
        let before = self.end;
        let line = offset_of!(Header, writer);
        let ours = self.is_of_this_boot();
        let pointer = self.word(offset_of!(Header, write_ptr)); // after the boot, as it is stored
        let end = self.end_by_now();
        // A batch moves the pointer once for half a ring.
        let behind = pointer.saturating_add(self.segment.geometry.capacity() / 2);
        let what = match end {
            _ if pointer >= POSITION_LIMIT => Some("which is no position".to_owned()),
            // A writer that was killed in a hole may have jumped on, and stored no more.
            Some(end) if pointer > end && !self.ends_in_a_hole(end) => {
                Some(format!("and the entries end at {end}"))
            }
            // A pointer of another boot is only a hint.
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
        if before > self.segment.base() && self.word(epoch) == 0 {
            let what = format!("the number of writers is 0, and there are entries up to {before}");
            self.header(Severity::Oddity, epoch, what);
        }
        let synced = line + offset_of!(WriterLine, synced);
        let word = self.word(synced);
        if word > before && self.end_by_now().is_some_and(|end| word > end) {
            let what = format!(
                "all below {word} is said to be on the disk, and there are entries up to {before}"
            );
            self.header(Severity::Damage, synced, what);
        }
        let waiting_for = line + offset_of!(WriterLine, waiting_for);
        let word = self.word(waiting_for);
        let is_gate = |reader: u64| reader < READERS as u64 && self.segment.gates & (1 << reader) != 0;
        if word != 0 && !is_gate(word - 1) {
            let what = format!("the writer waits for reader {}, which is no gate", word - 1);
            self.header(Severity::Oddity, waiting_for, what);
        }
        self.time(line + offset_of!(WriterLine, waiting_since_ns), "waiting_since_ns");
        self.time(line + offset_of!(WriterLine, attached_ns), "attached_ns");
        self.time(line + offset_of!(WriterLine, heartbeat_ns), "heartbeat_ns");
        self.pid(line + offset_of!(WriterLine, pid));
    }

    /// Returns whether the position before `end` was skipped.
    fn ends_in_a_hole(&self, end: u64) -> bool {
        end > 0 && self.segment.ring().look(end - 1) == Seen::Hole
    }

    pub(super) fn reader(&mut self, id: usize) {
        let before = self.end; // whatever the writer does meanwhile, this was there
        let pointer_at = offset_of!(Header, read_ptrs) + 8 * id;
        let line = offset_of!(Header, readers) + id * size_of::<ReaderLine>();
        let fields = (line..line + size_of::<ReaderLine>()).step_by(8);
        let Some(words) = self.words(std::iter::once(pointer_at).chain(fields)) else { return };
        let end = self.end_by_now(); // after the reader, which cannot be ahead of it
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
            // Losing more than there are positions is no damage: a reader that goes back may lose
            // them again.
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
        let skipped_at = output + offset_of!(OutputLine, skipped_to);
        if let Some(why) = beyond(at(skipped_at)) {
            damage(
                line + skipped_at,
                format!("reader {id} has skipped to {} in its output, {why}", at(skipped_at)),
            );
        }
        let skipped_lost_at = output + offset_of!(OutputLine, skipped_lost);
        if at(skipped_lost_at) >= POSITION_LIMIT {
            damage(
                line + skipped_lost_at,
                format!(
                    "reader {id} lost {} entries before it skipped in its output",
                    at(skipped_lost_at)
                ),
            );
        }
        let finishing_at = output + offset_of!(OutputLine, finishing);
        if at(finishing_at) > 1 {
            damage(
                line + finishing_at,
                format!(
                    "the output of reader {id} is finished by {:#x}, which is neither 0 nor 1",
                    at(finishing_at)
                ),
            );
        }
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
        let peak = at(offset_of!(ReaderLine, peak_position)).max(pointer);
        let is_gate = self.segment.gates & (1 << id) != 0 && at(offset_of!(ReaderLine, waived)) == 0;
        if is_gate && self.segment.absent == Absent::Wait && self.is_beyond_the_room(peak, before) {
            damage(
                pointer_at,
                format!(
                    "the writer is at {} and waits for reader {id}, which has committed up to \
                     {peak}: they are more than {} slots apart",
                    before,
                    self.segment.geometry.capacity()
                ),
            );
        }
        let mut odd = |offset: usize, what| findings.push((Severity::Oddity, line + offset, what));
        for (offset, name) in
            [(offset_of!(ReaderLine, state), "state"), (offset_of!(ReaderLine, waived), "waived")]
        {
            if at(offset) > 1 {
                odd(offset, format!("{name} of reader {id} is {:#x}, which is neither 0 nor 1", at(offset)));
            }
        }
        let began = offset_of!(ReaderLine, began);
        if let Some(why) = beyond(at(began)) {
            odd(began, format!("reader {id} began at {}, {why}", at(began)));
        }
        let missed = offset_of!(ReaderLine, missed);
        if at(missed) > at(began) {
            let what = format!("reader {id} began at {}, and missed {} before", at(began), at(missed));
            odd(missed, what);
        }
        let taken = offset_of!(ReaderLine, calls) + offset_of!(CallLine, taken);
        if let Some(why) = beyond(at(taken)) {
            odd(taken, format!("reader {id} has begun all calls below {}, {why}", at(taken)));
        }
        let peak = offset_of!(ReaderLine, peak_position);
        if let Some(why) = beyond(at(peak)) {
            odd(peak, format!("reader {id} once reached {}, {why}", at(peak)));
        }
        let peak = offset_of!(ReaderLine, peak_lost);
        if at(peak) >= POSITION_LIMIT {
            odd(peak, format!("reader {id} once had lost {} entries", at(peak)));
        }
        let last = size_of::<ReaderLine>() - 8;
        if at(last) != 0 {
            odd(last, format!("{:#x} in a word that should be 0", at(last)));
        }
        if at(offset_of!(ReaderLine, attached_ns)) == 0 {
            // All but the process id and the state, which may be stored before.
            let mut others = (8..size_of::<ReaderLine>()).step_by(8);
            let stored = others.find(|&it| it != offset_of!(ReaderLine, state) && at(it) != 0);
            if let Some(offset) = stored {
                let what = format!("{:#x}, though no process has been reader {id}", at(offset));
                findings.push((Severity::Oddity, line + offset, what));
            }
        }
        for (severity, offset, what) in findings {
            self.header(severity, offset, what);
        }
        self.time(line + offset_of!(ReaderLine, attached_ns), "attached_ns");
        self.time(line + offset_of!(ReaderLine, commit_ns), "commit_ns");
        self.pid(line + offset_of!(ReaderLine, pid));
        self.notes(id);
    }

    /// Returns whether a writer that waits for a reader at this position has overwritten what it
    /// must not. The pointer of another boot may not have been written back, so it is not judged.
    fn is_beyond_the_room(&self, position: u64, end: u64) -> bool {
        position < POSITION_LIMIT
            && end.saturating_sub(position) > self.segment.geometry.capacity()
            && self.is_of_this_boot()
    }

    /// Returns whether a writer of this boot has vouched for the pointers.
    fn is_of_this_boot(&self) -> bool {
        let boot = offset_of!(Header, writer) + offset_of!(WriterLine, boot_id);
        [self.word(boot), self.word(boot + 8)] == self.segment.boot()
    }

    /// Checks the notes that a reader leaves for people.
    fn notes(&mut self, id: usize) {
        let notes = offset_of!(Header, notes) + id * size_of::<ReaderNotes>();
        let fields = (notes..notes + size_of::<ReaderNotes>()).step_by(8);
        let Some(words) = self.words(fields) else { return };
        let end = self.end_by_now(); // after the reader, which cannot be ahead of it
        let is_beyond = |position: u64| {
            position >= POSITION_LIMIT || end.is_some_and(|end| position > end)
        };
        let at = |offset: usize| words[offset / 8];
        let mut findings = Vec::new();
        let mut odd = |offset: usize, what| findings.push((notes + offset, what));

        let (from, to) = (offset_of!(ReaderNotes, lost_from), offset_of!(ReaderNotes, lost_to));
        if at(from) > at(to) || is_beyond(at(to)) {
            odd(from, format!(
                "the last loss of reader {id} is {}..{}, which is no range",
                at(from),
                at(to)
            ));
        }
        if at(to + 16) != 0 {
            odd(to + 16, format!("{:#x} in a word that should be 0", at(to + 16)));
        }
        let acked = offset_of!(ReaderNotes, acked);
        if is_beyond(at(acked)) {
            let what = format!(
                "the far end of reader {id} has acknowledged all below {}, which is beyond the end",
                at(acked)
            );
            odd(acked, what);
        }
        let length = at(offset_of!(ReaderNotes, path_len));
        let path: Vec<u8> =
            words[offset_of!(ReaderNotes, path) / 8..].iter().flat_map(|it| it.to_le_bytes()).collect();
        let rest = path.get(length.min(PATH_MAX as u64) as usize..).unwrap_or_default();
        if let Some(byte) = rest.iter().find(|&&byte| byte != 0) {
            let what = format!(
                "{byte:#04x} after the path of reader {id}, where all bytes should be 0"
            );
            odd(offset_of!(ReaderNotes, path_len), what);
        }
        for (offset, what) in findings {
            self.header(Severity::Oddity, offset, what);
        }
        self.time(notes + offset_of!(ReaderNotes, lost_ns), "lost_ns");
        self.time(notes + offset_of!(ReaderNotes, unacked_since_ns), "unacked_since_ns");
    }
}
