/* What ringlog.h promises of logs, in C. The argument is a log's name, which no other program has. */
#include "check.h"

struct tick {
    int64_t time;
    char symbol[8];
    int64_t price;
    uint32_t size;
    uint32_t venue;
};
#define TICK "time:timestamp,symbol:text8,price:decimal4,size:u32,venue:u32"

static char name[256];
static ringlog_options options;

static struct tick tick_of(uint64_t number) {
    struct tick tick = {(int64_t)number, "AAPL", (int64_t)number * 100, (uint32_t)number, 7};
    return tick;
}

static int is_tick(const struct tick *tick, uint64_t number) {
    const struct tick due = tick_of(number);
    return memcmp(tick, &due, sizeof due) == 0;
}

static const char *named(const char *ending) {
    static char names[4][300];
    static int next;
    char *to = names[next++ % 4];
    snprintf(to, sizeof names[0], "%s%s", name, ending);
    return to;
}

static void records(void) {
    const char *log = named(".records");
    ringlog_writer *writer = NULL, *second = NULL;
    CHECK(ringlog_writer_open(log, TICK, &options, &writer) == RINGLOG_OK);
    REFUSED(ringlog_writer_open(log, TICK, &options, &second), RINGLOG_CLAIMED, "already running");
    CHECK(second == NULL);
    struct tick tick = tick_of(0), ticks[16];
    CHECK(ringlog_last(writer, &tick, sizeof tick) == 0);
    for (uint64_t i = 0; i < 5; i++) {
        tick = tick_of(i);
        CHECK(ringlog_append(writer, &tick, sizeof tick) == (int64_t)i);
    }
    for (uint64_t i = 0; i < 3; i++) ticks[i] = tick_of(5 + i);
    CHECK(ringlog_append_batch(writer, ticks, sizeof tick, 3) == 5);
    CHECK(ringlog_writer_position(writer) == 8);
    CHECK(ringlog_room(writer) == INT64_MAX);
    CHECK(ringlog_last(writer, &tick, sizeof tick) == 1 && is_tick(&tick, 7));
    REFUSED(ringlog_append(writer, &tick, 8), RINGLOG_INVALID, "a record has 32 bytes, not 8");
    REFUSED(ringlog_append(writer, NULL, sizeof tick), RINGLOG_INVALID, "NULL");
    REFUSED(ringlog_append_batch(writer, ticks, 8, 2), RINGLOG_INVALID, "32 bytes, not 8");
    REFUSED(ringlog_append_body(writer, &tick, sizeof tick, "x", 1), RINGLOG_INVALID, "no body");
    REFUSED(ringlog_draft(writer), RINGLOG_INVALID, "no body");
    CHECK(ringlog_writer_position(writer) == 8);
    ringlog_heartbeat(writer);
    ringlog_wake(writer);

    ringlog_reader *reader = NULL;
    ringlog_range range;
    CHECK(ringlog_reader_open(log, 3, TICK, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_reader_record_size(reader) == sizeof tick);
    CHECK(strcmp(ringlog_reader_schema(reader), "time timestamp 0\nsymbol text8 8\nprice decimal4 16\nsize u32 24\n"
                                                "venue u32 28\n") == 0);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 4, &range) == 4 && range.first == 0 && range.end == 4);
    for (uint64_t i = 0; i < 4; i++) CHECK(is_tick(&ticks[i], i));
    CHECK(ringlog_reader_lag(reader) == 8);
    CHECK(ringlog_commit(reader) == RINGLOG_OK);
    CHECK(ringlog_reader_lag(reader) == 4 && ringlog_reader_position(reader) == 4);
    REFUSED(ringlog_poll(reader, ticks, 8, 4, &range), RINGLOG_INVALID, "32 bytes, not 8");
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 16, &range) == 4);
    /* Not committed: it comes again. */
    ringlog_reader_close(&reader);
    CHECK(reader == NULL);
    ringlog_reader_close(&reader);
    CHECK(ringlog_reader_open(log, 3, NULL, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 16, &range) == 4 && range.first == 4 && is_tick(&ticks[0], 4));
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 16, &range) == 0);
    CHECK(ringlog_reader_wait(reader, RINGLOG_BLOCK, 1000000) == 0);
    CHECK(ringlog_has_writer(reader) == 1);
    REFUSED(ringlog_latest(reader, NULL), RINGLOG_INVALID, "open an observer");

    /* Lapped: the range says what is lost, and the next poll goes on behind it. */
    const uint64_t capacity = options.capacity;
    for (uint64_t i = 8; i < 8 + 2 * capacity; i++) {
        tick = tick_of(i);
        CHECK(ringlog_append(writer, &tick, sizeof tick) == (int64_t)i);
    }
    CHECK(ringlog_reader_wait(reader, RINGLOG_SPIN, RINGLOG_FOREVER) == 1);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 16, &range) == RINGLOG_LOST);
    CHECK(range.first == 8 && range.end >= 8 + capacity);
    CHECK(ringlog_reader_lost(reader) == range.end - range.first);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 1, &range) == 1 && is_tick(&ticks[0], range.first));
    CHECK(ringlog_seek(reader, RINGLOG_LAST, 2) == RINGLOG_OK);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 16, &range) == 2 && is_tick(&ticks[1], 8 + 2 * capacity - 1));
    REFUSED(ringlog_seek(reader, RINGLOG_AT, 1 << 20), RINGLOG_INVALID, "no position");
    REFUSED(ringlog_seek(reader, 9, 0), RINGLOG_INVALID, "no start 9");
    CHECK(ringlog_commit(reader) == RINGLOG_OK);

    ringlog_snapshot snapshot = {0};
    snapshot.size = sizeof snapshot;
    CHECK(ringlog_stat(log, NULL, &snapshot) == RINGLOG_OK);
    CHECK(snapshot.end == 8 + 2 * capacity && snapshot.capacity == capacity && snapshot.writer_alive == 1);
    CHECK(snapshot.waiting_for == -1 && snapshot.readers[3].known == 1 && snapshot.readers[3].lag == 0);
    CHECK(snapshot.readers[3].lost > 0 && snapshot.readers[2].known == 0 && snapshot.size == sizeof snapshot);
    /* Of a program that knows less of it, no more is stored. */
    ringlog_snapshot older;
    memset(&older, 0x55, sizeof older);
    older.size = 16;
    CHECK(ringlog_stat(log, NULL, &older) == RINGLOG_OK && older.end == snapshot.end);
    CHECK(older.oldest == UINT64_C(0x5555555555555555));

    REFUSED(ringlog_remove(log, NULL), RINGLOG_CLAIMED, "already running");
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(writer == NULL);
    CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);
    REFUSED(ringlog_remove(log, NULL), RINGLOG_NOT_FOUND, "no such log");
}

