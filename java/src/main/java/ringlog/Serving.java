package ringlog;

import static ringlog.Layout.*;

import java.io.ByteArrayOutputStream;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;

/**
 * A lane as its server has it: takes a request, has it run, and notes in the lane that it is begun and that it is
 * finished; after a death it goes on from what the lane says.
 */
final class Serving {
    /** What a service does about requests. */
    record Rules(boolean repeats, Consumer<Late> late) {}

    /** An answer that comes later, for the thread that has the lanes. */
    record Late(Serving lane, long position, int client, boolean isTimed, int status, byte[] body) {}

    /** Runs a request; the stage ends in its answer. */
    interface Runner {
        CompletionStage<byte[]> run(Request request) throws Throwable;
    }

    /** An answer, or a part of one, that waits for room. */
    private record Kept(long request, int status, int part, boolean isTimed, byte[] body, int from, int length,
            long counter) {
        boolean isLast() {
            return (part & Lane.MORE) == 0;
        }
    }

    private static final class Stream {
        final long deadline;
        final ByteArrayOutputStream body = new ByteArrayOutputStream();
        boolean isTooLarge;

        Stream(long deadline) {
            this.deadline = deadline;
        }
    }

    /** Requests in parts at a time, of a client. */
    private static final int STREAMS = 64;
    /** A request of a client that is gone is counted nowhere. */
    private static final long NO_COUNTER = 0;

    private final Rules rules;
    private final int number;
    private final Log requestsLog;
    private final Log answersLog;
    private final Reader requests;
    private final LosslessWriter answers;
    private final int wholeMax;
    private final Row row;
    private final ArrayDeque<Kept> waiting = new ArrayDeque<>();
    private long waitingBytes;
    private final Map<Long, Stream> streams = new LinkedHashMap<>();
    private long streamedBytes;
    private int client;
    private boolean isGone;
    /** All below it are begun; bit p mod 64 of the other: the request at p is finished. */
    private long begun;
    private long finished;
    /** Requests whose answer comes later: bit p mod 64. */
    private long kept;
    private boolean isBusy;
    /** Bytes of requests since room was made last. */
    private long taken;

    private Serving(Rules rules, int number, Log requestsLog, Log answersLog, Reader requests, LosslessWriter answers) {
        this.rules = rules;
        this.number = number;
        this.requestsLog = requestsLog;
        this.answersLog = answersLog;
        this.requests = requests;
        this.answers = answers;
        wholeMax = (int) Math.min(answers.header.arenaSize() / 2, 1 << 30);
        row = answers.row();
        begun = requests.callsTaken();
        finished = requests.callsAnswered();
        client = (int) requestsLog.epoch();
        isGone = !requestsLog.hasWriter();
    }

    /** Makes the logs of a lane, or takes those that are there. */
    static Serving make(Name service, int number, String body, long arena, int mode, Rules rules) {
        var options = Log.options().capacity(Lane.SLOTS).arena(arena).mode(mode).lossless(Lane.READER).role(ROLE_LANE, 0);
        Log answersLog = null;
        Log requestsLog = null;
        LosslessWriter answers = null;
        try {
            // The requests last: a client looks for these.
            answersLog = options.openOrCreate(Lane.answersOf(service, number), Lane.answers(body));
            requestsLog = options.openOrCreate(Lane.requestsOf(service, number), Lane.requests(body));
            answers = answersLog.losslessWriter();
            Reader requests = requestsLog.reader(Lane.READER);
            return new Serving(rules, number, requestsLog, answersLog, requests, answers);
        } catch (RuntimeException e) {
            for (AutoCloseable one : new AutoCloseable[] {answers, requestsLog, answersLog}) {
                close(one);
            }
            throw e;
        }
    }

    private static void close(AutoCloseable one) {
        try {
            if (one != null) {
                one.close();
            }
        } catch (Exception e) {
            throw new IllegalStateException(e); // none of these throws a checked exception
        }
    }

    private static long bit(long position) {
        return 1L << position; // mod 64
    }

    /** Deals with the next request, if there is one, and sends what waits; returns whether it did anything. */
    boolean turn(Runner runner) {
        if (isBusy) {
            return false; // called by the handler of a request of this very lane
        }
        boolean hasSent = flush();
        if (!requests.isReady()) {
            return hasSent;
        }
        int now = (int) requestsLog.epoch();
        if (now != client) {
            client = now;
            isGone = false;
            giveUp();
        }
        // A client that takes no answers gets no more of them.
        if (!waiting.isEmpty() && !isGone || requests.position() - requests.committed() >= Lane.SLOTS) {
            rest();
            return hasSent;
        }
        Poll poll = requests.poll();
        if (poll.kind() == Poll.Kind.ENTRY) {
            take(poll.position(), poll.entry(), runner);
        }
        if (requests.position() - requests.committed() >= Lane.SLOTS / 4 || taken > answers.header.arenaSize() / 4) {
            rest();
        }
        return true;
    }

