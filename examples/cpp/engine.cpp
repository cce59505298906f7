// A trading engine that keeps its fills in a ring log: a toy market maker quotes around a price that wanders, and
// appends one entry for each order that trades with it. The same as examples/engine.rs, which reads and goes on with
// this one's log.
//
//     engine                 until Ctrl-C, into /ringlog_engine
//     engine 1000 /fills     until a thousand fills
//
// The columns are in the log, so the stock reporter writes them out: reporter 0 --shm /ringlog_engine.
// Stop the engine, kill it, start it again: order numbers, inventory and cash go on where the last fill left them.
#include <ringlog.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <thread>

namespace {

// 56 bytes: with its stamp, an entry is one cache line.
struct Fill {
    ringlog::Timestamp time;
    ringlog::Text<8> symbol;
    std::uint64_t order;
    ringlog::Decimal<4> price;
    std::uint32_t quantity;
    ringlog::Text<4> side;
    // What we hold after this fill, and the money it took (negative) or brought.
    std::int64_t inventory;
    ringlog::Decimal<4> cash;
};
RINGLOG_RECORD(Fill, time, symbol, order, price, quantity, side, inventory, cash)

// Prices move in cents, which are 100 units of a Decimal<4>; money is never a float.
constexpr std::int64_t tick = 100;
// Fills that a reader may be behind before it loses one: a quarter of a minute here.
constexpr std::uint64_t capacity = 1 << 16;

volatile std::sig_atomic_t stop = 0;

// The world outside: a price, in ticks, that wanders, and the chance that moves it.
struct Market {
    std::int64_t fair;
    std::uint64_t chance;

    // One of 0..count, by xorshift.
    std::int64_t random(std::uint64_t count) {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        return static_cast<std::int64_t>(chance % count);
    }

    // The price moves and somebody sends an order, which trades if its limit reaches our quote.
    std::optional<Fill> next_fill(const Fill &last) {
        fair = std::clamp<std::int64_t>(fair + random(3) - 1, 5000, 15000);
        const std::int64_t direction = random(2) * 2 - 1; // 1 if we would buy, -1 if we would sell
        const std::int64_t limit = fair - random(6) * direction;
        // The strategy: two ticks from the fair price, leaning against what we hold already.
        const std::int64_t quote = fair - last.inventory / 100 - 2 * direction;
        if ((quote - limit) * direction < 0) return std::nullopt;
        const std::int64_t quantity = 1 + random(100), price = quote * tick;
        return Fill{ringlog::Timestamp::now(),
                    "ACME",
                    last.order + 1,
                    {price},
                    static_cast<std::uint32_t>(quantity),
                    direction > 0 ? "BUY" : "SELL",
                    last.inventory + quantity * direction,
                    {last.cash.units - price * quantity * direction}};
    }
};

void run(std::uint64_t count, const std::string &name) {
    auto writer = ringlog::Writer<Fill>::open(name, ringlog::Options().capacity(capacity));
    // All that the engine has to remember is in its last fill.
    Fill nothing{};
    nothing.price.units = 10000 * tick;
    Fill last = writer.last().value_or(nothing);
    Market market{last.price.units / tick, static_cast<std::uint64_t>(ringlog::Timestamp::now().ns) | 1};

    const std::uint64_t first = writer.position();
    while (writer.position() - first < count && stop == 0) {
        if (const auto fill = market.next_fill(last)) {
            writer.append(*fill); // a few nanoseconds, whatever the readers do
            last = *fill;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100)); // here an engine waits for its market
    }
    const std::uint64_t fills = writer.position() - first;
    writer.close(); // lets the next engine in; readers go on reading
    std::fprintf(stderr, "%s: %llu fills from position %llu on; inventory %lld\n", name.c_str(),
                 static_cast<unsigned long long>(fills), static_cast<unsigned long long>(first),
                 static_cast<long long>(last.inventory));
}

} // namespace

int main(int argc, char **argv) {
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
    if (argc > 1) {
        char *end = nullptr;
        count = std::strtoull(argv[1], &end, 10);
        if (end == argv[1] || *end != '\0') {
            std::fputs("usage: engine [FILLS [LOG]]\n", stderr);
            return 2;
        }
    }
    // The log survives a kill at any moment; hearing Ctrl-C out lets us sum up.
    std::signal(SIGINT, [](int) { stop = 1; });
    std::signal(SIGTERM, [](int) { stop = 1; });
    try {
        run(count, argc > 2 ? argv[2] : "/ringlog_engine");
    } catch (const ringlog::Error &e) {
        std::fprintf(stderr, "engine: %s\n", e.what());
        return -e.code();
    }
}
