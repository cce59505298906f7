//! An async program that reads a log: a thread waits for entries and hands them to a task; when the
//! task has handled them, the thread commits. Run it again, and it resumes where it was.
//!
//!     cargo run --example tokio [COUNT [LOG]]
//!
//! The kernel has no descriptor for a word in shared memory, so waiting for entries takes a thread
//! and not a future. One thread is enough for a log; the channel holds it back when the tasks are
//! behind, and the log holds the entries.

use anyhow::{Context, Result};
use ringlog::{Batch, Follower, Log, Reader, Record, Timestamp, Wait, Writer};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Sample {
    time: Timestamp,
    value: f64,
}

/// What the thread hands over, and how the task says that it has handled it.
struct Delivery {
    samples: Vec<(u64, Sample)>,
    lost: u64,
    done: oneshot::Sender<()>,
}

/// The engine, elsewhere in this program or in another one. A `Writer` moves to the thread that
/// appends; if several threads append, put it in a `Mutex`, or give each a log of its own.
fn append(mut writer: Writer<Sample>, count: u64) {
    for value in 0..count {
        writer.append(&Sample { time: Timestamp::now(), value: value as f64 });
        writer.wake(); // otherwise the reader sleeps until its bound
    }
}

/// Reads until the task is gone.
fn follow(mut reader: Reader<Sample>, deliveries: mpsc::Sender<Delivery>) {
    let bound = Duration::from_millis(100);
    while !deliveries.is_closed() {
        if !reader.wait_until_ready(Wait::Block(bound), bound) {
            continue; // time to see whether the task still listens
        }
        let (mut samples, mut lost) = (Vec::new(), 0);
        match reader.poll_each(1024, |position, sample| samples.push((position, *sample))) {
            Batch::Entries(_) => {}
            Batch::Lost(range) => lost = range.end - range.start,
            Batch::Empty => continue,
        }
        let (done, is_done) = oneshot::channel();
        if deliveries.blocking_send(Delivery { samples, lost, done }).is_err() {
            return;
        }
        if is_done.blocking_recv().is_err() {
            return; // not handled: it comes again
        }
        reader.commit();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let count = args.next().map(|count| count.parse()).transpose();
    let count: u64 = count.context("usage: tokio [COUNT [LOG]]")?.unwrap_or(1000);
    let name = args.next().unwrap_or("/ringlog_tokio".to_owned());
    let log = Log::options().capacity(1 << 16).open_or_create::<Sample>(name.as_str())?;

    let (sender, mut deliveries) = mpsc::channel(4);
    let (writer, reader) = (log.writer()?, log.reader(0)?);
    let end = writer.position() + count;
    let engine = std::thread::spawn(move || append(writer, count));
    let follower = std::thread::spawn(move || follow(reader, sender));

    let (mut next, mut taken, mut sum, mut lost) = (0, 0, 0.0, 0);
    while next < end
        && let Some(delivery) = deliveries.recv().await
    {
        for (position, sample) in delivery.samples {
            (next, taken, sum) = (position + 1, taken + 1, sum + sample.value);
        }
        lost += delivery.lost;
        let _ = delivery.done.send(()); // the thread is there until we close the channel
    }
    drop(deliveries);
    for thread in [engine, follower] {
        thread.join().ok().context("a thread has panicked")?;
    }
    eprintln!(
        "{name}: {taken} samples to position {next}, {lost} lost, the mean is {:.1}",
        sum / taken as f64
    );
    Ok(())
}
