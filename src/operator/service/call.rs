//! `ringlog call`: one call, by hand.

use super::failed;
use crate::cli::{Code, Failed, duration};
use crate::operator::which::{Owner, name};
use anyhow::Context as _;
use ringlog::{Body, BodyForm, Bytes, Error, Json, MsgPack, Utf8};
use ringlog_call::{CallError, Client, ClientOptions};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// Call a service once, and print its answer
#[derive(clap::Args, Debug)]
#[command(after_help = "\
If the requests of a service are MessagePack, give the body as JSON; the answer is printed as JSON.

Exit codes of this command: 8 no answer in time, 5 no server, 1 the server failed; the message says how.

Examples:
  ringlog call /calc --method 7 --body 'a few bytes'
  ringlog call /calc --method 1 --body '{\"id\":0,\"left\":6,\"sign\":\"*\",\"right\":7}' --timeout 100ms
  ringlog call /pictures --file - > out.png     the request is on stdin")]
pub struct Args {
    /// Shared-memory name or file path of the service
    #[arg(value_name = "SERVICE")]
    service: OsString,
    /// Number of the method to call
    #[arg(long, value_name = "N", default_value_t = 0)]
    method: u32,
    /// Request to send
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    body: Option<OsString>,
    /// File that holds the request; `-` is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Longest time to wait for the service and its answer
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    owner: Owner,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut options = Client::options().timed(true);
    if let Some(uid) = args.owner.uid()? {
        options = options.owner(uid);
    }
    let service = name(&args.service);
    let body = body(&args)?;
    // Its lanes say which kind of body it speaks.
    let called = match call::<Bytes>(&args, &options, &body) {
        Err(CallError::Log(Error::Schema { .. })) => {
            match call::<MsgPack>(&args, &options, &body) {
                Err(CallError::Log(Error::Schema { .. })) => {
                    match call::<Json>(&args, &options, &body) {
                        Err(CallError::Log(Error::Schema { .. })) => {
                            call::<Utf8>(&args, &options, &body)
                        }
                        called => called,
                    }
                }
                called => called,
            }
        }
        called => called,
    };
    let (kind, answer) = called.map_err(|e| failed(&service.to_string(), e))?;
    let mut stdout = io::stdout().lock();
    let newline: &[u8] = match kind {
        Body::Bytes if !stdout.is_terminal() => b"",
        _ => b"\n",
    };
    stdout.write_all(&answer)?;
    stdout.write_all(newline)?;
    Ok(stdout.flush()?)
}

fn body(args: &Args) -> anyhow::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    match (&args.body, &args.file) {
        (Some(body), _) => Ok(body.as_bytes().to_vec()),
        (None, Some(file)) if file.as_os_str() == "-" => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).context("stdin: cannot be read")?;
            Ok(body)
        }
        (None, Some(file)) => std::fs::read(file)
            .with_context(|| format!("{}: cannot be read", file.display()))
            .map_err(|e| Failed(Code::Invalid, format!("{e:#}")).into()),
        (None, None) => Ok(Vec::new()),
    }
}

fn call<B: BodyForm>(
    args: &Args,
    options: &ClientOptions,
    body: &[u8],
) -> Result<(Body, Vec<u8>), CallError> {
    let mut client: Client<B> = options.connect(name(&args.service), args.timeout)?;
    let sent = match B::BODY {
        Body::MsgPack => packed(body)?,
        _ => body.to_vec(),
    };
    let answer = client.call(args.method, &sent, args.timeout)?;
    let answer = match B::BODY {
        Body::MsgPack => {
            let mut json = Vec::new();
            let is_value = ringlog_rows::json_of(Body::MsgPack, &answer, &mut json);
            if is_value { json } else { answer.to_vec() }
        }
        _ => answer.to_vec(),
    };
    Ok((B::BODY, answer))
}

/// Converts JSON to MessagePack; nothing becomes nil.
fn packed(json: &[u8]) -> Result<Vec<u8>, CallError> {
    let json = if json.is_empty() { b"null" } else { json };
    let value: serde_json::Value = serde_json::from_slice(json).map_err(|e| {
        CallError::Value(format!("the body must be JSON, which is sent as MessagePack: {e}"))
    })?;
    rmp_serde::to_vec_named(&value).map_err(|e| CallError::Value(e.to_string()))
}
