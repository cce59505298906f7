package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.Place.kill;
import static ringlog.Place.refused;
import static ringlog.Place.until;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Beside the Rust programs: the same log, claims and places, and kills of each side. */
class LiveTest {
    private final Place place = new Place();

    @BeforeEach
    void needsPrograms() {
        Place.needsPrograms();
    }

    @AfterEach
    void removeAll() {
        place.close();
    }

    private Log awaitLog() {
        until("the writer's log", () -> Files.exists(place.shmFile()));
        return Log.open(place.shm);
    }

    /** An entry as the reporter writes it. */
    private static String row(Poll poll) {
        var row = new StringBuilder().append(poll.position());
        Entry entry = poll.entry();
        for (Column column : entry.schema().columns()) {
            row.append(',').append(switch (column.type()) {
                case TEXT -> entry.getText(column);
                case DECIMAL -> entry.getDecimal(column).toPlainString();
                case F32, F64 -> entry.getDouble(column);
                case BOOL -> entry.getBoolean(column);
                case U64 -> Long.toUnsignedString(entry.getLong(column));
                default -> entry.getLong(column);
            });
        }
        return row.toString();
    }

    private List<String> dump() {
        return place.run("ringlog", "dump", place.shm, "--output", "csv").lines().skip(1).toList();
    }

    @Test
    void a_live_writer_is_followed_entry_by_entry() {
        long count = 200_000;
        Process writer = place.start("writer", "--shm", place.shm, "--capacity", "256k", "--rate", count, "--count", count);
        try (Log log = awaitLog(); Reader reader = log.reader(4); Observer observer = log.observe(Start.at(0))) {
            var rows = new ArrayList<String>();
            long observed = 0;
            while (reader.position() < count) {
                Poll poll = reader.poll(Place.PATIENCE);
                assertEquals(Poll.Kind.ENTRY, poll.kind(), poll::toString);
                assertEquals(rows.size(), poll.position());
                rows.add(row(poll));
                if (rows.size() % 1000 == 0) {
                    reader.commit();
                }
                for (Poll seen : observer) {
                    assertEquals(observed, seen.position());
                    observed = seen.next();
                }
            }
            reader.commit();
            assertEquals(0, reader.lost());
            assertEquals(0, place.end(writer).code());
            assertEquals(count, observer.poll().position());
            List<String> dumped = dump();
            for (int i = 0; i < count; i++) {
                assertEquals(dumped.get(i), rows.get(i));
            }
        }
    }

    @Test
    void a_reader_that_is_lapped_counts_as_the_programs_do() {
        Process writer = place.start("writer", "--shm", place.shm, "--capacity", "64", "--rate", "max", "--count", 3_000_000);
        try (Log log = awaitLog(); Reader reader = log.reader(5)) {
            long entries = 0;
            while (reader.position() < 3_000_000) {
                Poll poll = reader.poll(Place.PATIENCE);
                entries += poll.kind() == Poll.Kind.ENTRY ? 1 : 0;
                assertNotEquals(Poll.Kind.EMPTY, poll.kind());
                if (entries % 16 == 0) {
                    reader.commit();
                }
            }
            reader.commit();
            assertEquals(0, place.end(writer).code());
            assertTrue(reader.lost() > 0, "it was to be lapped");
            long began = log.segment().reading().relaxed(Layout.readerLine(5) + Layout.READER_BEGAN);
            assertEquals(3_000_000, began + entries + reader.lost());
            String stat = place.run("ringlog", "stat", place.shm, "--json");
            assertTrue(stat.contains("\"lost\":" + reader.lost()), reader.lost() + " in " + stat);
            String verified = place.run("ringlog", "verify", place.shm);
            assertFalse(verified.contains("damage:"), verified);
        }
    }

