//! The wall clock, the identity of this boot and of this pid namespace, and a doze.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the wall clock in ns since the Unix epoch; good until the year 2262.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) as u64
}

/// Sleeps where no writer can wake a sleeper, for as long as a poll takes by default; all readers
/// on systems other than Linux do. Gives up that an entry is noticed as soon as it is there.
pub fn doze(at_most: Duration) {
    std::thread::sleep(at_most.min(Duration::from_millis(1)));
}

/// Returns the pid namespace of this process, to which its process id belongs; 0 if the system does
/// not say.
pub fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// Returns the identity of this boot of this machine, as two words; zero if the system does not
/// say, and then only the slots show a restart of the machine.
pub fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [(id >> 64) as u64, id as u64]
}