static void what_cannot_be_meant(void) {
    const char *log = named(".wrong");
    ringlog_writer *writer = (ringlog_writer *)name;
    ringlog_reader *reader = NULL;
    struct tick tick = tick_of(0);
    ringlog_range range;
    REFUSED(ringlog_writer_open(NULL, TICK, NULL, &writer), RINGLOG_INVALID, "name is NULL");
    CHECK(writer == NULL);
    REFUSED(ringlog_writer_open(log, TICK, NULL, NULL), RINGLOG_INVALID, "place for the handle");
    REFUSED(ringlog_writer_open(log, NULL, NULL, &writer), RINGLOG_NOT_FOUND, log);
    REFUSED(ringlog_writer_open(log, "price:money", NULL, &writer), RINGLOG_INVALID, "`money`");
    REFUSED(ringlog_writer_open("a/b", TICK, NULL, &writer), RINGLOG_INVALID, "cannot name shared memory");
    REFUSED(ringlog_append(NULL, &tick, sizeof tick), RINGLOG_INVALID, "handle is NULL");
    REFUSED(ringlog_poll(NULL, &tick, sizeof tick, 1, &range), RINGLOG_INVALID, "handle is NULL");
    REFUSED(ringlog_commit(NULL), RINGLOG_INVALID, "handle is NULL");
    CHECK(ringlog_writer_position(NULL) == 0 && ringlog_reader_schema(NULL) == NULL);
    CHECK(ringlog_writer_view(NULL) == NULL && ringlog_reader_view(NULL) == NULL);
    ringlog_writer_close(NULL);
    ringlog_discard(NULL);
    REFUSED(ringlog_create(log, NULL, NULL), RINGLOG_INVALID, "schema is NULL");

    ringlog_options wrong = options;
    wrong.record_size = 24;
    REFUSED(ringlog_writer_open(log, TICK, &wrong, &writer), RINGLOG_INVALID, "32 bytes, and `record_size` says 24");
    wrong = options;
    wrong.size = 0;
    REFUSED(ringlog_writer_open(log, TICK, &wrong, &writer), RINGLOG_INVALID, "set its `size`");
    wrong = options;
    wrong.capacity = 1000;
    REFUSED(ringlog_writer_open(log, TICK, &wrong, &writer), RINGLOG_INVALID, "power of two");
    wrong = options;
    wrong.flags = 1u << 30;
    REFUSED(ringlog_writer_open(log, TICK, &wrong, &writer), RINGLOG_INVALID, "0x40000000");
    struct {
        ringlog_options known;
        uint64_t later;
    } later = {options, 0};
    later.known.size = sizeof later;
    CHECK(ringlog_create(log, TICK, &later.known) == RINGLOG_OK); /* it asks for nothing that is not known */
    later.later = 1;
    REFUSED(ringlog_reader_open(log, 0, NULL, &later.known, &reader), RINGLOG_INVALID, "does not know");
    REFUSED(ringlog_create(log, TICK, &options), RINGLOG_OTHER, "exists already");
    REFUSED(ringlog_reader_open(log, 9, TICK, NULL, &reader), RINGLOG_INVALID, "no reader 9");
    REFUSED(ringlog_reader_open(log, 0, "time:timestamp", NULL, &reader), RINGLOG_UNUSABLE, "another schema");
    REFUSED(ringlog_writer_open(log, "time:timestamp", NULL, &writer), RINGLOG_UNUSABLE, "another schema");
    CHECK(ringlog_unlink(log, NULL) == RINGLOG_OK);
    /* A schema of lines may leave gaps, and needs the size. */
    ringlog_options lines = options;
    REFUSED(ringlog_create(log, "a u8 0\nb u8 9\n", &lines), RINGLOG_INVALID, "record_size");
    lines.record_size = 16;
    CHECK(ringlog_create(log, "a u8 0\nb u8 9\n", &lines) == RINGLOG_OK);
    CHECK(ringlog_unlink(log, NULL) == RINGLOG_OK);
    CHECK(ringlog_abi_version() == RINGLOG_ABI && strlen(ringlog_version()) > 0);
    ringlog_full full;
    CHECK(ringlog_last_full(&full) == 0);
}

