package ringlog;

import java.util.concurrent.locks.LockSupport;

/**
 * One wait: spins, then yields, then sleeps, each time twice as long up to a limit. It leaves the log's words for
 * sleepers alone, so nothing wakes it, and it sees what it waits for at most so much later.
 */
final class Idle {
    private static final int SPINS = 1000;
    private static final int YIELDS = 10;
    private static final long FIRST_NS = 20_000;

    private final long mostNs;
    private final long end;
    private int rounds;
    private long sleepNs = FIRST_NS;

    /** A wait of at most a time; its sleeps have at most another, 0: it does not sleep. */
    Idle(long timeoutNs, long mostNs) {
        this.mostNs = mostNs;
        long now = System.nanoTime();
        end = timeoutNs > Long.MAX_VALUE / 2 ? now + Long.MAX_VALUE / 2 : now + timeoutNs;
    }

    /** Rests for a moment; returns false if the time is over, or the thread is interrupted. */
    boolean rest() {
        rounds = rounds == Integer.MAX_VALUE ? 1 << 20 : rounds + 1;
        if (rounds <= SPINS || mostNs == 0) {
            Thread.onSpinWait();
            return rounds % 64 != 0 || !isOver();
        }
        long left = end - System.nanoTime();
        if (left <= 0 || Thread.currentThread().isInterrupted()) {
            return false;
        }
        if (rounds <= SPINS + YIELDS) {
            Thread.yield();
        } else {
            LockSupport.parkNanos(Math.min(Math.min(sleepNs, mostNs), left));
            sleepNs = Math.min(2 * sleepNs, mostNs);
        }
        return true;
    }

    /** Begins anew, for something came. */
    void reset() {
        rounds = 0;
        sleepNs = FIRST_NS;
    }

    /** Returns whether it has come to sleeping. */
    boolean isLong() {
        return rounds > SPINS;
    }

    boolean isOver() {
        return end - System.nanoTime() <= 0 || Thread.currentThread().isInterrupted();
    }

    static long nanos(java.time.Duration duration) {
        try {
            return Math.max(0, duration.toNanos());
        } catch (ArithmeticException e) {
            return Long.MAX_VALUE;
        }
    }
}
