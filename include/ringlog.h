/* ringlog in C: a persistent, multi-reader ring log in shared memory. C11, and C++17 as it is.
 *
 * A function returns a position or a count, from 0 on, or one of the negative codes below; then
 * ringlog_last_error() says why, in the thread that called. A handle is used by one thread at a time. A
 * close function takes the address of a handle and makes it NULL. Strings are UTF-8, times are nanoseconds.
 *
 * No function unwinds into its caller. Append, poll, commit and wait allocate nothing, but for a reader's
 * copy of a body, which grows to the longest that came, and for an error. Calls allocate.
 *
 * docs/c.md is the guide. Long: it is the whole interface, and the appends and polls that a compiler inlines.
 */
#ifndef RINGLOG_H
#define RINGLOG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The number in the library's file name, libringlog.so.0: another number is another interface. */
#define RINGLOG_ABI 0

/* For a time-out: as long as it takes. */
#define RINGLOG_FOREVER UINT64_MAX

/* Codes. Down to -8 they are the exit codes of the programs, negated; below -19 what no program ends with. */
enum {
    RINGLOG_OK = 0,
    RINGLOG_OTHER = -1,        /* mostly what the operating system said */
    RINGLOG_INVALID = -2,      /* an argument that cannot be meant */
    RINGLOG_LOST = -3,         /* entries were overwritten before this reader took them */
    RINGLOG_CLAIMED = -4,      /* another process is the writer, this reader, or the server */
    RINGLOG_NOT_FOUND = -5,    /* there is no such log */
    RINGLOG_UNUSABLE = -6,     /* not a log that can be used: version, schema, sizes, gates, damage */
    RINGLOG_OUTPUT = -7,       /* an output file cannot be written */
    RINGLOG_NO_ANSWER = -8,    /* a call had no answer in time */
    RINGLOG_FULL = -20,        /* a lossless log has no room: ringlog_last_full() says for which reader */
    RINGLOG_GONE = -21,        /* a call: its server is gone */
    RINGLOG_FAILED = -22,      /* the handler failed; the answer's bytes say why */
    RINGLOG_INTERRUPTED = -23, /* the server died over the request, which may have been run */
    RINGLOG_EXPIRED = -24,     /* the request came too late, and was not run */
    RINGLOG_PANICKED = -25,    /* the handler panicked; the answer's bytes are what it said */
    RINGLOG_NO_METHOD = -26,   /* the server knows no such method */
    RINGLOG_TOO_LARGE = -27,   /* request or answer is longer than the other side takes */
    RINGLOG_VALUE = -28        /* a value is not what its bytes were to be */
};

/* Bits of an option's `flags`. */
enum {
    RINGLOG_FILE = 1,          /* the name is the path of a file, and not that of shared memory */
    RINGLOG_SKIP_ABSENT = 2,   /* the writer of a lossless log goes on without a reader that is gone */
    RINGLOG_PREFAULT = 4,      /* takes the page faults when it opens ... */
    RINGLOG_NO_PREFAULT = 8,   /* ... or not; with neither, a writer in shared memory does */
    RINGLOG_LOCK_MEMORY = 16,  /* keeps the log in memory (mlock) */
    RINGLOG_OWNER = 32,        /* believes a log that belongs to the user id `owner` */
    RINGLOG_REPEAT = 64,       /* a service runs again what a server died over */
    RINGLOG_OUTLAST = 128,     /* a call whose server is gone waits for the next one */
    RINGLOG_TIMED = 256        /* requests say when they were sent, for ringlog stat */
};

/* Where a reader begins. */
enum {
    RINGLOG_RESUME = 0,        /* where it left off; at the oldest entry if it has never been here */
    RINGLOG_OLDEST = 1,
    RINGLOG_NEWEST = 2,        /* behind the newest entry */
    RINGLOG_AT = 3,            /* at the position `start_at` */
    RINGLOG_LAST = 4           /* at the last `start_at` entries */
};

