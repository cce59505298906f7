package ringlog;

/** Where an observer begins. */
public final class Start {
    /** At the oldest entry that is there. */
    public static final Start OLDEST = new Start(Kind.OLDEST, 0);
    /** Behind the newest entry: at the next one. */
    public static final Start NEWEST = new Start(Kind.LAST, 0);

    private enum Kind {
        OLDEST,
        LAST,
        AT
    }

    private final Kind kind;
    private final long number;

    private Start(Kind kind, long number) {
        this.kind = kind;
        this.number = number;
    }

    /** Begins at a position. */
    public static Start at(long position) {
        return new Start(Kind.AT, position);
    }

    /** Begins so many entries before the end, or at the oldest. */
    public static Start last(long entries) {
        return new Start(Kind.LAST, entries);
    }

    boolean isOldest() {
        return kind == Kind.OLDEST;
    }

    /** Returns the position in a log that ends there. */
    long position(Ring ring, long end) {
        long oldest = ring.oldest(end);
        if (number < 0 || kind == Kind.AT && number > end) {
            throw RinglogException.invalid("position " + number + ": not there yet; the log ends at " + end);
        }
        return switch (kind) {
            case OLDEST -> ring.oldestWhole(end);
            case LAST -> Math.max(oldest, end - number);
            case AT -> number;
        };
    }
}
