// ringlog in C++17: what ringlog.h declares as classes that close themselves. Header-only; links with libringlog.
//
//     struct Trade {
//         ringlog::Timestamp time;
//         ringlog::Text<8> symbol;
//         ringlog::Decimal<4> price;
//         std::uint64_t size;
//     };
//     RINGLOG_RECORD(Trade, time, symbol, price, size)
//
//     auto writer = ringlog::Writer<Trade>::open("/engine", ringlog::Options().capacity(1 << 20));
//     writer.append({ringlog::Timestamp::now(), "AAPL", price, 100});
//
// What is opened or called throws ringlog::Error, which has a code of ringlog.h. Each such function takes an
// `Error &` as its last argument too, and then it throws nothing: it returns what is empty, and sets that. To
// append a record and to poll cannot fail, and are inlined.
//
// An object is used by one thread at a time; all can be moved and none copied. docs/c.md is the guide. Long: it is
// the whole interface.
#ifndef RINGLOG_HPP
#define RINGLOG_HPP

#include "ringlog.h"
#include "ringlog_pack.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// What an engine runs for each entry: a compiler would count its lines, and not that most of them go away.
#define RINGLOG_HOT __attribute__((always_inline)) inline

namespace ringlog {

// ------------------------------------------------------------------------------------------- errors

// Why something failed: a code of ringlog.h, and a sentence. One that was not set is false.
class Error : public std::exception {
public:
    Error() = default;
    Error(int code, std::string what) : code_(code), what_(std::move(what)) {}

    // The last one of this thread.
    static Error last(std::int64_t code) { return Error(static_cast<int>(code), ringlog_last_error()); }

