//! A call and its answer, by the systems that have calls: the answer is the request.

use crate::peers::iceoryx2::node;
use crate::works;
use hdrhistogram::Histogram;
use ringlog::Wait;
use ringlog_call::{Client, Service};
use std::hint::spin_loop;
use std::time::Duration;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

/// Measures ringlog's, with a time-out and at most once.
pub fn ringlog(name: &str, bytes: usize, count: u64) -> (f64, Histogram<u64>) {
    let (name, body) = (format!("/{name}"), vec![7_u8; bytes]);
    // So that a message is one body.
    let arena = (4 * bytes as u64).next_power_of_two().max(1 << 20);
    works::calls(
        count,
        |stop, ready| {
            let service = Service::options().arena(arena).serve(name.as_str());
            let service: Service = service.expect("a service");
            ready();
            service.run(Wait::Spin, stop, |request, reply| Ok(reply.send(request.body())?));
        },
        || {
            let options = Client::options().wait(Wait::Spin);
            let mut client: Client = options.connect(name.as_str(), LONG).expect("a lane");
            let mut sent = body.clone();
            move |call| {
                mark(&mut sent, call);
                let answer = client.call(1, &sent, LONG).expect("an answer");
                assert!(is_marked(&answer, call, sent.len()));
            }
        },
    )
}

/// Measures iceoryx2's, each side on samples that it loans.
pub fn iceoryx2(name: &str, bytes: usize, count: u64) -> (f64, Histogram<u64>) {
    let body = vec![7_u8; bytes];
    let service = || {
        let node = node(name);
        let service = node
            .service_builder(&name.try_into().expect("a service name"))
            .request_response::<[u8], [u8]>()
            .max_clients(1)
            .max_servers(1)
            .max_nodes(2)
            .open_or_create();
        (service.expect("a service"), node)
    };
    works::calls(
        count,
        |stop, ready| {
            let of = service();
            let server = of.0.server_builder().initial_max_slice_len(bytes).create();
            let server = server.expect("a server");
            ready();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let Some(request) = server.receive().expect("a look") else {
                    spin_loop();
                    continue;
                };
                let answer = request.loan_slice_uninit(request.payload().len()).expect("a sample");
                answer.write_from_slice(request.payload()).send().expect("delivered");
            }
        },
        || {
            let of = service();
            let client = of.0.client_builder().initial_max_slice_len(bytes).create();
            let client = client.expect("a client");
            let mut sent = body.clone();
            move |call| {
                let _of = &of; // dropped after the client
                mark(&mut sent, call);
                let request = client.loan_slice_uninit(sent.len()).expect("a sample");
                let pending = request.write_from_slice(&sent).send().expect("delivered");
                loop {
                    match pending.receive().expect("a look") {
                        Some(answer) => {
                            assert!(is_marked(answer.payload(), call, sent.len()));
                            break;
                        }
                        None => spin_loop(),
                    }
                }
            }
        },
    )
}

/// Marks a body: the first word and the last say which call it is.
fn mark(body: &mut [u8], call: u64) {
    let last = body.len() - 8;
    body[..8].copy_from_slice(&call.to_le_bytes());
    body[last..].copy_from_slice(&(!call).to_le_bytes());
}

fn is_marked(body: &[u8], call: u64, length: usize) -> bool {
    body.len() == length
        && body[..8] == call.to_le_bytes()
        && body[length - 8..] == (!call).to_le_bytes()
}
