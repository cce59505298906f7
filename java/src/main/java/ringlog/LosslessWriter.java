package ringlog;

import static ringlog.Layout.*;

import java.time.Duration;
import java.util.List;

/** The writer of a lossless log: it overwrites nothing that one of the log's gates has not committed. */
public final class LosslessWriter extends Appender {
    /** What {@link #tryAppend} returns where there is no room. */
    public static final long FULL = -1;

    private static final long SLEEP_NS = 1_000_000;

    /** It appends below this position without a look at a reader. */
    private long limit;
    /** The gate that is furthest behind, and how far its pointer is, at the last look. */
    private int hindmost = -1;
    private long least;
    /** The first body in the arena that a gate has not committed is of no entry before this one. */
    private long scanned;
    /** Where that body is; -1: there is none. */
    private long floor = -1;
    private long waitingSinceNs;

    LosslessWriter(Segment segment) {
        super(segment);
        limit = 0;
    }

    /** Computes up to where no gate is in the way. */
    private void look() {
        long capacity = header.capacity();
        long next = position();
        least = next;
        hindmost = -1;
        Locks locks = null;
        for (int id = 0; id < READERS; id++) {
            if ((header.gates() >> id & 1) == 0 || words.relaxed(readerLine(id) + READER_WAIVED) != 0) {
                continue;
            }
            long pointer = words.acquire(readPointer(id)); // with the gate's commit: it is done with the slots
            pointer = Long.compareUnsigned(pointer, next) > 0 ? next : Math.max(pointer, header.base());
            if (pointer >= least && hindmost >= 0) {
                continue;
            }
            if (pointer + capacity <= next && header.skipsAbsent()
                    && words.relaxed(readerLine(id) + READER_ATTACHED_NS) != 0) {
                locks = locks == null ? new Locks() : locks;
                if (!segment.isReaderClaimed(locks, id)) {
                    continue;
                }
            }
            least = pointer;
            hindmost = id;
        }
        limit = least + capacity;
    }

    /** Returns up to where no gate is in the way now. */
    long limit() {
        look();
        return limit;
    }

    /** Finds the first body in the arena that a gate has not committed. */
    private void lookAtArena() {
        look();
        long next = position();
        scanned = Math.max(scanned, least);
        floor = -1;
        for (; scanned < next; scanned++) {
            floor = ring.bodyPlace(scanned);
            if (floor >= 0) {
                return;
            }
        }
    }

    @Override
    long room(Row row) {
        long clearTo = roomNow(row);
        if (clearTo >= 0 && waitingSinceNs != 0) {
            waitingSinceNs = 0;
            words.release(WRITER_WAITING_FOR, 0);
        }
        return clearTo;
    }

    private long roomNow(Row row) {
        if (position() >= limit) {
            look();
            if (position() >= limit) {
                return -1;
            }
        }
        if (header.arenaSize() == 0 || !isLong(row.bodyLength)) {
            return Long.MAX_VALUE;
        }
        if (isUsed()) {
            lookAtArena();
            if (floor < 0) {
                beginAnew();
            }
        }
        long end = placeFor(row.bodyLength) + roundUp(row.bodyLength, 8);
        if (floor < 0 || end > floor + header.arenaSize()) {
            lookAtArena();
        }
        if (floor < 0) {
            return Long.MAX_VALUE;
        }
        return end <= floor + header.arenaSize() ? floor + header.arenaSize() : -1;
    }

    /** Appends an entry if there is room, and returns its position, or {@link #FULL}. Never waits. */
    public long tryAppend(Row row) {
        check(row);
        long clearTo = room(row);
        if (clearTo < 0) {
            return FULL;
        }
        store(row, clearTo);
        publish();
        return position() - 1;
    }

    /** Appends a record if there is room, and returns its position, or {@link #FULL}. Never waits. */
    public <T extends Record> long tryAppend(RecordView<T> view, T record) {
        return tryAppend(rowOf(view, record));
    }

    /** Appends entries as long as there is room, and returns how many. The row is one and the same. */
    public int tryAppendBatch(int count, Filler filler) {
        return batch(count, filler);
    }

    /** Appends records as long as there is room, and returns how many. */
    public <T extends Record> int tryAppendAll(RecordView<T> view, List<T> records) {
        return batch(records.size(), filler(view, records));
    }

    /**
     * Appends an entry, and waits for room, at most for a time; returns its position.
     *
     * @throws FullException if there was none in time, or the thread was interrupted; it says which reader
     */
    public long append(Row row, Duration timeout) {
        long position = tryAppend(row);
        if (position != FULL) {
            return position;
        }
        var idle = new Idle(Idle.nanos(timeout), SLEEP_NS);
        while (idle.rest()) {
            position = tryAppend(row);
            if (position != FULL) {
                return position;
            }
            if (idle.isLong()) {
                sayThatItWaits();
            }
        }
        throw full();
    }

    /** Appends a record, and waits for room, at most for a time; as {@link #append(Row, Duration)}. */
    public <T extends Record> long append(RecordView<T> view, T record, Duration timeout) {
        return append(rowOf(view, record), timeout);
    }

    private void sayThatItWaits() {
        if (waitingSinceNs == 0) {
            waitingSinceNs = Host.wallNs();
            words.release(WRITER_WAITING_SINCE_NS, waitingSinceNs);
            words.release(WRITER_WAITING_FOR, 1 + hindmost);
        }
    }

    private FullException full() {
        long line = readerLine(hindmost);
        String state;
        if (segment.isReaderClaimed(new Locks(), hindmost)) {
            state = " and alive, as process " + Long.toUnsignedString(words.relaxed(line + READER_PID));
        } else if (words.relaxed(line + READER_ATTACHED_NS) == 0) {
            state = ", for it has never come; start it (reporter " + hindmost
                    + "), or let it off for good (ringlog reader " + hindmost + " release)";
        } else {
            state = " and gone; start it again (reporter " + hindmost
                    + "), or let it off for good (ringlog reader " + hindmost + " release)";
        }
        return new FullException(segment.name(), hindmost, position() - least, state);
    }
}
