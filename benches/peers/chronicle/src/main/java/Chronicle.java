import java.io.BufferedOutputStream;
import java.io.PrintStream;
import net.openhft.affinity.Affinity;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.queue.ChronicleQueue;
import net.openhft.chronicle.queue.ExcerptAppender;
import net.openhft.chronicle.queue.ExcerptTailer;
import net.openhft.chronicle.queue.rollcycles.LargeRollCycles;
import net.openhft.chronicle.wire.DocumentContext;

/**
 * One end of a work between two processes, over two queues of entries of 56 bytes, each checked.
 *
 * <pre>
 * Chronicle ping|echo|write|read DIRECTORY CORE WARM_UP COUNT
 * </pre>
 *
 * Tells what it measured on standard output, and ends when nobody holds the other end of its
 * standard input. Where the works of benches/peers/src/works.rs warm up by a lap, here it takes as
 * many entries as the JVM needs to compile what they run through.
 */
final class Chronicle {
    /** Words of an entry: its position, and what follows from it. */
    private static final int WORDS = 7;

    private final ExcerptAppender to;
    private final ExcerptTailer from;

    private Chronicle(ChronicleQueue to, ChronicleQueue from) {
        this.to = to.createAppender();
        this.from = from.createTailer();
    }

    public static void main(String[] args) throws Exception {
        String work = args[0];
        int core = Integer.parseInt(args[2]);
        long warmUp = Long.parseLong(args[3]);
        long count = Long.parseLong(args[4]);
        endWithParent();
        Affinity.setAffinity(core);
        boolean isNear = work.equals("ping") || work.equals("write");
        try (ChronicleQueue there = queue(args[1] + "/there");
                ChronicleQueue back = queue(args[1] + "/back")) {
            Chronicle end = isNear ? new Chronicle(there, back) : new Chronicle(back, there);
            PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16));
            switch (work) {
                case "ping" -> end.ping(warmUp, count, out);
                case "echo" -> end.echo(warmUp + 2 * count);
                case "write" -> end.write(warmUp, count, out);
                case "read" -> end.read(warmUp, count, out);
                default -> throw new IllegalArgumentException(work);
            }
            out.flush();
        }
    }

    /** A file for all of it, in blocks that hold a good part of it. */
    private static ChronicleQueue queue(String directory) {
        return ChronicleQueue.singleBuilder(directory)
                .rollCycle(LargeRollCycles.LARGE_DAILY)
                .blockSize(256L << 20)
                .build();
    }

    /** The bench holds a pipe to this process, which the kernel closes too when the bench dies. */
    private static void endWithParent() {
        Thread thread = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) {
                // Then it is closed.
            }
            Runtime.getRuntime().halt(1);
        });
        thread.setDaemon(true);
        thread.start();
    }

    /** Mean ns of many trips in a row on the first line; then as many each by itself. */
    private void ping(long warmUp, long count, PrintStream out) {
        for (long position = 0; position < warmUp; position++) trip(position);
        long started = System.nanoTime();
        for (long position = warmUp; position < warmUp + count; position++) trip(position);
        out.println((double) (System.nanoTime() - started) / count);
        long[] each = new long[(int) count];
        long last = System.nanoTime();
        for (int i = 0; i < count; i++) {
            trip(warmUp + count + i);
            long now = System.nanoTime();
            each[i] = now - last;
            last = now;
        }
        for (long ns : each) out.println(ns);
    }

    private void trip(long position) {
        send(position);
        while (!receive(position)) Thread.onSpinWait();
    }

    private void echo(long all) {
        for (long position = 0; position < all; position++) {
            while (!receive(position)) Thread.onSpinWait();
            send(position);
        }
    }

    /** When it began, and when it was done, by a clock that all processes share. */
    private void write(long warmUp, long count, PrintStream out) {
        for (long position = 0; position < warmUp; position++) send(position);
        while (!receive(0)) Thread.onSpinWait(); // the reader has it all
        out.println(System.nanoTime());
        for (long position = warmUp; position < warmUp + count; position++) send(position);
        out.println(System.nanoTime());
    }

    /** When it had the last. */
    private void read(long warmUp, long count, PrintStream out) {
        for (long position = 0; position < warmUp; position++) {
            while (!receive(position)) Thread.onSpinWait();
        }
        send(0);
        for (long position = warmUp; position < warmUp + count; position++) {
            while (!receive(position)) Thread.onSpinWait();
        }
        out.println(System.nanoTime());
    }

    private void send(long position) {
        try (DocumentContext entry = to.writingDocument()) {
            Bytes<?> bytes = entry.wire().bytes();
            bytes.writeLong(position);
            for (long i = 1; i < WORDS; i++) bytes.writeLong(position + (i << 24));
        }
    }

    /** Whether there is an entry, which then has to be this one. */
    private boolean receive(long expected) {
        try (DocumentContext entry = from.readingDocument()) {
            if (!entry.isPresent()) return false;
            Bytes<?> bytes = entry.wire().bytes();
            long position = bytes.readLong();
            long differ = position ^ expected;
            for (long i = 1; i < WORDS; i++) differ |= bytes.readLong() ^ (expected + (i << 24));
            // It may be followed by what pads it to a multiple of four.
            if (differ != 0) throw new IllegalStateException(position + " came for " + expected);
            return true;
        }
    }
}
