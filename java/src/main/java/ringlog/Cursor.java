package ringlog;

import java.time.Duration;
import java.util.Iterator;

/**
 * A place in a log, from which entries are read in order. A thread at a time uses it.
 *
 * <pre>{@code
 * for (Poll poll : reader) { // until there is nothing new
 *     switch (poll.kind()) {
 *         case ENTRY -> use(poll.entry());
 *         case LOST -> report(poll.position(), poll.next());
 *         case EMPTY -> {}
 *     }
 * }
 * }</pre>
 */
public abstract class Cursor implements Iterable<Poll>, AutoCloseable {
    /** After so many polls without an entry, the log is asked for its end: a slot can be damaged. */
    private static final int EMPTY_MAX = 64;
    private static final long SLEEP_NS = 1_000_000;

    final Segment segment;
    final Ring ring;
    private final Entry entry;
    private final Poll poll;
    private long position;
    /** All below it has been published. */
    private long end;
    /** Begins at the oldest entry, whichever that is at the first read. */
    private boolean isSettling;
    private int empties;
    private long lappedTo = -1;
    private int laps;

    Cursor(Segment segment, Words words) {
        this.segment = segment;
        ring = new Ring(words, segment.header());
        entry = new Entry(segment.header());
        poll = new Poll(entry);
    }

    void begin(long position, long end, boolean isSettling) {
        this.position = position;
        this.end = end;
        this.isSettling = isSettling;
    }

    /** Learns where a new reader really begins. */
    void settled(long position) {}

    /** Counts positions that were lost. */
    void lost(long from, long to) {}

    /** Returns the position of the next entry. */
    public long position() {
        return position;
    }

    /** Returns the columns of the log. */
    public Schema schema() {
        return segment.header().schema();
    }

    /** Returns how many entries lie behind its place: a look at the log. */
    public long lag() {
        return Math.max(0, ring.end() - position);
    }

    /** Returns whether the next entry is there. */
    boolean isReady() {
        return ring.holds(position);
    }

    /** Looks for the next entry, and passes it. Never waits. */
    public Poll poll() {
        Ring.Look look = ring.read(position, entry);
        if (look == Ring.Look.ENTRY) {
            isSettling = false;
            empties = 0;
            return poll.entryAt(position++);
        }
        return look == Ring.Look.EMPTY && position >= end && ++empties % EMPTY_MAX != 0
                ? poll.empty(position)
                : without(look);
    }

    /** Waits for the next entry, at most for a time; sleeps of up to a millisecond. */
    public Poll poll(Duration timeout) {
        return pollFor(Idle.nanos(timeout), SLEEP_NS);
    }

    /** Waits for the next entry, at most for a time, without a sleep: it takes a core. */
    public Poll spin(Duration timeout) {
        return pollFor(Idle.nanos(timeout), 0);
    }

    /** Waits for the next entry, at most for a time, and sleeps for at most another before it looks again. */
    public Poll poll(Duration timeout, Duration sleep) {
        return pollFor(Idle.nanos(timeout), Math.max(1, Idle.nanos(sleep)));
    }

    /**
     * Waits until there is something to poll, at most for a time; returns whether there is. For a loop that polls
     * all there is, commits, and then waits.
     */
    public boolean await(Duration timeout) {
        var idle = new Idle(Idle.nanos(timeout), SLEEP_NS);
        do {
            Ring.Look look = ring.look(position);
            if (look != Ring.Look.EMPTY && look != Ring.Look.DAMAGED || position < end) {
                return true;
            }
        } while (idle.rest());
        end = Math.max(end, ring.end()); // a slot can be damaged
        return position < end;
    }

    private Poll pollFor(long timeoutNs, long sleepNs) {
        Poll found = poll();
        if (found.kind() != Poll.Kind.EMPTY) {
            return found;
        }
        var idle = new Idle(timeoutNs, sleepNs);
        do {
            found = poll();
        } while (found.kind() == Poll.Kind.EMPTY && idle.rest());
        return found;
    }

