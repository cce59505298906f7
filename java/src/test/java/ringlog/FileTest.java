package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.LogTest.scribble;
import static ringlog.Place.refused;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The files of logs: made, opened, refused, and larger than a mapping of Java. */
class FileTest {
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    private Log make() {
        Log log = Log.options().capacity(16).create(place.shm, Peer.numbers());
        try (Writer writer = log.writer()) {
            writer.appendBatch(3, Peer::fill);
        }
        return log;
    }

    @Test
    void what_is_no_log_is_refused_by_name() throws IOException {
        make().close();
        byte[] whole = Files.readAllBytes(place.shmFile());
        record Case(int at, long word, String says) {}
        var cases = List.of(
                new Case(0x80, 0, "does not begin"),
                new Case(0x88, 2, "version 2"),
                new Case(0x90, 15, "capacity 15"),
                new Case(0x90, 32, "the file has"),
                new Case(0x90, 1L << 62, "too many"),
                new Case(0x98, 64, "slot_size 64"),
                new Case(0xA0, 0, "entry_size 0"),
                new Case(0xA0, -1, "entry_size 18446744073709551615"),
                new Case(0xC0, 2561, "schema of 2561"),
                new Case(0xC8, 4096, "arena"),
                new Case(0xD0, 8, "arena"),
                new Case(0xD8, 256, "gates 256"),
                new Case(0xE0, 2, "absent 2"),
                new Case(0xE8, 4, "role 4"),
                new Case(0xF0, 1, "1 members"),
                new Case(0xF8, 1L << 62, "no position"),
                new Case(0xC00, 0x20202020_20202020L, "schema"));
        for (Case one : cases) {
            byte[] image = whole.clone();
            ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).putLong(one.at, one.word);
            Path file = place.file("bad.log");
            Files.write(file, image);
            String message = refused(Code.UNUSABLE, () -> Log.open(file));
            assertTrue(message.contains(one.says) && message.startsWith(file + ": "), message);
        }
        for (int length : new int[] {0, 100, 5000, whole.length - 1}) {
            Path file = place.file("short.log");
            Files.write(file, Arrays.copyOf(whole, length));
            refused(Code.UNUSABLE, () -> Log.open(file));
        }
        refused(Code.UNUSABLE, () -> Log.open(place.directory));
        refused(Code.NOT_FOUND, () -> Log.open(place.file("nothing")));
        refused(Code.INVALID, () -> Log.open("/a/b"));
        refused(Code.INVALID, () -> Log.open(""));
    }

    @Test
    void a_log_is_made_once_and_never_replaced() {
        try (Log log = make()) {
            assertTrue(refused(Code.OTHER, () -> make()).contains("exists already"));
            try (Log again = Log.options().openOrCreate(place.shm, Peer.numbers())) {
                assertEquals(log.id(), again.id());
            }
            refused(Code.UNUSABLE, () -> Log.options().openOrCreate(place.shm, Schema.of("a:u8")));
            refused(Code.UNUSABLE, () -> Log.options().capacity(32).openOrCreate(place.shm, Peer.numbers()));
            refused(Code.UNUSABLE, () -> Log.options().lossless(0).openOrCreate(place.shm, Peer.numbers()));
        }
        refused(Code.INVALID, () -> Log.options().capacity(15).create(place.shm, Peer.numbers()));
        Log.unlink(place.shm);
        refused(Code.NOT_FOUND, () -> Log.unlink(place.shm));
    }

    @Test
    void slots_beyond_two_gigabytes_and_across_a_window_are_read_and_written() throws IOException {
        Path file = place.file("large.log");
        long capacity = 1 << 18; // slots of 12288 bytes: 3 GiB, sparse
        Log.options().capacity(2).create(file, Schema.of("a:u64,text:text9000")).close();
        try (var sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(Layout.fileLength(capacity, 12288, 0));
        }
        scribble(file, Layout.CAPACITY, capacity);
        for (long window = 1; window <= 2; window++) {
            long at = ((window << 30) - 0x2000) / 12288; // the slot that the window ends in
            scribble(file, 0, at);
            scribble(file, 0x2000 + (at - 1) * 12288, at);
            String text = "x".repeat(8999) + window;
            try (Log log = Log.open(file); Writer writer = log.writer(); Observer observer = log.observe(Start.NEWEST)) {
                assertEquals(at, writer.position());
                writer.append(writer.row().set("a", at).set("text", text));
                Entry entry = observer.poll().entry();
                assertEquals(text, entry.getText("text"));
                assertEquals(at, entry.getLong("a"));
            }
        }
    }

    @Test
    void a_body_across_a_window_is_read_and_written() throws IOException {
        Path file = place.file("large.log");
        long arena = 1L << 31; // sparse
        Log.options().capacity(2).arena(4096).create(file, Schema.of("body:bytes")).close();
        try (var sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(Layout.fileLength(2, 128, arena));
        }
        scribble(file, Layout.ARENA_SIZE, arena);
        for (long window = 1; window <= 2; window++) {
            scribble(file, Layout.HORIZON, (window << 30) - 0x3000 - 64);
            byte[] body = new byte[1000];
            new java.util.Random(window).nextBytes(body);
            try (Log log = Log.open(file); Writer writer = log.writer(); Observer observer = log.observe(Start.NEWEST)) {
                writer.append(writer.row().body(body));
                assertArrayEquals(body, observer.poll().entry().body());
                assertTrue(refused(Code.INVALID, () -> writer.append(Big.row(writer, (1 << 30) + 1))).contains("half of the arena"));
            }
        }
    }

    @Test
    void a_log_that_was_made_again_is_not_claimed() throws IOException {
        try (Log log = make()) {
            Files.delete(place.shmFile());
            assertTrue(refused(Code.NOT_FOUND, log::writer).contains("open it anew"));
            try (Log other = make()) {
                assertTrue(refused(Code.NOT_FOUND, () -> log.reader(0)).contains("open it anew"));
                other.writer().close();
            }
        }
    }

    /** A body that is longer than memory would hold: only its length is looked at. */
    private static final class Big {
        static Row row(Writer writer, int length) {
            Row row = writer.row();
            row.bodyLength = length;
            return row;
        }
    }
}
