// A calculator that other processes call: a server and clients, either of which may be killed. It speaks with
// examples/calculator.rs, either way.
//
//     calculator serve               until Ctrl-C
//     calculator call 6 '*' 7        in another terminal
//     calculator calls 1000000       so many, each checked
//
// A last argument is the service's name; one more, to both sides, a file in which they note each sum that is run, and
// what became of each.
#include <ringlog.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t COMPUTE = 1;

// What is asked. The id is for whoever looks at the notes: no two calls have the same.
struct Sum {
    std::uint64_t id;
    double left;
    std::string sign;
    double right;
    RINGLOG_PACK(id, left, sign, right)
};

double compute(const Sum &sum) {
    if (sum.sign == "+") return sum.left + sum.right;
    if (sum.sign == "-") return sum.left - sum.right;
    if (sum.sign == "*") return sum.left * sum.right;
    if (sum.sign != "/") throw std::invalid_argument("there is no `" + sum.sign + "`; use + - * /");
    if (sum.right == 0) throw std::domain_error("a division by zero");
    return sum.left / sum.right;
}

// A file in which a line is there whole or not at all.
class Notes {
public:
    explicit Notes(const char *path) : file_(path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1) {
        if (path != nullptr && file_ < 0) throw std::runtime_error(std::string(path) + ": cannot be opened");
    }
    Notes(const Notes &) = delete;
    Notes &operator=(const Notes &) = delete;
    ~Notes() {
        if (file_ >= 0) close(file_);
    }
    void note(std::string line) const {
        line += '\n';
        if (file_ >= 0 && write(file_, line.data(), line.size()) < 0) {
            throw std::runtime_error("a note cannot be written");
        }
    }

private:
    int file_;
};

ringlog::Service<> *service = nullptr;
volatile std::sig_atomic_t stop = 0;

void on_signal(int) {
    stop = 1;
    if (service != nullptr) service->stop();
}

void serve(const std::string &name, const Notes &notes) {
    auto calculator = ringlog::Service<>::serve(name);
    calculator.on<Sum>(COMPUTE, [&](const Sum &sum) {
        notes.note(std::to_string(sum.id));
        return compute(sum); // what it throws is what the caller gets
    });
    service = &calculator;
    if (stop == 0) {
        std::fprintf(stderr, "serves %s\n", name.c_str());
        calculator.run();
    }
    service = nullptr;
}

void call(const std::string &name, double left, const std::string &sign, double right) {
    auto client = ringlog::Client<>::connect(name, 1s);
    std::printf("%.17g\n", client.call<double>(COMPUTE, Sum{0, left, sign, right}, 1s));
}

void calls(const std::string &name, std::uint64_t count, const Notes &notes) {
    auto client = ringlog::Client<>::connect(name, 10s, ringlog::CallOptions().outlast());
    std::map<std::string, std::uint64_t> ends;
    for (std::uint64_t number = 0; number < count && stop == 0; number++) {
        const std::uint64_t id = static_cast<std::uint64_t>(getpid()) << 32 | number;
        ringlog::Error error;
        const auto answer = client.call<double>(COMPUTE, Sum{id, double(number), "+", 1}, 10s, error);
        const std::string end = !error                                     ? "answered"
                                : error.code() == RINGLOG_INTERRUPTED ? "interrupted"
                                : error.code() == RINGLOG_NO_ANSWER   ? "timed out"
                                                                      : throw error;
        if (!error && answer != double(number) + 1) throw std::runtime_error("another sum than was asked for");
        notes.note(std::to_string(id) + " " + end);
        ends[end]++;
    }
    for (const auto &[end, times] : ends) {
        std::fprintf(stderr, "%llu %s\n", static_cast<unsigned long long>(times), end.c_str());
    }
}

} // namespace

int main(int argc, char **argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const int behind = what == "serve" ? 2 : what == "calls" ? 3 : 5;
    if ((what != "serve" && what != "call" && what != "calls") || argc < behind) {
        std::fputs("usage: calculator serve, call A SIGN B or calls COUNT; then a name and a file\n", stderr);
        return 2;
    }
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    try {
        const std::string name = argc > behind ? argv[behind] : "/calculator";
        const Notes notes(argc > behind + 1 ? argv[behind + 1] : nullptr);
        if (what == "serve") serve(name, notes);
        else if (what == "calls") calls(name, std::strtoull(argv[2], nullptr, 10), notes);
        else call(name, std::strtod(argv[2], nullptr), argv[3], std::strtod(argv[4], nullptr));
    } catch (const std::exception &e) {
        std::fprintf(stderr, "calculator: %s\n", e.what());
        return 1;
    }
}
