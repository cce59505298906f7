//! Sleep on a word that other processes store to, and wake who sleeps there.

use crate::sync::AtomicU64;
use crate::sys::clock::doze;
#[cfg(target_os = "linux")]
use nix::libc;
use std::time::Duration;

/// Sleeps until `wake_all`, but at most so long, and not at all if the word has another value.
#[cfg(target_os = "linux")]
pub fn sleep_while(word: &AtomicU64, value: u64, at_most: Duration) {
    let time = libc::timespec {
        tv_sec: at_most.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    let (futex, value) = (std::ptr::from_ref(word).cast::<u32>(), value as u32);
    // SAFETY: the kernel loads the first four bytes of a word of ours, and the time. That others
    // store to the word meanwhile is what the call is for; if its memory is gone, it fails. Not
    // FUTEX_PRIVATE_FLAG: the others are other processes.
    let result = unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAIT, value, &time) };
    let woken = result == 0
        || matches!(
            nix::Error::last(),
            nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ETIMEDOUT
        );
    if !woken {
        doze(at_most); // a system that has no such call for us must not make us spin
    }
}

#[cfg(target_os = "linux")]
#[cold]
pub fn wake_all(word: &AtomicU64) {
    let futex = std::ptr::from_ref(word).cast::<u32>();
    // SAFETY: an address, by which the kernel finds who sleeps. It can only fail to find them, and
    // then they wake up by themselves.
    unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAKE, i32::MAX) };
}

#[cfg(not(target_os = "linux"))]
pub fn sleep_while(_: &AtomicU64, _: u64, at_most: Duration) {
    doze(at_most);
}

#[cfg(not(target_os = "linux"))]
pub fn wake_all(_: &AtomicU64) {}
