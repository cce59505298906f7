//! The logs of a topic, and who writes them.

use ringlog::{
    Described, Error, Form, Log, LosslessWriter, Name, Options, Purpose, Result, Writer,
};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Several logs, of one name and a number each.
#[derive(Debug, Clone)]
pub struct Topic {
    name: Name,
    logs: u64,
    options: Options,
}

impl Topic {
    /// A topic of up to so many logs, each as [`Log::options`] makes one. Nothing is made before somebody
    /// publishes.
    pub fn new(name: impl Into<Name>, logs: u64) -> Topic {
        Topic { name: name.into(), logs, options: Log::options() }
    }

    /// How its logs are made and opened: their capacity, gates, arena, mode, whose are believed.
    pub fn options(mut self, options: Options) -> Topic {
        self.options = options;
        self
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many logs there can be.
    pub fn logs(&self) -> u64 {
        self.logs
    }

    /// What log `number` of it is called: `/ticks.3`.
    pub fn log_name(&self, number: u64) -> Name {
        self.name.with_ending(&format!(".{number}"))
    }

    /// Becomes the writer of the first of its logs that has none, and makes that if need be.
    ///
    /// # Errors
    /// [`Error::Invalid`] if all have one, or a log of that name is part of no such topic; as
    /// [`Log::open`], [`Log::create`] and [`Log::writer`].
    pub fn publisher<R: Form + Described>(&self) -> Result<Publisher<R>> {
        self.first_free(|number| self.publisher_at(number))
    }

    /// Becomes the writer of log `number`.
    ///
    /// # Errors
    /// [`Error::Claimed`] if it has one; as [`publisher`](Topic::publisher).
    pub fn publisher_at<R: Form + Described>(&self, number: u64) -> Result<Publisher<R>> {
        let writer = self.log::<R>(number)?.writer()?;
        Ok(Publisher { writer, number })
    }

    /// As [`publisher`](Topic::publisher), of a topic whose logs lose nothing.
    ///
    /// # Errors
    /// As there, and [`Error::Invalid`] if its logs are not [lossless](Options::lossless).
    pub fn lossless_publisher<R: Form + Described>(&self) -> Result<LosslessPublisher<R>> {
        self.first_free(|number| self.lossless_publisher_at(number))
    }

    /// Becomes the writer of log `number`, of a topic whose logs lose nothing.
    ///
    /// # Errors
    /// As [`publisher_at`](Topic::publisher_at).
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
            "{}: each of its {} logs has a writer; make it of more logs, or stop one",
            self.name, self.logs
        )))
    }

    fn log<R: Described>(&self, number: u64) -> Result<Log> {
        if number >= self.logs {
            return Err(Error::Invalid(format!(
                "{}: there is no log {number} in it; they are 0 to {}",
                self.name,
                self.logs.saturating_sub(1)
            )));
        }
        let options = self.options.clone().purpose(Purpose::Topic { logs: self.logs });
        let log = options.open_or_create::<R>(self.log_name(number))?;
        self.check(&log)?;
        Ok(log)
    }

    /// Refuses what is no log of this topic.
    fn check(&self, log: &Log) -> Result<()> {
        let is = match log.purpose() {
            Purpose::Topic { logs } if logs == self.logs => return Ok(()),
            Purpose::Topic { logs } => format!("it belongs to a topic of {logs} logs"),
            _ => "it belongs to no topic".to_owned(),
        };
        Err(Error::Invalid(format!(
            "{}: {is}, and this is to be one of {}; name the topic as it is, or give it another name",
            log.name(),
            self.logs
        )))
    }

    /// The topic of this name, as its logs that there are say: how many it can have. `None` if there is none.
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

    /// What its logs are called that there are.
    pub fn members(&self) -> Vec<Name> {
        let is_there = |&number: &u64| matches!(self.find_log(number), Ok(Some(_)));
        (0..self.logs).filter(is_there).map(|number| self.log_name(number)).collect()
    }

    /// Log `number`, if it is there.
    pub(crate) fn find_log(&self, number: u64) -> Result<Option<Log>> {
        match self.options.open(self.log_name(number)) {
            Ok(log) => self.check(&log).map(|()| Some(log)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The topic that a log says it is part of, and its number there; `None` if it says no such thing.
pub fn member_of(log: &Log) -> Option<(Name, u64)> {
    let is_member = matches!(log.purpose(), Purpose::Topic { .. });
    is_member.then(|| topic_of(log.name())).flatten()
}

/// What topic a log of this name would be part of, and its number there.
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
            /// Which log of the topic it writes.
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
    /// The writer of one log of a topic: derefs to a [`Writer`].
    Publisher of Writer;
    /// The same of a topic that loses nothing: derefs to a [`LosslessWriter`].
    LosslessPublisher of LosslessWriter;
}
