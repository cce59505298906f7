//! The layer: what happens becomes an entry, and is appended.

use crate::body::Body;
use crate::scratch::with_body;
use crate::trace::{Severity, Trace, Traces, options};
use ringlog::{Enum, Log, Name, Result, Timestamp, Writer};
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// A [`Layer`] that appends events and spans to a log.
///
/// A clone is the same layer: keep one to ask for [`errors`](RingLayer::errors), or to
/// [`close`](RingLayer::close) the log in the end.
#[derive(Clone)]
pub struct RingLayer {
    shared: Arc<Shared>,
}

struct Shared {
    log: Name,
    /// `None` once it is closed. It is held for an append and nothing else.
    writer: Mutex<Option<Writer<Traces>>>,
    /// What [`ringlog::forks`] was when the writer was made.
    forks: u64,
    errors: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// What a layer knows of a span that is open.
struct Opened {
    /// Which layer: a registry may have several.
    layer: usize,
    /// Of its `new` entry; 0 if that was refused.
    position: u64,
    at: Instant,
    /// The names of the spans around it and its own, as the elements of a JSON array.
    path: Vec<u8>,
}

/// What all layers of a registry know of a span.
#[derive(Default)]
struct Spans(Vec<Opened>);

impl fmt::Debug for RingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingLayer")
            .field("log", &self.shared.log)
            .field("errors", &self.errors())
            .finish_non_exhaustive()
    }
}

impl RingLayer {
    /// Opens the log of this name, or makes it as [`options`] say, and becomes its writer.
    ///
    /// # Errors
    /// Those of [`Options::open_or_create`](ringlog::Options::open_or_create) and [`Log::writer`].
    pub fn open_or_create(name: impl Into<Name>) -> Result<RingLayer> {
        RingLayer::new(&options().open_or_create::<Traces>(name)?)
    }

    /// Becomes the writer of a log, and appends a `start` entry, with the id and the path of this process.
    ///
    /// # Errors
    /// Those of [`Log::writer`]: another process is the writer, the log has other columns, or its writer
    /// waits for readers, which a layer never does.
    pub fn new(log: &Log) -> Result<RingLayer> {
        let shared = Shared {
            log: log.name().clone(),
            writer: Mutex::new(Some(log.writer::<Traces>()?)),
            forks: ringlog::forks(),
            errors: AtomicU64::new(0),
            last_error: Mutex::new(None),
        };
        let layer = RingLayer { shared: Arc::new(shared) };
        let program = std::env::current_exe().unwrap_or_default();
        let target = program.file_name().map(Path::new).unwrap_or(Path::new("")).to_string_lossy();
        layer.entry("start", Severity::Info, &target, |body| {
            body.value("process", std::process::id());
            body.value("program", program.to_string_lossy());
            Some(0)
        });
        Ok(layer)
    }