static void bodies(void) {
    const char *log = named(".bodies");
    const char *schema = "id:u64,text:text";
    ringlog_options small = options;
    small.arena_size = 1 << 16;
    ringlog_writer *writer = NULL;
    ringlog_reader *reader = NULL;
    ringlog_entry entry;
    ringlog_range lost;
    uint64_t id = 7;
    CHECK(ringlog_writer_open(log, schema, &small, &writer) == RINGLOG_OK);
    CHECK(ringlog_writer_view(writer) == NULL);
    CHECK(ringlog_reader_open(log, 0, schema, NULL, &reader) == RINGLOG_OK && ringlog_reader_view(reader) == NULL);
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 0);
    CHECK(ringlog_append_body(writer, &id, sizeof id, "a few words", 11) == 0);
    CHECK(ringlog_append(writer, &id, sizeof id) == 1); /* a body of no bytes */
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 1 && entry.position == 0);
    CHECK(entry.record.size == 8 && memcmp(entry.record.data, &id, 8) == 0);
    CHECK(entry.body.size == 11 && memcmp(entry.body.data, "a few words", 11) == 0);
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 1 && entry.position == 1 && entry.body.size == 0);
    static char longest[1 << 15], too_long[(1 << 15) + 1];
    memset(longest, 'x', sizeof longest);
    CHECK(ringlog_append_body(writer, &id, sizeof id, longest, sizeof longest) == 2);
    REFUSED(ringlog_append_body(writer, &id, sizeof id, too_long, sizeof too_long), RINGLOG_INVALID, "too long");
    REFUSED(ringlog_append_batch(writer, &id, sizeof id, 1), RINGLOG_INVALID, "append each");
    REFUSED(ringlog_poll(reader, &id, sizeof id, 1, &lost), RINGLOG_INVALID, "ringlog_poll_entry");
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 1);
    CHECK(entry.body.size == sizeof longest && memcmp(entry.body.data, longest, sizeof longest) == 0);

    /* A draft has the writer until it is published or discarded. */
    CHECK(ringlog_draft(writer) == RINGLOG_OK);
    REFUSED(ringlog_draft(writer), RINGLOG_INVALID, "draft is under way");
    REFUSED(ringlog_append(writer, &id, sizeof id), RINGLOG_INVALID, "draft is under way");
    CHECK(ringlog_write(writer, "one ", 4) == RINGLOG_OK && ringlog_write(writer, "two three", 9) == RINGLOG_OK);
    CHECK(ringlog_writer_position(writer) == 3);
    CHECK(ringlog_publish(writer, &id, sizeof id, 4, 7) == 3);
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 1 && entry.body.size == 3);
    CHECK(memcmp(entry.body.data, "two", 3) == 0);
    CHECK(ringlog_draft(writer) == RINGLOG_OK && ringlog_write(writer, longest, 5000) == RINGLOG_OK);
    ringlog_discard(writer);
    REFUSED(ringlog_publish(writer, &id, sizeof id, 0, SIZE_MAX), RINGLOG_INVALID, "nothing to publish");
    REFUSED(ringlog_write(writer, "x", 1), RINGLOG_INVALID, "no draft");
    CHECK(ringlog_draft(writer) == RINGLOG_OK && ringlog_write(writer, longest, 5000) == RINGLOG_OK);
    REFUSED(ringlog_publish(writer, &id, 4, 0, SIZE_MAX), RINGLOG_INVALID, "8 bytes, not 4");
    CHECK(ringlog_draft(writer) == RINGLOG_OK && ringlog_write(writer, longest, 5000) == RINGLOG_OK);
    REFUSED(ringlog_publish(writer, &id, sizeof id, 0, 5001), RINGLOG_INVALID, "not within");
    CHECK(ringlog_draft(writer) == RINGLOG_OK && ringlog_write(writer, longest, 5000) == RINGLOG_OK);
    CHECK(ringlog_publish(writer, &id, sizeof id, 0, SIZE_MAX) == 4);
    CHECK(ringlog_poll_entry(reader, &entry, &lost) == 1 && entry.body.size == 5000);
    void *bytes = name;
    REFUSED(ringlog_reserve(writer, 8, RINGLOG_SPIN, 0, &bytes), RINGLOG_INVALID, "use ringlog_draft");
    CHECK(bytes == NULL);
    CHECK(ringlog_draft(writer) == RINGLOG_OK);
    REFUSED(ringlog_write(writer, too_long, sizeof too_long), RINGLOG_INVALID, "too long");
    ringlog_writer_close(&writer); /* with a draft that is not published */

    ringlog_reader *observer = NULL;
    CHECK(ringlog_observer_open(log, schema, NULL, &observer) == RINGLOG_OK);
    CHECK(ringlog_latest(observer, &entry) == 1 && entry.position == 4 && entry.body.size == 5000);
    REFUSED(ringlog_commit(observer), RINGLOG_INVALID, "no place in the log");
    CHECK(ringlog_reader_lost(observer) == 0);
    ringlog_reader_close(&observer);
    CHECK(ringlog_commit(reader) == RINGLOG_OK);
    ringlog_reader_close(&reader);
    CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);
}

