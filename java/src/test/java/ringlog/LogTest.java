package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.Place.refused;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Logs in this process: what is stored, what is read, what is refused. */
class LogTest {
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    /** Stores a word in a log's file, as a scribbler would; the file is opened here, so before any claim. */
    static void scribble(Path file, long at, long word) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, word), at);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private Log make(int capacity, long entries) {
        Log log = Log.options().capacity(capacity).create(place.shm, Peer.numbers());
        try (Writer writer = log.writer()) {
            writer.appendBatch((int) entries, (row, i) -> Peer.fill(row, writer.position()));
        }
        return log;
    }

    static FileKey key(Path file) {
        try {
            return FileKey.of(file);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Polls until there is nothing, and returns what came, as text. */
    static List<String> all(Cursor cursor) {
        var found = new ArrayList<String>();
        for (Poll poll : cursor) {
            found.add(poll.toString());
        }
        return found;
    }

    @Test
    void values_of_all_types_come_back() {
        Schema schema = Schema.of("a:u8,b:u16,c:u32,d:u64,e:i8,f:i16,g:i32,h:i64,i:f32,j:f64,k:bool,l:timestamp,"
                + "m:text5,n:decimal4,o:decimal0,p:text1");
        try (Log log = Log.create(place.shm, schema); Writer writer = log.writer(); Reader reader = log.reader(0)) {
            Instant time = Instant.ofEpochSecond(1_767_225_600, 123_456_789);
            writer.append(writer.row().set("a", 255).set("b", 65535).set("c", 0xFFFF_FFFFL).set("d", -1).set("e", -128)
                    .set("f", -32768).set("g", Integer.MIN_VALUE).set("h", Long.MIN_VALUE).set("i", 0.1).set("j", -0.0)
                    .set("k", true).set("l", time).set("m", "é€x").set("n", new BigDecimal("1.25")).set("o", -7)
                    .set("p", "z"));
            Entry entry = reader.poll().entry();
            assertEquals(List.of(255L, 65535L, 0xFFFF_FFFFL, -1L, -128L, -32768L, (long) Integer.MIN_VALUE, Long.MIN_VALUE),
                    List.of("a", "b", "c", "d", "e", "f", "g", "h").stream().map(entry::getLong).toList());
            assertEquals(0.1f, entry.getDouble("i"));
            assertEquals(Double.doubleToRawLongBits(-0.0), Double.doubleToRawLongBits(entry.getDouble("j")));
            assertTrue(entry.getBoolean("k"));
            assertEquals(time, entry.getInstant("l"));
            assertEquals("é€", entry.getText("m")); // of six bytes the last character goes
            assertEquals(new BigDecimal("1.2500"), entry.getDecimal("n"));
            assertEquals(-7, entry.getLong("o"));
            assertEquals("z", entry.getText("p"));
            assertEquals(18446744073709551615.0, entry.getDouble("d"));
        }
    }

    @Test
    void what_does_not_fit_a_column_is_refused_by_name() {
        try (Log log = Log.create(place.shm, Schema.of("a:u8,b:text4,c:decimal2,d:f64")); Writer writer = log.writer()) {
            Row row = writer.row();
            assertTrue(refused(Code.INVALID, () -> row.set("a", 256)).contains("`a`: 256"));
            assertTrue(refused(Code.INVALID, () -> row.set("a", -1)).contains("from 0 to 255"));
            assertTrue(refused(Code.INVALID, () -> row.set("b", 1)).contains("text4"));
            assertTrue(refused(Code.INVALID, () -> row.set("c", new BigDecimal("0.001"))).contains("decimal2"));
            assertTrue(refused(Code.INVALID, () -> row.set("x", 1)).contains("a, b, c, d"));
            assertTrue(refused(Code.INVALID, () -> row.body("x")).contains("no body"));
            writer.append(row.set("d", 7));
            try (Observer observer = log.observe(Start.OLDEST)) {
                Entry entry = observer.poll().entry();
                assertEquals(7.0, entry.getDouble("d"));
                assertTrue(refused(Code.INVALID, () -> entry.getText("d")).contains("f64"));
                assertTrue(refused(Code.INVALID, () -> entry.getInt("c")).contains("decimal2"));
            }
        }
    }

    @Test
    void an_observer_that_is_lapped_is_told_which_it_lost() {
        try (Log log = make(16, 10); Observer observer = log.observe(Start.OLDEST)) {
            assertEquals("entry 0", observer.poll().toString());
            try (Writer writer = log.writer()) {
                writer.appendBatch(90, (row, i) -> Peer.fill(row, writer.position()));
            }
            List<String> found = all(observer);
            assertEquals("lost 1..84", found.get(0));
            assertEquals("entry 84", found.get(1));
            assertEquals("entry 99", found.get(16));
            assertEquals(17, found.size());
        }
    }

    @Test
    void an_observer_begins_where_it_is_told() {
        try (Log log = make(16, 20)) {
            assertEquals("entry 4", log.observe(Start.OLDEST).poll().toString());
            assertEquals("nothing at 20", log.observe(Start.NEWEST).poll().toString());
            assertEquals("entry 17", log.observe(Start.last(3)).poll().toString());
            assertEquals("entry 4", log.observe(Start.last(300)).poll().toString());
            assertEquals("entry 9", log.observe(Start.at(9)).poll().toString());
            assertEquals("lost 2..4", log.observe(Start.at(2)).poll().toString());
            assertTrue(refused(Code.INVALID, () -> log.observe(Start.at(21))).contains("ends at 20"));
        }
    }

    @Test
    void the_latest_entry_comes_again_until_there_is_a_newer_one() {
        try (Log log = make(16, 0); Observer observer = log.observe(Start.OLDEST); Writer writer = log.writer()) {
            assertEquals(Poll.Kind.EMPTY, observer.latest().kind());
            writer.appendBatch(40, (row, i) -> Peer.fill(row, i));
            assertEquals("entry 39", observer.latest().toString());
            assertEquals("entry 39", observer.latest().toString());
            assertEquals(39, observer.latest().entry().getLong("a"));
            writer.appendBatch(1, (row, i) -> Peer.fill(row, 40));
            assertEquals("entry 40", observer.poll().toString());
            assertEquals(Poll.Kind.EMPTY, observer.poll().kind());
        }
    }

    @Test
    void a_torn_slot_at_the_end_is_nothing_yet() {
        try (Log log = make(16, 20)) {
            long slot = 0x2000 + (20 % 16) * 32;
            scribble(place.shmFile(), slot, Ring.WRITING | 20);
            scribble(place.shmFile(), slot + 8, 77);
            assertEquals(20, log.end());
            List<String> found = all(log.observe(Start.OLDEST));
            assertEquals("entry 5", found.get(0)); // the slot of 4 is being overwritten
            assertEquals(15, found.size());
            try (Writer writer = log.writer()) {
                assertEquals(20, writer.position());
                writer.appendBatch(1, (row, i) -> Peer.fill(row, 20));
            }
            assertEquals(21, log.end());
        }
    }

    @Test
    void a_hole_is_lost_in_one_range() {
        try (Log log = make(16, 12)) {
            for (int position : new int[] {5, 6, 7}) {
                scribble(place.shmFile(), 0x2000 + position * 32, position == 6 ? 0x1234_5678_0000_0000L : 0);
            }
            assertEquals(List.of("entry 4", "lost 5..8", "entry 8"), all(log.observe(Start.at(4))).subList(0, 3));
        }
    }

    @Test
    void a_damaged_stamp_beyond_the_end_is_nothing_yet() {
        try (Log log = make(16, 12); Observer observer = log.observe(Start.NEWEST)) {
            scribble(place.shmFile(), 0x2000 + 12 * 32, 0x7777_7777_7777_7777L);
            assertEquals("nothing at 12", observer.poll().toString());
            scribble(place.shmFile(), 0x2000 + 12 * 32, 12 + 16 * 5 + 1); // good, of a position above the end
            assertEquals("nothing at 12", observer.poll().toString());
            try (Writer writer = log.writer()) {
                writer.appendBatch(1, (row, i) -> Peer.fill(row, 12));
            }
            assertEquals("entry 12", observer.poll().toString());
        }
    }

    @Test
    void a_write_pointer_that_lies_moves_no_end() {
        for (long lie : new long[] {0, 3, 19, 21, 1000, -1, 1L << 62}) {
            try (Place other = new Place()) {
                try (Log log = Log.options().capacity(16).create(other.shm, Peer.numbers()); Writer writer = log.writer()) {
                    writer.appendBatch(20, (row, i) -> Peer.fill(row, i));
                }
                scribble(other.shmFile(), 0, lie);
                try (Log log = Log.open(other.shm)) {
                    assertEquals(20, log.end(), "write_ptr " + lie);
                }
            }
        }
    }

    @Test
    void a_reader_goes_on_behind_its_last_commit() {
        try (Log log = make(64, 40)) {
            try (Reader reader = log.reader(3)) {
                for (int i = 0; i < 10; i++) {
                    reader.poll();
                }
                reader.commit();
                reader.poll();
            }
            try (Reader reader = log.reader(3)) {
                assertEquals("entry 10", reader.poll().toString());
                assertEquals(0, reader.lost());
                assertNull(reader.warning());
            }
        }
    }

    @Test
    void losses_are_counted_from_one_process_to_the_next() {
        try (Log log = make(16, 4); Writer writer = log.writer()) {
            try (Reader reader = log.reader(0)) {
                assertEquals("entry 0", reader.poll().toString());
                reader.commit();
            }
            writer.appendBatch(36, (row, i) -> Peer.fill(row, writer.position()));
            try (Reader reader = log.reader(0)) {
                assertEquals("lost 1..24", reader.poll().toString());
                reader.commit();
            }
            writer.appendBatch(20, (row, i) -> Peer.fill(row, writer.position()));
            try (Reader reader = log.reader(0)) {
                assertEquals(23, reader.lost());
                assertEquals("lost 24..44", reader.poll().toString());
                assertEquals(43, reader.lost());
                assertEquals(2, reader.losses());
                reader.commit();
            }
        }
    }

    @Test
    void a_new_reader_of_an_old_log_has_lost_nothing() {
        try (Log log = make(16, 100); Reader reader = log.reader(0); Writer writer = log.writer()) {
            writer.appendBatch(30, (row, i) -> Peer.fill(row, writer.position())); // before its first read
            Poll poll = reader.poll();
            assertEquals(Poll.Kind.ENTRY, poll.kind());
            assertTrue(poll.position() >= 114, poll.toString());
            assertEquals(0, reader.lost());
            reader.commit();
            assertEquals(poll.position(), log.segment().reading().relaxed(Layout.readerLine(0) + Layout.READER_BEGAN));
            assertEquals(poll.position(), log.segment().reading().relaxed(Layout.readerLine(0) + Layout.READER_MISSED));
        }
    }

    @Test
    void wherever_a_commit_is_killed_the_place_is_the_old_or_the_new_one() throws IOException {
        try (Log log = make(64, 40); Reader reader = log.reader(0)) {
            for (int i = 0; i < 8; i++) {
                reader.poll();
            }
            reader.commit();
        }
        byte[] before = Files.readAllBytes(place.shmFile());
        try (Log log = Log.open(place.shm); Reader reader = log.reader(0)) {
            for (int i = 0; i < 8; i++) {
                reader.poll();
            }
            reader.commit();
        }
        byte[] after = Files.readAllBytes(place.shmFile());
        // The stores of a commit, in order: the checkpoint that does not count, the pointer, the other one.
        int counts = word(before, 0x480) == 8 ? 0x480 : 0x4A0;
        int next = counts == 0x480 ? 0x4A0 : 0x480;
        long[][] stores = {{next, -1}, {next + 8, 0}, {next + 16, 0}, {next + 24, 0}, {next, 16}, {0x40, 16}, {counts, -1}};
        for (int done = 0; done <= stores.length; done++) {
            byte[] image = before.clone();
            for (int i = 0; i < done; i++) {
                ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).putLong((int) stores[i][0], stores[i][1]);
            }
            if (done == stores.length) {
                for (int at : new int[] {0x40, 0x480, 0x4A0}) {
                    assertEquals(word(after, at), word(image, at), "the stores above are those of a commit");
                }
            }
            Path copy = place.file("killed." + done);
            Files.write(copy, image);
            try (Log log = Log.open(copy); Reader reader = log.reader(0)) {
                assertEquals(done < 6 ? 8 : 16, reader.position(), "after " + done + " stores");
                assertNull(reader.warning());
            }
        }
    }

    @Test
    void a_read_pointer_has_its_checkpoint_at_every_moment() throws InterruptedException {
        try (Log log = make(64, 0); Writer writer = log.writer(); Reader reader = log.reader(0)) {
            reader.commit();
            var committer = new Thread(() -> {
                for (int i = 0; i < 300_000; i++) {
                    writer.append(writer.ownRow());
                    reader.poll();
                    reader.release();
                }
            });
            committer.start();
            Words words = log.segment().reading();
            while (committer.isAlive()) {
                long before = words.acquire(0x40);
                long first = words.acquire(0x480);
                long second = words.acquire(0x4A0);
                if (words.acquire(0x40) == before) { // then none of these was taken from it meanwhile
                    assertTrue(first == before || second == before, before + ": " + first + ", " + second);
                }
            }
            committer.join();
            assertEquals(300_000, words.acquire(0x40));
        }
    }

    private static long word(byte[] bytes, int at) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(at);
    }

    @Test
    void a_pointer_that_something_else_stored_is_told() {
        try (Log log = make(64, 40); Reader reader = log.reader(0)) {
            reader.poll();
            reader.commit();
        }
        scribble(place.shmFile(), 0x40, 7);
        try (Log log = Log.open(place.shm); Reader reader = log.reader(0)) {
            assertTrue(reader.warning().contains("read pointer 7"), reader.warning());
            assertEquals(1, reader.position());
        }
        scribble(place.shmFile(), 0x40, -7);
        try (Log log = Log.open(place.shm); Reader reader = log.reader(0)) {
            assertEquals(1, reader.position());
        }
    }

    @Test
    void a_claim_is_held_by_one_at_a_time_also_in_one_process() {
        try (Log log = make(16, 0); Log again = Log.open(place.shm)) {
            Reader reader = log.reader(2);
            assertTrue(refused(Code.CLAIMED, () -> again.reader(2)).contains("process " + Host.PID));
            try (Reader other = again.reader(3)) { // beside it in the file: the kernel joins both locks
                assertTrue(log.hasReader(2) && log.hasReader(3));
            }
            assertTrue(log.hasReader(2));
            assertFalse(log.hasReader(3));
            reader.close();
            assertFalse(log.hasReader(2));
            again.reader(2).close();
            Writer writer = log.writer();
            assertTrue(log.hasWriter());
            assertTrue(new Locks().hold(key(place.shmFile()), Layout.WRITE_PTR)); // seen without a lock
            assertTrue(refused(Code.CLAIMED, again::writer).contains("the writer"));
            writer.close();
            assertTrue(refused(Code.INVALID, () -> log.reader(8)).contains("0 to 7"));
        }
    }

    @Test
    void what_is_closed_stores_nothing_more() {
        try (Log log = make(16, 3)) {
            Reader reader = log.reader(0);
            reader.poll();
            reader.close();
            assertThrows(IllegalStateException.class, reader::commit);
            Writer writer = log.writer();
            writer.close();
            assertThrows(IllegalStateException.class, () -> writer.append(writer.row()));
            reader.close();
            writer.close();
            assertEquals(3, log.end());
        }
    }

    @Test
    void after_another_boot_no_position_is_given_twice() {
        make(16, 20).close();
        scribble(place.shmFile(), Layout.WRITER_BOOT_ID, 42);
        scribble(place.shmFile(), Layout.readPointer(3), 50); // the one word that reached the disk
        try (Log log = Log.open(place.shm)) {
            assertEquals(50, log.end());
            log.writer().close();
            assertEquals(50, log.end());
            try (Writer writer = log.writer()) {
                assertEquals(50, writer.append(writer.row()));
            }
            assertEquals(51, log.end());
        }
    }

    @Test
    void a_log_that_is_closed_here_leaves_its_claims_to_those_who_hold_them() {
        Log log = make(16, 3);
        try (Log again = Log.open(place.shm); Reader reader = log.reader(0)) {
            log.close();
            assertTrue(again.hasReader(0));
            assertEquals("entry 0", reader.poll().toString());
            reader.commit();
        }
    }

    @Test
    void a_batch_that_fails_appends_what_came_before() {
        try (Log log = make(16, 0); Writer writer = log.writer()) {
            assertThrows(IllegalStateException.class, () -> writer.appendBatch(10, (row, i) -> {
                if (i == 4) {
                    throw new IllegalStateException();
                }
                Peer.fill(row, i);
            }));
            assertEquals(4, log.end());
            assertEquals(4, writer.position());
        }
    }

    @Test
    void a_wait_ends_with_its_time_and_with_an_interrupt() {
        try (Log log = make(16, 0); Observer observer = log.observe(Start.OLDEST)) {
            long began = System.nanoTime();
            assertEquals(Poll.Kind.EMPTY, observer.poll(Duration.ofMillis(20)).kind());
            assertTrue(System.nanoTime() - began >= 20_000_000);
            Thread.currentThread().interrupt();
            assertEquals(Poll.Kind.EMPTY, observer.poll(Duration.ofDays(1)).kind());
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void await_says_whether_there_is_something_and_takes_nothing() throws InterruptedException {
        try (Log log = make(16, 0); Observer observer = log.observe(Start.OLDEST); Writer writer = log.writer()) {
            assertFalse(observer.await(Duration.ZERO));
            var appender = new Thread(() -> writer.append(writer.row()));
            appender.start();
            assertTrue(observer.await(Place.PATIENCE));
            appender.join();
            assertEquals("entry 0", observer.poll().toString());
            writer.appendBatch(2, (row, i) -> Peer.fill(row, i));
            log.segment().writing().relaxed(0x2000 + 32, 0); // entry 1 is damaged, and 2 is there
            assertTrue(observer.await(Duration.ZERO));
            assertEquals("lost 1..2", observer.poll().toString());
        }
    }

    @Test
    void an_append_and_a_poll_allocate_nothing() {
        var threads = (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        try (Log log = make(1024, 0); Writer writer = log.writer(); Observer observer = log.observe(Start.OLDEST)) {
            Row row = writer.row();
            Column a = log.schema().column("a");
            long before = 0;
            long sum = 0;
            for (int i = 0; i < 60_000; i++) {
                if (i == 10_000) {
                    before = threads.getThreadAllocatedBytes(thread); // classes are loaded, call sites linked
                }
                writer.append(row.set(a, i));
                sum += observer.poll().entry().getLong(a);
                observer.poll(); // and one that is empty
            }
            long allocated = threads.getThreadAllocatedBytes(thread) - before;
            assertEquals(59_999L * 60_000 / 2, sum);
            assertTrue(allocated < 50_000, allocated + " bytes for 50,000 entries");
        }
    }
}
