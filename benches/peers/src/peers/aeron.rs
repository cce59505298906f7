//! Aeron IPC: messages with a header in a log of three terms; the publisher stops at a limit that
//! the media driver moves, a process of its own, as Aeron's users run it.
//!
//! The driver is this program, started once more. It ends when the pipe to it is closed, which the
//! kernel does too if the bench dies, and removes its directory.
//!
//! Set as Aeron advises: one thread for all of the driver's work and messages of up to 8 KiB
//! (`aeron-ipc.properties`), terms written to before they are used (`low-latency.properties`). Only
//! that thread does not spin as there, which would take a third core. It backs off: see `IDLE`.

use crate::channel::{BATCH, Channel, Entry, Full, Receiver, Sender, Terms};
use rusteron_client::{
    Aeron as Client, AeronContext, AeronExclusivePublication, AeronOfferError, AeronSubscription,
    Handlers,
};
use rusteron_media_driver::bindings::aeron_threading_mode_enum as ThreadingMode;
use rusteron_media_driver::{AeronCError, AeronDriver, AeronDriverContext};
use std::ffi::{CStr, CString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _, stdin, stdout};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{env, hint, thread};

pub struct Aeron;

/// The first argument that makes this program the media driver of the directory that follows.
pub const DRIVE: &str = "--aeron-driver";
/// What the driver prints once it runs.
const READY: &str = "ready";
/// A client that has waited this long for the driver gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a message before its contents; lengths are rounded up to a multiple of this.
const HEADER: usize = 32;
/// The shortest term there is.
const SHORTEST: usize = 1 << 16;
/// Most messages that a poll returns, as in all of Aeron's examples.
const FRAGMENTS: usize = 10;
/// How the driver backs off: it spins ten times, never yields, and parks for 1 us at first and 50
/// at last. By default it would yield twenty times, and each time wait for as long as a spinning
/// end may run at a stretch: a stream over 1,024 slots was then about a tenth as fast, in short
/// runs beside other work.
const IDLE: &CStr = c"10-0-1us-50us";

impl<E: Entry> Channel<E> for Aeron {
    const NAME: &'static str = "Aeron";
    const FULL: &'static [Full] = &[Full::Waits];
    type Sender = From;
    type Receiver = To;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From + Send, impl FnOnce() -> To + Send) {
        let driver = Driver::of(name);
        let stream = driver.streams.fetch_add(1, Relaxed);
        // A publisher may be half a term ahead.
        let message = (HEADER + size_of::<E>()).next_multiple_of(HEADER);
        let term = (2 * terms.slots * message).next_power_of_two().max(SHORTEST);
        let channel = CString::new(format!("aeron:ipc?term-length={term}")).expect("no zero");
        let (there, same) = (driver.clone(), channel.clone());
        (
            move || {
                let client = client(&driver.directory);
                let publication = client.add_exclusive_publication(&channel, stream, PATIENCE);
                From { publication: publication.expect("a publication"), _of: (client, driver) }
            },
            move || {
                let client = client(&there.directory);
                let none = (Handlers::NONE, Handlers::NONE);
                let subscription = client.add_subscription(&same, stream, none.0, none.1, PATIENCE);
                let subscription = subscription.expect("a subscription");
                // A publisher is connected before the client here knows of it.
                while !subscription.is_connected() {
                    thread::sleep(Duration::from_millis(1));
                }
                To { subscription, _of: (client, there) }
            },
        )
    }
}

/// Returns a client for each end, with a thread beside it that sleeps nearly always.
fn client(directory: &CStr) -> Client {
    let context = AeronContext::new().expect("a context");
    context.set_dir(directory).expect("a directory");
    context.set_pre_touch_mapped_memory(true).expect("a setting");
    let client = Client::new(&context).expect("a client");
    client.start().expect("its thread");
    client
}

/// Dropped after everything that belongs to it, the client before the driver.
type Of = (Client, Arc<Driver>);

pub struct From {
    publication: AeronExclusivePublication,
    _of: Of,
}

