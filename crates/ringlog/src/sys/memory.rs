//! What a mapping consists of: which pages, how much of it is resident, whether it stays.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fmt;
use std::io;
use std::ops::Range;

/// Returns how many bytes this process may lock; `None` if there is no limit.
pub fn lock_limit() -> Option<u64> {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?.0;
    (limit != RLIM_INFINITY).then_some(limit)
}

/// How a log's slots lie in this process's memory, as the kernel reports it: in which pages, how
/// much can be accessed without a page fault, and whether it stays resident.
///
/// Displayed as `64 MiB in 4 KiB pages, all resident`, or `62 MiB of 64 MiB in huge pages, all
/// resident, locked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes that are mapped.
    pub size: u64,
    /// Bytes of an ordinary page.
    pub page: u64,
    /// Bytes that have been accessed, or prefaulted: an access takes no page fault there.
    pub resident: u64,
    /// How many of these bytes are mapped by huge pages: one entry of the processor's page tables
    /// for each 2 MiB, or whatever the machine's size is.
    pub huge: u64,
    /// Whether it is locked.
    pub locked: bool,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Bytes(self.size);
        match self.huge {
            0 => write!(f, "{size} in {} pages", Bytes(self.page))?,
            huge => write!(f, "{} of {size} in huge pages", Bytes(huge))?,
        }
        match self.resident {
            all if all >= self.size => write!(f, ", all resident")?,
            some => write!(f, ", {} resident", Bytes(some))?,
        }
        f.write_str(if self.locked { ", locked" } else { "" })
    }
}

/// A number of bytes, displayed in the largest unit that it is a whole multiple of.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(power, _)| self.0 > 0 && self.0.is_multiple_of(1 << power)) {
            Some((power, unit)) => write!(f, "{} {unit}", self.0 >> power),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// Returns what the mappings at these addresses consist of.
#[cfg(target_os = "linux")]
pub fn memory(at: Range<usize>) -> io::Result<Memory> {
    let smaps = std::fs::read("/proc/self/smaps")?; // with names of files, of any bytes
    let smaps = String::from_utf8_lossy(&smaps);
    let mut memory = Memory { size: at.len() as u64, ..Memory::default() };
    let mut ours = false;
    for line in smaps.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((from, to)) = key.split_once('-') {
            let [from, to] = [from, to].map(|digits| usize::from_str_radix(digits, 16));
            ours = from.is_ok_and(|from| from < at.end) && to.is_ok_and(|to| at.start < to);
            continue;
        }
        let mut words = rest.split_ascii_whitespace();
        let mut bytes = || words.next().and_then(|kb| kb.parse().ok()).unwrap_or(0) << 10;
        match key {
            _ if !ours => {}
            "KernelPageSize:" => memory.page = bytes(),
            "Rss:" => memory.resident += bytes(),
            "ShmemPmdMapped:" | "FilePmdMapped:" => memory.huge += bytes(),
            "VmFlags:" => memory.locked |= words.any(|flag| flag == "lo"),
            _ => {}
        }
    }
    Ok(memory)
}

/// Returns an error: other systems do not report it.
#[cfg(not(target_os = "linux"))]
pub fn memory(_at: Range<usize>) -> io::Result<Memory> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_units_that_it_has_whole_numbers_of() {
        let (size, page) = (64 << 20, 4096);
        let mut memory = Memory { size, page, ..Memory::default() };
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, 0 bytes resident");
        memory.resident = 100 << 10;
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, 100 KiB resident");
        (memory.resident, memory.locked) = (size, true);
        assert_eq!(memory.to_string(), "64 MiB in 4 KiB pages, all resident, locked");
        memory.huge = 62 << 20;
        assert_eq!(memory.to_string(), "62 MiB of 64 MiB in huge pages, all resident, locked");
    }
}
