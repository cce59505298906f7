package ringlog;

/** A lane of a service: the requests of one client, and the answers to them, each in a lossless log. */
final class Lane {
    /** Requests that can be under way: as many as a server can have begun. */
    static final int SLOTS = 64;
    /** The server is this reader of requests, and the client of answers. */
    static final int READER = 0;
    /** More of this message comes. */
    static final int MORE = 1;
    /** Some of this message has come. */
    static final int BEHIND = 2;
    /** The client asks when the request is answered. */
    static final int TIMED = 4;
    /** The longest message that comes in parts. */
    static final long MESSAGE_MAX = 64 << 20;
    /** Between two looks whether the other side lives. */
    static final long LOOK_NS = 20_000_000;

    static final int OK = 0;
    static final int FAILED = 1;
    static final int INTERRUPTED = 2;
    static final int EXPIRED = 3;
    static final int PANICKED = 4;
    static final int NO_METHOD = 5;
    static final int TOO_LARGE = 6;

    private Lane() {}

    static Schema requests(String body) {
        return Schema.of("sent_ns:u64,deadline_ns:u64,stream:u64,method:u32,client:u32,part:u8,body:" + body);
    }

    static Schema answers(String body) {
        return Schema.of("request:u64,sent_ns:u64,status:u8,part:u8,body:" + body);
    }

    static Name requestsOf(Name service, int number) {
        return service.with("." + number + ".req");
    }

    static Name answersOf(Name service, int number) {
        return service.with("." + number + ".rep");
    }

    /** Refuses a log that is not the lane's; what its body is called is the log's business. */
    static void check(Log log, Schema schema) {
        Schema found = log.schema();
        boolean isLane = log.segment().header().role() == Layout.ROLE_LANE && log.isLossless() && found.hasBody()
                && found.columns().toString().equals(schema.columns().toString());
        if (!isLane || !found.bodyKind().equals(schema.bodyKind())) {
            throw new RinglogException(Code.UNUSABLE, log.name() + ": it is no lane of this service: it has `"
                    + found.text().replace("\n", ", ").strip() + "`; remove it, or give the service another name");
        }
    }

    /** Returns the monotonic clock of the machine, as HotSpot and OpenJ9 give it on Linux. */
    static long now() {
        return System.nanoTime();
    }

    static boolean isLate(long deadline) {
        return deadline != 0 && now() > deadline;
    }
}
