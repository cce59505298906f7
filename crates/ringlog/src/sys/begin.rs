//! What a program was begun with, before the standard library mends it: a descriptor 1 that is closed
//! is opened on /dev/null then, where all that is written is gone without an error. Only a program
//! that asks for it looks before `main`: an engine has nothing there.

use nix::libc;
use std::sync::OnceLock;

static STDOUT_IS_CLOSED: OnceLock<bool> = OnceLock::new();

/// Has the program that it stands in look at its stdout before `main`; on Linux alone.
#[doc(hidden)] // of the programs
#[macro_export]
macro_rules! look_at_stdout_before_main {
    () => {
        // SAFETY: the linker makes of this section a list of functions that are called without
        // arguments, or with some that a C function may ignore, before `main`.
        #[cfg(target_os = "linux")]
        #[used]
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = $crate::look_at_stdout;
        #[cfg(target_os = "linux")]
        ::std::hint::black_box(&BEFORE_MAIN); // so that it is linked, whatever is inlined
    };
}

/// Looks whether there is one.
#[doc(hidden)] // of the macro
pub extern "C" fn look_at_stdout() {
    // SAFETY: a number, of which the kernel is asked whether it is a descriptor.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    let _ = STDOUT_IS_CLOSED.set(flags == -1); // of the only thread that there is
}

/// Whether this process was begun without a stdout (`>&-`): what is written there is lost. Known
/// where it was looked at before `main`.
pub fn began_without_stdout() -> bool {
    STDOUT_IS_CLOSED.get() == Some(&true)
}
