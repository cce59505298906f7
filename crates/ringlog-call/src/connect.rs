//! How to become a client: the search for a server, and for a free lane.

use crate::client::{Client, ClientOptions};
use crate::error::CallError;
use crate::lane::{self, READER, Way};
use ringlog::{BodyForm, Error, Log, Name, Purpose, Role, Start};
use std::time::{Duration, Instant};

impl Client {
    /// Becomes a client that sends bytes, as [`ClientOptions::connect`].
    ///
    /// # Errors
    /// Those of [`ClientOptions::connect`].
    pub fn connect(name: impl Into<Name>, at_most: Duration) -> Result<Client, CallError> {
        Client::options().connect(name, at_most)
    }
}

impl ClientOptions {
    /// Becomes a client of a service, and waits for its server and for a free lane, at most
    /// `at_most`.
    ///
    /// # Errors
    /// [`CallError::TimedOut`] if all lanes have a client, and none became free in time;
    /// [`CallError::Gone`] if no process serves by then; [`CallError::Log`] with the errors of
    /// [`Log::open`], and if the log with this name is no service.
    pub fn connect<B: BodyForm>(
        &self,
        name: impl Into<Name>,
        at_most: Duration,
    ) -> Result<Client<B>, CallError> {
        let (name, end) = (name.into(), Instant::now().checked_add(at_most));
        loop {
            let found = self.find_lane(&name);
            let over = end.is_some_and(|end| Instant::now() >= end);
            match found {
                Ok(Some(client)) => return Ok(client),
                Ok(None) if over => return Err(CallError::TimedOut),
                Err(CallError::Gone | CallError::Log(Error::NotFound { .. })) if !over => {}
                Ok(None) => {}
                Err(e) => return Err(e),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes the first lane that has no client; `None` if there is none now.
    fn find_lane<B: BodyForm>(&self, name: &Name) -> Result<Option<Client<B>>, CallError> {
        let service = self.open(name)?;
        let Purpose::Service { lanes } = service.purpose() else {
            return Err(
                Error::Invalid(format!("{name}: not a service; name one that is served")).into()
            );
        };
        if !service.is_claimed(Role::Writer)? {
            return Err(CallError::Gone);
        }
        let mut why = None;
        for number in 0..lanes as usize {
            match self.take_lane(name, number) {
                Ok(client) => return Ok(Some(client)),
                Err(Error::Claimed { .. } | Error::Replaced { .. }) => {}
                Err(Error::NotFound { .. }) => break, // the server makes one more while one is free
                Err(e) => why = Some(e),              // not ours: the next one may be
            }
        }
        why.map_or(Ok(None), |e| Err(e.into()))
    }

    fn open(&self, name: &Name) -> Result<Log, Error> {
        let options = Log::options();
        match self.owner {
            Some(uid) => options.owner(uid).open(name),
            None => options.open(name),
        }
    }

    fn take_lane<B: BodyForm>(&self, service: &Name, number: usize) -> Result<Client<B>, Error> {
        let [requests, answers] = [Way::Requests, Way::Answers].map(|way| {
            let log = self.open(&lane::name(service, number, way))?;
            match log.purpose() {
                Purpose::Lane => Ok(log),
                _ => Err(Error::Invalid(format!("{}: not a lane of a service", log.name()))),
            }
        });
        let (requests, answers) = (requests?, answers?);
        if !answers.is_claimed(Role::Writer)? {
            // The server skips this lane, or has not come to it yet.
            let (log, role) = (answers.name().to_string(), Role::Writer);
            return Err(Error::Claimed { log, role, pid: 0 });
        }
        let to = requests.lossless_writer()?; // the claim of the lane
        // Answers to the client before this one are dropped.
        let mut from = answers.reader_from(READER, Start::Newest)?;
        from.release();
        let whole_max = requests.geometry().body_max();
        Ok(Client::of(to, from, number, requests.epoch() as u32, whole_max, self.clone()))
    }
}
