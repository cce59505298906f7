// Classes as MessagePack, with the names of their fields, as rmp-serde writes them in Rust (to_vec_named) and
// every MessagePack library of other languages reads them. C++17; it stands alone, and ringlog.hpp includes it.
//
//     struct Fill {
//         std::string symbol;
//         double price;
//         std::optional<std::uint32_t> size;
//         std::vector<std::string> venues;
//         RINGLOG_PACK(symbol, price, size, venues)
//     };
//
//     ringlog::Buffer bytes = ringlog::pack(fill);
//     Fill again;
//     std::string why;
//     if (!ringlog::unpack(bytes.data(), bytes.size(), again, why)) std::cerr << why;
//
// What unpack is given is trusted in nothing: it is refused with a sentence, within the bytes there are. Fields may
// stand in any order, unknown ones are passed over, and a missing one is an error unless it is an optional.
//
// Long: macros that take up to 64 fields are a line each.
#ifndef RINGLOG_PACK_HPP
#define RINGLOG_PACK_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// Names the fields of a class that are packed, within it, where the class is public. Up to 64.
#define RINGLOG_PACK(...)                                                                             \
    static constexpr std::size_t ringlog_field_count = RINGLOG_COUNT(__VA_ARGS__);                    \
    template <class Visit>                                                                            \
    void ringlog_fields(Visit &&ringlog_visit) {                                                      \
        RINGLOG_EACH(RINGLOG_PACK_FIELD, , __VA_ARGS__)                                               \
    }                                                                                                 \
    template <class Visit>                                                                            \
    void ringlog_fields(Visit &&ringlog_visit) const {                                                \
        RINGLOG_EACH(RINGLOG_PACK_FIELD, , __VA_ARGS__)                                               \
    }
#define RINGLOG_PACK_FIELD(t, field) ringlog_visit(std::string_view(#field), field);

namespace ringlog {

using Buffer = std::vector<std::uint8_t>;

// Bytes that are packed as bytes; a std::vector<std::uint8_t> is packed as an array of numbers, as in Rust.
struct Blob : std::vector<std::uint8_t> {
    using std::vector<std::uint8_t>::vector;
};

// How a type is packed and unpacked; a specialization teaches both a type of your own.
template <class T, class = void>
struct Packed;

// Puts values behind each other.
class Packer {
public:
    explicit Packer(Buffer &to) : to_(to) {}

    void nil() { byte(0xc0); }
    void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
    void number(std::uint64_t value) {
        if (value < 0x80) byte(static_cast<std::uint8_t>(value));
        else if (value <= 0xff) big<1>(0xcc, value);
        else if (value <= 0xffff) big<2>(0xcd, value);
        else if (value <= 0xffffffff) big<4>(0xce, value);
        else big<8>(0xcf, value);
    }
    void negative(std::int64_t value) {
        const auto bits = static_cast<std::uint64_t>(value);
        if (value >= -32) byte(static_cast<std::uint8_t>(bits));
        else if (value >= INT8_MIN) big<1>(0xd0, bits);
        else if (value >= INT16_MIN) big<2>(0xd1, bits);
        else if (value >= INT32_MIN) big<4>(0xd2, bits);
        else big<8>(0xd3, bits);
    }
    void floating(float value) {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        big<4>(0xca, bits);
    }
    void floating(double value) {
        std::uint64_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        big<8>(0xcb, bits);
    }
    void text(std::string_view value) {
        if (value.size() < 32) byte(static_cast<std::uint8_t>(0xa0 | value.size()));
        else length(0xd9, value.size());
        bytes(value.data(), value.size());
    }
    void blob(const void *data, std::size_t size) {
        length(0xc4, size);
        bytes(data, size);
    }
    void array(std::size_t size) { few(0x90, 0xdc, size); }
    void map(std::size_t size) { few(0x80, 0xde, size); }

    template <class T>
    void value(const T &value) {
        Packed<T>::pack(*this, value);
    }

private:
    Buffer &to_;

