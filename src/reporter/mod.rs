//! `reporter N`: exports a log to a file or a stream, as durable reader N.

mod args;
mod carry;
#[cfg(feature = "compress")]
mod compress;
mod setup;
mod topic;
mod watch;

use crate::cli::{self, Code, Failed, grouped, per_second};
use args::{Args, RowsAs};
use carry::{Ending, RETRY, ROOM};
use nix::libc;
use ringlog::{Error, Log, ReaderState, Start};
use ringlog_rows::{Rows, is_for_want_of_room};
use setup::{Export, Reporter, Signals, output_failed};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the program `reporter N`.
pub fn main() -> ExitCode {
    let signals = Signals::catch(); // before anything slow: until then a HUP would end us
    let args: Args = cli::parse();
    let program = format!("reporter {}", args.reader);
    let signals = signals.and_then(|signals| topic::end_with_parent().map(|()| signals));
    let done = signals.and_then(|signals| match args.topic.clone() {
        Some(topic) => topic::run_each(&args, &topic, signals),
        None => Reporter::new(args, signals)?.run(),
    });
    cli::end(&program, done)
}

impl Reporter {
    fn run(mut self) -> anyhow::Result<()> {
        let (mut start, mut waited) = (self.args.from, false);
        while let Some(log) = self.wait_for_log(&mut waited)? {
            match self.follow(&log, start, waited) {
                Ok(Ending::Done) => break,
                Ok(Ending::Gone) if !self.waits() || self.args.to_end => break,
                // The next log, from its beginning.
                Ok(Ending::Gone) => (start, waited) = (Start::Resume, true),
                Err(e) if self.waits() && is_gone(&e) => {} // deleted before it was claimed
                Err(e) => return Err(e),
            }
        }
        #[cfg(feature = "compress")]
        if let Some(worker) = self.compress.take() {
            if worker.is_busy() {
                self.say(format_args!("waiting until the finished files are compressed"));
            }
            worker.finish();
        }
        cli::make_room_to_tell();
        self.tell_losses(None);
        let time = self.began.elapsed();
        let (rows, rate) = (grouped(self.rows), grouped(per_second(self.rows, time)));
        let lost = grouped(self.lost);
        self.say(format_args!(
            "{rows} rows, {lost} lost, {:.1} s, {rate} rows/s",
            time.as_secs_f64()
        ));
        if self.args.strict && self.lost > 0 {
            Err(Failed(Code::Lost, format!("{lost} entries were lost")).into())
        } else {
            Ok(())
        }
    }

