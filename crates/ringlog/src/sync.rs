//! The atomics that everything shared is made of: the standard library's, or loom's when a model is
//! checked (`--cfg loom`). In the library's own tests, those of threads that can be killed at any
//! store.

#[cfg(loom)]
use loom::sync::atomic;
#[cfg(not(loom))]
use std::sync::atomic;

#[cfg(not(test))]
pub(crate) use atomic::AtomicU64;
pub(crate) use atomic::{Ordering, fence};
#[cfg(test)]
pub(crate) use mortal::{AtomicU64, killed_after};

#[cfg(test)]
mod mortal {
    use super::{Ordering, atomic};
    use std::cell::Cell;

    #[cfg(loom)]
    use loom::thread_local;

    thread_local! {
        #[allow(clippy::missing_const_for_thread_local)] // loom's knows none
        /// How many stores this thread still does before it is dead.
        static LIFE: Cell<u64> = Cell::new(u64::MAX);
    }

    /// Runs `action` as a thread does that is killed after `stores` stores; returns whether it got
    /// to the end. A dead thread's stores are left out, which is all that others see of a death.
    pub fn killed_after(stores: u64, action: impl FnOnce()) -> bool {
        LIFE.with(|life| {
            life.set(stores + 1);
            action();
            life.replace(u64::MAX) > 0
        })
    }

    fn lives_to_store() -> bool {
        LIFE.with(|life| {
            life.set(life.get().saturating_sub(1));
            life.get() > 0
        })
    }

    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct AtomicU64(atomic::AtomicU64);

    impl AtomicU64 {
        pub fn new(value: u64) -> AtomicU64 {
            AtomicU64(atomic::AtomicU64::new(value))
        }

        #[inline]
        pub fn load(&self, ordering: Ordering) -> u64 {
            self.0.load(ordering)
        }

        #[inline]
        pub fn store(&self, value: u64, ordering: Ordering) {
            if lives_to_store() {
                self.0.store(value, ordering);
            }
        }

        #[inline]
        pub fn fetch_or(&self, value: u64, ordering: Ordering) -> u64 {
            let value = if lives_to_store() { value } else { 0 };
            self.0.fetch_or(value, ordering)
        }

        pub fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            let new = if lives_to_store() { new } else { current };
            self.0.compare_exchange(current, new, success, failure)
        }
    }
}
