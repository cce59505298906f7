// What an append and a poll cost in C++, inlined and through the ABI, beside the same in Rust.
//
//     scripts/bindings-c bench        about half a minute; wants a core to itself
//
// Each line is a ratio to Rust of two loops that took turns in one run: the median of all turns, with the least and the
// largest beside it. Times are medians too. Records have 56 bytes, the log 1024 slots. `poll` takes what was
// appended just before, all in one thread; `empty poll` looks where nothing comes. What is read is compared.
#include "ringlog.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <unistd.h>

struct Sample {
    std::uint64_t a, b, c, d, e, f, g;
    static Sample of(std::uint64_t position) {
        const auto word = [&](std::uint64_t i) { return position + (i << 24); };
        return {word(0), word(1), word(2), word(3), word(4), word(5), word(6)};
    }
};
RINGLOG_RECORD(Sample, a, b, c, d, e, f, g)

extern "C" {
struct Beside;
Beside *beside_open(const char *name, std::uint64_t slots);
void beside_close(Beside *);
void beside_append(Beside *, std::uint64_t count);
std::uint64_t beside_poll(Beside *);
std::uint64_t beside_poll_batch(Beside *);
std::uint64_t beside_poll_empty(Beside *, std::uint64_t count);
}

namespace {

constexpr std::uint64_t slots = 1024, appends = 1000000, rounds = 1000, empties = 2000000;

struct Ours {
    ringlog::Writer<Sample> writer;
    ringlog::Reader<Sample> reader;
};

[[gnu::noinline]] void append_inline(ringlog::Writer<Sample> &writer, std::uint64_t count) {
    const std::uint64_t end = writer.position() + count;
    while (writer.position() < end) writer.append(Sample::of(writer.position()));
}

[[gnu::noinline]] void append_abi(ringlog_writer *writer, std::uint64_t from, std::uint64_t count) {
    for (std::uint64_t position = from; position < from + count; position++) {
        const Sample sample = Sample::of(position);
        ringlog_append(writer, &sample, sizeof sample);
    }
}

[[gnu::noinline]] std::uint64_t poll_inline(ringlog::Reader<Sample> &reader) {
    std::uint64_t sum = 0;
    for (;;) {
        const auto polled = reader.poll();
        if (polled.seen == ringlog::Seen::entry) sum += polled->a ^ polled->g;
        if (polled.seen == ringlog::Seen::empty) return sum;
    }
}

[[gnu::noinline]] std::uint64_t poll_batch_inline(ringlog::Reader<Sample> &reader) {
    std::uint64_t sum = 0;
    Sample samples[64];
    for (;;) {
        const ringlog::Batch batch = reader.poll_batch(samples, 64);
        if (batch.seen == ringlog::Seen::empty) return sum;
        for (std::size_t i = 0; i < batch.size(); i++) sum += samples[i].a ^ samples[i].g;
    }
}

[[gnu::noinline]] std::uint64_t poll_abi(ringlog_reader *reader, std::size_t most) {
    std::uint64_t sum = 0;
    Sample samples[64];
    ringlog_range range;
    for (;;) {
        const std::int64_t count = ringlog_poll(reader, samples, sizeof(Sample), most, &range);
        if (count == 0) return sum; // below it: lost by the appends that were timed before
        for (std::int64_t i = 0; i < count; i++) sum += samples[i].a ^ samples[i].g;
    }
}

[[gnu::noinline]] std::uint64_t poll_empty(ringlog::Reader<Sample> &reader, std::uint64_t count) {
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < count; i++) found += bool(reader.poll());
    return found;
}

[[gnu::noinline]] std::uint64_t poll_empty_abi(ringlog_reader *reader, std::uint64_t count) {
    std::uint64_t found = 0;
    Sample sample;
    ringlog_range range;
    for (std::uint64_t i = 0; i < count; i++) found += ringlog_poll(reader, &sample, sizeof sample, 1, &range) != 0;
    return found;
}

using Clock = std::chrono::steady_clock;

double ns(Clock::duration time, std::uint64_t count) {
    return static_cast<double>(std::chrono::nanoseconds(time).count()) / static_cast<double>(count);
}

template <class Work>
double timed(std::uint64_t count, Work work) {
    const auto begun = Clock::now();
    work();
    return ns(Clock::now() - begun, count);
}

struct Spread {
    double least, median, most;
    explicit Spread(std::vector<double> values) {
        std::sort(values.begin(), values.end());
        least = values.front();
        median = values[values.size() / 2];
        most = values.back();
    }
};

// Takes turns of all ways; the first is Rust's.
struct Way {
    const char *name;
    std::function<double()> turn;
};

void compare(const char *what, double aim, int turns, const std::vector<Way> &ways) {
    std::vector<std::vector<double>> times(ways.size());
    for (const Way &way : ways) way.turn(); // for caches, branch predictors and the processor's clock
    for (int turn = 0; turn < turns; turn++) {
        for (std::size_t i = 0; i < ways.size(); i++) {
            const std::size_t at = (i + static_cast<std::size_t>(turn)) % ways.size(); // none is always the first
            times[at].push_back(ways[at].turn());
        }
    }
    for (std::size_t i = 1; i < ways.size(); i++) {
        std::vector<double> ratios;
        for (std::size_t turn = 0; turn < times[0].size(); turn++) ratios.push_back(times[i][turn] / times[0][turn]);
        const Spread ratio(ratios);
        char aimed[16] = "";
        if (i == 1) std::snprintf(aimed, sizeof aimed, "<=%.1f", aim);
        std::printf("%-12s %-12s %7.2f ns %7.2f ns  %5.2f  %.2f..%.2f  %s\n", what, ways[i].name,
                    Spread(times[i]).median, Spread(times[0]).median, ratio.median, ratio.least, ratio.most, aimed);
    }
}

} // namespace

