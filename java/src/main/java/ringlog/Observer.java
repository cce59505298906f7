package ringlog;

/** Reads a log without a claim: it stores nothing, and any number can. */
public final class Observer extends Cursor {
    private boolean isClosed;

    Observer(Segment segment, Start start) {
        super(segment.retain(), segment.reading());
        try {
            long end = ring.end();
            begin(start.position(ring, end), end, start.isOldest());
        } catch (RuntimeException e) {
            segment.release();
            throw e;
        }
    }

    /**
     * Looks for the newest entry, for a state and not its history, and goes on behind it. The same entry comes
     * again until there is a newer one. It is LOST if it was overwritten again and again while it was read.
     */
    public Poll latest() {
        return newest();
    }

    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            segment.release();
        }
    }
}
