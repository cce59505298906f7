//! A server in a thread of its own, for as long as a test needs it.

use ringlog::Wait;
use ringlog_call::{Client, Failure, Reply, Request, Service, ServiceOptions};
use ringlog_testkit::Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(20);
pub const MOMENT: Duration = Duration::from_millis(30);
pub const BLOCK: Wait = Wait::Block(Duration::from_millis(10));

pub const ECHO: u32 = 1;
pub const FAIL: u32 = 2;
pub const PANIC: u32 = 3;
pub const FILL: u32 = 4;

/// Serves until it is dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start<H>(place: &Place, options: ServiceOptions, handler: H) -> Server
    where
        H: FnMut(&Request<'_>, &mut Reply<'_>) -> Result<(), Failure> + Send + 'static,
    {
        Server::start_with(place, options, |service, stop| service.run(BLOCK, stop, handler))
    }

    pub fn start_with<R>(place: &Place, options: ServiceOptions, run: R) -> Server
    where
        R: FnOnce(&Service, &AtomicBool) + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (name, stopped, (ready, is_ready)) =
            (place.shm.clone(), Arc::clone(&stop), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let service = options.serve(name).unwrap();
            ready.send(()).unwrap();
            run(&service, &stopped);
        });
        is_ready.recv_timeout(LONG).expect("it serves");
        Server { stop, thread: Some(thread) }
    }

    /// Waits until it has drained.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Handles requests of a server that needs no special handler.
pub fn echo(request: &Request<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    match request.method() {
        ECHO => Ok(reply.send(request.body())?),
        FAIL => Err(Failure::new(request.body())),
        PANIC => panic!("{}", String::from_utf8_lossy(request.body())),
        FILL => {
            let count = u64::from_le_bytes(request.body().try_into()?);
            let chunk = [7; 1000];
            for begun in (0..count).step_by(chunk.len()) {
                let length = chunk.len().min((count - begun) as usize);
                std::io::Write::write_all(reply, &chunk[..length])?;
            }
            Ok(())
        }
        _ => Err(Failure::no_method()),
    }
}

pub fn serve_echo(place: &Place) -> Server {
    Server::start(place, Service::options(), echo)
}

pub fn connect(place: &Place) -> Client {
    Client::connect(place.shm.as_str(), LONG).unwrap()
}