int main(int argc, char **argv) {
    const std::string first = argc > 1 ? argv[1] : "";
    const int turns = first == "--quick" ? 3 : 61;
    const std::string name = "/ringlog-bench-c-" + std::to_string(getpid());
    const auto named = [&](const char *end) { return name + end; };
    Beside *rust = beside_open(named("-rust").c_str(), slots);
    const auto options = ringlog::Options().capacity(slots);
    const auto open = [&](const char *end) {
        auto writer = ringlog::Writer<Sample>::open(named(end), options);
        return Ours{std::move(writer), ringlog::Reader<Sample>::open(named(end), 0)};
    };
    Ours inlined = open("-inline"), abi = open("-abi");
    const auto clean = [&] {
        beside_close(rust);
        for (const char *end : {"-rust", "-inline", "-abi"}) ringlog_unlink(named(end).c_str(), nullptr);
    };
    // For a count of instructions, which is the same on a busy machine: only this work, so many times 512.
    if (argc == 4 && first == "counted") {
        const std::string work = argv[2];
        const bool is_filled = work.rfind("poll", 0) == 0;
        for (int i = 0; i < std::atoi(argv[3]); i++) {
            const std::uint64_t count = slots / 2;
            if (work == "append-rust" || (is_filled && work.find("rust") != work.npos)) beside_append(rust, count);
            if (work == "append" || (is_filled && work.find('-') == work.npos)) append_inline(inlined.writer, count);
            if (work == "append-abi") append_abi(abi.writer.handle(), abi.writer.position(), count);
            if (is_filled && work.find("abi") != work.npos) append_inline(abi.writer, count);
            if (work == "poll") poll_inline(inlined.reader);
            if (work == "poll-rust") beside_poll(rust);
            if (work == "poll-abi") poll_abi(abi.reader.handle(), 1);
            if (work == "poll64") poll_batch_inline(inlined.reader);
            if (work == "poll64-rust") beside_poll_batch(rust);
            if (work == "poll64-abi") poll_abi(abi.reader.handle(), 64);
            if (work == "empty") poll_empty(inlined.reader, count);
            if (work == "empty-rust") beside_poll_empty(rust, count);
            if (work == "empty-abi") poll_empty_abi(abi.reader.handle(), count);
        }
        clean();
        return 0;
    }

    std::printf("%-12s %-12s %10s %10s  %5s  %s\n", "", "C++", "", "Rust", "ratio", "least..most");
    compare("append", 1.2, turns,
            {{"", [&] { return timed(appends, [&] { beside_append(rust, appends); }); }},
             {"inlined", [&] { return timed(appends, [&] { append_inline(inlined.writer, appends); }); }},
             {"through ABI", [&] {
                  const std::uint64_t from = abi.writer.position();
                  return timed(appends, [&] { append_abi(abi.writer.handle(), from, appends); });
              }}});
    // Of half a ring, which was appended just before.
    const auto fill_and_poll = [&](auto fill, auto poll, std::uint64_t &sum) {
        Clock::duration time{};
        for (std::uint64_t i = 0; i < rounds; i++) {
            fill();
            const auto begun = Clock::now();
            sum += poll();
            time += Clock::now() - begun;
        }
        return ns(time, rounds * slots / 2);
    };
    const auto fill_rust = [&] { beside_append(rust, slots / 2); };
    const auto fill_inlined = [&] { append_inline(inlined.writer, slots / 2); };
    const auto fill_abi = [&] { append_inline(abi.writer, slots / 2); };
    beside_poll(rust);
    poll_inline(inlined.reader);
    poll_abi(abi.reader.handle(), 64);
    for (const std::size_t most : {1, 64}) {
        std::uint64_t sums[3] = {0, 0, 0};
        const auto rust_turn = [&] {
            return fill_and_poll(fill_rust, [&] { return most == 1 ? beside_poll(rust) : beside_poll_batch(rust); },
                                 sums[0]);
        };
        const auto inlined_turn = [&] {
            const auto poll = [&] {
                return most == 1 ? poll_inline(inlined.reader) : poll_batch_inline(inlined.reader);
            };
            return fill_and_poll(fill_inlined, poll, sums[1]);
        };
        const auto abi_turn = [&] {
            return fill_and_poll(fill_abi, [&] { return poll_abi(abi.reader.handle(), most); }, sums[2]);
        };
        compare(most == 1 ? "poll" : "poll of 64", 1.2, turns,
                {{"", rust_turn}, {"inlined", inlined_turn}, {"through ABI", abi_turn}});
        if (sums[0] != sums[1] || sums[0] != sums[2]) {
            std::fprintf(stderr, "what was polled is not what was appended\n");
            return 1;
        }
    }
    std::uint64_t found = 0;
    compare("empty poll", 1.2, turns,
            {{"", [&] { return timed(empties, [&] { found += beside_poll_empty(rust, empties); }); }},
             {"inlined", [&] { return timed(empties, [&] { found += poll_empty(inlined.reader, empties); }); }},
             {"through ABI", [&] {
                  return timed(empties, [&] { found += poll_empty_abi(abi.reader.handle(), empties); });
              }}});
    if (found > 0) {
        std::fprintf(stderr, "entries that nothing appended\n");
        return 1;
    }
    clean();
}
