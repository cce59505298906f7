//! The logs of a topic, and their writers.

use ringlog::{
    Described, Error, Form, Log, LosslessWriter, Name, Options, Purpose, Result, Writer,
};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Several logs with one name, and a number each.
#[derive(Debug, Clone)]
pub struct Topic {
    name: Name,
    logs: u64,
    options: Options,
}

impl Topic {
    /// Makes a topic of up to `logs` logs, each as [`Log::options`] would make it. No log is made
    /// before there is a publisher.
    pub fn new(name: impl Into<Name>, logs: u64) -> Topic {
        Topic { name: name.into(), logs, options: Log::options() }
    }

    /// Sets how its logs are made and opened: capacity, gates, arena, mode, and whose logs are
    /// trusted.
    pub fn options(mut self, options: Options) -> Topic {
        self.options = options;
        self
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns how many logs the topic can have.
    pub fn logs(&self) -> u64 {
        self.logs
    }

    /// Returns the name of log `number`: `/ticks.3`.
    pub fn log_name(&self, number: u64) -> Name {
        self.name.with_ending(&format!(".{number}"))
    }

    /// Becomes the writer of the first log that has none, and makes that log if it does not exist.
    ///
    /// # Errors
    /// [`Error::Invalid`] if all logs have a writer, or if a log of that name does not belong to
    /// this topic; those of [`Log::open`], [`Log::create`] and [`Log::writer`].
    pub fn publisher<R: Form + Described>(&self) -> Result<Publisher<R>> {
        self.first_free(|number| self.publisher_at(number))
    }

    /// Becomes the writer of log `number`.
    ///
    /// # Errors
    /// [`Error::Claimed`] if that log has a writer; those of [`publisher`](Topic::publisher).
    pub fn publisher_at<R: Form + Described>(&self, number: u64) -> Result<Publisher<R>> {
        let writer = self.log::<R>(number)?.writer()?;
        Ok(Publisher { writer, number })
    }

    /// Becomes the writer of the first log that has none, in a topic whose logs lose nothing.
    ///
    /// # Errors
    /// Those of [`publisher`](Topic::publisher), and [`Error::Invalid`] if its logs are not
    /// [lossless](Options::lossless).
    pub fn lossless_publisher<R: Form + Described>(&self) -> Result<LosslessPublisher<R>> {
        self.first_free(|number| self.lossless_publisher_at(number))
    }

    /// Becomes the writer of log `number`, in a topic whose logs lose nothing.
    ///
    /// # Errors
    /// Those of [`publisher_at`](Topic::publisher_at).
    pub fn lossless_publisher_at<R: Form + Described>(
        &self,
        number: u64,
    ) -> Result<LosslessPublisher<R>> {
        let writer = self.log::<R>(number)?.lossless_writer()?;
        Ok(LosslessPublisher { writer, number })
    }

    fn first_free<T>(&self, publisher: impl Fn(u64) -> Result<T>) -> Result<T> {
        for number in 0..self.logs {
            match publisher(number) {
                Err(Error::Claimed { .. }) => {}
                done => return done,
            }
        }
        Err(Error::Invalid(format!(
            "{}: each of its {} logs has a writer; stop one, or make the topic with more logs",
            self.name, self.logs
        )))
    }

    fn log<R: Described>(&self, number: u64) -> Result<Log> {
        if number >= self.logs {
            return Err(Error::Invalid(format!(
                "{}: it has no log {number}; they are 0 to {}",
                self.name,
                self.logs.saturating_sub(1)
            )));
        }
        let options = self.options.clone().purpose(Purpose::Topic { logs: self.logs });
        let log = options.open_or_create::<R>(self.log_name(number))?;
        self.check(&log)?;
        Ok(log)
    }

    /// Refuses a log that does not belong to this topic.
    fn check(&self, log: &Log) -> Result<()> {
        let is = match log.purpose() {
            Purpose::Topic { logs } if logs == self.logs => return Ok(()),
            Purpose::Topic { logs } => format!("it belongs to a topic of {logs} logs"),
            _ => "it belongs to no topic".to_owned(),
        };
        Err(Error::Invalid(format!(
            "{}: {is}, and one of {} was asked for; open it as what it is, or give the topic \
             another name",
            log.name(),
            self.logs
        )))
    }

    /// Finds the topic with this name by its logs, which say how many there can be. Returns `None`
    /// if there are none.
    ///
    /// # Errors
    /// [`Error::Io`] if logs cannot be listed.
    pub fn find(name: impl Into<Name>, options: &Options) -> Result<Option<Topic>> {
        let name = name.into();
        let there = match &name {
            Name::Shm(_) => Log::all()?,
            Name::File(path) => match path.parent() {
                Some(directory) if directory.as_os_str().is_empty() => Log::all_in(".".as_ref())?,
                Some(directory) => Log::all_in(directory)?,
                None => Vec::new(),
            },
        };
        for log in there {
            let Ok(log) = options.open(log) else { continue };
            let is_same = |topic: &Name| match (topic, &name) {
                (Name::File(topic), Name::File(name)) => topic.file_name() == name.file_name(),
                (topic, name) => topic.to_string() == name.to_string(),
            };
            if let (Purpose::Topic { logs }, Some((topic, _))) = (log.purpose(), member_of(&log))
                && is_same(&topic)
            {
                return Ok(Some(Topic { name, logs, options: options.clone() }));
            }
        }
        Ok(None)
    }

    /// Returns the names of the logs that exist.
    pub fn members(&self) -> Vec<Name> {
        let is_there = |&number: &u64| matches!(self.find_log(number), Ok(Some(_)));
        (0..self.logs).filter(is_there).map(|number| self.log_name(number)).collect()
    }

    /// Opens log `number`, if it exists.
    pub(crate) fn find_log(&self, number: u64) -> Result<Option<Log>> {
        match self.options.open(self.log_name(number)) {
            Ok(log) => self.check(&log).map(|()| Some(log)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Returns the topic that a log says it belongs to, and its number there; `None` if it says no such
/// thing.
pub fn member_of(log: &Log) -> Option<(Name, u64)> {
    let is_member = matches!(log.purpose(), Purpose::Topic { .. });
    is_member.then(|| topic_of(log.name())).flatten()
}

/// Returns the topic that a log with this name could belong to, and its number there.
pub fn topic_of(name: &Name) -> Option<(Name, u64)> {
    let cut = |name: &str| {
        let (topic, digits) = name.rsplit_once('.')?;
        let number: u64 = digits.parse().ok()?;
        (number.to_string() == digits).then(|| (topic.to_owned(), number))
    };
    match name {
        Name::Shm(name) => cut(name).map(|(topic, number)| (Name::Shm(topic), number)),
        Name::File(path) => {
            let (topic, number) = cut(path.to_str()?)?;
            Some((Name::File(topic.into()), number))
        }
    }
}

macro_rules! publishers {
    ($($(#[$doc:meta])* $name:ident of $writer:ident;)+) => { $(
        $(#[$doc])*
        pub struct $name<R> {
            writer: $writer<R>,
            number: u64,
        }

        impl<R> fmt::Debug for $name<R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("number", &self.number)
                    .field("writer", &self.writer)
                    .finish()
            }
        }

        impl<R> $name<R> {
            /// Returns the number of the log that it writes.
            pub fn number(&self) -> u64 {
                self.number
            }
        }

        impl<R> Deref for $name<R> {
            type Target = $writer<R>;

            fn deref(&self) -> &$writer<R> {
                &self.writer
            }
        }

        impl<R> DerefMut for $name<R> {
            fn deref_mut(&mut self) -> &mut $writer<R> {
                &mut self.writer
            }
        }
    )+ };
}
publishers! {
    /// The writer of one log of a topic; it derefs to a [`Writer`].
    Publisher of Writer;
    /// The writer of one log of a topic that loses nothing; it derefs to a [`LosslessWriter`].
    LosslessPublisher of LosslessWriter;
}
