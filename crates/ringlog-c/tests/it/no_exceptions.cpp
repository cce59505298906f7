// A program without exceptions: what fails sets an error.
#include "ringlog.hpp"

struct Tick {
    std::uint64_t id;
};
RINGLOG_RECORD(Tick, id)

struct Sum {
    double left, right;
    RINGLOG_PACK(left, right)
};

int main() {
    ringlog::Error error;
    auto writer = ringlog::Writer<Tick>::open("/ticks", ringlog::Options().capacity(64), error);
    if (error) return error.code();
    writer.append({1});
    auto reader = ringlog::Reader<Tick>::open("/ticks", 0, {}, error);
    if (error) return error.code();
    while (const auto polled = reader.poll()) std::printf("%llu\n", static_cast<unsigned long long>(polled->id));
    auto service = ringlog::Service<>::serve("/adder", {}, error);
    service.on<Sum>(1, [](const Sum &sum) { return sum.left + sum.right; });
    auto client = ringlog::Client<>::connect("/adder", ringlog::forever, {}, error);
    return static_cast<int>(client.call<double>(1, Sum{1, 2}, ringlog::forever, error));
}
