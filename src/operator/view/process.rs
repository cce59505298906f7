//! What the system says about processes, and about the files they have open.

use crate::cli::{Code, one_line};
use ringlog::ReaderState;
use ringlog_rows::is_output_of;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a log whose memory vanishes during a look a line and exit code 6. A log that was cut short
/// before is refused by the look.
pub fn exit_on_fault() -> anyhow::Result<()> {
    let line = "ringlog: a log's file was cut short, or its disk failed, while it was read";
    Ok(ringlog::exit_on_fault(line, Code::Unusable as i32)?)
}

/// What the system says about a process; for people, because another process may have its pid now.
pub struct Process {
    pub name: String,
    pub stopped: bool,
}

impl Process {
    /// Asks for a process; `None` if there is none, or the system does not say.
    pub fn of(pid: u64) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `1234 (a name) S ...`, where the name can hold anything.
        let (start, rest) = stat.rsplit_once(')')?;
        let (_, name) = start.split_once('(')?;
        let stopped = matches!(rest.trim_start().chars().next(), Some('T' | 't'));
        // A terminal would obey some of what it may contain.
        Some(Process { name: one_line(name), stopped })
    }
}

/// Finds the file that a reader writes: where the log says, or, if it was moved, by its inode.
pub fn find_output(reader: &ReaderState) -> Option<PathBuf> {
    reader.output?;
    let noted = reader.output_path.clone();
    if noted.as_ref().is_some_and(|path| is_output_of(reader, path)) {
        return noted;
    }
    let names = ["csv", "jsonl"].map(|kind| PathBuf::from(format!("output_{}.{kind}", reader.id)));
    let process = Path::new("/proc").join(reader.pid.to_string());
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    open.chain(names).find(|path| is_output_of(reader, path))
}
