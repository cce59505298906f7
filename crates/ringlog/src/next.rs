//! What readers and observers of any type have in common: they give one entry after the other.

use crate::cursor::Polled;
use crate::observer::Observer;
use crate::reader::Reader;
use crate::schema::{BodyForm, Entry, Message, Raw, Record, With};
use crate::wait::Follower;

/// A [`Reader`] or an [`Observer`] of any kind of entries, for code that follows several logs, or
/// any.
pub trait PollNext: Follower {
    /// An entry as it is returned: a record, a [`Message`], or an [`Entry`].
    type Item<'a>
    where
        Self: 'a;

    /// Takes the next entry, as `poll` does. Never waits.
    fn poll_next(&mut self) -> Polled<Self::Item<'_>>;

    /// Looks at the next entry, which stays the next one. A loss is reported and passed, as by a
    /// poll.
    fn peek(&mut self) -> Polled<Self::Item<'_>>;

    /// Returns the position of the entry that the next poll looks for.
    fn position(&self) -> u64;

    /// Returns where the log ends, by its writer's pointer, at this moment.
    fn end(&self) -> u64;
}

macro_rules! polls {
    ($($follower:ident)+) => { $(
        impl<R: Record> PollNext for $follower<R> {
            type Item<'a> = R;

            fn poll_next(&mut self) -> Polled<R> {
                self.poll()
            }

            fn peek(&mut self) -> Polled<R> {
                let position = self.position();
                let polled = self.poll();
                self.go_back_to(position, &polled);
                polled
            }

            fn position(&self) -> u64 {
                $follower::position(self)
            }

            fn end(&self) -> u64 {
                self.written()
            }
        }

        impl<R: Record, B: BodyForm> PollNext for $follower<With<R, B>> {
            type Item<'a> = Message<'a, R, B>;

            fn poll_next(&mut self) -> Polled<Message<'_, R, B>> {
                self.poll()
            }

            fn peek(&mut self) -> Polled<Message<'_, R, B>> {
                self.peek_with().with(|held| self.message(&held))
            }

            fn position(&self) -> u64 {
                $follower::position(self)
            }

            fn end(&self) -> u64 {
                self.written()
            }
        }

        impl PollNext for $follower<Raw> {
            type Item<'a> = Entry<'a>;

            fn poll_next(&mut self) -> Polled<Entry<'_>> {
                self.poll()
            }

            fn peek(&mut self) -> Polled<Entry<'_>> {
                self.peek_with().with(|held| self.entry(&held))
            }

            fn position(&self) -> u64 {
                $follower::position(self)
            }

            fn end(&self) -> u64 {
                self.written()
            }
        }
    )+ };
}
polls!(Reader Observer);
