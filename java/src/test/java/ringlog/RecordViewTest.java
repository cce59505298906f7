package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.Place.refused;

import java.math.BigDecimal;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Entries as records, and schemas. */
class RecordViewTest {
    record Trade(Instant time, @Typed("text8") String symbol, @Typed("decimal4") BigDecimal price, @Typed("u32") long size,
            int lots, boolean isBid, double ratio, float small, @Typed("u64") long orderId) {}

    record Event(long id, @Typed("json") String payload) {}

    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    @Test
    void a_record_comes_back_as_it_was() {
        Schema schema = Schema.of(Trade.class);
        assertEquals("time timestamp 0\nsymbol text8 8\nprice decimal4 16\nsize u32 24\nlots i32 28\nis_bid bool 32\n"
                + "ratio f64 40\nsmall f32 48\norder_id u64 56\n", schema.text());
        try (Log log = Log.create(place.shm, schema); Writer writer = log.writer(); Reader reader = log.reader(0)) {
            RecordView<Trade> view = log.view(Trade.class);
            var trade = new Trade(Instant.ofEpochSecond(1, 2), "AAPL", new BigDecimal("189.4500"), 100, -3, true, 0.5, 0.25f, 7);
            writer.append(view, trade);
            writer.appendAll(view, List.of(trade, trade));
            assertEquals(trade, view.read(reader.poll().entry()));
            assertEquals(2, reader.poll().position() + 1);
            assertEquals(trade, view.read(reader.poll().entry()));
        }
    }

    @Test
    void a_body_is_a_component() {
        try (Log log = Log.create(place.shm, Schema.of(Event.class)); Writer writer = log.writer()) {
            RecordView<Event> view = log.view(Event.class);
            writer.append(view, new Event(7, "{}"));
            assertEquals(new Event(7, "{}"), view.read(log.observe(Start.OLDEST).poll().entry()));
        }
    }

    record Part(long size) {}

    record Wrong(int size) {}

    record Other(long price) {}

    record Tagged(@Typed("u64") long size) {}

    @Test
    void a_view_of_other_columns_is_refused_by_name() {
        try (Log log = Log.create(place.shm, Schema.of("time:timestamp,size:u32")); Writer writer = log.writer()) {
            writer.append(writer.row().set("size", 5));
            Entry entry = log.observe(Start.OLDEST).poll().entry();
            assertEquals(new Part(5), log.view(Part.class).read(entry));
            assertTrue(refused(Code.INVALID, () -> log.view(Wrong.class)).contains("u32, which int is not"));
            assertTrue(refused(Code.INVALID, () -> log.view(Other.class)).contains("there are time, size"));
            assertTrue(refused(Code.INVALID, () -> log.view(Tagged.class)).contains("u32"));
            try (Place elsewhere = new Place(); Log other = Log.create(elsewhere.shm, Schema.of("size:u32,a:u8"))) {
                assertTrue(refused(Code.INVALID, () -> other.view(Part.class).read(entry)).contains("another log"));
                assertTrue(refused(Code.INVALID, () -> writer.append(other.writer().row())).contains("another log"));
            }
        }
    }

    @Test
    void what_is_no_schema_is_refused_by_name() {
        for (String text : List.of("", "a", "a:u9", "a:u8,a:u8", "seq:u8", "1a:u8", "a:text0", "a:text65536", "a:decimal19",
                "a:text08", "b:bytes,a:u8", "a:u8:u8", "é:u8")) {
            refused(Code.INVALID, () -> Schema.of(text));
        }
        assertEquals("a u8 0\nb u64 8\nc bytes 16\n", Schema.of("a:u8, b:u64, c:bytes").text());
    }
}
