//! The wall clock, which boot of the machine and which pid namespace this is, and a doze.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock, ns since the Unix epoch; good until the year 2262.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) as u64
}

/// Sleeps where nobody can wake a sleeper, as long as a poll by default takes: all readers, but on
/// Linux. Gives up that an entry arrives as soon as it is there.
pub fn doze(at_most: Duration) {
    std::thread::sleep(at_most.min(Duration::from_millis(1)));
}

/// The pid namespace of this process, by which its process id is one; 0 where nobody says.
pub fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// Which boot of which machine this is, as two words; zero where the system does not say, and
/// then a restart of the machine is noticed by the slots alone.
pub fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [(id >> 64) as u64, id as u64]
}
