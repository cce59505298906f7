//! Chronicle Queue: a journal in files, which keeps everything; so its writer never waits.
//!
//! Each end is a JVM of its own, which runs a work of chronicle/src/main/java, pinned as the
//! threads of other systems are. A JVM ends when the pipe to it is closed.

use crate::works::{Stream, cores};
use hdrhistogram::Histogram;
use std::fmt::Debug;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

/// What a JVM of 17 or later has to open to it, by Chronicle's documentation.
const OPEN: [&str; 9] = [
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=jdk.unsupported/sun.misc=ALL-UNNAMED",
    "--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED",
    "--add-opens=jdk.compiler/com.sun.tools.javac=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
];
/// It reports to no server that it runs, and no thread of it collects garbage beside the working
/// one.
const QUIET: [&str; 5] = [
    "-Dchronicle.analytics.disable=true",
    "-Dslf4j.internal.verbosity=ERROR",
    "-XX:+UseSerialGC",
    "-Xms256m",
    "-Xmx256m",
];

pub struct Chronicle {
    /// Its classes and those it stands on.
    pub classes: String,
}

impl Chronicle {
    pub const NAME: &str = "Chronicle Queue";

    /// Returns the version in the description of the Java program.
    pub fn version() -> &'static str {
        let pom = include_str!("../../chronicle/pom.xml");
        let lines = pom.lines().skip_while(|line| !line.contains("<artifactId>chronicle-queue<"));
        lines.skip(1).find_map(|line| line.split(['<', '>']).nth(2)).unwrap_or("?")
    }

    /// Runs `works::round_trip` between two JVMs.
    pub fn round_trip(&self, name: &str, count: u64) -> (f64, Histogram<u64>) {
        let [near, _] = self.run(name, ["ping", "echo"], count);
        let (mean, each) = near.split_once('\n').expect("a mean");
        let mut histogram = Histogram::new(3).expect("three digits");
        each.lines().for_each(|ns| histogram += number::<u64>(ns));
        (number(mean), histogram)
    }

    /// Runs `works::stream` between two JVMs.
    pub fn stream(&self, name: &str, count: u64) -> Stream {
        let [writer, reader] = self.run(name, ["write", "read"], count);
        let (started, written) = writer.trim().split_once('\n').expect("two times");
        let rate = |until: u64| count as f64 / (until - number::<u64>(started)) as f64 * 1e9;
        Stream { writer: rate(number(written)), reader: rate(number(reader.trim())), lost: 0 }
    }

    /// Returns what the two ends print. As many entries as are measured come before, so that a JVM
    /// compiles the code that it runs through.
    fn run(&self, name: &str, works: [&str; 2], count: u64) -> [String; 2] {
        let directory = format!("/dev/shm/{name}-chronicle");
        let [near, far] = works;
        let [here, there] = cores();
        let ends = [(near, here), (far, there)].map(|(work, core)| {
            let numbers = [core as u64, count, count].map(|n| n.to_string());
            let mut java = Command::new("java");
            java.args(QUIET).args(OPEN).args(["-cp", &self.classes, "Chronicle", work, &directory]);
            java.args(numbers).stdin(Stdio::piped()).stdout(Stdio::piped());
            java.spawn().expect("a JVM")
        });
        let told = ends.map(told);
        let _ = fs::remove_dir_all(directory);
        told
    }
}

/// Returns what an end prints; its standard input stays open until it ends.
fn told(mut end: Child) -> String {
    let held = end.stdin.take();
    let output = end.wait_with_output().expect("what it told");
    drop(held);
    assert!(output.status.success(), "a JVM failed");
    String::from_utf8(output.stdout).expect("text")
}

fn number<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}
