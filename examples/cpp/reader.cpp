// A durable reader of the engine's fills, in a process of its own: it keeps its place in the log, and after a kill
// goes on where it committed last.
//
//     reader 1                       reader 1 of /ringlog_engine, until Ctrl-C
//     reader 1 /fills 1000           until it is at position 1000
#include <ringlog.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

namespace {

struct Fill {
    ringlog::Timestamp time;
    ringlog::Text<8> symbol;
    std::uint64_t order;
    ringlog::Decimal<4> price;
    std::uint32_t quantity;
    ringlog::Text<4> side;
    std::int64_t inventory;
    ringlog::Decimal<4> cash;
};
RINGLOG_RECORD(Fill, time, symbol, order, price, quantity, side, inventory, cash)

volatile std::sig_atomic_t stop = 0;

void print(std::uint64_t position, const Fill &fill) {
    const std::string symbol(fill.symbol.view()), side(fill.side.view());
    std::printf("%llu %s %s %u at %.2f\n", static_cast<unsigned long long>(position), side.c_str(), symbol.c_str(),
                fill.quantity, static_cast<double>(fill.price.units) / 1e4);
}

void run(unsigned id, const std::string &name, std::uint64_t end) {
    using namespace std::chrono_literals;
    auto reader = ringlog::Reader<Fill>::open(name, id);
    while (stop == 0 && reader.position() < end) {
        const std::size_t count = reader.poll_each(
            256, print, [](std::uint64_t first, std::uint64_t behind) {
                std::fprintf(stderr, "lost %llu..%llu\n", static_cast<unsigned long long>(first),
                             static_cast<unsigned long long>(behind));
            });
        if (count > 0) {
            std::fflush(stdout); // first carry out,
            reader.commit();     // then commit: once a batch
        } else {
            reader.wait(ringlog::Wait::block, 100ms); // until the writer wakes it, or to look by itself
        }
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fputs("usage: reader ID [LOG [END]]\n", stderr);
        return 2;
    }
    std::signal(SIGINT, [](int) { stop = 1; });
    std::signal(SIGTERM, [](int) { stop = 1; });
    try {
        run(static_cast<unsigned>(std::atoi(argv[1])), argc > 2 ? argv[2] : "/ringlog_engine",
            argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::numeric_limits<std::uint64_t>::max());
    } catch (const ringlog::Error &e) {
        std::fprintf(stderr, "reader: %s\n", e.what());
        return -e.code();
    }
}
