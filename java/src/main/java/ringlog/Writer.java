package ringlog;

import java.util.List;

/**
 * The writer of a log that overwrites: an append never waits, whatever readers do.
 */
public final class Writer extends Appender {
    Writer(Segment segment) {
        super(segment);
    }

    @Override
    long room(Row row) {
        return Long.MAX_VALUE;
    }

    /**
     * Appends an entry, and returns its position.
     *
     * @throws RinglogException if the row is another log's, or its body longer than half of the arena
     */
    public long append(Row row) {
        check(row);
        store(row, Long.MAX_VALUE);
        publish();
        return position() - 1;
    }

    /** Appends a record, and returns its position. */
    public <T extends Record> long append(RecordView<T> view, T record) {
        return append(rowOf(view, record));
    }

    /**
     * Appends entries, and returns the position of the first; the write pointer is stored once for up to half
     * the capacity of them. The row is one and the same: a filler sets all that differs. If the filler throws,
     * the entries before are appended.
     */
    public long appendBatch(int count, Filler filler) {
        long first = position();
        batch(count, filler);
        return first;
    }

    /** Appends records as a batch, and returns the position of the first. */
    public <T extends Record> long appendAll(RecordView<T> view, List<T> records) {
        return appendBatch(records.size(), filler(view, records));
    }
}