    void byte(std::uint8_t value) { to_.push_back(value); }
    void bytes(const void *data, std::size_t size) {
        const auto *from = static_cast<const std::uint8_t *>(data);
        to_.insert(to_.end(), from, from + size);
    }
    template <int Bytes>
    void big(std::uint8_t marker, std::uint64_t value) {
        byte(marker);
        for (int i = Bytes - 1; i >= 0; i--) byte(static_cast<std::uint8_t>(value >> (8 * i)));
    }
    void length(std::uint8_t marker, std::size_t size) {
        if (size <= 0xff) big<1>(marker, size);
        else if (size <= 0xffff) big<2>(static_cast<std::uint8_t>(marker + 1), size);
        else big<4>(static_cast<std::uint8_t>(marker + 2), size);
    }
    void few(std::uint8_t fixed, std::uint8_t marker, std::size_t size) {
        if (size < 16) byte(static_cast<std::uint8_t>(fixed | size));
        else if (size <= 0xffff) big<2>(marker, size);
        else big<4>(static_cast<std::uint8_t>(marker + 1), size);
    }
};

// Takes values from bytes, one behind the other. A function that returns false has said why, and it is over.
class Unpacker {
public:
    Unpacker(const void *data, std::size_t size)
        : at_(static_cast<const std::uint8_t *>(data)), end_(at_ + size) {}

    const std::string &why() const { return why_; }
    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

    // Whether nil is next, which is then taken.
    bool is_nil() {
        const bool is = at_ != end_ && *at_ == 0xc0;
        if (is) at_++;
        return is;
    }
    bool boolean(bool &value) {
        std::uint8_t marker = 0;
        if (!next(marker)) return false;
        value = marker == 0xc3;
        return value || marker == 0xc2 || wanted("a bool", marker);
    }
    // A whole number: below zero it is in `low`.
    bool number(bool &is_negative, std::uint64_t &high, std::int64_t &low) {
        std::uint8_t marker = 0;
        if (!next(marker)) return false;
        is_negative = false;
        if (marker < 0x80) {
            high = marker;
            return true;
        }
        if (marker >= 0xe0) {
            is_negative = true;
            low = static_cast<std::int8_t>(marker);
            return true;
        }
        if (marker >= 0xcc && marker <= 0xcf) return big(1u << (marker - 0xcc), high);
        if (marker < 0xd0 || marker > 0xd3) return wanted("a whole number", marker);
        const unsigned bytes = 1u << (marker - 0xd0);
        if (!big(bytes, high)) return false;
        const unsigned spare = 64 - 8 * bytes;
        low = static_cast<std::int64_t>(high << spare) >> spare;
        is_negative = low < 0;
        return true;
    }
    bool floating(double &value) {
        if (at_ != end_ && (*at_ == 0xca || *at_ == 0xcb)) {
            const bool is_double = *at_++ == 0xcb;
            std::uint64_t bits = 0;
            if (!big(is_double ? 8 : 4, bits)) return false;
            if (is_double) {
                std::memcpy(&value, &bits, sizeof value);
            } else {
                const auto half = static_cast<std::uint32_t>(bits);
                float single;
                std::memcpy(&single, &half, sizeof single);
                value = single;
            }
            return true;
        }
        if (at_ == end_ || (*at_ >= 0x80 && *at_ < 0xcc) || (*at_ > 0xd3 && *at_ < 0xe0)) {
            std::uint8_t marker = 0;
            return next(marker) && wanted("a number", marker);
        }
        bool is_negative = false;
        std::uint64_t high = 0;
        std::int64_t low = 0;
        if (!number(is_negative, high, low)) return false;
        value = is_negative ? static_cast<double>(low) : static_cast<double>(high);
        return true;
    }
    // The bytes stay where they are.
    bool text(std::string_view &value) {
        std::uint8_t marker = 0;
        std::uint64_t size = 0;
        if (!next(marker)) return false;
        if ((marker & 0xe0) == 0xa0) size = marker & 0x1f;
        else if (marker < 0xd9 || marker > 0xdb) return wanted("a text", marker);
        else if (!big(1u << (marker - 0xd9), size)) return false;
        return take(size, value);
    }
    bool blob(std::string_view &value) {
        std::uint8_t marker = 0;
        std::uint64_t size = 0;
        if (!next(marker)) return false;
        if (marker < 0xc4 || marker > 0xc6) return wanted("bytes", marker);
        return big(1u << (marker - 0xc4), size) && take(size, value);
    }
    bool array(std::size_t &size) { return few(0x90, 0xdc, "an array", size); }
    bool map(std::size_t &size) { return few(0x80, 0xde, "a map", size); }
    bool is_array() const {
        return at_ != end_ && ((*at_ & 0xf0) == 0x90 || *at_ == 0xdc || *at_ == 0xdd);
    }
    bool is_blob() const { return at_ != end_ && *at_ >= 0xc4 && *at_ <= 0xc6; }

