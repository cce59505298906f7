package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.LogTest.scribble;
import static ringlog.Place.refused;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Bodies: in the slot, in the arena, overwritten, damaged. */
class BodyTest {
    private static final Schema BODIES = Schema.of("id:u64,body:bytes");
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    /** The body of an entry: each byte is a function of its position and length. */
    private static byte[] body(long position, int length) {
        byte[] body = new byte[length];
        new Random(position * 1_000_003 + length).nextBytes(body);
        return body;
    }

    private static void append(Writer writer, Row row, int length) {
        writer.append(row.set("id", length).body(body(writer.position(), length)));
    }

    private static void check(Poll poll) {
        Entry entry = poll.entry();
        assertArrayEquals(body(poll.position(), (int) entry.getLong("id")), entry.body(), poll::toString);
    }

    @Test
    void bodies_of_every_length_come_back() {
        try (Log log = Log.options().capacity(16).inline(24).arena(4096).create(place.shm, BODIES);
                Writer writer = log.writer();
                Reader reader = log.reader(0)) {
            Row row = writer.row();
            for (int length = 0; length <= 2048; length++) {
                append(writer, row, length);
                check(reader.poll());
            }
            assertTrue(refused(Code.INVALID, () -> append(writer, row, 2049)).contains("half of the arena"));
            assertEquals(0, reader.lost());
        }
    }

    @Test
    void a_body_that_was_overwritten_is_lost_and_its_entry_with_it() {
        try (Log log = Log.options().capacity(64).inline(8).arena(4096).create(place.shm, BODIES);
                Writer writer = log.writer();
                Observer observer = log.observe(Start.OLDEST)) {
            Row row = writer.row();
            for (int i = 0; i < 40; i++) {
                append(writer, row, i % 4 == 3 ? 4 : 500);
            }
            long entries = 0;
            long lost = 0;
            long last = -1;
            for (Poll poll : observer) {
                assertEquals(last + 1, poll.position());
                last = poll.next() - 1;
                if (poll.kind() == Poll.Kind.ENTRY) {
                    check(poll);
                    entries++;
                } else {
                    lost += poll.lost();
                }
            }
            assertEquals(40, entries + lost);
            assertTrue(entries >= 10 + 5 && lost >= 20, entries + " entries, " + lost + " lost"); // short ones all stay
        }
    }

    @Test
    void a_reader_beside_a_writer_gets_each_body_whole_or_loses_it() throws Exception {
        try (Log log = Log.options().capacity(64).inline(8).arena(1 << 14).create(place.shm, BODIES);
                Writer writer = log.writer();
                Observer observer = log.observe(Start.at(0))) {
            var appender = new Thread(() -> {
                var random = new Random(1);
                Row row = writer.row();
                for (int i = 0; i < 100_000; i++) {
                    append(writer, row, random.nextInt(4) == 0 ? random.nextInt(3000) : random.nextInt(40));
                }
            });
            appender.start();
            long entries = 0;
            long next = 0;
            while (next < 100_000) {
                Poll poll = observer.poll(Place.PATIENCE);
                assertEquals(next, poll.position());
                next = poll.next();
                if (poll.kind() == Poll.Kind.ENTRY) {
                    check(poll);
                    entries++;
                }
            }
            appender.join();
            assertTrue(entries > 64, entries + " entries");
        }
    }

    @Test
    void the_next_writer_overwrites_no_body_that_is_there() {
        try (Log log = Log.options().capacity(16).inline(8).arena(1 << 16).create(place.shm, BODIES);
                Observer observer = log.observe(Start.OLDEST)) {
            for (int i = 0; i < 9; i++) {
                try (Writer writer = log.writer()) { // each is one that another goes on behind
                    append(writer, writer.row(), 900);
                }
            }
            int entries = 0;
            for (Poll poll : observer) {
                check(poll);
                entries++;
            }
            assertEquals(9, entries);
        }
    }

