// Writers and readers at full speed, by the inlined functions alone, in processes of their own: each word of a record
// says which record it is of, so that one which is torn, or twice, or out of order, is found.
//
//     stress write LOG COUNT         appends so many behind what is there, and says where it ended
//     stress read LOG ID END         reads up to END, and says how many entries there were and how many were lost
//     stress send LOG COUNT          the same of a log that loses nothing
//     stress take LOG END
#include "ringlog.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace std::chrono_literals;

namespace {

struct Sample {
    std::uint64_t a, b, c, d, e, f, g;

    static Sample of(std::uint64_t position) {
        const auto word = [&](std::uint64_t i) { return position * 0x9e3779b97f4a7c15u + i; };
        return {position, word(1), word(2), word(3), word(4), word(5), word(6)};
    }
    bool is_of(std::uint64_t position) const {
        const Sample due = of(position);
        return std::memcmp(this, &due, sizeof due) == 0;
    }
};
RINGLOG_RECORD(Sample, a, b, c, d, e, f, g)

void torn(std::uint64_t position) {
    std::printf("torn at %" PRIu64 "\n", position);
    std::exit(1);
}

void write(const std::string &log, std::uint64_t count) {
    auto writer = ringlog::Writer<Sample>::open(log, ringlog::Options().capacity(64));
    for (std::uint64_t i = 0; i < count; i++) writer.append(Sample::of(writer.position()));
    std::printf("at %" PRIu64 "\n", writer.position());
}

void read(const std::string &log, unsigned id, std::uint64_t end) {
    auto reader = ringlog::Reader<Sample>::open(log, id);
    std::uint64_t next = reader.position(), entries = 0, lost = 0;
    while (next < end) {
        const auto polled = reader.poll();
        if (polled.seen == ringlog::Seen::empty) {
            reader.commit();
            continue;
        }
        if (polled.position != next) torn(next);
        if (polled) {
            if (!polled->is_of(next)) torn(next);
            entries++;
            next++;
        } else {
            lost += polled.end - polled.position;
            next = polled.end;
        }
    }
    reader.commit();
    if (reader.lost() != lost) torn(next);
    std::printf("entries %" PRIu64 " lost %" PRIu64 "\n", entries, lost);
}

void send(const std::string &log, std::uint64_t count) {
    auto writer = ringlog::LosslessWriter<Sample>::open(log, ringlog::Options().lossless({0}).capacity(64));
    for (std::uint64_t i = 0; i < count; i++) {
        const Sample sample = Sample::of(writer.position());
        if (!writer.try_append(sample) && !writer.append_timeout(sample, ringlog::Wait::block, 20s)) std::exit(1);
    }
    writer.wake();
    std::printf("at %" PRIu64 "\n", writer.position());
}

void take(const std::string &log, std::uint64_t end) {
    auto reader = ringlog::Reader<Sample>::open(log, 0);
    while (reader.position() < end) {
        const std::uint64_t next = reader.position();
        const auto polled = reader.poll();
        if (polled.seen == ringlog::Seen::empty) {
            reader.release();
            reader.wait(ringlog::Wait::block, 100ms);
        } else if (!polled || polled.position != next || !polled->is_of(next)) {
            torn(next);
        }
        reader.release_when_due();
    }
    reader.commit();
    std::printf("entries %" PRIu64 " lost %" PRIu64 "\n", end, reader.lost());
}

} // namespace

int main(int argc, char **argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    try {
        if (what == "write" && argc > 3) write(argv[2], std::strtoull(argv[3], nullptr, 10));
        else if (what == "read" && argc > 4) {
            read(argv[2], static_cast<unsigned>(std::atoi(argv[3])), std::strtoull(argv[4], nullptr, 10));
        } else if (what == "send" && argc > 3) send(argv[2], std::strtoull(argv[3], nullptr, 10));
        else if (what == "take" && argc > 3) take(argv[2], std::strtoull(argv[3], nullptr, 10));
        else return 2;
    } catch (const ringlog::Error &error) {
        std::fprintf(stderr, "stress: %s\n", error.what());
        return -error.code();
    }
}