    // Passes over a value, whatever it is.
    bool skip() {
        std::uint8_t marker = 0;
        std::string_view passed;
        std::uint64_t size = 0;
        if (!next(marker)) return false;
        if (marker < 0x80 || marker >= 0xe0 || marker == 0xc0 || marker == 0xc2 || marker == 0xc3) return true;
        if (marker < 0x90) return skip_many(2 * (marker & 0x0fu));
        if (marker < 0xa0) return skip_many(marker & 0x0fu);
        if (marker < 0xc0) return take(marker & 0x1fu, passed);
        switch (marker) {
        case 0xc4: case 0xc5: case 0xc6: return big(1u << (marker - 0xc4), size) && take(size, passed);
        case 0xc7: case 0xc8: case 0xc9: return big(1u << (marker - 0xc7), size) && take(size + 1, passed);
        case 0xca: return take(4, passed);
        case 0xcb: return take(8, passed);
        case 0xcc: case 0xcd: case 0xce: case 0xcf: return take(1u << (marker - 0xcc), passed);
        case 0xd0: case 0xd1: case 0xd2: case 0xd3: return take(1u << (marker - 0xd0), passed);
        case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return take((1u << (marker - 0xd4)) + 1, passed);
        case 0xd9: case 0xda: case 0xdb: return big(1u << (marker - 0xd9), size) && take(size, passed);
        case 0xdc: case 0xdd: return big(2u << (marker - 0xdc), size) && skip_many(size);
        case 0xde: case 0xdf: return big(2u << (marker - 0xde), size) && skip_many(2 * size);
        default: return wanted("a value", marker);
        }
    }

    template <class T>
    bool value(T &value) {
        return Packed<T>::unpack(*this, value);
    }

    // What lies within other values is one deeper; a value that never ends is refused.
    template <class Inner>
    bool deeper(Inner &&inner) {
        if (++depth_ > 128) return refuse("the value lies more than 128 deep");
        const bool is_good = inner();
        depth_--;
        return is_good;
    }
    bool refuse(std::string why) {
        why_ = std::move(why);
        return false;
    }
    // Says where: the name of a field, or the number of an element.
    bool within(std::string_view name) {
        why_ = std::string(name) + (why_.empty() || why_[0] == '[' || why_[0] == '.' ? "" : ": ") + why_;
        return false;
    }

private:
    const std::uint8_t *at_;
    const std::uint8_t *end_;
    unsigned depth_ = 0;
    std::string why_;

