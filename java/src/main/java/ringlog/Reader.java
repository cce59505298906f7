package ringlog;

import static ringlog.Layout.*;

import java.nio.channels.FileLock;

/**
 * A durable reader: one process at a time is reader N, and the log keeps its place. First carry out what was
 * read, then {@link #commit}: the next process that is reader N goes on behind the last commit. If the log's writer waits
 * for this reader, a commit is what makes room: commit once in a quarter of the capacity, and before a wait.
 */
public final class Reader extends Cursor {
    private final int id;
    private final FileLock claim;
    private final Words words;
    private final long line;
    private final long pointer;
    private final boolean isGate;
    /** Which checkpoint counts: 0 or 1. */
    private int counts;
    private long lost;
    private long laps;
    private long committed;
    private long committedLost;
    private boolean isNew;
    private long began;
    private long lostFrom = -1;
    private long lostTo;
    private String warning;
    private boolean hasCommitted;
    private boolean isClosed;

    Reader(Segment segment, int id) {
        super(segment.retain(), segment.reading());
        this.id = id;
        line = readerLine(id);
        pointer = readPointer(id);
        isGate = (segment.header().gates() >> id & 1) == 1;
        FileLock taken = null;
        try {
            if (id < 0 || id >= READERS) {
                throw RinglogException.invalid("reader " + id + ": there are readers 0 to " + (READERS - 1));
            }
            taken = segment.claim(pointer, "reader " + id, line + READER_PID);
            words = segment.writing();
            resume();
        } catch (RuntimeException e) {
            if (taken != null) {
                segment.unclaim(taken);
            }
            segment.release();
            throw e;
        }
        claim = taken;
    }

    /** Finds what the reader before has committed, and says which process is here now. */
    private void resume() {
        long end = ring.end();
        long found = words.acquire(pointer);
        isNew = found == 0 && words.acquire(line + READER_COMMIT_NS) == 0;
        boolean[] match = new boolean[2];
        for (int i = 0; i < 2; i++) {
            match[i] = found != NO_POSITION && words.acquire(checkpoint(i)) == found;
        }
        long place = found;
        if (match[0] || match[1]) {
            counts = match[0] ? 0 : 1;
            takeCheckpoint();
        } else if (!isNew) {
            place = mend(found);
        }
        if (isNew) {
            place = ring.oldestWhole(end);
        }
        // What is above the end, or is no position, was no reader's.
        committed = Long.compareUnsigned(place, end) > 0 ? end : place;
        committedLost = lost;
        began = committed;
        begin(committed, end, isNew);
        words.release(line + READER_PID, 0);
        words.release(line + READER_PID_NS, 0);
        words.release(line + READER_STATE, 1);
        words.release(line + READER_ATTACHED_NS, Math.max(1, Host.wallNs()));
        words.release(line + READER_PID_NS, Host.PID_NS);
        words.release(line + READER_PID, Host.PID);
    }

    private void takeCheckpoint() {
        lost = words.acquire(checkpoint(counts) + CHECKPOINT_LOST);
        laps = words.acquire(checkpoint(counts) + CHECKPOINT_LAPS);
    }

    /** Chooses a place where no checkpoint is that of the read pointer. */
    private long mend(long found) {
        long best = NO_POSITION;
        for (int i = 0; i < 2; i++) {
            long position = words.acquire(checkpoint(i));
            if (position != NO_POSITION && (best == NO_POSITION || Long.compareUnsigned(position, best) > 0)) {
                best = position;
                counts = i;
            }
        }
        if (best != NO_POSITION) {
            takeCheckpoint();
        }
        long place = best == NO_POSITION ? found : best;
        warning = segment.name() + ": reader " + id + ": its read pointer " + Long.toUnsignedString(found)
                + " has no checkpoint, so something else has stored there; it goes on at " + Long.toUnsignedString(place);
        return place;
    }

    private long checkpoint(int number) {
        return line + READER_CHECKPOINTS + 32L * number;
    }

    @Override
    void settled(long position) {
        began = position;
    }

    @Override
    void lost(long from, long to) {
        lost += to - from;
        laps++;
        lostFrom = from;
        lostTo = to;
    }

    /** Returns which reader it is. */
    public int id() {
        return id;
    }

    /** Returns the place that the log keeps: all below it is carried out or lost. */
    public long committed() {
        return committed;
    }

    /** Returns how many entries this reader has lost since the log was made. */
    public long lost() {
        return lost;
    }

    /** Returns in how many ranges these were lost. */
    public long losses() {
        return laps;
    }

