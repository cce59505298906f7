// Classes as MessagePack: the same bytes as Rust, which made testdata/msgpack.json, and nothing that bytes can say
// harms. The argument is that file.
#include "ringlog_pack.hpp"

#include "check.h"

#include <fstream>
#include <sstream>

namespace {

struct Inner {
    std::string name;
    std::int16_t shift;
    RINGLOG_PACK(name, shift)
};

struct Everything {
    bool yes;
    std::uint8_t small;
    std::uint64_t large;
    std::int64_t below;
    float half;
    double whole;
    std::string text;
    std::optional<std::uint32_t> some;
    std::optional<std::string> none;
    std::vector<std::int32_t> numbers;
    Inner inner;
    std::vector<Inner> inners;
    std::map<std::string, double> prices;
    std::pair<std::uint8_t, std::string> pair;
    ringlog::Blob blob;
    RINGLOG_PACK(yes, small, large, below, half, whole, text, some, none, numbers, inner, inners, prices, pair, blob)
};

std::map<std::string, ringlog::Buffer> vectors;

std::string shown(const ringlog::Buffer &bytes) {
    std::string text;
    char digits[3];
    for (const std::uint8_t byte : bytes) text += (std::snprintf(digits, sizeof digits, "%02x", byte), digits);
    return text;
}

// Each line of the file that has a name and bytes.
void load(const char *path) {
    std::ifstream file(path);
    CHECK(file.good());
    const auto field = [](const std::string &line, const std::string &name) {
        const std::string begin = "\"" + name + "\": \"";
        const std::size_t at = line.rfind(begin);
        if (at == std::string::npos) return std::string();
        return line.substr(at + begin.size(), line.find('"', at + begin.size()) - at - begin.size());
    };
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("  {\"name\": \"", 0) != 0) continue;
        const std::string name = line.substr(12, line.find('"', 12) - 12), hex = field(line, "msgpack");
        ringlog::Buffer bytes;
        for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
            bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        }
        CHECK(vectors.emplace(name, bytes).second);
    }
    CHECK(vectors.size() > 40);
}

// The value is packed as Rust packs it, and comes back.
template <class T>
void same(const std::string &name, const T &value) {
    const auto vector = vectors.find(name);
    if (vector == vectors.end()) {
        std::fprintf(stderr, "there is no vector %s\n", name.c_str());
        std::exit(1);
    }
    const ringlog::Buffer packed = ringlog::pack(value);
    if (packed != vector->second) {
        std::fprintf(stderr, "%s: %s here, %s in Rust\n", name.c_str(), shown(packed).c_str(),
                     shown(vector->second).c_str());
        std::exit(1);
    }
    T again{};
    std::string why;
    if (!ringlog::unpack(packed.data(), packed.size(), again, why)) {
        std::fprintf(stderr, "%s: %s\n", name.c_str(), why.c_str());
        std::exit(1);
    }
    CHECK(ringlog::pack(again) == packed);
    // Cut anywhere, it is refused; with a byte behind it, too.
    for (std::size_t length = 0; length < packed.size() && length < 300; length++) {
        CHECK(!ringlog::unpack(packed.data(), length, again, why) && !why.empty());
    }
    ringlog::Buffer longer = packed;
    longer.push_back(0xc0);
    CHECK(!ringlog::unpack(longer.data(), longer.size(), again, why));
    vectors.erase(vector);
}

Everything everything() {
    return {true,
            200,
            std::numeric_limits<std::uint64_t>::max(),
            std::numeric_limits<std::int64_t>::min(),
            0.5f,
            189.45,
            "gr\xc3\xbc\xc3\x9f",
            7,
            std::nullopt,
            {1, -1, 70000, -70000},
            {"inner", -300},
            {{"a", 1}, {"b", -1}},
            {{"AAPL", 189.45}, {"MSFT", -0.0}},
            {9, "nine"},
            {0, 1, 255}};
}

