//! The answers of a lane on their way: what its client does not take is kept for it, and holds up
//! no other.

use crate::clock;
use crate::lane::{Answered, BEHIND, MORE, Status};
use ringlog::{BodyForm, Enum, Error, Finished, Idle, LosslessWriter, Wait, With};
use std::collections::VecDeque;
use std::io;

/// Polls for room before an answer is kept until the client takes some: a microsecond or two.
const PATIENCE: u32 = 64;
/// Bytes of a part of an answer that is written piece by piece.
const PART: usize = 256 << 10;

fn answered(request: u64, status: Status, part: u8, timed: bool) -> Answered {
    let sent_ns = if timed { clock::now_ns() } else { 0 };
    Answered { request, sent_ns, status: Enum::new(status), part, _pad: [0; 6] }
}

/// The answers of a lane, and those for which it has no room yet.
pub(crate) struct Outbox<B> {
    to: LosslessWriter<With<Answered, B>>,
    waiting: VecDeque<Kept>,
    /// Requests whose answer has been sent whole since the last call of `settled`.
    settled: Vec<(u64, Finished)>,
    /// Bytes of the kept answers.
    kept: usize,
    limit: usize,
    pub part_max: usize,
    whole_max: usize,
    /// The client was slow recently, so waiting for it is of no use.
    slow: bool,
    /// The client may sleep, and has not been woken for what was sent.
    is_asleep: bool,
    /// A buffer for the next answer.
    pub spare: Vec<u8>,
}

/// An answer, or a part of one, that waits for room.
struct Kept {
    line: Answered,
    body: Vec<u8>,
    /// How it finishes its request; `None` if more of the answer comes.
    settles: Option<Finished>,
}

impl<B: BodyForm> Outbox<B> {
    pub fn of(to: LosslessWriter<With<Answered, B>>, whole_max: usize, limit: usize) -> Outbox<B> {
        Outbox {
            to,
            waiting: VecDeque::new(),
            settled: Vec::new(),
            kept: 0,
            limit,
            part_max: PART.min(whole_max / 2),
            whole_max,
            slow: false,
            is_asleep: false,
            spare: Vec::new(),
        }
    }

    /// Returns the log of answers, whose room the client makes.
    pub fn to(&self) -> &LosslessWriter<With<Answered, B>> {
        &self.to
    }

    /// Sends what waits, as far as there is room; returns whether nothing waits any longer.
    pub fn flush(&mut self) -> bool {
        while let Some(Kept { line, body, settles }) = self.waiting.front() {
            if self.to.try_append(line, body).is_err() {
                self.wake();
                return false;
            }
            self.is_asleep = true;
            self.kept -= body.len();
            self.settled.extend(settles.map(|how| (line.request, how)));
            self.waiting.pop_front();
        }
        self.slow = false;
        true
    }

    /// Wakes the client for what was sent. It comes last, because the woken process may run in our
    /// place.
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.to.wake();
        }
    }

    /// Returns the requests whose answer has been sent whole since the last call: they are finished
    /// now, and not before.
    pub fn settled(&mut self) -> impl Iterator<Item = (u64, Finished)> {
        self.settled.drain(..)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the length of the message for which there has to be room next, in bytes.
    pub fn next_length(&self) -> usize {
        self.waiting.front().map_or(0, |kept| kept.body.len())
    }

    /// Drops what waits, which no client will take.
    pub fn clear(&mut self) {
        (self.kept, self.slow) = (0, false);
        self.waiting.clear();
        self.settled.clear();
    }

    /// Sends a part of an answer, after which more comes.
    pub fn send_part(
        &mut self,
        request: u64,
        begun: bool,
        timed: bool,
        body: &[u8],
    ) -> io::Result<()> {
        let part = if begun { MORE | BEHIND } else { MORE };
        self.send(answered(request, Status::Ok, part, timed), body, None)
    }

    fn send(&mut self, line: Answered, body: &[u8], settles: Option<Finished>) -> io::Result<()> {
        if self.flush() && self.try_send(&line, body) {
            self.settled.extend(settles.map(|how| (line.request, how)));
            return Ok(());
        }
        if self.kept + body.len() > self.limit {
            return Err(too_much());
        }
        self.keep(line, body, settles);
        Ok(())
    }

    fn keep(&mut self, line: Answered, body: &[u8], settles: Option<Finished>) {
        self.kept += body.len();
        self.waiting.push_back(Kept { line, body: body.to_vec(), settles });
    }

    /// Appends it, and waits a moment if there is no room: not longer than keeping it would take.
    fn try_send(&mut self, line: &Answered, body: &[u8]) -> bool {
        let mut idle = Idle::new(Wait::Spin);
        for _ in 0..if self.slow { 1 } else { PATIENCE } {
            match self.to.try_append(line, body) {
                Ok(_) => {
                    self.is_asleep = true;
                    return true;
                }
                Err(Error::Full { .. }) => {
                    self.wake();
                    idle.wait(&self.to.room_for(body.len()));
                }
                Err(_) => return false,
            }
        }
        self.slow = true;
        false
    }

    /// Sends a whole answer, in parts if necessary.
    pub fn send_whole(
        &mut self,
        request: u64,
        status: Status,
        timed: bool,
        body: &[u8],
        how: Finished,
    ) -> io::Result<()> {
        if body.len() > self.whole_max && self.kept + body.len() > self.limit {
            return Err(too_much()); // before a part of it is sent
        }
        let (mut rest, mut part) = (body, 0);
        while rest.len() > self.whole_max {
            let (front, behind) = rest.split_at(self.part_max);
            self.send(answered(request, Status::Ok, part | MORE, timed), front, None)?;
            (rest, part) = (behind, BEHIND);
        }
        self.send(answered(request, status, part, timed), rest, Some(how))
    }

    /// Sends the last part of an answer; every answer has one.
    pub fn send_last(
        &mut self,
        request: u64,
        status: Status,
        timed: bool,
        begun: bool,
        body: &[u8],
        how: Finished,
    ) {
        let sent = match begun {
            true => self.send(answered(request, status, BEHIND, timed), body, Some(how)),
            false => self.send_whole(request, status, timed, body, how),
        };
        if sent.is_err() {
            // The answer is too long, and to say so takes no room.
            let part = if begun { BEHIND } else { 0 };
            self.keep(answered(request, Status::TooLarge, part, timed), &[], Some(how));
        }
    }
}

/// Returns why no more of an answer is taken.
pub(crate) fn too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::StorageFull,
        "the client has not read what was sent before, and there is no room",
    )
}