    @Test
    void claims_exclude_each_other_both_ways() {
        Process writer = place.start("writer", "--shm", place.shm, "--rate", "1000");
        try (Log log = awaitLog()) {
            until("the writer's claim", log::hasWriter);
            until("the writer's name", () -> log.epoch() > 0);
            assertTrue(refused(Code.CLAIMED, log::writer).contains("process " + writer.pid()));
            Process reporter = place.start("reporter", 5, "--shm", place.shm);
            until("the reporter's claim", () -> log.hasReader(5));
            refused(Code.CLAIMED, () -> log.reader(5));
            try (Reader reader = log.reader(6)) {
                Place.Ended ended = place.end(place.start("reporter", 6, "--shm", place.shm));
                assertEquals(4, ended.code(), ended.err());
                assertTrue(ended.err().contains("process " + Host.PID), ended.err());
                Place.Ended peer = place.end(place.peer("read", place.shm, 6));
                assertEquals(4, peer.code(), peer.err());
            }
            place.run("reporter", 6, "--shm", place.shm, "--once", "--output", "-");
            kill(reporter);
            assertFalse(log.hasReader(5));
            log.reader(5).close();
            kill(writer);
            assertFalse(log.hasWriter());
            try (Writer own = log.writer()) {
                Place.Ended ended = place.end(place.start("writer", "--shm", place.shm, "--count", 1));
                assertEquals(4, ended.code(), ended.err());
                assertTrue(ended.err().contains("process " + Host.PID), ended.err());
                Place.Ended peer = place.end(place.peer("hold", place.shm, "writer"));
                assertEquals(4, peer.code(), peer.err());
            }
            place.run("writer", "--shm", place.shm, "--count", 1);
        }
    }

    @Test
    void a_claim_of_another_pid_namespace_is_seen() {
        try (Log log = Log.create(place.shm, Peer.numbers()); Writer writer = log.writer()) {
            Place.Ended ended = place.end(place.namespaced("look", place.shm));
            org.junit.jupiter.api.Assumptions.assumeFalse(ended.err().contains("unshare"), () -> "skipped: " + ended.err());
            assertEquals("in the table: false, has a writer: true\n", ended.out(), ended::err);
            assertTrue(refused(Code.CLAIMED, log::writer).contains("the writer"));
        }
    }

    @Test
    void a_read_lock_is_no_claim_and_is_told() throws Exception {
        try (Log log = Log.create(place.shm, Peer.numbers())) {
            // flock(1) takes another kind; python has the one that keeps claims away.
            Process python = new ProcessBuilder("python3", "-c", "import fcntl, sys\n"
                    + "f = open(sys.argv[1], 'rb'); fcntl.lockf(f, fcntl.LOCK_SH); print('held', flush=True); sys.stdin.read()",
                    place.shmFile().toString()).start();
            try {
                assertEquals("held", python.inputReader().readLine());
                assertTrue(refused(Code.CLAIMED, log::writer).contains("read lock"));
                assertFalse(log.hasWriter());
            } finally {
                kill(python);
            }
            log.writer().close();
        } catch (IOException e) {
            org.junit.jupiter.api.Assumptions.abort("python3 is not installed, so a read lock is not tried");
        }
    }

    @Test
    void the_reporter_goes_on_where_java_stopped_and_java_where_it_did() {
        place.run("writer", "--shm", place.shm, "--count", 900, "--rate", "max");
        List<String> dumped = dump();
        try (Log log = Log.open(place.shm)) {
            try (Reader reader = log.reader(1)) {
                for (int i = 0; i < 300; i++) {
                    assertEquals(dumped.get(i), row(reader.poll()));
                }
                reader.commit();
                reader.poll(); // and not committed
            }
            List<String> rows = place.run("reporter", 1, "--shm", place.shm, "--no-wait", "--count", 300, "--output", "-")
                    .lines().filter(line -> !line.startsWith("seq")).toList();
            assertEquals(dumped.subList(300, 600), rows);
            try (Reader reader = log.reader(1)) {
                for (int i = 600; i < 900; i++) {
                    assertEquals(dumped.get(i), row(reader.poll()));
                }
                assertEquals(0, reader.lost());
                assertNull(reader.warning());
                reader.commit();
            }
            // A file that another program wrote is not gone on with, and none of its rows are repeated.
            String once = place.run("reporter", 1, "--shm", place.shm, "--once", "--output", "-");
            assertEquals(0, once.lines().filter(line -> !line.startsWith("seq")).count());
        }
    }