void as_rust() {
    for (const std::uint64_t number :
         {0ull, 1ull, 127ull, 128ull, 255ull, 256ull, 65535ull, 65536ull, 4294967295ull, 4294967296ull,
          18446744073709551615ull}) {
        same("u64 " + std::to_string(number), static_cast<std::uint64_t>(number));
    }
    for (const std::int64_t number : {std::int64_t(-1), std::int64_t(-32), std::int64_t(-33), std::int64_t(-128),
                                      std::int64_t(-129), std::int64_t(-32768), std::int64_t(-32769),
                                      std::int64_t(-2147483648), std::int64_t(-2147483649),
                                      std::numeric_limits<std::int64_t>::min(), std::int64_t(1), std::int64_t(200)}) {
        same("i64 " + std::to_string(number), number);
    }
    same("bool true", true);
    same("bool false", false);
    same("f32 0.5", 0.5f);
    same("f64 189.45", 189.45);
    same("f64 -0.0", -0.0);
    for (const std::size_t length : {0, 31, 32, 255, 256}) {
        same("text of " + std::to_string(length), std::string(length, 'x'));
    }
    for (const std::size_t length : {0, 15, 16}) {
        same("array of " + std::to_string(length), std::vector<std::uint8_t>(length, 7));
    }
    for (const std::size_t length : {0, 255, 256}) {
        ringlog::Blob blob;
        blob.assign(length, 7);
        same("bytes of " + std::to_string(length), blob);
    }
    same("option none", std::optional<std::uint32_t>());
    same("option some", std::optional<std::uint32_t>(7));
    std::map<std::string, std::uint32_t> map;
    for (std::uint32_t i = 0; i < 16; i++) map["key " + std::string(1, static_cast<char>('a' + i))] = i;
    same("map of 16", map);
    same("struct", Inner{"inner", -300});
    same("everything", everything());
    for (const auto &left : vectors) {
        std::fprintf(stderr, "%s: nothing here packs it\n", left.first.c_str());
        std::exit(1);
    }
}

template <class T>
std::string refusal(const ringlog::Buffer &bytes) {
    T value{};
    std::string why;
    CHECK(!ringlog::unpack(bytes.data(), bytes.size(), value, why));
    return why;
}

template <class T>
T unpacked(const ringlog::Buffer &bytes) {
    T value{};
    std::string why;
    if (!ringlog::unpack(bytes.data(), bytes.size(), value, why)) std::fprintf(stderr, "%s\n", why.c_str());
    CHECK(why.empty());
    return value;
}

bool says(const std::string &why, const char *word) { return why.find(word) != std::string::npos; }

struct Optional {
    std::uint32_t id;
    std::optional<std::string> note;
    RINGLOG_PACK(id, note)
};

struct Tree {
    std::vector<Tree> children;
    RINGLOG_PACK(children)
};

