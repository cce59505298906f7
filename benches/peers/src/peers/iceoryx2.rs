//! iceoryx2: loaned samples, and a queue of where they lie; overflows, or waits for the subscriber.

use crate::channel::{Channel, Entry, Full, Receiver, Sender, Terms};
use iceoryx2::config::Config;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

pub struct Iceoryx2;

/// Its files lie in `root` and begin with `prefix`, so that nothing of it meets anything else.
fn config(prefix: &str) -> Config {
    let mut config = Config::global_config().clone();
    config.global.prefix = prefix.try_into().expect("a file name");
    config.global.set_root_path(&root(prefix).as_str().try_into().expect("a path"));
    config
}

/// Where what has no place in shared memory is kept.
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
        set_log_level(LogLevel::Error);
        let name = name.to_string();
        // A node and its ports stay in the thread that made them.
        let service = move || {
            let node = NodeBuilder::new().config(&config(&name)).create::<ipc::Service>();
            let node = node.expect("a node");
            let service = node
                .service_builder(&name.as_str().try_into().expect("a service name"))
                .publish_subscribe::<E>()
                .enable_safe_overflow(terms.full == Full::Overwrites)
                .subscriber_max_buffer_size(terms.slots)
                .history_size(if terms.kept { terms.slots } else { 0 })
                .max_publishers(1)
                .max_subscribers(1)
                .max_nodes(2)
                .open_or_create()
                .expect("a service");
            (node, service)
        };
        let there = service.clone();
        (
            move || {
                let (node, service) = service();
                let publisher = service
                    .publisher_builder()
                    .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                    .create()
                    .expect("a publisher");
                From { publisher, _of: (service, node) }
            },
            move || {
                let (node, service) = there();
                let subscriber = service.subscriber_builder().buffer_size(terms.slots).create();
                To { subscriber: subscriber.expect("a subscriber"), _of: (service, node) }
            },
        )
    }
}

/// Dropped behind the ports.
type Of<E> = (PortFactory<ipc::Service, E, ()>, Node<ipc::Service>);

pub struct From<E: Entry> {
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

pub struct To<E: Entry> {
    subscriber: Subscriber<ipc::Service, E, ()>,
    _of: Of<E>,
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
