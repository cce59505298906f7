//! What the figures of another language's library are measured beside: the same work in Rust. It takes turns with
//! them: a line on stdin is a command, and the nanoseconds that it took come on stdout.
//!
//! `append LOG COUNT`, `batch LOG COUNT`: appends so many records of 56 bytes, one by one or 64 at a time.
//! `poll LOG TIMES`, `polls LOG TIMES`: polls what the log holds, one by one or 64 at a time.
//! `call SERVICE COUNT`: calls with 72 bytes. `serve SERVICE` answers with what was sent, until it is killed.
//! Both spin.

use ringlog::{Batch, Log, Polled, Record, Result, Start, Wait};
use ringlog_call::{Client, Service};
use std::io::{self, Write as _};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Record)]
#[repr(C)]
struct Sample {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
}

impl Sample {
    fn of(position: u64) -> Sample {
        let [a, b, c, d, e, f, g] = std::array::from_fn(|i| position + ((i as u64) << 24));
        Sample { a, b, c, d, e, f, g }
    }
}

fn append(log: &Log, count: u64) -> Result<Duration> {
    let mut writer = log.writer::<Sample>()?;
    let begun = Instant::now();
    for _ in 0..count {
        writer.append(&Sample::of(writer.position()));
    }
    Ok(begun.elapsed())
}

fn append_batches(log: &Log, count: u64) -> Result<Duration> {
    let mut writer = log.writer::<Sample>()?;
    let mut records = [Sample::of(0); 64];
    let begun = Instant::now();
    for _ in 0..count / 64 {
        for (position, record) in (writer.position()..).zip(&mut records) {
            *record = Sample::of(position);
        }
        writer.append_batch(&records);
    }
    Ok(begun.elapsed())
}

fn poll(log: &Log, times: u64) -> Result<Duration> {
    let mut observer = log.observe::<Sample>(Start::Oldest)?;
    let mut sum = 0_u64;
    let begun = Instant::now();
    for _ in 0..times {
        observer.seek(Start::Oldest)?;
        while let Polled::Entry { record, .. } = observer.poll() {
            sum = sum.wrapping_add(record.a ^ record.g);
        }
    }
    std::hint::black_box(sum);
    Ok(begun.elapsed())
}

fn poll_batches(log: &Log, times: u64) -> Result<Duration> {
    let mut observer = log.observe::<Sample>(Start::Oldest)?;
    let mut records = [Sample::of(0); 64];
    let mut sum = 0_u64;
    let begun = Instant::now();
    for _ in 0..times {
        observer.seek(Start::Oldest)?;
        while let Batch::Entries(range) = observer.poll_batch(&mut records) {
            let taken = &records[..(range.end - range.start) as usize];
            sum = taken.iter().fold(sum, |sum, it| sum.wrapping_add(it.a ^ it.g));
        }
    }
    std::hint::black_box(sum);
    Ok(begun.elapsed())
}

fn call(service: &str, count: u64) -> Duration {
    const LONG: Duration = Duration::from_secs(10);
    let mut client: Client =
        Client::options().wait(Wait::Spin).connect(service, LONG).expect("a server");
    let body = [7; 72];
    let begun = Instant::now();
    for _ in 0..count {
        assert!(*client.call(1, &body, LONG).expect("an answer") == body);
    }
    begun.elapsed()
}

fn main() -> Result<()> {
    for line in io::stdin().lines() {
        let line = line.map_err(ringlog::Error::io("stdin"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let count = words.get(2).map_or(0, |word| word.parse().expect("a number"));
        let log = || Log::open(words[1]);
        let took = match words[0] {
            "append" => append(&log()?, count)?,
            "batch" => append_batches(&log()?, count)?,
            "poll" => poll(&log()?, count)?,
            "polls" => poll_batches(&log()?, count)?,
            "call" => call(words[1], count),
            "serve" => {
                let service = Service::serve(words[1])?;
                println!("serves");
                service.run(Wait::Spin, &AtomicBool::new(false), |request, reply| {
                    Ok(reply.send(request.body())?)
                });
                return Ok(());
            }
            other => panic!("no command {other}"),
        };
        println!("{}", took.as_nanos());
        let _ = io::stdout().flush();
    }
    Ok(())
}