static void lossless(void) {
    const char *log = named(".lossless");
    ringlog_options gated = options;
    gated.gates = 1;
    gated.capacity = 4;
    ringlog_writer *writer = NULL;
    ringlog_reader *reader = NULL;
    struct tick ticks[8], tick = tick_of(0);
    ringlog_range range;
    ringlog_full full;
    CHECK(ringlog_writer_open(log, TICK, &gated, &writer) == RINGLOG_OK);
    REFUSED(ringlog_append(writer, &tick, sizeof tick), RINGLOG_INVALID, "ringlog_try_append");
    REFUSED(ringlog_append_batch(writer, &tick, sizeof tick, 1), RINGLOG_INVALID, "ringlog_try_append");
    for (uint64_t i = 0; i < 8; i++) ticks[i] = tick_of(i);
    CHECK(ringlog_room(writer) == 4);
    CHECK(ringlog_try_append(writer, &ticks[0], sizeof tick, NULL, 0) == 0);
    CHECK(ringlog_try_append_batch(writer, &ticks[1], sizeof tick, 7) == 3);
    CHECK(ringlog_room(writer) == 0);
    REFUSED(ringlog_try_append(writer, &ticks[4], sizeof tick, NULL, 0), RINGLOG_FULL, "reader 0");
    CHECK(ringlog_last_full(&full) == 1 && full.reader == 0 && full.behind == 4 && full.gate == RINGLOG_GATE_UNKNOWN);
    CHECK(ringlog_try_append_batch(writer, &ticks[4], sizeof tick, 2) == 0);
    REFUSED(ringlog_append_timeout(writer, &ticks[4], sizeof tick, NULL, 0, RINGLOG_BLOCK, 1000000), RINGLOG_FULL,
            "never attached");
    CHECK(ringlog_last_full(&full) == 1 && full.gate == RINGLOG_GATE_AWAITED);
    CHECK(ringlog_append_inline(ringlog_writer_view(writer), &ticks[4], sizeof tick) == RINGLOG_FULL);

    CHECK(ringlog_reader_open(log, 0, TICK, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 1, &range) == 1 && range.first == 0);
    CHECK(ringlog_release(reader) == RINGLOG_OK);
    ticks[4] = tick_of(4);
    CHECK(ringlog_try_append(writer, &ticks[4], sizeof tick, NULL, 0) == 4);
    CHECK(ringlog_append_inline(ringlog_writer_view(writer), &ticks[4], sizeof tick) == RINGLOG_FULL);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 8, &range) == 4 && range.first == 1 && range.end == 5);
    CHECK(ringlog_release_when_due(reader) == 1 && ringlog_release_when_due(reader) == 0);
    ticks[5] = tick_of(5);
    CHECK(ringlog_append_timeout(writer, &ticks[5], sizeof tick, NULL, 0, RINGLOG_BLOCK, RINGLOG_FOREVER) == 5);
    /* Of the four there is room for, three are left, and the view knows of it. */
    for (uint64_t i = 6; i < 9; i++) {
        tick = tick_of(i);
        CHECK(ringlog_append_inline(ringlog_writer_view(writer), &tick, sizeof tick) == (int64_t)i);
    }
    CHECK(ringlog_append_inline(ringlog_writer_view(writer), &tick, sizeof tick) == RINGLOG_FULL);
    CHECK(ringlog_poll(reader, ticks, sizeof tick, 8, &range) == 4 && is_tick(&ticks[3], 8));
    CHECK(ringlog_commit(reader) == RINGLOG_OK && ringlog_reader_lost(reader) == 0);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);

    /* Bodies in place: what is reserved is filled where it will be read. */
    log = named(".in-place");
    gated.capacity = 16;
    gated.arena_size = 1 << 16;
    ringlog_entry entry;
    uint64_t id = 3;
    void *bytes = NULL;
    CHECK(ringlog_writer_open(log, "id:u64,body:bytes", &gated, &writer) == RINGLOG_OK);
    CHECK(ringlog_reader_open(log, 0, NULL, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_reserve(writer, 4096, RINGLOG_SPIN, 0, &bytes) == RINGLOG_OK && bytes != NULL);
    CHECK((uintptr_t)bytes % 64 == 0);
    memset(bytes, 'r', 4096);
    REFUSED(ringlog_try_append(writer, &id, sizeof id, NULL, 0), RINGLOG_INVALID, "under way");
    CHECK(ringlog_publish(writer, &id, sizeof id, 0, SIZE_MAX) == 0);
    CHECK(ringlog_poll_entry(reader, &entry, NULL) == 1 && entry.body.size == 4096);
    CHECK(memcmp(entry.body.data, "rrrr", 4) == 0 && (uintptr_t)entry.body.data % 64 == 0);
    CHECK(ringlog_try_append(writer, &id, sizeof id, "short", 5) == 1);
    static char half[1 << 15];
    CHECK(ringlog_try_append(writer, &id, sizeof id, half, 20000) == 2);
    CHECK(ringlog_try_append(writer, &id, sizeof id, half, 20000) == 3);
    REFUSED(ringlog_try_append(writer, &id, sizeof id, half, sizeof half), RINGLOG_FULL, "bodies take");
    CHECK(ringlog_last_full(&full) == 1 && full.bytes > 40000);
    REFUSED(ringlog_reserve(writer, sizeof half, RINGLOG_SPIN, 1000, &bytes), RINGLOG_FULL, "reader 0");
    CHECK(bytes == NULL);
    CHECK(ringlog_draft(writer) == RINGLOG_OK);
    REFUSED(ringlog_write(writer, half, sizeof half), RINGLOG_FULL, "bodies take");
    ringlog_discard(writer);
    while (ringlog_poll_entry(reader, &entry, NULL) == 1) {}
    CHECK(ringlog_release(reader) == RINGLOG_OK);
    CHECK(ringlog_try_append(writer, &id, sizeof id, half, sizeof half) == 4);
    CHECK(ringlog_poll_entry(reader, &entry, NULL) == 1 && entry.position == 4);
    ringlog_commit(reader);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);
}

