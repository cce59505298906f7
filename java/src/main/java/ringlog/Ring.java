package ringlog;

import static ringlog.Layout.*;

import java.lang.invoke.VarHandle;

/** The slots of a log: whose entry each holds, how one is read whole, and where the log ends. */
final class Ring {
    /** What a look at a slot said of the entry that was wanted. */
    enum Look {
        /** It is there, and was copied whole. */
        ENTRY,
        /** Nothing is there yet. */
        EMPTY,
        /** The position was published without an entry. */
        HOLE,
        /** A later entry has its slot. */
        PASSED,
        /** No writer stored this stamp. */
        DAMAGED,
        /** It was there, and its body is not, or never was one. */
        GONE
    }

    static final long WRITING = 1L << 63;
    static final long SKIPPED = 1L << 62;

    private final Words words;
    private final Header header;
    private final long mask;
    private final long slotSize;
    private final int columnWords;
    private final int recordWords;

    Ring(Words words, Header header) {
        this.words = words;
        this.header = header;
        mask = header.capacity() - 1;
        slotSize = header.slotSize();
        columnWords = (header.columnsSize() + 7) / 8;
        recordWords = header.arenaSize() == 0 ? columnWords : columnWords + 1;
    }

    Header header() {
        return header;
    }

    Words words() {
        return words;
    }

    /** Returns where the slot of a position begins. */
    long slot(long position) {
        return HEADER_SIZE + (position & mask) * slotSize;
    }

    long stamp(long position) {
        return words.acquire(slot(position));
    }

    /** Returns whether a position is published, and its slot says so: by its entry, or as a hole. */
    boolean holds(long position) {
        long stamp = stamp(position);
        return stamp == position + 1 || stamp == (SKIPPED | position);
    }

    /** Returns the position that a good stamp other than 0 is of. */
    static long positionOf(long stamp) {
        return stamp < 0 ? stamp & ~WRITING : stamp >= SKIPPED ? stamp & ~SKIPPED : stamp - 1;
    }

    /** Returns the position that a good stamp other than 0 says the log to have come to. */
    private static long endOf(long stamp) {
        return stamp < 0 ? positionOf(stamp) : positionOf(stamp) + 1;
    }

    private boolean isGood(long stamp, long slot) {
        boolean hasOne = (stamp & WRITING) == 0 || (stamp & SKIPPED) == 0;
        return stamp == 0 || hasOne && (positionOf(stamp) & mask) == slot;
    }

    /** Goes by a stamp that is not that of the entry wanted. */
    Look judge(long stamp, long position) {
        if (!isGood(stamp, position & mask)) {
            return Look.DAMAGED;
        }
        if (stamp == (SKIPPED | position)) {
            return Look.HOLE;
        }
        return stamp == 0 || positionOf(stamp) <= position ? Look.EMPTY : Look.PASSED;
    }

    /** Looks whose entry is in a slot, without reading it. */
    Look look(long position) {
        long stamp = stamp(position);
        return stamp == position + 1 ? Look.ENTRY : judge(stamp, position);
    }

    /** Reads the entry at a position, if it is there: then {@code into} has all of it. */
    Look read(long position, Entry into) {
        long at = slot(position);
        long stamp = words.acquire(at);
        if (stamp == position + 1) {
            long said = copy(at, into);
            VarHandle.acquireFence(); // with the writer's fence: a newer word shows a newer stamp
            stamp = words.relaxed(at);
            if (stamp == position + 1) {
                return header.arenaSize() == 0 || readBody(position, said, into) ? Look.ENTRY : Look.GONE;
            }
            VarHandle.acquireFence(); // with the writer's stamp: what it published before is seen
        }
        return judge(stamp, position);
    }

    /** Copies columns, and of a body what lies in the slot; returns its head. */
    private long copy(long at, Entry into) {
        words.copyOut(at + 8, into.record, 0, recordWords);
        if (header.arenaSize() == 0) {
            return 0;
        }
        long head = Bytes.getLong(into.record, 8 * columnWords);
        int count = head < 0 ? 1 : head <= header.inlineSize() ? (int) (head + 7) / 8 : 0;
        words.copyOut(at + 8 + 8L * recordWords, into.record, 8 * recordWords, count);
        return head;
    }

    /** Reads the body of an entry that is whole so far; returns whether it is there. */
    private boolean readBody(long position, long head, Entry into) {
        long length = head & ~WRITING;
        if (head >= 0 && head <= header.inlineSize()) {
            into.body(into.record, 8 * recordWords, (int) head);
            return true;
        }
        if (head >= 0) {
            return false;
        }
        long size = header.arenaSize();
        long place = Bytes.getLong(into.record, 8 * recordWords);
        boolean isPlace = length <= size / 2 && place >= 0 && place < POSITION_LIMIT && place % 8 == 0
                && (place & (size - 1)) + length <= size;
        if (!isPlace || isOtherBoot() && position >= words.relaxed(WRITER_SYNCED)) {
            return false;
        }
        if (length > Integer.MAX_VALUE - 16) {
            throw new RinglogException(Code.OTHER, "the body at position " + position + " has " + length
                    + " bytes: more than an array of Java; read it with another program, or skip it");
        }
        byte[] body = into.room((int) length);
        words.copyOut(header.arenaAt() + (place & (size - 1)), body, 0, (int) ((length + 7) / 8));
        VarHandle.acquireFence(); // with the writer's fence behind the horizon
        into.body(body, 0, (int) length);
        return Long.compareUnsigned(words.relaxed(HORIZON), place) <= 0;
    }

