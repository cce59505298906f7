package ringlog;

import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** What tests run in a process of its own, to kill it. */
final class Peer {
    private static final Schema NUMBERS = Schema.of("a:u64,b:u64,c:u64");

    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        var out = new PrintStream(System.out, true, StandardCharsets.US_ASCII);
        String name = arguments[1];
        try {
            switch (arguments[0]) {
                case "write" -> write(name, Long.parseLong(arguments[2]), out);
                case "send" -> send(name, Long.parseLong(arguments[2]), out);
                case "read" -> read(name, Integer.parseInt(arguments[2]), out);
                case "wake" -> wake(name, out);
                case "hold" -> hold(name, arguments[2], out);
                case "look" -> look(name, out);
                case "serve" -> serve(name, arguments.length > 2, out);
                case "ask" -> ask(name, out);
                default -> throw new IllegalArgumentException(arguments[0]);
            }
        } catch (RinglogException e) {
            System.err.println(e.getMessage());
            System.exit(e.code().number());
        }
    }

    /** The values of the entry at a position: a torn one shows. */
    static void fill(Row row, long position) {
        row.set("a", position).set("b", ~position).set("c", position * 31);
    }

    static void check(Entry entry, long position) {
        if (entry.getLong("a") != position || entry.getLong("b") != ~position || entry.getLong("c") != position * 31) {
            throw new AssertionError("entry " + position + " is torn");
        }
    }

    static Schema numbers() {
        return NUMBERS;
    }

    private static void write(String name, long count, PrintStream out) {
        try (Log log = Log.open(name); Writer writer = log.writer()) {
            Row row = writer.row();
            out.println("from " + writer.position());
            for (long end = writer.position() + count; writer.position() < end; ) {
                fill(row, writer.position());
                writer.append(row);
            }
            out.println("to " + writer.position());
        }
    }

    /** Appends an entry, and wakes the readers that wait for it. */
    private static void wake(String name, PrintStream out) {
        try (Log log = Log.open(name); Writer writer = log.writer()) {
            Row row = writer.row();
            fill(row, writer.position());
            writer.append(row);
            writer.wake();
            out.println("can wake: " + Futex.isThere());
        }
    }

    private static void send(String name, long count, PrintStream out) {
        try (Log log = Log.open(name); LosslessWriter writer = log.losslessWriter()) {
            Row row = writer.row();
            out.println("from " + writer.position());
            while (writer.position() < count) {
                fill(row, writer.position());
                writer.append(row, Duration.ofSeconds(30));
            }
        }
    }

    /** Reads without end, and says before each commit what it commits. */
    private static void read(String name, int id, PrintStream out) {
        try (Log log = Log.open(name); Reader reader = log.reader(id)) {
            out.println("from " + reader.position());
            while (true) {
                Poll poll = reader.poll(Duration.ofSeconds(1));
                if (poll.kind() == Poll.Kind.ENTRY && log.schema().equals(NUMBERS)) {
                    check(poll.entry(), poll.position());
                }
                if (poll.next() % 64 == 0 || poll.kind() == Poll.Kind.EMPTY) {
                    out.println("commit " + reader.position());
                    reader.commit();
                }
            }
        }
    }

    private static void hold(String name, String what, PrintStream out) throws InterruptedException {
        Log log = Log.open(name);
        AutoCloseable held = what.equals("writer")
                ? log.isLossless() ? log.losslessWriter() : log.writer()
                : log.reader(Integer.parseInt(what));
        out.println("held " + held);
        Thread.sleep(Place.PATIENCE.toMillis() * 2);
    }

    /** Says what it sees of the writer's claim. */
    private static void look(String name, PrintStream out) {
        try (Log log = Log.open(name)) {
            log.reader(1).close(); // its own claim is in the table, so that is believed
            boolean isInTable = new Locks().hold(LogTest.key(java.nio.file.Path.of("/dev/shm" + name)), Layout.WRITE_PTR);
            out.println("in the table: " + isInTable + ", has a writer: " + log.hasWriter());
        }
    }

    /** Answers: 0 echo; 1 the number of calls so far; 2 halt before an answer; 3 fail. */
    private static void serve(String name, boolean repeats, PrintStream out) {
        var options = Service.options();
        try (Service service = (repeats ? options.repeat() : options).serve(name)) {
            out.println("serving");
            service.run(request -> switch (request.method()) {
                case 0 -> request.body();
                case 1 -> ByteBuffer.allocate(8).putLong(Host.PID).array();
                case 2 -> {
                    out.println("halting over " + request.position());
                    Runtime.getRuntime().halt(9);
                    yield null;
                }
                case 3 -> throw new Failure("as asked");
                case 4 -> throw new IllegalStateException("broken");
                default -> throw Failure.noMethod();
            });
        }
    }

    /** Calls without end, each with another body. */
    private static void ask(String name, PrintStream out) {
        try (Client client = Client.connect(name, Place.PATIENCE)) {
            for (long number = 0; ; number++) {
                byte[] body = ByteBuffer.allocate(8).putLong(number).array();
                byte[] answer = client.call(0, body, Duration.ofSeconds(10));
                if (!java.util.Arrays.equals(body, answer)) {
                    throw new AssertionError("another answer");
                }
                if (number % 10 == 0) {
                    out.println("asked " + number);
                }
            }
        }
    }
}