    int code() const noexcept { return code_; }
    const char *what() const noexcept override { return what_.c_str(); }
    explicit operator bool() const noexcept { return code_ != RINGLOG_OK; }

private:
    int code_ = RINGLOG_OK;
    std::string what_;
};

namespace detail {

// Throws an error that was set; a program without exceptions ends, and says why.
inline void raise(const Error &error) {
    if (!error) return;
#ifdef __cpp_exceptions
    throw error;
#else
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();
#endif
}

} // namespace detail

// ------------------------------------------------------------------------------------------- bytes

// Some values that lie one behind the other, and belong to something else.
template <class T>
class Span {
public:
    constexpr Span() = default;
    constexpr Span(T *data, std::size_t size) : data_(data), size_(size) {}
    constexpr T *data() const { return data_; }
    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr T *begin() const { return data_; }
    constexpr T *end() const { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const { return data_[i]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// Bytes to be read, as a body is given out: those of a reader or a client are there until its next call.
class Bytes : public Span<const std::uint8_t> {
public:
    constexpr Bytes() = default;
    Bytes(const void *data, std::size_t size) : Span(static_cast<const std::uint8_t *>(data), size) {}
    Bytes(std::string_view text) : Bytes(text.data(), text.size()) {}
    Bytes(const std::string &text) : Bytes(text.data(), text.size()) {}
    Bytes(const char *text) : Bytes(std::string_view(text)) {}
    Bytes(const Buffer &buffer) : Bytes(buffer.data(), buffer.size()) {}
    Bytes(ringlog_bytes bytes) : Bytes(bytes.data, bytes.size) {}

    std::string_view text() const { return {reinterpret_cast<const char *>(data()), size()}; }
};

// ------------------------------------------------------------------------------------------- columns

// Nanoseconds since the Unix epoch.
struct Timestamp {
    std::int64_t ns;

    static Timestamp now() {
        using namespace std::chrono;
        return {duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count()};
    }
    friend bool operator==(Timestamp a, Timestamp b) { return a.ns == b.ns; }
    friend bool operator!=(Timestamp a, Timestamp b) { return a.ns != b.ns; }
    friend bool operator<(Timestamp a, Timestamp b) { return a.ns < b.ns; }
};

// At most N bytes of UTF-8, padded with NUL. What is too long is cut between characters.
template <std::size_t N>
struct Text {
    static_assert(N > 0 && N <= 65535, "a text has 1 to 65535 bytes");
    char bytes[N];

    Text() = default;
    Text(const char *text) : Text(std::string_view(text)) {}
    Text(std::string_view text) {
        std::size_t length = text.size() < N ? text.size() : N;
        while (length > 0 && length < text.size() && (text[length] & 0xc0) == 0x80) length--;
        std::memcpy(bytes, text.data(), length);
        std::memset(bytes + length, 0, N - length);
    }

    std::string_view view() const {
        const void *end = std::memchr(bytes, 0, N);
        return {bytes, end ? static_cast<std::size_t>(static_cast<const char *>(end) - bytes) : N};
    }
    friend bool operator==(const Text &a, std::string_view b) { return a.view() == b; }
    friend bool operator!=(const Text &a, std::string_view b) { return a.view() != b; }
};

// An exact number of units of 10^-Scale: 1.25 as Decimal<4> is 12500 units.
template <unsigned Scale>
struct Decimal {
    static_assert(Scale <= 18, "a decimal has up to 18 digits behind the point");
    std::int64_t units;

    friend bool operator==(Decimal a, Decimal b) { return a.units == b.units; }
    friend bool operator!=(Decimal a, Decimal b) { return a.units != b.units; }
    friend bool operator<(Decimal a, Decimal b) { return a.units < b.units; }
};

// True or false, in a byte that any value is allowed in.
struct Bool {
    std::uint8_t value;

    Bool() = default;
    Bool(bool is) : value(is) {}
    operator bool() const { return value != 0; }
};

// Bytes that are no column: where the compiler would leave a gap.
template <std::size_t N>
struct Pad {
    char bytes[N];
};

namespace detail {

struct Column {
    const char *name;
    const char *kind; // nullptr: it is no column
    int number;       // behind the kind; -1: none
    std::size_t offset, size;
};

template <std::size_t N>
struct Columns {
    Column columns[N];

    // Whether they lie one behind the other, and are all of the struct.
    constexpr bool are_dense(std::size_t size) const {
        std::size_t at = 0;
        for (const Column &column : columns) {
            if (column.offset != at) return false;
            at += column.size;
        }
        return at == size;
    }
};

struct Kind {
    const char *name;
    int number = -1;
};

template <class T, class = void>
struct KindOf {
    static_assert(!std::is_same_v<T, T>, "no log has a column of this type: integers and enums of fixed size, float, "
                                         "double, and ringlog's Timestamp, Text, Decimal, Bool and Pad");
};
template <class T>
struct KindOf<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>>> {
    static constexpr Kind kind{
        std::is_signed_v<T> ? (sizeof(T) == 1 ? "i8" : sizeof(T) == 2 ? "i16" : sizeof(T) == 4 ? "i32" : "i64")
                            : (sizeof(T) == 1 ? "u8" : sizeof(T) == 2 ? "u16" : sizeof(T) == 4 ? "u32" : "u64")};
};
template <class T>
struct KindOf<T, std::enable_if_t<std::is_enum_v<T>>> : KindOf<std::underlying_type_t<T>> {};
template <>
struct KindOf<float> { static constexpr Kind kind{"f32"}; };
template <>
struct KindOf<double> { static constexpr Kind kind{"f64"}; };
template <>
struct KindOf<Bool> { static constexpr Kind kind{"bool"}; };
template <>
struct KindOf<Timestamp> { static constexpr Kind kind{"timestamp"}; };
template <std::size_t N>
struct KindOf<Text<N>> { static constexpr Kind kind{"text", N}; };
template <unsigned S>
struct KindOf<Decimal<S>> { static constexpr Kind kind{"decimal", S}; };
template <std::size_t N>
struct KindOf<Pad<N>> { static constexpr Kind kind{nullptr}; };

} // namespace detail

// Makes a struct a record: names all its members, in order. Behind the struct, in its namespace. Up to 64.
#define RINGLOG_RECORD(Type, ...)                                                                                    \
    [[maybe_unused]] constexpr ::ringlog::detail::Columns<RINGLOG_COUNT(__VA_ARGS__)> ringlog_columns(const Type *) { \
        return {{RINGLOG_EACH(RINGLOG_RECORD_COLUMN, Type, __VA_ARGS__)}};                                           \
    }                                                                                                                \
    static_assert(std::is_trivially_copyable_v<Type> && std::is_standard_layout_v<Type>,                             \
                  #Type " is no record: it has to be plain bytes, with nothing virtual, and all members public");    \
    static_assert(ringlog_columns(static_cast<const Type *>(nullptr)).are_dense(sizeof(Type)),                       \
                  #Type " is no record: its columns leave a gap or stand in another order; name all members in "     \
                        "order, and where the compiler pads, a ringlog::Pad<N>");
#define RINGLOG_RECORD_COLUMN(Type, member)                                                                          \
    {#member, ::ringlog::detail::KindOf<decltype(Type::member)>::kind.name,                                          \
     ::ringlog::detail::KindOf<decltype(Type::member)>::kind.number, offsetof(Type, member), sizeof(Type::member)},

// The record of a log whose entries are a body and nothing else.
struct None {};

// What bodies are, or requests and answers.
namespace body {
struct none {};
struct bytes {
    static constexpr const char *name = "bytes";
    static constexpr std::uint32_t form = RINGLOG_BYTES;
};
struct text {
    static constexpr const char *name = "text";
    static constexpr std::uint32_t form = RINGLOG_TEXT;
};
struct json {
    static constexpr const char *name = "json";
    static constexpr std::uint32_t form = RINGLOG_JSON;
};
struct msgpack {
    static constexpr const char *name = "msgpack";
    static constexpr std::uint32_t form = RINGLOG_MSGPACK;
};
} // namespace body

namespace detail {

template <class R>
constexpr std::size_t record_size = sizeof(R);
template <>
inline constexpr std::size_t record_size<None> = 0;

} // namespace detail

// The lines that a log of these records has as its schema: `name type offset`.
template <class R, class B = body::none>
std::string schema_of() {
    static_assert(std::is_same_v<B, body::none> || detail::record_size<R> % 8 == 0,
                  "a record with a body is whole words: end it with a ringlog::Pad<N>");
    std::string text;
    const auto line = [&](const char *name, const std::string &kind, std::size_t offset) {
        text += name;
        text += ' ' + kind + ' ' + std::to_string(offset) + '\n';
    };
    if constexpr (!std::is_same_v<R, None>) {
        const auto all = ringlog_columns(static_cast<const R *>(nullptr));
        for (const detail::Column &column : all.columns) {
            if (column.kind == nullptr) continue;
            line(column.name, column.kind + (column.number < 0 ? std::string() : std::to_string(column.number)),
                 column.offset);
        }
    }
    if constexpr (!std::is_same_v<B, body::none>) line("body", B::name, detail::record_size<R>);
    return text;
}

// ------------------------------------------------------------------------------------------- options

using Duration = std::chrono::nanoseconds;
inline constexpr Duration forever = Duration::max();

enum class Wait {
    block = RINGLOG_BLOCK,
    spin = RINGLOG_SPIN,
    yield = RINGLOG_YIELD,
    adaptive = RINGLOG_ADAPTIVE,
    sleep = RINGLOG_SLEEP,
};

enum class Start : std::uint32_t {
    resume = RINGLOG_RESUME,
    oldest = RINGLOG_OLDEST,
    newest = RINGLOG_NEWEST,
    at = RINGLOG_AT,
    last = RINGLOG_LAST,
};

namespace detail {

inline std::uint64_t ns_of(Duration time) {
    if (time == forever) return RINGLOG_FOREVER;
    return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

} // namespace detail

// How a log is made or opened; see ringlog_options.
class Options {
public:
    Options() { ringlog_options_init(&options_); }

    Options &capacity(std::uint64_t slots) { return options_.capacity = slots, *this; }
    // Bytes of a body that a slot holds, and of the arena for longer ones.
    Options &inline_size(std::uint64_t bytes) { return options_.inline_size = bytes, *this; }
    Options &arena_size(std::uint64_t bytes) { return options_.arena_size = bytes, *this; }
    // The writer waits for these readers; and goes on without one that is gone.
    Options &lossless(std::initializer_list<unsigned> gates) {
        for (unsigned id : gates) options_.gates |= std::uint64_t(1) << (id < 63 ? id : 63);
        return *this;
    }
    Options &skip_absent() { return flag(RINGLOG_SKIP_ABSENT); }
    Options &mode(std::uint32_t permissions) { return options_.mode = permissions, *this; }
    // Believes a log of this user id too.
    Options &owner(std::uint32_t uid) { return options_.owner = uid, flag(RINGLOG_OWNER); }
    // The name is the path of a file.
    Options &file() { return flag(RINGLOG_FILE); }
    Options &prefault(bool on) { return flag(on ? RINGLOG_PREFAULT : RINGLOG_NO_PREFAULT); }
    Options &lock_memory() { return flag(RINGLOG_LOCK_MEMORY); }
    // Where a reader begins; `at` is a position for Start::at, and a count for Start::last.
    Options &start(Start start, std::uint64_t at = 0) {
        options_.start = static_cast<std::uint32_t>(start);
        return options_.start_at = at, *this;
    }

    // As C has them, for records of this size.
    ringlog_options of(std::size_t record_size) const {
        ringlog_options options = options_;
        options.record_size = record_size;
        return options;
    }

private:
    ringlog_options options_;

    Options &flag(std::uint32_t bit) { return options_.flags |= bit, *this; }
};

namespace detail {

// A handle of ringlog.h, which is closed with this.
template <class T, void (*close)(T **)>
class Handle {
public:
    Handle() = default;
    Handle(Handle &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle &operator=(Handle &&other) noexcept {
        if (this != &other) {
            close(&handle_);
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    ~Handle() { close(&handle_); }

    T *get() const { return handle_; }
    T **out() { return &handle_; }
    void reset() { close(&handle_); }

private:
    T *handle_ = nullptr;
};

} // namespace detail

// ------------------------------------------------------------------------------------------- to append

template <class R, class B>
class Draft;

// What writers of both kinds are. R is a record, or None; B is what its body is.
template <class R, class B>
class AnyWriter {
public:
    static constexpr bool has_body = !std::is_same_v<B, body::none>;
    static_assert(has_body || !std::is_same_v<R, None>, "an entry has a record or a body");

    explicit operator bool() const { return handle_.get() != nullptr; }
    // Closes the log, which goes on to exist.
    void close() {
        handle_.reset();
        view_ = nullptr;
    }

    // The position of the next entry.
    std::uint64_t position() const {
        if constexpr (has_body) return ringlog_writer_position(handle_.get());
        else return view_->next;
    }
    // Wakes readers that sleep: after an append, or a burst.
    void wake() { ringlog_wake(handle_.get()); }
    // Notes that the engine lives, for people and tools.
    void heartbeat() { ringlog_heartbeat(handle_.get()); }
    // The record that was appended last, by this writer or the one before it: where an engine left off.
    std::optional<R> last() const {
        R record;
        if (ringlog_last(handle_.get(), &record, detail::record_size<R>) != 1) return std::nullopt;
        return record;
    }
    // Has the kernel write a log in a file back to it, and waits for that.
    void sync() {
        Error error;
        sync(error);
        detail::raise(error);
    }
    bool sync(Error &error) noexcept { return is_good(ringlog_sync(handle_.get()), error); }

    // Begins a body that is written piece by piece, straight into the log.
    Draft<R, B> draft() {
        Error error;
        auto draft = this->draft(error);
        detail::raise(error);
        return draft;
    }
    Draft<R, B> draft(Error &error) noexcept {
        static_assert(has_body, "the entries of this log have no body");
        return Draft<R, B>(is_good(ringlog_draft(handle_.get()), error) ? handle_.get() : nullptr, {});
    }

    // For what ringlog.h has and this has not.
    ringlog_writer *handle() const { return handle_.get(); }

protected:
    AnyWriter() = default;
    AnyWriter(AnyWriter &&) noexcept = default;
    AnyWriter &operator=(AnyWriter &&) noexcept = default;

    detail::Handle<ringlog_writer, ringlog_writer_close> handle_;
    ringlog_append_view *view_ = nullptr;
    Buffer buffer_;

    static bool is_good(std::int64_t code, Error &error) {
        if (code < 0) error = Error::last(code);
        return code >= 0;
    }

    void open_handle(const std::string &name, const Options &options, bool is_lossless, Error &error) {
        const ringlog_options how = options.of(detail::record_size<R>);
        std::string schema = schema_of<R, B>();
        if constexpr (std::is_same_v<R, None>) schema = std::string("body:") + B::name;
        if (!is_good(ringlog_writer_open(name.c_str(), schema.c_str(), &how, handle_.out()), error)) return;
        view_ = ringlog_writer_view(handle_.get());
        if ((ringlog_room(handle_.get()) != INT64_MAX) == is_lossless) return;
        close();
        error = Error(RINGLOG_INVALID, name + (is_lossless ? ": its writer waits for no reader; open a Writer"
                                                           : ": its writer waits for readers; open a LosslessWriter"));
    }

    // A value as a body, in a buffer that is used again.
    template <class T>
    Bytes packed(const T &value) {
        static_assert(std::is_same_v<B, body::msgpack>, "values are for bodies of MessagePack: body::msgpack");
        buffer_.clear();
        pack_to(buffer_, value);
        return buffer_;
    }
};

// The writer of a log that overwrites: it never waits, and nothing a reader does can slow it.
template <class R, class B = body::none>
class Writer : public AnyWriter<R, B> {
    using Base = AnyWriter<R, B>;

public:
    Writer() = default;

    // Becomes the writer, and goes on behind the last entry; makes the log if it is not there.
    static Writer open(const std::string &name, const Options &options = {}) {
        Error error;
        Writer writer = open(name, options, error);
        detail::raise(error);
        return writer;
    }
    static Writer open(const std::string &name, const Options &options, Error &error) {
        Writer writer;
        writer.open_handle(name, options, false, error);
        return writer;
    }

    // Appends a record; returns its position. Inlined: one store for each of its words, and three.
    RINGLOG_HOT std::uint64_t append(const R &record) noexcept {
        static_assert(!Base::has_body, "the entries of this log have a body: append it too");
        return ringlog_put_inline(this->view_, &record, sizeof(R));
    }
    // Appends records; returns the first position.
    std::uint64_t append_batch(const R *records, std::size_t count) noexcept {
        static_assert(!Base::has_body, "the entries of this log have a body: append each");
        return static_cast<std::uint64_t>(ringlog_append_batch(this->handle_.get(), records, sizeof(R), count));
    }

    // Appends a record with its body. The error is a body that is longer than half of the arena.
    std::uint64_t append(const R &record, Bytes body) {
        Error error;
        const std::uint64_t position = append(record, body, error);
        detail::raise(error);
        return position;
    }
    std::uint64_t append(const R &record, Bytes body, Error &error) noexcept {
        static_assert(Base::has_body, "the entries of this log have no body");
        const std::int64_t position = ringlog_append_body(this->handle_.get(), &record, detail::record_size<R>,
                                                          body.data(), body.size());
        return Base::is_good(position, error) ? static_cast<std::uint64_t>(position) : 0;
    }
    // The body is a value, as MessagePack.
    template <class T>
    std::uint64_t append_value(const R &record, const T &value) {
        return append(record, this->packed(value));
    }
    template <class T>
    std::uint64_t append_value(const R &record, const T &value, Error &error) {
        return append(record, this->packed(value), error);
    }
};

// The writer of a log that loses nothing: it waits for readers that the log names. What has no room returns no
// position, and full() says for which reader.
template <class R, class B = body::none>
class LosslessWriter : public AnyWriter<R, B> {
    using Base = AnyWriter<R, B>;

public:
    using Position = std::optional<std::uint64_t>;

    LosslessWriter() = default;

    static LosslessWriter open(const std::string &name, const Options &options = Options().lossless({0})) {
        Error error;
        LosslessWriter writer = open(name, options, error);
        detail::raise(error);
        return writer;
    }
    static LosslessWriter open(const std::string &name, const Options &options, Error &error) {
        LosslessWriter writer;
        writer.open_handle(name, options, true, error);
        return writer;
    }

    // Appends if there is room. Never waits; inlined while there is.
    RINGLOG_HOT Position try_append(const R &record) noexcept {
        static_assert(!Base::has_body, "the entries of this log have a body: append it too");
        std::int64_t position = ringlog_append_inline(this->view_, &record, sizeof(R));
        if (position < 0) position = ringlog_try_append(this->handle_.get(), &record, sizeof(R), nullptr, 0);
        return position < 0 ? Position() : Position(static_cast<std::uint64_t>(position));
    }
    // Appends as many as there is room for; returns how many.
    std::size_t try_append_batch(const R *records, std::size_t count) noexcept {
        static_assert(!Base::has_body, "the entries of this log have a body: append each");
        return static_cast<std::size_t>(ringlog_try_append_batch(this->handle_.get(), records, sizeof(R), count));
    }
    Position append_timeout(const R &record, Wait wait, Duration at_most) noexcept {
        static_assert(!Base::has_body, "the entries of this log have a body: append it too");
        const Position position = try_append(record);
        if (position) return position;
        Error none; // a record of a log's own size has no other error than that it is full
        return appended(record, {}, wait, at_most, none);
    }

    // With a body. The error is a body that is longer than half of the arena.
    Position try_append(const R &record, Bytes body) {
        Error error;
        const Position position = try_append(record, body, error);
        detail::raise(error);
        return position;
    }
    Position try_append(const R &record, Bytes body, Error &error) noexcept {
        static_assert(Base::has_body, "the entries of this log have no body");
        return told(ringlog_try_append(this->handle_.get(), &record, detail::record_size<R>, body.data(), body.size()),
                    error);
    }
    Position append_timeout(const R &record, Bytes body, Wait wait, Duration at_most) {
        Error error;
        const Position position = append_timeout(record, body, wait, at_most, error);
        detail::raise(error);
        return position;
    }
    Position append_timeout(const R &record, Bytes body, Wait wait, Duration at_most, Error &error) noexcept {
        static_assert(Base::has_body, "the entries of this log have no body");
        return appended(record, body, wait, at_most, error);
    }
    template <class T>
    Position try_append_value(const R &record, const T &value) {
        return try_append(record, this->packed(value));
    }
    template <class T>
    Position append_value_timeout(const R &record, const T &value, Wait wait, Duration at_most) {
        return append_timeout(record, this->packed(value), wait, at_most);
    }

    // The log's own bytes, to be filled and published: data() is nullptr if there was no room in time.
    Draft<R, B> reserve(std::size_t length, Wait wait, Duration at_most) {
        Error error;
        auto draft = reserve(length, wait, at_most, error);
        detail::raise(error);
        return draft;
    }
    Draft<R, B> reserve(std::size_t length, Wait wait, Duration at_most, Error &error) noexcept {
        static_assert(Base::has_body, "the entries of this log have no body");
        void *bytes = nullptr;
        const int code = ringlog_reserve(this->handle_.get(), length, static_cast<int>(wait), detail::ns_of(at_most),
                                         &bytes);
        if (code < 0 && code != RINGLOG_FULL) error = Error::last(code);
        return Draft<R, B>(code < 0 ? nullptr : this->handle_.get(),
                           {static_cast<std::uint8_t *>(bytes), code < 0 ? 0 : length});
    }

    // How many entries there is room for.
    std::uint64_t room() { return static_cast<std::uint64_t>(ringlog_room(this->handle_.get())); }
    // For which reader the last one had no room.
    static ringlog_full full() {
        ringlog_full full{};
        ringlog_last_full(&full);
        return full;
    }

private:
    static Position told(std::int64_t position, Error &error) {
        if (position >= 0) return static_cast<std::uint64_t>(position);
        if (position != RINGLOG_FULL) error = Error::last(position);
        return {};
    }
    Position appended(const R &record, Bytes body, Wait wait, Duration at_most, Error &error) {
        return told(ringlog_append_timeout(this->handle_.get(), &record, detail::record_size<R>, body.data(),
                                           body.size(), static_cast<int>(wait), detail::ns_of(at_most)),
                    error);
    }
};

// A body on its way into the log; one that is not published was never there. It has the writer until then.
template <class R, class B>
class Draft {
public:
    Draft(Draft &&other) noexcept
        : writer_(std::exchange(other.writer_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
    Draft &operator=(Draft &&other) noexcept {
        if (this != &other) {
            ringlog_discard(writer_);
            writer_ = std::exchange(other.writer_, nullptr);
            bytes_ = std::exchange(other.bytes_, {});
        }
        return *this;
    }
    ~Draft() { ringlog_discard(writer_); }

    explicit operator bool() const { return writer_ != nullptr; }
    // The log's own bytes, if they were reserved.
    Span<std::uint8_t> bytes() const { return bytes_; }

    // Writes a piece behind the others.
    void write(Bytes piece) {
        Error error;
        write(piece, error);
        detail::raise(error);
    }
    bool write(Bytes piece, Error &error) noexcept {
        const int code = ringlog_write(writer_, piece.data(), piece.size());
        if (code < 0) error = Error::last(code);
        return code >= 0;
    }

    // Appends an entry with all of it as the body, or a part; returns the position.
    std::uint64_t publish(const R &record, std::size_t from = 0, std::size_t to = SIZE_MAX) {
        Error error;
        const std::uint64_t position = publish(record, from, to, error);
        detail::raise(error);
        return position;
    }
    std::uint64_t publish(const R &record, std::size_t from, std::size_t to, Error &error) noexcept {
        const std::int64_t position =
            ringlog_publish(std::exchange(writer_, nullptr), &record, detail::record_size<R>, from, to);
        if (position < 0) error = Error::last(position);
        return position < 0 ? 0 : static_cast<std::uint64_t>(position);
    }

private:
    friend class AnyWriter<R, B>;
    friend class LosslessWriter<R, B>;
    ringlog_writer *writer_;
    Span<std::uint8_t> bytes_;

    Draft(ringlog_writer *writer, Span<std::uint8_t> bytes) : writer_(writer), bytes_(bytes) {}
};

// ------------------------------------------------------------------------------------------- to read

// What a look at the log gave.
enum class Seen {
    entry, // the next entry, whole
    empty, // nothing new
    lost,  // positions that were overwritten before; the next poll goes on behind them
};

// A record with its body.
template <class R, class B>
struct Message {
    R record;
    Bytes body; // until the next call of the same reader

    const R *operator->() const { return &record; }
    // The body as a value, of MessagePack.
    template <class T>
    T value() const {
        Error error;
        T value = this->value<T>(error);
        detail::raise(error);
        return value;
    }
    template <class T>
    T value(Error &error) const {
        static_assert(std::is_same_v<B, body::msgpack>, "values are of bodies of MessagePack: body::msgpack");
        T value{};
        std::string why;
        if (!unpack(body.data(), body.size(), value, why)) error = Error(RINGLOG_VALUE, std::move(why));
        return value;
    }
};

// What a poll gave: true if that is an entry, which derefs to what is in it.
template <class T>
struct Polled {
    Seen seen = Seen::empty;
    std::uint64_t position = 0; // of the entry, or the first that was lost
    std::uint64_t end = 0;      // behind the last that was lost
    T entry;

    explicit operator bool() const { return seen == Seen::entry; }
    const T &operator*() const { return entry; }
    const T *operator->() const { return &entry; }
};

// What a poll for many gave: how many, and where.
struct Batch {
    Seen seen = Seen::empty;
    std::uint64_t first = 0, end = 0;

    std::size_t size() const { return seen == Seen::entry ? static_cast<std::size_t>(end - first) : 0; }
};

// What readers and observers are. R is a record, or None; B is what its body is.
template <class R, class B>
class AnyReader {
public:
    static constexpr bool has_body = !std::is_same_v<B, body::none>;
    using Entry = std::conditional_t<has_body, Message<R, B>, R>;

    explicit operator bool() const { return handle_.get() != nullptr; }
    void close() {
        handle_.reset();
        view_ = nullptr;
    }

    // Takes the next entry, if there is one. Never waits. Without a body it is inlined: an empty poll loads a word.
    [[nodiscard]] RINGLOG_HOT Polled<Entry> poll() noexcept {
        Polled<Entry> polled;
        if constexpr (has_body) {
            ringlog_entry entry;
            ringlog_range lost;
            set(polled, ringlog_poll_entry(handle_.get(), &entry, &lost), entry, lost);
        } else {
            const int seen = ringlog_poll_fast(view_, &polled.entry, sizeof(R));
            if (__builtin_expect(seen == RINGLOG_ASK, 0)) {
                const Polled<Entry> asked = ask();
                return asked;
            }
            if (seen == 1) {
                polled.seen = Seen::entry;
                polled.position = view_->position - 1;
            }
        }
        return polled;
    }
    // Takes the next records to the front of `records`, at most so many.
    [[nodiscard]] Batch poll_batch(R *records, std::size_t most) noexcept {
        static_assert(!has_body, "the entries of this log have a body: poll each");
        ringlog_range range{0, 0};
        const std::int64_t count = ringlog_poll(handle_.get(), records, sizeof(R), most, &range);
        return {count > 0 ? Seen::entry : count == RINGLOG_LOST ? Seen::lost : Seen::empty, range.first, range.end};
    }
    // Takes the next entries, at most so many; gives each to `each(position, entry)`, and positions that were
    // overwritten before to `lost(first, end)`. Returns how many entries there were.
    template <class Each, class Lost>
    std::size_t poll_each(std::size_t most, Each &&each, Lost &&lost) {
        std::size_t count = 0;
        while (count < most) {
            const Polled<Entry> polled = poll();
            if (polled.seen == Seen::empty) break;
            if (polled.seen == Seen::lost) {
                lost(polled.position, polled.end);
                continue;
            }
            each(polled.position, polled.entry);
            count++;
        }
        return count;
    }

    // Waits until there is something to poll: whether there is.
    bool wait(Wait wait, Duration at_most) noexcept {
        return ringlog_reader_wait(handle_.get(), static_cast<int>(wait), detail::ns_of(at_most)) == 1;
    }
    [[nodiscard]] Polled<Entry> poll_wait(Wait how, Duration at_most) noexcept {
        wait(how, at_most);
        return poll();
    }

    // Goes elsewhere; `at` is a position for Start::at, and a count for Start::last.
    void seek(Start start, std::uint64_t at = 0) {
        Error error;
        seek(start, at, error);
        detail::raise(error);
    }
    bool seek(Start start, std::uint64_t at, Error &error) noexcept {
        const int code = ringlog_seek(handle_.get(), static_cast<int>(start), at);
        if (code < 0) error = Error::last(code);
        return code >= 0;
    }

    // The position of the next entry.
    std::uint64_t position() const {
        if constexpr (has_body) return ringlog_reader_position(handle_.get());
        else return view_->position;
    }
    // Entries that are there and have not been committed; of an observer, not polled.
    std::uint64_t lag() const { return ringlog_reader_lag(handle_.get()); }

    ringlog_reader *handle() const { return handle_.get(); }

protected:
    AnyReader() = default;
    AnyReader(AnyReader &&) noexcept = default;
    AnyReader &operator=(AnyReader &&) noexcept = default;

    detail::Handle<ringlog_reader, ringlog_reader_close> handle_;
    ringlog_poll_view *view_ = nullptr;

    void open_handle(const std::string &name, int id, const Options &options, Error &error) {
        const ringlog_options how = options.of(detail::record_size<R>);
        std::string schema = schema_of<R, B>();
        if constexpr (std::is_same_v<R, None>) schema = std::string("body:") + B::name;
        const int code =
            id < 0 ? ringlog_observer_open(name.c_str(), schema.c_str(), &how, handle_.out())
                   : ringlog_reader_open(name.c_str(), static_cast<unsigned>(id), schema.c_str(), &how, handle_.out());
        if (code < 0) error = Error::last(code);
        else view_ = ringlog_reader_view(handle_.get());
    }

    static void set(Polled<Entry> &polled, int seen, const ringlog_entry &entry, const ringlog_range &lost) {
        if (seen == 1) {
            polled.seen = Seen::entry;
            polled.position = entry.position;
            if constexpr (detail::record_size<R> > 0) std::memcpy(&polled.entry.record, entry.record.data, sizeof(R));
            polled.entry.body = entry.body;
        } else if (seen == RINGLOG_LOST) {
            polled.seen = Seen::lost;
            polled.position = lost.first;
            polled.end = lost.end;
        }
    }

private:
    // What is rare, in a place of its own: the record of a poll that is not rare has no address then.
    __attribute__((noinline)) Polled<Entry> ask() noexcept {
        Polled<Entry> polled;
        ringlog_range range;
        const std::int64_t seen = ringlog_poll(handle_.get(), &polled.entry, sizeof(R), 1, &range);
        if (seen == 0) return polled;
        polled.seen = seen == 1 ? Seen::entry : seen == RINGLOG_LOST ? Seen::lost : Seen::empty;
        polled.position = range.first;
        polled.end = range.end;
        return polled;
    }
};

// Durable reader 0 to 7, which keeps its place in the log.
template <class R, class B = body::none>
class Reader : public AnyReader<R, B> {
public:
    Reader() = default;

    // Becomes the reader, where it left off; the log has to be there.
    static Reader open(const std::string &name, unsigned id, const Options &options = {}) {
        Error error;
        Reader reader = open(name, id, options, error);
        detail::raise(error);
        return reader;
    }
    static Reader open(const std::string &name, unsigned id, const Options &options, Error &error) {
        Reader reader;
        reader.open_handle(name, static_cast<int>(id & 0x7fffffff), options, error);
        return reader;
    }

    // Stores that all that was polled has been dealt with. Once a batch.
    void commit() noexcept { ringlog_commit(this->handle_.get()); }
    // The same without a look at the clock: makes room for a writer that waits for this reader.
    void release() noexcept { ringlog_release(this->handle_.get()); }
    bool release_when_due() noexcept { return ringlog_release_when_due(this->handle_.get()) == 1; }

    // Entries lost since the log was made.
    std::uint64_t lost() const { return ringlog_reader_lost(this->handle_.get()); }
    bool has_writer() const { return ringlog_has_writer(this->handle_.get()) == 1; }
};

// An observer: it looks on without a claim, and any number of processes can.
template <class R, class B = body::none>
class Observer : public AnyReader<R, B> {
public:
    using Entry = typename AnyReader<R, B>::Entry;

    Observer() = default;

    static Observer open(const std::string &name, const Options &options = Options().start(Start::newest)) {
        Error error;
        Observer observer = open(name, options, error);
        detail::raise(error);
        return observer;
    }
    static Observer open(const std::string &name, const Options &options, Error &error) {
        Observer observer;
        observer.open_handle(name, -1, options, error);
        return observer;
    }

    // Takes the newest entry, whatever lies before it: for a state, and not its history. Lost: it was overwritten
    // while it was read, again and again.
    [[nodiscard]] Polled<Entry> latest() noexcept {
        Polled<Entry> polled;
        ringlog_entry entry;
        const int seen = ringlog_latest(this->handle_.get(), &entry);
        if constexpr (AnyReader<R, B>::has_body) {
            AnyReader<R, B>::set(polled, seen, entry, {0, 0});
        } else if (seen == 1) {
            polled.seen = Seen::entry;
            polled.position = entry.position;
            std::memcpy(&polled.entry, entry.record.data, sizeof(R));
        } else if (seen == RINGLOG_LOST) {
            polled.seen = Seen::lost;
        }
        return polled;
    }
};

// ------------------------------------------------------------------------------------------- logs

// Looks at a log: its end, its writer and its readers.
inline ringlog_snapshot stat(const std::string &name, const Options &options, Error &error) noexcept {
    ringlog_snapshot snapshot{};
    snapshot.size = sizeof snapshot;
    const ringlog_options how = options.of(0);
    const int code = ringlog_stat(name.c_str(), &how, &snapshot);
    if (code < 0) error = Error::last(code);
    return snapshot;
}
inline ringlog_snapshot stat(const std::string &name, const Options &options = {}) {
    Error error;
    const ringlog_snapshot snapshot = stat(name, options, error);
    detail::raise(error);
    return snapshot;
}

// Removes a log that nothing has a claim on and every durable reader has had all of.
inline bool remove(const std::string &name, const Options &options, Error &error) noexcept {
    const ringlog_options how = options.of(0);
    const int code = ringlog_remove(name.c_str(), &how);
    if (code < 0) error = Error::last(code);
    return code >= 0;
}
inline void remove(const std::string &name, const Options &options = {}) {
    Error error;
    remove(name, options, error);
    detail::raise(error);
}

// ------------------------------------------------------------------------------------------- calls

// How a service is served, or a client connects; see ringlog_call_options.
class CallOptions {
public:
    CallOptions() { ringlog_call_options_init(&options_); }

    CallOptions &lanes(std::uint64_t clients) { return options_.lanes = clients, *this; }
    CallOptions &arena_size(std::uint64_t bytes) { return options_.arena_size = bytes, *this; }
    CallOptions &message_max(std::uint64_t bytes) { return options_.message_max = bytes, *this; }
    CallOptions &backlog(std::uint64_t bytes) { return options_.backlog = bytes, *this; }
    CallOptions &drain(Duration at_most) { return options_.drain_ns = detail::ns_of(at_most), *this; }
    CallOptions &mode(std::uint32_t permissions) { return options_.mode = permissions, *this; }
    CallOptions &owner(std::uint32_t uid) { return options_.owner = uid, flag(RINGLOG_OWNER); }
    CallOptions &file() { return flag(RINGLOG_FILE); }
    // A service runs again what a server died over: at least once.
    CallOptions &repeat() { return flag(RINGLOG_REPEAT); }
    // A call whose server is gone waits for the next one.
    CallOptions &outlast() { return flag(RINGLOG_OUTLAST); }
    CallOptions &timed() { return flag(RINGLOG_TIMED); }
    CallOptions &wait(Wait wait) { return options_.wait = static_cast<std::uint32_t>(wait), *this; }

    ringlog_call_options of(std::uint32_t form) const {
        ringlog_call_options options = options_;
        options.form = form;
        return options;
    }

private:
    ringlog_call_options options_;

    CallOptions &flag(std::uint32_t bit) { return options_.flags |= bit, *this; }
};

// A client of a service. With MessagePack, requests and answers are values.
template <class B = body::msgpack>
class Client {
public:
    using Ticket = std::int64_t;

    Client() = default;

    // Becomes a client, and waits for the server and for a lane that is free.
    static Client connect(const std::string &name, Duration at_most, const CallOptions &options = {}) {
        Error error;
        Client client = connect(name, at_most, options, error);
        detail::raise(error);
        return client;
    }
    static Client connect(const std::string &name, Duration at_most, const CallOptions &options, Error &error) {
        Client client;
        const ringlog_call_options how = options.of(B::form);
        const int code = ringlog_connect(name.c_str(), &how, detail::ns_of(at_most), client.handle_.out());
        if (code < 0) error = Error::last(code);
        return client;
    }

    explicit operator bool() const { return handle_.get() != nullptr; }
    bool has_server() const { return ringlog_has_server(handle_.get()) == 1; }

    // Calls a method with bytes; the answer is there until the next call.
    Bytes call(std::uint32_t method, Bytes request, Duration timeout) {
        Error error;
        const Bytes answer = call(method, request, timeout, error);
        detail::raise(error);
        return answer;
    }
    Bytes call(std::uint32_t method, Bytes request, Duration timeout, Error &error) noexcept {
        ringlog_bytes answer{nullptr, 0};
        const int code = ringlog_call(handle_.get(), method, request.data(), request.size(), detail::ns_of(timeout),
                                      &answer);
        if (code < 0) error = Error::last(code);
        return answer;
    }
    // Calls a method with a value, and returns the value that is its answer.
    template <class Answer, class Request>
    Answer call(std::uint32_t method, const Request &request, Duration timeout) {
        Error error;
        Answer answer = call<Answer>(method, request, timeout, error);
        detail::raise(error);
        return answer;
    }
    template <class Answer, class Request>
    Answer call(std::uint32_t method, const Request &request, Duration timeout, Error &error) {
        return value<Answer>(call(method, packed(request), timeout, error), error);
    }

    // Sends a request, whose answer is waited for later. Up to 64 are under way.
    Ticket send(std::uint32_t method, Bytes request, Duration timeout) {
        Error error;
        const Ticket ticket = send(method, request, timeout, error);
        detail::raise(error);
        return ticket;
    }
    Ticket send(std::uint32_t method, Bytes request, Duration timeout, Error &error) noexcept {
        const Ticket ticket =
            ringlog_send(handle_.get(), method, request.data(), request.size(), detail::ns_of(timeout));
        if (ticket < 0) error = Error::last(ticket);
        return ticket;
    }
    template <class Request>
    Ticket send_value(std::uint32_t method, const Request &request, Duration timeout) {
        return send(method, packed(request), timeout);
    }
    Bytes wait_for(Ticket ticket) {
        Error error;
        const Bytes answer = wait_for(ticket, error);
        detail::raise(error);
        return answer;
    }
    Bytes wait_for(Ticket ticket, Error &error) noexcept {
        ringlog_bytes answer{nullptr, 0};
        const int code = ringlog_wait_for(handle_.get(), ticket, &answer);
        if (code < 0) error = Error::last(code);
        return answer;
    }
    template <class Answer>
    Answer wait_for_value(Ticket ticket) {
        Error error;
        Answer answer = value<Answer>(wait_for(ticket, error), error);
        detail::raise(error);
        return answer;
    }
    // Gives up a request: its answer finds nothing that waits for it.
    void forget(Ticket ticket) { ringlog_forget(handle_.get(), ticket); }

    ringlog_client *handle() const { return handle_.get(); }

private:
    detail::Handle<ringlog_client, ringlog_client_close> handle_;
    Buffer buffer_;

    template <class Request>
    Bytes packed(const Request &request) {
        static_assert(std::is_same_v<B, body::msgpack>, "values are for a Client<body::msgpack>");
        buffer_.clear();
        pack_to(buffer_, request);
        return buffer_;
    }
    template <class Answer>
    static Answer value(Bytes bytes, Error &error) {
        Answer answer{};
        std::string why;
        if (!error && !unpack(bytes.data(), bytes.size(), answer, why)) {
            error = Error(RINGLOG_VALUE, "the answer is not as agreed: " + why);
        }
        return answer;
    }
};

// A request, until its handler returns.
class Request {
public:
    explicit Request(const ringlog_request &request) : request_(request) {}

    std::uint32_t method() const { return request_.method; }
    Bytes body() const { return request_.body; }
    // No two requests of a service have lane and position in common.
    std::uint32_t lane() const { return request_.lane; }
    std::uint64_t position() const { return request_.position; }

private:
    ringlog_request request_;
};

// A request that is kept, to be answered later, by any thread. Dropped, it is answered as one that failed.
class Deferred {
public:
    Deferred() = default;
    explicit Deferred(ringlog_deferred *deferred) : deferred_(deferred) {}
    Deferred(Deferred &&other) noexcept : deferred_(std::exchange(other.deferred_, nullptr)) {}
    Deferred &operator=(Deferred &&other) noexcept {
        std::swap(deferred_, other.deferred_);
        return *this;
    }
    ~Deferred() {
        static constexpr std::string_view why = "it was kept, and never answered";
        if (deferred_ != nullptr) ringlog_deferred_fail(&deferred_, why.data(), why.size());
    }

    explicit operator bool() const { return deferred_ != nullptr; }
    Request request() const {
        ringlog_request request{};
        ringlog_deferred_request(deferred_, &request);
        return Request(request);
    }
    bool is_wanted() const { return ringlog_deferred_is_wanted(deferred_) == 1; }
    void answer(Bytes answer) { ringlog_deferred_answer(&deferred_, answer.data(), answer.size()); }
    template <class T>
    void answer_value(const T &value) {
        answer(pack(value));
    }
    void fail(Bytes why) { ringlog_deferred_fail(&deferred_, why.data(), why.size()); }

private:
    ringlog_deferred *deferred_ = nullptr;
};

// Where the answer to a request goes, until its handler returns.
class Reply {
public:
    explicit Reply(ringlog_reply *reply) : reply_(reply) {}

    // Answers at once; the error is a client that has not taken so many answers that there is no room.
    bool send(Bytes answer) { return ringlog_reply_send(reply_, answer.data(), answer.size()) == RINGLOG_OK; }
    // Answers piece by piece.
    bool write(Bytes piece) { return ringlog_reply_write(reply_, piece.data(), piece.size()) == RINGLOG_OK; }
    bool flush() { return ringlog_reply_flush(reply_) == RINGLOG_OK; }
    // Says why it failed; the handler returns what this returns.
    int fail(Bytes why) { return ringlog_reply_fail(reply_, why.data(), why.size()); }
    // Whether the request has time left, and its client lives.
    bool is_wanted() const { return ringlog_reply_is_wanted(reply_) == 1; }
    // Keeps the request; the handler returns 0.
    Deferred defer() { return Deferred(ringlog_reply_defer(reply_)); }

private:
    ringlog_reply *reply_;
};

// A server of a name. What a handler throws is its caller's RINGLOG_FAILED, with what().
template <class B = body::msgpack>
class Service {
public:
    // Answers by `reply` and returns 0, or a negative code.
    using Handler = std::function<int(const Request &, Reply &)>;

    Service() = default;

    static Service serve(const std::string &name, const CallOptions &options = {}) {
        Error error;
        Service service = serve(name, options, error);
        detail::raise(error);
        return service;
    }
    static Service serve(const std::string &name, const CallOptions &options, Error &error) {
        Service service;
        const ringlog_call_options how = options.of(B::form);
        const int code = ringlog_serve(name.c_str(), &how, service.handle_.out());
        if (code < 0) error = Error::last(code);
        return service;
    }

    explicit operator bool() const { return handle_.get() != nullptr; }

    // What a method does: a function of a value, whose result is the answer.
    template <class Argument, class Function>
    Service &on(std::uint32_t method, Function function) {
        static_assert(std::is_same_v<B, body::msgpack>, "values are for a Service<body::msgpack>");
        return on_request(method, [function = std::move(function)](const Request &request, Reply &reply) mutable {
            Argument argument{};
            std::string why;
            if (!unpack(request.body().data(), request.body().size(), argument, why)) {
                return reply.fail("the request is not as agreed: " + why);
            }
            if constexpr (std::is_void_v<decltype(function(argument))>) {
                function(argument);
                return sent(reply.send(Buffer{0xc0}));
            } else {
                return sent(reply.send(pack(function(argument))));
            }
        });
    }
    // What a method does: a function of a request and its reply.
    Service &on_request(std::uint32_t method, Handler handler) {
        handlers_[method] = std::move(handler);
        return *this;
    }

    // Serves until stop().
    void run(Wait wait = Wait::block) { ringlog_service_run(handle_.get(), static_cast<int>(wait), run_one, this); }
    // Has the next request of each lane run; returns how many there were. Never waits.
    std::size_t poll() {
        const std::int64_t count = ringlog_service_poll(handle_.get(), run_one, this);
        return count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    // Waits for requests, for a loop around poll().
    void wait(Wait wait, Duration at_most) {
        ringlog_service_wait(handle_.get(), static_cast<int>(wait), detail::ns_of(at_most));
    }
    // From a signal handler, or any thread.
    void stop() noexcept { ringlog_service_stop(handle_.get()); }

    ringlog_service *handle() const { return handle_.get(); }

private:
    detail::Handle<ringlog_service, ringlog_service_close> handle_;
    std::map<std::uint32_t, Handler> handlers_;

    static int sent(bool is) { return is ? RINGLOG_OK : RINGLOG_TOO_LARGE; }

    // No exception may leave it.
    static int run_one(void *context, const ringlog_request *given, ringlog_reply *to) noexcept {
        auto &handlers = static_cast<Service *>(context)->handlers_;
        const auto handler = handlers.find(given->method);
        if (handler == handlers.end()) return RINGLOG_NO_METHOD;
        Reply reply(to);
#ifdef __cpp_exceptions
        try {
            return handler->second(Request(*given), reply);
        } catch (const std::exception &e) {
            return reply.fail(e.what());
        } catch (...) {
            return reply.fail("the handler threw what is no std::exception");
        }
#else
        return handler->second(Request(*given), reply);
#endif
    }
};

} // namespace ringlog

#endif // RINGLOG_HPP
