package ringlog;

import static ringlog.Layout.*;

import java.lang.invoke.VarHandle;
import java.nio.channels.FileLock;
import java.util.List;

/** What the writers of all logs have in common: the claim, the slots and the arena. A thread at a time uses it. */
public abstract class Appender implements AutoCloseable {
    /** Sets the row of one entry of a batch. */
    @FunctionalInterface
    public interface Filler {
        /** Sets the row to the entry of this index. */
        void fill(Row row, int index);
    }

    /** A gate has had the arena, and this much of it is used: it is begun anew, while it is warm. */
    private static final long ANEW = 16 << 10;

    final Segment segment;
    final Header header;
    final Words words;
    final Ring ring;
    private final FileLock claim;
    private final Row row;
    private final int columnsSize;
    private final boolean hasBody;
    private long next;
    /** Where in the arena the next body may begin. */
    private long place;
    /** Bodies go below this. */
    private long cleared;
    /** Where the arena was begun anew last. */
    private long began;
    private boolean isClosed;

    Appender(Segment segment) {
        this.segment = segment.retain();
        header = segment.header();
        columnsSize = (int) roundUp(header.columnsSize(), 8);
        hasBody = header.arenaSize() != 0;
        row = new Row(header.schema());
        FileLock taken = null;
        try {
            taken = segment.claim(WRITE_PTR, "the writer", WRITER_PID);
            words = segment.writing();
            ring = new Ring(words, header);
            attach();
        } catch (RuntimeException e) {
            if (taken != null) {
                segment.unclaim(taken);
            }
            segment.release();
            throw e;
        }
        claim = taken;
    }

    /** Goes on where the log ends, and says which process is here now. */
    private void attach() {
        Host.checkBootId();
        next = ring.end();
        words.release(WRITE_PTR, next);
        if (ring.endBySlots() != next) {
            words.release(ring.slot(next), Ring.WRITING | next);
        }
        if (hasBody) {
            attachArena();
        }
        words.release(WRITER_PID_NS, 0);
        words.release(WRITER_PID, Host.PID);
        words.release(WRITER_PID_NS, Host.PID_NS);
        words.release(WRITER_ATTACHED_NS, Host.wallNs());
        words.release(WRITER_HEARTBEAT_NS, 0);
        words.release(WRITER_WAITING_FOR, 0);
        words.release(WRITER_STATE, 1);
        words.release(WRITER_EPOCH, words.relaxed(WRITER_EPOCH) + 1);
        words.release(WRITER_BOOT_ID, Host.BOOT_ID[0]);
        words.release(WRITER_BOOT_ID + 8, Host.BOOT_ID[1]);
        wake();
    }

    /** Finds the place above all bodies; what another boot may have left in parts is taken out. */
    private void attachArena() {
        boolean isOtherBoot = ring.isOtherBoot();
        long synced = words.relaxed(WRITER_SYNCED);
        cleared = words.relaxed(HORIZON) + header.arenaSize();
        place = cleared;
        for (long slot = 0; slot < header.capacity(); slot++) {
            long position = ring.entryIn(slot);
            long end = position < 0 ? -1 : ring.bodyEnd(position);
            if (end >= 0 && isOtherBoot && Long.compareUnsigned(position, synced) >= 0) {
                words.release(ring.slot(slot), 0);
            } else if (end > place) {
                place = end;
            }
        }
        if (place > cleared) {
            clear(place);
        }
        place = roundUp(place, 64);
        began = place;
    }

    private void clear(long to) {
        words.relaxed(HORIZON, to - header.arenaSize());
        VarHandle.releaseFence(); // before the bytes: a reader that copies one of them sees the horizon
        cleared = to;
    }

    /** Returns the columns of the log. */
    public Schema schema() {
        return header.schema();
    }

    /** Returns a row of this log's columns, to be set and appended. */
    public Row row() {
        return new Row(header.schema());
    }

    /** Returns the position of the next entry. */
    public long position() {
        return next;
    }

    /** Returns which writer of the log it is, counted from 1. */
    public long epoch() {
        return words.relaxed(WRITER_EPOCH);
    }

    /**
     * Wakes readers that sleep until they are woken: after an append, or a burst of them. Takes Java 22 and
     * {@code --enable-native-access}; without these it does nothing, and such readers look by themselves, each after
     * the time that it sleeps at most.
     */
    public void wake() {
        if (Futex.isThere()) {
            VarHandle.fullFence(); // with a reader's before it looks again: it sees the entry, or is seen here
            long sleepers = words.relaxed(SLEEPERS);
            if ((sleepers & 1) == 1) {
                words.relaxed(SLEEPERS, sleepers + 1);
                words.wake(SLEEPERS);
            }
        }
    }