    bool next(std::uint8_t &marker) {
        if (at_ == end_) return ends();
        marker = *at_++;
        return true;
    }
    bool ends() { return refuse("the bytes end in the midst of a value"); }
    bool take(std::uint64_t size, std::string_view &value) {
        if (size > left()) return ends();
        value = std::string_view(reinterpret_cast<const char *>(at_), static_cast<std::size_t>(size));
        at_ += size;
        return true;
    }
    bool big(unsigned bytes, std::uint64_t &value) {
        if (bytes > left()) return ends();
        value = 0;
        for (unsigned i = 0; i < bytes; i++) value = value << 8 | *at_++;
        return true;
    }
    // Each element takes a byte at least: so no size asks for more memory than there are bytes.
    bool few(std::uint8_t fixed, std::uint8_t marker16, const char *what, std::size_t &size) {
        std::uint8_t marker = 0;
        std::uint64_t count = 0;
        if (!next(marker)) return false;
        if ((marker & 0xf0) == fixed) count = marker & 0x0f;
        else if (marker != marker16 && marker != marker16 + 1) return wanted(what, marker);
        else if (!big(marker == marker16 ? 2 : 4, count)) return false;
        if (count > left()) return ends();
        size = static_cast<std::size_t>(count);
        return true;
    }
    bool skip_many(std::uint64_t count) {
        return deeper([&] {
            for (std::uint64_t i = 0; i < count; i++) {
                if (!skip()) return false;
            }
            return true;
        });
    }
    bool wanted(const char *what, std::uint8_t marker) {
        static constexpr char digits[] = "0123456789abcdef";
        const char *is = "a whole number";
        if (marker >= 0xe0 || marker < 0x80) {}
        else if (marker < 0x90 || marker >= 0xde) is = "a map";
        else if (marker < 0xa0 || marker >= 0xdc) is = "an array";
        else if (marker < 0xc0 || marker >= 0xd9) is = "a text";
        else if (marker == 0xc0) is = "nil";
        else if (marker == 0xc1) is = "nothing that there is";
        else if (marker <= 0xc3) is = "a bool";
        else if (marker <= 0xc6) is = "bytes";
        else if (marker <= 0xc9 || marker >= 0xd4) is = "an extension";
        else if (marker <= 0xcb) is = "a float";
        return refuse(std::string("here is ") + is + " (0x" + digits[marker >> 4] + digits[marker & 15] + "), and " +
                      what + " was to be");
    }
};

template <>
struct Packed<bool> {
    static void pack(Packer &to, bool value) { to.boolean(value); }
    static bool unpack(Unpacker &from, bool &value) { return from.boolean(value); }
};

template <class T>
struct Packed<T, std::enable_if_t<std::is_integral_v<T>>> {
    static_assert(!std::is_same_v<T, char> && !std::is_same_v<T, wchar_t>,
                  "a char is a number here and a text there: use std::int8_t or std::string");
    static void pack(Packer &to, T value) {
        if constexpr (std::is_signed_v<T>) {
            if (value < 0) return to.negative(value);
        }
        to.number(static_cast<std::uint64_t>(value));
    }
    static bool unpack(Unpacker &from, T &value) {
        bool is_negative = false;
        std::uint64_t high = 0;
        std::int64_t low = 0;
        if (!from.number(is_negative, high, low)) return false;
        const bool fits = is_negative
                              ? std::is_signed_v<T> && low >= static_cast<std::int64_t>(std::numeric_limits<T>::min())
                              : high <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
        if (!fits) {
            return from.refuse((is_negative ? std::to_string(low) : std::to_string(high)) + " does not fit " +
                               std::to_string(8 * sizeof(T)) + (std::is_signed_v<T> ? " bits with" : " bits without") +
                               " a sign");
        }
        value = is_negative ? static_cast<T>(low) : static_cast<T>(high);
        return true;
    }
};

// As its number. (An enum of Rust is packed as its variant's name.)
template <class T>
struct Packed<T, std::enable_if_t<std::is_enum_v<T>>> {
    using Number = std::underlying_type_t<T>;
    static void pack(Packer &to, T value) { to.value(static_cast<Number>(value)); }
    static bool unpack(Unpacker &from, T &value) {
        Number number{};
        if (!from.value(number)) return false;
        value = static_cast<T>(number);
        return true;
    }
};

template <class T>
struct Packed<T, std::enable_if_t<std::is_floating_point_v<T>>> {
    static_assert(sizeof(T) <= 8, "MessagePack has floats of 4 and 8 bytes");
    static void pack(Packer &to, T value) { to.floating(value); }
    static bool unpack(Unpacker &from, T &value) {
        double number = 0;
        if (!from.floating(number)) return false;
        value = static_cast<T>(number);
        return true;
    }
};

// UTF-8, which is not looked at.
template <>
struct Packed<std::string> {
    static void pack(Packer &to, const std::string &value) { to.text(value); }
    static bool unpack(Unpacker &from, std::string &value) {
        std::string_view text;
        if (!from.text(text)) return false;
        value.assign(text.data(), text.size());
        return true;
    }
};

// Unpacked, it is of the bytes that were given, and lives as long.
template <>
struct Packed<std::string_view> {
    static void pack(Packer &to, std::string_view value) { to.text(value); }
    static bool unpack(Unpacker &from, std::string_view &value) { return from.text(value); }
};

template <>
struct Packed<const char *> {
    static void pack(Packer &to, const char *value) { to.text(value); }
};

template <std::size_t N>
struct Packed<char[N]> {
    static void pack(Packer &to, const char (&value)[N]) { to.text(value); }
};

template <>
struct Packed<Blob> {
    static void pack(Packer &to, const Blob &value) { to.blob(value.data(), value.size()); }
    static bool unpack(Unpacker &from, Blob &value) {
        std::string_view bytes;
        if (!from.blob(bytes)) return false;
        value.assign(bytes.begin(), bytes.end());
        return true;
    }
};

template <class T>
struct Packed<std::optional<T>> {
    static void pack(Packer &to, const std::optional<T> &value) { value ? to.value(*value) : to.nil(); }
    static bool unpack(Unpacker &from, std::optional<T> &value) {
        if (from.is_nil()) {
            value.reset();
            return true;
        }
        return from.value(value.emplace());
    }
};

template <class T>
struct Packed<std::vector<T>> {
    static void pack(Packer &to, const std::vector<T> &value) {
        to.array(value.size());
        for (const T &element : value) to.value(element);
    }
    static bool unpack(Unpacker &from, std::vector<T> &value) {
        value.clear();
        if constexpr (std::is_same_v<T, std::uint8_t>) {
            if (from.is_blob()) {
                std::string_view bytes;
                if (!from.blob(bytes)) return false;
                value.assign(bytes.begin(), bytes.end());
                return true;
            }
        }
        std::size_t size = 0;
        return from.array(size) && from.deeper([&] {
            for (std::size_t i = 0; i < size; i++) {
                T element{};
                if (!from.value(element)) return from.within("[" + std::to_string(i) + "]");
                value.push_back(std::move(element));
            }
            return true;
        });
    }
};

template <class T, std::size_t N>
struct Packed<std::array<T, N>> {
    static void pack(Packer &to, const std::array<T, N> &value) {
        to.array(N);
        for (const T &element : value) to.value(element);
    }
    static bool unpack(Unpacker &from, std::array<T, N> &value) {
        std::size_t size = 0;
        if (!from.array(size)) return false;
        if (size != N) {
            return from.refuse("here are " + std::to_string(size) + " elements, and " + std::to_string(N) +
                               " were to be");
        }
        return from.deeper([&] {
            for (std::size_t i = 0; i < N; i++) {
                if (!from.value(value[i])) return from.within("[" + std::to_string(i) + "]");
            }
            return true;
        });
    }
};

template <class... T>
struct Packed<std::tuple<T...>> {
    static void pack(Packer &to, const std::tuple<T...> &value) {
        to.array(sizeof...(T));
        std::apply([&](const T &...element) { (to.value(element), ...); }, value);
    }
    static bool unpack(Unpacker &from, std::tuple<T...> &value) {
        std::size_t size = 0;
        if (!from.array(size)) return false;
        if (size != sizeof...(T)) {
            return from.refuse("here are " + std::to_string(size) + " elements, and " +
                               std::to_string(sizeof...(T)) + " were to be");
        }
        return from.deeper([&] {
            return std::apply([&](T &...element) { return (from.value(element) && ...); }, value);
        });
    }
};

template <class T, class U>
struct Packed<std::pair<T, U>> {
    static void pack(Packer &to, const std::pair<T, U> &value) {
        to.array(2);
        to.value(value.first);
        to.value(value.second);
    }
    static bool unpack(Unpacker &from, std::pair<T, U> &value) {
        std::tuple<T, U> both;
        if (!from.value(both)) return false;
        value = {std::move(std::get<0>(both)), std::move(std::get<1>(both))};
        return true;
    }
};

template <class K, class T>
struct Packed<std::map<K, T>> {
    static void pack(Packer &to, const std::map<K, T> &value) {
        to.map(value.size());
        for (const auto &[key, element] : value) {
            to.value(key);
            to.value(element);
        }
    }
    static bool unpack(Unpacker &from, std::map<K, T> &value) {
        value.clear();
        std::size_t size = 0;
        return from.map(size) && from.deeper([&] {
            for (std::size_t i = 0; i < size; i++) {
                K key{};
                if (!from.value(key) || !from.value(value[std::move(key)])) return false;
            }
            return true;
        });
    }
};

// Classes with RINGLOG_PACK.
template <class T>
struct Packed<T, std::void_t<decltype(T::ringlog_field_count)>> {
    static_assert(T::ringlog_field_count <= 64, "RINGLOG_PACK takes up to 64 fields");
    static void pack(Packer &to, const T &value) {
        to.map(T::ringlog_field_count);
        value.ringlog_fields([&](std::string_view name, const auto &field) {
            to.text(name);
            to.value(field);
        });
    }
    static bool unpack(Unpacker &from, T &value) {
        return from.deeper([&] { return from.is_array() ? unpack_array(from, value) : unpack_map(from, value); });
    }

private:
    static bool unpack_map(Unpacker &from, T &value) {
        std::size_t size = 0;
        if (!from.map(size)) return false;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < size; i++) {
            std::string_view key;
            if (!from.text(key)) return false;
            bool is_known = false, is_good = true;
            unsigned number = 0;
            value.ringlog_fields([&](std::string_view name, auto &field) {
                const std::uint64_t bit = std::uint64_t(1) << number++;
                if (is_known || key != name) return;
                is_known = true;
                is_good = (seen & bit) == 0 ? from.value(field) : from.refuse("it is there twice");
                seen |= bit;
                if (!is_good) from.within("." + std::string(name));
            });
            if (!is_good || (!is_known && !from.skip())) return false;
        }
        bool is_whole = true;
        unsigned number = 0;
        value.ringlog_fields([&](std::string_view name, auto &field) {
            if ((seen >> number++ & 1) != 0 || !is_whole) return;
            is_whole = is_optional(field) || from.refuse("." + std::string(name) + ": it is missing");
        });
        return is_whole;
    }
    // As formats without names have it: all fields in order.
    static bool unpack_array(Unpacker &from, T &value) {
        std::size_t size = 0;
        if (!from.array(size)) return false;
        if (size != T::ringlog_field_count) {
            return from.refuse("here are " + std::to_string(size) + " fields, and " +
                               std::to_string(T::ringlog_field_count) + " were to be");
        }
        bool is_good = true;
        value.ringlog_fields([&](std::string_view name, auto &field) {
            if (is_good && !from.value(field)) is_good = from.within("." + std::string(name));
        });
        return is_good;
    }
    template <class U>
    static bool is_optional(std::optional<U> &field) {
        field.reset();
        return true;
    }
    template <class U>
    static bool is_optional(U &) {
        return false;
    }
};