    /** Returns the position of the entry that a slot holds; -1 if it holds none. */
    long entryIn(long slot) {
        long stamp = stamp(slot);
        return stamp > 0 && stamp < SKIPPED && isGood(stamp, slot) ? stamp - 1 : -1;
    }

    /** Returns the place behind the body in the arena that a slot says, if it says one; else -1. */
    long bodyEnd(long position) {
        long place = bodyPlace(position);
        long head = words.relaxed(slot(position) + 8 + 8L * columnWords);
        return place < 0 ? -1 : place + roundUp(head & ~WRITING, 8);
    }

    /** Returns where in the arena the body of an entry in its slot is; -1 if it is not there. */
    long bodyPlace(long position) {
        long at = slot(position) + 8 + 8L * columnWords;
        long head = words.relaxed(at);
        long place = words.relaxed(at + 8);
        long length = head & ~WRITING;
        long size = header.arenaSize();
        boolean isPlace = head < 0 && length <= size / 2 && place >= 0 && place < POSITION_LIMIT && place % 8 == 0
                && (place & (size - 1)) + length <= size;
        return isPlace ? place : -1;
    }

    /** Returns whether the machine was restarted, and no writer has attached since. */
    boolean isOtherBoot() {
        return words.relaxed(WRITER_BOOT_ID) != Host.BOOT_ID[0] || words.relaxed(WRITER_BOOT_ID + 8) != Host.BOOT_ID[1];
    }

    /** Returns the position behind the newest published entry. */
    long end() {
        return Math.max(header.base(), isOtherBoot() ? endAfterBoot() : endBySlots());
    }

    /** Returns the oldest position that a log with this end can hold. */
    long oldest(long end) {
        return Math.max(header.base(), end - header.capacity());
    }

    /** Returns the same, or one later if that entry is being overwritten. */
    long oldestWhole(long end) {
        long oldest = oldest(end);
        return oldest < end && stamp(oldest) == (WRITING | oldest + header.capacity()) ? oldest + 1 : oldest;
    }

    /** Returns what the slots say, with the write pointer as a hint. */
    long endBySlots() {
        for (int tries = 0; tries < 16; tries++) {
            long end = words.acquire(WRITE_PTR);
            if (end < 0 || end >= POSITION_LIMIT) {
                continue;
            }
            if (stamp(end) == (WRITING | end)) {
                return end;
            }
            if (!isBorneOut(end)) {
                continue;
            }
            for (long most = end + header.capacity(); end < most && holds(end); ) {
                end++;
            }
            Look look = look(end);
            boolean isOver = look == Look.PASSED || look == Look.DAMAGED;
            if (look == Look.EMPTY || isOver && end > 0 && holds(end - 1)) {
                return end;
            }
        }
        return scan();
    }

    private boolean isBorneOut(long end) {
        if (end == 0 || holds(end - 1) || holds(end)) {
            return true;
        }
        Look before = look(end - 1);
        return (before == Look.PASSED || before == Look.DAMAGED) && end >= 2 && holds(end - 2);
    }

    /** Returns what all slots say together: no single wrong stamp moves it. */
    private long scan() {
        long end = -1;
        long greatest = -1;
        boolean isFresh = true;
        for (long slot = 0; slot < header.capacity(); slot++) {
            long stamp = stamp(slot);
            isFresh &= stamp == 0;
            if (stamp == 0 || !isGood(stamp, slot)) {
                continue;
            }
            long position = positionOf(stamp);
            long said = endOf(stamp);
            greatest = Math.max(greatest, said);
            if (said > end && (position < 2 || holds(position - 1) || holds(position - 2))) {
                end = said;
            }
        }
        if (end >= 0 || isFresh) {
            return Math.max(end, 0);
        }
        long hint = words.acquire(WRITE_PTR);
        return hint >= 0 && hint < POSITION_LIMIT ? hint : Math.max(greatest, 0);
    }

    /** Returns the greatest position that any word has seen: no position stands for two entries. */
    private long endAfterBoot() {
        long end = 0;
        for (long slot = 0; slot < header.capacity(); slot++) {
            long stamp = stamp(slot);
            if (stamp != 0 && isGood(stamp, slot)) {
                end = Math.max(end, endOf(stamp));
            }
        }
        end = later(end, words.acquire(WRITE_PTR));
        for (int id = 0; id < READERS; id++) {
            end = later(end, words.acquire(readPointer(id)));
            for (int i = 0; i < 2; i++) {
                end = later(end, words.acquire(readerLine(id) + READER_CHECKPOINTS + 32L * i));
            }
        }
        return end;
    }

    private static long later(long end, long position) {
        return position >= 0 && position < POSITION_LIMIT ? Math.max(end, position) : end;
    }
}