/* The inlined functions and those of the library take turns, at every place of a lap. */
static void inlined(void) {
    const char *log = named(".inlined");
    ringlog_writer *writer = NULL;
    ringlog_reader *reader = NULL, *observer = NULL;
    struct tick tick, ticks[8];
    ringlog_range range;
    CHECK(ringlog_writer_open(log, TICK, &options, &writer) == RINGLOG_OK);
    CHECK(ringlog_reader_open(log, 1, TICK, NULL, &reader) == RINGLOG_OK);
    CHECK(ringlog_observer_open(log, TICK, NULL, &observer) == RINGLOG_OK);
    ringlog_append_view *to = ringlog_writer_view(writer);
    ringlog_poll_view *from = ringlog_reader_view(reader);
    CHECK(to->record_size == sizeof tick && from->record_size == sizeof tick && to->limit == UINT64_MAX);
    CHECK(ringlog_poll_inline(reader, from, &tick, sizeof tick, &range) == 0);
    uint64_t appended = 0, polled = 0, random = 88172645463325252u;
    while (appended < 50 * options.capacity) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const uint64_t count = random % 7;
        for (uint64_t i = 0; i < count; i++) {
            tick = tick_of(appended);
            const int64_t at = random >> (8 + i) & 1 ? ringlog_append_inline(to, &tick, sizeof tick)
                                                    : ringlog_append(writer, &tick, sizeof tick);
            CHECK(at == (int64_t)appended);
            appended++;
        }
        CHECK(ringlog_writer_position(writer) == appended && to->next == appended);
        while (polled < appended && (random >> 40 & 3) != 0) {
            if (random >> 16 & 1) {
                CHECK(ringlog_poll_inline(reader, from, &tick, sizeof tick, &range) == 1);
                CHECK(range.first == polled && range.end == polled + 1 && is_tick(&tick, polled));
                polled++;
            } else {
                const int64_t some = ringlog_poll(reader, ticks, sizeof tick, 3, &range);
                CHECK(some > 0 && some <= 3 && range.first == polled);
                for (int64_t i = 0; i < some; i++) CHECK(is_tick(&ticks[i], polled + (uint64_t)i));
                polled += (uint64_t)some;
            }
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        }
        CHECK(ringlog_reader_position(reader) == polled && from->position == polled);
        if (polled == appended) CHECK(ringlog_poll_inline(reader, from, &tick, sizeof tick, &range) == 0);
        if (appended - polled > options.capacity / 2) {
            while (ringlog_poll_inline(reader, from, &tick, sizeof tick, &range) == 1) CHECK(is_tick(&tick, polled++));
            CHECK(polled == appended);
        }
    }
    /* Lapped, it is told of all that it lost, and no more. */
    for (uint64_t i = 0; i < 3 * options.capacity; i++) {
        tick = tick_of(appended++);
        ringlog_append_inline(to, &tick, sizeof tick);
    }
    uint64_t lost = 0;
    int64_t seen;
    while ((seen = ringlog_poll_inline(reader, from, &tick, sizeof tick, &range)) != 0) {
        CHECK(range.first == polled);
        if (seen == RINGLOG_LOST) lost += range.end - range.first;
        else CHECK(seen == 1 && is_tick(&tick, polled));
        polled = range.end;
    }
    CHECK(polled == appended && lost >= 2 * options.capacity && ringlog_reader_lost(reader) == lost);
    ringlog_commit(reader);
    ringlog_entry entry;
    CHECK(ringlog_latest(observer, &entry) == 1 && entry.position == appended - 1);
    CHECK(is_tick((const struct tick *)entry.record.data, appended - 1));
    ringlog_reader_close(&observer);
    ringlog_reader_close(&reader);
    ringlog_writer_close(&writer);
    CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);
}