/* How to wait. */
enum {
    RINGLOG_BLOCK = 0,         /* spins for a moment, then sleeps until it is woken */
    RINGLOG_SPIN = 1,
    RINGLOG_YIELD = 2,
    RINGLOG_ADAPTIVE = 3,      /* spins, yields, then sleeps longer and longer, up to a millisecond */
    RINGLOG_SLEEP = 4          /* looks each millisecond */
};

/* What a body is, or a request and its answer. */
enum { RINGLOG_BYTES = 0, RINGLOG_TEXT = 1, RINGLOG_JSON = 2, RINGLOG_MSGPACK = 3 };

/* How a log is made or opened. ringlog_options_init() sets the size, and all else to the default, 0. */
typedef struct ringlog_options {
    size_t size;             /* of this struct, in the program that fills it */
    uint32_t flags;
    uint32_t mode;           /* permissions of a log that is made; 0: 0600 */
    uint64_t capacity;       /* slots, a power of two; 0: 1024, or what is there */
    uint64_t record_size;    /* sizeof of the record's struct, to be compared; 0: is not */
    uint64_t inline_size;    /* bytes of a body that a slot holds; 0: what makes a slot of 128 bytes */
    uint64_t arena_size;     /* bytes for longer bodies; 0: 8 MiB */
    uint64_t gates;          /* bit i: the writer waits for reader i; 0: for none, or what is there */
    uint64_t start_at;
    uint32_t start;
    uint32_t owner;          /* with RINGLOG_OWNER */
} ringlog_options;

/* How a service is served, or a client connects. */
typedef struct ringlog_call_options {
    size_t size;             /* of this struct, in the program that fills it */
    uint32_t flags;
    uint32_t mode;           /* of a service's logs; 0: 0600 */
    uint32_t form;           /* what requests and answers are: RINGLOG_BYTES, RINGLOG_MSGPACK, ... */
    uint32_t wait;           /* how a client waits */
    uint64_t lanes;          /* how many clients a service can have at a time; 0: 16, or what is there */
    uint64_t arena_size;     /* bytes of the two arenas of a lane; 0: 1 MiB */
    uint64_t message_max;    /* the longest request, or answer, in parts; 0: 64 MiB */
    uint64_t backlog;        /* bytes of answers kept for a client that does not take them; 0: 64 MiB */
    uint64_t drain_ns;       /* how long a server that is stopped waits for what is under way; 0: 5 s */
    uint32_t owner;          /* with RINGLOG_OWNER */
    uint32_t zero;
} ringlog_call_options;

