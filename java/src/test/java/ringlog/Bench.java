package ringlog;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * What an append and a poll cost, each beside its limit in the same run: the bare stores or copies of the same
 * words. The loops take turns; of each the best round counts, for others use the machine too.
 */
final class Bench {
    record Tick(long time, long symbol, long price, long size, long flags) {}

    private static final int ENTRIES = 1 << 16;
    private static final int ROUNDS = 200;
    private static final VarHandle WORD =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private Bench() {}

    public static void main(String[] arguments) {
        String name = "/ringlog-java-bench-" + Host.PID;
        Schema schema = Schema.of("time:i64,symbol:i64,price:i64,size:i64,flags:i64");
        try (Log log = Log.options().capacity(ENTRIES).create(name, schema); Writer writer = log.writer()) {
            try {
                measure(log, writer);
            } finally {
                Log.unlink(name);
            }
        }
    }

    private static void measure(Log log, Writer writer) {
        Schema schema = log.schema();
        Column[] columns = schema.columns().toArray(Column[]::new);
        Row row = writer.row();
        RecordView<Tick> view = log.view(Tick.class);
        var tick = new Tick(1, 2, 3, 4, 5);
        ByteBuffer bare = ByteBuffer.allocateDirect(64 * ENTRIES + 64).alignedSlice(64);
        byte[] copy = new byte[40];

        Map<String, LongSupplier> loops = new LinkedHashMap<>();
        loops.put("append", () -> {
            for (int i = 0; i < ENTRIES; i++) {
                row.set(columns[0], i).set(columns[1], 2).set(columns[2], 3).set(columns[3], 4).set(columns[4], 5);
                writer.append(row);
            }
            return 0;
        });
        loops.put("append in batches of 64", () -> {
            for (int i = 0; i < ENTRIES; i += 64) {
                writer.appendBatch(64, (r, k) ->
                        r.set(columns[0], k).set(columns[1], 2).set(columns[2], 3).set(columns[3], 4).set(columns[4], 5));
            }
            return 0;
        });
        loops.put("append of a record", () -> {
            for (int i = 0; i < ENTRIES; i++) {
                writer.append(view, tick);
            }
            return 0;
        });
        loops.put("bare stores", () -> {
            for (int i = 0; i < ENTRIES; i++) {
                for (int k = 1; k < 6; k++) {
                    WORD.setOpaque(bare, 64 * i + 8 * k, (long) i);
                }
                WORD.setRelease(bare, 64 * i, (long) i);
            }
            return 0;
        });
        loops.put("poll", () -> {
            try (Observer observer = log.observe(Start.last(ENTRIES))) {
                long sum = 0;
                for (int i = 0; i < ENTRIES; i++) {
                    sum += observer.poll().position();
                }
                return sum;
            }
        });
        loops.put("poll and all columns", () -> {
            try (Observer observer = log.observe(Start.last(ENTRIES))) {
                long sum = 0;
                for (int i = 0; i < ENTRIES; i++) {
                    Entry entry = observer.poll().entry();
                    for (Column column : columns) {
                        sum += entry.getLong(column);
                    }
                }
                return sum;
            }
        });
        loops.put("poll and a record", () -> {
            try (Observer observer = log.observe(Start.last(ENTRIES))) {
                long sum = 0;
                for (int i = 0; i < ENTRIES; i++) {
                    sum += view.read(observer.poll().entry()).size();
                }
                return sum;
            }
        });
        loops.put("bare copies", () -> {
            long sum = 0;
            for (int i = 0; i < ENTRIES; i++) {
                for (int k = 1; k < 6; k++) {
                    Bytes.putLong(copy, 8 * k - 8, (long) WORD.getOpaque(bare, 64 * i + 8 * k));
                }
                sum += (long) WORD.getAcquire(bare, 64 * i) + copy[8];
            }
            return sum;
        });

        var best = new LinkedHashMap<String, Long>();
        long sum = 0;
        for (int round = 0; round < ROUNDS; round++) {
            for (var loop : loops.entrySet()) {
                long began = System.nanoTime();
                sum += loop.getValue().getAsLong();
                long took = System.nanoTime() - began;
                best.merge(loop.getKey(), took, Math::min);
            }
        }
        System.out.printf("%-26s %8s %12s%n", "an entry of 40 bytes", "ns", "of its limit");
        long limit = 0;
        var names = loops.keySet().toArray(String[]::new);
        for (int i = 0; i < names.length; i++) {
            limit = best.get(i < 4 ? "bare stores" : "bare copies");
            double ns = (double) best.get(names[i]) / ENTRIES;
            System.out.printf("%-26s %8.2f %12.2f%n", names[i], ns, ns * ENTRIES / limit);
        }
        if (sum == Arrays.hashCode(copy)) {
            System.out.println(); // what was computed is used
        }
    }
}
