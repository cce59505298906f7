package ringlog;

import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * A client of a service: it has a lane of its own until it is closed or its process dies. A thread at a time
 * uses it.
 *
 * <p>Where Java cannot wake a server that sleeps ({@link Appender#wake}), the server looks by itself, one in Rust
 * each 10 ms. A server that spins, or one in Java, answers sooner.
 */
public final class Client implements AutoCloseable {
    private static final long SLEEP_NS = 1_000_000;
    private static final long FIRST_LOOK_NS = 1_000_000;

    /** How to become a client. */
    public static final class Options {
        private long owner = -1;
        private boolean outlasts;
        private boolean spins;

        private Options() {}

        /** Believes a service of this user id too. */
        public Options owner(long uid) {
            owner = uid;
            return this;
        }

        /** Waits for the next server where the one is gone, as long as a call has time. */
        public Options outlast() {
            outlasts = true;
            return this;
        }

        /** Waits without a sleep: a core for the lowest latency. */
        public Options spin() {
            spins = true;
            return this;
        }

        /**
         * Becomes a client of a service, and waits for its server and a free lane, at most for a time.
         *
         * @throws CallException GONE if nothing serves by then, TIMED_OUT if all lanes have a client
         */
        public Client connect(String service, Duration atMost) {
            return Client.connect(Name.of(service), atMost, this);
        }

        /** Becomes a client of a service in files, as {@link #connect(String, Duration)}. */
        public Client connect(Path service, Duration atMost) {
            return Client.connect(Name.of(service), atMost, this);
        }
    }

    /** A request that was sent, and is not answered. */
    private static final class Pending {
        final long deadline;
        final ByteArrayOutputStream parts = new ByteArrayOutputStream(0);
        boolean isTooLarge;
        boolean isDone;
        int status;
        byte[] body;

        Pending(long deadline) {
            this.deadline = deadline;
        }
    }

    private final Options options;
    private final int lane;
    private final Log answersLog;
    private final LosslessWriter requests;
    private final Reader answers;
    private final int client;
    private final int wholeMax;
    private final Row row;
    private final Map<Long, Pending> pending = new HashMap<>();
    private final Column request;
    private final Column status;
    private final Column part;
    /** Bytes of answers since room was made last. */
    private long taken;
    private boolean isClosed;

    private Client(Options options, int lane, Log answersLog, LosslessWriter requests, Reader answers) {
        this.options = options;
        this.lane = lane;
        this.answersLog = answersLog;
        this.requests = requests;
        this.answers = answers;
        client = (int) requests.epoch();
        wholeMax = (int) Math.min(requests.header.arenaSize() / 2, 1 << 30);
        row = requests.row();
        request = answers.schema().column("request");
        status = answers.schema().column("status");
        part = answers.schema().column("part");
    }

    /** Returns options with their defaults, to change and then connect with. */
    public static Options options() {
        return new Options();
    }

    /** Becomes a client of a service, as {@link Options#connect(String, Duration)}. */
    public static Client connect(String service, Duration atMost) {
        return options().connect(service, atMost);
    }

    private static Client connect(Name name, Duration atMost, Options options) {
        // What was opened once is kept: Java gives a mapping back only when its collector has found it.
        Map<Name, Log> open = new HashMap<>();
        var idle = new Idle(Idle.nanos(atMost), 0);
        try {
            while (true) {
                CallException why;
                try {
                    Client client = findLane(name, options, open);
                    if (client != null) {
                        return client;
                    }
                    why = CallException.of(CallException.Kind.TIMED_OUT,
                            name + ": all lanes have a client; wait for longer, or serve with more lanes");
                } catch (RinglogException e) {
                    if (e.code() != Code.NOT_FOUND) {
                        throw e;
                    }
                    why = CallException.of(CallException.Kind.GONE, name + ": nothing serves it; start its server");
                }
                if (idle.isOver()) {
                    throw why;
                }
                LockSupport.parkNanos(2_000_000);
            }
        } finally {
            open.values().forEach(Log::close);
        }
    }

    private static Log open(Name name, Options options, Map<Name, Log> open) {
        Log log = open.get(name);
        if (log != null && !log.segment().isCurrent()) {
            open.remove(name).close();
            log = null;
        }
        if (log == null) {
            log = Log.options().owner(options.owner).open(name);
            open.put(name, log);
        }
        return log;
    }

    /** Takes the first lane without a client; null if there is none now. */
    private static Client findLane(Name name, Options options, Map<Name, Log> open) {
        Log service = open(name, options, open);
        if (service.segment().header().role() != Layout.ROLE_SERVICE) {
            throw RinglogException.invalid(name + ": it is no service; name one that is served");
        }
        if (!service.hasWriter()) {
            throw new RinglogException(Code.NOT_FOUND, name + ": nothing serves it");
        }
        for (int number = 0; number < service.segment().header().members(); number++) {
            try {
                Client client = take(name, number, options, open);
                if (client != null) {
                    return client;
                }
            } catch (RinglogException e) {
                if (e.code() == Code.NOT_FOUND) {
                    break; // the server makes one more while none is free
                }
                if (e.code() != Code.CLAIMED) {
                    throw e;
                }
            }
        }
        return null;
    }

    private static Client take(Name name, int number, Options options, Map<Name, Log> open) {
        Log requests = open(Lane.requestsOf(name, number), options, open);
        Log answers = open(Lane.answersOf(name, number), options, open);
        String kind = requests.schema().hasBody() ? requests.schema().bodyKind() : "bytes";
        Lane.check(requests, Lane.requests(kind));
        Lane.check(answers, Lane.answers(kind));
        if (!answers.hasWriter()) {
            return null; // the server skips it, or has not come to it yet
        }
        LosslessWriter writer = requests.losslessWriter(); // the claim of the lane
        try {
            Reader reader = answers.reader(Lane.READER);
            try {
                reader.skipToEnd(); // what was answered to the client before is not this one's
                return new Client(options, number, new Log(Lane.answersOf(name, number), answers.segment().retain()),
                        writer, reader);
            } catch (RuntimeException e) {
                reader.close();
                throw e;
            }
        } catch (RuntimeException e) {
            writer.close();
            throw e;
        }
    }

    /** Returns which lane of the service it has. */
    public int lane() {
        return lane;
    }

    /** Returns what is in requests and answers: {@code bytes}, {@code text}, {@code json} or {@code msgpack}. */
    public String bodyKind() {
        return requests.schema().bodyKind();
    }

    Words requestsWords() {
        return requests.words;
    }

    /** Returns whether its server lives. */
    public boolean hasServer() {
        return answersLog.hasWriter();
    }

    /**
     * Sends a request, and waits for its answer, at most for a time. The server runs it at most once, unless it
     * was told otherwise, and not when its time is over.
     *
     * @throws CallException says what became of it
     */
    public byte[] call(int method, byte[] body, Duration timeout) {
        return callWhile(method, body, timeout, null);
    }

    /**
     * Calls, and does something else again and again while it waits: above all, it serves what this process is
     * called for. The work returns soon; this thread does not sleep.
     *
     * @throws CallException says what became of it
     */
    public byte[] callWhile(int method, byte[] body, Duration timeout, Runnable work) {
        return find(send(method, body, timeout, work), work);
    }

    /**
     * Sends a request without waiting for its answer, and returns its ticket. Waits for room, where 64 requests
     * are under way, or their bytes fill the lane.
     *
     * @throws CallException if it could not be sent; it is not run then
     */
    public long send(int method, byte[] body, Duration timeout) {
        return send(method, body, timeout, null);
    }

    /**
     * Waits for the answer of a request that was sent.
     *
     * @throws CallException says what became of it
     */
    public byte[] receive(long ticket) {
        return find(ticket, null);
    }

    /** Gives up a request: its answer is dropped. The server runs it all the same, unless its time is over. */
    public void forget(long ticket) {
        pending.remove(ticket);
    }

    /** Returns how many requests are sent and not answered. */
    public int pending() {
        return (int) pending.values().stream().filter(one -> !one.isDone).count();
    }

    private long send(int method, byte[] body, Duration timeout, Runnable work) {
        long timeoutNs = Idle.nanos(timeout);
        // Half of what the clock counts, 146 years, is forever.
        long deadline = timeoutNs > Long.MAX_VALUE / 2 ? 0 : Math.max(1, Lane.now() + timeoutNs);
        row.set("sent_ns", 0).set("deadline_ns", deadline).set("method", Integer.toUnsignedLong(method))
                .set("client", Integer.toUnsignedLong(client));
        long stream = -1;
        int from = 0;
        while (body.length - from > wholeMax) {
            row.body(body, from, wholeMax / 2);
            stream = append(stream, Lane.MORE, deadline, work);
            from += wholeMax / 2;
        }
        row.body(body, from, body.length - from);
        append(stream, 0, deadline, work);
        long ticket = requests.position() - 1;
        pending.put(ticket, new Pending(deadline));
        return ticket;
    }

    /** Appends a part of a request, and returns the position of the first; takes answers while there is no room. */
    private long append(long stream, int more, long deadline, Runnable work) {
        long first = stream < 0 ? requests.position() : stream;
        row.set("stream", first).set("part", stream < 0 ? more : more | Lane.BEHIND);
        Patience patience = null;
        while (requests.tryAppend(row) == LosslessWriter.FULL) {
            if (!file()) {
                patience = patience == null ? new Patience(deadline) : patience;
                patience.rest(work);
            }
        }
        requests.wake();
        row.clearBody();
        return first;
    }

    private byte[] find(long ticket, Runnable work) {
        Pending wanted = pending.get(ticket);
        if (wanted == null) {
            throw RinglogException.invalid("ticket " + ticket + ": no request with it is under way; it was received, or"
                    + " given up");
        }
        try {
            Patience patience = null;
            while (!wanted.isDone) {
                if (!file()) {
                    patience = patience == null ? new Patience(wanted.deadline) : patience;
                    patience.rest(work);
                }
            }
        } finally {
            pending.remove(ticket);
        }
        if (wanted.status != Lane.OK) {
            throw CallException.of(wanted.status, wanted.body);
        }
        return wanted.body;
    }

    /** Takes the next answer, if there is one; returns whether there was. */
    private boolean file() {
        if (taken > answers.segment.header().arenaSize() / 4) {
            makeRoom();
        }
        answers.releaseWhenDue();
        Poll poll = answers.poll();
        if (poll.kind() != Poll.Kind.ENTRY) {
            return poll.kind() == Poll.Kind.LOST; // nothing is, but where somebody has scribbled
        }
        Entry entry = poll.entry();
        taken += entry.bodyLength();
        Pending one = pending.get(entry.getLong(request));
        if (one == null || one.isDone) {
            return true; // too late, or to the client before this one
        }
        int parts = entry.getInt(part);
        one.status = entry.getInt(status);
        boolean isLast = (parts & Lane.MORE) == 0;
        if (parts == 0) {
            one.body = entry.body();
            one.isDone = true;
            return true;
        }
        if ((parts & Lane.BEHIND) == 0 || isLast && one.status != Lane.OK) {
            one.parts.reset(); // begun anew by another server, or no answer after all
            one.isTooLarge = false;
        }
        if (one.parts.size() + (long) entry.bodyLength() > Lane.MESSAGE_MAX) {
            one.isTooLarge = true;
            one.parts.reset();
        }
        one.parts.writeBytes(entry.body());
        if (isLast) {
            one.status = one.isTooLarge ? Lane.TOO_LARGE : one.status;
            one.body = one.parts.toByteArray();
            one.isDone = true;
        }
        return true;
    }

    private void makeRoom() {
        if (answers.position() > answers.committed()) {
            answers.release();
        }
        taken = 0;
    }

    /** What is left of a call's time. */
    private final class Patience {
        private final Idle idle;
        private long lookAt = Lane.now() + FIRST_LOOK_NS;

        Patience(long deadline) {
            long left = deadline == 0 ? Long.MAX_VALUE : Math.max(0, deadline - Lane.now());
            idle = new Idle(left, options.spins ? 0 : SLEEP_NS);
        }

        void rest(Runnable work) {
            if (work != null) {
                work.run();
                idle.reset();
            }
            if (!idle.rest() || work != null && idle.isOver()) {
                boolean isInterrupted = Thread.currentThread().isInterrupted();
                throw CallException.of(CallException.Kind.TIMED_OUT, isInterrupted
                        ? "the thread was interrupted while it waited for an answer"
                        : "no answer in time; call again, or wait for longer");
            }
            if (idle.isLong() || work != null) {
                makeRoom(); // the server may be waiting for it
            }
            long now = Lane.now();
            if (now - lookAt >= 0) {
                lookAt = now + Lane.LOOK_NS;
                if (!options.outlasts && !hasServer()) {
                    throw CallException.of(CallException.Kind.GONE, "the server is gone; start it again");
                }
            }
        }
    }

    /** Leaves the lane to the next client. */
    @Override
    public void close() {
        if (isClosed) {
            return;
        }
        isClosed = true;
        makeRoom(); // what it has taken keeps no server waiting
        answers.close(); // before the claim of the lane: its next holder finds this one free
        requests.close();
        answersLog.close();
    }
}