    private void take(long position, Entry entry, Runner runner) {
        taken += entry.bodyLength();
        boolean isAgain = position < begun;
        if (isAgain && (finished & bit(position)) != 0) {
            return; // the server before this one has finished it
        }
        if (!isAgain) {
            begin(position);
        }
        long deadline = entry.getLong("deadline_ns");
        int flags = entry.getInt("part");
        boolean isTimed = (flags & Lane.TIMED) != 0;
        int part = flags & (Lane.MORE | Lane.BEHIND);
        byte[] body = null;
        if ((int) entry.getLong("client") != client || isGone) {
            finish(position, NO_COUNTER);
        } else if (part != 0) {
            body = join(position, entry, part, deadline, isTimed);
        } else if (isAgain && (!rules.repeats || Lane.isLate(deadline))) {
            refuse(position, Lane.INTERRUPTED, isTimed, READER_CALLS_INTERRUPTED);
        } else if (Lane.isLate(deadline)) {
            refuse(position, Lane.EXPIRED, isTimed, READER_CALLS_EXPIRED);
        } else {
            body = entry.body();
        }
        if (body != null) {
            int method = (int) entry.getLong("method");
            run(new Request(requestsLog, number, position, client, method, deadline, body), isTimed, runner);
        }
    }

    /** Notes that a request is begun, before anything is done for it. */
    private void begin(long position) {
        finished &= ~bit(position);
        requests.storeAnswered(finished);
        begun = position + 1;
        requests.storeTaken(begun);
        VarHandle.fullFence(); // what is done for it comes behind
    }

    /** Notes that a request is finished, behind its answer. */
    private void finish(long position, long counter) {
        finished |= bit(position);
        requests.storeAnswered(finished);
        if (counter != NO_COUNTER) {
            requests.countCall(counter);
        }
    }

    private void refuse(long position, int status, boolean isTimed, long counter) {
        keep(new Kept(position, status, 0, isTimed, new byte[0], 0, 0, counter));
        flush();
    }

    /** Joins a part of a request to those before it; returns the whole one, if it is to be run. */
    private byte[] join(long position, Entry entry, int part, long deadline, boolean isTimed) {
        long of = entry.getLong("stream");
        boolean isLast = (part & Lane.MORE) == 0;
        Stream stream = streams.get(of);
        if (stream == null && (part & Lane.BEHIND) != 0) {
            if (isLast) { // the parts before it went down with the server that had them
                refuse(position, Lane.INTERRUPTED, isTimed, READER_CALLS_INTERRUPTED);
            } else {
                finish(position, NO_COUNTER);
            }
            return null;
        }
        if (stream == null) {
            dropStreams();
            stream = new Stream(deadline);
            streams.put(of, stream);
        }
        int length = entry.bodyLength();
        if (stream.isTooLarge || streamedBytes + length > Lane.MESSAGE_MAX) {
            streamedBytes -= stream.body.size();
            stream.body.reset();
            stream.isTooLarge = true;
        } else {
            streamedBytes += length;
            stream.body.writeBytes(entry.body());
        }
        if (!isLast) {
            finish(position, NO_COUNTER);
            return null;
        }
        streams.remove(of);
        streamedBytes -= stream.body.size();
        if (stream.isTooLarge) {
            refuse(position, Lane.TOO_LARGE, isTimed, READER_CALLS_SERVED);
            return null;
        }
        if (Lane.isLate(deadline)) {
            refuse(position, Lane.EXPIRED, isTimed, READER_CALLS_EXPIRED);
            return null;
        }
        return stream.body.toByteArray();
    }

    /** Makes room for one more stream: those whose time is over were given up, and of many the first. */
    private void dropStreams() {
        for (Iterator<Stream> all = streams.values().iterator(); all.hasNext(); ) {
            Stream stream = all.next();
            if (Lane.isLate(stream.deadline) || streams.size() >= STREAMS) {
                streamedBytes -= stream.body.size();
                all.remove();
            }
        }
    }

