/* To append, poll, commit and wait takes no memory: malloc is this program's own, and counts. The argument is a log's
 * name, which no other program has. */
#include "check.h"

static unsigned long taken;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    taken++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    taken++;
    return __libc_calloc(count, size);
}
void *realloc(void *at, size_t size) {
    taken++;
    return __libc_realloc(at, size);
}
int posix_memalign(void **to, size_t alignment, size_t size) {
    taken++;
    *to = __libc_memalign(alignment, size);
    return *to == NULL;
}

struct tick {
    uint64_t id;
    double price;
};
#define TICK "id:u64,price:f64"

/* Whether this took no memory, each of a thousand times. */
#define TAKES_NONE(statement)                                 \
    do {                                                      \
        const unsigned long before = taken;                   \
        for (int times = 0; times < 1000; times++) statement; \
        CHECK(taken == before);                               \
    } while (0)

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    char name[300];
    ringlog_options options;
    ringlog_options_init(&options);
    options.capacity = 64;
    ringlog_writer *writer = NULL;
    ringlog_reader *reader = NULL;
    ringlog_range range;
    ringlog_entry entry;
    const struct tick tick = {1, 2}, ticks[8] = {{0, 0}};
    struct tick found[64];

    snprintf(name, sizeof name, "%s.records", argv[1]);
    CHECK(ringlog_writer_open(name, TICK, &options, &writer) == RINGLOG_OK);
    CHECK(ringlog_reader_open(name, 0, TICK, NULL, &reader) == RINGLOG_OK);
    CHECK(taken > 0); /* it is counted */
    TAKES_NONE(ringlog_append(writer, &tick, sizeof tick));
    TAKES_NONE(ringlog_append_batch(writer, ticks, sizeof tick, 8));
    TAKES_NONE(ringlog_try_append(writer, &tick, sizeof tick, NULL, 0));
    TAKES_NONE(ringlog_append_inline(ringlog_writer_view(writer), &tick, sizeof tick));
    TAKES_NONE((ringlog_wake(writer), ringlog_heartbeat(writer)));
    TAKES_NONE(ringlog_poll(reader, found, sizeof tick, 1, &range));
    TAKES_NONE((ringlog_append(writer, &tick, sizeof tick), ringlog_poll(reader, found, sizeof tick, 64, &range)));
    TAKES_NONE(ringlog_commit(reader));
    TAKES_NONE(ringlog_seek(reader, RINGLOG_OLDEST, 0));
    TAKES_NONE(ringlog_reader_wait(reader, RINGLOG_SPIN, 0));
    CHECK(ringlog_seek(reader, RINGLOG_NEWEST, 0) == RINGLOG_OK);
    const unsigned long before = taken;
    CHECK(ringlog_reader_wait(reader, RINGLOG_BLOCK, 5000000) == 0);
    CHECK(taken == before);
    CHECK(ringlog_commit(reader) == RINGLOG_OK);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(name, NULL) == RINGLOG_OK);

    snprintf(name, sizeof name, "%s.lossless", argv[1]);
    options.gates = 1;
    CHECK(ringlog_writer_open(name, TICK, &options, &writer) == RINGLOG_OK);
    CHECK(ringlog_reader_open(name, 0, TICK, NULL, &reader) == RINGLOG_OK);
    TAKES_NONE(ringlog_try_append(writer, &tick, sizeof tick, NULL, 0)); /* most of them: there is no room */
    TAKES_NONE(ringlog_try_append_batch(writer, ticks, sizeof tick, 8));
    TAKES_NONE((ringlog_poll(reader, found, sizeof tick, 64, &range), ringlog_release(reader),
                ringlog_append_timeout(writer, &tick, sizeof tick, NULL, 0, RINGLOG_BLOCK, 1000)));
    ringlog_poll(reader, found, sizeof tick, 64, &range);
    CHECK(ringlog_commit(reader) == RINGLOG_OK);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(name, NULL) == RINGLOG_OK);

    snprintf(name, sizeof name, "%s.bodies", argv[1]);
    options.gates = 0;
    static char body[10000];
    CHECK(ringlog_writer_open(name, "id:u64,body:bytes", &options, &writer) == RINGLOG_OK);
    CHECK(ringlog_reader_open(name, 0, NULL, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_append_body(writer, &tick.id, 8, body, sizeof body) == 0);
    CHECK(ringlog_poll_entry(reader, &entry, &range) == 1); /* as long as any that comes */
    TAKES_NONE((ringlog_append_body(writer, &tick.id, 8, body, 20 + 8 * (size_t)times),
                ringlog_poll_entry(reader, &entry, &range)));
    TAKES_NONE((ringlog_draft(writer), ringlog_write(writer, body, 500), ringlog_write(writer, body, 500),
                ringlog_publish(writer, &tick.id, 8, 0, SIZE_MAX), ringlog_poll_entry(reader, &entry, &range)));
    TAKES_NONE((ringlog_draft(writer), ringlog_write(writer, body, 500), ringlog_discard(writer)));
    CHECK(ringlog_commit(reader) == RINGLOG_OK);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(name, NULL) == RINGLOG_OK);
    printf("%d checks\n", checks);
    return 0;
}
