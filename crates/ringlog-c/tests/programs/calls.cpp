// What ringlog.hpp and ringlog.h promise of calls. The argument is a service's name, which no other program has.
#include "ringlog.hpp"

#include "check.h"

#include <atomic>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr auto soon = 20s; // nothing here takes so long
enum : std::uint32_t { ADD = 1, THROW, THROW_ODD, NOTHING, KEEP, ECHO, PIECES, LATE };

struct Sum {
    double left, right;
    RINGLOG_PACK(left, right)
};

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

// Serves until it goes out of scope.
template <class B>
class Server {
public:
    explicit Server(ringlog::Service<B> &service) : service_(service), thread_([this] { service_.run(); }) {}
    ~Server() {
        service_.stop();
        thread_.join();
    }

private:
    ringlog::Service<B> &service_;
    std::thread thread_;
};

void values(const std::string &name) {
    auto service = ringlog::Service<>::serve(name, ringlog::CallOptions().lanes(2));
    CHECK(thrown([&] { ringlog::Service<>::serve(name); }, "already running") == RINGLOG_CLAIMED);
    ringlog::Deferred kept;
    std::atomic<bool> is_kept{false};
    service.on<Sum>(ADD, [](const Sum &sum) { return sum.left + sum.right; })
        .on<Sum>(THROW, [](const Sum &) -> double { throw std::runtime_error("no sum today"); })
        .on<Sum>(THROW_ODD, [](const Sum &) -> double { throw 7; })
        .on<int>(NOTHING, [](int) {})
        .on_request(KEEP, [&](const ringlog::Request &request, ringlog::Reply &reply) {
            CHECK(request.method() == KEEP && reply.is_wanted());
            kept = reply.defer();
            is_kept = true;
            return RINGLOG_OK;
        });
    const Server<ringlog::body::msgpack> server(service);
    auto client = ringlog::Client<>::connect(name, soon);
    CHECK(client.has_server());
    CHECK(client.call<double>(ADD, Sum{1.5, 2.25}, soon) == 3.75);
    CHECK(thrown([&] { client.call<double>(THROW, Sum{1, 2}, soon); }, "no sum today") == RINGLOG_FAILED);
    CHECK(thrown([&] { client.call<double>(THROW_ODD, Sum{1, 2}, soon); }, "no std::exception") == RINGLOG_FAILED);
    CHECK(thrown([&] { client.call<double>(ADD, std::string("x"), soon); }, "not as agreed") == RINGLOG_FAILED);
    CHECK(thrown([&] { client.call<std::string>(ADD, Sum{1, 2}, soon); }, "a text was to be") == RINGLOG_VALUE);
    CHECK(thrown([&] { client.call<double>(99, Sum{1, 2}, soon); }, "no such method") == RINGLOG_NO_METHOD);
    ringlog::Error error;
    CHECK(client.call<double>(ADD, Sum{1, 1}, soon, error) == 2 && !error);
    CHECK(client.call(NOTHING, ringlog::pack(7), soon)[0] == 0xc0);

    // Several at a time, answered in another order; one is kept, and answered by this thread.
    const auto late = client.send_value(KEEP, 1, soon), first = client.send_value(ADD, Sum{1, 2}, soon),
               second = client.send_value(ADD, Sum{3, 4}, soon);
    CHECK(client.wait_for_value<double>(second) == 7 && client.wait_for_value<double>(first) == 3);
    while (!is_kept) std::this_thread::yield(); // the test that runs this bounds it
    CHECK(kept.request().method() == KEEP && kept.is_wanted());
    kept.answer_value("at last");
    CHECK(!kept && client.wait_for_value<std::string>(late) == "at last");

    // One that is in nobody's time is told so, and one that is dropped is not waited for in vain.
    is_kept = false;
    CHECK(thrown([&] { client.call<double>(KEEP, 1, 20ms); }, "no answer in time") == RINGLOG_NO_ANSWER);
    while (!is_kept) std::this_thread::yield();
    is_kept = false;
    const auto dropped = client.send_value(KEEP, 1, soon);
    while (!is_kept) std::this_thread::yield();
    kept = ringlog::Deferred();
    CHECK(thrown([&] { client.wait_for(dropped); }, "never answered") == RINGLOG_FAILED);
    const auto forgotten = client.send_value(ADD, Sum{1, 2}, soon);
    client.forget(forgotten);
    CHECK(thrown([&] { client.wait_for(forgotten); }, "no answer") == RINGLOG_NO_ANSWER);

    auto other = ringlog::Client<>::connect(name, soon);
    CHECK(thrown([&] { ringlog::Client<>::connect(name, 10ms); }, "no answer") == RINGLOG_NO_ANSWER); // no lane
    CHECK(thrown([&] { ringlog::Client<ringlog::body::json>::connect(name, 10ms); }, "schema") == RINGLOG_UNUSABLE);
    CHECK(other.call<double>(ADD, Sum{1, 2}, soon) == 3);
}

