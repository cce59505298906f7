package ringlog;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;

/** What this process says of itself, and its clocks. */
final class Host {
    static final long PID = ProcessHandle.current().pid();
    /** The inode of its pid namespace; 0 where that cannot be seen. */
    static final long PID_NS = pidNamespace();
    /** The boot it runs in: two words; zeros where that cannot be seen. */
    static final long[] BOOT_ID = bootId();

    private Host() {}

    static long uid() throws IOException {
        return Integer.toUnsignedLong((Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    }

    /** Returns the wall clock, ns since the Unix epoch. */
    static long wallNs() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000L + now.getNano();
    }

    /** Refuses to say that a log was written in a boot that is not known. */
    static void checkBootId() {
        if (BOOT_ID[0] == 0 && BOOT_ID[1] == 0) {
            throw new RinglogException(Code.OTHER, "/proc/sys/kernel/random/boot_id: cannot be read, and a writer says"
                    + " there in which boot it ran; let this process see /proc");
        }
    }

    /** {@code pid:[4026531836]}. */
    private static long pidNamespace() {
        try {
            String link = Files.readSymbolicLink(Path.of("/proc/self/ns/pid")).toString();
            return Long.parseLong(link.substring(link.indexOf('[') + 1, link.indexOf(']')));
        } catch (IOException | RuntimeException e) {
            return 0;
        }
    }

    private static long[] bootId() {
        try {
            String id = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip().replace("-", "");
            return new long[] {
                Long.parseUnsignedLong(id.substring(0, 16), 16), Long.parseUnsignedLong(id.substring(16), 16)
            };
        } catch (IOException | RuntimeException e) {
            return new long[2];
        }
    }
}
