use ringlog::*;

struct Trade {
    price: f64,
}

fn main() {
    let log = Log::create::<Trade>("/never").unwrap();
    let _ = log.writer::<Trade>();
}
