//! What the system says about another process.

/// Returns whether a process of this pid namespace is stopped, by a signal or a debugger.
pub fn is_stopped(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `12 (name) T ...`, and a name may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}