    /** Says that the engine lives, for people: {@code ringlog stat} tells how long ago that was. */
    public void heartbeat() {
        words.release(WRITER_HEARTBEAT_NS, Host.wallNs());
    }

    /**
     * Has all that is appended written to the disk, of a log that is a file; in shared memory it costs little
     * and does nothing.
     */
    public void sync() {
        words.force(0, fileLength(header.capacity(), header.slotSize(), header.arenaSize()));
        if (hasBody) {
            words.release(WRITER_SYNCED, next);
            words.force(0, HEADER_SIZE);
        }
    }

    /** Returns the row of a record. */
    <T extends Record> Row rowOf(RecordView<T> view, T record) {
        view.write(record, row);
        return row;
    }

    Row ownRow() {
        return row;
    }

    void check(Row row) {
        if (isClosed) {
            throw new IllegalStateException(segment.name() + ": the writer is closed; open it again");
        }
        if (row.schema() != header.schema() && !row.schema().equals(header.schema())) {
            throw RinglogException.invalid("a row of another log: " + header.schema().difference(row.schema()));
        }
        if (hasBody && row.bodyLength > header.arenaSize() / 2) {
            throw RinglogException.invalid(segment.name() + ": a body of " + row.bodyLength + " bytes is longer than "
                    + header.arenaSize() / 2 + ", half of the arena; make the log with a larger one");
        }
    }

    /** Returns whether a body of so many bytes goes into the arena. */
    boolean isLong(int length) {
        return length > header.inlineSize();
    }

    /** Returns where in the arena a body of so many bytes goes. */
    long placeFor(int length) {
        long size = header.arenaSize();
        long begin = roundUp(place, 64);
        return (begin & (size - 1)) + roundUp(length, 8) > size ? roundUp(begin, size) : begin;
    }

    /** Returns whether so much of the arena is used that it is worth the look whether it is free. */
    boolean isUsed() {
        return place - began >= ANEW;
    }

    /** Begins the arena anew: no gate needs any of it. */
    void beginAnew() {
        place = roundUp(place, header.arenaSize());
        began = place;
    }

    /** Stores the entry at the next position, without the write pointer; clears the arena to at most a place. */
    void store(Row row, long clearTo) {
        long position = next;
        long at = ring.slot(position);
        long body = hasBody && isLong(row.bodyLength) ? storeBody(row, clearTo) : -1;
        words.release(at, Ring.WRITING | position);
        VarHandle.releaseFence(); // before the words: a reader that copies a newer one sees a newer stamp
        words.copyIn(at + 8, row.record, 0, columnsSize);
        if (hasBody) {
            long head = at + 8 + columnsSize;
            if (body >= 0) {
                words.relaxed(head, Ring.WRITING | row.bodyLength);
                words.relaxed(head + 8, body);
            } else {
                words.relaxed(head, row.bodyLength);
                words.copyIn(head + 8, row.body, row.bodyAt, row.bodyLength);
            }
        }
        words.release(at, position + 1); // with the first look of a reader
        next = position + 1;
    }

    private long storeBody(Row row, long clearTo) {
        long size = header.arenaSize();
        long body = placeFor(row.bodyLength);
        long end = body + roundUp(row.bodyLength, 8);
        if (end > cleared) {
            if (words.relaxed(WRITER_SYNCED) != 0) {
                words.release(WRITER_SYNCED, 0); // what is on the disk is about to be overwritten
                words.force(0, HEADER_SIZE);
            }
            clear(Math.max(end, Math.min(end + size / 16, clearTo)));
        }
        words.copyIn(header.arenaAt() + (body & (size - 1)), row.body, row.bodyAt, row.bodyLength);
        place = end;
        return body;
    }

    void publish() {
        words.release(WRITE_PTR, next);
    }

    /** Appends entries while there is room, and publishes at most half the capacity of them at a time. */
    int batch(int count, Filler filler) {
        int done = 0;
        try {
            for (; done < count; done++) {
                filler.fill(row, done);
                check(row);
                long clearTo = room(row);
                if (clearTo < 0) {
                    break;
                }
                store(row, clearTo);
                if ((done + 1 & header.capacity() / 2 - 1) == 0) {
                    publish();
                }
            }
        } finally {
            publish(); // also if the filler throws: what it filled before is appended
        }
        return done;
    }

    /** Returns up to which place the arena may be cleared for a row; negative if there is no room. */
    abstract long room(Row row);

    static <T extends Record> Filler filler(RecordView<T> view, List<T> records) {
        return (row, index) -> view.write(records.get(index), row);
    }

    /** Says that the log is closed in order, and gives the claim back. */
    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            words.release(WRITER_STATE, 0);
            segment.unclaim(claim);
            segment.release();
        }
    }
}