// Packs a value behind what is in the buffer.
template <class T>
void pack_to(Buffer &to, const T &value) {
    Packer(to).value(value);
}

template <class T>
Buffer pack(const T &value) {
    Buffer to;
    pack_to(to, value);
    return to;
}

// Unpacks a value that is all of these bytes; false, and why, if it is not.
template <class T>
[[nodiscard]] bool unpack(const void *data, std::size_t size, T &value, std::string &why) {
    Unpacker from(data, size);
    if (from.value(value) && from.left() == 0) return true;
    why = from.why().empty() ? std::to_string(from.left()) + " bytes lie behind the value" : from.why();
    return false;
}

} // namespace ringlog

// For each of the arguments, f(t, argument).
#define RINGLOG_EACH(f, t, ...) RINGLOG_EACH_OF(RINGLOG_COUNT(__VA_ARGS__), f, t, __VA_ARGS__)
#define RINGLOG_EACH_OF(n, f, t, ...) RINGLOG_EACH_N(n, f, t, __VA_ARGS__)
#define RINGLOG_EACH_N(n, f, t, ...) RINGLOG_EACH_##n(f, t, __VA_ARGS__)
#define RINGLOG_COUNT(...) \
    RINGLOG_NTH(__VA_ARGS__, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, \
    43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, \
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define RINGLOG_NTH( \
    _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, _21, _22, _23, \
    _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37, _38, _39, _40, _41, _42, _43, _44, \
    _45, _46, _47, _48, _49, _50, _51, _52, _53, _54, _55, _56, _57, _58, _59, _60, _61, _62, _63, _64, n, ...) n
#define RINGLOG_EACH_1(f, t, x) f(t, x)
#define RINGLOG_EACH_2(f, t, x, ...) f(t, x) RINGLOG_EACH_1(f, t, __VA_ARGS__)
#define RINGLOG_EACH_3(f, t, x, ...) f(t, x) RINGLOG_EACH_2(f, t, __VA_ARGS__)
#define RINGLOG_EACH_4(f, t, x, ...) f(t, x) RINGLOG_EACH_3(f, t, __VA_ARGS__)
#define RINGLOG_EACH_5(f, t, x, ...) f(t, x) RINGLOG_EACH_4(f, t, __VA_ARGS__)
#define RINGLOG_EACH_6(f, t, x, ...) f(t, x) RINGLOG_EACH_5(f, t, __VA_ARGS__)
#define RINGLOG_EACH_7(f, t, x, ...) f(t, x) RINGLOG_EACH_6(f, t, __VA_ARGS__)
#define RINGLOG_EACH_8(f, t, x, ...) f(t, x) RINGLOG_EACH_7(f, t, __VA_ARGS__)
#define RINGLOG_EACH_9(f, t, x, ...) f(t, x) RINGLOG_EACH_8(f, t, __VA_ARGS__)
#define RINGLOG_EACH_10(f, t, x, ...) f(t, x) RINGLOG_EACH_9(f, t, __VA_ARGS__)
#define RINGLOG_EACH_11(f, t, x, ...) f(t, x) RINGLOG_EACH_10(f, t, __VA_ARGS__)
#define RINGLOG_EACH_12(f, t, x, ...) f(t, x) RINGLOG_EACH_11(f, t, __VA_ARGS__)
#define RINGLOG_EACH_13(f, t, x, ...) f(t, x) RINGLOG_EACH_12(f, t, __VA_ARGS__)
#define RINGLOG_EACH_14(f, t, x, ...) f(t, x) RINGLOG_EACH_13(f, t, __VA_ARGS__)
#define RINGLOG_EACH_15(f, t, x, ...) f(t, x) RINGLOG_EACH_14(f, t, __VA_ARGS__)
#define RINGLOG_EACH_16(f, t, x, ...) f(t, x) RINGLOG_EACH_15(f, t, __VA_ARGS__)
#define RINGLOG_EACH_17(f, t, x, ...) f(t, x) RINGLOG_EACH_16(f, t, __VA_ARGS__)
#define RINGLOG_EACH_18(f, t, x, ...) f(t, x) RINGLOG_EACH_17(f, t, __VA_ARGS__)
#define RINGLOG_EACH_19(f, t, x, ...) f(t, x) RINGLOG_EACH_18(f, t, __VA_ARGS__)
#define RINGLOG_EACH_20(f, t, x, ...) f(t, x) RINGLOG_EACH_19(f, t, __VA_ARGS__)
#define RINGLOG_EACH_21(f, t, x, ...) f(t, x) RINGLOG_EACH_20(f, t, __VA_ARGS__)
#define RINGLOG_EACH_22(f, t, x, ...) f(t, x) RINGLOG_EACH_21(f, t, __VA_ARGS__)
#define RINGLOG_EACH_23(f, t, x, ...) f(t, x) RINGLOG_EACH_22(f, t, __VA_ARGS__)
#define RINGLOG_EACH_24(f, t, x, ...) f(t, x) RINGLOG_EACH_23(f, t, __VA_ARGS__)
#define RINGLOG_EACH_25(f, t, x, ...) f(t, x) RINGLOG_EACH_24(f, t, __VA_ARGS__)
#define RINGLOG_EACH_26(f, t, x, ...) f(t, x) RINGLOG_EACH_25(f, t, __VA_ARGS__)
#define RINGLOG_EACH_27(f, t, x, ...) f(t, x) RINGLOG_EACH_26(f, t, __VA_ARGS__)
#define RINGLOG_EACH_28(f, t, x, ...) f(t, x) RINGLOG_EACH_27(f, t, __VA_ARGS__)
#define RINGLOG_EACH_29(f, t, x, ...) f(t, x) RINGLOG_EACH_28(f, t, __VA_ARGS__)
#define RINGLOG_EACH_30(f, t, x, ...) f(t, x) RINGLOG_EACH_29(f, t, __VA_ARGS__)
#define RINGLOG_EACH_31(f, t, x, ...) f(t, x) RINGLOG_EACH_30(f, t, __VA_ARGS__)
#define RINGLOG_EACH_32(f, t, x, ...) f(t, x) RINGLOG_EACH_31(f, t, __VA_ARGS__)
#define RINGLOG_EACH_33(f, t, x, ...) f(t, x) RINGLOG_EACH_32(f, t, __VA_ARGS__)
#define RINGLOG_EACH_34(f, t, x, ...) f(t, x) RINGLOG_EACH_33(f, t, __VA_ARGS__)
#define RINGLOG_EACH_35(f, t, x, ...) f(t, x) RINGLOG_EACH_34(f, t, __VA_ARGS__)
#define RINGLOG_EACH_36(f, t, x, ...) f(t, x) RINGLOG_EACH_35(f, t, __VA_ARGS__)
#define RINGLOG_EACH_37(f, t, x, ...) f(t, x) RINGLOG_EACH_36(f, t, __VA_ARGS__)
#define RINGLOG_EACH_38(f, t, x, ...) f(t, x) RINGLOG_EACH_37(f, t, __VA_ARGS__)
#define RINGLOG_EACH_39(f, t, x, ...) f(t, x) RINGLOG_EACH_38(f, t, __VA_ARGS__)
#define RINGLOG_EACH_40(f, t, x, ...) f(t, x) RINGLOG_EACH_39(f, t, __VA_ARGS__)
#define RINGLOG_EACH_41(f, t, x, ...) f(t, x) RINGLOG_EACH_40(f, t, __VA_ARGS__)
#define RINGLOG_EACH_42(f, t, x, ...) f(t, x) RINGLOG_EACH_41(f, t, __VA_ARGS__)
#define RINGLOG_EACH_43(f, t, x, ...) f(t, x) RINGLOG_EACH_42(f, t, __VA_ARGS__)
#define RINGLOG_EACH_44(f, t, x, ...) f(t, x) RINGLOG_EACH_43(f, t, __VA_ARGS__)
#define RINGLOG_EACH_45(f, t, x, ...) f(t, x) RINGLOG_EACH_44(f, t, __VA_ARGS__)
#define RINGLOG_EACH_46(f, t, x, ...) f(t, x) RINGLOG_EACH_45(f, t, __VA_ARGS__)
#define RINGLOG_EACH_47(f, t, x, ...) f(t, x) RINGLOG_EACH_46(f, t, __VA_ARGS__)
#define RINGLOG_EACH_48(f, t, x, ...) f(t, x) RINGLOG_EACH_47(f, t, __VA_ARGS__)
#define RINGLOG_EACH_49(f, t, x, ...) f(t, x) RINGLOG_EACH_48(f, t, __VA_ARGS__)
#define RINGLOG_EACH_50(f, t, x, ...) f(t, x) RINGLOG_EACH_49(f, t, __VA_ARGS__)
#define RINGLOG_EACH_51(f, t, x, ...) f(t, x) RINGLOG_EACH_50(f, t, __VA_ARGS__)
#define RINGLOG_EACH_52(f, t, x, ...) f(t, x) RINGLOG_EACH_51(f, t, __VA_ARGS__)
#define RINGLOG_EACH_53(f, t, x, ...) f(t, x) RINGLOG_EACH_52(f, t, __VA_ARGS__)
#define RINGLOG_EACH_54(f, t, x, ...) f(t, x) RINGLOG_EACH_53(f, t, __VA_ARGS__)
#define RINGLOG_EACH_55(f, t, x, ...) f(t, x) RINGLOG_EACH_54(f, t, __VA_ARGS__)
#define RINGLOG_EACH_56(f, t, x, ...) f(t, x) RINGLOG_EACH_55(f, t, __VA_ARGS__)
#define RINGLOG_EACH_57(f, t, x, ...) f(t, x) RINGLOG_EACH_56(f, t, __VA_ARGS__)
#define RINGLOG_EACH_58(f, t, x, ...) f(t, x) RINGLOG_EACH_57(f, t, __VA_ARGS__)
#define RINGLOG_EACH_59(f, t, x, ...) f(t, x) RINGLOG_EACH_58(f, t, __VA_ARGS__)
#define RINGLOG_EACH_60(f, t, x, ...) f(t, x) RINGLOG_EACH_59(f, t, __VA_ARGS__)
#define RINGLOG_EACH_61(f, t, x, ...) f(t, x) RINGLOG_EACH_60(f, t, __VA_ARGS__)
#define RINGLOG_EACH_62(f, t, x, ...) f(t, x) RINGLOG_EACH_61(f, t, __VA_ARGS__)
#define RINGLOG_EACH_63(f, t, x, ...) f(t, x) RINGLOG_EACH_62(f, t, __VA_ARGS__)
#define RINGLOG_EACH_64(f, t, x, ...) f(t, x) RINGLOG_EACH_63(f, t, __VA_ARGS__)

#endif // RINGLOG_PACK_HPP