void as_others_may() {
    // Numbers of any width, if they fit; whole ones where a float is to be.
    CHECK(unpacked<std::uint8_t>({0xcf, 0, 0, 0, 0, 0, 0, 0, 200}) == 200);
    CHECK(unpacked<std::int8_t>({0xd3, 255, 255, 255, 255, 255, 255, 255, 0x80}) == -128);
    CHECK(unpacked<std::int64_t>({0xd0, 7}) == 7 && unpacked<double>({0xff}) == -1 && unpacked<float>({7}) == 7);
    CHECK(refusal<std::uint8_t>({0xcd, 1, 0}) == "256 does not fit 8 bits without a sign");
    CHECK(refusal<std::int8_t>({0xcc, 200}) == "200 does not fit 8 bits with a sign");
    CHECK(refusal<std::uint64_t>({0xff}) == "-1 does not fit 64 bits without a sign");
    CHECK(says(refusal<std::int64_t>({0xcf, 255, 255, 255, 255, 255, 255, 255, 255}), "does not fit"));
    CHECK(refusal<bool>({1}) == "here is a whole number (0x01), and a bool was to be");
    CHECK(refusal<double>({0xa1, 'x'}) == "here is a text (0xa1), and a number was to be");
    CHECK(refusal<std::uint32_t>({0xca, 0, 0, 0, 0}) == "here is a float (0xca), and a whole number was to be");
    CHECK(unpacked<std::vector<std::uint8_t>>({0xc4, 2, 1, 2}).size() == 2);
    // Fields in any order, unknown ones of any kind, an optional one that is missing, all of them in an array.
    const auto swapped = unpacked<Optional>({0x82, 0xa4, 'n', 'o', 't', 'e', 0xa1, 'x', 0xa2, 'i', 'd', 7});
    CHECK(swapped.id == 7 && swapped.note == "x");
    CHECK(!unpacked<Optional>({0x81, 0xa2, 'i', 'd', 7}).note);
    for (const ringlog::Buffer &unknown : std::vector<ringlog::Buffer>{
             {0xc0}, {0xc3}, {0xe0}, {0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, {0xca, 0, 0, 0, 0}, {0xd9, 1, 'x'}, {0xc4, 1, 0},
             {0xd4, 5, 0}, {0xd8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {0xc7, 1, 5, 0},
             {0x92, 1, 0x81, 1, 2}, {0xdc, 0, 1, 1}, {0xde, 0, 1, 1, 2}, {0xd1, 1, 0}, {0xce, 0, 0, 0, 0}}) {
        ringlog::Buffer bytes{0x82, 0xa1, '?'};
        bytes.insert(bytes.end(), unknown.begin(), unknown.end());
        for (const int byte : {0xa2, int('i'), int('d'), 7}) bytes.push_back(static_cast<std::uint8_t>(byte));
        CHECK(unpacked<Optional>(bytes).id == 7);
    }
    CHECK(unpacked<Optional>({0x92, 7, 0xc0}).id == 7);
    CHECK(refusal<Optional>({0x80}) == ".id: it is missing");
    CHECK(refusal<Optional>({0x91, 7}) == "here are 1 fields, and 2 were to be");
    CHECK(refusal<Optional>({0x82, 0xa2, 'i', 'd', 7, 0xa2, 'i', 'd', 7}) == ".id: it is there twice");
    CHECK(refusal<Optional>({0x81, 0xa4, 'n', 'o', 't', 'e', 7}) ==
          ".note: here is a whole number (0x07), and a text was to be");
    CHECK(refusal<Optional>({0x81, 7, 7}) == "here is a whole number (0x07), and a text was to be");
    CHECK(refusal<std::vector<Optional>>({0x91, 0x81, 0xa2, 'i', 'd', 0xc3}) ==
          "[0].id: here is a bool (0xc3), and a whole number was to be");
    CHECK((refusal<std::tuple<int, int>>({0x93, 1, 2, 3}) == "here are 3 elements, and 2 were to be"));
    CHECK((unpacked<std::array<int, 2>>({0x92, 1, 2})[1] == 2));
}

// The longest forms of a length, which would be long vectors.
void long_ones() {
    const auto begins = [](const ringlog::Buffer &bytes, const ringlog::Buffer &begin) {
        return bytes.size() > 65535 && std::equal(begin.begin(), begin.end(), bytes.begin());
    };
    const std::string text(65536, 'x');
    CHECK(begins(ringlog::pack(text), {0xdb, 0, 1, 0, 0, 'x'}) && unpacked<std::string>(ringlog::pack(text)) == text);
    CHECK(begins(ringlog::pack(text.substr(1)), {0xda, 255, 255, 'x'}));
    const std::vector<std::uint16_t> numbers(65536, 7);
    CHECK(begins(ringlog::pack(numbers), {0xdd, 0, 1, 0, 0, 7}));
    CHECK(unpacked<std::vector<std::uint16_t>>(ringlog::pack(numbers)) == numbers);
    ringlog::Blob blob;
    blob.assign(65536, 7);
    CHECK(begins(ringlog::pack(blob), {0xc6, 0, 1, 0, 0, 7}) && unpacked<ringlog::Blob>(ringlog::pack(blob)) == blob);
}

void whatever_they_say() {
    // Sizes beyond the bytes ask for no memory.
    CHECK(says((refusal<std::vector<std::uint64_t>>({0xdd, 255, 255, 255, 255})), "end in the midst"));
    CHECK(says((refusal<std::string>({0xdb, 255, 255, 255, 255})), "end in the midst"));
    CHECK(says((refusal<std::map<std::string, int>>({0xdf, 255, 255, 255, 255})), "end in the midst"));
    CHECK(says((refusal<int>({0xc1})), "nothing that there is"));
    // Nor does depth ask for stack: of what is unpacked, and of what is passed over.
    ringlog::Buffer deep{0x81, 0xa1, '?'};
    deep.insert(deep.end(), 100000, 0x91);
    CHECK(says((refusal<Optional>(deep)), "128 deep"));
    ringlog::Buffer tree;
    for (int i = 0; i < 100000; i++) {
        for (const char byte : std::string("\x81\xa8" "children\x91")) tree.push_back(static_cast<std::uint8_t>(byte));
    }
    CHECK(says((refusal<Tree>(tree)), "128 deep"));
    // Any bytes at all: refused or not, it ends, and the sanitizers see nothing.
    const ringlog::Buffer good = ringlog::pack(everything());
    std::uint64_t random = 88172645463325252u, refused = 0;
    for (int round = 0; round < 50000; round++) {
        ringlog::Buffer bytes = good;
        for (int i = 0; i < 1 + round % 5; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            bytes[random % bytes.size()] = static_cast<std::uint8_t>(random >> 32);
        }
        bytes.resize(random >> 40 & 1 ? bytes.size() : (random >> 41) % bytes.size());
        Everything value{};
        std::string why;
        if (!ringlog::unpack(bytes.data(), bytes.size(), value, why)) refused++;
    }
    CHECK(refused > 25000);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    load(argv[1]);
    as_rust();
    as_others_may();
    long_ones();
    whatever_they_say();
    std::printf("%d checks\n", checks);
}