    /** Iterates over what is there: entries, and losses between them, up to the first poll that is empty. */
    @Override
    public Iterator<Poll> iterator() {
        return new Iterator<>() {
            private Poll ahead;

            @Override
            public boolean hasNext() {
                if (ahead == null) {
                    ahead = poll();
                }
                return ahead.kind() != Poll.Kind.EMPTY;
            }

            @Override
            public Poll next() {
                if (!hasNext()) {
                    throw new java.util.NoSuchElementException();
                }
                Poll next = ahead;
                ahead = null;
                return next;
            }
        };
    }

    /** Looks for the newest entry, and goes on behind it; gives the same again until there is a newer one. */
    Poll newest() {
        for (int tries = 0; tries < 16; tries++) {
            end = Math.max(end, ring.end());
            long newest = end - 1;
            if (newest < segment.header().base()) {
                return poll.empty(position);
            }
            Ring.Look look = ring.read(newest, entry);
            if (look == Ring.Look.ENTRY) {
                position = newest + 1;
                return poll.entryAt(newest);
            }
            if (look != Ring.Look.PASSED && look != Ring.Look.GONE) {
                position = newest + 1;
                return poll.lost(newest, newest + 1);
            }
        }
        position = end;
        return poll.lost(end - 1, end);
    }

    /** What to do where the next entry is not in its slot. */
    private Poll without(Ring.Look look) {
        while (true) {
            switch (look) {
                case ENTRY -> {
                    isSettling = false;
                    empties = 0;
                    return poll.entryAt(position++);
                }
                case GONE -> {
                    return passOver(position + 1);
                }
                case HOLE -> {
                    end = Math.max(Math.max(end, ring.end()), position + 1);
                    return passOver(afterHole());
                }
                case PASSED -> {
                    long to = afterLap();
                    if (to == position) {
                        return poll.empty(position);
                    }
                    if (!isSettling) {
                        return passOver(to);
                    }
                    position = to;
                    settled(to);
                }
                default -> {
                    if (position < end) {
                        return passOver(afterHole());
                    }
                    end = Math.max(end, ring.end());
                    if (position >= end) {
                        return poll.empty(position);
                    }
                }
            }
            look = ring.read(position, entry);
        }
    }

    private Poll passOver(long to) {
        long from = position;
        position = to;
        isSettling = false;
        lost(from, to);
        return poll.lost(from, to);
    }

    /** Returns where entries go on behind positions that were published and are not there. */
    private long afterHole() {
        long to = Math.max(position + 1, ring.oldest(end));
        while (to < end) {
            Ring.Look look = ring.look(to);
            if (look == Ring.Look.ENTRY || look == Ring.Look.PASSED) {
                break;
            }
            to++;
        }
        return to;
    }

    /** Returns where to go on behind a lap; its own place if the stamp that said so is damaged. */
    private long afterLap() {
        long stamp = ring.stamp(position);
        long before = ring.end();
        for (long began = System.nanoTime(); System.nanoTime() - began < 1000; ) {
            Thread.onSpinWait();
        }
        long now = ring.end();
        end = Math.max(end, now);
        if (position >= now) {
            return position;
        }
        long capacity = segment.header().capacity();
        long to = ring.oldestWhole(now);
        if (Ring.positionOf(stamp) > now) {
            to = ring.oldest(now); // the stamp is damaged
        } else if (now != before) {
            laps = lappedTo >= 0 && position - lappedTo < capacity ? Math.min(laps + 1, 3) : 0;
            to = ring.oldest(now) + Math.min(Math.max(1, (capacity / 16) << laps), capacity / 2);
        }
        lappedTo = Math.max(to, position + 1);
        return lappedTo;
    }

    /** Gives back what it holds. */
    @Override
    public abstract void close();
}