    /// Opens the log once it exists; `None` if a signal came first. Notes whether it had to be
    /// waited for.
    fn wait_for_log(&self, waited: &mut bool) -> anyhow::Result<Option<Log>> {
        let mut said = false;
        while !self.stop.requested() {
            match self.options.open(&self.name) {
                Err(Error::NotFound { .. }) if self.waits() => {}
                result => return Ok(Some(result?)),
            }
            *waited = true;
            if !std::mem::replace(&mut said, true) {
                self.say(format_args!("{} is not there yet; waiting for its writer", self.name));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }

    fn follow(&mut self, log: &Log, start: Start, waited: bool) -> anyhow::Result<Ending> {
        if log.schema().body().is_none() && matches!(self.args.format, RowsAs::Raw | RowsAs::Frames)
        {
            let what = format!(
                "{}: its entries have no bodies, and --format {} writes nothing else; use csv or jsonl",
                log.name(),
                self.args.format.extension()
            );
            return Err(Failed(Code::Invalid, what).into());
        }
        let Some(mut report) = self.open(log, start, waited)? else { return Ok(Ending::Done) };
        let outcome = self.carry(log, &mut report);
        self.rows += report.committed_entries();
        self.lost += report.lost();
        match outcome {
            Err(e) if is_closed_pipe(&e) => Ok(Ending::Done),
            outcome => outcome,
        }
    }

    /// Opens everything for the export; `None` if a signal came first.
    fn open(&self, log: &Log, start: Start, waited: bool) -> anyhow::Result<Option<Export>> {
        let attach = || {
            let mut reader = log.reader_from(self.args.reader.into(), start)?;
            if waited && start == Start::Resume && reader.attached().fresh {
                // The reporter was there before the log: what has been overwritten since is its
                // loss.
                reader.seek(Start::At(0))?;
            }
            Ok::<_, Error>(reader)
        };
        let mut reader = attach()?;
        if self.args.log.prefault || self.args.log.lock {
            match reader.memory() {
                Ok(memory) => self.say(format_args!("{}: {memory}", log.name())),
                Err(e) => self.warn(format_args!("{e}")), // without /proc: no reason to stop
            }
        }
        let attached = reader.attached();
        if let Some(pointer) = attached.distrusted {
            self.warn(format_args!(
                "the read pointer {pointer} is not one that a reader left in this log, which ends \
                 at {}; resuming at {}",
                attached.end,
                reader.position()
            ));
        }
        let before = self.had_another_output(log)?;
        let flush = self.args.flush;
        let Some(path) = &self.output else {
            let stdout = Rows::stdout(log.schema(), self.rows_as).map_err(output_failed)?;
            self.warn_all(before.as_slice());
            return Ok(Some(Export::new(reader, stdout, flush)?.0));
        };
        let mut said = false;
        let (report, notes) = loop {
            let rows = if std::fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo()) {
                let Some(pipe) = self.wait_for_other_end(path)? else { return Ok(None) };
                Rows::stream(pipe, log.schema(), self.rows_as)
            } else {
                let stop = self.stop.clone();
                Rows::file(path, log.schema(), self.rows_as).until(move || stop.requested())
            };
            match Export::new(reader, rows, flush) {
                Err(e) if is(&e, ErrorKind::Interrupted) => return Ok(None),
                // At the start, a missing directory is more likely a mistake than one that will
                // come back.
                Err(e) if is(&e, ErrorKind::NotFound) => {
                    let why = format!("{e}; make its directory first, or mount it");
                    return Err(Failed(Code::Output, why).into());
                }
                Err(e) if is_for_want_of_room(&e) && !self.stop.requested() => {
                    if !std::mem::replace(&mut said, true) {
                        self.warn(format_args!("{e}; {ROOM} (df, and df -i for inodes)"));
                    }
                    self.stop.wait(RETRY);
                    reader = attach()?;
                }
                opened => break opened.map_err(output_failed)?,
            }
        };
        self.warn_all(before.as_slice()); // no row has been written
        self.warn_all(&notes);
        #[cfg(feature = "compress")]
        if let Some(how) = self.args.compress
            && self.compress.get().is_none()
        {
            // Not before the output is ours: then the list beside it is, too.
            let failed =
                |e| Failed(Code::Output, format!("{}: finished parts: {e}", path.display()));
            let worker = compress::Worker::start(self.args.reader, how, path).map_err(failed)?;
            let _ = self.compress.set(worker);
        }
        self.say(format_args!(
            "{} to {}, from {}",
            log.name(),
            path.display(),
            report.source().position()
        ));
        Ok(Some(report))
    }

    /// Returns what to print if this reader wrote another file before, in which it can still
    /// resume.
    fn had_another_output(&self, log: &Log) -> anyhow::Result<Option<String>> {
        let snapshot = log.snapshot()?;
        let id = usize::from(self.args.reader);
        let is_other = |state: &&ReaderState| match &self.output {
            Some(path) => ringlog_rows::had_another_output(state, path),
            None => state.output.is_some(),
        };
        let state = snapshot.readers.iter().filter(|state| state.id == id).find(is_other);
        Ok(state.map(|ReaderState { position, output_path, .. }| {
            let path = output_path.as_ref().map(|path| path.display().to_string());
            let before = path.as_deref().unwrap_or("another file");
            let output = path.as_deref().unwrap_or("FILE");
            format!(
                "this reader wrote {before} up to {position}, and now writes {} from there; to \
                 resume the other file, stop and give --output {output}",
                self.output_name()
            )
        }))
    }

    /// Opens a named pipe once it has a reader; `None` if a signal came first, which would not end
    /// a plain `open`.
    fn wait_for_other_end(&self, path: &Path) -> anyhow::Result<Option<File>> {
        let mut said = false;
        while !self.stop.requested() {
            let opened = File::options().append(true).custom_flags(libc::O_NONBLOCK).open(path);
            match opened {
                Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {}
                opened => {
                    let failed = |e| {
                        Failed(Code::Output, format!("{}: cannot be written: {e}", path.display()))
                    };
                    return Ok(Some(opened.map_err(failed)?));
                }
            }
            if !std::mem::replace(&mut said, true) {
                self.say(format_args!("{} has no reader yet; waiting", path.display()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }
}

fn is(error: &Error, kind: ErrorKind) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == kind)
}

fn is_gone(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::NotFound { .. } | Error::Replaced { .. }))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
