// What ringlog.hpp promises of logs. The argument is a log's name, which no other program has.
#include "ringlog.hpp"

#include "check.h"

#include <limits>
#include <type_traits>

using namespace std::chrono_literals;

namespace {

enum class Side : std::uint8_t { buy = 1, sell = 2 };

struct Trade {
    ringlog::Timestamp time;
    ringlog::Text<8> symbol;
    ringlog::Decimal<4> price;
    double fee;
    float ratio;
    std::int32_t size;
    std::uint16_t venue;
    std::int8_t shift;
    ringlog::Bool is_open;
    Side side;
    ringlog::Pad<3> pad;
};
RINGLOG_RECORD(Trade, time, symbol, price, fee, ratio, size, venue, shift, is_open, side, pad)

struct Event {
    std::uint64_t id;
};
RINGLOG_RECORD(Event, id)

struct Fill {
    std::string symbol;
    std::optional<double> price;
    std::vector<std::uint32_t> sizes;
    RINGLOG_PACK(symbol, price, sizes)
};

std::string name;

Trade trade_of(std::uint64_t number) {
    return {{static_cast<std::int64_t>(number)},
            "AAPL",
            {static_cast<std::int64_t>(number) * 100},
            0.5,
            0.25f,
            -static_cast<std::int32_t>(number),
            7,
            -1,
            number % 2 == 0,
            number % 2 == 0 ? Side::buy : Side::sell,
            {}};
}

bool is_trade(const Trade &trade, std::uint64_t number) {
    const Trade due = trade_of(number);
    return std::memcmp(&trade, &due, sizeof trade) == 0;
}

// A function that throws: the code of what it threw, and a word of it.
template <class Function>
int thrown(Function function, const char *word) {
    try {
        function();
    } catch (const ringlog::Error &error) {
        CHECK(std::strstr(error.what(), word) != nullptr);
        return error.code();
    }
    return RINGLOG_OK;
}

void columns() {
    CHECK(ringlog::schema_of<Trade>() ==
          "time timestamp 0\nsymbol text8 8\nprice decimal4 16\nfee f64 24\nratio f32 32\nsize i32 36\nvenue u16 40\n"
          "shift i8 42\nis_open bool 43\nside u8 44\n");
    CHECK((ringlog::schema_of<Event, ringlog::body::json>() == "id u64 0\nbody json 8\n"));
    CHECK((ringlog::schema_of<ringlog::None, ringlog::body::bytes>() == "body bytes 0\n"));
    CHECK(ringlog::Text<4>("AAPL.O") == "AAPL");
    CHECK(ringlog::Text<4>("abc\xc3\xa9") == "abc"); // cut between characters
    CHECK(ringlog::Text<5>("abc\xc3\xa9") == "abc\xc3\xa9");
    CHECK(ringlog::Text<8>("") == "" && ringlog::Text<8>("ab").view().size() == 2);
    static_assert(!std::is_copy_constructible_v<ringlog::Writer<Event>>);
    static_assert(std::is_nothrow_move_constructible_v<ringlog::Writer<Event>>);
    static_assert(!std::is_copy_constructible_v<ringlog::Reader<Event>>);
}

void records() {
    const std::string log = name + ".records";
    auto writer = ringlog::Writer<Trade>::open(log, ringlog::Options().capacity(64));
    CHECK(!writer.last() && writer.position() == 0);
    for (std::uint64_t i = 0; i < 5; i++) CHECK(writer.append(trade_of(i)) == i);
    Trade trades[8];
    for (std::uint64_t i = 0; i < 3; i++) trades[i] = trade_of(5 + i);
    CHECK(writer.append_batch(trades, 3) == 5 && writer.position() == 8);
    CHECK(is_trade(*writer.last(), 7));
    CHECK(thrown([&] { ringlog::Writer<Trade>::open(log); }, "already running") == RINGLOG_CLAIMED);
    ringlog::Error error;
    CHECK(!ringlog::Writer<Trade>::open(log, {}, error) && error.code() == RINGLOG_CLAIMED);
    CHECK(thrown([&] { ringlog::Reader<Event>::open(log, 0); }, "another schema") == RINGLOG_UNUSABLE);
    CHECK(thrown([&] { ringlog::Reader<Event>::open(log + "-none", 0); }, "no such log") == RINGLOG_NOT_FOUND);
    CHECK(thrown([&] { ringlog::LosslessWriter<Trade>::open(name + ".x", ringlog::Options()); }, "open a Writer") ==
          RINGLOG_INVALID);
    CHECK(ringlog_unlink((name + ".x").c_str(), nullptr) == RINGLOG_OK);
    writer.heartbeat();
    writer.wake();

    auto reader = ringlog::Reader<Trade>::open(log, 0);
    for (std::uint64_t i = 0; i < 4; i++) {
        const auto polled = reader.poll();
        CHECK(polled && polled.position == i && is_trade(*polled, i) && polled->size == -static_cast<int>(i));
    }
    reader.commit();
    const ringlog::Batch batch = reader.poll_batch(trades, 8);
    CHECK(batch.size() == 4 && batch.first == 4 && batch.end == 8 && is_trade(trades[3], 7));
    CHECK(reader.poll_batch(trades, 8).seen == ringlog::Seen::empty);
    CHECK(!reader.poll() && reader.position() == 8 && reader.has_writer() && reader.lag() == 4);
    CHECK(!reader.wait(ringlog::Wait::adaptive, 1ms));
    auto moved = std::move(reader);
    CHECK(!reader && moved && moved.position() == 8);
    reader = std::move(moved);

    for (std::uint64_t i = 8; i < 200; i++) writer.append(trade_of(i));
    CHECK(reader.poll_wait(ringlog::Wait::spin, ringlog::forever).seen == ringlog::Seen::lost);
    std::uint64_t next = reader.position(), lost = next - 8;
    const std::size_t count = reader.poll_each(
        1000,
        [&](std::uint64_t position, const Trade &trade) { CHECK(position == next++ && is_trade(trade, position)); },
        [&](std::uint64_t first, std::uint64_t end) {
            CHECK(first == next);
            lost += end - first;
            next = end;
        });
    CHECK(next == 200 && count == 192 - lost && reader.lost() == lost);
    CHECK(reader.poll_each(1000, [](std::uint64_t, const Trade &) {}, [](std::uint64_t, std::uint64_t) {}) == 0);
    reader.seek(ringlog::Start::last, 2);
    CHECK(reader.poll_each(1, [](std::uint64_t position, const Trade &) { CHECK(position == 198); },
                           [](std::uint64_t, std::uint64_t) { CHECK(false); }) == 1);
    CHECK(thrown([&] { reader.seek(ringlog::Start::at, 1000); }, "no position") == RINGLOG_INVALID);
    reader.seek(ringlog::Start::newest);
    reader.commit();

    auto observer = ringlog::Observer<Trade>::open(log);
    CHECK(!observer.poll() && observer.lag() == 0);
    const auto latest = observer.latest();
    CHECK(latest && latest.position == 199 && is_trade(*latest, 199));
    writer.append(trade_of(200));
    CHECK(observer.lag() == 1 && observer.latest().position == 200 && observer.lag() == 0);

    CHECK(ringlog::stat(log).end == 201 && ringlog::stat(log).readers[0].known == 1);
    CHECK(thrown([&] { ringlog::remove(log); }, "already running") == RINGLOG_CLAIMED);
    reader.seek(ringlog::Start::newest);
    reader.commit();
    reader.close();
    writer.close();
    CHECK(!writer);
    ringlog::remove(log);
    CHECK(thrown([&] { ringlog::stat(log); }, "no such log") == RINGLOG_NOT_FOUND);
}

void bodies() {
    using ringlog::None;
    namespace body = ringlog::body;
    const std::string log = name + ".bodies";
    {
        auto writer = ringlog::Writer<Event, body::msgpack>::open(log, ringlog::Options().arena_size(1 << 16));
        auto reader = ringlog::Reader<Event, body::msgpack>::open(log, 0);
        const Fill fill{"AAPL", 189.45, {100, 200}};
        CHECK(writer.append_value({1}, fill) == 0);
        CHECK(writer.append({2}, "\xc3") == 1); // true
        auto polled = reader.poll();
        CHECK(polled && (*polled)->id == 1 && polled->record.id == 1);
        const Fill again = polled->value<Fill>();
        CHECK(again.symbol == "AAPL" && again.price == 189.45 && again.sizes == fill.sizes);
        polled = reader.poll();
        CHECK(polled->body.size() == 1 && polled->value<bool>());
        CHECK(thrown([&] { polled->value<Fill>(); }, "a bool") == RINGLOG_VALUE);
        ringlog::Error error;
        (void)polled->value<std::string>(error);
        CHECK(error.code() == RINGLOG_VALUE);
        const std::string long_text(40000, 'x');
        CHECK(thrown([&] { writer.append({3}, long_text); }, "too long") == RINGLOG_INVALID);
        CHECK(!reader.poll());

        auto draft = writer.draft();
        draft.write("\xc2");
        draft.write(ringlog::pack(7));
        CHECK(draft.publish({4}, 1) == 2); // what was written behind the first byte
        CHECK(!draft && reader.poll()->value<int>() == 7);
        {
            auto dropped = writer.draft();
            dropped.write(long_text.substr(0, 5000));
            CHECK(thrown([&] { writer.append({5}, "x"); }, "under way") == RINGLOG_INVALID);
        }
        CHECK(writer.append({5}, "\xc0") == 3 && writer.position() == 4);
        auto observer = ringlog::Observer<Event, body::msgpack>::open(log);
        const auto latest = observer.latest();
        CHECK(latest && latest.position == 3 && latest->body[0] == 0xc0 && latest->record.id == 5);
        CHECK(thrown([&] { ringlog::Reader<Event, body::json>::open(log, 1); }, "another schema") == RINGLOG_UNUSABLE);
        CHECK(reader.poll());
        reader.commit();
    }
    ringlog::remove(log);
    {
        auto writer = ringlog::Writer<None, body::text>::open(log);
        auto reader = ringlog::Reader<None, body::text>::open(log, 0);
        CHECK(writer.append({}, "one") == 0 && writer.append({}, "") == 1);
        CHECK(reader.poll()->body.text() == "one" && reader.poll()->body.empty() && !reader.poll());
        reader.commit();
    }
    ringlog::remove(log);
}

void lossless() {
    const std::string log = name + ".lossless";
    {
        const auto options = ringlog::Options().lossless({0}).capacity(4);
        auto writer = ringlog::LosslessWriter<Event>::open(log, options);
        auto reader = ringlog::Reader<Event>::open(log, 0);
        Event events[8];
        for (std::uint64_t i = 0; i < 8; i++) events[i] = {i};
        CHECK(writer.try_append(events[0]) == 0u && writer.try_append_batch(events + 1, 7) == 3);
        CHECK(!writer.try_append(events[4]) && writer.full().reader == 0 && writer.full().behind == 4);
        CHECK(!writer.append_timeout(events[4], ringlog::Wait::block, 1ms));
        CHECK(writer.full().gate == RINGLOG_GATE_ALIVE && writer.room() == 0);
        for (std::uint64_t i = 0; i < 4; i++) CHECK(reader.poll()->id == i);
        reader.release();
        CHECK(writer.append_timeout(events[4], ringlog::Wait::block, ringlog::forever) == 4u);
        CHECK(reader.poll()->id == 4 && !reader.poll() && reader.lost() == 0);
        reader.commit();
        CHECK(reader.release_when_due() == false);
        writer.close();
        CHECK(thrown([&] { ringlog::Writer<Event>::open(log); }, "open a LosslessWriter") == RINGLOG_INVALID);
    }
    ringlog::remove(log);
    {
        using Bytes = ringlog::body::bytes;
        const auto options = ringlog::Options().lossless({0}).arena_size(1 << 16);
        auto writer = ringlog::LosslessWriter<Event, Bytes>::open(log, options);
        auto reader = ringlog::Reader<Event, Bytes>::open(log, 0);
        auto place = writer.reserve(4096, ringlog::Wait::spin, 0ns);
        CHECK(place && place.bytes().size() == 4096);
        for (std::uint8_t &byte : place.bytes()) byte = 'r';
        CHECK(place.publish({9}) == 0);
        const auto polled = reader.poll();
        CHECK(polled->record.id == 9 && polled->body.size() == 4096 && polled->body[4095] == 'r');
        const std::string large(32000, 'x');
        CHECK(writer.try_append({1}, large) == 1u && !writer.try_append({2}, large));
        CHECK(writer.full().bytes > 30000 && !writer.reserve(32000, ringlog::Wait::spin, 0ns));
        CHECK(thrown([&] { (void)writer.try_append({2}, std::string(40000, 'x')); }, "too long") == RINGLOG_INVALID);
        CHECK(thrown([&] { writer.reserve(40000, ringlog::Wait::spin, 0ns); }, "too long") == RINGLOG_INVALID);
        CHECK(reader.poll() && !reader.poll());
        reader.release();
        CHECK(writer.append_timeout({2}, large, ringlog::Wait::block, 1s) == 2u && reader.poll());
        reader.commit();
    }
    ringlog::remove(log);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    name = argv[1];
    columns();
    records();
    bodies();
    lossless();
    std::printf("%d checks\n", checks);
}
