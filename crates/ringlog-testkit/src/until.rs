//! Waits that end.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// No wait in a test is longer; a process that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something, and fails loudly if it never does.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_or(|| what.to_owned(), look)
}

/// Waits as `until`; `what` says what it waits for, and how that is, when the wait was in vain.
pub fn until_or<T>(what: impl FnOnce() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {}", what());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file has at least `count` lines.
pub fn until_lines(path: &Path, count: usize) {
    until(&format!("{} has {count} lines", path.display()), || {
        let text = fs::read(path).unwrap_or_default();
        (text.iter().filter(|&&byte| byte == b'\n').count() >= count).then_some(())
    });
}

/// Waits until a file has more than `length` bytes.
pub fn until_longer(path: &Path, length: u64) {
    until(&format!("{} has more than {length} bytes", path.display()), || {
        path.metadata().is_ok_and(|meta| meta.len() > length).then_some(())
    });
}

/// Waits until a file holds exactly this.
pub fn until_holds(path: &Path, text: &str) {
    until(&format!("{} is complete", path.display()), || {
        (fs::read(path).unwrap_or_default() == text.as_bytes()).then_some(())
    });
}
