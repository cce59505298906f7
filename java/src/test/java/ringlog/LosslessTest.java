package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.Place.refused;

import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Logs whose writer waits. */
class LosslessTest {
    private static final Duration SHORT = Duration.ofMillis(20);
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    private static long append(LosslessWriter writer, Row row) {
        Peer.fill(row, writer.position());
        return writer.tryAppend(row);
    }

    @Test
    void nothing_that_a_gate_has_not_committed_is_overwritten() {
        try (Log log = Log.options().capacity(8).lossless(0, 2).create(place.shm, Peer.numbers());
                LosslessWriter writer = log.losslessWriter()) {
            Row row = writer.row();
            for (int i = 0; i < 8; i++) {
                assertEquals(i, append(writer, row));
            }
            assertEquals(LosslessWriter.FULL, append(writer, row)); // both have never come
            try (Reader zero = log.reader(0); Reader two = log.reader(2)) {
                for (int i = 0; i < 5; i++) {
                    Peer.check(zero.poll().entry(), i);
                }
                zero.commit();
                assertEquals(LosslessWriter.FULL, append(writer, row));
                for (int i = 0; i < 3; i++) {
                    two.poll();
                }
                assertEquals(LosslessWriter.FULL, append(writer, row)); // it has not committed
                two.release();
                for (int i = 0; i < 3; i++) {
                    assertEquals(8 + i, append(writer, row));
                }
                assertEquals(LosslessWriter.FULL, append(writer, row));
                assertEquals(0, zero.lost() + two.lost());
            }
        }
    }

    @Test
    void a_writer_that_finds_no_room_says_which_reader() {
        try (Log log = Log.options().capacity(8).lossless(1).create(place.shm, Peer.numbers());
                LosslessWriter writer = log.losslessWriter()) {
            Row row = writer.row();
            assertEquals(8, writer.tryAppendBatch(20, (r, i) -> Peer.fill(r, i)));
            var full = assertThrows(FullException.class, () -> writer.append(row, SHORT));
            assertTrue(full.getMessage().contains("reader 1") && full.getMessage().contains("never come"), full.getMessage());
            assertEquals(8, full.behind());
            assertEquals(2, log.segment().reading().acquire(Layout.WRITER_WAITING_FOR));
            try (Reader reader = log.reader(1)) {
                full = assertThrows(FullException.class, () -> writer.append(row, SHORT));
                assertTrue(full.getMessage().contains("alive, as process " + Host.PID), full.getMessage());
                reader.poll();
                reader.commit();
                assertEquals(8, writer.append(row, SHORT));
                assertEquals(0, log.segment().reading().acquire(Layout.WRITER_WAITING_FOR));
            }
            full = assertThrows(FullException.class, () -> writer.append(row, SHORT));
            assertTrue(full.getMessage().contains("gone"), full.getMessage());
        }
    }

    @Test
    void a_gate_that_is_gone_is_left_out_where_the_log_says_so() {
        try (Log log = Log.options().capacity(8).lossless(0).skipAbsent().create(place.shm, Peer.numbers());
                LosslessWriter writer = log.losslessWriter()) {
            Row row = writer.row();
            assertEquals(8, writer.tryAppendBatch(20, (r, i) -> Peer.fill(r, i)));
            assertEquals(LosslessWriter.FULL, append(writer, row)); // it has never come
            try (Reader reader = log.reader(0)) {
                reader.poll();
                reader.commit();
                assertEquals(8, append(writer, row));
                assertEquals(LosslessWriter.FULL, append(writer, row));
            }
            assertEquals(9, append(writer, row));
            try (Reader reader = log.reader(0)) {
                assertEquals("lost 1..2", reader.poll().toString());
            }
        }
    }

    @Test
    void a_gate_that_is_let_off_holds_nothing_up() {
        try (Log log = Log.options().capacity(8).lossless(0).create(place.shm, Peer.numbers());
                LosslessWriter writer = log.losslessWriter()) {
            assertEquals(8, writer.tryAppendBatch(20, (r, i) -> Peer.fill(r, i)));
            log.segment().writing().relaxed(Layout.readerLine(0) + Layout.READER_WAIVED, 1);
            assertEquals(100, writer.tryAppendBatch(100, (r, i) -> Peer.fill(r, i)));
        }
    }

    @Test
    void a_pointer_above_the_end_holds_nothing_up() {
        try (Log log = Log.options().capacity(8).lossless(0, 1).create(place.shm, Peer.numbers());
                LosslessWriter writer = log.losslessWriter()) {
            for (long lie : new long[] {1000, -1, Long.MIN_VALUE}) {
                long first = writer.position();
                log.segment().writing().relaxed(Layout.readPointer(0), lie);
                log.segment().writing().relaxed(Layout.readPointer(1), first);
                assertEquals(8, writer.tryAppendBatch(20, (r, i) -> Peer.fill(r, i)));
            }
        }
    }

    @Test
    void the_type_says_which_kind_of_log_it_is() {
        try (Log log = Log.options().capacity(8).lossless(0).create(place.shm, Peer.numbers())) {
            assertTrue(refused(Code.INVALID, log::writer).contains("losslessWriter()"));
            assertEquals(java.util.List.of(0), log.gates());
        }
        try (Place other = new Place(); Log log = Log.create(other.shm, Peer.numbers())) {
            assertTrue(refused(Code.INVALID, log::losslessWriter).contains("writer()"));
        }
    }

    @Test
    void bodies_of_any_sizes_pass_a_gate_that_is_always_behind() {
        Schema schema = Schema.of("id:u64,body:bytes");
        for (int every = 1; every <= 9; every++) {
            try (Place other = new Place();
                    Log log = Log.options().capacity(16).inline(8).arena(1 << 14).lossless(0).create(other.shm, schema);
                    LosslessWriter writer = log.losslessWriter();
                    Reader reader = log.reader(0)) {
                var random = new Random(every);
                Row row = writer.row();
                long read = 0;
                for (int i = 0; i < 3000; i++) {
                    byte[] body = new byte[random.nextInt(3) == 0 ? random.nextInt(8193) : random.nextInt(60)];
                    new Random(i).nextBytes(body);
                    row.set("id", body.length).body(body);
                    while (writer.tryAppend(row) == LosslessWriter.FULL) {
                        Poll poll = reader.poll();
                        assertEquals("entry " + read, poll.toString());
                        byte[] due = new byte[(int) poll.entry().getLong("id")];
                        new Random(read).nextBytes(due);
                        assertArrayEquals(due, poll.entry().body());
                        read++;
                        if (read % every == 0 || reader.position() == writer.position()) {
                            reader.release();
                        }
                    }
                }
                assertEquals(0, reader.lost());
                assertTrue(read > 1500, read + " read");
            }
        }
    }

    @Test
    void the_longest_body_finds_room_from_every_place() {
        Schema schema = Schema.of("body:bytes");
        try (Log log = Log.options().capacity(4).inline(8).arena(4096).lossless(0).create(place.shm, schema);
                LosslessWriter writer = log.losslessWriter();
                Reader reader = log.reader(0)) {
            Row row = writer.row();
            for (int length = 9; length <= 2048; length += 61) {
                assertTrue(writer.tryAppend(row.body(new byte[length])) >= 0);
                assertEquals(length, reader.poll().entry().bodyLength());
                reader.release();
                assertTrue(writer.tryAppend(row.body(new byte[2048])) >= 0, "behind one of " + length);
                assertEquals(2048, reader.poll().entry().bodyLength());
                reader.release();
            }
        }
    }
}
