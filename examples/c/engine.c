/* A telemetry engine: a sample each millisecond, and an event with a text of any length now and then.
 *
 *     engine 1000 /samples /events
 *
 * appends a thousand samples to one log, and to another an event for each tenth of them. Kill it and start it again:
 * both go on where they were. `reporter 0 --shm /samples` writes the rows of either. */
#include <ringlog.h>

#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

/* What the compiler would leave a gap in has a column, or a member that is none. */
struct sample {
    int64_t time; /* nanoseconds since the Unix epoch */
    double load;
    uint32_t number;
    uint32_t cpu;
};
#define SAMPLE "time:timestamp,load:f64,number:u32,cpu:u32"

struct event {
    int64_t time;
    uint64_t level;
};
#define EVENT "time:timestamp,level:u64,text:text"

static int64_t now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int failed(void) {
    fprintf(stderr, "engine: %s\n", ringlog_last_error());
    return 1;
}

static int run(uint32_t count, ringlog_writer *samples, ringlog_writer *events) {
    struct sample last = {0};
    if (ringlog_last(samples, &last, sizeof last) < 0) return failed();
    for (uint32_t i = 0; i < count; i++) {
        const struct sample sample = {now(), i % 100 / 100.0, last.number + i + 1, i % 4};
        /* A few nanoseconds; it cannot fail, for the record is the log's. */
        ringlog_append(samples, &sample, sizeof sample);
        if (i % 10 == 0) {
            const struct event event = {sample.time, 1 + i % 3};
            char text[64];
            const int length = snprintf(text, sizeof text, "sample %u took %u units", sample.number, i % 7);
            if (ringlog_append_body(events, &event, sizeof event, text, (size_t)length) < 0) return failed();
            ringlog_wake(events); /* readers that sleep until there is one */
        }
        const struct timespec pause = {0, 1000000};
        thrd_sleep(&pause, NULL);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fputs("usage: engine COUNT SAMPLES EVENTS\n", stderr);
        return 2;
    }
    ringlog_options options;
    ringlog_options_init(&options);
    options.capacity = 1 << 14;
    options.record_size = sizeof(struct sample); /* so that a schema of another struct is refused */
    ringlog_writer *samples = NULL, *events = NULL;
    int code = ringlog_writer_open(argv[2], SAMPLE, &options, &samples);
    options.record_size = sizeof(struct event);
    if (code == RINGLOG_OK) code = ringlog_writer_open(argv[3], EVENT, &options, &events);
    code = code == RINGLOG_OK ? run((uint32_t)strtoul(argv[1], NULL, 10), samples, events) : failed();
    ringlog_writer_close(&events);
    ringlog_writer_close(&samples);
    return code;
}
