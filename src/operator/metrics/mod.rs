//! `ringlog metrics`: what `stat` shows, for Prometheus: printed, written to a file for the node
//! exporter, or served.

mod exporter;
#[cfg(feature = "serve")]
mod serve;

use crate::cli::{Code, Failed, Stop, interval, put_whole, remove_if_there, tell};
use crate::operator::screen::print;
use crate::operator::view::exit_on_fault;
use crate::operator::which::Logs;
use exporter::Exporter;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Export metrics of logs, their writers and readers for Prometheus
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ringlog metrics                            once, of all logs in shared memory
  ringlog metrics --listen 127.0.0.1:9464    serve them, current at each scrape
  ringlog metrics --textfile /var/lib/prometheus/node-exporter/ringlog.prom --every 15s

A log that cannot be read has ringlog_log_usable 0 and no other metric; stderr says why.
Alerts and a dashboard are in contrib/.")]
pub struct Args {
    #[command(flatten)]
    logs: Logs,
    /// Serve the metrics at http://ADDRESS/metrics until INT or TERM
    ///
    /// There is no password: use an address other than 127.0.0.1 or [::1] only where every host may
    /// read them.
    #[cfg(feature = "serve")]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "textfile", value_parser = address)]
    listen: Option<std::net::SocketAddr>,
    /// Write the metrics to this file (*.prom) for the node exporter
    #[arg(long, value_name = "PATH")]
    textfile: Option<PathBuf>,
    /// Write the file again at this interval, as in 15s, until INT or TERM
    #[arg(long, value_name = "TIME", requires = "textfile", value_parser = interval)]
    every: Option<Duration>,
}

#[cfg(feature = "serve")]
fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port, as in 127.0.0.1:9464".to_owned())
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    exit_on_fault()?;
    let mut exporter = Exporter::new(args.logs)?;
    #[cfg(feature = "serve")]
    if let Some(address) = args.listen {
        return serve::run(address, exporter, &stop);
    }
    let Some(path) = args.textfile else { return print(exporter.text()?) };
    replace(&path, &exporter.text()?)?;
    let Some(every) = args.every else { return Ok(()) };
    let every_so = humantime::format_duration(every);
    tell(format_args!("ringlog: writing {} every {every_so}", path.display()));
    let mut told = None;
    loop {
        stop.wait(every);
        if stop.requested() {
            return Ok(());
        }
        // What fails now may succeed next time: the disk may be full, for example.
        let trouble = exporter.text().and_then(|text| Ok(replace(&path, &text)?)).err();
        let trouble = trouble.map(|e| format!("{e:#}"));
        if let Some(why) = &trouble
            && trouble != told
        {
            tell(format_args!("ringlog: {why}"));
        }
        told = trouble;
    }
}

/// Replaces the file at `path` by one with this text, in one step.
fn replace(path: &Path, text: &str) -> Result<(), Failed> {
    let failed =
        |e: io::Error| Failed(Code::Output, format!("{}: cannot be written: {e}", path.display()));
    if fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(failed(io::Error::other("it exists and is not a file")));
    }
    // In that directory, and without the ending that the node exporter looks for.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    remove_if_there(beside).map_err(failed)?; // left by a killed run
    let everybody = Some(Permissions::from_mode(0o644)); // the node exporter is another user
    put_whole(path, beside, everybody, |mut file| file.write_all(text.as_bytes())).map_err(failed)
}
