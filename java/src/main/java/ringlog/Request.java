package ringlog;

/** A request, as a handler is given it: a copy, which stays. */
public final class Request {
    private final Log log;
    private final int lane;
    private final long position;
    private final int client;
    private final int method;
    private final long deadline;
    private final byte[] body;

    Request(Log log, int lane, long position, int client, int method, long deadline, byte[] body) {
        this.log = log;
        this.lane = lane;
        this.position = position;
        this.client = client;
        this.method = method;
        this.deadline = deadline;
        this.body = body;
    }

    /** Returns the number of what is asked for. */
    public int method() {
        return method;
    }

    /** Returns the bytes that were sent. */
    public byte[] body() {
        return body;
    }

    /** Returns which lane it came by: with {@link #position}, no two requests of a service are the same. */
    public int lane() {
        return lane;
    }

    /** Returns its position in the lane. */
    public long position() {
        return position;
    }

    /**
     * Returns whether somebody still waits for the answer: it has time left, and its client lives. For a
     * handler that takes long; takes some system calls.
     */
    public boolean isWanted() {
        return !Lane.isLate(deadline) && (int) log.epoch() == client && log.hasWriter();
    }
}