/* Each size of a record, whose last word may be a part of one. */
static void sizes(void) {
    for (size_t size = 1; size <= 140; size++) {
        const char *log = named(".sizes");
        char schema[32];
        unsigned char record[140], found[3 * 140];
        ringlog_writer *writer = NULL;
        ringlog_reader *reader = NULL;
        ringlog_range range;
        snprintf(schema, sizeof schema, "all:text%zu", size);
        CHECK(ringlog_writer_open(log, schema, &options, &writer) == RINGLOG_OK);
        CHECK(ringlog_reader_open(log, 0, schema, NULL, &reader) == RINGLOG_OK);
        for (size_t i = 0; i < size; i++) record[i] = (unsigned char)(size + i);
        CHECK(ringlog_append(writer, record, size) == 0);
        CHECK(ringlog_append_inline(ringlog_writer_view(writer), record, size) == 1);
        CHECK(ringlog_append_batch(writer, record, size, 1) == 2);
        CHECK(ringlog_try_append(writer, record, size, NULL, 0) == 3);
        memset(found, 0, sizeof found);
        CHECK(ringlog_poll_inline(reader, ringlog_reader_view(reader), found, size, &range) == 1);
        CHECK(memcmp(found, record, size) == 0 && (size == 140 || found[size] == 0));
        memset(found, 0, sizeof found);
        CHECK(ringlog_poll(reader, found, size, 3, &range) == 3);
        for (int i = 0; i < 3; i++) CHECK(memcmp(found + (size_t)i * size, record, size) == 0);
        CHECK(ringlog_commit(reader) == RINGLOG_OK);
        ringlog_reader_close(&reader);
        ringlog_writer_close(&writer);
        CHECK(ringlog_remove(log, NULL) == RINGLOG_OK);
    }
}

static void files(const char *path) {
    ringlog_options file = options;
    file.flags = RINGLOG_FILE;
    ringlog_writer *writer = NULL;
    struct tick tick = tick_of(0);
    CHECK(ringlog_writer_open(path, TICK, &file, &writer) == RINGLOG_OK);
    CHECK(ringlog_append(writer, &tick, sizeof tick) == 0);
    CHECK(ringlog_sync(writer) == RINGLOG_OK);
    ringlog_writer_close(&writer);
    CHECK(ringlog_unlink(path, &file) == RINGLOG_OK);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    snprintf(name, sizeof name, "%s", argv[1]);
    ringlog_options_init(&options);
    options.capacity = 64;
    what_cannot_be_meant();
    records();
    bodies();
    lossless();
    inlined();
    sizes();
    files(argv[2]);
    printf("%d checks\n", checks);
    return 0;
}
