//! Whether a process grows.

use crate::common::{Generation, Soak};
use std::fs;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

/// What the calm reporter and the writer have taken, if they were there.
pub type Sample = [Option<[u64; 3]>; 2];

/// Returns what a process has taken: anonymous memory in KiB, descriptors, threads.
pub fn taken(pid: u32) -> Option<[u64; 3]> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let word = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some([word("RssAnon:")?, descriptors, word("Threads:")?])
}

/// Watches the processes: pointers move forward, and no process grows.
pub fn observe(soak: &Soak, generation: &Generation, calm: u32, samples: &mut Vec<Sample>) {
    let mut last = generation.snapshot();
    let (mut round, mut writer) = (0, 0);
    while !generation.is_over() {
        sleep(Duration::from_millis(20));
        let now = generation.snapshot();
        if now.end < last.end || now.writer.epoch < last.writer.epoch {
            soak.wrong(format!("the log went back from {last:?} to {now:?}"));
        }
        for &gate in &generation.gates {
            let (reader, room) = (&now.readers[gate], generation.capacity);
            // Where it was later, because it may commit between two looks.
            if last.end > reader.peak_position + room {
                soak.wrong(format!("the writer went to {} without {reader:?}", last.end));
            }
            if generation.spares(gate) && reader.peak_lost > 0 {
                soak.wrong(format!("entries were lost to a gate: {reader:?}"));
            }
        }
        for reader in &now.readers {
            if reader.position > now.end || reader.lost > reader.position {
                soak.wrong(format!("{reader:?} in a log that ends at {}", now.end));
            }
        }
        last = now;
        round += 1;
        // A process that has just been spawned may still have this one's descriptors: they close
        // after `exec` has let the parent go on.
        let same = writer == soak.writer_pid.load(Ordering::Relaxed);
        if same && round >= 10 {
            samples.push([calm, writer].map(taken));
            round = 0;
        }
        writer = soak.writer_pid.load(Ordering::Relaxed);
    }
}

/// Returns the most that was taken in the first and in the last quarter.
pub fn growth(samples: &[Sample], who: usize) -> [[u64; 3]; 2] {
    let quarter = samples.len().div_ceil(4);
    let most = |samples: &[Sample]| {
        let taken = samples.iter().filter_map(|sample| sample[who]);
        taken.fold([0; 3], |most, now| std::array::from_fn(|i| most[i].max(now[i])))
    };
    [most(&samples[..quarter]), most(&samples[samples.len() - quarter..])]
}