    private void run(Request request, boolean isTimed, Runner runner) {
        int of = client;
        long position = request.position();
        isBusy = true;
        try {
            CompletionStage<byte[]> stage = runner.run(request);
            if (stage == null) {
                throw new NullPointerException("the handler returned null; an answer without bytes is new byte[0]");
            }
            kept |= bit(position);
            stage.whenComplete((body, why) -> {
                if (body == null && why == null) {
                    why = new NullPointerException("the handler gave null; an answer without bytes is new byte[0]");
                }
                Throwable cause = why instanceof java.util.concurrent.CompletionException && why.getCause() != null
                        ? why.getCause()
                        : why;
                rules.late.accept(new Late(this, position, of, isTimed, statusOf(cause), cause == null ? body : said(cause)));
            });
        } catch (Throwable e) {
            kept &= ~bit(position);
            send(position, statusOf(e), isTimed, said(e));
        } finally {
            isBusy = false;
        }
    }

    /** A checked exception is a failure that the handler tells of; any other means that it broke down. */
    private static int statusOf(Throwable why) {
        if (why == null) {
            return Lane.OK;
        }
        if (why instanceof Failure failure) {
            return failure.status;
        }
        return why instanceof Exception && !(why instanceof RuntimeException) ? Lane.FAILED : Lane.PANICKED;
    }

    private static byte[] said(Throwable why) {
        if (why instanceof Failure failure) {
            return failure.body;
        }
        String message = why.getMessage() == null ? why.toString() : why.getMessage();
        return message.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    /** Sends an answer that came later; false if a handler of this lane runs, which calls this. */
    boolean answer(Late late) {
        if (isBusy) {
            return false;
        }
        long position = late.position;
        boolean isOpen = position >= requests.committed() && position < requests.position();
        // What a client left behind was given up when it was gone, and each is answered once.
        if (late.client == client && !isGone && isOpen && (kept & bit(position)) != 0) {
            kept &= ~bit(position);
            send(position, late.status, late.isTimed, late.body);
        }
        return true;
    }

    /** Sends a whole answer, in parts if need be; it is finished when the last of it is in the lane. */
    private void send(long position, int status, boolean isTimed, byte[] body) {
        if (waitingBytes + body.length > Lane.MESSAGE_MAX) {
            refuse(position, Lane.TOO_LARGE, isTimed, READER_CALLS_SERVED);
            return;
        }
        int from = 0;
        while (body.length - from > wholeMax) {
            int part = from == 0 ? Lane.MORE : Lane.MORE | Lane.BEHIND;
            keep(new Kept(position, Lane.OK, part, isTimed, body, from, wholeMax / 2, NO_COUNTER));
            from += wholeMax / 2;
        }
        keep(new Kept(position, status, from == 0 ? 0 : Lane.BEHIND, isTimed, body, from, body.length - from,
                READER_CALLS_SERVED));
        flush();
    }

    private void keep(Kept one) {
        waiting.add(one);
        waitingBytes += one.length;
    }

    /** Appends answers that wait as far as there is room; returns whether it did any. */
    boolean flush() {
        boolean hasSent = false;
        for (Kept one = waiting.peek(); one != null; one = waiting.peek()) {
            row.set("request", one.request).set("sent_ns", one.isTimed ? Lane.now() : 0).set("status", one.status)
                    .set("part", one.part).body(one.body, one.from, one.length);
            if (answers.tryAppend(row) == LosslessWriter.FULL) {
                break;
            }
            if (one.isLast()) {
                finish(one.request, one.counter);
            }
            waiting.remove();
            waitingBytes -= one.length;
            hasSent = true;
        }
        row.clearBody();
        if (hasSent) {
            answers.wake();
        }
        return hasSent;
    }

    /** Makes room for what is finished. */
    void rest() {
        long place = requests.committed();
        while (place < requests.position() && place < begun && (finished & bit(place)) != 0) {
            place++;
        }
        if (place > requests.committed()) {
            requests.releaseTo(place);
            taken = 0;
        }
    }

    /** Gives up what is under way, for its client is gone: its room is free. */
    private void giveUp() {
        streams.clear();
        streamedBytes = 0;
        kept = 0;
        waiting.clear();
        waitingBytes = 0;
        requests.release();
    }

    /** Looks whether its client lives; returns whether it has one. */
    boolean look(Locks locks) {
        boolean hasClient = requestsLog.segment().isWriterClaimed(locks);
        if (!hasClient && !isGone && !isBusy) {
            isGone = true;
            giveUp();
        }
        return hasClient;
    }

    /** Returns whether nothing is under way: no answer that comes later, or waits for room. */
    boolean isIdle() {
        return kept == 0 && waiting.isEmpty();
    }

    void close() {
        rest();
        requests.close();
        answers.close();
        requestsLog.close();
        answersLog.close();
    }
}
