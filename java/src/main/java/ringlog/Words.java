package ringlog;

import static ringlog.Layout.roundUp;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/**
 * A log's bytes as words, each loaded and stored whole. A mapping of Java ends below 2 GiB, so the file is
 * mapped in windows of 1 GiB; a word lies in one of them, and copies are cut where one ends.
 */
final class Words {
    private static final int SHIFT = 30;
    private static final int MASK = (1 << SHIFT) - 1;
    private static final VarHandle WORD =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    /** Words of arrays, which only their thread sees; at any offset. */
    private static final VarHandle BYTES =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    /** Whether words may be copied several at once: where loads and stores of all widths stay in order. */
    private static final boolean IS_WIDE = System.getProperty("os.arch").equals("amd64");

    private final MappedByteBuffer[] windows;

    private Words(MappedByteBuffer[] windows) {
        this.windows = windows;
    }

    static Words map(FileChannel channel, FileChannel.MapMode mode, long length) throws IOException {
        int count = (int) ((length + MASK) >>> SHIFT);
        var windows = new MappedByteBuffer[count];
        for (int i = 0; i < count; i++) {
            long begin = (long) i << SHIFT;
            windows[i] = channel.map(mode, begin, Math.min(length - begin, 1L << SHIFT));
        }
        return new Words(windows);
    }

    private ByteBuffer window(long at) {
        return windows[(int) (at >>> SHIFT)];
    }

    long acquire(long at) {
        return (long) WORD.getAcquire(window(at), (int) at & MASK);
    }

    long relaxed(long at) {
        return (long) WORD.getOpaque(window(at), (int) at & MASK);
    }

    void release(long at, long word) {
        WORD.setRelease(window(at), (int) at & MASK, word);
    }

    void relaxed(long at, long word) {
        WORD.setOpaque(window(at), (int) at & MASK, word);
    }

    boolean exchange(long at, long from, long to) {
        return WORD.compareAndSet(window(at), (int) at & MASK, from, to);
    }

    /** Wakes all threads that sleep on a word, where Java can. */
    void wake(long at) {
        Futex.wake(window(at), (int) at & MASK);
    }

    /** Copies words out, Relaxed; {@code into} has room for all of the last one. */
    void copyOut(long at, byte[] into, int offset, int count) {
        ByteBuffer window = window(at);
        int from = (int) at & MASK;
        int run = (window.limit() - from) >>> 3;
        if (count > run) {
            copyOut(at + 8L * run, into, offset + 8 * run, count - run);
            count = run;
        }
        if (IS_WIDE) {
            window.get(from, into, offset, 8 * count);
            return;
        }
        for (int i = 0; i < count; i++) {
            BYTES.set(into, offset + 8 * i, (long) WORD.getOpaque(window, from + 8 * i));
        }
    }

    /** Copies bytes in as words, Relaxed; zeros fill up the last word. */
    void copyIn(long at, byte[] from, int offset, int length) {
        ByteBuffer window = window(at);
        int into = (int) at & MASK;
        int count = length >>> 3;
        int run = (window.limit() - into) >>> 3;
        if (count > run) {
            copyIn(at + 8L * run, from, offset + 8 * run, length - 8 * run);
            count = run;
        } else if (length > 8 * count) {
            long word = 0;
            for (int i = length - 1; i >= 8 * count; i--) {
                word = word << 8 | from[offset + i] & 0xFF;
            }
            relaxed(at + 8L * count, word);
        }
        if (IS_WIDE) {
            window.put(into, from, offset, 8 * count);
            return;
        }
        for (int i = 0; i < count; i++) {
            WORD.setOpaque(window, into + 8 * i, (long) BYTES.get(from, offset + 8 * i));
        }
    }

    /** Has a part of the file written back to its disk; in shared memory there is none. */
    void force(long from, long to) {
        for (long at = from; at < to; at = roundUp(at + 1, 1L << SHIFT)) {
            int begin = (int) at & MASK;
            windows[(int) (at >>> SHIFT)].force(begin, (int) Math.min(to - at, (1L << SHIFT) - begin));
        }
    }
}