    @Test
    void a_file_of_the_reporter_is_not_gone_on_with_after_java() {
        place.run("writer", "--shm", place.shm, "--count", 900, "--rate", "max");
        place.run("reporter", 1, "--shm", place.shm, "--no-wait", "--count", 300, "--output", "out.csv");
        try (Log log = Log.open(place.shm); Reader reader = log.reader(1)) {
            for (int i = 300; i < 500; i++) {
                assertEquals(i, reader.poll().position());
            }
            reader.commit();
        }
        place.run("reporter", 1, "--shm", place.shm, "--once", "--output", "out.csv");
        List<String> rows = Place.text(place.file("out.csv")).lines().skip(1).toList();
        assertEquals(dump().subList(500, 900), rows);
    }

    @Test
    void a_killed_writer_of_either_language_is_gone_on_behind() {
        Log.options().capacity(1 << 16).create(place.shm, Peer.numbers()).close();
        try (Log log = Log.open(place.shm); Reader reader = log.reader(0)) {
            long end = 0;
            for (int round = 0; round < 3; round++) {
                Process peer = place.peer("write", place.shm, Long.MAX_VALUE / 2);
                long from = end;
                until("entries", () -> log.end() > from + 100_000);
                kill(peer);
                assertFalse(log.hasWriter());
                end = log.end();
                while (reader.position() < end) {
                    Poll poll = reader.poll();
                    assertNotEquals(Poll.Kind.EMPTY, poll.kind());
                    if (poll.kind() == Poll.Kind.ENTRY) {
                        Peer.check(poll.entry(), poll.position());
                    }
                }
                reader.commit();
                try (Writer writer = log.writer()) {
                    assertEquals(end, writer.position());
                    writer.appendBatch(10, (row, i) -> Peer.fill(row, writer.position()));
                }
                end += 10;
                String verified = place.run("ringlog", "verify", place.shm);
                assertTrue(verified.contains("0 damage") || !verified.contains("damage"), verified);
            }
            // And the Rust writer behind a killed one.
            Process peer = place.peer("write", place.shm, Long.MAX_VALUE / 2);
            long from = end;
            until("entries", () -> log.end() > from + 100_000);
            kill(peer);
            end = log.end();
            assertEquals(0, place.end(place.start("writer", "--shm", place.shm, "--input", rows())).code());
            assertEquals(end + 2, log.end());
            List<String> dumped = dump();
            assertEquals(end + ",1,2,3", dumped.get(dumped.size() - 2));
            assertEquals((end + 1) + ",4,5,6", dumped.get(dumped.size() - 1));
        }
    }

