package ringlog;

/** A lossless log had no room in time: its writer waits for a reader. */
public final class FullException extends RinglogException {
    private static final long serialVersionUID = 1;

    private final int reader;
    private final long behind;

    FullException(Object log, int reader, long behind, String state) {
        super(Code.OTHER, log + ": no room: reader " + reader + ", which the writer waits for, is " + behind
                + " entries behind" + state);
        this.reader = reader;
        this.behind = behind;
    }

    /** Returns the reader that is furthest behind. */
    public int reader() {
        return reader;
    }

    /** Returns how many entries that reader has not committed. */
    public long behind() {
        return behind;
    }
}
