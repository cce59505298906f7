//! Sleeping on a word that other processes store to, and waking the sleepers.

use crate::sync::AtomicU64;
use crate::sys::clock::doze;
#[cfg(target_os = "linux")]
use nix::libc;
use std::time::Duration;

/// Sleeps until `wake_all`, at most `at_most`, and not at all if the word has another value.
#[cfg(target_os = "linux")]
pub fn sleep_while(word: &AtomicU64, value: u64, at_most: Duration) {
    let time = libc::timespec {
        tv_sec: at_most.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    let (futex, value) = (std::ptr::from_ref(word).cast::<u32>(), value as u32);
    // SAFETY: the kernel loads the first four bytes of a word that we hold, and the time. Others
    // may store to the word meanwhile; that is what the call is for. If its memory is gone, the
    // call fails. Not FUTEX_PRIVATE_FLAG, because the others are other processes.
    let result = unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAIT, value, &time) };
    let woken = result == 0
        || matches!(
            nix::Error::last(),
            nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ETIMEDOUT
        );
    if !woken {
        doze(at_most); // a system that refuses us the call must not make us spin
    }
}

/// Most words that can be waited for at once.
pub const WORDS_MAX: usize = 128;

/// One of several words for the kernel to compare and sleep on: `struct futex_waitv`.
#[cfg(target_os = "linux")]
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    zero: u32,
}

/// The flag for a value of four bytes, in memory that processes share.
#[cfg(target_os = "linux")]
const FOUR_BYTES: u32 = 2;

/// Sleeps until `wake_all` of one of these words, at most `at_most`, and not at all if one has
/// another value. Returns false, at once, if the system has no such call, or there are too many
/// words.
#[cfg(target_os = "linux")]
pub fn sleep_while_all(words: &[(&AtomicU64, u64)], at_most: Duration) -> bool {
    let waiters: Vec<_> = words
        .iter()
        .map(|&(word, value)| Waiter {
            value: u64::from(value as u32),
            address: std::ptr::from_ref(word) as u64,
            flags: FOUR_BYTES,
            zero: 0,
        })
        .collect();
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    let now = now.map_or(Duration::ZERO, Duration::from);
    let end = now.saturating_add(at_most);
    let end = libc::timespec {
        tv_sec: end.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: end.subsec_nanos().into(),
    };
    // SAFETY: the kernel loads the list, whose length is given, the time, and the first four bytes
    // of each word, as in `sleep_while`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            waiters.len() as u32,
            0,
            &end,
            libc::CLOCK_MONOTONIC,
        )
    };
    result >= 0
        || matches!(
            nix::Error::last(),
            nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ETIMEDOUT
        )
}

#[cfg(target_os = "linux")]
#[cold]
pub fn wake_all(word: &AtomicU64) {
    let futex = std::ptr::from_ref(word).cast::<u32>();
    // SAFETY: an address, by which the kernel finds the sleepers. It can only fail to find them;
    // then they wake up by themselves.
    unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAKE, i32::MAX) };
}

#[cfg(not(target_os = "linux"))]
pub fn sleep_while(_: &AtomicU64, _: u64, at_most: Duration) {
    doze(at_most);
}

#[cfg(not(target_os = "linux"))]
pub fn sleep_while_all(_: &[(&AtomicU64, u64)], _: Duration) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub fn wake_all(_: &AtomicU64) {}