    private Path rows() {
        try {
            return Files.writeString(place.file("rows.csv"), "a,b,c\n1,2,3\n4,5,6\n");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void a_killed_rust_writer_is_gone_on_behind_by_java() {
        Process writer = place.start("writer", "--shm", place.shm, "--rate", "max", "--capacity", "64k");
        try (Log log = awaitLog()) {
            until("entries", () -> log.end() > 100_000);
            kill(writer);
            long end = log.end();
            try (Writer own = log.writer()) {
                assertEquals(end, own.position());
                own.append(own.row());
            }
            place.run("ringlog", "verify", place.shm);
            assertEquals(end + ",", dump().get((1 << 16) - 1).substring(0, Long.toString(end).length() + 1));
        }
    }

    @Test
    void a_killed_reader_commits_nothing_that_it_has_not_read() {
        Process writer = place.start("writer", "--shm", place.shm, "--rate", "200k", "--capacity", "1M");
        long last = 0;
        for (int round = 0; round < 3; round++) {
            Process peer = place.peer("read", place.shm, 2);
            until("commits", () -> place.out(peer).lines().count() > 500);
            kill(peer);
            List<String> said = place.out(peer).lines().toList();
            long from = Long.parseLong(said.get(0).substring("from ".length()));
            assertTrue(from >= last, from + " after " + last);
            String end = said.get(said.size() - 1);
            long most = end.startsWith("commit ") && end.length() > 7 ? Long.parseLong(end.substring(7)) : Long.MAX_VALUE;
            try (Log log = Log.open(place.shm); Reader reader = log.reader(2)) {
                assertNull(reader.warning());
                last = reader.committed();
                // It says so and then commits: the last word may not have come to it, and no more than that.
                assertTrue(last == most || last == most - most % 64 || last >= most - 20_000 && last <= most, last + " of " + most);
            }
        }
        kill(writer);
    }

    @Test
    void the_programs_find_a_log_of_java_whole() throws IOException {
        Schema schema = Schema.of("time:timestamp,symbol:text8,price:decimal4,size:u32,payload:json");
        try (Log log = Log.options().capacity(64).arena(1 << 16).create(place.shm, schema); Writer writer = log.writer()) {
            Row row = writer.row();
            var due = new ArrayList<String>();
            for (int i = 0; i < 200; i++) {
                row.set("time", 1_767_225_600_000_000_000L + i).set("symbol", "S" + i).set("price", 10_000 + i).set("size", i);
                String json = "{\"n\":" + i + ",\"t\":\"" + "x".repeat(i) + "\"}";
                writer.append(row.body(json));
                due.add("{\"seq\":" + i + ",\"time\":" + (1_767_225_600_000_000_000L + i) + ",\"symbol\":\"S" + i
                        + "\",\"price\":" + new java.math.BigDecimal(10_000 + i).movePointLeft(4) + ",\"size\":" + i
                        + ",\"payload\":" + json + "}");
            }
            String verified = place.run("ringlog", "verify", place.shm);
            assertFalse(verified.contains("oddit") && !verified.contains("0 oddities"), verified);
            place.run("reporter", 0, "--shm", place.shm, "--once", "--format", "jsonl", "--output", "out.jsonl");
            assertEquals(due.subList(136, 200), Files.readAllLines(place.file("out.jsonl")));
            String stat = place.run("ringlog", "stat", place.shm);
            assertTrue(stat.contains("process " + Host.PID), stat);
        }
        String verified = place.run("ringlog", "verify", place.shm);
        assertTrue(place.run("ringlog", "list").contains(place.shm), verified);
    }

    @Test
    void a_file_goes_from_java_through_a_gate_of_rust_and_the_other_way() {
        try (Log log = Log.options().capacity(64).lossless(0).create(place.shm, Peer.numbers())) {
            Process reporter = place.start("reporter", 0, "--shm", place.shm, "--to-end", "--output", "out.csv");
            Process sender = place.peer("send", place.shm, 20_000);
            until("rows", () -> log.end() > 5000);
            kill(sender);
            Process second = place.peer("send", place.shm, 20_000);
            until("more rows", () -> log.end() > 10_000);
            kill(reporter);
            reporter = place.start("reporter", 0, "--shm", place.shm, "--to-end", "--output", "out.csv");
            assertEquals(0, place.end(second).code(), () -> place.said(second));
            assertEquals(0, place.end(reporter).code());
            List<String> rows = Place.text(place.file("out.csv")).lines().skip(1).toList();
            assertEquals(20_000, rows.size());
            for (int i = 0; i < rows.size(); i++) {
                assertEquals(i + "," + i + "," + Long.toUnsignedString(~(long) i) + "," + i * 31L, rows.get(i));
            }
        }
    }

    @Test
    void java_is_the_gate_of_a_writer_in_rust() {
        Process writer = place.start("writer", "--shm", place.shm, "--wait-for", 0, "--rate", "max", "--count", 20_000,
                "--capacity", 1024);
        try (Log log = awaitLog(); Reader reader = log.reader(0)) {
            while (reader.position() < 20_000) {
                Poll poll = reader.poll(Place.PATIENCE);
                assertEquals(Poll.Kind.ENTRY, poll.kind());
                assertEquals(reader.position() - 1, poll.position());
                reader.releaseWhenDue();
            }
            reader.commit();
            assertEquals(0, reader.lost());
            assertEquals(0, place.end(writer).code());
        }
    }

    @Test
    void a_sleeping_reader_in_rust_sees_what_java_appends() {
        try (Log log = Log.create(place.shm, Peer.numbers()); Writer writer = log.writer()) {
            Process reporter = place.start("reporter", 0, "--shm", place.shm, "--idle", "block", "--count", 1, "--output", "-");
            until("it sleeps", () -> (log.segment().reading().relaxed(0x200) & 1) == 1);
            writer.append(writer.row().set("a", 7));
            assertEquals(0, place.end(reporter).code());
            assertTrue(place.out(reporter).contains("0,7,0,0"), place.said(reporter));
        }
    }

    @Test
    void java_22_wakes_a_reader_that_would_sleep_for_an_hour() {
        Path java = Place.java22();
        try (Log log = Log.create(place.shm, Peer.numbers())) {
            Process reporter = place.start("reporter", 0, "--shm", place.shm, "--idle", "block", "--poll", "1h", "--count", 1,
                    "--output", "-");
            until("it sleeps", () -> (log.segment().reading().relaxed(Layout.SLEEPERS) & 1) == 1);
            Process peer = place.peerOn(java, List.of("--enable-native-access=ALL-UNNAMED"), "wake", place.shm);
            assertEquals(0, place.end(peer).code(), () -> place.said(peer));
            assertEquals("can wake: true\n", place.said(peer)); // and no warning
            assertEquals(0, place.end(reporter).code());
            Process other = place.peerOn(java, List.of(), "wake", place.shm);
            assertEquals(0, place.end(other).code());
            assertEquals("can wake: false\n", place.said(other)); // and no warning: it is not tried
        }
    }

    @Test
    void a_log_that_is_cut_short_ends_no_process_without_a_word() throws IOException {
        try (Log log = Log.options().capacity(1 << 16).create(place.shm, Peer.numbers()); Writer writer = log.writer()) {
            writer.appendBatch(50_000, (row, i) -> Peer.fill(row, i));
        }
        Process peer = place.peer("read", place.shm, 0);
        until("it reads", () -> place.out(peer).contains("commit 50000"));
        try (var file = new java.io.RandomAccessFile(place.shmFile().toFile(), "rw")) {
            file.setLength(8192);
        }
        Place.Ended ended = place.end(peer);
        assertEquals(1, ended.code(), ended.err()); // 134 is a crash
        assertTrue(ended.err().contains("InternalError"), ended.err());
    }

    @Test
    void an_open_of_the_file_elsewhere_drops_the_claims() throws IOException {
        try (Log log = Log.create(place.shm, Peer.numbers()); Reader reader = log.reader(0)) {
            assertTrue(log.hasReader(0));
            Files.readAllBytes(place.shmFile()); // as Log's page says not to do
            assertFalse(new Locks().hold(LogTest.key(place.shmFile()), Layout.readPointer(0)));
        }
    }

    @Test
    void latest_is_whole_beside_a_live_writer() {
        Process writer = place.start("writer", "--shm", place.shm, "--rate", "max", "--capacity", "1M");
        try (Log log = awaitLog(); Observer observer = log.observe(Start.OLDEST)) {
            long before = -1;
            for (int i = 0; i < 10_000; i++) {
                Poll poll = observer.latest();
                assertNotEquals(Poll.Kind.LOST, poll.kind());
                assertTrue(poll.position() >= before);
                before = poll.position();
            }
            observer.poll(Duration.ofMillis(1));
        }
        kill(writer);
    }
}