static inline void ringlog_options_init(ringlog_options *options) {
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static inline void ringlog_call_options_init(ringlog_call_options *options) {
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Positions, from the first to below the end. */
typedef struct ringlog_range {
    uint64_t first;
    uint64_t end;
} ringlog_range;

/* Bytes that belong to the library, until the next call that has the same handle. */
typedef struct ringlog_bytes {
    const void *data;
    size_t size;
} ringlog_bytes;

/* An entry where the library has it, until the next call that has the same reader. */
typedef struct ringlog_entry {
    uint64_t position;
    ringlog_bytes record;
    ringlog_bytes body;
} ringlog_entry;

/* For which reader a lossless log has no room, and what became of that reader. */
enum { RINGLOG_GATE_UNKNOWN, RINGLOG_GATE_ALIVE, RINGLOG_GATE_STOPPED, RINGLOG_GATE_GONE, RINGLOG_GATE_AWAITED };
typedef struct ringlog_full {
    uint32_t reader;
    uint32_t gate;           /* RINGLOG_GATE_UNKNOWN from what never waits */
    uint64_t behind;         /* entries that it has not committed */
    uint64_t bytes;          /* of their bodies, where it is the arena that has no room */
    uint64_t pid;
} ringlog_full;

/* ------------------------------------------------------------------------------------ the library */

uint32_t ringlog_abi_version(void);  /* RINGLOG_ABI of the library that is loaded */
const char *ringlog_version(void);

/* Why the last call of this thread that returned a negative code did: one line, until the next one. */
const char *ringlog_last_error(void);
/* Fills it in if the last such code was RINGLOG_FULL, and returns 1; else 0. */
int ringlog_last_full(ringlog_full *full);

/* ------------------------------------------------------------------------------------ logs
 *
 * A schema is a declaration, "time:timestamp,symbol:text8,price:decimal4,size:u32", laid out as C lays
 * out a struct of these fields; its last column may be a body, "time:timestamp,body:json". Or it is the
 * lines that stand in the log, "time timestamp 0\n", which may leave gaps; these need `record_size`. */

/* Makes a log, complete or not at all: RINGLOG_OTHER if there is one. */
int ringlog_create(const char *name, const char *schema, const ringlog_options *options);
/* Removes a log that has no writer and no reader at work, and that every durable reader has had all of. */
int ringlog_remove(const char *name, const ringlog_options *options);
/* Removes its name, whatever is attached, as unlink(2) does. */
int ringlog_unlink(const char *name, const ringlog_options *options);

/* A log at one moment. */
typedef struct ringlog_reader_state {
    uint8_t alive, known, closed, gate;  /* a living process is it; one was; it ended in order; waited for */
    uint32_t zero;
    uint64_t pid;
    uint64_t position;       /* the first it has not committed */
    uint64_t lag;            /* entries it has not committed */
    uint64_t lost;
    uint64_t laps;           /* how many times it lost any */
    uint64_t attached_ns;    /* times since the Unix epoch; 0: never */
    uint64_t commit_ns;
} ringlog_reader_state;

typedef struct ringlog_snapshot {
    size_t size;             /* of this struct, in the program that has it filled */
    uint64_t end;            /* the position of the next entry */
    uint64_t oldest;         /* the oldest that may still be there */
    uint64_t capacity;
    uint64_t arena_size;
    uint8_t writer_alive, writer_closed;
    uint8_t zero[2];
    int32_t waiting_for;     /* the reader that the writer waits for; -1: it does not wait */
    uint64_t writer_pid;
    uint64_t writer_epoch;   /* how many writers there have been */
    uint64_t writer_attached_ns;
    uint64_t writer_heartbeat_ns;
    ringlog_reader_state readers[8];
} ringlog_snapshot;

/* Looks at a log and stores nothing. `snapshot->size` is set before. */
int ringlog_stat(const char *name, const ringlog_options *options, ringlog_snapshot *snapshot);

/* ------------------------------------------------------------------------------------ to append */

typedef struct ringlog_writer ringlog_writer;

/* Becomes the writer of a log, and goes on behind its last entry. Makes the log if it is not there and
 * there is a schema; one that is there must have that schema. */
int ringlog_writer_open(const char *name, const char *schema, const ringlog_options *options, ringlog_writer **out);
void ringlog_writer_close(ringlog_writer **writer);

/* Appends an entry; returns its position. Never waits. A log whose writer waits for readers is refused:
 * ringlog_try_append appends to that. */
int64_t ringlog_append(ringlog_writer *writer, const void *record, size_t size);
int64_t ringlog_append_body(ringlog_writer *writer, const void *record, size_t size, const void *body, size_t length);
/* Appends `count` records that lie one behind the other, each of `size` bytes; returns the first position. */
int64_t ringlog_append_batch(ringlog_writer *writer, const void *records, size_t size, size_t count);

/* Of any log: appends if there is room; RINGLOG_FULL if not. Never waits. */
int64_t ringlog_try_append(ringlog_writer *writer, const void *record, size_t size, const void *body, size_t length);
/* Appends as many as there is room for; returns how many. */
int64_t ringlog_try_append_batch(ringlog_writer *writer, const void *records, size_t size, size_t count);
/* Waits for room, at most `at_most_ns`. */
int64_t ringlog_append_timeout(ringlog_writer *writer, const void *record, size_t size, const void *body, size_t length,
                               int wait, uint64_t at_most_ns);
/* How many entries there is room for now; INT64_MAX where the writer waits for no reader. */
int64_t ringlog_room(ringlog_writer *writer);

/* A body that is written piece by piece, straight into the log: ringlog_draft, ringlog_write, and then
 * ringlog_publish, or ringlog_discard, and it was never there. While there is one, nothing else is appended. */
int ringlog_draft(ringlog_writer *writer);
int ringlog_write(ringlog_writer *writer, const void *bytes, size_t length);
/* The log's own bytes to fill, of a lossless log that waits for readers that are gone; then as a draft. */
int ringlog_reserve(ringlog_writer *writer, size_t length, int wait, uint64_t at_most_ns, void **bytes);
/* Appends an entry whose body is what was written or reserved, from `from` to below `to`; as `to`, SIZE_MAX is
 * its end. Returns its position. */
int64_t ringlog_publish(ringlog_writer *writer, const void *record, size_t size, size_t from, size_t to);
void ringlog_discard(ringlog_writer *writer);

/* Wakes readers that sleep: after an append, or a burst. One load while none does. */
void ringlog_wake(ringlog_writer *writer);
/* The position that the next entry will have. */
uint64_t ringlog_writer_position(const ringlog_writer *writer);
/* Copies the record that was appended last, by this writer or the one before it; 0 if there is none, or 1. */
int ringlog_last(ringlog_writer *writer, void *record, size_t size);
/* Notes that the engine lives, for people and tools. */
void ringlog_heartbeat(ringlog_writer *writer);
/* Has the kernel write a log in a file back to it, and waits for that. */
int ringlog_sync(ringlog_writer *writer);

/* ------------------------------------------------------------------------------------ to read */

typedef struct ringlog_reader ringlog_reader;

/* Becomes durable reader `id`, 0 to 7. With a schema, a log that has another is refused. */
int ringlog_reader_open(const char *name, unsigned id, const char *schema, const ringlog_options *options,
                        ringlog_reader **out);
/* Looks on without a claim: any number of processes can. It has no place in the log to commit. */
int ringlog_observer_open(const char *name, const char *schema, const ringlog_options *options, ringlog_reader **out);
void ringlog_reader_close(ringlog_reader **reader);

/* Takes the next records, at most `most`, each of `size` bytes, and returns how many; their positions are in
 * `range`. 0: there is nothing new. RINGLOG_LOST: the positions in `range` were overwritten before, and the
 * next poll goes on behind them. Never waits. Of a log without bodies. */
int64_t ringlog_poll(ringlog_reader *reader, void *records, size_t size, size_t most, ringlog_range *range);
/* Takes the next entry, of any log: 1, 0 or RINGLOG_LOST. Of a lossless log that waits for this reader, a body
 * is where it lies in the log; else it is a copy. */
int ringlog_poll_entry(ringlog_reader *reader, ringlog_entry *entry, ringlog_range *lost);
/* An observer takes the newest entry, whatever lies before it: 1, or 0 if there is none. RINGLOG_LOST: it was
 * overwritten while it was read, again and again. */
int ringlog_latest(ringlog_reader *reader, ringlog_entry *entry);
/* Waits until there is something to poll, at most `at_most_ns`: 1, or 0. */
int ringlog_reader_wait(ringlog_reader *reader, int wait, uint64_t at_most_ns);

/* Stores that all that was polled has been dealt with: the next reader of this id resumes here. Once a batch. */
int ringlog_commit(ringlog_reader *reader);
/* The same without a look at the clock: makes room for a writer that waits for this reader. */
int ringlog_release(ringlog_reader *reader);
/* Releases if a quarter of the room has been taken: cheap behind each entry. 1 if it did. */
int ringlog_release_when_due(ringlog_reader *reader);
/* Goes elsewhere; `at` is for RINGLOG_AT and RINGLOG_LAST. */
int ringlog_seek(ringlog_reader *reader, int start, uint64_t at);

uint64_t ringlog_reader_position(const ringlog_reader *reader);
uint64_t ringlog_reader_lag(const ringlog_reader *reader);
/* Entries lost since the log was made, by all that have been this reader; of an observer, 0. */
uint64_t ringlog_reader_lost(const ringlog_reader *reader);
/* Whether a living process is the log's writer; of an observer, always 1. */
int ringlog_has_writer(const ringlog_reader *reader);
/* The lines of the log's schema, and the bytes of its records, without a body. */
const char *ringlog_reader_schema(const ringlog_reader *reader);
size_t ringlog_reader_record_size(const ringlog_reader *reader);

/* ------------------------------------------------------------------------------------ calls */

typedef struct ringlog_client ringlog_client;
typedef struct ringlog_service ringlog_service;
typedef struct ringlog_reply ringlog_reply;
typedef struct ringlog_deferred ringlog_deferred;

/* Becomes a client of a service, and waits for its server and for a lane that is free. */
int ringlog_connect(const char *name, const ringlog_call_options *options, uint64_t at_most_ns, ringlog_client **out);
void ringlog_client_close(ringlog_client **client);
/* Sends a request and waits for its answer. With RINGLOG_FAILED, RINGLOG_PANICKED: why, in `answer`. */
int ringlog_call(ringlog_client *client, uint32_t method, const void *request, size_t length, uint64_t timeout_ns,
                 ringlog_bytes *answer);
/* Sends a request, and returns its ticket. */
int64_t ringlog_send(ringlog_client *client, uint32_t method, const void *request, size_t length, uint64_t timeout_ns);
/* Waits for the answer to a ticket. */
int ringlog_wait_for(ringlog_client *client, int64_t ticket, ringlog_bytes *answer);
/* Returns the ticket of the next answer to anything that was sent, or -1 if none came; `code` is what
 * ringlog_wait_for would return. */
int64_t ringlog_receive(ringlog_client *client, uint64_t at_most_ns, int *code, ringlog_bytes *answer);
/* Gives up a request: its answer finds nothing that waits for it. */
void ringlog_forget(ringlog_client *client, int64_t ticket);
int ringlog_has_server(const ringlog_client *client);

/* A request, until its handler returns. */
typedef struct ringlog_request {
    uint32_t method;
    uint32_t lane;           /* with the position: no two requests of a service have both in common */
    uint64_t position;
    ringlog_bytes body;
} ringlog_request;

/* What serves. It answers by ringlog_reply_... and returns 0; RINGLOG_NO_METHOD, or another negative number, is
 * a failure. No C++ exception may leave it. */
typedef int (*ringlog_handler)(void *context, const ringlog_request *request, ringlog_reply *reply);

/* Becomes the server of a name. */
int ringlog_serve(const char *name, const ringlog_call_options *options, ringlog_service **out);
void ringlog_service_close(ringlog_service **service);
/* Has the next request of each lane run, and returns how many there were. Never waits. */
int64_t ringlog_service_poll(ringlog_service *service, ringlog_handler handler, void *context);
/* Waits for requests, at most `at_most_ns` and ten milliseconds. For a loop around ringlog_service_poll. */
int ringlog_service_wait(ringlog_service *service, int wait, uint64_t at_most_ns);
/* Serves until ringlog_service_stop, then answers what is under way. */
int ringlog_service_run(ringlog_service *service, int wait, ringlog_handler handler, void *context);
/* From a signal handler, or any thread: one store. */
void ringlog_service_stop(ringlog_service *service);

/* Answers at once. */
int ringlog_reply_send(ringlog_reply *reply, const void *answer, size_t length);
/* Answers piece by piece; ringlog_reply_flush sends off what there is so far. */
int ringlog_reply_write(ringlog_reply *reply, const void *bytes, size_t length);
int ringlog_reply_flush(ringlog_reply *reply);
/* Says why it failed. Returns RINGLOG_FAILED, for the handler to return. */
int ringlog_reply_fail(ringlog_reply *reply, const void *why, size_t length);
/* Whether the request has time left, and its client lives. */
int ringlog_reply_is_wanted(ringlog_reply *reply);
/* Keeps the request, to be answered later, by any thread; the handler returns 0. */
ringlog_deferred *ringlog_reply_defer(ringlog_reply *reply);
/* The request that was kept. */
void ringlog_deferred_request(const ringlog_deferred *deferred, ringlog_request *request);
int ringlog_deferred_is_wanted(const ringlog_deferred *deferred);
void ringlog_deferred_answer(ringlog_deferred **deferred, const void *answer, size_t length);
void ringlog_deferred_fail(ringlog_deferred **deferred, const void *why, size_t length);

/* ------------------------------------------------------------------------------------ inlined
 *
 * A view says where the slots are and how far the handle is. The functions below append and poll one record by it,
 * word by word, as docs/format.md says; where the size of the record is known to the compiler, that is as quick as
 * in Rust. They and the functions above may take turns. Of logs without bodies: for others a view is NULL. */

/* How far a writer is; it belongs to the writer. */
typedef struct ringlog_append_view {
    uint64_t *slots;         /* the stamp of slot 0 */
    uint64_t *write_ptr;
    uint64_t mask;           /* slots less one */
    uint64_t stride;         /* words from one slot to the next */
    uint64_t next;           /* the position of the next entry */
    uint64_t limit;          /* there is room below this position */
    size_t record_size;
} ringlog_append_view;

/* How far a reader is; it belongs to the reader. */
typedef struct ringlog_poll_view {
    const uint64_t *slots;
    const uint64_t *write_ptr;
    uint64_t mask;
    uint64_t stride;
    uint64_t position;       /* of the next entry */
    uint64_t published;      /* all below was published, whatever the slots say */
    uint64_t written;        /* all below was published by the word of a stamp */
    uint64_t streak;         /* entries found one by one since a poll was empty */
    size_t record_size;
} ringlog_poll_view;

ringlog_append_view *ringlog_writer_view(ringlog_writer *writer);
ringlog_poll_view *ringlog_reader_view(ringlog_reader *reader);

#define RINGLOG_WRITING (UINT64_C(1) << 63)
/* A streak that makes a stream: then the library looks ahead, and the two sides share fewer lines. */
#define RINGLOG_STREAM UINT64_C(16)

#if defined(__clang__)
#define RINGLOG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RINGLOG_UNROLL _Pragma("GCC unroll 64")
#endif
#define RINGLOG_INLINE static inline __attribute__((always_inline))

/* Stores a record behind its stamp. */
RINGLOG_INLINE void ringlog_store_record(uint64_t *slot, const void *record, size_t size, uint64_t position) {
    const size_t words = size / 8, rest = size % 8;
    __atomic_store_n(&slot[0], RINGLOG_WRITING | position, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* no new word without the new stamp */
    /* One by one: a wide load of words that were just stored would wait for them. */
    RINGLOG_UNROLL for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, (const char *)record + 8 * i, 8);
        __atomic_store_n(&slot[1 + i], word, __ATOMIC_RELAXED);
    }
    if (rest > 0) {
        uint64_t word = 0;
        memcpy(&word, (const char *)record + 8 * words, rest);
        __atomic_store_n(&slot[1 + words], word, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&slot[0], position + 1, __ATOMIC_RELEASE); /* the words come first */
}

/* Loads the words behind a stamp. */
RINGLOG_INLINE void ringlog_load_record(const uint64_t *slot, void *record, size_t size) {
    const size_t words = size / 8, rest = size % 8;
    RINGLOG_UNROLL for (size_t i = 0; i < words; i++) {
        const uint64_t word = __atomic_load_n(&slot[1 + i], __ATOMIC_RELAXED);
        memcpy((char *)record + 8 * i, &word, 8);
    }
    if (rest > 0) {
        const uint64_t word = __atomic_load_n(&slot[1 + words], __ATOMIC_RELAXED);
        memcpy((char *)record + 8 * words, &word, rest);
    }
}

/* Appends to a log that overwrites; returns the position. The size is that of the log's record, which the caller has
 * compared; `limit` is UINT64_MAX. */
RINGLOG_INLINE uint64_t ringlog_put_inline(ringlog_append_view *view, const void *record, size_t size) {
    const uint64_t position = view->next;
    ringlog_store_record(view->slots + (position & view->mask) * view->stride, record, size, position);
    __atomic_store_n(view->write_ptr, position + 1, __ATOMIC_RELEASE); /* the stamps come first */
    view->next = position + 1;
    return position;
}

/* Appends to any log if there is room: the position, or RINGLOG_FULL, and then ringlog_try_append tells more. */
RINGLOG_INLINE int64_t ringlog_append_inline(ringlog_append_view *view, const void *record, size_t size) {
    if (view->next >= view->limit) return RINGLOG_FULL;
    return (int64_t)ringlog_put_inline(view, record, size);
}

/* Loads the record at a position that was published: whether it is still there. */
RINGLOG_INLINE int ringlog_load_published(const ringlog_poll_view *view, uint64_t position, void *record,
                                          size_t size) {
    const uint64_t *slot = view->slots + (position & view->mask) * view->stride;
    ringlog_load_record(slot, record, size);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* a new word shows a new stamp */
    return __atomic_load_n(&slot[0], __ATOMIC_RELAXED) == position + 1;
}

/* Takes the next record where that is simple: 1, or 0 if there is nothing new; RINGLOG_ASK: ringlog_poll tells.
 * It gives the address of `record` to nothing, so that a compiler may keep the record in registers. */
#define RINGLOG_ASK (-1)
RINGLOG_INLINE int ringlog_poll_fast(ringlog_poll_view *view, void *record, size_t size) {
    const uint64_t position = view->position;
    if (position < view->written) {
        if (!ringlog_load_published(view, position, record, size)) return RINGLOG_ASK;
        view->position = position + 1;
        return 1;
    }
    if (view->streak >= RINGLOG_STREAM) return RINGLOG_ASK;
    const uint64_t *slot = view->slots + (position & view->mask) * view->stride;
    const uint64_t stamp = __atomic_load_n(&slot[0], __ATOMIC_ACQUIRE);
    if (stamp == position + 1) {
        ringlog_load_record(slot, record, size);
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* a new word shows a new stamp */
        if (__atomic_load_n(&slot[0], __ATOMIC_RELAXED) != stamp) return RINGLOG_ASK;
        view->position = position + 1;
        view->streak++;
        return 1;
    }
    /* The entry of one lap before is there, or none, or this one is being written. */
    const int is_old = stamp == 0 || stamp == position - view->mask || stamp == (RINGLOG_WRITING | position);
    if (!is_old || position < view->published) return RINGLOG_ASK;
    view->streak = 0;
    return 0;
}

/* As ringlog_poll of one record, whose size the caller has compared: 1, 0 or RINGLOG_LOST. */
RINGLOG_INLINE int64_t ringlog_poll_inline(ringlog_reader *reader, ringlog_poll_view *view, void *record, size_t size,
                                           ringlog_range *range) {
    const int polled = ringlog_poll_fast(view, record, size);
    if (polled == RINGLOG_ASK) return ringlog_poll(reader, record, size, 1, range);
    range->first = view->position - 1;
    range->end = view->position;
    return polled;
}

#ifdef __cplusplus
}
#endif

#endif /* RINGLOG_H */
