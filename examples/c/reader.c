/* A durable reader of the engine's samples, or a look at any log.
 *
 *     reader 0 /samples         what reader 0 has not had yet: a line each, then commits
 *     reader latest /events     the newest entry, without a claim
 *     reader stat /samples      how its writer and readers are */
#include <ringlog.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    int64_t time;
    double load;
    uint32_t number;
    uint32_t cpu;
};
#define SAMPLE "time:timestamp,load:f64,number:u32,cpu:u32"

static int failed(void) {
    fprintf(stderr, "reader: %s\n", ringlog_last_error());
    return 1;
}

static int read_samples(const char *name, unsigned id) {
    ringlog_reader *reader = NULL;
    if (ringlog_reader_open(name, id, SAMPLE, NULL, &reader) < 0) return failed();
    struct sample samples[64];
    ringlog_range range;
    int64_t count;
    while ((count = ringlog_poll(reader, samples, sizeof samples[0], 64, &range)) != 0) {
        if (count == RINGLOG_LOST) { /* an outcome, and no error */
            fprintf(stderr, "lost %llu..%llu\n", (unsigned long long)range.first, (unsigned long long)range.end);
            continue;
        }
        if (count < 0) break;
        for (int64_t i = 0; i < count; i++) {
            printf("%llu %u %.2f\n", (unsigned long long)range.first + (unsigned long long)i, samples[i].number,
                   samples[i].load);
        }
        fflush(stdout);         /* first carry out, */
        ringlog_commit(reader); /* then commit: a kill from now on resumes here */
    }
    const int code = count < 0 ? failed() : 0;
    ringlog_reader_close(&reader);
    return code;
}

static int print_latest(const char *name) {
    ringlog_reader *observer = NULL;
    ringlog_entry entry;
    if (ringlog_observer_open(name, NULL, NULL, &observer) < 0) return failed();
    const int found = ringlog_latest(observer, &entry);
    if (found == 1) {
        printf("%llu: %zu bytes, then %.*s\n", (unsigned long long)entry.position, entry.record.size,
               (int)entry.body.size, (const char *)entry.body.data);
    }
    printf("%s", ringlog_reader_schema(observer));
    const int code = found < 0 ? failed() : 0;
    ringlog_reader_close(&observer);
    return code;
}

static int print_stat(const char *name) {
    ringlog_snapshot log = {0};
    log.size = sizeof log;
    if (ringlog_stat(name, NULL, &log) < 0) return failed();
    printf("entries %llu..%llu, writer %s\n", (unsigned long long)log.oldest, (unsigned long long)log.end,
           log.writer_alive ? "alive" : log.writer_closed ? "closed" : "dead");
    for (int id = 0; id < 8; id++) {
        const ringlog_reader_state *reader = &log.readers[id];
        if (!reader->known) continue;
        printf("reader %d: %s, %llu behind, %llu lost\n", id, reader->alive ? "alive" : "gone",
               (unsigned long long)reader->lag, (unsigned long long)reader->lost);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: reader ID|latest|stat LOG\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "latest") == 0) return print_latest(argv[2]);
    if (strcmp(argv[1], "stat") == 0) return print_stat(argv[2]);
    return read_samples(argv[2], (unsigned)strtoul(argv[1], NULL, 10));
}
