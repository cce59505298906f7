//! What this process was begun with, before the standard library mends it: a descriptor 1 that is
//! closed is opened on /dev/null then, where all that is written is gone without an error.

use nix::libc;
use std::hint::black_box;
use std::sync::OnceLock;

static STDOUT_IS_CLOSED: OnceLock<bool> = OnceLock::new();

// SAFETY: the linker makes of this section a list of functions that are called without arguments,
// or with some that a C function may ignore, before `main`.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = look;

#[cfg(target_os = "linux")]
extern "C" fn look() {
    // SAFETY: a number, of which the kernel is asked whether it is a descriptor.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    let _ = STDOUT_IS_CLOSED.set(flags == -1); // of the only thread that there is
}

/// Whether this process was begun without a stdout (`>&-`): what is written there is lost. Known
/// on Linux alone.
pub fn began_without_stdout() -> bool {
    #[cfg(target_os = "linux")]
    black_box(&BEFORE_MAIN); // so that it is linked, whatever is inlined
    STDOUT_IS_CLOSED.get() == Some(&true)
}
