//! Serves the metrics over HTTP to any client, however it behaves: a bounded number of connections,
//! each for a bounded time, with one request of a bounded size.

use super::exporter::Exporter;
use crate::cli::{Stop, tell};
use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, server::conn::http1};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep, timeout};

/// Most connections at once: one more replaces the oldest. So no client keeps others out by
/// staying.
const CONNECTIONS: usize = 64;
/// A connection is for one request, and ends after this time, whatever has been asked and read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a request's head; the least that hyper allows.
const REQUEST: usize = 8192;
/// The logs are looked at no more often than this; an earlier request gets the last text.
const FRESH: Duration = Duration::from_millis(100);
/// How often it checks for a signal.
const SIGNALS: Duration = Duration::from_millis(50);

/// Serves until the first INT or TERM.
pub fn run(address: SocketAddr, exporter: Exporter, stop: &Stop) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cannot = || format!("cannot listen on {address}");
        let listener = TcpListener::bind(address).await.with_context(cannot)?;
        let bound = listener.local_addr().with_context(cannot)?;
        if !bound.ip().is_loopback() {
            tell(format_args!(
                "ringlog: {bound} can be reached from other machines, and every client gets the \
                 metrics: there is no password"
            ));
        }
        tell(format_args!("ringlog: serving http://{bound}/metrics"));
        let served = Arc::new(Served { exporter: Mutex::new((exporter, None)) });
        accept(&listener, &served, stop).await;
        Ok(())
    })
}

async fn accept(listener: &TcpListener, served: &Arc<Served>, stop: &Stop) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    while !stop.requested() {
        let stream = match timeout(SIGNALS, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(_)) => {
                sleep(SIGNALS).await; // too many files, or the client is gone again
                continue;
            }
            Err(_) => continue,
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() == CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let served = Arc::clone(served);
        let answer = service_fn(move |request| {
            let response = served.answer(&request);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(REQUEST)
            .serve_connection(TokioIo::new(stream), answer);
        // A failure is the client's problem.
        open.push_back(tokio::spawn(timeout(PATIENCE, connection)).abort_handle());
        // Requests that have arrived are answered before the next connection may replace theirs.
        yield_now().await;
    }
}

/// What is served.
struct Served {
    /// With the time and the text of the last look.
    exporter: Mutex<(Exporter, Option<(Instant, Bytes)>)>,
}

impl Served {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        let (status, kind, body) = match request.uri().path() {
            "/metrics" | "/" if !is_get => {
                (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n".into())
            }
            "/metrics" => match self.metrics() {
                Ok(text) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
                Err(e) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{e:#}\n").into())
                }
            },
            "/" => {
                (StatusCode::OK, "text/html", "<a href=\"/metrics\">ringlog metrics</a>\n".into())
            }
            _ => (StatusCode::NOT_FOUND, "text/plain", "there is only /metrics\n".into()),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    /// Returns the text as it is now, or was just now.
    fn metrics(&self) -> anyhow::Result<Bytes> {
        let mut served = self.exporter.lock().unwrap_or_else(PoisonError::into_inner);
        let (exporter, last) = &mut *served;
        match last {
            Some((when, text)) if when.elapsed() < FRESH => Ok(text.clone()),
            _ => {
                let text = Bytes::from(exporter.text()?);
                *last = Some((Instant::now(), text.clone()));
                Ok(text)
            }
        }
    }
}