    /** Returns what was wrong with the place that was found, in a line; null if nothing was. */
    public String warning() {
        return warning;
    }

    /** Moves the place that the log keeps to behind what was polled. */
    public void commit() {
        commitTo(position(), true);
    }

    /**
     * Commits without a look at the clock: for a channel, where the time of the last commit does not matter.
     */
    public void release() {
        commitTo(position(), false);
    }

    /** Commits without the clock once a quarter of the capacity is polled; for a reader that makes room. */
    public void releaseWhenDue() {
        if (position() - committed >= segment.header().capacity() / 4) {
            release();
        }
    }

    /** The commit of docs/format.md: pointer and losses move at once, whenever the process is killed. */
    private void commitTo(long place, boolean withTime) {
        if (isClosed) {
            throw new IllegalStateException(segment.name() + ": reader " + id + " is closed; open it again");
        }
        if (!hasCommitted) {
            first();
        }
        if (lostFrom >= 0) {
            noteLoss();
        }
        if (hasCommitted && place == committed && lost == committedLost && !withTime) {
            return;
        }
        long next = checkpoint(1 - counts);
        long old = checkpoint(counts);
        words.release(next, NO_POSITION);
        words.release(next + CHECKPOINT_LOST, lost);
        words.release(next + CHECKPOINT_LAPS, laps);
        words.release(next + CHECKPOINT_MARK, 0);
        words.release(next, place);
        words.release(pointer, place);
        words.release(old, NO_POSITION);
        if (withTime) {
            words.release(line + READER_COMMIT_NS, Math.max(1, Host.wallNs()));
        }
        counts = 1 - counts;
        committed = place;
        committedLost = lost;
        hasCommitted = true;
        if (isGate && Futex.isThere()) {
            wakeWriter();
        }
    }

    /**
     * Wakes the writer if it sleeps until there is room. Where Java cannot, the word stays as it is: moved
     * without the wake, it would keep other gates from waking the writer, which looks again by itself.
     */
    private void wakeWriter() {
        long room = words.relaxed(ROOM);
        if ((room & 1) == 1 && words.exchange(ROOM, room, room + 1)) {
            words.wake(ROOM);
        }
    }

    /** What is said once before the first commit: where it began, and that it writes no file. */
    private void first() {
        if (isNew) {
            words.release(line + READER_MISSED, 0);
            words.release(line + READER_BEGAN, began);
            words.release(line + READER_MISSED, began - segment.header().base());
        } else if (Long.compareUnsigned(began, words.relaxed(line + READER_BEGAN)) < 0) {
            words.release(line + READER_BEGAN, began);
        }
        if (words.relaxed(line + READER_OUTPUT_FILE) != 0) {
            words.release(line + READER_OUTPUT_FILE, 0);
        }
    }

    private void noteLoss() {
        long note = NOTES + 320L * id;
        words.release(note + NOTES_LOST_NS, 0);
        words.release(note + NOTES_LOST_FROM, 0);
        words.release(note + NOTES_LOST_TO, lostTo);
        words.release(note + NOTES_LOST_FROM, lostFrom);
        words.release(note + NOTES_LOST_NS, Math.max(1, Host.wallNs()));
        lostFrom = -1;
    }

    /** Begins behind the newest entry; what is skipped is neither delivered nor lost. */
    void skipToEnd() {
        long end = ring.end();
        begin(end, end, false);
        began = end;
        release();
    }

    /** Returns whether the writer waits for this reader. */
    public boolean isGate() {
        return isGate && words.relaxed(line + READER_WAIVED) == 0;
    }

    // What a server notes of requests that it has begun and finished; docs/format.md, Calls.

    /** Returns which of the 64 requests from the place on are begun, as the process before left it. */
    long callsTaken() {
        long taken = words.relaxed(line + READER_CALLS_TAKEN);
        boolean isMeant = taken >= 0 && taken <= Math.min(ring.end(), committed + 64);
        return isMeant ? taken : committed;
    }

    long callsAnswered() {
        return words.relaxed(line + READER_CALLS_ANSWERED);
    }

    void storeAnswered(long bits) {
        words.release(line + READER_CALLS_ANSWERED, bits);
    }

    void storeTaken(long position) {
        words.release(line + READER_CALLS_TAKEN, position);
    }

    void countCall(long counter) {
        words.release(line + counter, words.relaxed(line + counter) + 1);
    }

    void releaseTo(long place) {
        commitTo(place, false);
    }

    /** Says that reader N is closed, and gives the claim back. Commits nothing. */
    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            words.release(line + READER_STATE, 0);
            segment.unclaim(claim);
            segment.release();
        }
    }
}
