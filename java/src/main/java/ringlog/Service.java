package ringlog;

import static ringlog.Layout.*;

import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * The server of a name, until it is closed or its process dies. A thread at a time has it, and runs its handler;
 * {@link #runAsync} is for answers that other threads find.
 *
 * <p>Where Java cannot wake a client that sleeps ({@link Appender#wake}), the client looks by itself, one in Rust
 * each 10 ms. It spins for some microseconds first, in which a short answer finds it.
 */
public final class Service implements AutoCloseable {
    /** Answers a request. */
    @FunctionalInterface
    public interface Handler {
        /**
         * Returns the answer. A {@link Failure}, or any checked exception by its message, is what the caller
         * gets; another one means that the handler broke down.
         */
        byte[] answer(Request request) throws Exception;
    }

    /** Answers a request later. */
    @FunctionalInterface
    public interface AsyncHandler {
        /** Returns a stage that ends in the answer, in any thread. */
        CompletionStage<byte[]> answer(Request request) throws Exception;
    }

    /** How to serve. */
    public static final class Options {
        private int lanes = -1;
        private long arena = 1 << 20;
        private int mode = 0600;
        private boolean repeats;
        private String body = "bytes";

        private Options() {}

        /** Sets how many clients there can be at a time; 16 unless asked otherwise. */
        public Options lanes(int number) {
            lanes = number;
            return this;
        }

        /** Sets the bytes of the arenas of a lane; 1 MiB unless asked otherwise. Half of it goes in one piece. */
        public Options arena(long bytes) {
            arena = bytes;
            return this;
        }

        /** Sets the permissions of the logs that are made; 0600 unless asked otherwise. */
        public Options mode(int permissions) {
            mode = permissions;
            return this;
        }

        /** Runs again what a server died over: at least once. Without it, its caller is told: at most once. */
        public Options repeat() {
            repeats = true;
            return this;
        }

        /** Sets what is in requests and answers: {@code bytes}, {@code text}, {@code json} or {@code msgpack}. */
        public Options body(String kind) {
            body = kind;
            return this;
        }

        /**
         * Becomes the server of a name in shared memory.
         *
         * @throws RinglogException CLAIMED while another is; INVALID if the name is another log's
         */
        public Service serve(String name) {
            return new Service(Name.of(name), this);
        }

        /** Becomes the server of a name in files, as {@link #serve(String)}. */
        public Service serve(Path file) {
            return new Service(Name.of(file), this);
        }
    }

    private static final Schema BEGAN = Schema.of("time:timestamp,pid:u64");
    private static final long SLEEP_NS = 1_000_000;

    private final Name name;
    private final Options options;
    private final Log log;
    private final Writer writer;
    private final int most;
    /** From the first on those that are made; null is one that is not ours to use. */
    private final List<Serving> lanes = new ArrayList<>();
    private final Queue<Serving.Late> late = new ConcurrentLinkedQueue<>();
    private final List<String> notices = new ArrayList<>();
    private final Serving.Rules rules;
    private long lookedAt;
    private int first;
    private volatile boolean isStopped;
    private volatile Thread server;
    private boolean isClosed;

    private Service(Name name, Options options) {
        this.name = name;
        this.options = options;
        rules = new Serving.Rules(options.repeats, this::later);
        int asked = options.lanes < 0 ? 16 : options.lanes;
        if (asked < 1 || asked > 1024) {
            throw RinglogException.invalid(asked + " lanes: a service has from 1 to 1024");
        }
        Lane.requestsOf(name, asked - 1); // refused later, it would leave a log behind
        log = open(asked);
        Writer claimed = null;
        try {
            most = log.segment().header().members();
            if (options.lanes >= 0 && most != options.lanes) {
                throw RinglogException.invalid(name + ": it has " + most + " lanes, and " + options.lanes
                        + " were asked for; leave that out, or remove the service (ringlog rm " + name + ")");
            }
            claimed = log.writer();
            claimed.append(claimed.row().set("time", Log.now()).set("pid", Host.PID));
            writer = claimed;
            look();
        } catch (RuntimeException e) {
            lanes.forEach(Service::close);
            if (claimed != null) {
                claimed.close();
            }
            log.close();
            throw e;
        }
    }

    /** Opens the service's own log, whatever it has noted in it, or makes it. */
    private Log open(int members) {
        Log found;
        try {
            found = Log.options().open(name);
        } catch (RinglogException e) {
            if (e.code() != Code.NOT_FOUND) {
                throw e;
            }
            found = Log.options().capacity(64).mode(options.mode).role(ROLE_SERVICE, members).openOrCreate(name, BEGAN);
        }
        if (found.segment().header().role() != ROLE_SERVICE || !found.schema().equals(BEGAN)) {
            found.close();
            throw RinglogException.invalid(name + ": it is a log and no service; give the service another name");
        }
        return found;
    }

    /** Returns options with their defaults, to change and then serve with. */
    public static Options options() {
        return new Options();
    }

    /** Becomes the server of a name in shared memory, as {@link Options#serve(String)}. */
    public static Service serve(String name) {
        return options().serve(name);
    }

    /**
     * Has each lane's next request run, and sends what was answered later; returns how many of both there were.
     * Never waits. A handler may call this again while it waits for something itself.
     */
    public int poll(Handler handler) {
        return turn(request -> CompletableFuture.completedFuture(handler.answer(request)));
    }

    private int turn(Serving.Runner runner) {
        server = Thread.currentThread();
        int count = 0;
        first = lanes.isEmpty() ? 0 : (first + 1) % lanes.size(); // no lane is always the first
        for (int i = 0; i < lanes.size(); i++) {
            Serving lane = lanes.get((first + i) % lanes.size());
            if (lane != null && lane.turn(runner)) {
                count++;
            }
        }
        count += answerLate();
        if (Lane.now() - lookedAt >= Lane.LOOK_NS) {
            look();
        }
        return count;
    }

    /** Takes an answer from any thread. */
    private void later(Serving.Late answer) {
        late.add(answer);
        if (Thread.currentThread() != server) {
            LockSupport.unpark(server);
        }
    }

    private int answerLate() {
        int count = 0;
        for (int left = late.size(); left > 0; left--) {
            Serving.Late answer = late.poll();
            if (answer != null && answer.lane().answer(answer)) {
                count++;
            } else if (answer != null) {
                late.add(answer); // a handler of that lane runs
            }
        }
        return count;
    }

    /**
     * Serves until {@link #stop} is called, or the thread is interrupted. What is under way then is answered
     * first, within 5 s; what is not begun is left to the next server.
     */
    public void run(Handler handler) {
        loop(request -> CompletableFuture.completedFuture(handler.answer(request)));
    }

    /** Serves as {@link #run}; answers come from stages, and requests are begun meanwhile, up to 64 of a client. */
    public void runAsync(AsyncHandler handler) {
        loop(handler::answer);
    }

    private void loop(Serving.Runner runner) {
        var idle = new Idle(Long.MAX_VALUE, SLEEP_NS);
        while (!isStopped && !Thread.currentThread().isInterrupted()) {
            if (turn(runner) > 0) {
                idle.reset();
            } else {
                if (idle.isLong()) {
                    rest();
                }
                idle.rest();
            }
        }
        drain();
    }

    private void drain() {
        var idle = new Idle(Idle.nanos(Duration.ofSeconds(5)), SLEEP_NS);
        boolean isInterrupted = Thread.interrupted();
        while (lanes.stream().anyMatch(lane -> lane != null && !lane.isIdle()) && idle.rest()) {
            answerLate();
            lanes.forEach(lane -> {
                if (lane != null) {
                    lane.flush();
                }
            });
        }
        rest();
        if (isInterrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void rest() {
        for (Serving lane : lanes) {
            if (lane != null) {
                lane.rest();
            }
        }
    }

    /** Ends {@link #run}, from any thread. */
    public void stop() {
        isStopped = true;
        LockSupport.unpark(server);
    }

    /** Learns of clients that came and went, and makes one more lane where all have one. */
    private void look() {
        lookedAt = Lane.now();
        var locks = new Locks();
        boolean hasFree = false;
        for (Serving lane : lanes) {
            hasFree |= lane != null && !lane.look(locks);
        }
        while (lanes.size() < most && (!hasFree || isThere(lanes.size()))) {
            try {
                Serving lane = Serving.make(name, lanes.size(), options.body, options.arena, options.mode, rules);
                hasFree |= !lane.look(new Locks());
                lanes.add(lane);
            } catch (RinglogException e) {
                notices.add(e.getMessage());
                lanes.add(null);
            }
        }
    }

    private boolean isThere(int number) {
        return Files.exists(Lane.requestsOf(name, number).path(), LinkOption.NOFOLLOW_LINKS);
    }

    /** Returns, and forgets, what there was to tell: lanes that are not this service's to use, and why. */
    public List<String> notices() {
        var told = List.copyOf(notices);
        notices.clear();
        return told;
    }

    /** Returns how many lanes there are by now. */
    public int laneCount() {
        return (int) lanes.stream().filter(lane -> lane != null).count();
    }

    private static void close(Serving lane) {
        if (lane != null) {
            lane.close();
        }
    }

    /** Leaves the name to the next server. What was begun and not answered, that one tells its callers. */
    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            lanes.forEach(Service::close);
            writer.close();
            log.close();
        }
    }
}