    @Test
    void a_head_or_a_place_that_is_none_loses_its_entry_alone() {
        try (Log log = Log.options().capacity(16).inline(24).arena(4096).create(place.shm, BODIES);
                Writer writer = log.writer()) {
            Row row = writer.row();
            for (int length : new int[] {5, 100, 5, 100, 5}) {
                append(writer, row, length);
            }
            long slots = 0x2000;
            long head = 16;
            record Case(int entry, long offset, long word) {}
            for (Case one : new Case[] {
                new Case(0, 0, 25), // more than the slot holds
                new Case(2, 0, Long.MAX_VALUE),
                new Case(1, 0, Ring.WRITING | 2049), // more than half of the arena
                new Case(1, 0, -1),
                new Case(3, 8, 4095), // no multiple of 8
                new Case(3, 8, -8),
                new Case(3, 8, 4096 + 4040), // round the end
                new Case(3, 8, 1L << 62)
            }) {
                long at = slots + one.entry * 64L + head + one.offset;
                long was = log.segment().reading().relaxed(at);
                log.segment().writing().relaxed(at, one.word);
                try (Observer observer = log.observe(Start.OLDEST)) {
                    for (int i = 0; i < 5; i++) {
                        Poll poll = observer.poll();
                        assertEquals(i == one.entry ? Poll.Kind.LOST : Poll.Kind.ENTRY, poll.kind(), one.toString());
                        assertEquals(i + 1, poll.next());
                    }
                }
                log.segment().writing().relaxed(at, was);
            }
        }
    }

    @Test
    void after_another_boot_only_bodies_that_were_synced_are_delivered() {
        try (Log log = Log.options().capacity(16).inline(24).arena(1 << 14).create(place.shm, BODIES)) {
            try (Writer writer = log.writer()) {
                append(writer, writer.row(), 100);
                append(writer, writer.row(), 100);
                writer.sync();
                append(writer, writer.row(), 100);
                append(writer, writer.row(), 10);
            }
        }
        scribble(place.shmFile(), Layout.WRITER_BOOT_ID, 42);
        try (Log log = Log.open(place.shm)) {
            for (int i = 0; i < 2; i++) { // before a writer attaches, and after
                assertEquals("[entry 0, entry 1, lost 2..3, entry 3]",
                        LogTest.all(log.observe(Start.OLDEST)).toString());
                log.writer().close();
            }
        }
    }

    @Test
    void a_horizon_that_reached_no_disk_costs_no_body() {
        try (Log log = Log.options().capacity(16).inline(8).arena(4096).create(place.shm, BODIES)) {
            try (Writer writer = log.writer()) {
                for (int i = 0; i < 9; i++) {
                    append(writer, writer.row(), 1000);
                }
            }
            log.segment().writing().relaxed(Layout.HORIZON, 0);
            try (Writer writer = log.writer(); Observer observer = log.observe(Start.at(0))) {
                append(writer, writer.row(), 1000);
                for (Poll poll : observer) {
                    if (poll.kind() == Poll.Kind.ENTRY) {
                        check(poll);
                    }
                }
            }
        }
    }

    @Test
    void a_synced_word_goes_before_the_arena_is_overwritten() {
        try (Log log = Log.options().capacity(16).inline(24).arena(4096).create(place.shm, BODIES);
                Writer writer = log.writer()) {
            Row row = writer.row();
            for (int i = 0; i < 3; i++) {
                append(writer, row, 1000);
            }
            writer.sync();
            Words words = log.segment().reading();
            assertEquals(3, words.acquire(Layout.WRITER_SYNCED));
            for (int i = 0; i < 3; i++) {
                append(writer, row, 1000);
            }
            assertEquals(0, words.acquire(Layout.WRITER_SYNCED));
        }
    }

    @Test
    void text_bodies_are_text() {
        try (Log log = Log.create(place.shm, Schema.of("message:text")); Writer writer = log.writer()) {
            writer.append(writer.row().body("grüße"));
            Entry entry = log.observe(Start.OLDEST).poll().entry();
            assertEquals("grüße", entry.bodyText());
            assertEquals(7, entry.bodyLength());
            assertEquals(7, entry.bodyBuffer().remaining());
            assertEquals("text", log.schema().bodyKind());
        }
    }
}