int echo(void *context, const ringlog_request *request, ringlog_reply *reply) {
    const char *data = static_cast<const char *>(request->body.data);
    switch (request->method) {
    case ECHO: return ringlog_reply_send(reply, data, request->body.size);
    case PIECES: // written piece by piece, more than goes in one
        for (int i = 0; i < 3000; i++) {
            if (ringlog_reply_write(reply, data, request->body.size) < 0) return RINGLOG_OTHER;
        }
        return ringlog_reply_flush(reply);
    case LATE:
        *static_cast<ringlog_deferred **>(context) = ringlog_reply_defer(reply);
        return RINGLOG_OK;
    case THROW: return -77;
    default: return RINGLOG_NO_METHOD;
    }
}

// The same in C, polled by the thread that calls.
void bytes(const std::string &name) {
    ringlog_call_options options;
    ringlog_call_options_init(&options);
    options.form = 9;
    ringlog_service *service = nullptr;
    ringlog_client *client = nullptr;
    ringlog_deferred *late = nullptr;
    ringlog_bytes answer;
    REFUSED(ringlog_serve(name.c_str(), &options, &service), RINGLOG_INVALID, "no form 9");
    options.form = RINGLOG_BYTES;
    REFUSED(ringlog_connect(name.c_str(), &options, 0, &client), RINGLOG_NOT_FOUND, "no such log");
    CHECK(ringlog_serve(name.c_str(), &options, &service) == RINGLOG_OK);
    CHECK(ringlog_connect(name.c_str(), &options, 1000000000, &client) == RINGLOG_OK);
    const auto called = [&](std::uint32_t method, const char *request, int code) {
        const std::int64_t ticket = ringlog_send(client, method, request, std::strlen(request), RINGLOG_FOREVER);
        CHECK(ticket >= 0);
        while (ringlog_service_poll(service, echo, &late) == 0) {
            CHECK(ringlog_service_wait(service, RINGLOG_BLOCK, 1000000) == RINGLOG_OK);
        }
        if (late == nullptr) CHECK(ringlog_wait_for(client, ticket, &answer) == code);
        return ticket;
    };
    called(ECHO, "a few words", RINGLOG_OK);
    CHECK(answer.size == 11 && std::memcmp(answer.data, "a few words", 11) == 0);
    called(ECHO, "", RINGLOG_OK);
    CHECK(answer.size == 0);
    called(THROW, "x", RINGLOG_FAILED);
    CHECK(ringlog::Bytes(answer).text() == "the handler returned -77");
    called(99, "x", RINGLOG_NO_METHOD);
    CHECK(ringlog_service_poll(service, nullptr, nullptr) == RINGLOG_INVALID);

    const std::int64_t ticket = called(LATE, "kept", RINGLOG_OK);
    CHECK(late != nullptr);
    ringlog_request request;
    ringlog_deferred_request(late, &request);
    CHECK(ringlog::Bytes(request.body).text() == "kept" && ringlog_deferred_is_wanted(late) == 1);
    int code = 7;
    CHECK(ringlog_receive(client, 1000, &code, &answer) == -1 && code == RINGLOG_NO_ANSWER);
    ringlog_deferred_answer(&late, "later", 5);
    CHECK(late == nullptr);
    CHECK(ringlog_service_poll(service, echo, &late) == 1);
    CHECK(ringlog_receive(client, RINGLOG_FOREVER, &code, &answer) == ticket && code == RINGLOG_OK);
    CHECK(ringlog::Bytes(answer).text() == "later");
    ringlog_deferred_answer(&late, "again", 5); // NULL is no request
    ringlog_forget(client, 12345);
    ringlog_client_close(&client);
    CHECK(client == nullptr);
    ringlog_service_close(&service);
    CHECK(service == nullptr);

    // In a thread of its own, with an answer in parts.
    auto served = ringlog::Service<ringlog::body::bytes>::serve(name);
    served.on_request(PIECES, [](const ringlog::Request &request, ringlog::Reply &reply) {
        for (int i = 0; i < 3000; i++) {
            if (!reply.write(request.body())) return RINGLOG_TOO_LARGE;
        }
        return RINGLOG_OK;
    });
    const Server<ringlog::body::bytes> server(served);
    auto caller = ringlog::Client<ringlog::body::bytes>::connect(name, soon);
    const std::string piece(1000, 'p');
    CHECK(caller.call(PIECES, piece, soon).size() == 3000000);
    CHECK(caller.call(PIECES, "", soon).empty());
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const std::string name = argv[1];
    values(name + ".values");
    bytes(name + ".bytes");
    std::printf("%d checks\n", checks);
}
