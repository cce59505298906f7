//! `ringlog serve`: a service by hand, which echoes, or has a command answer.

use crate::cli::{Code, Failed, Stop, tell};
use crate::operator::which::name;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ringlog::{BodyForm, Bytes, Json, MsgPack, Utf8, Wait};
use ringlog_call::{Failure, Reply, Request, Service, ServiceOptions};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Time between two looks at a running command.
const LOOK: Duration = Duration::from_millis(2);
const WAIT: Wait = Wait::Block(Duration::from_millis(10));

/// Serve calls: echo each request, or run a command for it
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A command gets the request on stdin and the method in RINGLOG_METHOD; what it prints is the answer. If
its exit code is not 0, the call fails with what the command printed on stderr. The command is killed
when the call's time is over.

Examples:
  ringlog serve /echo --echo
  ringlog serve /upper --exec 'tr a-z A-Z' --workers 4")]
pub struct Args {
    /// Shared-memory name or file path of the service
    #[arg(value_name = "SERVICE")]
    service: OsString,
    /// Answer with the request itself
    #[arg(long, conflicts_with = "exec", required_unless_present = "exec")]
    echo: bool,
    /// Run this shell command for each call
    #[arg(long, value_name = "CMD")]
    exec: Option<OsString>,
    /// Largest number of clients at a time [default: 16]
    #[arg(long, value_name = "N")]
    lanes: Option<u64>,
    /// Largest number of commands at a time
    #[arg(long, value_name = "N", default_value_t = 1, requires = "exec")]
    workers: usize,
    /// Run a request again if a server died while it had it
    ///
    /// Without it, the caller gets an error.
    #[arg(long)]
    repeat: bool,
    /// Wait for `reporter N --topic SERVICE` too, which exports each call
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..8))]
    record: Option<u8>,
    /// Kind of requests and answers: bytes, text, json, msgpack
    #[arg(long = "body", value_name = "KIND", default_value = "bytes")]
    #[arg(value_parser = ["bytes", "text", "json", "msgpack"])]
    kind: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let mut options =
        Service::options().repeat(args.repeat).recorded_by(args.record.map(usize::from));
    if let Some(lanes) = args.lanes {
        options = options.lanes(lanes);
    }
    match &*args.kind {
        "text" => serve::<Utf8>(&args, &options, &stop),
        "json" => serve::<Json>(&args, &options, &stop),
        "msgpack" => serve::<MsgPack>(&args, &options, &stop),
        _ => serve::<Bytes>(&args, &options, &stop),
    }
}

fn serve<B: BodyForm>(args: &Args, options: &ServiceOptions, stop: &Stop) -> anyhow::Result<()> {
    let service: Service<B> = options.serve(name(&args.service))?;
    tell(format_args!("serves {}, until Ctrl-C", service.name()));
    for notice in service.notices() {
        tell(format_args!("ringlog: {notice}"));
    }
    match &args.exec {
        Some(command) => service.run_with(args.workers, WAIT, stop.flag(), |request, reply| {
            answer(command, request, reply)
        }),
        None => service.run(WAIT, stop.flag(), |request, reply| Ok(reply.send(request.body())?)),
    }
    let left = service.notices();
    match left.first() {
        Some(notice) => Err(Failed(Code::Unusable, notice.clone()).into()),
        None => Ok(()),
    }
}

fn answer<B: BodyForm>(
    command: &OsString,
    request: &Request<'_, B>,
    reply: &mut Reply<'_, B>,
) -> Result<(), Failure> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("RINGLOG_METHOD", request.method().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0) // so that what it starts can be ended with it
        .spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = pipes else {
        return Err(Failure::new("the command has no pipes"));
    };
    let (mut said, mut why) = (Vec::new(), Vec::new());
    let body = request.body();
    let ended = std::thread::scope(|scope| {
        // A command need not read its input.
        scope.spawn(move || drop(stdin.write_all(body)));
        let said = scope.spawn(|| stdout.read_to_end(&mut said));
        let why = scope.spawn(|| stderr.read_to_end(&mut why));
        let ended = ended(&mut child, || request.is_wanted());
        let read = [said.join(), why.join()];
        read.into_iter().all(|read| matches!(read, Ok(Ok(_)))).then_some(ended)
    });
    match ended {
        Some(Ok(true)) => Ok(reply.write_all(&said)?),
        Some(Ok(false)) if why.is_empty() => Err(Failure::new("the command failed")),
        Some(Ok(false)) => Err(Failure::new(why)),
        Some(Err(e)) => Err(e.into()),
        None => Err(Failure::new("what the command said cannot be read")),
    }
}

/// Waits for the command, and kills it once its answer is no longer wanted; returns whether it
/// succeeded.
fn ended(child: &mut Child, is_wanted: impl Fn() -> bool) -> std::io::Result<bool> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if !is_wanted() {
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL); // or it has just ended
            return child.wait().map(|_| false);
        }
        std::thread::sleep(LOOK);
    }
}
