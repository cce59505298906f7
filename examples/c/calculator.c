/* A calculator that other processes call, in bytes that both sides know: a struct each way.
 *
 *     calculator serve              until Ctrl-C
 *     calculator call 6 '*' 7       in another terminal */
#include <ringlog.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPUTE = 1 };

struct sum {
    double left, right;
    int64_t sign; /* a character */
};

static ringlog_service *service;

static void on_signal(int number) {
    (void)number;
    ringlog_service_stop(service); /* one store */
}

/* Runs at most once for each request, whatever is killed. */
static int compute(void *context, const ringlog_request *request, ringlog_reply *reply) {
    (void)context;
    if (request->method != COMPUTE) return RINGLOG_NO_METHOD;
    struct sum sum;
    static const char *const short_request = "a sum is a struct of three words";
    if (request->body.size != sizeof sum) return ringlog_reply_fail(reply, short_request, strlen(short_request));
    memcpy(&sum, request->body.data, sizeof sum);
    static const char *const zero = "a division by zero";
    if (sum.sign == '/' && sum.right == 0) return ringlog_reply_fail(reply, zero, strlen(zero));
    const double result = sum.sign == '+'   ? sum.left + sum.right
                          : sum.sign == '-' ? sum.left - sum.right
                          : sum.sign == '*' ? sum.left * sum.right
                                            : sum.left / sum.right;
    return ringlog_reply_send(reply, &result, sizeof result);
}

static int failed(void) {
    fprintf(stderr, "calculator: %s\n", ringlog_last_error());
    return 1;
}

static int serve(const char *name) {
    if (ringlog_serve(name, NULL, &service) < 0) return failed();
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    fprintf(stderr, "serves %s\n", name);
    const int code = ringlog_service_run(service, RINGLOG_BLOCK, compute, NULL);
    ringlog_service_close(&service);
    return code < 0 ? failed() : 0;
}

static int call(const char *name, const struct sum *sum) {
    const uint64_t second = UINT64_C(1000000000);
    ringlog_client *client = NULL;
    ringlog_bytes answer;
    if (ringlog_connect(name, NULL, second, &client) < 0) return failed();
    const int code = ringlog_call(client, COMPUTE, sum, sizeof *sum, second, &answer);
    double result = 0;
    if (code == RINGLOG_OK && answer.size == sizeof result) {
        memcpy(&result, answer.data, sizeof result);
        printf("%.17g\n", result);
    }
    const int exit_code = code < 0 ? failed() : 0;
    ringlog_client_close(&client);
    return exit_code;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "serve") == 0) return serve(argc > 2 ? argv[2] : "/calculator_c");
    if (strcmp(what, "call") == 0 && argc > 4) {
        const struct sum sum = {strtod(argv[2], NULL), strtod(argv[4], NULL), argv[3][0]};
        return call(argc > 5 ? argv[5] : "/calculator_c", &sum);
    }
    fputs("usage: calculator serve [NAME], or calculator call A SIGN B [NAME]\n", stderr);
    return 2;
}
