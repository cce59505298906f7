//! iceoryx2: loaned samples, and a queue of where they lie; overflows, or waits for the subscriber.

use crate::channel::{Channel, Entry, Full, Receiver, Sender, Terms};
use iceoryx2::config::Config;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::builder::publish_subscribe::Builder;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::fmt::Debug;

pub struct Iceoryx2;

/// Returns the configuration: its files lie in `root` and begin with `prefix`, so that they meet no
/// others.
fn config(prefix: &str) -> Config {
    let mut config = Config::global_config().clone();
    config.global.prefix = prefix.try_into().expect("a file name");
    config.global.set_root_path(&root(prefix).as_str().try_into().expect("a path"));
    config
}

/// Returns the directory for what is not in shared memory.
fn root(prefix: &str) -> String {
    format!("{}/{prefix}", std::env::temp_dir().display())
}

impl<E: Entry> Channel<E> for Iceoryx2 {
    const NAME: &'static str = "iceoryx2";
    const FULL: &'static [Full] = &[Full::Overwrites, Full::Waits];
    const BATCH: bool = false;
    type Sender = From<E>;
    type Receiver = To<E>;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From<E> + Send, impl FnOnce() -> To<E> + Send) {
        // A node and its ports stay in the thread that made them.
        let name = name.to_string();
        let service = move || {
            let (node, service) = service::<E>(&name, terms);
            (service.open_or_create().expect("a service"), node)
        };
        let there = service.clone();
        (
            move || {
                let of = service();
                let publisher = of.0.publisher_builder().backpressure_strategy(WAITS).create();
                From { publisher: publisher.expect("a publisher"), _of: of }
            },
            move || To::of(there(), terms),
        )
    }
}

impl Channel<[u8]> for Iceoryx2 {
    const NAME: &'static str = "iceoryx2";
    const FULL: &'static [Full] = &[Full::Overwrites, Full::Waits];
    type Sender = From<[u8]>;
    type Receiver = Copies;

    fn create(
        name: &str,
        terms: Terms,
    ) -> (impl FnOnce() -> From<[u8]> + Send, impl FnOnce() -> Copies + Send) {
        let name = name.to_string();
        let service = move || {
            let (node, service) = service::<[u8]>(&name, terms);
            (service.open_or_create().expect("a service"), node)
        };
        let there = service.clone();
        (
            move || {
                let of = service();
                let publisher = of.0.publisher_builder().backpressure_strategy(WAITS);
                let publisher = publisher.initial_max_slice_len(terms.bytes).create();
                From { publisher: publisher.expect("a publisher"), _of: of }
            },
            move || Copies { to: To::of(there(), terms), copy: vec![0; terms.bytes] },
        )
    }
}

/// How it waits, if it waits.
const WAITS: BackpressureStrategy = BackpressureStrategy::RetryUntilDelivered;

/// Makes a node of its own.
pub fn node(name: &str) -> Node<ipc::Service> {
    set_log_level(LogLevel::Error);
    NodeBuilder::new().config(&config(name)).create::<ipc::Service>().expect("a node")
}

/// Makes a node, and how to make a service.
fn service<E: Debug + IceoryxSend + ZeroCopySend + ?Sized + 'static>(
    name: &str,
    terms: Terms,
) -> (Node<ipc::Service>, Builder<E, (), ipc::Service>) {
    let node = node(name);
    let service = node
        .service_builder(&name.try_into().expect("a service name"))
        .publish_subscribe::<E>()
        .enable_safe_overflow(terms.full == Full::Overwrites)
        .subscriber_max_buffer_size(terms.slots)
        .history_size(if terms.kept { terms.slots } else { 0 })
        .max_publishers(1)
        .max_subscribers(1)
        .max_nodes(2);
    (node, service)
}

/// Dropped after the ports.
type Of<E> = (PortFactory<ipc::Service, E, ()>, Node<ipc::Service>);

pub struct From<E: Debug + IceoryxSend + ZeroCopySend + ?Sized + 'static> {
    publisher: Publisher<ipc::Service, E, ()>,
    _of: Of<E>,
}

impl<E: Entry> Sender<E> for From<E> {
    #[inline]
    fn send(&mut self, entry: &E) -> bool {
        let sample = self.publisher.loan_uninit().expect("a sample");
        sample.write_payload(*entry).send().expect("delivered"); // waits inside, if it waits
        true
    }
}

impl Sender<[u8]> for From<[u8]> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> bool {
        let sample = self.publisher.loan_slice_uninit(message.len()).expect("a sample");
        sample.write_from_slice(message).send().expect("delivered");
        true
    }
}

pub struct To<E: Debug + IceoryxSend + ZeroCopySend + ?Sized + 'static> {
    subscriber: Subscriber<ipc::Service, E, ()>,
    _of: Of<E>,
}

impl<E: Debug + IceoryxSend + ZeroCopySend + ?Sized + 'static> To<E> {
    fn of(of: Of<E>, terms: Terms) -> To<E> {
        let subscriber = of.0.subscriber_builder().buffer_size(terms.slots).create();
        To { subscriber: subscriber.expect("a subscriber"), _of: of }
    }
}

pub struct Copies {
    to: To<[u8]>,
    copy: Vec<u8>,
}

impl Receiver<[u8]> for Copies {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let Some(sample) = self.to.subscriber.receive().expect("a connection") else { return 0 };
        let copy = &mut self.copy[..sample.len()];
        copy.copy_from_slice(&sample);
        drop(sample);
        each(copy);
        1
    }
}

impl<E: Entry> Receiver<E> for To<E> {
    #[inline]
    fn poll(&mut self, mut each: impl FnMut(&E)) -> usize {
        match self.subscriber.receive().expect("a connection") {
            Some(sample) => {
                each(&sample);
                1
            }
            None => 0,
        }
    }
}
