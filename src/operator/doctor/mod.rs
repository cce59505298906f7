//! `ringlog doctor`: what on this machine, in its limits and its logs would hurt, each with a cure.
//! Changes nothing.

mod logs;
mod look;
mod machine;
mod memory;
mod system;
mod verdict;

pub use look::Args;

use crate::cli::{Code, Failed, several};
use crate::operator::screen::{has_colour, print, table};
use look::Doctor;
use verdict::{Level, Verdict};

pub fn run(args: Args) -> anyhow::Result<()> {
    let doctor = Doctor::new(&args)?;
    let findings = doctor.findings();
    let text = if args.json {
        let lines: Result<Vec<_>, _> = findings.iter().map(serde_json::to_string).collect();
        lines?.into_iter().map(|line| line + "\n").collect()
    } else {
        let rows: Vec<_> = findings.iter().map(Verdict::row).collect();
        table(&rows, has_colour())
    };
    print(text)?;
    match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
        0 => Ok(()),
        count => Err(Failed(Code::Other, format!("bad: {}", several(count, "thing"))).into()),
    }
}

impl Doctor {
    fn findings(&self) -> Vec<Verdict> {
        let mut all = Vec::new();
        if cfg!(target_os = "linux") {
            all.extend(self.kernel());
            all.push(self.sleep());
            all.extend(self.shared_memory());
            all.extend(self.directories.iter().map(|path| self.directory(path)));
            all.extend(self.memory_limit());
            all.push(self.remove_ipc());
            all.extend([self.lockable(), self.file_size(), self.open_files()]);
            all.extend([self.huge_pages(), self.swap(), self.clock(), self.clock_is_set()]);
            all.extend([self.governor(), self.cores(), self.processes()]);
        } else {
            all.push(Verdict::unknown(
                "system",
                format!(
                    "{} is not Linux: shared memory is files in the temporary directory, and its \
                     limits, pages and clocks cannot be checked",
                    std::env::consts::OS
                ),
            ));
        }
        all.extend(self.logs.iter().flat_map(|log| self.log(log)));
        all
    }
}