impl From {
    /// Offers a message until it can be sent. If the driver has to move the limit, it gets the
    /// core.
    #[inline]
    fn offer(&mut self, message: &[u8]) {
        while let Err(e) = self.publication.offer(message) {
            match e {
                AeronOfferError::BackPressured => thread::yield_now(),
                e if e.is_retryable() => hint::spin_loop(),
                e => panic!("{e}"),
            }
        }
    }
}

impl<E: Entry> Sender<E> for From {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        self.offer(bytemuck::bytes_of(entry));
        true
    }

    /// Sends one message, which the application puts together: Aeron takes no more at once.
    #[inline]
    fn send_batch(&mut self, entries: &[E]) -> bool {
        self.offer(bytemuck::cast_slice(entries));
        true
    }
}

pub struct To {
    subscription: AeronSubscription,
    _of: Of,
}

impl To {
    #[inline]
    fn take<E: Entry>(&mut self, limit: usize, mut each: impl FnMut(&E)) -> usize {
        let mut count = 0;
        let take = |message: &[u8], _| {
            // In place: a message begins at a multiple of 32.
            let entries: &[E] = bytemuck::cast_slice(message);
            entries.iter().for_each(&mut each);
            count += entries.len();
        };
        self.subscription.poll_fn(take, limit).expect("a poll");
        count
    }
}

impl<E: Entry> Receiver<E> for To {
    #[inline]
    fn poll(&mut self, each: impl FnMut(&E)) -> usize {
        self.take(FRAGMENTS, each)
    }

    /// Polls one message, which is a batch.
    #[inline]
    fn poll_batch(&mut self, each: impl FnMut(&E)) -> usize {
        self.take(1, each)
    }
}

/// The driver's process, for all channels that exist at a time.
struct Driver {
    process: Child,
    directory: CString,
    /// Number of streams that it has had.
    streams: AtomicI32,
}

impl Driver {
    /// Returns the driver that runs, or starts one, in a directory of this name.
    fn of(name: &str) -> Arc<Driver> {
        static RUNS: Mutex<Weak<Driver>> = Mutex::new(Weak::new());
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        runs.upgrade().unwrap_or_else(|| {
            let driver = Arc::new(Driver::start(&format!("/dev/shm/{name}-aeron")));
            *runs = Arc::downgrade(&driver);
            driver
        })
    }

    fn start(directory: &str) -> Driver {
        let program = env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.args([DRIVE, directory]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a driver");
        let mut told = String::new();
        let tells = process.stdout.take().expect("a pipe");
        BufReader::new(tells).read_line(&mut told).expect("what the driver tells");
        assert_eq!(told.trim_end(), READY, "the driver did not start");
        let directory = CString::new(directory).expect("no zero");
        Driver { process, directory, streams: AtomicI32::new(1) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let ended = self.process.wait();
        assert!(ended.is_ok_and(|status| status.success()), "the driver failed");
    }
}

/// Returns the version of Aeron, and of the crates that its C sources came with.
pub fn version(of_crates: &str) -> String {
    format!("{} by rusteron {of_crates}", Client::version_text())
}

/// Runs the driver, until the other end of its standard input is closed.
pub fn drive(directory: &str) {
    let context = AeronDriverContext::new().expect("a context");
    let set = || {
        context.set_dir(&CString::new(directory).expect("no zero"))?;
        context.set_dir_delete_on_start(true)?;
        context.set_dir_delete_on_shutdown(true)?;
        context.set_threading_mode(ThreadingMode::AERON_THREADING_MODE_SHARED)?;
        // Its arguments first: they are read with its name.
        context.set_shared_idle_strategy_init_args(IDLE)?;
        context.set_shared_idle_strategy(c"backoff")?;
        context.set_ipc_mtu_length(8 << 10)?;
        context.set_term_buffer_sparse_file(false)?;
        let driver = AeronDriver::new(&context)?;
        driver.start(false)?;
        Ok(driver)
    };
    let driver: Result<_, AeronCError> = set();
    let _driver = driver.unwrap_or_else(|e| panic!("the driver: {e}"));
    println!("{READY}");
    stdout().flush().expect("a pipe");
    let _ = stdin().read(&mut [0]);
}

const _: () = assert!(HEADER + BATCH * 64 <= 8 << 10, "a batch is one message");