    /// Returns how many errors there were. Each is an entry that was not appended, or one whose field has
    /// failed to show itself, and is there as far as it came.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Relaxed) // a count, which nothing is read by
    }

    /// Returns what the last error was.
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error.try_lock().ok()?.clone()
    }

    /// Closes the log in order, as a writer that is dropped does: a `reporter --to-end` ends then. What comes
    /// later is refused, and counted as an error.
    ///
    /// A subscriber that is the program's default is never dropped, and so its log is never closed without
    /// this. It goes on to exist, with all entries, either way.
    pub fn close(&self) {
        if !self.is_in_child() {
            self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Whether this process was forked from the one that has the log.
    fn is_in_child(&self) -> bool {
        ringlog::forks() != self.shared.forks
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.shared) as usize
    }

    /// Makes an entry and appends it; returns its position. `tell` makes the body, and returns the position
    /// of the span; `None` if the entry is where that begins.
    fn entry(
        &self,
        kind: &str,
        level: impl Into<Severity>,
        target: &str,
        tell: impl FnOnce(&mut Body) -> Option<u64>,
    ) -> Option<u64> {
        let time = Timestamp::now();
        let level = Enum::new(level.into());
        let appended = with_body(|body| {
            let span = tell(body);
            let trace = Trace {
                time,
                level,
                kind: kind.into(),
                target: target.into(),
                span: span.unwrap_or(0),
            };
            if trace.target != *target {
                body.value("target", target);
            }
            if body.is_incomplete {
                self.fail::<()>("a field failed to show itself, and is incomplete");
            }
            self.append(trace, span.is_none(), body.finish())
        });
        appended.unwrap_or_else(|| self.fail("a field logs while it is shown, again and again"))
    }

    fn append(&self, mut trace: Trace, begins: bool, body: &[u8]) -> Option<u64> {
        // Before the lock: what another thread of the parent held is held for good in a child.
        if self.is_in_child() {
            return self
                .fail("this process was forked from the one that has the log; open it again here");
        }
        let mut writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = writer.as_mut().map(|writer| {
            if begins {
                trace.span = writer.position();
            }
            writer.append(&trace, body)
        });
        drop(writer);
        match appended {
            Some(Ok(position)) => Some(position),
            Some(Err(e)) => self.fail(e),
            None => self.fail("the layer is closed"),
        }
    }

    /// Counts an error.
    fn fail<T>(&self, why: impl fmt::Display) -> Option<T> {
        self.shared.errors.fetch_add(1, Relaxed); // with the load in `errors`
        let why = format!("{}: {why}", self.shared.log);
        // A thread that finds it locked leaves another's error there, of the same moment.
        if let Ok(mut last) = self.shared.last_error.try_lock() {
            *last = Some(why);
        }
        None
    }

    /// Adds the path of a span to a body; returns the span's position. Of what this layer has not seen
    /// begin, and of no span at all, there is neither.
    fn add_path<S>(&self, body: &mut Body, span: Option<&SpanRef<'_, S>>) -> Option<u64>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let opened = span.and_then(|span| {
            self.look_at(span, |opened| {
                body.array("spans", &opened.path);
                opened.position
            })
        });
        Some(opened.unwrap_or(0))
    }

    /// Looks at what this layer knows of a span. The span is locked meanwhile, so `look` runs no code of the
    /// program's.
    fn look_at<S, T>(&self, span: &SpanRef<'_, S>, look: impl FnOnce(&Opened) -> T) -> Option<T>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let extensions = span.extensions();
        let Spans(all) = extensions.get()?;
        all.iter().find(|opened| opened.layer == self.key()).map(look)
    }
}

impl<S> Layer<S> for RingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let bridged = event.normalized_metadata(); // of the crate `log`
        let metadata: &Metadata<'_> = bridged.as_ref().unwrap_or_else(|| event.metadata());
        self.entry("event", metadata.level(), metadata.target(), |body| {
            let span = self.add_path(body, context.event_span(event).as_ref());
            body.fields(|fields| event.record(fields));
            span
        });
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let (at, metadata) = (Instant::now(), span.metadata());
        let parent = span.parent();
        let around = |opened: &Opened| (opened.position, opened.path.clone());
        let around = parent.and_then(|parent| self.look_at(&parent, around));
        let (parent, mut path) = around.unwrap_or_default();
        if !path.is_empty() {
            path.push(b',');
        }
        path.extend(serde_json::to_vec(metadata.name()).unwrap_or_default());
        let position = self.entry("new", metadata.level(), metadata.target(), |body| {
            body.array("spans", &path);
            if parent > 0 {
                body.value("parent", parent);
            }
            body.fields(|fields| attributes.record(fields));
            None
        });
        let opened = Opened { layer: self.key(), position: position.unwrap_or(0), at, path };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Spans>() {
            Some(Spans(all)) => all.push(opened),
            None => extensions.insert(Spans(vec![opened])),
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let metadata = span.metadata();
        self.entry("record", metadata.level(), metadata.target(), |body| {
            let position = self.add_path(body, Some(&span));
            body.fields(|fields| values.record(fields));
            position
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(age) = self.look_at(&span, |opened| opened.at.elapsed()) else { return };
        let metadata = span.metadata();
        self.entry("close", metadata.level(), metadata.target(), |body| {
            let position = self.add_path(body, Some(&span));
            body.value("duration_ns", u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
            position
        });
    }
}
