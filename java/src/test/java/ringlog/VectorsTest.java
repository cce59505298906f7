package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.LogTest.scribble;
import static ringlog.Place.refused;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The logs in testdata, which the tests of every language read. */
class VectorsTest {
    private static final Path VECTORS = Path.of("../testdata");
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    private static JsonElement json(String name) {
        return JsonParser.parseString(Place.text(VECTORS.resolve(name)));
    }

    /** Copies a vector, as one of this boot unless it is one of another. */
    private Path copy(String name, boolean isOtherBoot) throws IOException {
        Path copy = Files.createTempDirectory(place.directory, "vector").resolve(name);
        Files.copy(VECTORS.resolve(name), copy);
        if (!isOtherBoot) {
            scribble(copy, Layout.WRITER_BOOT_ID, Host.BOOT_ID[0]);
            scribble(copy, Layout.WRITER_BOOT_ID + 8, Host.BOOT_ID[1]);
        }
        return copy;
    }

    @TestFactory
    List<DynamicTest> each_vector_is_read_as_it_says() throws IOException {
        var tests = new ArrayList<DynamicTest>();
        try (var files = Files.list(VECTORS)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString().replaceAll("\\.json$", "");
                boolean isVector = file.toString().endsWith(".json") && Files.exists(VECTORS.resolve(name));
                if (isVector) {
                    tests.add(DynamicTest.dynamicTest(name, () -> check(name, json(name + ".json").getAsJsonObject())));
                }
            }
        }
        assertTrue(tests.size() >= 15, "too few vectors: " + tests.size());
        return tests;
    }

    private void check(String name, JsonObject due) throws IOException {
        boolean isOtherBoot = due.get("another_boot").getAsBoolean();
        Path file = copy(name, isOtherBoot);
        try (Log log = Log.open(file)) {
            Words words = log.segment().reading();
            checkHeader(log, due.getAsJsonObject("header"), due.get("schema").getAsString());
            checkColumns(log.schema(), due);
            JsonObject writer = due.getAsJsonObject("writer");
            assertEquals(writer.get("epoch").getAsLong(), log.epoch());
            assertEquals(writer.get("open").getAsBoolean(), words.relaxed(Layout.WRITER_STATE) == 1);
            assertEquals(writer.get("pid").getAsLong(), words.relaxed(Layout.WRITER_PID));
            if (!writer.get("waiting_for").isJsonNull()) { // a writer that was killed does not wait
                assertEquals(1 + writer.get("waiting_for").getAsLong(), words.relaxed(Layout.WRITER_WAITING_FOR));
            }
            long end = due.get("end").getAsLong();
            assertEquals(end, log.end());
            var ring = new Ring(words, log.segment().header());
            long begun = ring.stamp(end) == (Ring.WRITING | end) ? end : -1;
            assertEquals(due.get("unfinished").isJsonNull() ? -1 : due.get("unfinished").getAsLong(), begun);
            checkEvents(log, due.getAsJsonArray("events"));
            if (!due.get("limit").isJsonNull()) {
                try (Log other = Log.open(copy(name, false)); LosslessWriter lossless = other.losslessWriter()) {
                    assertEquals(due.get("limit").getAsLong(), lossless.limit());
                }
            }
            assertEquals(due.get("limit").isJsonNull(), !log.isLossless());
            checkReaders(log, due.getAsJsonArray("readers"));
        }
    }

    private static void checkHeader(Log log, JsonObject due, String schema) {
        Header header = log.segment().header();
        assertEquals(schema, log.schema().text());
        assertEquals(due.get("capacity").getAsLong(), header.capacity());
        assertEquals(due.get("slot_size").getAsLong(), header.slotSize());
        assertEquals(due.get("entry_size").getAsInt(), header.entrySize());
        assertEquals(due.get("arena_size").getAsLong(), header.arenaSize());
        assertEquals(due.get("inline_size").getAsInt(), header.inlineSize());
        assertEquals(due.get("absent").getAsInt() == 1, header.skipsAbsent());
        assertEquals(due.get("role").getAsInt(), header.role());
        assertEquals(due.get("members").getAsInt(), header.members());
        assertEquals(due.get("base").getAsLong(), header.base());
        assertEquals(due.get("created_ns").getAsLong(), header.createdNs());
        assertEquals(due.get("log_id").getAsString(), log.id());
        var gates = new ArrayList<Integer>();
        due.getAsJsonArray("gates").forEach(gate -> gates.add(gate.getAsInt()));
        assertEquals(gates, log.gates());
    }

    private static void checkColumns(Schema schema, JsonObject due) {
        var columns = due.getAsJsonArray("columns");
        assertEquals(columns.size(), schema.columns().size());
        for (int i = 0; i < columns.size(); i++) {
            JsonObject one = columns.get(i).getAsJsonObject();
            Column column = schema.columns().get(i);
            assertEquals(one.get("name").getAsString(), column.name());
            assertEquals(one.get("type").getAsString(), column.typeName());
            assertEquals(one.get("offset").getAsInt(), column.offset());
        }
        if (due.get("body").isJsonNull()) {
            assertNull(schema.bodyKind());
        } else {
            assertEquals(due.getAsJsonObject("body").get("type").getAsString(), schema.bodyKind());
            assertEquals(due.getAsJsonObject("body").get("name").getAsString(), schema.bodyName());
        }
    }

    private static void checkEvents(Log log, JsonArray events) {
        try (Observer observer = log.observe(Start.at(0))) {
            Poll poll = observer.poll();
            for (int i = 0; i < events.size(); i++) {
                JsonObject due = events.get(i).getAsJsonObject();
                if (due.has("lost")) {
                    assertEquals(due.getAsJsonArray("lost").get(0).getAsLong(), poll.position());
                    long to = due.getAsJsonArray("lost").get(1).getAsLong();
                    while (i + 1 < events.size() && events.get(i + 1).getAsJsonObject().has("lost")) {
                        to = events.get(++i).getAsJsonObject().getAsJsonArray("lost").get(1).getAsLong();
                    }
                    while (poll.kind() == Poll.Kind.LOST && poll.next() <= to) {
                        poll = observer.poll();
                    }
                    assertEquals(to, poll.position());
                    continue;
                }
                assertEquals(Poll.Kind.ENTRY, poll.kind(), due::toString);
                assertEquals(due.get("position").getAsLong(), poll.position());
                Entry entry = poll.entry();
                assertArrayEquals(Base64.getDecoder().decode(due.get("record").getAsString()), entry.bytes());
                if (due.has("body")) {
                    assertArrayEquals(Base64.getDecoder().decode(due.get("body").getAsString()), entry.body());
                }
                checkFields(entry, due.getAsJsonArray("fields"));
                poll = observer.poll();
            }
            assertEquals(Poll.Kind.EMPTY, poll.kind(), poll::toString);
        }
    }

    private static void checkFields(Entry entry, JsonArray fields) {
        for (int i = 0; i < fields.size(); i++) {
            String due = fields.get(i).getAsString();
            Column column = entry.schema().columns().get(i);
            switch (column.type()) {
                case TEXT -> assertEquals(due, entry.getText(column));
                case DECIMAL -> assertEquals(due, entry.getDecimal(column).toPlainString());
                case BOOL -> assertEquals(due, "" + entry.getBoolean(column));
                case U64 -> assertEquals(due, Long.toUnsignedString(entry.getLong(column)));
                case F32 -> assertEquals(Float.parseFloat(number(due)), entry.getFloat(column));
                case F64 -> assertEquals(Double.parseDouble(number(due)), entry.getDouble(column));
                default -> assertEquals(due, "" + entry.getLong(column));
            }
        }
    }

    private static String number(String text) {
        return text.replace("inf", "Infinity");
    }

    private static void checkReaders(Log log, JsonArray readers) {
        var known = new HashSet<Integer>();
        for (JsonElement each : readers) {
            JsonObject due = each.getAsJsonObject();
            int id = due.get("id").getAsInt();
            known.add(id);
            Words words = log.segment().reading();
            long line = Layout.readerLine(id);
            assertEquals(due.get("open").getAsBoolean(), words.relaxed(line + Layout.READER_STATE) == 1);
            assertEquals(due.get("let_off").getAsBoolean(), words.relaxed(line + Layout.READER_WAIVED) == 1);
            try (Reader reader = log.reader(id)) {
                assertEquals(due.get("position").getAsLong(), reader.committed(), "reader " + id);
                assertEquals(due.get("position").getAsLong(), reader.position());
                assertEquals(due.get("lost").getAsLong(), reader.lost());
                assertEquals(due.get("laps").getAsLong(), reader.losses());
                long taken = due.get("calls_taken").getAsLong();
                assertEquals(taken, words.relaxed(line + Layout.READER_CALLS_TAKEN));
                Set<Long> open = new HashSet<>();
                for (long p = reader.committed(); p < reader.callsTaken(); p++) {
                    if ((reader.callsAnswered() >> p & 1) == 0) {
                        open.add(p);
                    }
                }
                Set<Long> opened = new HashSet<>();
                due.getAsJsonArray("calls_open").forEach(p -> opened.add(p.getAsLong()));
                assertEquals(opened, open);
            }
        }
        for (int id = 0; id < Layout.READERS; id++) {
            if (!known.contains(id)) {
                try (Reader reader = log.reader(id)) {
                    assertEquals(log.oldest(), reader.position(), "no process has been reader " + id);
                    assertEquals(0, reader.lost());
                }
            }
        }
    }

    @TestFactory
    List<DynamicTest> each_log_that_no_program_may_open_is_refused() {
        var tests = new ArrayList<DynamicTest>();
        for (JsonElement each : json("refused.json").getAsJsonArray()) {
            JsonObject one = each.getAsJsonObject();
            tests.add(DynamicTest.dynamicTest(one.get("why").getAsString(), () -> {
                Path file = copy(one.get("of").getAsString(), false);
                Log.open(file).close(); // without what follows, it is one
                for (JsonElement store : one.getAsJsonArray("store")) {
                    BigInteger word = store.getAsJsonObject().get("word").getAsBigInteger();
                    scribble(file, store.getAsJsonObject().get("at").getAsLong(), word.longValue());
                }
                if (!one.get("length").isJsonNull()) {
                    try (var cut = new RandomAccessFile(file.toFile(), "rw")) {
                        cut.setLength(one.get("length").getAsLong());
                    }
                }
                refused(Code.UNUSABLE, () -> Log.open(file));
            }));
        }
        return tests;
    }
}
