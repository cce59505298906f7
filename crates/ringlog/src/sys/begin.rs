//! What a program was started with, before the standard library changes it: it opens a closed
//! descriptor 1 on /dev/null, where output vanishes without an error. Only a program that asks for
//! it looks before `main`; an engine has no code there.

use nix::libc;
use std::sync::OnceLock;

static STDOUT_IS_CLOSED: OnceLock<bool> = OnceLock::new();

/// Makes the program in which it stands look at its stdout before `main`; on Linux alone.
#[doc(hidden)] // of the programs
#[macro_export]
macro_rules! look_at_stdout_before_main {
    () => {
        // SAFETY: the linker makes this section a list of functions that are called before `main`,
        // without arguments or with some that a C function may ignore.
        #[cfg(target_os = "linux")]
        #[used]
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = $crate::look_at_stdout;
        #[cfg(target_os = "linux")]
        ::std::hint::black_box(&BEFORE_MAIN); // so that it is linked, whatever is inlined
    };
}

/// Notes whether there is a stdout.
#[doc(hidden)] // of the macro
pub extern "C" fn look_at_stdout() {
    // SAFETY: a number; the kernel says whether it is a descriptor.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    let _ = STDOUT_IS_CLOSED.set(flags == -1); // by the only thread that there is
}

/// Returns whether this process was started without a stdout (`>&-`): what is written there is
/// lost. Known only if the program looked before `main`.
pub fn began_without_stdout() -> bool {
    STDOUT_IS_CLOSED.get() == Some(&true)
}
