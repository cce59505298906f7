package ringlog;

/** What a poll found. It belongs to its reader, and says something else after the next poll. */
public final class Poll {
    /** What became of a poll. */
    public enum Kind {
        /** There is an entry. */
        ENTRY,
        /** Positions were overwritten before they were read: loss is an outcome, not an error. */
        LOST,
        /** Nothing is there yet. */
        EMPTY
    }

    private final Entry entry;
    private Kind kind = Kind.EMPTY;
    private long from;
    private long to;

    Poll(Entry entry) {
        this.entry = entry;
    }

    Poll entryAt(long position) {
        kind = Kind.ENTRY;
        from = position;
        to = position + 1;
        return this;
    }

    Poll lost(long from, long to) {
        kind = Kind.LOST;
        this.from = from;
        this.to = to;
        return this;
    }

    Poll empty(long position) {
        kind = Kind.EMPTY;
        from = position;
        to = position;
        return this;
    }

    /** Returns what became of the poll. */
    public Kind kind() {
        return kind;
    }

    /** Returns the position of the entry, of the first one lost, or of the one that is waited for. */
    public long position() {
        return from;
    }

    /** Returns the position behind the entry, or behind the last one lost. */
    public long next() {
        return to;
    }

    /** Returns how many entries were lost. */
    public long lost() {
        return kind == Kind.LOST ? to - from : 0;
    }

    /**
     * Returns the entry, until the next poll.
     *
     * @throws IllegalStateException if the poll found none
     */
    public Entry entry() {
        if (kind != Kind.ENTRY) {
            throw new IllegalStateException("the poll found no entry: it is " + kind + "; look at kind() first");
        }
        return entry;
    }

    @Override
    public String toString() {
        return switch (kind) {
            case ENTRY -> "entry " + from;
            case LOST -> "lost " + from + ".." + to;
            case EMPTY -> "nothing at " + from;
        };
    }
}
